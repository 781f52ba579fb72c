"""Microseconds per training step: clearprop beside scikit-learn, PyTorch and JAX, in one run, turn by turn.

    python benchmarks/speed.py                       # every workload; peers that are not installed are left out
    python benchmarks/speed.py --all                 # the same with Adam, with tanh, and in float64
    python benchmarks/speed.py --only small,digits --dtype float64 --optimizer adam --hidden tanh --rounds 9

All start from the same parameters and take the same batches; after the first epochs the costs must agree to 1e-4, or
the line is void. In its turn each waits for a third of a second (the threads of the one before still look out for more
work, some for 200 ms), does one epoch that does not count, then epochs for a fifth of a second. Times are medians over
all turns, ratios are medians of those within each round: what happens around the machine happens to both. Raw results
go to benchmarks/results/ as JSON, with the machine and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from peers import MODULES, PEERS, RATES, WORKLOADS, Problem, Run

import clearprop as cp
from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.ffi import call_multiply
from clearprop.engine.compiled.pointers import pointer
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.threads import SYNC, meet
from clearprop.engine.compiled.vectors import lanes_of

#: Epochs that all run before they are measured, after which their costs are compared.
FIRST = 2
#: Seconds of a turn, and before it.
TURN, WAIT = 0.2, 0.35
SETTINGS = {"dtype": ("float32", "float64"), "optimizer": tuple(RATES), "hidden": ("relu", "tanh")}


@compiled
def repeat_tile(address, a, offsets, W, c, steps, columns, repeats):
    """The product of 6 rows with one panel, again and again, with everything in the first-level cache."""
    for _ in range(repeats):
        call_multiply(
            address, pointer(a), 0, pointer(offsets), 0, 6, steps, pointer(W), 0, columns,
            pointer(c), 0, 0, pointer(c), columns, columns,
        )  # fmt: skip


def peak(dtype: str) -> float:
    """GFLOP/s of one core with the register tile alone: the best of many short runs."""
    kind = np.dtype(dtype)
    lanes = lanes_of(kind)
    steps, columns = 128, lanes.panel
    a, W, c = (np.ones(size, kind) for size in (6 * steps, steps * columns, 8 * columns))
    offsets, best = np.arange(6) * steps, float("inf")
    for _ in range(60):
        start = time.perf_counter()
        repeat_tile(product_kernels(kind)[0], a, offsets, W, c, steps, columns, 1000)
        best = min(best, time.perf_counter() - start)
    return 2 * 6 * steps * columns * 1000 / best / 1e9


@compiled
def meet_often(sync, times):
    """Meet another thread again and again."""
    numbers = pointer(sync)
    for i in range(times):
        meet(numbers, 2 * (i + 1))


def meeting(times: int = 20_000) -> float:
    """Microseconds that two threads take to meet, by how far apart their cores are."""
    sync = np.zeros(SYNC, np.int64)
    pair = [threading.Thread(target=meet_often, args=(sync, times)) for _ in range(2)]
    start = time.perf_counter()
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    return (time.perf_counter() - start) / times * 1e6


def turn(run: Run, epochs: itertools.count, steps: int) -> list[float]:
    """Microseconds per step of each epoch of a turn."""
    time.sleep(WAIT)
    run(next(epochs))
    times, end = [], time.perf_counter() + TURN
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run(next(epochs))
        times.append((time.perf_counter() - start) / steps * 1e6)
    return times


def measure(name: str, settings: dict[str, str], peers: list[str], rounds: int, best: float) -> dict:
    """One line of the table."""
    problem = Problem(name, **settings)
    runs, costs, times, epochs = {}, {}, {}, {}
    for peer in peers:
        if peer in MODULES and not _version(MODULES[peer]):
            continue
        runs[peer] = PEERS[peer](problem)
        costs[peer] = [runs[peer](epoch) for epoch in range(FIRST)][-1]
        times[peer], epochs[peer] = [], itertools.count(FIRST)
    meetings = []
    for _ in range(rounds):
        meetings.append(meeting())
        for peer, run in runs.items():
            times[peer].append(turn(run, epochs[peer], problem.steps))
    ours = costs["clearprop"]
    of_round = {peer: [statistics.median(values) for values in turns] for peer, turns in times.items()}
    step = {peer: statistics.median(values) for peer, values in of_round.items()}
    pairs = {peer: list(zip(values, of_round["clearprop"], strict=True)) for peer, values in of_round.items()}
    rate, threads = problem.flops / step["clearprop"] / 1e3, runs["clearprop"].threads
    return {
        "workload": name, **settings, "step_us": step,
        "least_us": {peer: min(map(min, turns)) for peer, turns in times.items()},
        "ratio": {peer: statistics.median(theirs / mine for theirs, mine in pair) for peer, pair in pairs.items()},
        "round_us": of_round, "meet_us": meetings,
        "cost": costs, "agreed": {peer: bool(abs(cost - ours) <= 1e-4 * abs(ours)) for peer, cost in costs.items()},
        "gflops": rate, "peak_of_a_core": best, "share_of_peak": rate / best / threads, "threads": threads,
    }  # fmt: skip


def show(line: dict) -> None:
    step = line["step_us"]
    cores = "1 core " if line["threads"] == 1 else f"{line['threads']} cores"
    parts = [f"{line['workload']:7s} {step['clearprop']:9.1f} us {line['gflops']:6.1f} GFLOP/s "
             f"{line['share_of_peak']:4.0%} of {cores}"]  # fmt: skip
    for peer, value in step.items():
        if peer != "clearprop":
            cost = f"{line['cost'][peer]:.6g} not {line['cost']['clearprop']:.6g}"
            void = "" if line["agreed"][peer] else f" VOID: cost {cost}"
            parts.append(f"{peer} {value:.1f} us ({line['ratio'][peer]:.1f}x){void}")
    print("   ".join(parts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WORKLOADS))
    parser.add_argument("--peers", type=lambda text: ["clearprop", *text.split(",")], default=list(PEERS))
    for name, choices in SETTINGS.items():
        parser.add_argument(f"--{name}", choices=choices, default=choices[0])
    parser.add_argument("--all", action="store_true", help="also with Adam, with tanh, and in float64")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in SETTINGS}
    variants = [given]
    if args.all:
        variants += [given | {name: choices[1]} for name, choices in SETTINGS.items() if given[name] == choices[0]]
    lines = []
    for settings in variants:
        best = peak(settings["dtype"])
        print(f"{', '.join(settings.values())}; peak of a core {best:.1f} GFLOP/s; at most {cp.get_threads()} threads")
        for name in args.only:
            lines.append(measure(name, settings, args.peers, args.rounds, best))
            show(lines[-1])
    print("raw results:", keep(lines, args.rounds))


def keep(lines: list[dict], rounds: int) -> Path:
    """Write the raw results to a file."""
    packages = {"numpy", "numba", *(MODULES[peer] for line in lines for peer in line["step_us"] if peer in MODULES)}
    machine = {
        "processor": _processor(), "cores": os.cpu_count(), "load": os.getloadavg(), "system": platform.platform(),
        "python": platform.python_version(),
    }  # fmt: skip
    now = datetime.now(UTC)
    record = {"date": now.isoformat(), "machine": machine, "versions": {name: _version(name) for name in packages}}
    path = Path(__file__).parent / "results" / f"speed-{now:%Y%m%dT%H%M%S}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record | {"rounds": rounds, "lines": lines}))
    return path


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
