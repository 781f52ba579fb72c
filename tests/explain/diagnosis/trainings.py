"""Small healthy trainings, to count the false alarms of `cp.diagnose`.

`HEALTHY` is a table of functions without arguments that return a `Run`. The suite takes some of them;
`benchmarks/diagnosis.py` runs all and prints what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any

import numpy as np
from sklearn import datasets

import clearprop as cp
from clearprop.explain.diagnosis import Diagnosis


@dataclass
class Run:
    """A training of `net` on (X, y), and rows held out."""

    net: cp.Network
    data: tuple[np.ndarray, np.ndarray]
    held_out: tuple[np.ndarray, np.ndarray]
    loss: Any
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    dtype: str = "float64"
    held_out_weight: np.ndarray | None = None

    def train(self) -> None:
        """Train; a divergence leaves the history of the epochs before it."""
        self.params = self.net.initialize(seed=self.seed, dtype=self.dtype)
        try:
            self.history = cp.train(self.net, self.params, *self.data, loss=self.loss, **self.options)
        except cp.TrainingDiverged as error:
            self.history = error.history

    def diagnose(self, **more: Any) -> Diagnosis:
        """The diagnosis of the training rows."""
        weight = self.options.get("sample_weight")
        return self._diagnose(self.data, sample_weight=weight, **more)

    def diagnose_held_out(self) -> Diagnosis:
        """The diagnosis of the rows held out."""
        return self._diagnose(self.held_out, sample_weight=self.held_out_weight)

    def _diagnose(self, rows: tuple[np.ndarray, np.ndarray], **more: Any) -> Diagnosis:
        reduction = self.options.get("reduction", "mean")
        return cp.diagnose(self.net, self.params, *rows, self.loss, history=self.history, reduction=reduction, **more)


def standardized(X: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and standard deviation 1."""
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)


def split(X: np.ndarray, y: np.ndarray, seed: int = 0) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Three quarters of the rows to train on, in random order, and the others."""
    order = np.random.default_rng(seed).permutation(len(X))
    cut = 3 * len(X) // 4
    return (X[order[:cut]], y[order[:cut]]), (X[order[cut:]], y[order[cut:]])


# --- tasks -----------------------------------------------------------------------------------------------------------


def digits():
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y, "cross_entropy", 10, 15


def iris():
    X, y = datasets.load_iris(return_X_y=True)
    return standardized(X), y, "cross_entropy", 3, 60


def wine():
    X, y = datasets.load_wine(return_X_y=True)
    return standardized(X), y, "cross_entropy", 3, 40


def breast_cancer():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return standardized(X), y[:, None] * 1.0, "binary_cross_entropy", 1, 25


def diabetes():
    X, y = datasets.load_diabetes(return_X_y=True)
    return standardized(X), standardized(y[:, None]), "squared_error", 1, 40


def friedman():
    X, y = datasets.make_friedman1(600, noise=1.0, random_state=0)
    return standardized(X), standardized(y[:, None]), "squared_error", 1, 40


def moons():
    X, y = datasets.make_moons(500, noise=0.2, random_state=0)
    return standardized(X), y[:, None] * 1.0, "binary_cross_entropy", 1, 80


def circles():
    X, y = datasets.make_circles(500, noise=0.1, factor=0.4, random_state=0)
    return standardized(X), y, "cross_entropy", 2, 120


def classes_with_noise():
    X, y = datasets.make_classification(800, 12, n_informative=6, n_classes=3, flip_y=0, random_state=1)
    return standardized(X), y, "cross_entropy", 3, 30


def noisy_boundary():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1000, 6))
    return X, (X[:, :1] - X[:, 1:2] + rng.normal(size=(1000, 1)) > 0) * 1.0, "binary_cross_entropy", 1, 25


def weak_signal():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(4000, 4))
    return X, 0.3 * X[:, :1] + rng.normal(size=(4000, 1)), "squared_error", 1, 15


def skewed():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(1500, 8))
    y = np.exp(0.7 * X[:, :1] + 0.4 * X[:, 1:2] + 0.3 * rng.normal(size=(1500, 1)))
    return X, standardized(y), "squared_error", 1, 30


def growing_noise():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(1500, 5))
    return X, X[:, :1] + 0.3 * np.abs(X[:, 1:2]) ** 2 * rng.normal(size=(1500, 1)), "squared_error", 1, 25


def heavy_tails():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(1500, 5))
    return X, np.sin(X[:, :1]) + X[:, 1:2] + 0.2 * rng.standard_t(2.5, size=(1500, 1)), "huber", 1, 25


def several_targets():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(800, 6))
    Y = np.c_[np.sin(X[:, 0]), X[:, 1] * X[:, 2], X[:, 3]] + 0.1 * rng.normal(size=(800, 3))
    return X, standardized(Y), "squared_error", 3, 40


def several_flags():
    X, Y = datasets.make_multilabel_classification(800, 12, n_classes=4, random_state=0)
    return standardized(X), Y * 1.0, "binary_cross_entropy", 4, 30


def mixed_table():
    """Numbers, flags and categories as columns of 0 and 1, as an encoder makes them."""
    rng = np.random.default_rng(9)
    n = 1500
    number, flag, kind = rng.normal(size=(n, 3)), rng.integers(0, 2, (n, 2)), np.eye(5)[rng.integers(0, 5, n)]
    X = np.c_[number, flag, 1 - flag[:, :1], kind]
    z = number[:, 0] + 1.5 * flag[:, 0] - 2 * kind[:, 2] + 0.7 * rng.logistic(size=n)
    return X, (z > 0.5)[:, None] * 1.0, "binary_cross_entropy", 1, 25


def imbalanced():
    """One row in twelve is positive, and mostly recognized."""
    rng = np.random.default_rng(10)
    X = rng.normal(size=(3000, 6))
    return X, (X[:, :1] + X[:, 1:2] + 0.3 * rng.normal(size=(3000, 1)) > 2) * 1.0, "binary_cross_entropy", 1, 25


TASKS = (
    *(digits, iris, wine, breast_cancer, diabetes, friedman, moons, circles, classes_with_noise, noisy_boundary),
    *(weak_signal, skewed, growing_noise, heavy_tails, several_targets, several_flags, mixed_table, imbalanced),
)
OUTPUTS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
HIDDEN = ("relu", "tanh", "gelu", "sigmoid", "elu", "silu")
RULES: tuple[Callable[[], Any], ...] = (
    lambda: cp.Adam(0.005),
    lambda: cp.Momentum(0.02, 0.9),
    lambda: cp.AdamW(0.005),
    lambda: cp.GradientDescent(0.1),
    lambda: cp.Nadam(0.003),
    lambda: cp.RMSprop(0.002),
)


def healthy_run(task: Callable[[], Any], hidden: str, rule: Any, sizes: tuple[int, ...] = (24,), **options: Any) -> Run:
    """A training that goes well: scaled data, a usual network, rule and number of epochs."""
    X, y, loss, units, epochs = task()
    dtype, dropout, seed = options.pop("dtype", "float64"), options.pop("dropout", 0.0), options.pop("seed", 0)
    net = cp.Network.sequential(
        X.shape[1], *sizes, units, hidden=hidden, output=OUTPUTS.get(loss, "identity"), dropout=dropout
    )
    train, held_out = split(X, y)
    loss = options.pop("loss", loss)
    slow = hidden == "sigmoid" or isinstance(rule, cp.GradientDescent)
    return Run(
        net, train, held_out, loss, {"optimizer": rule, "epochs": 2 * epochs if slow else epochs} | options, seed, dtype
    )


def _combinations() -> Iterator[tuple[str, Callable[[], Run]]]:
    """Every task with four of the pairs of activation and rule, in turn."""
    pairs, turn = list(product(HIDDEN, RULES)), count()
    for task in TASKS:
        for _ in range(4):
            hidden, rule = pairs[7 * next(turn) % len(pairs)]
            name = f"{task.__name__}, {hidden}, {type(rule()).__name__}"
            yield name, lambda task=task, hidden=hidden, rule=rule: healthy_run(task, hidden, rule())


def weighted(share: float) -> Run:
    """Rare positives, weighted so that both classes count the same."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(2400, 5))
    score = X[:, :1] + X[:, 1:2] + 0.7 * rng.normal(size=(2400, 1))
    y = (score > np.quantile(score, 1 - share)) * 1.0
    weight = np.where(y[:, 0] == 1, 0.5 / share, 0.5 / (1 - share))
    net = cp.Network.sequential(5, 16, 1, hidden="relu", output="sigmoid")
    options = {"optimizer": cp.Adam(0.003), "epochs": 25, "sample_weight": weight[:1800]}
    run = Run(net, (X[:1800], y[:1800]), (X[1800:], y[1800:]), "binary_cross_entropy", options)
    run.held_out_weight = weight[1800:]
    return run


def amounts(loss: Any, seed: int = 0) -> Run:
    """Positive amounts with a long tail, or counts, with the loss made for them and an exponential output."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 5))
    mean = np.exp(0.5 * X[:, :1] - 0.5 * X[:, 1:2])
    y = {"gamma": lambda: rng.gamma(3, mean / 3), "poisson": lambda: rng.poisson(mean) * 1.0}.get(
        loss, lambda: np.where(rng.random(mean.shape) < 0.6, 0, rng.gamma(2, mean))
    )()
    net = cp.Network.sequential(5, 16, 1, hidden="tanh", output="exponential")
    train, held_out = split(X, y)
    return Run(net, train, held_out, loss, {"optimizer": cp.Adam(0.003), "epochs": 25})


HEALTHY: dict[str, Callable[[], Run]] = dict(_combinations()) | {
    "sum of the losses, Adam": lambda: healthy_run(friedman, "tanh", cp.Adam(0.005), reduction="sum"),
    "sum of the losses, momentum": lambda: healthy_run(noisy_boundary, "relu", cp.Momentum(0.001), reduction="sum"),
    "sum of the losses, digits": lambda: healthy_run(digits, "tanh", cp.GradientDescent(0.004), reduction="sum"),
    "sum of the losses, validation": lambda: healthy_run(
        breast_cancer, "relu", cp.Adam(0.003), reduction="sum", validation=0.2
    ),
    "weights, 2.5% positive": lambda: weighted(0.025),
    "weights, 5% positive": lambda: weighted(0.05),
    "weights, 10% positive": lambda: weighted(0.10),
    "early stopping, digits": lambda: healthy_run(
        digits, "relu", cp.Adam(0.005), validation=0.2, stopping=cp.EarlyStopping(patience=5), epochs=60
    ),
    "early stopping, diabetes": lambda: healthy_run(
        diabetes, "relu", cp.Adam(0.005), validation=0.2, stopping=cp.EarlyStopping(patience=5), epochs=100
    ),
    "early stopping, noise": lambda: healthy_run(
        noisy_boundary, "gelu", cp.Adam(0.005), validation=0.25, stopping=cp.EarlyStopping(patience=8), epochs=100
    ),
    "validation, breast cancer": lambda: healthy_run(breast_cancer, "tanh", cp.Adam(0.003), validation=0.25),
    "validation, friedman": lambda: healthy_run(friedman, "relu", cp.Adam(0.005), validation=0.25),
    "validation, weak signal": lambda: healthy_run(weak_signal, "tanh", cp.Adam(0.003), validation=0.25, epochs=10),
    "dropout, digits": lambda: healthy_run(digits, "relu", cp.Adam(0.005), dropout=0.3),
    "dropout, friedman": lambda: healthy_run(friedman, "relu", cp.Adam(0.005), dropout=0.2, epochs=60),
    "dropout, validation": lambda: healthy_run(wine, "relu", cp.Adam(0.005), dropout=0.3, validation=0.25),
    "L2 penalty": lambda: healthy_run(breast_cancer, "relu", cp.Adam(0.005), penalty=cp.penalties.L2(1e-3)),
    "L1 penalty": lambda: healthy_run(friedman, "tanh", cp.Adam(0.005), penalty=cp.penalties.L1(1e-3)),
    "L-BFGS, diabetes": lambda: healthy_run(diabetes, "tanh", cp.LBFGS(), sizes=(5,), epochs=30),
    "L-BFGS, wine": lambda: healthy_run(wine, "tanh", cp.LBFGS(), sizes=(8,), penalty=cp.penalties.L2(1e-3), epochs=40),
    "one batch": lambda: healthy_run(friedman, "tanh", cp.GradientDescent(0.1), batch_size=None, epochs=300),
    "row by row": lambda: healthy_run(iris, "tanh", cp.GradientDescent(0.01), batch_size=1),
    "float32": lambda: healthy_run(digits, "relu", cp.Adam(0.003), dtype="float32"),
    "no hidden layer": lambda: healthy_run(noisy_boundary, "relu", cp.GradientDescent(0.1), sizes=()),
    "three hidden layers": lambda: healthy_run(digits, "relu", cp.Adam(0.003), sizes=(64, 32, 16)),
    "four layers of tanh": lambda: healthy_run(friedman, "tanh", cp.Adam(0.003), sizes=(24, 24, 24, 24)),
    "cosine": lambda: healthy_run(digits, "relu", cp.Momentum(cp.schedules.Cosine(0.05))),
    "absolute error": lambda: healthy_run(heavy_tails, "relu", cp.Adam(0.003), loss="absolute_error"),
    "quantile 0.9": lambda: healthy_run(skewed, "relu", cp.Adam(0.003), loss=cp.losses.Quantile(0.9)),
    "label smoothing": lambda: healthy_run(digits, "relu", cp.Adam(0.003), loss=cp.losses.CrossEntropy(0.1)),
    "gamma": lambda: amounts("gamma"),
    "poisson": lambda: amounts("poisson"),
    "tweedie": lambda: amounts("tweedie"),
    "noise, second seed": lambda: healthy_run(noisy_boundary, "tanh", cp.Adam(0.003), seed=1),
    "skewed, second seed": lambda: healthy_run(skewed, "relu", cp.Adam(0.003), seed=2),
    "in the order of time": lambda: in_order_of_time(),
}


def in_order_of_time() -> Run:
    """A random walk predicted from its past, without shuffling."""
    rng = np.random.default_rng(12)
    walk = np.cumsum(rng.normal(size=1205))
    X = np.c_[tuple(walk[i : i + 1200] for i in range(5))]
    X, y = standardized(X), standardized((walk[5:] + 0.5 * np.diff(walk)[4:])[:, None])
    net = cp.Network.sequential(5, 16, 1, hidden="tanh")
    return Run(
        net,
        (X[:900], y[:900]),
        (X[900:], y[900:]),
        "squared_error",
        {"optimizer": cp.Adam(0.003), "epochs": 40, "shuffle": False},
    )
