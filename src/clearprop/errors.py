"""The exceptions of clearprop. Each message says what is wrong, where, what was expected and got, and how to fix it."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class ClearpropError(Exception):
    """Base class of all exceptions of clearprop.

    >>> import clearprop as cp
    >>> try:
    ...     cp.Adam(learning_rate=0)
    ... except cp.ClearpropError as error:
    ...     print(error)
    Adam learning_rate: expected a finite number above 0, got 0.
    """


class NetworkError(ClearpropError, ValueError):
    """The connections of a network are invalid: an unknown source, a duplicate name, a pattern of the wrong shape."""


class ArgumentError(ClearpropError, ValueError):
    """An argument has a value outside its range, such as a learning rate of zero."""


class CompilationError(ArgumentError):
    """A custom definition cannot be compiled; the textbook engine can run it."""


class ShapeError(ClearpropError, ValueError):
    """The shape of an array does not match the network or the other arrays."""


class DataError(ClearpropError, ValueError):
    """The values of the data cannot be used: NaN, infinity, no rows, an unknown label."""


class TableError(DataError):
    """A table cannot be read, a column is missing, or a column cannot be encoded."""


class TableWarning(UserWarning):
    """A table to predict holds values that training did not see; the message says what they are taken as."""


class ModelFileError(ClearpropError, ValueError):
    """A file is truncated, damaged, from a newer version, or not a model file."""


class CheckpointError(ModelFileError):
    """A checkpoint is damaged, or belongs to other data, another network or other settings."""


class FileWriteError(ClearpropError, OSError):
    """The operating system refused to write a file (see `errno`); an existing file is unchanged."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class TrainingDiverged(ClearpropError, ArithmeticError):
    """The cost, the outputs or the parameters became NaN or infinite; the parameters are reset to those before it.

    `epoch` and `step` (counted from 0; None if it was only noticed at the end of the epoch) and `layer` tell where it
    first occurred. `last_finite` holds the parameters before the last epoch that began with a finite cost. `best` holds
    those of the best epoch, by the monitored value of early stopping, else by the validation cost, else by the cost;
    None if no epoch was completed. `history` has the epochs before it, for `cp.diagnose(..., history=error.history)`.

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
        history: Any = None,
    ) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer = epoch, step, layer
        self.last_finite, self.best, self.history = last_finite, best, history


#: Names that other libraries use, with the names used here.
_ELSEWHERE = {
    "sgdm": ("momentum",), "logistic": ("sigmoid",), "linear": ("identity",),
    "swish": ("silu",), "mse": ("squared_error",), "mean_squared_error": ("squared_error",), "l2": ("squared_error",),
    "mae": ("absolute_error",), "mean_absolute_error": ("absolute_error",), "l1": ("absolute_error",),
    "log_loss": ("binary_cross_entropy", "cross_entropy"), "logloss": ("binary_cross_entropy", "cross_entropy"),
    "bce": ("binary_cross_entropy",), "binary_crossentropy": ("binary_cross_entropy",), "nll": ("cross_entropy",),
    "categorical_crossentropy": ("cross_entropy",), "sparse_categorical_crossentropy": ("cross_entropy",),
    "crossentropy": ("cross_entropy",), "pinball": ("quantile",), "rms_prop": ("rmsprop",), "r2_score": ("r2",),
}  # fmt: skip


def unknown(kind: str, value: Any, known: Iterable[str], base: type | None = None, arguments: str = "") -> str:
    """A message about a value that is not in a registry; for a subclass of `base`, how to create an object.

    >>> unknown("optimizer", "adm", ["momentum", "adam"])
    "unknown optimizer 'adm'; did you mean 'adam'? Available: momentum, adam."
    >>> unknown("optimizer", 3, ["momentum", "adam"])
    'unknown optimizer 3. Available: momentum, adam.'
    """
    known = [str(k) for k in known]
    if base is not None and isinstance(value, type) and issubclass(value, base):
        return f"expected an object or a name, got the class; write {value.__name__}({arguments}). {_available(known)}"
    likely = " or ".join(map(repr, _similar(str(value), known)))
    return f"unknown {kind} {value!r}{f'; did you mean {likely}?' if likely else '.'} {_available(known)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """The names that `name` may have meant, and the names that exist.

    >>> suggest("incme", ["age", "income"])
    'Did you mean "income"? Available: age, income.'
    """
    known = [str(k) for k in known]
    likely = " or ".join(f'"{k}"' for k in _similar(name, known))
    return f"Did you mean {likely}? {_available(known)}" if likely else _available(known)


def _similar(name: str, known: list[str]) -> list[str]:
    """The known names that other libraries call `name`, or else the one spelt most like it, if any."""
    meant = [k for k in _ELSEWHERE.get(str(name).casefold(), ()) if k in known]
    folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    return meant or [folded[k] for k in near]


def _available(known: list[str]) -> str:
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return f"Available: {listed}." if known else "None is available."


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line that called the library, perhaps through scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals["__name__"].split(".")[0] in ("clearprop", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
