"""The values of a column: what kind they are, how they become numbers or texts, and how a message names their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from clearprop.errors import TableError

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean a missing value, without the white space around them."""
MICROSECONDS_PER_DAY = 86_400_000_000
LARGEST = 1e100
"""Larger numbers are refused: their squares would overflow when a column is standardized."""

_DATES = ("%Y-%m-%d",)
_DATETIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")  # fmt: skip  # noqa: E501

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


def name_rows(numbers: Sequence[int] | np.ndarray, what: str = "row") -> str:
    """Some rows (or lines) for a message.

    >>> name_rows([3]), name_rows(range(2, 9), "line")
    ('row 3', 'lines 2, 3, 4, 5, 6 and 2 more')
    """
    more = f" and {len(numbers) - 5:,} more" if len(numbers) > 5 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:5]))}{more}"


class RowsError(TableError):
    """An error about rows of a table, which stand between two parts of the message and count from 0.

    What raises it sees one column only. `Table.naming_rows` raises it again with the rows of the user's table, or the
    lines of the file.
    """

    def __init__(self, before: str, mask: np.ndarray, after: str) -> None:
        self.before, self.rows, self.after = before, np.flatnonzero(mask), after
        super().__init__(self.naming(name_rows(self.rows)))

    def naming(self, rows: str) -> str:
        """The message with other words for the rows."""
        return f"{self.before}{rows}{self.after}"


def cell_error(series: pl.Series, mask: np.ndarray, after: str, what: str = "Column") -> RowsError:
    """The error about the first cell where `mask` is true, as in 'Column "age", row 3: expected ...'."""
    first = np.arange(len(series)) == np.flatnonzero(mask)[0]
    return RowsError(f'{what} "{series.name}", ', first, f": {after}")


def holds(series: pl.Series, value: Any) -> np.ndarray:
    """True where the column holds `value`, shape (n,)."""
    return (series == value).fill_null(False).to_numpy()


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


def not_numeric(texts: pl.Series) -> np.ndarray:
    """True where a text is present but is not a number, shape (n,)."""
    return (texts.is_not_null() & _number(texts).is_null()).to_numpy()


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
    if kind == "date":
        parsed = _datetime(series).fill_null(_date(series).cast(pl.Datetime("us")))
    elif kind == "boolean":
        known = {"True": 1, "False": 0}
        indices = [None if text is None else find_index(text, known, "boolean") for text in series.to_list()]
        parsed = pl.Series(series.name, indices, pl.Float64)
    elif kind == "number":
        parsed = _number(series)
    else:
        parsed = pl.repeat(None, len(series), dtype=pl.Duration, eager=True)
    unparsed = is_missing(parsed) & ~is_missing(series)
    if unparsed.any():
        value = series[int(np.flatnonzero(unparsed)[0])]
        more = f" ({int(unparsed.sum())} such rows)" if unparsed.sum() > 1 else ""
        raise cell_error(
            series, unparsed, f'expected {_ONE_OF_KIND[kind]}, got "{value}"{more}. '
            "Correct the value, or leave the cell empty to mark it as missing.",
        )  # fmt: skip
    return _days(parsed) if kind == "date" else _floats(parsed)


# texts of a file or of objects


def normalise(series: pl.Series) -> pl.Series:
    """The column as Int64, Float64, Boolean, String, or a type of time; an unsupported type as it is."""
    if series.dtype == pl.String:
        return strip(series)
    if series.dtype in (pl.Categorical, pl.Enum):
        return strip(series.cast(pl.String))
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == series.null_count() else series.cast(pl.String)
    if series.dtype.is_numeric():
        return series.cast(pl.Float64).fill_nan(None)
    return series


def strip(texts: pl.Series, missing: Sequence[str] = MISSING) -> pl.Series:
    """The texts without white space around them; null where they mean a missing value."""
    bare = texts.str.strip_chars()
    return bare.set(bare.is_in(missing).fill_null(False), None)


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


def infer_type(texts: pl.Series, *, decimal_comma: bool = False) -> pl.Series:
    """Integers, floats, booleans or dates if every text is one; otherwise the texts.

    Codes such as "01234" stay text: as numbers they would lose their zeros.

    >>> infer_type(pl.Series(["1", None, "2.5"])).dtype
    Float64
    >>> infer_type(pl.Series(["01234", "98765"])).dtype
    String
    """
    if texts.null_count() == len(texts) or texts.str.contains(r"^[+-]?0\d").any():
        return texts
    if texts.str.contains(r"^[+-]?\d{19,}$").any() and texts.str.contains(r"^[+-]?\d+$").all():
        whole = _integer(texts)  # beyond 64 bits, digits would be lost: codes stay text
        return whole if whole.null_count() == texts.null_count() else texts
    with_points = texts.str.replace(",", ".", literal=True) if decimal_comma else texts
    for parse in (_integer, _number, _boolean, _date, _datetime):
        values = parse(with_points if parse is _number else texts)
        if values.null_count() == texts.null_count():
            return values
    return texts


def _integer(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Int64, strict=False)


def _number(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False)


def _boolean(texts: pl.Series) -> pl.Series:
    lower = texts.str.to_lowercase()
    return (lower == "true").set(~lower.is_in(["true", "false"]).fill_null(False), None)


def _date(texts: pl.Series) -> pl.Series:
    return _first_format(texts, _DATES, lambda t, f: t.str.to_date(f, strict=False))


def _datetime(texts: pl.Series) -> pl.Series:
    return _first_format(texts, _DATETIMES, lambda t, f: t.str.to_datetime(f, strict=False, time_unit="us"))


def _first_format(
    texts: pl.Series, formats: tuple[str, ...], parse: Callable[[pl.Series, str], pl.Series]
) -> pl.Series:
    """Each text parsed by the first of the formats that fits it; null if none does."""
    values = parse(texts, formats[0])
    for form in formats[1:]:
        if values.null_count() == texts.null_count():
            break
        values = values.fill_null(parse(texts, form))
    return values
