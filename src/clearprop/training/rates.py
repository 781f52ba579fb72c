"""The learning rate of each step of a run, by a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.schedules import Constant, Progress, Schedule


@dataclass(frozen=True)
class Rate:
    """The learning rate of each step of a run (counted from 0), by a schedule.

    >>> Rate(Constant(0.1), steps_per_epoch=10, epochs=2)(15)
    0.1
    """

    schedule: Schedule
    steps_per_epoch: int
    epochs: int
    costs: Callable[[], Sequence[float]] = tuple

    def __call__(self, step: int) -> float:
        return self.schedule.at(Progress(step, self.steps_per_epoch, self.epochs, self.costs()))

    def over(self, first: int, count: int) -> np.ndarray:
        """The rates of `count` steps from `first` on, (count,)."""
        if isinstance(self.schedule, Constant):
            return np.full(count, self.schedule.learning_rate)
        return np.array([self(step) for step in range(first, first + count)])
