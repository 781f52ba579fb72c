"""The values of a column: what kind they are, how they become numbers or texts, and how a message names their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from clearprop.tables.infer import infer_types
from clearprop.tables.marks import MISSING, strip, without_marks, without_numbers
from clearprop.tables.notation import NO_RULES, survey
from clearprop.tables.rows import RowsError, cell_error

MICROSECONDS_PER_DAY = 86_400_000_000
LARGEST = 1e100
"""Larger numbers are refused: their squares would overflow when a column is standardized."""

KIND_NAMES = {"text": "text", "number": "numbers", "boolean": "booleans", "date": "dates", "duration": "durations"}
_ONE_OF_KIND = {"text": "text", "number": "a number", "boolean": "true or false", "date": "a date", "duration": "a duration", "other": "a value of an unsupported type"}  # fmt: skip  # noqa: E501


def kind_of(series: pl.Series) -> str:
    """The kind of values in a column: "text", "number", "boolean", "date", "duration", or "other" if unsupported."""
    dtype = series.dtype
    if dtype.is_numeric():
        return "number"
    for kind, types in (("text", pl.String), ("boolean", pl.Boolean), ("date", (pl.Date, pl.Datetime))):
        if isinstance(dtype, types):
            return kind
    return "duration" if isinstance(dtype, (pl.Duration, pl.Time)) else "other"


def is_missing(series: pl.Series) -> np.ndarray:
    """True where a value is missing, shape (n,)."""
    return series.is_null().to_numpy()


# labels and categories


def spell(value: Any) -> str:
    """One text for equal values: 1, 1.0 and Decimal(1) are "1"; a datetime at midnight is its date.

    >>> spell(1.0), spell(True), spell("a"), spell(0.5)
    ('1', 'True', 'a', '0.5')
    """
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, int | float | Decimal | np.integer | np.floating):
        number = float(value)
        if isinstance(value, int | np.integer) or (number.is_integer() and abs(number) < 2**63):
            return str(int(value))
        return repr(number)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value)


def find_index(value: Any, known: Mapping[str, int], kind: str) -> int | None:
    """The index of `value` among the `known` texts of a column of that `kind`; None if it is not among them.

    The type may differ from that of the training column ("1" for 1, True for "true") if the meaning is unambiguous.
    """
    return next((known[text] for text in _spellings(value, kind) if text in known), None)


def _spellings(value: Any, kind: str) -> tuple[str, ...]:
    if isinstance(value, str) and kind == "number":
        try:
            return () if "_" in value else (spell(float(value)),)
        except ValueError:
            return ()
    if isinstance(value, str) and kind == "boolean":
        return ({"true": "True", "false": "False", "1": "True", "0": "False"}.get(value.casefold(), ""),)
    if isinstance(value, bool):
        return ("True", "true", "TRUE", "1") if value else ("False", "false", "FALSE", "0")
    if kind == "boolean":
        return ({"1": "True", "0": "False"}.get(spell(value), ""),)
    return (spell(value),)


# numbers


def as_numbers(series: pl.Series, kind: str) -> np.ndarray:
    """The column as float64 of shape (n,), NaN where missing; a "date" or "duration" in days.

    Raises TableError with column, row and value if a value is not of that `kind` or is infinite.
    """
    actual = kind_of(series)
    if series.null_count() == len(series):
        return np.full(len(series), np.nan)
    if actual == "text":
        values = _parse(series, kind)
    elif actual == kind or {actual, kind} == {"number", "boolean"}:
        values = _days(series) if kind in ("date", "duration") else _floats(series)
    else:
        value = series.drop_nulls()[0]
        raise cell_error(
            series, ~is_missing(series), f"expected {_ONE_OF_KIND[kind]}, got {value!r} ({_ONE_OF_KIND[actual]})."
        )
    too_large = np.abs(values) > LARGEST
    if too_large.any():
        raise RowsError(
            f'Column "{series.name}": infinity, or a number beyond {LARGEST:g}, in ', too_large,
            "; expected finite numbers. Correct the value, or leave the cell empty to mark it as missing.",
        )  # fmt: skip
    neither = ~np.isnan(values) & (values != 0) & (values != 1)
    if kind == "boolean" and neither.any():
        value = series[int(np.flatnonzero(neither)[0])]
        raise cell_error(series, neither, f"expected true or false (or 1 and 0), got {value!r}.")
    return values


def _floats(series: pl.Series) -> np.ndarray:
    return series.cast(pl.Float64).to_numpy().astype(np.float64)


def _days(series: pl.Series) -> np.ndarray:
    if isinstance(series.dtype, pl.Time):
        return _floats(series.cast(pl.Int64)) / (1000 * MICROSECONDS_PER_DAY)
    if isinstance(series.dtype, pl.Duration):
        return _floats(series.dt.total_microseconds()) / MICROSECONDS_PER_DAY
    return _floats(series.cast(pl.Datetime("us")).dt.timestamp("us")) / MICROSECONDS_PER_DAY


def _parse(series: pl.Series, kind: str) -> np.ndarray:
    """Texts that spell values of `kind`."""
    texts = without_marks(series, dates=kind == "date")
    if kind == "boolean":
        known = {"True": 1, "False": 0}
        indices = [None if text is None else find_index(text, known, "boolean") for text in texts.to_list()]
        parsed = pl.Series(series.name, indices, pl.Float64)
    else:
        parsed = _typed(texts, kind)
    unparsed = is_missing(parsed) & ~is_missing(texts)
    if unparsed.any():
        value = series[int(np.flatnonzero(unparsed)[0])]
        more = f" ({int(unparsed.sum())} such rows)" if unparsed.sum() > 1 else ""
        raise cell_error(
            series, unparsed, f'expected {_ONE_OF_KIND[kind]}, got "{value}"{more}. '
            "Correct the value, or leave the cell empty to mark it as missing.",
        )  # fmt: skip
    return _floats(parsed) if kind in ("number", "boolean") else _days(parsed)


def _typed(texts: pl.Series, kind: str) -> pl.Series:
    """The texts as values of a kind, in the notation that all of them fit, or else that most fit."""
    if kind == "number" and (plain := texts.cast(pl.Float64, strict=False)).null_count() == texts.null_count():
        return plain
    typed = infer_types([texts], NO_RULES).columns[0]
    if kind_of(typed) == kind:
        return typed
    nearest = survey(texts).nearest
    if nearest is None or nearest.value_kind != kind:
        return texts.cast(pl.Float64, strict=False) if kind == "number" else texts.set(texts.is_not_null(), None)
    return nearest.parse(texts)


# texts of a file or of objects


def normalise(series: pl.Series, missing: Sequence[str] = MISSING) -> pl.Series:
    """The column as Int64, Float64, Boolean, String, or a type of time; an unsupported type as it is."""
    if series.dtype == pl.String:
        return strip(series, missing)
    if series.dtype in (pl.Categorical, pl.Enum):
        return strip(series.cast(pl.String), missing)
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype.is_integer() or (isinstance(series.dtype, pl.Decimal) and series.dtype.scale == 0):
        whole = series.cast(pl.Int64, strict=False)
        return without_numbers(whole, missing) if whole.null_count() == series.null_count() else series.cast(pl.String)
    if series.dtype.is_numeric():
        numbers = series.cast(pl.Float64)
        numbers = without_numbers(numbers, missing)
        return numbers.fill_nan(None) if numbers.is_nan().any() else numbers  # filling is slow for many short columns
    return series


def as_written(series: pl.Series) -> pl.Series:
    """The values as texts, in which only an empty text is missing: "NA" and "None" stay.

    >>> as_written(pl.Series(["NA", " b ", ""])).to_list(), as_written(pl.Series([1, 2**60])).to_list()
    (['NA', 'b', None], ['1', '1152921504606846976'])
    """
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return strip(series.cast(pl.String), ("",))
    values = [None if value is None or value != value else spell(value) for value in series.to_list()]
    return pl.Series(series.name, values, pl.String)


def loses_digits(series: pl.Series) -> bool:
    """Whether different whole numbers of a column would become equal as float64, which has 53 bits.

    >>> loses_digits(pl.Series([2**60, 2**60 + 1])), loses_digits(pl.Series([2**60, 2**61]))
    (True, False)
    """
    if not series.dtype.is_integer() or int(np.abs(np.array([series.min() or 0, series.max() or 0])).max()) <= 2**53:
        return False
    return series.cast(pl.Float64).n_unique() < series.n_unique()
