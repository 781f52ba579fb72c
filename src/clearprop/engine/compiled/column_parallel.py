"""The first half of a step by several threads, layer by layer, so that cores hand each other little.

A thread that sweeps rows of its own needs all weights, half of which another core has just changed. Where a thread
instead owns columns of a layer (the units with their weights), those weights never leave its core; it needs the
activations of the layer before, which are fewer. So layers of enough units are shared out by columns, the others and
the losses by rows, and threads meet between layers. Every number is the same as in `rows.sweep`.
"""

from __future__ import annotations

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer
from clearprop.engine.compiled.sweep import activate, finish_delta, look_up_rows, losses, send_back, weighted_sum
from clearprop.engine.compiled.threads import meet


@inner
def own_columns(m, layer, thread, threads):
    """The columns that belong to a thread, whole portions: the first, and how many with padding."""
    padded, portion = of_layer(m, layer, at.PADDED), m.numbers[at.PORTION]
    portions = -(-padded // portion)
    first = portions * thread // threads * portion
    return first, min(padded, portions * (thread + 1) // threads * portion) - first


@inner
def region(m, layer, samples, thread, threads):
    """A thread's part of a layer: first row, rows, first column, columns with padding."""
    if of_layer(m, layer, at.SPLIT) == 1:
        column, width = own_columns(m, layer, thread, threads)
        return 0, samples, column, width
    first = samples * thread // threads
    return first, samples * (thread + 1) // threads - first, 0, of_layer(m, layer, at.PADDED)


def layered(table, work, step, thread, threads, base, unused):
    """Both sweeps over a batch; the threads meet numbers[MEETINGS] times, after `base` arrivals."""
    m = memory_at(table, work)
    begin, end, epoch = m.edges[step], m.edges[step + 1], step // m.numbers[at.STEPS_PER_EPOCH]
    samples, layers = end - begin, m.numbers[at.LAYER_COUNT]
    first, last = samples * thread // threads, samples * (thread + 1) // threads
    look_up_rows(m, begin, end, first, last)
    target = base
    for layer in range(1, layers):
        target += threads
        meet(m.sync, target)
        start, rows, column, width = region(m, layer, samples, thread, threads)
        weighted_sum(m, layer, start, rows, column, width)
        activate(m, layer, begin, start, rows, column, width, epoch)
    target += threads
    meet(m.sync, target)
    losses(m, begin, first, last - first)
    for layer in range(layers - 1, 0, -1):
        start, rows, column, width = region(m, layer, samples, thread, threads)
        finish_delta(m, layer, start, rows, column, width)
        target += threads
        meet(m.sync, target)
        for c in range(of_layer(m, layer, at.FIRST), of_layer(m, layer, at.LAST)):
            if of_connection(m, c, at.SEND) != at.SEND_NOTHING:
                start, rows, column, width = region(m, of_connection(m, c, at.SOURCE), samples, thread, threads)
                send_back(m, c, start, rows, column, width)
