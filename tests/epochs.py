"""Epochs for the engines, from what is at hand in a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearprop.engine.api import EpochResult, Epochs
from clearprop.training.batches import BatchPlan


def batches_as_epoch(number: int, batches: Sequence[np.ndarray], rate: float = 0.01) -> Epochs:
    """An epoch of these batches, each step with the same rate."""
    order, edges = np.concatenate(batches), np.cumsum([0, *map(len, batches)])
    return Epochs(number, order[None], edges, np.full(len(batches), rate))


def planned_epochs(plan: BatchPlan, first: int, count: int, rates: Any) -> Epochs:
    """Epochs of a plan, with these rates."""
    return Epochs(first, plan.orders(first, count), plan.edges, np.asarray(rates, np.float64))


def run_batches(engine: Any, number: int, batches: Sequence[np.ndarray], rate: float = 0.01) -> EpochResult:
    """What an engine reports of an epoch of these batches."""
    return engine.run(batches_as_epoch(number, batches, rate))
