"""Kinks: points where a weighted sum or a residual crosses a value at which the function has no derivative.

There the function has different derivatives on the two sides, and a backward sweep uses a value between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.backprop import forward
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.explain.gradient_check.numeric import Derivative, Direction
from clearprop.losses import PointwiseLoss

#: The distance within which a kink counts as being at the parameters, by method: the reach of the smallest step.
REACH = {"complex step": 1e-7, "central differences": 1e-5}
_JUMP = 1e-3  #: slopes differ by more than rounding if they differ by more than this fraction of the larger
_MOVED = 1e-10  #: a weighted sum that changes by less than this crosses no kink


@dataclass(frozen=True)
class Kink:
    """An entry without a derivative: its index, the slopes to the left and right, the gradient, and the cause."""

    label: str
    index: tuple[int, ...]
    gradient: float
    left: float
    right: float
    cause: str

    def __str__(self) -> str:
        return (
            f"{self.label} {list(self.index)}: slope {self.left:.6g} to the left, {self.right:.6g} to the right, "
            f"gradient {self.gradient:.6g}; {self.cause}"
        )


def slopes(derivative: Derivative, direction: Direction) -> tuple[float, float]:
    """The derivatives along a direction slightly to the left and to the right of the parameters."""
    reach = REACH[derivative.method]
    step = reach / 10
    return derivative.along(direction, -reach, step), derivative.along(direction, reach, step)


def is_at_kink(objective: Objective, params: Parameters) -> bool:
    """Whether any unit or residual is at a kink, whichever parameter changes it."""
    return bool(_crossed_kinks(objective, params, params, None))


def find_cause(objective: Objective, params: Parameters, direction: Direction, reach: float) -> str:
    """A description of the weighted sum or residual that crosses a kink along the direction; "" if there is none."""
    left, right = params.copy(), params.copy()
    left.flat[direction.where] -= reach * direction.values
    right.flat[direction.where] += reach * direction.values
    return next(iter(_crossed_kinks(objective, left, right, params)), "")


def _crossed_kinks(objective: Objective, left: Parameters, right: Parameters, middle: Parameters | None) -> list[str]:
    """Descriptions of a unit of each layer that crosses a kink; without `middle`, within 1e-7 of its value."""
    net, descriptions = objective.net, []
    before, after = forward(net, left, objective.X), forward(net, right, objective.X)
    now = before if middle is None else forward(net, middle, objective.X)
    reach = 1e-7 if middle is None else 0.0

    def at_kink(f: Callable[[np.ndarray], np.ndarray], name: str, a: dict[str, np.ndarray]) -> tuple[int, int] | None:
        sides = {"z": (before.z, now.z, after.z), "a": (before.a, now.a, after.a)}["z" if a is now.z else "a"]
        x = [side[name] for side in sides]
        return _first_kink(f, x[0] - reach, x[1], x[2] + reach)

    for layer in net.layers:
        if isinstance(layer.f, Elementwise):
            position = at_kink(layer.f.function, layer.name, now.z)
            if position:
                n, j = position
                z = now.z[layer.name][n, j]
                descriptions.append(f"{layer.name}[{j}], sample {n}: z = {z:.3g} is at a kink of {layer.f.name}")
    for name, loss in objective.losses.items():
        if isinstance(loss, PointwiseLoss):
            y = objective.targets[name]
            position = at_kink(lambda yhat, loss=loss, y=y: loss.value_and_slope(yhat, y)[0], name, now.a)
            if position:
                n, j = position
                residual = now.a[name][n, j] - y[n, j]
                descriptions.append(
                    f"{name}[{j}], sample {n}: the residual yhat - y = {residual:.3g} is at a kink of {loss.name}"
                )
    return descriptions


def _first_kink(
    f: Callable[[np.ndarray], np.ndarray], left: np.ndarray, middle: np.ndarray, right: np.ndarray
) -> tuple[int, int] | None:
    """The first (sample, unit) that changes and whose slopes to the left and to the right differ."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = (f(middle) - f(left)) / (middle - left)
        after = (f(right) - f(middle)) / (right - middle)
        size = np.maximum(np.abs(before), np.abs(after))
        bent = (np.abs(after - before) > _JUMP * size) & (np.abs(right - left) > _MOVED)
        # between nearly equal values the difference may be rounding only
        bent &= np.abs(after - before) * np.abs(right - left) > 1e-13 * (np.abs(f(middle)) + 1e-3)
    positions = np.argwhere(bent)
    return (int(positions[0][0]), int(positions[0][1])) if len(positions) else None
