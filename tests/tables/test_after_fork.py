"""Tables in forked processes: whoever forks after Polars has started its threads still gets every answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PREPARE = """
import os, sys, time, warnings
warnings.simplefilter("ignore")  # Polars and newer Pythons warn of fork
import multiprocessing as mp
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
import clearprop as cp

rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
frame["k"] = np.where(frame.b > 0, "u", "v")
frame["y"] = 2 * frame.a
frame.to_csv("table.csv", index=False)
fast = dict(hidden=(), epochs=2, progress=False)

def total(columns):
    return round(float(columns["y"].sum()), 6)

def attempt(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def in_child(work):  # what the work returns in a forked child
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "w") as out:
            out.write(repr(attempt(work)))
        os._exit(0)
    os.close(write)
    answer = ""
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
"""

ANSWERS = """
model = cp.fit(frame, "y", **fast)
X = frame[["a", "k"]]
of_polars, of_arrow, numbers = pl.from_pandas(frame), pa.Table.from_pandas(frame), pl.from_pandas(frame[["a", "b"]])
estimator = cp.MLPRegressor(hidden_layer_sizes=(), max_iter=2, random_state=0, categorical_features=["k"])
warnings.simplefilter("ignore")
estimator.fit(X, frame.y)
plain = cp.MLPRegressor(hidden_layer_sizes=(), max_iter=2, random_state=0).fit(frame[["a", "b"]], frame.y)

def nested():
    model.predict(frame)
    return in_child(lambda: total(model.predict(frame)))

WORK = {
    "pandas": lambda: total(model.predict(frame)),
    "polars": lambda: total(model.predict(of_polars)),
    "arrow": lambda: total(model.predict(of_arrow)),
    "dict": lambda: total(model.predict({name: frame[name].tolist() for name in frame})),
    "file": lambda: total(model.predict("table.csv")),
    "three times": lambda: [total(model.predict(frame)) for _ in range(3)],
    "evaluate": lambda: round(model.evaluate(frame).metrics["R2"], 6),
    "fit": lambda: total(cp.fit(frame, "y", **fast).predict(frame)),
    "fit a class": lambda: cp.fit(frame, "k", **fast).predict(frame)["k"].tolist(),
    "estimator": lambda: estimator.predict(X).round(6).tolist(),
    "fit an estimator": lambda: cp.MLPRegressor(
        hidden_layer_sizes=(), max_iter=2, random_state=0, categorical_features=["k"]
    ).fit(X, frame.y).predict(X).round(6).tolist(),
    "estimator of a polars frame": lambda: plain.predict(numbers).round(6).tolist(),
    "missing column": lambda: model.predict({"a": [1.0]}),
    "unreadable": lambda: model.predict("absent.csv"),
    "fork in the child": nested,
}
for name, work in WORK.items():
    print(name, in_child(work) == repr(attempt(work)) or (in_child(work), attempt(work)), flush=True)
"""

POOL = """
model = cp.fit(frame, "y", **fast)
def predict(rows):
    return total(model.predict(frame[:rows]))
if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        print(pool.map(predict, [10, 20, 30]) == [predict(n) for n in (10, 20, 30)])
"""

PREFORK = """
from clearprop.tables import after_fork
cp.fit(frame, "y", **fast).save("model.cprop") if len(sys.argv) > 1 else None
model = cp.Model.load("model.cprop")
def serve():
    total(model.predict(frame))
    return after_fork._interpreter is None  # Polars started its threads in the child
print(*[in_child(serve) for _ in range(2)])
"""

KILLED = """
from clearprop.tables import after_fork
model = cp.fit(frame, "y", **fast)
def work():
    model.predict(frame)
    after_fork._interpreter.process.kill()
    first = attempt(lambda: after_fork._interpreter.call(len, ([],), {}))
    return first, total(model.predict(frame)) == expected
expected = total(model.predict(frame))
print(in_child(work))
"""


INTERRUPTED = """
import signal
from clearprop.tables import after_fork
model = cp.fit(frame, "y", **fast)
class Interrupted(BaseException):
    pass
def interrupt(*_):
    raise Interrupted
def work():
    model.predict(frame)
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        after_fork._interpreter.call(time.sleep, (3,), {})
        return "not interrupted"
    except Interrupted:
        return total(model.predict(frame[:5])) == expected
expected = total(model.predict(frame[:5]))
print(in_child(work))
"""


def run(script: str, folder: Path, *arguments: str) -> list[str]:
    """The lines that a script prints in a process of its own."""
    path = folder / "script.py"
    path.write_text(PREPARE + script)
    done = subprocess.run(
        [sys.executable, str(path), *arguments], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_forked_child_answers_as_its_parent_does(tmp_path: Path) -> None:
    lines = run(ANSWERS, tmp_path)
    assert len(lines) == 15
    assert [line for line in lines if not line.endswith(" True")] == []


def test_the_workers_of_a_pool_answer(tmp_path: Path) -> None:
    assert run(POOL, tmp_path) == ["True"]


def test_workers_forked_before_the_first_table_need_no_second_interpreter(tmp_path: Path) -> None:
    run(PREFORK, tmp_path, "save")
    assert run(PREFORK, tmp_path) == ["True True"]


def test_an_interpreter_that_is_killed_is_named_and_replaced(tmp_path: Path) -> None:
    (line,) = run(KILLED, tmp_path)
    assert line.startswith("('ClearpropError: The interpreter that encodes tables for this forked process ended")
    assert "exit status -9" in line
    assert line.endswith("True)")


def test_a_call_after_an_interrupted_one_gets_its_own_reply(tmp_path: Path) -> None:
    assert run(INTERRUPTED, tmp_path) == ["True"]
