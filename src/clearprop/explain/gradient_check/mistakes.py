"""The usual mistakes of a backward sweep, each known by what it would give: a gradient is compared with all of them."""

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
from clearprop.explain.gradient_check.summaries import Slip, readings
from clearprop.explain.gradient_check.sweeps import Slips, slipped

_T = TypeVar("_T")
_SUBSETS_UP_TO = 5  #: layers whose every subset is tried; of more, each alone, all hidden ones and all


@dataclass(frozen=True)
class Mistake:
    """What would explain a wrong gradient: its name, where it is, and in words.

    `name` is one of those in docs/how-to/check-a-gradient.md, or several with " + " between. `error` is the relative
    difference that is left between the gradient and what this mistake gives.
    """

    name: str
    words: str
    where: tuple[str, ...] = ()
    error: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


@dataclass(frozen=True)
class Candidate:
    """A gradient with mistakes in it."""

    slips: tuple[Slip, ...]
    gradient: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Fit:
    """The factor by which each block of a gradient is that of a candidate, and what is left between them."""

    factors: Mapping[Block, float]
    error: float

    def apart_from(self, left_out: Iterable[Block]) -> Mapping[Block, float]:
        """The factors of the other blocks."""
        return {block: c for block, c in self.factors.items() if block not in set(left_out)}


def explain(problem: Problem, given: np.ndarray, rate: float | None = None) -> list[Mistake]:
    """Every mistake, or pair of them, that gives this gradient to within the tolerance; the simplest first."""
    right = Candidate((), problem.truth)
    found: list[tuple[tuple[Slip, ...], float]] = list(_read_right(problem, right, given))
    for candidate in chain(_candidates(problem), _already_updated(problem, given, rate)):
        found += _read_mistaken(problem, candidate, given)
    simplest = [(slips, error) for slips, error in found if not any(_within(other, slips) for other, _ in found)]
    negligible = 1e-3 * problem.tolerance  # which of two is nearer by rounding only says nothing
    simplest.sort(key=lambda entry: (len(entry[0]), max(entry[1], negligible)))
    return [_as_mistake(slips, error) for slips, error in simplest]


def fit(problem: Problem, gradient: np.ndarray, candidate: np.ndarray) -> Fit | None:
    """The factors by which a gradient is the candidate, block by block, or None where it is not."""
    factors, worst, visible = {}, 0.0, problem.rounding("complex step")
    for block in problem.blocks:
        g, c = gradient[block.start : block.stop], candidate[block.start : block.stop]
        largest_g, largest_c = (float(np.abs(v).max(initial=0.0)) for v in (g, c))
        if max(largest_g, largest_c) <= visible:
            continue
        if largest_c <= visible:
            return None
        unit = c / largest_c  # no square of a tiny gradient is taken
        factor = float(g @ unit / (unit @ unit)) / largest_c
        left = float(np.abs(g - factor * c).max()) / max(largest_g, visible / problem.tolerance)
        if not left <= problem.tolerance:
            return None
        factors[block] = 0.0 if largest_g <= visible else factor
        worst = max(worst, left)
    return Fit(factors, worst) if factors else None


def _read_right(problem: Problem, right: Candidate, given: np.ndarray) -> Iterator[tuple[tuple[Slip, ...], float]]:
    """Readings of a gradient that is the right one but for factors of whole blocks."""
    found = fit(problem, given, right.gradient)
    if found is None:
        return
    zeros = [block for block, c in found.factors.items() if c == 0]
    missing = _missing(zeros)
    groups = _groups(found.apart_from(zeros), problem.tolerance)
    if len(groups) > 1:
        every = [list(readings(problem, c, blocks)) for c, blocks in groups if not _near(c, 1, problem.tolerance)]
        if every and all(every):
            yield (*missing, *(slip for named in every for slip in named[0])), found.error
        return
    for c, _ in groups:
        if _near(c, 1, problem.tolerance):
            continue
        named = list(readings(problem, c))
        if not named and np.count_nonzero(right.gradient) >= 3:
            named = [(Slip("factor", f"every entry is {c:.7g} times what it should be"),)]
        yield from (((*missing, *slips), found.error) for slips in named)
        return
    if missing:
        yield missing, found.error


def _read_mistaken(
    problem: Problem, candidate: Candidate, given: np.ndarray
) -> Iterator[tuple[tuple[Slip, ...], float]]:
    """Readings of a gradient as that of a mistaken sweep, times a factor that has a name, biases perhaps left out."""
    if not np.isfinite(candidate.gradient).all():
        return
    same = fit(problem, candidate.gradient, problem.truth)
    if same is not None and all(_near(c, 1, 100 * problem.tolerance) for c in same.factors.values()):
        return  # this mistake would change nothing here
    found = fit(problem, given, candidate.gradient)
    if found is None:
        return
    zeros = [block for block, c in found.factors.items() if c == 0]
    groups = _groups(found.apart_from(zeros), problem.tolerance)
    if len(groups) != 1 or any(block.source is not None for block in zeros):
        return
    c = groups[0][0]
    named = [()] if _near(c, 1, problem.tolerance) else list(readings(problem, c))
    yield from (((*candidate.slips, *_missing(zeros), *slips), found.error) for slips in named)


def _missing(zeros: Sequence[Block]) -> tuple[Slip, ...]:
    """Slips for blocks that are all 0 and should not be."""
    biases = tuple(b.layer for b in zeros if b.source is None)
    weights = [b for b in zeros if b.source is not None]
    slips = []
    if biases:
        words = f"dJ/db of {_listed(biases)} is 0 or absent; it is delta summed over the samples"
        slips.append(Slip("missing bias gradient", words, biases))
    if weights:
        words = f"dJ/dW is 0 in {', '.join(b.label for b in weights)}; it is a^T delta"
        slips.append(Slip("missing weight gradient", words, tuple(b.layer for b in weights)))
    return tuple(slips)


def _groups(factors: Mapping[Block, float], tolerance: float) -> list[tuple[float, list[Block]]]:
    """Blocks that share a factor, and that factor from the block with the most entries."""
    groups: list[tuple[float, list[Block]]] = []
    for block, c in sorted(factors.items(), key=lambda entry: entry[0].start - entry[0].stop):
        for known, blocks in groups:
            if _near(c, known, tolerance):
                blocks.append(block)
                break
        else:
            groups.append((c, [block]))
    return groups


def _near(c: float, wanted: float, tolerance: float) -> bool:
    return abs(c - wanted) <= 3 * tolerance * abs(wanted)


def _within(slips: tuple[Slip, ...], others: tuple[Slip, ...]) -> bool:
    """Whether the same is said with less: the same names in fewer places, or fewer of the very same slips."""
    if set(slips) < set(others):
        return True
    names, where = [s.name for s in slips], {w for s in slips for w in s.where}
    return names == [s.name for s in others] and bool(where) and where < {w for s in others for w in s.where}


def _as_mistake(slips: tuple[Slip, ...], error: float) -> Mistake:
    where = tuple(dict.fromkeys(w for slip in slips for w in slip.where))
    names = dict.fromkeys(slip.name for slip in slips)
    return Mistake(" + ".join(names), "; and ".join(slip.words for slip in slips), where, error)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


# --- the mistaken sweeps ---------------------------------------------------------------------------------------------


def _candidates(problem: Problem) -> Iterator[Candidate]:
    """Every mistaken sweep that this network allows."""
    for slips in chain(_of_activations(problem), _of_connections(problem)):
        with np.errstate(all="ignore"):
            gradient = slipped(problem.objective, problem.params, problem.seen, slips)
        yield Candidate(tuple(_name(problem, slips)), gradient)


def _of_activations(problem: Problem) -> Iterator[Slips]:
    net, losses = problem.params.net, problem.objective.losses
    bent = [layer for layer in net.layers if not isinstance(layer.f, Identity)]
    single = [layer.name for layer in bent if isinstance(layer.f, Elementwise)]
    mixed = [layer.name for layer in bent if not isinstance(layer.f, Elementwise)]
    hidden = [name for name in single if name not in losses]
    for names in _subsets([layer.name for layer in bent], hidden):
        yield Slips(no_derivative=names)
    for names in _subsets(single, hidden):
        yield Slips(at_activation=names)
    for names in _subsets(mixed, []):
        yield Slips(diagonal=names)
    for name, loss in losses.items():
        if loss.partner is not None and isinstance(net[name].f, loss.partner):
            yield Slips(derivative_again=frozenset([name]))


def _of_connections(problem: Problem) -> Iterator[Slips]:
    net, losses = problem.params.net, problem.objective.losses
    every = [(layer.name, c) for layer in net.layers for c in layer.connections]
    square = [(name, c.source) for name, c in every if c.kind == "dense" and net.units(c.source) == net.units(name)]
    backward = [(name, source) for name, source in square if source != INPUT]
    for places in _subsets(backward, []):
        yield Slips(transposed=places)
    for places in _subsets(square, []):
        yield Slips(turned=places)
    for name, c in every:
        targets = sum(other.source == c.source for _, other in every) + (c.source in losses)
        if c.source != INPUT and targets > 1 and sum(o.source == c.source for n, o in every if n == name) == 1:
            yield Slips(cut=frozenset([(name, c.source)]))


def _subsets(items: Sequence[_T], usual: Sequence[_T]) -> Iterator[frozenset[_T]]:
    """Every subset but the empty one; of many items, each alone, the usual ones together, and all."""
    if len(items) <= _SUBSETS_UP_TO:
        sizes = range(1, len(items) + 1)
        yield from (frozenset(chosen) for size in sizes for chosen in combinations(items, size))
        return
    yield from (frozenset([item]) for item in items)
    yield from dict.fromkeys([frozenset(usual), frozenset(items)]) if usual else [frozenset(items)]


def _already_updated(problem: Problem, given: np.ndarray, rate: float | None) -> Iterator[Candidate]:
    """Deltas carried back by weights that have moved already, by the rate that fits best."""
    net, losses = problem.params.net, problem.objective.losses
    if not any(c.trainable and c.source != INPUT for layer in net.layers for c in layer.connections):
        return
    whole = fit(problem, given, problem.truth)
    last = [b for b in problem.blocks if b.layer in losses and b.source is not None]
    c = _common_factor(given, problem.truth, last)
    if (whole is not None and rate is None) or c == 0:
        return
    moved = _fit_rate(problem, given / c, rate)
    if moved is None:
        return
    gradient = slipped(problem.objective, problem.params, problem.seen, Slips(rate=moved))
    proportional = fit(problem, gradient, problem.truth) is not None
    if proportional and (rate is None or not _near(moved, rate, 1e-3)):
        return  # with one unit on the way, any factor at all looks like some rate
    yield Candidate(tuple(_name(problem, Slips(rate=moved))), gradient)


def _common_factor(given: np.ndarray, truth: np.ndarray, blocks: Sequence[Block]) -> float:
    """How many times the gradient of the output layers is too large; they come before any change."""
    g, t = (np.concatenate([v[b.start : b.stop] for b in blocks] or [np.ones(1)]) for v in (given, truth))
    size = float(np.abs(t).max(initial=0.0))
    return float(g @ (t / size) / (t / size @ t)) if size else 1.0


def _fit_rate(problem: Problem, target: np.ndarray, start: float | None) -> float | None:
    """The rate whose mistaken sweep is nearest to the target, by Gauss-Newton on this one number."""

    def sweep(rate: float) -> np.ndarray:
        return slipped(problem.objective, problem.params, problem.seen, Slips(rate=rate))

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


# --- their names -----------------------------------------------------------------------------------------------------


def _name(problem: Problem, slips: Slips) -> Iterator[Slip]:
    """The slips of a mistaken sweep, named and in words."""
    net, losses = problem.params.net, problem.objective.losses
    for kind in fields(slips):
        places = getattr(slips, kind.name)
        if kind.name == "rate" and places:
            words = f"the weights that carry delta back have already moved by a step of rate {places:.6g}"
            yield Slip("already updated weights", f"{words}; finish the backward sweep before the update")
        elif places and kind.name in ("transposed", "cut", "turned"):
            names = tuple(f"{layer}.W[{source!r}]" for layer, source in sorted(places))
            yield _of_connection(kind.name, names)
        elif places:
            order = [layer.name for layer in net.layers if layer.name in places]
            mixed = tuple(name for name in order if not isinstance(net[name].f, Elementwise))
            single = tuple(name for name in order if name not in mixed)
            yield from (_of_layers(problem, kind.name, names, losses) for names in (single, mixed) if names)


def _of_layers(problem: Problem, kind: str, names: tuple[str, ...], losses: Mapping[str, object]) -> Slip:
    f = problem.params.net[names[0]].f
    at = f"at {_listed(names)}"
    mixed = not isinstance(f, Elementwise)
    if kind == "derivative_again":
        words = f"{at}, delta is multiplied by f'(z) once more; with this pair of activation and loss it is yhat - y"
        return Slip("derivative twice", words, names)
    if kind == "at_activation":
        words = f"{at}, the derivative is taken at a instead of z: f'(a) where f'(z) belongs"
        return Slip("derivative at a instead of z", words, names)
    if mixed:
        used = "only its diagonal a_i (1 - a_i) is" if kind == "diagonal" and f.name == "softmax" else "it is not"
        used = "only its diagonal is" if kind == "diagonal" and f.name != "softmax" else used
        words = f"{at}, delta is the error signal times the Jacobian of {f.name}, and {used} used"
        return Slip(f"{f.name} Jacobian forgotten", words, names)
    words = f"{at}, delta = dJ/da is used where delta = dJ/da * f'(z) belongs"
    return Slip("missing derivative", words, names)


def _of_connection(kind: str, names: tuple[str, ...]) -> Slip:
    if kind == "transposed":
        words = f"the error signal goes back through {_listed(names)} as delta W, it should be delta W^T"
        return Slip("transposed weights", words, names)
    if kind == "turned":
        return Slip("transposed gradient", f"dJ/dW is delta^T a in {_listed(names)}, it should be a^T delta", names)
    words = f"the error signal lacks the term that comes back through {_listed(names)}: one term for each target"
    return Slip("missing path", words, names)
