"""The exceptions a user can meet: each says what, where, what was expected and got, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class ClearpropError(Exception):
    """Base of every exception that clearprop raises on purpose.

    >>> import clearprop as cp
    >>> try:
    ...     cp.Adam(learning_rate=0)
    ... except cp.ClearpropError as error:
    ...     print(error)
    Adam learning_rate: expected a finite number above 0, got 0.
    """


class NetworkError(ClearpropError, ValueError):
    """The wiring is impossible: a dangling source, a name used twice, a pattern of the wrong shape."""


class ArgumentError(ClearpropError, ValueError):
    """An argument has a value outside its range, such as a learning rate of zero."""


class CompilationError(ArgumentError):
    """A definition of one's own cannot be turned into compiled code; the textbook engine can run it."""


class ShapeError(ClearpropError, ValueError):
    """An array has a shape that does not fit the network or the other arrays."""


class DataError(ClearpropError, ValueError):
    """The numbers themselves cannot be used: NaN, infinity, no rows, an unknown label."""


class TableError(DataError):
    """A table cannot be read, or lacks a column, or a column cannot be encoded."""


class ModelFileError(ClearpropError, ValueError):
    """A model file is cut off, damaged, from a newer version, or not a model file."""


class CheckpointError(ModelFileError):
    """A checkpoint is damaged, or belongs to other data, another network or other settings."""


class FileWriteError(ClearpropError, OSError):
    """The system refused to write a file (`errno` says why); what was there before is untouched."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class TrainingDiverged(ClearpropError, ArithmeticError):
    """The cost, the outputs or the parameters became NaN or infinite; the parameters are those before that epoch.

    It says where that began: `epoch` and `step` (from 0; None where only the end of the epoch showed it) and `layer`.
    `last_finite` are the parameters before the last epoch that began with a finite cost. `best` are those of the best
    epoch: by the early stopping that restores, else the validation cost, else the cost; None before the first one ends.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> try:
    ...     cp.train(net, net.initialize(), [[1.0]], [[1.0]], loss="squared_error", optimizer=cp.GradientDescent(1e60))
    ... except cp.TrainingDiverged as error:
    ...     print(str(error)[:76], error.layer)
    epoch 4, step 1 of 1: the cost or the parameters became NaN or infinite. The output
    """

    def __init__(
        self,
        message: str = "",
        *,
        epoch: int | None = None,
        step: int | None = None,
        layer: str | None = None,
        last_finite: Any = None,
        best: Any = None,
    ) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer = epoch, step, layer
        self.last_finite, self.best = last_finite, best


#: What other libraries call things that have another name here.
_ELSEWHERE = {
    "sgd": ("gradient_descent", "momentum"), "sgdm": ("momentum",), "logistic": ("sigmoid",), "linear": ("identity",),
    "swish": ("silu",), "mse": ("squared_error",), "mean_squared_error": ("squared_error",), "l2": ("squared_error",),
    "mae": ("absolute_error",), "mean_absolute_error": ("absolute_error",), "l1": ("absolute_error",),
    "log_loss": ("binary_cross_entropy", "cross_entropy"), "logloss": ("binary_cross_entropy", "cross_entropy"),
    "bce": ("binary_cross_entropy",), "binary_crossentropy": ("binary_cross_entropy",), "nll": ("cross_entropy",),
    "categorical_crossentropy": ("cross_entropy",), "sparse_categorical_crossentropy": ("cross_entropy",),
    "crossentropy": ("cross_entropy",), "pinball": ("quantile",), "rms_prop": ("rmsprop",), "r2_score": ("r2",),
}  # fmt: skip


def suggest(name: str, known: Iterable[str]) -> str:
    """Say what `name` may have meant, and what there is to choose from.

    >>> suggest("incme", ["age", "income"])
    'Did you mean "income"? There are: age, income.'
    >>> suggest("sgd", ["gradient_descent", "adam"])
    'Did you mean "gradient_descent"? There are: gradient_descent, adam.'
    """
    known = [str(k) for k in known]
    folded = {k.casefold(): k for k in known}
    meant = [k for k in _ELSEWHERE.get(str(name).casefold(), ()) if k in known]
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    likely = " or ".join(f'"{k}"' for k in meant or [folded[k] for k in near])
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    there_are = f"There are: {listed}." if known else "There are none."
    return f"Did you mean {likely}? {there_are}" if likely else there_are
