"""The values of one column as numbers or as labels, and the rows that an error message names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np

from clearprop.errors import TableError
from clearprop.tables.texts import as_dates

MICROSECONDS_PER_DAY = 86_400_000_000
LARGEST = 1e100
"""Numbers beyond are refused: their squares would overflow when a column is standardized."""


def held(series: nw.Series[Any]) -> str:
    """What a column holds: "text", "number", "boolean", "date", "duration", or "other" when it cannot be used."""
    dtype = series.dtype
    if dtype.is_numeric():
        return "number"
    for kind, types in (("text", nw.String), ("boolean", nw.Boolean), ("date", (nw.Date, nw.Datetime))):
        if isinstance(dtype, types):
            return kind
    return "duration" if isinstance(dtype, nw.Duration | nw.Time) else "other"


def rows(mask: np.ndarray) -> str:
    """Where `mask` is true, in words; rows count from 1 and the line of column names is none.

    >>> rows(np.array([False, True, True]))
    'rows 2, 3'
    """
    found = np.flatnonzero(mask) + 1
    listed = ", ".join(map(str, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return f"row{'s' if len(found) > 1 else ''} {listed}"


def first_row(series: nw.Series[Any], value: Any) -> str:
    """The first row that holds `value`, in words."""
    return rows(np.arange(len(series)) == np.flatnonzero((series == value).fill_null(False).to_numpy())[0])


def missing(series: nw.Series[Any]) -> np.ndarray:
    """True where a value is missing, shape (n,)."""
    return series.is_null().to_numpy().astype(bool)


def spell(value: Any) -> str:
    """One spelling for equal values: 1, 1.0 and Decimal(1) are "1", and midnight of a day is that day.

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


def find(value: Any, known: Mapping[str, int], kind: str) -> int | None:
    """The place of `value` among the `known` spellings of a column that held `kind`; None when it is not there.

    The type may differ from the one that was learnt from ("1" for 1, True for "true") as long as the meaning is plain.
    """
    for spelling in _spellings(value, kind):
        if spelling in known:
            return known[spelling]
    return None


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


def numbers(series: nw.Series[Any], kind: str) -> np.ndarray:
    """The column as float64 of shape (n,), NaN where missing; a "date" or "duration" in days.

    Raises TableError with column, row and value where a value is not of that `kind`, and where it is infinite.
    """
    now, name = held(series), series.name
    if series.null_count() == len(series):
        return np.full(len(series), np.nan)
    fits = {"number": ("number", "boolean"), "boolean": ("number", "boolean")}.get(kind, (kind,))
    if now == "text":
        values = _parsed(series, kind)
    elif now not in fits:
        row = int(np.flatnonzero(~missing(series))[0])
        value = series[row]
        raise TableError(f'Column "{name}", row {row + 1}: expected {_WORDS[kind]}, got {value!r} ({_WORDS[now]}).')
    else:
        values = _days(series) if now in ("date", "duration") else _floats(series)
    if (np.abs(values) > LARGEST).any():
        raise TableError(
            f'Column "{name}": infinity, or a number beyond {LARGEST:g}, in {rows(np.abs(values) > LARGEST)}; '
            "expected finite numbers. "
            "Correct the value, or leave the cell empty to mark it as missing."
        )
    if kind == "boolean" and not np.isin(values[~np.isnan(values)], (0, 1)).all():
        row = int(np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))[0])
        raise TableError(f'Column "{name}", row {row + 1}: expected true or false (or 1 and 0), got {series[row]!r}.')
    return values


_WORDS = {
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "duration": "a duration",
    "text": "text",
    "other": "a value of a type that cannot be used",
}


def _floats(series: nw.Series[Any]) -> np.ndarray:
    return series.cast(nw.Float64()).to_numpy().astype(np.float64)


def _days(series: nw.Series[Any]) -> np.ndarray:
    if isinstance(series.dtype, nw.Time):
        return _floats(series.cast(nw.Int64())) / (1000 * MICROSECONDS_PER_DAY)
    if isinstance(series.dtype, nw.Duration):
        return _floats(series.dt.total_microseconds()) / MICROSECONDS_PER_DAY
    return _floats(series.cast(nw.Datetime("us")).dt.timestamp("us")) / MICROSECONDS_PER_DAY


def _parsed(series: nw.Series[Any], kind: str) -> np.ndarray:
    """Texts that spell values of `kind`."""
    native = series.to_native()
    if kind == "date":
        read = nw.from_native(as_dates(native), series_only=True)
    elif kind == "boolean":
        known = {"True": 1, "False": 0}
        found = [None if text is None else find(text, known, "boolean") for text in native.to_list()]
        read = nw.new_series(series.name, found, nw.Float64(), backend="polars")
    elif kind == "number":
        read = nw.from_native(native.cast(float, strict=False), series_only=True)
    else:
        read = nw.from_native(native.clear().extend_constant(None, len(native)), series_only=True)
    lost = missing(read) & ~missing(series)
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        more = f" ({int(lost.sum())} such rows)" if lost.sum() > 1 else ""
        raise TableError(
            f'Column "{series.name}", row {row + 1}: expected {_WORDS[kind]}, got "{series[row]}"{more}. '
            "Correct the value, or leave the cell empty to mark it as missing."
        )
    return _days(read) if kind == "date" else _floats(read)
