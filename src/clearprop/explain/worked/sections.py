"""Write a worked solution section by section, with its drawings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from clearprop.core.layout import Block
from clearprop.core.network import INPUT
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.document import Heading, Prose, Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.units import ROOMY, draw_units, link_matrices
from clearprop.explain.derivation.chain_rule import ChainRule
from clearprop.explain.derivation.equations import Equation, Side, equation
from clearprop.explain.derivation.names import Names, Unit
from clearprop.explain.derivation.steps import Item, Steps
from clearprop.explain.derivation.symbols import Symbols
from clearprop.explain.derivation.text import fitting_number, short_number
from clearprop.losses import CrossEntropy, PointwiseLoss
from clearprop.symbolic.expression import (
    BLANK,
    NEW,
    Expression,
    Number,
    OverSamples,
    Partial,
    Product,
    Sum,
    Symbol,
    add,
    multiply,
    negate,
    numbers,
)
from clearprop.symbolic.formulas import activation_formula, loss_formula

_MOST_DIGITS = 6  # in drawings
#: No sum has more terms: a worked solution writes all of them.
_ALL = 1_000_000


_BLANK = Symbol(BLANK)


def _with_blanks(section: Section) -> Section:
    """The section with a blank in place of the numbers of each equation, and without words that give them away."""
    items = [_question(item) if isinstance(item, Equation) else item for item in section.items]
    told = ("In the short form", "Both forms", "The full product")
    return Section(section.title, tuple(item for item in items if not _begins(item, told)))


def _question(item: Equation) -> Equation:
    """The left side and the formulas, then a blank; a formula with a reason depends on the numbers.

    A law for all quantities, which has no number, is left as it is.
    """
    if math.isnan(item.left.value):
        return item
    shown = (side for side in item.sides if not side.remark and side.expression != numbers(side.expression))
    return Equation(item.left, (*shown, Side(_BLANK)))


def _begins(item: Item, words: tuple[str, ...]) -> bool:
    return isinstance(item, Prose) and isinstance(item.parts[0], str) and item.parts[0].startswith(words)


class StepSections:
    """Writes the sections of a worked solution; `after` are the parameters after the step, `cost_after` their cost.

    Without `answers` it is an exercise sheet: every number that the reader is to compute is a blank.
    """

    def __init__(
        self,
        trace: Trace,
        after: Parameters,
        cost_after: float,
        learning_rate: float,
        names: Names,
        digits: int,
        answers: bool = True,
        letters: Mapping[str, str] | None = None,
    ) -> None:
        self.trace, self.after, self.cost_after = trace, after, cost_after
        self.learning_rate, self.names, self.digits = learning_rate, names, min(_MOST_DIGITS, digits)
        self.net = trace.objective.net
        n = trace.objective.samples
        self.chains = [ChainRule(trace, i) for i in range(n)]
        marks = [i + names.first if n > 1 else None for i in range(n)]
        self.symbols = [Symbols(chain, names, mark) for chain, mark in zip(self.chains, marks, strict=True)]
        self.batch, self.answers, self.letters = n > 1, answers, letters or {}

    def sections(self) -> tuple[Section, ...]:
        """All sections; of an exercise sheet, with blanks in place of the numbers."""
        written = tuple(self.with_letters(section) for section in self.solution())
        return written if self.answers else (written[0], *(_with_blanks(section) for section in written[1:]))

    def with_letters(self, section: Section) -> Section:
        """The section with the reader's letters in the remarks of its equations, such as "because z < 0"."""

        def worded(side: Side) -> Side:
            if not isinstance(side.remark, str):
                return side
            return replace(side, remark=re.sub(r"\b[za]\b", lambda m: self.letters.get(m[0], m[0]), side.remark))

        items = (
            Equation(item.left, tuple(map(worded, item.sides))) if isinstance(item, Equation) else item
            for item in section.items
        )
        return Section(section.title, tuple(items))

    def solution(self) -> tuple[Section, ...]:
        """The sections with all numbers."""
        return (
            Section("What is given", tuple(self.given())),
            Section("Forward: from the data to the output", (self.forward_figure(), *self.forward())),
            Section("The cost", tuple(self.cost())),
            Section("Backward: from the cost to every unit", (self.backward_figure(), *self.backward())),
            Section("The gradient of every weight", tuple(self.gradients())),
            Section("The step", tuple(self.step())),
        )

    # --- data -------------------------------------------------------------------------------------------------------

    def given(self) -> list[Item]:
        o = self.trace.objective
        losses = " and the ".join(dict.fromkeys(loss.name.replace("_", " ") for loss in o.losses.values()))
        shape = " – ".join(f"{layer.units} {layer.f.name.replace('_', ' ')}" for layer in self.net.layers)
        words = (
            f"A network of {self.net.inputs} input{'s' * (self.net.inputs > 1)} and layers {shape}; its "
            f"{self.net.parameter_count} parameters are below. The cost ",
            Symbol("J"),
            f" is the {o.reduction} of the {losses} "
            f"over {o.samples} sample{'s' * (o.samples > 1)}, and gradient descent takes one step with learning rate ",
            Symbol("alpha"), " = ", Number(self.learning_rate), ".",
        )  # fmt: skip
        return [Prose(words), self.data(), *([self.starting()] if self.net.parameter_count else [])]

    def data(self) -> Table:
        """One row per sample: its inputs, targets and weight."""
        s, o = self.symbols[0], self.trace.objective
        plain = Symbols(s.chain, self.names, None)
        inputs = [plain.a(u) for u in self.names.units(INPUT)]
        targets = [plain.target(u) for name in o.losses for u in self.names.units(name)]
        weighted = o.sample_weight is not None
        rows = []
        for chain in self.chains:
            x = [float(v) for v in o.X[chain.sample]]
            y = [float(v) for name in o.losses for v in chain.target(name)]
            weight = [float(o.sample_weight[chain.sample])] if o.sample_weight is not None else []
            rows.append((str(chain.sample + self.names.first), *x, *y, *weight))
        return Table(("sample", *inputs, *targets, *(["weight"] if weighted else [])), tuple(rows))

    def starting(self) -> Table:
        """The parameters in a few columns side by side."""
        cells = [(symbol, symbol.number) for symbol, *_ in self.parameters()]
        across = max(1, min(3, len(cells) // 3))
        down = -(-len(cells) // across)
        columns = [
            cells[i : i + down] + [("", "")] * (down - len(cells[i : i + down])) for i in range(0, len(cells), down)
        ]
        rows = tuple(tuple(part for cell in row for part in cell) for row in zip(*columns, strict=True))
        return Table(("parameter", "starts at") * len(columns), rows)

    def parameters(self) -> list[tuple[Symbol, Block, tuple[int, ...], list[tuple[Unit | None, Unit]]]]:
        """Every parameter: its symbol, its block, its entry in the block, and the links (source, unit) that use it."""
        found = []
        s = Symbols(self.chains[0], self.names, None)
        for block in sorted(self.net.layout.blocks, key=lambda b: (self.net.index[b.layer], b.source is None)):
            for entry in np.ndindex(block.shape):
                links = self.links(block, entry)
                source, unit = links[0]
                symbol = s.bias(unit) if source is None else s.weight(unit, source)
                assert isinstance(symbol, Symbol)
                found.append((symbol, block, entry, links))
        return found

    def links(self, block: Block, entry: tuple[int, ...]) -> list[tuple[Unit | None, Unit]]:
        if block.source is None:
            return [(None, Unit(block.layer, entry[0]))]
        c = next(c for c in self.net[block.layer].connections if c.source == block.source and c.kind != "identity")
        if len(entry) == 1:  # a weight shared by several links
            numbers = np.asarray(c.numbers)  # type: ignore[attr-defined]
            return [
                (Unit(block.source, int(i)), Unit(block.layer, int(j))) for i, j in np.argwhere(numbers == entry[0] + 1)
            ]
        return [(Unit(block.source, entry[0]), Unit(block.layer, entry[1]))]

    # --- forward ----------------------------------------------------------------------------------------------------

    def forward(self) -> list[Item]:
        items: list[Item] = [
            Prose(("Each unit adds its bias and its inputs times their weights, and applies its activation function.",))
        ]
        for s in self.symbols:
            items += self.heading(s)
            steps = Steps(s, _ALL)
            for layer in self.net.layers:
                for unit in self.names.units(layer.name):
                    items += [steps.weighted_sum(unit), self.activation(s, unit)]
        return items

    def heading(self, s: Symbols) -> list[Item]:
        return [Heading(f"Sample {s.mark}")] if self.batch else []

    def activation(self, s: Symbols, unit: Unit) -> Equation:
        a, f = s.a(unit), self.net[unit.layer].f
        z = [s.z(u) for u in self.names.units(unit.layer)]
        found = activation_formula(f, z, unit.index, a.number)
        remark = f"because {found.reason}" if found.reason else ""
        return equation(a, Side(found.expression, remark), value=a.number)

    # --- cost -------------------------------------------------------------------------------------------------------

    def cost(self) -> list[Item]:
        items: list[Item] = []
        total: list[Expression] = []
        for s in self.symbols:
            terms = [term for name in self.trace.objective.losses for term in self.losses(s, name)]
            value = float(self.trace.losses[s.chain.sample])
            ell = Symbol("l", (), value, s.mark)
            items.append(equation(ell, add(*terms) if terms else Number(value), value=value))
            total.append(multiply(s.omega, ell))
        cost = Symbol("J", (), self.trace.cost)
        return [*items, equation(cost, total[0] if len(total) == 1 else Sum(tuple(total)), value=self.trace.cost)]

    def losses(self, s: Symbols, name: str) -> list[Expression]:
        """The contribution of each unit of an output to the loss of a sample."""
        loss, units = self.trace.objective.losses[name], list(self.names.units(name))
        if not isinstance(loss, (PointwiseLoss, CrossEntropy)):
            return []
        found = []
        for unit in units:
            yhat, y = s.a(unit), s.target(unit)
            value = float("nan")
            if isinstance(loss, PointwiseLoss):
                value = float(
                    loss.value_and_slope(np.array([[yhat.number] * len(units)]), np.array([[y.number]]))[0].flat[0]
                )
            if not (isinstance(loss, CrossEntropy) and y.number == 0):
                found.append(loss_formula(loss, yhat, y, len(units), value))
        return found

    # --- backward ---------------------------------------------------------------------------------------------------

    def backward(self) -> list[Item]:
        cost = Symbol("J")
        items: list[Item] = [Prose((
            "From the last layer to the first: the error signal ", Symbol("e"), " = ", Partial(cost, Symbol("a")),
            " of a unit is the sum over all units that it feeds, and its sensitivity ", Symbol("delta"), " = ",
            Partial(cost, Symbol("z")), " is the error signal times the derivative of its activation.",
        ))]  # fmt: skip
        for s in self.symbols:
            items += self.heading(s)
            steps = Steps(s, _ALL)
            for layer in reversed(self.net.layers):
                units = list(self.names.units(layer.name))
                items += [item for unit in units for item in steps.error_step(unit)]
                items += [item for unit in units for item in steps.delta_step(unit)]
        return items

    # --- gradients --------------------------------------------------------------------------------------------------

    def gradients(self) -> list[Item]:
        words = "The gradient of a weight is the sensitivity of its target unit times the activation of its source unit"
        tail = ", summed over the samples." if self.batch else "."
        shared = any(len(links) > 1 for *_, links in self.parameters())
        more = " The gradient of a shared weight is the sum over its links." if shared else ""
        items: list[Item] = [Prose((words + tail + more,))]
        cost = Symbol("J")
        for symbol, block, entry, links in self.parameters():
            value = float(self.trace.gradients.view(block)[entry])
            general = [
                self.term(Symbols(self.chains[0], self.names, "n" if self.batch else None), link) for link in links
            ]
            law: Expression = general[0] if len(general) == 1 else Sum(tuple(general))
            terms = tuple(self.term(s, link) for s in self.symbols for link in links)
            put_in = numbers(terms[0] if len(terms) == 1 else Sum(terms))
            sides = [Side(OverSamples(law, value) if self.batch else law), Side(put_in)]
            if put_in != Number(value):
                sides.append(Side(Number(value)))
            items.append(Equation(Partial(cost, symbol, value), tuple(sides)))
        return items

    def term(self, s: Symbols, link: tuple[Unit | None, Unit]) -> Expression:
        source, unit = link
        return s.delta(unit) if source is None else Product((s.delta(unit), s.a(source)))

    # --- the step ---------------------------------------------------------------------------------------------------

    def step(self) -> list[Item]:
        alpha, rows = Symbol("alpha", (), self.learning_rate), []
        w, cost = Symbol("w"), Symbol("J")
        law = Equation(Symbol("w", sample=NEW), (Side(add(w, negate(Product((alpha, Partial(cost, w)))))),))
        items: list[Item] = [Prose(("Gradient descent changes all parameters at once, against their gradients:",)), law]
        frozen = False
        for symbol, block, entry, _ in self.parameters():
            gradient, after = (float(p.view(block)[entry]) for p in (self.trace.gradients, self.after))
            if not self.answers:
                rows.append((symbol, symbol.number, *[_BLANK] * 3))
            elif block.trainable:
                rows.append((symbol, symbol.number, gradient, -self.learning_rate * gradient, after))
            else:
                frozen = True
                rows.append((symbol, symbol.number, gradient, "frozen", after))
        head = ("parameter", "before", Partial(cost, Symbol("w")), Symbol("Delta w"), "after")
        items += [Table(head, tuple(rows))] if rows else [Prose(("This network has no parameters.",))]
        if frozen:
            items.append(Prose(("Frozen parameters have a gradient, but gradient descent does not change them.",)))
        if not self.answers:
            return [*items, Prose(("The cost after the step: ", cost, " = ", _BLANK))]
        before, now = self.trace.cost, self.cost_after
        moved = "fell" if now < before else "rose" if now > before else "stayed"
        tail = (
            "." if now < before else ": the step was too large. Use a smaller learning rate." if now > before else "."
        )
        return [*items, Prose((f"The cost {moved} from ", Number(before), " to ", Number(now), tail))]

    # --- drawings ---------------------------------------------------------------------------------------------------

    def forward_figure(self) -> Figure:
        plain = Symbols(self.chains[0], self.names, None)
        numbers = {(u.layer, u.index): self.chains[0].activation(u) for u in self.units()}
        b = self.letters.get("b", "b")
        below = {
            (u.layer, u.index): f"{b} = {short_number(plain.bias(u).number, self.digits)}"
            for u in self.units()
            if u.layer != INPUT and self.net[u.layer].bias
        }
        caption = "The forward sweep: each unit with its activation and below it the bias"
        return self.figure("activations and weights", caption, "its weight", numbers, below, self.trace.params)

    def backward_figure(self) -> Figure:
        plain = Symbols(self.chains[0], self.names, None)
        numbers = {
            (u.layer, u.index): self.chains[0].activation(u) if u.layer == INPUT else plain.delta(u).number
            for u in self.units()
        }
        caption = "The backward sweep: each unit with its sensitivity, the derivative of the cost by its weighted sum"
        links = "the gradient of its weight"
        return self.figure("sensitivities and gradients", caption, links, numbers, {}, self.trace.gradients)

    def units(self) -> list[Unit]:
        return [u for name in (INPUT, *self.net.index) for u in self.names.units(name)]

    def figure(
        self,
        what: str,
        caption: str,
        links: str,
        numbers: Mapping[tuple[str, int], float],
        below: Mapping[tuple[str, int], str],
        of_links: Parameters,
    ) -> Figure:
        """The network with numbers in its units and on its links."""
        room = 2 * ROOMY.radius - 10  # of a number in a unit
        texts = {
            unit: fitting_number(value, self.digits, room) if self.answers or unit[0] == INPUT else " "
            for unit, value in numbers.items()
        }
        known = self.answers or of_links is self.trace.params
        values = link_matrices(self.net, of_links)
        drawing = draw_units(
            self.net, values if known else {key: np.zeros_like(matrix) for key, matrix in values.items()},
            {name: [self.names.unit(unit) for unit in self.names.units(name)] for name in (INPUT, *self.net.index)},
            f"The network with its {what}", numbers=texts, below=below,
            text=lambda value: short_number(value, self.digits) if known else "",
        )  # fmt: skip
        drawing = drawing if known else replace(drawing, legend=())
        labelled = any(link.label for link in drawing.links)
        shown = f", each link with {links}." if labelled else ". There are too many links for numbers: wider is larger."
        if not self.answers:
            caption, shown = "Fill in the numbers", f": {caption[0].lower()}{caption[1:]}, each link with {links}."
        first = self.names.first
        batch = f" Units show sample {first}, gradients are of the whole batch." if self.batch else ""
        return Figure("", (drawing,), f"{caption}{shown}{batch}")
