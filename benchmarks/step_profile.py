"""Where the microseconds of a training step go: each of its pieces by itself, over and over, in one thread.

    python benchmarks/step_profile.py                # digits
    python benchmarks/step_profile.py small mnist --optimizer adam

Pieces run on the memory of a real run. By themselves they find more in the caches than in the middle of a step, so they
add up to somewhat less than the step, which is measured as a whole; the rest is named as such.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from peers import RATES, WORKLOADS, Ours, Problem
from speed import peak

import clearprop as cp
from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.ffi import call_part
from clearprop.engine.compiled.gradients import weight_gradient
from clearprop.engine.compiled.pointers import memory_at, pointer
from clearprop.engine.compiled.records import FUSED_WEIGHTS, NO_ERROR, NONE
from clearprop.engine.compiled.sweep import (
    ROWS_AT_ONCE,
    activate,
    finish_delta,
    locate_rows,
    losses,
    send_error,
    weighted_sum,
)
from clearprop.engine.compiled.update import update

LOOK_UP, SUM, ACTIVATE, LOSS, SEND, DELTA, GRADIENT, UPDATE, REFRESH, BIAS, PREPARE, COST = range(12)


@compiled
def repeat(table, work, piece, index, samples, times):
    """One piece of a step for a layer or connection, `times` times."""
    m = memory_at(pointer(table), pointer(work))
    layout, code = m.layout, m.code
    layer = m.layers[index if piece in (SUM, ACTIVATE, DELTA) else 0]
    connection = m.connections[index if piece in (SEND, GRADIENT, UPDATE, REFRESH) else 0]
    source, target = m.layers[connection.source], m.layers[connection.layer]
    for _ in range(times):
        for first in range(0, samples if piece in (SUM, ACTIVATE, LOSS, SEND, DELTA) else 0, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, samples - first)
            if piece == SUM:
                weighted_sum(m, layer, first, rows, 0, layer.padded)
            elif piece == ACTIVATE:
                activate(m, layer, 0, first, rows, 0, layer.padded, 0)
            elif piece == LOSS:
                losses(m, 0, first, rows)
            elif piece == DELTA:
                finish_delta(m, layer, first, rows, 0, layer.padded)
            elif piece == SEND and connection.error != NO_ERROR:
                send_error(m, connection, first, rows, 0, source.padded)
        if piece == LOOK_UP:
            locate_rows(m, 0, samples, 0, samples)
        elif piece == PREPARE:
            call_part(m, code.prepare_step, 0, 0, 0, samples)
        elif piece == COST:
            call_part(m, code.add_cost, 0, samples, 0)
        elif piece == BIAS:
            call_part(m, code.bias_gradient, index, samples, 0, 0)
        elif piece in (GRADIENT, UPDATE, REFRESH):
            inputs, g = source.units, layout.scratch
            for row in range(0, inputs, layout.block):
                rows = min(layout.block, inputs - row)
                for j in range(0, target.padded, layout.panel):
                    width = min(layout.panel, target.padded - j)
                    if piece == GRADIENT:
                        weight_gradient(m, source, target, samples, row, rows, j, width, g, 0)
                    elif piece == UPDATE:
                        update(m, 0, FUSED_WEIGHTS, connection.W + j * inputs + row * width, m.work, g, rows * width)
                    elif connection.W_T != NONE:
                        call_part(m, code.refresh_transposed, index, row, rows, j, width)


def seconds(call, at_least: float = 0.05) -> float:
    """The least time of a call that takes the number of repetitions, for one of them."""
    times, best = 1, float("inf")
    while True:
        start = time.perf_counter()
        call(times)
        took = time.perf_counter() - start
        if took > at_least / 10:
            break
        times *= 4
    for _ in range(10):
        start = time.perf_counter()
        call(times)
        best = min(best, (time.perf_counter() - start) / times)
    return best


def profile(name: str, optimizer: str) -> None:
    """Print the table of one workload."""
    problem = Problem(name, "float32", optimizer, "relu")
    run = Ours(problem)
    whole = min(_timed(run, epoch) for epoch in range(12)) / problem.steps
    runner, net, batch = run.engine.runner, problem.net, problem.batch
    order, edges = problem.order(0), np.array([0, batch])
    table = runner._table.of(runner._reset_sync(), order, edges, np.zeros(1), np.zeros(1), runner.memory.keys)

    def piece(kind: int, place: int = 0) -> float:
        return seconds(lambda times: repeat(table, runner.memory.work, kind, place, batch, times))

    best, rows = peak("float32") * 1e9, []

    def add(what: str, *kinds: int, places: range = range(1), flops: float = 0.0) -> None:
        took = sum(piece(kind, place) for kind in kinds for place in places)
        rows.append((what, took, flops / took / best if flops else 0.0))

    layers, sizes = range(1, len(net.layers) + 1), [net.inputs, *(layer.units for layer in net.layers)]
    for kind, verb in ((SUM, "z = a W + b"), (GRADIENT, "a^T delta"), (SEND, "delta W^T")):
        for layer in layers:
            if kind != SEND or layer > 1:
                flops = 2 * batch * sizes[layer - 1] * sizes[layer]
                place = layer if kind == SUM else layer - 1
                sides = f"{sizes[layer - 1]} x {sizes[layer]}"
                add(f"{verb}   {sides}", kind, places=range(place, place + 1), flops=flops)
    add("activations and their pullbacks", ACTIVATE, DELTA, places=layers)
    add("softmax, loss and its delta", LOSS)
    add(f"update ({optimizer}) of W", UPDATE, places=range(len(net.layers)))
    add("transposed copy of W", REFRESH, places=range(len(net.layers)))
    add("gradient and update of b", BIAS, places=layers)
    add("rows, rates, cost", LOOK_UP, PREPARE, COST)
    rest = whole - sum(took for _, took, _ in rows)
    rows.append(("caches less warm, calls, shuffling, Python", rest, 0.0))
    print(f"{name}: {batch} rows, {'-'.join(map(str, problem.units))}, float32, {optimizer}, one thread")
    for what, took, share in rows:
        note = f"{share:5.0%} of the peak" if share else ""
        print(f"  {what:44s} {took * 1e6:8.2f} us {took / whole:5.0%}   {note}")
    print(f"  {'a step':44s} {whole * 1e6:8.2f} us         {problem.flops / whole / best:5.0%} of the peak")


def _timed(run: Ours, epoch: int) -> float:
    start = time.perf_counter()
    run(epoch)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=["digits"], choices=[*WORKLOADS, []])
    parser.add_argument("--optimizer", choices=tuple(RATES), default="momentum")
    given = parser.parse_args()
    cp.set_threads(1)
    for workload in given.workloads:
        profile(workload, given.optimizer)
