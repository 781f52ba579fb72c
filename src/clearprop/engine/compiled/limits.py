"""What needs all weights or the full gradient at once: the value of the penalties, clipping by norm, and max-norm."""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.ffi import call_part, call_value
from clearprop.engine.compiled.pointers import memory_at
from clearprop.engine.compiled.records import (
    FROZEN_BIAS,
    IDENTITY,
    NONE,
    PLAIN_BIASES,
    PLAIN_WEIGHTS,
    RIDGE,
    TRAINED_BIAS,
    WIRED,
    Layer,
    Memory,
)
from clearprop.engine.compiled.update import first_row, update


@inner
def sum_weights(m: Memory, value: int) -> float:
    """The sum that a `value` kernel computes over all trained weights, padding left out."""
    panel = m.layout.panel
    m.total[0] = 0.0
    for c in range(m.layout.connection_count):
        connection = m.connections[c]
        if not connection.trainable:
            continue
        if connection.kind == WIRED:
            call_value(value, m.weights, connection.parameters, connection.count, m.total, 0)
            continue
        layer, inputs = m.layers[connection.layer], m.layers[connection.source].units
        full = layer.units // panel * panel
        call_value(value, m.weights, connection.W, inputs * full, m.total, 0)
        last, width = connection.W + inputs * full, layer.padded - full
        for r in range(inputs if full < layer.units else 0):
            call_value(value, m.weights, last + r * width, layer.units - full, m.total, 0)
    return m.total[0]


def add_penalty(table: Any, work: Any, unused1: int, unused2: int, unused3: int, unused4: int, unused5: int) -> None:
    """The penalties of the weights as they are before a step."""
    m: Memory = memory_at(table, work)
    penalty = 0.0
    if m.code.value != NONE:
        penalty = sum_weights(m, m.code.value)
    if m.code.half_square != NONE:
        m.results.half_squares = sum_weights(m, m.code.half_square)
        penalty += m.scalars[RIDGE] * m.results.half_squares
    m.results.step_penalty = penalty


@inner
def squared_norm(m: Memory, layer: Layer, trained_only: bool) -> float:
    """Squared norm of the gradient of one layer: the rows of its W, then its b."""
    total = 0.0
    for c in range(layer.first_connection, layer.end_connection):
        connection = m.connections[c]
        if connection.kind != IDENTITY and (connection.trainable or not trained_only):
            for r in range(connection.norm_count):
                total += m.norms[connection.row_norms + r]
    if layer.bias_kind == TRAINED_BIAS or (layer.bias_kind == FROZEN_BIAS and not trained_only):
        total += m.norms[layer.bias_norm]
    return total


@inner
def clip_factor(m: Memory) -> float:
    """What the stored gradient is multiplied by, so that its norm is at most clip_norm."""
    total = 0.0
    for index in range(1, m.layout.layer_count):
        total += squared_norm(m, m.layers[index], True)
    norm = total**0.5
    return m.options.clip_norm / norm if norm > m.options.clip_norm else 1.0


@inner
def apply_run(m: Memory, thread: int, kind: int, parameters: int, count: int, factor: float) -> None:
    """Update a run from the stored gradient."""
    for i in range(parameters, parameters + count):
        m.gradients[i] *= factor
    update(m, thread, kind, parameters, m.gradients, parameters, count)


def apply_stored(table: Any, work: Any, thread: int, threads: int, unused1: int, unused2: int, unused3: int) -> None:
    """Update all parameters that belong to a thread from the stored gradient."""
    m: Memory = memory_at(table, work)
    lanes, panel, layers = m.layout.lanes, m.layout.panel, m.layout.layer_count
    factor = clip_factor(m)
    if thread == 0:
        m.results.clip_factor = factor
    for c in range(m.layout.connection_count):
        connection = m.connections[c]
        if not connection.trainable:
            continue
        if connection.kind == WIRED:
            if c % threads == thread:
                apply_run(m, thread, PLAIN_WEIGHTS, connection.parameters, connection.count, factor)
                call_part(m, m.code.expand, c)
            continue
        inputs, columns = m.layers[connection.source].units, m.layers[connection.layer].padded
        row = first_row(inputs, lanes, thread, threads)
        rows = first_row(inputs, lanes, thread + 1, threads) - row
        for j in range(0, columns, panel):
            width = min(panel, columns - j)
            parameters = connection.W + j * inputs + row * width
            apply_run(m, thread, PLAIN_WEIGHTS, parameters, rows * width, factor)
            if connection.W_T != NONE:
                call_part(m, m.code.refresh_transposed, c, row, rows, j, width)
    for index in range(1, layers):
        layer = m.layers[index]
        if (layers - index) % threads == thread and layer.bias_kind == TRAINED_BIAS:
            apply_run(m, thread, PLAIN_BIASES, layer.bias, layer.padded, factor)


@inner
def bound_columns(m: Memory, start: int, rows: int, width: int, columns: int) -> None:
    """Scale the columns of a contiguous block down to the norm max_norm."""
    most = m.options.max_norm
    for j in range(columns):
        total = 0.0
        for r in range(rows):
            w = float(m.weights[start + r * width + j])
            total += w * w
        norm = total**0.5
        if norm > most:
            for r in range(rows):
                m.weights[start + r * width + j] *= most / norm


def bound_weights(table: Any, work: Any, thread: int, threads: int, unused1: int, unused2: int, unused3: int) -> None:
    """Limit the norm of the weights from one source into each unit to max_norm; threads take panels in turn."""
    m: Memory = memory_at(table, work)
    panel = m.layout.panel
    turn = 0
    for c in range(m.layout.connection_count):
        connection = m.connections[c]
        if not connection.trainable:
            continue
        if connection.kind == WIRED:
            if turn % threads == thread:
                bound_columns(m, connection.parameters, connection.count, 1, 1)
                call_part(m, m.code.expand, c)
            turn += 1
            continue
        inputs, columns = m.layers[connection.source].units, m.layers[connection.layer].padded
        for j in range(0, columns, panel):
            width = min(panel, columns - j)
            if turn % threads == thread:
                bound_columns(m, connection.W + j * inputs, inputs, width, width)
                if connection.W_T != NONE:
                    call_part(m, m.code.refresh_transposed, c, 0, inputs, j, width)
            turn += 1
