"""A trained model of a table: its encoding, the network, the parameters, and how it was trained."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from clearprop.activations import Activation
from clearprop.checks import check_sample_weight
from clearprop.core.network import Network
from clearprop.core.objective import prepare
from clearprop.core.outputs import Outputs, sweep_rows
from clearprop.core.parameters import Parameters
from clearprop.core.trace import predict
from clearprop.display import Displayed
from clearprop.errors import ArgumentError
from clearprop.losses import Loss
from clearprop.model.evaluation import Evaluation, evaluate
from clearprop.model.files import MODEL, pack, unpack
from clearprop.model.predictions import Predictions, predictions_of
from clearprop.serialization.atomic import remove_leftovers, write_atomically
from clearprop.serialization.typed_files import read_content
from clearprop.tables import Columns, TableEncoding
from clearprop.training.history import History

if TYPE_CHECKING:
    from clearprop.explain.diagnosis import Diagnosis


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Encoded rows that training did not see, and the outputs of the network for them.

    `X` (n, i) and `y` are as the loss takes them, `what` says which rows they are, and `outputs` is the one sweep over
    them that metrics, warnings and report read. `row_numbers` (n,) are their indices in the user's table; None for
    all rows of a table.
    """

    X: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    what: str
    outputs: Outputs = field(repr=False)
    row_numbers: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def sweep(
        cls,
        net: Network,
        params: Parameters,
        loss: Loss,
        X: Any,
        y: Any,
        what: str,
        row_numbers: np.ndarray | None = None,
    ) -> HeldOut:
        """Run the network over the rows."""
        return cls(X, y, what, sweep_rows(prepare(net, params, X, y, loss), params), row_numbers)


@dataclass(repr=False, eq=False)
class Model(Displayed):
    """A network with its parameters and loss, the encoding of the table it reads, and how it was trained.

    `cp.fit` makes one; `save` writes it into one file, `Model.load` reads it. `held_out` is set by `cp.fit` only: it
    is not part of the file.

    >>> import clearprop as cp
    >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
    >>> model = cp.fit(table, "y", hidden=(), optimizer="lbfgs")
    >>> model.predict({"x": [0.5]})["y"].round(1)
    array([2.5])
    """

    net: Network
    params: Parameters
    loss: Loss
    encoding: TableEncoding | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    history: History | None = None
    held_out: HeldOut | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both predict and print the same: the rows held out, which are not saved, do not count."""
        if not isinstance(other, Model):
            return NotImplemented
        mine, its = ((m.params, m.loss, m.encoding, m.settings, m.history) for m in (self, other))
        return mine == its

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        what = f"{self.net.parameter_count:,} parameters"
        if self.encoding is not None:
            columns = f"{len(self.encoding.columns)} columns"
            what = f"predicts {', '.join(self.encoding.target_names)} from {columns}, {what}"
        return f"<Model: {what}; print it to see more>"

    def predict(self, data: Any) -> Columns:
        """Columns of predictions for a table (path, data frame or dict of columns), with class probabilities.

        A dict of arrays by column name; `.to_pandas()` and `.to_polars()` make it a data frame. Raises TableError if a
        column is missing or holds what the encoding cannot take.
        """
        return self.require_encoding().decode(self._outputs(data))

    def predict_proba(self, data: Any) -> np.ndarray:
        """Probabilities (n rows, k classes), in the order of `encoding.classes`.

        For several target columns of booleans, (n rows, o columns): the probability that each is true. Raises
        ArgumentError for a model that predicts numbers.

        >>> import clearprop as cp
        >>> table = {"age": [20, 30, 40, 50] * 10, "rich": ["no", "no", "yes", "yes"] * 10}
        >>> model = cp.fit(table, "rich", hidden=(), epochs=1)
        >>> model.encoding.classes, model.predict_proba({"age": [25, 45, 50]}).shape
        (['no', 'yes'], (3, 2))
        """
        task = self.require_encoding().task
        if task == "regression":
            raise ArgumentError("predict_proba: the model predicts numbers, not classes; use predict.")
        p = self._outputs(data)
        return np.hstack([1 - p, p]) if task == "binary" else p

    def evaluate(self, data: Any = None, *, sample_weight: Any = None) -> Evaluation:
        """Metrics of the predictions for a table that has the target too, or for the rows that `cp.fit` held out.

        `sample_weight` (n,) weighs the rows in all metrics.
        """
        return evaluate(self.predictions(data, sample_weight=sample_weight))

    def predictions(self, data: Any = None, *, sample_weight: Any = None) -> Predictions:
        """The predictions beside the true targets, as arrays; the arguments are those of `evaluate`."""
        encoding = self.require_encoding()
        (predictions,) = predictions_of(self.net, encoding, self.rows(data).outputs)
        weight = check_sample_weight(sample_weight, len(predictions.y), np.dtype(np.float64))
        return replace(predictions, sample_weight=weight)

    def report(self, path: str | os.PathLike[str], data: Any = None, *, diagnosis: Diagnosis | None = None) -> None:
        """Write the report as an HTML page, for a table that has the target or for the rows that `cp.fit` held out.

        `diagnosis` is that of `cp.diagnose` for these rows, if it is known already. Raises ArgumentError if no rows
        were held out and no table is given; FileWriteError as `save` does.

        >>> import clearprop as cp
        >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
        >>> cp.fit(table, "y", hidden=(), epochs=2, holdout=0).report("report.html")
        Traceback (most recent call last):
            ...
        clearprop.errors.ArgumentError: data: the model has no held-out rows; pass a table that has the target.
        """
        from clearprop.report import write_report  # takes time to import

        rows = self.rows(data)
        write_report(
            self, rows.X, rows.y, path, evaluated_on=rows.what, diagnosis=diagnosis, row_numbers=rows.row_numbers
        )

    def encode(self, data: Any, dtype: DTypeLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Inputs X (n, i) and targets y of a table, in the form that `cp.backpropagate` and the loss take."""
        encoding = self.require_encoding()
        table, dtype = encoding.table(data), np.dtype(dtype or self.params.dtype)
        y = encoding.targets(table, dtype)
        return encoding.features(table, dtype), as_loss_target(encoding, y, dtype)

    def rows(self, data: Any = None) -> HeldOut:
        """The encoded rows of a table that has the target, or those that `cp.fit` held out, swept once.

        To give to `evaluate`, `predictions` and `report` in place of the table, so that they share one sweep.
        """
        if isinstance(data, HeldOut):
            return data
        if data is not None:
            X, y = self.encode(data)
            name = f" of {Path(data).name}" if isinstance(data, (str, os.PathLike)) else ""
            return HeldOut.sweep(self.net, self.params, self.loss, X, y, f"{len(X):,} rows{name}")
        if self.held_out is None:
            raise ArgumentError("data: the model has no held-out rows; pass a table that has the target.")
        return self.held_out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into one file, completely or not at all; FileWriteError if the system refuses."""
        losses = dict.fromkeys(self.net.outputs or (), self.loss)
        remove_leftovers(path)
        write_atomically(path, pack(self.net, self.params, losses, self.encoding, self.settings, self.history))

    @classmethod
    def load(cls, path: str | os.PathLike[str], own: Iterable[Activation | Loss] = ()) -> Model:
        """Read a model file; `own` are your own activations and losses, because a file holds only their names.

        Raises ModelFileError if the file is missing, cut off, damaged or not a model file.
        """
        parts = unpack(read_content(path, MODEL), str(path), own)
        loss = next(iter(parts.pop("losses").values()))
        return cls(loss=loss, **parts)

    def __str__(self) -> str:
        """Layers, wiring, parameters, the encoding of the table, and how it was trained."""
        from clearprop.model.summary import format_model

        return format_model(self)

    def require_encoding(self) -> TableEncoding:
        """The encoding; raises ArgumentError for a model that was made without a table."""
        if self.encoding is None:
            raise ArgumentError("This model has no table encoding; use cp.predict(model.net, model.params, X).")
        return self.encoding

    def _outputs(self, data: Any) -> np.ndarray:
        return predict(self.net, self.params, self.require_encoding().features(data, self.params.dtype))


def as_loss_target(encoding: TableEncoding, y: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Encoded targets in the form that the loss of the task takes: one column for two classes."""
    return y.reshape(-1, 1).astype(dtype) if encoding.task == "binary" else y
