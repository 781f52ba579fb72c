"""Stray texts in a column of numbers, dates or durations: named by row, and never made a category silently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from clearprop.tables.marks import MISSING, without_marks
from clearprop.tables.notation import survey
from clearprop.tables.rows import RowsError

FEW_ROWS, VERY_FEW_ROWS, FEW_TEXTS, FEW_VALUES = 0.05, 0.01, 3, 20


@dataclass(frozen=True)
class Strays:
    """The rows of a column whose texts do not fit the notation of the others; `words` name that notation."""

    rows: np.ndarray
    words: str
    example: str


def find_strays(texts: pl.Series) -> Strays | None:
    """The stray texts of a column if at least half of its different texts fit one notation; None if all or none fit."""
    nearest = survey(texts).nearest
    if nearest is None:
        return None
    present = without_marks(texts, dates=nearest.value_kind == "date").is_not_null()
    odd = (present & nearest.parse(texts).is_null()).to_numpy()
    if not odd.any():
        return None
    words = "numbers" if nearest.is_plain else nearest.words
    return Strays(odd, words, texts[int(np.flatnonzero(odd)[0])])


def check_no_strays(texts: pl.Series, what: str, ways_out: str) -> Strays | None:
    """The stray texts of a column that may be categories or names; RowsError if they are so few that they are not.

    In a column of few values they must be fewer, or without a digit: "1", "2", "3 or more" are categories. If the
    strays of a column of many values all fit another notation, as dates in two orders do, any number is refused.
    """
    strays = find_strays(texts)
    if strays is None:
        return None
    odd, present = texts.filter(pl.Series(strays.rows)), len(texts) - texts.null_count()
    many_values = texts.drop_nulls().n_unique() > FEW_VALUES
    share = FEW_ROWS if many_values or not odd.str.contains(r"\d").any() else VERY_FEW_ROWS
    if len(odd) <= max(1, share * present) or (many_values and odd.n_unique() <= FEW_TEXTS):
        marks = ", ".join(MISSING[1:])
        raise RowsError(
            f'{what} "{texts.name}": all values are {strays.words}, except in ', strays.rows,
            f': "{strays.example}". Correct it, mark it as missing (one of {marks}, or empty), name it as a mark: '
            f'missing="{strays.example}" (--missing "{strays.example}"), or {ways_out}',
        )  # fmt: skip
    if many_values and (others := survey(odd).whole):
        raise RowsError(
            f'{what} "{texts.name}": two notations: most values are {strays.words}, but those in ', strays.rows,
            f', such as "{strays.example}", are {others[0].words}. Write all in one way, or {ways_out}',
        )  # fmt: skip
    return strays
