"""How one column becomes inputs of the network: numbers, or one input per category.

Each class holds what was learnt from the training table as plain data, and turns a column of any later table into
the same inputs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar

import narwhals as nw
import numpy as np

from clearprop.errors import TableError
from clearprop.fork_safety import cached_property
from clearprop.tables.stored import Stored
from clearprop.tables.values import find, first_row, held, missing, numbers

KINDS = ("number", "boolean", "date", "duration")


@dataclass(frozen=True)
class NumericColumn:
    """A number v as a standardized value and as its place between knots; with a flag where missing occurred.

        v        the value, `fill` where missing, held within `low` to `high`
        value    (t - center) / scale      t = v, or arcsinh((v - fill) / log_unit) when the column is heavily skewed
        step i   clip((v - knot_i) / (knot_{i+1} - knot_i), 0, 1) - mean_i

    The steps are the piecewise linear encoding of Gorishniy et al. (2022): a layer after them can bend its answer at
    every knot. Dates are days since 1970-01-01.
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

    @property
    def inputs(self) -> tuple[str, ...]:
        """The name of each input."""
        steps = pairwise(self.knots)
        return (
            *([self.name] if self.varies else []),
            *(f"{self.name} {a:.12g} to {b:.12g}" for a, b in steps),
            *([f"{self.name} is missing"] if self.flag else []),
        )

    @property
    def done(self) -> str:
        """What was done, for a person to read."""
        said = [] if self.kind in ("number", "boolean") else ["in days"]
        if self.varies:
            said.append("as 0 and 1" if self.kind == "boolean" else "standardized")
        if self.log_unit:
            said.append("after a logarithm, because it is skewed")
        if self.knots:
            said.append(f"and its place in {len(self.knots) - 1} ranges")
        if self.flag:
            said.append(f"; missing set to {self.fill:.6g} and flagged")
        return " ".join(said).replace(" ;", ";").removeprefix("; ")

    def encode(self, series: nw.Series[Any], out: np.ndarray) -> None:
        """Write the inputs of the column into `out`, shape (n, inputs)."""
        raw = numbers(series, self.kind)
        absent = np.isnan(raw)
        v = np.clip(np.where(absent, self.fill, raw), self.low, self.high)
        if self.varies:
            out[:, 0] = (self.transformed(v) - self.center) / self.scale
        for i, mean in enumerate(self.means):
            rise = (v - self.knots[i]) / (self.knots[i + 1] - self.knots[i])
            out[:, 1 + i] = np.clip(rise, 0, 1) - mean
        if self.flag:
            out[:, -1] = absent

    def transformed(self, v: np.ndarray) -> np.ndarray:
        """t: v itself, or its signed logarithm around `fill` when the column is heavily skewed."""
        return np.arcsinh((v - self.fill) / self.log_unit) if self.log_unit else v

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"type": self.type, **asdict(self), "knots": list(self.knots), "means": list(self.means)}

    @classmethod
    def from_dict(cls, stored: Stored) -> NumericColumn:
        """The column that `to_dict` described; ModelFileError when the fields make no sense."""
        knots, means = stored.numbers("knots"), stored.numbers("means")
        column = cls(
            name=stored.text("name"), kind=stored.choice("kind", KINDS), varies=stored.truth("varies"),
            flag=stored.truth("flag"), fill=stored.number("fill"), low=stored.number("low"), high=stored.number("high"),
            log_unit=stored.number("log_unit"), center=stored.number("center"), scale=stored.positive("scale"),
            knots=knots, means=means,
        )  # fmt: skip
        if any(a >= b for a, b in pairwise(knots)) or len(knots) == 1:
            raise stored.error("knots", "no knots, or at least two that rise")
        if len(means) != max(len(knots) - 1, 0):
            raise stored.error("means", f"{max(len(knots) - 1, 0)} numbers, one per step between knots")
        if knots and not column.varies:
            raise stored.error("varies", "true, because there are knots")
        if column.low > column.high or column.log_unit < 0:
            raise stored.error("low", 'at most "high", with a log_unit of at least 0')
        return column


@dataclass(frozen=True)
class CategoricalColumn:
    """One input per category, 1 for the category of the row and 0 elsewhere.

    Rare categories share one input "other", which also takes every category never seen in training. Where too few rows
    are rare to teach "other" anything, there is none; then a rare category and one never seen count as the average row:
    they get the `shares` of the inputs in training. Missing is a category of its own where it occurred in training,
    and otherwise is treated as never seen.
    """

    name: str
    kind: str
    categories: tuple[str, ...]
    shares: tuple[float, ...]
    other: bool
    flag: bool

    type: ClassVar[str] = "categorical"

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
    def done(self) -> str:
        """What was done, for a person to read."""
        said = f"one input per category ({len(self.categories)})"
        said += ", rare ones and those never seen share one" if self.other else ", one never seen is the average row"
        return said + (", missing is one more" if self.flag else "")

    @cached_property
    def _known(self) -> dict[str, int]:
        return {category: i for i, category in enumerate(self.categories)}

    def encode(self, series: nw.Series[Any], out: np.ndarray) -> None:
        """Write the inputs of the column into `out`, shape (n, inputs)."""
        n, unseen = len(series), len(self.categories)
        code = np.full(n, unseen)
        absent = missing(series)
        present = series.filter((~absent).tolist())
        values = present.unique(maintain_order=True).to_list()
        if values:
            places = [self._place(value, series) for value in values]
            code[~absent] = present.replace_strict(values, places, return_dtype=nw.Int64()).to_numpy()
        if self.flag:
            code[absent] = out.shape[1] - 1
        out[:] = 0
        to_average = (code == unseen) & (not self.other) & ~(absent & self.flag)
        out[to_average] = self.shares
        chosen = np.flatnonzero(~to_average)
        out[chosen, code[chosen]] = 1

    def _place(self, value: Any, series: nw.Series[Any]) -> int:
        """The input of a value; that of a value never seen is one past the last category."""
        place, now = find(value, self._known, self.kind), held(series)
        if place is None and now != self.kind:
            raise TableError(
                f'Column "{self.name}", {first_row(series, value)}: it held {_HELD[self.kind]} in training, now it '
                f"holds {_HELD.get(now, now)}, and {value!r} is none of its categories. Convert the column first; a "
                f'CSV column stays text with read_table(path, text=["{self.name}"]).'
            )
        return len(self.categories) if place is None else place

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {"type": self.type, **asdict(self), "categories": list(self.categories), "shares": list(self.shares)}

    @classmethod
    def from_dict(cls, stored: Stored) -> CategoricalColumn:
        """The column that `to_dict` described; ModelFileError when the fields make no sense."""
        column = cls(
            name=stored.text("name"), kind=stored.choice("kind", ("text", "number", "boolean", "date", "duration")),
            categories=stored.texts("categories"), shares=stored.numbers("shares"), other=stored.truth("other"),
            flag=stored.truth("flag"),
        )  # fmt: skip
        if len(column.shares) != len(column.inputs) or not column.inputs:
            raise stored.error("shares", f"{len(column.inputs)} numbers, one per input")
        return column


_HELD = {"text": "text", "number": "numbers", "boolean": "true and false", "date": "dates", "duration": "durations"}
