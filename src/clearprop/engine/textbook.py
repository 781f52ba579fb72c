"""The textbook engine: gradient descent step by step in array code, as in the lecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from clearprop.core.backprop import Backward
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.trace import predict
from clearprop.engine.api import EpochResult, Epochs, Patience, State, Training


class TextbookEvaluation:
    """Cost and outputs of an objective with the parameters as they are, without dropout and without penalties."""

    def __init__(self, objective: Objective, params: Parameters) -> None:
        self.objective, self.params = objective, params

    def cost(self) -> float:
        """J over all rows."""
        return self.objective.cost(self.params)

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them if there are several."""
        return self.cost(), predict(self.params.net, self.params, self.objective.X)


class TextbookGradient:
    """Gradient of the cost over all rows with the parameters as they are, without dropout and without penalties."""

    def __init__(self, objective: Objective, params: Parameters) -> None:
        self.objective, self.params = objective, params
        self._delta: dict[str, np.ndarray] = {}

    def cost(self, gradients: Parameters) -> float:
        """J; its gradient is written into `gradients`."""
        cost, _, back = self.objective.sweep(self.params, gradients, slice(None))
        self._delta = back.delta
        return cost

    def delta_norms(self) -> dict[str, float]:
        """Norm of the delta of each layer at the last call."""
        return {layer.name: _norm(self._delta[layer.name]) for layer in self.params.net.layers}


@dataclass(frozen=True)
class _Progress:
    """Parameters and state after a step; a step replaces the old one by a new one at once."""

    params: Parameters
    state: State


class TextbookEngine:
    """Runs epochs of gradient descent on `params`.

    A step computes new parameters and slots beside the old ones, and replaces these in a single assignment. So after
    any exception, parameters, slots and counts belong to the same step.
    """

    name = "textbook"

    def __init__(self, training: Training, params: Parameters, batch: int = 0) -> None:
        self.training, self.params = training, params
        self._buffers = params.copy(), params.copy()
        self._gradients = Parameters(params.net, np.zeros_like(params.flat))
        slots = {name: np.full_like(params.trainable, training.optimizer.first(name)) for name in _slots(training)}
        self._now, self._running = _Progress(self._buffers[0], State(0, slots, sums=np.zeros(4))), False

    @property
    def state(self) -> State:
        """The state between two steps, apart from the parameters; assign to continue from another one."""
        return self._now.state

    @state.setter
    def state(self, state: State) -> None:
        slots = {name: np.array(state.slots[name], self.params.dtype) for name in _slots(self.training)}
        self._now = replace(self._now, state=replace(state, slots=slots))

    def run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        """Run the epochs step by step; `pause` is called between two steps of an epoch. See `Engine.run`."""
        current = self._buffers[0]
        current.flat[...] = self.params.flat
        self._now = replace(self._now, params=current)
        self._running = True
        losses, result = [], EpochResult(np.zeros(0))
        for i in range(len(epochs)):
            result = self._run_epoch(epochs.part(i, i + 1), pause)
            losses.append(result.losses[0])
            if result.failed_step is not None:
                result = replace(result, failed_step=i * epochs.steps + result.failed_step)
                break
            patience = patience and patience.after(losses[-1:])
            if patience and patience.is_exhausted:
                break
        self.write_back()
        self._running = False
        verified = not epochs.verify or len(losses) < len(epochs) or self._is_finite_on(epochs.batch(-1))
        if len(epochs) == 1:
            return replace(result, is_verified=verified)
        return EpochResult(np.array(losses), failed_step=result.failed_step, is_verified=verified)

    def write_back(self) -> None:
        """Bring `params` up to the last completed step, if a run was paused or left by an exception."""
        if self._running:
            self.params.flat[...] = self._now.params.flat

    @staticmethod
    def evaluation(objective: Objective, params: Parameters) -> TextbookEvaluation:
        """What computes the cost and the outputs of an objective."""
        return TextbookEvaluation(objective, params)

    @staticmethod
    def gradient(objective: Objective, params: Parameters, norms: bool) -> TextbookGradient:
        """What computes the gradient over all rows."""
        return TextbookGradient(objective, params)

    def _run_epoch(self, epoch: Epochs, pause: Callable[[], None] | None) -> EpochResult:
        """Run one epoch, or what is left of it."""
        state, steps = self.state, epoch.steps
        if state.epoch != epoch.first or state.completed_steps == steps:
            state = replace(state, epoch=epoch.first, completed_steps=0, sums=np.zeros(4))
            self._now = replace(self._now, state=state)
        objective, first = self.training.objective, state.completed_steps
        total, weight, penalties, loss = state.sums.tolist()
        back, rows, failed = Backward({}, {}), epoch.edges[-1], None
        for step in range(first, steps):
            batch = epoch.batch(step)
            cost, penalty, back = self._sweep(epoch.first, batch)
            penalties += penalty / steps
            loss += (cost + penalty) * len(batch) / rows
            share = 1.0 if objective.reduction == "sum" else self._weight(batch)
            total, weight = total + cost * share, weight + share
            if not np.isfinite(cost + penalty):
                failed = step
                break
            self._step(epoch.rates[step], np.array([total, weight, penalties, loss]))
            if pause and step + 1 < steps:
                pause()
        cost = total if objective.reduction == "sum" or weight == 0 else total / weight
        if not self.training.norms:
            return EpochResult(np.array([loss]), cost, penalties, failed_step=failed)
        if failed is not None:
            unknown = {layer.name: np.nan for layer in self.params.net.layers}
            return EpochResult(np.array([loss]), cost, penalties, np.nan, unknown, dict(unknown), failed)
        delta_norms = {layer.name: _norm(back.delta[layer.name]) for layer in self.params.net.layers}
        norm, norms = _norm(self._gradients.trainable), self._gradient_norms()
        return EpochResult(np.array([loss]), cost, penalties, norm, delta_norms, norms, failed)

    def _weight(self, batch: np.ndarray) -> float:
        weights = self.training.objective.sample_weight
        return float(len(batch) if weights is None else weights[batch].sum())

    def _sweep(self, epoch: int, batch: np.ndarray) -> tuple[float, float, Backward]:
        """Both sweeps over a batch: its cost (NaN if an output is not finite), its penalty, and the backward sweep.

        The gradient of both is in `_gradients` then.
        """
        training, params, objective = self.training, self._now.params, self.training.objective
        masks = training.dropout_masks(params, epoch, batch)
        cost, forward, back = objective.sweep(params, self._gradients, batch, masks)
        finite = all(np.isfinite(forward.f[name]).all() for name in objective.losses)
        penalty = training.add_penalty(params, self._gradients, self._weight(batch))
        return cost if finite else np.nan, penalty, back

    def _is_finite_on(self, batch: np.ndarray) -> bool:
        """Whether cost and outputs of a batch are finite with the present parameters, without dropout."""
        objective = self.training.objective
        cost, forward, _ = objective.sweep(self.params, self._gradients, batch)
        outputs = (forward.f[name] for name in objective.losses)
        return bool(np.isfinite(cost) and all(np.isfinite(values).all() for values in outputs))

    def _step(self, rate: float, sums: np.ndarray) -> None:
        """Change the parameters by the gradient of the last sweep."""
        optimizer, limits, gradient = self.training.optimizer, self.training.limits, self._gradients.trainable
        now, new = self._now.state, self._buffers[self._now.params is self._buffers[0]]
        limits.clip(gradient)
        change, *slots = optimizer.update(
            rate, now.steps + 1, self._now.params.trainable, gradient, *now.slots.values()
        )
        new.flat[...] = self._now.params.flat
        if optimizer.weight_decay:
            new.penalized[...] *= 1 - rate * optimizer.weight_decay
        new.trainable[...] += change
        if limits.max_norm is not None:
            self._bound_weights(new)
        named = {name: np.asarray(slot, new.dtype) for name, slot in zip(now.slots, slots, strict=True)}
        self._now = _Progress(new, State(now.steps + 1, named, now.epoch, now.completed_steps + 1, sums))

    def _bound_weights(self, params: Parameters) -> None:
        for layer in params.net.layers:
            for c in layer.connections:
                if c.trainable:
                    self.training.limits.bound(params[layer.name].W[c.source])

    def _gradient_norms(self) -> dict[str, float]:
        """Norm of dJ/dW and dJ/db together, by layer."""
        norms = {}
        for layer in self.params.net.layers:
            g = self._gradients[layer.name]
            arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
            norms[layer.name] = reduce(np.hypot, [_norm(array) for array in arrays], 0.0)
        return {name: float(norm) for name, norm in norms.items()}


def _slots(training: Training) -> tuple[str, ...]:
    """The names of the optimizer's slots."""
    return training.optimizer.slots


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(np.float64, copy=False)))
