"""Any data frame as one table: the columns in a few Polars types, cleaned once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from clearprop.errors import ArgumentError, TableError, suggest
from clearprop.tables.infer import infer_plain, infer_types
from clearprop.tables.marks import strip
from clearprop.tables.notation import ReadingRules
from clearprop.tables.read import read_file, refuse_header_among_rows
from clearprop.tables.values import normalise, spell

#: Plain numbers that are texts in a data frame stay categories if there are at most this many different ones.
MOST_CODES = 20


@dataclass(frozen=True)
class Table:
    """A normalised table, as `as_table` makes it.

    `categories` are the columns that a data frame declares as such, `rules` tell how texts were read as values, and
    `notes` tell it in sentences for the user.
    """

    frame: pl.DataFrame
    categories: tuple[str, ...] = ()
    rules: ReadingRules = ReadingRules()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> list[str]:
        """The column names."""
        return self.frame.columns

    def __getitem__(self, column: str) -> pl.Series:
        return self.frame[column]

    def take(self, rows: np.ndarray | Sequence[int]) -> Table:
        """The table of some rows only."""
        return replace(self, frame=self.frame[np.asarray(rows)])

    def require(
        self, columns: Sequence[str], what: str = "Column", problem: str = "is missing from the table."
    ) -> None:
        """Raise TableError if one of the columns does not exist."""
        for name in columns:
            if name not in self.columns:
                single = "" if len(self.columns) > 1 else " The table has this one column: is the separator another?"
                raise TableError(f'{what} "{name}" {problem} {suggest(name, self.columns)}{single}')


def as_table(
    data: Any,
    *,
    text: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    rules: ReadingRules = ReadingRules(),
    infer: bool = False,
) -> Table:
    """`data` as a table: the only function that normalises a file, a data frame or a dict of columns.

    `data` is a path, a pandas, Polars, narwhals or pyarrow table, or a dict of columns. Categories become text. White
    space around texts is stripped, and "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None" and "?" are missing, as
    are NaN and None. `text` names columns that stay text whatever they look like. Texts of a file become numbers or
    dates by `rules`, those of a data frame only if `rules` has their notation, or with `infer`: then columns of more
    than 20 different plain numbers, and all in another notation. Only `columns`, if given, are inferred.

    Raises TableError if `data` is not a table.

    >>> as_table({"age": [30, None], "job": [" clerk", "?"]}).frame.rows()
    [(30, 'clerk'), (None, None)]
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | os.PathLike):
        read = read_file(data, rules, text=text, columns=columns)
        return Table(read.frame, (), read.rules, read.notes)
    frame, categories = _from_data(data, rules.missing)
    return _with_values_of_texts(Table(frame, categories, rules), (*text, *categories), columns, infer=infer)


def _from_data(data: Any, missing: Sequence[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The normalised columns of a data frame or a dict, and those declared as categories."""
    if isinstance(data, Mapping):
        return _from_columns(data, missing), ()
    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise TableError(
            f"expected a table: a path, a data frame (pandas, polars, pyarrow) or a dict of columns, "
            f"got {type(data).__name__}. Collect a lazy frame first. An array has no column names: "
            "give it to MLPClassifier or MLPRegressor, or name its columns."
        ) from None
    except nw.exceptions.DuplicateError as reason:
        raise TableError(f"{reason} Give each column its own name.") from None
    names = [str(name) for name in frame.columns]
    _check_unique(names)
    columns = [_from_series(series, name, missing) for series, name in zip(frame.iter_columns(), names, strict=True)]
    return pl.DataFrame(columns), declared_categories(frame)


def _with_values_of_texts(table: Table, text: Sequence[str], columns: Sequence[str] | None, *, infer: bool) -> Table:
    """The table with texts of a data frame as numbers, dates and durations where that is due."""
    if infer:
        refuse_header_among_rows(table.frame.get_columns())
    texts = [s for s in table.frame.get_columns() if s.dtype == pl.String and s.name not in text]
    texts = [s for s in texts if s.name in table.rules.notations or (infer and not _are_few_codes(s))]
    typed = infer_types([s for s in texts if columns is None or s.name in columns], table.rules)
    return replace(table, frame=table.frame.with_columns(typed.columns), rules=typed.rules, notes=typed.notes)


def _are_few_codes(texts: pl.Series) -> bool:
    return texts.n_unique() <= MOST_CODES and infer_plain(texts).dtype in (pl.Int64, pl.Float64, pl.Boolean)


def declared_categories(data: Any) -> tuple[str, ...]:
    """The columns that a data frame declares as categories, whatever they hold."""
    schema = nw.from_native(data, eager_only=True).schema
    return tuple(str(name) for name, dtype in schema.items() if isinstance(dtype, nw.Categorical | nw.Enum))


class Columns(dict[str, np.ndarray]):
    """Columns by name, a dict of arrays of equal length, that also becomes a data frame.

    >>> columns = Columns(job=np.array(["cook", "clerk"]), probability=np.array([0.75, 0.5]))
    >>> columns["job"]
    array(['cook', 'clerk'], dtype='<U5')
    >>> columns.to_polars().shape
    (2, 2)
    """

    def to_polars(self) -> pl.DataFrame:
        """The columns as a Polars data frame."""
        return pl.DataFrame(dict(self))

    def to_pandas(self) -> Any:
        """The columns as a pandas data frame; raises ArgumentError if pandas is not installed."""
        try:
            import pandas as pd  # optional
        except ImportError:
            raise ArgumentError("to_pandas: pandas is not installed; install it, or use to_polars().") from None
        return pd.DataFrame(dict(self))


def _check_unique(names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(
            f'Column "{repeated[0]}" occurs {names.count(repeated[0])} times; give each column its own name.'
        )


def _from_columns(columns: Mapping[Any, Any], missing: Sequence[str]) -> pl.DataFrame:
    series: list[pl.Series] = []
    for name, values in columns.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TableError(f'Column "{name}": expected a sequence of values, got {values!r}.')
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise TableError(f'Column "{name}": expected one value per row, got an array of shape {values.shape}.')
        if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM":
            series.append(normalise(pl.Series(str(name), values)))
        else:
            series.append(normalise(_from_objects(str(name), list(values), missing), missing))
    if len({len(column) for column in series}) > 1:
        lengths = ", ".join(f'"{column.name}" {len(column)}' for column in series)
        raise TableError(f"Columns of different lengths: {lengths} rows. Every column needs one value per row.")
    _check_unique([column.name for column in series])
    return pl.DataFrame(series)


def _from_series(series: nw.Series[Any], name: str, missing: Sequence[str]) -> pl.Series:
    """A series of any library as a normalised Polars series."""
    native = series.to_native()
    if isinstance(native, pl.Series):
        column = native.rename(name)
        return normalise(
            _from_objects(name, column.to_list(), missing) if column.dtype == pl.Object else column, missing
        )
    if series.dtype.is_numeric() and not series.dtype.is_decimal():
        values = series if series.null_count() == 0 else series.cast(nw.Float64())
        return normalise(pl.Series(name, values.to_numpy()))
    if isinstance(series.dtype, nw.Datetime):
        if series.dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return normalise(pl.Series(name, series.to_numpy()))
    absent = series.is_null().to_list()
    values = [None if gone else value for value, gone in zip(series.to_list(), absent, strict=True)]
    return normalise(_from_objects(name, values, missing), missing)


def _from_objects(name: str, values: list[Any], missing: Sequence[str]) -> pl.Series:
    """A typed series of Python objects; the type of mixed texts and numbers is inferred as for a file."""
    values = [None if _is_absent(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    truths, texts, real = {bool, np.bool_}, {str, np.str_}, {int, float, Decimal}
    if kinds <= truths:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds <= texts:
        return pl.Series(name, values, dtype=pl.String)
    numeric = all(kind in real or issubclass(kind, np.integer | np.floating) for kind in kinds - truths - texts)
    if numeric and not kinds & (truths | texts):
        return pl.Series(name, _int_or_float(values))
    if numeric:
        texts = pl.Series(name, [None if v is None else spell(v) for v in values], dtype=pl.String)
        return infer_plain(strip(texts, missing))
    if all(issubclass(kind, date) for kind in kinds):
        datetimes = [v if v is None or isinstance(v, datetime) else datetime(v.year, v.month, v.day) for v in values]
        return pl.Series(name, datetimes)
    if kinds == {time}:
        return pl.Series(name, values, dtype=pl.Time)
    if all(issubclass(kind, timedelta) for kind in kinds):
        return pl.Series(name, values, dtype=pl.Duration("us"))
    return pl.Series(name, values, dtype=pl.Object)


def _int_or_float(values: list[Any]) -> list[float | int | None]:
    """Integers if every value is one of at most 64 bits; floats otherwise."""
    integers = all(v is None or (isinstance(v, int | np.integer) and abs(int(v)) < 2**63) for v in values)
    return [None if v is None else (int(v) if integers else float(v)) for v in values]


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
