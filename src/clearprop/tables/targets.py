"""The target of a network: a class, numbers, or several booleans; from the columns of a table and back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from clearprop.checks import check_choice, check_that
from clearprop.errors import ShapeError, TableError, suggest
from clearprop.fork_safety import cached_property
from clearprop.tables.after_fork import safe_after_fork
from clearprop.tables.choose import way_out
from clearprop.tables.columns import free_name
from clearprop.tables.frame import Columns, Table
from clearprop.tables.rows import RowsError, cell_error, holds
from clearprop.tables.strays import check_no_strays
from clearprop.tables.values import as_numbers, find_index, is_missing, kind_of, loses_digits, spell

Label = str | int | float | bool
_LABEL_TYPES = {"text": (str,), "number": (int, float), "boolean": (bool,)}


def _are_different(labels: Sequence[Label]) -> bool:
    return len({spell(label) for label in labels}) == len(labels)


def _present(table: Table, name: str) -> pl.Series:
    """The target column; RowsError if a value is missing, with the texts that were read as missing."""
    series = table[name]
    missing = is_missing(series)
    if not missing.any():
        return series
    marks = table.spelt(name).filter(pl.Series(missing)).drop_nulls().unique().sort().to_list()
    if not marks:
        after = "; expected one in every row. Fill it in, or remove the rows."
        raise RowsError(f'Target column "{name}": no value in ', missing, after)
    spelt = " and ".join(f'"{mark}"' for mark in marks[:5])
    raise RowsError(
        f'Target column "{name}": {spelt} {"was" if len(marks) == 1 else "were"} read as missing in ', missing,
        "; expected a value in every row. If it is a class, keep the texts as they are written: "
        f"{way_out('text', name)}. If not, fill the value in, or remove the rows.",
    )  # fmt: skip


def _check_outputs(yhat: np.ndarray, outputs: int) -> np.ndarray:
    yhat = np.asarray(yhat)
    if outputs == 1 and yhat.ndim == 1:
        yhat = yhat[:, None]
    if yhat.ndim != 2 or yhat.shape[1] != outputs:
        raise ShapeError(f"yhat: expected shape (n, {outputs}), the outputs of the network, got {yhat.shape}.")
    return yhat


@dataclass(frozen=True)
class ClassTarget:
    """One column of labels: y is the index of the label in `classes`, int64 of shape (n,)."""

    name: str
    kind: str
    classes: tuple[Label, ...]

    type: ClassVar[str] = "class"

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", tuple(_LABEL_TYPES))
        right = all(type(label) in _LABEL_TYPES[self.kind] for label in self.classes)
        check_that(
            right and _are_different(self.classes), f"classes: expected different labels of the kind {self.kind}"
        )
        check_that(len(self.classes) >= 2, "classes: expected at least two labels")

    @property
    def names(self) -> tuple[str, ...]:
        """The target column."""
        return (self.name,)

    @property
    def task(self) -> str:
        """Either "binary" or "multiclass"."""
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def outputs(self) -> int:
        """1 for two classes (the probability of the second), else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @cached_property
    def _known(self) -> dict[str, int]:
        return {spell(label): i for i, label in enumerate(self.classes)}

    @safe_after_fork
    def encode(self, table: Table, dtype: np.dtype) -> np.ndarray:
        """The index of each label. Raises TableError for an unknown label and for a missing one."""
        series = _present(table, self.name)
        values = series.unique(maintain_order=True).to_list()
        indices = [self._index_of(value, series) for value in values]
        return series.replace_strict(values, indices, return_dtype=pl.Int64).to_numpy().astype(np.int64)

    def _index_of(self, value: Any, series: pl.Series) -> int:
        index = find_index(value, self._known, self.kind)
        if index is None:
            raise cell_error(
                series, holds(series, value), f"the label {value!r} does not occur in the training table. "
                f"{suggest(spell(value), self._known)}", what="Target column",
            )  # fmt: skip
        return index

    def restrict(self, table: Table) -> ClassTarget:
        """The same classes; TableError unless the training rows hold at least two of them."""
        labels = table[self.name].unique().to_list()
        if len(labels) == 1:
            raise TableError(
                f'Target column "{self.name}": all {len(table):,} training rows hold {labels[0]!r}; expected at least '
                "two different labels."
            )
        return self

    def decode(self, yhat: np.ndarray) -> Columns:
        """The most probable label, and the probability of each label."""
        yhat = _check_outputs(yhat, self.outputs)
        if self.outputs == 1:
            yhat = np.hstack([1 - yhat, yhat])
        columns = Columns({self.name: np.array(self.classes)[yhat.argmax(axis=1)]})
        for i, label in enumerate(self.classes):
            columns[free_name(f"probability of {spell(label)}", columns)] = yhat[:, i]
        return columns


@dataclass(frozen=True)
class NumberTarget:
    """Columns of numbers: y = (value - mean) / scale, shape (n, columns), so that the outputs are near 0."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]

    type: ClassVar[str] = "number"
    task: ClassVar[str] = "regression"
    classes: ClassVar[tuple[Label, ...]] = ()

    def __post_init__(self) -> None:
        check_that(
            len(self.names) > 0 and _are_different(self.names), "names: expected different columns, at least one"
        )
        check_that(len(self.means) == len(self.names), f"means: expected {len(self.names)} numbers, one per column")
        scales = len(self.scales) == len(self.names) and min(self.scales) > 0
        check_that(scales, f"scales: expected {len(self.names)} numbers above 0, one per column")

    @property
    def outputs(self) -> int:
        """One per column."""
        return len(self.names)

    @safe_after_fork
    def encode(self, table: Table, dtype: np.dtype) -> np.ndarray:
        """The standardized numbers. Raises TableError for a missing or infinite one."""
        columns: list[np.ndarray] = []
        for name, mean, scale in zip(self.names, self.means, self.scales, strict=True):
            columns.append((as_numbers(_present(table, name), "number") - mean) / scale)
        return np.stack(columns, axis=1).astype(dtype)

    def restrict(self, table: Table) -> NumberTarget:
        """The mean and the scale of the training rows alone."""
        return fit_number(table, self.names)

    def decode(self, yhat: np.ndarray) -> Columns:
        """The numbers on the scale of the table."""
        values = _check_outputs(yhat, self.outputs).astype(np.float64) * self.scales + self.means
        return Columns({name: values[:, i] for i, name in enumerate(self.names)})


@dataclass(frozen=True)
class FlagTarget:
    """Several columns of booleans, or of 1 and 0: y is 0.0 or 1.0, of shape (n, columns)."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    type: ClassVar[str] = "flags"
    task: ClassVar[str] = "multilabel"
    classes: ClassVar[tuple[Label, ...]] = ()

    def __post_init__(self) -> None:
        check_that(
            len(self.names) > 0 and _are_different(self.names), "names: expected different columns, at least one"
        )
        kinds = len(self.kinds) == len(self.names) and {*self.kinds} <= {"boolean", "number"}
        check_that(kinds, f'kinds: expected {len(self.names)} of "boolean" and "number", one per column')

    @property
    def outputs(self) -> int:
        """One per column."""
        return len(self.names)

    @safe_after_fork
    def encode(self, table: Table, dtype: np.dtype) -> np.ndarray:
        """0.0 and 1.0. Raises TableError for a missing value and for any other."""
        return np.stack([as_numbers(_present(table, n), "boolean") for n in self.names], axis=1).astype(dtype)

    def restrict(self, table: Table) -> FlagTarget:
        """The same columns; TableError unless each holds both values in the training rows."""
        fit_flags(table, self.names)
        return self

    def decode(self, yhat: np.ndarray) -> Columns:
        """For each column, whether true is more probable than false, and the probability of true."""
        yhat, columns = _check_outputs(yhat, self.outputs), Columns()
        for i, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            likely = yhat[:, i] > 0.5
            columns[name] = likely if kind == "boolean" else likely.astype(np.int64)
            columns[free_name(f"probability of {name}", {*self.names, *columns})] = yhat[:, i]
        return columns


Target = ClassTarget | NumberTarget | FlagTarget


def infer_target(table: Table, names: Sequence[str], task: str) -> tuple[Target, str]:
    """The target learnt from all rows of a table, and the reason for its task.

    `task` is "classification", "regression", or "auto" to infer it from the values of the columns.
    """
    for name in names:
        series = _present(table, name)
        if kind_of(series) in ("date", "duration", "other"):
            raise TableError(
                f'Target column "{name}": expected numbers, text or booleans, got values such as '
                f"{series[0]!r}. Convert the column to numbers first."
            )
    is_classification, reason = task == "classification", f"{task}, as requested"
    if task == "auto":
        is_classification, reason = _infer_task(table, names)
    if not is_classification:
        return fit_number(table, names), reason
    if len(names) > 1:
        return fit_flags(table, names), reason
    if kind_of(table[names[0]]) == "text" and names[0] not in table.exact:
        ways_out = f"keep the texts as they are written: {way_out('text', names[0])}."
        check_no_strays(table[names[0]], "Target column", ways_out)
    return fit_class(table[names[0]]), reason


MOST_WHOLE_CLASSES, ROWS_PER_CLASS = 20, 5
"""Whole numbers are classes if there are at most so many different ones, in so many rows each on average."""


def _infer_task(table: Table, names: Sequence[str]) -> tuple[bool, str]:
    """Whether the task is classification, and why."""
    if len(names) > 1:
        if all(_is_flag(table[name]) for name in names):
            return True, f"multilabel classification, because all {len(names)} target columns hold booleans"
        return False, f"regression, because there are {len(names)} target columns"
    series, kind = table[names[0]], kind_of(table[names[0]])
    if series.name in table.categories:
        return True, f'classification, because "{series.name}" is declared a category'
    if kind != "number":
        return True, f'classification, because "{series.name}" holds {"text" if kind == "text" else "booleans"}'
    values, count = as_numbers(series, kind), series.n_unique()
    if (values != np.floor(values)).any():
        return False, f'regression, because "{series.name}" holds numbers that are not integers'
    if loses_digits(series):
        return True, f'classification, because "{series.name}" holds codes: integers beyond 2^53'
    if _is_flag(series) or (count <= MOST_WHOLE_CLASSES and len(series) >= ROWS_PER_CLASS * count):
        why = f'classification, because "{series.name}" holds {count:,} different integers'
        return True, f'{why}; task="regression" predicts them as numbers'
    more = f"more than {MOST_WHOLE_CLASSES}" if count > MOST_WHOLE_CLASSES else f"in only {len(series):,} rows"
    why = f'regression, because "{series.name}" holds {count:,} different integers, {more}'
    return False, f'{why}; task="classification" predicts them as classes'


def _is_flag(series: pl.Series) -> bool:
    kind = kind_of(series)
    return kind == "boolean" or (kind == "number" and bool(np.isin(as_numbers(series, kind), (0, 1)).all()))


def fit_class(series: pl.Series) -> ClassTarget:
    """Learn the labels of a column."""
    kind, labels = kind_of(series), series.unique().to_list()
    if len(labels) == 1:
        raise TableError(
            f'Target column "{series.name}": all rows hold {labels[0]!r}; expected at least two different labels.'
        )
    if len(labels) > 20 and len(labels) > len(series) / 2:
        raise TableError(
            f'Target column "{series.name}": {len(labels):,} different values in {len(series):,} rows (the first is '
            f"{series[0]!r}); expected classes that occur many times. If these are numbers, "
            'convert the column and use task="regression".'
        )
    if kind == "number":
        as_numbers(series, kind)  # raises for infinity
        labels = [int(v) if float(v).is_integer() and abs(v) < 2**63 else float(v) for v in labels]
    return ClassTarget(series.name, kind, tuple(sorted(labels)))


def fit_number(table: Table, names: Sequence[str]) -> NumberTarget:
    """Learn the mean and the scale of columns of numbers."""
    means, scales = [], []
    for name in names:
        values = as_numbers(table[name], "number")
        if loses_digits(table[name]):
            raise TableError(
                f'Target column "{name}": holds integers beyond 2^53, such as {table[name][0]}, which cannot be told '
                'apart as numbers. Use task="classification", or subtract an offset.'
            )
        if values.min() == values.max():
            raise TableError(
                f'Target column "{name}": all rows hold {values[0]:g}; expected numbers that differ, '
                "because there is nothing to learn otherwise."
            )
        means.append(float(values.mean()))
        scales.append(float(values.std()))
    return NumberTarget(tuple(names), tuple(means), tuple(scales))


def fit_flags(table: Table, names: Sequence[str]) -> FlagTarget:
    """Check columns of booleans."""
    for name in names:
        if not _is_flag(table[name]):
            raise TableError(
                f'Target column "{name}": several target columns can be classified only if each holds booleans, or 1 '
                f"and 0; got values such as {table[name][0]!r}. Train one model per column, or use 0 and 1."
            )
        if table[name].n_unique() == 1:
            raise TableError(f'Target column "{name}": all rows hold {table[name][0]!r}; expected both values.')
    return FlagTarget(tuple(names), tuple(kind_of(table[name]) for name in names))
