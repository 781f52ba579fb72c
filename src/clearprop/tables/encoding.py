"""The whole encoding of a table: every column's inputs, the target, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import DTypeLike

from clearprop.checks import check_choice, check_texts
from clearprop.errors import TableError, suggest
from clearprop.fork_safety import cached_property
from clearprop.tables.choose import Column, choose
from clearprop.tables.columns import CategoricalColumn, NumericColumn
from clearprop.tables.frame import as_frame, declared_categories
from clearprop.tables.stored import Stored, refuse
from clearprop.tables.targets import ClassTarget, Label, Target, choose_target, target_from_dict
from clearprop.tables.values import held

TASKS = ("auto", "classification", "regression")
VERSION = 1


class ColumnNote(NamedTuple):
    """What became of one column, for printing."""

    column: str
    kind: str
    inputs: int
    done: str


@dataclass(frozen=True)
class TableEncoding:
    """How the rows of a table become the inputs and targets of a network, and its answers columns again.

    Learnt once from the training table by `fit`; plain data, so that it lies in the model file and `predict` needs
    nothing else. Every method takes whatever `as_frame` takes: a path, a data frame, a dict of columns.

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

    @classmethod
    def fit(
        cls,
        frame: Any,
        target: str | Sequence[str],
        *,
        task: str = "auto",
        drop: Sequence[str] = (),
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
    ) -> TableEncoding:
        """Learn the encoding from a training table.

        `target` names the column to predict, or several (numbers: regression with several outputs; true and false:
        multilabel). `task` is "classification", "regression", or "auto" to recognise it. `drop` names columns to
        leave out; `categorical` and `numeric` name columns to be taken as such whatever they look like.

        Raises TableError when a column is missing or cannot be encoded, when a target is missing in a row, when
        there is only one class, and when no column is left to learn from.
        """
        check_choice(task, "task", TASKS)
        drop, categorical, numeric = (
            check_texts(given, name)
            for given, name in ((drop, "drop"), (categorical, "categorical"), (numeric, "numeric"))
        )
        names = check_texts(target, "target")
        frame, declared = as_frame(frame, text=categorical), declared_categories(frame)
        wanted = dict.fromkeys(declared, "categorical") | _wanted(frame, names, drop, categorical, numeric)
        if frame.shape[0] == 0:
            raise TableError("The table has no rows; expected at least two.")
        learnt, reason = choose_target(frame, names, task, declared)
        chosen = _chosen(frame.drop(names), wanted)
        left_out = tuple((name, why) for name, why in chosen.items() if isinstance(why, str))
        encoders = tuple(column for column in chosen.values() if not isinstance(column, str))
        if not encoders:
            told = "; ".join(f'"{name}": {why}' for name, why in left_out)
            raise TableError(f"No column is left to learn from besides the target. Left out: {told or 'none'}.")
        return cls(encoders, learnt, reason, left_out)

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
        """The labels in their own type, in the order of the outputs; empty unless binary or multiclass."""
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
        return tuple(name for column in self.encoders for name in column.inputs)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """For each column that is used, the inputs it fills."""
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

    def features(self, frame: Any, dtype: DTypeLike = np.float32) -> np.ndarray:
        """The inputs of each row: C-contiguous, shape (n, inputs). Columns not learnt from are ignored.

        Raises TableError when a column is missing, or holds another type than in training: with column, row, value.
        """
        frame = self._frame(frame, tuple(self.columns))
        X = np.empty((frame.shape[0], self.inputs), dtype=dtype)
        for column in self.encoders:
            column.encode(frame[column.name], X[:, self.columns[column.name]])
        return X

    def targets(self, frame: Any, dtype: DTypeLike = np.float32) -> np.ndarray:
        """The target of each row.

        Binary and multiclass: the place of the label in `classes`, int64 of shape (n,). Multilabel: 0 and 1, shape
        (n, outputs). Regression: standardized numbers, shape (n, outputs).

        Raises TableError when the column or a value is missing, or a label was never seen in training.
        """
        return self.target.encode(self._frame(frame, self.target_names), np.dtype(dtype))

    def decode(self, yhat: np.ndarray) -> dict[str, np.ndarray]:
        """The answers of the network, shape (n, outputs), as columns.

        The target column holds the label or number on its own scale; for classes and flags "probability of ..."
        columns follow. Raises ShapeError when the shape is another.
        """
        return self.target.decode(yhat)

    def describe(self) -> list[ColumnNote]:
        """What became of each column: used ones in their order, then those left out."""
        used = [ColumnNote(c.name, _kind(c), len(c.inputs), c.done) for c in self.encoders]
        return used + [ColumnNote(name, "left out", 0, why) for name, why in self.left_out]

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; `from_dict` gives an equal encoding back."""
        return {
            "version": VERSION,
            "columns": [column.to_dict() for column in self.encoders],
            "target": self.target.to_dict(),
            "task_reason": self.task_reason,
            "left_out": [list(pair) for pair in self.left_out],
        }

    @classmethod
    def from_dict(cls, fields: Any) -> TableEncoding:
        """The encoding that `to_dict` described. Raises ModelFileError when a field is missing or makes no sense."""
        stored = Stored(fields, "the whole")
        if stored.number("version") != VERSION:
            raise stored.error("version", f"{VERSION}, the one this clearprop reads")
        encoders = tuple(_column(column, i) for i, column in enumerate(stored.items("columns"), start=1))
        left_out = stored.items("left_out")
        for pair in left_out:
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
                raise stored.error("left_out", "pairs of column and reason")
        encoding = cls(
            encoders,
            target_from_dict(stored.fields.get("target")),
            stored.text("task_reason"),
            tuple((name, why) for name, why in left_out),
        )
        names = [column.name for column in encoders]
        if not names or len({*names, *encoding.target_names}) != len(names) + len(encoding.target_names):
            raise stored.error("columns", "at least one column, all of different names and none of them a target")
        return encoding

    def _frame(self, data: Any, names: tuple[str, ...]) -> nw.DataFrame[Any]:
        frame = as_frame(data, text=self.text_columns)
        for name in names:
            if name not in frame.columns:
                raise TableError(f'Column "{name}" is missing from the table. {suggest(name, frame.columns)}')
        if frame.shape[0] == 0:
            raise TableError("The table has no rows; expected at least one.")
        return frame


def _chosen(frame: nw.DataFrame[Any], wanted: Mapping[str, str]) -> dict[str, Column | str]:
    """For each column its encoding, or in words why it is left out."""
    numeric = sum(held(frame[name]) in ("number", "date", "duration") for name in frame.columns if name not in wanted)
    numeric += sum(how == "numeric" for how in wanted.values())
    return {
        name: "dropped, as asked" if wanted.get(name) == "drop" else choose(frame[name], wanted.get(name), numeric)
        for name in frame.columns
    }


def _wanted(
    frame: nw.DataFrame[Any],
    targets: tuple[str, ...],
    drop: Sequence[str],
    categorical: Sequence[str],
    numeric: Sequence[str],
) -> dict[str, str]:
    """What was asked for each column; TableError for names that do not exist or contradict each other."""
    if not targets:
        raise TableError(f"Target: expected the name of a column, got none. {suggest('', frame.columns)}")
    asked: dict[str, str] = {}
    for role, names in (("target", targets), ("drop", drop), ("categorical", categorical), ("numeric", numeric)):
        for name in (names,) if isinstance(names, str) else names:
            if name not in frame.columns:
                what = "Target column" if role == "target" else f"{role}: column"
                raise TableError(f'{what} "{name}" does not exist. {suggest(name, frame.columns)}')
            if name in asked:
                raise TableError(f'Column "{name}" is named twice, as {asked[name]} and as {role}; name it once.')
            asked[name] = role
    return {name: role for name, role in asked.items() if role != "target"}


def _kind(column: Column) -> str:
    return column.kind if isinstance(column, NumericColumn) else "categorical"


def _column(fields: Any, number: int) -> Column:
    stored = Stored(fields, f"column {number}")
    kind = stored.text("type")
    for known in (NumericColumn, CategoricalColumn):
        if kind == known.type:
            return known.from_dict(stored)
    raise refuse(f"column {number}, type", "numeric or categorical", kind)
