"""Seconds of `cp.check_gradients`, in processor time and by the clock: for right gradients and for wrong ones.

Run it as `python benchmarks/gradient_check.py`; a wrong gradient takes longer because mistakes are looked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import clearprop as cp

NETWORKS = {
    "tanh, 1,413 parameters": (cp.Network.sequential(16, 64, 5, hidden="tanh", output="softmax"), 1000),
    "relu, 4,401 parameters": (cp.Network.sequential(20, 200, 5, hidden="relu", output="softmax"), 5000),
    "two layers, 6,315 parameters": (cp.Network.sequential(10, 64, 84, 3, hidden="tanh", output="softmax"), 64),
    "wide, 648,010 parameters": (cp.Network.sequential(784, 500, 500, 10, hidden="relu", output="softmax"), 100),
}


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    print(f"{'network':30s} {'rows':>5s}  {'right':>17s}  {'wrong sign':>17s}  {'one wrong entry':>17s}")
    for name, (net, rows) in NETWORKS.items():
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(rows, net.inputs)), rng.integers(0, net["output"].units, rows)
        params = net.initialize(seed=0)
        right = cp.backpropagate(net, params, X, y, loss="cross_entropy").gradients.flat
        entry = right.copy()
        entry[3] *= 1.1
        timed = [
            seconds(lambda g=g: cp.check_gradients(net, params, X, y, loss="cross_entropy", gradient=g))  # noqa: B023
            for g in (right, -right, entry)
        ]
        print(f"{name:30s} {rows:5d}  " + "  ".join(f"{clock:7.2f} s ({cpu:.2f} s)" for clock, cpu in timed))


if __name__ == "__main__":
    main()
