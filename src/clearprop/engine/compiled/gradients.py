"""The second half of a training step: the gradient of some rows of each W, consumed by the update as it is made.

Every row of a W belongs to one thread, which makes its gradient, adds the slope of the penalties, updates it and
refreshes its column of the transposed copy. A bias, or the shared weights of a wired connection, belong to one
thread as a whole.
"""

from __future__ import annotations

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.column_parallel import own_columns
from clearprop.engine.compiled.ffi import call_multiply_transposed, call_part, call_transposed_sparse
from clearprop.engine.compiled.products import column_sums, transpose_block
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer
from clearprop.engine.compiled.update import add_squares, clip_values, finish_weights, first_row, store, update

#: How a dense gradient is made: as it is consumed at once, by rows of W or by its columns; or with its norms.
BY_ROWS, BY_COLUMNS, DETAILED = 0, 1, 2
#: A gradient is made transposed where that takes at most this share of the operations, with the padding of vectors.
WORTH_TURNING = 0.75


@inner
def weight_gradient(m, source, layer, samples, row, rows, j, width, g, thread):
    """A^T delta, the gradient of `rows` rows of one panel of W from column j on, into `work` from g on."""
    numbers = m.numbers
    lanes, units = numbers[at.LANES], min(width, of_layer(m, layer, at.UNITS) - j)
    delta, delta_row = of_layer(m, layer, at.DELTA) + j, of_layer(m, layer, at.STRIDE)
    rows_of_a = of_layer(m, source, at.A_ROWS)
    if source == 0 and numbers[at.SPARSE]:
        call_transposed_sparse(
            numbers[at.TRANSPOSED_SPARSE], m.X, 0, m.X_columns, 0, m.X_starts, 0, m.offsets, rows_of_a,
            samples, row, rows, m.work, delta, delta_row, width, m.work, g,
        )  # fmt: skip
    elif source != 0 and units * (-(-rows // lanes) * lanes) < WORTH_TURNING * rows * width:
        turned_gradient(m, source, layer, samples, row, rows, j, width, g, thread)
    else:
        call_multiply_transposed(
            numbers[at.MULTIPLY_TRANSPOSED], m.X if source == 0 else m.work, 0, m.offsets, rows_of_a,
            samples, row, rows, m.work, delta, delta_row, width // lanes, lanes,
            m.weights, numbers[at.ZEROS], m.work, g,
        )  # fmt: skip


@inner
def turned_gradient(m, source, layer, samples, row, rows, j, width, g, thread):
    """The same as (delta^T A)^T, so that vectors lie along the rows of W where the panel has few real columns."""
    numbers = m.numbers
    lanes, panel, units = numbers[at.LANES], numbers[at.PANEL], min(width, of_layer(m, layer, at.UNITS) - j)
    spare = numbers[at.SCRATCH] + (thread + 1) * numbers[at.SCRATCH_SIZE] - panel * panel
    for i in range(rows * width if units < width else 0):
        m.work[g + i] = 0.0
    for i in range(0, rows, panel):
        piece = min(panel, rows - i)
        vectors = -(-piece // lanes)
        call_multiply_transposed(
            numbers[at.MULTIPLY_TRANSPOSED], m.work, 0, m.offsets, of_layer(m, layer, at.DELTA_ROWS), samples, j, units,
            m.work, of_layer(m, source, at.A) + row + i, of_layer(m, source, at.STRIDE), vectors, lanes,
            m.weights, numbers[at.ZEROS], m.work, spare,
        )  # fmt: skip
        transpose_block(m.work, spare, units, vectors * lanes, piece, g + i * width, width)


def dense_gradient(table, work, c, samples, thread, threads, how):
    """Gradient and update of a thread's part of one dense W, a block of one panel at a time.

    The part is rows of W, or, where it is shared out BY_COLUMNS, the panels that the thread owns.
    """
    m = memory_at(table, work)
    numbers = m.numbers
    source, layer = of_connection(m, c, at.SOURCE), of_connection(m, c, at.LAYER)
    inputs, units, columns = of_layer(m, source, at.UNITS), of_layer(m, layer, at.UNITS), of_layer(m, layer, at.PADDED)
    lanes, panel, block = numbers[at.LANES], numbers[at.PANEL], numbers[at.BLOCK]
    g = numbers[at.SCRATCH] + thread * numbers[at.SCRATCH_SIZE]
    trained, norms = of_connection(m, c, at.TRAINABLE), of_connection(m, c, at.ROW_NORMS)
    detailed = how == DETAILED
    begin, end, left, right = first_row(inputs, lanes, thread, threads), 0, 0, columns
    end = first_row(inputs, lanes, thread + 1, threads)
    if source == 0 and numbers[at.SPARSE]:
        block = numbers[at.SPARSE_BLOCK]
    if how == BY_COLUMNS:
        left, width = own_columns(m, layer, thread, threads)
        begin, end, right = 0, inputs, left + width
    for row in range(begin, end, block):
        rows = min(block, end - row)
        if detailed:
            for r in range(rows):
                m.norms[norms + row + r] = 0.0
        for j in range(left, right, panel):
            width = min(panel, columns - j)
            weight_gradient(m, source, layer, samples, row, rows, j, width, g, thread)
            parameters = of_connection(m, c, at.W) + j * inputs + row * width
            if detailed:
                if trained:
                    finish_weights(m, thread, parameters, g, rows * width)
                add_squares(m.work, g, rows, width, min(width, units - j), m.norms, norms + row)
            if trained and numbers[at.STORED]:
                store(m, parameters, g, rows * width)
            elif trained:
                kind = at.PLAIN_WEIGHTS if detailed else at.FUSED_WEIGHTS
                update(m, thread, kind, parameters, m.work, g, rows * width)
                if of_connection(m, c, at.W_T) != -1 and not numbers[at.BOUNDED]:
                    call_part(m, at.REFRESH, c, row, rows, j, width)


def wired_gradient(table, work, c, samples, thread, detailed, unused):
    """Gradient and update of the shared weights of one wired connection, by one thread."""
    m = memory_at(table, work)
    numbers = m.numbers
    source, layer = of_connection(m, c, at.SOURCE), of_connection(m, c, at.LAYER)
    inputs, columns = of_layer(m, source, at.UNITS), of_layer(m, layer, at.PADDED)
    panel = numbers[at.PANEL]
    full = of_connection(m, c, at.FULL)
    for j in range(0, columns, panel):
        width = min(panel, columns - j)
        weight_gradient(m, source, layer, samples, 0, inputs, j, width, full + j * inputs, thread)
    g, count = full + inputs * columns, of_connection(m, c, at.COUNT)
    for i in range(count):
        m.work[g + i] = 0.0
    for i in range(inputs * columns):
        number = m.patterns[of_connection(m, c, at.PATTERN) + i]
        if number > 0:
            m.work[g + number - 1] += m.work[full + i]
    trained, parameters, norms = (
        of_connection(m, c, at.TRAINABLE),
        of_connection(m, c, at.PARAMETERS),
        of_connection(m, c, at.ROW_NORMS),
    )
    if trained:
        finish_weights(m, thread, parameters, g, count)
    if detailed:
        m.norms[norms] = 0.0
        add_squares(m.work, g, 1, count, count, m.norms, norms)
    if trained and numbers[at.STORED]:
        store(m, parameters, g, count)
    elif trained:
        update(m, thread, at.PLAIN_WEIGHTS, parameters, m.work, g, count)
        if not numbers[at.BOUNDED]:
            call_part(m, at.EXPAND, c)


def bias_gradient(table, work, layer, samples, thread, detailed, unused):
    """Gradient and update of one bias, by one thread."""
    m = memory_at(table, work)
    numbers = m.numbers
    kind = of_layer(m, layer, at.BIAS_KIND)
    if kind == at.NO_BIAS or (kind == at.FROZEN_BIAS and not detailed):
        return
    bias, columns, units = of_layer(m, layer, at.BIAS), of_layer(m, layer, at.PADDED), of_layer(m, layer, at.UNITS)
    g = numbers[at.SCRATCH] + thread * numbers[at.SCRATCH_SIZE]
    column_sums(m.work, of_layer(m, layer, at.DELTA), of_layer(m, layer, at.STRIDE), samples, columns, m.work, g)
    if kind == at.TRAINED_BIAS:
        clip_values(m, g, columns)
    if detailed:
        m.norms[of_layer(m, layer, at.NORM)] = 0.0
        add_squares(m.work, g, 1, columns, units, m.norms, of_layer(m, layer, at.NORM))
    if kind == at.TRAINED_BIAS:
        if numbers[at.STORED]:
            store(m, bias, g, columns)
        else:
            update(m, thread, at.PLAIN_BIASES, bias, m.work, g, columns)


@inner
def gradients_and_updates(m, samples, thread, threads, detailed, by_layer):
    """Gradient and, unless it has to be stored first, update of everything that belongs to a thread."""
    for c in range(m.numbers[at.CONNECTION_COUNT]):
        if of_connection(m, c, at.KIND) == at.DENSE:
            if detailed or of_connection(m, c, at.TRAINABLE):
                split = by_layer and of_layer(m, of_connection(m, c, at.LAYER), at.SPLIT) == 1
                how = DETAILED if detailed else BY_COLUMNS if split else BY_ROWS
                call_part(m, at.DENSE_GRADIENT, c, samples, thread, threads, how)
        elif of_connection(m, c, at.KIND) == at.WIRED:
            wanted = detailed or of_connection(m, c, at.TRAINABLE)
            if wanted and c % threads == thread:
                call_part(m, at.WIRED_GRADIENT, c, samples, thread, detailed)
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        if (m.numbers[at.LAYER_COUNT] - layer) % threads == thread:
            call_part(m, at.BIAS_GRADIENT, layer, samples, thread, detailed)
