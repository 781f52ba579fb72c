"""The worked solution: one training step of a small network, written out in full."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clearprop.checks import check_flag, check_integer, check_number, check_text
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, cost
from clearprop.display import Displayed
from clearprop.draw.document import Section
from clearprop.errors import ArgumentError, unknown
from clearprop.explain.derivation.names import Names
from clearprop.explain.worked.pages import solution_document, solution_fragment, solution_page
from clearprop.explain.worked.sections import StepSections
from clearprop.fork_safety import cached_property
from clearprop.serialization.atomic import write_atomically


@dataclass(frozen=True)
class WorkedSolution(Displayed):
    """One step of gradient descent written out: data, forward sweep, cost, deltas, gradients, updated weights.

    `save` writes it as a page (.html) or as LaTeX (.tex); a notebook displays it.

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
    answers: bool = True
    letters: Mapping[str, str] = field(default_factory=dict)

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
    def sections(self) -> tuple[Section, ...]:
        """The content, before it is written in any notation."""
        step = (self.trace, self.after, self.cost_after, self.learning_rate)
        return StepSections(*step, self.names, self.digits, self.answers, self.letters).sections()

    def html(self) -> str:
        """As one HTML page with MathML formulas and SVG drawings, without references to other files."""
        return solution_page(self.title, self.sections, self.digits, self.letters)

    def latex(self) -> str:
        """As a LaTeX document with TikZ drawings."""
        return solution_document(self.title, self.sections, self.digits, self.letters)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file in one atomic step: .html for a page, .tex for LaTeX."""
        write_document(path, html=self.html, latex=self.latex)

    def __repr__(self) -> str:
        costs = f"the cost goes from {self.trace.cost:.9g} to {self.cost_after:.9g}"
        return f'<{self.title}: {costs}; save("step.html") writes it>'

    def fragment(self) -> str:
        """As HTML without a page around it."""
        return solution_fragment(self.sections, self.digits, self.letters)


def write_document(path: str | os.PathLike[str], **writers: Callable[[], str]) -> None:
    """Write a document in the format of the ending of `path`: html for .html, latex for .tex, markdown for .md."""
    endings = {".html": "html", ".htm": "html", ".tex": "latex", ".md": "markdown"}
    known = {ending: writers[kind] for ending, kind in endings.items() if kind in writers}
    writer = known.get(Path(path).suffix.lower())
    if writer is None:
        raise ArgumentError(f"{path}: expected a name that ends in {' or '.join(known)}.")
    write_atomically(path, writer().encode("utf-8"))


#: The default limit on the sums that a worked solution writes out.
MOST_SUMS = 400


def count_sums(trace: Trace) -> int:
    """The number of sums of the worked solution: two for each unit and row, and one for each parameter."""
    net = trace.objective.net
    return 2 * trace.objective.samples * sum(layer.units for layer in net.layers) + net.parameter_count


#: The quantities that have a letter.
LETTERS = ("x", "z", "a", "yhat", "y", "w", "b", "e", "delta", "l", "J", "alpha", "omega")


def check_letters(letters: Mapping[str, str] | None) -> None:
    """Raises ArgumentError for letters of unknown quantities, and for those that are no text."""
    if letters is not None and not isinstance(letters, Mapping):
        raise ArgumentError(f"letters: expected texts by quantity, a dict, got {letters!r}.")
    for name, letter in (letters or {}).items():
        if name not in LETTERS:
            raise ArgumentError(f"letters: {unknown('quantity', name, LETTERS)}")
        if not isinstance(letter, str) or not letter.strip():
            raise ArgumentError(f'letters["{name}"]: expected a letter or a short text, got {letter!r}.')


def worked_solution(
    trace: Trace,
    learning_rate: float = 0.1,
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    digits: int = 9,
    title: str = "One step of backpropagation",
    limit: int = MOST_SUMS,
    answers: bool = True,
    count_from: int = 0,
    letters: Mapping[str, str] | None = None,
) -> WorkedSolution:
    """One step of gradient descent of a small network written out in full, as a page or as LaTeX.

    `names` are names of units by layer, such as {"input": ["age", "income"]}; other units, and the samples, are
    numbered from `count_from`, 0 or 1. With `answers=False` it is an exercise sheet: formulas with blanks for the
    numbers. `letters` are those of your lecture by ours, such as {"z": "net", "a": "o", "J": "E", "alpha": "η"}; ours
    are x, z, a, yhat, y, w, b, e (dJ/da), delta (dJ/dz), l (loss), J, alpha (learning rate), omega (share of a sample).

    Raises ArgumentError if the network and the rows would take more than `limit` sums (units times rows, and
    parameters).

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 2, 1, hidden="sigmoid")
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), np.eye(2), np.ones((2, 1)), loss=cp.SquaredError())
    >>> page = cp.worked_solution(trace, learning_rate=0.1).html()
    >>> page.startswith("<!DOCTYPE html>"), "<script" in page
    (True, False)
    """
    if not isinstance(trace, Trace):
        raise ArgumentError(f"trace: expected a trace, as cp.backpropagate returns it, got {type(trace).__name__}.")
    check_number(learning_rate, "learning_rate", above=0)
    check_integer(limit, "limit")
    check_text(title, "title")
    check_flag(answers, "answers")
    check_integer(count_from, "count_from", least=0, most=1)
    check_letters(letters)
    if check_integer(digits, "digits", least=3) > 15:
        raise ArgumentError(f"digits: expected at most 15, which is what float64 holds, got {digits}.")
    net, n = trace.objective.net, trace.objective.samples
    units = sum(layer.units for layer in net.layers)
    lines = count_sums(trace)
    if lines > limit:
        raise ArgumentError(
            f"worked solution: {units:,} units over {n:,} rows and {net.parameter_count:,} parameters would take "
            f"{lines:,} sums, more than limit={limit:,}. Use fewer rows or a smaller network, raise the limit, or "
            'derive single gradients: trace.derivation("output[0] <- ...").'
        )
    known = Names(net, {} if names is None else names, count_from)
    return WorkedSolution(trace, learning_rate, known, digits, title, answers, dict(letters or {}))
