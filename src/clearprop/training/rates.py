"""The learning rate of each step of a run, by a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clearprop.schedules import Constant, Progress, Schedule


@dataclass(frozen=True)
class Rate:
    """The learning rate of each step (counted from 0) by a schedule; `first_step` is that of the run.

    >>> Rate(Constant(0.1), steps_per_epoch=10, epochs=2)(15)
    0.1
    """

    schedule: Schedule
    steps_per_epoch: int
    epochs: int
    costs: Callable[[], Sequence[float]] = tuple
    first_step: int = 0

    def __call__(self, step: int) -> float:
        return self.schedule.at(Progress(step, self.steps_per_epoch, self.epochs, self.costs()))

    @property
    def is_known_ahead(self) -> bool:
        """Whether the rates of later epochs are known before the present one ends."""
        return isinstance(self.schedule, Constant)

    def of_epochs(self, first: int, count: int) -> np.ndarray:
        """The rates of `count` epochs of the run from `first` on, (count * steps,)."""
        steps = count * self.steps_per_epoch
        if isinstance(self.schedule, Constant):
            return _constant(self.schedule.learning_rate, steps)
        start = self.first_step + first * self.steps_per_epoch
        return np.array([self(step) for step in range(start, start + steps)])


@lru_cache(maxsize=16)
def _constant(rate: float, steps: int) -> np.ndarray:
    """The same rate for each step; one array for all epochs, which an engine needs to look at only once."""
    rates = np.full(steps, rate)
    rates.flags.writeable = False
    return rates
