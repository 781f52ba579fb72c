"""Fit a model to a table: encode its columns, split the rows, train with early stopping, and test."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_dtype, check_integer, check_number, check_seed
from clearprop.core.network import Network
from clearprop.errors import ArgumentError, DataError
from clearprop.losses import usual_loss
from clearprop.model.model import HeldOut, Model, as_loss_target
from clearprop.optimizers import LBFGS, AdamW, Optimizer, as_optimizer
from clearprop.penalties import Penalty, as_penalties
from clearprop.schedules import Cosine, WarmUp
from clearprop.serialization.codec import encode
from clearprop.tables import Table, TableEncoding
from clearprop.tables.encoding import ColumnRoles
from clearprop.tables.notation import ReadingRules
from clearprop.training.callbacks import Callback
from clearprop.training.checkpoint import Checkpoint
from clearprop.training.loop import train
from clearprop.training.stopping import EarlyStopping

#: Output activation of each task that a table can have; the loss is the one that belongs to it.
OUTPUT_ACTIVATIONS = {"binary": "sigmoid", "multilabel": "sigmoid", "multiclass": "softmax", "regression": "identity"}


def fit(
    data: Any,
    target: str | Sequence[str],
    *,
    task: str = "auto",
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    text: Sequence[str] = (),
    decimal: str | None = None,
    day_first: bool | None = None,
    missing: Sequence[str | float] = (),
    hidden: Sequence[int] = (128, 64),
    activation: Activation | str = "relu",
    dropout: float | None = None,
    optimizer: Optimizer | LBFGS | str | None = None,
    batch_size: int | None = None,
    epochs: int = 60,
    patience: int = 12,
    penalty: Penalty | Sequence[Penalty] | None = None,
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
    """Train a network on a table: encode its columns, split the rows, train with early stopping, and test.

    `data` is a path (CSV, Parquet), a pandas or Polars data frame, or a dict of columns; `target` names the column to
    predict, or several. Texts are read as numbers and dates by the notation that all values of a column fit; `decimal`
    ("." or ",") and `day_first` decide where no value does, and `missing` are further texts or numbers that mean a
    missing value. `task`, `drop`, `categorical`, `numeric` and `text` are those of `TableEncoding.fit`. The task that
    was inferred, and columns and rows that are left out, are printed to standard error (not with `progress=False`). A
    share `holdout` of the rows is the test set (`model.held_out`), and a share `validation` of the others is the
    validation set that decides when to stop; with 0 there is none. `hidden` are the units of the hidden layers, () for
    linear or logistic regression; `dropout` is 0.1 by default (0 for L-BFGS). `penalty` is a `cp.penalties.L2` or
    `cp.penalties.L1`, or several. `checkpoint`, `every` and `resume` are those of `cp.train`: a run that was stopped
    resumes with the same table and the same settings. Raises TableError, DataError or ArgumentError before training.

    >>> import clearprop as cp
    >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
    >>> model = cp.fit(table, "y", hidden=(), optimizer="lbfgs")
    >>> model.evaluate().metrics["R2"] > 0.9
    True
    """
    started = time.perf_counter()
    check_number(holdout, "holdout", least=0, below=1)
    check_number(validation, "validation", least=0, below=1)
    check_seed(seed)
    penalties = as_penalties(penalty)
    precision = check_dtype(dtype)
    rule = default_optimizer() if optimizer is None else as_optimizer(optimizer)
    _check_target(target)
    roles = ColumnRoles.check(data, target, task, drop, categorical, numeric, text)
    table = roles.read(data, ReadingRules.check(decimal, day_first, missing))
    encoding, training, test, test_rows = _encode(table, roles, holdout, seed, precision)
    notes = [*table.notes, *encoding.words_read_as_missing(table)]
    if progress is not False:
        what = f'Predicts "{", ".join(encoding.target_names)}": {encoding.task_reason}.'
        print("\n".join([what, *notes, *encoding.left_out_lines()]), file=sys.stderr)
    if dropout is None:  # L-BFGS needs the same cost each time
        dropout = 0.0 if isinstance(rule, LBFGS) else 0.1
    sizes, output = _hidden_sizes(hidden), OUTPUT_ACTIVATIONS[encoding.task]
    net = Network.sequential(
        encoding.inputs, *sizes, encoding.outputs, hidden=activation, output=output, dropout=dropout
    )
    params, loss = net.initialize(seed, precision), usual_loss(net.layers[-1].f)
    n_training, n_test = len(training[0]), len(test[0])
    batch_size = default_batch_size(n_training) if batch_size is None else batch_size
    history = train(
        net,
        params,
        *training,
        loss=loss,
        optimizer=rule,
        batch_size=batch_size,
        epochs=check_integer(epochs, "epochs"),
        seed=seed,
        penalty=penalties,
        validation=validation or None,
        metrics="rmse" if encoding.task == "regression" else "accuracy",
        stopping=EarlyStopping(patience=check_integer(patience, "patience")) if validation else None,
        callbacks=callbacks,
        progress=progress,
        checkpoint=checkpoint,
        every=every,
        resume=resume,
    )
    model = Model(net, params, loss, encoding, {}, history)
    model.settings = {
        "rows": len(table),
        "rows_trained_on": n_training,
        "rows_held_out": n_test,
        **({"reading": notes} if notes else {}),
        "validation_share": validation,
        "optimizer": encode(rule),
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": patience,
        "penalty": [encode(each) for each in penalties],
        "seed": seed,
        "precision": str(precision),
        "seconds": round(time.perf_counter() - started, 3),
        "clearprop": metadata.version("clearprop"),
    }
    if n_test:
        what = f"{n_test:,} rows held out of {len(table):,}"
        model.held_out = HeldOut.sweep(net, params, loss, *test, what, test_rows)
        model.settings["held_out"] = model.evaluate().metrics
    return model


def default_optimizer() -> Optimizer:
    """AdamW with a strong weight decay; its learning rate rises in the first epoch and then falls along half a cosine.

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


def _check_target(target: Any) -> None:
    if hasattr(target, "dtype"):
        raise ArgumentError(
            f"target: expected the name of a column of the table, got {type(target).__name__}. cp.fit takes one table "
            "that includes the target; cp.MLPClassifier and cp.MLPRegressor take X and y."
        )


def _hidden_sizes(hidden: Sequence[int]) -> list[int]:
    if isinstance(hidden, (int, np.integer)):
        raise ArgumentError(f"hidden: expected the units of each hidden layer such as ({hidden},), got {hidden}.")
    if not isinstance(hidden, Iterable) or isinstance(hidden, (str, bytes, Mapping, type)):
        raise ArgumentError(f"hidden: expected the units of each hidden layer such as (128, 64), got {hidden!r}.")
    return [check_integer(size, "hidden") for size in hidden]


Matrices = tuple[np.ndarray, np.ndarray]


def _encode(
    table: Table, roles: ColumnRoles, holdout: float, seed: int, dtype: np.dtype
) -> tuple[TableEncoding, Matrices, Matrices, np.ndarray]:
    """The encoding learnt from the training rows, X and y of the training and of the test rows, and which these are.

    The encoding of the columns must not depend on the test rows; the list of labels may.
    """
    target, reason = roles.infer_target(table)
    with table.naming_rows():
        labels = target.encode(table, dtype) if target.classes else None
    training, test = split_rows(len(table), holdout, seed, labels)
    encoding = TableEncoding.learn(table, roles, target, reason, training if len(test) else None)
    y = as_loss_target(encoding, encoding.targets(table, dtype) if labels is None else labels, dtype)

    def encode(rows: np.ndarray) -> Matrices:
        if not len(rows):
            return np.empty((0, encoding.inputs), dtype), y[rows]
        part = table.take(rows) if len(test) else table
        return encoding.features(part, dtype, warn=False), y[rows]

    return encoding, encode(training), encode(test), test


def split_rows(rows: int, holdout: float, seed: int, labels: np.ndarray | None = None) -> Matrices:
    """Indices of the training and of the test rows, each sorted; with labels, in the same shares of every class.

    >>> training, test = split_rows(10, 0.2, seed=0)
    >>> len(training), len(test)
    (8, 2)
    """
    everything = np.arange(rows)
    if holdout == 0:
        return everything, everything[:0]
    n_test = round(rows * holdout)
    if n_test == 0 or n_test == rows:
        raise DataError(
            f"holdout: a share of {holdout:g} of {rows} rows leaves one of the two sets without rows. "
            "Use more rows, or holdout=0 to train on all of them."
        )
    from sklearn.model_selection import train_test_split  # takes a moment to load

    if labels is not None:
        counts = np.bincount(labels)
        if counts[counts > 0].min() < 2 or min(n_test, rows - n_test) < np.count_nonzero(counts):
            labels = None  # a class is too small to be on both sides: split at random
    training, test = train_test_split(everything, test_size=n_test, random_state=seed % 2**32, stratify=labels)
    return np.sort(training), np.sort(test)
