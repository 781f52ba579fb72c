"""A whole epoch of training steps, as one compiled call that holds no Python lock."""

from __future__ import annotations

from numba import njit

from clearprop.engine.compiled import memory as at
from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.memory import of_layer, pointers
from clearprop.engine.compiled.rows import sweep, total_weight
from clearprop.engine.compiled.threads import atomic_add, atomic_load, atomic_store, meet, wait_until
from clearprop.engine.compiled.update import (
    apply_stored,
    bound_weights,
    clip_factor,
    gradients_and_updates,
    prepare,
    squared_norm,
)

#: A step is published as one number: its place in the epoch from 1 on, times this, plus how many threads take part.
STEP = 65536


@njit(nogil=True)
def add_cost(m, begin, end):
    """The cost of a step, summed in the order of the rows, and its share in the cost of the epoch."""
    cost = 0.0
    for n in range(end - begin):
        cost += m.values[n]
    share = total_weight(m, begin, end) if m.numbers[at.MEAN] else 1.0
    m.results[at.COST] += cost * share
    m.results[at.SHARE] += share


@njit(nogil=True)
def write_norms(m, samples, factor):
    """Squared norms of the last step's delta and gradient, by layer."""
    work = m.work
    gradient = 0.0
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        total = 0.0
        for n in range(samples):
            line = of_layer(m, layer, at.DELTA) + n * of_layer(m, layer, at.STRIDE)
            for j in range(of_layer(m, layer, at.UNITS)):
                delta = float(work[line + j])
                total += delta * delta
        trained = squared_norm(m, layer, True) * factor * factor
        fixed = squared_norm(m, layer, False) - squared_norm(m, layer, True)
        gradient += trained
        m.results[at.LAYERS + 2 * layer] = total
        m.results[at.LAYERS + 2 * layer + 1] = trained + max(fixed, 0.0)
    m.results[at.GRADIENT] = gradient


@njit(nogil=True)
def run_step(m, step, last, thread, threads, base):
    """One step of gradient descent by one of `threads` threads; `base` arrivals were counted before it."""
    begin, end = m.edges[step], m.edges[step + 1]
    samples = end - begin
    sweep(m, begin, end, samples * thread // threads, samples * (thread + 1) // threads)
    prepare(m, thread, m.rates[step], m.numbers[at.STEPS_DONE] + step + 1)
    target = base
    if threads > 1:
        target += threads
        meet(m.sync, target)
    stored, factor = m.numbers[at.STORED] != 0, 1.0
    detailed = last or stored
    gradients_and_updates(m, samples, thread, threads, detailed)
    if thread == 0:
        add_cost(m, begin, end)
    if stored:
        if threads > 1:
            target += threads
            meet(m.sync, target)
        factor = clip_factor(m)
        apply_stored(m, thread, threads, factor)
    if m.numbers[at.BOUNDED]:
        if threads > 1:
            target += threads
            meet(m.sync, target)
        bound_weights(m, thread, threads)
    if threads > 1:
        target += threads
        meet(m.sync, target)
    if last and thread == 0:
        write_norms(m, samples, factor)
    return target


@njit(nogil=True)
def lead(m, steps, threads):
    """All steps of an epoch; threads that have joined by the time a step starts take part in it."""
    base = 0
    for s in range(steps):
        active = 1
        if threads > 1:
            active = min(threads, 1 + atomic_load(m.sync, meeting.JOINED))
            atomic_store(m.sync, meeting.BASE, base)
            atomic_store(m.sync, meeting.STARTED, (s + 1) * STEP + active)
        base = run_step(m, s, s == steps - 1, 0, active, base)
    if threads > 1:
        atomic_store(m.sync, meeting.STARTED, (steps + 1) * STEP)


@njit(nogil=True)
def join(m, steps):
    """Take part in the steps of an epoch until it ends."""
    seen = atomic_load(m.sync, meeting.STARTED) // STEP
    thread = atomic_add(m.sync, meeting.JOINED, 1) + 1
    while seen <= steps:
        wait_until(m.sync, meeting.STARTED, (seen + 1) * STEP)
        word = atomic_load(m.sync, meeting.STARTED)
        seen, active = word // STEP, word % STEP
        if thread < active:
            run_step(m, seen - 1, seen == steps, thread, active, atomic_load(m.sync, meeting.BASE))


@njit(nogil=True, cache=True)
def run_epoch(memory, steps, threads):
    """All steps of an epoch as the leader of `threads` threads, or (threads = 0) as one that joins it."""
    m = pointers(memory)
    if threads == 0:
        join(m, steps)
    else:
        lead(m, steps, threads)
