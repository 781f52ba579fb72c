"""Stray texts in a column of numbers, dates or durations: named by row, never made a category without a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from clearprop.errors import TableError
from clearprop.tables.marks import MISSING, without_marks
from clearprop.tables.notation import survey
from clearprop.tables.values import row_list

FEW_ROWS, FEW_TEXTS, FEW_VALUES = 0.05, 3, 20


@dataclass(frozen=True)
class Strays:
    """The rows of a column whose texts do not fit the notation of the others; `words` name that notation."""

    rows: np.ndarray
    words: str
    example: str


def find_strays(texts: pl.Series) -> Strays | None:
    """The stray texts of a column if at least half of its texts fit one notation, and None if not, or if all fit."""
    nearest = survey(texts).nearest
    if nearest is None:
        return None
    present = without_marks(texts, dates=nearest.value_kind == "date").is_not_null()
    odd = (present & nearest.parse(texts).is_null()).to_numpy()
    if not odd.any() or 2 * odd.sum() > present.sum():
        return None
    words = "numbers" if nearest.is_plain else nearest.words
    return Strays(odd, words, texts[int(np.flatnonzero(odd)[0])])


def refuse_strays(texts: pl.Series, strays: Strays, role: str = "Column") -> None:
    """Raise TableError if the stray texts are few; otherwise they may be categories, or the texts names."""
    odd = texts.filter(pl.Series(strays.rows))
    few_rows = len(odd) <= FEW_ROWS * len(texts)
    if texts.drop_nulls().n_unique() > FEW_VALUES:
        refused = few_rows or odd.n_unique() <= FEW_TEXTS
    else:
        refused = few_rows and not odd.str.contains(r"\d").any()  # "3+" among 0, 1, 2 is a category
    if refused:
        name = texts.name
        raise TableError(
            f'{role} "{name}": all values are {strays.words}, except in {row_list(strays.rows)}: "{strays.example}". '
            f'Correct it, mark it as missing (one of {", ".join(MISSING[1:])}, or empty, or missing=["{strays.example}"]), '
            f'or keep the column as it is: categorical=["{name}"], or drop=["{name}"].'
        )
