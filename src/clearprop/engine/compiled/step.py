"""The steps of a pass over the data, as one compiled call that releases Python's lock."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, types

from clearprop.engine.compiled import threads as meeting
from clearprop.engine.compiled.cache import address, compiled, inner
from clearprop.engine.compiled.column_parallel import sweep_by_columns
from clearprop.engine.compiled.ffi import c_signature, call_part, register
from clearprop.engine.compiled.gradients import bias_gradient, dense_gradient, gradients_and_updates, wired_gradient
from clearprop.engine.compiled.limits import add_penalty, apply_stored, bound_weights, squared_norm
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.pointers import memory_at, pointer
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.records import DIFFERENTIATE, EVALUATE, NONE, TRAIN, Memory
from clearprop.engine.compiled.sweep import are_finite, sweep, total_weight
from clearprop.engine.compiled.threads import atomic_add, atomic_load, atomic_store, meet, wait_until
from clearprop.engine.compiled.update import expand, prepare, refresh_transposed

#: A step is published as one integer: its number in the pass, from 1, times STEP, plus the number of its threads.
STEP = 65536
#: Relative error of a loss that may be rounding.
ROUNDING = 1e-10


def add_cost(table: Any, work: Any, begin: int, end: int, step: int, unused1: int, unused2: int) -> None:
    """The cost of a step, summed in the order of the rows, and its share in the cost of the pass."""
    m: Memory = memory_at(table, work)
    results = m.results
    cost = 0.0
    for n in range(end - begin):
        cost += float(m.values[n])
    share = total_weight(m, begin, end) if m.options.is_mean else 1.0
    results.cost += cost * share
    results.share += share
    results.penalty += results.step_penalty
    m.costs[step] = cost + results.step_penalty


@inner
def add_delta_norms(m: Memory, samples: int) -> None:
    """Add the squared norms of the delta of a batch, by layer."""
    for index in range(1, m.layout.layer_count):
        layer = m.layers[index]
        total = 0.0
        for n in range(samples):
            line = layer.delta + n * layer.stride
            for j in range(layer.units):
                delta = float(m.work[line + j])
                total += delta * delta
        m.squares[2 * index] += total


def write_norms(table: Any, work: Any, samples: int, unused1: int, unused2: int, unused3: int, unused4: int) -> None:
    """Squared norms of the last step's delta and gradient, by layer."""
    m: Memory = memory_at(table, work)
    add_delta_norms(m, samples)
    if m.options.purpose == DIFFERENTIATE:
        return
    gradient, factor = 0.0, m.results.clip_factor if m.options.stores_gradient else 1.0
    for index in range(1, m.layout.layer_count):
        layer = m.layers[index]
        trained = squared_norm(m, layer, True)
        frozen = squared_norm(m, layer, False) - trained
        trained *= factor * factor
        gradient += trained
        m.squares[2 * index + 1] = trained + max(frozen, 0.0)
    m.results.squared_norm = gradient


#: By their fields in `Code`.
_PARTS = {
    "sweep": sweep,
    "sweep_by_columns": sweep_by_columns,
    "prepare_step": prepare,
    "dense_gradient": dense_gradient,
    "wired_gradient": wired_gradient,
    "bias_gradient": bias_gradient,
    "refresh_transposed": refresh_transposed,
    "expand": expand,
    "apply_stored": apply_stored,
    "bound_weights": bound_weights,
    "add_cost": add_cost,
    "add_penalty": add_penalty,
    "write_norms": write_norms,
}


@cache
def kernels(dtype: np.dtype) -> dict[str, int]:
    """Addresses of the products and the parts of a step in a precision, by their fields in `Code`.

    Each is compiled by itself and called by address: were they linked into each other, each would be optimized again
    in every one that calls it, and compilation would take a minute instead of seconds.
    """
    products = product_kernels(dtype)
    addresses: dict[str, int] = dict(zip(("multiply", "multiply_transposed", "add_rows"), products, strict=True))
    signature = c_signature("part", {"table": types.int64, "work": from_dtype(dtype)})
    for name, part in _PARTS.items():
        addresses[name] = register(part) if PLAIN else address(part, signature)
    return addresses


@inner
def run_step(m: Memory, step: int, last: bool, thread: int, threads: int, base: int) -> int:
    """One step by one of `threads` threads; `base` arrivals were counted before it.

    Returns the arrivals counted by then, or -1 if the cost of a training step is not finite, in which case no parameter
    is changed.
    """
    code, options = m.code, m.options
    begin, end = m.edges[step], m.edges[step + 1]
    samples, target, purpose = end - begin, base, options.purpose
    by_columns = threads == m.progress.column_threads
    if by_columns:
        call_part(m, code.sweep_by_columns, step, thread, threads, base)
        target += m.layout.column_meetings * threads
    else:
        first, end_of_share = samples * thread // threads, samples * (thread + 1) // threads
        call_part(m, code.sweep, begin, end, first, end_of_share, step // m.progress.steps_per_epoch)
    if purpose == TRAIN:
        call_part(m, code.prepare_step, thread, step, begin, end)
    if thread == 0 and (code.value != NONE or code.half_square != NONE):
        call_part(m, code.add_penalty)
    target = meet_all(m, target, threads)
    # each thread finds the same
    if purpose == TRAIN and not (are_finite(m.values, samples) and np.isfinite(m.results.step_penalty)):
        if thread == 0:
            call_part(m, code.add_cost, begin, end, step)
            m.results.failed = step + 1
        return -1
    stored = purpose == TRAIN and options.stores_gradient
    if purpose != EVALUATE:
        detailed = stored or (purpose == TRAIN and last and options.with_norms)
        gradients_and_updates(m, samples, thread, threads, detailed, by_columns and not detailed)
    if thread == 0:
        call_part(m, code.add_cost, begin, end, step)
        if options.with_norms and purpose == DIFFERENTIATE:
            call_part(m, code.write_norms, samples)
    if stored:
        target = meet_all(m, target, threads)
        call_part(m, code.apply_stored, thread, threads)
    if options.max_norm > 0:
        target = meet_all(m, target, threads)
        call_part(m, code.bound_weights, thread, threads)
    target = meet_all(m, target, threads)
    if last and options.with_norms and thread == 0 and purpose == TRAIN:
        call_part(m, code.write_norms, samples)
    return target


@inner
def meet_all(m: Memory, target: int, threads: int) -> int:
    """Wait for the other threads, if there are any; returns the arrivals counted by then."""
    if threads > 1:
        target += threads
        meet(m.sync, target)
    return target


@inner
def is_out_of_patience(m: Memory, finished: int) -> bool:
    """Whether the finished step ends an epoch, and more than `patience` epochs in a row did not improve the loss.

    The loss is that of `EpochResult.losses` up to rounding. A difference that may be rounding is no improvement; if
    training stops too early because of that, the caller resumes it.
    """
    progress, steps = m.progress, m.progress.steps_per_epoch
    if progress.patience < 0 or finished % steps != 0:
        return False
    loss, rows = 0.0, m.edges[finished] - m.edges[finished - steps]
    for step in range(finished - steps, finished):
        loss += m.costs[step] * ((m.edges[step + 1] - m.edges[step]) / rows)
    best = progress.best
    is_no_better = loss > best - progress.tolerance - ROUNDING * abs(best)
    progress.epochs_without_improvement = progress.epochs_without_improvement + 1 if is_no_better else 0
    progress.best = min(best, loss)
    return progress.epochs_without_improvement > progress.patience


@compiled
def run_steps(table: Any, steps: int, threads: int) -> None:
    """The steps of a pass up to `steps` as the leader of `threads` threads, or (threads = 0) as one that joins it.

    The leader publishes each step; threads that have joined by then take part in it. It counts the finished steps, and
    after one whose cost is not finite, or that uses up the patience, it publishes the end.
    """
    m: Memory = memory_at(pointer(table), pointer(table))  # only the parts depend on the precision
    thread, current, active, base = 0, m.progress.first_step, 1, 0
    if threads == 0:
        current = atomic_load(m.sync, meeting.STARTED) // STEP
        thread = atomic_add(m.sync, meeting.JOINED, 1) + 1
    while current <= steps:
        if threads == 0:
            wait_until(m.sync, meeting.STARTED, (current + 1) * STEP)
            published = atomic_load(m.sync, meeting.STARTED)
            current, active = published // STEP, published % STEP
            base = atomic_load(m.sync, meeting.BASE)
        else:
            current += 1
            if threads > 1:
                active = min(threads, 1 + atomic_load(m.sync, meeting.JOINED)) if current <= steps else 0
                atomic_store(m.sync, meeting.BASE, base)
                atomic_store(m.sync, meeting.STARTED, current * STEP + active)
        if current <= steps and thread < active:
            base = run_step(m, current - 1, current == m.progress.steps, thread, active, base)
            if threads > 0:
                if base < 0:
                    current = steps
                else:
                    atomic_store(m.sync, meeting.FINISHED, current)
                    if is_out_of_patience(m, current):
                        m.progress.stopped = True
                        current = steps
