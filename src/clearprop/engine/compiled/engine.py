"""The compiled engine: the same steps as the textbook engine, a whole epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import config

from clearprop.engine.batches import Batches, Rate
from clearprop.engine.compiled import memory as at
from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.elementwise import optimizer_kernels, penalty_kernels
from clearprop.engine.compiled.helpers import call_helper
from clearprop.engine.compiled.memory import Memory, table_of
from clearprop.engine.compiled.plan import Plan
from clearprop.engine.compiled.step import run_epoch
from clearprop.engine.compiled.transfer import copy_in, copy_out, read_parameters
from clearprop.engine.cores import get_threads
from clearprop.engine.textbook import EpochResult, Training
from clearprop.errors import ArgumentError
from clearprop.parameters import Parameters
from clearprop.penalties import L2
from clearprop.randomness import dropout_key


class CompiledEngine:
    """Runs epochs of gradient descent on `params`, in place, as one compiled call each.

    Shape and results are those of the textbook engine, to rounding; they do not depend on the number of threads.
    """

    def __init__(self, training: Training, params: Parameters, batch: int, threads: int | None = None) -> None:
        self.training, self.params, self.steps = training, params, 0
        objective, limits = training.objective, training.limits
        self.threads = 1 if config.DISABLE_JIT else threads or _useful_threads(params, min(batch, objective.samples))
        self.plan = Plan(
            params.net, params.dtype, min(batch, objective.samples), self.threads, objective.losses, objective.targets
        )
        outputs = [objective.targets[name] for name in params.net.outputs or ()]
        given: dict[str, Any] = {}
        if any(y.ndim == 2 for y in outputs):
            given["y"] = _joined([y for y in outputs if y.ndim == 2], params.dtype)
        if any(y.ndim == 1 for y in outputs):
            given["indices"] = _joined([y for y in outputs if y.ndim == 1], np.dtype(np.int64))
        if objective.sample_weight is not None:
            given["sample_weight"] = _joined([objective.sample_weight], params.dtype)
        if training.row_keys is not None:
            given["row_keys"] = np.ascontiguousarray(training.row_keys, np.uint64)
        stored = limits.clip_norm is not None
        self.memory = self.plan.memory(objective.X, len(training.optimizer.slots), stored, **given)
        self._fill_in_numbers()
        self.copies = self.plan.copy_table()
        self.trained_copies = self.plan.copy_table(lambda copy: copy.block.trainable)
        self.slots = {
            name: np.full_like(params.trainable, training.optimizer.first(name)) for name in training.optimizer.slots
        }

    def _fill_in_numbers(self) -> None:
        """Kernels, bounds and rates of the run."""
        training, dtype = self.training, self.params.dtype
        numbers, reals, limits = self.memory.numbers, self.memory.reals, training.limits
        numbers[at.MEAN] = training.objective.reduction == "mean"
        numbers[at.WEIGHTED] = training.objective.sample_weight is not None
        fused = optimizer_kernels(training.optimizer, dtype, training.penalties, limits.clip_value, training.alpha > 0)
        numbers[at.PREPARE], numbers[at.UPDATE] = fused
        numbers[at.PREPARE_PLAIN], numbers[at.UPDATE_PLAIN] = optimizer_kernels(training.optimizer, dtype)
        numbers[at.SLOPE], numbers[at.VALUE] = (
            penalty_kernels(training.penalties, dtype) if training.penalties else (-1, -1)
        )
        numbers[at.HALF_SQUARE] = penalty_kernels((L2(1.0),), dtype)[1] if training.alpha else -1
        numbers[at.KEYED], numbers[at.NORMS] = training.row_keys is not None, training.norms
        numbers[at.STORED], numbers[at.BOUNDED] = limits.clip_norm is not None, limits.max_norm is not None
        reals[at.CLIP_NORM], reals[at.CLIP_VALUE] = limits.clip_norm or 0.0, limits.clip_value or 0.0
        reals[at.MAX_NORM], reals[at.DECAY] = limits.max_norm or 0.0, training.optimizer.weight_decay
        reals[at.ALPHA] = training.alpha
        for place, layer in enumerate(self.params.net.layers):
            reals[at.DROPOUT + place + 1] = layer.dropout

    @property
    def slots(self) -> dict[str, np.ndarray]:
        """The optimizer's state by name, each of the shape of the trained part of the flat vector; assign to set it."""
        found = {}
        for name, panels in zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False):
            found[name] = np.empty_like(self.params.trainable)
            copy_out(found[name], panels, self.trained_copies, self.plan.lanes.panel)
        return found

    @slots.setter
    def slots(self, given: dict[str, np.ndarray]) -> None:
        for name, panels in zip(self.training.optimizer.slots, (self.memory.slot0, self.memory.slot1), strict=False):
            copy_in(
                np.ascontiguousarray(given[name], self.params.dtype), panels, self.trained_copies, self.plan.lanes.panel
            )

    def run_epoch(self, epoch: int, batches: Sequence[np.ndarray], rate: Callable[[int], float]) -> EpochResult:
        """One step per batch (row numbers of X); `rate(step)` is the learning rate of each step, counted from 0."""
        if isinstance(batches, Batches):
            order, edges = batches.order, batches.edges
        else:
            order, edges = np.concatenate(batches), np.cumsum([0, *map(len, batches)])
        rates = (
            rate.over(self.steps, len(batches))
            if isinstance(rate, Rate)
            else [rate(self.steps + s) for s in range(len(batches))]
        )
        return self.run_steps(
            epoch, order.astype(np.int64, copy=False), edges.astype(np.int64, copy=False), np.asarray(rates, np.float64)
        )

    def run_steps(self, epoch: int, order: np.ndarray, edges: np.ndarray, rates: np.ndarray) -> EpochResult:
        """One step per batch order[edges[s] : edges[s + 1]], with the rate rates[s]."""
        return self._result(self._run(epoch, 1, order, edges, rates))

    def run_epochs(self, first: int, orders: np.ndarray, edges: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Several epochs as one call; what `EpochResult.per_row` says of each, (epochs,).

        Row e of `orders` holds the rows of an epoch, whose batches lie between `edges`; `rates` has one per step.
        """
        epochs, rows = orders.shape
        starts = np.arange(epochs)[:, None] * rows
        every = np.append((edges[:-1] + starts).ravel(), orders.size)
        m = self._run(first, epochs, orders.ravel(), every, rates)
        return m.costs.reshape(epochs, -1) @ (np.diff(edges) / rows)

    def save(self) -> Any:
        """What `restore` takes to go back to the present parameters, slots and number of steps."""
        return self.params.flat.copy(), self.memory.slot0.copy(), self.memory.slot1.copy(), self.steps

    def restore(self, saved: Any) -> None:
        """Go back to what was saved."""
        self.params.flat[...], self.memory.slot0[...], self.memory.slot1[...], self.steps = saved

    def _run(self, epoch: int, epochs: int, order: np.ndarray, edges: np.ndarray, rates: np.ndarray) -> Memory:
        self._check(order, edges)
        keys, sync = self._keys(epoch, epochs), np.zeros(meeting.SYNC, np.int64)
        m = self.memory._replace(
            sync=sync, keys=keys, order=order, edges=edges, rates=rates, costs=np.zeros(len(rates))
        )
        m.numbers[at.STEPS_DONE], m.numbers[at.STEPS_PER_EPOCH] = self.steps, len(rates) // epochs
        m.results[:] = 0
        table = table_of(m)
        read_parameters(table, m.work, self.params.flat, m.weights, self.copies)
        for _ in range(self.threads - 1):
            call_helper(run_epoch, table, m.work, len(rates), 0, kept=m)
        run_epoch(table, m.work, len(rates), self.threads)
        copy_out(self.params.flat, m.weights, self.copies, self.plan.lanes.panel)
        failed = int(m.results[at.FAILED]) - 1
        self.steps += failed if failed >= 0 else len(rates)
        return m

    def _check(self, order: np.ndarray, edges: np.ndarray) -> None:
        """Compiled code looks at no bounds, so everything that it takes places from is looked at before."""
        samples, sizes = self.training.objective.samples, np.diff(edges)
        if len(sizes) == 0 or edges[0] != 0 or edges[-1] > len(order):
            raise ArgumentError(f"batches: expected edges from 0 to at most {len(order)}, at least two, got {edges}.")
        if sizes.min() < 1 or sizes.max() > self.plan.batch:
            raise ArgumentError(
                f"batches: expected batches of 1 to {self.plan.batch} rows, "
                f"got sizes from {sizes.min()} to {sizes.max()}."
            )
        if order.min() < 0 or order.max() >= samples:
            raise ArgumentError(
                f"batches: expected row numbers from 0 to {samples - 1}, got {order.min()} to {order.max()}."
            )

    def _keys(self, epoch: int, epochs: int) -> np.ndarray:
        """The dropout key of each layer in each epoch."""
        keys = np.zeros((epochs, len(self.plan.layers)), np.uint64)
        for place, layer in enumerate(self.params.net.layers):
            if layer.dropout:
                for row in range(epochs):
                    keys[row, place + 1] = dropout_key(self.training.seed, epoch + row, place)[0]
        return keys.ravel()

    def _result(self, m: Memory) -> EpochResult:
        r, rows = m.results, np.diff(m.edges)
        mean = self.training.objective.reduction == "mean"
        cost = float(r[at.COST] / r[at.SHARE] if mean and r[at.SHARE] else r[at.COST])
        failed = int(r[at.FAILED]) - 1 if r[at.FAILED] else None
        penalty, by_rows = float(r[at.PENALTY]) / len(rows), float(m.costs @ rows / rows.sum())
        if not self.training.norms:
            return EpochResult(cost, penalty, np.nan, {}, {}, by_rows, failed)
        roots = np.sqrt(r[at.GRADIENT :]) if failed is None else np.full(len(r) - at.GRADIENT, np.nan)
        names = [layer.name for layer in self.params.net.layers]
        first = at.LAYERS - at.GRADIENT + 2
        delta = dict(zip(names, roots[first::2].tolist(), strict=True))
        gradient = dict(zip(names, roots[first + 1 :: 2].tolist(), strict=True))
        return EpochResult(cost, penalty, float(roots[0]), delta, gradient, by_rows, failed)


def _joined(arrays: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Arrays one after the other in a contiguous vector, copied only where that is needed."""
    if len(arrays) == 1 and arrays[0].flags.writeable:
        return np.ascontiguousarray(arrays[0], dtype).ravel()
    return np.concatenate([array.ravel() for array in arrays], dtype=dtype)


#: Floating-point operations of a step that keep one thread busy long enough to be worth waking another.
WORTH_A_THREAD = 800_000


def _useful_threads(params: Parameters, batch: int) -> int:
    """As many threads as may be used, and fewer where a step is too small to be shared out."""
    return max(1, min(get_threads(), 6 * batch * params.flat.size // WORTH_A_THREAD))
