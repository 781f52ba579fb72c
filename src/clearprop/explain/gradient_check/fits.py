"""Whether a block of a gradient is that of a candidate, up to a factor, a penalty, or clipping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.factors import is_usual
from clearprop.explain.gradient_check.gradient_input import Given
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.slips import Slip, Sweep

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """How a block follows from a delta: the slips on the way, and the factor that remains (None: any, it is all 0).

    A factor is evident if it explains two numbers, or if it is a usual one.
    """

    slips: tuple[Slip, ...]
    factor: float | None
    evident: bool = True


class Target:
    """The gradient that is to be explained, without the penalty that the cost has."""

    def __init__(self, problem: Problem, given: Given, flat: Array) -> None:
        self.problem, self.flat, self.missing = problem, flat, given.missing
        self.tolerance = max(problem.tolerance, 30 * given.eps)
        self._zero = 500 * given.eps * float(np.abs(flat).max(initial=0.0))
        self._negligible, self.eps = max(1e-9, 10 * given.eps), given.eps

    def block(self, block: Block) -> Array:
        """The entries of a block."""
        return self.flat[block.start : block.stop]

    def weights_of(self, layer: str) -> dict[str, Array]:
        """The gradients of the W of a layer, by source."""
        blocks = [b for b in self.problem.blocks if b.layer == layer and b.source is not None]
        return {str(b.source): self.block(b).reshape(b.shape) for b in blocks}

    def equal(self, g: Array, candidate: Array, floor: float = 0.0) -> bool:
        """Whether the two agree entry by entry, up to the tolerance, or to the floor that rounding leaves."""
        larger = np.maximum(np.abs(g), np.abs(candidate))
        allowed = self.tolerance * larger + self._negligible * np.abs(candidate).max(initial=0.0) + floor
        return bool((np.abs(g - candidate) <= allowed).all())

    def ratio(self, g: Array, candidate: Array, floor: float = 0.0) -> tuple[float, bool] | None:
        """The factor c with g = c * candidate, and whether it is evident."""
        size = float(np.abs(candidate).max(initial=0.0))
        if not floor < size < np.inf:
            return None
        unit = candidate / size
        c = float(g @ unit) / float(unit @ unit) / size
        if c == 0 or not self.equal(g, c * candidate, abs(c) * floor):
            return None
        several = bool(np.count_nonzero(np.abs(unit) > 1e-6) >= 2)
        return c, several or is_usual(self.problem, c, self.tolerance)

    def near(self, c: float, other: float) -> bool:
        """Whether two factors are the same."""
        return abs(c - other) <= 3 * self.tolerance * max(abs(c), abs(other))

    def fits(self, sweep: Sweep, block: Block, delta: Array, slips: int) -> list[Fit]:
        """The simplest ways in which the block follows from delta, with at most this many slips in it."""
        g, right, floor = self.block(block), sweep.gradient(block, delta), self._floor(sweep, block, delta)
        if self.equal(g, right, floor):
            return [Fit((), 1.0 if np.abs(right).max(initial=0.0) > floor else None)]
        if not slips:
            return []
        if not g.any():
            return [Fit((_missing(block),), None)]
        ratio = self.ratio(g, right, floor)
        if ratio is not None and block.source is not None and is_usual(self.problem, ratio[0], self.tolerance):
            return [Fit((), *ratio)]
        found = [Fit((), *ratio)] if ratio is not None else []
        for v in sweep.gradients(block, delta, self.weights_of(block.layer)):
            if self.equal(g, v.value, floor):
                found.append(Fit(v.slips, 1.0))
            elif slips > 1 and (ratio := self.ratio(g, v.value, floor)) is not None and ratio[1]:
                found.append(Fit(v.slips, *ratio))
        return [*found, *self._with_term(block, g, right)]

    def _floor(self, sweep: Sweep, block: Block, delta: Array) -> float:
        """About what rounding leaves of a sum over the rows that cancels."""
        a = 1.0 if block.source is None else sweep.largest(block.source)
        return max(self._zero, 0.1 * self.eps * len(delta) * a * float(np.abs(delta).max(initial=0.0)))

    def _with_term(self, block: Block, g: Array, right: Array) -> Iterator[Fit]:
        """A penalty in the gradient, or clipping."""
        w = self.problem.params.flat[block.start : block.stop]
        kind = "bias" if block.source is None else "weight"
        known = block.source is not None and bool(self.problem.penalties)  # a wrong one is another slip
        for name, term in () if known else (("L2", w), ("L1", np.sign(w))):
            square = float(term @ term)
            if len(g) < 2 or np.count_nonzero(term) < 2:
                continue
            strength = float((g - right) @ term) / square
            if strength and self.equal(g - strength * term, right) and self.equal(g, right + strength * term):
                what = "w" if name == "L2" else "sign(w)"
                words = (
                    f"{strength:+.6g} {what} is added to the gradient of each {kind} in {{}}, an {name} penalty that "
                    "this cost does not have; pass it to the check as penalty=, or leave it out"
                )
                yield Fit((Slip("penalty", words, block.label),), 1.0)
        limit = float(np.abs(g).max())
        clipped = np.abs(right) > limit * (1 + self.tolerance)
        if clipped.sum() > 1 and not clipped.all() and self.equal(g, np.clip(right, -limit, limit)):
            words = f"the entries of {{}} are clipped to +-{limit:.6g}; clip after the check"
            yield Fit((Slip("clipped gradient", words, block.label),), 1.0)


def _missing(block: Block) -> Slip:
    if block.source is None:
        words = "dJ/db of {} is 0 or absent; it is delta summed over the samples"
        return Slip("missing bias gradient", words, block.layer)
    return Slip("missing weight gradient", "dJ/dW is 0 in {}; it is a^T delta", block.label)
