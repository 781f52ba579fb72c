"""Explanations of a constant factor in a gradient: the sign, a factor of 2, a sum instead of a mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.problem import Problem


@dataclass(frozen=True)
class Cause:
    """One cause of a wrong gradient: its name, a description, and the layers or connections concerned."""

    name: str
    words: str
    where: tuple[str, ...] = ()


def explain_factor(problem: Problem, c: float, blocks: Sequence[Block] = ()) -> Iterator[tuple[Cause, ...]]:
    """The shortest explanations of a factor c of the whole gradient, or of some blocks, if there is one."""
    where = f" in {', '.join(b.label for b in blocks)}" if blocks else ""
    layers = tuple(dict.fromkeys(b.layer for b in blocks))
    signs = {1.0: "", -1.0: f"every entry has the wrong sign{where}"}
    twos = {
        1.0: "",
        2.0: f"every entry is twice what it should be{where}: the 1/2 of the cost and the 2 of a square's derivative "
        "cancel, or both are missing",
        0.5: f"every entry is half of what it should be{where}: an extra 1/2, or a square's derivative without its 2",
    }
    explanations: list[tuple[Cause, ...]] = []
    for (sign, of_sign), (two, of_two), (mean, of_mean) in product(
        signs.items(), twos.items(), [(1.0, ""), *_means(problem, where)]
    ):
        if abs(sign * two * mean - c) <= 3 * problem.tolerance * abs(c):
            named = (("sign", of_sign), ("factor", of_two), ("mean against sum", of_mean))
            explanations.append(tuple(Cause(name, words, layers) for name, words in named if words))
    shortest = min(map(len, explanations), default=0)
    yield from dict.fromkeys(causes for causes in explanations if causes and len(causes) == shortest)


def _means(problem: Problem, where: str) -> Iterator[tuple[float, str]]:
    """Factors between a mean and a sum over the samples, and over the units of an output."""
    objective = problem.objective
    reduction = objective.reduction
    done = {"mean": "summed over the samples, and the cost is their mean", "sum": "averaged over the samples"}
    for total in dict.fromkeys([float(objective.samples), objective.total_weight]):
        right, wrong = (total, 1 / total) if reduction == "mean" else (1 / total, total)
        yield right, f"the gradient is {done[reduction]}{where} (a factor of {max(right, wrong):g})"
        yield (
            wrong,
            f"the gradient is divided by {1 / wrong:g} one time too many{where}"
            if wrong < 1
            else (f"the gradient is multiplied by {wrong:g}, the number of samples{where}"),
        )
    for name in objective.losses:
        units = problem.params.net.units(name)
        if units > 1:
            yield 1 / units, f"the gradient is averaged over the {units} outputs, and the loss is their sum{where}"
            yield float(units), f"the gradient is summed over the {units} outputs, and the loss is their mean{where}"
