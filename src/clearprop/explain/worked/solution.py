"""The worked solution: one whole training step of a small network, as a lecturer writes it on the board."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clearprop.checks import check_integer, check_number, check_text
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, cost
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names
from clearprop.explain.worked.lecture import Chapter, Lecture
from clearprop.fork_safety import cached_property
from clearprop.serialization.atomic import write_atomically


@dataclass(frozen=True)
class WorkedSolution:
    """One step of gradient descent written out: data, forward sweep, cost, deltas, gradients, updated weights.

    `save` writes it as a page (.html) or as LaTeX (.tex); a notebook shows it by itself.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    >>> trace = cp.backpropagate(net, params, np.array([[3.0]]), np.array([[5.0]]), loss=cp.SquaredError())
    >>> solution = cp.worked_solution(trace, learning_rate=0.1)
    >>> solution.after["output"].W["input"], round(solution.cost_after, 9)
    (array([[1.4]]), 0.0)
    """

    trace: Trace
    learning_rate: float
    names: Names
    digits: int
    title: str

    @cached_property
    def after(self) -> Parameters:
        """The parameters after the step: w - learning_rate dJ/dw of every trainable one."""
        params = self.trace.params.copy()
        params.trainable[...] -= self.learning_rate * self.trace.gradients.trainable
        return params

    @cached_property
    def cost_after(self) -> float:
        """The cost after the step."""
        o = self.trace.objective
        return cost(o.net, self.after, o.X, dict(o.targets), dict(o.losses), o.sample_weight, o.reduction)

    @cached_property
    def chapters(self) -> tuple[Chapter, ...]:
        """The content, before it is written in any notation."""
        return Lecture(self).chapters()

    def html(self) -> str:
        """As one page of HTML with MathML formulas and SVG drawings; it needs nothing outside it."""
        from clearprop.explain.worked.pages import html_page

        return html_page(self)

    def latex(self) -> str:
        """As a LaTeX document with TikZ drawings."""
        from clearprop.explain.worked.pages import latex_page

        return latex_page(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it into a file, whole or not at all: .html for a page, .tex for LaTeX."""
        write_document(path, html=self.html, latex=self.latex)

    def __repr__(self) -> str:
        costs = f"the cost goes from {self.trace.cost:.9g} to {self.cost_after:.9g}"
        return f'<{self.title}: {costs}; save("step.html") writes it>'

    def _repr_html_(self) -> str:
        from clearprop.explain.worked.pages import html_fragment

        return html_fragment(self)


def write_document(path: str | os.PathLike[str], **writers: Callable[[], str]) -> None:
    """Write what the writer for the path's ending returns: html for .html, latex for .tex, markdown for .md."""
    endings = {".html": "html", ".htm": "html", ".tex": "latex", ".md": "markdown"}
    known = {ending: writers[kind] for ending, kind in endings.items() if kind in writers}
    writer = known.get(Path(path).suffix.lower())
    if writer is None:
        raise ArgumentError(f"{path}: expected a name that ends in {' or '.join(known)}, which says what to write.")
    write_atomically(path, writer().encode("utf-8"))


#: The most sums that a worked solution writes out unless it is told another limit.
MOST_SUMS = 400


def count_sums(trace: Trace) -> int:
    """How many sums its worked solution has: two for each unit and row, and one for each parameter."""
    net = trace.objective.net
    return 2 * trace.objective.samples * sum(layer.units for layer in net.layers) + net.parameter_count


def worked_solution(
    trace: Trace,
    learning_rate: float = 0.1,
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    digits: int = 9,
    title: str = "One step of backpropagation",
    limit: int = MOST_SUMS,
) -> WorkedSolution:
    """One whole step of gradient descent of a small network written out, as a page or as LaTeX.

    `names` are names of units by layer, such as {"input": ["age", "income"]}. Raises ArgumentError for a network and
    rows that would take more than `limit` lines of sums (units times rows, and parameters).

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 2, 1, hidden="sigmoid")
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), np.eye(2), np.ones((2, 1)), loss=cp.SquaredError())
    >>> page = cp.worked_solution(trace, learning_rate=0.1).html()
    >>> page.startswith("<!DOCTYPE html>"), "<script" in page
    (True, False)
    """
    if not isinstance(trace, Trace):
        raise ArgumentError(f"trace: expected one of cp.backpropagate, got {type(trace).__name__}.")
    check_number(learning_rate, "learning_rate", above=0)
    check_integer(limit, "limit")
    check_text(title, "title")
    if check_integer(digits, "digits", least=3) > 15:
        raise ArgumentError(f"digits: expected at most 15, which is what float64 holds, got {digits}.")
    net, n = trace.objective.net, trace.objective.samples
    units = sum(layer.units for layer in net.layers)
    lines = count_sums(trace)
    if lines > limit:
        raise ArgumentError(
            f"worked solution: {units:,} units over {n:,} rows and {net.parameter_count:,} parameters would take "
            f"{lines:,} sums, more than limit={limit:,}. Take fewer rows or a smaller network, raise the limit, or "
            'derive single gradients: trace.derivation("output[0] <- ...").'
        )
    return WorkedSolution(trace, learning_rate, Names(net, {} if names is None else names), digits, title)
