"""The memory of the compiled engine: what the epoch loop reads and writes, as flat arrays and tables of whole numbers.

Tables have a row per layer (row 0 is the network's input) and a row per connection; their columns are named here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

from clearprop.engine.compiled.cache import inner

# Columns of the table of layers. Places are offsets into `work` unless said otherwise; -1 stands for "none".
UNITS, PADDED, STRIDE = 0, 1, 2  # units, rounded up to whole vectors, distance of rows
Z, F, A, MASK = 3, 4, 5, 6  # f(z) before dropout, a after it, and its mask
DELTA, LOSS_DELTA = 7, 8  # delta by the targets (or the loss), and by the loss where there are both
A_ROWS, DELTA_ROWS = 9, 10  # offsets of the rows of a and delta, as places in `offsets`
FIRST, LAST = 11, 12  # its connections
BIAS, BIAS_KIND = 13, 14  # place in `weights`, and what is done with it
FORWARD, PULLBACK = 15, 16  # addresses of kernels
OUTPUT, TARGETS = 17, 18  # number among the outputs; whether other layers take it
LOSS, Y, Y_WIDTH, Y_START = 19, 20, 21, 22  # kernel, place of gathered targets, row width (0: indices), start in m.y
NORM = 23  # place of its norms in `norms`
ANSWER = 24  # place of an output in `answers`
SPLIT = 25  # 1 where threads share out its columns, not its rows
LAYER_COLUMNS = 26

# Columns of the table of connections; W, W_T and PARAMETERS are places in `weights`.
KIND, SOURCE, LAYER = 0, 1, 2
W, W_T, PARAMETERS, COUNT = 3, 4, 5, 6  # panels of W, of its transpose, what is trained, how many numbers that is
TRAINABLE, SEND, PATTERN = 7, 8, 9  # SEND: how it gives the error signal to its source; PATTERN: place in `patterns`
ROW_NORMS, NORM_COUNT = 10, 11  # squared norms of the rows of dJ/dW in `norms` (one for shared weights)
FULL = 12  # wired connections: place in `work` of dJ/dW in panels, then of the gradient of the shared weights
PRODUCT = 13  # address of the product with W that comes first in its layer, for as many rows as a vector has lanes
CONNECTION_COLUMNS = 14

DENSE, IDENTITY, WIRED = 0, 1, 2
NO_BIAS, TRAINED_BIAS, FROZEN_BIAS = 0, 1, 2
SEND_NOTHING, SEND_FIRST, SEND_MORE = 0, 1, 2

# Whole numbers of the run.
X_STRIDE, MEAN, WEIGHTED = 0, 1, 2
PREPARE, UPDATE, PREPARE_PLAIN, UPDATE_PLAIN, SLOPE = 3, 4, 5, 6, 7
STORED, BOUNDED = 8, 9  # whether the gradient is stored (for clipping by norm); whether max_norm is set
LANES, PANEL, BLOCK = 10, 11, 12
ZEROS = 13  # place in `weights` of zeros
SCRATCH, SCRATCH_SIZE, WEIGHT_ROWS = 14, 15, 16  # places in `work`: a block per thread, sample weights of the batch
STEPS_DONE = 17  # steps before this pass
LAYER_COUNT, CONNECTION_COUNT = 18, 19  # rows of the tables
MULTIPLY, MULTIPLY_TRANSPOSED = 20, 21  # addresses of the products
SWEEP, DENSE_GRADIENT, WIRED_GRADIENT, BIAS_GRADIENT = 22, 23, 24, 25  # addresses of the parts of a step
REFRESH, EXPAND, APPLY, BOUND, ADD_COST, WRITE_NORMS = 26, 27, 28, 29, 30, 31
ADD_PENALTY, ADD_ROWS, VALUE, HALF_SQUARE = 32, 33, 34, 35  # HALF_SQUARE: 1/2 sum w^2, where alpha is set
KEYED, NORMS = 36, 37  # whether rows have keys for dropout; whether norms are wanted
STEPS_PER_EPOCH = 38
PURPOSE, ANSWERED = 39, 40  # what the steps do; whether the outputs are wanted
SPARSE, SPARSE_BLOCK = 41, 42  # whether X is sparse, and how many rows of its W have their gradient made at once
MULTIPLY_SPARSE, TRANSPOSED_SPARSE, ADD_ROWS_SPARSE = 43, 44, 45  # addresses of the products with sparse rows
FIRST_STEP, STEPS = 46, 47  # where in the pass a call begins, and how many steps the pass has
LAYERED, MEETINGS = 48, 49  # the part that sweeps layer by layer; how often threads meet in it, 0 where it is not used
BY_LAYER = 50  # threads that columns are shared out to, once all have joined; 0 where rows are
PREPARE_STEP = 51  # address of a part
PATIENCE, STUCK, STOPPED = 52, 53, 54  # epochs without improvement: most (-1: any number), so far; whether it was more
PORTION = 55  # threads get multiples of so many columns, the last one what is left
NUMBERS = 56
#: Steps of gradient descent; the gradient of the whole set, added up; its cost alone; or no more than the outputs.
DESCEND, DIFFERENTIATE, EVALUATE, PREDICT = 0, 1, 2, 3
#: The parts of a step in the order of their addresses.
PARTS = (*range(SWEEP, ADD_PENALTY + 1), LAYERED, PREPARE_STEP)

# Real numbers of the run (BEST: the lowest loss of an epoch so far), then one dropout rate per layer.
CLIP_NORM, CLIP_VALUE, MAX_NORM, DECAY, ALPHA, BEST, TOLERANCE, DROPOUT = range(8)

# Results of a call: sums over its steps; what clipping multiplied by; of the last step its penalty, half the squares of
# the weights, and the squared norm of the gradient; the step (from 1 on) that was not finite, 0 for none; then by layer
# the squared norms of delta and of the gradient.
COST, SHARE, PENALTY, FACTOR, STEP_PENALTY, HALF_SQUARES, FAILED, GRADIENT, LAYERS = range(9)

#: Numbers that a `prepare` kernel may write; each thread has three of these: for the weights by the fused kernel, for
#: weights whose gradient was finished before, and for biases.
SCALARS = 32
FUSED_WEIGHTS, PLAIN_WEIGHTS, PLAIN_BIASES, SCALAR_SETS = 0, 1, 2, 3
RIDGE = SCALAR_SETS * SCALARS - 1  # the last number of a thread: alpha over the weight of the batch


class Memory(NamedTuple):
    """Everything the epoch loop works on: arrays outside, plain pointers inside compiled code."""

    numbers: Any  #: int64, see above
    reals: Any  #: float64
    layers: Any  #: int64 (layers + 1, LAYER_COLUMNS), flattened
    connections: Any  #: int64 (connections, CONNECTION_COLUMNS), flattened
    X: Any  #: the caller's X, seen as one run; of a sparse one the values
    X_columns: Any  #: int32, of a sparse X the column of each value, or unused
    X_starts: Any  #: int64, of a sparse X where each row starts, and the end
    y: Any  #: targets of the outputs with values, one after the other
    indices: Any  #: int64, targets of the outputs with class indices
    sample_weight: Any  #: (n,) or unused
    offsets: Any  #: int64, where the rows of each layer's a and delta start
    weights: Any  #: parameters in panels
    slot0: Any  #: the optimizer's slots, laid out as the trained part of `weights`
    slot1: Any
    gradients: Any  #: stored gradients, or unused
    work: Any  #: z, a, delta, ... of the batch
    batch_indices: Any  #: int64, class indices of the batch
    patterns: Any  #: int64, wired connections: number of the shared weight in panel order
    values: Any  #: float64, weighted loss of each row of the batch
    norms: Any  #: float64, squared norms
    scalars: Any  #: float64, what `prepare` kernels computed, for each thread
    keys: Any  #: uint64, dropout key of each layer in each epoch
    row_keys: Any  #: uint64, what dropout knows a row by, or unused
    answers: Any  #: outputs (n, units) of the whole set, one after the other, or unused
    results: Any  #: float64
    sync: Any  #: int64, how threads meet
    order: Any  #: int64, the rows of the data in the order of the epoch
    edges: Any  #: int64, where each batch starts in it, and the end
    rates: Any  #: float64, the learning rate of each step
    costs: Any  #: float64, cost and penalty of each step
    table: Any = None  #: in compiled code, where all these addresses are


def table_of(memory):
    """What compiled code gets: the addresses of all arrays (plain Python gets the memory itself)."""
    if config.DISABLE_JIT:
        return memory
    return np.array([0 if array is None else address_of(array) for array in memory], np.int64)


def address_of(array):
    """Where an array starts, as a number."""
    return array.__array_interface__["data"][0]


if config.DISABLE_JIT:

    def memory_at(table, work):
        """The memory whose addresses are in `table`; `work` tells the precision."""
        return table

    def pointer(array):
        """Where an array starts."""
        return array

else:

    @intrinsic
    def pointer(typing_context, array):
        """Where an array starts."""

        def codegen(context, builder, signature, args):
            return context.make_array(signature.args[0])(context, builder, args[0]).data

        return types.CPointer(array.dtype)(array), codegen

    class MemoryType(types.Type):
        """The memory in compiled code: a pointer to the table of addresses, whose fields are read where they are used.

        One pointer is handed from function to function instead of one for each array, which halves what has to be
        compiled.
        """

        def __init__(self, real: Any) -> None:
            self.real = real
            super().__init__(name=f"clearprop.Memory({real})")

        def field(self, name: str) -> Any:
            """The type of a field, or None."""
            if name == "table":
                return types.CPointer(types.int64)
            if name not in Memory._fields:
                return None
            return types.CPointer(next((kind for kind, names in _KINDS.items() if name in names.split()), self.real))

    #: The fields whose numbers are not of the run's precision.
    _KINDS = {
        types.int64: "numbers layers connections X_starts indices offsets batch_indices patterns sync order edges",
        types.float64: "reals values norms scalars results rates costs",
        types.uint64: "keys row_keys",
        types.int32: "X_columns",
    }

    @register_model(MemoryType)
    class _MemoryModel(models.PrimitiveModel):
        def __init__(self, manager: Any, kind: Any) -> None:
            super().__init__(manager, kind, ir.IntType(64).as_pointer())

    @infer_getattr
    class _MemoryFields(AttributeTemplate):
        key = MemoryType

        def generic_resolve(self, memory: Any, name: str) -> Any:
            return memory.field(name)

    @lower_getattr_generic(MemoryType)
    def _read_field(context: Any, builder: Any, memory: Any, value: Any, name: str) -> Any:
        kind = context.get_value_type(memory.field(name))
        if name == "table":
            return builder.bitcast(value, kind)
        place = ir.Constant(ir.IntType(64), Memory._fields.index(name))
        address = builder.load(builder.gep(value, [place]))
        address.set_metadata("invariant.load", builder.module.add_metadata([]))  # nothing that runs changes the table
        return builder.inttoptr(address, kind)

    @intrinsic
    def memory_at(typing_context, table, work):
        """The memory whose addresses are in `table`; `work` tells the precision."""
        memory = MemoryType(work.dtype)

        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], context.get_value_type(memory))

        return memory(table, work), codegen


@inner
def of_layer(m, layer, column):
    """A number of the table of layers."""
    return m.layers[layer * LAYER_COLUMNS + column]


@inner
def of_connection(m, connection, column):
    """A number of the table of connections."""
    return m.connections[connection * CONNECTION_COLUMNS + column]
