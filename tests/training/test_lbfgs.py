"""L-BFGS: to the optimum of convex problems, with the same history, rules and callbacks as gradient descent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import clearprop as cp
from clearprop.errors import ArgumentError, TrainingDiverged

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
LABELS = (X @ [1.0, -2.0, 0.5] + rng.normal(size=40) > 0).astype(float)[:, None]
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]])
NET = cp.Network.sequential(3, 4, 1, hidden="tanh")


def test_the_optimum_of_logistic_regression_is_sklearns():
    net = cp.Network.sequential(3, 1, output="sigmoid")
    params = net.initialize(seed=0)
    options = {"reduction": "sum", "penalty": cp.penalties.L2(1 / 0.7), "epochs": 500}
    history = cp.train(net, params, X, LABELS, loss="binary_cross_entropy", optimizer="lbfgs", **options)
    theirs = LogisticRegression(C=0.7, tol=1e-12, max_iter=10_000).fit(X, LABELS[:, 0])
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_[0], rtol=1e-6)
    np.testing.assert_allclose(params["output"].b, theirs.intercept_, rtol=1e-6)
    assert history["gradient norm"][-1] < 1e-5
    assert history.stopped.startswith("L-BFGS: converge")
    assert history.epochs < 100


def test_a_hidden_layer_takes_the_way_of_scipy():
    """The same iterations as SciPy's own call on the flat vector."""
    params, by_hand = NET.initialize(seed=0), NET.initialize(seed=0)
    history = cp.train(NET, params, X, Y, loss="squared_error", optimizer=cp.LBFGS(memory=5), epochs=12)

    def objective(w):
        by_hand.flat[...] = w
        trace = cp.backpropagate(NET, by_hand, X, Y, "squared_error")
        return trace.cost, trace.gradients.flat

    options = {"maxiter": 12, "maxcor": 5, "gtol": 1e-12, "ftol": 1e-15}
    found = minimize(objective, NET.initialize(seed=0).flat, jac=True, method="L-BFGS-B", options=options)
    np.testing.assert_allclose(params.flat, found.x, rtol=1e-6)
    assert history.cost[-1] == pytest.approx(found.fun, rel=1e-9)
    assert history.epochs == 12


def test_the_history_holds_the_cost_after_each_iteration_with_penalties():
    params, costs = NET.initialize(seed=0), []

    def watch(end):
        trace = cp.backpropagate(NET, end.params, X, Y, "squared_error")
        costs.append(trace.cost + 0.05 * (end.params.penalized**2).sum())

    options = {"penalty": cp.penalties.L2(0.1), "validation": (X, Y), "callbacks": watch, "epochs": 10}
    history = cp.train(NET, params, X, Y, loss="squared_error", optimizer="lbfgs", **options)
    assert history.cost == pytest.approx(costs, rel=1e-12)
    assert (np.diff(costs) < 0).all()
    assert history["learning rate"] == [1.0] * 10
    assert history["validation cost"][-1] == pytest.approx(
        cp.backpropagate(NET, params, X, Y, "squared_error").cost, rel=1e-12
    )


def test_frozen_parameters_stay_and_weights_count():
    net = cp.Network(3, [cp.Layer("a", 4, "tanh", cp.Dense("input", trainable=False)), cp.Layer("b", 1)])
    params, w = net.initialize(seed=0), rng.integers(0, 3, size=40)
    frozen = params["a"].W["input"].copy()
    options = {"loss": "squared_error", "optimizer": "lbfgs", "epochs": 20, "penalty": cp.penalties.L2(0.01)}
    cp.train(net, params, X, Y, sample_weight=w, **options)
    np.testing.assert_array_equal(params["a"].W["input"], frozen)
    repeated = net.initialize(seed=0)
    cp.train(net, repeated, X.repeat(w, axis=0), Y.repeat(w, axis=0), **options)
    np.testing.assert_allclose(params.flat, repeated.flat, rtol=1e-3, atol=1e-5)


def test_single_precision():
    params = NET.initialize(seed=0, dtype="float32")
    history = cp.train(NET, params, X, Y, loss="squared_error", optimizer="lbfgs", epochs=20)
    assert params.dtype == np.float32
    assert history.cost[-1] < 0.1 * history.cost[0]


def test_rules_stop_it_and_the_best_is_restored():
    seen = []
    params = NET.initialize(seed=0)
    held = rng.normal(size=(10, 3)), rng.normal(size=(10, 1))
    options = {"validation": held, "stopping": cp.EarlyStopping(patience=3), "epochs": 200}
    history = cp.train(
        NET,
        params,
        X,
        Y,
        loss="squared_error",
        optimizer="lbfgs",
        callbacks=lambda end: seen.append(end.params.flat.copy()),
        **options,
    )
    assert history.stopped.startswith("stopped early: validation cost has not improved for 3 epochs")
    assert history.best_epoch == int(np.argmin(history["validation cost"])) == history.epochs - 4
    np.testing.assert_array_equal(params.flat, seen[history.best_epoch])


def test_an_interruption_in_a_line_search_keeps_the_last_iteration():
    """Whatever points the line search was trying, the parameters are those after the last finished iteration."""
    seen, calls = [NET.initialize(seed=0).flat], []

    def interrupted(yhat, y):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return 0.5 * (yhat - y) ** 2, yhat - y

    params = NET.initialize(seed=0)
    with pytest.raises(KeyboardInterrupt):
        cp.train(
            NET,
            params,
            X,
            Y,
            loss=cp.losses.CustomLoss("interrupted", interrupted),
            optimizer="lbfgs",
            engine="textbook",
            callbacks=lambda end: seen.append(end.params.flat.copy()),
        )
    assert len(calls) == 9
    assert len(seen) > 1
    np.testing.assert_array_equal(params.flat, seen[-1])


def test_a_cost_that_is_not_finite():
    net = cp.Network.sequential(1, 1, output="exponential")
    params = net.initialize(given={"output": {"input": [[1000.0]]}})
    with pytest.raises(TrainingDiverged) as error:
        cp.train(net, params, [[1.0]], [[1.0]], loss="squared_error", optimizer="lbfgs")
    assert str(error.value) == (
        "epoch 1: the cost or the parameters became NaN or infinite. The parameters are those before that epoch. "
        "There the activation a of output[0], sample 0 is inf. Before that epoch the largest weighted sum was z of "
        "output[0], sample 0, at 1e+03. Scale the inputs, or start from smaller weights."
    )
    assert params["output"].W["input"] == 1000


def test_a_start_at_the_optimum():
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    history = cp.train(net, params, [[0.0], [1.0]], [[1.0], [3.0]], loss="squared_error", optimizer="lbfgs")
    assert params.flat.tolist() == [2.0, 1.0]
    assert history.epochs <= 1
    assert history.stopped.startswith("L-BFGS: converge")


@pytest.mark.parametrize("limit", ["clip_norm", "clip_value", "max_norm"])
def test_limits_are_refused(limit):
    with pytest.raises(ArgumentError) as error:
        cp.train(NET, NET.initialize(), X, Y, loss="squared_error", optimizer="lbfgs", **{limit: 1.0})
    assert str(error.value) == ("optimizer: L-BFGS takes no clip_norm, clip_value or max_norm; use a penalty instead.")


def test_dropout_is_refused():
    net = NET.with_layer("hidden", dropout=0.5)
    params = net.initialize(seed=0)
    with pytest.raises(ArgumentError) as error:
        cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.LBFGS())
    assert str(error.value) == "optimizer: L-BFGS needs a cost without randomness, so no layer may have dropout."
    np.testing.assert_array_equal(params.flat, net.initialize(seed=0).flat)
