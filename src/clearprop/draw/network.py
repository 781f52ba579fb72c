"""The drawing of a network: every unit and link of a small one, the layers of any other as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from clearprop.core.network import INPUT, Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.draw.network_layout import NetworkLayout, Wire, lay_out, ranks_of, style_of
from clearprop.draw.network_marks import MEANING, Point, curve, join_sign, legend_of
from clearprop.draw.style import colours_of_layers
from clearprop.draw.svg import Drawing, coordinate, element, percent, shorten
from clearprop.draw.units import draw_units, link_count, link_matrices
from clearprop.losses import Loss

_MOST_UNITS = 16
_MOST_LINKS = 900
_RANKS_ACROSS = 6  # a drawing of more ranks goes from top to bottom


def is_small(net: Network) -> bool:
    """Whether every unit and link of a network can be drawn."""
    sizes = [net.inputs, *(layer.units for layer in net.layers)]
    return max(sizes) <= _MOST_UNITS and link_count(net) <= _MOST_LINKS and len(net.layers) <= _RANKS_ACROSS


def draw_network(
    net: Network, params: Parameters, losses: Mapping[str, Loss], names: Mapping[str, Sequence[str]]
) -> Drawing:
    """Units and weights of a small network, the layers of any other; `names` are names of units by layer."""
    if not is_small(net):
        return draw_layers(net, losses)
    biases = {name: b for name in net.index if (b := params[name].b) is not None}
    label = f"Units and weights of the network: {net.parameter_count} parameters"
    return draw_units(net, link_matrices(net, params), names, label, biases=biases)


# --- layers as boxes ------------------------------------------------------------------------------------------------


def draw_layers(net: Network, losses: Mapping[str, Loss]) -> Drawing:
    """The layers as boxes side by side, or one below the other if there are many ranks."""
    ranks = max(ranks_of(net).values()) + 1
    flat = ranks <= _RANKS_ACROSS
    counts = net.layout.counts()
    texts = {INPUT: [INPUT, f"{net.inputs:,} input{'s' * (net.inputs > 1)}"]}
    texts |= {layer.name: _box_text(layer, counts[layer.name], losses) for layer in net.layers}
    wide, high = (158.0, 22.0 + 17.0 * max(map(len, texts.values()))) if flat else (480.0, 34.0)
    plan = lay_out(net, dict.fromkeys(texts, high if flat else wide), gap=24 if flat else 20)
    space = _Space(flat, wide if flat else high, 62.0 if flat else 32.0)
    colours = colours_of_layers(net)
    joins = [layer.name for layer in net.layers if len(layer.connections) > 1]
    parts = [_box_wire(plan, wire, space, wire.target in joins) for wire in plan.wires]
    for name, text in texts.items():
        x, y = space.at(plan.ranks[name], 0, plan.centre(name) - (high if flat else wide) / 2)
        parts.append(_box(text, colours[name], (x, y), (wide, high), flat))
    for name in joins:
        parts += join_sign(*space.at(plan.ranks[name], -_JOIN, plan.centre(name)))
    along = space.start(ranks - 1) + space.thick + 4
    size = (along, plan.extent + 8) if flat else (plan.extent + 8, along)
    kinds = {style_of(wire.connection) for wire in plan.wires}
    outputs = net.outputs or ()
    legend = legend_of(kinds, any(wire.lanes for wire in plan.wires), bool(joins), len(outputs) > 1)
    label = f"Drawing of the network: {len(net.layers)} layers from {net.inputs} inputs to {', '.join(outputs)}"
    return Drawing(label, *size, tuple(parts), legend)


_JOIN = 13.0  # distance of the sign of a sum from its layer


@dataclass(frozen=True)
class _Space:
    """Turns along and across into x and y: ranks go to the right if `flat`, else down."""

    flat: bool
    thick: float  #: of a rank
    gap: float  #: between ranks

    def start(self, rank: int) -> float:
        """Where a rank begins along."""
        return 4 + rank * (self.thick + self.gap)

    def at(self, rank: int, along: float, across: float) -> Point:
        """The point `along` after the beginning of a rank."""
        a, b = self.start(rank) + along, across + 4
        return (a, b) if self.flat else (b, a)


def _box_wire(plan: NetworkLayout, wire: Wire, space: _Space, joined: bool) -> Markup:
    source, style = wire.connection.source, style_of(wire.connection)
    points = [space.at(plan.ranks[source], space.thick, plan.centre(source))]
    for lane in wire.lanes:
        points += [space.at(lane.rank, along, plan.across[lane]) for along in (0.0, space.thick)]
    rank, centre = plan.ranks[wire.target], plan.centre(wire.target)
    points.append(space.at(rank, -_JOIN - 6 if joined else -5, centre))
    tip = element("title", f"{source} → {wire.target}: {MEANING[style]}")
    class_ = f"link wire {style} skip" if wire.lanes else f"link wire {style}"
    (x, y), head = space.at(rank, -1, centre), "l-7 -4v8z" if space.flat else "l-4 -7h8z"
    arrow = element("path", d=f"M{coordinate(x)} {coordinate(y)}{head}", class_="head")
    return element("g", tip, element("path", d=curve(tuple(points), space.flat), class_=class_), arrow)


def _box_text(layer: Layer, count: int, losses: Mapping[str, Loss]) -> list[str]:
    units = f"{layer.units:,} unit{'s' * (layer.units > 1)} · {layer.f.name}"
    lines = [layer.name, units, f"{count:,} parameter{'s' * (count != 1)}" if count else "no parameters"]
    if layer.dropout:
        lines.append(f"dropout {percent(layer.dropout)}")
    if layer.name in losses:
        lines.append(f"loss: {losses[layer.name].name.replace('_', ' ')}")
    return lines


def _box(text: Sequence[str], kind: str, at: Point, size: Point, flat: bool) -> Markup:
    """The box of a layer: its lines one below the other, or all on one line."""
    (x, y), (wide, high) = at, size
    if flat:
        first = y + (high - 17 * len(text)) / 2 + 13
        classes = ["boxname", *["boxtext"] * (len(text) - 1)]
        lines = [
            element("text", shorten(line, wide - 16), x=x + wide / 2, y=first + 17 * i, class_=class_)
            for i, (line, class_) in enumerate(zip(text, classes, strict=True))
        ]
    else:
        name, rest = shorten(text[0], 130, 13), " · ".join(text[1:])
        lines = [
            element("text", name, x=x + 14, y=y + high / 2 + 4.5, class_="boxname start"),
            element("text", shorten(rest, wide - 160), x=x + wide - 14, y=y + high / 2 + 4, class_="tick end"),
        ]
    box = element("rect", x=x, y=y, width=wide, height=high, rx=8, class_=f"box {kind}")
    return element("g", element("title", "\n".join(line[:200] for line in text)), box, *lines)
