"""The chain rule at one sample: the local derivatives, and every path from a quantity to the cost.

The network is a graph of quantities: z of a unit leads to a of the same unit (of every unit of the layer, if the
activation mixes them), a leads to z of every unit that reads it, and a of an output leads to the cost J. Each link has
a local derivative, and

    dJ/dx = sum over paths from x to J of the product of the local derivatives along the path.

Backpropagation computes these sums from the cost backward, so that shared parts are computed once:
error_k = dJ/da_k = sum over targets j of delta_j W_kj, delta_k = dJ/dz_k = sum over units q of error_q da_q/dz_k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.connections import Connection, Direct, Wired
from clearprop.core.network import INPUT, Network
from clearprop.core.trace import Trace
from clearprop.explain.derivation.names import Subject, Unit
from clearprop.fork_safety import cached_property
from clearprop.losses import CrossEntropy
from clearprop.symbolic.expression import exact_sum


@dataclass(frozen=True)
class Node:
    """A quantity on a path: z or a of a unit, a parameter ("w" or "b") of a connection, or the cost ("J")."""

    quantity: str
    unit: Unit | None = None
    source: Unit | None = None


COST = Node("J")


@dataclass(frozen=True)
class Link:
    """A local derivative d top / d bottom with its number; `kind` is the kind of derivative.

    "loss" dJ/da, "short" dJ/dz by the short form, "activation" da/dz, "weight" dz/da, "identity" dz/da = 1,
    "source" dz/dw = a, "bias" dz/db = 1.
    """

    top: Node
    bottom: Node
    number: float
    kind: str


@dataclass(frozen=True)
class Path:
    """One path from the cost back to the quantity, as links; its value is their product."""

    links: tuple[Link, ...]
    sample: int

    @property
    def value(self) -> float:
        """The product of the local derivatives."""
        return math.prod(link.number for link in self.links)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The quantities along the path, from the first one to the cost."""
        return (*(link.bottom for link in reversed(self.links)), COST)


@dataclass(frozen=True)
class ChainRule:
    """The local derivatives of a trace at one sample."""

    trace: Trace
    sample: int
    _slopes: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _matrices: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def net(self) -> Network:
        """The network."""
        return self.trace.objective.net

    # --- local derivatives ------------------------------------------------------------------------------------------

    def activation(self, unit: Unit) -> float:
        """The a of a unit, or x of an input."""
        a = self.trace.X if unit.layer == INPUT else self.trace[unit.layer].a
        return float(a[self.sample, unit.index])

    def slopes(self, layer: str) -> np.ndarray:
        """da/dz of a layer: f'(z) (u,) where elementwise, else the Jacobian (u, u) with a row per a."""
        if layer not in self._slopes:
            f, seen = self.net[layer].f, self.trace[layer]
            z, a = (array[self.sample : self.sample + 1] for array in (seen.z, seen.a))
            if isinstance(f, Elementwise):
                slopes = f.pullback(z, a, np.ones_like(z))[0]
            else:  # the pullback of a unit vector is a row of the Jacobian
                u = z.shape[1]
                slopes = f.pullback(np.repeat(z, u, 0), np.repeat(a, u, 0), np.eye(u, dtype=z.dtype))
            self._slopes[layer] = slopes
        return self._slopes[layer]

    @cached_property
    def weight(self) -> float:
        """The factor of this sample's loss in J: w_n, divided by the sum of weights for "mean"."""
        return float(self.trace.objective.weights(slice(None))[self.sample])

    def target(self, layer: str) -> np.ndarray:
        """The target (u,) of an output layer as its loss compares it: class indices as one-hot, smoothed."""
        y, loss = self.trace.objective.targets[layer][self.sample : self.sample + 1], self.trace.objective.losses[layer]
        if isinstance(loss, CrossEntropy):
            return loss._rows(y, self._row(layer, "a"))[0]
        return np.asarray(y[0])

    @cached_property
    def loss_slopes(self) -> dict[str, np.ndarray]:
        """dJ/da (u,) of each output layer by its loss alone."""
        found = {}
        for name, loss in self.trace.objective.losses.items():
            y = self.trace.objective.targets[name][self.sample : self.sample + 1]
            with np.errstate(divide="ignore"):  # a probability rounded to 0 has an infinite error signal
                found[name] = loss.value_and_error(self._row(name, "a"), y)[1][0] * self.weight
        return found

    @cached_property
    def short_forms(self) -> dict[str, np.ndarray]:
        """dJ/dz (u,) of each output layer whose loss has a short form with its activation, by its loss alone."""
        found = {}
        for name, loss in self.trace.objective.losses.items():
            if loss.partner is not None and isinstance(self.net[name].f, loss.partner):
                y = self.trace.objective.targets[name][self.sample : self.sample + 1]
                found[name] = loss.short_form(self._row(name, "z"), self._row(name, "a"), y)[1][0] * self.weight
        return found

    def _row(self, layer: str, quantity: str) -> np.ndarray:
        return getattr(self.trace[layer], quantity)[self.sample : self.sample + 1]

    # --- links ------------------------------------------------------------------------------------------------------

    @cached_property
    def takers(self) -> dict[str, list[tuple[str, Connection]]]:
        """For each source the layers that read it, with their connections."""
        found: dict[str, list[tuple[str, Connection]]] = {name: [] for name in (INPUT, *self.net.index)}
        for layer in self.net.layers:
            for c in layer.connections:
                found[c.source].append((layer.name, c))
        return found

    def matrix(self, layer: str, c: Connection) -> np.ndarray:
        """The full matrix (source units, layer units) of a connection."""
        key = (layer, c.source, c.kind)
        if key not in self._matrices:
            W = self.trace.params[layer].W.get(c.source)
            self._matrices[key] = np.asarray(c.matrix(W, self.net.units(layer)))
        return self._matrices[key]

    def onward(self, unit: Unit) -> list[Link]:
        """dz/da of every unit that reads the activation of a unit."""
        links = []
        for layer, c in self.takers[unit.layer]:
            row = self.matrix(layer, c)[unit.index]
            kind = "identity" if isinstance(c, Direct) else "weight"
            reached = np.flatnonzero(connected(c, unit.index, len(row)))
            links += [
                Link(Node("z", Unit(layer, int(p))), Node("a", unit), float(row[p]), kind) for p in reached.tolist()
            ]
        return links

    def upward(self, unit: Unit) -> list[Link]:
        """da/dz of every activation that the weighted sum of a unit reaches."""
        slopes, z = self.slopes(unit.layer), Node("z", unit)
        if slopes.ndim == 1:
            return [Link(Node("a", unit), z, float(slopes[unit.index]), "activation")]
        column = slopes[:, unit.index].tolist()
        return [Link(Node("a", Unit(unit.layer, q)), z, slope, "activation") for q, slope in enumerate(column)]

    def ending(self, unit: Unit) -> list[Link]:
        """dJ/da of an output by its loss."""
        if unit.layer not in self.loss_slopes:
            return []
        return [Link(COST, Node("a", unit), float(self.loss_slopes[unit.layer][unit.index]), "loss")]

    def _next(self, node: Node, short: bool) -> list[Link]:
        assert node.unit is not None
        unit = node.unit
        if node.quantity == "z":
            if not short or unit.layer not in self.short_forms:
                return self.upward(unit)
            ended = Link(COST, node, float(self.short_forms[unit.layer][unit.index]), "short")
            return [ended, *(self.upward(unit) if self.takers[unit.layer] else [])]
        ending = [] if short and unit.layer in self.short_forms else self.ending(unit)
        return [*ending, *self.onward(unit)]

    def first(self, subject: Subject) -> list[Link]:
        """The links from the quantity itself: dz/dw of each connection of a weight, dz/db; none for a unit."""
        if subject.kind == "bias":
            return [Link(Node("z", subject.unit), Node("b", subject.unit), 1.0, "bias")]
        return [
            Link(Node("z", target), Node("w", target, source), self.activation(source), "source")
            for source, target in subject.places
        ]

    # --- all paths --------------------------------------------------------------------------------------------------

    def paths(self, subject: Subject, short: bool = False) -> Iterator[Path]:
        """Every path from the quantity to the cost; `short` ends them at dJ/dz where there is a short form."""
        first = self.first(subject)
        starts = [((link,), link.top) for link in first] or [((), Node(subject.kind, subject.unit))]
        stack: list[tuple[tuple[Link, ...], Node]] = list(reversed(starts))
        while stack:
            links, node = stack.pop()
            if node == COST:
                yield Path(tuple(reversed(links)), self.sample)
            else:
                stack += [((*links, link), link.top) for link in reversed(self._next(node, short))]

    def count(self, subject: Subject, short: bool = False) -> int:
        """How many paths there are, without walking them."""
        a, z = self._counts(short)
        reached = [target for _, target in subject.places] or [subject.unit]
        counts = a if subject.kind == "a" else z
        return sum(counts[unit.layer][unit.index] for unit in reached)

    def _counts(self, short: bool) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Paths to the cost from each a and each z of each layer."""
        a: dict[str, list[int]] = {}
        z: dict[str, list[int]] = {}
        for name in [*reversed(list(self.net.index)), INPUT]:
            units = self.net.units(name)
            ended = short and name in self.short_forms
            a[name] = [int(name in self.loss_slopes and not ended)] * units
            for layer, c in self.takers[name]:
                a[name] = [have + more for have, more in zip(a[name], _counted(c, z[layer], units), strict=True)]
            if name != INPUT:
                mixed = not isinstance(self.net[name].f, Elementwise)
                z[name] = [sum(a[name])] * units if mixed else list(a[name])
                if ended:
                    z[name] = [1 + n if self.takers[name] else 1 for n in z[name]]
        return a, z

    # --- the sum over all paths, from the cost backward -------------------------------------------------------------

    @cached_property
    def signals(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """dJ/da and dJ/dz (u,) of each layer (and dJ/dx of the input), from the local derivatives alone."""
        error: dict[str, Any] = {}
        delta: dict[str, np.ndarray] = {}
        for name in [*reversed(list(self.net.index)), INPUT]:
            onward = [self.matrix(layer, c) @ delta[layer] for layer, c in self.takers[name]]
            later = np.sum(onward, axis=0) if onward else None
            ending = self.loss_slopes.get(name)
            error[name] = sum(part for part in (ending, later) if part is not None)
            if name == INPUT:
                continue
            if name in self.short_forms:
                delta[name] = self.short_forms[name] + (0 if later is None else self._pulled(name, later))
            else:
                delta[name] = self._pulled(name, error[name])
        return error, delta

    def _pulled(self, layer: str, error: np.ndarray) -> np.ndarray:
        slopes = self.slopes(layer)
        return error * slopes if slopes.ndim == 1 else error @ slopes

    def gradient(self, subject: Subject) -> float:
        """The derivative of J by the quantity at this sample."""
        error, delta = self.signals
        if subject.kind == "weight":
            parts = [float(delta[t.layer][t.index]) * self.activation(s) for s, t in subject.places]
            return exact_sum(parts)
        signal = error if subject.kind == "a" else delta
        return float(signal[subject.unit.layer][subject.unit.index])


def connected(c: Connection, source: int, units: int) -> np.ndarray:
    """Which units of a layer (units,) one unit of the source is connected to, whatever the weight is."""
    if isinstance(c, Wired):
        return c.numbers[source] != 0
    return np.arange(units) == source if isinstance(c, Direct) else np.ones(units, bool)


def _counted(c: Connection, z: list[int], units: int) -> list[int]:
    """Numbers of paths from each of `units` units of a source through a connection into units with counts `z`."""
    if isinstance(c, Direct):
        return z
    if not isinstance(c, Wired):
        return [sum(z)] * units
    return [sum(z[p] for p in np.flatnonzero(row).tolist()) for row in c.numbers]
