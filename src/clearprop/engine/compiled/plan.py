"""The plan of a run: records of a network's layers and connections, with offsets into arrays of known sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.sparse import csr_array, issparse

from clearprop.activations import Elementwise, Identity
from clearprop.core.caching import cached_by_definition
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Layer, Network
from clearprop.engine.compiled import records
from clearprop.engine.compiled.elementwise import activation_kernels, loss_kernel, reads_z
from clearprop.engine.compiled.narrow_kernels import is_narrow
from clearprop.engine.compiled.narrow_product import multiply_kernel
from clearprop.engine.compiled.pointers import address_of
from clearprop.engine.compiled.records import NONE, Memory, copy_record, new_record, new_table
from clearprop.engine.compiled.sparse import BLOCK, sparse_kernels
from clearprop.engine.compiled.step import kernels
from clearprop.engine.compiled.vectors import LINE, Lanes, lanes_of
from clearprop.fork_safety import cached_property
from clearprop.losses import Loss

#: Most plans in the cache.
PLANS = 64
#: How much more than an even share of the columns a thread may get, before rows are divided instead.
UNEVEN = 1.2

_KINDS = {"dense": records.DENSE, "identity": records.IDENTITY, "wired": records.WIRED}


@dataclass
class Allocator:
    """Consecutive offsets into an array that is created when its size is known."""

    line: int
    size: int = 0

    def take(self, count: int) -> int:
        """The offset of `count` numbers, at the start of a cache line."""
        offset = self.size
        self.size += -(-count // self.line) * self.line
        return offset


@dataclass(frozen=True)
class PanelBlock:
    """One W or b: its block of the flat vector, and its offset and shape in panels."""

    block: Block
    offset: int
    rows: int
    columns: int
    padded: int


@dataclass
class Plan:
    """Layout of the memory for batches of up to `batch` rows.

    `losses` and the `shapes` of the targets by output layer, unless only prediction is planned.
    """

    net: Network
    dtype: np.dtype
    batch: int
    threads: int
    purpose: int = records.PREDICT
    losses: Mapping[str, Loss] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sparse: bool = False

    def __post_init__(self) -> None:
        self.lanes: Lanes = lanes_of(self.dtype)
        line = LINE // self.dtype.itemsize
        self.weights, self.work = Allocator(line), Allocator(line)
        self.offsets, self.norms, self.patterns = Allocator(8), Allocator(8), Allocator(8)
        self.index = {INPUT: records.INPUT_LAYER} | {layer.name: i + 1 for i, layer in enumerate(self.net.layers)}
        self.layers = new_table(records.Layer, len(self.index))
        self.connections = new_table(records.Connection, sum(len(layer.connections) for layer in self.net.layers))
        self.wirings: dict[int, np.ndarray] = {}
        self.blocks: list[PanelBlock] = []
        self.row_starts: list[tuple[int, int, int]] = []
        self._plan_layers()
        self._plan_outputs()
        self._plan_parameters()
        self._plan_errors()
        padded = int(self.layers["padded"].max())
        self.zeros = self.weights.take(max(padded, self.lanes.panel))
        self.layers["bias"][self.layers["bias_kind"] == records.NO_BIAS] = self.zeros
        self.sample_weights = self.work.take(self.batch)
        rows = max(self.lanes.block, min(BLOCK, self.net.inputs)) if self.sparse else self.lanes.block
        transposed = self.lanes.panel**2  # a gradient that is computed transposed
        self.scratch_size = max(rows * self.lanes.panel, padded) + transposed
        self.scratch = self.work.take(self.scratch_size * self.threads)

    @property
    def training(self) -> bool:
        """Whether a backward sweep is planned as well."""
        return self.purpose in (records.TRAIN, records.DIFFERENTIATE)

    def record_of(self, name: str) -> records.Layer:
        """The record of a layer, or of the input."""
        return self.layers[self.index[name]]

    def _stride(self, units: int) -> int:
        """Distance of rows: whole cache lines, and never a multiple of 256 bytes, which would crowd few cache sets."""
        line = LINE // self.dtype.itemsize
        stride = -(-units // line) * line
        return stride + line if stride % (4 * line) == 0 else stride

    def _rows(self, stride: int, offset: int) -> int:
        """Offset in `offsets` of where each row of a buffer starts."""
        first = self.offsets.take(self.batch)
        self.row_starts.append((first, offset, stride))
        return first

    def _plan_layers(self) -> None:
        """Buffers and kernels of each layer."""
        source = self.record_of(INPUT)
        source.index, source.units, source.padded = 0, self.net.inputs, self.lanes.padded(self.net.inputs)
        source.a_rows = self.offsets.take(self.batch)
        sources = {c.source for layer in self.net.layers for c in layer.connections}
        first = 0
        for layer in self.net.layers:
            record = self.record_of(layer.name)
            record.index, record.units, record.padded = (
                self.index[layer.name],
                layer.units,
                self.lanes.padded(layer.units),
            )
            record.stride = stride = self._stride(layer.units)
            record.first_connection = first
            record.end_connection = first = first + len(layer.connections)
            record.is_source, record.dropout = layer.name in sources, layer.dropout
            record.by_columns = self._is_by_columns(layer)
            has_loss, size = layer.name in (self.losses or ()), self.batch * stride
            record.z = record.f = self.work.take(size)
            if type(layer.f) is not Identity and not self._loss_activates(layer):
                record.forward, record.pullback = activation_kernels(layer.f, self.dtype)
                if has_loss or (self.training and reads_z(layer.f)):
                    record.f = self.work.take(size)
            record.a = record.f
            if self.training and layer.dropout:
                record.a, record.mask = self.work.take(size), self.work.take(size)
            record.a_rows = self._rows(stride, int(record.a))
            if self.training or has_loss:
                record.delta = self.work.take(size)
            if self.training:
                record.delta_rows = self._rows(stride, int(record.delta))
                record.bias_norm = self.norms.take(1)

    def _is_by_columns(self, layer: Layer) -> bool:
        """Whether the columns of a layer can be divided among threads: independent units, and nearly equal parts."""
        portion = self.lanes.portion
        portions = -(-layer.units // portion)
        most = max(
            min(layer.units, (portions * (t + 1) // self.threads) * portion) - portions * t // self.threads * portion
            for t in range(self.threads)
        )
        even = most * self.threads <= UNEVEN * layer.units
        copied = any(c.source == INPUT and c.kind == "identity" for c in layer.connections)  # of whole sparse rows
        return self.threads > 1 and even and isinstance(layer.f, (Identity, Elementwise)) and not copied

    def _loss_activates(self, layer: Layer) -> bool:
        """Whether the activations of a layer are needed by its loss alone, which then computes them itself."""
        is_source = self.record_of(layer.name).is_source
        return self.training and layer.name in (self.losses or ()) and not (is_source or layer.dropout)

    def _plan_outputs(self) -> None:
        """Kernels of the losses, and offsets of the targets."""
        self.index_rows = y_start = index_start = answer = 0
        for name in (self.net.outputs or ()) if self.losses is None else self.losses:
            self.record_of(name).is_output = True
        for name, loss in (self.losses or {}).items():
            record, (samples, *width) = self.record_of(name), self.shapes[name]
            record.answer = answer
            answer += samples * int(record.units)
            activates = self._loss_activates(self.net[name])
            narrow = is_narrow(int(record.units), self.dtype.itemsize)
            record.loss = loss_kernel(loss, self.net[name].f, self.dtype, not width, activates, narrow)
            size = self.batch * int(record.stride)
            if record.is_source:
                record.loss_delta = self.work.take(size)
            if not width:
                record.y_width, record.y_start, record.y = 0, index_start, self.index_rows
                index_start += samples
                self.index_rows += self.batch
            else:
                record.y_width, record.y_start, record.y = width[0], y_start, self.work.take(size)
                y_start += samples * width[0]

    def _plan_parameters(self) -> None:
        """Offsets of W, its transposed copy and b: what is trained comes first, as the slots need only that part."""
        blocks = {(block.layer, block.source): block for block in self.net.layout.blocks}
        self.layers["bias_kind"] = records.NO_BIAS
        for trained in (True, False):
            has_gradient = trained or self.purpose == records.DIFFERENTIATE  # a gradient includes frozen parameters
            for layer in self.net.layers:
                for c, connection in self._connections_of(layer.name):
                    if c.kind != "identity" and c.trainable == trained:
                        self._place_parameters(connection, c, blocks[layer.name, c.source])
                b = blocks.get((layer.name, None))
                if b is not None and b.trainable == trained:
                    record = self.record_of(layer.name)
                    record.bias = self.weights.take(record.padded)
                    record.bias_kind = records.TRAINED_BIAS if has_gradient else records.FROZEN_BIAS
                    self.blocks.append(PanelBlock(b, int(record.bias), 1, layer.units, int(record.padded)))
            if has_gradient:
                self.trained = self.weights.size
        for layer in self.net.layers:
            for c, connection in self._connections_of(layer.name):
                self._plan_connection(layer.name, connection, c)

    def _connections_of(self, name: str) -> list[tuple[Any, records.Connection]]:
        first = int(self.record_of(name).first_connection)
        return [(c, self.connections[first + i]) for i, c in enumerate(self.net[name].connections)]

    def _place_parameters(self, connection: records.Connection, c: Any, block: Block) -> None:
        inputs, units = self.net.units(c.source), self.net.units(block.layer)
        if c.kind == "wired":
            rows, units, padded, connection.count = 1, c.shared, c.shared, c.shared
        else:
            rows, padded = inputs, self.lanes.padded(units)
        connection.parameters = self.weights.take(rows * padded)
        self.blocks.append(PanelBlock(block, int(connection.parameters), rows, units, padded))

    def _plan_connection(self, layer: str, connection: records.Connection, c: Any) -> None:
        """What is derived from the parameters, and the other fields of the record."""
        inputs, units = self.net.units(c.source), self.net.units(layer)
        size = inputs * self.lanes.padded(units)
        connection.kind, connection.error = _KINDS[c.kind], records.NO_ERROR
        connection.source, connection.layer = self.index[c.source], self.index[layer]
        connection.trainable = c.trainable or (self.purpose == records.DIFFERENTIATE and c.kind != "identity")
        if c.kind == "identity":
            return
        connection.product = multiply_kernel(self.dtype, inputs, units)
        if c.kind == "dense":
            connection.W = connection.parameters
        else:
            connection.W, connection.pattern = self.weights.take(size), self.patterns.take(size)
            self.wirings[int(connection.pattern)] = self.panels(c.numbers)
        if self.training:
            connection.norm_count = inputs if c.kind == "dense" else 1
            connection.row_norms = self.norms.take(connection.norm_count)
            if c.source != INPUT:
                connection.W_T = self.weights.take(units * self.lanes.padded(inputs))
            if c.kind == "wired":
                connection.gradient = self.work.take(size + c.shared)

    def _plan_errors(self) -> None:
        """In the backward sweep the first error signal that reaches a layer is written, the others are added."""
        reached = set()
        for layer in reversed(self.net.layers if self.training else ()):
            for c, connection in self._connections_of(layer.name):
                if c.source != INPUT:
                    connection.error = records.ADD_ERROR if c.source in reached else records.WRITE_ERROR
                    reached.add(c.source)

    def panels(self, W: np.ndarray) -> np.ndarray:
        """A matrix as panels, one after the other."""
        rows, columns = W.shape
        padded = np.zeros((rows, self.lanes.padded(columns)), W.dtype)
        padded[:, :columns] = W
        width = self.lanes.panel
        return np.concatenate([padded[:, j : j + width].ravel() for j in range(0, padded.shape[1], width)])

    @cached_property
    def _layout(self) -> records.Layout:
        record = new_record(records.Layout)
        record.layer_count, record.connection_count = len(self.layers), len(self.connections)
        record.lanes, record.panel = self.lanes.lanes, self.lanes.panel
        record.block, record.portion = self.lanes.block, self.lanes.portion
        record.zeros, record.sample_weights = self.zeros, self.sample_weights
        record.scratch, record.scratch_size = self.scratch, self.scratch_size
        if self.purpose == records.TRAIN and self.layers["by_columns"].any():
            record.column_meetings = 2 * len(self.layers) - 1
        return record

    @cached_property
    def _code(self) -> records.Code:
        record = new_record(records.Code)
        record.slope = record.value = record.half_square = NONE
        for name, address in kernels(self.dtype).items():
            setattr(record, name, address)
        return record

    @cached_property
    def _offsets(self) -> np.ndarray:
        """Where the rows of each buffer start; those of X change with each batch."""
        offsets = np.zeros(max(1, self.offsets.size), np.int64)
        for first, offset, stride in self.row_starts:
            offsets[first : first + self.batch] = offset + stride * np.arange(self.batch)
        return offsets

    @cached_property
    def _patterns(self) -> np.ndarray:
        """The numbers of the shared weights of every wired connection."""
        patterns = np.zeros(max(1, self.patterns.size), np.int64)
        for offset, pattern in self.wirings.items():
            patterns[offset : offset + pattern.size] = pattern
        return patterns

    def memory(self, X: np.ndarray | csr_array, slots: int = 0, stored: bool = False, **replaced: Any) -> Memory:
        """Memory of this plan; `replaced` are fields to use in place of new ones."""
        slot0, slot1, gradients = (
            aligned(max(1, self.trained if wanted else 1), self.dtype) for wanted in (slots > 0, slots > 1, stored)
        )
        options, progress = new_record(records.Options), new_record(records.Progress)
        np.asarray(options)["purpose"], np.asarray(progress)["patience"] = self.purpose, NONE
        memory_layout, code = copy_record(self._layout), copy_record(self._code)
        fields: dict[str, Any] = {
            "layout": memory_layout,
            "code": code,
            "options": options,
            "progress": progress,
            "results": new_record(records.Results),
            "layers": self.layers,
            "connections": self.connections,
            **self.locate(X, memory_layout, code),
            "offsets": self._offsets.copy(),
            "weights": aligned(self.weights.size, self.dtype),
            "slot0": slot0,
            "slot1": slot1,
            "gradients": gradients,
            "work": aligned(self.work.size, self.dtype),
            "batch_indices": np.zeros(max(1, self.index_rows), np.int64),
            "patterns": self._patterns,
            "values": np.zeros(self.batch, np.float64),
            "norms": np.zeros(max(1, self.norms.size), np.float64),
            "squares": np.zeros(2 * len(self.layers), np.float64),
            "scalars": np.zeros(self.threads * records.SCALAR_SETS * records.SCALARS, np.float64),
            "keys": np.zeros(len(self.layers), np.uint64),
            "row_keys": np.zeros(1, np.uint64),
            **dict.fromkeys(("y", "sample_weight", "answers"), np.zeros(1, self.dtype)),
            **dict.fromkeys(("indices", "sync", "order", "edges"), np.zeros(1, np.int64)),
            **dict.fromkeys(("rates", "costs"), np.zeros(1, np.float64)),
            "total": np.zeros(1, np.float64),
        }
        return Memory(**(fields | replaced))

    def locate(
        self, X: np.ndarray | csr_array, memory_layout: records.Layout, code: records.Code
    ) -> dict[str, np.ndarray]:
        """The rows of X, dense or sparse, as fields of the memory; they set fields of the two records."""
        memory_layout.is_sparse = issparse(X)
        if isinstance(X, csr_array):
            memory_layout.x_stride, memory_layout.sparse_block = 1, BLOCK  # so the "offset" of a row is its index
            multiply, transposed, add_rows = sparse_kernels(self.dtype)
            code.multiply_sparse, code.multiply_transposed_sparse, code.add_rows_sparse = multiply, transposed, add_rows
            return {
                "X": X.data,
                "X_columns": X.indices.astype(np.int32, copy=False),
                "X_starts": X.indptr.astype(np.int64, copy=False),
            }
        X, memory_layout.x_stride = as_run(X)
        return {"X": X, "X_columns": np.zeros(1, np.int32), "X_starts": np.zeros(1, np.int64)}

    def copy_table(self, wanted: Callable[[Block], bool] = lambda block: True) -> np.ndarray:
        """A row per W or b: start in the flat vector, offset in panels, rows, columns, padded columns."""
        rows = [[b.block.start, b.offset, b.rows, b.columns, b.padded] for b in self.blocks if wanted(b.block)]
        return np.array(rows, np.int64).reshape(-1, 5)


@partial(cached_by_definition, most=PLANS)
def plan_of(
    net: Network,
    dtype: np.dtype,
    batch: int,
    threads: int,
    purpose: int,
    losses: tuple[tuple[str, Loss], ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    sparse: bool,
) -> Plan:
    """The plan of such a run, the same one each time: nothing that uses it may change it."""
    plan = Plan(net, dtype, batch, threads, purpose, dict(losses), dict(shapes), sparse)
    plan.layers.flags.writeable = plan.connections.flags.writeable = False
    return plan


def aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a cache line."""
    spare = LINE // dtype.itemsize
    array = np.zeros(size + spare, dtype)
    skip = (-address_of(array) % LINE) // dtype.itemsize
    return array[skip : skip + size]


def as_run(X: np.ndarray) -> tuple[np.ndarray, int]:
    """A matrix as the flat array that it lies in, and the distance of its rows; copied only if its rows are strided."""
    item = X.itemsize
    contiguous = X.flags.aligned and X.dtype.isnative and (X.shape[1] == 1 or X.strides[1] == item)
    if not (contiguous and X.strides[0] >= 0 and X.strides[0] % item == 0):
        X = np.ascontiguousarray(X)
    if X.flags.c_contiguous:
        return X.ravel(), X.shape[1]
    stride = X.strides[0] // item
    return as_strided(X, ((len(X) - 1) * stride + X.shape[1],), (item,)), stride
