"""The first half of a training step: forward sweep, loss and backward sweep over some rows of the batch.

Rows are independent of each other, so each thread can sweep its own; `column_parallel` divides columns as well. The
functions for one layer take a region of it: `rows` rows of the batch from `first` on, and `width` columns from
`column` on (whole panels of W, the last one with its padding).
"""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.dropout import fill_mask
from clearprop.engine.compiled.ffi import (
    call_add_rows,
    call_add_rows_sparse,
    call_forward,
    call_loss,
    call_multiply,
    call_multiply_sparse,
    call_pullback,
)
from clearprop.engine.compiled.pointers import memory_at
from clearprop.engine.compiled.records import (
    EVALUATE,
    IDENTITY,
    INPUT_LAYER,
    NO_ERROR,
    NONE,
    TRAIN,
    WRITE_ERROR,
    Connection,
    Layer,
    Memory,
)

#: Rows that are swept at once, so that their activations are still in the cache in the backward sweep.
ROWS_AT_ONCE = 96


@inner
def multiply_rows(work: Any, to: int, source: int, factor: int, rows: int, units: int, stride: int) -> None:
    """work[to] = work[source] * work[factor], elementwise."""
    for r in range(rows):
        line = r * stride
        for j in range(units):
            work[to + line + j] = work[source + line + j] * work[factor + line + j]


@inner
def real_columns(layer: Layer, column: int, width: int) -> int:
    """Number of columns of a region that are units, not padding."""
    return min(width, layer.units - column)


@inner
def weighted_sum(m: Memory, layer: Layer, first: int, rows: int, column: int, width: int) -> None:
    """z = b + sum over sources of a W: the first connection starts with b, each other one adds to z."""
    layout, code, stride = m.layout, m.code, layer.stride
    z = layer.z + first * stride + column
    for c in range(layer.first_connection, layer.end_connection):
        connection = m.connections[c]
        source = m.layers[connection.source]
        is_first, is_input = c == layer.first_connection, connection.source == INPUT_LAYER
        a = m.X if is_input else m.work
        rows_of_a = source.a_rows + first
        start, start_at, start_row = (m.weights, layer.bias + column, 0) if is_first else (m.work, z, stride)
        if is_input and layout.is_sparse and connection.kind == IDENTITY:
            call_add_rows_sparse(
                code.add_rows_sparse, m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, rows_of_a,
                rows, layer.units, start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        elif is_input and layout.is_sparse:
            call_multiply_sparse(
                code.multiply_sparse, m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, rows_of_a,
                rows, source.units, m.weights, connection.W + column * source.units,
                width, start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        elif connection.kind == IDENTITY:
            call_add_rows(
                code.add_rows, a, column, m.offsets, rows_of_a, rows, real_columns(layer, column, width),
                start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        else:
            call_multiply(
                connection.product if is_first and rows >= layout.lanes else code.multiply,
                a, 0, m.offsets, rows_of_a, rows, source.units,
                m.weights, connection.W + column * source.units, width,
                start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip


@inner
def activate(m: Memory, layer: Layer, begin: int, first: int, rows: int, column: int, width: int, epoch: int) -> None:
    """a = f(z), times the dropout mask where there is one."""
    units, stride = real_columns(layer, column, width), layer.stride
    start = first * stride + column
    z, f, a = layer.z + start, layer.f + start, layer.a + start
    if layer.forward != NONE:
        call_forward(layer.forward, m.work, z, m.work, f, rows, units, stride)
    if layer.mask != NONE:
        mask = layer.mask + start
        dropout = layer.dropout if m.options.purpose == TRAIN else 0.0
        key = m.keys[epoch * m.layout.layer_count + layer.index]
        fill_mask(m, mask, stride, begin + first, rows, column, units, key, dropout)
        multiply_rows(m.work, a, f, mask, rows, units, stride)


@inner
def forward(m: Memory, begin: int, first: int, rows: int, epoch: int) -> None:
    """z and a of each layer, from the input to the outputs."""
    for index in range(1, m.layout.layer_count):
        layer = m.layers[index]
        weighted_sum(m, layer, first, rows, 0, layer.padded)
        activate(m, layer, begin, first, rows, 0, layer.padded, epoch)


@inner
def are_finite(numbers: Any, count: int) -> bool:
    """Whether the first `count` numbers are finite; without a branch in the loop, so that it vectorizes."""
    bad = False
    for i in range(count):
        bad |= numbers[i] - numbers[i] != 0
    return not bad


@inner
def losses(m: Memory, begin: int, first: int, rows: int) -> None:
    """Weighted loss of each row, and delta of each output layer."""
    for n in range(rows):
        m.values[first + n] = 0.0
    for index in range(1, m.layout.layer_count):
        layer = m.layers[index]
        if not layer.is_output:
            continue
        stride, width, y_start = layer.stride, layer.y_width, layer.y_start
        start = first * stride
        y, y_index = 0, 0
        if width == 0:
            y_index = layer.y + first
            for n in range(rows):
                m.batch_indices[y_index + n] = m.indices[y_start + m.order[begin + first + n]]
        else:
            y = layer.y + start
            for n in range(rows):
                row = y_start + m.order[begin + first + n] * width
                for j in range(width):
                    m.work[y + n * stride + j] = m.y[row + j]
        delta = layer.delta if layer.loss_delta == NONE else layer.loss_delta
        call_loss(
            layer.loss,
            m.work, layer.z + start, m.work, layer.f + start, m.work, y,
            m.batch_indices, y_index, m.work, m.layout.sample_weights + first,
            m.work, delta + start, m.values, first, rows, layer.units, stride,
        )  # fmt: skip


@inner
def copy_outputs(m: Memory, begin: int, first: int, rows: int) -> None:
    """Copy the outputs of these rows to `answers`."""
    for index in range(1, m.layout.layer_count):
        layer = m.layers[index]
        if not layer.is_output:
            continue
        units, stride = layer.units, layer.stride
        for n in range(first, first + rows):
            line = layer.f + n * stride
            to = layer.answer + m.order[begin + n] * units
            for j in range(units):
                m.answers[to + j] = m.work[line + j]


@inner
def send_error(m: Memory, connection: Connection, first: int, rows: int, column: int, width: int) -> None:
    """The error signal delta W^T of a connection's source, for a region of the source: written, or added."""
    layout, source, layer = m.layout, m.layers[connection.source], m.layers[connection.layer]
    stride = source.stride
    error = source.delta + first * stride + column
    rows_of_delta = layer.delta_rows + first
    writes = connection.error == WRITE_ERROR
    start, start_at, start_row = (m.weights, layout.zeros, 0) if writes else (m.work, error, stride)
    if connection.kind == IDENTITY:
        call_add_rows(
            m.code.add_rows, m.work, column, m.offsets, rows_of_delta, rows, real_columns(source, column, width),
            start, start_at, start_row, m.work, error, stride,
        )  # fmt: skip
    else:
        call_multiply(
            m.code.multiply, m.work, 0, m.offsets, rows_of_delta, rows, layer.units,
            m.weights, connection.W_T + column * layer.units, width,
            start, start_at, start_row, m.work, error, stride,
        )  # fmt: skip


@inner
def finish_delta(m: Memory, layer: Layer, first: int, rows: int, column: int, width: int) -> None:
    """Delta of a layer from the error signal that its targets sent, plus that of its loss where it is an output too."""
    if not layer.is_source:
        return
    units, stride = real_columns(layer, column, width), layer.stride
    start = first * stride + column
    delta = layer.delta + start
    if layer.mask != NONE:
        multiply_rows(m.work, delta, delta, layer.mask + start, rows, units, stride)
    if layer.pullback != NONE:
        z, f = layer.z + start, layer.f + start
        call_pullback(layer.pullback, m.work, z, m.work, f, m.work, delta, rows, units, stride)
    if layer.loss_delta != NONE:
        of_loss = layer.loss_delta - layer.delta + column
        call_add_rows(
            m.code.add_rows, m.work, of_loss, m.offsets, layer.delta_rows + first, rows, units,
            m.work, delta, stride, m.work, delta, stride,
        )  # fmt: skip


@inner
def backward(m: Memory, first: int, rows: int) -> None:
    """Delta of each layer, from the outputs to the input; each layer sends its sources their error signal."""
    for index in range(m.layout.layer_count - 1, 0, -1):
        layer = m.layers[index]
        finish_delta(m, layer, first, rows, 0, layer.padded)
        for c in range(layer.first_connection, layer.end_connection):
            connection = m.connections[c]
            if connection.error != NO_ERROR:
                send_error(m, connection, first, rows, 0, m.layers[connection.source].padded)


@inner
def total_weight(m: Memory, begin: int, end: int) -> float:
    """Sum of the sample weights of a batch."""
    if not m.options.is_weighted:
        return float(end - begin)
    total = 0.0
    for n in range(begin, end):
        total += float(m.sample_weight[m.order[n]])
    return total


@inner
def locate_rows(m: Memory, begin: int, end: int, first: int, last: int) -> None:
    """Where the rows `first` to `last` of the batch lie in X, and the weight of each one's loss."""
    weights, stride, is_weighted = m.layout.sample_weights, m.layout.x_stride, m.options.is_weighted
    total = total_weight(m, begin, end) if m.options.is_mean else 0.0
    share = 1.0 / total if total != 0 else 1.0
    for n in range(first, last):
        row = m.order[begin + n]
        m.offsets[n] = row * stride
        if is_weighted:
            weight = m.sample_weight[row]
            m.work[weights + n] = weight / total if total != 0 else weight
        else:
            m.work[weights + n] = share


def sweep(table: Any, work: Any, begin: int, end: int, first: int, last: int, epoch: int) -> None:
    """Both sweeps over the rows `first` to `last` of the batch order[begin:end]."""
    m: Memory = memory_at(table, work)
    locate_rows(m, begin, end, first, last)
    for start in range(first, last, ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, last - start)
        forward(m, begin, start, rows, epoch)
        losses(m, begin, start, rows)
        if m.options.purpose != EVALUATE:
            backward(m, start, rows)
        elif m.options.with_answers:
            copy_outputs(m, begin, start, rows)
