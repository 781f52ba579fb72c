"""Where the layers of a network and its connections go in a drawing.

Layers are put in ranks by their longest way from the input (Sugiyama, Tagawa and Toda 1981): a connection that skips
ranks gets a lane through each of them, so that it never crosses a layer. Along means from input to output, across the
other direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clearprop.core.connections import Connection
from clearprop.core.network import INPUT, Network

_LANE = 18.0
_SWEEPS = 12
_STRAIGHTENING = 60
_STILL = 0.2


@dataclass(frozen=True)
class Place:
    """A layer, or a lane for the connections of one kind that come from a layer, in its rank."""

    source: str
    rank: int
    lane: str | None = None  #: the kind of connection that uses the lane; None for the layer itself


@dataclass(frozen=True)
class Wire:
    """A connection into the layer `target`, through the lanes in between."""

    target: str
    connection: Connection
    lanes: tuple[Place, ...]

    @property
    def skips(self) -> bool:
        """Whether it leaps over a rank."""
        return bool(self.lanes)


@dataclass(frozen=True)
class Layout:
    """The rank of each layer, the centre across of each place, and the wires."""

    ranks: Mapping[str, int]
    across: Mapping[Place, float]
    wires: tuple[Wire, ...]
    extent: float  #: how much room there is across

    def centre(self, layer: str) -> float:
        """The centre across of a layer."""
        return self.across[Place(layer, self.ranks[layer])]


def style_of(connection: Connection) -> str:
    """How a connection is drawn: by its kind, or frozen."""
    if connection.kind != "identity" and not connection.trainable:
        return "frozen"
    return connection.kind


def lay_out(net: Network, size: Mapping[str, float], gap: float = 26.0) -> Layout:
    """Give every layer and lane its place; `size` is how much room a layer needs across."""
    ranks = {INPUT: 0}
    for layer in net.layers:
        ranks[layer.name] = 1 + max(ranks[c.source] for c in layer.connections)
    wires = tuple(_wire(layer.name, c, ranks) for layer in net.layers for c in layer.connections)
    near = _neighbours(_links(wires, ranks))
    columns = _columns(ranks, wires)
    for sweep in range(_SWEEPS):
        _order(columns, near, forward=sweep % 2 == 0)

    def room(place: Place) -> float:
        return size[place.source] if place.lane is None else _LANE

    across = _align(columns, near, room, gap)
    low = min(centre - room(place) / 2 for place, centre in across.items())
    high = max(centre + room(place) / 2 for place, centre in across.items())
    return Layout(ranks, {place: centre - low for place, centre in across.items()}, wires, high - low)


def _wire(target: str, c: Connection, ranks: Mapping[str, int]) -> Wire:
    between = range(ranks[c.source] + 1, ranks[target])
    return Wire(target, c, tuple(Place(c.source, rank, style_of(c)) for rank in between))


def _links(wires: tuple[Wire, ...], ranks: Mapping[str, int]) -> dict[tuple[Place, Place], float]:
    """Neighbours in adjacent ranks with how much they want to be in one line: layers most, then lanes."""
    links: dict[tuple[Place, Place], float] = {}
    for wire in wires:
        source = wire.connection.source
        way = [Place(source, ranks[source]), *wire.lanes, Place(wire.target, ranks[wire.target])]
        for a, b in pairwise(way):
            links[a, b] = 8.0 if a.lane is None and b.lane is None else 8.0 if a.lane and b.lane else 0.5
    return links


def _columns(ranks: Mapping[str, int], wires: tuple[Wire, ...]) -> list[list[Place]]:
    """The places of each rank: layers in the network's order, then the lanes."""
    columns: list[list[Place]] = [[] for _ in range(max(ranks.values()) + 1)]
    for name, rank in ranks.items():
        columns[rank].append(Place(name, rank))
    for wire in wires:
        for lane in wire.lanes:
            if lane not in columns[lane.rank]:
                columns[lane.rank].append(lane)
    return columns


def _neighbours(links: Mapping[tuple[Place, Place], float]) -> dict[Place, list[tuple[Place, float]]]:
    found: dict[Place, list[tuple[Place, float]]] = {}
    for (a, b), weight in links.items():
        found.setdefault(a, []).append((b, weight))
        found.setdefault(b, []).append((a, weight))
    return found


def _order(columns: list[list[Place]], near: Mapping[Place, list[tuple[Place, float]]], forward: bool) -> None:
    """Sort each rank by the mean place of the neighbours in the rank before (or after), which untangles wires."""
    step = -1 if forward else 1
    for r in range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1):
        beside = columns[r + step]
        where = {place: i / max(1, len(beside) - 1) for i, place in enumerate(beside)}
        mean: dict[Place, float] = {}
        for i, place in enumerate(columns[r]):
            seen = [where[other] for other, _ in near[place] if other in where]
            mean[place] = float(np.mean(seen)) if seen else i / max(1, len(columns[r]) - 1)
        columns[r].sort(key=lambda place: (mean[place], place.lane is not None))


def _align(
    columns: list[list[Place]],
    near: Mapping[Place, list[tuple[Place, float]]],
    room: Callable[[Place], float],
    gap: float,
) -> dict[Place, float]:
    """Centres across: each place as near to its neighbours as the places beside it allow."""
    across: dict[Place, float] = {}
    apart = [np.cumsum([0.0] + [(room(a) + room(b)) / 2 + gap for a, b in pairwise(column)]) for column in columns]
    for column, offsets in zip(columns, apart, strict=True):
        across.update(zip(column, (float(centre) for centre in offsets - offsets[-1] / 2), strict=True))
    for sweep in range(_STRAIGHTENING):
        moved = 0.0
        for column, offsets in list(zip(columns, apart, strict=True))[:: 1 if sweep % 2 == 0 else -1]:
            weights = [sum(weight for _, weight in near[place]) for place in column]
            wanted = [
                sum(across[other] * weight for other, weight in near[place]) / total - offset
                for place, total, offset in zip(column, weights, offsets, strict=True)
            ]
            for place, base, offset in zip(column, _rising(wanted, weights), offsets, strict=True):
                moved = max(moved, abs(base + offset - across[place]))
                across[place] = base + offset
        if moved < _STILL:
            break
    return across


def _rising(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The numbers that never fall and are nearest to the wanted ones: neighbours out of order share their mean.

    >>> _rising([1.0, 4.0, 2.0], [1.0, 1.0, 1.0])
    [1.0, 3.0, 3.0]
    """
    pools: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for value, weight in zip(wanted, weights, strict=True):
        total, heavy, many = value * weight, weight, 1
        while pools and pools[-1][0] * heavy > total * pools[-1][1]:
            before = pools.pop()
            total, heavy, many = total + before[0], heavy + before[1], many + before[2]
        pools.append((total, heavy, many))
    return [total / heavy for total, heavy, many in pools for _ in range(many)]
