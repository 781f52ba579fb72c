"""Common mistakes of a backward sweep. Each is simulated, and a wrong gradient is compared with the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, combinations
from typing import TypeVar

import numpy as np

from clearprop.activations import Elementwise, Identity
from clearprop.core.layout import Block
from clearprop.core.network import INPUT
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.summaries import Cause, explain_factor
from clearprop.explain.gradient_check.sweeps import Faults, faulty_gradient

_T = TypeVar("_T")
_SUBSETS_UP_TO = (
    5  #: up to this many layers every subset is tried; of more, each layer alone, all hidden layers, all layers
)


@dataclass(frozen=True)
class Mistake:
    """An explanation of a wrong gradient: its name, a description, and the layers or connections concerned.

    `name` is one of those in docs/how-to/check-a-gradient.md, or several joined by " + ". `error` is the relative
    difference between the gradient and that of this mistake.
    """

    name: str
    words: str
    where: tuple[str, ...] = ()
    error: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


@dataclass(frozen=True)
class Candidate:
    """The gradient of a sweep with mistakes, and their descriptions."""

    causes: tuple[Cause, ...]
    gradient: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Fit:
    """For each block the ratio of a gradient to a candidate, and the relative difference that remains."""

    factors: Mapping[Block, float]
    error: float

    def without(self, excluded: Iterable[Block]) -> Mapping[Block, float]:
        """The factors of the other blocks."""
        return {block: c for block, c in self.factors.items() if block not in set(excluded)}


def explain(problem: Problem, gradient: np.ndarray, rate: float | None = None) -> list[Mistake]:
    """Every mistake, or combination of mistakes, with this gradient up to the tolerance; the simplest first."""
    explanations: list[tuple[tuple[Cause, ...], float]] = list(_by_factors(problem, gradient))
    for candidate in chain(_candidates(problem), _already_updated(problem, gradient, rate)):
        explanations += _by_candidate(problem, candidate, gradient)
    simplest = [
        (causes, error)
        for causes, error in explanations
        if not any(_is_simpler(other, causes) for other, _ in explanations)
    ]
    negligible = 1e-3 * problem.tolerance  # smaller differences are due to rounding
    simplest.sort(key=lambda entry: (len(entry[0]), max(entry[1], negligible)))
    return [_as_mistake(causes, error) for causes, error in simplest]


def fit(problem: Problem, gradient: np.ndarray, candidate: np.ndarray) -> Fit | None:
    """The factors of a gradient that is a multiple of the candidate block by block, or None if it is not."""
    factors, worst, visible = {}, 0.0, problem.rounding("complex step")
    for block in problem.blocks:
        g, c = gradient[block.start : block.stop], candidate[block.start : block.stop]
        largest_g, largest_c = (float(np.abs(v).max(initial=0.0)) for v in (g, c))
        if max(largest_g, largest_c) <= visible:
            continue
        if largest_c <= visible:
            return None
        unit = c / largest_c  # so that no tiny gradient is squared
        factor = float(g @ unit / (unit @ unit)) / largest_c
        left = float(np.abs(g - factor * c).max()) / max(largest_g, visible / problem.tolerance)
        if not left <= problem.tolerance:
            return None
        factors[block] = 0.0 if largest_g <= visible else factor
        worst = max(worst, left)
    return Fit(factors, worst) if factors else None


def _by_factors(problem: Problem, gradient: np.ndarray) -> Iterator[tuple[tuple[Cause, ...], float]]:
    """Explanations of a gradient that is correct except for factors of whole blocks."""
    fitted = fit(problem, gradient, problem.truth)
    if fitted is None:
        return
    zeros = [block for block, c in fitted.factors.items() if c == 0]
    missing = _missing(zeros)
    groups = _groups(fitted.without(zeros), problem.tolerance)
    if len(groups) > 1:
        every = [list(explain_factor(problem, c, blocks)) for c, blocks in groups if not _near(c, 1, problem.tolerance)]
        if every and all(every):
            yield (*missing, *(cause for named in every for cause in named[0])), fitted.error
        return
    for c, _ in groups:
        if _near(c, 1, problem.tolerance):
            continue
        named = list(explain_factor(problem, c))
        if not named and np.count_nonzero(problem.truth) >= 3:
            named = [(Cause("factor", f"every entry is {c:.7g} times what it should be"),)]
        yield from (((*missing, *causes), fitted.error) for causes in named)
        return
    if missing:
        yield missing, fitted.error


def _by_candidate(
    problem: Problem, candidate: Candidate, gradient: np.ndarray
) -> Iterator[tuple[tuple[Cause, ...], float]]:
    """Explanations of a gradient as that of a faulty sweep, times a known factor, possibly without the biases."""
    if not np.isfinite(candidate.gradient).all():
        return
    same = fit(problem, candidate.gradient, problem.truth)
    if same is not None and all(_near(c, 1, 100 * problem.tolerance) for c in same.factors.values()):
        return  # this mistake has no effect here
    fitted = fit(problem, gradient, candidate.gradient)
    if fitted is None:
        return
    zeros = [block for block, c in fitted.factors.items() if c == 0]
    groups = _groups(fitted.without(zeros), problem.tolerance)
    if len(groups) != 1 or any(block.source is not None for block in zeros):
        return
    c = groups[0][0]
    named = [()] if _near(c, 1, problem.tolerance) else list(explain_factor(problem, c))
    yield from (((*candidate.causes, *_missing(zeros), *causes), fitted.error) for causes in named)


def _missing(zeros: Sequence[Block]) -> tuple[Cause, ...]:
    """Causes for blocks that are 0 and should not be."""
    biases = tuple(b.layer for b in zeros if b.source is None)
    weights = [b for b in zeros if b.source is not None]
    causes = []
    if biases:
        words = f"dJ/db of {_listed(biases)} is 0 or absent; it is delta summed over the samples"
        causes.append(Cause("missing bias gradient", words, biases))
    if weights:
        words = f"dJ/dW is 0 in {', '.join(b.label for b in weights)}; it is a^T delta"
        causes.append(Cause("missing weight gradient", words, tuple(b.layer for b in weights)))
    return tuple(causes)


def _groups(factors: Mapping[Block, float], tolerance: float) -> list[tuple[float, list[Block]]]:
    """Blocks grouped by their factor, which is that of the block with the most entries."""
    groups: list[tuple[float, list[Block]]] = []
    for block, c in sorted(factors.items(), key=lambda entry: entry[0].start - entry[0].stop):
        for known, blocks in groups:
            if _near(c, known, tolerance):
                blocks.append(block)
                break
        else:
            groups.append((c, [block]))
    return groups


def _near(c: float, expected: float, tolerance: float) -> bool:
    return abs(c - expected) <= 3 * tolerance * abs(expected)


def _is_simpler(causes: tuple[Cause, ...], others: tuple[Cause, ...]) -> bool:
    """Whether the causes are a subset of the others, or have the same names in fewer layers."""
    if set(causes) < set(others):
        return True
    names, where = [c.name for c in causes], {w for c in causes for w in c.where}
    return names == [c.name for c in others] and bool(where) and where < {w for c in others for w in c.where}


def _as_mistake(causes: tuple[Cause, ...], error: float) -> Mistake:
    where = tuple(dict.fromkeys(w for cause in causes for w in cause.where))
    names = dict.fromkeys(cause.name for cause in causes)
    return Mistake(" + ".join(names), "; and ".join(cause.words for cause in causes), where, error)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


# --- the faulty sweeps ---------------------------------------------------------------------------------------------


def _candidates(problem: Problem) -> Iterator[Candidate]:
    """The faulty sweeps that are possible in this network."""
    for faults in chain(_of_activations(problem), _of_connections(problem)):
        with np.errstate(all="ignore"):
            gradient = faulty_gradient(problem.objective, problem.params, problem.seen, faults)
        yield Candidate(tuple(_causes(problem, faults)), gradient)


def _of_activations(problem: Problem) -> Iterator[Faults]:
    net, losses = problem.params.net, problem.objective.losses
    bent = [layer for layer in net.layers if not isinstance(layer.f, Identity)]
    single = [layer.name for layer in bent if isinstance(layer.f, Elementwise)]
    mixed = [layer.name for layer in bent if not isinstance(layer.f, Elementwise)]
    hidden = [name for name in single if name not in losses]
    for names in _subsets([layer.name for layer in bent], hidden):
        yield Faults(no_derivative=names)
    for names in _subsets(single, hidden):
        yield Faults(at_activation=names)
    for names in _subsets(mixed, []):
        yield Faults(diagonal=names)
    for name, loss in losses.items():
        if loss.partner is not None and isinstance(net[name].f, loss.partner):
            yield Faults(derivative_again=frozenset([name]))


def _of_connections(problem: Problem) -> Iterator[Faults]:
    net, losses = problem.params.net, problem.objective.losses
    every = [(layer.name, c) for layer in net.layers for c in layer.connections]
    square = [(name, c.source) for name, c in every if c.kind == "dense" and net.units(c.source) == net.units(name)]
    backward = [(name, source) for name, source in square if source != INPUT]
    for edges in _subsets(backward, []):
        yield Faults(transposed=edges)
    for edges in _subsets(square, []):
        yield Faults(transposed_gradient=edges)
    for name, c in every:
        targets = sum(other.source == c.source for _, other in every) + (c.source in losses)
        if c.source != INPUT and targets > 1 and sum(o.source == c.source for n, o in every if n == name) == 1:
            yield Faults(missing_path=frozenset([(name, c.source)]))


def _subsets(items: Sequence[_T], usual: Sequence[_T]) -> Iterator[frozenset[_T]]:
    """Every subset except the empty one; of many items, each alone, the usual ones together, and all."""
    if len(items) <= _SUBSETS_UP_TO:
        sizes = range(1, len(items) + 1)
        yield from (frozenset(chosen) for size in sizes for chosen in combinations(items, size))
        return
    yield from (frozenset([item]) for item in items)
    yield from dict.fromkeys([frozenset(usual), frozenset(items)]) if usual else [frozenset(items)]


def _already_updated(problem: Problem, gradient: np.ndarray, rate: float | None) -> Iterator[Candidate]:
    """A backward sweep through weights that are already updated, with the learning rate that fits best."""
    net, losses = problem.params.net, problem.objective.losses
    if not any(c.trainable and c.source != INPUT for layer in net.layers for c in layer.connections):
        return
    correct = fit(problem, gradient, problem.truth)
    last = [b for b in problem.blocks if b.layer in losses and b.source is not None]
    c = _common_factor(gradient, problem.truth, last)
    if (correct is not None and rate is None) or c == 0:
        return
    fitted = _fit_rate(problem, gradient / c, rate)
    if fitted is None:
        return
    faults = Faults(rate=fitted)
    candidate = faulty_gradient(problem.objective, problem.params, problem.seen, faults)
    proportional = fit(problem, candidate, problem.truth) is not None
    if proportional and (rate is None or not _near(fitted, rate, 1e-3)):
        return  # through a single unit, every factor corresponds to some learning rate
    yield Candidate(tuple(_causes(problem, faults)), candidate)


def _common_factor(gradient: np.ndarray, truth: np.ndarray, blocks: Sequence[Block]) -> float:
    """The factor by which the gradient of the output layers is too large; no update precedes them."""
    g, t = (np.concatenate([v[b.start : b.stop] for b in blocks] or [np.ones(1)]) for v in (gradient, truth))
    size = float(np.abs(t).max(initial=0.0))
    return float(g @ (t / size) / (t / size @ t)) if size else 1.0


def _fit_rate(problem: Problem, target: np.ndarray, start: float | None) -> float | None:
    """The learning rate whose faulty sweep is nearest to the target, by the Gauss-Newton method."""

    def sweep(rate: float) -> np.ndarray:
        return faulty_gradient(problem.objective, problem.params, problem.seen, Faults(rate=rate))

    rate = start or 0.0
    with np.errstate(all="ignore"):
        for _ in range(30):
            here, h = sweep(rate), 1e-4 * max(rate, 1e-2)
            slope = (sweep(rate + h) - sweep(rate - h)) / (2 * h)
            step = float(slope @ (target - here)) / float(slope @ slope) if np.any(slope) else np.nan
            if not np.isfinite(step):
                return None
            rate += step
            if abs(step) <= 1e-12 * abs(rate):
                break
    return rate if 1e-9 < rate < 1e9 else None


# --- descriptions -----------------------------------------------------------------------------------------------------


def _causes(problem: Problem, faults: Faults) -> Iterator[Cause]:
    """The names and descriptions of the faults of a sweep."""
    net, losses = problem.params.net, problem.objective.losses
    for kind in fields(faults):
        where = getattr(faults, kind.name)
        if kind.name == "rate" and where:
            words = f"delta goes back through weights that are already updated, with learning rate {where:.6g}"
            yield Cause("already updated weights", f"{words}; finish the backward sweep before the update")
        elif where and kind.name in ("transposed", "missing_path", "transposed_gradient"):
            names = tuple(f"{layer}.W[{source!r}]" for layer, source in sorted(where))
            yield _of_connection(kind.name, names)
        elif where:
            order = [layer.name for layer in net.layers if layer.name in where]
            mixed = tuple(name for name in order if not isinstance(net[name].f, Elementwise))
            single = tuple(name for name in order if name not in mixed)
            yield from (_of_layers(problem, kind.name, names, losses) for names in (single, mixed) if names)


def _of_layers(problem: Problem, kind: str, names: tuple[str, ...], losses: Mapping[str, object]) -> Cause:
    f = problem.params.net[names[0]].f
    at = f"at {_listed(names)}"
    mixed = not isinstance(f, Elementwise)
    if kind == "derivative_again":
        words = f"{at}, delta is multiplied by f'(z) once more; with this pair of activation and loss it is yhat - y"
        return Cause("derivative twice", words, names)
    if kind == "at_activation":
        words = f"{at}, the derivative is evaluated at a instead of z: f'(a) instead of f'(z)"
        return Cause("derivative at a instead of z", words, names)
    if mixed:
        used = "only its diagonal a_i (1 - a_i) is" if kind == "diagonal" and f.name == "softmax" else "it is not"
        used = "only its diagonal is" if kind == "diagonal" and f.name != "softmax" else used
        words = f"{at}, delta is the error signal times the Jacobian of {f.name}, and {used} used"
        return Cause(f"{f.name} Jacobian forgotten", words, names)
    words = f"{at}, delta is dJ/da, it should be dJ/da * f'(z)"
    return Cause("missing derivative", words, names)


def _of_connection(kind: str, names: tuple[str, ...]) -> Cause:
    if kind == "transposed":
        words = f"the error signal goes back through {_listed(names)} as delta W, it should be delta W^T"
        return Cause("transposed weights", words, names)
    if kind == "transposed_gradient":
        return Cause("transposed gradient", f"dJ/dW is delta^T a in {_listed(names)}, it should be a^T delta", names)
    words = f"the error signal lacks the term that comes back through {_listed(names)}; it is a sum over all targets"
    return Cause("missing path", words, names)
