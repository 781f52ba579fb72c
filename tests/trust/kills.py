"""Kill training at random times, again and again, and see that it ends as if nothing had happened.

    python tests/trust/kills.py                # 60 kills, as the tests do
    python tests/trust/kills.py --kills 1000   # by hand

Each run is a chain of processes: a child trains with a checkpoint, is killed by SIGKILL after a random time, and the
next one resumes, with another number of threads, until one comes to the end. Checked after each kill: the checkpoint
can be read; at the end of each chain: parameters and history are those of a run that was never stopped, bit for bit.
Children are forked from this process, which has loaded everything before it has any threads, so that a kill costs no
import.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import clearprop as cp

X = np.random.default_rng(0).normal(size=(400, 8))
Y = (np.sin(X[:, :1]) + X[:, 1:2] ** 2).astype(np.float64)
NET = cp.Network(
    8,
    [
        cp.Layer("first", 24, "tanh", dropout=0.1),
        cp.Layer("second", 16, "relu"),
        cp.Layer("output", 1, sources=["second", "input"]),
    ],
)
#: What a run is, by the name of its engine: enough steps for some tenths of a second.
EPOCHS = {"compiled": 400, "textbook": 30}


def train(path: Path | None, engine: str, seed: int) -> tuple[bytes, dict[str, list[float]]]:
    """Train to the end; the parameters and the history without the seconds."""
    params = NET.initialize(seed=seed)
    history = cp.train(
        NET,
        params,
        X,
        Y,
        loss="squared_error",
        optimizer=cp.AdamW(cp.schedules.WarmUp(cp.schedules.OnPlateau(0.003, patience=3), epochs=2), weight_decay=0.01),
        batch_size=16,
        epochs=EPOCHS[engine],
        seed=seed,
        validation=0.2,
        stopping=cp.EarlyStopping(patience=10**6),
        clip_norm=5.0,
        engine=engine,
        checkpoint=None if path is None else cp.Checkpoint(path, every=7, seconds=0.02),
        resume=False if path is None else "auto",
    )
    return params.flat.tobytes(), {name: row for name, row in history.columns.items() if name != "seconds"}


def in_child(work: Callable[[], None]) -> int:
    """Start a child process that does some work and exits with 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def chain(path: Path, engine: str, seed: int, kills: int, draw: random.Random, longest: float) -> int:
    """Start, kill and resume a run until it comes to its end or was killed so often; how often it was killed."""
    expected = train(None, engine, seed)
    done = 0
    while True:

        def work() -> None:
            cp.set_threads(draw.choice((1, 2, 3)))
            if train(path, engine, seed) != expected:
                raise AssertionError(f"run {seed} of the {engine} engine ended differently")

        draw.random()  # so that each child draws other threads
        child = in_child(work)
        if done < kills:
            time.sleep(draw.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status not in (0, -signal.SIGKILL):
            raise AssertionError(f"run {seed} of the {engine} engine: a child ended with status {status}")
        if path.exists():
            cp.Checkpoint(path).read()
        if status == 0:
            return done
        done += 1


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    cp.set_threads(1)
    draw, kills, chains, longest = random.Random(options.seed), 0, 0, {}
    for engine in EPOCHS:
        train(None, engine, 0)  # compiles what has to be compiled
        began = time.perf_counter()
        train(None, engine, 0)
        longest[engine] = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        while kills < options.kills:
            engine = ("compiled", "textbook")[chains % 2]
            path = Path(folder) / f"{chains}.ckpt"
            most = min(6, options.kills - kills)
            kills += chain(path, engine, chains, most, draw, longest[engine])
            chains += 1
            if options.kills > 100 and sys.stderr.isatty():
                print(f"\r{kills} kills", end="", file=sys.stderr, flush=True)
    print(f"{kills} kills in {chains} runs: every checkpoint readable, every run ended bit for bit as if not killed")


if __name__ == "__main__":
    main()
