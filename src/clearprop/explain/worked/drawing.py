"""A drawing of a small network with a number in every unit and on every link, as SVG and as TikZ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from clearprop.core.network import INPUT, Network
from clearprop.draw.network_layout import Place, Wire, lay_out, style_of
from clearprop.draw.svg import clean, coordinate, element, picture, shorten, text_width
from clearprop.explain.derivation.chain_rule import ChainRule, connected
from clearprop.explain.derivation.latex import escape
from clearprop.explain.derivation.names import Names, Unit
from clearprop.explain.derivation.notation import figure
from clearprop.explain.derivation.text import TextNotation
from clearprop.explain.worked.labels import Spoken, place_labels

_PITCH, _RADIUS, _GAP, _MARGIN, _LEVEL = 116.0, 31.0, 250.0, 78.0, 16.0
_BUNDLE = 120.0  # how wide the links of a lane may be where they carry no numbers
#: Links are written on up to so many of them; with more they would lie on each other.
MOST_LABELS = 40
Point = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A unit: where it is, its name, the number in it, and a line below it."""

    at: Point
    name: str
    number: str
    below: str
    role: str


@dataclass(frozen=True)
class Line:
    """A link: the points it goes through, the number on it, and how it is drawn."""

    points: tuple[Point, ...]
    label: str
    sign: str
    style: str
    width: float
    wish: float  #: where on it the number would stand if nothing were in the way
    number_at: tuple[float, float, float] = (0.0, 0.0, 0.0)  #: centre, and angle in degrees


@dataclass(frozen=True)
class Drawing:
    """Units and links with their numbers, in pixels."""

    width: float
    height: float
    label: str
    spots: tuple[Spot, ...]
    lines: tuple[Line, ...]

    def svg(self) -> str:
        """As an inline picture; the page's style sheet colours the classes."""
        parts = [_svg_line(line) for line in self.lines]
        parts += [_svg_label(line) for line in self.lines if line.label]
        parts += [part for spot in self.spots for part in _svg_spot(spot)]
        return str(picture(self.label, self.width, self.height, *parts, class_="network"))

    def tikz(self) -> str:
        """As a TikZ picture as wide as the text at most."""
        scale = min(0.72, 455 / self.width)
        lines = [rf"\begin{{tikzpicture}}[x={scale:.3f}pt, y=-{scale:.3f}pt, font=\scriptsize]"]
        lines += [_tikz_line(line) for line in self.lines]
        lines += [_tikz_label(line) for line in self.lines if line.label]
        lines += [part for spot in self.spots for part in _tikz_spot(spot, scale)]
        return "\n".join([*lines, r"\end{tikzpicture}"])


def draw(
    chain: ChainRule,
    names: Names,
    inside: Mapping[Unit, float],
    below: Mapping[Unit, str],
    links: Mapping[tuple[str, str, str], np.ndarray],
    label: str,
    digits: int,
) -> Drawing:
    """The network with `inside` in the units, `below` under them, and a matrix of numbers for each connection.

    `links` has the matrix (source units, units) by (layer, source, kind of connection).
    """
    net = chain.net
    sizes = {name: _PITCH * net.units(name) for name in (INPUT, *net.index)}
    count = link_count(net)
    crowd = max(map(len, _lanes(net.units, lay_out(net, sizes).wires).values()), default=0)
    pitch = _LEVEL if count <= MOST_LABELS else min(_LEVEL / 2, _BUNDLE / max(1, crowd))
    plan = lay_out(net, sizes, gap=max(36.0, crowd * pitch / 2 + 24))
    places = {
        Unit(name, i): (
            _MARGIN + plan.ranks[name] * _GAP,
            plan.centre(name) + (i + 0.5 - net.units(name) / 2) * _PITCH,
        )
        for name in sizes
        for i in range(net.units(name))
    }
    outputs = net.outputs or ()
    spots = [
        Spot(at, names.unit(u), short_number(inside[u], digits), below.get(u, ""),
             "input" if u.layer == INPUT else "output" if u.layer in outputs else "hidden")
        for u, at in places.items()
    ]  # fmt: skip
    lanes = _lanes(net.units, plan.wires)
    weights = [np.abs(matrix).ravel() for (*_, kind), matrix in links.items() if kind != "identity"]
    strengths = np.concatenate([[1e-300], *weights])
    largest = float(strengths[np.isfinite(strengths)].max())

    def via(wire: Wire, n: int) -> list[Point]:
        """The points of link n of a wire in its lanes, where every link has a level of its own."""
        found = []
        for lane in wire.lanes:
            level = lanes[lane].index((wire, n)) - (len(lanes[lane]) - 1) / 2
            found.append((_MARGIN + lane.rank * _GAP, plan.across[lane] + pitch * level))
        return found

    lines = [line for wire in plan.wires for line in _lines(wire, places, via, links, largest, digits)]
    if count > MOST_LABELS:
        lines = [replace(line, label="") for line in lines]
    lines = _with_places(lines, spots)
    width = 2 * _MARGIN + max(plan.ranks.values()) * _GAP
    heights = [y for line in lines for _, y in line.points]
    low, high = min([0.0, *(y - 12 for y in heights)]), max([plan.extent + 14, *(y + 12 for y in heights)])
    return _moved(Drawing(width, high - low, label, tuple(spots), tuple(lines)), -low)


def link_count(net: Network) -> int:
    """How many links a drawing of every unit has."""
    return sum(
        int(connected(c, i, layer.units).sum())
        for layer in net.layers
        for c in layer.connections
        for i in range(net.units(c.source))
    )


def _moved(drawing: Drawing, down: float) -> Drawing:
    spots = tuple(replace(spot, at=(spot.at[0], spot.at[1] + down)) for spot in drawing.spots)
    lines = tuple(
        replace(
            line,
            points=tuple((x, y + down) for x, y in line.points),
            number_at=(line.number_at[0], line.number_at[1] + down, line.number_at[2]),
        )
        for line in drawing.lines
    )
    return replace(drawing, spots=spots, lines=lines)


def _lanes(units: Callable[[str], int], wires: Sequence[Wire]) -> dict[Place, list[tuple[Wire, int]]]:
    """The links through each lane, in the order in which they lie in it: their wire, and their number in that."""
    found: dict[Place, list[tuple[Wire, int]]] = {}
    for wire in wires:
        for lane in wire.lanes:
            count = units(wire.connection.source) * units(wire.target)
            found.setdefault(lane, []).extend((wire, n) for n in range(count))
    return found


def _lines(
    wire: Wire,
    places: Mapping[Unit, Point],
    via: Callable[[Wire, int], list[Point]],
    links: Mapping[tuple[str, str, str], np.ndarray],
    largest: float,
    digits: int,
) -> list[Line]:
    """The links of one connection; `largest` is the size of the number that is drawn widest."""
    c, target = wire.connection, wire.target
    matrix, found = links[target, c.source, c.kind], []
    sources, units = matrix.shape
    for i in range(sources):
        for j in np.flatnonzero(connected(c, i, units)).tolist():
            lanes, number = via(wire, i * units + j), float(matrix[i, j])
            share = min(1.0, abs(number) / largest) if math.isfinite(number) else 1.0
            sign = "identity" if c.kind == "identity" else "minus" if number < 0 else "plus"
            label = "1" if c.kind == "identity" else short_number(number, digits)
            wish = 1 / (2 * len(lanes)) if lanes else 0.5 if i % 2 else 0.3
            points = (places[Unit(c.source, i)], *lanes, places[Unit(target, j)])
            found.append(Line(points, label, sign, style_of(c), 1 + 2.2 * share, wish))
    return found


def _with_places(lines: Sequence[Line], spots: Sequence[Spot]) -> list[Line]:
    """The lines with the places of their numbers, clear of each other, of the units and of what stands by these."""
    circles = [(x, y, _RADIUS) for x, y in (spot.at for spot in spots)]
    for spot in spots:
        x, y = spot.at
        for text, down in ((spot.name, -_RADIUS - 10), (spot.below, _RADIUS + 10)):
            reach = text_width(shorten(text, 130)) / 2
            circles += [(x + share * reach, y + down, 7.0) for share in (-0.9, -0.45, 0.0, 0.45, 0.9) if text]
    if not any(line.label for line in lines):
        return list(lines)
    links = [Spoken(_points(line.points), text_width(line.label, 11.5), line.wish) for line in lines]
    found = place_labels(links, np.array(circles))
    return [replace(line, number_at=at) for line, at in zip(lines, found, strict=True)]


def short_number(value: float, digits: int) -> str:
    """A number for a drawing, in text notation; a power of ten keeps three figures, so that it fits into a unit.

    >>> short_number(-0.0381982, 6), short_number(1.384985e-9, 6)
    ('−0.038198', '1.38·10⁻⁹')
    """
    shown = figure(value, digits)
    if shown.power is not None:
        shown = replace(shown, digits=f"{float(shown.digits):.2f}")
    return ("−" if shown.negative else "") + TextNotation(digits).number(shown)


# --- geometry -------------------------------------------------------------------------------------------------------


def _points(ends: tuple[Point, ...]) -> np.ndarray:
    """Points close to each other on a link, (m, 2), as `_curve` draws it."""
    t = np.linspace(0, 1, 40)[:, None]
    pieces = []
    for a, b in pairwise(np.array(ends)):
        if len(ends) == 2:
            pieces.append(a + t * (b - a))
            continue
        m, n = np.array([(a[0] + b[0]) / 2, a[1]]), np.array([(a[0] + b[0]) / 2, b[1]])
        pieces.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * m + 3 * (1 - t) * t**2 * n + t**3 * b)
    return np.concatenate(pieces)


def _curve(points: tuple[Point, ...]) -> str:
    path = f"M{coordinate(points[0][0])} {coordinate(points[0][1])}"
    if len(points) == 2:
        return path + f"L{coordinate(points[1][0])} {coordinate(points[1][1])}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        path += "C" + " ".join(f"{coordinate(x)} {coordinate(y)}" for x, y in ((middle, y0), (middle, y1), (x1, y1)))
    return path


# --- SVG ------------------------------------------------------------------------------------------------------------


def _svg_line(line: Line):
    return element("path", d=_curve(line.points), class_=f"link {line.sign} {line.style}", stroke_width=line.width)


def _svg_label(line: Line):
    x, y, angle = line.number_at
    turn = f"rotate({coordinate(angle)} {coordinate(x)} {coordinate(y)})"
    return element("text", line.label, x=x, y=y + 4, transform=turn, class_="onlink")


def _svg_spot(spot: Spot) -> list:
    x, y = spot.at
    return [
        element("circle", cx=x, cy=y, r=_RADIUS, class_=f"spot {spot.role}"),
        element("text", spot.number, x=x, y=y + 4, class_="inside"),
        element("text", shorten(spot.name, 130), x=x, y=y - _RADIUS - 6, class_="name"),
        element("text", spot.below, x=x, y=y + _RADIUS + 14, class_="below"),
    ]


# --- TikZ -----------------------------------------------------------------------------------------------------------


def _tikz_line(line: Line) -> str:
    dash = {"frozen": ", dashed", "identity": ", densely dotted", "wired": ", dash dot"}.get(line.style, "")
    colour = {"plus": "plus", "minus": "minus"}.get(line.sign, "gray")
    ways = [f"({x:.1f},{y:.1f})" for x, y in line.points]
    joined = " -- ".join(ways) if len(ways) == 2 else " to[out=0,in=180] ".join(ways)
    return rf"\draw[{colour}, line width={0.35 * line.width:.2f}pt{dash}] {joined};"


def _tikz_label(line: Line) -> str:
    x, y, angle = line.number_at
    look = f"rotate={-angle:.1f}, fill=white, fill opacity=0.8, text opacity=1, inner sep=0.8pt"
    return rf"\node[{look}] at ({x:.1f},{y:.1f}) {{{_tikz_number(line.label)}}};"


def _tikz_number(text: str) -> str:
    return escape(text).replace("·10", r"\ensuremath{\cdot}10") if "⁻" not in text else rf"${_powers(text)}$"


def _powers(text: str) -> str:
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-"))
    mantissa, _, power = plain.partition("·10")
    return rf"{mantissa} \cdot 10^{{{power}}}"


def _tikz_spot(spot: Spot, scale: float) -> list[str]:
    x, y = spot.at
    fill = "black!5" if spot.role == "input" else "white"
    thick = "thick" if spot.role == "output" else "semithick"
    size = f"minimum size={2 * _RADIUS * scale:.1f}pt"
    name = escape(clean(spot.name)[:24])
    return [
        rf"\node[circle, draw, {thick}, fill={fill}, {size}, inner sep=0pt] at ({x:.1f},{y:.1f}) "
        rf"{{{_tikz_number(spot.number)}}};",
        rf"\node[above] at ({x:.1f},{y - _RADIUS:.1f}) {{{name}}};",
        rf"\node[below, text=gray] at ({x:.1f},{y + _RADIUS:.1f}) {{{_tikz_number(spot.below)}}};",
    ]
