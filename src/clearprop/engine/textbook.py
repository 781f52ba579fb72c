"""The textbook engine: gradient descent step by step, as the lecture has it, in array code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from clearprop.core.backprop import Backward
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import dropout_mask
from clearprop.core.trace import predict
from clearprop.engine.batches import Batches, shuffled
from clearprop.optimizers import Optimizer
from clearprop.penalties import L2, Limits, Penalty


@dataclass(frozen=True)
class Training:
    """What a training run does, apart from the parameters: objective, rule of descent, penalties and limits.

    `alpha` is an L2 penalty that belongs to the batch, as scikit-learn has it: alpha / 2 sum w^2 is added to the sum
    of the batch's losses, and so is divided by its sum of weights where the reduction is the mean. `row_keys` (n,) name
    the rows for dropout, so that equal rows are hit alike; without them the row numbers do. `norms` asks for the norms
    of each epoch's last step, which take as long as a small step does.
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
        """The penalties of the present weights, for a batch of this weight; their slope is added to the gradient."""
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
            layer.name: dropout_mask(self.seed, epoch, place, keys, layer.units, layer.dropout, params.dtype)
            for place, layer in enumerate(params.net.layers)
            if layer.dropout
        }


@dataclass(frozen=True)
class EpochResult:
    """What an epoch tells: cost J and penalty as its steps saw them, and norms of the last step by layer.

    `cost` weighs each step by its sample weights; `per_row` is cost and penalty together, each step weighed by its
    number of rows. `failed_step` (from 0) is the first step whose cost, penalty or outputs were not finite: nothing
    changed from there on.
    """

    cost: float
    penalty: float
    gradient_norm: float
    delta_norms: dict[str, float]
    gradient_norms: dict[str, float]
    per_row: float = np.nan
    failed_step: int | None = None


class TextbookEvaluation:
    """Cost and outputs of an objective with the parameters as they are, without dropout and without penalties."""

    def __init__(self, objective: Objective, params: Parameters) -> None:
        self.objective, self.params = objective, params

    def cost(self) -> float:
        """J over the whole set."""
        return self.objective.cost(self.params)

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them where there are several."""
        return self.cost(), predict(self.params.net, self.params, self.objective.X)


class TextbookGradient:
    """Gradient of the cost of the whole set with the parameters as they are, without dropout and without penalties."""

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

    def evaluation(self, objective: Objective, params: Parameters) -> TextbookEvaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        return TextbookEvaluation(objective, params)


@dataclass
class Done:
    """How far an epoch has come: its number, its steps so far, and sums of what they saw, as the engine keeps them."""

    epoch: int = -1
    steps: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(4))


@dataclass(frozen=True)
class Patience:
    """How long epochs may go on without improvement: not more than `most` in a row whose loss is above best - tol.

    >>> from clearprop.engine.textbook import Patience
    >>> patience = Patience(best=1.0, count=0, most=1, tol=0.1)
    >>> patience.after([0.95]).is_spent, patience.after([0.95, 0.99]).is_spent
    (False, True)
    """

    best: float
    count: int
    most: float
    tol: float

    def after(self, losses: Iterable[float]) -> Patience:
        """What is left of it after epochs of these losses."""
        best, count = self.best, self.count
        for loss in losses:
            count = count + 1 if loss > best - self.tol else 0
            best = min(best, loss)
        return Patience(best, count, self.most, self.tol)

    @property
    def is_spent(self) -> bool:
        """Whether that were too many."""
        return self.count > self.most


class TextbookEngine:
    """Runs epochs of gradient descent on `params`, in place.

    Its state (the optimizer's slots by name, the number of steps done, and how far the present epoch has come) can be
    read and set, so that a run can be taken up again. A step is made whole or not at all, whatever is raised in it;
    `whole` is False in the moment in which parameters, slots and counts are not of the same step.
    """

    name = "textbook"

    def __init__(self, training: Training, params: Parameters) -> None:
        self.training, self.params = training, params
        self.next = params.copy()
        self.gradients = Parameters(params.net, np.zeros_like(params.flat))
        self.slots = {
            name: np.full_like(params.trainable, training.optimizer.first(name)) for name in training.optimizer.slots
        }
        self.steps, self.done, self.whole = 0, Done(), True

    def run_epoch(
        self,
        epoch: int,
        batches: Sequence[np.ndarray],
        rate: Callable[[int], float],
        pause: Callable[[], None] | None = None,
    ) -> EpochResult:
        """One step per batch (row numbers of X); `rate(step)` is the learning rate of each step, counted from 0.

        An epoch that was left by an exception is gone on with; `pause` is called between two steps, and may raise.
        """
        objective = self.training.objective
        if self.done.epoch != epoch or self.done.steps == len(batches):
            self.done = Done(epoch)
        total, weight, penalties, per_row = self.done.sums.tolist()
        back, rows, failed = Backward({}, {}), sum(map(len, batches)), None
        for step in range(self.done.steps, len(batches)):
            batch = batches[step]
            cost, penalty, back = self._sweep(epoch, batch)
            penalties += penalty / len(batches)
            per_row += (cost + penalty) * len(batch) / rows
            share = 1.0 if objective.reduction == "sum" else self._weight(batch)
            total, weight = total + cost * share, weight + share
            if not np.isfinite(cost + penalty):
                failed, self.done = step, Done()
                break
            self._update(rate(self.steps))
            self.done.steps, self.done.sums[:], self.whole = step + 1, (total, weight, penalties, per_row), True
            if pause and step + 1 < len(batches):
                pause()
        cost = total if objective.reduction == "sum" or weight == 0 else total / weight
        if not self.training.norms:
            return EpochResult(cost, penalties, np.nan, {}, {}, per_row, failed)
        delta_norms = {layer.name: _norm(back.delta[layer.name]) for layer in self.params.net.layers}
        norm, norms = _norm(self.gradients.trainable), self._gradient_norms()
        return EpochResult(cost, penalties, norm, delta_norms, norms, per_row, failed)

    def run_epochs(
        self,
        first: int,
        orders: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        pause: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> np.ndarray:
        """Several epochs; what `EpochResult.per_row` says of each, (epochs,).

        Row e of `orders` holds the rows of an epoch, whose batches lie between `edges`; `rates` has one per step. Where
        `patience` is spent they stop, and there are fewer results.
        """
        start, losses = self.steps, []
        for i, order in enumerate(orders):
            result = self.run_epoch(first + i, Batches(order, edges), lambda s: rates[s - start], pause)
            losses.append(result.per_row)
            patience = patience and patience.after([result.per_row])
            if patience and patience.is_spent:
                break
        return np.array(losses)

    def shuffled(self, rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
        """The row numbers (n,) as they stand after each of so many shuffles by the generator, (times, n)."""
        return shuffled(rows, generator, times)

    def is_finite_on(self, rows: np.ndarray) -> bool:
        """Whether the parameters as they are give a finite cost and finite outputs on a batch, without dropout."""
        with np.errstate(all="ignore"):
            return bool(np.isfinite(self._cost(rows)[0]))

    def save(self) -> Any:
        """What `restore` takes to go back to the present parameters, slots and number of steps."""
        return self.params.flat.copy(), {name: slot.copy() for name, slot in self.slots.items()}, self.steps

    def restore(self, saved: Any) -> None:
        """Go back to what was saved."""
        self.params.flat[...], slots, self.steps = saved
        self.done = Done()
        for name, slot in slots.items():
            self.slots[name][...] = slot

    def evaluation(self, objective: Objective) -> TextbookEvaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        return TextbookEvaluation(objective, self.params)

    def _weight(self, batch: np.ndarray) -> float:
        weights = self.training.objective.sample_weight
        return float(len(batch) if weights is None else weights[batch].sum())

    def _sweep(self, epoch: int, batch: np.ndarray) -> tuple[float, float, Backward]:
        """Both sweeps over a batch: its cost (NaN where an output is not finite), its penalty, and what was seen."""
        training, params = self.training, self.params
        cost, back = self._cost(batch, training.dropout_masks(params, epoch, batch))
        return cost, training.add_penalty(params, self.gradients, self._weight(batch)), back

    def _cost(self, batch: np.ndarray, masks: Mapping[str, np.ndarray] | None = None) -> tuple[float, Backward]:
        """The cost of a batch, its gradient in `gradients`, and what was seen on the way back."""
        objective = self.training.objective
        cost, seen, back = objective.sweep(self.params, self.gradients, batch, masks)
        finite = all(np.isfinite(seen.f[name]).all() for name in objective.losses)
        return cost if finite else np.nan, back

    def _update(self, rate: float) -> None:
        """The change of the parameters by the gradient of the last sweep."""
        self.training.limits.clip(self.gradients.trainable)
        optimizer, w, new = self.training.optimizer, self.params.trainable, self.next
        change, *slots = optimizer.update(rate, self.steps + 1, w, self.gradients.trainable, *self.slots.values())
        new.flat[...] = self.params.flat
        if optimizer.weight_decay:
            new.penalized[...] *= 1 - rate * optimizer.weight_decay
        new.trainable[...] += change
        if self.training.limits.max_norm is not None:
            self._bound_weights(new)
        self.whole = False
        self.params.flat[...] = new.flat
        for name, slot in zip(self.slots, slots, strict=True):
            self.slots[name][...] = slot
        self.steps += 1

    def _bound_weights(self, params: Parameters) -> None:
        for layer in params.net.layers:
            for c in layer.connections:
                if c.trainable:
                    self.training.limits.bound(params[layer.name].W[c.source])

    @property
    def made(self) -> int:
        """Steps of the present epoch whose change is in the parameters; ahead of `done` where a step was cut short."""
        return self.done.steps + (not self.whole and np.array_equal(self.params.flat, self.next.flat))

    def write_back(self) -> None:
        """Bring `params` up to date within an epoch: here they always are."""

    def _gradient_norms(self) -> dict[str, float]:
        """Norm of dJ/dW and dJ/db together, by layer."""
        norms = {}
        for layer in self.params.net.layers:
            g = self.gradients[layer.name]
            arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
            norms[layer.name] = reduce(np.hypot, [_norm(array) for array in arrays], 0.0)
        return {name: float(norm) for name, norm in norms.items()}


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(np.float64, copy=False)))
