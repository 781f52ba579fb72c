"""What the checks of a diagnosis look at: outputs and losses of all rows, a trace of some, the course of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.outputs import Outputs
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, backpropagate
from clearprop.explain.diagnosis.constant import best_constant, losses_of_constant, one_hot
from clearprop.optimizers import LBFGS, SGD, GradientDescent, Momentum, Nesterov, Optimizer
from clearprop.schedules import Progress

if TYPE_CHECKING:
    from clearprop.training.history import History

#: Maximum number of rows in the trace, which are evenly spaced. The losses are those of all rows.
ROWS = 4096
#: Least number of rows, and of numbers, of the inputs whose columns are compared.
LEAST_ROWS, NUMBERS = 200, 1_000_000
#: Cost relative to that of a constant: below, the network has learned; below, it fits, and above, it learned nothing.
LEARNED, FITTED, PRIOR = 0.5, 0.1, 0.98
UNKNOWN = 0.1  #: uncertainty of the cost of a constant on validation rows whose targets are not known


@dataclass(frozen=True)
class Step:
    """The next step along the gradient of the traced rows, and the best of 17 lengths of it.

    `rate` is that of the optimizer, `effective` the one that momentum makes of it in time; `now`, `after` and `lowest`
    are the costs before the step, after it, and after the one with the learning rate `best`.
    """

    rate: float
    effective: float
    now: float
    after: float
    best: float
    lowest: float

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of a finding."""
        return {"rate": self.rate, "cost": self.now, "after the step": self.after, "best rate": self.best}


@dataclass(frozen=True)
class Evidence:
    """Everything that a check can look at.

    `outputs` are those of all rows, `history` and `optimizer` what the user gave, `columns` the names of the inputs,
    `row_numbers` the indices of the rows in the user's table, and `validation` the outputs of rows that training did
    not see. What is derived is computed when first used.
    """

    outputs: Outputs
    params: Parameters
    history: History | None = None
    optimizer: Optimizer | LBFGS | None = None
    columns: tuple[str, ...] = ()
    row_numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    validation: Outputs | None = None

    @property
    def objective(self) -> Objective:
        """The data, losses and weights."""
        return self.outputs.objective

    @property
    def net(self) -> Network:
        """The network."""
        return self.objective.net

    @property
    def samples(self) -> int:
        """Number of rows."""
        return self.objective.samples

    @property
    def losses(self) -> np.ndarray:
        """The loss of every row, (n,)."""
        return self.outputs.losses

    @property
    def yhat(self) -> Mapping[str, np.ndarray]:
        """The activations of each output layer for every row, (n, units)."""
        return self.outputs.a

    @cached_property
    def targets(self) -> dict[str, np.ndarray]:
        """The targets of each output layer as float64 rows, (n, units)."""
        return {name: one_hot(y, self.net[name].units) for name, y in self.objective.targets.items()}

    @cached_property
    def weight(self) -> np.ndarray:
        """The sample weights divided by their sum, (n,)."""
        return _weights(self.outputs)

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows in the trace: at most 4,096, evenly spaced among those with a weight."""
        counted = np.flatnonzero(self.weight)
        return counted[np.unique(np.linspace(0, len(counted) - 1, min(len(counted), ROWS)).astype(int))]

    @cached_property
    def trace(self) -> Trace:
        """Both sweeps over `rows`."""
        part = self.part
        return backpropagate(part.net, self.params, part.X, dict(part.targets), dict(part.losses), part.sample_weight)

    @cached_property
    def part(self) -> Objective:
        """The data of `rows`."""
        whole, rows = self.objective, self.rows
        weight = None if whole.sample_weight is None else whole.sample_weight[rows]
        targets = {name: y[rows] for name, y in whole.targets.items()}
        return replace(whole, X=whole.X[rows], targets=targets, sample_weight=weight, reduction="mean")

    @cached_property
    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Some of `rows`, fewer if there are many columns, and their inputs in float64."""
        count = min(len(self.rows), max(LEAST_ROWS, NUMBERS // self.net.inputs))
        rows = self.rows[np.linspace(0, len(self.rows) - 1, count).astype(int)]
        return rows, self.objective.X[rows].astype(np.float64)

    @cached_property
    def constants(self) -> dict[str, np.ndarray]:
        """For each output layer, the constant output with the lowest cost, (units,)."""
        losses, targets = self.objective.losses, self.objective.targets
        return {name: best_constant(losses[name], y, self.net[name].units, self.weight) for name, y in targets.items()}

    @cached_property
    def constant_losses(self) -> dict[str, np.ndarray]:
        """For each output layer, the loss of every row if the output was the best constant, (n,)."""
        losses, targets = self.objective.losses, self.objective.targets
        return {name: losses_of_constant(losses[name], self.constants[name], y) for name, y in targets.items()}

    @property
    def prior(self) -> dict[str, float]:
        """For each output layer, the mean loss of the best constant."""
        return {name: float(self.weight @ losses) for name, losses in self.constant_losses.items()}

    @cached_property
    def constant_cost(self) -> float:
        """The cost of the best constant."""
        return sum(self.prior.values())

    @cached_property
    def cost(self) -> float:
        """The mean loss of a row."""
        return float(self.weight @ self.losses)

    @property
    def relative_cost(self) -> float:
        """The cost relative to that of the best constant output: 1 if nothing is learned, 0 for a perfect fit."""
        if not self.outputs.is_finite:
            return np.inf
        return self.cost / self.constant_cost if self.constant_cost > 0 else 0.0

    @cached_property
    def gain(self) -> tuple[float, float]:
        """By how much the mean loss is below that of the best constant, and its standard error."""
        gains = sum(self.constant_losses.values()) - self.losses
        mean = float(self.weight @ gains)
        return mean, float(np.sqrt(self.weight**2 @ (gains - mean) ** 2))

    @property
    def is_trained(self) -> bool:
        """Whether the history has an epoch."""
        return self.history is not None and self.history.epochs > 0

    def has_reached(self, relative_cost: float) -> bool:
        """Whether the relative cost is below this, on these rows or at the end of training."""
        trained = self.is_trained and self.course[-1] < relative_cost * self.constant_cost
        return self.relative_cost < relative_cost or trained

    @property
    def are_training_rows(self) -> bool:
        """Whether these are the rows of training by their number, or those and the validation rows."""
        if self.history is None:
            return False
        facts = self.history.facts
        held_out = 0 if facts.held_out is None else len(next(iter(facts.held_out[0].values())))
        return self.samples in (facts.rows, facts.rows + held_out)

    @property
    def has_rate(self) -> bool:
        """Whether a learning rate was used that can be changed."""
        if self.is_trained:
            return "learning rate" in self.recorded and self.recorded.facts.optimizer != LBFGS.name
        return self.optimizer is not None and not isinstance(self.optimizer, LBFGS)

    @property
    def recorded(self) -> History:
        """The history, where there is one."""
        assert self.history is not None
        return self.history

    @cached_property
    def course(self) -> np.ndarray:
        """The training cost of each epoch, per row."""
        return np.asarray(self.recorded.cost, np.float64) / self.recorded.facts.summed.get("cost", 1.0)

    @cached_property
    def validation_course(self) -> np.ndarray | None:
        """The validation cost of each epoch, per row, if it was recorded."""
        course = self.recorded.get("validation cost")
        summed = self.recorded.facts.summed.get("validation cost", 1.0)
        return None if course is None else np.asarray(course, np.float64) / summed

    @cached_property
    def untrained_cost(self) -> float:
        """The mean loss of a row of `rows` before training, for other random weights: the median of three draws."""
        draws = [self.net.initialize(seed=seed, dtype=self.params.dtype) for seed in range(3)]
        return float(np.median([self.part.cost(params) for params in draws]))

    @cached_property
    def step(self) -> Step | None:
        """The next step along the gradient; None without an optimizer that is gradient descent or momentum."""
        if not isinstance(self.optimizer, (SGD, GradientDescent, Momentum, Nesterov)):
            return None
        recorded = self.recorded["learning rate"] if self.is_trained and "learning rate" in self.recorded else None
        rate = recorded[-1] if recorded else self.optimizer.schedule.at(Progress(0, 1, 1, []))
        if self.objective.reduction == "sum":
            rate *= self.objective.total_weight  # the gradient below is that of the mean
        effective = rate if isinstance(self.optimizer, GradientDescent) else rate / (1 - self.optimizer.momentum)
        tried = effective * np.geomspace(1e-3, 1e5, 17)
        now, after, *costs = self._along([0.0, rate, *tried])
        best = int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))
        return Step(rate, effective, now, after, float(tried[best]), costs[best])

    def _along(self, steps: Sequence[float]) -> list[float]:
        """The cost of the traced rows at w - step dJ/dw."""
        moved, costs = self.params.copy(), []
        gradient = Parameters(self.net, self.trace.gradients.flat).trainable
        for step in steps:
            moved.trainable[...] = self.params.trainable - step * gradient
            costs.append(self.trace.objective.cost(moved))
        return costs

    @cached_property
    def validation_costs(self) -> tuple[float, float] | None:
        """The cost of the validation rows that were given, and that of the constant that is best for these rows."""
        if self.validation is None:
            return None
        weight = _weights(self.validation)
        return float(weight @ self.validation.losses), self._cost_of_constants(
            self.validation.objective.targets, weight
        )

    @cached_property
    def validation_constant(self) -> tuple[float, float]:
        """What the constant that is best for these rows costs on the validation rows of the history, and its accuracy.

        Without their targets, as for a history read from a file, the cost on these rows stands for it.
        """
        if self.recorded.facts.held_out is None:
            return self.constant_cost, UNKNOWN
        targets, weight = self.recorded.facts.held_out
        rows = len(next(iter(targets.values())))
        weight = np.full(rows, 1 / rows) if weight is None else weight.astype(np.float64) / weight.sum(dtype=float)
        return self._cost_of_constants(targets, weight), rows**-0.5

    def _cost_of_constants(self, targets: Mapping[str, np.ndarray], weight: np.ndarray) -> float:
        losses = self.objective.losses
        return sum(
            float(weight @ losses_of_constant(losses[name], self.constants[name], y)) for name, y in targets.items()
        )


def typical(values: np.ndarray) -> float:
    """The root mean square.

    >>> typical(np.array([3.0, -3.0]))
    3.0
    """
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _weights(outputs: Outputs) -> np.ndarray:
    weights = outputs.objective.plain_weights(slice(None)).astype(np.float64)
    return weights / weights.sum()
