"""A fork waits for whoever holds a lock, so that the child finds it free."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from clearprop.fork_safety import cached_property, register_fork_locks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

FORKS = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork where threads run
import numpy as np
import clearprop as cp
from clearprop.engine.compiled.shuffling import shuffled_at_once

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(200_000, 5)), RNG.normal(size=(200_000, 1))
NET = cp.Network.sequential(5, 7, 1)
GENERATOR = np.random.RandomState(0)
PREDICT = cp.Predictor(NET, NET.initialize(0))
cp.set_threads(1)

def train(seed):  # the rule holds a number that no rule had before, so that its kernel is compiled
    cp.train(NET, NET.initialize(0), X[:100], Y[:100], loss="squared_error", epochs=1, engine="compiled",
             optimizer=cp.Momentum(0.01, seed / 2**20))

def compile_with_numba(seed):
    names = {}
    exec(f"def f(x):\\n  return x * {seed}", names)
    from numba import njit
    njit(names["f"])(1.0)

WORK = {
    "train": train,
    "compile": compile_with_numba,
    "shuffle": lambda seed: shuffled_at_once(np.arange(200_000), GENERATOR, 3),
    "predict": lambda seed: PREDICT(X),
}

for name, work in WORK.items():
    work(1)
    over = threading.Event()

    def go_on():
        seed = 100
        while not over.is_set():
            seed += 1
            work(seed)

    thread = threading.Thread(target=go_on)
    thread.start()
    children = []
    for k in range(5):
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            work(10 + k)
            os._exit(0)
        children.append(child)
    over.set()
    thread.join()
    print(name, [os.waitpid(child, 0)[1] for child in children], flush=True)
"""


def test_children_of_a_process_whose_other_threads_are_busy() -> None:
    """20 forks while another thread trains, compiles, shuffles or predicts: each child does the same and ends."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == [f"{name} {[0] * 5}" for name in ("train", "compile", "shuffle", "predict")], (
        done.stderr
    )


LOCK = """
import os, threading
from clearprop.fork_safety import register_fork_locks
lock, held, go_on = threading.Lock(), threading.Event(), threading.Event()
register_fork_locks(lock)

def hold():
    with lock:
        held.set()
        go_on.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
threading.Timer(0.2, go_on.set).start()
child = os.fork()
assert go_on.is_set()  # it waited
if child == 0:
    os._exit(0 if lock.acquire(timeout=5) else 1)
assert os.waitpid(child, 0)[1] == 0
assert lock.acquire(timeout=5)  # and it is free here, too
"""


def test_a_lock_is_free_on_both_sides() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOCK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_cached_property_holds_no_lock() -> None:
    """Two objects of a class compute theirs at the same time; with a lock, the first would wait for the second."""
    meeting = threading.Barrier(2, timeout=20)

    class Thing:
        @cached_property
        def number(self) -> int:
            return meeting.wait()

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(Thing().number)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1]
    thing = Thing()
    thing.__dict__["number"] = 7
    assert thing.number == 7


def test_a_lock_is_noted_once() -> None:
    lock = threading.Lock()
    register_fork_locks(lock)
    register_fork_locks(lock)
