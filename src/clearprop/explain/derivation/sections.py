"""Write a derivation section by section: from the chain rule to the update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.network import INPUT
from clearprop.draw.document import Prose, Section, Table
from clearprop.explain.derivation.equations import Equation, Side, equation
from clearprop.explain.derivation.names import Unit
from clearprop.explain.derivation.steps import Item, Steps
from clearprop.explain.derivation.symbols import Symbols, described
from clearprop.symbolic.expression import (
    NEW,
    ONE,
    Expression,
    Negative,
    Number,
    OverSamples,
    Partial,
    Product,
    Sum,
    Symbol,
    add,
    exact_sum,
    multiply,
)

if TYPE_CHECKING:
    from clearprop.explain.derivation.derivation import Derivation

#: A derivation lists its paths if there are at most this many.
_PATHS_SHOWN = 12


class DerivationSections:
    """Writes the sections of a derivation; with a batch, the steps of the sample that contributes most."""

    def __init__(self, derivation: Derivation) -> None:
        self.d, self.subject = derivation, derivation.subject
        self.batch = len(derivation.chains) > 1
        sizes = np.nan_to_num(np.abs(derivation.contributions), nan=np.inf)
        chain = derivation.chains[int(np.argmax(sizes))]
        several = derivation.trace.objective.samples > 1
        self.s = Symbols(chain, derivation.names, chain.sample if several else None)
        self.any = Symbols(chain, derivation.names, "n" if self.batch else self.s.mark)
        self.steps = Steps(self.s, derivation.most)

    def sections(self) -> tuple[Section, ...]:
        made = [Section("The chain rule", tuple(self.chain_rule())), Section(self.back_title(), tuple(self.back()))]
        made.append(Section("The result", tuple(self.result())))
        made.append(Section("Every path", tuple(self.every_path())))
        if self.subject.block is not None:
            made.append(Section("The update", tuple(self.update())))
        return tuple(section for section in made if section.items)

    # --- the chain rule ---------------------------------------------------------------------------------------------

    def chain_rule(self) -> list[Item]:
        cost = Symbol("J")
        letters = (Symbol("e"), " = ", Partial(cost, Symbol("a")), " is the error signal of a unit, ", Symbol("delta"),
                   " = ", Partial(cost, Symbol("z")), " its sensitivity.")  # fmt: skip
        items: list[Item] = [Prose((*self.introduction(), " In general, ", *letters))]
        if self.subject.kind in ("weight", "bias"):
            wanted = self.subject.source if self.subject.kind == "weight" else None
            items.append(self.steps.weighted_sum(self.subject.unit, wanted))
        items.append(Equation(self.partial(), tuple(Side(side) for side in self.symbolic())))
        return items

    def introduction(self) -> tuple[str | Expression, ...]:
        s, unit = self.s, self.subject.unit
        if self.subject.kind == "weight":
            shared = len(self.subject.places)
            also = f" It is shared by {shared} connections, and each of them contributes." if shared > 1 else ""
            frozen = (
                "" if self.trainable else " It is frozen: it has a gradient, but gradient descent does not change it."
            )
            weight = s.weight(unit, self.subject.source)
            tail = f". It affects the cost through the weighted sum of its unit.{also}{frozen}"
            return (weight, " is ", Number(weight.value), tail)
        if self.subject.kind == "bias":
            frozen = (
                "" if self.trainable else " It is frozen: it has a gradient, but gradient descent does not change it."
            )
            return (s.bias(unit), " is added to the weighted sum of its unit.", frozen)
        if self.subject.kind == "z":
            return (s.z(unit), " is the weighted sum of the unit; it affects the cost through the unit's activation.")
        return (s.a(unit), " affects the cost through every unit that reads it.")

    @property
    def trainable(self) -> bool:
        assert self.subject.block is not None
        return self.subject.block.trainable

    def own(self, s: Symbols) -> Symbol:
        """The symbol of the quantity."""
        unit = self.subject.unit
        if self.subject.kind == "weight":
            found = s.weight(unit, self.subject.source)
            assert isinstance(found, Symbol)
            return found
        return {"bias": s.bias, "z": s.z, "a": s.a}[self.subject.kind](unit)

    def partial(self) -> Partial:
        """The derivative; for a parameter, of all samples together."""
        parameter = self.subject.block is not None
        s = Symbols(self.s.chain, self.s.names, None) if parameter else self.any
        return Partial(Symbol("J", (), self.d.trace.cost), self.own(s), self.d.value)

    def symbolic(self) -> list[Expression]:
        """The first step of the chain rule, as partial derivatives and as delta a."""
        s, cost = self.any, Symbol("J", (), self.d.trace.cost)
        if self.subject.kind == "z":
            return [s.delta(self.subject.unit)]
        if self.subject.kind == "a":
            return [s.error(self.subject.unit)]
        chain, short = [], []
        for link in self.s.chain.first(self.subject):
            unit = link.top.unit
            assert unit is not None
            delta = s.delta(unit)
            chain.append(Product((Partial(cost, s.z(unit), delta.number), s.partial(link))))
            source = link.bottom.source
            short.append(delta if source is None else Product((delta, s.a(source))))
        sides = [self.steps.largest([(term, term.value) for term in terms]) for terms in (chain, short)]
        return [OverSamples(side, self.d.value) for side in sides] if self.batch else sides

    # --- from the cost back -----------------------------------------------------------------------------------------

    def back_title(self) -> str:
        where = f", for sample {self.s.chain.sample}" if self.d.trace.objective.samples > 1 else ""
        return f"From the cost back{where}"

    def back(self) -> list[Item]:
        items: list[Item] = []
        if self.batch:
            items.append(Prose((
                f"Sample {self.s.chain.sample} contributes most and is shown here; sample=n shows sample n.",
            )))  # fmt: skip
        items += self.share()
        places = [target for _, target in self.subject.places] or [self.subject.unit]
        start = (places, []) if self.subject.kind != "a" else ([], places)
        need, left = self.steps.needed(*start)
        for name in reversed([INPUT, *self.s.chain.net.index]):
            if name not in need:
                continue
            for index in need[name].error:
                items += self.steps.error_step(Unit(name, index))
            for index in need[name].delta:
                items += self.steps.delta_step(Unit(name, index))
            if name in left:
                items.append(Prose((
                    f"{left[name]:,} more units of {name} contribute and are computed in the same way "
                    f'(trace["{name}"].delta has all of them; most={self.d.most} limits how many are shown).',
                )))  # fmt: skip
        return items

    def share(self) -> list[Item]:
        """The meaning of omega, if it is not 1."""
        omega = self.s.omega
        if omega == ONE:
            return []
        objective = self.d.trace.objective
        if objective.reduction == "mean":
            words = " is the share of this sample in the mean: its weight divided by the sum of the weights."
        else:
            words = " is the weight of this sample."
        return [Prose((omega, " = ", Number(omega.value), words))]

    # --- the result -------------------------------------------------------------------------------------------------

    def result(self) -> list[Item]:
        items: list[Item] = []
        if self.batch:
            items += self.samples()
        elif self.subject.block is not None:
            terms = []
            for link in self.s.chain.first(self.subject):
                unit, source = link.top.unit, link.bottom.source
                assert unit is not None
                delta = self.s.delta(unit)
                term = delta if source is None else Product((delta, self.s.a(source)))
                terms.append((term, term.value))
            items.append(equation(self.partial(), self.steps.largest(terms), value=self.d.value))
        else:
            items.append(equation(self.partial(), value_side(self.own_signal(), self.d.value), value=self.d.value))
        items.append(Prose((self.check(),)))
        return items

    def own_signal(self) -> Symbol:
        signal = self.s.delta if self.subject.kind == "z" else self.s.error
        return signal(self.subject.unit)

    def check(self) -> str:
        off = abs(self.d.value - self.d.gradient)
        size = max(abs(self.d.value), abs(self.d.gradient))
        if not np.isfinite(off):
            return f"The value is not finite: the backward sweep computed {self.d.gradient}."
        relative = off / size if size else 0.0
        return "The backward sweep computed the same number" + (
            f" (relative difference {relative:.1g})." if relative else "."
        )

    def samples(self) -> list[Item]:
        """The contributions of the samples of a batch, the largest if there are many."""
        order = sorted(range(len(self.d.chains)), key=lambda i: -abs(self.d.contributions[i]))
        most = max(12, self.d.most)
        kept, left = sorted(order[:most]), order[most:]
        parameter, s = self.subject.block is not None, self.any
        rows: list[tuple[str | float | Expression, ...]] = []
        single = self.subject.kind == "weight" and len(self.subject.places) == 1
        for i in kept:
            chain = self.d.chains[i]
            parts: list[float] = []
            if single:
                unit, source = self.subject.unit, self.subject.source
                parts = [float(chain.signals[1][unit.layer][unit.index]), chain.activation(source)]
            rows.append((str(chain.sample), *parts, float(self.d.contributions[i])))
        blank = ("",) * (2 if single else 0)
        if left:
            rest = exact_sum(self.d.contributions[left].tolist())
            rows.append((f"{len(left):,} more samples", *blank, rest))
        if parameter:
            rows.append(("sum", *blank, self.d.value))
        parts_head = (s.delta(self.subject.unit), s.a(self.subject.source)) if single else ()
        head = (*parts_head, Product(parts_head)) if single else (*parts_head, self.head_of_contribution())
        return [Table(("sample", *head), tuple(rows))]

    def head_of_contribution(self) -> Expression:
        symbolic = self.symbolic()[-1]
        return symbolic.inner if isinstance(symbolic, OverSamples) else symbolic

    # --- every path -------------------------------------------------------------------------------------------------

    def every_path(self) -> list[Item]:
        count = self.s.chain.count(self.subject)
        short = bool(self.s.chain.short_forms) and count > _PATHS_SHOWN
        count = self.s.chain.count(self.subject, short)
        where = f" of sample {self.s.chain.sample}" if self.s.mark is not None else ""
        if count > _PATHS_SHOWN:
            return [
                Prose((
                    f"In full, the sum has {count:,} products{where}, one for each path to the cost; the steps "
                    "above sum them layer by layer. derivation.paths(limit=...) lists them all.",
                ))
            ]  # fmt: skip
        paths = list(self.s.chain.paths(self.subject, short))
        named = tuple(described(path.nodes, self.s.names) for path in paths)
        symbols = [_product([self.s.partial(link) for link in path.links]) for path in paths]
        if not symbols:
            return []
        put_in = [_product([_as_number(link.number) for link in path.links]) for path in paths]
        total = exact_sum(path.value for path in paths)
        left = self.partial_of_sample()
        figures = tuple(Number(path.value + 0.0) for path in paths)  # + 0.0 turns a negative zero
        if len(paths) == 1:
            sides = (Side(symbols[0], named[0]), Side(put_in[0]), Side(_as_number(total)))
        else:
            sides = (Side(Sum(tuple(symbols)), remarks=named), Side(Sum(tuple(put_in)), remarks=figures),
                     Side(_as_number(total)))  # fmt: skip
        ends = " They end at the weighted sums of the outputs, with the short form." if short else ""
        words = f"{len(paths)} path{'s' * (len(paths) > 1)}{where} lead{'s' * (len(paths) == 1)} to the cost.{ends}"
        return [Prose((words,)), Equation(left, sides)]

    def partial_of_sample(self) -> Partial:
        """The derivative, or for a batch the contribution of the sample."""
        own = self.own(self.s)
        cost = Symbol("J", (), self.d.trace.cost, self.s.mark if self.batch else None)
        return Partial(cost, own, self.s.chain.gradient(self.subject))

    # --- the update -------------------------------------------------------------------------------------------------

    def update(self) -> list[Item]:
        own = self.own(Symbols(self.s.chain, self.s.names, None))
        change = Symbol(f"Delta {own.base}", own.label)
        if not self.trainable:
            return [Prose(("It is frozen, so gradient descent does not change it: ", change, " = 0."))]
        alpha = Symbol("alpha", (), self.d.learning_rate if self.d.learning_rate is not None else float("nan"))
        gradient = self.partial()
        law = Negative(Product((alpha, gradient)))
        sides = [Side(law)]
        if not self.batch and len(self.subject.places) <= 1:
            delta = self.s.delta(self.subject.unit)
            factors = (alpha, delta) if self.subject.kind == "bias" else (alpha, delta, self.s.a(self.subject.source))
            sides.append(Side(Negative(Product(factors))))
        if self.d.learning_rate is None:
            sides.append(Side(multiply(_as_number(-self.d.value), alpha) if self.d.value else _as_number(0.0)))
            return [Equation(change, tuple(sides)), Prose(("with the learning rate ", alpha, " of gradient descent."))]
        moved = -self.d.learning_rate * self.d.value
        after = Symbol(own.base, own.label, sample=NEW)
        new = add(own, Symbol(change.base, change.label, moved))
        return [
            equation(change, *sides, value=moved),
            Prose(("so after a step of gradient descent with learning rate ", Number(self.d.learning_rate), " it is")),
            equation(after, new, value=own.number + moved),
        ]


def value_side(symbol: Symbol, value: float) -> Symbol:
    """The same symbol with another number."""
    return Symbol(symbol.base, symbol.label, value, symbol.sample)


def _as_number(value: float) -> Expression:
    return Number(value)


def _product(factors: Sequence[Expression]) -> Expression:
    return factors[0] if len(factors) == 1 else Product(tuple(factors))
