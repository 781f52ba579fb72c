"""The mistakes that explain a wrong gradient, found by replaying the backward sweep layer by layer.

From the outputs to the input, each delta is tried with every known slip (`slips.py`), and what agrees with the dJ/dW
and dJ/db of that layer, up to the tolerance, goes on to the next. So slips in different layers are found together
without trying all their combinations: a search for one, then two, then three kinds of slip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

import numpy as np

from clearprop.core.connections import Connection
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Layer
from clearprop.explain.gradient_check.factors import Cause, name_factor
from clearprop.explain.gradient_check.fits import Fit, Target
from clearprop.explain.gradient_check.forward_slips import forward_slips
from clearprop.explain.gradient_check.gradient_input import Given
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.slips import Slip, Sweep, Variant

Array = np.ndarray
_KINDS = 3  #: kinds of slip at most
_IN_A_LAYER = 2  #: new kinds in one layer at most
#: Rows times units of the widest layer up to which one kind of slip, and several at once, take at most seconds.
_SINGLE, _SEVERAL = 1e6, 1e5
_STATES = 24  #: partial explanations that are followed
_OWN, _BACK = "in its own dJ/dW and dJ/db only", "on the way back only"


@dataclass(frozen=True)
class Mistake:
    """An explanation of a wrong gradient: its name, a description, and the layers or connections concerned.

    `name` is one of those in docs/how-to/check-a-gradient.md, or several joined by " + ".
    """

    name: str
    words: str
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


@dataclass(frozen=True)
class Factor:
    """A factor in some blocks, or in the delta of a layer and all that follows from it."""

    c: float
    where: str
    back: bool


@dataclass(frozen=True)
class State:
    """An explanation of the layers so far: slips, factors, the deltas sent back, and what those come from."""

    slips: tuple[Slip, ...] = ()
    factors: tuple[Factor, ...] = ()
    back: Mapping[str, Array] = field(default_factory=dict)
    origins: Mapping[str, Array | None] = field(default_factory=dict)
    rate: float = 0.0

    @property
    def kinds(self) -> int:
        """How many kinds of slip it needs."""
        return len(_kinds(self.slips)) + len({f"{f.c:.5g}" for f in self.factors})

    @property
    def size(self) -> tuple[int, int]:
        """Kinds, then layers and connections concerned."""
        return self.kinds, len(self.slips) + len(self.factors)


def _kinds(slips: Sequence[Slip]) -> set[tuple[str, str]]:
    return {(slip.name, slip.words) for slip in slips}


def most_kinds(problem: Problem) -> int:
    """How many kinds of slip are looked for in a problem of this size; 0 is for a right delta everywhere."""
    size = problem.objective.samples * max(layer.units for layer in problem.net.layers)
    return _KINDS if size <= _SEVERAL else int(size <= _SINGLE)


def explain(problem: Problem, given: Given, rate: float | None) -> list[Mistake]:
    """Every mistake, or combination of mistakes, with this gradient up to the tolerance, of the fewest kinds."""
    if not given.flat.any():
        words = "everything is 0: delta of the output is 0, or nothing was written into the gradient"
        return [Mistake("zero gradient", words)]
    most = most_kinds(problem)
    for kinds in range(int(rate is not None and most > 0), most + 1):  # with a rate, an update is tried beside factors
        searches = list(_searches(problem, given, rate, kinds))
        states = [state for search, start in searches for state in search.run(start) if state.slips or state.factors]
        if states:
            return _as_mistakes(problem, given, states)
        if kinds > 1 and not any(search.limited for search, _ in searches):
            break
    return []


def _searches(problem: Problem, given: Given, rate: float | None, kinds: int) -> Iterator[tuple[_Search, State]]:
    """The searches for at most this many kinds of slip, and their starts; 0 is for a right delta everywhere."""
    right, most = Sweep(problem, problem.seen, problem.masks), max(1, kinds)
    for flat, slips in _without_penalty(problem, given.flat):
        if len(_kinds(slips)) <= most:
            yield _Search(right, Target(problem, given, flat), most, rate, kinds == 0), State(slips)
    for slip, seen, masks in forward_slips(problem) if kinds in (1, 2) else ():
        target = Target(problem, given, given.flat - problem.slope_of_penalty())
        yield _Search(Sweep(problem, seen, masks), target, most, rate), State((slip,))


def _without_penalty(problem: Problem, flat: Array) -> Iterator[tuple[Array, tuple[Slip, ...]]]:
    """The gradient without the derivative of the penalty, which may be missing or wrong."""
    slope = problem.slope_of_penalty()
    yield flat - slope, ()
    n = float(problem.objective.samples)
    for c in dict.fromkeys([0.0, -1.0, 2.0, 0.5, n, 1 / n]) if slope.any() else ():
        if c == 0:
            yield flat, (Slip("missing penalty", "the derivative of the penalty is missing"),)
        elif c != 1:
            yield (
                flat - c * slope,
                (Slip("wrong penalty", f"the derivative of the penalty is {c:.6g} times what it should be"),),
            )


class _Search:
    """A search for explanations with at most `most` kinds of slip."""

    def __init__(self, sweep: Sweep, target: Target, most: int, rate: float | None, right: bool = False) -> None:
        self.sweep, self.target, self.most, self.rate = sweep, target, most, rate
        self.only_right = right  # no slips in deltas
        self.limited = False  # whether more kinds of slip would allow more candidates
        self.net = sweep.problem.net

    def run(self, start: State) -> list[State]:
        """The states that explain every layer."""
        states = [start]
        for layer in reversed(self.net.layers):
            after = [state for before in states for state in self._layer(before, layer)]
            states = _simplest(after)[:_STATES]
            if not states:
                break
        return states

    def _layer(self, state: State, layer: Layer) -> Iterator[State]:
        """The state after a layer, for each delta that agrees with its dJ/dW and dJ/db."""
        deltas = self._deltas(state, layer)
        for delta, rate in islice(deltas, 1) if self.only_right else deltas:
            known = replace(state, slips=state.slips + delta.slips, rate=rate)
            used = known.kinds - state.kinds
            left = min(self.most - known.kinds, _IN_A_LAYER - used)
            self.limited |= self.most - known.kinds < _IN_A_LAYER - used
            if left < 0:
                continue
            for after in self._blocks(known, state, layer, delta, left):
                if after.kinds <= self.most:
                    yield replace(after, origins={**state.origins, layer.name: delta.origin})
                else:
                    self.limited = True

    # --- candidates for delta

    def _deltas(self, state: State, layer: Layer) -> Iterator[tuple[Variant, float]]:
        """Candidates for the delta of a layer, the right one first; and the learning rate, if weights were updated."""
        is_output = layer.name in self.sweep.problem.objective.losses
        if not is_output:
            yield from self._of_targets(state, layer)
            return
        pulled = list(self._of_targets(state, layer))
        for loss in self._of_loss(state, layer):
            if not pulled:
                yield loss, state.rate
            for pull, rate in pulled:
                if not (loss.slips and pull.slips):
                    yield Variant(loss.slips + pull.slips, loss.value + pull.value), rate

    def _of_loss(self, state: State, layer: Layer) -> Iterator[Variant]:
        rows = self.sweep.row_weights()
        most = max(1, min(self.most - state.kinds, _IN_A_LAYER))
        for v in self.sweep.of_output(layer.name, most > 1):
            for w in rows:
                if len(v.slips) + len(w.slips) <= most:
                    yield Variant(v.slips + w.slips, v.value * w.value, w.value)

    def _others(self, state: State, layer: Layer) -> list[Variant]:
        """What else the delta of a layer may be, with the same error signal."""
        origin = state.origins[layer.name]
        if origin is None:
            return []
        if layer.name in self.sweep.problem.objective.losses:
            return [replace(v, value=v.value * origin) for v in self.sweep.of_output(layer.name)[1:]]
        return self.sweep.pulled(layer, origin)[1:]

    def _of_targets(self, state: State, layer: Layer) -> Iterator[tuple[Variant, float]]:
        right = None
        for error in self._errors(state, layer):
            right = error.value if right is None else right
            for v in self.sweep.pulled(layer, error.value, not self.only_right):
                if len(error.slips) + len(v.slips) <= _IN_A_LAYER:
                    yield Variant(error.slips + v.slips, v.value, error.value), state.rate
        if right is not None and not state.rate and not self.only_right:
            yield from self._updated(state, layer, right)

    def _errors(self, state: State, layer: Layer) -> Iterator[Variant]:
        """Candidates for the error signal: all terms right, then each with a slip, or from another delta."""
        edges = [(t, c) for t in self.net.layers for c in t.connections if c.source == layer.name]
        if not edges:
            return
        if self.only_right:
            W = {t.name: self.sweep.problem.params[t.name].W for t, _ in edges}
            terms = [c.backward(state.back[t.name], W[t.name].get(c.source)) for t, c in edges]
            yield Variant((), np.sum(terms, axis=0))
            return
        terms = [self._term(state, t, c, state.back[t.name]) for t, c in edges]
        right = np.sum([term[0].value for term in terms], axis=0)
        yield Variant((), right)
        for (t, c), variants in zip(edges, terms, strict=True):
            rest = right - variants[0].value
            yield from (Variant(v.slips, rest + v.value) for v in variants[1:])
            for other in self._others(state, t):
                if (other.slips[0].name, other.slips[0].words) in _kinds(state.slips):
                    continue
                slips = tuple(slip.only(_BACK) for slip in other.slips)
                for v in self._term(state, t, c, other.value)[: None if self.most - state.kinds > 1 else 1]:
                    yield Variant(slips + v.slips, rest + v.value)

    def _term(self, state: State, target: Layer, c: Connection, delta: Array) -> list[Variant]:
        W = self.sweep.problem.params[target.name].W.get(c.source)
        G = self.target.weights_of(target.name).get(c.source)
        if state.rate and W is not None and G is not None and c.trainable:
            W = W - state.rate * G
        return self.sweep.through(target.name, c, W, delta, G)

    def _updated(self, state: State, layer: Layer, error: Array) -> Iterator[tuple[Variant, float]]:
        """Candidates for delta through weights that are already updated by the gradient that is checked.

        The error signal is linear in the learning rate, which is solved for.
        """
        moved = np.zeros_like(error)
        for t in self.net.layers:
            G = self.target.weights_of(t.name)
            for c in t.connections:
                if c.source == layer.name and c.trainable and c.source in G:
                    moved = moved + c.backward(state.back[t.name], G[c.source])
        if not moved.any():
            return
        blocks = [b for b in self.sweep.problem.blocks if b.layer == layer.name and b not in self.target.missing]
        for v, m in zip(self.sweep.pulled(layer, error), self.sweep.pulled(layer, moved), strict=True):
            rates = (self._rate(group, v.value, m.value) for group in [blocks, *([b] for b in blocks if b.source)])
            rate = next(filter(None, rates), 0.0) if v.slips == m.slips else 0.0
            if rate:
                words = (
                    f"delta goes back through weights that are already updated, with learning rate {rate:.6g}; "
                    "finish the backward sweep before the update"
                )
                yield Variant((*v.slips, Slip("already updated weights", words)), v.value - rate * m.value), rate

    def _rate(self, blocks: Sequence[Block], delta: Array, moved: Array) -> float:
        """The learning rate with which delta - rate * moved gives these blocks; 0 if there is none.

        It is 0 as well if every factor would correspond to some learning rate, and none was passed.
        """
        g = np.concatenate([self.target.block(b) for b in blocks] or [np.zeros(0)])
        if len(g) < 3:
            return 0.0
        right, change = (np.concatenate([self.sweep.gradient(b, x) for b in blocks]) for x in (delta, moved))
        size = float(np.abs(change).max(initial=0.0))
        unit = change / size if 0 < size < np.inf else change
        rate = float((right - g) @ unit / (unit @ unit)) / size if 0 < size < np.inf else 0.0
        if not 1e-9 < rate < 1e9 or not self.target.equal(g, right - rate * change):
            return 0.0
        if self.rate is not None:
            return rate if abs(rate - self.rate) <= 1e-3 * self.rate else 0.0
        return 0.0 if self.target.ratio(right, change) is not None else rate

    # --- agreement with dJ/dW and dJ/db

    def _blocks(self, known: State, before: State, layer: Layer, delta: Variant, most: int) -> Iterator[State]:
        """The states in which every block of a layer follows from delta."""
        blocks = [b for b in self.sweep.problem.blocks if b.layer == layer.name]
        most = most or int(bool(before.slips or before.factors))  # a kind that is known already costs nothing
        options: list[list[Fit]] = []
        for block in sorted(blocks, key=lambda b: b.source is not None):  # a bias is the fastest to compare
            fits = self.target.fits(self.sweep, block, delta.value, most)
            if not fits:
                return
            options.append(fits)
        labels = [b.label for b in sorted(blocks, key=lambda b: b.source is not None)]
        for fits in product(*options):
            yield from self._combined(known, before, layer, delta, labels, fits)

    def _combined(
        self, known: State, before: State, layer: Layer, delta: Variant, labels: Sequence[str], fits: Sequence[Fit]
    ) -> Iterator[State]:
        """The states for one way in which each block follows from delta."""
        slips = known.slips + tuple(slip for fit in fits for slip in fit.slips)
        scaled = [(fit.factor, fit.evident) for fit in fits if fit.factor is not None]
        own = [
            (Factor(fit.factor, label, False), fit.evident)
            for label, fit in zip(labels, fits, strict=True)
            if fit.factor is not None and not self.target.near(fit.factor, 1.0)
        ]
        sure = [f.c for f in known.factors] + [f.c for f, evident in own if evident]
        sure += [f.c for f, _ in own if sum(self.target.near(f.c, g.c) for g, _ in own) > 1]
        if not all(any(self.target.near(f.c, c) for c in sure) for f, _ in own):
            return
        name, back = layer.name, {**known.back, layer.name: delta.value}
        if own and len(own) == len(scaled) and all(self.target.near(own[0][0].c, f.c) for f, _ in own):
            c = own[0][0].c
            sent = {**back, name: c * delta.value}
            yield replace(known, slips=slips, factors=(*known.factors, Factor(c, name, True)), back=sent)
        factors = known.factors + tuple(f for f, _ in own)
        yield replace(known, slips=slips, factors=factors, back=back)
        if delta.slips and known.rate == before.rate and any(c.source != INPUT for c in layer.connections):
            for other, _ in self._deltas(before, layer):  # a delta with fewer slips may go back
                if set(other.slips) < set(delta.slips):
                    kept = tuple(slip if slip in other.slips else slip.only(_OWN) for slip in delta.slips)
                    rest = before.slips + kept + slips[len(known.slips) :]
                    yield replace(known, slips=rest, factors=factors, back={**back, name: other.value})


def _simplest(states: list[State]) -> list[State]:
    """Sorted by size; of those with the same slips in the same layers, one."""
    unique: dict[object, State] = {}
    for state in sorted(states, key=lambda s: s.size):
        unique.setdefault((frozenset(state.slips), frozenset(state.factors)), state)
    return list(unique.values())


# --- descriptions -----------------------------------------------------------------------------------------------------


def _as_mistakes(problem: Problem, given: Given, states: list[State]) -> list[Mistake]:
    """The explanations of the fewest kinds; of those with the same names, the one in the fewest layers."""
    fewest = min(state.kinds for state in states)
    found: dict[str, Mistake] = {}
    for state in sorted(states, key=lambda s: s.size):
        if state.kinds == fewest:
            for causes in _causes(problem, given, state):
                mistake = _as_mistake(causes)
                found.setdefault(mistake.name, mistake)
    return list(found.values())


def _causes(problem: Problem, given: Given, state: State) -> Iterator[tuple[Cause, ...]]:
    """The named causes of a state, for each way to name its factors."""
    groups: dict[tuple[str, str], list[str]] = {}
    order = list(problem.net.index)
    for slip in state.slips:
        groups.setdefault((slip.name, slip.words), []).append(slip.where)
    slips = []
    for (name, words), where in groups.items():
        places = sorted(filter(None, dict.fromkeys(where)), key=lambda w: order.index(w) if w in order else -1)
        slips.append(Cause(name, words.format(", ".join(places)), tuple(places)))
    scaled: dict[str, list[Factor]] = {}
    for factor in state.factors:
        scaled.setdefault(f"{factor.c:.5g}", []).append(factor)
    tolerance = max(problem.tolerance, 30 * given.eps)
    named = [name_factor(problem, group[0].c, tolerance, *_scope(problem, group)) for group in scaled.values()]
    yield from ((*slips, *(cause for causes in chosen for cause in causes)) for chosen in product(*named))


def _scope(problem: Problem, group: list[Factor]) -> tuple[str, tuple[str, ...]]:
    """Where a factor is, as the end of a description and as names."""
    where = tuple(factor.where for factor in group)
    if {factor.where for factor in group if factor.back} >= set(problem.objective.losses):
        return "", ()
    words = [f"{f.where} and what follows from its delta" if f.back else f.where for f in group]
    return f" in {', '.join(words)}", where


def _as_mistake(causes: tuple[Cause, ...]) -> Mistake:
    where = tuple(dict.fromkeys(w for cause in causes for w in cause.where))
    names = dict.fromkeys(cause.name for cause in causes)
    return Mistake(" + ".join(names), "; and ".join(cause.words for cause in causes), where)
