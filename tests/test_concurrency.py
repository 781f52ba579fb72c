"""Threads and processes: many may predict with one model, one trains it, and nothing hangs without saying where."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ArgumentError

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(300, 6)), RNG.integers(0, 3, 300)
NET = cp.Network.sequential(6, 40, 3, hidden="gelu", output="softmax")
PARAMS = NET.initialize(seed=0)
WIDE = cp.Network.sequential(6, 2000, 3, hidden="relu", output="softmax")
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def estimator() -> cp.MLPClassifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cp.MLPClassifier((20,), max_iter=2, random_state=0).fit(X, LABELS)


def model() -> cp.Model:
    table = {**{f"x{i}": X[:, i] for i in range(6)}, "label": LABELS}
    return cp.fit(table, "label", hidden=(8,), epochs=1, task="classification")


def predictors() -> dict:
    """Functions of rows that many threads share."""
    fitted, trained, predictor = estimator(), model(), cp.Predictor(NET, PARAMS)
    wide = cp.Predictor(WIDE, WIDE.initialize(seed=0))
    tables = lambda rows: {f"x{i}": rows[:, i] for i in range(6)}  # noqa: E731
    return {
        "cp.predict": lambda rows: cp.predict(NET, PARAMS, rows),
        "Predictor": predictor,
        "Predictor, several threads inside": lambda rows: wide(np.tile(rows, (20, 1))),
        "estimator": fitted.predict_proba,
        "Model": lambda rows: trained.predict(tables(rows))["probability of 1"],
        "backpropagate": lambda rows: (
            cp.backpropagate(NET, PARAMS, rows, LABELS[: len(rows)], loss="cross_entropy").gradients.flat
        ),
    }


def test_many_threads_predict_what_one_does():
    """8 threads, each with batches of many sizes, through everything that predicts: the bits of one call by itself."""
    sizes = [1, 2, 95, 96, 97, 200, 300] * 6
    for name, predict in predictors().items():
        alone = {size: predict(X[:size]).tobytes() for size in set(sizes)}
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda size: predict(X[:size]).tobytes(), sizes))  # noqa: B023
        assert [found[i] == alone[size] for i, size in enumerate(sizes)] == [True] * len(sizes), name


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("engine", ["textbook", "compiled"])
def test_a_second_training_of_the_same_parameters_is_refused(engine, optimizer):
    if optimizer == "lbfgs" and engine == "compiled":
        engine = "auto"
    params, begun, go_on = NET.initialize(seed=1), threading.Event(), threading.Event()
    options = {"loss": "cross_entropy", "optimizer": optimizer, "epochs": 2, "engine": engine}

    def wait(end):
        begun.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cp.train, NET, params, X, LABELS, callbacks=wait, **options)
        assert begun.wait(60)
        same = cp.Parameters(NET, params.flat)
        for second in (params, same):
            with pytest.raises(ArgumentError) as error:
                cp.train(NET, second, X, LABELS, **options)
            assert str(error.value) == (
                "params: another training of these parameters is under way, in another thread or around this "
                "callback. Give each training parameters of its own: params.copy()."
            )
        copied = params.copy()
        cp.train(NET, copied, X, LABELS, **options)  # another one may be trained meanwhile
        go_on.set()
        assert first.result(60).epochs == 2
    undisturbed = NET.initialize(seed=1)
    cp.train(NET, undisturbed, X, LABELS, **options)
    assert params.flat.tobytes() == undisturbed.flat.tobytes()
    cp.train(NET, params, X, LABELS, **options)  # and again, once the first is over


def test_parameters_are_free_again_after_an_error():
    params = NET.initialize(seed=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cp.train(NET, params, X, LABELS, loss="cross_entropy", epochs=1, callbacks=lambda end: 1 / 0)


@QUIET
def test_a_second_fit_of_the_same_estimator_is_refused():
    begun, go_on = threading.Event(), threading.Event()

    def score(*_):
        begun.set()
        assert go_on.wait(60)
        return 1.0

    shared = cp.MLPClassifier((4,), max_iter=2, early_stopping=True, scoring=score, random_state=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared.fit, X, LABELS)
        assert begun.wait(60)
        for second in (shared.fit, shared.fit_transform):
            with pytest.raises(ValueError, match=r"MLPClassifier: this estimator is already being fitted in another"):
                second(X, LABELS)
        go_on.set()
        assert first.result(60) is shared
    assert shared.predict(X).shape == (300,)
    shared.set_params(scoring=None).fit(X, LABELS)


def _in_a_fork(queue) -> None:
    """Everything again in a process that was forked while its parent had used it, and was training."""
    params = NET.initialize(seed=1)
    cp.train(NET, params, X, LABELS, loss="cross_entropy", epochs=1)
    queue.put((cp.predict(NET, PARAMS, X).tobytes(), SHARED(X).tobytes(), params.flat.tobytes()))


SHARED = cp.Predictor(NET, PARAMS)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
def test_fork_after_use():
    params, found = NET.initialize(seed=1), []

    def fork(end):  # in the middle of a training
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork where threads run
            child = context.Process(target=_in_a_fork, args=(queue,))
            child.start()
        found.append(queue.get())
        child.join(60)
        assert child.exitcode == 0

    expected = cp.predict(NET, PARAMS, X).tobytes(), SHARED(X).tobytes()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(SHARED, [X] * 8))
    cp.train(NET, params, X, LABELS, loss="cross_entropy", epochs=1, callbacks=fork)
    assert found == [(*expected, params.flat.tobytes())]


HANGING = """
import ctypes, threading
def test_hangs():
    threading.Thread(target=threading.Event().wait, name="a helper that waits", daemon=True).start()
    ctypes.CDLL(None).sleep(100)  # in code that no Python signal reaches
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no sleep in its C library")
def test_a_hanging_test_is_ended_and_shows_where_its_threads_are(tmp_path, request):
    assert request.config.getini("timeout") == "300"
    method = request.config.getini("timeout_method")
    path = tmp_path / "test_hanging.py"
    path.write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", str(path)]
    done = subprocess.run(
        [*command, "-o", "timeout=2", "-o", f"timeout_method={method}"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "Stack of MainThread" in told
    assert "Stack of a helper that waits" in told
    assert "ctypes.CDLL(None).sleep(100)" in told
