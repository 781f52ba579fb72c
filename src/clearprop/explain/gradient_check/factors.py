"""Names for a constant factor in a gradient: the sign, a factor of 2, a sum instead of a mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from clearprop.explain.gradient_check.problem import Problem


@dataclass(frozen=True)
class Cause:
    """One cause of a wrong gradient: its name, a description, and the layers or connections concerned."""

    name: str
    words: str
    where: tuple[str, ...] = ()


def name_factor(
    problem: Problem, c: float, tolerance: float, at: str = "", where: tuple[str, ...] = ()
) -> list[tuple[Cause, ...]]:
    """The explanations of a factor c, the simplest first; the last resort is the plain number.

    `at` ends the descriptions (" in hidden.b"), `where` are the layers or connections concerned.
    """
    named = list(_explanations(problem, c, tolerance, at, where))
    sizes = [sum(cause.name != "sign" for cause in causes) for causes in named]
    shortest = min(sizes, default=2)
    simplest = [causes for causes, size in zip(named, sizes, strict=True) if size == shortest]
    plain = (Cause("factor", f"every entry is {c:.7g} times what it should be{at}", where),)
    by_chance = shortest > 1 or all("outputs" in causes[-1].words for causes in simplest)
    return list(dict.fromkeys([*simplest, plain] if by_chance else simplest))


def is_usual(problem: Problem, c: float, tolerance: float) -> bool:
    """Whether the factor has an explanation besides its number."""
    return any(True for _ in _explanations(problem, c, tolerance, "", ()))


def _explanations(
    problem: Problem, c: float, tolerance: float, at: str, where: tuple[str, ...]
) -> Iterator[tuple[Cause, ...]]:
    for name, mask in problem.masks.items():
        kept = 1 / float(mask.max(initial=1.0))
        if kept != 1 and abs(kept - c) <= 3 * tolerance * c:
            words = f"the dropout mask of {name} is 0 or 1{at}, without the factor 1 / (1 - dropout)"
            yield (Cause("dropout mask not scaled", words, (name,)),)
    signs = {1.0: "", -1.0: f"every entry has the wrong sign{at}"}
    twos = {
        1.0: "",
        2.0: f"every entry is twice what it should be{at}: the 1/2 of the cost and the 2 of a square's derivative "
        "cancel, or both are missing",
        0.5: f"every entry is half of what it should be{at}: an extra 1/2, or a square's derivative without its 2",
    }
    for (sign, of_sign), (two, of_two), (mean, of_mean) in product(
        signs.items(), twos.items(), [(1.0, ""), *_means(problem, at)]
    ):
        if abs(sign * two * mean - c) <= 3 * tolerance * abs(c):
            named = (("sign", of_sign), ("factor", of_two), ("mean against sum", of_mean))
            causes = tuple(Cause(name, words, where) for name, words in named if words)
            if causes:
                yield causes


def _means(problem: Problem, at: str) -> Iterator[tuple[float, str]]:
    """Factors between a mean and a sum over the samples, and over the units of an output."""
    objective = problem.objective
    done = {"mean": "summed over the samples, and the cost is their mean", "sum": "averaged over the samples"}
    for total in dict.fromkeys([float(objective.samples), objective.total_weight]):
        if total == 1:
            continue
        right, wrong = (total, 1 / total) if objective.reduction == "mean" else (1 / total, total)
        yield right, f"the gradient is {done[objective.reduction]}{at} (a factor of {max(right, wrong):g})"
        yield (
            wrong,
            f"the gradient is divided by {1 / wrong:g} one time too many{at}"
            if wrong < 1
            else f"the gradient is multiplied by {wrong:g}, the number of samples{at}",
        )
    if objective.reduction == "mean" and objective.total_weight != objective.samples:
        words = f"the weighted sum over the samples is divided by their number, not by the sum of the weights{at}"
        yield objective.total_weight / objective.samples, words
    for name in objective.losses:
        units = problem.net.units(name)
        if units > 1:
            yield 1 / units, f"the gradient is averaged over the {units} outputs, and the loss is their sum{at}"
            yield float(units), f"the gradient is summed over the {units} outputs, and the loss is their mean{at}"
