"""The class `Derivation`: the chain rule for one weight, bias, unit or input, with the numbers of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.checks import check_integer, check_number
from clearprop.core.network import INPUT
from clearprop.core.trace import Trace
from clearprop.display import Displayed
from clearprop.draw.document import Section
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.chain_rule import ChainRule, Path
from clearprop.explain.derivation.latex import render_equations, render_latex, render_markdown
from clearprop.explain.derivation.mathml import render_sections
from clearprop.explain.derivation.names import Names, Subject
from clearprop.explain.derivation.sections import DerivationSections
from clearprop.explain.derivation.symbols import described
from clearprop.explain.derivation.text import TextNotation, render_text
from clearprop.fork_safety import cached_property
from clearprop.symbolic.expression import (
    Number,
    exact_sum,
)


@dataclass(frozen=True)
class Derivation(Displayed):
    """dJ/dw of one weight or bias (dJ/dz, dJ/da of a unit, dJ/dx of an input), derived by the chain rule.

    `print` shows it; `latex()`, `markdown()` and `html()` write it in other notations, and notebooks display it.
    `value` is the derivative by the chain rule, computed from the local derivatives alone; `gradient` is the value of
    the backward sweep. `paths()` lists every path to the cost.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    >>> trace = cp.backpropagate(net, params, np.array([[3.0]]), np.array([[5.0]]), loss=cp.SquaredError())
    >>> derivation = trace.derivation("output[0] <- input[0]")
    >>> derivation.value, derivation.gradient, derivation.path_count
    (6.0, 6.0, 1)
    """

    trace: Trace
    names: Names
    subject: Subject
    sample: int | None  #: index of one sample, or None for all samples of the trace
    learning_rate: float | None
    most: int
    digits: int

    # --- numbers ----------------------------------------------------------------------------------------------------

    @cached_property
    def chains(self) -> tuple[ChainRule, ...]:
        """The local derivatives of each sample."""
        rows = range(self.trace.objective.samples) if self.sample is None else (self.sample,)
        return tuple(ChainRule(self.trace, n) for n in rows)

    @cached_property
    def contributions(self) -> np.ndarray:
        """The contribution of each sample, (n,): its derivative by the chain rule."""
        return np.array([chain.gradient(self.subject) for chain in self.chains])

    @property
    def value(self) -> float:
        """The derivative by the chain rule: the sum of the contributions.

        For a unit or an input and several samples, this is the derivative by a shift of all samples together.
        """
        return exact_sum(self.contributions.tolist())

    @property
    def gradient(self) -> float:
        """The derivative computed by the backward sweep."""
        return float(sum(self._swept(chain) for chain in self.chains)) if self._apart else self._gradient()

    @property
    def _apart(self) -> bool:
        """Whether the trace's gradient is not the number: for one sample of several, or for a unit."""
        return self.subject.block is None or (self.sample is not None and self.trace.objective.samples > 1)

    def _gradient(self) -> float:
        assert self.subject.block is not None
        return float(self.trace.gradients.view(self.subject.block)[self.subject.entry])

    def _swept(self, chain: ChainRule) -> float:
        n, unit, kind = chain.sample, self.subject.unit, self.subject.kind
        if kind == "weight":
            return sum(
                float(self.trace[t.layer].delta[n, t.index]) * chain.activation(s) for s, t in self.subject.places
            )
        if unit.layer == INPUT:  # the backward sweep ends at the first layers, so one more step is needed
            return sum(
                float(c.backward(self.trace[j].delta[n : n + 1], self.trace.params[j].W.get(INPUT))[0, unit.index])
                for j, c in chain.takers[INPUT]
            )
        seen = self.trace[unit.layer]
        return float((seen.error if kind == "a" else seen.delta)[n, unit.index])

    @property
    def path_count(self) -> int:
        """How many paths lead from the quantity to the cost, over all samples."""
        return len(self.chains) * self.chains[0].count(self.subject)

    def paths(self, limit: int = 10_000, short: bool = False) -> list[Path]:
        """Every path from the quantity to the cost; the sum of their values is `value`.

        With `short` a path ends at dJ/dz where output and loss have a short form such as yhat - y. Raises
        ArgumentError when there are more than `limit`.
        """
        check_integer(limit, "limit")
        count = len(self.chains) * self.chains[0].count(self.subject, short)
        if count > limit:
            over = f" over {len(self.chains):,} samples" if len(self.chains) > 1 else ""
            raise ArgumentError(
                f"paths: {self.title} has {count:,} paths{over}, more than limit={limit:,}. Raise the limit "
                "(each path takes a kilobyte and a line), choose one sample, or use the steps, which sum the paths "
                "layer by layer."
            )
        return [path for chain in self.chains for path in chain.paths(self.subject, short)]

    def path_list(self, limit: int = 10_000) -> str:
        """Every path as a line of text, from the largest to the smallest, and their sum."""
        paths = sorted(self.paths(limit), key=lambda path: -abs(path.value))
        several = self.trace.objective.samples > 1
        notation = TextNotation(self.digits)
        lines = [f"{self.title}: {len(paths):,} path{'s' * (len(paths) != 1)}"]
        for path in paths:
            where = f"sample {path.sample}: " if several else ""
            factors = " · ".join(notation.write(Number(link.number), 2) for link in path.links)
            lines.append(
                f"{notation.write(Number(path.value + 0.0)):>14s}   {where}{described(path.nodes, self.names)}"
            )
            lines.append(f"{'':14s}   = {factors}")
        total = exact_sum(path.value for path in paths)
        return "\n".join([*lines, f"{notation.write(Number(total)):>14s}   sum of all paths"]) + "\n"

    # --- writing ----------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What is derived, in words."""
        name = self.names.unit(self.subject.unit)
        if self.subject.kind == "weight":
            return f"dJ/dw of the weight {name} <- {self.names.unit(self.subject.source)}"
        if self.subject.kind == "bias":
            return f"dJ/db of the bias of {name}"
        if self.subject.unit.layer == INPUT:
            return f"dJ/dx of the input {name}"
        return f"dJ/d{self.subject.kind} of the unit {name}"

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The content, independent of the notation."""
        return DerivationSections(self).sections()

    def text(self) -> str:
        """As text for a terminal."""
        return render_text(self.title, self.sections, self.digits)

    def latex(self) -> str:
        """As the body of a LaTeX document that uses amsmath."""
        return render_latex(self.sections, self.digits)

    def markdown(self) -> str:
        """As Markdown with LaTeX formulas between dollar signs."""
        return render_markdown(self.title, self.sections, self.digits)

    def html(self) -> str:
        """As HTML with MathML formulas, to be put into a page."""
        return f'<div class="derivation">\n{render_sections(self.sections, self.digits)}\n</div>'

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{self.title}: {self.value:.9g}; print it to see the chain rule>"

    def _repr_latex_(self) -> str:
        return render_equations(self.sections, self.digits)


def derive(
    trace: Trace,
    subject: str,
    *,
    sample: int | None = None,
    learning_rate: float | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
    most: int = 6,
    digits: int = 6,
) -> Derivation:
    """The derivation of one quantity of a trace; see `Trace.derivation`."""
    known = Names(trace.objective.net, {} if names is None else names)
    found = known.find(subject)
    samples = trace.objective.samples
    if sample is not None and not 0 <= check_integer(sample, "sample", least=0) < samples:
        raise ArgumentError(f"sample: expected a row of the trace from 0 to {samples - 1}, got {sample}.")
    if learning_rate is not None:
        check_number(learning_rate, "learning_rate", above=0)
    check_integer(most, "most", least=2)
    check_integer(digits, "digits", least=3)
    return Derivation(trace, known, found, sample, learning_rate, most, digits)
