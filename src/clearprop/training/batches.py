"""Which rows make each step of an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.checks import check_integer
from clearprop.core.randomness import epoch_order
from clearprop.errors import ArgumentError
from clearprop.fork_safety import cached_property


@dataclass(frozen=True)
class BatchPlan:
    """Batches of `batch_size` rows (None: all rows), or `batches` nearly equal ones, in an order from (seed, epoch)."""

    samples: int
    batch_size: int | None
    batches: int | None
    shuffle: bool
    seed: int

    def __post_init__(self) -> None:
        if self.batches is not None:
            check_integer(self.batches, "batches")
            if self.batches > self.samples:
                raise ArgumentError(f"batches: expected at most one per row ({self.samples}), got {self.batches}.")
        elif self.batch_size is not None:
            check_integer(self.batch_size, "batch_size")

    @property
    def edges(self) -> np.ndarray:
        """Where each batch begins in the order of an epoch, and the end."""
        return self._edges

    @cached_property
    def _edges(self) -> np.ndarray:
        if self.batches is not None:
            small, longer = divmod(self.samples, self.batches)  # the first ones take one row more, as in np.array_split
            edges = np.concatenate([[0], np.cumsum([small + (i < longer) for i in range(self.batches)])])
        else:
            size = min(self.batch_size or self.samples, self.samples)
            edges = np.append(np.arange(0, self.samples, size), self.samples)
        edges.flags.writeable = False  # so that an engine needs to check them only once
        return edges

    @property
    def largest(self) -> int:
        """Rows of the largest batch."""
        return int(np.diff(self.edges).max())

    def orders(self, first: int, count: int) -> np.ndarray:
        """The order of the rows in `count` epochs from `first` on, (count, n)."""
        if self.shuffle and len(self.edges) > 2:  # the order within one batch changes nothing
            orders = [epoch_order(self.seed, epoch, self.samples)[None] for epoch in range(first, first + count)]
            return orders[0] if count == 1 else np.concatenate(orders)
        return np.tile(np.arange(self.samples), (count, 1))

    def discard_after(self, count: int) -> None:
        """Nothing: an order does not depend on those before."""
