"""Prediction in compiled code: the forward sweep alone, prepared once for many calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from clearprop.checks import check_dense_or_csr, check_inputs
from clearprop.core.network import Network, check_params
from clearprop.core.parameters import Parameters
from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.plan import Plan
from clearprop.engine.compiled.pointers import address_of, memory_at, pointer, table_of
from clearprop.engine.compiled.records import INPUT_LAYER, Memory
from clearprop.engine.compiled.sweep import forward
from clearprop.engine.compiled.transfer import load_parameters
from clearprop.engine.cores import get_threads
from clearprop.fork_safety import register_fork_locks

#: Rows that go through the network at once.
ROWS = 96
#: Rows times parameters above which starting several threads saves time.
WORTH_THREADS = 50_000_000
_X, _OUT = Memory._fields.index("X"), Memory._fields.index("y")


@compiled
def infer(table: Any, work: Any, first: int, last: int, rows_at_once: int, total: int) -> bool:
    """Write the outputs for rows of X into y, in the order of the layers; returns whether these rows are finite."""
    m: Memory = memory_at(pointer(table), pointer(work))
    inputs, nothing = m.layers[INPUT_LAYER].units, 0.0
    for begin in range(first, last, rows_at_once):
        rows = min(rows_at_once, last - begin)
        for n in range(rows):
            line = (begin + n) * m.layout.x_stride
            m.offsets[n] = line
            for j in range(0 if m.layout.is_sparse else inputs):
                nothing += m.X[line + j] * 0  # NaN for NaN and infinity
        forward(m, 0, 0, rows, 0)
        start = 0
        for index in range(1, m.layout.layer_count):
            layer = m.layers[index]
            if not layer.is_output:
                continue
            for n in range(rows):
                line, to = layer.f + n * layer.stride, start + (begin + n) * layer.units
                for j in range(layer.units):
                    m.y[to + j] = m.work[line + j]
            start += total * layer.units
    return nothing == 0


class Predictor:
    """A network with parameters, ready to predict: a few microseconds per call with a single row.

    It holds a copy of the parameters; `read` copies them again. Calls give what `cp.predict` gives up to rounding:
    (n, o units) or a dict by output layer.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> predictor = cp.Predictor(net, net.initialize(given={"output": {"input": [[2.0]]}}))
    >>> predictor(np.array([[3.0]]))
    array([[6.]])
    """

    def __init__(self, net: Network, params: Parameters) -> None:
        check_params(net, params)
        self.net, self.dtype = net, params.dtype
        #: Name and units of each output, in the order of the layers, in which `infer` writes them.
        self._outputs = [(layer.name, layer.units) for layer in net.layers if layer.name in (net.outputs or ())]
        self._width = sum(units for _, units in self._outputs)
        self._plan = Plan(net, params.dtype, ROWS, 1)
        self._size = params.flat.size
        self._memory = self._plan.memory(np.zeros((1, net.inputs), params.dtype))
        self._table = table_of(self._memory)
        self._lock, self._blocks = threading.Lock(), self._plan.copy_table()
        register_fork_locks(self._lock)
        self.read(params)

    def read(self, params: Parameters) -> None:
        """Copy the parameters as they are now."""
        with self._lock:
            load_parameters(self._table, self._memory.work, params.flat, self._memory.weights, self._blocks)

    def __call__(self, X: Any) -> Any:
        """Outputs for X (n samples, inputs). Raises ShapeError or DataError for an X that does not fit."""
        is_plain = (
            isinstance(X, np.ndarray)
            and X.dtype == self.dtype
            and X.ndim == 2
            and X.flags.c_contiguous
            and X.flags.aligned
        )
        if not (is_plain and X.shape[0] > 0 and X.shape[1] == self.net.inputs):
            X = check_dense_or_csr(X, self.net.inputs, self.dtype)
            X = X if isinstance(X, csr_array) else np.ascontiguousarray(X)
        rows = X.shape[0]
        out = np.empty(rows * self._width, self.dtype)
        if rows * self._size < WORTH_THREADS or get_threads() == 1:
            with self._lock:
                finite = self._infer(self._memory, self._table, X, out, 0, rows)
        else:
            finite = self._share_out(X, out)
        if not finite:
            check_inputs(X, self.net.inputs, self.dtype)
        if len(self._outputs) == 1:
            return out.reshape(rows, -1)
        outputs, start = {}, 0
        for name, units in self._outputs:
            outputs[name] = out[start : start + rows * units].reshape(rows, units)
            start += rows * units
        return {name: outputs[name] for name in self.net.outputs or ()}

    def _infer(self, memory: Memory, table: Any, X: Any, out: np.ndarray, first: int, last: int) -> bool:
        if isinstance(X, np.ndarray):
            memory.layout.x_stride, memory.layout.is_sparse = self.net.inputs, False
            if isinstance(table, np.ndarray):
                table[_X], table[_OUT] = address_of(X), address_of(out)
            else:
                table = memory._replace(X=X.ravel(), y=out)
            return infer(table, memory.work, first, last, ROWS, len(X))
        memory = memory._replace(y=out, **self._plan.locate(X, memory.layout, memory.code))
        return infer(table_of(memory), memory.work, first, last, ROWS, X.shape[0])

    def _share_out(self, X: Any, out: np.ndarray) -> bool:
        """Predict with the rows divided among threads; each has its own memory, apart from the weights."""
        threads = get_threads()
        edges = [X.shape[0] * t // threads for t in range(threads + 1)]

        def work(first: int, last: int) -> bool:
            memory = self._plan.memory(X, weights=self._memory.weights)
            return self._infer(memory, table_of(memory), X, out, first, last)

        with ThreadPoolExecutor(threads) as pool:
            return all(pool.map(work, edges[:-1], edges[1:]))
