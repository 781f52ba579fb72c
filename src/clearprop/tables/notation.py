"""The notation of a column of texts: how all of them spell numbers, dates or durations, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from clearprop.checks import check_choice, check_flag, check_integer, check_texts
from clearprop.errors import ArgumentError
from clearprop.tables.date_forms import DATE_FORMS, FIRST_YEAR, parse_dates, try_date_forms
from clearprop.tables.marks import without_marks
from clearprop.tables.number_forms import NEGATIVES, NUMBER_FORMS, NumberTrial, parse_numbers, try_number_forms

#: A column is looked at further only if this share of its first different texts fits one notation.
LEAST_SHARE, SAMPLE = 0.5, 1000


@dataclass(frozen=True)
class Notation:
    """How the texts of one column spell its values: a row of `NUMBER_FORMS` or of `DATE_FORMS`.

    `before` and `after` are the unit that stands beside every number; `negative` is a key of `NEGATIVES`.
    Years of two digits are those of the hundred years from `first_year` on.

    >>> euros = Notation("1.234,5", after="EUR")
    >>> euros.parse(pl.Series(["1.299,50 EUR", "n/a", "12 USD"])).to_list()
    [1299.5, None, None]
    >>> euros.words
    'numbers written with thousands points and decimal commas, in "EUR"'
    """

    form: str
    before: str = ""
    after: str = ""
    negative: str = "-"
    first_year: int = field(default=FIRST_YEAR, metadata={"optional": True})

    def __post_init__(self) -> None:
        check_choice(self.form, "form", (*NUMBER_FORMS, *DATE_FORMS))
        check_choice(self.negative, "negative", tuple(NEGATIVES))
        check_integer(self.first_year, "first_year", least=1800, most=2100)

    @property
    def value_kind(self) -> str:
        """One of "number", "date" and "duration"."""
        return "number" if self.form in NUMBER_FORMS else DATE_FORMS[self.form].kind

    @property
    def words(self) -> str:
        """The notation in words."""
        if self.form in DATE_FORMS:
            return f"{self.value_kind}s written as {DATE_FORMS[self.form].words}"
        unit = f'in "{self.before or self.after}"' if self.before or self.after else ""
        return ", ".join(
            filter(None, [f"numbers written with {NUMBER_FORMS[self.form].words}", unit, NEGATIVES[self.negative]])
        )

    @property
    def is_plain(self) -> bool:
        """Whether the texts are numbers as in program code."""
        return self == PLAIN

    @property
    def decimal(self) -> str | None:
        """The decimal sign of a notation of numbers."""
        return NUMBER_FORMS[self.form].decimal if self.form in NUMBER_FORMS else None

    def parse(self, texts: pl.Series) -> pl.Series:
        """The values of the texts; null where a text is missing or does not fit."""
        present = without_marks(texts, dates=self.value_kind == "date")
        if self.form in DATE_FORMS:
            return parse_dates(present, self.form, self.first_year)
        return parse_numbers(present, self.form, self.before, self.after, self.negative)


PLAIN, DECIMAL_COMMAS = Notation("1234.5"), Notation("1234,5")


@dataclass(frozen=True)
class ReadingRules:
    """How texts become values: what the user asked for, and the notation of each column as decided in training.

    `decimal` is "." or ","; `day_first` tells whether 03/04/2024 is in April; `missing` are further texts that mean a
    missing value.
    """

    decimal: str | None = None
    day_first: bool | None = None
    missing: tuple[str, ...] = ()
    notations: dict[str, Notation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.decimal is not None and not (isinstance(self.decimal, str) and self.decimal in (".", ",")):
            raise ArgumentError(f'decimal: expected "." or ",", got {self.decimal!r}.')
        if self.day_first is not None:
            check_flag(self.day_first, "day_first")

    @classmethod
    def check(cls, decimal: Any = None, day_first: Any = None, missing: Any = ()) -> ReadingRules:
        """The rules from the arguments of a user."""
        several = missing if isinstance(missing, (list, tuple, set)) else [missing]
        marks = [f"{mark:.17g}" if type(mark) in (int, float) and abs(mark) < 1e300 else mark for mark in several]
        return cls(decimal, day_first, check_texts(marks, "missing"))


NO_RULES = ReadingRules()


@dataclass(frozen=True)
class Survey:
    """What the different texts of a column can spell, without those that mean a missing value.

    `whole` are the notations that all of them fit, `nearest` the one that most fit, if at least half do.
    """

    cells: pl.Series
    whole: tuple[Notation, ...] = ()
    nearest: Notation | None = None

    @property
    def meanings(self) -> list[Notation]:
        """The notations that fit all texts and give them different values; more than one if no text decides."""
        known: list[tuple[Notation, pl.Series]] = []
        for notation in self.whole:
            values = notation.parse(self.cells)
            values = values.cast(
                pl.Float64
                if notation.value_kind == "number"
                else pl.Int64
                if notation.value_kind == "duration"
                else pl.Datetime("us")
            )
            if not any(values.equals(other) for _, other in known):
                known.append((notation, values))
        return [notation for notation, _ in known]

    @property
    def proves(self) -> str | None:
        """The decimal sign of all notations that fit, if it is one."""
        decimals = {notation.decimal for notation in self.whole}
        return decimals.pop() if len(decimals) == 1 else None


def survey(texts: pl.Series) -> Survey:
    """What a column of texts can spell."""
    different = texts.unique(maintain_order=True).drop_nulls()
    for dates, try_forms in ((True, _try_dates), (False, _try_numbers)):
        cells = without_marks(different, dates=dates).drop_nulls()
        if len(cells) == 0:
            return Survey(cells)
        head = cells.head(SAMPLE)
        if head.str.contains(r"\d").mean() < LEAST_SHARE or not _promising(try_forms(head), len(head)):  # type: ignore
            continue
        trials = _promising(try_forms(cells), len(cells))
        if trials:
            whole = tuple(notation for notation, fits in trials if fits == len(cells))
            return Survey(cells, whole, max(trials, key=lambda trial: trial[1])[0])
    return Survey(without_marks(different).drop_nulls())


def _promising(trials: list[tuple[Notation, int]], size: int) -> list[tuple[Notation, int]]:
    return [(notation, fits) for notation, fits in trials if fits >= LEAST_SHARE * size]


def _try_dates(cells: pl.Series) -> list[tuple[Notation, int]]:
    return [(Notation(form), int(fits.sum())) for form, fits in try_date_forms(cells)]


def _try_numbers(cells: pl.Series) -> list[tuple[Notation, int]]:
    trials = try_number_forms(cells)
    return [(Notation(t.form, t.before, t.after, t.negative), int(t.fits.sum())) for t in _consistent(trials)]


def _consistent(trials: Sequence[NumberTrial]) -> list[NumberTrial]:
    """The trials without those that leave long numbers ungrouped, if others explain all cells with another sign."""
    whole = [trial for trial in trials if trial.fits.all()]
    strict = [trial for trial in whole if trial.strict]
    signs = {NUMBER_FORMS[trial.form].decimal for trial in whole}
    return strict if len(signs) == 2 and strict else list(trials)
