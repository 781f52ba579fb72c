"""Whether a block of a gradient is that of a candidate, up to a factor, a penalty, or clipping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.factors import is_usual
from clearprop.explain.gradient_check.gradient_input import Given
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.slips import Slip, Sweep, Variant

Array = np.ndarray


@dataclass(frozen=True)
class Fit:
    """How a block follows from a delta: the slips on the way, and the factor that remains (None: any, it is all 0)."""

    slips: tuple[Slip, ...]
    factor: float | None
    entries: int  #: how many numbers the factor explains


class Target:
    """The gradient that is to be explained, without the penalty that the cost has."""

    def __init__(self, problem: Problem, given: Given, flat: Array) -> None:
        self.problem, self.flat, self.missing = problem, flat, given.missing
        self.tolerance = max(problem.tolerance, 30 * given.eps)
        self._negligible = max(1e-9, 10 * given.eps)

    def block(self, block: Block) -> Array:
        """The entries of a block."""
        return self.flat[block.start : block.stop]

    def weights_of(self, layer: str) -> dict[str, Array]:
        """The gradients of the W of a layer, by source."""
        blocks = [b for b in self.problem.blocks if b.layer == layer and b.source is not None]
        return {str(b.source): self.block(b).reshape(b.shape) for b in blocks}

    def equal(self, g: Array, candidate: Array) -> bool:
        """Whether the two agree entry by entry, up to the tolerance."""
        larger = np.maximum(np.abs(g), np.abs(candidate))
        allowed = self.tolerance * larger + self._negligible * np.abs(candidate).max(initial=0.0)
        return bool((np.abs(g - candidate) <= allowed).all())

    def ratio(self, g: Array, candidate: Array) -> float | None:
        """The factor c with g = c * candidate, if it is evident: from two numbers, or one and a usual factor."""
        size = float(np.abs(candidate).max(initial=0.0))
        unit = candidate / size if size else candidate
        square = float(unit @ unit)
        if not square or not np.isfinite(square):
            return None
        c = float(g @ unit) / square / size
        if c == 0 or not self.equal(g, c * candidate):
            return None
        evident = np.count_nonzero(np.abs(unit) > 1e-6) >= 2 or is_usual(self.problem, c, self.tolerance)
        return c if evident else None

    def near(self, c: float, other: float) -> bool:
        """Whether two factors are the same."""
        return abs(c - other) <= 3 * self.tolerance * max(abs(c), abs(other))

    def fits(self, sweep: Sweep, block: Block, delta: Array, slips: int) -> list[Fit]:
        """The simplest ways in which the block follows from delta, with at most this many slips in it."""
        g, right = self.block(block), sweep.gradient(block, delta)
        if self.equal(g, right):
            return [Fit((), 1.0 if right.any() else None, len(g))]
        if not slips:
            return []
        if not g.any():
            return [Fit((_missing(block),), None, len(g))]
        c = self.ratio(g, right)
        if c is not None:
            return [Fit((), c, len(g))]
        found = [
            fit for v in sweep.gradients(block, delta, self.weights_of(block.layer)) for fit in self._by(v, g, slips)
        ]
        return found or list(self._with_term(block, g, right))

    def _by(self, variant: Variant, g: Array, slips: int) -> Iterator[Fit]:
        if not variant.slips:
            return
        if self.equal(g, variant.value):
            yield Fit(variant.slips, 1.0, len(g))
        elif slips > 1 and (c := self.ratio(g, variant.value)) is not None:
            yield Fit(variant.slips, c, len(g))

    def _with_term(self, block: Block, g: Array, right: Array) -> Iterator[Fit]:
        """A penalty in the gradient, or clipping."""
        w = self.problem.params.flat[block.start : block.stop]
        kind = "bias" if block.source is None else "weight"
        for name, term in (("L2", w), ("L1", np.sign(w))):
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
                yield Fit((Slip("penalty", words, block.label),), 1.0, len(g))
        limit = float(np.abs(g).max())
        clipped = np.abs(right) > limit * (1 + self.tolerance)
        if clipped.any() and not clipped.all() and self.equal(g, np.clip(right, -limit, limit)):
            words = f"the entries of {{}} are clipped to +-{limit:.6g}; clip after the check"
            yield Fit((Slip("clipped gradient", words, block.label),), 1.0, len(g))


def _missing(block: Block) -> Slip:
    if block.source is None:
        words = "dJ/db of {} is 0 or absent; it is delta summed over the samples"
        return Slip("missing bias gradient", words, block.layer)
    return Slip("missing weight gradient", "dJ/dW is 0 in {}; it is a^T delta", block.label)
