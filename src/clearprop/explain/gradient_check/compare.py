"""A gradient compared with numerical derivatives of the cost: entry by entry, or along random directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set

import numpy as np

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.kinks import REACH, Kink, find_cause, is_at_kink, slopes
from clearprop.explain.gradient_check.numeric import STEPS, Derivative, Direction
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.verdict import BlockCheck

#: The label of a block and an index in it.
_Position = tuple[str, tuple[int, ...]]


class Compare(ABC):
    """Compares a gradient with numerical derivatives of the cost, block by block."""

    def __init__(self, problem: Problem, derivative: Derivative) -> None:
        self.problem, self.derivative = problem, derivative
        self.at_kink = is_at_kink(problem.objective, problem.params)
        self.kinks: list[Kink] = []

    @abstractmethod
    def block(self, block: Block, gradient: np.ndarray) -> BlockCheck:
        """The result for one W or b with at least one entry."""

    def blocks(self, gradient: np.ndarray, missing: Set[Block]) -> list[BlockCheck]:
        """The results for every W and b."""
        return [_missing(b) if b in missing else self.block(b, gradient) for b in self.problem.blocks]

    def scale(self, *values: np.ndarray | float) -> float:
        """The scale of differences in a block: its largest entry, or more if rounding would exceed the tolerance."""
        floor = self.problem.rounding(self.derivative.method) / self.problem.tolerance
        return max(floor, *(float(np.abs(v).max(initial=0.0)) for v in values), np.finfo(float).tiny)

    def recheck(
        self, direction: Direction, value: float, numeric: float, size: float, where: _Position
    ) -> tuple[float, bool]:
        """Check again a value that differs, or that is at a kink: the derivative, and whether there is a kink.

        With differences, smaller steps avoid a kink that lies only within the larger step.
        """
        problem, method = self.problem, self.derivative.method
        allowed = problem.tolerance * size
        if method == "central differences" and abs(value - numeric) > allowed:
            for step in STEPS[1:]:
                numeric = self.derivative.along(direction, step=step)
                if abs(value - numeric) <= allowed:
                    break
        if abs(value - numeric) <= allowed and not self.at_kink:
            return numeric, False
        left, right = slopes(self.derivative, direction)
        if abs(right - left) <= max(allowed, 1e-4 * size):  # smooth, although max(z, 0) has a tie there
            return ((left + right) / 2 if method == "complex step" else numeric), False
        reason = find_cause(problem.objective, problem.params, direction, REACH[method])
        margin = allowed + 0.01 * abs(right - left)  # the slopes are those near the kink
        low, high = min(left, right, numeric) - margin, max(left, right, numeric) + margin
        if not reason or not low <= value <= high:
            return numeric, False
        self.kinks.append(Kink(*where, value, left, right, reason))
        return numeric, True


class OneByOne(Compare):
    """Checks every entry by itself; `known` stores the derivatives for the next gradient."""

    def __init__(self, problem: Problem, derivative: Derivative) -> None:
        super().__init__(problem, derivative)
        self.known: dict[Block, np.ndarray] = {}

    def block(self, block: Block, gradient: np.ndarray) -> BlockCheck:
        entries = range(block.start, block.stop)
        if block not in self.known:
            self.known[block] = np.array([self.derivative.along(Direction(i)) for i in entries])
        numeric = self.known[block].copy()
        values = gradient[block.start : block.stop]
        size = self.scale(values, numeric)
        kinks = np.zeros(len(values), dtype=bool)
        doubtful = np.abs(values - numeric) > self.problem.tolerance * size
        for k in range(len(values)) if self.at_kink else np.flatnonzero(doubtful):
            index = tuple(int(p) for p in np.unravel_index(k, block.shape))
            where = (block.label, index)
            numeric[k], kinks[k] = self.recheck(Direction(block.start + int(k)), values[k], numeric[k], size, where)
        errors = np.where(kinks, 0.0, np.abs(values - numeric) / size)
        worst = int(np.argmax(errors))
        index = tuple(int(p) for p in np.unravel_index(worst, block.shape))
        return BlockCheck(
            *(block.label, float(errors[worst]), index, float(values[worst]), float(numeric[worst])),
            *(block.layer, int(kinks.sum()), True, len(values)),
        )


class AlongDirections(Compare):
    """Checks random directions (each entry of the block changes by 1 or -1), then finds a wrong entry by bisection.

    The error of a direction is relative to the norm of the block's gradient: along a direction v of random signs, an
    error e becomes e.v, whose standard deviation is the norm of e. The largest entry is also checked by itself.
    """

    def __init__(self, problem: Problem, derivative: Derivative, directions: int, seed: int) -> None:
        super().__init__(problem, derivative)
        self.directions, self.generator = directions, np.random.default_rng(seed)
        self.at_kink = False  # along a direction nearly all units change; only differences are checked again

    def block(self, block: Block, gradient: np.ndarray) -> BlockCheck:
        values = gradient[block.start : block.stop]
        size, along = self.scale(values), self.scale(float(np.linalg.norm(values)))
        worst_error, worst = 0.0, np.ones(len(values))
        for _ in range(self.directions):
            signs = self.generator.choice([-1.0, 1.0], size=len(values))
            error = self._error(block, values, signs, np.arange(len(values)), along)
            if error > worst_error:
                worst_error, worst = error, signs
        suspects = {int(np.argmax(np.abs(values))), int(self.generator.integers(len(values)))}
        if worst_error > self.problem.tolerance:
            suspects.add(self._bisect(block, values, worst))
        return self._report(block, values, size, worst_error, suspects)

    def _report(self, block: Block, values: np.ndarray, size: float, error: float, suspects: set[int]) -> BlockCheck:
        numeric, kinks = {}, 0
        for k in sorted(suspects):
            derivative = self.derivative.along(Direction(block.start + k))
            index = tuple(int(p) for p in np.unravel_index(k, block.shape))
            where = (block.label, index)
            if abs(values[k] - derivative) > self.problem.tolerance * self.scale(size, derivative):
                derivative, kink = self.recheck(Direction(block.start + k), float(values[k]), derivative, size, where)
                kinks += kink
            numeric[k] = derivative
        errors = {
            k: abs(float(values[k]) - derivative) / self.scale(size, derivative) for k, derivative in numeric.items()
        }
        k = max(errors, key=lambda k: errors[k])
        index = tuple(int(p) for p in np.unravel_index(k, block.shape))
        worst = error if kinks else max(error, errors[k])
        return BlockCheck(
            block.label,
            worst,
            index,
            float(values[k]),
            numeric[k],
            block.layer,
            0,
            True,
            self.directions + len(suspects),
        )

    def _error(self, block: Block, values: np.ndarray, signs: np.ndarray, part: np.ndarray, size: float) -> float:
        """Relative difference along the signs of part of a block; 0 if a kink explains it."""
        direction, expected = Direction(block.start + part, signs[part]), float(values[part] @ signs[part])
        derivative = self.derivative.along(direction)
        if abs(expected - derivative) > self.problem.tolerance * size:
            where = (f"{block.label} along a direction", ())
            derivative, kink = self.recheck(direction, expected, derivative, size, where)
            if kink:
                return 0.0
        return abs(expected - derivative) / max(size, abs(derivative) / np.sqrt(len(part)))

    def _bisect(self, block: Block, values: np.ndarray, signs: np.ndarray) -> int:
        """An entry that is wrong, found by bisection: of two halves, the one with the larger difference is kept."""
        part = np.arange(len(values))
        while len(part) > 1:
            middle = len(part) // 2
            part = max(part[:middle], part[middle:], key=lambda half: self._error(block, values, signs, half, 1.0))
        return int(part[0])


def _missing(block: Block) -> BlockCheck:
    error = np.inf if block.trainable else 0.0
    return BlockCheck(block.label, error, (), np.nan, np.nan, block.layer, 0, provided=False)
