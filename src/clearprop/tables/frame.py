"""Any data frame as one table: the columns in a few Polars types, cleaned once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from clearprop.errors import ArgumentError, TableError, suggest
from clearprop.tables.after_fork import safe_after_fork
from clearprop.tables.csv_text import different_names
from clearprop.tables.infer import infer_plain, infer_types
from clearprop.tables.marks import MISSING, strip
from clearprop.tables.notation import NO_RULES, ReadingRules
from clearprop.tables.read import lines_of_rows, read_file, refuse_header_among_rows
from clearprop.tables.rows import RowsError, name_rows
from clearprop.tables.values import as_written, normalise, spell

#: Plain numbers that are texts in a data frame stay texts if there are at most this many different ones.
MOST_CODES = 20


@dataclass(frozen=True)
class Table:
    """A normalised table, as `as_table` makes it; `categories` are the columns that a data frame declares as such.

    `exact` are those whose texts are kept as they are written. `rules` tell how texts were read as values. `notes` are
    sentences about what reading changed or left out; a fit reports them. `source` is what the table was made of, and
    `rows` are the rows of it that were taken, None for all of them.
    """

    frame: pl.DataFrame
    categories: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rules: ReadingRules = NO_RULES
    source: Any = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> list[str]:
        """The column names."""
        return self.frame.columns

    def __getitem__(self, column: str) -> pl.Series:
        return self.frame[column]

    @safe_after_fork
    def take(self, rows: np.ndarray | Sequence[int]) -> Table:
        """The table of some rows only; messages still name them as rows of the whole."""
        taken = np.asarray(rows)
        return replace(self, frame=self.frame[taken], rows=taken if self.rows is None else self.rows[taken])

    def require(
        self, columns: Sequence[str], what: str = "Column", problem: str = "is missing from the table."
    ) -> None:
        """Raise TableError if one of the columns does not exist."""
        known = set(self.columns)
        for name in columns:
            if name not in known:
                single = "" if len(known) > 1 else " The table has only this column: is the separator another one?"
                raise TableError(f'{what} "{name}" {problem} {suggest(name, self.columns)}{single}')

    @contextmanager
    def naming_rows(self) -> Iterator[None]:
        """Raise an error about rows as a TableError with the rows of the user's table, or the lines of a CSV file."""
        try:
            yield
        except RowsError as error:
            raise TableError(error.naming(self.name_rows(error.rows))) from None

    def name_rows(self, rows: np.ndarray) -> str:
        """Some rows as those of the user's table, "rows 2, 3", or as lines of its file, "line 4 of the file"."""
        rows = rows if self.rows is None else self.rows[rows]
        lines = None
        if isinstance(self.source, str | os.PathLike):
            lines = lines_of_rows(self.source, rows)
        return name_rows(rows) if lines is None else f"{name_rows(lines, 'line')} of the file"

    def spelt(self, column: str) -> pl.Series:
        """A column as its texts are written in the source, "NA" and "None" too."""
        everything = as_table(self.source, exact=(column,), columns=())[column]
        return everything if self.rows is None else everything[self.rows]


@safe_after_fork
def as_table(
    data: Any,
    *,
    text: Sequence[str] = (),
    exact: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    rules: ReadingRules = NO_RULES,
    infer: bool = False,
) -> Table:
    """`data` as a table: the only function that normalises a file, a data frame or a dict of columns.

    `data` is a path, a pandas, Polars, narwhals or pyarrow table, or a dict of columns. Categories become text. White
    space around texts is stripped, and "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None" and "?" are missing, as
    are NaN and None. `text` and `exact` name columns that stay text whatever they look like. Texts of a file become
    numbers, dates and durations by `rules`; those of a data frame do so only if `rules` has their notation, or with
    `infer`: then in columns of more than 20 different plain numbers, and in any other notation. Only `columns`, if
    given, are inferred.

    Raises TableError if `data` is not a table, and if a column is ambiguous.

    >>> as_table({"age": [30, None], "job": [" clerk", "?"]}).frame.rows()
    [(30, 'clerk'), (None, None)]
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | os.PathLike):
        read = read_file(data, exact=exact, missing=rules.missing)
        table = Table(read.frame, exact=tuple(exact), notes=read.notes, rules=rules, source=data)
        texts = [s for s in table.frame if s.dtype == pl.String]
        return _typed(table, texts if read.layout or infer else [], text, columns, read.in_doubt)
    frame, categories = _from_data(data, exact, (*MISSING, *rules.missing))
    table = Table(frame, categories, tuple(exact), rules=rules, source=data)
    if infer:
        refuse_header_among_rows(frame.get_columns(), "The table")
    texts = [s for s in frame if s.dtype == pl.String and s.name not in categories]
    texts = [s for s in texts if s.name in rules.notations or (infer and not _are_few_codes(s))]
    return _typed(table, texts, text, columns, ",")


def _typed(
    table: Table, texts: list[pl.Series], text: Sequence[str], columns: Sequence[str] | None, in_doubt: str
) -> Table:
    """The table with some texts as numbers, dates and durations."""
    used = [s for s in texts if columns is None or s.name in columns]
    with table.naming_rows():
        typed = infer_types(used, table.rules, {*text, *table.exact}, in_doubt, learning=columns is None)
    frame = table.frame.with_columns(typed.columns)
    notes = (*table.notes, *typed.notes)
    if table.rules.missing and columns is None and not any(s.null_count() for s in frame):
        listed = ", ".join(f'"{mark}"' for mark in table.rules.missing)
        notes = (*notes, f"missing: no cell of the table is {listed}")
    return replace(table, frame=frame, rules=typed.rules, notes=notes)


def _are_few_codes(texts: pl.Series) -> bool:
    return texts.n_unique() <= MOST_CODES and infer_plain(texts).dtype in (pl.Int64, pl.Float64, pl.Boolean)


def _from_data(data: Any, exact: Sequence[str], marks: Sequence[str]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The normalised columns of a data frame or a dict, and those declared as categories."""
    if isinstance(data, Mapping):
        return _from_columns(data, exact, marks), ()
    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise TableError(
            f"expected a table: a path, a data frame (pandas, polars, pyarrow) or a dict of columns, "
            f"got {type(data).__name__}. Collect a lazy frame first. An array has no column names: "
            "give it to MLPClassifier or MLPRegressor, or name its columns. One row of a pandas data frame is "
            "frame.iloc[[0]]; a list of dicts becomes a data frame by polars.DataFrame(rows)."
        ) from None
    except nw.exceptions.DuplicateError as reason:
        raise TableError(f"{reason} Give each column its own name.") from None
    names = zip(different_names(frame.columns, "The table"), frame.iter_columns(), strict=True)
    return pl.DataFrame([_from_series(s, name, exact, marks) for name, s in names]), declared_categories(frame)


def declared_categories(data: Any) -> tuple[str, ...]:
    """The columns that a data frame declares as categories, whatever they hold."""
    schema = nw.from_native(data, eager_only=True).schema
    names = different_names(list(schema), "The table")
    return tuple(
        n for n, dtype in zip(names, schema.values(), strict=True) if isinstance(dtype, nw.Categorical | nw.Enum)
    )


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


def _from_columns(columns: Mapping[Any, Any], exact: Sequence[str], marks: Sequence[str]) -> pl.DataFrame:
    series: list[pl.Series] = []
    for name, values in zip(different_names(list(columns), "The table"), columns.values(), strict=True):
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TableError(
                f'Column "{name}": expected a sequence of values, got {values!r}. For one row, give a list of one '
                f'value: {{"{name}": [{values!r}]}}.'
            )
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise TableError(f'Column "{name}": expected one value per row, got an array of shape {values.shape}.')
        if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM":
            series.append(_cleaned(pl.Series(name, values), exact, marks))
        else:
            series.append(_cleaned(_from_objects(name, list(values), exact, marks), exact, marks))
    if len({len(column) for column in series}) > 1:
        lengths = ", ".join(f'"{column.name}" {len(column)}' for column in series)
        raise TableError(f"Columns of different lengths: {lengths} rows. Every column needs one value per row.")
    return pl.DataFrame(series)


def _cleaned(series: pl.Series, exact: Sequence[str], marks: Sequence[str]) -> pl.Series:
    return as_written(series) if series.name in exact else normalise(series, marks)


def _from_series(series: nw.Series[Any], name: str, exact: Sequence[str], marks: Sequence[str]) -> pl.Series:
    """A series of any library as a normalised Polars series."""
    native = series.to_native()
    if isinstance(native, pl.Series):
        column = native.rename(name)
        if column.dtype == pl.Object:
            column = _from_objects(name, column.to_list(), exact, marks)
        return _cleaned(column, exact, marks)
    whole_with_gaps = series.dtype.is_integer() and series.null_count() > 0  # as float64, digits beyond 2^53 are lost
    if series.dtype.is_numeric() and not series.dtype.is_decimal() and not whole_with_gaps:
        values = series if series.null_count() == 0 else series.cast(nw.Float64())
        return _cleaned(pl.Series(name, values.to_numpy()), exact, marks)
    if isinstance(series.dtype, nw.Datetime):
        if series.dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return _cleaned(pl.Series(name, series.to_numpy()), exact, marks)
    missing = series.is_null().to_list()
    values = [None if gone else value for value, gone in zip(series.to_list(), missing, strict=True)]
    return _cleaned(_from_objects(name, values, exact, marks), exact, marks)


def _from_objects(name: str, values: list[Any], exact: Sequence[str], marks: Sequence[str]) -> pl.Series:
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
        return _whole_or_float(name, values)
    if numeric and name in exact:
        return pl.Series(name, [None if v is None else spell(v) for v in values], dtype=pl.String)
    if numeric:
        texts = pl.Series(name, [None if v is None else spell(v) for v in values], dtype=pl.String)
        return infer_types([strip(texts, marks)], NO_RULES).columns[0]
    if all(issubclass(kind, date) for kind in kinds):
        datetimes = [v if v is None or isinstance(v, datetime) else datetime(v.year, v.month, v.day) for v in values]
        return pl.Series(name, datetimes)
    if kinds == {time}:
        return pl.Series(name, values, dtype=pl.Time)
    if all(issubclass(kind, timedelta) for kind in kinds):
        return pl.Series(name, values, dtype=pl.Duration("us"))
    return pl.Series(name, values, dtype=pl.Object)


def _whole_or_float(name: str, values: list[Any]) -> pl.Series:
    """Integers if every value is one, as text if one has more than 64 bits; floats otherwise."""
    if not all(v is None or isinstance(v, int | np.integer) or _is_whole_decimal(v) for v in values):
        return pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64)
    whole = [None if v is None else int(v) for v in values]
    if all(v is None or abs(v) < 2**63 for v in whole):
        return pl.Series(name, whole, pl.Int64)
    return pl.Series(name, [None if v is None else str(v) for v in whole], pl.String)


def _is_whole_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value()


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
