"""Which encoding a column gets, from what it holds in the training table."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np

from clearprop.errors import TableError
from clearprop.tables.columns import CategoricalColumn, NumericColumn
from clearprop.tables.texts import MISSING
from clearprop.tables.values import held, missing, numbers, rows, spell

MOST_CATEGORIES = 100
RARE = 10
"""Categories of fewer rows are pooled, in tables of 10,000 rows and more; of proportionally fewer below."""
OTHER_ROWS = 100
"""Rows that the pooled categories need together to get an input: fewer would teach it only noise."""
MOST_STEPS, LEAST_STEPS, ROWS_PER_STEP, MOST_STEP_INPUTS = 48, 8, 250, 400
"""Ranges per column of numbers: as many as the rows support, none in a small table, and a bound on all columns."""
HEAVY_SKEW = 2.0

Column = NumericColumn | CategoricalColumn


def steps_for(rows_present: int, numeric_columns: int) -> int:
    """The number of ranges that a column of numbers is cut into.

    Measured in docs/decisions/0005: many ranges help when there are rows enough to learn each, and hurt when not.

    >>> steps_for(20_000, 8), steps_for(4_000, 8), steps_for(1_000, 8), steps_for(20_000, 64)
    (48, 16, 0, 0)
    """
    steps = min(MOST_STEPS, rows_present // ROWS_PER_STEP, MOST_STEP_INPUTS // max(numeric_columns, 1))
    return steps if steps >= LEAST_STEPS else 0


def choose(series: nw.Series[Any], wanted: str | None = None, numeric_columns: int = 1) -> Column | str:
    """The encoding of one training column, or in words why it is left out.

    `wanted` is "categorical", "numeric", or None to decide from what the column holds. `numeric_columns` is how many
    columns of numbers the table has, which share a bound on the number of inputs.
    Raises TableError when the column cannot be encoded.
    """
    kind = held(series)
    if kind == "other":
        row = int(np.flatnonzero(~missing(series))[0])
        raise TableError(
            f'Column "{series.name}", row {row + 1}: expected a number, text, truth value or date, got '
            f'{type(series[row]).__name__}. Convert the column, or leave it out: drop=["{series.name}"].'
        )
    if series.null_count() == len(series):
        return "all values are missing"
    if series.null_count() == 0 and series.n_unique() == 1:
        return f"all rows hold the same value, {series[0]!r}"
    if wanted == "numeric":
        return fit_numeric(series, "number" if kind == "text" else kind, numeric_columns)
    if wanted == "categorical":
        return fit_categorical(series, kind)
    if kind == "text":
        return _like_identifiers(series) or fit_categorical(series, kind)
    return _like_row_numbers(series, kind) or fit_numeric(series, kind, numeric_columns)


def _like_identifiers(series: nw.Series[Any]) -> str | None:
    present = series.drop_nulls()
    distinct = present.n_unique()
    stray = _strays(series)
    _refuse_broken_numbers(series, stray, distinct)
    if distinct <= 20 or distinct <= len(present) / 2:
        return None
    hint = "" if stray.any() else f'; all are numbers written as text, which numeric=["{series.name}"] takes as numbers'
    return f"{distinct} different texts in {len(present)} rows, like a name or an identifier{hint}"


def _strays(series: nw.Series[Any]) -> np.ndarray:
    """True where a text is no number, shape (n,)."""
    native = series.to_native()
    return (native.is_not_null() & native.cast(float, strict=False).is_null()).to_numpy()


def _refuse_broken_numbers(series: nw.Series[Any], stray: np.ndarray, distinct: int) -> None:
    """A column of numbers with a few stray texts would silently become many categories, or be left out."""
    if distinct > 20 and 0 < stray.sum() <= 0.05 * len(stray):
        row = int(np.flatnonzero(stray)[0])
        raise TableError(
            f'Column "{series.name}": numbers, except in {rows(stray)}: "{series[row]}". Correct the value, '
            f"mark it as missing (one of {', '.join(MISSING[1:])}, or empty), or take the column as it is: "
            f'categorical=["{series.name}"], or drop=["{series.name}"].'
        )


def _like_row_numbers(series: nw.Series[Any], kind: str) -> str | None:
    if kind != "number" or series.null_count() or len(series) <= 20:
        return None
    values = numbers(series, kind)
    if values[0] in (0, 1) and bool((np.diff(values) == 1).all()):
        return "the number of the row"
    named = re.search(r"(?i:(^|[_ ])id$)|[a-z]I[dD]$", series.name)
    if named and (values == np.floor(values)).all() and len(np.unique(values)) == len(values):
        return "a different whole number in every row, and named like an identifier"
    return None


def fit_numeric(series: nw.Series[Any], kind: str, numeric_columns: int = 1) -> NumericColumn:
    """Learn fill, logarithm, standardization and knots from a column of numbers."""
    raw = numbers(series, kind)
    present = raw[~np.isnan(raw)]
    fill = _typical(present, kind)
    low, high = float(present.min()), float(present.max())
    reach = 0.0 if kind == "boolean" else high - low
    plain = NumericColumn(
        name=series.name, kind=kind, varies=low < high, flag=len(present) < len(raw), fill=fill, low=low - reach,
        high=high + reach, log_unit=0.0, center=0.0, scale=1.0, knots=(), means=(),
    )  # fmt: skip
    if kind == "boolean" or low == high:
        return plain
    log_unit = _log_unit(present, fill)
    t = np.arcsinh((present - fill) / log_unit) if log_unit else present
    spots = knots(present, steps=steps_for(len(present), numeric_columns))
    rises = [np.clip((present - a) / (b - a), 0, 1) for a, b in pairwise(spots)]
    return replace(
        plain, log_unit=log_unit, center=float(t.mean()), scale=float(t.std()) or 1.0, knots=spots,
        means=tuple(float(rise.mean()) for rise in rises),
    )  # fmt: skip


def _typical(present: np.ndarray, kind: str) -> float:
    """The value that stands in for a missing one: the median; the commoner one of true and false."""
    median = float(np.median(present))
    return float(median > 0.5) if kind == "boolean" else median


def _log_unit(present: np.ndarray, fill: float) -> float:
    """The distance from `fill` where the signed logarithm turns from straight to bent; 0 for no logarithm."""
    deviation = present - present.mean()
    spread = deviation.std()
    if len(present) < 20 or spread == 0 or abs(np.mean((deviation / spread) ** 3)) <= HEAVY_SKEW:
        return 0.0
    distance = np.abs(present - fill)
    return float(np.median(distance[distance > 0]))


def knots(values: np.ndarray, steps: int) -> tuple[float, ...]:
    """Places that cut the values into about `steps` ranges of as many rows each.

    A value common enough to fill a range alone, such as the 0 of most rows, gets a knot of its own.

    >>> knots(np.arange(101.0), steps=4)
    (0.0, 25.0, 50.0, 75.0, 100.0)
    """
    different, counts = np.unique(values, return_counts=True)
    if steps < 2 or len(different) < 3:
        return ()
    if len(different) <= steps + 1:
        return tuple(map(float, different))
    common = different[counts > len(values) / steps]
    rest = values[~np.isin(values, common)]
    ranges = max(1, min(steps - len(common), len(rest) // 20))
    cuts = np.quantile(rest, np.linspace(0, 1, ranges + 1), method="nearest") if len(rest) else rest
    return tuple(map(float, np.unique(np.concatenate([common, cuts, different[[0, -1]]]))))


def fit_categorical(series: nw.Series[Any], kind: str) -> CategoricalColumn | str:
    """Learn the categories of a column; the rare ones, and those beyond the cap, are pooled.

    In words why the column is left out, when no two values occur often enough.
    """
    counted = series.drop_nulls().value_counts(sort=False)
    counts = {spell(value): int(count) for value, count in counted.rows()}
    rare = min(RARE, len(series) // 1000)
    by_count = sorted(counts, key=lambda category: (-counts[category], category))
    kept = sorted(category for category in by_count[:MOST_CATEGORIES] if counts[category] >= rare)
    pooled = sum(counts.values()) - sum(counts[category] for category in kept)
    other, flag = pooled >= OTHER_ROWS, series.null_count() > 0
    rows_of = [
        *(counts[category] for category in kept),
        *([pooled] if other else []),
        *([series.null_count()] if flag else []),
    ]
    if len(rows_of) < 2:
        return f"no two of its {len(counts)} values occur in at least {rare} rows"
    return CategoricalColumn(
        name=series.name, kind=kind, categories=tuple(kept), shares=tuple(c / len(series) for c in rows_of),
        other=other, flag=flag,
    )  # fmt: skip
