"""Charts of right and wrong answers: the confusion matrix, and bars of several yes-or-no labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from clearprop.draw.svg import WIDTHS, Drawing, coordinate, element, percent, shorten_all, swatch, text_width

_NAME = 130.0  # the most pixels of the name of a class
_LEAST_CELL = 26.0  # of a matrix that fills half a page; one with more classes is wider


def confusion_chart(label: str, matrix: np.ndarray, labels: Sequence[str]) -> Drawing:
    """A confusion matrix: true classes down, predicted classes across; the shade is the share of the true class."""
    k, names = len(matrix), shorten_all(labels, _NAME)
    widest = max(text_width(name) for name in names)
    left = widest + 34
    cell = min(80.0, (WIDTHS["half"] - left - 10) / k)
    flat = widest <= cell - 4
    if not flat:
        cell = min(80.0, (WIDTHS["half"] - left - max(10.0, widest * 0.75 - cell / 2 + 10)) / k)
    cell = cell if cell >= _LEAST_CELL else max(22.0, min(60.0, 520 / k))
    top = 40.0 if flat else widest * 0.75 + 42
    parts = [
        element("text", "predicted", x=left + cell * k / 2, y=12, class_="title mid"),
        element("text", "true", transform=f"translate(12 {top + cell * k / 2:.1f}) rotate(-90)", class_="title mid"),
    ]
    for i, name in enumerate(names):
        at = left + (i + 0.5) * cell
        turn = None if flat else f"rotate(-45 {at:.1f} {top - 8:.1f})"
        full = element("title", labels[i][:200]) if name != labels[i] else ""
        parts.append(element("text", name, full, x=left - 8, y=top + (i + 0.5) * cell + 4, class_="tick end"))
        parts.append(
            element("text", name, full, x=at, y=top - 8, class_="tick mid" if flat else "tick", transform=turn)
        )
    side = coordinate(cell - 2)
    empty = "".join(
        f"M{coordinate(left + j * cell + 1)} {coordinate(top + i * cell + 1)}h{side}v{side}h-{side}z"
        for i, j in np.argwhere(matrix == 0).tolist()
    )
    parts += [element("path", d=empty, class_="empty")] if empty else []
    rows = matrix.sum(axis=1)
    for i, j in np.argwhere(matrix > 0).tolist():
        x, y, count = left + j * cell, top + i * cell, int(matrix[i, j])
        parts += _confusion_cell(count, int(rows[i]), i == j, x, y, cell, (labels[i], labels[j]))
    tail = 10.0 if flat else max(10.0, widest * 0.75 - cell / 2 + 10)
    legend = (_scale("first", "right"), _scale("second", "wrong; 1%, 10%, 50% and 100% of the true class"))
    return Drawing(label, left + cell * k + tail, top + cell * k + 6, tuple(parts), legend)


def shade(share: float) -> float:
    """How strong the colour of a share is: the same for right and wrong answers; small shares can be seen too.

    >>> shade(0.0), shade(1.0)
    (0.06, 1.0)
    """
    return 0.06 + 0.94 * share**0.5


def _shaded(share: float) -> str:
    """The style of a shaded area; the style sheet limits the opacity so that text on it can be read."""
    return f"--s: {shade(share):.2f}"


def _scale(class_: str, meaning: str) -> tuple[Markup, str]:
    """The legend of the shades of a colour."""
    squares = (
        element("rect", x=8.5 * n, y=1, width=8, height=12, class_=f"{class_} shaded", style=_shaded(share))
        for n, share in enumerate((0.01, 0.1, 0.5, 1.0))
    )
    return Markup("").join(squares), meaning


def _confusion_cell(
    count: int, rows: int, right: bool, x: float, y: float, cell: float, classes: tuple[str, str]
) -> list[Markup]:
    share = count / rows
    true, predicted = (name[:80] for name in classes)
    tip = element("title", f"{true} predicted as {predicted}: {count:,} of {rows:,} rows ({percent(share)})")
    class_ = f"{'first' if right else 'second'} shaded"
    square = {"x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 3}
    text = f"{count:,}" if text_width(f"{count:,}") < cell - 4 else f"{count / 1000:.0f}k"
    return [
        element("rect", tip, **square, class_=class_, style=_shaded(share)),
        element("text", text, x=x + cell / 2, y=y + cell / 2 + 4, class_="cell"),
    ]


def flag_bars(label: str, labels: Sequence[str], y: np.ndarray, predicted: np.ndarray) -> Drawing:
    """For each yes-or-no label its rows as one bar: true and false positives and negatives."""
    names = shorten_all(labels, 150)
    left, width, row = 14 + max(text_width(name) for name in names), WIDTHS["wide"], 30.0
    full = width - left - 70
    parts = []
    for i, name in enumerate(names):
        top, x = 6 + i * row, left
        parts.append(element("text", name, x=left - 10, y=top + 15, class_="tick end"))
        for (class_, what, opacity), rows in zip(_KINDS, _kinds(y[:, i], predicted[:, i]), strict=True):
            share = float(rows.mean())
            tip = element("title", f"{labels[i][:100]}: {int(rows.sum()):,} {what} ({percent(share)} of the rows)")
            if share:
                bar = {"x": x, "y": top, "width": full * share, "height": 20}
                parts.append(element("rect", tip, **bar, class_=class_, fill_opacity=opacity))
            x += full * share
        right = percent(float((y[:, i] == predicted[:, i]).mean()))
        parts.append(element("text", right, x=width - 60, y=top + 15, class_="value"))
    legend = tuple((swatch("square", class_, opacity), what) for class_, what, opacity in _KINDS)
    return Drawing(label, width, row * len(names) + 4, tuple(parts), legend)


_KINDS = (
    ("first", "true positives", 1.0), ("second", "false negatives", 1.0),
    ("second", "false positives", 0.6), ("first", "true negatives", 0.35),
)  # fmt: skip


def _kinds(y: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which rows are true positives, false negatives, false positives, true negatives."""
    yes, said_yes = y == 1, predicted == 1
    return yes & said_yes, yes & ~said_yes, ~yes & said_yes, ~yes & ~said_yes
