"""A gradient compared with numerical derivatives of the cost: entry by entry, or along random directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.intervals import Array, Interval
from clearprop.explain.gradient_check.numeric import Derivative
from clearprop.explain.gradient_check.verdict import BlockCheck, Kink
from clearprop.fork_safety import cached_property

_AT_KINK = 1e-7  #: an entry is at a kink if its slopes differ by more than this fraction of the terms it sums


@dataclass
class Numeric:
    """The numerical derivatives of a block (entries,): values, and what kinks, the method and rounding leave open."""

    value: Interval
    terms: Array  #: sums of the absolute values of the terms
    floor: Array  #: what rounding can change


class Compare(ABC):
    """Compares a gradient with numerical derivatives of the cost, block by block; `eps` is its precision."""

    def __init__(self, derivative: Derivative, eps: float) -> None:
        self.derivative, self.eps, self.problem = derivative, eps, derivative.problem
        self.kinks: list[Kink] = []

    @cached_property
    def rounded(self) -> Derivative:
        """The derivative with all that rounding can change; needed only where something differs."""
        return self.derivative.rounded(self.eps)

    @abstractmethod
    def block(self, block: Block, gradient: Array) -> BlockCheck:
        """The result for one W or b with at least one entry."""

    def blocks(self, gradient: Array, missing: Set[Block]) -> list[BlockCheck]:
        """The results for every W and b."""
        self.kinks = []
        return [_missing(b) if b in missing else self.block(b, gradient) for b in self.problem.blocks]

    def errors(self, values: Array, numeric: Interval, floor: Array) -> Array:
        """|value - numerical| beyond the interval, relative to the larger, or to what rounding can change."""
        beyond = np.abs(values - numeric.middle) - (0.0 if numeric.radius is None else numeric.radius)
        larger = np.maximum(np.abs(values), np.abs(numeric.middle))
        scale = np.maximum(larger, np.maximum(floor / self.problem.tolerance, np.finfo(float).tiny))
        errors = np.maximum(beyond, 0.0) / scale
        return np.where(np.isfinite(errors), errors, np.inf)


class OneByOne(Compare):
    """Checks every entry by itself."""

    def __init__(self, derivative: Derivative, eps: float) -> None:
        super().__init__(derivative, eps)
        self._numeric: dict[Block, Numeric] = {}
        self._bounds: dict[Block, Array] = {}

    def block(self, block: Block, gradient: Array) -> BlockCheck:
        values, numeric = gradient[block.start : block.stop], self.numeric(block)
        errors = self.errors(values, numeric.value, numeric.floor)
        if (errors > self.problem.tolerance).any():
            errors = self.errors(values, numeric.value, self.floor(block))
        radius = numeric.value.radius
        kinks = np.zeros(len(values), bool) if radius is None else radius > _AT_KINK * numeric.terms
        kinks &= self.derivative.at_kink
        for k in np.flatnonzero(kinks & (errors <= self.problem.tolerance)):
            self.kinks.append(self._kink(block, int(k), float(values[k]), numeric.value))
        worst = int(np.argmax(errors))
        index = tuple(int(p) for p in np.unravel_index(worst, block.shape))
        return BlockCheck(
            *(block.label, float(errors[worst]), index, float(values[worst]), float(numeric.value.middle[worst])),
            *(block.layer, int(kinks.sum()), True, len(values)),
        )

    def is_zero(self) -> bool:
        """Whether all derivatives are 0 up to rounding."""
        numeric = {b: self.numeric(b) for b in self.problem.blocks}
        small = all((np.abs(x.value.middle) <= 1e-6 * x.terms).all() for x in numeric.values())
        return small and all((np.abs(x.value.middle) <= self.floor(b)).all() for b, x in numeric.items())

    def numeric(self, block: Block) -> Numeric:
        """The derivatives of a block; those of all blocks of its layer are computed together."""
        if block not in self._numeric:
            D = self.derivative.sensitivities(self.problem.net[block.layer])
            summing = 8 * self.eps * np.sqrt(self.problem.objective.samples)
            for other in self.problem.blocks:
                if other.layer == block.layer:
                    value, terms = self.derivative.gradient_of(other, D)
                    self._numeric[other] = Numeric(value, terms, summing * terms)
        return self._numeric[block]

    def floor(self, block: Block) -> Array:
        """What rounding can change in a block, by error bounds."""
        if block not in self._bounds:
            D = self.rounded.sensitivities(self.problem.net[block.layer])
            for other in self.problem.blocks:
                if other.layer == block.layer:
                    known, bound = self.numeric(other), self.rounded.gradient_of(other, D)[0].radius
                    own = 0.0 if known.value.radius is None else known.value.radius
                    self._bounds[other] = known.floor + (0.0 if bound is None else np.maximum(bound - own, 0.0))
        return self._bounds[block]

    def _kink(self, block: Block, k: int, value: float, numeric: Interval) -> Kink:
        assert numeric.radius is not None
        index = tuple(int(p) for p in np.unravel_index(k, block.shape))
        low, high = numeric.middle[k] - numeric.radius[k], numeric.middle[k] + numeric.radius[k]
        return Kink(block.label, index, value, float(low), float(high), self._cause(block, index))

    def _cause(self, block: Block, index: tuple[int, ...]) -> str:
        """A description of the first unit at a kink that the entry can change."""
        d, net, reached = self.derivative, self.problem.net, {block.layer}
        by_unit = block.source is None or len(block.shape) == 2
        for layer in net.layers:
            if reached & {c.source for c in layer.connections}:
                reached.add(layer.name)
            if layer.name not in reached:
                continue
            units = np.arange(layer.units) == index[-1] if layer.name == block.layer and by_unit else True
            for n, j in np.argwhere(d.kinks.get(layer.name, np.zeros((1, 1), bool)) & units)[:1]:
                z = self.problem.seen.z[layer.name][n, j]
                return f"{layer.name}[{j}], sample {n}: z = {z:.3g} is at a kink of {layer.f.name}"
            for n, j in np.argwhere(d.loss_kinks.get(layer.name, np.zeros((1, 1), bool)) & units)[:1]:
                loss, y = self.problem.objective.losses[layer.name], self.problem.objective.targets[layer.name]
                a = self.problem.seen.a[layer.name]
                known = y.shape == a.shape
                what = f"the residual yhat - y = {a[n, j] - y[n, j]:.3g}" if known else f"yhat = {a[n, j]:.3g}"
                return f"{layer.name}[{j}], sample {n}: {what} is at a kink of {loss.name}"
        return "the weight is 0, where the penalty has a kink"


class AlongDirections(Compare):
    """Checks random directions (each entry of the block changes by 1 or -1), then finds a wrong entry by bisection.

    The error of a direction is relative to the norm of the block's gradient: along a direction v of random signs, an
    error e becomes e.v, whose standard deviation is the norm of e. The largest entry is also checked by itself.
    """

    def __init__(self, derivative: Derivative, eps: float, directions: int, seed: int) -> None:
        super().__init__(derivative, eps)
        self.directions, self.generator = directions, np.random.default_rng(seed)

    def block(self, block: Block, gradient: Array) -> BlockCheck:
        values = gradient[block.start : block.stop]
        worst_error, worst = 0.0, np.ones(len(values))
        for _ in range(self.directions):
            signs = self.generator.choice([-1.0, 1.0], size=len(values))
            error = self._along(block, values, signs)[0]
            if error > worst_error:
                worst_error, worst = error, signs
        suspects = {int(np.argmax(np.abs(values))), int(self.generator.integers(len(values)))}
        if worst_error > self.problem.tolerance:
            suspects.add(self._bisect(block, values, worst))
        single = {k: self._along(block, values, np.eye(1, len(values), k)[0]) for k in sorted(suspects)}
        k = max(single, key=lambda k: single[k][0])
        index = tuple(int(p) for p in np.unravel_index(k, block.shape))
        return BlockCheck(
            *(block.label, max(worst_error, single[k][0]), index, float(values[k]), single[k][1], block.layer),
            checked=self.directions + len(suspects),
        )

    def _along(self, block: Block, values: Array, v: Array) -> tuple[float, float]:
        """The relative error along a direction of the block, and the derivative."""
        direction = np.zeros_like(self.problem.params.flat)
        direction[block.start : block.stop] = v
        expected, numeric = float(values @ v), self.derivative.along(direction)
        size = float(np.linalg.norm(values * v))
        floor = np.array(self.problem.tolerance * size)
        error = float(self.errors(np.array(expected), numeric, floor))
        if error > self.problem.tolerance:
            bound = self.rounded.along(direction).radius
            own = 0.0 if numeric.radius is None else numeric.radius
            extra = 0.0 if bound is None else np.maximum(bound - own, 0.0)
            error = float(self.errors(np.array(expected), numeric, floor + extra))
        return error, float(numeric.middle)

    def _bisect(self, block: Block, values: Array, signs: Array) -> int:
        """An entry that is wrong, found by bisection: of two halves, the one with the larger difference is kept."""
        part = np.arange(len(values))
        while len(part) > 1:
            halves = part[: len(part) // 2], part[len(part) // 2 :]
            part = max(
                halves, key=lambda half: self._difference(block, values, signs * np.isin(np.arange(len(signs)), half))
            )
        return int(part[0])

    def _difference(self, block: Block, values: Array, v: Array) -> float:
        direction = np.zeros_like(self.problem.params.flat)
        direction[block.start : block.stop] = v
        return abs(float(values @ v) - float(self.derivative.along(direction).middle))


def _missing(block: Block) -> BlockCheck:
    error = np.inf if block.trainable else 0.0
    return BlockCheck(block.label, error, (), np.nan, np.nan, block.layer, 0, provided=False)
