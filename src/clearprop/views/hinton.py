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
from clearprop.draw.figure import Figure
from clearprop.draw.svg import Drawing, coordinate, element, number, shorten, swatch, text_width
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names, Unit
from clearprop.views.validation import check_parameters

_SIGNS = ((swatch("square", "plus"), "positive"), (swatch("square", "minus"), "negative"))
_LARGEST_CELL, _SMALLEST_CELL, _WIDE = 26.0, 3.0, 420.0


def hinton(
    subject: Parameters | Mapping[str, Any],
    names: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
) -> Figure:
    """Draw every weight as a square: its area is the absolute value, its colour the sign; all layers share one scale.

    Each unit of the source has a row and each unit of the layer a column; the biases are the last row. `names` are
    names of units by layer, such as {"input": ["age", "income"]}. A dict of matrices by title is drawn in the same
    way; then `names` has those of the "rows" and the "columns". Raises ArgumentError or DataError for values that
    cannot be drawn. After Hinton and Shallice 1991.

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
    note = f"The area of a square is the absolute value of a weight; the largest is {number(largest)}. Biases last."
    return Figure(title or "Weights", tuple(panels), note, _SIGNS)


def _matrices(subject: Mapping[str, Any], names: Mapping[str, Sequence[str]], title: str) -> Figure:
    """One panel for each matrix."""
    matrices = {name: np.atleast_2d(np.asarray(matrix, float)) for name, matrix in subject.items()}
    if not matrices or any(matrix.ndim != 2 or not matrix.size for matrix in matrices.values()):
        raise ArgumentError(f"hinton: expected matrices by title, got {list(subject)!r} of shapes "
                            f"{[np.shape(matrix) for matrix in subject.values()]}.")  # fmt: skip
    largest = max(float(np.abs(matrix).max()) for matrix in matrices.values()) or 1.0
    panels = []
    for name, matrix in matrices.items():
        check_finite(matrix, f"hinton: {name}")
        rows, columns = matrix.shape
        sides = (_side(names, "rows", rows, name), _side(names, "columns", columns, name))
        panels.append(_panel(name, matrix, None, *sides, largest))
    note = f"The area of a square is the absolute value of a number; the largest is {number(largest)}."
    return Figure(title, tuple(panels), note, _SIGNS, columns=4)


def _side(names: Mapping[str, Sequence[str]], side: str, count: int, matrix: str) -> list[str]:
    """The names of the rows or the columns of a matrix; indices by default."""
    labels = list(names.get(side, map(str, range(count))))
    if len(labels) != count:
        raise ArgumentError(f'names: expected {count} {side} for "{matrix}", got {labels!r}.')
    return labels


def _layer(params: Parameters, layer: Layer, names: Names, largest: float) -> list[Drawing]:
    """One panel for each connection with weights; the bias is below the last of them."""
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
) -> Drawing:
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
    return Drawing(title, max(left + units * cell, text_width(title, 14)), height, tuple(parts), title=title)


def _column_names(columns: Sequence[str], left: float, top: float, cell: float) -> tuple[list[Markup], float]:
    """The names below the columns, upright if they are wider than a column, and their height."""
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
                class_="plus" if w > 0 else "minus",
            )
        )  # fmt: skip
    return parts
