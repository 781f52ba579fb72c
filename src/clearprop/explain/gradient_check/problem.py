"""The problem to check: an objective, parameters, dropout masks and penalties, with both sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.core.backprop import Backward, Forward, forward
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
    """Objective, parameters, the results of both sweeps, and `truth`, the gradient that they give."""

    objective: Objective
    params: Parameters
    masks: Mapping[str, np.ndarray]
    penalties: tuple[Penalty, ...]
    tolerance: float
    truth: np.ndarray
    seen: Forward
    back: Backward

    @classmethod
    def of(
        cls,
        objective: Objective,
        params: Parameters,
        tolerance: float,
        masks: Mapping[str, np.ndarray] | None = None,
        penalties: tuple[Penalty, ...] = (),
    ) -> Problem:
        """Run both sweeps over all rows. Raises DataError if the cost is not finite at these parameters."""
        gradients, masks = Parameters(params.net, np.zeros_like(params.flat)), masks or {}
        with np.errstate(all="ignore"):
            cost, seen, back = objective.sweep(params, gradients, slice(None), masks)
        if not np.isfinite(cost):
            where = find_nonfinite(objective, params, np.arange(objective.samples), masks)
            raise DataError(
                f"check_gradients: the cost is {cost} at these parameters, so it has no derivative; first, {where}. "
                "Use smaller parameters or inputs, such as net.initialize(seed=0) and standardised columns."
            )
        for penalty in penalties:
            gradients.penalized[...] += penalty.value_and_slope(params.penalized)[1]
        return cls(objective, params, masks, penalties, tolerance, gradients.flat, seen, back)

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
