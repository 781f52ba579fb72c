"""How texts spell dates, moments and times of day: each way is a row of `DATE_FORMS`, tried on whole columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

_MONTHS = (
    "jan january januar janvier enero gennaio ene gen jän jänner",
    "feb february februar février fév febrero febbraio",
    "mar march märz mär mrz mars marzo",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag",
    "jun june juni juin junio giugno giu",
    "jul july juli juillet juil julio luglio lug",
    "aug august août agosto ago",
    "sep sept september septembre septiembre settembre set",
    "oct october oktober okt octobre octubre ottobre ott",
    "nov november novembre noviembre",
    "dec december dezember dez décembre déc diciembre dic dicembre",
)
MONTH_NUMBERS = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}

_Y4, _Y, _M, _D = r"(?P<y>[0-9]{4})", r"(?P<y>[0-9]{4}|[0-9]{2})", r"(?P<m>[0-9]{1,2})", r"(?P<d>[0-9]{1,2})"
_NAME = rf"(?P<name>(?i:{'|'.join(sorted(MONTH_NUMBERS, key=len, reverse=True))}))\.?"
_NTH, _WEEKDAY = r"(?:st|nd|rd|th|\.)?", r"(?:\p{L}{2,10}\.?,?\s+)?"
_HALF, _FRACTION = r"\s*(?P<ap>[AaPp])\.?[Mm]\.?", r"(?:[.,](?P<f>[0-9]{1,9}))?"
_TIME = rf"(?P<H>[0-9]{{1,2}}):(?P<M>[0-9]{{2}})(?::(?P<S>[0-9]{{2}}){_FRACTION})?(?:{_HALF}|\s*Uhr)?"
_JOIN = r"(?:[T ,:]\s*|\s+at\s+)"
_ZONE = r"\s*(?P<z>Z|UTC|GMT|(?:UTC|GMT)?[-+][0-9]{2}(?::?[0-9]{2})?)"


@dataclass(frozen=True)
class DateForm:
    """The regular expression of a whole text, with a group for each part, and words for the user."""

    pattern: str
    words: str
    kind: str = "date"


_DAYS = {
    "year-month-day": (rf"{_Y4}[-/. ]{_M}[-/. ]{_D}", "year, month, day"),
    "day/month/year": (rf"{_D}[-/. ]\s?{_M}[-/. ]\s?{_Y}", "day, month, year"),
    "month/day/year": (rf"{_M}[-/.]{_D}[-/.]{_Y}", "month, day, year"),
    "yy-month-day": (rf"(?P<y>[0-9]{{2}})-{_M}-{_D}", "year of two digits, month, day"),
    "day month year": (
        rf"{_WEEKDAY}{_D}{_NTH}[-/ ]?\s?(?:de )?{_NAME},?[-/ ]?\s?(?:de )?{_Y}",
        "day, name of the month, year",
    ),
    "month day, year": (rf"{_WEEKDAY}{_NAME}[-/ ]\s?{_D}{_NTH},?[-/ ]\s?{_Y}", "name of the month, day, year"),
    "month year": (rf"{_NAME}[-/ ]\s?{_Y4}", "name of the month, year"),
    "year-month": (rf"{_Y4}[-/](?P<m>[0-9]{{2}})", "year, month"),
    "month/year": (rf"(?P<m>[0-9]{{2}})[-/.]{_Y4}", "month, year"),
}
_OFFSET = " with offset"
DATE_FORMS = {
    name + zone: DateForm(f"^{pattern}{time}$", words + more)
    for name, (pattern, words) in _DAYS.items()
    for zone, time, more in (
        ("", f"(?:{_JOIN}{_TIME})?", ""),
        (_OFFSET, f"{_JOIN}{_TIME}{_ZONE}", ", time and offset; in UTC"),
    )
} | {
    "hours:minutes": DateForm(
        rf"^(?P<H>[0-9]{{1,3}}):(?P<M>[0-9]{{2}})(?:{_HALF}|\s*Uhr)?$", "hours and minutes", "duration"
    ),
    "hours:minutes:seconds": DateForm(
        rf"^(?:(?P<days>[0-9]+) days?,? )?(?P<H>[0-9]{{1,3}}):(?P<M>[0-9]{{2}}):(?P<S>[0-9]{{2}}){_FRACTION}"
        rf"(?:{_HALF})?$",
        "hours, minutes and seconds", "duration",
    ),
}  # fmt: skip
#: Years of two digits are 1969 to 2068 (POSIX), unless the years of a column tell otherwise.
FIRST_YEAR = 1969
#: Forms that differ only in the order of day, month and year.
ORDERS = ("day/month/year", "month/day/year", "yy-month-day")


def try_date_forms(cells: pl.Series) -> list[tuple[str, pl.Series]]:
    """The forms that fit some of the cells of a column, each with the cells that fit."""
    tried = []
    for name, form in DATE_FORMS.items():
        shaped = cells.str.contains(form.pattern).fill_null(False)
        if shaped.any():
            fits = shaped & parse_dates(cells, name).is_not_null()
            tried.append((name, fits))
    return tried


def parse_dates(texts: pl.Series, form: str, first_year: int = FIRST_YEAR) -> pl.Series:
    """Dates, moments if a text has a time, or durations; null where a text does not fit or is no date.

    Years of two digits are those of the hundred years from `first_year` on.
    """
    row = DATE_FORMS[form]
    parts = texts.str.extract_groups(row.pattern).struct.unnest()
    time = _microseconds(parts, row.kind)
    if row.kind == "duration":
        return time.cast(pl.Duration("us")).alias(texts.name)
    day = _day(parts, first_year)
    if parts["H"].null_count() == len(parts):
        return day.alias(texts.name)
    moments = day.cast(pl.Datetime("us")).dt.timestamp("us") + time
    return moments.cast(pl.Datetime("us")).alias(texts.name)


def first_of_short_years(texts: pl.Series, form: str) -> int:
    """Where the hundred years begin that two-digit years belong to: `FIRST_YEAR`, or where it would divide a column.

    Birthdays from 1940 to 1998 would become 2040 to 2068 and 1969 to 1998. If the years of a column leave out at least
    20 in a row, the hundred years begin in the middle of those.
    """
    years = texts.str.extract_groups(DATE_FORMS[form].pattern).struct.unnest()["y"].drop_nulls()
    short = np.unique(years.filter(years.str.len_chars() == 2).cast(pl.Int64).to_numpy())
    if not len(short) or short[0] >= FIRST_YEAR % 100 or short[-1] < FIRST_YEAR % 100:
        return FIRST_YEAR
    gaps = np.diff(short, append=short[0] + 100)
    last = int(gaps.argmax())
    return FIRST_YEAR if gaps[last] < 20 else 1900 + int(short[last] + gaps[last] // 2) % 100


def _day(parts: pl.DataFrame, first_year: int) -> pl.Series:
    year = parts["y"].cast(pl.Int64)
    short = parts["y"].str.len_chars() == 2
    year = year.zip_with(~short.fill_null(False), first_year + (year - first_year) % 100)
    month = parts["m"] if "m" in parts.columns else _month_numbers(parts["name"])
    day = parts["d"] if "d" in parts.columns else pl.Series(["1"]).new_from_index(0, len(parts))
    written = parts.select(pl.concat_str([year.cast(pl.String), month.cast(pl.String), day], separator="-"))
    return written.to_series().str.to_date("%Y-%m-%d", strict=False)


def _month_numbers(names: pl.Series) -> pl.Series:
    return names.str.to_lowercase().replace_strict(MONTH_NUMBERS, default=None, return_dtype=pl.Int64)


def _microseconds(parts: pl.DataFrame, kind: str) -> pl.Series:
    """The time of day or the duration, minus the offset; 0 where there is no time, null where it is impossible."""
    zero = pl.Series([0]).new_from_index(0, len(parts))

    def number(name: str) -> pl.Series:
        return parts[name].cast(pl.Int64).fill_null(0) if name in parts.columns else zero

    hours, half = number("H"), parts["ap"].str.to_lowercase() if "ap" in parts.columns else None
    possible = (number("M") < 60) & (number("S") < 60)
    if half is not None and half.null_count() < len(half):
        is_half = half.is_not_null()
        possible &= ~is_half | ((hours > 0) & (hours <= 12))
        hours = hours.zip_with(~is_half, hours % 12 + (half == "p").fill_null(False).cast(pl.Int64) * 12)
    if kind == "date":
        possible &= hours < 24
    seconds = ((number("days") * 24 + hours) * 60 + number("M")) * 60 + number("S")
    fraction = (
        parts["f"].str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0) if "f" in parts.columns else zero
    )
    total = (seconds - _offset(parts)) * 1_000_000 + fraction
    shaped = parts["H"].is_not_null() if kind == "duration" else parts["y"].is_not_null()
    return total.set(~(possible & shaped), None)


def _offset(parts: pl.DataFrame) -> pl.Series:
    """The seconds that local time is ahead of UTC."""
    if "z" not in parts.columns:
        return pl.Series([0]).new_from_index(0, len(parts))
    zone = parts["z"].str.extract_groups(r"(?P<s>[-+])(?P<h>[0-9]{2}):?(?P<m>[0-9]{2})?$").struct.unnest()
    seconds = zone["h"].cast(pl.Int64).fill_null(0) * 3600 + zone["m"].cast(pl.Int64).fill_null(0) * 60
    return seconds.zip_with((zone["s"] != "-").fill_null(True), -seconds)
