"""What looks at all weights or the whole gradient: the value of the penalties, clipping by the norm, and max-norm."""

from __future__ import annotations

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.ffi import call_part, call_value
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer
from clearprop.engine.compiled.update import first_row, update


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
