"""A third engine needs one class and an entry in the list of engines: this one is plain NumPy for plain networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import Objective
from clearprop.engine import ENGINES
from clearprop.engine.api import EpochResult, Epochs, Patience, State, Training


class ToyEngine:
    """Chains of dense layers, tanh inside and linear outputs with squared error; without limits and dropout."""

    name = "toy"

    def __init__(self, training: Training, params: cp.Parameters, batch: int) -> None:
        self.training, self.params, self.w = training, params, params.flat.copy()
        slots = {name: np.full_like(self.w, training.optimizer.first(name)) for name in training.optimizer.slots}
        self.state = State(0, slots, sums=np.zeros(4))

    def run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        self.w, data, g = self.params.flat.copy(), self.training.objective, self.params.copy()
        if self.state.epoch != epochs.first:
            self.state = State(self.state.steps, self.state.slots, epochs.first, 0, np.zeros(4))
        for s in range(self.state.completed_steps, epochs.steps):
            rows, t, now = epochs.batch(s), self.state.steps + 1, cp.Parameters(self.params.net, self.w)
            weight = data.plain_weights(rows).sum() if data.reduction == "mean" else 1.0
            cost, norms = sweep(data, now, rows, g)
            penalty = self.training.add_penalty(now, g, data.plain_weights(rows).sum())
            loss = (cost + penalty) * len(rows) / epochs.edges[-1]
            sums = np.add(self.state.sums, [cost * weight, weight, penalty / epochs.steps, loss])
            before, update = self.state.slots, self.training.optimizer.update
            change, *slots = update(epochs.rates[s], t, self.w, g.flat, *before.values())
            named = dict(zip(before, slots, strict=True))
            self.w, self.state = self.w + change, State(t, named, epochs.first, s + 1, sums)
            if pause:
                pause()
        self.write_back()
        total, weight, penalty, loss = self.state.sums
        cost, norm = total / (weight if data.reduction == "mean" else 1), float(np.linalg.norm(g.flat))
        by_layer = {n: float(np.hypot(*map(np.linalg.norm, (*g[n].W.values(), g[n].b)))) for n in g}
        return EpochResult(np.array([loss]), cost, penalty, norm, norms, by_layer)

    def write_back(self) -> None:
        self.params.flat[...] = self.w

    @staticmethod
    def gradient(objective: Objective, params: cp.Parameters, norms: bool = True) -> Any:
        return ToyEvaluation(objective, params)

    evaluation = gradient


class ToyEvaluation:
    def __init__(self, objective: Objective, params: cp.Parameters) -> None:
        self.objective, self.params = objective, params

    def cost(self, gradients: cp.Parameters | None = None) -> float:
        cost, self._norms = sweep(self.objective, self.params, slice(None), gradients or self.params.copy())
        return cost

    def cost_and_outputs(self) -> tuple[float, np.ndarray]:
        return self.cost(), activations(self.params, self.objective.X)[-1]

    def delta_norms(self) -> dict[str, float]:
        return self._norms


def activations(params: cp.Parameters, X: np.ndarray) -> list[np.ndarray]:
    a, last = [X], list(params)[-1]
    for name in params:
        z = a[-1] @ next(iter(params[name].W.values())) + params[name].b
        a.append(z if name == last else np.tanh(z))
    return a


def sweep(data: Objective, params: cp.Parameters, rows: Any, g: cp.Parameters) -> tuple[float, dict[str, float]]:
    a, norms = activations(params, data.X[rows]), {}
    residual = a[-1] - data.targets["output"][rows]
    delta = residual * data.weights(rows)[:, None]
    cost = 0.5 * float((delta * residual).sum())
    for k, name in reversed(list(enumerate(params))):
        ((source, W),) = params[name].W.items()
        g[name].W[source], g[name].b = a[k].T @ delta, delta.sum(axis=0)
        norms[name] = float(np.linalg.norm(delta))
        delta = delta @ W.T * (1 - a[k] ** 2)
    return cost, norms


# --- what it has to do -----------------------------------------------------------------------------------------------

draw = np.random.default_rng(0)
X, Y, WEIGHT = draw.normal(size=(11, 3)), draw.normal(size=(11, 2)), draw.uniform(0.5, 2, size=11)
NETWORKS = [cp.Network.sequential(3, *hidden, 2, hidden="tanh") for hidden in ((), (4,), (5, 4))]
CASES: dict[str, dict[str, Any]] = {
    "whole set": {"batch_size": None, "optimizer": cp.GradientDescent(0.05)},
    "mini-batches": {"batch_size": 4, "optimizer": cp.Momentum(0.02)},
    "online": {"batch_size": 1, "optimizer": cp.Adam(0.01), "shuffle": False},
    "sum": {"reduction": "sum", "batches": 3, "optimizer": cp.RMSprop(0.01)},
    "weights": {"sample_weight": WEIGHT, "batch_size": 4, "optimizer": cp.Nesterov(0.02)},
    "penalty": {"penalty": cp.penalties.L2(0.1), "batch_size": 4, "optimizer": cp.Adagrad(0.05)},
    "validation": {"validation": (X[:4], Y[:4]), "metrics": "rmse", "stopping": cp.EarlyStopping(patience=2)},
    "schedule": {"optimizer": cp.Momentum(cp.schedules.Cosine(0.05)), "batch_size": 4},
    "L-BFGS": {"optimizer": "lbfgs", "penalty": cp.penalties.L2(0.01)},
}


@pytest.fixture(autouse=True)
def in_the_list(monkeypatch):
    monkeypatch.setitem(ENGINES, "toy", lambda: ToyEngine)


def train(net, engine, epochs=5, **options):
    params = net.initialize(seed=1)
    return params, cp.train(net, params, X, Y, loss="squared_error", epochs=epochs, engine=engine, **options)


@pytest.mark.parametrize("net", NETWORKS, ids=["no hidden layer", "one", "two"])
@pytest.mark.parametrize("name", CASES)
def test_it_trains_as_the_textbook_does(name, net):
    ours, history = train(net, "toy", **CASES[name])
    theirs, expected = train(net, "textbook", **CASES[name])
    np.testing.assert_allclose(ours.flat, theirs.flat, rtol=1e-8, atol=1e-12)
    assert list(history) == list(expected)
    for column in set(history) - {"seconds"}:
        np.testing.assert_allclose(history[column], expected[column], rtol=1e-8)
    for layer in ours:
        np.testing.assert_allclose(history.delta_norms[layer], expected.delta_norms[layer], rtol=1e-8)
        np.testing.assert_allclose(history.gradient_norms[layer], expected.gradient_norms[layer], rtol=1e-7)
    assert history.stopped == expected.stopped


def test_its_runs_can_be_interrupted_and_resumed(tmp_path):
    """The engine works on a copy; where it is paused, that is written back."""
    path, steps = tmp_path / "run.ckpt", []

    class Stop(Exception):
        pass

    class Counting(cp.GradientDescent):
        def update(self, rate, t, w, g, *slots):
            steps.append(t)
            if len(steps) == 8:
                raise Stop
            return super().update(rate, t, w, g, *slots)

    options: dict[str, Any] = {"batch_size": 4, "optimizer": Counting(0.05), "checkpoint": path}
    net = NETWORKS[1]
    with pytest.raises(Stop) as raised:
        train(net, "toy", **options)
    assert raised.value.history.unfinished == {"epoch": 2, "steps": 1}
    resumed, history = train(net, "toy", **options, resume=True)
    whole, expected = train(net, "toy", batch_size=4, optimizer=cp.GradientDescent(0.05))
    assert resumed.flat.tobytes() == whole.flat.tobytes()
    assert history.cost == expected.cost


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options", [{}, {"solver": "sgd", "batch_size": 4}, {"early_stopping": True}, {"solver": "lbfgs"}]
)
def test_the_estimators_train_with_it(options):
    rows, y = np.tile(X, (8, 1)), np.tile(Y, (8, 1))
    settings = {"activation": "tanh", "max_iter": 40, "random_state": 0, "tol": 0.01, **options}
    ours, theirs = (
        cp.MLPRegressor(hidden_layer_sizes=(4,), engine=engine, **settings).fit(rows, y)
        for engine in ("toy", "textbook")
    )
    assert ours.n_iter_ == theirs.n_iter_ > 1
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-8)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-7)
    np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=1e-7)


def test_an_unknown_engine_is_refused_with_the_list():
    with pytest.raises(cp.errors.ArgumentError, match="'auto', 'compiled', 'textbook', 'toy'"):
        train(NETWORKS[0], "jax")
    with pytest.raises(ValueError, match=r"'engine' .* MLPRegressor must be one of 'auto', 'compiled', .*'toy'\. Got"):
        cp.MLPRegressor(engine="jax").fit(X, Y)
