"""Run steps over batches in compiled code: the common part of training and of the cost and gradient of all rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.compiled import records
from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.plan import plan_of
from clearprop.engine.compiled.pointers import address_of, table_of
from clearprop.engine.compiled.records import Memory, Record, as_floats, copy_record, new_record
from clearprop.engine.compiled.step import STEP, run_steps
from clearprop.engine.compiled.thread_pool import call_helper
from clearprop.engine.compiled.transfer import load_parameters
from clearprop.engine.compiled.tuning import Tuner
from clearprop.engine.cores import get_threads
from clearprop.errors import ArgumentError
from clearprop.fork_safety import cached_property

#: The arrays that each pass brings along.
_OF_A_PASS = ("sync", "order", "edges", "rates", "costs", "keys")
_INDICES = [Memory._fields.index(name) for name in _OF_A_PASS]


class Runner:
    """Runs steps over batches of an objective's rows, for one purpose, with the parameters as they are at each call."""

    def __init__(
        self,
        objective: Objective,
        params: Parameters,
        batch: int,
        purpose: int,
        threads: int | None = None,
        slots: int = 0,
        stored: bool = False,
        **arrays: np.ndarray,
    ) -> None:
        batch = min(batch, objective.samples)
        self.params, self.samples = params, objective.samples
        most = 1 if PLAIN else threads or get_threads()
        self.tuner = Tuner(most, 6 * batch * params.flat.size, purpose, fixed=threads is not None)
        self.threads = self.tuner.most
        self.plan = plan_of(
            params.net,
            params.dtype,
            batch,
            self.threads,
            purpose,
            tuple(objective.losses.items()),
            tuple((name, y.shape) for name, y in objective.targets.items()),
            issparse(objective.X),
        )
        outputs = [objective.targets[name] for name in params.net.outputs or ()]
        if any(y.ndim == 2 for y in outputs):
            arrays["y"] = _joined([y for y in outputs if y.ndim == 2], params.dtype)
        if any(y.ndim == 1 for y in outputs):
            arrays["indices"] = _joined([y for y in outputs if y.ndim == 1], np.dtype(np.int64))
        if objective.sample_weight is not None and "sample_weight" not in arrays:
            arrays["sample_weight"] = _joined([objective.sample_weight], params.dtype)
        stored = stored or purpose == records.DIFFERENTIATE
        self.memory = self.plan.memory(objective.X, slots, stored, **arrays)
        options = np.asarray(self.memory.options)
        options["stores_gradient"], options["is_mean"] = stored, objective.reduction == "mean"
        options["is_weighted"] = "sample_weight" in arrays
        if self.memory.layout.column_meetings:
            self.tuner.allow_columns()
        self.blocks = self.plan.copy_table()
        #: Records as arrays, whose fields Python reads and writes much faster; and the results as numbers.
        self.progress, self.results = np.asarray(self.memory.progress), np.asarray(self.memory.results)
        self._sums = as_floats(self.memory.results)
        self._table = PassTable(self.memory)
        self._sync = np.zeros(meeting.SYNC, np.int64)
        self._checked_edges: np.ndarray | None = None
        self._checked_order: np.ndarray | None = None
        #: Cost and penalty of each step of a pass.
        self.costs = np.zeros(0)
        #: Steps of this pass that are finished; whether the pass has loaded the parameters; seconds of a step.
        self.finished, self.loaded, self.seconds = 0, False, self.tuner.guess()

    def run(
        self,
        order: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        keys: np.ndarray | None = None,
        first: int = 0,
        pause: Callable[[], None] | None = None,
    ) -> None:
        """A pass: one step per batch order[edges[s] : edges[s + 1]] (int64), with the learning rate rates[s].

        Results are in `results`, and cost plus penalty of each step in `costs`. `keys` are those of dropout, one
        epoch after the other. The steps run in slices of about a tenth of a second, so that Python can handle signals
        in between, and calls `pause` there; `finished` counts steps, whatever is raised. `first` is the number of steps
        that were completed before, with their results.
        """
        self.finished, self.loaded = first, False
        self._check(order, edges)
        m, steps = self.memory, len(edges) - 1
        if first == 0:
            self._sums.fill(0)
            m.squares.fill(0)
        if len(self.costs) == steps:
            self.costs.fill(0)
        else:
            self.costs, self.progress["steps"] = np.zeros(steps), steps
        self.progress["stopped"] = False
        arrays = (order, edges, rates, self.costs, m.keys if keys is None else keys)
        table = self._table.of(self._reset_sync(), *arrays)
        load_parameters(table, m.work, self.params.flat, m.weights, self.blocks)
        self.loaded = True
        while True:
            self._run_slice(table, arrays, min(steps, self.finished + self.tuner.steps(self.seconds)))
            if self.finished == steps or self.results["failed"] or self.progress["stopped"]:
                return
            if pause:
                pause()
            table = self._table.of(self._reset_sync(), *arrays)

    def _run_slice(self, table: Any, arrays: tuple[np.ndarray, ...], end: int) -> None:
        """The next steps up to `end`, with the threads of the present strategy."""
        m, first, began = self.memory, self.finished, time.perf_counter()
        threads, by_columns = self.tuner.strategy
        self.progress["first_step"], self.progress["column_threads"] = first, threads if by_columns else 0
        try:
            for _ in range(threads - 1):
                call_helper(run_steps, table, end, 0, keep_alive=(m, self._sync, arrays))
            run_steps(table, end, threads)
        finally:  # a signal that has arrived in the meantime is raised when the block ends
            self._sync[meeting.STARTED] = (end + 1) * STEP  # nobody waits for steps that have no leader
            self.finished = max(first, int(self._sync[meeting.FINISHED]))
        self.seconds = (time.perf_counter() - began) / (end - first)
        self.tuner.record(self.seconds, end - first)

    @property
    def sums(self) -> np.ndarray:
        """The results of a pass so far as one array; assign to continue from there."""
        return np.concatenate([self._sums, self.memory.squares])

    @sums.setter
    def sums(self, values: np.ndarray) -> None:
        self._sums[:], self.memory.squares[:] = np.split(values, [len(self._sums)])

    def cost_of(self, rows: np.ndarray) -> float:
        """The cost of a batch with the parameters as they are, without dropout and penalties; nothing else changes.

        It is NaN if an output is not finite.
        """
        table, edges, nothing = self._cost_table, np.array([0, len(rows)]), np.zeros(1)
        self._check_edges(edges)
        self._check_rows(rows)
        m = table.memory
        as_floats(m.results).fill(0)
        addresses = table.of(self._reset_sync(), rows, edges, nothing, nothing.copy(), m.keys)
        load_parameters(addresses, m.work, self.params.flat, m.weights, self.blocks)
        run_steps(addresses, 1, 1)
        return float(m.results.cost)

    @cached_property
    def _cost_table(self) -> PassTable:
        """The memory for `cost_of`, which differs in some records."""
        options, code = copy_record(self.memory.options), copy_record(self.memory.code)
        progress, results = new_record(records.Progress), new_record(records.Results)
        fields = np.asarray(options), np.asarray(code), np.asarray(progress)
        fields[0]["purpose"], fields[0]["with_norms"], fields[0]["max_norm"] = records.EVALUATE, False, 0.0
        fields[1]["value"] = fields[1]["half_square"] = fields[2]["patience"] = records.NONE
        fields[2]["steps"] = fields[2]["steps_per_epoch"] = 1
        return self._table.replace(options=options, code=code, progress=progress, results=results)

    def _reset_sync(self) -> np.ndarray:
        """New counters for the threads of a slice."""
        if self.threads > 1:  # a late thread may still read those of an earlier slice
            self._sync = np.zeros(meeting.SYNC, np.int64)
        else:
            self._sync.fill(0)
        return self._sync

    def _check(self, order: np.ndarray, edges: np.ndarray) -> None:
        """Check all indices beforehand, because compiled code does not check bounds; those that cannot change once."""
        if edges is not self._checked_edges:
            self._check_edges(edges)
            self._checked_edges = None if edges.flags.writeable else edges
        if edges[-1] > len(order):
            raise ArgumentError(f"batches: expected edges from 0 to at most {len(order)}, got {edges}.")
        if order is not self._checked_order:
            self._check_rows(order)
            self._checked_order = None if order.flags.writeable else order

    def _check_edges(self, edges: np.ndarray) -> None:
        sizes = edges[1:] - edges[:-1]
        if len(sizes) == 0 or edges[0] != 0:
            raise ArgumentError(f"batches: expected at least two edges, the first of them 0, got {edges}.")
        if sizes.min() < 1 or sizes.max() > self.plan.batch:
            raise ArgumentError(
                f"batches: expected batches of 1 to {self.plan.batch} rows, "
                f"got sizes from {sizes.min()} to {sizes.max()}."
            )

    def _check_rows(self, rows: np.ndarray) -> None:
        if np.maximum.reduce(rows.view(np.uint64)) >= self.samples:  # negative numbers are large ones there
            raise ArgumentError(
                f"batches: expected row numbers from 0 to {self.samples - 1}, got {rows.min()} to {rows.max()}."
            )


class PassTable:
    """What compiled code takes: the addresses of a memory and of the arrays of a pass."""

    def __init__(self, memory: Memory, addresses: Any = None) -> None:
        self.memory, self._placed = memory, (None,) * len(_INDICES)
        self._addresses = table_of(memory) if addresses is None else addresses

    def replace(self, **records: Record) -> PassTable:
        """A table with other records and the same arrays."""
        addresses = self._addresses
        if not PLAIN:  # most addresses stay, and looking them up takes long
            addresses = addresses.copy()
            for name, record in records.items():
                addresses[Memory._fields.index(name)] = address_of(record)
        return PassTable(self.memory._replace(**records), addresses)

    def of(self, *arrays: np.ndarray) -> Any:
        """A table with these arrays, in the order of `_OF_A_PASS`."""
        if PLAIN:
            return self.memory._replace(**dict(zip(_OF_A_PASS, arrays, strict=True)))
        for index, array, before in zip(_INDICES, arrays, self._placed, strict=True):
            if array is not before:
                self._addresses[index] = address_of(array)
        self._placed = arrays
        return self._addresses.copy()


def _joined(arrays: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Arrays one after the other in a contiguous vector, copied only where that is needed."""
    if len(arrays) == 1 and arrays[0].flags.writeable:
        return np.ascontiguousarray(arrays[0], dtype).ravel()
    return np.concatenate([array.ravel() for array in arrays], dtype=dtype)
