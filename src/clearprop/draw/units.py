"""Draw every unit and link of a network: compact, or with more space and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from clearprop.core.connections import Connection, Direct, Wired
from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters
from clearprop.draw.labels import LabelledLink, place_labels
from clearprop.draw.network_layout import Slot, Wire, lay_out, style_of, wires_of
from clearprop.draw.network_marks import Point, controls, curve, legend_of
from clearprop.draw.style import colours_of_layers
from clearprop.draw.svg import Drawing, Legend, coordinate, element, number, polyline, shorten, swatch, text_width

#: With more links than these their numbers would overlap, and none are written.
MOST_LABELS = 40
Unit = tuple[str, int]  # a layer and an index in it


@dataclass(frozen=True)
class Look:
    """Sizes of a drawing of units, in pixels."""

    pitch: float  #: from unit to unit
    radius: float
    rank: float  #: from rank to rank
    margins: Point  #: left and right of the outermost units
    caption: float  #: room for a caption above the units of a layer
    gap: float  #: between layers of a rank
    lane: Point  #: from link to link in a lane, and the greatest width of a lane without labels
    width: Point  #: of a link of value 0, and what is added for the largest value
    opacity: Point


COMPACT = Look(27, 8.5, 170, (154, 144), 44, 18, (4, 14), (0.5, 3.5), (0.25, 0.75))
ROOMY = Look(116, 31, 250, (78, 78), 0, 36, (16, 120), (1, 2.2), (0.75, 0))


@dataclass(frozen=True)
class Node:
    """A unit: its centre, the class of the colour of its layer, its name, the number in it, the text below it."""

    at: Point
    kind: str
    name: str
    number: str = ""
    below: str = ""


@dataclass(frozen=True)
class Link:
    """A link: the points that it passes, how it is drawn, and its label."""

    points: tuple[Point, ...]
    sign: str
    style: str
    width: float
    opacity: float
    tip: str
    label: str
    preferred: float  #: where on the link the label is preferred
    label_at: tuple[float, float, float] = (0.0, 0.0, 0.0)  #: its centre, and its angle in degrees


@dataclass(frozen=True)
class UnitDrawing(Drawing):
    """The units and links of a network: as SVG in `parts`, and as data for other notations."""

    look: Look = COMPACT
    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()


def link_count(net: Network) -> int:
    """The number of links that a drawing of all units has."""
    return sum(
        int(_pattern(c, net.units(c.source), layer.units).sum()) for layer in net.layers for c in layer.connections
    )


def link_matrices(net: Network, values: Parameters) -> dict[tuple[str, str, str], np.ndarray]:
    """The values of all links (source units, units) by (layer, source, kind of connection)."""
    return {
        (layer.name, c.source, c.kind): np.asarray(c.matrix(values[layer.name].W.get(c.source), layer.units))  # type: ignore[arg-type]
        for layer in net.layers
        for c in layer.connections
    }


def draw_units(
    net: Network,
    matrices: Mapping[tuple[str, str, str], np.ndarray],
    names: Mapping[str, Sequence[str]],
    label: str,
    *,
    numbers: Mapping[Unit, str] | None = None,
    below: Mapping[Unit, str] | None = None,
    biases: Mapping[str, np.ndarray] | None = None,
    text: Callable[[float], str] = number,
) -> UnitDrawing:
    """Draw every unit and link of a network.

    `matrices` has the values of the links, as `link_matrices` returns them. With `numbers`
    in the units the drawing is roomy: texts `below` the units, and values on the links, written by `text`. Without them
    it is compact: biases colour the units, and links of value 0 are left out.
    """
    plan = _Plan(net, numbers is not None, names)
    links = _links(plan, matrices, text)
    colours = colours_of_layers(net)
    nodes = [
        Node(plan.at(name, i), colours[name], plan.name(name, i), (numbers or {}).get((name, i), ""),
             (below or {}).get((name, i), ""))
        for name in plan.layers
        for i in range(net.units(name))
    ]  # fmt: skip
    captions = [] if numbers else [part for name in plan.layers for part in _caption(plan, name)]
    if biases is not None:
        largest = _largest(biases.values())
        shares = {name: np.nan_to_num(b / largest, posinf=1.0, neginf=-1.0) for name, b in biases.items()}
        captions = [*(part for name, own in shares.items() for part in _bias_dots(plan, name, own)), *captions]
    if plan.labelled:
        links = _place_labels(links, nodes, plan.look.radius)
    parts = [_svg_link(link) for link in sorted(links, key=lambda link: link.width)]  # the widest on top
    parts += [_svg_label(link) for link in links if link.label]
    parts += [part for node in nodes for part in _svg_node(node, plan.look.radius)]
    zero = plan.look is ROOMY and any(link.sign == "" and link.style != "identity" for link in links)
    legend = (*_signs(biases is not None, zero), *legend_of({link.style for link in links} - {"dense"}))
    return UnitDrawing(
        label, *plan.size, (*parts, *captions), legend, look=plan.look, nodes=tuple(nodes), links=tuple(links)
    )


def animate_units(
    net: Network, frames: Sequence[Parameters], names: Mapping[str, Sequence[str]], label: str
) -> list[Drawing]:
    """Compact drawings of all units and links, one for each of the parameters, with the same elements and one scale."""
    plan, colours = _Plan(net, False, names), colours_of_layers(net)
    matrices = [link_matrices(net, params) for params in frames]
    largest = _largest(matrix for each in matrices for (*_, kind), matrix in each.items() if kind != "identity")
    biases = [{name: b for name in net.index if (b := params[name].b) is not None} for params in frames]
    largest_bias = _largest(b for each in biases for b in each.values())
    nodes = [
        Node(plan.at(name, i), colours[name], plan.name(name, i))
        for name in plan.layers
        for i in range(net.units(name))
    ]
    units = [part for node in nodes for part in _svg_node(node, plan.look.radius)]
    captions = [part for name in plan.layers for part in _caption(plan, name)]
    drawings = []
    for weights, shown in zip(matrices, biases, strict=True):
        links = _links(plan, weights, number, largest)
        shares = {name: np.where(b == 0, 1e-9, b / largest_bias) for name, b in shown.items()}  # 0 has a dot too
        dots = [part for name, share in shares.items() for part in _bias_dots(plan, name, share)]
        parts = (*(_svg_link(link) for link in links), *units, *dots, *captions)
        legend = (*_signs(bool(shown), False), *legend_of({link.style for link in links} - {"dense"}))
        drawings.append(Drawing(label, *plan.size, parts, legend))
    return drawings


class _Plan:
    """Positions of the units of a network, and of its links in their lanes."""

    def __init__(self, net: Network, roomy: bool, names: Mapping[str, Sequence[str]]) -> None:
        self.net, self.names, self.layers = net, names, (INPUT, *net.index)
        self.look = look = ROOMY if roomy else COMPACT
        self.labelled = roomy and link_count(net) <= MOST_LABELS
        self.lanes = _links_by_lane(net)
        crowd = max(map(len, self.lanes.values()), default=0)
        self.pitch = look.lane[0] if self.labelled else min(look.lane[0] / 2, look.lane[1] / max(1, crowd))
        sizes = {name: look.pitch * net.units(name) + look.caption for name in self.layers}
        self.layout = lay_out(net, sizes, gap=max(look.gap, crowd * self.pitch / 2 + 0.65 * look.gap))
        reach = [(self.layout.across[lane], self.pitch * len(links) / 2 + 12) for lane, links in self.lanes.items()]
        self.top = min([0.0, *(centre - room for centre, room in reach)])
        bottom = max([self.layout.extent + 14, *(centre + room for centre, room in reach)])
        self.size = sum(look.margins) + max(self.layout.ranks.values()) * look.rank, bottom - self.top

    def at(self, layer: str, unit: int) -> Point:
        """The centre of a unit."""
        offset = (unit + 0.5 - self.net.units(layer) / 2) * self.look.pitch + self.look.caption / 2
        return self._along(self.layout.ranks[layer]), self.layout.centre(layer) - self.top + offset

    def through(self, lane: Slot, wire: Wire, n: int) -> Point:
        """Where link n of a wire passes a lane, in which every link has a level of its own."""
        level = self.lanes[lane].index((wire, n)) - (len(self.lanes[lane]) - 1) / 2
        return self._along(lane.rank), self.layout.across[lane] - self.top + self.pitch * level

    def name(self, layer: str, unit: int) -> str:
        """The name of a unit."""
        return self.names[layer][unit] if layer in self.names else f"{layer}[{unit}]"

    def _along(self, rank: int) -> float:
        return self.look.margins[0] + rank * self.look.rank


def _links(
    plan: _Plan, matrices: Mapping[tuple[str, str, str], np.ndarray], text: Callable[[float], str], largest: float = 0
) -> list[Link]:
    """The links of all connections; without a `largest` value the compact drawing leaves out those of value 0."""
    every = bool(largest)
    largest = largest or _largest(matrix for (*_, kind), matrix in matrices.items() if kind != "identity")
    links = []
    for wire in plan.layout.wires:
        c, target = wire.connection, wire.target
        matrix = matrices[target, c.source, c.kind]
        for i, j in np.argwhere(_pattern(c, *matrix.shape)).tolist():
            value = float(matrix[i, j])
            if plan.look is COMPACT and value == 0 and not every:
                continue
            share = min(1.0, abs(value) / largest) if np.isfinite(value) else 1.0
            sign = "" if c.kind == "identity" or value == 0 else "minus" if value < 0 else "plus"
            shown = "1" if c.kind == "identity" else text(value)
            width, opacity = (base + more * share for base, more in (plan.look.width, plan.look.opacity))
            via = [plan.through(lane, wire, i * matrix.shape[1] + j) for lane in wire.lanes]
            tip = f"{plan.name(c.source, i)[:80]} → {plan.name(target, j)[:80]}: {shown}"
            look = (sign, style_of(c), width, opacity, tip, shown if plan.labelled else "")
            preferred = 1 / (2 * len(via)) if via else 0.5 if i % 2 else 0.3
            links.append(Link((plan.at(c.source, i), *via, plan.at(target, j)), *look, preferred))
    return links


def _pattern(c: Connection, sources: int, units: int) -> np.ndarray:
    """Which units a connection links (source units, units), whatever the weights are."""
    if isinstance(c, Wired):
        return np.asarray(c.numbers) != 0
    return np.eye(units, dtype=bool) if isinstance(c, Direct) else np.ones((sources, units), bool)


def _links_by_lane(net: Network) -> dict[Slot, list[tuple[Wire, int]]]:
    """The links through each lane in their order across: their wire, and their index in it."""
    lanes: dict[Slot, list[tuple[Wire, int]]] = {}
    for wire in wires_of(net):
        for lane in wire.lanes:
            count = net.units(wire.connection.source) * net.units(wire.target)
            lanes.setdefault(lane, []).extend((wire, n) for n in range(count))
    return lanes


def _largest(arrays: Iterable[np.ndarray]) -> float:
    """The largest finite size of a number."""
    sizes = np.concatenate([[1e-300], *(np.abs(array).ravel() for array in arrays)])
    return float(sizes[np.isfinite(sizes)].max())


def _signs(biased: bool, zero: bool) -> Legend:
    entries = [(swatch("line", "plus"), "positive, wider for larger"), (swatch("line", "minus"), "negative")]
    if zero:
        entries.append((swatch("line", "none"), "0"))
    if biased:
        dot = element("circle", cx=17, cy=7, r=6, class_="plus", fill_opacity=0.8)
        entries.append((dot, "unit, coloured by its bias in the same way"))
    return tuple(entries)


def _caption(plan: _Plan, layer: str) -> list[Markup]:
    """Name and activation of a layer above its first unit, and the names of its units beside them."""
    x, y = plan.at(layer, 0)
    what = f"{plan.net.inputs} inputs" if layer == INPUT else plan.net[layer].f.name
    parts = [
        element("text", shorten(layer, 120), x=x, y=y - 33, class_="boxname"),
        element("text", what, x=x, y=y - 18, class_="boxtext"),
    ]
    side, class_ = (-15, "tick end") if layer == INPUT else (15, "tick")
    for i, name in enumerate(plan.names.get(layer, ())):
        x, y = plan.at(layer, i)
        parts.append(element("text", shorten(name, 110), x=x + side, y=y + 4, class_=class_))
    return parts


def _bias_dots(plan: _Plan, layer: str, shares: np.ndarray) -> list[Markup]:
    """The biases of a layer as colours of its units."""
    dots = []
    for i in np.flatnonzero(shares).tolist():
        x, y = plan.at(layer, i)
        tip = element("title", f"{plan.name(layer, i)[:80]}: bias")
        class_, strength = "bias plus" if shares[i] > 0 else "bias minus", 0.9 * abs(float(shares[i]))
        dots.append(element("circle", tip, cx=x, cy=y, r=plan.look.radius - 1, class_=class_, fill_opacity=strength))
    return dots


def _place_labels(links: Sequence[Link], nodes: Sequence[Node], radius: float) -> list[Link]:
    """The links with positions of their labels, clear of each other, of the units and of the texts beside these."""
    circles = [(*node.at, radius) for node in nodes]
    for node in nodes:
        x, y = node.at
        for text, down in ((node.name, -radius - 10), (node.below, radius + 10)):
            reach = text_width(shorten(text, 130)) / 2
            circles += [(x + share * reach, y + down, 7.0) for share in (-0.9, -0.45, 0.0, 0.45, 0.9) if text]
    labelled = [LabelledLink(_dense(link.points), text_width(link.label, 11.5), link.preferred) for link in links]
    placed = place_labels(labelled, np.array(circles))
    return [replace(link, label_at=label_at) for link, label_at in zip(links, placed, strict=True)]


def _dense(ends: tuple[Point, ...]) -> np.ndarray:
    """Close points on a link (m, 2), as `_path` draws it."""
    t = np.linspace(0, 1, 40)[:, None]
    if len(ends) == 2:
        return (1 - t) * np.array(ends[0]) + t * np.array(ends[1])
    pieces = []
    for a, b in pairwise(ends):
        p, m, n, q = (np.array(point) for point in (a, *controls(a, b), b))
        pieces.append((1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * m + 3 * (1 - t) * t**2 * n + t**3 * q)
    return np.concatenate(pieces)


def _path(points: tuple[Point, ...]) -> str:
    return curve(points) if len(points) > 2 else polyline(*zip(*points, strict=True))


def _svg_link(link: Link) -> Markup:
    return element(
        "path", element("title", link.tip), d=_path(link.points), class_=f"link {link.sign} {link.style}",
        stroke_width=link.width, stroke_opacity=link.opacity,
    )  # fmt: skip


def _svg_label(link: Link) -> Markup:
    x, y, angle = link.label_at
    turn = f"rotate({coordinate(angle)} {coordinate(x)} {coordinate(y)})"
    return element("text", link.label, x=x, y=y + 4, transform=turn, class_="on-link halo")


def _svg_node(node: Node, radius: float) -> list[Markup]:
    x, y = node.at
    title = element("title", node.name[:80])
    parts = [element("circle", title, cx=x, cy=y, r=radius, class_=f"unit {node.kind}")]
    if node.number:
        parts += [
            element("text", node.number, x=x, y=y + 4, class_="mid"),
            element("text", shorten(node.name, 130), x=x, y=y - radius - 6, class_="name halo"),
        ]
    if node.below:
        parts.append(element("text", node.below, x=x, y=y + radius + 14, class_="below halo"))
    return parts
