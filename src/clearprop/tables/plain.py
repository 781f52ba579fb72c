"""Values of any origin as polars series of the few types that the rest of this package knows."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from clearprop.tables.texts import inferred, stripped
from clearprop.tables.values import spell


def from_objects(name: str, values: list[Any]) -> pl.Series:
    """A typed series of Python objects; mixed texts and numbers are read as a file would be."""
    kinds = {type(value) for value in values if not is_absent(value)}
    values = [None if is_absent(value) else value for value in values]
    truths, texts, real = {bool, np.bool_}, {str, np.str_}, {int, float, Decimal}
    if kinds <= truths:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds <= texts:
        return pl.Series(name, values, dtype=pl.String)
    numeric = all(kind in real or issubclass(kind, np.integer | np.floating) for kind in kinds - truths - texts)
    if numeric and not kinds & (truths | texts):
        return pl.Series(name, _numbers(values))
    if numeric:
        return inferred(stripped(pl.Series(name, [None if v is None else spell(v) for v in values], dtype=pl.String)))
    if all(issubclass(kind, date) for kind in kinds):
        moments = [v if v is None or isinstance(v, datetime) else datetime(v.year, v.month, v.day) for v in values]
        return pl.Series(name, moments)
    if kinds == {time}:
        return pl.Series(name, values, dtype=pl.Time)
    if all(issubclass(kind, timedelta) for kind in kinds):
        return pl.Series(name, values, dtype=pl.Duration("us"))
    return pl.Series(name, values, dtype=pl.Object)


def _numbers(values: list[Any]) -> list[float | int | None]:
    """Whole numbers as they are, as long as 64 bits hold them; floats otherwise."""
    whole = all(v is None or (isinstance(v, int | np.integer) and abs(int(v)) < 2**63) for v in values)
    return [None if v is None else (int(v) if whole else float(v)) for v in values]


def cleaned(series: pl.Series) -> pl.Series:
    """The few types the rest knows: Int64, Float64, Boolean, String, dates and times; anything else as it is."""
    if series.dtype == pl.String:
        return stripped(series)
    if series.dtype in (pl.Categorical, pl.Enum):
        return stripped(series.cast(pl.String))
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype.is_signed_integer() and series.dtype != pl.Int128:
        return series.cast(pl.Int64)
    if series.dtype in (pl.UInt8, pl.UInt16, pl.UInt32):
        return series.cast(pl.Int64)
    if series.dtype.is_numeric():
        return series.cast(pl.Float64).fill_nan(None)
    return series


def is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
