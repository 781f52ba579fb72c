"""The types of columns of texts: what is plain by its looks, and other notations decided by the whole table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from clearprop.tables.date_forms import ORDERS
from clearprop.tables.marks import MISSING, MISSING_AMONG_DATES, MISSING_AMONG_VALUES, without_marks
from clearprop.tables.notation import PLAIN, Notation, ReadingRules, Survey, survey
from clearprop.tables.rows import cell_error

_MOMENTS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_GROUPED, _CODE = r"^[-+]?[1-9]\d{0,2}(\.\d{3})+$", r"^[-+]?0\d+([.,]\d*)?$"
_LONG = r"^[-+]?\d{19,}$"


@dataclass(frozen=True)
class Typed:
    """Columns with their types, the rules with the notations that were decided, and sentences for the user."""

    columns: list[pl.Series]
    rules: ReadingRules = field(default_factory=ReadingRules)
    notes: tuple[str, ...] = ()


def infer_types(
    columns: Sequence[pl.Series], rules: ReadingRules, text: Collection[str] = (), in_doubt: str = ","
) -> Typed:
    """Columns of stripped texts as numbers, booleans, dates or durations where every text is one; others stay text.

    The notation of a column is that of `rules`, or the one that all of its texts fit. Where no text of a column
    decides, the decimal sign that other columns prove does. Otherwise a sign `in_doubt` raises RowsError, and any other
    is as in program code: 1.299 is a decimal, 1,299 is not. Columns in `text` stay text.
    """
    found = {
        s.name: s if s.name in text else _given(s, rules) if _strict(s.name, rules) else infer_plain(s) for s in columns
    }
    surveys = {
        s.name: survey(s)
        for s in columns
        if s.name not in text and found[s.name].dtype == pl.String and not _strict(s.name, rules) and not _are_codes(s)
    }
    floats = [s for s in columns if found[s.name].dtype == pl.Float64 and not _strict(s.name, rules)]
    proven = {decimal for each in surveys.values() if (decimal := each.proves)}
    if "." in in_doubt or "," in proven:
        surveys |= {s.name: Survey(s, (PLAIN, Notation("1.234,5"))) for s in floats if _is_grouped(s)}
        proven |= {"."} if any(s.name not in surveys for s in floats) else set()
    decimal = rules.decimal or (proven.pop() if len(proven) == 1 else None)
    notations, notes = {}, []
    for series in columns:
        if (found_survey := surveys.get(series.name)) and found_survey.whole:
            notation, why = _decide(series, found_survey, rules, decimal, in_doubt)
            found[series.name] = notation.parse(series)
            notations[series.name] = notation
            notes += _note(series, notation, why)
        elif found[series.name].dtype == pl.Int64 and decimal == "," and series.name not in text:
            notations[series.name] = Notation("1.234,5")
        elif found[series.name].dtype == pl.Float64 and "." in in_doubt:
            notations.setdefault(series.name, PLAIN)
    rules = replace(rules, notations=notations | rules.notations)
    return Typed(list(found.values()), rules, tuple(notes))


def infer_plain(texts: pl.Series) -> pl.Series:
    """Integers, floats, booleans or dates as in program code if every text is one; otherwise the texts.

    Codes such as "01234" stay text: as numbers they would lose their zeros.

    >>> infer_plain(pl.Series(["1", None, "2.5"])).dtype
    Float64
    >>> infer_plain(pl.Series(["01234", "98765"])).dtype
    String
    """
    if texts.null_count() == len(texts):
        return texts
    head = texts.head(100)
    for parse in (_integer, _number, _boolean, _date, _moment):
        if parse(head).null_count() > head.null_count():
            continue
        values = parse(texts)
        if values.null_count() == texts.null_count():
            return texts if parse in (_integer, _number) and _are_codes(texts, parse is _number) else values
    return texts


def _are_codes(texts: pl.Series, as_floats: bool = True) -> bool:
    """Whether digits would be lost: the zeros in front, or those of whole numbers beyond 64 bits."""
    if texts.str.contains(_CODE).any():
        return True
    return bool(as_floats and texts.str.contains(_LONG).any() and texts.str.contains(r"^[-+]?\d+$").all())


def _strict(name: str, rules: ReadingRules) -> bool:
    """Whether the notation of the column is decided."""
    return name in rules.notations and not rules.notations[name].is_plain


def _given(texts: pl.Series, rules: ReadingRules) -> pl.Series:
    """The values of texts in the notation of the training column; TableError for the first that does not fit."""
    notation = rules.notations[texts.name]
    values = notation.parse(texts)
    odd = values.is_null() & without_marks(texts, dates=notation.value_kind == "date").is_not_null()
    if odd.any():
        raise cell_error(
            texts, odd.to_numpy(), f'expected {notation.words}, as in training, got "{texts.filter(odd)[0]}" '
            f"({int(odd.sum()):,} such rows). Write it in the same way, or leave the cell empty to mark it as missing.",
        )  # fmt: skip
    return values


def _is_grouped(texts: pl.Series) -> bool:
    """Whether the points of all numbers may separate thousands: three digits after each, and no long number without."""
    pointed = texts.str.contains(".", literal=True)
    grouped, short = texts.str.contains(_GROUPED), texts.str.len_chars() <= 5
    return bool((grouped | (~pointed & short)).all() and pointed.any())


def _decide(
    series: pl.Series, found: Survey, rules: ReadingRules, decimal: str | None, in_doubt: str
) -> tuple[Notation, str]:
    """The notation of a column that fits in at least one, and why; raises TableError if it is ambiguous."""
    meanings = found.meanings
    if len(meanings) == 1:
        likely = decimal or ("," if "." in in_doubt else ".")
        return next((n for n in found.whole if n.decimal in (likely, None)), meanings[0]), ""
    if meanings[0].value_kind != "number":
        return _decide_order(series, meanings, rules)
    shown, row = _example(series, r"\d[.,]\d")
    stored = rules.notations.get(series.name)
    if stored and decimal in (None, stored.decimal):
        decimal = stored.decimal
    elif decimal is None and ("," if "," in shown else ".") not in in_doubt:
        decimal = "."
    chosen = next((n for n in meanings if n.decimal == decimal), None)
    if chosen is None or (stored and rules.decimal is None and stored.decimal != decimal):
        values = " or ".join(f"{notation.parse(pl.Series([shown]))[0]:.12g}" for notation in meanings[:2])
        raise cell_error(
            series, row, f'"{shown}" is {values}, and no value of the column decides whether the '
            'sign separates thousands or decimals. Tell it: decimal="," or decimal="." (--decimal "," or "."), '
            f'or keep the column as text: categorical="{series.name}" (--categorical "{series.name}").',
        )  # fmt: skip
    other = next(n.decimal for n in meanings if n is not chosen)
    return chosen, f'; decimal="{other}" reads "{shown}" otherwise'


def _decide_order(series: pl.Series, meanings: list[Notation], rules: ReadingRules) -> tuple[Notation, str]:
    stored = rules.notations.get(series.name)
    if stored in meanings:
        return stored, ""
    by_order = {notation.form.removesuffix(" with offset"): notation for notation in meanings}
    first, second = (by_order.get(order) for order in ORDERS[:2])
    shown, row = _example(series, r"\d")
    if rules.day_first is not None and first and second:
        return (first if rules.day_first else second), ""
    if first and second and "." in shown:
        return first, "; day_first=False reads the month first"
    raise cell_error(
        series, row, f'"{shown}" may be {" or ".join(n.words.split("as ", 1)[1] for n in meanings)}, and no date of '
        "the column decides. Tell it: day_first=True or day_first=False (--day-first or --month-first), write years "
        f'first, or keep the column as text: categorical="{series.name}" (--categorical "{series.name}").',
    )  # fmt: skip


def _example(series: pl.Series, pattern: str) -> tuple[str, np.ndarray]:
    """The first text with a pattern, and where there are such texts."""
    rows = series.str.contains(pattern).fill_null(False)
    return series.filter(rows)[0], rows.to_numpy()


def _note(series: pl.Series, notation: Notation, why: str) -> list[str]:
    """What the user should know about how a column was read."""
    marks = [m for m in (*MISSING_AMONG_VALUES, *MISSING_AMONG_DATES) if m not in [known.lower() for known in MISSING]]
    lower = series.str.to_lowercase()
    marked = lower.is_in(marks).fill_null(False)
    missing = f'; "{series.filter(marked)[0]}" is missing ({int(marked.sum()):,} rows)' if marked.any() else ""
    if notation.is_plain and not missing:
        return []
    words = "numbers" if notation.is_plain else notation.words
    return [f"{series.name}: read as {words}{why}{missing}"]


def _integer(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Int64, strict=False)


def _number(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False)


def _boolean(texts: pl.Series) -> pl.Series:
    lower = texts.str.to_lowercase()
    return (lower == "true").set(~lower.is_in(["true", "false"]).fill_null(False), None)


def _date(texts: pl.Series) -> pl.Series:
    return texts.str.to_date("%Y-%m-%d", strict=False)


def _moment(texts: pl.Series) -> pl.Series:
    """Each text parsed by the first of the formats that fits it; null if none does."""
    values = texts.str.to_datetime(_MOMENTS[0], strict=False, time_unit="us")
    for form in _MOMENTS[1:]:
        if values.null_count() == texts.null_count():
            break
        values = values.fill_null(texts.str.to_datetime(form, strict=False, time_unit="us"))
    return values
