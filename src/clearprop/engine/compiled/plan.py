"""A network and its training as tables of numbers and as memory that the epoch loop works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from clearprop.activations import Elementwise, Identity
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Layer, Network
from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.elementwise import activation_kernels, loss_kernel, reads_z, remembered
from clearprop.engine.compiled.narrow_kernels import is_narrow
from clearprop.engine.compiled.narrow_product import multiply_kernel
from clearprop.engine.compiled.records import Memory
from clearprop.engine.compiled.sparse import BLOCK, sparse_kernels
from clearprop.engine.compiled.step import kernels
from clearprop.engine.compiled.vectors import LINE, Lanes, lanes_of
from clearprop.fork_safety import cached_property
from clearprop.losses import Loss

#: Most plans that are remembered.
PLANS = 64
#: How much more than an even share of the columns a thread may get, before they are not shared out.
UNEVEN = 1.2


@dataclass
class Region:
    """Places given out one after the other in an array that is made once its size is known."""

    line: int
    size: int = 0

    def take(self, count: int) -> int:
        """The place of `count` numbers."""
        place = self.size
        self.size += -(-count // self.line) * self.line
        return place


@dataclass(frozen=True)
class Copy:
    """One W or b: where it lies in the flat vector and in the panels."""

    block: Block
    place: int
    rows: int
    columns: int
    padded: int


@dataclass
class Plan:
    """Where everything lies, for batches of up to `batch` rows.

    `losses` and the `shapes` of the targets by output layer, unless only prediction is planned.
    """

    net: Network
    dtype: np.dtype
    batch: int
    threads: int
    purpose: int = at.PREDICT
    losses: Mapping[str, Loss] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sparse: bool = False

    def __post_init__(self) -> None:
        self.lanes: Lanes = lanes_of(self.dtype)
        line = LINE // self.dtype.itemsize
        self.weights, self.work = Region(line), Region(line)
        self.offsets, self.norms, self.patterns = Region(8), Region(8), Region(8)
        self.index = {INPUT: 0} | {layer.name: i + 1 for i, layer in enumerate(self.net.layers)}
        self.layers = np.full((len(self.index), at.LAYER_COLUMNS), -1, np.int64)
        flat = [(layer, c) for layer in self.net.layers for c in layer.connections]
        self.connections = np.full((len(flat), at.CONNECTION_COLUMNS), -1, np.int64)
        self.wirings: dict[int, np.ndarray] = {}
        self.copies: list[Copy] = []
        self.offset_values: list[tuple[int, int, int]] = []
        self._plan_layers()
        self._plan_parameters()
        self._plan_senders()
        self.zeros = self.weights.take(max(int(self.layers[:, at.PADDED].max()), self.lanes.panel))
        self.weight_rows = self.work.take(self.batch)
        self.scratch_size = self._scratch_size()
        self.scratch = self.work.take(self.scratch_size * self.threads)
        self._fill_in_zeros()

    @property
    def training(self) -> bool:
        """Whether a backward sweep is planned as well."""
        return self.purpose in (at.DESCEND, at.DIFFERENTIATE)

    def _stride(self, units: int) -> int:
        """Distance of rows: whole cache lines, and never a multiple of 256 bytes, which would crowd few cache sets."""
        line = LINE // self.dtype.itemsize
        stride = -(-units // line) * line
        return stride + line if stride % (4 * line) == 0 else stride

    def _rows(self, stride: int, place: int) -> int:
        """Offsets of the rows of a buffer."""
        start = self.offsets.take(self.batch)
        self.offset_values.append((start, place, stride))
        return start

    def _plan_layers(self) -> None:
        """Buffers and kernels of each layer."""
        self.layers[0, at.UNITS] = self.net.inputs
        self.layers[0, at.PADDED] = self.lanes.padded(self.net.inputs)
        self.layers[0, at.A_ROWS] = self.offsets.take(self.batch)
        taken = {c.source for layer in self.net.layers for c in layer.connections}
        first = 0
        for layer in self.net.layers:
            row = self.layers[self.index[layer.name]]
            row[at.UNITS], row[at.PADDED] = layer.units, self.lanes.padded(layer.units)
            stride = row[at.STRIDE] = self._stride(layer.units)
            row[at.FIRST], row[at.LAST] = first, first + len(layer.connections)
            first += len(layer.connections)
            row[at.TARGETS] = layer.name in taken
            size = self.batch * int(stride)
            row[at.Z] = row[at.F] = self.work.take(size)
            if type(layer.f) is not Identity and not self._loss_activates(layer):
                row[at.FORWARD], row[at.PULLBACK] = activation_kernels(layer.f, self.dtype)
                if (layer.name in (self.losses or ())) or (self.training and reads_z(layer.f)):
                    row[at.F] = self.work.take(size)
            row[at.A] = row[at.F]
            if self.training and layer.dropout:
                row[at.A], row[at.MASK] = self.work.take(size), self.work.take(size)
            row[at.A_ROWS] = self._rows(stride, int(row[at.A]))
            if self.training or layer.name in (self.losses or ()):
                row[at.DELTA] = self.work.take(size)
            if self.training:
                row[at.DELTA_ROWS] = self._rows(stride, int(row[at.DELTA]))
                row[at.NORM] = self.norms.take(1)
            row[at.SPLIT] = self._is_split(layer)
        self._plan_outputs()

    def _is_split(self, layer: Layer) -> bool:
        """Whether threads share out the columns of a layer: where units stand by themselves and shares are even."""
        portion = self.lanes.portion
        portions = -(-layer.units // portion)
        most = max(
            min(layer.units, (portions * (t + 1) // self.threads) * portion) - portions * t // self.threads * portion
            for t in range(self.threads)
        )
        even = most * self.threads <= UNEVEN * layer.units
        copied = any(c.source == INPUT and c.kind == "identity" for c in layer.connections)  # sparse rows go as a whole
        return self.threads > 1 and even and isinstance(layer.f, (Identity, Elementwise)) and not copied

    def _loss_activates(self, layer: Layer) -> bool:
        """Whether the activations of a layer are needed by its loss alone, which then computes them itself."""
        taken = any(c.source == layer.name for other in self.net.layers for c in other.connections)
        return self.training and layer.name in (self.losses or ()) and not taken and not layer.dropout

    def _plan_outputs(self) -> None:
        """Kernels of the losses, and where the targets are."""
        self.index_rows = y_start = index_start = answer = 0
        for number, name in enumerate(self.losses or ()):
            row, (samples, *width) = self.layers[self.index[name]], self.shapes[name]
            row[at.OUTPUT], row[at.ANSWER] = number, answer
            answer += samples * int(row[at.UNITS])
            activates = self._loss_activates(self.net[name])
            narrow = is_narrow(int(row[at.UNITS]), self.dtype.itemsize)
            row[at.LOSS] = loss_kernel(self.losses[name], self.net[name].f, self.dtype, not width, activates, narrow)
            size = self.batch * int(row[at.STRIDE])
            if row[at.TARGETS]:
                row[at.LOSS_DELTA] = self.work.take(size)
            if not width:
                row[at.Y_WIDTH], row[at.Y_START], row[at.Y] = 0, index_start, self.index_rows
                index_start += samples
                self.index_rows += self.batch
            else:
                row[at.Y_WIDTH], row[at.Y_START], row[at.Y] = width[0], y_start, self.work.take(size)
                y_start += samples * width[0]

    def _plan_parameters(self) -> None:
        """Places of W, its transposed copy and b: what is trained comes first, as the slots need only that part."""
        blocks = {(block.layer, block.source): block for block in self.net.layout.blocks}
        for trained in (True, False):
            for layer in self.net.layers:
                place = self.index[layer.name]
                for c, row in self._connections_of(layer.name):
                    if c.kind != "identity" and c.trainable == trained:
                        self._place_parameters(row, c, blocks[layer.name, c.source])
                b = blocks.get((layer.name, None))
                if b is not None and b.trainable == trained:
                    padded = self.lanes.padded(layer.units)
                    self.layers[place, at.BIAS] = self.weights.take(padded)
                    kept = trained or self.purpose == at.DIFFERENTIATE  # a gradient includes what is frozen
                    self.layers[place, at.BIAS_KIND] = at.TRAINED_BIAS if kept else at.FROZEN_BIAS
                    self.copies.append(Copy(b, int(self.layers[place, at.BIAS]), 1, layer.units, padded))
            if trained or self.purpose == at.DIFFERENTIATE:
                self.trained = self.weights.size
        for layer in self.net.layers:
            for c, row in self._connections_of(layer.name):
                self._place_copies(layer.name, row, c)

    def _connections_of(self, name: str) -> list[tuple[Any, np.ndarray]]:
        place = self.index[name]
        first = int(self.layers[place, at.FIRST])
        return [(c, self.connections[first + i]) for i, c in enumerate(self.net[name].connections)]

    def _place_parameters(self, row: np.ndarray, c: Any, block: Block) -> None:
        inputs, units = self.net.units(c.source), self.net.units(block.layer)
        padded = self.lanes.padded(units)
        if c.kind == "wired":
            row[at.COUNT] = c.shared
            row[at.PARAMETERS] = self.weights.take(c.shared)
            self.copies.append(Copy(block, int(row[at.PARAMETERS]), 1, c.shared, c.shared))
        else:
            row[at.W] = row[at.PARAMETERS] = self.weights.take(inputs * padded)
            self.copies.append(Copy(block, int(row[at.W]), inputs, units, padded))

    def _place_copies(self, layer: str, row: np.ndarray, c: Any) -> None:
        """What is made of the parameters, and the connection's other columns."""
        inputs, units = self.net.units(c.source), self.net.units(layer)
        row[at.KIND] = {"dense": at.DENSE, "identity": at.IDENTITY, "wired": at.WIRED}[c.kind]
        row[at.SOURCE], row[at.LAYER] = self.index[c.source], self.index[layer]
        row[at.TRAINABLE] = c.trainable or (self.purpose == at.DIFFERENTIATE and c.kind != "identity")
        row[at.SEND] = at.SEND_NOTHING
        if c.kind == "identity":
            return
        row[at.PRODUCT] = multiply_kernel(self.dtype, inputs, units)
        if c.kind == "wired":
            row[at.W] = self.weights.take(inputs * self.lanes.padded(units))
            row[at.PATTERN] = self.patterns.take(inputs * self.lanes.padded(units))
            self.wirings[int(row[at.PATTERN])] = self.panels(c.numbers)
        if self.training:
            row[at.NORM_COUNT] = 1 if c.kind == "wired" else inputs
            row[at.ROW_NORMS] = self.norms.take(int(row[at.NORM_COUNT]))
            if c.source != INPUT:
                row[at.W_T] = self.weights.take(units * self.lanes.padded(inputs))
            if c.kind == "wired":
                row[at.FULL] = self.work.take(inputs * self.lanes.padded(units) + c.shared)

    def _plan_senders(self) -> None:
        """In the backward sweep the first error signal that reaches a layer is written, the others are added."""
        reached = set()
        for layer in reversed(self.net.layers):
            for c, row in self._connections_of(layer.name):
                if self.training and c.source != INPUT:
                    row[at.SEND] = at.SEND_MORE if c.source in reached else at.SEND_FIRST
                    reached.add(c.source)

    def _scratch_size(self) -> int:
        rows = max(self.lanes.block, min(BLOCK, self.net.inputs)) if self.sparse else self.lanes.block
        turned = self.lanes.panel**2  # a gradient that is made transposed
        return max(rows * self.lanes.panel, int(self.layers[:, at.PADDED].max())) + turned

    def _fill_in_zeros(self) -> None:
        for layer in self.net.layers:
            row = self.layers[self.index[layer.name]]
            if row[at.BIAS] == -1:
                row[at.BIAS], row[at.BIAS_KIND] = self.zeros, at.NO_BIAS

    def panels(self, W: np.ndarray) -> np.ndarray:
        """A matrix as panels, one after the other."""
        rows, columns = W.shape
        padded = np.zeros((rows, self.lanes.padded(columns)), W.dtype)
        padded[:, :columns] = W
        width = self.lanes.panel
        return np.concatenate([padded[:, j : j + width].ravel() for j in range(0, padded.shape[1], width)])

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The run's whole numbers that follow from the network alone."""
        numbers = np.zeros(at.NUMBERS, np.int64)
        numbers[at.LANES], numbers[at.PANEL], numbers[at.BLOCK] = self.lanes.lanes, self.lanes.panel, self.lanes.block
        numbers[at.PORTION] = self.lanes.portion
        numbers[at.ZEROS], numbers[at.SCRATCH], numbers[at.SCRATCH_SIZE] = self.zeros, self.scratch, self.scratch_size
        numbers[at.WEIGHT_ROWS] = self.weight_rows
        numbers[at.PATIENCE] = -1
        numbers[at.LAYER_COUNT], numbers[at.CONNECTION_COUNT] = len(self.layers), len(self.connections)
        numbers[at.PURPOSE], numbers[at.SLOPE], numbers[at.VALUE], numbers[at.HALF_SQUARE] = self.purpose, -1, -1, -1
        split = self.purpose == at.DESCEND and bool((self.layers[1:, at.SPLIT] == 1).any())
        numbers[at.MEETINGS] = (2 * len(self.layers) - 1) * split
        for column, address in kernels(self.dtype).items():
            numbers[column] = address
        return numbers

    @cached_property
    def _offsets(self) -> np.ndarray:
        """Where the rows of each buffer start; those of X change with each batch."""
        offsets = np.zeros(max(1, self.offsets.size), np.int64)
        for start, place, stride in self.offset_values:
            offsets[start : start + self.batch] = place + stride * np.arange(self.batch)
        return offsets

    @cached_property
    def _patterns(self) -> np.ndarray:
        """The numbers of shared weights of every wired connection."""
        patterns = np.zeros(max(1, self.patterns.size), np.int64)
        for start, pattern in self.wirings.items():
            patterns[start : start + pattern.size] = pattern
        return patterns

    def memory(self, X: np.ndarray | csr_array, slots: int = 0, stored: bool = False, **given: Any) -> Memory:
        """Memory of this plan; `given` replaces fields."""
        nothing, no_numbers = np.zeros(1, self.dtype), np.zeros(1, np.int64)
        numbers = self._numbers.copy()
        trained = [
            aligned(max(1, self.trained if wanted else 1), self.dtype) for wanted in (slots > 0, slots > 1, stored)
        ]
        fields: dict[str, Any] = {
            "numbers": numbers,
            "reals": np.zeros(at.DROPOUT + len(self.layers), np.float64),
            "layers": self.layers.ravel(),
            "connections": self.connections.ravel(),
            **self.rows(X, numbers),
            "y": nothing,
            "indices": no_numbers,
            "sample_weight": nothing,
            "offsets": self._offsets.copy(),
            "weights": aligned(self.weights.size, self.dtype),
            "slot0": trained[0],
            "slot1": trained[1],
            "gradients": trained[2],
            "work": aligned(self.work.size, self.dtype),
            "batch_indices": np.zeros(max(1, self.index_rows), np.int64),
            "patterns": self._patterns,
            "values": np.zeros(self.batch, np.float64),
            "norms": np.zeros(max(1, self.norms.size), np.float64),
            "scalars": np.zeros(self.threads * at.SCALAR_SETS * at.SCALARS, np.float64),
            "keys": np.zeros(len(self.layers), np.uint64),
            "row_keys": np.zeros(1, np.uint64),
            "answers": nothing,
            "results": np.zeros(at.LAYERS + 2 * len(self.layers), np.float64),
            "sync": no_numbers,
            "order": no_numbers,
            "edges": no_numbers,
            "rates": np.zeros(1, np.float64),
            "costs": np.zeros(1, np.float64),
        }
        return Memory(**(fields | given))

    def rows(self, X: np.ndarray | csr_array, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Where the rows of X lie, dense or sparse, as fields of the memory; `numbers` tell which."""
        numbers[at.SPARSE] = issparse(X)
        if isinstance(X, csr_array):
            numbers[at.X_STRIDE], numbers[at.SPARSE_BLOCK] = 1, BLOCK  # so an "offset" of a row is its number
            columns = (at.MULTIPLY_SPARSE, at.TRANSPOSED_SPARSE, at.ADD_ROWS_SPARSE)
            for column, address in zip(columns, sparse_kernels(self.dtype), strict=True):
                numbers[column] = address
            return {
                "X": X.data,
                "X_columns": X.indices.astype(np.int32, copy=False),
                "X_starts": X.indptr.astype(np.int64, copy=False),
            }
        X, numbers[at.X_STRIDE] = as_run(X)
        return {"X": X, "X_columns": np.zeros(1, np.int32), "X_starts": np.zeros(1, np.int64)}

    def copy_table(self, wanted: Callable[[Copy], bool] = lambda copy: True) -> np.ndarray:
        """A row per W or b: start in the flat vector, place, rows, columns, padded columns."""
        rows = [[c.block.start, c.place, c.rows, c.columns, c.padded] for c in self.copies if wanted(c)]
        return np.array(rows, np.int64).reshape(-1, 5)


@partial(remembered, most=PLANS)
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
    skip = (-at.address_of(array) % LINE) // dtype.itemsize
    return array[skip : skip + size]


class _Run:
    """The memory of an array from its first number to its last, as NumPy is to see it."""

    def __init__(self, array: np.ndarray, count: int) -> None:
        self.owner = array
        self.__array_interface__ = {
            "data": (array.__array_interface__["data"][0], False),  # read-only arrays are only read, here too
            "shape": (count,),
            "typestr": array.dtype.str,
            "version": 3,
        }


def as_run(X: np.ndarray) -> tuple[np.ndarray, int]:
    """A matrix as the run of numbers it lies in, and the distance of its rows; copied only if rows are in pieces."""
    item = X.itemsize
    neat = X.flags.aligned and X.dtype.isnative and (X.shape[1] == 1 or X.strides[1] == item)
    if not (neat and X.strides[0] >= 0 and X.strides[0] % item == 0):
        X = np.ascontiguousarray(X)
    stride = X.strides[0] // item
    return np.asarray(_Run(X, (len(X) - 1) * stride + X.shape[1])), stride
