"""What an engine receives and returns, and the methods it has. Engines depend on this module, not on each other.

A new engine is one class with the methods of `Engine`, added to `ENGINES` in `clearprop.engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import dropout_mask
from clearprop.optimizers import Optimizer
from clearprop.penalties import L2, Limits, Penalty


@dataclass(frozen=True)
class Training:
    """The training problem: objective, optimizer, penalties and limits.

    `alpha` is the strength of an L2 penalty in scikit-learn's form: alpha / 2 sum w^2 is added to the sum of the losses
    of a batch, and so is divided by its sum of weights if the reduction is the mean. `row_keys` (n,) identify the rows
    for dropout, so that equal rows get the same mask; by default they are the row numbers. With `norms` the norms of
    the gradient are computed in the last step of each epoch, which takes as long as a small step.
    """

    objective: Objective
    optimizer: Optimizer
    penalties: tuple[Penalty, ...] = ()
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    alpha: float = 0.0
    row_keys: np.ndarray | None = None
    norms: bool = True

    def add_penalty(self, params: Parameters, gradients: Parameters, weight: float) -> float:
        """The penalties for a batch of this sum of weights; their slope is added to the gradient."""
        total = 0.0
        share = 1.0 if self.objective.reduction == "sum" else weight
        of_batch = (L2(self.alpha / share),) if self.alpha and share > 0 else ()
        for penalty in (*self.penalties, *of_batch):
            value, slope = penalty.value_and_slope(params.penalized)
            gradients.penalized[...] += slope
            total += float(value.sum(dtype=np.float64))
        return total

    def dropout_masks(self, params: Parameters, epoch: int, batch: np.ndarray) -> dict[str, np.ndarray]:
        """The masks (n, units) of the layers with dropout for a batch of an epoch."""
        keys = batch if self.row_keys is None else self.row_keys[batch]
        return {
            layer.name: dropout_mask(self.seed, epoch, index, keys, layer.units, layer.dropout, params.dtype)
            for index, layer in enumerate(params.net.layers)
            if layer.dropout
        }


@dataclass(slots=True)
class Epochs:
    """Epochs to run: the order of the rows in each of them, where its batches begin, and the rate of each step.

    `first` is the number of the first epoch, counted from 0. `orders` (epochs, n) holds row numbers; a batch is
    orders[e, edges[s] : edges[s + 1]]. `rates` (epochs * steps,) holds the learning rates. With `verify` the engine
    sweeps the last batch forward once more after the last step, as no later step would show that it went too far.

    >>> epochs = Epochs(0, np.array([[2, 0, 1], [0, 1, 2]]), np.array([0, 2, 3]), np.full(4, 0.1))
    >>> len(epochs), epochs.steps, epochs.batch(0).tolist(), epochs.batch(3).tolist()
    (2, 2, [2, 0], [2])
    """

    first: int
    orders: np.ndarray
    edges: np.ndarray
    rates: np.ndarray
    verify: bool = False

    def __len__(self) -> int:
        return len(self.orders)

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return len(self.edges) - 1

    def batch(self, step: int) -> np.ndarray:
        """The row numbers of a step, counted from 0 over all the epochs."""
        epoch, s = divmod(step, self.steps)
        return self.orders[epoch, self.edges[s] : self.edges[s + 1]]

    def part(self, start: int, stop: int) -> Epochs:
        """The epochs from `start` to before `stop`, counted from the first of these."""
        rates = self.rates[start * self.steps : stop * self.steps]
        verify = self.verify and stop == len(self)
        return Epochs(self.first + start, self.orders[start:stop], self.edges, rates, verify)


@dataclass(slots=True)
class EpochResult:
    """What a call of `Engine.run` reports.

    `losses` (epochs,) holds, for each completed epoch, the mean over its steps of cost plus penalty, weighted by rows.
    `failed_step` is the first step of the call (from 0) whose cost, penalty or outputs were not finite; that step and
    those after it changed no parameter. `is_verified` is False if `Epochs.verify` found a cost or an output that is not
    finite. The other fields describe a call of one epoch, and are NaN or empty for more:
    cost J (weighted by sample weights) and penalty as the steps computed them, before each step's change, and the norms
    of the gradient and, by layer, of delta and of the gradient in the last step (NaN if a step failed).
    """

    losses: np.ndarray
    cost: float = np.nan
    penalty: float = np.nan
    gradient_norm: float = np.nan
    delta_norms: dict[str, float] = field(default_factory=dict)
    gradient_norms: dict[str, float] = field(default_factory=dict)
    failed_step: int | None = None
    is_verified: bool = True


@dataclass(frozen=True)
class State:
    """The state of an engine between two steps, apart from the parameters.

    `steps` counts all steps so far. `slots` are the optimizer's arrays by name, each of the shape of the trainable
    parameters. `epoch` is the number of the last epoch that was begun (-1: none), `completed_steps` counts its steps,
    and `sums` is what the engine has added up over them.
    """

    steps: int
    slots: dict[str, np.ndarray]
    epoch: int = -1
    completed_steps: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Patience:
    """A count of epochs without improvement, and how many are allowed.

    An epoch improves if its loss is at most best - tol. With `strict` it has to be less, and only such an epoch becomes
    the best.

    >>> patience = Patience(best=1.0, most=1, tol=0.1)
    >>> patience.after([0.95]).is_exhausted, patience.after([0.95, 0.99]).is_exhausted
    (False, True)
    """

    best: float
    most: float
    tol: float
    count: int = 0
    strict: bool = False

    def after(self, losses: Iterable[float]) -> Patience:
        """The patience left after epochs of these losses."""
        best, count, tol = self.best, self.count, self.tol
        for loss in losses:
            if self.strict:
                improved = loss < best - tol if best < np.inf else loss < best
                best = loss if improved else best
            else:
                improved = loss <= best - tol
                best = min(best, loss)
            count = 0 if improved else count + 1
        return Patience(best, self.most, tol, count, self.strict)

    @property
    def is_exhausted(self) -> bool:
        """Whether more epochs without improvement have passed than are allowed."""
        return self.count > self.most


class Evaluation(Protocol):
    """Cost and outputs of an objective with the parameters as they are, without dropout and without penalties."""

    def cost(self) -> float:
        """J over all rows."""
        ...

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them if there are several."""
        ...


class Gradient(Protocol):
    """Gradient of the cost over all rows with the parameters as they are, without dropout and without penalties."""

    def cost(self, gradients: Parameters) -> float:
        """J; its gradient is written into `gradients`."""
        ...

    def delta_norms(self) -> dict[str, float]:
        """Norm of the delta of each layer at the last call."""
        ...


class Engine(Protocol):
    """Runs epochs of gradient descent on parameters, and computes costs and gradients over all rows.

    An engine may work on a copy of the parameters, in another layout or on another device. `params` counts when `run`
    begins, and holds the result when it returns. In between, in a pause or after an exception, `write_back` brings
    `params` up to the last completed step.
    """

    name: str

    def __init__(self, training: Training, params: Parameters, batch: int) -> None:
        """An engine for batches of up to `batch` rows. Raises CompilationError if it cannot run this training."""
        ...

    @property
    def state(self) -> State:
        """The state between two steps, apart from the parameters; assign to continue from another one."""
        ...

    @state.setter
    def state(self, state: State) -> None: ...

    def run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        """Run the epochs step by step.

        If `state` is within the first of them, that epoch is continued. `pause` is called now and then between two
        steps, and may raise. Several epochs end early once `patience` is exhausted, or an epoch or more before that if
        only rounding decides; epochs also end at a step that fails.
        """
        ...

    def write_back(self) -> None:
        """Bring `params` up to the last completed step, if a run was paused or left by an exception."""
        ...

    @staticmethod
    def evaluation(objective: Objective, params: Parameters) -> Evaluation:
        """What computes the cost and the outputs of an objective."""
        ...

    @staticmethod
    def gradient(objective: Objective, params: Parameters, norms: bool) -> Gradient:
        """What computes the gradient over all rows, with the norms of delta if `norms` is set."""
        ...
