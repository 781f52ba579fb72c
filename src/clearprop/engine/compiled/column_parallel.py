"""The first half of a step, with the columns of wide layers divided among threads, so that cores exchange less data.

A thread that sweeps rows needs all weights, half of which another core has just changed. A thread that instead owns
columns of a layer (units, with their weights) has these weights in its cache, and only needs the activations of the
previous layer, which are fewer numbers. So wide layers are divided by columns, other layers and the losses by rows, and
the threads wait for each other after each layer. All results are bit-identical to those of `sweep.sweep`.
"""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.pointers import memory_at
from clearprop.engine.compiled.records import NO_ERROR, Layer, Memory
from clearprop.engine.compiled.sweep import activate, finish_delta, locate_rows, losses, send_error, weighted_sum
from clearprop.engine.compiled.threads import meet


@inner
def own_columns(m: Memory, layer: Layer, thread: int, threads: int) -> tuple[int, int]:
    """The columns of a thread, in whole portions: the first one, and their number with padding."""
    portion = m.layout.portion
    portions = -(-layer.padded // portion)
    first = portions * thread // threads * portion
    return first, min(layer.padded, portions * (thread + 1) // threads * portion) - first


@inner
def region(m: Memory, layer: Layer, samples: int, thread: int, threads: int) -> tuple[int, int, int, int]:
    """A thread's part of a layer: first row, rows, first column, columns with padding."""
    if layer.by_columns:
        column, width = own_columns(m, layer, thread, threads)
        return 0, samples, column, width
    first = samples * thread // threads
    return first, samples * (thread + 1) // threads - first, 0, layer.padded


def sweep_by_columns(table: Any, work: Any, step: int, thread: int, threads: int, base: int, unused: int) -> None:
    """Both sweeps over a batch; the threads synchronize `layout.column_meetings` times; `base` arrivals came before."""
    m: Memory = memory_at(table, work)
    begin, end, epoch = m.edges[step], m.edges[step + 1], step // m.progress.steps_per_epoch
    samples, layers = end - begin, m.layout.layer_count
    first, last = samples * thread // threads, samples * (thread + 1) // threads
    locate_rows(m, begin, end, first, last)
    target = base
    for index in range(1, layers):
        target += threads
        meet(m.sync, target)
        layer = m.layers[index]
        start, rows, column, width = region(m, layer, samples, thread, threads)
        weighted_sum(m, layer, start, rows, column, width)
        activate(m, layer, begin, start, rows, column, width, epoch)
    target += threads
    meet(m.sync, target)
    losses(m, begin, first, last - first)
    for index in range(layers - 1, 0, -1):
        layer = m.layers[index]
        start, rows, column, width = region(m, layer, samples, thread, threads)
        finish_delta(m, layer, start, rows, column, width)
        target += threads
        meet(m.sync, target)
        for c in range(layer.first_connection, layer.end_connection):
            connection = m.connections[c]
            if connection.error != NO_ERROR:
                start, rows, column, width = region(m, m.layers[connection.source], samples, thread, threads)
                send_error(m, connection, start, rows, column, width)
