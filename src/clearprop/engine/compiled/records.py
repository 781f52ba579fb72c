"""The memory of the compiled engine: records with named fields, and the flat arrays that their offsets point into.

A class of records lists its fields once: NumPy, Numba and the type checker read the same list. `m.layers[1].units` is
the same expression in compiled code, where it is one load, and in plain Python (NUMBA_DISABLE_JIT=1).

An "offset" is an index into one of the arrays of `Memory`: into `work`, unless another array is named. NONE stands for
what a layer or connection does not have. "Address" is the address of a kernel, as an integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

NONE = -1
#: The network's input, as a layer.
INPUT_LAYER = 0

# Connection.kind
DENSE, IDENTITY, WIRED = 0, 1, 2
# Layer.bias_kind
NO_BIAS, TRAINED_BIAS, FROZEN_BIAS = 0, 1, 2
# Connection.error: how the backward sweep gives the error signal to the connection's source
NO_ERROR, WRITE_ERROR, ADD_ERROR = 0, 1, 2
# Options.purpose: steps of gradient descent; the gradient of the whole set, summed; its cost; the outputs alone
TRAIN, DIFFERENTIATE, EVALUATE, PREDICT = 0, 1, 2, 3

# Each thread has three sets of SCALARS numbers that `prepare` kernels write: for weights whose update is fused with
# their gradient, for weights whose gradient was completed before, and for biases.
SCALARS = 32
FUSED_WEIGHTS, PLAIN_WEIGHTS, PLAIN_BIASES, SCALAR_SETS = 0, 1, 2, 3
#: Index of the last number of a thread: alpha over the weight of the batch.
RIDGE = SCALAR_SETS * SCALARS - 1


class Record(np.void):
    """An element of a structured array whose fields are attributes, as the annotations of a subclass list them.

    It is a np.record whose attributes take a fifth of the time.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        for name in cls.__annotations__:
            setattr(cls, name, property(itemgetter(name), partial(_set_field, name)))


def _set_field(name: str, record: np.void, value: Any) -> None:
    record[name] = value


class Layer(Record):
    """A layer of the network; layer 0 is the network's input."""

    __slots__ = ()
    index: int
    units: int
    padded: int  #: units rounded up to whole vectors
    stride: int  #: distance of the rows of z, f, a, mask and delta
    z: int  #: offset of the weighted sums
    f: int  #: offset of f(z), before dropout
    a: int  #: offset of the activations, after dropout
    mask: int  #: offset of the dropout mask
    delta: int  #: offset of delta, which is first the error signal that the layer's targets send
    loss_delta: int  #: offset of the loss's delta, where the layer is an output and a source as well
    a_rows: int  #: offset in `offsets` of where each row of a starts
    delta_rows: int  #: offset in `offsets` of where each row of delta starts
    first_connection: int  #: the layer's connections: from this one,
    end_connection: int  #: up to this one, which is excluded
    bias: int  #: offset in `weights`
    bias_kind: int  #: NO_BIAS, TRAINED_BIAS or FROZEN_BIAS
    bias_norm: int  #: offset in `norms` of the squared norm of dJ/db
    forward: int  #: address of the activation
    pullback: int  #: address of the activation's pullback
    loss: int  #: address of the loss
    is_output: bool
    is_source: bool  #: whether other layers take its activations
    y: int  #: offset of the batch's targets, or in `batch_indices` of its class indices
    y_width: int  #: columns of the targets; 0 for class indices
    y_start: int  #: offset of the targets in `y`, or in `indices`
    answer: int  #: offset of the outputs in `answers`
    by_columns: bool  #: whether its columns can be divided among threads (see `column_parallel`)
    dropout: float


class Connection(Record):
    """A connection from a source to a layer."""

    __slots__ = ()
    kind: int  #: DENSE, IDENTITY or WIRED
    source: int  #: index of the source
    layer: int  #: index of the layer
    W: int  #: offset in `weights` of the panels of W
    W_T: int  #: offset in `weights` of the panels of the transpose of W
    parameters: int  #: offset in `weights` of what is trained: W, or the shared weights of a wired connection
    count: int  #: number of shared weights
    trainable: bool
    error: int  #: NO_ERROR, WRITE_ERROR or ADD_ERROR
    pattern: int  #: wired connections: offset in `patterns`
    gradient: int  #: wired connections: offset of dJ/dW in panels, followed by that of the shared weights
    row_norms: int  #: offset in `norms` of the squared norms of the rows of dJ/dW (one for shared weights)
    norm_count: int
    product: int  #: address of the product with W where it is the first of its layer and has a vector of rows or more


class Layout(Record):
    """How the arrays are laid out."""

    __slots__ = ()
    layer_count: int
    connection_count: int
    lanes: int  #: numbers in a vector
    panel: int  #: columns of a panel of weights
    block: int  #: rows of W whose gradient is computed and applied at once
    portion: int  #: threads get multiples of so many columns; the last one gets the rest
    x_stride: int  #: distance of the rows of X
    is_sparse: bool  #: whether X is a CSR matrix
    sparse_block: int  #: the same as `block`, for W of a sparse X
    zeros: int  #: offset in `weights` of zeros
    scratch: int  #: offset of the threads' scratch space
    scratch_size: int  #: scratch space of a thread
    sample_weights: int  #: offset of the weights of the batch's rows
    column_meetings: int  #: how often threads synchronize in a step divided by columns; 0 if no layer allows that


class Code(Record):
    """Addresses: the kernels of the run, the matrix products, and the parts of a step."""

    __slots__ = ()
    prepare: int
    update: int
    prepare_plain: int
    update_plain: int
    slope: int
    value: int  #: value of the penalties
    half_square: int  #: 1/2 sum of w^2, where alpha is set
    multiply: int
    multiply_transposed: int
    add_rows: int
    multiply_sparse: int
    multiply_transposed_sparse: int
    add_rows_sparse: int
    sweep: int
    sweep_by_columns: int
    prepare_step: int
    dense_gradient: int
    wired_gradient: int
    bias_gradient: int
    refresh_transposed: int
    expand: int
    apply_stored: int
    bound_weights: int
    add_cost: int
    add_penalty: int
    write_norms: int


class Options(Record):
    """What the steps do."""

    __slots__ = ()
    purpose: int  #: TRAIN, DIFFERENTIATE, EVALUATE or PREDICT
    is_mean: bool  #: whether the cost is the mean over the rows, or their sum
    is_weighted: bool  #: whether there are sample weights
    has_row_keys: bool  #: whether dropout identifies rows by keys
    with_answers: bool  #: whether outputs are copied to `answers`
    with_norms: bool  #: whether norms of delta and of gradients are computed
    stores_gradient: bool  #: whether the whole gradient is stored before the update, for clipping by norm
    clip_norm: float
    clip_value: float  #: 0 for no clipping
    max_norm: float  #: 0 for no bound
    decay: float  #: weight decay
    alpha: float  #: L2 penalty of the estimators, divided by the weight of the batch


class Progress(Record):
    """The progress of a pass over the data."""

    __slots__ = ()
    column_threads: int  #: number of threads of a division by columns; with fewer, or where it is 0, rows are divided
    first_step: int  #: the step that a call begins with
    steps: int  #: steps of the pass
    steps_per_epoch: int
    steps_before: int  #: steps before this pass
    patience: int  #: most epochs without improvement; NONE for any number
    epochs_without_improvement: int
    best: float  #: lowest loss of an epoch
    tolerance: float  #: a loss above best - tolerance is no improvement
    stopped: bool  #: whether patience ran out


class Results(Record):
    """Results of a pass: sums over its steps, and values of its last step."""

    __slots__ = ()
    cost: float
    share: float  #: sum of the weights of the batches
    penalty: float
    clip_factor: float  #: what clipping by norm multiplied the last step's gradient by
    step_penalty: float
    half_squares: float  #: 1/2 sum of w^2
    failed: float  #: the step (from 1) whose cost or penalty was not finite; 0 for none
    squared_norm: float  #: of the gradient of the trained parameters


Int64, Int32, UInt64, Float64 = NDArray[np.int64], NDArray[np.int32], NDArray[np.uint64], NDArray[np.float64]
#: An array in the precision of the run.
Numbers = NDArray[Any]


class Memory(NamedTuple):
    """Everything that the compiled code works on: arrays in Python, pointers in compiled code."""

    layout: Layout
    code: Code
    options: Options
    progress: Progress
    results: Results
    layers: Sequence[Layer]
    connections: Sequence[Connection]
    X: Numbers  #: the caller's X, flat; the values of a sparse one
    X_columns: Int32  #: the column of each value of a sparse X
    X_starts: Int64  #: where each row of a sparse X starts, and the end
    y: Numbers  #: targets of the outputs with values, one output after the other
    indices: Int64  #: targets of the outputs with class indices
    sample_weight: Numbers  #: (n,)
    offsets: Int64  #: where the rows of X, and of each layer's a and delta, start
    weights: Numbers  #: parameters in panels
    slot0: Numbers  #: the optimizer's slots, laid out as the trained part of `weights`
    slot1: Numbers
    gradients: Numbers  #: the stored gradient, laid out in the same way
    work: Numbers  #: z, a, delta and so on of the batch
    batch_indices: Int64  #: class indices of the batch
    patterns: Int64  #: wired connections: number of the shared weight (from 1) in panel order; 0 for no connection
    values: Float64  #: weighted loss of each row of the batch
    norms: Float64  #: squared norms of gradients
    squares: Float64  #: by layer, squared norms of delta (summed over the steps of a gradient) and of the gradient
    total: Float64  #: one number, for kernels that add to a total
    scalars: Float64  #: what `prepare` kernels computed, for each thread
    keys: UInt64  #: dropout key of each layer in each epoch
    row_keys: UInt64  #: keys of the rows for dropout
    answers: Numbers  #: outputs (n, units) of the whole set, one output after the other
    sync: Int64  #: counters of the threads, see `threads`
    order: Int64  #: rows of the data in the order of the pass
    edges: Int64  #: where each batch starts in `order`, and the end
    rates: Float64  #: learning rate of each step
    costs: Float64  #: cost and penalty of each step
    table: Any = None  #: in compiled code, the table of addresses itself


R = TypeVar("R", bound=Record)
_TYPES = {"int": np.int64, "float": np.float64, "bool": np.bool_}


@cache
def dtype_of(kind: type[Record]) -> np.dtype:
    """The structured dtype of a class of records."""
    fields = [(name, _TYPES[hint]) for name, hint in kind.__annotations__.items()]
    return np.dtype((kind, np.dtype(fields, align=True)))


def new_table(kind: type[R], rows: int) -> NDArray[R]:
    """Records whose integers are NONE."""
    table = np.zeros(rows, dtype_of(kind))
    for name, hint in kind.__annotations__.items():
        if hint == "int":
            table[name] = NONE
    return table


def new_record(kind: type[R]) -> R:
    """A record of zeros."""
    return np.zeros(1, dtype_of(kind))[0]


def copy_record(record: R) -> R:
    """A record with the same values."""
    return np.frombuffer(bytearray(record.tobytes()), record.dtype)[0]  # NumPy takes long to copy by fields


def as_floats(record: Record) -> Float64:
    """The fields of a record of floats as an array that shares its memory.

    >>> results = new_record(Results)
    >>> as_floats(results)[0] = 0.5
    >>> float(results.cost)
    0.5
    """
    return np.asarray(record).reshape(1).view(np.float64)
