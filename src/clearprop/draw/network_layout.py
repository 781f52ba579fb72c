"""The layout of a network: positions of its layers and routes of its connections.

Layers are put in ranks by their longest path from the input (Sugiyama, Tagawa and Toda 1981). A connection that skips
ranks gets a lane through each of them, so that it never crosses a layer. "Along" is the direction from input to output,
"across" the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression

from clearprop.core.connections import Connection
from clearprop.core.network import INPUT, Network

_LANE = 18.0
_SWEEPS = 12
_STRAIGHTENING = 60
_STILL = 0.2


@dataclass(frozen=True)
class Slot:
    """A layer in its rank, or a lane for the connections of one kind that come from a layer."""

    source: str
    rank: int
    lane: str | None = None  #: the kind of connection that uses the lane; None for the layer itself


@dataclass(frozen=True)
class Wire:
    """A connection into the layer `target` and the lanes that it passes."""

    target: str
    connection: Connection
    lanes: tuple[Slot, ...]


@dataclass(frozen=True)
class NetworkLayout:
    """The rank of each layer, the centre across of each slot, and the wires."""

    ranks: Mapping[str, int]
    across: Mapping[Slot, float]
    wires: tuple[Wire, ...]
    extent: float  #: the total size across

    def centre(self, layer: str) -> float:
        """The centre across of a layer."""
        return self.across[Slot(layer, self.ranks[layer])]


def style_of(connection: Connection) -> str:
    """The style of a connection: its kind, or "frozen"."""
    if connection.kind != "identity" and not connection.trainable:
        return "frozen"
    return connection.kind


def ranks_of(net: Network) -> dict[str, int]:
    """The rank of each layer: the length of the longest path from the input."""
    ranks = {INPUT: 0}
    for layer in net.layers:
        ranks[layer.name] = 1 + max(ranks[c.source] for c in layer.connections)
    return ranks


def wires_of(net: Network) -> tuple[Wire, ...]:
    """Every connection, with the lanes that it passes."""
    ranks = ranks_of(net)
    return tuple(_wire(layer.name, c, ranks) for layer in net.layers for c in layer.connections)


def lay_out(net: Network, size: Mapping[str, float], gap: float = 26.0) -> NetworkLayout:
    """Positions of all layers and lanes; `size` is the size of each layer across, `gap` the space between two."""
    ranks, wires = ranks_of(net), wires_of(net)
    near = _neighbours(_links(wires, ranks))
    columns = _columns(ranks, wires)
    for sweep in range(_SWEEPS):
        _order(columns, near, forward=sweep % 2 == 0)

    def size_of(slot: Slot) -> float:
        return size[slot.source] if slot.lane is None else _LANE

    across = _align(columns, near, size_of, gap)
    low = min(centre - size_of(slot) / 2 for slot, centre in across.items())
    high = max(centre + size_of(slot) / 2 for slot, centre in across.items())
    return NetworkLayout(ranks, {slot: centre - low for slot, centre in across.items()}, wires, high - low)


def _wire(target: str, c: Connection, ranks: Mapping[str, int]) -> Wire:
    between = range(ranks[c.source] + 1, ranks[target])
    return Wire(target, c, tuple(Slot(c.source, rank, style_of(c)) for rank in between))


def _links(wires: tuple[Wire, ...], ranks: Mapping[str, int]) -> dict[tuple[Slot, Slot], float]:
    """Pairs of slots in adjacent ranks that a wire joins, with the weight by which they attract each other."""
    links: dict[tuple[Slot, Slot], float] = {}
    for wire in wires:
        source = wire.connection.source
        route = [Slot(source, ranks[source]), *wire.lanes, Slot(wire.target, ranks[wire.target])]
        for a, b in pairwise(route):
            links[a, b] = 8.0 if a.lane is None and b.lane is None else 8.0 if a.lane and b.lane else 0.5
    return links


def _columns(ranks: Mapping[str, int], wires: tuple[Wire, ...]) -> list[list[Slot]]:
    """The slots of each rank: layers in the order of the network, then lanes."""
    columns: list[list[Slot]] = [[] for _ in range(max(ranks.values()) + 1)]
    for name, rank in ranks.items():
        columns[rank].append(Slot(name, rank))
    for wire in wires:
        for lane in wire.lanes:
            if lane not in columns[lane.rank]:
                columns[lane.rank].append(lane)
    return columns


def _neighbours(links: Mapping[tuple[Slot, Slot], float]) -> dict[Slot, list[tuple[Slot, float]]]:
    near: dict[Slot, list[tuple[Slot, float]]] = {}
    for (a, b), weight in links.items():
        near.setdefault(a, []).append((b, weight))
        near.setdefault(b, []).append((a, weight))
    return near


def _order(columns: list[list[Slot]], near: Mapping[Slot, list[tuple[Slot, float]]], forward: bool) -> None:
    """Sort each rank by the mean position of the neighbours in the rank before (or after), to reduce crossings."""
    step = -1 if forward else 1
    for r in range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1):
        beside = columns[r + step]
        position = {slot: i / max(1, len(beside) - 1) for i, slot in enumerate(beside)}
        mean: dict[Slot, float] = {}
        for i, slot in enumerate(columns[r]):
            neighbours = [position[other] for other, _ in near[slot] if other in position]
            mean[slot] = float(np.mean(neighbours)) if neighbours else i / max(1, len(columns[r]) - 1)
        columns[r].sort(key=lambda slot: (mean[slot], slot.lane is not None))


def _align(
    columns: list[list[Slot]],
    near: Mapping[Slot, list[tuple[Slot, float]]],
    size_of: Callable[[Slot], float],
    gap: float,
) -> dict[Slot, float]:
    """Centres across: each slot as near to its neighbours as the other slots of its rank allow."""
    across: dict[Slot, float] = {}
    offsets_of = [
        np.cumsum([0.0] + [(size_of(a) + size_of(b)) / 2 + gap for a, b in pairwise(column)]) for column in columns
    ]
    for column, offsets in zip(columns, offsets_of, strict=True):
        across.update(zip(column, (float(centre) for centre in offsets - offsets[-1] / 2), strict=True))
    for sweep in range(_STRAIGHTENING):
        moved = 0.0
        for column, offsets in list(zip(columns, offsets_of, strict=True))[:: 1 if sweep % 2 == 0 else -1]:
            weights = [sum(weight for _, weight in near[slot]) for slot in column]
            wanted = [
                sum(across[other] * weight for other, weight in near[slot]) / total - offset
                for slot, total, offset in zip(column, weights, offsets, strict=True)
            ]
            for slot, base, offset in zip(column, isotonic_regression(wanted, weights=weights).x, offsets, strict=True):
                moved = max(moved, abs(float(base + offset) - across[slot]))
                across[slot] = float(base + offset)
        if moved < _STILL:
            break
    return across
