"""Numerical derivatives of the cost: by the complex step if all functions support it, else by differences."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.core.backprop import forward
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError
from clearprop.explain.gradient_check.analytic import NotAnalytic, analytic, slope
from clearprop.losses import Loss

#: Steps of the differences; the smaller ones are for kinks that lie within the larger.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
TINY = 1e-20  #: the complex step
_PROBES = 3


@dataclass(frozen=True)
class Direction:
    """A direction in the space of parameters: `values` at the positions `where` of the flat vector, 0 elsewhere."""

    where: Any
    values: Any = 1.0


@dataclass(frozen=True)
class Derivative:
    """Derivatives of the cost along directions; `method` is "complex step" or "central differences"."""

    objective: Objective
    params: Parameters
    method: str
    reason: str = ""

    def along(self, direction: Direction, offset: float = 0.0, step: float = STEPS[0]) -> float:
        """The derivative along a direction, at the parameters moved by `offset` along it."""
        if self.method == "complex step":
            return self._by_complex_step(direction, offset)
        return self._by_differences(direction, offset, step)

    def _by_complex_step(self, direction: Direction, offset: float) -> float:
        params = Parameters(self.params.net, analytic(self.params.flat))
        params.flat[direction.where] += (offset + 1j * TINY) * direction.values
        return float(slope(cost_of(self.objective, params), TINY))

    def _by_differences(self, direction: Direction, offset: float, step: float) -> float:
        """The central difference of the fourth order: (4 D(h) - D(2h)) / 3 with D(h) = (J(w + h) - J(w - h)) / 2h."""
        w = self.params.flat[direction.where]
        h = step * max(1.0, float(np.abs(w).max(initial=0.0)))
        near, far = (
            self._cost_at(direction, offset + k * h) - self._cost_at(direction, offset - k * h) for k in (1, 2)
        )
        return (4 * near / (2 * h) - far / (4 * h)) / 3

    def _cost_at(self, direction: Direction, t: float) -> float:
        moved = self.params.copy()
        moved.flat[direction.where] += t * direction.values
        return float(cost_of(self.objective, moved))


def cost_of(objective: Objective, params: Parameters) -> Any:
    """J from the values of the losses, like `Objective.cost`, but also for complex parameters."""
    total = 0.0
    for rows in objective.chunks():
        seen = forward(objective.net, params, objective.X[rows])
        for name, loss in objective.losses.items():
            f, y = objective.net[name].f, objective.targets[name][rows]
            total = total + (objective.plain_weights(rows) * _value(loss, f, seen.z[name], seen.a[name], y)).sum()
    return total if objective.reduction == "sum" else total / objective.total_weight


def _value(loss: Loss, f: Activation, z: Any, a: Any, y: Any) -> Any:
    """The loss of each sample."""
    if loss.partner is not None and isinstance(f, loss.partner):
        return loss.short_form(z, a, y)[0]
    return loss.value_and_error(a, y)[0]


def choose(objective: Objective, params: Parameters, method: str) -> Derivative:
    """The derivative by this method; "auto" is the complex step if it is valid, else differences.

    It is valid if the complex continuation of each operation is known, and if it agrees with differences along random
    directions at a nearby point.
    """
    differences = Derivative(objective, params, "central differences")
    if method == "central":
        return differences
    reason = _objection(objective, params)
    if not reason:
        return Derivative(objective, params, "complex step")
    if method == "complex":
        raise ArgumentError(f'method: the complex step cannot be used: {reason}. Use method="central".')
    return Derivative(objective, params, "central differences", reason)


def _objection(objective: Objective, params: Parameters) -> str:
    """The reason why the complex step cannot be used, or ""."""
    generator = np.random.default_rng(0)
    nearby = params.copy()
    nearby.flat += 1e-3 * generator.normal(size=nearby.flat.shape)  # away from a kink at the parameters
    exact, plain = (Derivative(objective, nearby, name) for name in ("complex step", "central differences"))
    for _ in range(_PROBES if params.flat.size else 0):
        direction = Direction(slice(None), generator.choice([-1.0, 1.0], size=params.flat.shape))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                derivative = exact.along(direction)
        except NotAnalytic as operation:
            return f"the complex continuation of {operation} is not known"
        except (TypeError, np.exceptions.ComplexWarning) as refusal:
            return f"a function does not accept complex numbers ({refusal})"
        tried = [plain.along(direction, step=h) for h in STEPS]
        noise = 1e-9 * max(1.0, abs(float(cost_of(objective, nearby))))
        if not min(abs(derivative - d) - 1e-5 * max(abs(derivative), abs(d)) for d in tried) <= noise:
            return f"along a random direction it gives {derivative:.9g}, and differences give {tried[1]:.9g}"
    return ""
