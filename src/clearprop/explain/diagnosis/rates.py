"""Checks of the learning rate, from the history and from the cost along the next step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.explain.diagnosis.evidence import LEARNED, Evidence
from clearprop.explain.diagnosis.findings import Finding, check
from clearprop.optimizers import LBFGS

OVERSHOT = 0.01  #: an increase of the cost by a step, relative to the cost of a constant
FAR = 1000.0  #: the best step along the gradient, relative to the actual step
SWING = 0.08  #: typical rise of the cost per epoch in the second half, relative to its decrease below a constant
UPS = 0.25  #: fraction of epochs of the second half in which the cost increased
EPOCHS = 8  #: epochs required to judge the course of the cost
FALLEN = 0.3  #: relative decrease of the cost below which a steady decrease is too slow
ROSE = 1.5  #: last cost relative to the first and to a constant
JUMPED = 5.0  #: highest cost of an epoch relative to a constant and to a network that is not trained

_LOWER = "Lower the learning rate by a factor of 3 to 10, or set clip_norm=1."
_SMALLER = "Start from smaller weights (such as the default), or add a penalty."
_ADAPTIVE = ("adagrad", "rmsprop", "adam", "adamw", "adam_epsilon_hat", "nadam", "rprop")


@check("learning-rate-too-high", "serious", needs=("history or optimizer",))
def too_high(evidence: Evidence) -> Iterator[Finding]:
    """Training that diverged, jumped up or oscillates; else a next step that increases the cost."""
    found = _diverged(evidence) or _jumped(evidence) or _oscillates(evidence) or _long(evidence)
    if found is not None:
        yield found


def _long(evidence: Evidence) -> Finding | None:
    step = evidence.step
    if step is None or step.after - step.now <= OVERSHOT * evidence.constant_cost:
        return None
    words = f"A step with learning rate {step.rate:g} along the gradient of all rows changes the cost from "
    words += f"{step.now:.4g} to {step.after:.4g}"
    words += f"; the best learning rate along it is {step.best:.2g}." if step.lowest < step.now else "."
    return Finding(words, _LOWER, numbers=step.numbers)


def _diverged(evidence: Evidence) -> Finding | None:
    if evidence.history is None or "diverged" not in evidence.history.unfinished:
        return None
    history = evidence.history
    words = f"Training {history.stopped}: the cost or the parameters became NaN or infinite."
    if history.epochs:
        words += f" The cost was {history.cost[0]:.4g} in epoch 1 and {history.cost[-1]:.4g} in epoch {history.epochs}."
    epoch = {"epoch": float(history.unfinished["epoch"])}
    return Finding(words, _SMALLER if history.facts.optimizer == LBFGS.name else _LOWER, numbers=epoch)


def _jumped(evidence: Evidence) -> Finding | None:
    """An epoch that cost many times what an untrained network costs, and from which training did not recover."""
    if not evidence.is_trained or not evidence.has_rate or not evidence.relative_cost > LEARNED:
        return None
    cost, constant = evidence.course, evidence.constant_cost
    highest = int(np.argmax(cost))
    if evidence.recorded.facts.penalized and highest == 0:  # the penalty can be most of it
        return None
    if not cost[highest] > JUMPED * constant > 0 or not cost[highest] > JUMPED * evidence.untrained_cost:
        return None
    words = (
        f"In epoch {highest + 1} the cost was {cost[highest]:.4g}{_rate(evidence)}: far above {constant:.4g}, that of "
    )
    words += f"a constant, and {evidence.untrained_cost:.4g}, that of such a network before training. It ended at "
    words += f"{cost[-1]:.4g}."
    return Finding(words, _LOWER, numbers={"highest": cost[highest], "last": cost[-1], "of a constant": constant})


def _oscillates(evidence: Evidence) -> Finding | None:
    if not evidence.is_trained or not evidence.has_rate:
        return None
    cost, constant = evidence.course, evidence.constant_cost
    rose = len(cost) > 1 and cost[-1] > (ROSE if len(cost) >= EPOCHS else 2 * ROSE) * max(cost[0], constant)
    # small batches make the training cost noisy, and few rows the validation cost; dropout the training cost very much
    curves = [] if any(layer.dropout for layer in evidence.net.layers) else [cost]
    curves += [] if evidence.validation_course is None else [evidence.validation_course]
    swings = len(cost) >= EPOCHS and bool(curves) and all(_swings(curve, constant) for curve in curves)
    if not rose and not swings:
        return None
    share, rise = _rises(cost)
    words = (
        f"The cost oscillates or increases{_rate(evidence)}: in the second half of {len(cost)} epochs it increased in "
        f"{share:.0%} of them, typically by {rise:.3g}; it started at {cost[0]:.4g}, ended at {cost[-1]:.4g}, and was "
        f"{cost.min():.4g} at its lowest."
    )
    numbers = {"first": cost[0], "last": cost[-1], "lowest": cost.min(), "share of rises": share}
    return Finding(words, _LOWER, numbers=numbers)


@check("learning-rate-too-low", "warning", needs=("history or optimizer",))
def too_low(evidence: Evidence) -> Iterator[Finding]:
    """A cost that decreases steadily but slowly; else a next step that could be very much longer."""
    found = _slow(evidence) or _short(evidence)
    if found is not None:
        yield found


def _short(evidence: Evidence) -> Finding | None:
    step = evidence.step
    if step is None or step.best < FAR * step.effective or step.after > step.now:
        return None
    if step.now - step.lowest <= OVERSHOT * evidence.constant_cost:
        return None
    words = f"A step with learning rate {step.rate:g} along the gradient of all rows changes the cost from "
    words += f"{step.now:.6g} to {step.after:.6g}, and the best step along it is {step.best / step.rate:.2g} times as "
    words += f"long (to {step.lowest:.4g})."
    return Finding(words, _raise(evidence), numbers=step.numbers)


def _slow(evidence: Evidence) -> Finding | None:
    if not evidence.is_trained or not evidence.has_rate:
        return None
    # the validation cost, if there is one, is without dropout
    cost = evidence.course if evidence.validation_course is None else evidence.validation_course
    if len(cost) < EPOCHS:
        return None
    first, last = cost[0] - cost[len(cost) // 2], cost[len(cost) // 2] - cost[-1]
    even = last > 0.6 * first > 0 and float((np.diff(cost) < 0).mean()) > 0.9
    if not even or cost[0] - cost[-1] >= FALLEN * cost[0] or evidence.relative_cost <= FALLEN:
        return None
    words = f"The cost decreases steadily but slowly{_rate(evidence)}: from {cost[0]:.5g} to {cost[-1]:.5g} in "
    words += f"{len(cost)} epochs, {last:.3g} of it in the second half. It has not converged."
    return Finding(words, _raise(evidence), numbers={"first": cost[0], "last": cost[-1]})


def _raise(evidence: Evidence) -> str:
    used = evidence.recorded.facts.optimizer if evidence.is_trained else ""
    other = "" if used in _ADAPTIVE else ", use adam"
    return f"Raise the learning rate by a factor of 3 to 10{other}, or train for more epochs."


def _rate(evidence: Evidence) -> str:
    return f" (learning rate {max(evidence.recorded['learning rate']):.3g})"


def _rises(cost: np.ndarray) -> tuple[float, float]:
    """In the second half of the epochs: the fraction in which the cost increased, and its typical increase."""
    steps = np.diff(cost[len(cost) // 2 :])
    up = steps[steps > 0]
    return len(up) / max(1, len(steps)), float(np.median(up)) if len(up) else 0.0


def _swings(cost: np.ndarray, constant: float) -> bool:
    """Whether it goes up and down by a large part of its decrease below a constant, and of itself."""
    share, rise = _rises(cost)
    return share >= UPS and rise > SWING * max(constant - cost.min(), cost.min())
