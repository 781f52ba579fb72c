"""The drawing of a network: layers as boxes, or units and weights where they are few enough to see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from clearprop.core.network import INPUT, Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.draw.network_layout import Layout, Wire, lay_out, style_of
from clearprop.draw.svg import coordinate, element, number, percent, picture, shorten
from clearprop.losses import Loss

_UNITS = 16
_LINES = 900
_RANKS_ACROSS = 6  # more ranks than these go from top to bottom
_MEANING = {
    "dense": "dense: every unit to every unit",
    "wired": "wired: only where a pattern says so, shared weights",
    "identity": "identity: added as it is, without weights",
    "frozen": "frozen: used, not trained",
}


@dataclass(frozen=True)
class Drawing:
    """The picture, and what its lines mean: (picture of the line, words)."""

    picture: Markup
    legend: tuple[tuple[Markup, str], ...]


def draw_network(
    net: Network,
    params: Parameters,
    losses: Mapping[str, Loss],
    input_names: Sequence[str],
    output_names: Mapping[str, Sequence[str]],
) -> Drawing:
    """Units and weights of a small network, the layers of any other."""
    if _is_small(net):
        return _UnitDrawing(net, params, input_names, output_names).draw()
    return _draw_boxes(net, losses)


def _is_small(net: Network) -> bool:
    sizes = [net.inputs, *(layer.units for layer in net.layers)]
    weights = sum(net.units(c.source) * layer.units for layer in net.layers for c in layer.connections)
    return max(sizes) <= _UNITS and weights <= _LINES and len(net.layers) <= _RANKS_ACROSS


def _legend(kinds: Collection[str], skips: bool, joins: bool, several: bool) -> tuple[tuple[Markup, str], ...]:
    entries = [
        (_sample(element("path", d="M1 7H33", class_=f"wire {kind}")), meaning)
        for kind, meaning in _MEANING.items()
        if kind in kinds
    ]
    if skips:
        entries.append(
            (_sample(element("path", d="M1 7H33", class_="wire dense skip")), "skip connection: leaps over layers")
        )
    if joins:
        entries.append((_sample(*_plus(17, 7)), "contributions of several sources are added"))
    if several:
        box = element("rect", x=6, y=1.5, width=22, height=11, rx=3, class_="box output")
        entries.append((_sample(box), "output: compared with targets"))
    return tuple(entries)


def _sample(*parts: Markup) -> Markup:
    return picture("", 34, 14, *parts, class_="swatch")


def _plus(x: float, y: float) -> list[Markup]:
    return [
        element("circle", cx=x, cy=y, r=6, class_="join"),
        element(
            "path", d=f"M{coordinate(x - 3)} {coordinate(y)}h6M{coordinate(x)} {coordinate(y - 3)}v6", class_="plus"
        ),
    ]


# --- layers as boxes -----------------------------------------------------------------------------------------------


def _draw_boxes(net: Network, losses: Mapping[str, Loss]) -> Drawing:
    """Boxes side by side, or one under the other where there are many ranks."""
    ranks = _depth(net)
    flat = ranks <= _RANKS_ACROSS
    counts = net.layout.counts()
    texts = {INPUT: [INPUT, f"{net.inputs:,} input{'s' * (net.inputs > 1)}"]}
    texts |= {layer.name: _box_text(layer, counts[layer.name], losses) for layer in net.layers}
    wide, high = (158.0, 22.0 + 17.0 * max(map(len, texts.values()))) if flat else (480.0, 34.0)
    plan = lay_out(net, dict.fromkeys(texts, high if flat else wide), gap=24 if flat else 20)
    space = _Space(flat, wide if flat else high, 62.0 if flat else 32.0)
    joins = [layer.name for layer in net.layers if len(layer.connections) > 1]
    parts = [_box_wire(plan, wire, space, wire.target in joins) for wire in plan.wires]
    for name, text in texts.items():
        x, y = space.at(plan.ranks[name], 0, plan.centre(name) - (high if flat else wide) / 2)
        parts.append(_box(text, _role(net, name), x, y, wide, high, flat))
    for name in joins:
        parts += _plus(*space.at(plan.ranks[name], -_JOIN, plan.centre(name)))
    along = space.start(ranks - 1) + space.thick + 4
    size = (along, plan.extent + 8) if flat else (plan.extent + 8, along)
    kinds = {style_of(wire.connection) for wire in plan.wires}
    legend = _legend(kinds, any(wire.lanes for wire in plan.wires), bool(joins), len(net.outputs or ()) > 1)
    label = (
        f"Drawing of the network: {len(net.layers)} layers from {net.inputs} inputs to {', '.join(net.outputs or ())}"
    )
    return Drawing(picture(label, *size, *parts), legend)


def _role(net: Network, name: str) -> str:
    return "input" if name == INPUT else "output" if name in (net.outputs or ()) else "hidden"


_JOIN = 13.0


def _depth(net: Network) -> int:
    ranks = {INPUT: 0}
    for layer in net.layers:
        ranks[layer.name] = 1 + max(ranks[c.source] for c in layer.connections)
    return max(ranks.values()) + 1


@dataclass(frozen=True)
class _Space:
    """Turns along and across into x and y: ranks go to the right, or down."""

    flat: bool
    thick: float  #: of a rank
    gap: float  #: between ranks

    def start(self, rank: int) -> float:
        """Where a rank begins along."""
        return 4 + rank * (self.thick + self.gap)

    def at(self, rank: int, along: float, across: float) -> tuple[float, float]:
        """The point `along` after the beginning of a rank."""
        a, b = self.start(rank) + along, across + 4
        return (a, b) if self.flat else (b, a)

    def bend(self, p: tuple[float, float], q: tuple[float, float]) -> str:
        """A curve from p to q that leaves and arrives along."""
        (x0, y0), (x1, y1) = p, q
        half = ((x1 - x0) if self.flat else (y1 - y0)) / 2
        c = [(x0 + half, y0), (x1 - half, y1)] if self.flat else [(x0, y0 + half), (x1, y1 - half)]
        return "C" + " ".join(f"{coordinate(x)} {coordinate(y)}" for x, y in [*c, q])


def _way(space: _Space, start: tuple[float, float], wire: Wire, plan: Layout, end: tuple[float, float]) -> str:
    """The path of a wire from start through its lanes to the end."""
    path, here = f"M{coordinate(start[0])} {coordinate(start[1])}", start
    for lane in wire.lanes:
        enter, leave = (space.at(lane.rank, along, plan.across[lane]) for along in (0.0, space.thick))
        path += space.bend(here, enter) + f"L{coordinate(leave[0])} {coordinate(leave[1])}"
        here = leave
    return path + space.bend(here, end)


def _box_wire(plan: Layout, wire: Wire, space: _Space, joined: bool) -> Markup:
    source = wire.connection.source
    start = space.at(plan.ranks[source], space.thick, plan.centre(source))
    rank, centre = plan.ranks[wire.target], plan.centre(wire.target)
    end = space.at(rank, -_JOIN - 6 if joined else -5, centre)
    tip = element("title", f"{source} → {wire.target}: {_MEANING[style_of(wire.connection)]}")
    class_ = f"wire {style_of(wire.connection)}{' skip' if wire.skips else ''}"
    (x, y), head = space.at(rank, -1, centre), "l-7 -4v8z" if space.flat else "l-4 -7h8z"
    arrow = element("path", d=f"M{coordinate(x)} {coordinate(y)}{head}", class_="head")
    return element("g", tip, element("path", d=_way(space, start, wire, plan, end), class_=class_), arrow)


def _box_text(layer: Layer, count: int, losses: Mapping[str, Loss]) -> list[str]:
    units = f"{layer.units:,} unit{'s' * (layer.units > 1)} · {layer.f.name}"
    lines = [layer.name, units, f"{count:,} parameter{'s' * (count != 1)}" if count else "no parameters"]
    if layer.dropout:
        lines.append(f"dropout {percent(layer.dropout)}")
    if layer.name in losses:
        lines.append(f"loss: {losses[layer.name].name.replace('_', ' ')}")
    return lines


def _box(text: Sequence[str], role: str, x: float, y: float, wide: float, high: float, flat: bool) -> Markup:
    """The box of a layer: its lines one under the other, or all on one line."""
    if flat:
        first = y + (high - 17 * len(text)) / 2 + 13
        lines = [
            element(
                "text", shorten(line, wide - 16), x=x + wide / 2, y=first + 17 * i, class_="boxtext" if i else "boxname"
            )
            for i, line in enumerate(text)
        ]
    else:
        name, rest = shorten(text[0], 130, 13), " · ".join(text[1:])
        lines = [
            element("text", name, x=x + 14, y=y + high / 2 + 4.5, class_="boxname start"),
            element("text", shorten(rest, wide - 160), x=x + wide - 14, y=y + high / 2 + 4, class_="tick end"),
        ]
    box = element("rect", x=x, y=y, width=wide, height=high, rx=8, class_=f"box {role}")
    return element("g", element("title", "\n".join(line[:200] for line in text)), box, *lines)


# --- units and weights ---------------------------------------------------------------------------------------------


class _UnitDrawing:
    """Units as circles coloured by bias, weights as lines whose colour is the sign and whose width the size."""

    pitch, radius, caption, thick, gap = 27.0, 8.5, 44.0, 20.0, 150.0

    def __init__(
        self,
        net: Network,
        params: Parameters,
        input_names: Sequence[str],
        output_names: Mapping[str, Sequence[str]],
    ) -> None:
        self.net, self.params = net, params
        self.labels = {INPUT: input_names, **output_names}
        sizes = {name: self.pitch * net.units(name) + self.caption for name in [INPUT, *net.index]}
        self.plan = lay_out(net, sizes, gap=18)
        self.space = _Space(True, self.thick, self.gap)
        self.left = 140.0 if net.inputs else 0.0
        self.largest = max([1e-12, *(float(np.abs(w).max()) for name in net.index for w in params[name].W.values())])
        biases = [b for name in net.index if (b := params[name].b) is not None]
        self.largest_bias = max([1e-12, *(float(np.abs(b).max()) for b in biases)])

    def draw(self) -> Drawing:
        """The picture with its legend."""
        weights = [line for wire in self.plan.wires for line in self._weights(wire)]
        weights.sort(key=lambda pair: pair[0])  # the strongest on top
        names = [INPUT, *self.net.index]
        units = [part for name in names for part in self._units(name)]
        ranks = max(self.plan.ranks.values()) + 1
        width = self.left + self.space.start(ranks - 1) + self.thick + 130
        label = f"Units and weights of the network: {self.net.parameter_count} parameters"
        parts = [*(line for _, line in weights), *units]
        drawn = picture(label, width, self.plan.extent + 12, *parts)
        kinds = {style_of(wire.connection) for wire in self.plan.wires} - {"dense"}
        line = {"d": "M1 7H33", "stroke_width": 3}
        signs = (
            (_sample(element("path", class_="weight plus-sign", **line)), "positive weight, wider for larger"),
            (_sample(element("path", class_="weight minus-sign", **line)), "negative weight"),
            (
                _sample(element("circle", cx=17, cy=7, r=6, class_="unit plus-sign", fill_opacity=0.8)),
                "unit, coloured by its bias in the same way",
            ),
        )
        return Drawing(drawn, (*signs, *_legend(kinds, False, False, False)))

    def _at(self, name: str, unit: int) -> tuple[float, float]:
        top = self.plan.centre(name) - (self.pitch * self.net.units(name) + self.caption) / 2
        x, y = self.space.at(self.plan.ranks[name], self.thick / 2, top + self.caption + (unit + 0.5) * self.pitch)
        return x + self.left, y

    def _weights(self, wire: Wire) -> list[tuple[float, Markup]]:
        c, target = wire.connection, wire.target
        W = c.matrix(self.params[target].W.get(c.source), self.net.units(target))  # type: ignore[arg-type]
        style = style_of(c)
        lines = []
        for i, j in np.argwhere(W != 0):
            share = min(1.0, abs(float(W[i, j])) / self.largest) if style != "identity" else 0.4
            tip = f"{self._name(c.source, int(i))} → {self._name(target, int(j))}: {number(float(W[i, j]))}"
            if style != "dense":
                tip += f" ({style})"
            sign = "identity-line" if style == "identity" else "plus-sign" if W[i, j] > 0 else "minus-sign"
            line = element(
                "path", element("title", tip), d=self._curve(wire, int(i), int(j)), class_=f"weight {sign} {style}",
                stroke_width=0.5 + 3.5 * share, stroke_opacity=0.25 + 0.75 * share,
            )  # fmt: skip
            lines.append((share, line))
        return lines

    def _curve(self, wire: Wire, i: int, j: int) -> str:
        start, end = self._at(wire.connection.source, i), self._at(wire.target, j)
        if not wire.lanes:
            return f"M{coordinate(start[0])} {coordinate(start[1])}L{coordinate(end[0])} {coordinate(end[1])}"
        path, here = f"M{coordinate(start[0])} {coordinate(start[1])}", start
        for lane in wire.lanes:
            x, y = self.space.at(lane.rank, self.thick / 2, self.plan.across[lane] + (i - j) * 0.6)
            path += self.space.bend(here, (x + self.left, y))
            here = (x + self.left, y)
        return path + self.space.bend(here, end)

    def _name(self, layer: str, unit: int) -> str:
        labels = self.labels.get(layer)
        return labels[unit][:80] if labels else f"{layer} {unit}"

    def _units(self, name: str) -> list[Markup]:
        rank, labels = self.plan.ranks[name], self.labels.get(name)
        b = None if name == INPUT else self.params[name].b
        role = _role(self.net, name)
        parts = self._caption(name)
        for unit in range(self.net.units(name)):
            x, y = self._at(name, unit)
            tip = self._name(name, unit) + (f": bias {number(float(b[unit]))}" if b is not None else "")
            parts.append(element("circle", element("title", tip), cx=x, cy=y, r=self.radius, class_=f"unit {role}"))
            if b is not None and b[unit] != 0:
                sign = "plus-sign" if b[unit] > 0 else "minus-sign"
                shade = min(1.0, abs(float(b[unit])) / self.largest_bias)
                parts.append(
                    element(
                        "circle", cx=x, cy=y, r=self.radius - 1, class_=f"unit {sign} bias", fill_opacity=shade * 0.9
                    )
                )
            if labels and rank == 0:
                parts.append(element("text", shorten(labels[unit], 122), x=x - 15, y=y + 4, class_="tick end"))
            elif labels:
                parts.append(element("text", shorten(labels[unit], 110), x=x + 15, y=y + 4, class_="tick"))
        return parts

    def _caption(self, name: str) -> list[Markup]:
        """Name and activation of a layer, above its first unit."""
        x, y = self._at(name, 0)
        what = f"{self.net.inputs} inputs" if name == INPUT else self.net[name].f.name
        return [
            element("text", shorten(name, 120), x=x, y=y - 33, class_="boxname"),
            element("text", what, x=x, y=y - 18, class_="boxtext"),
        ]
