"""What the network is to answer: a class, numbers, or several flags; from a table and back to columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np

from clearprop.errors import ShapeError, TableError, suggest
from clearprop.fork_safety import cached_property
from clearprop.tables.stored import Stored, is_finite, refuse
from clearprop.tables.values import find, first_row, held, missing, numbers, rows, spell

Label = str | int | float | bool


def _refuse_missing(series: nw.Series[Any]) -> None:
    absent = missing(series)
    if absent.any():
        raise TableError(
            f'Target column "{series.name}": no value in {rows(absent)}; expected one in every row. '
            "Fill it in, or remove the rows."
        )


def _checked(yhat: np.ndarray, outputs: int) -> np.ndarray:
    yhat = np.asarray(yhat)
    if outputs == 1 and yhat.ndim == 1:
        yhat = yhat[:, None]
    if yhat.ndim != 2 or yhat.shape[1] != outputs:
        raise ShapeError(f"yhat: expected shape (n, {outputs}), the network's answers, got {yhat.shape}.")
    return yhat


@dataclass(frozen=True)
class ClassTarget:
    """One column of labels: y is the place of the label among `classes`, int64 of shape (n,)."""

    name: str
    kind: str
    classes: tuple[Label, ...]

    type: ClassVar[str] = "class"

    @property
    def names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    @property
    def task(self) -> str:
        """Binary or multiclass."""
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def outputs(self) -> int:
        """1 for two classes (the probability of the second), else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @cached_property
    def _known(self) -> dict[str, int]:
        return {spell(label): i for i, label in enumerate(self.classes)}

    def encode(self, frame: nw.DataFrame[Any], dtype: np.dtype) -> np.ndarray:
        """The place of each label. Raises TableError for a label never seen and for a missing one."""
        series = frame[self.name]
        _refuse_missing(series)
        values = series.unique(maintain_order=True).to_list()
        places = [self._place(value, series) for value in values]
        return series.replace_strict(values, places, return_dtype=nw.Int64()).to_numpy().astype(np.int64)

    def _place(self, value: Any, series: nw.Series[Any]) -> int:
        place = find(value, self._known, self.kind)
        if place is None:
            raise TableError(
                f'Target column "{self.name}", {first_row(series, value)}: the label {value!r} was never seen in '
                f"training. {suggest(spell(value), self._known)}"
            )
        return place

    def decode(self, yhat: np.ndarray) -> dict[str, np.ndarray]:
        """The most probable label, and the probability of each."""
        yhat = _checked(yhat, self.outputs)
        if self.outputs == 1:
            yhat = np.hstack([1 - yhat, yhat])
        labels = np.array(self.classes)
        answer = {self.name: labels[yhat.argmax(axis=1)]}
        return answer | {f"probability of {spell(label)}": yhat[:, i] for i, label in enumerate(self.classes)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"type": self.type, "name": self.name, "kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, stored: Stored) -> ClassTarget:
        """The target that `to_dict` described; ModelFileError when the fields make no sense."""
        kind, classes = stored.choice("kind", ("text", "number", "boolean")), stored.items("classes")
        right = {
            "text": lambda v: isinstance(v, str),
            "number": is_finite,
            "boolean": lambda v: isinstance(v, bool),
        }[kind]
        # Types first: only then are the labels known to be hashable.
        if not all(right(label) for label in classes) or len({spell(v) for v in classes}) != len(classes):
            raise stored.error("classes", f"different labels, each of the kind {kind}")
        if len(classes) < 2:
            raise stored.error("classes", "at least two labels")
        return cls(stored.text("name"), kind, tuple(classes))


@dataclass(frozen=True)
class NumberTarget:
    """Columns of numbers: y = (value - mean) / scale, of shape (n, columns), so that the network answers near 0."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]

    type: ClassVar[str] = "number"
    task: ClassVar[str] = "regression"
    classes: ClassVar[tuple[Label, ...]] = ()

    @property
    def outputs(self) -> int:
        """One per column."""
        return len(self.names)

    def encode(self, frame: nw.DataFrame[Any], dtype: np.dtype) -> np.ndarray:
        """The standardized numbers. Raises TableError for a missing or infinite one."""
        columns: list[np.ndarray] = []
        for name, mean, scale in zip(self.names, self.means, self.scales, strict=True):
            _refuse_missing(frame[name])
            columns.append((numbers(frame[name], "number") - mean) / scale)
        return np.stack(columns, axis=1).astype(dtype)

    def decode(self, yhat: np.ndarray) -> dict[str, np.ndarray]:
        """The numbers on the scale of the table."""
        values = _checked(yhat, self.outputs).astype(np.float64) * self.scales + self.means
        return {name: values[:, i] for i, name in enumerate(self.names)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "type": self.type, "names": list(self.names), "means": list(self.means), "scales": list(self.scales),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, stored: Stored) -> NumberTarget:
        """The target that `to_dict` described; ModelFileError when the fields make no sense."""
        target = cls(stored.texts("names"), stored.numbers("means"), stored.numbers("scales"))
        if not target.names:
            raise stored.error("names", "at least one column")
        if len(target.means) != len(target.names):
            raise stored.error("means", f"{len(target.names)} numbers, one per column")
        if len(target.scales) != len(target.names) or min(target.scales) <= 0:
            raise stored.error("scales", f"{len(target.names)} numbers above 0, one per column")
        return target


@dataclass(frozen=True)
class FlagTarget:
    """Several columns of true and false, or 1 and 0: y is 0.0 or 1.0, of shape (n, columns)."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    type: ClassVar[str] = "flags"
    task: ClassVar[str] = "multilabel"
    classes: ClassVar[tuple[Label, ...]] = ()

    @property
    def outputs(self) -> int:
        """One per column."""
        return len(self.names)

    def encode(self, frame: nw.DataFrame[Any], dtype: np.dtype) -> np.ndarray:
        """0.0 and 1.0. Raises TableError for a missing value and for any other."""
        for name in self.names:
            _refuse_missing(frame[name])
        return np.stack([numbers(frame[name], "boolean") for name in self.names], axis=1).astype(dtype)

    def decode(self, yhat: np.ndarray) -> dict[str, np.ndarray]:
        """For each column, whether it is more probable than not, and the probability."""
        yhat, answer = _checked(yhat, self.outputs), {}
        for i, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            likely = yhat[:, i] > 0.5
            answer[name] = likely if kind == "boolean" else likely.astype(np.int64)
            answer[f"probability of {name}"] = yhat[:, i]
        return answer

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"type": self.type, "names": list(self.names), "kinds": list(self.kinds)}

    @classmethod
    def from_dict(cls, stored: Stored) -> FlagTarget:
        """The target that `to_dict` described; ModelFileError when the fields make no sense."""
        names, kinds = stored.texts("names"), stored.items("kinds")
        if not names:
            raise stored.error("names", "at least one column")
        if len(kinds) != len(names) or any(kind not in ("boolean", "number") for kind in kinds):
            raise stored.error("kinds", f'{len(names)} of "boolean" and "number", one per column')
        return cls(names, tuple(kinds))


Target = ClassTarget | NumberTarget | FlagTarget


def target_from_dict(fields: Any) -> Target:
    """The target that `to_dict` described; ModelFileError when the fields make no sense."""
    stored = Stored(fields, "target")
    kind = stored.text("type")
    for known in (ClassTarget, NumberTarget, FlagTarget):
        if kind == known.type:
            return known.from_dict(stored)
    raise refuse("target, type", "one of class, number, flags", kind)


def choose_target(
    frame: nw.DataFrame[Any], names: Sequence[str], task: str, declared: Sequence[str] = ()
) -> tuple[Target, str]:
    """The target learnt from the training table, and in words why it is that task.

    `task` is "classification", "regression", or "auto" to decide from what the columns hold; `declared` names the
    columns that the frame declares as categories.
    """
    for name in names:
        _refuse_missing(frame[name])
        if held(frame[name]) in ("date", "duration", "other"):
            raise TableError(
                f'Target column "{name}": expected numbers, text or true and false, got values such as '
                f"{frame[name][0]!r}. Convert the column to numbers first."
            )
    if task == "auto" and len(names) == 1 and names[0] in declared:
        as_classes, reason = True, f'classification, because "{names[0]}" is declared a category'
    elif task == "auto":
        as_classes, reason = _recognised(frame, names)
    else:
        as_classes, reason = task == "classification", f"{task}, as asked"
    if as_classes:
        return (fit_class(frame[names[0]]) if len(names) == 1 else fit_flags(frame, names)), reason
    return fit_number(frame, names), reason


def _recognised(frame: nw.DataFrame[Any], names: Sequence[str]) -> tuple[bool, str]:
    if len(names) > 1:
        if all(_is_flag(frame[name]) for name in names):
            return True, f"multilabel classification, because all {len(names)} target columns hold true and false"
        return False, f"regression, because there are {len(names)} target columns"
    series, kind = frame[names[0]], held(frame[names[0]])
    if kind != "number":
        return True, f'classification, because "{series.name}" holds {"text" if kind == "text" else "true and false"}'
    values = np.unique(numbers(series, kind))
    if (values != np.floor(values)).any():
        return False, f'regression, because "{series.name}" holds numbers that are not whole'
    if _is_flag(series) or (len(values) <= 20 and len(series) >= 5 * len(values)):
        return True, f'classification, because "{series.name}" holds {len(values):,} different whole numbers'
    return False, f'regression, because "{series.name}" holds {len(values):,} different numbers'


def _is_flag(series: nw.Series[Any]) -> bool:
    kind = held(series)
    return kind == "boolean" or (kind == "number" and bool(np.isin(numbers(series, kind), (0, 1)).all()))


def fit_class(series: nw.Series[Any]) -> ClassTarget:
    """Learn the labels of a column."""
    kind, labels = held(series), series.unique().to_list()
    if len(labels) == 1:
        raise TableError(
            f'Target column "{series.name}": all rows hold {labels[0]!r}; expected at least two different labels.'
        )
    if len(labels) > 20 and len(labels) > len(series) / 2:
        raise TableError(
            f'Target column "{series.name}": {len(labels)} different values in {len(series)} rows (the first is '
            f"{series[0]!r}); expected classes that occur many times. If these are numbers, "
            'convert the column and use task="regression".'
        )
    if kind == "number":
        numbers(series, kind)  # refuses infinity
        labels = [int(v) if float(v).is_integer() else float(v) for v in labels]
    return ClassTarget(series.name, kind, tuple(sorted(labels)))


def fit_number(frame: nw.DataFrame[Any], names: Sequence[str]) -> NumberTarget:
    """Learn the mean and the scale of columns of numbers."""
    means, scales = [], []
    for name in names:
        values = numbers(frame[name], "number")
        if values.min() == values.max():
            raise TableError(
                f'Target column "{name}": all rows hold {values[0]:g}; expected numbers that differ, '
                "or there is nothing to learn."
            )
        means.append(float(values.mean()))
        scales.append(float(values.std()))
    return NumberTarget(tuple(names), tuple(means), tuple(scales))


def fit_flags(frame: nw.DataFrame[Any], names: Sequence[str]) -> FlagTarget:
    """Check columns of true and false."""
    for name in names:
        if not _is_flag(frame[name]):
            raise TableError(
                f'Target column "{name}": several target columns can be classified only when each holds true and '
                f"false, or 1 and 0; got values such as {frame[name][0]!r}. Train one model per column, or use 0 and 1."
            )
        if frame[name].n_unique() == 1:
            raise TableError(f'Target column "{name}": all rows hold {frame[name][0]!r}; expected both values.')
    return FlagTarget(tuple(names), tuple(held(frame[name]) for name in names))
