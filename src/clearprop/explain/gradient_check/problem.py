"""The problem to check: an objective, parameters, dropout masks and penalties, with both sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.core.backprop import Forward, forward
from clearprop.core.layout import Block
from clearprop.core.network import Network
from clearprop.core.nonfinite import find_nonfinite
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.errors import DataError
from clearprop.losses import Loss
from clearprop.penalties import Penalty


@dataclass(frozen=True)
class Problem:
    """Objective, parameters and the forward sweep; nothing in it uses a derivative, except `backpropagated`."""

    objective: Objective
    params: Parameters
    masks: Mapping[str, np.ndarray]
    penalties: tuple[Penalty, ...]
    tolerance: float
    seen: Forward

    @classmethod
    def of(
        cls,
        objective: Objective,
        params: Parameters,
        tolerance: float,
        masks: Mapping[str, np.ndarray] | None = None,
        penalties: tuple[Penalty, ...] = (),
    ) -> Problem:
        """Run the forward sweep over all rows. Raises DataError if the cost is not finite at these parameters."""
        with np.errstate(all="ignore"):
            seen = forward(params.net, params, objective.X, masks)
            problem = cls(objective, params, masks or {}, penalties, tolerance, seen)
            cost = problem.cost(params)
        if not np.isfinite(cost):
            where = find_nonfinite(objective, params, np.arange(objective.samples), masks)
            raise DataError(
                f"check_gradients: the cost is {cost} at these parameters, so it has no derivative; first, {where}. "
                "Use smaller parameters or inputs, such as net.initialize(seed=0) and standardised columns."
            )
        return problem

    def backpropagated(self) -> np.ndarray:
        """The gradient of the library's own sweeps, of the cost and the penalties."""
        gradients = Parameters(self.net, np.zeros_like(self.params.flat))
        self.objective.sweep(self.params, gradients, slice(None), self.masks)
        return gradients.flat + self.slope_of_penalty()

    def slope_of_penalty(self) -> np.ndarray:
        """The derivative of the penalties by every parameter, from their definitions."""
        slope = np.zeros_like(self.params.flat)
        for penalty in self.penalties:
            slope[: self.params.penalized.size] += penalty.value_and_slope(self.params.penalized)[1]
        return slope

    def at(self, params: Parameters) -> Problem:
        """The same problem at other parameters."""
        return Problem.of(self.objective, params, self.tolerance, self.masks, self.penalties)

    @property
    def net(self) -> Network:
        """The network."""
        return self.params.net

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every W and b."""
        return self.net.layout.blocks

    def cost(self, params: Parameters) -> float:
        """J at other parameters, from values only."""
        seen = forward(self.net, params, self.objective.X, self.masks)
        losses: Any = sum(
            loss_of(loss, self.net[name].f, seen.z[name], seen.a[name], self.objective.targets[name])
            for name, loss in self.objective.losses.items()
        )
        data = float((self.objective.weights(slice(None)) * losses).sum())
        return data + float(self.penalty(params.penalized).sum())

    def penalty(self, w: Any) -> Any:
        """The penalty of each weight."""
        return sum((p.value_and_slope(w)[0] for p in self.penalties), 0 * w)


def loss_of(loss: Loss, f: Activation, z: Any, a: Any, y: Any) -> Any:
    """The loss of each row (n,), of numbers of any kind."""
    if loss.partner is not None and isinstance(f, loss.partner):
        return loss.short_form(z, a, y)[0]
    return loss.value_and_error(a, y)[0]
