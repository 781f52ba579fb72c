"""The batches of an epoch and the learning rate of each step, as engines take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from clearprop.schedules import Constant, Progress, Schedule


@dataclass(frozen=True)
class Batches(Sequence[np.ndarray]):
    """Row numbers of each batch: `order` holds those of the epoch, a batch is order[edges[s] : edges[s + 1]].

    >>> [rows.tolist() for rows in Batches(np.array([2, 0, 1]), np.array([0, 2, 3]))]
    [[2, 0], [1]]
    """

    order: np.ndarray
    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.edges) - 1

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> list[np.ndarray]: ...
    def __getitem__(self, place: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        i = range(len(self))[place]
        return self.order[self.edges[i] : self.edges[i + 1]]


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


def shuffled(rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
    """The row numbers as they stand after each of so many shuffles by the generator, (times, n), and then in `rows`.

    >>> rows = np.arange(3)
    >>> shuffled(rows, np.random.RandomState(0), times=2).tolist(), rows.tolist()
    ([[2, 1, 0], [0, 2, 1]], [0, 2, 1])
    """
    found = np.empty((times, len(rows)), rows.dtype)
    for order in found:
        generator.shuffle(rows)
        order[:] = rows
    return found
