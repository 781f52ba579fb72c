"""How objects show themselves in a notebook.

What a class below the drawings shows needs the drawings. So its display is written above them, in
`clearprop.views.notebook`, and the package hands that function down when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_writers: list[Callable[[Any], str]] = []


def set_writer(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Set the function that writes the HTML of an object, and return it."""
    _writers[:] = [write]
    return write


class Displayed:
    """Base of the classes that a notebook shows as HTML, in light and dark, and in print."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _writers[0](self)
