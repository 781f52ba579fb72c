"""The compiled engine: the same steps as the textbook engine, a whole epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan, sqrt
from typing import Any

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import dropout_key
from clearprop.engine.batches import Batches, Rate
from clearprop.engine.compiled.elementwise import optimizer_kernels, penalty_kernels
from clearprop.engine.compiled.records import NONE, TRAIN
from clearprop.engine.compiled.runner import Runner
from clearprop.engine.compiled.shuffling import shuffled_at_once
from clearprop.engine.compiled.transfer import copy_in, copy_out
from clearprop.engine.compiled.whole_set import CompiledEvaluation, norms_by_layer
from clearprop.engine.textbook import Done, EpochResult, Patience, Training
from clearprop.penalties import L2


class CompiledEngine:
    """Runs epochs of gradient descent on `params`, in place, as one compiled call each (a long one as several).

    Shape and results are those of the textbook engine, to rounding; they do not depend on the number of threads.
    """

    name = "compiled"
    whole = True

    def __init__(self, training: Training, params: Parameters, batch: int, threads: int | None = None) -> None:
        self.training, self.params, self.steps = training, params, 0
        given = {}
        if training.row_keys is not None:
            given["row_keys"] = np.ascontiguousarray(training.row_keys, np.uint64)
        slots, stored = len(training.optimizer.slots), training.limits.clip_norm is not None
        self.runner = Runner(training.objective, params, batch, TRAIN, threads, slots, stored, **given)
        self.memory = self.runner.memory
        self._fill_in_numbers()
        self.trained_copies = self.runner.plan.copy_table(lambda block: block.trainable)
        first = {name: training.optimizer.first(name) for name in training.optimizer.slots}
        if any(first.values()):  # they are zeros until set
            self.slots = {name: np.full_like(params.trainable, value) for name, value in first.items()}
        self._done, self._running = Done(), False
        self._several: _Several | None = None
        self._masked = [place for place, layer in enumerate(params.net.layers) if layer.dropout]

    def evaluation(self, objective: Objective) -> CompiledEvaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        return CompiledEvaluation(objective, self.params)

    @property
    def done(self) -> Done:
        """How far the present epoch has come; assign to go on from there."""
        return Done(self._done.epoch, self._done.steps, self.runner.sums)

    @done.setter
    def done(self, given: Done) -> None:
        self.runner.sums = given.sums
        self._done = Done(given.epoch, given.steps)

    @property
    def made(self) -> int:
        """Steps of the present epoch whose change is in the parameters."""
        return self._done.steps

    def write_back(self) -> None:
        """Bring `params` up to date while an epoch runs, in a pause; at other times they lead."""
        if self._running and self.runner.loaded:
            copy_out(self.params.flat, self.memory.weights, self.runner.blocks, self.runner.plan.lanes.panel)

    def _fill_in_numbers(self) -> None:
        """Kernels, bounds and rates of the run."""
        training, dtype, limits = self.training, self.params.dtype, self.training.limits
        code, options = self.memory.code, self.memory.options
        code.prepare, code.update = optimizer_kernels(
            training.optimizer, dtype, training.penalties, limits.clip_value, training.alpha > 0
        )
        code.prepare_plain, code.update_plain = optimizer_kernels(training.optimizer, dtype)
        if training.penalties:
            code.slope, code.value = penalty_kernels(training.penalties, dtype)
        if training.alpha:
            code.half_square = penalty_kernels((L2(1.0),), dtype)[1]
        options.with_norms, options.has_row_keys = training.norms, training.row_keys is not None
        options.clip_norm, options.clip_value = limits.clip_norm or 0.0, limits.clip_value or 0.0
        options.max_norm, options.decay = limits.max_norm or 0.0, training.optimizer.weight_decay
        options.alpha = training.alpha

    @property
    def slots(self) -> dict[str, np.ndarray]:
        """The optimizer's state by name, each of the shape of the trained part of the flat vector; assign to set it."""
        found = {}
        for name, panels in zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False):
            found[name] = np.empty_like(self.params.trainable)
            copy_out(found[name], panels, self.trained_copies, self.runner.plan.lanes.panel)
        return found

    @slots.setter
    def slots(self, given: dict[str, np.ndarray]) -> None:
        for name, panels in zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False):
            slot = np.ascontiguousarray(given[name], self.params.dtype)
            copy_in(slot, panels, self.trained_copies, self.runner.plan.lanes.panel)

    def run_epoch(
        self,
        epoch: int,
        batches: Sequence[np.ndarray],
        rate: Callable[[int], float],
        pause: Callable[[], None] | None = None,
    ) -> EpochResult:
        """One step per batch (row numbers of X); `rate(step)` is the learning rate of each step, counted from 0.

        An epoch that was left by an exception is gone on with. `pause` is called now and then between two steps, and
        may raise; whatever is raised, the parameters are those of the last finished step.
        """
        if isinstance(batches, Batches):
            order, edges = batches.order, batches.edges
        else:
            order, edges = np.concatenate(batches), np.cumsum([0, *map(len, batches)])
        first = self.steps - self._begun(epoch, len(batches))
        if isinstance(rate, Rate):
            rates = rate.over(first, len(batches))
        else:
            rates = np.array([rate(first + s) for s in range(len(batches))], np.float64)
        order, edges = order.astype(np.int64, copy=False), edges.astype(np.int64, copy=False)
        return self.run_steps(epoch, order, edges, rates, pause)

    def run_steps(
        self,
        epoch: int,
        order: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        pause: Callable[[], None] | None = None,
    ) -> EpochResult:
        """One step per batch order[edges[s] : edges[s + 1]], with the rate rates[s]."""
        self._run(epoch, 1, order, edges, rates, pause)
        return self._result(np.diff(edges))

    def _begun(self, epoch: int, steps: int) -> int:
        """Steps of this epoch that are made already, where it was left before its end."""
        return self._done.steps if self._done.epoch == epoch and self._done.steps < steps else 0

    def run_epochs(
        self,
        first: int,
        orders: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        pause: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> np.ndarray:
        """Several epochs as one call; what `EpochResult.per_row` says of each, (epochs,).

        Row e of `orders` holds the rows of an epoch, whose batches lie between `edges`; `rates` has one per step. Where
        `patience` is spent they stop, or some epochs before, and there are fewer results.
        """
        if self._several is None or not self._several.are_of(orders, edges):
            self._several = _Several(orders, edges)
        several, epochs, progress = self._several, len(orders), self.memory.progress
        if patience is not None:
            progress.patience, progress.epochs_without_improvement = patience.most, patience.count
            progress.best, progress.tolerance = patience.best, patience.tol
        try:
            self._run(first, epochs, orders.ravel(), several.edges, rates, pause)
        finally:
            progress.patience = NONE
        if progress.stopped:
            epochs = self.runner.finished // len(several.shares)
        return (self.runner.costs.reshape(len(orders), -1)[:epochs] * several.shares).sum(axis=1)

    def shuffled(self, rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
        """The row numbers (n,) as they stand after each of so many shuffles by the generator, (times, n)."""
        return shuffled_at_once(rows, generator, times)

    def is_finite_on(self, rows: np.ndarray) -> bool:
        """Whether the parameters as they are give a finite cost and finite outputs on a batch, without dropout."""
        return bool(np.isfinite(self.runner.cost_of(rows)))

    def save(self) -> Any:
        """What `restore` takes to go back to the present parameters, slots and number of steps."""
        return self.params.flat.copy(), self.memory.slot0.copy(), self.memory.slot1.copy(), self.steps

    def restore(self, saved: Any) -> None:
        """Go back to what was saved."""
        self.params.flat[...], self.memory.slot0[...], self.memory.slot1[...], self.steps = saved
        self._done = Done()

    def _run(
        self,
        epoch: int,
        epochs: int,
        order: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        pause: Callable[[], None] | None = None,
    ) -> None:
        first = self._begun(epoch, len(rates)) if epochs == 1 else 0
        before = self.steps - first
        progress = self.memory.progress
        progress.steps_before, progress.steps_per_epoch = before, max(1, len(rates) // epochs)
        self._done, self._running = Done(epoch if epochs == 1 else -1, first), True

        self.runner.finished, self.runner.loaded = first, False

        def count() -> None:
            self.steps, self._done.steps = before + self.runner.finished, self.runner.finished

        def pause_here() -> None:
            count()
            if pause:
                pause()

        try:
            self.runner.run(order, edges, rates, self._keys(epoch, epochs), first, pause_here)
        finally:
            count()
            self.write_back()
            self._running = False
        if self.memory.results.failed:
            self._done = Done()

    def _keys(self, epoch: int, epochs: int) -> np.ndarray | None:
        """The dropout key of each layer in each epoch; None where there is no dropout."""
        if not self._masked:
            return None
        keys = np.zeros((epochs, len(self.params.net.layers) + 1), np.uint64)
        for place in self._masked:
            for row in range(epochs):
                keys[row, place + 1] = dropout_key(self.training.seed, epoch + row, place)[0]
        return keys.ravel()

    def _result(self, rows: np.ndarray) -> EpochResult:
        results, mean = self.memory.results, self.training.objective.reduction == "mean"
        cost = float(results.cost / results.share if mean and results.share else results.cost)
        penalty, by_rows = float(results.penalty) / len(rows), float((self.runner.costs * _shares(rows)).sum())
        failed = int(results.failed) - 1 if results.failed else None
        if not self.training.norms:
            return EpochResult(cost, penalty, nan, {}, {}, by_rows, failed)
        if failed is not None:
            unknown = dict.fromkeys((layer.name for layer in self.params.net.layers), nan)
            return EpochResult(cost, penalty, nan, unknown, dict(unknown), by_rows, failed)
        delta, gradient = norms_by_layer(self.params.net, self.memory)
        return EpochResult(cost, penalty, sqrt(results.squared_norm), delta, gradient, by_rows)


def _shares(rows: np.ndarray) -> np.ndarray:
    """The part of an epoch that each of its batches is, by rows."""
    return rows / rows.sum()


class _Several:
    """The batches of some epochs as those of one: where each begins in all orders, and what part of its epoch it is."""

    def __init__(self, orders: np.ndarray, edges: np.ndarray) -> None:
        self.shape, self.of_one, self.edges = orders.shape, edges, edges
        if len(orders) > 1:
            starts = np.arange(len(orders))[:, None] * orders.shape[1]
            self.edges = np.append((edges[:-1] + starts).ravel(), orders.size)
            self.edges.setflags(write=False)  # they are looked at once
        self.shares = _shares(np.diff(edges))

    def are_of(self, orders: np.ndarray, edges: np.ndarray) -> bool:
        """Whether they are what they would be for orders and edges of this kind."""
        return orders.shape == self.shape and edges is self.of_one and not edges.flags.writeable
