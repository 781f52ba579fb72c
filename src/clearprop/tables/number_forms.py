"""How texts spell numbers: each way is a row of `NUMBER_FORMS`, tried on whole columns."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class NumberForm:
    """A sign between thousands, and a decimal sign."""

    thousands: str
    decimal: str
    words: str
    groups: str = r"[1-9][0-9]{0,2}(?:T[0-9]{3})+"

    def pattern(self, *, strict: bool = False) -> str:
        """The regular expression of a number without its sign; if `strict`, at most four digits are not grouped."""
        whole, point = r"[0-9]{1,4}" if strict and self.thousands else r"[0-9]+", re.escape(self.decimal)
        if self.thousands:
            whole = f"(?:{whole}|{self.groups.replace('T', re.escape(self.thousands))})"
        return rf"(?:{whole}(?:{point}[0-9]+)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"


NUMBER_FORMS = {
    "1234.5": NumberForm("", ".", "decimal points"),
    "1234,5": NumberForm("", ",", "decimal commas"),
    "1,234.5": NumberForm(",", ".", "thousands commas and decimal points"),
    "1.234,5": NumberForm(".", ",", "thousands points and decimal commas"),
    "1 234.5": NumberForm(" ", ".", "spaces between thousands and decimal points"),
    "1 234,5": NumberForm(" ", ",", "spaces between thousands and decimal commas"),
    "1'234.5": NumberForm("'", ".", "apostrophes between thousands and decimal points"),
    "1'234,5": NumberForm("'", ",", "apostrophes between thousands and decimal commas"),
    "1_234.5": NumberForm("_", ".", "underscores between thousands and decimal points"),
    "12,34,567.8": NumberForm(
        ",", ".", "commas between lakhs and decimal points", r"[1-9][0-9]?(?:T[0-9]{2})*T[0-9]{3}"
    ),
}
#: How a column writes negative numbers, and what stands around them.
NEGATIVES = {"-": "", "()": "negative ones in parentheses", "1-": "the minus sign after the number"}

_ALIKE = dict.fromkeys("\u2212\u2013\u2010\u2011\ufe63\uff0d", "-") | dict.fromkeys("\u00a0\u202f\u2009\u2007", " ")
_ALIKE |= dict.fromkeys("\u2019\u2018\u00b4", "'") | {"\u03bc": "\u00b5"}
_CODES = "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|RUB|UAH|TRY|BRL|MXN|ARS|CLP|COP|ZAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|ILS|AED|SAR|EGP|NGN|KES"  # fmt: skip  # noqa: E501
_BEFORE = rf"(?:[A-Z]{{0,3}}\p{{Sc}}|{_CODES}|[Kk]r\.?|Rs\.?|S?Fr\.?)"
_WORD = r"[\p{L}\p{Sc}%‰°µ][\p{L}\p{Sc}%‰°µ²³/·^*.]{0,11}"
_AFTER = rf"(?:{_WORD}(?: ?[/·*]? ?[\p{{Ll}}%°µ][\p{{L}}²³/·^.]{{0,9}}){{0,2}}(?:/100 ?km|[23])?)"
_CORE = r"(?:[.,]?[0-9](?:[0-9.,' _]*[0-9])?(?:[eE][-+]?[0-9]+)?)"
_PARTS = (
    rf"^(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_BEFORE})?\s*(?P<inner>[-+])?\s*(?P<core>{_CORE})"
    rf"\s*(?P<after>{_AFTER})?\s*(?P<trail>-)?(?P<close>\))?$"
)


@dataclass(frozen=True)
class NumberTrial:
    """One way to read the cells of a column: form, unit, notation of negative numbers, and which cells fit."""

    form: str
    before: str
    after: str
    negative: str
    fits: pl.Series
    strict: bool
    """Whether the sign between thousands, if any, stands in every number of more than four digits."""


def try_number_forms(cells: pl.Series) -> list[NumberTrial]:
    """The ways to read different cells of a column as numbers, each with the cells that fit.

    There is none if numbers begin with zeros or are very long, as codes are.
    """
    parts = _alike(cells).str.extract_groups(_PARTS).struct.unnest()
    core = parts["core"]
    if core.null_count() == len(core) or core.str.contains(r"^(0[0-9]|[0-9]{19})").any():
        return []
    units = (parts["before"].fill_null("") + "\0" + parts["after"].fill_null("")).set(core.is_null(), None)
    unit = units.drop_nulls().value_counts(sort=True)[units.name][0]
    signs, enclosed = parts["sign"].is_not_null(), parts["open"].is_not_null() & parts["close"].is_not_null()
    whole = parts["open"].is_not_null() == parts["close"].is_not_null()
    usable = (units == unit).fill_null(False) & whole & ~(signs & parts["inner"].is_not_null())
    minus = ((parts["sign"] == "-") | (parts["inner"] == "-")).fill_null(False)
    negative = "-" if minus.any() or enclosed.all() else "()" if enclosed.any() else "1-"
    negative = negative if negative != "1-" or parts["trail"].is_not_null().any() else "-"
    usable &= ~enclosed if negative != "()" else ~(signs | parts["inner"].is_not_null())
    usable &= parts["trail"].is_null() if negative != "1-" else ~minus
    before, _, after = unit.partition("\0")
    trials = []
    for name, form in NUMBER_FORMS.items():
        if form.thousands and not core.str.contains(form.thousands, literal=True).any():
            continue
        fits = core.str.contains(f"^{form.pattern()}$").fill_null(False) & usable
        strict = bool(core.filter(fits).str.contains(f"^{form.pattern(strict=True)}$").all())
        trials.append(NumberTrial(name, before, after, negative, fits, strict))
    return trials


def parse_numbers(texts: pl.Series, form: str, before: str, after: str, negative: str) -> pl.Series:
    """The numbers that texts spell in one way, as integers if all are; null where a text does not fit."""
    way, alike = NUMBER_FORMS[form], _alike(texts)
    pattern = rf"(?P<sign>[-+])?\s*{_spaced(before)}(?P<inner>[-+])?\s*(?P<core>{way.pattern()}){_spaced(after)}"
    if negative == "()":
        pattern = rf"(?P<open>\()?\s*{pattern}\s*(?P<close>\))?"
    elif negative == "1-":
        pattern += r"\s*(?P<trail>-)?"
    parts = alike.str.extract_groups(f"^{pattern}$").struct.unnest()
    core = parts["core"]
    if way.thousands:
        core = core.str.replace_all(way.thousands, "", literal=True)
    core = core.str.replace(way.decimal, ".", literal=True)
    numbers = core.cast(pl.Int64, strict=False)
    if numbers.null_count() > core.null_count():
        numbers = core.cast(pl.Float64, strict=False)
    numbers = numbers.set(parts["sign"].is_not_null() & parts["inner"].is_not_null(), None)
    minus = ((parts["sign"] == "-") | (parts["inner"] == "-")).fill_null(False)
    if negative == "()":
        minus = parts["open"].is_not_null()
        numbers = numbers.set(minus != parts["close"].is_not_null(), None)
    elif negative == "1-":
        minus |= parts["trail"].is_not_null()
    return numbers.zip_with(~minus, -numbers).alias(texts.name)


def _alike(texts: pl.Series) -> pl.Series:
    """The texts with the minus sign, the space and the apostrophe of ASCII, and "12,-" as "12"."""
    alike = texts.str.replace_many(list(_ALIKE), list(_ALIKE.values()))
    return alike.str.replace(r"([0-9])[.,]--?", "${1}")


def _spaced(unit: str) -> str:
    return rf"\s*{re.escape(unit)}\s*" if unit else ""
