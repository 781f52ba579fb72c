"""The Hinton diagram: a square for every weight, its area the size and its colour the sign."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from clearprop.checks import check_finite
from clearprop.core.network import INPUT, Layer
from clearprop.core.parameters import Parameters
from clearprop.draw.svg import coordinate, element, number, shorten, text_width
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names, Unit
from clearprop.views.figure import Figure, Panel, swatch
from clearprop.views.validation import check_parameters

_SIGNS = ((swatch("square", "plus-sign"), "positive"), (swatch("square", "minus-sign"), "negative"))
_LARGEST_CELL, _SMALLEST_CELL, _WIDE = 26.0, 3.0, 420.0


def hinton(
    subject: Parameters | Mapping[str, Any],
    names: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
) -> Figure:
    """Draw every weight as a square: its area is the size, its colour the sign; all layers share one scale.

    A row for each unit of the source, a column for each unit of the layer, and the biases as a row of their own.
    `names` are names of units by layer, such as {"input": ["age", "income"]}. Any matrices can be drawn in the same
    way, given by their titles; `names` then has those of the "rows" and of the "columns". Raises ArgumentError or
    DataError for numbers that are not there or not finite. After Hinton and Shallice 1991.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> [panel.title for panel in views.hinton(cp.Network.sequential(2, 3, 1).initialize(seed=0)).panels]
    ['hidden ← input', 'output ← hidden']
    >>> [panel.title for panel in views.hinton({"code": [[1.0, -1.0], [0.5, 0.0]]}).panels]
    ['code']
    """
    if isinstance(subject, Mapping):
        return _matrices(subject, names or {}, title or "Numbers")
    params = check_parameters(subject, "hinton")
    net, known = params.net, Names(params.net, names or {})
    largest = float(np.abs(params.flat).max(initial=0.0)) or 1.0
    panels = [panel for layer in net.layers for panel in _layer(params, layer, known, largest)]
    note = f"A square for each weight, its area the size; the largest is {number(largest)} in size. Biases last."
    return Figure(title or "Weights", tuple(panels), note, _SIGNS)


def _matrices(given: Mapping[str, Any], names: Mapping[str, Sequence[str]], title: str) -> Figure:
    """A panel for each matrix."""
    matrices = {name: np.atleast_2d(np.asarray(matrix, float)) for name, matrix in given.items()}
    if not matrices or any(matrix.ndim != 2 or not matrix.size for matrix in matrices.values()):
        raise ArgumentError(f"hinton: expected matrices by title, got {list(given)!r} of shapes "
                            f"{[np.shape(matrix) for matrix in given.values()]}.")  # fmt: skip
    largest = max(float(np.abs(matrix).max()) for matrix in matrices.values()) or 1.0
    panels = []
    for name, matrix in matrices.items():
        check_finite(matrix, f"hinton: {name}")
        rows, columns = matrix.shape
        sides = (_side(names, "rows", rows, name), _side(names, "columns", columns, name))
        panels.append(_panel(name, matrix, None, *sides, largest))
    note = f"A square for each number, its area the size; the largest is {number(largest)} in size."
    return Figure(title, tuple(panels), note, _SIGNS, columns=4)


def _side(names: Mapping[str, Sequence[str]], side: str, count: int, matrix: str) -> list[str]:
    """The names of the rows or the columns of a matrix; numbers where there are none."""
    found = list(names.get(side, map(str, range(count))))
    if len(found) != count:
        raise ArgumentError(f'names: expected {count} {side} for "{matrix}", got {found!r}.')
    return found


def _layer(params: Parameters, layer: Layer, names: Names, largest: float) -> list[Panel]:
    """A panel for each connection with weights; the bias stands below the last of them."""
    b = params[layer.name].b
    weighted = [c for c in layer.connections if c.kind != "identity"]
    panels = []
    for i, c in enumerate(weighted):
        W = np.asarray(c.matrix(params[layer.name].W[c.source], layer.units))
        rows = [names.unit(Unit(c.source, k)) if c.source != INPUT or names.given else f"{k}" for k in range(len(W))]
        last = b if i == len(weighted) - 1 else None
        columns = [str(n) for n in names.given.get(layer.name, range(layer.units))]
        panels.append(_panel(f"{layer.name} ← {c.source}", W, last, rows, columns, largest))
    return panels


def _panel(
    title: str, W: np.ndarray, b: np.ndarray | None, rows: Sequence[str], columns: Sequence[str], largest: float
) -> Panel:
    sources, units = W.shape
    cell = max(_SMALLEST_CELL, min(_LARGEST_CELL, _WIDE / max(sources, units)))
    labelled = cell >= 13
    labels = [shorten(row.partition("[")[2].rstrip("]") or row, 110) for row in rows] if labelled else []
    left = 8 + max([text_width(label) for label in [*labels, *(["bias"] * (b is not None and labelled))]], default=0)
    parts = _squares(W, left, 0, cell, largest)
    for k, label in enumerate(labels):
        parts.append(element("text", label, x=left - 7, y=(k + 0.5) * cell + 4, class_="tick end"))
    height = sources * cell
    if b is not None:
        parts += _squares(b[None, :], left, height + 8, cell, largest)
        if labelled:
            parts.append(element("text", "bias", x=left - 7, y=height + 8 + cell / 2 + 4, class_="tick end"))
        height += 8 + cell
    if labelled:
        below, high = _column_names(columns, left, height, cell)
        parts, height = [*parts, *below], height + high
    return Panel(title, max(left + units * cell, text_width(title, 14)), height, tuple(parts))


def _column_names(columns: Sequence[str], left: float, top: float, cell: float) -> tuple[list[Markup], float]:
    """The names below the columns, upright where they are wider than a column, and how much room they take."""
    names = [shorten(name, 110) for name in columns]
    wide = max(map(text_width, names))
    upright = wide > cell - 2
    parts = []
    for j, name in enumerate(names):
        x, y = left + (j + 0.5) * cell + (4 if upright else 0), top + (6 if upright else 15)
        turn = f"rotate(-90 {coordinate(x)} {coordinate(y)})" if upright else None
        parts.append(element("text", name, x=x, y=y, transform=turn, class_=f"tick {'end' if upright else 'mid'}"))
    return parts, wide + 10 if upright else 20


def _squares(W: np.ndarray, left: float, top: float, cell: float, largest: float) -> list[Markup]:
    rows, columns = W.shape
    ground = element("rect", x=left, y=top, width=columns * cell, height=rows * cell, rx=3, class_="track")
    parts = [ground]
    for k, j in np.argwhere(W != 0):
        w = float(W[k, j])
        side = (cell - 1) * math.sqrt(abs(w) / largest)
        if side < 0.3:
            continue
        x, y = left + (j + 0.5) * cell - side / 2, top + (k + 0.5) * cell - side / 2
        parts.append(
            element(
                "rect", element("title", number(w)), x=float(x), y=float(y), width=side, height=side,
                class_="plus-sign" if w > 0 else "minus-sign",
            )
        )  # fmt: skip
    return parts
