"""Checks of the learning rate, from the cost along the step and from the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.parameters import Parameters
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import Finding
from clearprop.optimizers import SGD, GradientDescent, Momentum, Nesterov
from clearprop.schedules import Progress

if TYPE_CHECKING:
    from clearprop.training.history import History

OVERSHOT = 0.01  #: an increase of the cost by a step, relative to the cost of a constant
FAR = 1000.0  #: the best step along the gradient, relative to the actual step
SWING = 0.1  #: typical change of the cost per epoch in the second half, relative to its total decrease
UPS = 0.25  #: fraction of epochs of the second half in which the cost increased
EPOCHS = 8  #: epochs required
FALLEN = 0.3  #: relative decrease of the cost below which a steady decrease is too slow

_LOWER = "Lower the learning rate by a factor of 3 to 10, or set clip_norm=1."
_RAISE = "Raise the learning rate by a factor of 3 to 10, use adam, or train for more epochs."


def of_step(evidence: Evidence, optimizer: object, history: History | None) -> Iterator[Finding]:
    """The effect of the next full-batch step on the cost, for gradient descent and momentum."""
    if not isinstance(optimizer, (SGD, GradientDescent, Momentum, Nesterov)):
        return
    begun = history is not None and "learning rate" in history and history.epochs > 0
    rate = (
        history["learning rate"][-1] if begun and history is not None else optimizer.schedule.at(Progress(0, 1, 1, []))
    )
    if evidence.objective.reduction == "sum":
        rate *= evidence.objective.total_weight  # the gradient below is that of the mean
    effective = rate if isinstance(optimizer, GradientDescent) else rate / (1 - optimizer.momentum)
    costs = _along(evidence, [0.0, rate, *(effective * np.geomspace(1e-3, 1e5, 17))])
    (now, after), steps = costs[:2], effective * np.geomspace(1e-3, 1e5, 17)
    constant = sum(evidence.prior.values())
    best = int(np.nanargmin(np.where(np.isfinite(costs[2:]), costs[2:], np.inf)))
    if not after - now <= OVERSHOT * constant:
        words = f"A step with learning rate {rate:g} along the gradient of all rows changes the cost from {now:.4g} to "
        words += f"{after:.4g}"
        words += f"; the best learning rate along it is {steps[best]:.2g}." if costs[2 + best] < now else "."
        numbers = {"rate": rate, "cost": now, "after the step": after, "best rate": float(steps[best])}
        yield Finding("learning rate too high", "serious", words, _LOWER, (), numbers)
    elif steps[best] >= FAR * effective and now - costs[2 + best] > OVERSHOT * constant:
        words = f"A step with learning rate {rate:g} along the gradient of all rows changes the cost from {now:.6g} to "
        words += f"{after:.6g}, and the best step along it is {steps[best] / rate:.2g} times as long (to "
        words += f"{costs[2 + best]:.4g})."
        numbers = {"rate": rate, "cost": now, "after the step": after, "best rate": float(steps[best])}
        yield Finding("learning rate too low", "warning", words, _RAISE, (), numbers)


def _along(evidence: Evidence, steps: Sequence[float]) -> np.ndarray:
    """The cost of the traced rows at w - step dJ/dw."""
    moved, costs = evidence.params.copy(), []
    trace = evidence.trace
    gradient = Parameters(evidence.params.net, trace.gradients.flat).trainable
    with np.errstate(all="ignore"):
        for step in steps:
            moved.trainable[...] = evidence.params.trainable - step * gradient
            costs.append(trace.objective.cost(moved))
    return np.array(costs)


def of_history(history: History, prior: float) -> Iterator[Finding]:
    """A cost that oscillates or increases, or one that decreases steadily but too slowly."""
    cost = np.asarray(history.cost, dtype=np.float64)
    if len(cost) < EPOCHS or not np.isfinite(cost).all():
        return
    at = f" (learning rate {max(history['learning rate']):.3g})" if "learning rate" in history else ""
    curves = [cost] + ([np.asarray(history["validation cost"])] if "validation cost" in history else [])
    ups, swing = _ups_and_swing(cost)
    numbers = {"first": cost[0], "last": cost[-1], "lowest": cost.min(), "share of rises": ups}
    # dropout and small batches make the training cost noisy, and few rows the validation cost
    if cost[-1] > 1.5 * max(cost[0], prior) or all(_swings(curve, prior) for curve in curves):
        words = (
            f"The cost oscillates or increases{at}: in the second half of {len(cost)} epochs it increased in {ups:.0%} "
            f"of them, and typically changed by {swing:.3g}; it started at {cost[0]:.4g}, ended at {cost[-1]:.4g}, and "
            f"was {cost.min():.4g} at its lowest."
        )
        yield Finding("learning rate too high", "serious", words, _LOWER, (), numbers)
        return
    cost = curves[-1]  # the validation cost, if there is one, is without dropout
    first, last = cost[0] - cost[len(cost) // 2], cost[len(cost) // 2] - cost[-1]
    even = last > 0.6 * first > 0 and float((np.diff(cost) < 0).mean()) > 0.9
    if even and cost[0] - cost[-1] < FALLEN * cost[0] and cost[-1] > 0.3 * prior:
        words = (
            f"The cost decreases steadily but slowly{at}: from {cost[0]:.5g} to {cost[-1]:.5g} in {len(cost)} epochs, "
        )
        words += f"{last:.3g} of it in the second half. It has not converged."
        yield Finding("learning rate too low", "warning", words, _RAISE, (), numbers)


def _ups_and_swing(cost: np.ndarray) -> tuple[float, float]:
    """In the second half of the epochs: the fraction in which the cost increased, and its typical change."""
    steps = np.diff(cost[len(cost) // 2 :])
    return float((steps > 0).mean()), float(np.median(np.abs(steps)))


def _swings(cost: np.ndarray, prior: float) -> bool:
    """Whether it goes up and down by a large part of its total decrease."""
    ups, swing = _ups_and_swing(cost)
    fall = max(min(cost[0], prior) - cost.min(), 0.1 * cost.min())
    return ups >= UPS and swing > SWING * fall
