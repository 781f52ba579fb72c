"""Small trainings that go wrong, each with the code of its cause, to count what `cp.diagnose` misses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import clearprop as cp
from tests.explain.diagnosis.trainings import (
    OUTPUTS,
    Run,
    circles,
    diabetes,
    digits,
    friedman,
    growing_noise,
    heavy_tails,
    noisy_boundary,
    split,
    weak_signal,
)


def sick_run(task: Callable[[], Any], rule: Any, change: Callable[..., Any] | None = None, **options: Any) -> Run:
    """A training of a task whose rows were changed, or with settings that do not work."""
    X, y, loss, _, epochs = task()
    (X, y), _ = split(X, y)
    X, y = (X, y) if change is None else change(X, y, np.random.default_rng(20))
    units = int(y.max()) + 1 if y.ndim == 1 else y.shape[1]
    hidden, sizes = options.pop("hidden", "relu"), options.pop("sizes", (24,))
    output, initializer = OUTPUTS.get(loss, "identity"), options.pop("initializer", None)
    net = cp.Network.sequential(X.shape[1], *sizes, units, hidden=hidden, output=output, initializer=initializer)
    return Run(net, (X, y), (X, y), loss, {"optimizer": rule, "epochs": epochs} | options)


def clear_classes():
    rng = np.random.default_rng(13)
    X = rng.normal(size=(2000, 10))
    return X, (X[:, :1] + X[:, 1:2] > 0) * 1.0, "binary_cross_entropy", 1, 15


def offset_line():
    rng = np.random.default_rng(14)
    X = rng.normal(size=(1500, 5))
    return X, 5 + X[:, :1] + 0.1 * rng.normal(size=(1500, 1)), "squared_error", 1, 30


def shuffled(X, y, rng):
    return X, rng.permutation(y)


def shifted(X, y, rng):
    return X, np.roll(y, 1, axis=0)


def few_and_wide(X, y, rng):
    return np.c_[X[:120], rng.normal(size=(120, 30))], y[:120]


def few(X, y, rng):
    return X[:200], y[:200]


def turned(share: float) -> Callable[..., Any]:
    def change(X, y, rng):
        some, y = rng.choice(len(y), int(share * len(y)), replace=False), y.copy()
        y[some] = (y[some] + 1) % (y.max() + 1) if y.ndim == 1 else 1 - y[some]
        return X, y

    return change


def slipped(X, y, rng):
    y = y.copy()
    y[rng.choice(len(y), len(y) // 100, replace=False)] *= 10
    return X, y


def rescaled(inputs: float = 1.0, targets: float = 1.0, offset: float = 0.0) -> Callable[..., Any]:
    return lambda X, y, rng: (inputs * X, targets * y + offset)


def rare(X, y, rng):
    return X, (X[:, :1] + 2 * rng.normal(size=(len(X), 1)) > 4.6) * 1.0


def by_label(X, y, rng):
    order = np.argsort(y if y.ndim == 1 else y[:, 0], kind="stable")
    return X[order], y[order]


def with_target(X, y, rng):
    return np.c_[X, 7 - 3 * y], y


def with_first_twice(X, y, rng):
    return np.c_[X, 2.54 * X[:, :1]], y


def _sick(code: str, *arguments: Any, **options: Any) -> tuple[str, Callable[[], Run]]:
    return code, lambda: sick_run(*arguments, **options)


ZEROS, FULL = cp.initializers.Zeros(), {"batch_size": None, "epochs": 60}
SICK: dict[str, tuple[str, Callable[[], Run]]] = {
    "shuffled targets": _sick("nothing-learned", weak_signal, cp.Adam(0.001), shuffled),
    "shuffled labels": _sick("nothing-learned", noisy_boundary, cp.Adam(0.001), shuffled, epochs=10),
    "shifted rows": _sick("nothing-learned", heavy_tails, cp.Adam(0.001), shifted, epochs=10),
    "shuffled labels, validation": _sick(
        "nothing-learned", noisy_boundary, cp.Adam(0.005), shuffled, epochs=100, validation=0.3
    ),
    "no hidden layer for circles": _sick("nothing-learned", circles, cp.Adam(0.001), sizes=(), epochs=30),
    "overfitting, few rows": _sick(
        "overfitting", noisy_boundary, cp.Adam(0.005), few_and_wide, sizes=(128, 64), epochs=150, validation=0.4
    ),
    "overfitting, regression": _sick(
        "overfitting", diabetes, cp.Adam(0.005), sizes=(256, 128), epochs=200, validation=0.3
    ),
    "overfitting, many units": _sick(
        "overfitting", growing_noise, cp.Adam(0.005), few, sizes=(256,), epochs=400, validation=0.3
    ),
    "1% of labels turned": _sick("labels-that-look-wrong", clear_classes, cp.Adam(0.003), turned(0.01)),
    "3% of labels turned": _sick("labels-that-look-wrong", clear_classes, cp.Adam(0.003), turned(0.03)),
    "10% of labels turned": _sick("labels-that-look-wrong", clear_classes, cp.Adam(0.003), turned(0.1)),
    "2% of digits moved": _sick("labels-that-look-wrong", digits, cp.Adam(0.003), turned(0.02)),
    "5% of digits moved": _sick("labels-that-look-wrong", digits, cp.Adam(0.003), turned(0.05)),
    "decimal point": _sick("labels-that-look-wrong", offset_line, cp.Adam(0.003), slipped),
    "small targets": _sick("unscaled-targets", friedman, cp.Adam(0.05), rescaled(targets=1e-4)),
    "large targets": _sick("unscaled-targets", friedman, cp.Adam(0.001), rescaled(targets=50, offset=200)),
    "targets far from 0": _sick("unscaled-targets", friedman, cp.Adam(0.001), rescaled(offset=20)),
    "small inputs": _sick("unscaled-inputs", friedman, cp.Adam(0.001), rescaled(inputs=1e-4), epochs=15),
    "large inputs": _sick("unscaled-inputs", friedman, cp.Adam(0.005), rescaled(inputs=300), hidden="tanh"),
    "constant targets": _sick("constant-targets", friedman, cp.Adam(0.003), rescaled(targets=0, offset=3)),
    "one class only": _sick("constant-targets", clear_classes, cp.Adam(0.003), rescaled(targets=0, offset=1)),
    "98% of one class": _sick("imbalanced-classes", clear_classes, cp.Adam(0.001), rare),
    "sorted digits": _sick("rows-in-order", digits, cp.Momentum(0.05), by_label, shuffle=False),
    "sorted targets": _sick("rows-in-order", friedman, cp.Momentum(0.02), by_label, shuffle=False, hidden="tanh"),
    "diverged": _sick("learning-rate-too-high", friedman, cp.GradientDescent(10.0)),
    "collapsed, Adam": _sick("learning-rate-too-high", friedman, cp.Adam(1.0), sizes=(32, 32)),
    "collapsed, descent": _sick("learning-rate-too-high", digits, cp.GradientDescent(5.0), sizes=(32, 32)),
    "oscillating": _sick("learning-rate-too-high", friedman, cp.GradientDescent(2.5), hidden="tanh", **FULL),
    "rate too low": _sick("learning-rate-too-low", friedman, cp.GradientDescent(1e-5), hidden="tanh"),
    "zero weights": _sick("zero-weights", friedman, cp.Adam(0.003), hidden="tanh", initializer=ZEROS),
    "strong penalty": _sick("penalty-too-strong", friedman, cp.Adam(0.003), penalty=cp.penalties.L1(5.0)),
    "eight layers of sigmoid": _sick(
        "vanishing-deltas", friedman, cp.GradientDescent(0.1), hidden="sigmoid", sizes=(8,) * 8
    ),
    "the target as a column": _sick("leaking-column", friedman, cp.Adam(0.003), with_target),
    "the label as a column": _sick("leaking-column", digits, cp.Adam(0.003), with_target),
    "a column twice": _sick("duplicate-columns", friedman, cp.Adam(0.003), with_first_twice),
}
