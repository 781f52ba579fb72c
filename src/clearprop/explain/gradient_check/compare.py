"""A gradient against derivatives from values of the cost: entry by entry, or along random directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set

import numpy as np

from clearprop.core.layout import Block
from clearprop.explain.gradient_check.kinks import REACH, Kink, anywhere, cause, slopes
from clearprop.explain.gradient_check.numeric import STEPS, Derivative, Direction
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.verdict import BlockCheck

#: The label of a block and the place in it.
_Place = tuple[str, tuple[int, ...]]


class Compare(ABC):
    """A way to compare a gradient with the derivatives of the cost, block by block."""

    def __init__(self, problem: Problem, derivative: Derivative) -> None:
        self.problem, self.derivative = problem, derivative
        self.at_kink = anywhere(problem.objective, problem.params)
        self.kinks: list[Kink] = []

    @abstractmethod
    def block(self, block: Block, given: np.ndarray) -> BlockCheck:
        """The verdict on one W or b of at least one entry."""

    def blocks(self, given: np.ndarray, missing: Set[Block]) -> list[BlockCheck]:
        """The verdict on every W and b."""
        return [_not_given(b) if b in missing else self.block(b, given) for b in self.problem.blocks]

    def scale(self, *values: np.ndarray | float) -> float:
        """What disagreements in a block are relative to: its largest entry, or what rounding makes visible."""
        floor = self.problem.rounding(self.derivative.method) / self.problem.tolerance
        return max(floor, *(float(np.abs(v).max(initial=0.0)) for v in values), np.finfo(float).tiny)

    def settle(
        self, direction: Direction, given: float, found: float, size: float, where: _Place
    ) -> tuple[float, bool]:
        """A second look where two values differ, or units sit at kinks: the derivative, and whether it is a kink's.

        With differences, smaller steps leave behind a kink that lies only within the larger one.
        """
        problem, method = self.problem, self.derivative.method
        allowed = problem.tolerance * size
        if method == "central differences" and abs(given - found) > allowed:
            for step in STEPS[1:]:
                found = self.derivative.along(direction, step=step)
                if abs(given - found) <= allowed:
                    break
        if abs(given - found) <= allowed and not self.at_kink:
            return found, False
        left, right = slopes(self.derivative, direction)
        if abs(right - left) <= max(allowed, 1e-4 * size):  # smooth, though max(z, 0) and such tie there
            return ((left + right) / 2 if method == "complex step" else found), False
        reason = cause(problem.objective, problem.params, direction, REACH[method])
        margin = allowed + 0.01 * abs(right - left)  # the slopes are those a little beside the kink
        low, high = min(left, right, found) - margin, max(left, right, found) + margin
        if not reason or not low <= given <= high:
            return found, False
        self.kinks.append(Kink(*where, given, left, right, reason))
        return found, True


class OneByOne(Compare):
    """Every entry by itself; `known` keeps the derivatives for the next gradient."""

    def __init__(self, problem: Problem, derivative: Derivative) -> None:
        super().__init__(problem, derivative)
        self.known: dict[Block, np.ndarray] = {}

    def block(self, block: Block, given: np.ndarray) -> BlockCheck:
        places = range(block.start, block.stop)
        if block not in self.known:
            self.known[block] = np.array([self.derivative.along(Direction(i)) for i in places])
        found = self.known[block].copy()
        mine = given[block.start : block.stop]
        size = self.scale(mine, found)
        kinks = np.zeros(len(mine), dtype=bool)
        doubtful = np.abs(mine - found) > self.problem.tolerance * size
        for k in range(len(mine)) if self.at_kink else np.flatnonzero(doubtful):
            place = tuple(int(p) for p in np.unravel_index(k, block.shape))
            where = (block.label, place)
            found[k], kinks[k] = self.settle(Direction(block.start + int(k)), mine[k], found[k], size, where)
        errors = np.where(kinks, 0.0, np.abs(mine - found) / size)
        worst = int(np.argmax(errors))
        place = tuple(int(p) for p in np.unravel_index(worst, block.shape))
        return BlockCheck(
            *(block.label, float(errors[worst]), place, float(mine[worst]), float(found[worst])),
            *(block.layer, int(kinks.sum()), True, len(mine)),
        )


class AlongDirections(Compare):
    """Random directions (every entry of the block moves by 1 or -1), then the worst entry found by halving.

    The error of a direction is relative to the norm of the block's gradient: a direction v of random signs sees an
    error e as e.v, whose standard deviation is the norm of e. The largest entries are looked at one by one as well.
    """

    def __init__(self, problem: Problem, derivative: Derivative, directions: int, seed: int) -> None:
        super().__init__(problem, derivative)
        self.directions, self.generator = directions, np.random.default_rng(seed)
        self.at_kink = False  # along a direction, nearly everything moves; only a disagreement is worth a second look

    def block(self, block: Block, given: np.ndarray) -> BlockCheck:
        mine = given[block.start : block.stop]
        size, along = self.scale(mine), self.scale(float(np.linalg.norm(mine)))
        worst_error, worst = 0.0, np.ones(len(mine))
        for _ in range(self.directions):
            signs = self.generator.choice([-1.0, 1.0], size=len(mine))
            error = self._error(block, mine, signs, np.arange(len(mine)), along)
            if error > worst_error:
                worst_error, worst = error, signs
        suspects = {int(np.argmax(np.abs(mine))), int(self.generator.integers(len(mine)))}
        if worst_error > self.problem.tolerance:
            suspects.add(self._halve(block, mine, worst))
        return self._report(block, mine, size, worst_error, suspects)

    def _report(self, block: Block, mine: np.ndarray, size: float, error: float, suspects: set[int]) -> BlockCheck:
        values, kinks = {}, 0
        for k in sorted(suspects):
            found = self.derivative.along(Direction(block.start + k))
            place = tuple(int(p) for p in np.unravel_index(k, block.shape))
            where = (block.label, place)
            if abs(mine[k] - found) > self.problem.tolerance * self.scale(size, found):
                found, kink = self.settle(Direction(block.start + k), float(mine[k]), found, size, where)
                kinks += kink
            values[k] = found
        errors = {k: abs(float(mine[k]) - found) / self.scale(size, found) for k, found in values.items()}
        k = max(errors, key=lambda k: errors[k])
        place = tuple(int(p) for p in np.unravel_index(k, block.shape))
        worst = error if kinks else max(error, errors[k])
        return BlockCheck(
            block.label, worst, place, float(mine[k]), values[k], block.layer, 0, True, self.directions + len(suspects)
        )

    def _error(self, block: Block, mine: np.ndarray, signs: np.ndarray, part: np.ndarray, size: float) -> float:
        """Disagreement along the signs of part of a block; 0 if a kink explains it."""
        direction, expected = Direction(block.start + part, signs[part]), float(mine[part] @ signs[part])
        found = self.derivative.along(direction)
        if abs(expected - found) > self.problem.tolerance * size:
            where = (f"{block.label} along a direction", ())
            found, kink = self.settle(direction, expected, found, size, where)
            if kink:
                return 0.0
        return abs(expected - found) / max(size, abs(found) / np.sqrt(len(part)))

    def _halve(self, block: Block, mine: np.ndarray, signs: np.ndarray) -> int:
        """An entry that is wrong: half of the entries by half, always to the half that disagrees more."""
        part = np.arange(len(mine))
        while len(part) > 1:
            middle = len(part) // 2
            part = max(part[:middle], part[middle:], key=lambda half: self._error(block, mine, signs, half, 1.0))
        return int(part[0])


def _not_given(block: Block) -> BlockCheck:
    error = np.inf if block.trainable else 0.0
    return BlockCheck(block.label, error, (), np.nan, np.nan, block.layer, 0, given=False)
