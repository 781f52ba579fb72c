"""Texts that mean a missing value: the one table of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

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


def without_numbers(values: pl.Series, missing: Sequence[str]) -> pl.Series:
    """The values of a column; null where they are numbers that one of the texts spells, such as "-999".

    >>> without_numbers(pl.Series([20.5, -999.0]), ["n/a", "-999"]).to_list()
    [20.5, None]
    """
    if values.dtype.is_numeric():
        for number in _numbers(tuple(missing)):
            values = values.set((values == number).fill_null(False), None)
    return values


@lru_cache(maxsize=64)
def _numbers(texts: tuple[str, ...]) -> list[float]:
    """The finite numbers among some texts."""
    numbers = []
    for text in texts:
        with suppress(ValueError):
            numbers.append(float(text))
    return [number for number in numbers if math.isfinite(number)]


def without_marks(texts: pl.Series, *, dates: bool = False) -> pl.Series:
    """The texts; null where they mean a missing value in a column of numbers, or of dates.

    >>> without_marks(pl.Series(["1", "n/a", "<null>", "-"])).to_list()
    ['1', None, None, '-']
    """
    marks = [*MISSING_AMONG_VALUES, *(MISSING_AMONG_DATES if dates else ())]
    return texts.set(texts.str.to_lowercase().is_in(marks).fill_null(False), None)
