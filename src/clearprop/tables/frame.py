"""Any data frame as one kind of frame, so that everything after it is written and tested once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from clearprop.errors import TableError
from clearprop.tables.plain import cleaned, from_objects, is_absent
from clearprop.tables.read import read_table


def as_frame(data: Any, *, text: Sequence[str] = ()) -> nw.DataFrame[Any]:
    """`data` as a narwhals frame over polars.

    `data` is a path, a pandas, polars, narwhals or pyarrow table, or a dict of columns. Categories become text. White
    space around texts is stripped, and "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None" and "?" are missing, as
    are NaN and None. A column of a frame keeps the type it has: "1" stays text. `text` names columns of a file that
    are read as text whatever they look like.

    Raises TableError when `data` is not a table.

    >>> as_frame({"age": [30, None], "job": [" clerk", "?"]}).rows()
    [(30, 'clerk'), (None, None)]
    """
    if isinstance(data, str | os.PathLike):
        return read_table(data, text=text)
    if isinstance(data, Mapping):
        return nw.from_native(_from_columns(data), eager_only=True)
    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise TableError(
            f"A table: expected a path, a data frame (pandas, polars, pyarrow) or a dict of columns, "
            f"got {type(data).__name__}. Collect a lazy frame first. An array has no column names: "
            "give it to MLPClassifier or MLPRegressor, or name its columns."
        ) from None
    except nw.exceptions.DuplicateError as reason:
        raise TableError(f"{reason} Give each column its own name.") from None
    names = [str(name) for name in frame.columns]
    refuse_twice(names)
    plain = [_plain(series, name) for series, name in zip(frame.iter_columns(), names, strict=True)]
    return nw.from_native(pl.DataFrame(plain), eager_only=True)


def declared_categories(data: Any) -> tuple[str, ...]:
    """The columns that a frame declares as categories; what they hold does not matter then, even numbers."""
    if isinstance(data, str | os.PathLike | Mapping):
        return ()
    schema = nw.from_native(data, eager_only=True).schema
    return tuple(str(name) for name, dtype in schema.items() if isinstance(dtype, nw.Categorical | nw.Enum))


def refuse_twice(names: Sequence[str]) -> None:
    """Raise TableError when a column name occurs twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f'Column "{twice[0]}" occurs {names.count(twice[0])} times; give each column its own name.')


def _from_columns(columns: Mapping[Any, Any]) -> pl.DataFrame:
    made: list[pl.Series] = []
    for name, values in columns.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TableError(f'Column "{name}": expected a sequence of values, got {values!r}.')
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise TableError(f'Column "{name}": expected one value per row, got an array of shape {values.shape}.')
        if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM":
            made.append(cleaned(pl.Series(str(name), values)))
        else:
            made.append(cleaned(from_objects(str(name), [None if is_absent(v) else v for v in values])))
    lengths = {len(series) for series in made}
    if len(lengths) > 1:
        told = ", ".join(f'"{series.name}" {len(series)}' for series in made)
        raise TableError(f"Columns of different lengths: {told} rows. Every column needs one value per row.")
    refuse_twice([series.name for series in made])
    return pl.DataFrame(made)


def _plain(series: nw.Series[Any], name: str) -> pl.Series:
    """A polars series of the same values."""
    native = series.to_native()
    if isinstance(native, pl.Series):
        plain = native.rename(name)
        return cleaned(from_objects(name, plain.to_list()) if plain.dtype == pl.Object else plain)
    if series.dtype.is_numeric() and not series.dtype.is_decimal():
        whole = series if series.null_count() == 0 else series.cast(nw.Float64())
        return cleaned(pl.Series(name, whole.to_numpy()))
    if isinstance(series.dtype, nw.Datetime):
        if series.dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return cleaned(pl.Series(name, series.to_numpy()))
    absent = series.is_null().to_list()
    return cleaned(from_objects(name, [None if gone else v for v, gone in zip(series.to_list(), absent, strict=True)]))
