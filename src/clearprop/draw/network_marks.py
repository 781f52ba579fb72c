"""Shared by both drawings of a network: styles of layers and connections, curves, and the legend."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from markupsafe import Markup

from clearprop.draw.svg import Legend, coordinate, element

Point = tuple[float, float]
MEANING = {
    "dense": "dense: every unit to every unit",
    "wired": "wired: only where a pattern says so, shared weights",
    "identity": "identity: added unchanged, without weights",
    "frozen": "frozen: used, not trained",
}


def controls(a: Point, b: Point, flat: bool = True) -> tuple[Point, Point]:
    """The control points of a curve that leaves a and enters b horizontally, or vertically unless `flat`."""
    if flat:
        middle = (a[0] + b[0]) / 2
        return (middle, a[1]), (middle, b[1])
    middle = (a[1] + b[1]) / 2
    return (a[0], middle), (b[0], middle)


def curve(points: tuple[Point, ...], flat: bool = True) -> str:
    """The path of a curve through points."""
    path = f"M{coordinate(points[0][0])} {coordinate(points[0][1])}"
    for a, b in pairwise(points):
        path += "C" + " ".join(f"{coordinate(x)} {coordinate(y)}" for x, y in (*controls(a, b, flat), b))
    return path


def join_sign(x: float, y: float) -> list[Markup]:
    """The sign of a sum."""
    cross = f"M{coordinate(x - 3)} {coordinate(y)}h6M{coordinate(x)} {coordinate(y - 3)}v6"
    return [element("circle", cx=x, cy=y, r=6, class_="join"), element("path", d=cross, class_="join")]


def legend_of(kinds: Collection[str], skips: bool = False, joins: bool = False, several: bool = False) -> Legend:
    """The legend of the connections that a drawing has; `several` if it has several outputs."""

    def line(class_: str) -> Markup:
        return element("path", d="M1 7H33", class_=f"link wire {class_}")

    entries = [(line(kind), meaning) for kind, meaning in MEANING.items() if kind in kinds]
    if skips:
        entries.append((line("dense skip"), "skip connection: passes over layers"))
    if joins:
        entries.append((Markup("").join(join_sign(17, 7)), "contributions of several sources are added"))
    if several:
        box = element("rect", x=6, y=1.5, width=22, height=11, rx=3, class_="box output")
        entries.append((box, "output: compared with targets"))
    return tuple(entries)
