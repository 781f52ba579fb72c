"""The update of contiguous parameters from their gradient, and of transposed and expanded copies of weights."""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.ffi import call_part, call_prepare, call_slope, call_update
from clearprop.engine.compiled.pointers import memory_at
from clearprop.engine.compiled.products import transpose_block
from clearprop.engine.compiled.records import (
    DIFFERENTIATE,
    FUSED_WEIGHTS,
    NONE,
    PLAIN_BIASES,
    PLAIN_WEIGHTS,
    RIDGE,
    SCALAR_SETS,
    SCALARS,
    Memory,
)
from clearprop.engine.compiled.sweep import total_weight


@inner
def first_row(units: int, lanes: int, thread: int, threads: int) -> int:
    """Where a thread's share of the rows of W starts: a whole number of vectors."""
    return min(units, (-(-units // lanes)) * thread // threads * lanes)


def prepare(table: Any, work: Any, thread: int, step: int, begin: int, end: int, unused: int) -> None:
    """What the update rule needs once per step, for the weights and for the biases."""
    m: Memory = memory_at(table, work)
    rate, t = m.rates[step], m.progress.steps_before + step + 1
    start = thread * SCALAR_SETS * SCALARS
    ridge = m.options.alpha
    if ridge and m.options.is_mean:
        weight = total_weight(m, begin, end)
        ridge = ridge / weight if weight > 0 else 0.0
    m.scalars[start + RIDGE] = ridge
    shrink = rate * m.options.decay
    call_prepare(m.code.prepare, rate, t, shrink, ridge, m.scalars, start + FUSED_WEIGHTS * SCALARS)
    call_prepare(m.code.prepare_plain, rate, t, shrink, 0.0, m.scalars, start + PLAIN_WEIGHTS * SCALARS)
    call_prepare(m.code.prepare_plain, rate, t, 0.0, 0.0, m.scalars, start + PLAIN_BIASES * SCALARS)


@inner
def update(m: Memory, thread: int, kind: int, parameters: int, g: Any, g_at: int, count: int) -> None:
    """Update `count` parameters; their gradient starts at g_at."""
    kernel = m.code.update if kind == FUSED_WEIGHTS else m.code.update_plain
    scalars = (thread * SCALAR_SETS + kind) * SCALARS
    call_update(
        kernel, m.weights, parameters, g, g_at, m.slot0, parameters, m.slot1, parameters, count, m.scalars, scalars
    )


@inner
def clip_values(m: Memory, g_at: int, count: int) -> None:
    """Clip a range of the gradient to +-clip_value."""
    bound = m.options.clip_value
    if bound > 0:
        for i in range(g_at, g_at + count):
            m.work[i] = min(max(m.work[i], -bound), bound)


@inner
def finish_weights(m: Memory, thread: int, parameters: int, g_at: int, count: int) -> None:
    """Add the slope of the penalties to the gradient of a range of trained weights, then clip it."""
    if m.code.slope != NONE:
        call_slope(m.code.slope, m.weights, parameters, m.work, g_at, count)
    ridge = m.scalars[thread * SCALAR_SETS * SCALARS + RIDGE]
    if ridge:
        for i in range(count):
            m.work[g_at + i] += ridge * m.weights[parameters + i]
    clip_values(m, g_at, count)


@inner
def add_squares(work: Any, g_at: int, rows: int, width: int, columns: int, norms: Any, start: int) -> None:
    """Add the squares of each row of a block to its norm."""
    for r in range(rows):
        total = 0.0
        for j in range(columns):
            g = float(work[g_at + r * width + j])
            total += g * g
        norms[start + r] += total


@inner
def store(m: Memory, parameters: int, g_at: int, count: int) -> None:
    """Store a range of the gradient; that of the whole set is summed over its steps."""
    for i in range(count):
        before = m.gradients[parameters + i] if m.options.purpose == DIFFERENTIATE else 0
        m.gradients[parameters + i] = before + m.work[g_at + i]


def refresh_transposed(table: Any, work: Any, c: int, row: int, rows: int, column: int, width: int) -> None:
    """Bring the transposed copy up to date with a block of W."""
    m: Memory = memory_at(table, work)
    panel, lanes, connection = m.layout.panel, m.layout.lanes, m.connections[c]
    inputs, units = m.layers[connection.source].units, m.layers[connection.layer].units
    columns = min(width, units - column)
    block = connection.W + column * inputs + row * width
    done = 0
    while done < rows:
        start = (row + done) // panel * panel  # of the panel of W_T that holds this row of W as a column
        wide = min(panel, -(-inputs // lanes) * lanes - start)
        count = min(rows - done, start + wide - row - done)
        to = connection.W_T + start * units + column * wide + row + done - start
        transpose_block(m.weights, block + done * width, count, width, columns, to, wide)
        done += count


def expand(table: Any, work: Any, c: int, unused1: int, unused2: int, unused3: int, unused4: int) -> None:
    """W in panels, and its transposed copy, from the shared weights of a wired connection."""
    m: Memory = memory_at(table, work)
    panel, connection = m.layout.panel, m.connections[c]
    inputs, columns = m.layers[connection.source].units, m.layers[connection.layer].padded
    for i in range(inputs * columns):
        number = m.patterns[connection.pattern + i]
        m.weights[connection.W + i] = m.weights[connection.parameters + number - 1] if number > 0 else 0.0
    if connection.W_T != NONE:
        for j in range(0, columns, panel):
            call_part(m, m.code.refresh_transposed, c, 0, inputs, j, min(panel, columns - j))
