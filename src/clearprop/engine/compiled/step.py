"""A whole epoch of training steps, as one compiled call that holds no Python lock."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, types
from numba.core import config

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.cache import address, compiled, inner
from clearprop.engine.compiled.column_parallel import layered
from clearprop.engine.compiled.ffi import call_part, register
from clearprop.engine.compiled.gradients import bias_gradient, dense_gradient, gradients_and_updates, wired_gradient
from clearprop.engine.compiled.limits import add_penalty, apply_stored, bound_weights, squared_norm
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.records import memory_at, of_layer, pointer
from clearprop.engine.compiled.sweep import are_finite, sweep, total_weight
from clearprop.engine.compiled.threads import atomic_add, atomic_load, atomic_store, meet, wait_until
from clearprop.engine.compiled.update import expand, prepare, refresh_transposed

#: A step is published as one number: its place in the epoch from 1 on, times this, plus how many threads take part.
STEP = 65536
#: How much of a loss may be rounding.
ROUNDING = 1e-10


def add_cost(table, work, begin, end, step, unused1, unused2):
    """The cost of a step, summed in the order of the rows, and its share in the cost of the epoch."""
    m = memory_at(table, work)
    cost = 0.0
    for n in range(end - begin):
        cost += m.values[n]
    share = total_weight(m, begin, end) if m.numbers[at.MEAN] else 1.0
    m.results[at.COST] += cost * share
    m.results[at.SHARE] += share
    m.results[at.PENALTY] += m.results[at.STEP_PENALTY]
    m.costs[step] = cost + m.results[at.STEP_PENALTY]


@inner
def add_delta_norms(m, samples):
    """Squared norms of the delta of a batch, by layer, to the results."""
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        total = 0.0
        for n in range(samples):
            line = of_layer(m, layer, at.DELTA) + n * of_layer(m, layer, at.STRIDE)
            for j in range(of_layer(m, layer, at.UNITS)):
                delta = float(m.work[line + j])
                total += delta * delta
        m.results[at.LAYERS + 2 * layer] += total


def write_norms(table, work, samples, unused1, unused2, unused3, unused4):
    """Squared norms of the last step's delta and gradient, by layer."""
    m = memory_at(table, work)
    if m.numbers[at.PURPOSE] == at.DIFFERENTIATE:
        add_delta_norms(m, samples)
        return
    gradient, factor = 0.0, m.results[at.FACTOR] if m.numbers[at.STORED] else 1.0
    add_delta_norms(m, samples)
    for layer in range(1, m.numbers[at.LAYER_COUNT]):
        trained = squared_norm(m, layer, True)
        fixed = squared_norm(m, layer, False) - trained
        trained *= factor * factor
        gradient += trained
        m.results[at.LAYERS + 2 * layer + 1] = trained + max(fixed, 0.0)
    m.results[at.GRADIENT] = gradient


#: In the order of their columns in `numbers`.
_PARTS = (
    sweep,
    dense_gradient,
    wired_gradient,
    bias_gradient,
    refresh_transposed,
    expand,
    apply_stored,
    bound_weights,
    add_cost,
    write_norms,
    add_penalty,
    layered,
    prepare,
)


@cache
def kernels(dtype: np.dtype) -> dict[int, int]:
    """Addresses of the products and the parts of a step in a precision, by their columns in `numbers`.

    Each is compiled by itself and called by address: were they linked into each other, each would be optimised again
    in every one that calls it, and compilation take a minute instead of seconds.
    """
    products = product_kernels(dtype)
    found = dict(zip((at.MULTIPLY, at.MULTIPLY_TRANSPOSED, at.ADD_ROWS), products, strict=True))
    n, table, work = types.intp, types.CPointer(types.int64), types.CPointer(from_dtype(dtype))
    signature = types.void(table, work, n, n, n, n, n)
    for column, part in zip(at.PARTS, _PARTS, strict=True):
        if config.DISABLE_JIT:
            found[column] = register(part)
        else:
            found[column] = address(part, signature)
    return found


@inner
def is_finite(m, samples):
    """Whether the losses and the penalty of a step are finite: each thread finds the same."""
    return are_finite(m.values, 0, samples) and are_finite(m.results, at.STEP_PENALTY, 1)


@inner
def run_step(m, step, last, thread, threads, base):
    """One step by one of `threads` threads; `base` arrivals were counted before it.

    Returns the arrivals counted by then, or -1 where the cost of a step of descent is not finite, and then changes no
    parameter.
    """
    begin, end = m.edges[step], m.edges[step + 1]
    samples = end - begin
    target, by_layer = base, threads == m.numbers[at.BY_LAYER]
    if by_layer:
        call_part(m, at.LAYERED, step, thread, threads, base)
        target += m.numbers[at.MEETINGS] * threads
    else:
        first, end_of_share = samples * thread // threads, samples * (thread + 1) // threads
        call_part(m, at.SWEEP, begin, end, first, end_of_share, step // m.numbers[at.STEPS_PER_EPOCH])
    purpose = m.numbers[at.PURPOSE]
    if purpose == at.DESCEND:
        call_part(m, at.PREPARE_STEP, thread, step, begin, end)
    if thread == 0 and (m.numbers[at.VALUE] != -1 or m.numbers[at.HALF_SQUARE] != -1):
        call_part(m, at.ADD_PENALTY)
    if threads > 1:
        target += threads
        meet(m.sync, target)
    if purpose == at.DESCEND and not is_finite(m, samples):
        if thread == 0:
            call_part(m, at.ADD_COST, begin, end, step)
            m.results[at.FAILED] = step + 1
        return -1
    stored, normed = purpose == at.DESCEND and m.numbers[at.STORED] != 0, m.numbers[at.NORMS] != 0
    if purpose != at.EVALUATE:
        detailed = purpose == at.DESCEND and ((last and normed) or stored)
        gradients_and_updates(m, samples, thread, threads, detailed, by_layer and not detailed)
    if thread == 0:
        call_part(m, at.ADD_COST, begin, end, step)
        if normed and purpose == at.DIFFERENTIATE:
            call_part(m, at.WRITE_NORMS, samples)
    if stored:
        if threads > 1:
            target += threads
            meet(m.sync, target)
        call_part(m, at.APPLY, thread, threads)
    if m.numbers[at.BOUNDED]:
        if threads > 1:
            target += threads
            meet(m.sync, target)
        call_part(m, at.BOUND, thread, threads)
    if threads > 1:
        target += threads
        meet(m.sync, target)
    if last and normed and thread == 0 and purpose == at.DESCEND:
        call_part(m, at.WRITE_NORMS, samples)
    return target


@inner
def is_stuck(m, finished):
    """Whether the step that is finished ends an epoch, and the loss has not improved for more than PATIENCE of them.

    The loss is that of `EpochResult.per_row` to rounding, and what may be rounding counts as no improvement: what stops
    too early is gone on with.
    """
    steps = m.numbers[at.STEPS_PER_EPOCH]
    if m.numbers[at.PATIENCE] < 0 or finished % steps != 0:
        return False
    loss, rows = 0.0, m.edges[finished] - m.edges[finished - steps]
    for step in range(finished - steps, finished):
        loss += m.costs[step] * ((m.edges[step + 1] - m.edges[step]) / rows)
    best = m.reals[at.BEST]
    m.numbers[at.STUCK] = m.numbers[at.STUCK] + 1 if loss > best - m.reals[at.TOLERANCE] - ROUNDING * abs(best) else 0
    m.reals[at.BEST] = min(best, loss)
    return m.numbers[at.STUCK] > m.numbers[at.PATIENCE]


@compiled
def run_epoch(table, steps, threads):
    """The steps of a pass up to `steps` as the leader of `threads` threads, or (threads = 0) as one that joins it.

    The leader publishes each step; threads that have joined by then take part in it. It counts those that are
    finished, and after one whose cost is not finite, or after which the loss is stuck, it publishes the end.
    """
    m = memory_at(pointer(table), pointer(table))  # whatever the precision: numbers of it are the parts' business
    thread, seen, active, base = 0, m.numbers[at.FIRST_STEP], 1, 0
    if threads == 0:
        seen = atomic_load(m.sync, meeting.STARTED) // STEP
        thread = atomic_add(m.sync, meeting.JOINED, 1) + 1
    while seen <= steps:
        if threads == 0:
            wait_until(m.sync, meeting.STARTED, (seen + 1) * STEP)
            word = atomic_load(m.sync, meeting.STARTED)
            seen, active = word // STEP, word % STEP
            base = atomic_load(m.sync, meeting.BASE)
        else:
            seen += 1
            if threads > 1:
                active = min(threads, 1 + atomic_load(m.sync, meeting.JOINED)) if seen <= steps else 0
                atomic_store(m.sync, meeting.BASE, base)
                atomic_store(m.sync, meeting.STARTED, seen * STEP + active)
        if seen <= steps and thread < active:
            base = run_step(m, seen - 1, seen == m.numbers[at.STEPS], thread, active, base)
            if threads > 0:
                if base < 0:
                    seen = steps
                else:
                    atomic_store(m.sync, meeting.FINISHED, seen)
                    if is_stuck(m, seen):
                        m.numbers[at.STOPPED] = 1
                        seen = steps
