"""Compiled code on disk: made ahead, made by several processes at once, and where nothing can be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba.core import event

import clearprop as cp
from clearprop.cli.app import main
from clearprop.engine.compiled import cache, code_store, machine
from clearprop.engine.compiled.sparse import sparse_kernels
from clearprop.engine.compiled.step import kernels
from clearprop.errors import CompilationError

TRAIN = """
import hashlib, json, os, sys, warnings
{before}
import numpy as np, clearprop as cp
random = np.random.default_rng(0)
X, y = random.normal(size=(40, 5)), random.integers(0, 3, 40)
net = cp.Network.sequential(5, 7, 3, hidden="tanh", output="softmax")
params = net.initialize(0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    history = cp.train(net, params, X, y, loss="cross_entropy", epochs=2, engine="compiled")
print(json.dumps([hashlib.sha256(params.flat.tobytes()).hexdigest(), [str(w.message) for w in caught]]))
"""


def start(folder: Path, before: str = "") -> subprocess.Popen[str]:
    """A process that trains with its compiled code in a folder."""
    code = TRAIN.format(before=before)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate(timeout=280)
    assert process.returncode == 0
    return json.loads(out)


def test_two_processes_that_compile_at_once_and_one_that_only_reads(tmp_path: Path) -> None:
    """Both train the same; a third finds everything in a folder that it cannot write."""
    first, second = start(tmp_path), start(tmp_path)
    ours, theirs = answer(first), answer(second)
    assert ours == theirs
    assert ours[1] == []
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert len(stored) > 20
    read_only = "real = os.access; os.access = lambda path, mode: real(path, mode) and not mode & os.W_OK"
    assert answer(start(tmp_path, read_only)) == ours
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == stored


AT_ONCE = """
import time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, clearprop as cp
from clearprop.engine.compiled.machine import Machine
make = Machine.__init__

def slowly(self):
    make(self)
    time.sleep(0.3)  # so that another thread is sure to ask as well

Machine.__init__ = slowly
random = np.random.default_rng(0)
X, y = random.normal(size=(400, 5)), random.integers(0, 3, 400)
net = cp.Network.sequential(5, 7, 3, hidden="tanh", output="softmax")

def train(_):
    params = net.initialize(0)
    cp.train(net, params, X, y, loss="cross_entropy", epochs=20, engine="compiled")
    return params.flat.tobytes()

with ThreadPoolExecutor(4) as pool:
    print(len(set(pool.map(train, range(8)))))
"""


def test_threads_that_use_it_first_at_the_same_time() -> None:
    """Each part is loaded once: loaded twice, the second load would take the place of code that the other runs."""
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_location_in_which_no_folder_can_be_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for module in (cache, code_store):
        monkeypatch.setattr(module, "folder", lambda: tmp_path / "file" / "clearprop")
    cache._warn.cache_clear()
    cache.place.cache_clear()
    try:
        with pytest.warns(RuntimeWarning) as caught:
            assert cache.place() is None
        assert not cache.is_writable()
    finally:
        monkeypatch.undo()
        cache.place.cache_clear()
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith(f"clearprop: compiled code cannot be stored in {tmp_path / 'file' / 'clearprop'} (")
    assert message.endswith("Set NUMBA_CACHE_DIR to a writable folder, or fill one once with clearprop warmup.")


def test_code_that_cannot_be_stored_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "is_writable", lambda: False)
    cache._warn.cache_clear()

    @cache.compiled
    def add(x: float) -> float:
        return x + 1

    with pytest.warns(RuntimeWarning, match=r"cannot be stored in .* \(it is read-only\)"):
        assert add(1.0) == 2.0
    assert add(1) == 2  # a second compilation, without a second warning


def test_warmup_reports_the_folder_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["warmup"])
    assert stop.value.code in (0, None)
    printed = capsys.readouterr().out
    assert printed.startswith(f"compiled code is stored in {cache.folder()} (")
    assert "seconds" in printed


def test_after_warmup_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for other shapes and wirings nor for the other precision, nor for usual definitions."""
    found = cp.warmup()
    assert found.folder == cache.folder()
    assert found.files > 100
    before = (kernels.cache_info().misses, sparse_kernels.cache_info().misses)
    written: list[str] = []  # by this process; others may compile meanwhile
    monkeypatch.setattr(machine, "_write", lambda name, code: written.append(name))
    random = np.random.default_rng(0)
    with event.install_recorder("numba:compile") as recorder:
        for dtype in ("float32", "float64"):
            for units in ((1, 1), (3, 50, 2), (90, 17, 33, 5)):
                X, y = random.normal(size=(70, units[0])), random.normal(size=(70, units[-1]))
                net = cp.Network.sequential(*units, hidden="gelu")
                params = net.initialize(0, dtype)
                options: dict[str, Any] = {"loss": "huber", "epochs": 1, "engine": "compiled"}
                cp.train(net, params, X, y, optimizer="nadam", metrics="rmse", validation=0.2, **options)
                cp.train(net, params, X, y, optimizer="lbfgs", **options)
                cp.Predictor(net, params)(X)
    assert recorder.buffer == []
    assert (kernels.cache_info().misses, sparse_kernels.cache_info().misses) == before
    assert written == []


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "is_writable", lambda: False)
    with pytest.raises(CompilationError) as caught:
        cp.warmup()
    assert str(caught.value) == (
        f"warmup: {cache.folder()} cannot be written, so compiled code cannot be stored there. Set NUMBA_CACHE_DIR to "
        "a writable folder, for this command and for every process that uses the code."
    )


def test_the_report_of_warmup() -> None:
    made = cp.engine.warmup.CompiledCode(Path("cache"), 411, 5_230_000, 12.34)
    assert str(made) == "compiled code is stored in cache (411 files, 5.2 MB); it took 12.3 seconds"


def test_compiling_is_announced_once_and_only_if_the_code_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cp.warmup()
    capsys.readouterr()
    signature = ("a precision",)
    monkeypatch.setattr(
        cache, "compile_for_c", lambda function, signature, load, save: SimpleNamespace(address=load("part"))
    )
    monkeypatch.setattr(cache, "_load", lambda name: b"stored")
    cache.address(lambda number: number, signature)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(cache, "_load", lambda name: None)
    cache.address(lambda number: number, signature)
    cache.address(lambda number: -number, signature)  # another part of the same step
    assert capsys.readouterr().err == ("clearprop: compiling the training code (once per machine, about 10 seconds)\n")
