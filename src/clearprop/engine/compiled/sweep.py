"""The first half of a training step: forward sweep, loss and backward sweep over some rows of the batch.

Rows do not depend on each other, so each thread can sweep its own; `layered` shares out columns of layers as well.
What is done for one layer takes a region of it: rows of the batch from `first` on, and `width` columns from `column` on
(whole panels of W, the last one with its padding).
"""

from __future__ import annotations

from clearprop.engine.compiled import records as at
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
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer

#: Rows that go through the whole network at once, so that what they leave is still in the cache on the way back.
ROWS_AT_ONCE = 96


@inner
def scale_rows(work, to, source, factor, rows, units, stride):
    """work[to] = work[source] * work[factor], elementwise."""
    for r in range(rows):
        line = r * stride
        for j in range(units):
            work[to + line + j] = work[source + line + j] * work[factor + line + j]


@inner
def real_columns(m, layer, column, width):
    """How many columns of a region are units, not padding."""
    return min(width, of_layer(m, layer, at.UNITS) - column)


@inner
def weighted_sum(m, layer, first, rows, column, width):
    """z = b + sum over sources of a W, each connection onto what the ones before it left."""
    numbers = m.numbers
    stride = of_layer(m, layer, at.STRIDE)
    z = of_layer(m, layer, at.Z) + first * stride + column
    fresh = True
    for c in range(of_layer(m, layer, at.FIRST), of_layer(m, layer, at.LAST)):
        source = of_connection(m, c, at.SOURCE)
        a = m.X if source == 0 else m.work
        rows_of_a = of_layer(m, source, at.A_ROWS) + first
        start, start_at = (m.weights, of_layer(m, layer, at.BIAS) + column) if fresh else (m.work, z)
        start_row = 0 if fresh else stride
        identity, inputs = of_connection(m, c, at.KIND) == at.IDENTITY, of_layer(m, source, at.UNITS)
        if source == 0 and numbers[at.SPARSE] and identity:
            call_add_rows_sparse(
                numbers[at.ADD_ROWS_SPARSE], m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, rows_of_a,
                rows, of_layer(m, layer, at.UNITS), start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        elif source == 0 and numbers[at.SPARSE]:
            call_multiply_sparse(
                numbers[at.MULTIPLY_SPARSE], m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, rows_of_a,
                rows, inputs, m.weights, of_connection(m, c, at.W) + column * inputs,
                width, numbers[at.PANEL], start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        elif identity:
            call_add_rows(
                numbers[at.ADD_ROWS], a, column, m.offsets, rows_of_a, rows, real_columns(m, layer, column, width),
                start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        else:
            narrow = fresh and rows >= numbers[at.LANES]
            call_multiply(
                of_connection(m, c, at.PRODUCT) if narrow else numbers[at.MULTIPLY],
                a, 0, m.offsets, rows_of_a, rows, inputs,
                m.weights, of_connection(m, c, at.W) + column * inputs, width,
                numbers[at.LANES], numbers[at.PANEL],
                start, start_at, start_row, m.work, z, stride,
            )  # fmt: skip
        fresh = False


@inner
def activate(m, layer, begin, first, rows, column, width, epoch):
    """a = f(z), under the mask of dropout where there is one."""
    units, stride = real_columns(m, layer, column, width), of_layer(m, layer, at.STRIDE)
    here = first * stride + column
    z, f, a = of_layer(m, layer, at.Z) + here, of_layer(m, layer, at.F) + here, of_layer(m, layer, at.A) + here
    if of_layer(m, layer, at.FORWARD) != -1:
        call_forward(of_layer(m, layer, at.FORWARD), m.work, z, m.work, f, rows, units, stride)
    if of_layer(m, layer, at.MASK) != -1:
        mask = of_layer(m, layer, at.MASK) + here
        rate, key = m.reals[at.DROPOUT + layer], m.keys[epoch * m.numbers[at.LAYER_COUNT] + layer]
        fill_mask(m, mask, stride, begin + first, rows, column, units, key, rate)
        scale_rows(m.work, a, f, mask, rows, units, stride)


@inner
def forward(m, begin, first, rows, epoch):
    """z and a of each layer, from the input to the outputs."""
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        weighted_sum(m, layer, first, rows, 0, of_layer(m, layer, at.PADDED))
        activate(m, layer, begin, first, rows, 0, of_layer(m, layer, at.PADDED), epoch)


@inner
def are_finite(numbers, start, count):
    """Whether a run of numbers is finite; without a branch in the loop, so that it goes by vectors."""
    bad = False
    for i in range(start, start + count):
        bad |= numbers[i] - numbers[i] != 0
    return not bad


@inner
def losses(m, begin, first, rows):
    """Weighted loss of each row, and delta of each output layer."""
    for n in range(rows):
        m.values[first + n] = 0.0
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        if of_layer(m, layer, at.OUTPUT) == -1:
            continue
        units, stride = of_layer(m, layer, at.UNITS), of_layer(m, layer, at.STRIDE)
        here = first * stride
        width, start = of_layer(m, layer, at.Y_WIDTH), of_layer(m, layer, at.Y_START)
        y, chosen = 0, 0
        if width == 0:
            chosen = of_layer(m, layer, at.Y) + first
            for n in range(rows):
                m.batch_indices[chosen + n] = m.indices[start + m.order[begin + first + n]]
        else:
            y = of_layer(m, layer, at.Y) + here
            for n in range(rows):
                row = start + m.order[begin + first + n] * width
                for j in range(width):
                    m.work[y + n * stride + j] = m.y[row + j]
        delta = of_layer(m, layer, at.LOSS_DELTA)
        call_loss(
            of_layer(m, layer, at.LOSS),
            m.work, of_layer(m, layer, at.Z) + here, m.work, of_layer(m, layer, at.F) + here, m.work, y,
            m.batch_indices, chosen, m.work, m.numbers[at.WEIGHT_ROWS] + first,
            m.work, (of_layer(m, layer, at.DELTA) if delta == -1 else delta) + here,
            m.values, first, rows, units, stride,
        )  # fmt: skip


@inner
def write_answers(m, begin, first, rows):
    """The outputs of these rows, where the caller wants them."""
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        if of_layer(m, layer, at.OUTPUT) == -1:
            continue
        units, stride = of_layer(m, layer, at.UNITS), of_layer(m, layer, at.STRIDE)
        for n in range(first, first + rows):
            line = of_layer(m, layer, at.F) + n * stride
            to = of_layer(m, layer, at.ANSWER) + m.order[begin + n] * units
            for j in range(units):
                m.answers[to + j] = m.work[line + j]


@inner
def send_back(m, c, first, rows, column, width):
    """The error signal of one connection's source, for a region of it: delta W^T, written or added."""
    numbers = m.numbers
    source, layer = of_connection(m, c, at.SOURCE), of_connection(m, c, at.LAYER)
    fresh = of_connection(m, c, at.SEND) == at.SEND_FIRST
    stride = of_layer(m, source, at.STRIDE)
    error = of_layer(m, source, at.DELTA) + first * stride + column
    rows_of_delta = of_layer(m, layer, at.DELTA_ROWS) + first
    start, start_at, start_row = (m.weights, numbers[at.ZEROS], 0) if fresh else (m.work, error, stride)
    if of_connection(m, c, at.KIND) == at.IDENTITY:
        call_add_rows(
            numbers[at.ADD_ROWS], m.work, column, m.offsets,
            rows_of_delta, rows, real_columns(m, source, column, width),
            start, start_at, start_row, m.work, error, stride,
        )  # fmt: skip
    else:
        units = of_layer(m, layer, at.UNITS)
        call_multiply(
            numbers[at.MULTIPLY], m.work, 0, m.offsets, rows_of_delta, rows, units,
            m.weights, of_connection(m, c, at.W_T) + column * units, width,
            numbers[at.LANES], numbers[at.PANEL],
            start, start_at, start_row, m.work, error, stride,
        )  # fmt: skip


@inner
def finish_delta(m, layer, first, rows, column, width):
    """Delta of a layer from the error signal that its targets sent, and from its loss where it is an output as well."""
    if not of_layer(m, layer, at.TARGETS):
        return
    units, stride = real_columns(m, layer, column, width), of_layer(m, layer, at.STRIDE)
    here = first * stride + column
    delta = of_layer(m, layer, at.DELTA) + here
    if of_layer(m, layer, at.MASK) != -1:
        scale_rows(m.work, delta, delta, of_layer(m, layer, at.MASK) + here, rows, units, stride)
    if of_layer(m, layer, at.PULLBACK) != -1:
        z, f = of_layer(m, layer, at.Z) + here, of_layer(m, layer, at.F) + here
        call_pullback(of_layer(m, layer, at.PULLBACK), m.work, z, m.work, f, m.work, delta, rows, units, stride)
    if of_layer(m, layer, at.LOSS_DELTA) != -1:
        more = of_layer(m, layer, at.LOSS_DELTA) - of_layer(m, layer, at.DELTA) + column
        call_add_rows(
            m.numbers[at.ADD_ROWS], m.work, more,
            m.offsets, of_layer(m, layer, at.DELTA_ROWS) + first, rows, units,
            m.work, delta, stride, m.work, delta, stride,
        )  # fmt: skip


@inner
def backward(m, first, rows):
    """Delta of each layer, from the outputs to the input; each gives its sources their error signal."""
    for layer in range(m.numbers[at.LAYER_COUNT] - 1, 0, -1):
        finish_delta(m, layer, first, rows, 0, of_layer(m, layer, at.PADDED))
        for c in range(of_layer(m, layer, at.FIRST), of_layer(m, layer, at.LAST)):
            if of_connection(m, c, at.SEND) != at.SEND_NOTHING:
                send_back(m, c, first, rows, 0, of_layer(m, of_connection(m, c, at.SOURCE), at.PADDED))


@inner
def total_weight(m, begin, end):
    """Sum of the sample weights of a batch."""
    if m.numbers[at.WEIGHTED] == 0:
        return float(end - begin)
    total = 0.0
    for n in range(begin, end):
        total += m.sample_weight[m.order[n]]
    return total


@inner
def look_up_rows(m, begin, end, first, last):
    """Where rows of the batch lie in X, and what their losses weigh."""
    weight_rows = m.numbers[at.WEIGHT_ROWS]
    total = total_weight(m, begin, end) if m.numbers[at.MEAN] else 0.0
    share = 1.0 / total if total != 0 else 1.0
    for n in range(first, last):
        row = m.order[begin + n]
        m.offsets[n] = row * m.numbers[at.X_STRIDE]
        if m.numbers[at.WEIGHTED]:
            weight = m.sample_weight[row]
            m.work[weight_rows + n] = weight / total if total != 0 else weight
        else:
            m.work[weight_rows + n] = share


def sweep(table, work, begin, end, first, last, epoch):
    """Both sweeps over the rows `first` to `last` of the batch order[begin:end]."""
    m = memory_at(table, work)
    look_up_rows(m, begin, end, first, last)
    for start in range(first, last, ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, last - start)
        forward(m, begin, start, rows, epoch)
        losses(m, begin, start, rows)
        if m.numbers[at.PURPOSE] != at.EVALUATE:
            backward(m, start, rows)
        elif m.numbers[at.ANSWERED]:
            write_answers(m, begin, start, rows)
