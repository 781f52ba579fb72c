"""The second half of a training step: gradients, in blocks that the update uses as soon as they are computed.

Every row of a W belongs to one thread, which computes its gradient, adds the slope of the penalties, updates it and
refreshes its column of the transposed copy. A bias, or the shared weights of a wired connection, belong to one thread.
"""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.column_parallel import own_columns
from clearprop.engine.compiled.ffi import call_multiply_transposed, call_multiply_transposed_sparse, call_part
from clearprop.engine.compiled.pointers import memory_at
from clearprop.engine.compiled.products import column_sums, transpose_block
from clearprop.engine.compiled.records import (
    DENSE,
    FROZEN_BIAS,
    FUSED_WEIGHTS,
    INPUT_LAYER,
    NO_BIAS,
    NONE,
    PLAIN_BIASES,
    PLAIN_WEIGHTS,
    TRAINED_BIAS,
    WIRED,
    Layer,
    Memory,
)
from clearprop.engine.compiled.update import add_squares, clip_values, finish_weights, first_row, store, update

#: How a dense gradient is computed: where it is consumed at once, by rows or by columns of W; or with its norms.
BY_ROWS, BY_COLUMNS, DETAILED = 0, 1, 2
#: A gradient is computed transposed if that takes at most this share of the operations, padding of vectors included.
WORTH_TURNING = 0.75


@inner
def weight_gradient(
    m: Memory, source: Layer, layer: Layer, samples: int, row: int, rows: int, j: int, width: int, g: int, thread: int
) -> None:
    """A^T delta, the gradient of `rows` rows of one panel of W from column j on, into `work` from g on."""
    layout, lanes = m.layout, m.layout.lanes
    units = min(width, layer.units - j)
    is_input = source.index == INPUT_LAYER
    delta = layer.delta + j
    if is_input and layout.is_sparse:
        call_multiply_transposed_sparse(
            m.code.multiply_transposed_sparse, m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, source.a_rows,
            samples, row, rows, m.work, delta, layer.stride, width, m.work, g,
        )  # fmt: skip
    elif not is_input and units * (-(-rows // lanes) * lanes) < WORTH_TURNING * rows * width:
        transposed_gradient(m, source, layer, samples, row, rows, j, width, g, thread)
    else:
        call_multiply_transposed(
            m.code.multiply_transposed, m.X if is_input else m.work, 0, m.offsets, source.a_rows,
            samples, row, rows, m.work, delta, layer.stride, width,
            m.weights, layout.zeros, m.work, g,
        )  # fmt: skip


@inner
def transposed_gradient(
    m: Memory, source: Layer, layer: Layer, samples: int, row: int, rows: int, j: int, width: int, g: int, thread: int
) -> None:
    """The same as (delta^T A)^T, so that vectors lie along the rows of W where the panel has few real columns."""
    layout, lanes, panel = m.layout, m.layout.lanes, m.layout.panel
    units = min(width, layer.units - j)
    block = layout.scratch + (thread + 1) * layout.scratch_size - panel * panel
    for i in range(rows * width if units < width else 0):
        m.work[g + i] = 0.0
    for i in range(0, rows, panel):
        count = min(panel, rows - i)
        padded = -(-count // lanes) * lanes
        call_multiply_transposed(
            m.code.multiply_transposed, m.work, 0, m.offsets, layer.delta_rows, samples, j, units,
            m.work, source.a + row + i, source.stride, padded,
            m.weights, layout.zeros, m.work, block,
        )  # fmt: skip
        transpose_block(m.work, block, units, padded, count, g + i * width, width)


def dense_gradient(table: Any, work: Any, c: int, samples: int, thread: int, threads: int, how: int) -> None:
    """Gradient and update of a thread's part of one dense W, a block of one panel at a time.

    The part is rows of W or, if W is divided BY_COLUMNS, the panels that the thread owns.
    """
    m: Memory = memory_at(table, work)
    layout, connection = m.layout, m.connections[c]
    source, layer = m.layers[connection.source], m.layers[connection.layer]
    inputs, columns, lanes = source.units, layer.padded, layout.lanes
    g = layout.scratch + thread * layout.scratch_size
    block = layout.sparse_block if source.index == INPUT_LAYER and layout.is_sparse else layout.block
    begin, end = first_row(inputs, lanes, thread, threads), first_row(inputs, lanes, thread + 1, threads)
    left, right = 0, columns
    if how == BY_COLUMNS:
        begin, end = 0, inputs
        left, width = own_columns(m, layer, thread, threads)
        right = left + width
    detailed, trainable = how == DETAILED, connection.trainable
    for row in range(begin, end, block):
        rows = min(block, end - row)
        if detailed:
            for r in range(rows):
                m.norms[connection.row_norms + row + r] = 0.0
        for j in range(left, right, layout.panel):
            width = min(layout.panel, columns - j)
            weight_gradient(m, source, layer, samples, row, rows, j, width, g, thread)
            parameters = connection.W + j * inputs + row * width
            if detailed:
                if trainable:
                    finish_weights(m, thread, parameters, g, rows * width)
                units = min(width, layer.units - j)
                add_squares(m.work, g, rows, width, units, m.norms, connection.row_norms + row)
            if trainable and m.options.stores_gradient:
                store(m, parameters, g, rows * width)
            elif trainable:
                kind = PLAIN_WEIGHTS if detailed else FUSED_WEIGHTS
                update(m, thread, kind, parameters, m.work, g, rows * width)
                if connection.W_T != NONE and m.options.max_norm == 0:
                    call_part(m, m.code.refresh_transposed, c, row, rows, j, width)


def wired_gradient(table: Any, work: Any, c: int, samples: int, thread: int, detailed: bool, unused: int) -> None:
    """Gradient and update of the shared weights of one wired connection, by one thread."""
    m: Memory = memory_at(table, work)
    connection, panel = m.connections[c], m.layout.panel
    source, layer = m.layers[connection.source], m.layers[connection.layer]
    inputs, columns, count = source.units, layer.padded, connection.count
    for j in range(0, columns, panel):
        width = min(panel, columns - j)
        weight_gradient(m, source, layer, samples, 0, inputs, j, width, connection.gradient + j * inputs, thread)
    g = connection.gradient + inputs * columns
    for i in range(count):
        m.work[g + i] = 0.0
    for i in range(inputs * columns):
        number = m.patterns[connection.pattern + i]
        if number > 0:
            m.work[g + number - 1] += m.work[connection.gradient + i]
    if connection.trainable:
        finish_weights(m, thread, connection.parameters, g, count)
    if detailed:
        m.norms[connection.row_norms] = 0.0
        add_squares(m.work, g, 1, count, count, m.norms, connection.row_norms)
    if connection.trainable and m.options.stores_gradient:
        store(m, connection.parameters, g, count)
    elif connection.trainable:
        update(m, thread, PLAIN_WEIGHTS, connection.parameters, m.work, g, count)
        if m.options.max_norm == 0:
            call_part(m, m.code.expand, c)


def bias_gradient(table: Any, work: Any, index: int, samples: int, thread: int, detailed: bool, unused: int) -> None:
    """Gradient and update of one bias, by one thread."""
    m: Memory = memory_at(table, work)
    layer = m.layers[index]
    if layer.bias_kind == NO_BIAS or (layer.bias_kind == FROZEN_BIAS and not detailed):
        return
    columns, trainable = layer.padded, layer.bias_kind == TRAINED_BIAS
    g = m.layout.scratch + thread * m.layout.scratch_size
    column_sums(m.work, layer.delta, layer.stride, samples, columns, m.work, g)
    if trainable:
        clip_values(m, g, columns)
    if detailed:
        m.norms[layer.bias_norm] = 0.0
        add_squares(m.work, g, 1, columns, layer.units, m.norms, layer.bias_norm)
    if trainable and m.options.stores_gradient:
        store(m, layer.bias, g, columns)
    elif trainable:
        update(m, thread, PLAIN_BIASES, layer.bias, m.work, g, columns)


@inner
def gradients_and_updates(m: Memory, samples: int, thread: int, threads: int, detailed: bool, by_columns: bool) -> None:
    """Gradient and, unless it is stored first, update of all parameters that belong to a thread."""
    layers = m.layout.layer_count
    for c in range(m.layout.connection_count):
        connection = m.connections[c]
        if not (detailed or connection.trainable):
            continue
        if connection.kind == DENSE:
            split = by_columns and m.layers[connection.layer].by_columns
            how = DETAILED if detailed else BY_COLUMNS if split else BY_ROWS
            call_part(m, m.code.dense_gradient, c, samples, thread, threads, how)
        elif connection.kind == WIRED and c % threads == thread:
            call_part(m, m.code.wired_gradient, c, samples, thread, detailed)
    for index in range(1, layers):
        if (layers - index) % threads == thread:
            call_part(m, m.code.bias_gradient, index, samples, thread, detailed)
