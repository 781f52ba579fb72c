"""Calls of the epoch loop on one set of data: what an epoch of descent, a gradient or a cost have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import config
from scipy.sparse import issparse

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.compiled import records as at
from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.plan import plan_of
from clearprop.engine.compiled.records import Memory, address_of, table_of
from clearprop.engine.compiled.step import STEP, run_epoch
from clearprop.engine.compiled.thread_pool import call_helper
from clearprop.engine.compiled.transfer import read_parameters
from clearprop.engine.compiled.tuning import Pace
from clearprop.engine.cores import get_threads
from clearprop.errors import ArgumentError

#: What each pass brings along.
_CHANGING = ("sync", "order", "edges", "rates", "costs", "keys")
_PLACES = [Memory._fields.index(name) for name in _CHANGING]


class Passes:
    """The steps over batches of an objective's rows, for one purpose, with the parameters as they are at each call."""

    def __init__(
        self,
        objective: Objective,
        params: Parameters,
        batch: int,
        purpose: int,
        threads: int | None = None,
        slots: int = 0,
        stored: bool = False,
        **given: np.ndarray,
    ) -> None:
        batch = min(batch, objective.samples)
        self.params, self.samples = params, objective.samples
        most = 1 if config.DISABLE_JIT else threads or get_threads()
        self.pace = Pace(most, 6 * batch * params.flat.size, purpose, fixed=threads is not None)
        self.threads = self.pace.most
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
            given["y"] = _joined([y for y in outputs if y.ndim == 2], params.dtype)
        if any(y.ndim == 1 for y in outputs):
            given["indices"] = _joined([y for y in outputs if y.ndim == 1], np.dtype(np.int64))
        if objective.sample_weight is not None and "sample_weight" not in given:
            given["sample_weight"] = _joined([objective.sample_weight], params.dtype)
        stored = stored or purpose == at.DIFFERENTIATE
        self.memory = self.plan.memory(objective.X, slots, stored, **given)
        self.memory.numbers[at.STORED] = stored
        self.memory.numbers[at.MEAN] = objective.reduction == "mean"
        self.memory.numbers[at.WEIGHTED] = "sample_weight" in given
        if self.memory.numbers[at.MEETINGS]:
            self.pace.allow_columns()
        self.copies = self.plan.copy_table()
        self._table = table_of(self.memory)
        self._sync = np.zeros(meeting.SYNC, np.int64)
        self._edges: np.ndarray | None = None
        #: Results of the steps of a pass, kept for the next one; and the arrays whose addresses are in the table.
        self.costs, self._placed = np.zeros(0), (None,) * len(_PLACES)
        #: Steps of the present pass that are finished; whether it has taken the parameters over; and the seconds that a
        #: step takes.
        self.finished, self.loaded, self.seconds = 0, False, self.pace.guess()

    def run(
        self,
        order: np.ndarray,
        edges: np.ndarray,
        rates: np.ndarray,
        keys: np.ndarray | None = None,
        first: int = 0,
        pause: Callable[[], None] | None = None,
    ) -> list[float]:
        """A step per batch order[edges[s] : edges[s + 1]] (int64), with the rate rates[s]; the results.

        `costs` holds cost and penalty of each step then. `keys` are those of dropout, an epoch after the other. The
        steps run in slices of about a tenth of a second, so that Python can look after signals in between, and calls
        `pause` there; `finished` counts steps, whatever is raised. With `first`, that many steps were made before, and
        their results are there.
        """
        self.finished, self.loaded = first, False
        self._check(order, edges)
        m, steps = self.memory, len(edges) - 1
        if first == 0:
            m.results.fill(0)
        if len(self.costs) == steps:
            self.costs.fill(0)
        else:
            self.costs = np.zeros(steps)
        m.numbers[at.STEPS], m.numbers[at.STOPPED] = steps, 0
        given = (order, edges, rates, self.costs, m.keys if keys is None else keys)
        table = self._table_of(given)
        read_parameters(table, m.work, self.params.flat, m.weights, self.copies)
        self.loaded = True
        while True:
            self._run_slice(table, given, min(steps, self.finished + self.pace.steps(self.seconds)))
            if self.finished == steps or m.results[at.FAILED] or m.numbers[at.STOPPED]:
                return m.results.tolist()
            if pause:
                pause()
            table = self._table_of(given)

    def _run_slice(self, table: Any, given: tuple[np.ndarray, ...], end: int) -> None:
        """The next steps up to `end`."""
        m, first, began = self.memory, self.finished, time.perf_counter()
        threads, by_layer = self.pace.way
        m.numbers[at.FIRST_STEP], m.numbers[at.BY_LAYER] = first, threads if by_layer else 0
        try:
            for _ in range(threads - 1):
                call_helper(run_epoch, table, end, 0, kept=(m, self._sync, given))
            run_epoch(table, end, threads)
        finally:  # a signal that has arrived in the meantime is raised on the way out
            self._sync[meeting.STARTED] = (end + 1) * STEP  # nobody waits for steps that nobody leads
            self.finished = max(first, int(self._sync[meeting.FINISHED]))
        self.seconds = (time.perf_counter() - began) / (end - first)
        self.pace.record(self.seconds, end - first)

    def _table_of(self, given: tuple[np.ndarray, ...]) -> Any:
        """The addresses of everything that a slice needs, with a new meeting place for its threads."""
        if self.threads > 1:  # a thread that comes late still looks at that of an earlier slice
            self._sync = np.zeros(meeting.SYNC, np.int64)
        else:
            self._sync.fill(0)
        arrays = (self._sync, *given)
        if config.DISABLE_JIT:
            return self.memory._replace(**dict(zip(_CHANGING, arrays, strict=True)))
        for place, array, before in zip(_PLACES, arrays, self._placed, strict=True):
            if array is not before:
                self._table[place] = address_of(array)
        self._placed = arrays
        return self._table.copy()

    def _check(self, order: np.ndarray, edges: np.ndarray) -> None:
        """Compiled code looks at no bounds, so everything that it takes places from is looked at before."""
        if edges is not self._edges:
            sizes = np.diff(edges)
            if len(sizes) == 0 or edges[0] != 0:
                raise ArgumentError(f"batches: expected edges from 0 on, at least two, got {edges}.")
            if sizes.min() < 1 or sizes.max() > self.plan.batch:
                raise ArgumentError(
                    f"batches: expected batches of 1 to {self.plan.batch} rows, "
                    f"got sizes from {sizes.min()} to {sizes.max()}."
                )
            self._edges = None if edges.flags.writeable else edges  # these stay as they are
        if edges[-1] > len(order):
            raise ArgumentError(f"batches: expected edges from 0 to at most {len(order)}, got {edges}.")
        if np.maximum.reduce(order.view(np.uint64)) >= self.samples:  # negative numbers are large ones there
            raise ArgumentError(
                f"batches: expected row numbers from 0 to {self.samples - 1}, got {order.min()} to {order.max()}."
            )


def _joined(arrays: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Arrays one after the other in a contiguous vector, copied only where that is needed."""
    if len(arrays) == 1 and arrays[0].flags.writeable:
        return np.ascontiguousarray(arrays[0], dtype).ravel()
    return np.concatenate([array.ravel() for array in arrays], dtype=dtype)
