"""Whole fit calls, predictions of one row, and ensembles, against scikit-learn, in pairs one after the other.

    python benchmarks/estimators.py [--data FOLDER] [--cases iris,digits] [--repeats 5] [--out FILE]

Each case fits both libraries with the same parameters in float64, `repeats` times in turn, and prints the medians and
the ratio scikit-learn / clearprop (above 1: clearprop is faster). FOLDER holds adult_train.csv and mnist.npz; cases
whose file is missing are named and left out. The JSON has every single time, the machine and the versions.
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
import sklearn
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import clearprop as cp

Rows = tuple[np.ndarray, np.ndarray]


def iris(_: Path) -> Rows:
    return datasets.load_iris(return_X_y=True)


def digits(_: Path) -> Rows:
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def adult(folder: Path) -> Rows:
    table = cp.tables.read_table(folder / "adult_train.csv")
    encoding = cp.TableEncoding.fit(table, table.columns[-1])
    return encoding.features(table, np.float64), encoding.targets(table)


def mnist(folder: Path) -> Rows:
    arrays = np.load(folder / "mnist.npz")
    names = {name.lower(): name for name in arrays.files}
    X = arrays[names.get("x_train", arrays.files[0])]
    y = arrays[names.get("y_train", arrays.files[1])]
    return X.reshape(len(X), -1) / 255.0, y.ravel()


#: Rows, the file they need, and parameters of both libraries. tol=0 and a patience that never ends make all epochs run.
CASES: dict[str, tuple[Callable[[Path], Rows], str, dict[str, Any]]] = {
    "iris": (iris, "", {"max_iter": 200}),
    "digits": (digits, "", {"max_iter": 30}),
    "adult": (adult, "adult_train.csv", {"max_iter": 3}),
    "mnist": (mnist, "mnist.npz", {"hidden_layer_sizes": (256, 128), "max_iter": 1}),
}
ENDLESS = {"random_state": 0, "tol": 0.0, "n_iter_no_change": 10_000}


def in_turn(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call of both, taken alternately after one call of each to warm up."""
    first(), second()
    times: dict[str, list[float]] = {"clearprop": [], "scikit-learn": []}
    for _ in range(repeats):
        for name, call in (("clearprop", first), ("scikit-learn", second)):
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def fits(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    load, _, parameters = CASES[name]
    X, y = load(folder)
    settings = {**ENDLESS, **parameters}
    times = in_turn(
        lambda: cp.MLPClassifier(**settings).fit(X, y), lambda: MLPClassifier(**settings).fit(X, y), repeats
    )
    return {"what": f"fit {name} {X.shape}", "parameters": parameters, "seconds": times}


def one_row(repeats: int) -> dict[str, Any]:
    X, y = iris(Path())
    ours, theirs = (kind(**ENDLESS, max_iter=5).fit(X, y) for kind in (cp.MLPClassifier, MLPClassifier))
    row = X[:1]

    def many(model: Any) -> Callable[[], None]:
        return lambda: [model.predict(row) for _ in range(200)]  # type: ignore[return-value]

    return {"what": "predict one row, 200 times", "seconds": in_turn(many(ours), many(theirs), repeats)}


def ensemble(repeats: int) -> dict[str, Any]:
    """Eight networks at once against eight fits of clearprop in a row."""
    X, y = digits(Path())
    settings = {**ENDLESS, "max_iter": 10}
    times = in_turn(
        lambda: cp.MLPClassifier(**settings, n_networks=8).fit(X, y),
        lambda: [cp.MLPClassifier(**{**settings, "random_state": seed}).fit(X, y) for seed in range(8)],
        repeats,
    )
    return {
        "what": "8 networks at once",
        "seconds": {"clearprop": times["clearprop"], "in a row": times["scikit-learn"]},
    }


def report(result: dict[str, Any]) -> None:
    (a, ours), (b, others) = ((name, statistics.median(found)) for name, found in result["seconds"].items())
    print(f"{result['what']:32s} {a} {ours:8.3f} s   {b} {others:8.3f} s   ratio {others / ours:5.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--cases", default=",".join([*CASES, "row", "ensemble"]))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = []
    for name in given.cases.split(","):
        if name in CASES and CASES[name][1] and not (given.data / CASES[name][1]).exists():
            print(f"{name}: left out, {given.data / CASES[name][1]} is not there")
            continue
        run = {"row": one_row, "ensemble": ensemble}.get(name)
        results.append(run(given.repeats) if run else fits(name, given.data, given.repeats))
        report(results[-1])
    if given.out:
        versions = {m.__name__: m.__version__ for m in (cp, sklearn, np, scipy)}
        machine = {"processor": platform.processor(), "cores": os.cpu_count(), "python": platform.python_version()}
        given.out.write_text(json.dumps({"machine": machine, "versions": versions, "results": results}, indent=1))


if __name__ == "__main__":
    main()
