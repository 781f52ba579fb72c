"""The steps of backpropagation from the cost back to one quantity, unit by unit, in symbols and in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from clearprop.draw.document import Heading, Prose, Table
from clearprop.explain.derivation.chain_rule import COST, ChainRule, Link, connected
from clearprop.explain.derivation.equations import Equation, Side, equation
from clearprop.explain.derivation.names import Names, Unit
from clearprop.explain.derivation.symbols import Symbols
from clearprop.symbolic.expression import (
    Expression,
    Number,
    Partial,
    Product,
    Rest,
    Sum,
    Symbol,
    exact_sum,
    multiply,
    subtract,
)

Item = Prose | Heading | Equation | Table


@dataclass
class Needed:
    """The units of a layer whose delta and error signal are shown, each with the size of its contribution."""

    delta: dict[int, float] = field(default_factory=dict)
    error: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Steps:
    """Writes the steps of one sample; `most` limits the terms of a sum and the units of a layer that are shown."""

    symbols: Symbols
    most: int

    @property
    def chain(self) -> ChainRule:
        """The local derivatives."""
        return self.symbols.chain

    @property
    def names(self) -> Names:
        """The names of the units."""
        return self.symbols.names

    # --- sums -------------------------------------------------------------------------------------------------------

    def largest(self, terms: Sequence[tuple[Expression, float]]) -> Expression:
        """A sum of the terms (expression, number), or of the largest terms and the total of the others."""
        if len(terms) <= self.most + 1:  # replacing one term would save nothing
            return _sum([term for term, _ in terms])
        order = sorted(range(len(terms)), key=lambda i: -_size(terms[i][1]))
        some = max(1, min(self.most, sum(number != 0 for _, number in terms)))  # terms that are 0 are not shown
        kept, left = sorted(order[:some]), order[some:]
        rest = Rest(len(left), exact_sum(terms[i][1] for i in left))
        return _sum([*(terms[i][0] for i in kept), rest])

    def weighted_sum(self, unit: Unit, wanted: Unit | None = None) -> Equation:
        """z = b + sum of a w; the term of the `wanted` source is always shown."""
        s, terms = self.symbols, []
        layer = self.chain.net[unit.layer]
        if layer.bias:
            terms.append((s.bias(unit), math.inf))
        for c in layer.connections:
            column = self.chain.matrix(unit.layer, c)[:, unit.index]
            kind = "identity" if c.kind == "identity" else "weight"
            for i in range(len(column)):
                source = Unit(c.source, i)
                if not connected(c, i, self.chain.net.units(unit.layer))[unit.index]:
                    continue
                a, number = s.a(source), float(column[i])
                size = math.inf if source == wanted else number * a.number
                term = a if kind == "identity" else Product((a, s.weight(unit, source)))
                terms.append((term, size))
        shown = self.largest(terms)
        return equation(s.z(unit), shown, value=s.z(unit).number)

    # --- which units are needed -------------------------------------------------------------------------------------

    def needed(self, delta: Sequence[Unit], error: Sequence[Unit] = ()) -> tuple[dict[str, Needed], dict[str, int]]:
        """The units to show in each layer, and how many more contribute in each."""
        need: dict[str, Needed] = {}
        reached: dict[str, set[int]] = {}
        for unit in delta:
            need.setdefault(unit.layer, Needed()).delta[unit.index] = math.inf
        for unit in error:
            need.setdefault(unit.layer, Needed()).error[unit.index] = math.inf
        left: dict[str, int] = {}
        for name in ["input", *self.chain.net.index]:
            if name in need:
                asked = need[name]
                reached.setdefault(name, set()).update(asked.delta)
                asked.delta = _top(asked.delta, self.most)
                for index in asked.delta:
                    self._ask_errors(name, index, asked)
                reached[name].update(asked.error)
                asked.error = _top(asked.error, max(self.most, len(asked.delta)))
                for index in asked.error:
                    self._ask_deltas(Unit(name, index), need, reached)
                more = len(reached[name]) - len({*asked.delta, *asked.error})
                if more:
                    left[name] = more
        return need, left

    def _ask_errors(self, layer: str, index: int, asked: Needed) -> None:
        """The error signals that a delta depends on."""
        terms = self._mixed(Unit(layer, index))
        sizes = {q: _size(size) for q, size in terms.items()}
        if len(sizes) > self.most + 1:
            sizes = {q: size for q, size in sizes.items() if size} or dict(list(sizes.items())[:1])
        for q, size in _top(sizes, self.most).items():
            asked.error[q] = max(asked.error.get(q, 0.0), size)

    def _mixed(self, unit: Unit) -> dict[int, float]:
        error = self.chain.signals[0][unit.layer]
        return {link.top.unit.index: float(error[link.top.unit.index]) * link.number
                for link in self.chain.upward(unit) if link.top.unit is not None}  # fmt: skip

    def _ask_deltas(self, unit: Unit, need: dict[str, Needed], reached: dict[str, set[int]]) -> None:
        """The deltas that an error signal depends on: the largest are shown, all are counted."""
        deltas = self.chain.signals[1]
        sizes = {}
        for link in self.chain.onward(unit):
            target = link.top.unit
            assert target is not None
            sizes[target] = sizes.get(target, 0.0) + float(deltas[target.layer][target.index]) * link.number
        for target in sizes:
            reached.setdefault(target.layer, set()).add(target.index)
        order = sorted(sizes, key=lambda target: -_size(sizes[target]))[: self.most]
        for target in order:
            asked = need.setdefault(target.layer, Needed())
            asked.delta[target.index] = max(asked.delta.get(target.index, 0.0), _size(sizes[target]))

    # --- the steps of a unit ----------------------------------------------------------------------------------------

    def error_step(self, unit: Unit) -> list[Item]:
        """dJ/da of a unit: the derivative of its loss, and a term for each unit that reads it."""
        s, wanted = self.symbols, self.symbols.error(unit)
        left = Partial(_cost(s), s.a(unit), wanted.number)
        terms = self.error_terms(unit)
        loss = unit.layer in self.chain.loss_slopes
        sides: list[Side] = []
        if self.chain.onward(unit):
            by_chain = [(Product((s.partial(Link(COST, link.top, 0, "")), s.partial(link))), number)
                        for link, number in self._onward(unit)]  # fmt: skip
            if not loss:
                sides.append(Side(self.largest(by_chain)))
        sides.append(Side(self.largest(terms)))
        return [equation(left, Side(wanted), *sides, value=wanted.number)]

    def _onward(self, unit: Unit) -> list[tuple[Link, float]]:
        delta = self.chain.signals[1]
        found = []
        for link in self.chain.onward(unit):
            target = link.top.unit
            assert target is not None
            found.append((link, float(delta[target.layer][target.index]) * link.number))
        return found

    def error_terms(self, unit: Unit) -> list[tuple[Expression, float]]:
        """The terms of dJ/da: the loss, then delta w of each target."""
        s, terms = self.symbols, []
        if unit.layer in self.chain.loss_slopes:
            number = float(self.chain.loss_slopes[unit.layer][unit.index])
            terms.append((multiply(s.omega, s.loss_slope(unit)), number))
        for link, number in self._onward(unit):
            target = link.top.unit
            assert target is not None
            terms.append((multiply(s.delta(target), s.weight(target, unit, link.kind)), number))
        return terms

    def delta_step(self, unit: Unit) -> list[Item]:
        """dJ/dz of a unit by the full product, and by the short form if its loss has one."""
        s, wanted = self.symbols, self.symbols.delta(unit)
        left = Partial(_cost(s), s.z(unit), wanted.number)
        links = self.chain.upward(unit)
        error = self.chain.signals[0][unit.layer]
        chain, formula, reasons = [], [], []
        for link in links:
            top = link.top.unit
            assert top is not None
            number = float(error[top.index]) * link.number
            slope, reason = s.slope(top.index, unit)
            reasons.append(reason)
            chain.append((Product((Partial(_cost(s), s.a(top), float(error[top.index])), s.partial(link))), number))
            formula.append((_times(s.error(top), slope), number))
        full = exact_sum(number for _, number in chain)
        remark = f"because {reasons[0]}" if len(reasons) == 1 and reasons[0] else ""
        sides = (Side(wanted), Side(self.largest(chain)), Side(self.largest(formula), remark))
        items: list[Item] = [equation(left, *sides, value=full)]
        return items + (self.short_step(unit, full) if unit.layer in self.chain.short_forms else [])

    def short_step(self, unit: Unit, full: float) -> list[Item]:
        """The short form, compared with the full product."""
        s, wanted = self.symbols, self.symbols.delta(unit)
        f, loss = self.chain.net[unit.layer].f.name, self.chain.trace.objective.losses[unit.layer].name
        short = float(self.chain.short_forms[unit.layer][unit.index])
        terms: list[tuple[Expression, float]] = [(self.short_formula(unit), short)]
        if self.chain.takers[unit.layer]:  # the terms of units that read the output have no short form
            error = [exact_sum(number for _, number in self._onward(Unit(unit.layer, q)))
                     for q in range(self.chain.net.units(unit.layer))]  # fmt: skip
            for link in self.chain.upward(unit):
                top = link.top.unit
                assert top is not None
                back = Symbol("r", s.a(top).label, error[top.index], s.mark)
                terms.append((_times(back, s.slope(top.index, unit)[0]), error[top.index] * link.number))
        value = exact_sum(number for _, number in terms)
        made = equation(wanted, self.largest(terms), value=value)
        extra = " (r is the error signal from the units that read this output)" if len(terms) > 1 else ""
        words = f"In the short form of {f} with {loss.replace('_', ' ')}{extra}:"
        return [Prose((words,)), made, Prose((_agreement(full, value),))]

    def short_formula(self, unit: Unit) -> Expression:
        """omega (yhat - y), or the number of a user's own short form."""
        s = self.symbols
        difference = subtract(s.a(unit), s.target(unit))
        number = float(self.chain.short_forms[unit.layer][unit.index])
        if math.isclose(difference.value * self.chain.weight, number, rel_tol=1e-5, abs_tol=1e-12):
            return multiply(s.omega, difference)
        return Number(number)


def _cost(s: Symbols) -> Symbol:
    return Symbol("J", (), s.chain.trace.cost)


def _times(signal: Expression, slope: Expression) -> Expression:
    """An error signal times a slope as one product; a slope that is a number stays visible."""
    return Product((signal, slope)) if isinstance(slope, Number) else multiply(signal, slope)


def _sum(terms: list[Expression]) -> Expression:
    return terms[0] if len(terms) == 1 else Sum(tuple(terms)) if terms else Number(0.0)


def _size(number: float) -> float:
    return math.inf if math.isnan(number) else abs(number)


def _top(sizes: dict[int, float], most: int) -> dict[int, float]:
    """The entries with the largest sizes, in their order."""
    kept = sorted(sorted(sizes, key=lambda i: -sizes[i])[:most])
    return {i: sizes[i] for i in kept}


def _agreement(full: float, short: float) -> str:
    if math.isfinite(full):
        off = abs(full - short)
        return "Both forms agree" + (f", to {off:.1g}." if off else ".")
    return (
        "The full product cannot be computed here: the output is rounded to 0 or 1, so one of its factors is infinite. "
        "The short form has no such factor, and backpropagation uses it."
    )
