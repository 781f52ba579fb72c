"""Engines: what runs the steps of an epoch. All give the same result to rounding."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.textbook import Done, EpochResult, Patience, TextbookEngine, TextbookGradient, Training
from clearprop.errors import CompilationError

__all__ = [
    "Done",
    "Engine",
    "EpochResult",
    "Evaluation",
    "Gradient",
    "TextbookEngine",
    "Training",
    "make_engine",
    "make_gradient",
]


class Evaluation(Protocol):
    """Cost and outputs of an objective with the parameters as they are, without dropout and without penalties."""

    def cost(self) -> float:
        """J over the whole set."""
        ...

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them where there are several."""
        ...


class Engine(Protocol):
    """Runs epochs of gradient descent on parameters, in place; slots, steps and done are its state."""

    name: str
    training: Training
    steps: int
    whole: bool

    @property
    def slots(self) -> dict[str, np.ndarray]:
        """The optimizer's state by name, each of the shape of the trained part of the flat vector; assign to set it."""
        ...

    @slots.setter
    def slots(self, given: dict[str, np.ndarray]) -> None: ...

    @property
    def done(self) -> Done:
        """How far the present epoch has come; assign to go on from there."""
        ...

    @done.setter
    def done(self, given: Done) -> None: ...

    @property
    def made(self) -> int:
        """Steps of the present epoch whose change is in the parameters."""
        ...

    def run_epoch(
        self,
        epoch: int,
        batches: Sequence[np.ndarray],
        rate: Callable[[int], float],
        pause: Callable[[], None] | None = None,
    ) -> EpochResult:
        """One step per batch (row numbers of X); `rate(step)` is the learning rate of each step, counted from 0.

        An epoch that was left by an exception is gone on with. `pause` is called now and then between two steps, and
        may raise; whatever is raised, the parameters are those of the last finished step.
        """
        ...

    def write_back(self) -> None:
        """Bring the parameters up to date while an epoch runs, in a pause."""
        ...

    def run_epochs(
        self,
        first: int,
        orders: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        pause: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> np.ndarray:
        """Several epochs, each on its row of `orders` with batches between `edges`; `EpochResult.per_row` of each.

        Where `patience` is spent they stop, or (rounding apart) some epochs before that.
        """
        ...

    def shuffled(self, rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
        """The row numbers (n,) as they stand after each of so many shuffles by the generator, (times, n)."""
        ...

    def is_finite_on(self, rows: np.ndarray) -> bool:
        """Whether the parameters as they are give a finite cost and finite outputs on a batch, without dropout."""
        ...

    def save(self) -> Any:
        """What `restore` takes to go back to the present parameters, slots and number of steps."""
        ...

    def restore(self, saved: Any) -> None:
        """Go back to what was saved."""

    def evaluation(self, objective: Objective) -> Evaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        ...


class Gradient(Protocol):
    """Gradient of the cost of the whole set with the parameters as they are, without dropout and without penalties."""

    def cost(self, gradients: Parameters) -> float:
        """J; its gradient is written into `gradients`."""
        ...

    def delta_norms(self) -> dict[str, float]:
        """Norm of the delta of each layer at the last call."""
        ...

    def evaluation(self, objective: Objective, params: Parameters) -> Evaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        ...


def make_engine(name: str, training: Training, params: Parameters, batch: int) -> Engine:
    """The engine of that name, for batches of up to `batch` rows.

    "auto" is the compiled engine, except where a definition cannot be compiled: then a RuntimeWarning says which one
    and why, and the textbook engine takes its place. Raises CompilationError where "compiled" was asked for.
    """

    def compiled() -> Engine:
        from clearprop.engine.compiled.engine import CompiledEngine  # Numba takes a moment to load

        return CompiledEngine(training, params, batch)

    return _choose(name, compiled, lambda: TextbookEngine(training, params))


def make_gradient(name: str, objective: Objective, params: Parameters, norms: bool = True) -> Gradient:
    """The gradient of the whole set as the engine of that name computes it; see `make_engine`."""

    def compiled() -> Gradient:
        from clearprop.engine.compiled.whole_set import CompiledGradient

        return CompiledGradient(objective, params, norms)

    return _choose(name, compiled, lambda: TextbookGradient(objective, params))


T = TypeVar("T")


def _choose(name: str, compiled: Callable[[], T], textbook: Callable[[], T]) -> T:
    if name == "textbook":
        return textbook()
    try:
        return compiled()
    except CompilationError as reason:
        if name == "compiled":
            raise
        warnings.warn(f"The slower textbook engine trains this network. {reason}", RuntimeWarning, stacklevel=4)
        return textbook()
