"""Choose the encoding of each column from its values in the training rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from clearprop.errors import TableError
from clearprop.tables.columns import MOST_RARE, CategoricalColumn, NumericColumn
from clearprop.tables.frame import Table
from clearprop.tables.rows import cell_error
from clearprop.tables.strays import check_no_strays
from clearprop.tables.values import as_numbers, is_missing, kind_of, loses_digits, spell

MOST_CATEGORIES = 100
RARE = 10
"""Categories of fewer rows are pooled, in tables of 10,000 rows and more; in smaller ones, proportionally fewer."""
OTHER_ROWS = 100
"""The pooled categories get an input of their own if they have at least this many rows; fewer teach only noise."""
MOST_STEPS, LEAST_STEPS, ROWS_PER_STEP, MOST_STEP_INPUTS = 48, 8, 250, 400
"""Steps of a column of numbers: one per 250 rows, none in a small table, and a limit on those of all columns."""
HEAVY_SKEW = 2.0

DROPPED = "dropped, as requested"

Column = NumericColumn | CategoricalColumn


def way_out(role: str, name: str) -> str:
    """How to request a role of a column, in Python and on the command line.

    >>> way_out("numeric", "id")
    'numeric="id" (--numeric "id")'
    """
    return f'{role}="{name}" (--{role} "{name}")'


def choose_columns(
    table: Table, names: Sequence[str], wanted: Mapping[str, str], rows: np.ndarray | None = None
) -> tuple[tuple[Column, ...], tuple[tuple[str, str], ...]]:
    """The encodings of the columns `names`, and the (column, reason) pairs of those that are left out.

    `wanted` maps a column to "categorical", "numeric" or "drop"; the encoding of the others is chosen from their
    values. Learnt from `rows`, or all rows. Raises TableError if a column cannot be encoded or none is left.
    """
    kinds = {name: kind_of(table[name]) for name in names}
    numeric = sum(kinds[name] in ("number", "date", "duration") for name in names if name not in wanted)
    numeric += sum(role == "numeric" for role in wanted.values())
    training = table if rows is None else table.take(rows)
    columns: list[Column] = []
    left_out: list[tuple[str, str]] = []
    for name in names:
        role = wanted.get(name)
        chosen = DROPPED if role == "drop" else choose(table[name], training[name], role, numeric, rows)
        if isinstance(chosen, str):
            left_out.append((name, chosen))
        else:
            columns.append(chosen)
    if not columns:
        reasons = "; ".join(f'"{name}": {reason}' for name, reason in left_out)
        raise TableError(f"No column is left to learn from. Left out: {reasons or 'none'}.")
    return tuple(columns), tuple(left_out)


def steps_for(rows_present: int, numeric_columns: int) -> int:
    """The number of steps of a column of numbers.

    Measured in docs/decisions/0005: many steps help if there are enough rows to learn each, and hurt if not.

    >>> steps_for(20_000, 8), steps_for(4_000, 8), steps_for(1_000, 8), steps_for(20_000, 64)
    (48, 16, 0, 0)
    """
    steps = min(MOST_STEPS, rows_present // ROWS_PER_STEP, MOST_STEP_INPUTS // max(numeric_columns, 1))
    return steps if steps >= LEAST_STEPS else 0


def choose(
    series: pl.Series,
    training: pl.Series,
    wanted: str | None = None,
    numeric_columns: int = 1,
    rows: np.ndarray | None = None,
) -> Column | str:
    """The encoding of a column learnt from its training rows (`rows`, or all), or the reason why it is left out.

    `wanted` is "categorical", "numeric", or None to choose from the values. `numeric_columns` is the number of numeric
    columns of the table, which share a limit on their inputs. Whether a column is an index or an identifier is seen in
    all rows: holding some out must not change it. Raises TableError if the column cannot be encoded.
    """
    kind = kind_of(series)
    if kind == "other":
        value = series.drop_nulls()[0]
        raise cell_error(
            series, ~is_missing(series), f"expected a number, text, boolean or date, got {type(value).__name__}. "
            f"Convert the column, or leave it out: {way_out('drop', series.name)}.",
        )  # fmt: skip
    if training.null_count() == len(training):
        return "all values are missing"
    if training.null_count() == 0 and training.min() == training.max():  # faster than the number of different ones
        return f"all rows hold the same value, {training[0]!r}"
    if wanted == "categorical":
        return fit_categorical(training, kind)
    are_codes = kind == "number" and loses_digits(series)
    if wanted is None and (are_codes or kind == "text"):
        reason = _like_identifiers(series.cast(pl.String), are_codes)
        return reason or fit_categorical(training.cast(pl.String), "text")
    if are_codes:
        raise TableError(
            f'Column "{series.name}": holds whole numbers beyond 2^53, such as {series.drop_nulls()[0]}, which cannot '
            f"be told apart as numbers. Use them as categories, {way_out('categorical', series.name)}, or subtract an "
            "offset."
        )
    kind = "number" if kind == "text" else kind
    values = as_numbers(series, kind)
    reason = _like_row_numbers(series.name, values, kind) if wanted is None else None
    return reason or fit_numeric(series.name, values if rows is None else values[rows], kind, numeric_columns)


def _like_identifiers(texts: pl.Series, are_codes: bool) -> str | None:
    name, present = texts.name, len(texts) - texts.null_count()
    distinct = texts.drop_nulls().n_unique()
    ways_out = f"keep the column as it is: {way_out('categorical', name)}, or {way_out('drop', name)}."
    strays = None if are_codes else check_no_strays(texts, "Column", ways_out)
    if distinct <= 20 or distinct <= present / 2:
        return None
    most = f'most are {strays.words}, but not "{strays.example}"' if strays else f'such as "{texts.drop_nulls()[0]}"'
    what = "whole numbers beyond 2^53" if are_codes else "texts"
    return (
        f"{distinct:,} different {what} in {present:,} rows, like a name or an identifier, {most}; "
        f"keep it with {way_out('categorical', name)}"
    )


_INDEX = re.compile(
    r"column 1|\.\.\.1|unnamed: 0(\.\d+)*|(__index_)?level_\d+(__)?|index|idx|"
    r"row([ _.]?(names?|number|num|no|nr|id|index))?|#",
    re.IGNORECASE,
)
"""Names that exports give to the index of a data frame."""
_IDENTIFIER = re.compile(r"(?i:(^|[_ .-])(id|ids|uid|idx|pk|no|nr|number|serial|sno|index|row)$)|[a-z]I[dD]$")


def _like_row_numbers(name: str, values: np.ndarray, kind: str) -> str | None:
    """The reason to leave out a column that tells the row, and nothing about it."""
    present = values[~np.isnan(values)]
    rows = len(present)
    if kind != "number" or rows <= 5 or (present != np.floor(present)).any() or present.min() < 0:
        return None
    distinct, keep = len(np.unique(present)), f"keep it with {way_out('numeric', name)}"
    steps, few = np.diff(present) == 1, max(1, rows / 20)  # a few rows may have been removed
    if rows > 20 and distinct == rows and present.min() <= few and np.ptp(present) <= rows + few:
        return f"the number of the row{'' if steps.mean() > 0.5 else ', in another order'}; {keep}"
    if _INDEX.fullmatch(name) and (distinct > rows / 2 or steps.mean() > 0.5):
        return f"whole numbers and a name like the index of an exported table; {keep}"
    if _IDENTIFIER.search(name.rstrip(". #")) and distinct > max(20, rows / 5):
        return f"{distinct:,} different integers in {rows:,} rows, and a name like an identifier; {keep}"
    return None


def fit_numeric(name: str, values: np.ndarray, kind: str, numeric_columns: int = 1) -> NumericColumn:
    """Learn fill value, logarithm, standardization and knots from values (n,), NaN where missing."""
    present = values[~np.isnan(values)]
    fill = _typical(present, kind)
    low, high = float(present.min()), float(present.max())
    varies, reach, log_unit, center, scale, cuts, means = low < high, 0.0, 0.0, 0.0, 1.0, (), ()
    if varies and kind != "boolean":
        reach, log_unit = high - low, _log_unit(present, fill)
        t = np.arcsinh((present - fill) / log_unit) if log_unit else present
        center, scale = float(t.mean()), float(t.std()) or 1.0
        cuts = knots(present, steps=steps_for(len(present), numeric_columns))
        means = tuple(float(np.clip((present - a) / (b - a), 0, 1).mean()) for a, b in pairwise(cuts))
    return NumericColumn(
        name=name, kind=kind, varies=varies, flag=len(present) < len(values), fill=fill, low=low - reach,
        high=high + reach, log_unit=log_unit, center=center, scale=scale, knots=cuts, means=means,
    )  # fmt: skip


def _typical(present: np.ndarray, kind: str) -> float:
    """The value that replaces a missing one: the median; for booleans the more frequent one."""
    median = float(np.median(present))
    return float(median > 0.5) if kind == "boolean" else median


def _log_unit(present: np.ndarray, fill: float) -> float:
    """The distance from `fill` at which the signed logarithm turns from linear to logarithmic; 0 for no logarithm."""
    deviation = present - present.mean()
    spread = deviation.std()
    if len(present) < 20 or spread == 0 or abs(np.mean((deviation / spread) ** 3)) <= HEAVY_SKEW:
        return 0.0
    distance = np.abs(present - fill)
    return float(np.median(distance[distance > 0]))


def knots(values: np.ndarray, steps: int) -> tuple[float, ...]:
    """Knots that divide the values into about `steps` ranges of equally many rows.

    A value frequent enough to fill a range alone, such as 0 in most rows, gets a knot of its own.

    >>> knots(np.arange(101.0), steps=4)
    (0.0, 25.0, 50.0, 75.0, 100.0)
    """
    if steps < 2:
        return ()
    different, counts = np.unique(values, return_counts=True)
    if len(different) < 3:
        return ()
    if len(different) <= steps + 1:
        return tuple(map(float, different))
    frequent = different[counts > len(values) / steps]
    rest = values[~np.isin(values, frequent)]
    ranges = max(1, min(steps - len(frequent), len(rest) // 20))
    cuts = np.quantile(rest, np.linspace(0, 1, ranges + 1), method="nearest") if len(rest) else rest
    return tuple(map(float, np.unique(np.concatenate([frequent, cuts, different[[0, -1]]]))))


def fit_categorical(series: pl.Series, kind: str) -> CategoricalColumn | str:
    """Learn the categories of a column; rare ones, and those beyond the most frequent 100, are pooled.

    Returns the reason why the column is left out if no two values are frequent enough.
    """
    counted = series.drop_nulls().alias("value").value_counts(sort=False)
    counts = {spell(value): int(count) for value, count in counted.rows()}
    rare = min(RARE, len(series) // 1000)
    by_count = sorted(counts, key=lambda category: (-counts[category], category))
    frequent = sorted(category for category in by_count[:MOST_CATEGORIES] if counts[category] >= rare)
    pooled = sum(counts.values()) - sum(counts[category] for category in frequent)
    other, flag = pooled >= OTHER_ROWS, series.null_count() > 0
    rows_of_inputs = [
        *(counts[category] for category in frequent),
        *([pooled] if other else []),
        *([series.null_count()] if flag else []),
    ]
    if len(rows_of_inputs) < 2:
        return f"no two of its {len(counts):,} values occur in at least {rare} rows"
    return CategoricalColumn(
        name=series.name, kind=kind, categories=tuple(frequent), shares=tuple(c / len(series) for c in rows_of_inputs),
        other=other, flag=flag, rare=tuple(sorted(counts.keys() - set(frequent))[:MOST_RARE]),
    )  # fmt: skip
