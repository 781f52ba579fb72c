"""The symbols of one sample of a trace: the name of each quantity, with its number."""

from __future__ import annotations

from dataclasses import dataclass

from clearprop.core.network import INPUT
from clearprop.explain.derivation.chain_rule import COST, ChainRule, Link, Node
from clearprop.explain.derivation.names import Names, Unit
from clearprop.symbolic.expression import ONE, Expression, Partial, Symbol
from clearprop.symbolic.formulas import error_formula, slope_formula


@dataclass(frozen=True)
class Symbols:
    """Symbols of the quantities at one sample; `mark` is the sample written on them, or None if there is only one."""

    chain: ChainRule
    names: Names
    mark: int | str | None = None

    def z(self, unit: Unit) -> Symbol:
        """The weighted sum of a unit."""
        return self._unit("z", unit, float(self.chain.trace[unit.layer].z[self.chain.sample, unit.index]))

    def a(self, unit: Unit) -> Symbol:
        """The activation of a unit: x of an input, yhat of an output."""
        base = "x" if unit.layer == INPUT else "yhat" if unit.layer in self.chain.trace.objective.losses else "a"
        return self._unit(base, unit, self.chain.activation(unit))

    def error(self, unit: Unit) -> Symbol:
        """The error signal dJ/da of a unit."""
        return self._unit("e", unit, float(self.chain.signals[0][unit.layer][unit.index]))

    def delta(self, unit: Unit) -> Symbol:
        """The sensitivity dJ/dz of a unit."""
        return self._unit("delta", unit, float(self.chain.signals[1][unit.layer][unit.index]))

    def target(self, unit: Unit) -> Symbol:
        """The target of an output unit, as its loss compares it."""
        return self._unit("y", unit, float(self.chain.target(unit.layer)[unit.index]))

    def weight(self, target: Unit, source: Unit, kind: str = "weight") -> Expression:
        """The weight from a unit to another; 1 for an identity connection."""
        if kind == "identity":
            return ONE
        c = next(
            c for c in self.chain.net[target.layer].connections if c.source == source.layer and c.kind != "identity"
        )
        number = float(self.chain.matrix(target.layer, c)[source.index, target.index])
        return Symbol("w", (self.names.unit(target), self.names.unit(source)), number)

    def bias(self, unit: Unit) -> Symbol:
        """The bias of a unit."""
        b = self.chain.trace.params[unit.layer].b
        assert b is not None
        return Symbol("b", (self.names.unit(unit),), float(b[unit.index]))

    @property
    def omega(self) -> Expression:
        """The factor of this sample's loss in J: 1, or its share of the mean."""
        weight = self.chain.weight
        return ONE if weight == 1 else Symbol("omega", (), weight, self.mark)

    def node(self, node: Node) -> Symbol:
        """The symbol of a quantity on a path."""
        if node == COST:
            return Symbol("J", (), self.chain.trace.cost)
        assert node.unit is not None
        if node.quantity == "w":
            assert node.source is not None
            found = self.weight(node.unit, node.source)
            assert isinstance(found, Symbol)
            return found
        return {"z": self.z, "a": self.a, "b": self.bias}[node.quantity](node.unit)

    def partial(self, link: Link) -> Partial:
        """The local derivative of a link, as a partial derivative with its number."""
        return Partial(self.node(link.top), self.node(link.bottom), link.number)

    def slope(self, q: int, unit: Unit) -> tuple[Expression, str]:
        """The formula of d a_q / d z of a unit in the same layer, and the condition that makes it this one."""
        slopes, layer = self.chain.slopes(unit.layer), unit.layer
        number = float(slopes[unit.index] if slopes.ndim == 1 else slopes[q, unit.index])
        units = [Unit(layer, i) for i in range(self.chain.net.units(layer))]
        mixed = slopes.ndim == 2
        z = [self.z(u) if mixed or u == unit else Symbol("z") for u in units]
        a = [self.a(u) if mixed or u == unit else Symbol("a") for u in units]
        found = slope_formula(self.chain.net[layer].f, z, a, q, unit.index, number)
        return found.expression, found.reason

    def loss_slope(self, unit: Unit) -> Expression:
        """The formula of dl/dyhat of an output unit, before the sample's weight."""
        objective = self.chain.trace.objective
        number = float(self.chain.loss_slopes[unit.layer][unit.index])
        plain = number / self.chain.weight if self.chain.weight else 0.0
        units = self.chain.net.units(unit.layer)
        return error_formula(objective.losses[unit.layer], self.a(unit), self.target(unit), units, plain).expression

    def _unit(self, base: str, unit: Unit, number: float) -> Symbol:
        return Symbol(base, (self.names.unit(unit),), number, self.mark)


def described(path_nodes: tuple[Node, ...], names: Names) -> str:
    """A path as text: its units, from the quantity to the cost.

    Where an activation mixes units, it names both: "z of output[0] → output[1]".
    """
    words: list[str] = []
    for node in path_nodes:
        if node.quantity in ("w", "b"):
            continue
        if node == COST:
            words.append("J")
            continue
        assert node.unit is not None
        name = names.unit(node.unit)
        if not words or words[-1] != name:
            words.append(name)
    return " → ".join(words)
