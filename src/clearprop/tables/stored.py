"""Checks of what a model file says about its table: the file may come from anywhere, so nothing in it is believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from clearprop.errors import ModelFileError


def refuse(where: str, expected: str, got: Any) -> ModelFileError:
    """The error for a field that does not hold what it must."""
    shown = repr(got)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ModelFileError(
        f"Model file, table encoding, {where}: expected {expected}, got {shown}. "
        "The file is damaged or was not written by clearprop; write it again."
    )


class Stored:
    """One JSON object of the file, read field by field.

    >>> Stored({"scale": 2.0}, "column 1").number("scale")
    2.0
    """

    def __init__(self, fields: Any, where: str) -> None:
        if not isinstance(fields, dict):
            raise refuse(where, "an object", fields)
        self.fields: dict[Any, Any] = fields
        self.where = where

    def _get(self, name: str) -> Any:
        if name not in self.fields:
            raise refuse(self.where, f'a field "{name}"', sorted(map(str, self.fields)))
        return self.fields[name]

    def _typed(self, name: str, right: Callable[[Any], bool], expected: str) -> Any:
        value = self._get(name)
        if not right(value):
            raise refuse(f"{self.where}, {name}", expected, value)
        return value

    def error(self, name: str, expected: str) -> ModelFileError:
        """The error for a field whose value does not fit the others."""
        return refuse(f"{self.where}, {name}", expected, self.fields.get(name))

    def text(self, name: str) -> str:
        """A text."""
        return self._typed(name, lambda v: isinstance(v, str), "a text")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the texts in `choices`."""
        return self._typed(name, lambda v: isinstance(v, str) and v in choices, f"one of {', '.join(choices)}")

    def truth(self, name: str) -> bool:
        """True or false."""
        return self._typed(name, lambda v: isinstance(v, bool), "true or false")

    def number(self, name: str) -> float:
        """A finite number."""
        return float(self._typed(name, is_finite, "a finite number"))

    def positive(self, name: str) -> float:
        """A finite number above 0."""
        return float(self._typed(name, lambda v: is_finite(v) and v > 0, "a finite number above 0"))

    def items(self, name: str) -> list[Any]:
        """A list."""
        return self._typed(name, lambda v: isinstance(v, list), "a list")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts without repeats."""
        right = lambda v: isinstance(v, list) and all(isinstance(t, str) for t in v) and len(set(v)) == len(v)  # noqa: E731
        return tuple(self._typed(name, right, "a list of different texts"))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        right = lambda v: isinstance(v, list) and all(is_finite(x) for x in v)  # noqa: E731
        return tuple(float(x) for x in self._typed(name, right, "a list of finite numbers"))


def is_finite(value: Any) -> bool:
    """Whether `value` is a number that a float64 holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
