"""The compiled engine: the same steps as the textbook engine, an epoch or more at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import dropout_key
from clearprop.engine.api import EpochResult, Epochs, Patience, State, Training
from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.elementwise import optimizer_kernels, penalty_kernels
from clearprop.engine.compiled.runner import Passes
from clearprop.engine.compiled.transfer import copy_in, copy_out
from clearprop.engine.compiled.whole_set import CompiledEvaluation, CompiledGradient, norms_by_layer
from clearprop.penalties import L2


class CompiledEngine:
    """Runs epochs of gradient descent on `params` as one compiled call each (a long one as several).

    Results are those of the textbook engine up to rounding, and do not depend on the number of threads.
    """

    name = "compiled"

    def __init__(self, training: Training, params: Parameters, batch: int, threads: int | None = None) -> None:
        self.training, self.params = training, params
        arrays = {}
        if training.row_keys is not None:
            arrays["row_keys"] = np.ascontiguousarray(training.row_keys, np.uint64)
        slots, stored = len(training.optimizer.slots), training.limits.clip_norm is not None
        self.passes = Passes(training.objective, params, batch, at.DESCEND, threads, slots, stored, **arrays)
        self.memory = self.passes.memory
        self._fill_in_numbers()
        self._trained_copies = self.passes.plan.copy_table(lambda copy: copy.block.trainable)
        self._steps, self._epoch, self._completed_steps, self._running = 0, -1, 0, False
        first = {name: training.optimizer.first(name) for name in training.optimizer.slots}
        if any(first.values()):  # they are zeros otherwise
            self._write_slots({name: np.full_like(params.trainable, value) for name, value in first.items()})
        self._batches: _Batches | None = None
        self._masked = [index for index, layer in enumerate(params.net.layers) if layer.dropout]

    @staticmethod
    def evaluation(objective: Objective, params: Parameters) -> CompiledEvaluation:
        """What computes the cost and the outputs of an objective."""
        return CompiledEvaluation(objective, params)

    @staticmethod
    def gradient(objective: Objective, params: Parameters, norms: bool) -> CompiledGradient:
        """What computes the gradient over all rows, with the norms of delta if `norms` is set."""
        return CompiledGradient(objective, params, norms)

    @property
    def state(self) -> State:
        """The state between two steps, apart from the parameters; assign to continue from another one."""
        slots = {}
        for name, panels in self._slot_panels():
            slots[name] = np.empty_like(self.params.trainable)
            copy_out(slots[name], panels, self._trained_copies, self.passes.plan.lanes.panel)
        return State(self._steps, slots, self._epoch, self._completed_steps, self.memory.results.copy())

    @state.setter
    def state(self, state: State) -> None:
        self._write_slots(state.slots)
        self._steps, self._epoch, self._completed_steps = state.steps, state.epoch, state.completed_steps
        if state.completed_steps:
            self.memory.results[:] = state.sums

    def _slot_panels(self) -> list[tuple[str, np.ndarray]]:
        return list(zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False))

    def _write_slots(self, slots: dict[str, np.ndarray]) -> None:
        for name, panels in self._slot_panels():
            slot = np.ascontiguousarray(slots[name], self.params.dtype)
            copy_in(slot, panels, self._trained_copies, self.passes.plan.lanes.panel)

    def write_back(self) -> None:
        """Bring `params` up to the last completed step, if a run was paused or left by an exception."""
        if self._running and self.passes.loaded:
            copy_out(self.params.flat, self.memory.weights, self.passes.copies, self.passes.plan.lanes.panel)

    def _fill_in_numbers(self) -> None:
        """Kernels, bounds and constants of the run."""
        training, dtype = self.training, self.params.dtype
        numbers, reals, limits = self.memory.numbers, self.memory.reals, training.limits
        numbers[at.NORMS] = training.norms
        fused = optimizer_kernels(training.optimizer, dtype, training.penalties, limits.clip_value, training.alpha > 0)
        numbers[at.PREPARE], numbers[at.UPDATE] = fused
        numbers[at.PREPARE_PLAIN], numbers[at.UPDATE_PLAIN] = optimizer_kernels(training.optimizer, dtype)
        numbers[at.SLOPE], numbers[at.VALUE] = (
            penalty_kernels(training.penalties, dtype) if training.penalties else (-1, -1)
        )
        numbers[at.HALF_SQUARE] = penalty_kernels((L2(1.0),), dtype)[1] if training.alpha else -1
        numbers[at.KEYED], numbers[at.BOUNDED] = training.row_keys is not None, limits.max_norm is not None
        reals[at.CLIP_NORM], reals[at.CLIP_VALUE] = limits.clip_norm or 0.0, limits.clip_value or 0.0
        reals[at.MAX_NORM], reals[at.DECAY] = limits.max_norm or 0.0, training.optimizer.weight_decay
        reals[at.ALPHA] = training.alpha
        for index, layer in enumerate(self.params.net.layers):
            reals[at.DROPOUT + index + 1] = layer.dropout

    def run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        """Run the epochs; `pause` is called about ten times a second, between two steps. See `Engine.run`."""
        numbers, single, steps = self.memory.numbers, len(epochs) == 1, epochs.steps
        if self._batches is None or not self._batches.fit(epochs):
            self._batches = _Batches(epochs)
        batches = self._batches
        continued = single and self._epoch == epochs.first and self._completed_steps < steps
        first = self._completed_steps if continued else 0
        before = self._steps - first
        numbers[at.STEPS_DONE], numbers[at.STEPS_PER_EPOCH] = before, steps
        self._epoch, self._completed_steps, self._running = epochs.first, first, True
        self.passes.finished, self.passes.loaded = first, False
        if patience is not None:
            numbers[at.PATIENCE], numbers[at.STUCK] = patience.most, patience.count
            self.memory.reals[at.BEST], self.memory.reals[at.TOLERANCE] = patience.best, patience.tol

        def count() -> None:
            finished = self.passes.finished
            epoch, self._completed_steps = (0, finished) if single else divmod(finished, steps)
            self._steps, self._epoch = before + finished, epochs.first + epoch

        def pause_here() -> None:
            count()
            if pause:
                pause()

        order = np.ascontiguousarray(epochs.orders, np.int64).ravel()
        keys = self._keys(epochs) if self._masked else None
        try:
            results = self.passes.run(order, batches.edges, epochs.rates, keys, first, pause_here)
        finally:
            count()
            self.write_back()
            self._running = False
            numbers[at.PATIENCE] = -1
        failed = int(results[at.FAILED]) - 1 if results[at.FAILED] else None
        completed = self.passes.finished // steps if numbers[at.STOPPED] else len(epochs)
        losses = (self.passes.costs.reshape(len(epochs), steps)[:completed] * batches.shares).sum(axis=1)
        return self._result(results, losses, failed) if single else EpochResult(losses, failed_step=failed)

    def _keys(self, epochs: Epochs) -> np.ndarray:
        """The dropout key of each layer in each epoch."""
        keys = np.zeros((len(epochs), len(self.params.net.layers) + 1), np.uint64)
        for index in self._masked:
            for row in range(len(epochs)):
                keys[row, index + 1] = dropout_key(self.training.seed, epochs.first + row, index)[0]
        return keys.ravel()

    def _result(self, results: list[float], losses: np.ndarray, failed: int | None) -> EpochResult:
        """What one epoch reports."""
        cost, share = results[at.COST], results[at.SHARE]
        if self.training.objective.reduction == "mean" and share:
            cost /= share
        assert self._batches is not None
        penalty = results[at.PENALTY] / len(self._batches.shares)
        if not self.training.norms:
            return EpochResult(losses, cost, penalty, failed_step=failed)
        if failed is not None:
            unknown = dict.fromkeys((layer.name for layer in self.params.net.layers), np.nan)
            return EpochResult(losses, cost, penalty, np.nan, unknown, dict(unknown), failed)
        delta, gradient = norms_by_layer(self.params.net, results)
        return EpochResult(losses, cost, penalty, sqrt(results[at.GRADIENT]), delta, gradient)


class _Batches:
    """Where each batch begins in the orders of several epochs one after the other, and its share in its epoch by rows.

    It is kept for the following epochs: edges that cannot be written are checked only once.
    """

    def __init__(self, epochs: Epochs) -> None:
        self._shape, self._edges = epochs.orders.shape, epochs.edges
        edges = epochs.edges.astype(np.int64, copy=False)
        rows = np.diff(edges)
        self.shares = rows / rows.sum()
        if len(epochs) > 1:
            starts = np.arange(len(epochs))[:, None] * epochs.orders.shape[1]
            edges = np.append((edges[:-1] + starts).ravel(), epochs.orders.size)
            edges.setflags(write=False)
        self.edges = edges

    def fit(self, epochs: Epochs) -> bool:
        """Whether they are those of these epochs."""
        edges = epochs.edges
        return epochs.orders.shape == self._shape and edges is self._edges and not edges.flags.writeable
