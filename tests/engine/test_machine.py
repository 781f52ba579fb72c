"""Machine code is made and owned once per process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from clearprop.engine.compiled import machine


def test_threads_that_begin_at_once_share_one_machine(monkeypatch):
    made = []

    class Slow:
        def __init__(self) -> None:
            time.sleep(0.05)
            made.append(self)

    monkeypatch.setattr(machine, "Machine", Slow)
    monkeypatch.setattr(machine, "_the_one", cache(machine._the_one.__wrapped__))
    together = threading.Barrier(4)

    def ask() -> object:
        together.wait()
        return machine.machine()

    with ThreadPoolExecutor(4) as pool:
        found = {id(future.result()) for future in [pool.submit(ask) for _ in range(4)]}
    assert len(made) == len(found) == 1


ENSEMBLE = """
import numpy as np, clearprop as cp
X = np.random.default_rng(0).normal(size=(300, 20))
y = np.arange(300) % 3
cp.set_threads(4)
model = cp.MLPClassifier((30,), max_iter=20, n_iter_no_change=50, tol=0.0, n_networks=4, random_state=0)
import warnings; warnings.simplefilter("ignore")
print(np.isfinite(model.fit(X, y).predict_proba(X)).all())
"""


def test_the_first_use_may_be_in_several_threads():
    """Nothing is compiled or loaded before the threads of an ensemble begin."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", ENSEMBLE], capture_output=True, text=True, check=False)
        assert done.stdout == "True\n", (done.returncode, done.stderr)
