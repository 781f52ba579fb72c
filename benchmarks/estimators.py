"""Whole fit calls, predictions and ensembles against scikit-learn, in pairs one after the other.

    python benchmarks/estimators.py [--data FOLDER] [--cases iris,digits] [--repeats 5] [--one-core] [--out FILE]

Each case fits both libraries with the same parameters, `repeats` times in turn, each time after a rest and an untimed
fit, and prints the medians and the ratio scikit-learn / clearprop (above 1: clearprop is faster). FOLDER holds
adult_train.csv and mnist.npz; cases whose file is missing are named and left out. With --one-core both use one thread,
and the time is that of the processor, which other work on the machine hardly changes. With --cold there is no untimed
fit, so each finds the caches full of what ran before. The JSON has every single time, the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.sparse
import sklearn
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

import clearprop as cp
from clearprop.engine.cores import available_threads

Rows = tuple[np.ndarray, np.ndarray]


def iris(_: Path) -> Rows:
    return datasets.load_iris(return_X_y=True)


def digits(_: Path) -> Rows:
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def adult(folder: Path) -> Rows:
    table = cp.tables.read_table(folder / "adult_train.csv")
    encoding = cp.tables.TableEncoding.fit(table, table.columns[-1])
    return encoding.features(table, np.float64), encoding.targets(table)


def mnist(folder: Path) -> Rows:
    arrays = np.load(folder / "mnist.npz")
    names = {name.lower(): name for name in arrays.files}
    X = arrays[names.get("x_train", arrays.files[0])]
    y = arrays[names.get("y_train", arrays.files[1])]
    return X.reshape(len(X), -1) / 255.0, y.ravel()


def diabetes(_: Path) -> Rows:
    X, y = datasets.load_diabetes(return_X_y=True)
    return X, (y - y.mean()) / y.std()


def words(_: Path) -> Rows:
    """Sparse counts, as of words in texts."""
    X = scipy.sparse.random(2000, 1000, 0.02, format="csr", random_state=0)
    return X, np.random.default_rng(0).integers(0, 2, 2000)


def single(load: Callable[[Path], Rows]) -> Callable[[Path], Rows]:
    """The same rows in single precision."""
    return lambda folder: (load(folder)[0].astype(np.float32), load(folder)[1])


#: Rows, the file they need, and parameters of both libraries. tol=0 and a patience that never ends make all epochs run.
CASES: dict[str, tuple[Callable[[Path], Rows], str, dict[str, Any]]] = {
    "iris": (iris, "", {"max_iter": 200}),
    "digits": (digits, "", {"max_iter": 30}),
    "adult": (adult, "adult_train.csv", {"max_iter": 3}),
    "mnist": (mnist, "mnist.npz", {"hidden_layer_sizes": (256, 128), "max_iter": 1}),
    "iris32": (single(iris), "", {"max_iter": 200}),
    "digits32": (single(digits), "", {"max_iter": 30}),
    "adult32": (single(adult), "adult_train.csv", {"max_iter": 3}),
    "mnist32": (single(mnist), "mnist.npz", {"hidden_layer_sizes": (256, 128), "max_iter": 1}),
    "iris-once": (iris, "", {"max_iter": 1}),
    "iris-stopping": (iris, "", {"early_stopping": True, "max_iter": 100}),
    "iris-sgd": (iris, "", {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 200}),
    "iris-batch10": (iris, "", {"batch_size": 10, "max_iter": 20}),
    "iris-online": (iris, "", {"batch_size": 1, "max_iter": 5}),
    "iris-linear": (iris, "", {"hidden_layer_sizes": (), "max_iter": 100}),
    "iris-lbfgs": (iris, "", {"solver": "lbfgs", "max_iter": 100}),
    "digits-stopping": (digits, "", {"early_stopping": True, "max_iter": 20}),
    "digits-logistic": (digits, "", {"activation": "logistic", "max_iter": 10}),
    "digits-wide": (digits, "", {"hidden_layer_sizes": (500, 500), "max_iter": 3}),
    "digits-lbfgs": (digits, "", {"solver": "lbfgs", "max_iter": 20}),
    "words": (words, "", {"max_iter": 5}),
    "diabetes": (diabetes, "", {"hidden_layer_sizes": (50, 50), "activation": "tanh", "max_iter": 50}),
}
ENDLESS = {"random_state": 0, "tol": 0.0, "n_iter_no_change": 10_000}
#: Seconds between two calls: after a product the threads of NumPy's BLAS wait for the next one busily, for some
#: hundredths of a second, and would take a core from the library that is next.
REST = 0.15
#: What is measured: seconds that pass, or seconds of the processor.
clock = time.perf_counter
#: Whether a call is timed without one before it.
cold = False


def rest() -> None:
    """Wait, but not asleep, as a core that slept begins slowly."""
    end = time.perf_counter() + REST
    while time.perf_counter() < end:
        pass


def in_turn(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call of both, taken alternately.

    Each comes after a rest and (unless `cold`) an untimed call of the same library, so that neither finds the cores
    busy with the other's threads, nor the caches full of its code.
    """
    first(), second()
    times: dict[str, list[float]] = {"clearprop": [], "scikit-learn": []}
    for _ in range(repeats):
        for name, call in (("clearprop", first), ("scikit-learn", second)):
            rest()
            if not cold:
                call()
            start = clock()
            call()
            times[name].append(clock() - start)
    return times


def fits(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    load, _, parameters = CASES[name]
    X, y = load(folder)
    settings = {**ENDLESS, **parameters}
    kinds = (cp.MLPRegressor, MLPRegressor) if y.dtype.kind == "f" else (cp.MLPClassifier, MLPClassifier)
    times = in_turn(*[lambda kind=kind: kind(**settings).fit(X, y) for kind in kinds], repeats)
    return {"what": f"fit {name} {X.shape}", "parameters": parameters, "seconds": times}


def predictions(rows: int, times: int, repeats: int) -> dict[str, Any]:
    X, y = digits(Path()) if rows > 1 else iris(Path())
    ours, theirs = (kind(**ENDLESS, max_iter=5).fit(X, y) for kind in (cp.MLPClassifier, MLPClassifier))

    def many(model: Any) -> Callable[[], None]:
        return lambda: [model.predict(X[:rows]) for _ in range(times)]  # type: ignore[return-value]

    what = f"predict {rows} row{'s' * (rows > 1)}, {times} times"
    return {"what": what, "seconds": in_turn(many(ours), many(theirs), repeats)}


def partial_fits(repeats: int) -> dict[str, Any]:
    X, y = iris(Path())

    def many(kind: Any) -> None:
        model = kind(random_state=0)
        for _ in range(30):
            model.partial_fit(X, y, classes=[0, 1, 2])

    times = in_turn(lambda: many(cp.MLPClassifier), lambda: many(MLPClassifier), repeats)
    return {"what": "partial_fit iris, 30 times", "seconds": times}


def ensemble(threads: int | None, repeats: int) -> dict[str, Any]:
    """Eight networks at once against eight fits of clearprop in a row, of so many threads each (None: all cores)."""
    X, y = digits(Path())
    settings = {**ENDLESS, "max_iter": 30}

    def in_a_row() -> None:
        cp.set_threads(threads)
        for seed in range(8):
            cp.MLPClassifier(**{**settings, "random_state": seed}).fit(X, y)
        cp.set_threads(None)

    times = in_turn(lambda: cp.MLPClassifier(**settings, n_networks=8).fit(X, y), in_a_row, repeats)
    seconds = {"at once": times["clearprop"], "in a row": times["scikit-learn"]}
    return {"what": f"8 networks, alone {threads or 'all'} threads", "seconds": seconds}


OTHERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "row": lambda repeats: predictions(1, 200, repeats),
    "rows": lambda repeats: predictions(1797, 20, repeats),
    "partial": partial_fits,
    "ensemble": lambda repeats: ensemble(1, repeats),
    "ensemble-all": lambda repeats: ensemble(None, repeats),
}


def report(result: dict[str, Any]) -> None:
    (a, ours), (b, others) = ((name, statistics.median(found)) for name, found in result["seconds"].items())
    seconds = f"{a} {ours:8.4f} s   {b} {others:8.4f} s   ratio {others / ours:5.2f}"
    print(f"{result['case']:16s} {result['what']:32s} {seconds}", flush=True)


def main() -> None:
    global clock, cold
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--cases", default=",".join([*CASES, *OTHERS]))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    cold = given.cold
    if given.one_core:
        clock = time.process_time
        cp.set_threads(1)
    results = []
    with threadpool_limits(limits=1 if given.one_core else None):
        for name in given.cases.split(","):
            if name in CASES and CASES[name][1] and not (given.data / CASES[name][1]).exists():
                print(f"{name}: left out, {given.data / CASES[name][1]} is not there")
                continue
            if name.startswith("ensemble") and given.one_core:
                continue
            results.append(OTHERS[name](given.repeats) if name in OTHERS else fits(name, given.data, given.repeats))
            results[-1]["case"] = name
            report(results[-1])
    if given.out:
        versions = {m.__name__: m.__version__ for m in (cp, sklearn, np, scipy)}
        machine = {"processor": _processor(), "cores": available_threads(), "python": platform.python_version()}
        measured = {"date": time.strftime("%Y-%m-%d"), "clock": clock.__name__, "cold": cold, "load": os.getloadavg()}
        found = {"measured": measured, "machine": machine, "versions": versions, "results": results}
        given.out.write_text(json.dumps(found, default=lambda x: round(x, 6)) + "\n")


def _processor() -> str:
    """What the system calls the processor, where it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
