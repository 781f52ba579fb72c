"""1,000 small networks trained side by side from threads: the rate of several threads beside that of one.

    python benchmarks/side_by_side.py [--threads 2] [--networks 1000] [--rounds 5]

Each network (64-64-10, 3,584 rows, batches of 32, Adam) is trained for a few epochs by a whole call of `cp.train`,
which holds Python's lock but for its compiled part. Rounds alternate; the ratio is that of the medians. All results are
those of one thread, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import clearprop as cp

random = np.random.default_rng(0)
X = random.normal(size=(3584, 64)).astype(np.float32)
Y = random.integers(0, 10, len(X))
NET = cp.Network.sequential(64, 64, 10, output="softmax")


def train(seed: int, epochs: int) -> bytes:
    params = NET.initialize(seed, "float32")
    cp.train(
        NET,
        params,
        X,
        Y,
        loss="cross_entropy",
        optimizer="adam",
        batch_size=32,
        epochs=epochs,
        seed=seed,
        progress=False,
    )
    return params.flat.tobytes()


def rate(networks: int, threads: int, epochs: int) -> tuple[float, str]:
    """Networks a second, and what they hash to."""
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        found = list(pool.map(lambda seed: train(seed, epochs), range(networks)))
        seconds = time.perf_counter() - start
    return networks / seconds, hashlib.sha256(b"".join(found)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    cp.set_threads(1)  # each network by one thread; the threads are those of the pool
    rate(20, args.threads, args.epochs)
    rates: dict[int, list[float]] = {1: [], args.threads: []}
    digests = set()
    for _ in range(args.rounds):
        for threads in rates:
            found, digest = rate(args.networks, threads, args.epochs)
            rates[threads].append(found)
            digests.add(digest)
    one, many = (statistics.median(values) for values in rates.values())
    best = max(rates[args.threads]) / max(rates[1])
    print(f"{args.networks} networks, {args.epochs} epochs each, load {os.getloadavg()[0]:.1f}")
    print(f"one thread {one:.0f} networks/s, {args.threads} threads {many:.0f} networks/s: {many / one:.2f} times")
    print(f"best rounds: {best:.2f} times; all results alike: {len(digests) == 1}")


if __name__ == "__main__":
    main()
