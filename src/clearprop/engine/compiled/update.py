"""The second half of a training step: the gradient of some rows of each W, consumed by the update as it is made.

Every row of a W belongs to one thread, which makes its gradient, adds the slope of the penalties, updates it and
refreshes its column of the transposed copy. A bias, or the shared weights of a wired connection, belong to one
thread as a whole.
"""

from __future__ import annotations

from clearprop.engine.compiled import memory as at
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.calls import (
    call_multiply_transposed,
    call_part,
    call_prepare,
    call_slope,
    call_transposed_sparse,
    call_update,
    call_value,
)
from clearprop.engine.compiled.layered import own_columns
from clearprop.engine.compiled.memory import memory_at, of_connection, of_layer
from clearprop.engine.compiled.products import column_sums, transpose_block
from clearprop.engine.compiled.rows import total_weight

#: How a dense gradient is made: as it is consumed at once, by rows of W or by its columns; or with its norms.
BY_ROWS, BY_COLUMNS, DETAILED = 0, 1, 2
#: A gradient is made transposed where that takes at most this share of the operations, with the padding of vectors.
WORTH_TURNING = 0.75


@inner
def first_row(units, lanes, thread, threads):
    """Where a thread's share of the rows of W starts: a whole number of vectors."""
    return min(units, (-(-units // lanes)) * thread // threads * lanes)


def prepare(table, work, thread, step, begin, end, unused):
    """What the update rule needs once per step, for the weights and for the biases."""
    m = memory_at(table, work)
    rate, t = m.rates[step], m.numbers[at.STEPS_DONE] + step + 1
    place = thread * at.SCALAR_SETS * at.SCALARS
    ridge = m.reals[at.ALPHA]
    if ridge and m.numbers[at.MEAN]:
        weight = total_weight(m, begin, end)
        ridge = ridge / weight if weight > 0 else 0.0
    m.scalars[place + at.RIDGE] = ridge
    shrink = rate * m.reals[at.DECAY]
    numbers = m.numbers
    call_prepare(numbers[at.PREPARE], rate, t, shrink, ridge, m.scalars, place + at.FUSED_WEIGHTS * at.SCALARS)
    call_prepare(numbers[at.PREPARE_PLAIN], rate, t, shrink, 0.0, m.scalars, place + at.PLAIN_WEIGHTS * at.SCALARS)
    call_prepare(numbers[at.PREPARE_PLAIN], rate, t, 0.0, 0.0, m.scalars, place + at.PLAIN_BIASES * at.SCALARS)


@inner
def update(m, thread, kind, parameters, g, g_at, count):
    """Update a run of parameters whose gradient lies at g_at."""
    scalars = (thread * at.SCALAR_SETS + kind) * at.SCALARS
    kernel = m.numbers[at.UPDATE if kind == at.FUSED_WEIGHTS else at.UPDATE_PLAIN]
    call_update(
        kernel, m.weights, parameters, g, g_at, m.slot0, parameters, m.slot1, parameters, count, m.scalars, scalars
    )


@inner
def clip_values(m, g_at, count):
    """Cut a run of the gradient to +-clip_value."""
    bound = m.reals[at.CLIP_VALUE]
    if bound > 0:
        for i in range(g_at, g_at + count):
            m.work[i] = min(max(m.work[i], -bound), bound)


@inner
def finish_weights(m, thread, parameters, g_at, count):
    """Slope of the penalties, then the cut, for a run of trained weights."""
    if m.numbers[at.SLOPE] != -1:
        call_slope(m.numbers[at.SLOPE], m.weights, parameters, m.work, g_at, count)
    ridge = m.scalars[thread * at.SCALAR_SETS * at.SCALARS + at.RIDGE]
    if ridge:
        for i in range(count):
            m.work[g_at + i] += ridge * m.weights[parameters + i]
    clip_values(m, g_at, count)


@inner
def add_squares(work, g_at, rows, width, columns, norms, place):
    """Add the squares of each row of a block to its norm."""
    for r in range(rows):
        total = 0.0
        for j in range(columns):
            g = float(work[g_at + r * width + j])
            total += g * g
        norms[place + r] += total


@inner
def store(m, parameters, g_at, count):
    """Keep a run of the gradient for later; that of the whole set is added up."""
    for i in range(count):
        before = m.gradients[parameters + i] if m.numbers[at.PURPOSE] == at.DIFFERENTIATE else 0
        m.gradients[parameters + i] = before + m.work[g_at + i]


def refresh_transposed(table, work, c, row, rows, column, width):
    """Bring the transposed copy up to date with a block of W."""
    m = memory_at(table, work)
    panel, lanes = m.numbers[at.PANEL], m.numbers[at.LANES]
    source, layer = of_connection(m, c, at.SOURCE), of_connection(m, c, at.LAYER)
    inputs, units = of_layer(m, source, at.UNITS), of_layer(m, layer, at.UNITS)
    columns = min(width, units - column)
    block = of_connection(m, c, at.W) + column * inputs + row * width
    done = 0
    while done < rows:
        start = (row + done) // panel * panel  # of the panel of W_T that holds this row of W as a column
        wide = min(panel, -(-inputs // lanes) * lanes - start)
        piece = min(rows - done, start + wide - row - done)
        to = of_connection(m, c, at.W_T) + start * units + column * wide + row + done - start
        transpose_block(m.weights, block + done * width, piece, width, columns, to, wide)
        done += piece


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


def expand(table, work, c, unused1, unused2, unused3, unused4):
    """W in panels, and its transposed copy, from the shared weights of a wired connection."""
    m = memory_at(table, work)
    panel = m.numbers[at.PANEL]
    source, layer = of_connection(m, c, at.SOURCE), of_connection(m, c, at.LAYER)
    inputs, columns = of_layer(m, source, at.UNITS), of_layer(m, layer, at.PADDED)
    W, pattern, shared = of_connection(m, c, at.W), of_connection(m, c, at.PATTERN), of_connection(m, c, at.PARAMETERS)
    for i in range(inputs * columns):
        number = m.patterns[pattern + i]
        m.weights[W + i] = m.weights[shared + number - 1] if number > 0 else 0.0
    if of_connection(m, c, at.W_T) != -1:
        for j in range(0, columns, panel):
            call_part(m, at.REFRESH, c, 0, inputs, j, min(panel, columns - j))


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


@inner
def sum_weights(m, value, total):
    """A sum over all trained weights, padding left out, into results[total]."""
    panel = m.numbers[at.PANEL]
    m.results[total] = 0.0
    for c in range(m.numbers[at.CONNECTION_COUNT]):
        if not of_connection(m, c, at.TRAINABLE):
            continue
        place = of_connection(m, c, at.PARAMETERS)
        if of_connection(m, c, at.KIND) == at.WIRED:
            call_value(value, m.weights, place, of_connection(m, c, at.COUNT), m.results, total)
            continue
        inputs, units = (
            of_layer(m, of_connection(m, c, at.SOURCE), at.UNITS),
            of_layer(m, of_connection(m, c, at.LAYER), at.UNITS),
        )
        whole = units // panel * panel
        call_value(value, m.weights, place, inputs * whole, m.results, total)
        width = of_layer(m, of_connection(m, c, at.LAYER), at.PADDED) - whole
        for r in range(inputs if whole < units else 0):
            call_value(value, m.weights, place + inputs * whole + r * width, units - whole, m.results, total)


def add_penalty(table, work, unused1, unused2, unused3, unused4, unused5):
    """The penalties of the weights as they are before a step."""
    m = memory_at(table, work)
    value, half_square = m.numbers[at.VALUE], m.numbers[at.HALF_SQUARE]
    m.results[at.STEP_PENALTY] = 0.0
    if value != -1:
        sum_weights(m, value, at.STEP_PENALTY)
    if half_square != -1:
        sum_weights(m, half_square, at.HALF_SQUARES)
        m.results[at.STEP_PENALTY] += m.scalars[at.RIDGE] * m.results[at.HALF_SQUARES]


@inner
def squared_norm(m, layer, trained_only):
    """Squared norm of the gradient of one layer: the rows of its W, then its b."""
    total = 0.0
    for c in range(of_layer(m, layer, at.FIRST), of_layer(m, layer, at.LAST)):
        if of_connection(m, c, at.KIND) != at.IDENTITY and (of_connection(m, c, at.TRAINABLE) or not trained_only):
            place = of_connection(m, c, at.ROW_NORMS)
            for r in range(of_connection(m, c, at.NORM_COUNT)):
                total += m.norms[place + r]
    kind = of_layer(m, layer, at.BIAS_KIND)
    if kind == at.TRAINED_BIAS or (kind == at.FROZEN_BIAS and not trained_only):
        total += m.norms[of_layer(m, layer, at.NORM)]
    return total


@inner
def clip_factor(m):
    """What the stored gradient is multiplied by, so that its norm is at most clip_norm."""
    total = 0.0
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        total += squared_norm(m, layer, True)
    norm = total**0.5
    return m.reals[at.CLIP_NORM] / norm if norm > m.reals[at.CLIP_NORM] else 1.0


@inner
def apply_run(m, thread, kind, parameters, count, factor):
    """Update a run from the stored gradient."""
    for i in range(parameters, parameters + count):
        m.gradients[i] *= factor
    update(m, thread, kind, parameters, m.gradients, parameters, count)


def apply_stored(table, work, thread, threads, unused1, unused2, unused3):
    """Update everything that belongs to a thread from the stored gradient."""
    m = memory_at(table, work)
    numbers = m.numbers
    factor = clip_factor(m)
    if thread == 0:
        m.results[at.FACTOR] = factor
    for c in range(m.numbers[at.CONNECTION_COUNT]):
        if not of_connection(m, c, at.TRAINABLE):
            continue
        if of_connection(m, c, at.KIND) == at.WIRED:
            if c % threads == thread:
                apply_run(
                    m,
                    thread,
                    at.PLAIN_WEIGHTS,
                    of_connection(m, c, at.PARAMETERS),
                    of_connection(m, c, at.COUNT),
                    factor,
                )
                call_part(m, at.EXPAND, c)
            continue
        inputs, columns = (
            of_layer(m, of_connection(m, c, at.SOURCE), at.UNITS),
            of_layer(m, of_connection(m, c, at.LAYER), at.PADDED),
        )
        row = first_row(inputs, numbers[at.LANES], thread, threads)
        rows = first_row(inputs, numbers[at.LANES], thread + 1, threads) - row
        for j in range(0, columns, numbers[at.PANEL]):
            width = min(numbers[at.PANEL], columns - j)
            parameters = of_connection(m, c, at.W) + j * inputs + row * width
            apply_run(m, thread, at.PLAIN_WEIGHTS, parameters, rows * width, factor)
            if of_connection(m, c, at.W_T) != -1:
                call_part(m, at.REFRESH, c, row, rows, j, width)
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        if (m.numbers[at.LAYER_COUNT] - layer) % threads == thread and of_layer(
            m, layer, at.BIAS_KIND
        ) == at.TRAINED_BIAS:
            apply_run(m, thread, at.PLAIN_BIASES, of_layer(m, layer, at.BIAS), of_layer(m, layer, at.PADDED), factor)


@inner
def bound_columns(m, place, rows, width, columns):
    """Scale the columns of a contiguous block down to the norm max_norm."""
    most = m.reals[at.MAX_NORM]
    for j in range(columns):
        total = 0.0
        for r in range(rows):
            w = float(m.weights[place + r * width + j])
            total += w * w
        norm = total**0.5
        if norm > most:
            for r in range(rows):
                m.weights[place + r * width + j] *= most / norm


def bound_weights(table, work, thread, threads, unused1, unused2, unused3):
    """Keep the weights into each unit from one source within max_norm; the panels are shared out to the threads."""
    m = memory_at(table, work)
    panel = m.numbers[at.PANEL]
    turn = 0
    for c in range(m.numbers[at.CONNECTION_COUNT]):
        if not of_connection(m, c, at.TRAINABLE):
            continue
        if of_connection(m, c, at.KIND) == at.WIRED:
            if turn % threads == thread:
                bound_columns(m, of_connection(m, c, at.PARAMETERS), of_connection(m, c, at.COUNT), 1, 1)
                call_part(m, at.EXPAND, c)
            turn += 1
            continue
        inputs, columns = (
            of_layer(m, of_connection(m, c, at.SOURCE), at.UNITS),
            of_layer(m, of_connection(m, c, at.LAYER), at.PADDED),
        )
        for j in range(0, columns, panel):
            width = min(panel, columns - j)
            if turn % threads == thread:
                bound_columns(m, of_connection(m, c, at.W) + j * inputs, inputs, width, width)
                if of_connection(m, c, at.W_T) != -1:
                    call_part(m, at.REFRESH, c, 0, inputs, j, width)
            turn += 1
