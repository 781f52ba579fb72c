"""Text columns: which texts mean "missing", and which hold numbers, dates or yes and no."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean a value is missing, as they stand in a cell without the white space around them."""

_DATES = ("%Y-%m-%d",)
_MOMENTS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")


def stripped(texts: pl.Series) -> pl.Series:
    """The texts without white space around them; null where they mean "missing"."""
    bare = texts.str.strip_chars()
    return bare.set(bare.is_in(MISSING).fill_null(False), None)


def stripped_columns(frame: pl.DataFrame) -> list[pl.Series]:
    """All columns of a frame of texts stripped, as one long column where they are many and short."""
    at_once, found = max(1, 2**20 // max(1, frame.height)), []
    for start in range(0, frame.width, at_once):
        names = frame.columns[start : start + at_once]
        long = stripped(pl.concat([frame[name] for name in names]))
        found += [long.slice(i * frame.height, frame.height).alias(name) for i, name in enumerate(names)]
    return found


def inferred(texts: pl.Series, *, decimal_comma: bool = False) -> pl.Series:
    """Whole numbers, numbers, truth values or dates where every text present is one; otherwise the texts.

    Codes such as "01234" stay text: as a number they would lose their zeros.

    >>> inferred(pl.Series(["1", None, "2.5"])).dtype
    Float64
    >>> inferred(pl.Series(["01234", "98765"])).dtype
    String
    """
    if texts.null_count() == len(texts) or texts.str.contains(r"^[+-]?0\d").any():
        return texts
    numeric = texts.str.replace(",", ".", literal=True) if decimal_comma else texts
    for read in (_whole, _number, _truth, _date, _moment):
        values = read(numeric if read is _number else texts)
        if values.null_count() == texts.null_count():
            return values
    return texts


def as_dates(texts: pl.Series) -> pl.Series:
    """ISO dates and moments; null where a text is neither."""
    return _moment(texts).fill_null(_date(texts).cast(pl.Datetime("us")))


def _whole(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Int64, strict=False)


def _number(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False)


def _truth(texts: pl.Series) -> pl.Series:
    folded = texts.str.to_lowercase()
    known = folded.is_in(["true", "false"]).fill_null(False)
    return (folded == "true").set(~known, None)


def _date(texts: pl.Series) -> pl.Series:
    return _first_that_fits(texts, _DATES, lambda t, f: t.str.to_date(f, strict=False))


def _moment(texts: pl.Series) -> pl.Series:
    return _first_that_fits(texts, _MOMENTS, lambda t, f: t.str.to_datetime(f, strict=False, time_unit="us"))


def _first_that_fits(
    texts: pl.Series, formats: tuple[str, ...], read: Callable[[pl.Series, str], pl.Series]
) -> pl.Series:
    values = read(texts, formats[0])
    for form in formats[1:]:
        if values.null_count() == texts.null_count():
            break
        values = values.fill_null(read(texts, form))
    return values
