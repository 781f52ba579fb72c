"""The encoding of a table: the inputs of every column, the target, and which columns are left out and why."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from clearprop.checks import check_choice, check_texts, check_that
from clearprop.errors import TableError, TableWarning, suggest, warn_user
from clearprop.fork_safety import cached_property
from clearprop.serialization import codec
from clearprop.tables.after_fork import safe_after_fork
from clearprop.tables.choose import DROPPED, Column, choose_columns, way_out
from clearprop.tables.columns import CategoricalColumn, NumericColumn, Surprise, free_name
from clearprop.tables.frame import Columns, Table, as_table
from clearprop.tables.notation import ReadingRules
from clearprop.tables.targets import ClassTarget, Label, Target, infer_target


class ColumnNote(NamedTuple):
    """How one column is used, for printing."""

    column: str
    kind: str
    inputs: int
    description: str


@dataclass(frozen=True)
class TableEncoding:
    """How the rows of a table become the inputs and targets of a network, and how its outputs become columns.

    Learnt once from the training table by `fit`. It is plain data and part of the model file, so that `predict` needs
    nothing else. Every method takes a path, a data frame or a dict of columns.

    >>> people = {
    ...     "age": [25, 40, None, 60],
    ...     "job": ["clerk", "cook", "clerk", "cook"],
    ...     "rich": ["no", "yes", "no", "yes"],
    ... }
    >>> encoding = TableEncoding.fit(people, "rich")
    >>> encoding.task, encoding.task_reason
    ('binary', 'classification, because "rich" holds text')
    >>> encoding.input_names
    ('age', 'age is missing', 'job=clerk', 'job=cook')
    >>> encoding.features({"age": [40], "job": ["cook"]}).round(2)
    array([[-0.12,  0.  ,  0.  ,  1.  ]], dtype=float32)
    >>> encoding.targets(people)
    array([0, 1, 0, 1])
    >>> encoding.decode(np.array([[0.75]]))
    {'rich': array(['yes'], dtype='<U3'), 'probability of no': array([0.25]), 'probability of yes': array([0.75])}
    """

    encoders: tuple[Column, ...]
    target: Target
    task_reason: str
    left_out: tuple[tuple[str, str], ...] = ()
    exact: tuple[str, ...] = field(default=(), metadata={"optional": True})
    rules: ReadingRules = field(default_factory=ReadingRules, metadata={"optional": True})

    def __post_init__(self) -> None:
        names = [*(column.name for column in self.encoders), *self.target_names]
        check_that(len(self.encoders) > 0, "encoders: expected at least one column")
        check_that(len(set(names)) == len(names), "encoders: expected different names, and none of a target")

    @classmethod
    def fit(
        cls,
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
    ) -> TableEncoding:
        """Learn the encoding from a training table.

        `target` names the column to predict, or several (numbers: regression with several outputs; booleans:
        multilabel). `task` is "classification", "regression", or "auto" to infer it. `drop` names columns to leave
        out; `categorical` and `numeric` name columns to encode as such whatever they look like. `text` names columns,
        a target too, whose texts are classes or categories as they are written: "NA" and "None" are not missing there.
        `decimal` ("." or ",") and `day_first` decide how texts are read as numbers and dates where no cell does;
        `missing` are further texts that mean a missing value.

        Raises TableError if a column is missing or cannot be encoded, if a target is missing in a row, if there is
        only one class, and if no column is left to learn from.
        """
        roles = ColumnRoles.check(data, target, task, drop, categorical, numeric, text)
        table = roles.read(data, ReadingRules.check(decimal, day_first, missing))
        target_of_all, reason = roles.infer_target(table)
        return cls.learn(table, roles, target_of_all, reason)

    @classmethod
    @safe_after_fork
    def learn(
        cls, table: Table, roles: ColumnRoles, target: Target, reason: str, rows: np.ndarray | None = None
    ) -> TableEncoding:
        """The encoding from `rows` of a table (all of them if None) and a target inferred from all of its rows."""
        wanted = dict.fromkeys(table.categories, "categorical") | roles.of_columns
        names = [name for name in table.columns if name not in roles.target]
        with table.naming_rows():
            encoders, left_out = choose_columns(table, names, wanted, rows)
            learnt = target if rows is None else target.restrict(table.take(rows))
        used = {column.name for column in encoders if isinstance(column, NumericColumn)} | {*roles.target}
        notations = {name: notation for name, notation in table.rules.notations.items() if name in used}
        return cls(encoders, learnt, reason, left_out, roles.text, replace(table.rules, notations=notations))

    @property
    def task(self) -> str:
        """One of "binary", "multiclass", "multilabel", "regression"."""
        return self.target.task

    @property
    def target_names(self) -> tuple[str, ...]:
        """The target columns."""
        return self.target.names

    @property
    def classes(self) -> list[Label]:
        """The labels in their own type, in the order of the outputs; empty unless the task is binary or multiclass."""
        return list(self.target.classes)

    @property
    def outputs(self) -> int:
        """The number of output units: 1 for binary (the probability of `classes[1]`), else one per class or column."""
        return self.target.outputs

    @property
    def inputs(self) -> int:
        """The number of inputs of the network."""
        return len(self.input_names)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input, such as "age", "job=clerk" or "age is missing"."""
        return input_names(self.encoders)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """For each column that is used, the slice of its inputs."""
        ends = np.cumsum([len(column.inputs) for column in self.encoders]).tolist()
        starts = [0, *ends[:-1]]
        return {c.name: slice(a, b) for c, a, b in zip(self.encoders, starts, ends, strict=True)}

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns learnt as text; a file to predict is read with `read_table(path, text=...)`, as here."""
        texts = [c.name for c in self.encoders if isinstance(c, CategoricalColumn) and c.kind == "text"]
        if isinstance(self.target, ClassTarget) and self.target.kind == "text":
            texts.append(self.target.name)
        return tuple(texts)

    @safe_after_fork
    def features(self, data: Any, dtype: DTypeLike = np.float32, *, warn: bool = True) -> np.ndarray:
        """The inputs of each row: C-contiguous, shape (n, inputs). Columns that are not used are ignored.

        Raises TableError with column, row and value if a column is missing or holds another type than in training.
        One TableWarning lists the values that training did not see: unknown categories, numbers far from all others,
        missing values where none was missing.
        """
        return encode_columns(self.encoders, self.table(data, tuple(self.columns)), np.dtype(dtype), warn=warn)

    @safe_after_fork
    def targets(self, data: Any, dtype: DTypeLike = np.float32) -> np.ndarray:
        """The target of each row.

        Binary and multiclass: the index of the label in `classes`, int64 of shape (n,). Multilabel: 0 and 1, shape
        (n, outputs). Regression: standardized numbers, shape (n, outputs).

        Raises TableError if the column or a value is missing, or if a label does not occur in the training table.
        """
        table = self.table(data, self.target_names)
        with table.naming_rows():
            return self.target.encode(table, np.dtype(dtype))

    def decode(self, yhat: np.ndarray) -> Columns:
        """The outputs of the network, shape (n, outputs), as columns.

        The target column holds the label, or the number in its own unit; for classes and booleans, columns named
        "probability of ..." follow. Raises ShapeError for another shape.
        """
        return self.target.decode(yhat)

    def table(self, data: Any, columns: Sequence[str] = ()) -> Table:
        """`data` as a normalised table; raises TableError if it has no rows or lacks one of the `columns`."""
        used = (*self.columns, *self.target_names)
        if isinstance(data, Table):
            table = data
        else:
            table = as_table(data, text=self.text_columns, exact=self.exact, columns=used, rules=self.rules)
        table.require(columns)
        if len(table) == 0:
            raise TableError("The table has no rows; expected at least one.")
        return table

    @safe_after_fork
    def words_read_as_missing(self, table: Table) -> list[str]:
        """A line for each column of categories in which "NA" or "None" was read as missing: it may be a category."""
        flagged = [c.name for c in self.encoders if isinstance(c, CategoricalColumn) and c.flag and c.kind == "text"]
        suspects = [name for name in flagged if name not in self.exact]
        if not suspects:
            return []
        spelt, lines = as_table(table.source, exact=suspects, columns=()), []
        for name in suspects:
            for word in ("NA", "None"):
                if count := int((spelt[name] == word).sum()):
                    kept = f"{way_out('text', name)} keeps it as a category"
                    lines.append(f'{name}: "{word}" is read as missing ({count:,} rows); {kept}')
        return lines

    def left_out_lines(self, most: int = 20) -> list[str]:
        """A line for each of the first columns that were left out unasked, with the way to keep it."""
        lines = [f'Left out: "{name}": {why}' for name, why in self.left_out if why != DROPPED]
        more = [f"Left out: {len(lines) - most:,} more columns; model.encoding.left_out lists all."]
        return lines if len(lines) <= most else lines[:most] + more

    def describe(self) -> list[ColumnNote]:
        """How each column is used: the used ones in their order, then those left out."""
        used = [ColumnNote(c.name, _kind(c), len(c.inputs), self._description(c)) for c in self.encoders]
        return used + [ColumnNote(name, "left out", 0, why) for name, why in self.left_out]

    def _description(self, column: Column) -> str:
        notation = self.rules.notations.get(column.name)
        spelt = "" if notation is None or notation.is_plain else f"read as {notation.words}; "
        return spelt + column.description

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; `from_dict` returns an equal encoding."""
        return codec.encode(self)

    @classmethod
    def from_dict(cls, fields: Any) -> TableEncoding:
        """The encoding of `to_dict`. Raises ModelFileError where a field is missing or has an impossible value."""
        return codec.decode(cls, fields, path="encoding")


@dataclass(frozen=True)
class ColumnRoles:
    """What the user requested for the columns of a table."""

    target: tuple[str, ...]
    task: str
    drop: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    text: tuple[str, ...]

    @classmethod
    def check(
        cls, data: Any, target: Any, task: str, drop: Any, categorical: Any, numeric: Any, text: Any
    ) -> ColumnRoles:
        """The roles from the arguments of a user, for the table `data`."""
        check_choice(task, "task", ("auto", "classification", "regression"))
        given = {"target": target, "drop": drop, "categorical": categorical, "numeric": numeric, "text": text}
        return cls(task=task, **{role: _column_names(data, columns, role) for role, columns in given.items()})

    def read(self, data: Any, rules: ReadingRules) -> Table:
        """The training table; texts of a data frame in the target columns stay labels unless numbers are requested."""
        kept = (*self.categorical, *self.drop)
        if self.task != "regression" and not isinstance(data, (str, os.PathLike)):
            kept = (*kept, *self.target)
        return as_table(data, text=kept, exact=self.text, rules=rules, infer=True)

    @property
    def of_columns(self) -> dict[str, str]:
        """The role of each column that has one, apart from the targets."""
        roles = {name: role for role in ("drop", "categorical", "numeric") for name in getattr(self, role)}
        return roles | dict.fromkeys(self.text, "categorical")

    @safe_after_fork
    def infer_target(self, table: Table) -> tuple[Target, str]:
        """The target learnt from all rows, and the reason for its task.

        Raises TableError for an empty table, and for names that do not exist or contradict each other.
        """
        table.require(self.text, "text: column", "does not exist.")
        if not self.target:
            raise TableError(f"Target: expected the name of a column, got none. {suggest('', table.columns)}")
        roles: dict[str, str] = {}
        for role in ("target", "drop", "categorical", "numeric"):
            what = "Target column" if role == "target" else f"{role}: column"
            table.require(getattr(self, role), what, "does not exist.")
            for name in getattr(self, role):
                if name in roles:
                    raise TableError(
                        f'Column "{name}" is named twice, as {roles[name]} and as {role}; name it only once.'
                    )
                roles[name] = role
        for name in self.text:
            wrong = roles.get(name) if roles.get(name) in ("drop", "numeric") else None
            if wrong or (name in self.target and self.task == "regression"):
                raise TableError(f'Column "{name}" is named as text and as {wrong or "a target of regression"}.')
        if len(table) == 0:
            raise TableError("The table has no rows; expected at least two.")
        with table.naming_rows():
            return infer_target(table, self.target, self.task)


def _column_names(data: Any, given: Any, role: str) -> tuple[str, ...]:
    """Names of columns as `as_table` spells them: those of a MultiIndex are tuples, and a name may be a number."""
    levels = getattr(getattr(data, "columns", None), "nlevels", 1)
    if isinstance(given, int) or (isinstance(given, tuple) and len(given) == levels > 1):
        given = str(given)
    if isinstance(given, (list, tuple)):
        given = [str(name) if isinstance(name, (int, tuple)) else name for name in given]
    return tuple(unicodedata.normalize("NFC", name.strip()) for name in check_texts(given, role))


def input_names(encoders: Sequence[Column]) -> tuple[str, ...]:
    """The name of each input; the column is added where two would have the same name.

    A column may be called "job=cook" beside a column "job" with the category "cook".
    """
    pairs = [(column.name, name) for column in encoders for name in column.inputs]
    times = Counter(name for _, name in pairs)
    taken = {name for name, count in times.items() if count == 1}
    names = []
    for column, name in pairs:
        names.append(name if times[name] == 1 else free_name(f'{name} (column "{column}")', taken))
        taken.add(names[-1])
    return tuple(names)


def encode_columns(encoders: Sequence[Column], table: Table, dtype: np.dtype, *, warn: bool = True) -> np.ndarray:
    """The inputs of each row of a table: C-contiguous, shape (n, inputs); `warn` about values new since training."""
    widths = [len(column.inputs) for column in encoders]
    X, start = np.empty((len(table), sum(widths)), dtype), 0
    surprises: list[tuple[str, Surprise]] = []
    with table.naming_rows():
        for column, width in zip(encoders, widths, strict=True):
            found = column.encode(table[column.name], X[:, start : start + width])
            surprises += [(column.name, each) for each in found]
            start += width
    if surprises and warn:
        listed = [f'Column "{n}", {table.name_rows(np.flatnonzero(s.rows))}: {s.what}.' for n, s in surprises[:20]]
        more = [f"{len(surprises) - 20:,} more columns hold such values."] if len(surprises) > 20 else []
        warn_user("\n".join([*listed, *more]), TableWarning)
    return X


def _kind(column: Column) -> str:
    return column.kind if isinstance(column, NumericColumn) else "categorical"
