"""Kinks: where a weighted sum or a residual crosses a point at which the function has two slopes.

At such a point there is no derivative, only one on either side, and a backward sweep takes one of the values between.
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

#: How far to either side of the parameters a kink counts as lying at them, by method: where the smallest step ends.
REACH = {"complex step": 1e-7, "central differences": 1e-5}
_JUMP = 1e-3  #: two slopes that differ by more than this share of the larger are no rounding
_MOVED = 1e-10  #: a weighted sum that moves by less than this does not cross anything


@dataclass(frozen=True)
class Kink:
    """A place without a derivative: an entry, its slopes to the left and right, and what bends there."""

    label: str
    place: tuple[int, ...]
    given: float
    left: float
    right: float
    cause: str

    def __str__(self) -> str:
        return (
            f"{self.label} {list(self.place)}: slope {self.left:.6g} to the left, {self.right:.6g} to the right, "
            f"{self.given:.6g} given; {self.cause}"
        )


def slopes(derivative: Derivative, direction: Direction) -> tuple[float, float]:
    """The derivatives along a direction a little to the left and a little to the right of the parameters."""
    reach = REACH[derivative.method]
    step = reach / 10
    return derivative.along(direction, -reach, step), derivative.along(direction, reach, step)


def anywhere(objective: Objective, params: Parameters) -> bool:
    """Whether any unit or residual sits at a kink now, whichever parameter may move it."""
    return bool(_bends(objective, params, params, None))


def cause(objective: Objective, params: Parameters, direction: Direction, reach: float) -> str:
    """Which unit's weighted sum or which residual crosses a kink along the direction, in words; "" if none does."""
    left, right = params.copy(), params.copy()
    left.flat[direction.where] -= reach * direction.values
    right.flat[direction.where] += reach * direction.values
    return next(iter(_bends(objective, left, right, params)), "")


def _bends(objective: Objective, left: Parameters, right: Parameters, middle: Parameters | None) -> list[str]:
    """Words for a unit of each layer that bends between; without a middle, within 1e-7 of where the units are."""
    net, found = objective.net, []
    before, after = forward(net, left, objective.X), forward(net, right, objective.X)
    now = before if middle is None else forward(net, middle, objective.X)
    reach = 1e-7 if middle is None else 0.0

    def at_kink(f: Callable[[np.ndarray], np.ndarray], name: str, a: dict[str, np.ndarray]) -> tuple[int, int] | None:
        sides = {"z": (before.z, now.z, after.z), "a": (before.a, now.a, after.a)}["z" if a is now.z else "a"]
        x = [side[name] for side in sides]
        return _first_bend(f, x[0] - reach, x[1], x[2] + reach)

    for layer in net.layers:
        if isinstance(layer.f, Elementwise):
            place = at_kink(layer.f.function, layer.name, now.z)
            if place:
                n, j = place
                z = now.z[layer.name][n, j]
                found.append(f"{layer.name}[{j}], sample {n}: z = {z:.3g} is at a kink of {layer.f.name}")
    for name, loss in objective.losses.items():
        if isinstance(loss, PointwiseLoss):
            y = objective.targets[name]
            place = at_kink(lambda yhat, loss=loss, y=y: loss.value_and_slope(yhat, y)[0], name, now.a)
            if place:
                n, j = place
                residual = now.a[name][n, j] - y[n, j]
                found.append(
                    f"{name}[{j}], sample {n}: the residual yhat - y = {residual:.3g} is at a kink of {loss.name}"
                )
    return found


def _first_bend(
    f: Callable[[np.ndarray], np.ndarray], left: np.ndarray, middle: np.ndarray, right: np.ndarray
) -> tuple[int, int] | None:
    """The first (sample, unit) that moved and whose slopes from the left and to the right differ."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = (f(middle) - f(left)) / (middle - left)
        after = (f(right) - f(middle)) / (right - middle)
        size = np.maximum(np.abs(before), np.abs(after))
        bent = (np.abs(after - before) > _JUMP * size) & (np.abs(right - left) > _MOVED)
        # where rounding is all there is between two nearly equal values, it is no bend
        bent &= np.abs(after - before) * np.abs(right - left) > 1e-13 * (np.abs(f(middle)) + 1e-3)
    places = np.argwhere(bent)
    return (int(places[0][0]), int(places[0][1])) if len(places) else None
