"""A trained model of a table: the encoding, the network, its parameters, and how it was trained, in one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_choice, check_dtype, check_integer, check_number, check_seed, check_texts
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import cost, predict
from clearprop.errors import ArgumentError, DataError, ModelFileError
from clearprop.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from clearprop.model.evaluation import Evaluation, evaluate_classes, evaluate_flags, evaluate_numbers
from clearprop.model.files import pack, unpack
from clearprop.optimizers import LBFGS, AdamW, Optimizer, as_optimizer
from clearprop.penalties import L2
from clearprop.schedules import Cosine, WarmUp
from clearprop.serialization.atomic import remove_leftovers, write_atomically
from clearprop.serialization.codec import describe
from clearprop.tables import TableEncoding, as_frame
from clearprop.tables.frame import declared_categories
from clearprop.training.callbacks import Callback
from clearprop.training.checkpoint import Checkpoint
from clearprop.training.history import History
from clearprop.training.loop import train
from clearprop.training.stopping import EarlyStopping

#: Output activation and loss of each task that a table can set.
TASKS: dict[str, tuple[str, Loss]] = {
    "binary": ("sigmoid", BinaryCrossEntropy()),
    "multilabel": ("sigmoid", BinaryCrossEntropy()),
    "multiclass": ("softmax", CrossEntropy()),
    "regression": ("identity", SquaredError()),
}


@dataclass(frozen=True)
class HeldOut:
    """Rows that training never saw: their encoded inputs (n, i), targets as the loss takes them, and what they are."""

    X: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    what: str


@dataclass(repr=False)
class Model:
    """A network with its parameters and loss, the encoding of the table it reads, and how it was trained.

    `cp.fit` makes one; `save` writes it into one file, `Model.load` reads it. `held_out` is there after `cp.fit` only:
    it is not part of the file.

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

    def __repr__(self) -> str:
        what = f"{self.net.parameter_count:,} parameters"
        if self.encoding is not None:
            columns = f"{len(self.encoding.columns)} columns"
            what = f"predicts {', '.join(self.encoding.target_names)} from {columns}, {what}"
        return f"<Model: {what}; print it to see more>"

    def predict(self, data: Any) -> dict[str, np.ndarray]:
        """Columns of predictions for a table (path, data frame or dict of columns), with class probabilities.

        Raises TableError when a column is missing or holds what the encoding cannot take.
        """
        return self.known_encoding.decode(self._outputs(data))

    def evaluate(self, data: Any) -> Evaluation:
        """How good the predictions are on a table that has the target too."""
        frame = self._frame(data)
        return self.judge(*encode(self.known_encoding, frame, self.params.dtype))

    def report(self, path: str | os.PathLike[str], data: Any = None) -> None:
        """Write the report as an HTML page: on the rows that `cp.fit` held out, or on a table that has the target.

        Raises ArgumentError where no rows were held out and no table is given; FileWriteError as `save` does.

        >>> import clearprop as cp
        >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
        >>> cp.fit(table, "y", hidden=(), epochs=2, holdout=0).report("report.html")
        Traceback (most recent call last):
            ...
        clearprop.errors.ArgumentError: report: no rows are held out; give a table that has the target, as data.
        """
        from clearprop.report import write_report  # takes time to import

        if data is not None:
            X, y = encode(self.known_encoding, self._frame(data), self.params.dtype)
            name = f" of {Path(data).name}" if isinstance(data, (str, os.PathLike)) else ""
            held_out = HeldOut(X, y, f"{len(X):,} rows{name}")
        elif self.held_out is not None:
            held_out = self.held_out
        else:
            raise ArgumentError("report: no rows are held out; give a table that has the target, as data.")
        write_report(self, held_out.X, held_out.y, path, evaluated_on=held_out.what)

    def judge(self, X: np.ndarray, y: np.ndarray) -> Evaluation:
        """How good the predictions are on encoded rows: X (n, i), y as the loss takes it."""
        encoding, yhat = self.known_encoding, predict(self.net, self.params, X)
        if encoding.task == "regression":
            true, guess = encoding.decode(y), encoding.decode(yhat)
            names = list(encoding.target_names)
            stack = [np.stack([columns[name] for name in names], axis=1) for columns in (true, guess)]
            return evaluate_numbers(stack[0], stack[1], names)
        if encoding.task == "multilabel":
            return evaluate_flags(y, yhat, list(encoding.target_names))
        probabilities = np.hstack([1 - yhat, yhat]) if encoding.task == "binary" else yhat
        exact = cost(self.net, self.params, X, y, loss=TASKS[encoding.task][1])
        return evaluate_classes(y.reshape(-1).astype(int), probabilities, encoding.classes, exact)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into one file, whole or not at all; FileWriteError where the system refuses."""
        losses = dict.fromkeys(self.net.outputs or (), self.loss)
        remove_leftovers(path)
        write_atomically(path, pack(self.net, self.params, losses, self.encoding, self.settings, self.history))

    @classmethod
    def load(cls, path: str | os.PathLike[str], own: Iterable[Activation | Loss] = ()) -> Model:
        """Read a model file; `own` are your own activations and losses, which a file can only name.

        Raises ModelFileError when the file is missing, cut off, damaged or something else.
        """
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise ArgumentError(f"path: expected the name of a model file, got {path!r}.")
        try:
            content = Path(path).read_bytes()
        except OSError as reason:
            raise ModelFileError(f"{path}: cannot be read: {reason.strerror}.") from reason
        parts = unpack(content, str(path), own)
        loss = next(iter(parts.pop("losses").values()))
        return cls(loss=loss, **parts)

    def __str__(self) -> str:
        """Layers, wiring, parameters, the encoding of the table, and how it was trained."""
        from clearprop.model.summary import format_model

        return format_model(self)

    @property
    def known_encoding(self) -> TableEncoding:
        """The encoding; raises ArgumentError for a model that was made without a table."""
        if self.encoding is None:
            raise ArgumentError("This model has no table encoding; use cp.predict(model.net, model.params, X).")
        return self.encoding

    def _frame(self, data: Any) -> Any:
        return as_frame(data, text=self.known_encoding.text_columns)

    def _outputs(self, data: Any) -> np.ndarray:
        return predict(self.net, self.params, self.known_encoding.features(self._frame(data), self.params.dtype))


def fit(
    data: Any,
    target: str | Sequence[str],
    *,
    task: str = "auto",
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    hidden: Sequence[int] = (128, 64),
    activation: Activation | str = "relu",
    dropout: float | None = None,
    optimizer: Optimizer | LBFGS | str | None = None,
    batch_size: int | None = None,
    epochs: int = 60,
    patience: int = 12,
    l2: float = 0.0,
    holdout: float = 0.2,
    validation: float = 0.1,
    seed: int = 0,
    dtype: str = "float32",
    callbacks: Callback | Iterable[Callback] = (),
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    every: int | None = None,
    resume: bool | str = False,
) -> Model:
    """Train a network on a table: encode its columns, split it, train with early stopping, and test it.

    `data` is a path (CSV, Parquet), a pandas or polars frame, or a dict of columns; `target` names the column to
    predict, or several. A share `holdout` of the rows is kept apart for an honest test (`model.held_out`), and of the
    others a share `validation` says when to stop; 0 leaves either out. `hidden` are the units of the hidden layers, ()
    for linear or logistic regression; `dropout` is 0.1 unless given (0 for L-BFGS). `checkpoint`, `every` and `resume`
    are those of `cp.train`: a run that was stopped goes on with the same table and the same settings. Raises
    TableError, DataError or ArgumentError before training begins.

    >>> import clearprop as cp
    >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
    >>> model = cp.fit(table, "y", hidden=(), optimizer="lbfgs")
    >>> model.judge(model.held_out.X, model.held_out.y).metrics["R2"] > 0.9
    True
    """
    started = time.perf_counter()
    check_number(holdout, "holdout", least=0, below=1)
    check_number(validation, "validation", least=0, below=1)
    check_seed(seed)
    check_number(l2, "l2", least=0)
    precision = check_dtype(dtype)
    rule = default_optimizer() if optimizer is None else as_optimizer(optimizer)
    frame, encoding, kept, apart = _encode_and_split(
        data, target, holdout, seed, task=task, drop=drop, categorical=categorical, numeric=numeric
    )
    X, y = encode(encoding, frame[kept], precision)
    output, loss = TASKS[encoding.task]
    if dropout is None:  # L-BFGS needs the same cost each time
        dropout = 0.0 if isinstance(rule, LBFGS) else 0.1
    net = Network.sequential(
        encoding.inputs, *_hidden_sizes(hidden), encoding.outputs, hidden=activation, output=output, dropout=dropout
    )
    params = net.initialize(seed, precision)
    rows = default_batch_size(len(X)) if batch_size is None else batch_size
    history = train(
        net,
        params,
        X,
        y,
        loss=loss,
        optimizer=rule,
        batch_size=rows,
        epochs=check_integer(epochs, "epochs"),
        seed=seed,
        penalty=[L2(l2)] if l2 else None,
        validation=validation or None,
        metrics="rmse" if encoding.task == "regression" else "accuracy",
        stopping=EarlyStopping(patience=check_integer(patience, "patience")) if validation else None,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        resume=resume,
    )
    held_out = None
    if len(apart):
        held_out = HeldOut(
            *encode(encoding, frame[apart], precision), f"{len(apart):,} rows held out of {frame.shape[0]:,}"
        )
    model = Model(net, params, loss, encoding, {}, history, held_out)
    model.settings.update(
        rows=frame.shape[0],
        rows_trained_on=len(kept),
        rows_held_out=len(apart),
        validation_share=validation,
        optimizer=describe(rule),
        batch_size=rows,
        epochs=epochs,
        patience=patience,
        l2=l2,
        seed=seed,
        precision=str(precision),
        seconds=round(time.perf_counter() - started, 3),
        clearprop=metadata.version("clearprop"),
    )
    if held_out is not None:
        model.settings["held_out"] = model.judge(held_out.X, held_out.y).metrics
    return model


def default_optimizer() -> Optimizer:
    """AdamW whose rate rises over one epoch and then falls along half a cosine, with a strong weight decay.

    >>> default_optimizer().weight_decay
    1.0
    """
    return AdamW(WarmUp(Cosine(0.001), epochs=1), weight_decay=1.0)


def default_batch_size(rows: int) -> int:
    """About a hundred steps an epoch, in batches of 32 to 256 rows.

    >>> default_batch_size(150), default_batch_size(30_000)
    (32, 256)
    """
    return int(min(256, max(32, 2 ** round(np.log2(max(1, rows) / 100)))))


def encode(encoding: TableEncoding, frame: Any, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Inputs X (n, i) and targets y in the form that the loss of the task takes."""
    y = encoding.targets(frame, dtype)
    return encoding.features(frame, dtype), y.reshape(-1, 1).astype(dtype) if encoding.task == "binary" else y


def _hidden_sizes(hidden: Sequence[int]) -> list[int]:
    if isinstance(hidden, (int, np.integer)):
        raise ArgumentError(f"hidden: expected the units of each hidden layer such as ({hidden},), got {hidden}.")
    if not isinstance(hidden, Iterable) or isinstance(hidden, (str, bytes, Mapping, type)):
        raise ArgumentError(f"hidden: expected the units of each hidden layer such as (128, 64), got {hidden!r}.")
    return [check_integer(size, "hidden") for size in hidden]


def _encode_and_split(
    data: Any, target: str | Sequence[str], holdout: float, seed: int, **options: Any
) -> tuple[Any, TableEncoding, np.ndarray, np.ndarray]:
    """The table, its encoding learnt from the rows kept for training, and the rows kept and held out."""
    if hasattr(target, "dtype"):
        raise ArgumentError(
            f"target: expected the name of a column of the table, got {type(target).__name__}. cp.fit takes one table "
            "with the target in it; X and y apart are what cp.MLPClassifier and cp.MLPRegressor take."
        )
    names = check_texts(target, "target")
    check_choice(options["task"], "task", ("auto", "classification", "regression"))
    for name in ("drop", "categorical", "numeric"):
        options[name] = check_texts(options[name], name)
    frame, declared = as_frame(data, text=tuple(options["categorical"])), declared_categories(data)
    if options["task"] == "auto" and len(names) == 1 and names[0] in declared:
        options["task"] = "classification"
    named = {*names, *options["categorical"], *options["numeric"], *options["drop"]}
    options["categorical"] = [*options["categorical"], *(name for name in declared if name not in named)]
    whole = TableEncoding.fit(frame, names, **options)
    labels = whole.targets(frame) if whole.task in ("binary", "multiclass") else None
    kept, apart = split_rows(frame.shape[0], holdout, seed, labels)
    if len(apart) == 0:
        return frame, whole, kept, apart
    # What is learnt from the columns must not know the rows held out; which labels there are, it may.
    options["task"] = "regression" if whole.task == "regression" else "classification"
    encoding = TableEncoding.fit(frame[kept], names, **options)
    target_of = encoding.target if whole.task == "regression" else whole.target
    return frame, replace(encoding, target=target_of, task_reason=whole.task_reason), kept, apart


def split_rows(rows: int, holdout: float, seed: int, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to train on and to hold out, each in order; with labels, every class is split alike.

    >>> kept, apart = split_rows(10, 0.2, seed=0)
    >>> len(kept), len(apart)
    (8, 2)
    """
    everything = np.arange(rows)
    if holdout == 0:
        return everything, everything[:0]
    apart = round(rows * holdout)
    if apart == 0 or apart == rows:
        raise DataError(
            f"holdout: a share of {holdout:g} of {rows} rows leaves no row on one side. "
            "Use more rows, or holdout=0 to train on all of them."
        )
    from sklearn.model_selection import train_test_split  # takes a moment to load

    if labels is not None:
        counts = np.bincount(labels)
        if counts[counts > 0].min() < 2 or min(apart, rows - apart) < np.count_nonzero(counts):
            labels = None  # a class too small to be on both sides; the split is then by chance
    kept, held = train_test_split(everything, test_size=apart, random_state=seed % 2**32, stratify=labels)
    return np.sort(kept), np.sort(held)
