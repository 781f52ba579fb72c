"""Texts that mean a missing value: the one table of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean a missing value in any column, without the white space around them."""
MISSING_AMONG_VALUES = (
    "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "-nan", "none", "null", "<null>", "(null)",
    "#null!", "nil", "nat", "missing", "<missing>", "not available", "not applicable", "k.a.", "?", "??", ".", "..",
    "...", "\\n",
)  # fmt: skip
"""Further ones in a column of numbers, dates or durations, in lower case. "-" is none of them: it may also mean 0."""
MISSING_AMONG_DATES = (
    "0000-00-00", "0000-00-00 00:00:00", "0000-00-00t00:00:00", "00-00-0000", "00/00/0000", "00.00.0000", "0000/00/00",
)  # fmt: skip
"""Further ones in a column of dates."""


def strip(texts: pl.Series, missing: Sequence[str] = MISSING) -> pl.Series:
    """The texts without white space around them, in one form of Unicode; null where they mean a missing value.

    A letter such as "ö" may be written as "o" and two dots (NFD, as macOS does); both become one letter (NFC).

    >>> strip(pl.Series([" clerk", "? ", "-"])).to_list()
    ['clerk', None, '-']
    """
    bare = texts.str.strip_chars()
    if bare.str.contains(r"\p{M}").any():  # combining marks
        bare = bare.str.normalize("NFC")
    return bare.set(bare.is_in(missing).fill_null(False), None)


def as_number(mark: str) -> float | None:
    """The number that a text spells as in program code, if it does.

    >>> as_number("-999"), as_number("n/a")
    (-999.0, None)
    """
    try:
        return float(mark)
    except ValueError:
        return None


def without_numbers(numbers: pl.Series, missing: Sequence[float]) -> pl.Series:
    """The numbers; null where they equal one that means a missing value, such as -999.

    >>> without_numbers(pl.Series([20.5, -999.0]), [-999.0]).to_list()
    [20.5, None]
    """
    for number in missing:
        numbers = numbers.set((numbers == number).fill_null(False), None)
    return numbers


def without_marks(texts: pl.Series, *, dates: bool = False) -> pl.Series:
    """The texts; null where they mean a missing value in a column of numbers, or of dates.

    >>> without_marks(pl.Series(["1", "n/a", "<null>", "-"])).to_list()
    ['1', None, None, '-']
    """
    marks = [*MISSING_AMONG_VALUES, *(MISSING_AMONG_DATES if dates else ())]
    return texts.set(texts.str.to_lowercase().is_in(marks).fill_null(False), None)
