"""The compiled engine: the same steps as the textbook engine, an epoch or more at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import dropout_key
from clearprop.engine.api import EpochResult, Epochs, Patience, State, Training
from clearprop.engine.compiled.elementwise import optimizer_kernels, penalty_kernels
from clearprop.engine.compiled.records import NONE, TRAIN
from clearprop.engine.compiled.runner import Runner
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
        self.runner = Runner(training.objective, params, batch, TRAIN, threads, slots, stored, **arrays)
        self.memory = self.runner.memory
        self._write_options()
        self._trained_blocks = self.runner.plan.copy_table(lambda block: block.trainable)
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
            copy_out(slots[name], panels, self._trained_blocks, self.runner.plan.lanes.panel)
        return State(self._steps, slots, self._epoch, self._completed_steps, self.runner.sums)

    @state.setter
    def state(self, state: State) -> None:
        self._write_slots(state.slots)
        self._steps, self._epoch, self._completed_steps = state.steps, state.epoch, state.completed_steps
        if state.completed_steps:
            self.runner.sums = state.sums

    def _slot_panels(self) -> list[tuple[str, np.ndarray]]:
        return list(zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False))

    def _write_slots(self, slots: dict[str, np.ndarray]) -> None:
        for name, panels in self._slot_panels():
            slot = np.ascontiguousarray(slots[name], self.params.dtype)
            copy_in(slot, panels, self._trained_blocks, self.runner.plan.lanes.panel)

    def write_back(self) -> None:
        """Bring `params` up to the last completed step, if a run was paused or left by an exception."""
        if self._running and self.runner.loaded:
            copy_out(self.params.flat, self.memory.weights, self.runner.blocks, self.runner.plan.lanes.panel)

    def _write_options(self) -> None:
        """Kernels, bounds and constants of the run."""
        training, dtype, limits = self.training, self.params.dtype, self.training.limits
        code, options = np.asarray(self.memory.code), np.asarray(self.memory.options)
        code["prepare"], code["update"] = optimizer_kernels(
            training.optimizer, dtype, training.penalties, limits.clip_value, training.alpha > 0
        )
        code["prepare_plain"], code["update_plain"] = optimizer_kernels(training.optimizer, dtype)
        if training.penalties:
            code["slope"], code["value"] = penalty_kernels(training.penalties, dtype)
        if training.alpha:
            code["half_square"] = penalty_kernels((L2(1.0),), dtype)[1]
        options["with_norms"], options["has_row_keys"] = training.norms, training.row_keys is not None
        options["clip_norm"], options["clip_value"] = limits.clip_norm or 0.0, limits.clip_value or 0.0
        options["max_norm"], options["decay"] = limits.max_norm or 0.0, training.optimizer.weight_decay
        options["alpha"] = training.alpha

    def run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        """Run the epochs; `pause` is called about ten times a second, between two steps. See `Engine.run`."""
        progress, single, steps = self.runner.progress, len(epochs) == 1, epochs.steps
        if self._batches is None or not self._batches.fit(epochs):
            self._batches = _Batches(epochs)
        batches = self._batches
        continued = single and self._epoch == epochs.first and self._completed_steps < steps
        first = self._completed_steps if continued else 0
        before = self._steps - first
        progress["steps_before"], progress["steps_per_epoch"] = before, steps
        self._epoch, self._completed_steps, self._running = epochs.first, first, True
        self.runner.finished, self.runner.loaded = first, False
        if patience is not None:
            progress["patience"], progress["epochs_without_improvement"] = patience.most, patience.count
            progress["best"], progress["tolerance"] = patience.best, patience.tol

        def count() -> None:
            finished = self.runner.finished
            epoch, self._completed_steps = (0, finished) if single else divmod(finished, steps)
            self._steps, self._epoch = before + finished, epochs.first + epoch

        def pause_here() -> None:
            count()
            if pause:
                pause()

        order = np.ascontiguousarray(epochs.orders, np.int64).ravel()
        keys = self._keys(epochs) if self._masked else None
        try:
            self.runner.run(order, batches.edges, epochs.rates, keys, first, pause_here)
        finally:
            count()
            self.write_back()
            self._running = False
            progress["patience"] = NONE
        failed = int(self.runner.results["failed"]) - 1 if self.runner.results["failed"] else None
        completed = self.runner.finished // steps if progress["stopped"] else len(epochs)
        complete = completed == len(epochs) and failed is None
        verified = not (epochs.verify and complete) or bool(np.isfinite(self.runner.cost_of(epochs.batch(-1))))
        if single:
            return self._result((self.runner.costs * batches.shares).sum(keepdims=True), failed, verified)
        losses = (self.runner.costs.reshape(len(epochs), steps)[:completed] * batches.shares).sum(axis=1)
        return EpochResult(losses, failed_step=failed, is_verified=verified)

    def _keys(self, epochs: Epochs) -> np.ndarray:
        """The dropout key of each layer in each epoch."""
        keys = np.zeros((len(epochs), len(self.params.net.layers) + 1), np.uint64)
        for index in self._masked:
            for row in range(len(epochs)):
                keys[row, index + 1] = dropout_key(self.training.seed, epochs.first + row, index)[0]
        return keys.ravel()

    def _result(self, losses: np.ndarray, failed: int | None, verified: bool) -> EpochResult:
        """What one epoch reports."""
        results, mean = self.runner.results, self.training.objective.reduction == "mean"
        assert self._batches is not None
        cost, share = float(results["cost"]), float(results["share"])
        cost = cost / share if mean and share else cost
        penalty = float(results["penalty"]) / len(self._batches.shares)
        if not self.training.norms:
            return EpochResult(losses, cost, penalty, failed_step=failed, is_verified=verified)
        if failed is not None:
            unknown = dict.fromkeys((layer.name for layer in self.params.net.layers), np.nan)
            return EpochResult(losses, cost, penalty, np.nan, unknown, dict(unknown), failed)
        delta, gradient = norms_by_layer(self.params.net, self.memory)
        norm = sqrt(results["squared_norm"])
        return EpochResult(losses, cost, penalty, norm, delta, gradient, is_verified=verified)


class _Batches:
    """Where each batch begins in the orders of several epochs one after the other, and its share in its epoch by rows.

    It is reused for the following epochs: read-only edges are checked only once.
    """

    def __init__(self, epochs: Epochs) -> None:
        self._shape, self._edges = epochs.orders.shape, epochs.edges
        edges = epochs.edges.astype(np.int64, copy=False)
        rows = edges[1:] - edges[:-1]
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
