"""The update of a run of parameters whose gradient is at hand, and what is made of the parameters after it."""

from __future__ import annotations

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.ffi import call_part, call_prepare, call_slope, call_update
from clearprop.engine.compiled.products import transpose_block
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer
from clearprop.engine.compiled.sweep import total_weight


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
