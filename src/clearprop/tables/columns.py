"""How one column becomes inputs of the network: numbers, or one input per category.

Each class holds what was learnt from the training rows as plain data, and encodes the column of any table.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl

from clearprop.checks import check_choice, check_number, check_that
from clearprop.fork_safety import cached_property
from clearprop.tables.rows import cell_error, holds
from clearprop.tables.values import KIND_NAMES, as_numbers, find_index, is_missing, kind_of

KINDS = ("number", "boolean", "date", "duration")
#: The most rare categories of a column that are stored.
MOST_RARE = 1000


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, or the same with a number if it is taken.

    >>> free_name("age", ["job"]), free_name("age", ["age", "age (2)"])
    ('age', 'age (3)')
    """
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


class Surprise(NamedTuple):
    """Rows (n,) whose value training did not see, and what they are taken as, in words."""

    rows: np.ndarray
    what: str


@dataclass(frozen=True)
class NumericColumn:
    """A number v as a standardized value and in steps between knots, with a flag if training had missing values.

        v        the value, `fill` where missing, clipped to the range `low` to `high`
        value    (t - center) / scale      t = v, or arcsinh((v - fill) / log_unit) if the column is heavily skewed
        step i   clip((v - knot_i) / (knot_{i+1} - knot_i), 0, 1) - mean_i

    The steps are the piecewise linear encoding of Gorishniy et al. (2022): the function that a layer learns from them
    can change its slope at every knot. Dates are days since 1970-01-01.
    """

    name: str
    kind: str
    varies: bool
    flag: bool
    fill: float
    low: float
    high: float
    log_unit: float
    center: float
    scale: float
    knots: tuple[float, ...]
    means: tuple[float, ...]

    type: ClassVar[str] = "numeric"

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", KINDS)
        check_number(self.high, "high", least=self.low)
        check_number(self.log_unit, "log_unit", least=0)
        check_number(self.scale, "scale", above=0)
        check_that(
            len(self.knots) != 1 and all(a < b for a, b in pairwise(self.knots)), "knots: expected 2 or more, rising"
        )
        check_that(len(self.means) == max(len(self.knots) - 1, 0), "means: expected one per step between knots")
        check_that(self.varies or not self.knots, "varies: expected true, because there are knots")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The name of each input; with steps, none is called like the column."""
        steps = pairwise(self.knots)
        return (
            *([f"{self.name} standardized" if self.knots else self.name] if self.varies else []),
            *(f"{self.name} {a:.12g} to {b:.12g}" for a, b in steps),
            *([f"{self.name} is missing"] if self.flag else []),
        )

    @property
    def description(self) -> str:
        """How the column is encoded, in words."""
        parts = [] if self.kind in ("number", "boolean") else ["in days"]
        if self.varies:
            parts.append("as 0 and 1" if self.kind == "boolean" else "standardized")
        if self.log_unit:
            parts.append("after a logarithm, because it is skewed")
        if self.knots:
            parts.append(f"and in {len(self.knots) - 1} steps")
        if self.flag:
            parts.append(f"; missing set to {self.fill:.6g} and flagged")
        return " ".join(parts).replace(" ;", ";").removeprefix("; ")

    def encode(self, series: pl.Series, out: np.ndarray) -> list[Surprise]:
        """Write the inputs of the column into `out`, shape (n, inputs)."""
        raw = as_numbers(series, self.kind)
        missing = np.isnan(raw)
        v = np.clip(np.where(missing, self.fill, raw), self.low, self.high)
        if self.varies:
            t = np.arcsinh((v - self.fill) / self.log_unit) if self.log_unit else v
            out[:, 0] = (t - self.center) / self.scale
        for i, mean in enumerate(self.means):
            rise = (v - self.knots[i]) / (self.knots[i + 1] - self.knots[i])
            out[:, 1 + i] = np.clip(rise, 0, 1) - mean
        if self.flag:
            out[:, -1] = missing
        surprises = [(raw < self.low, self.low), (raw > self.high, self.high), (missing & (not self.flag), self.fill)]
        return [self._surprise(series, mask, taken) for mask, taken in surprises if mask.any()]

    def slopes(self, series: pl.Series) -> np.ndarray:
        """How each input changes with the value, dx/dv, shape (n, inputs); to the right of a knot, 0 where missing.

        >>> from clearprop.tables.choose import fit_numeric
        >>> fit_numeric("age", np.array([1.0, 3.0]), "number").slopes(pl.Series([1.0, None]))
        array([[1.],
               [0.]])
        """
        raw = as_numbers(series, self.kind)
        v = np.where(np.isnan(raw), self.fill, raw)
        out = np.zeros((len(v), len(self.inputs)))
        if self.varies:
            out[:, 0] = 1 / self.scale
            if self.log_unit:
                out[:, 0] /= np.hypot(self.log_unit, v - self.fill)
        for i, (a, b) in enumerate(pairwise(self.knots)):
            out[:, 1 + i] = ((a <= v) & (v < b)) / (b - a)
        out[np.isnan(raw) | (raw < self.low) | (raw > self.high)] = 0
        return out

    def _surprise(self, series: pl.Series, mask: np.ndarray, taken: float) -> Surprise:
        value = series[int(mask.argmax())]
        what = "no value, though none was missing in training" if value is None else f"{value} is far from training"
        day = np.datetime64(round(taken), "D") if self.kind == "date" else None
        return Surprise(mask, f"{what}; taken as {f'{taken:.6g}' if day is None else day}")


@dataclass(frozen=True)
class CategoricalColumn:
    """One input per category, 1 for the category of the row and 0 elsewhere.

    Rare categories share one input "other", which also stands for categories that are not in the training rows. If too
    few training rows are rare to learn from, there is no "other": a rare or unknown category is then encoded as the
    average row, with the `shares` of the inputs in the training rows. A missing value is a category of its own if the
    training rows have missing values, and an unknown category otherwise. `rare` are the rare categories of the training
    rows, up to `MOST_RARE` of them, so that only others are reported as new.
    """

    name: str
    kind: str
    categories: tuple[str, ...]
    shares: tuple[float, ...]
    other: bool
    flag: bool
    rare: tuple[str, ...] = field(default=(), metadata={"optional": True})

    type: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", ("text", *KINDS))
        check_that(len(set(self.categories)) == len(self.categories), "categories: expected different texts")
        inputs = len(self.inputs)
        check_that(len(self.shares) == inputs > 0, f"shares: expected {inputs} numbers, one per input, at least one")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The name of each input."""
        rest = "any other" if "other" in self.categories else "other"
        return (
            *(f"{self.name}={category}" for category in self.categories),
            *([f"{self.name}={rest}"] if self.other else []),
            *([f"{self.name} is missing"] if self.flag else []),
        )

    @property
    def description(self) -> str:
        """How the column is encoded, in words."""
        unknown = "rare and unknown ones share one" if self.other else "an unknown one is the average row"
        more = ", missing is one more" if self.flag else ""
        return f"one input per category ({len(self.categories)}), {unknown}{more}"

    @cached_property
    def _known(self) -> dict[str, int]:
        return {category: i for i, category in enumerate(self.categories)}

    @cached_property
    def _rare(self) -> dict[str, int]:
        return {category: i for i, category in enumerate(self.rare)}

    def encode(self, series: pl.Series, out: np.ndarray) -> list[Surprise]:
        """Write the inputs of the column into `out`, shape (n, inputs)."""
        unknown, new = len(self.categories), []
        code = np.full(len(series), unknown)
        missing = is_missing(series)
        present = series.drop_nulls()
        values = present.unique(maintain_order=True).to_list()
        if values:
            indices = [self._index_of(value, series) for value in values]
            code[~missing] = present.replace_strict(values, indices, return_dtype=pl.Int64).to_numpy()
            new = [value for value, i in zip(values, indices, strict=True) if i == unknown and self._is_new(value)]
        if self.flag:
            code[missing] = out.shape[1] - 1
        out[:] = 0
        average = (code == unknown) & (not self.other) & ~(missing & self.flag)
        out[average] = self.shares
        rows = np.flatnonzero(~average)
        out[rows, code[rows]] = 1
        masks = [missing] if missing.any() and not self.flag else []
        masks += [series.is_in(new).fill_null(False).to_numpy()] if new else []
        return [self._surprise(series, mask) for mask in masks]

    def _is_new(self, value: Any) -> bool:
        """Whether no training row had this value; False if there were too many rare ones to tell."""
        return len(self.rare) < MOST_RARE and find_index(value, self._rare, self.kind) is None

    def _surprise(self, series: pl.Series, mask: np.ndarray) -> Surprise:
        value, count = series[int(mask.argmax())], series.filter(pl.Series(mask)).n_unique()
        if value is None:
            what = "no value, though none was missing in training"
        else:
            more = f" and {count - 1:,} more are" if count > 1 else " is"
            what = f'"{value}"{more} not among the categories of training'
        return Surprise(
            mask, f"{what}; taken as {self.inputs[len(self.categories)] if self.other else 'the average row'}"
        )

    def _index_of(self, value: Any, series: pl.Series) -> int:
        """The input of a value; one past the last category for an unknown value."""
        index, kind = find_index(value, self._known, self.kind), kind_of(series)
        if index is None and kind != self.kind:
            raise cell_error(
                series, holds(series, value), f"expected {KIND_NAMES[self.kind]} as in training, "
                f"got {KIND_NAMES.get(kind, kind)}, and {value!r} is not one of its categories. Convert the column; to "
                f'keep a column of a CSV file as text, use read_table(path, text=["{self.name}"]).',
            )  # fmt: skip
        return len(self.categories) if index is None else index
