"""Peak memory of training beyond the data, beside what it may be.

    python benchmarks/memory.py

Each workload runs in a process of its own: data and parameters are made, the code is warm, and the peak of the resident
memory is that of two epochs of `cp.train`, with the kernel's counter set back before (Linux). Allowed beyond the data:
the parameters once more, the optimizer's state, z, a and delta of one batch, and 50 MB. The engine's own share is
counted from the sizes of its arrays as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Training
from clearprop.engine.compiled.engine import CompiledEngine

#: Rows, rows of a batch, units of the layers.
WORKLOADS = {
    "mnist": (60_000, 128, (784, 128, 10)),
    "large": (20_000, 512, (784, 1024, 1024, 10)),
    "wide": (5_000, 256, (2000, 4096, 10)),
}
MB = 1e6


def status(field: str) -> float:
    """Megabytes that /proc/self/status shows under a field."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / MB for line in lines if line.startswith(field))


def train(name: str) -> dict[str, float]:
    """Peak beyond data and parameters of one workload, in megabytes, and what it may be."""
    samples, batch, units = WORKLOADS[name]
    random = np.random.default_rng(0)
    X, y = random.random((samples, units[0]), np.float32), random.integers(0, units[-1], samples)
    net = cp.Network.sequential(*units, output="softmax")
    params = net.initialize(0, "float32")
    small = cp.Network.sequential(4, 3, 2, output="softmax")
    for dtype in ("float32",):
        cp.train(small, small.initialize(0, dtype), np.ones((9, 4)), np.zeros(9, int), loss="cross_entropy", epochs=2)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    cp.train(net, params, X, y, loss="cross_entropy", optimizer="adam", batch_size=batch, epochs=2, progress=False)
    peak = status("VmHWM") - before
    size = params.flat.nbytes / MB
    activations = 3 * 4 * batch * sum(units[1:]) / MB
    allowed = {"parameters": size, "optimizer": 2 * size, "activations": activations}
    return {
        "peak": peak,
        **allowed,
        "beyond": peak - sum(allowed.values()),
        "arrays": counted(net, params, X, y, batch),
    }


def counted(net: cp.Network, params: cp.Parameters, X: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Megabytes of the engine's own arrays."""
    engine = CompiledEngine(Training(prepare(net, params, X, y, "cross_entropy"), cp.Adam(0.001)), params, batch)
    given = {"X", "y", "indices"}
    return (
        sum(array.nbytes for name, array in engine.memory._asdict().items() if name not in given and array is not None)
        / MB
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="?", choices=tuple(WORKLOADS))
    args = parser.parse_args()
    if args.workload:
        print(json.dumps(train(args.workload)))
        return
    heads = ("peak", "params", "optimizer", "z, a, delta", "beyond")
    print(" " * 8 + "".join(f"{head:>12s}" for head in heads) + "  of 50 MB; engine's arrays")
    for name in WORKLOADS:
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        m = json.loads(done.stdout)
        keys = ("peak", "parameters", "optimizer", "activations", "beyond")
        print(f"{name:8s}" + "".join(f"{m[key]:12.1f}" for key in keys) + f"{m['arrays']:26.1f}")


if __name__ == "__main__":
    main()
