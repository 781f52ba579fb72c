"""Engines: what runs the steps of an epoch. All give the same result to rounding."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from clearprop.engine.textbook import EpochResult, TextbookEngine, Training
from clearprop.errors import CompilationError
from clearprop.parameters import Parameters

__all__ = ["Engine", "EpochResult", "TextbookEngine", "Training", "make_engine"]


class Engine(Protocol):
    """Runs epochs of gradient descent on parameters, in place."""

    training: Training
    steps: int

    def run_epoch(self, epoch: int, batches: Sequence[np.ndarray], rate: Callable[[int], float]) -> EpochResult:
        """One step per batch (row numbers of X); `rate(step)` is the learning rate of each step, counted from 0."""
        ...

    def run_epochs(self, first: int, orders: np.ndarray, edges: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Several epochs, each on its row of `orders` with batches between `edges`; `EpochResult.per_row` of each."""
        ...

    def save(self) -> Any:
        """What `restore` takes to go back to the present parameters, slots and number of steps."""
        ...

    def restore(self, saved: Any) -> None:
        """Go back to what was saved."""
        ...


def make_engine(name: str, training: Training, params: Parameters, batch: int) -> Engine:
    """The engine of that name, for batches of up to `batch` rows.

    "auto" is the compiled engine, except where a definition cannot be compiled: then a RuntimeWarning says which one
    and why, and the textbook engine takes its place. Raises CompilationError where "compiled" was asked for.
    """
    if name == "textbook":
        return TextbookEngine(training, params)
    from clearprop.engine.compiled.engine import CompiledEngine  # Numba takes a moment to load

    try:
        return CompiledEngine(training, params, batch)
    except CompilationError as reason:
        if name == "compiled":
            raise
        warnings.warn(f"The slower textbook engine trains this network. {reason}", RuntimeWarning, stacklevel=3)
        return TextbookEngine(training, params)
