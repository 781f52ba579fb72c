"""Machine code is made and owned once per process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clearprop.engine.compiled import cache as compilation
from clearprop.engine.compiled import machine
from clearprop.engine.compiled.code_store import DAY


def test_threads_that_begin_at_once_share_one_machine(monkeypatch):
    made = []

    class Slow:
        def __init__(self) -> None:
            time.sleep(0.05)
            made.append(self)

    monkeypatch.setattr(machine, "Machine", Slow)
    monkeypatch.setattr(machine, "_machine", None)
    together = threading.Barrier(4)

    def ask() -> object:
        together.wait()
        return machine.machine()

    with ThreadPoolExecutor(4) as pool:
        found = {id(future.result()) for future in [pool.submit(ask) for _ in range(4)]}
    assert len(made) == len(found) == 1


def test_of_too_many_kernels_those_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FILES", 4)
    monkeypatch.setattr(machine, "folder", lambda: tmp_path)
    text = returning(0)
    for age in range(1, 5):
        path = tmp_path / f"{age}.o"
        path.write_bytes(b"old")
        os.utime(path, (time.time() - age * DAY,) * 2)
    (tmp_path / "other.txt").touch()
    machine.Machine().address(text)
    kept = {path.name for path in tmp_path.glob("*.o")}
    assert len(kept) == 3
    assert {"1.o", "2.o"} < kept
    assert (tmp_path / "other.txt").exists()
    (mine,) = kept - {"1.o", "2.o"}
    os.utime(tmp_path / mine, (0, 0))
    machine.Machine().address(text)  # read from disk: used again
    assert time.time() - (tmp_path / mine).stat().st_mtime < DAY


def test_engines_of_earlier_versions_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "folder", lambda: tmp_path)
    for age in range(12):
        path = tmp_path / f"engine-{age}"
        path.mkdir()
        (path / "code.nbi").touch()
        os.utime(path, (time.time() - (age + 1) * DAY,) * 2)
    place = compilation.place.__wrapped__()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {place.name, *(f"engine-{age}" for age in range(compilation.ENGINES - 1))}
    assert compilation.place.__wrapped__() == place
    assert {path.name for path in tmp_path.iterdir()} == left


def returning(number: int) -> str:
    return f"define double @kernel() {{\n  ret double {number}.0\n}}\n"


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
