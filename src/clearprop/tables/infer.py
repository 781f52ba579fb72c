"""The types of columns of texts: what is plain by its looks, and other notations decided by the whole table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from clearprop.tables.date_forms import DATE_FORMS, ORDERS, first_of_short_years
from clearprop.tables.marks import without_marks, without_numbers
from clearprop.tables.notation import DECIMAL_COMMAS, PLAIN, Notation, ReadingRules, Survey, survey
from clearprop.tables.rows import cell_error

_MOMENTS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_GROUPED = r"^[-+]?([1-9]\d{0,2}(\.\d{3})+|\d{1,4})$"
#: Codes begin with 0, or are whole numbers of about 64 bits and more.
_ZEROS, _LONG, _WHOLE = r"0\d+([.,]\d*)?", r"\d{20,}|9[2-9]\d{17}", r"^[-+]?\d+$"


@dataclass(frozen=True)
class Typed:
    """Columns with their types, the rules with the notations that were decided, and sentences for the user."""

    columns: list[pl.Series]
    rules: ReadingRules = field(default_factory=ReadingRules)
    notes: tuple[str, ...] = ()


def infer_types(
    columns: Sequence[pl.Series],
    rules: ReadingRules,
    text: Collection[str] = (),
    in_doubt: str = ",",
    *,
    learning: bool = True,
) -> Typed:
    """Columns of stripped texts as numbers, booleans, dates or durations where every text is one; others stay text.

    The notation of a column is that of `rules`, or the one that all of its texts fit. Where no text of a column
    decides, the decimal sign that other columns prove does. Otherwise a sign `in_doubt` raises RowsError, and any other
    is as in program code: 1.299 is a decimal, 1,299 is not; only when `learning`, a column such as 950, 1.299, 12.500
    is in doubt too. Columns in `text` stay text.
    """
    kept = {*text, *_codes(columns)}
    found = {
        s.name: _given(s, rules) if _strict(s.name, rules) else s if s.name in kept else infer_plain(s) for s in columns
    }
    decided = {name for name in rules.notations if _strict(name, rules)}
    texts = [s for s in columns if found[s.name].dtype == pl.String and s.name not in kept | decided]
    floats = [s for s in columns if found[s.name].dtype == pl.Float64 and s.name not in decided]
    commas = {s.name: numbers for s in texts if (numbers := _decimal_commas(s)) is not None}
    surveys = {s.name: survey(s) for s in texts if s.name not in commas}
    proven = {decimal for each in surveys.values() if (decimal := each.proves)} | ({","} if commas else set())
    grouped = [s for s in floats if _is_grouped(s)]
    if "." not in in_doubt and "," not in proven:
        grouped = [s for s in grouped if learning and _mixes_whole_numbers(s)]
    elif len(grouped) < len(floats):
        proven |= {"."}
    surveys |= {s.name: Survey(s, (PLAIN, Notation("1.234,5"))) for s in grouped}
    found |= commas
    notations, notes = (
        dict.fromkeys(commas, DECIMAL_COMMAS),
        [f"{name}: read as {DECIMAL_COMMAS.words}" for name in commas],
    )
    decimal = rules.decimal or (proven.pop() if len(proven) == 1 else None)
    for series in columns:
        if (found_survey := surveys.get(series.name)) and found_survey.whole:
            doubt = in_doubt + "." if learning and _mixes_whole_numbers(series) else in_doubt
            notation, why = _decide(series, found_survey, rules, decimal, doubt)
            if notation.value_kind == "date" and series.name not in rules.notations:
                notation = replace(notation, first_year=first_of_short_years(series, notation.form))
                why += _short_years(series, notation)
            found[series.name] = notation.parse(series)
            notations[series.name] = notation
            notes += _note(series, notation, why)
        elif found[series.name].dtype == pl.Int64 and decimal == "," and series.name not in text:
            notations[series.name] = Notation("1.234,5")
        elif found[series.name].dtype == pl.Float64 and "." in in_doubt and series.name not in notations:
            notations[series.name] = PLAIN
    rules = replace(rules, notations=notations | rules.notations)
    return Typed([without_numbers(s, rules.missing) for s in found.values()], rules, tuple(notes))


def infer_plain(texts: pl.Series) -> pl.Series:
    """Integers, floats, booleans or dates as in program code if every text is one; otherwise the texts.

    >>> infer_plain(pl.Series(["1", None, "2.5"])).dtype
    Float64
    >>> infer_plain(pl.Series(["1", "x"])).dtype
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
            return values
    if _boolean(without_marks(head)).null_count() == without_marks(head).null_count() < len(head):
        marked = without_marks(texts)
        values = _boolean(marked)
        return values if values.null_count() == marked.null_count() else texts
    return texts


def _decimal_commas(texts: pl.Series) -> pl.Series | None:
    """The numbers of a column in which all are written with decimal commas, and one of the first proves it; or None.

    `survey` finds them too, but takes three times as long.
    """
    head = texts.head(100)
    if not head.str.contains(r"^[-+]?(0,[0-9]+|[0-9]*,([0-9]{1,2}|[0-9]{4,}))$").any():
        return None
    if texts.str.contains(".", literal=True).any():
        return None
    numbers = texts.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == texts.null_count() and numbers.is_finite().all() else None


def _codes(columns: Sequence[pl.Series]) -> list[str]:
    """The columns in which numbers would lose digits: zeros in front, as in "01234", or whole numbers of over 64 bits.

    All columns are looked at together, which is faster.
    """
    if not columns or not len(columns[0]):
        return []
    height, names = len(columns[0]), []
    at_once = max(1, 2**20 // height)
    for start in range(0, len(columns), at_once):
        some = columns[start : start + at_once]
        odd = pl.concat([s.alias("") for s in some]).str.contains(f"^[-+]?({_ZEROS}|{_LONG})$").fill_null(False)
        rows = np.flatnonzero(odd.to_numpy().reshape(len(some), height).any(axis=1))
        found = [some[i] for i in rows.tolist()]
        names += [s.name for s in found if s.str.contains(f"^[-+]?({_ZEROS})$").any() or s.str.contains(_WHOLE).all()]
    return names


def _strict(name: str, rules: ReadingRules) -> bool:
    """Whether the notation of the column is decided."""
    return name in rules.notations and not rules.notations[name].is_plain


def _given(texts: pl.Series, rules: ReadingRules) -> pl.Series:
    """The values of texts in the notation of the training column; TableError for the first that does not fit."""
    notation = rules.notations[texts.name]
    values = notation.parse(texts)
    odd = values.is_null() & without_marks(texts, dates=notation.value_kind == "date").is_not_null()
    if odd.any():
        more = f" ({int(odd.sum()):,} such rows)" if odd.sum() > 1 else ""
        raise cell_error(
            texts, odd.to_numpy(), f'expected {notation.words}, as in training, got "{texts.filter(odd)[0]}"'
            f"{more}. Write it in the same way, or leave the cell empty to mark it as missing.",
        )  # fmt: skip
    return values


def _is_grouped(texts: pl.Series) -> bool:
    """Whether the points of all numbers may separate thousands: three digits after each, and no long number without."""
    if not texts.head(100).str.contains(_GROUPED).all():
        return False
    return bool(texts.str.contains(_GROUPED).all() and texts.str.contains(".", literal=True).any())


def _mixes_whole_numbers(texts: pl.Series) -> bool:
    """Whether there are whole numbers beside numbers with a point: thousands, if all have three digits after it."""
    pointed = texts.str.contains(".", literal=True).sum()
    return 3 <= pointed < len(texts) - texts.null_count()


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
    if stored and stored.form in {notation.form for notation in meanings}:
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


def _short_years(series: pl.Series, notation: Notation) -> str:
    """Which years the two-digit years of a column are."""
    years = series.str.extract_groups(DATE_FORMS[notation.form].pattern).struct.unnest()["y"]
    read = notation.parse(series.filter((years.str.len_chars() == 2).fill_null(False))).dt.year()
    return "" if not len(read) else f"; years of two digits are {read.min()} to {read.max()}"


def _example(series: pl.Series, pattern: str) -> tuple[str, np.ndarray]:
    """The first text with a pattern, and where there are such texts."""
    rows = series.str.contains(pattern).fill_null(False)
    return series.filter(rows)[0], rows.to_numpy()


def _note(series: pl.Series, notation: Notation, why: str) -> list[str]:
    """What the user should know about how a column was read."""
    marked = series.is_not_null() & without_marks(series, dates=notation.value_kind == "date").is_null()
    count = int(marked.sum())
    missing = f'; "{series.filter(marked)[0]}" is missing ({count:,} row{"s" * (count > 1)})' if count else ""
    if notation.is_plain and not missing:
        return []
    words = "numbers" if notation.is_plain else notation.words
    return [f"{series.name}: read as {words}{why}{missing}"]


def _integer(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Int64, strict=False)


def _number(texts: pl.Series) -> pl.Series:
    numbers = texts.cast(pl.Float64, strict=False)
    total = numbers.sum()
    return numbers.fill_nan(None) if total != total else numbers  # NaN is not equal to itself


def _boolean(texts: pl.Series) -> pl.Series:
    lower = texts.str.to_lowercase()
    return (lower == "true").set(~lower.is_in(["true", "false"]).fill_null(False), None)


def _date(texts: pl.Series) -> pl.Series:
    return _of_four_digits(texts.str.to_date("%Y-%m-%d", strict=False))


def _moment(texts: pl.Series) -> pl.Series:
    """Each text parsed by the first of the formats that fits it; null if none does."""
    values = texts.str.to_datetime(_MOMENTS[0], strict=False, time_unit="us")
    for form in _MOMENTS[1:]:
        if values.null_count() == texts.null_count():
            break
        values = values.fill_null(texts.str.to_datetime(form, strict=False, time_unit="us"))
    return _of_four_digits(values)


def _of_four_digits(dates: pl.Series) -> pl.Series:
    """The dates; null where the year has fewer digits, as in 03-04-05."""
    short = (dates.dt.year() < 1000).fill_null(False)
    return dates.to_physical().set(short, None).cast(dates.dtype)  # older versions of Polars set no dates
