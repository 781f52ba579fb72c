"""What a worked solution says, chapter by chapter, and its drawings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.layout import Block
from clearprop.core.network import INPUT
from clearprop.explain.derivation.chain_rule import ChainRule
from clearprop.explain.derivation.content import Equation, Heading, Prose, Section, Side, Table, equation
from clearprop.explain.derivation.names import Unit
from clearprop.explain.derivation.steps import Item, Steps
from clearprop.explain.derivation.symbols import Symbols
from clearprop.losses import CrossEntropy, PointwiseLoss
from clearprop.symbolic.expression import (
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

if TYPE_CHECKING:
    from clearprop.explain.worked.drawing import Drawing
    from clearprop.explain.worked.solution import WorkedSolution

#: More than all terms of any sum: a worked solution leaves nothing out.
_ALL = 1_000_000


@dataclass(frozen=True)
class Picture:
    """A drawing with its caption."""

    drawing: Drawing
    caption: str


@dataclass(frozen=True)
class Chapter:
    """A section of the document, and the drawing above it."""

    section: Section
    picture: Picture | None = None


class Lecture:
    """Writes the chapters of a worked solution."""

    def __init__(self, solution: WorkedSolution) -> None:
        self.solution, self.trace, self.names = solution, solution.trace, solution.names
        self.net = self.trace.objective.net
        n = self.trace.objective.samples
        self.chains = [ChainRule(self.trace, i) for i in range(n)]
        self.symbols = [Symbols(chain, self.names, i if n > 1 else None) for i, chain in enumerate(self.chains)]
        self.batch = n > 1

    def chapters(self) -> tuple[Chapter, ...]:
        forward = self.picture("forward", "each unit with its activation a and below it the bias b", "its weight w")
        backward = self.picture(
            "backward", "each unit with its sensitivity δ = ∂J/∂z", "the gradient ∂J/∂w of its weight"
        )
        return (
            Chapter(Section("What is given", tuple(self.given()))),
            Chapter(Section("Forward: from the data to the output", tuple(self.forward())), forward),
            Chapter(Section("The cost", tuple(self.cost()))),
            Chapter(Section("Backward: from the cost to every unit", tuple(self.backward())), backward),
            Chapter(Section("The gradient of every weight", tuple(self.gradients()))),
            Chapter(Section("The step", tuple(self.step()))),
        )

    def picture(self, way: str, units: str, links: str) -> Picture:
        """The drawing of a sweep with its caption."""
        drawing = self.drawing(way)
        labelled = any(line.label for line in drawing.lines)
        shown = f", each link with {links}." if labelled else ". The links are too many to write on: wider is larger."
        batch = " Units show sample 0, gradients are of the whole batch." if self.batch else ""
        return Picture(drawing, f"The {way} sweep: {units}{shown}{batch}")

    # --- data -------------------------------------------------------------------------------------------------------

    def given(self) -> list[Item]:
        o = self.trace.objective
        losses = " and the ".join(dict.fromkeys(loss.name.replace("_", " ") for loss in o.losses.values()))
        shape = " – ".join(f"{layer.units} {layer.f.name.replace('_', ' ')}" for layer in self.net.layers)
        words = (
            f"A network of {self.net.inputs} input{'s' * (self.net.inputs > 1)} and layers {shape}; its "
            f"{self.net.parameter_count} parameters are below. The cost J is the {o.reduction} of the {losses} "
            f"over {o.samples} sample{'s' * (o.samples > 1)}, and gradient descent takes one step with learning rate ",
            Symbol("alpha"), " = ", Number(self.solution.learning_rate), ".",
        )  # fmt: skip
        return [Prose(words), self.data(), *([self.starting()] if self.net.parameter_count else [])]

    def data(self) -> Table:
        """One row per sample: inputs, targets and the weight it has."""
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
            rows.append((str(chain.sample), *x, *y, *weight))
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
        """Every parameter: its symbol, where it lies, and the places (source, unit) it is used at."""
        found = []
        s = Symbols(self.chains[0], self.names, None)
        for block in sorted(self.net.layout.blocks, key=lambda b: (self.net.index[b.layer], b.source is None)):
            for entry in np.ndindex(block.shape):
                places = self.places(block, entry)
                source, unit = places[0]
                symbol = s.bias(unit) if source is None else s.weight(unit, source)
                assert isinstance(symbol, Symbol)
                found.append((symbol, block, entry, places))
        return found

    def places(self, block: Block, entry: tuple[int, ...]) -> list[tuple[Unit | None, Unit]]:
        if block.source is None:
            return [(None, Unit(block.layer, entry[0]))]
        c = next(c for c in self.net[block.layer].connections if c.source == block.source and c.kind != "identity")
        if len(entry) == 1:  # a weight that a pattern shares out
            numbers = np.asarray(c.numbers)  # type: ignore[attr-defined]
            return [
                (Unit(block.source, int(i)), Unit(block.layer, int(j))) for i, j in np.argwhere(numbers == entry[0] + 1)
            ]
        return [(Unit(block.source, entry[0]), Unit(block.layer, entry[1]))]

    # --- forward ----------------------------------------------------------------------------------------------------

    def forward(self) -> list[Item]:
        items: list[Item] = [Prose(("Each unit adds its bias and its inputs times their weights, and bends the sum.",))]
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
        """What each unit of an output adds to the loss of a sample."""
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
            " of a unit is what comes back from every unit that takes it, and its sensitivity ", Symbol("delta"), " = ",
            Partial(cost, Symbol("z")), " is that times the slope of its activation.",
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
        words = "The gradient of a weight is the sensitivity of the unit it leads to times the activation it carries"
        tail = ", added up over the samples." if self.batch else "."
        shared = any(len(places) > 1 for *_, places in self.parameters())
        more = " A shared weight adds what each of its places gives." if shared else ""
        items: list[Item] = [Prose((words + tail + more,))]
        cost = Symbol("J")
        for symbol, block, entry, places in self.parameters():
            value = float(self.trace.gradients.view(block)[entry])
            general = [
                self.term(Symbols(self.chains[0], self.names, "n" if self.batch else None), place) for place in places
            ]
            law: Expression = general[0] if len(general) == 1 else Sum(tuple(general))
            terms = tuple(self.term(s, place) for s in self.symbols for place in places)
            put_in = numbers(terms[0] if len(terms) == 1 else Sum(terms))
            sides = [Side(OverSamples(law, value) if self.batch else law), Side(put_in)]
            if put_in != Number(value):
                sides.append(Side(Number(value)))
            items.append(Equation(Partial(cost, symbol, value), tuple(sides)))
        return items

    def term(self, s: Symbols, place: tuple[Unit | None, Unit]) -> Expression:
        source, unit = place
        return s.delta(unit) if source is None else Product((s.delta(unit), s.a(source)))

    # --- the step ---------------------------------------------------------------------------------------------------

    def step(self) -> list[Item]:
        alpha, rows = Symbol("alpha", (), self.solution.learning_rate), []
        w, cost = Symbol("w"), Symbol("J")
        law = Equation(Symbol("w", sample=NEW), (Side(add(w, negate(Product((alpha, Partial(cost, w)))))),))
        items: list[Item] = [Prose(("Gradient descent moves all parameters at once, against their gradients:",)), law]
        frozen = False
        for symbol, block, entry, _ in self.parameters():
            gradient, after = (float(p.view(block)[entry]) for p in (self.trace.gradients, self.solution.after))
            if block.trainable:
                rows.append((symbol, symbol.number, gradient, -self.solution.learning_rate * gradient, after))
            else:
                frozen = True
                rows.append((symbol, symbol.number, gradient, "frozen", after))
        head = ("parameter", "before", Partial(cost, Symbol("w")), Symbol("Delta w"), "after")
        items += [Table(head, tuple(rows))] if rows else [Prose(("This network has no parameters to move.",))]
        if frozen:
            items.append(Prose(("Frozen parameters have a gradient, and gradient descent leaves them as they are.",)))
        before, now = self.trace.cost, self.solution.cost_after
        moved = "fell" if now < before else "rose" if now > before else "stayed"
        tail = (
            "." if now < before else ": the step was too long. Take a smaller learning rate." if now > before else "."
        )
        return [*items, Prose((f"The cost {moved} from ", Number(before), " to ", Number(now), tail))]

    # --- drawings ---------------------------------------------------------------------------------------------------

    def drawing(self, way: str) -> Drawing:
        from clearprop.explain.worked.drawing import draw, short_number  # takes time to import

        chain, s = self.chains[0], Symbols(self.chains[0], self.names, None)
        units = [u for name in (INPUT, *self.net.index) for u in self.names.units(name)]
        digits = min(6, self.solution.digits)
        if way == "forward":
            inside = {u: chain.activation(u) for u in units}
            below = {u: f"b = {short_number(s.bias(u).number, digits)}"
                     for u in units if u.layer != INPUT and self.net[u.layer].bias}  # fmt: skip
        else:
            inside = {u: s.delta(u).number if u.layer != INPUT else chain.activation(u) for u in units}
            below = {}
        links = {}
        for layer in self.net.layers:
            for c in layer.connections:
                W = self.trace.params if way == "forward" or c.kind == "identity" else self.trace.gradients
                values = W[layer.name].W.get(c.source) if c.kind != "identity" else None
                links[layer.name, c.source, c.kind] = np.asarray(c.matrix(values, layer.units))  # type: ignore[arg-type]
        label = (
            f"The network with its {'activations and weights' if way == 'forward' else 'sensitivities and gradients'}"
        )
        return draw(chain, self.names, inside, below, links, label, digits)
