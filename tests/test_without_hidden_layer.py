"""Linear regression, ridge, logistic regression and the perceptron are networks without a hidden layer."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ENGINES
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Lasso, LogisticRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.preprocessing import StandardScaler

import clearprop as cp

every_engine = pytest.mark.parametrize("engine", ENGINES)
rng = np.random.default_rng(0)
X = StandardScaler().fit_transform(load_diabetes().data)
Y = StandardScaler().fit_transform(load_diabetes().target[:, None])
IRIS = StandardScaler().fit_transform(load_iris().data)
KINDS = load_iris().target


def fit(net, X, y, **options):
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, **({"optimizer": "lbfgs", "epochs": 2000} | options))
    return params


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


# --- regression ------------------------------------------------------------------------------------------------------


def test_linear_regression_is_least_squares():
    net = cp.Network.sequential(10, 1)
    params = fit(net, X, Y, loss="squared_error")
    expected = np.linalg.lstsq(with_ones(X), Y, rcond=None)[0]
    np.testing.assert_allclose(cp.predict(net, params, X), with_ones(X) @ expected, atol=1e-6)
    np.testing.assert_allclose(params["output"].W["input"], expected[:-1], atol=1e-4)
    np.testing.assert_allclose(params["output"].b, expected[-1], atol=1e-6)


@every_engine
def test_linear_regression_by_gradient_descent(engine):
    """Two inputs, two outputs, 300 whole-set steps, to 9 digits."""
    A, target = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    net = cp.Network.sequential(2, 2)
    params = fit(
        net,
        A,
        target,
        loss="squared_error",
        optimizer=cp.GradientDescent(0.7),
        batch_size=None,
        epochs=300,
        engine=engine,
    )
    expected = np.linalg.lstsq(with_ones(A), target, rcond=None)[0]
    np.testing.assert_allclose(params["output"].W["input"], expected[:-1], rtol=1e-9)
    np.testing.assert_allclose(params["output"].b, expected[-1], rtol=1e-9)


def test_sample_weights_are_weighted_least_squares():
    net, w = cp.Network.sequential(10, 1), rng.uniform(0, 3, size=len(X))
    params = fit(net, X, Y, loss="squared_error", sample_weight=w)
    root = np.sqrt(w)[:, None]
    expected = np.linalg.lstsq(root * with_ones(X), root * Y, rcond=None)[0]
    np.testing.assert_allclose(cp.predict(net, params, X), with_ones(X) @ expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 30.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ridge_regression(alpha, reduction):
    """sum (y - Xw)^2 + alpha w^2 has the minimum of 1/2 sum (y - Xw)^2 + alpha/2 w^2; "mean" divides by n."""
    net = cp.Network.sequential(10, 1)
    strength = alpha if reduction == "sum" else alpha / len(X)
    params = fit(net, X, Y, loss="squared_error", reduction=reduction, penalty=cp.penalties.L2(strength))
    closed = np.linalg.solve(X.T @ X + alpha * np.eye(10), X.T @ (Y - Y.mean()))
    np.testing.assert_allclose(params["output"].W["input"], closed, atol=1e-6)
    theirs = Ridge(alpha=alpha).fit(X, Y[:, 0])
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(params["output"].b, theirs.intercept_, atol=1e-6)


@every_engine
def test_lasso(engine):
    """Subgradient steps with a falling rate come near the minimum, weights of no use stay within a step of 0."""
    net = cp.Network.sequential(10, 1)
    params = fit(
        net,
        X,
        Y,
        loss="squared_error",
        penalty=cp.penalties.L1(0.1),
        optimizer=cp.GradientDescent(cp.schedules.Cosine(0.1)),
        batch_size=None,
        epochs=1500,
        engine=engine,
    )
    theirs = Lasso(alpha=0.1, tol=1e-10).fit(X, Y[:, 0])
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_, atol=1e-3)
    assert 3 < (np.abs(theirs.coef_) < 1e-10).sum() < 9


def test_poisson_regression():
    counts = rng.poisson(np.exp(0.3 * X[:, 2] + 0.5))[:, None]
    net = cp.Network.sequential(10, 1, output="exponential")
    params = fit(net, X, counts, loss="poisson", penalty=cp.penalties.L2(0.1))
    theirs = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=10_000).fit(X, counts[:, 0])
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(params["output"].b, theirs.intercept_, atol=1e-5)


@every_engine
@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
def test_quantile_regression(engine, q):
    net = cp.Network.sequential(10, 1)
    options = {"optimizer": cp.Momentum(cp.schedules.Cosine(0.1)), "batch_size": None, "epochs": 1000, "engine": engine}
    params = fit(net, X, Y, loss=cp.Quantile(q), **options)
    theirs = QuantileRegressor(quantile=q, alpha=0).fit(X, Y[:, 0])
    ours, best = (
        cp.Quantile(q).value_and_error(yhat.reshape(-1, 1), Y)[0].mean()
        for yhat in (cp.predict(net, params, X), theirs.predict(X))
    )
    assert best <= ours < best * 1.01
    assert (cp.predict(net, params, X) > Y).mean() == pytest.approx(q, abs=0.03)


# --- classification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.05, 1.0])
def test_logistic_regression_is_sklearns(C):
    labels = (KINDS == 1).astype(float)
    net = cp.Network.sequential(4, 1, output="sigmoid")
    params = fit(
        net, IRIS, labels[:, None], loss="binary_cross_entropy", reduction="sum", penalty=cp.penalties.L2(1 / C)
    )
    theirs = LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(IRIS, labels)
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(params["output"].b, theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(cp.predict(net, params, IRIS)[:, 0], theirs.predict_proba(IRIS)[:, 1], atol=1e-6)


@every_engine
def test_logistic_regression_by_gradient_descent(engine):
    labels = (KINDS == 2).astype(float)
    net = cp.Network.sequential(4, 1, output="sigmoid")
    options = {"optimizer": cp.Nesterov(0.5, 0.9), "batch_size": None, "epochs": 1500, "engine": engine}
    params = fit(net, IRIS, labels[:, None], loss="binary_cross_entropy", penalty=cp.penalties.L2(1 / 150), **options)
    theirs = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(IRIS, labels)
    np.testing.assert_allclose(params["output"].W["input"][:, 0], theirs.coef_[0], atol=1e-5)


@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax_regression_is_sklearns(one_hot):
    net = cp.Network.sequential(4, 3, output="softmax")
    y = np.eye(3)[KINDS] if one_hot else KINDS
    params = fit(net, IRIS, y, loss="cross_entropy", reduction="sum", penalty=cp.penalties.L2(1.0))
    theirs = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(IRIS, KINDS)
    np.testing.assert_allclose(params["output"].W["input"].T, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(cp.predict(net, params, IRIS), theirs.predict_proba(IRIS), atol=1e-6)
    b = params["output"].b  # fixed up to a shift that changes no probability
    np.testing.assert_allclose(b - b.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-5)


def test_two_softmax_units_are_one_sigmoid_unit():
    labels = (KINDS == 1).astype(int)
    two, one = cp.Network.sequential(4, 2, output="softmax"), cp.Network.sequential(4, 1, output="sigmoid")
    by_two = fit(two, IRIS, labels, loss="cross_entropy", penalty=cp.penalties.L2(0.02))
    by_one = fit(one, IRIS, labels[:, None].astype(float), loss="binary_cross_entropy", penalty=cp.penalties.L2(0.01))
    np.testing.assert_allclose(cp.predict(two, by_two, IRIS)[:, 1:], cp.predict(one, by_one, IRIS), atol=1e-5)


# --- the single perceptron -------------------------------------------------------------------------------------------

TABLE = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}
#: Rosenblatt's threshold unit: its error passes through as if f' were 1, which is the perceptron rule.
THRESHOLD = cp.activations.Custom("threshold", lambda z: np.where(z > 0, 1.0, 0.0), lambda z, a: np.ones_like(z))


@every_engine
@pytest.mark.parametrize("gate", ["AND", "OR"])
def test_a_sigmoid_unit_learns_online_step_by_step(gate, engine):
    """w <- w + rate (y - yhat) x after every row, in the order of the table."""
    y = np.array(GATES[gate], float)[:, None]
    net = cp.Network.sequential(2, 1, output="sigmoid")
    params = net.initialize(given={"output": {"input": [[0.1], [-0.2]], "b": [0.05]}})
    w, b = np.array([0.1, -0.2]), 0.05
    options = {"loss": "binary_cross_entropy", "optimizer": cp.GradientDescent(0.5), "batch_size": 1, "shuffle": False}
    history = cp.train(net, params, TABLE, y, epochs=200, metrics="accuracy", engine=engine, **options)
    for _ in range(200):
        for x, target in zip(TABLE, y[:, 0], strict=True):
            yhat = 1 / (1 + np.exp(-(x @ w + b)))
            w, b = w + 0.5 * (target - yhat) * x, b + 0.5 * (target - yhat)
    np.testing.assert_allclose(params["output"].W["input"][:, 0], w, rtol=1e-12)
    np.testing.assert_allclose(params["output"].b, b, rtol=1e-12)
    assert history["accuracy"][-1] == 1
    np.testing.assert_array_equal(cp.predict(net, params, TABLE) > 0.5, y == 1)


@every_engine
@pytest.mark.parametrize(("gate", "learnt"), [("AND", True), ("OR", True), ("XOR", False)])
def test_rosenblatts_rule(gate, learnt, engine):
    """It stops making mistakes where a line separates the classes, and never for XOR."""
    y = np.array(GATES[gate], float)[:, None]
    net = cp.Network.sequential(2, 1, output=THRESHOLD)
    params = net.initialize(given={"output": {"input": [[0.0], [0.0]]}})
    options = {"loss": "squared_error", "optimizer": cp.GradientDescent(1.0), "batch_size": 1, "shuffle": False}
    history = cp.train(net, params, TABLE, y, epochs=20, engine=engine, **options)
    w = np.zeros(3)
    for _ in range(20):
        for x, target in zip(with_ones(TABLE), y[:, 0], strict=True):
            w += (target - (x @ w > 0)) * x
    np.testing.assert_array_equal([*params["output"].W["input"][:, 0], *params["output"].b], w)
    assert (history.cost[-1] == 0) is learnt
    assert np.array_equal(cp.predict(net, params, TABLE), y) is learnt


@every_engine
def test_xor_needs_a_hidden_layer(engine):
    y = np.array(GATES["XOR"], float)[:, None]
    net = cp.Network.sequential(2, 4, 1, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=0)
    options = {"loss": "binary_cross_entropy", "optimizer": cp.Adam(0.05), "batch_size": None, "epochs": 300}
    cp.train(net, params, TABLE, y, engine=engine, **options)
    np.testing.assert_array_equal(cp.predict(net, params, TABLE) > 0.5, y == 1)


# --- the perceptron --------------------------------------------------------------------------------------------------

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR, XOR = np.array([[0.0], [1.0], [1.0], [1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
#: By hand: w1, w2 and b after each of the sixteen samples of four epochs, from 0 with the learning rate 1. The answer
#: is wrong at samples 1 (w += x, b += 1), 4 (b -= 1), 6 (w += x, b += 1) and 8 (b -= 1), counted from 0.
BY_HAND = [(0, 0, 0), *[(0, 1, 1)] * 3, *[(0, 1, 0)] * 2, *[(1, 1, 1)] * 2, *[(1, 1, 0)] * 8]


def flat_after(y, engine, steps, rate=1.0):
    """w1, w2 and b after each of so many samples, one sample a step, in the order of the rows."""
    net = cp.Network.sequential(2, 1)
    params = net.initialize(given={"output": {"input": [[0.0], [0.0]]}})
    found = []
    for step in range(steps):
        row = slice(step % 4, step % 4 + 1)
        cp.train(
            net, params, CORNERS[row], y[row], loss="perceptron", optimizer=cp.SGD(rate), batch_size=1, epochs=1,
            engine=engine,
        )  # fmt: skip
        found.append(tuple(params.flat.tolist()))
    return found


@every_engine
def test_perceptron_learns_or_by_the_steps_computed_by_hand(engine):
    assert len(BY_HAND) == 16
    assert flat_after(OR, engine, 16) == BY_HAND
    assert flat_after(OR, engine, 16, rate=0.5) == [tuple(v / 2 for v in values) for values in BY_HAND]
    net = cp.Network.sequential(2, 1)
    params = net.initialize(given={"output": {"input": [[0.0], [0.0]]}})
    history = cp.train(
        net, params, CORNERS, OR, loss="perceptron", optimizer=cp.SGD(1.0), batch_size=1, epochs=6, shuffle=False,
        engine=engine,
    )  # fmt: skip
    assert tuple(params.flat.tolist()) == BY_HAND[-1]
    assert history.cost[3:] == [0, 0, 0]
    assert cp.activations.step(cp.predict(net, params, CORNERS)).tolist() == OR.tolist()


@every_engine
def test_perceptron_cannot_learn_exclusive_or(engine):
    """Minsky and Papert 1969: it changes its weights for ever, and they stay bounded, so that they repeat."""
    found = flat_after(XOR, engine, 200)
    epochs = found[3::4]
    answers = [CORNERS @ np.array(values[:2]) + values[2] > 0 for values in found]
    assert not any((answer == (XOR[:, 0] == 1)).all() for answer in answers)
    for e in range(1, len(epochs)):
        assert len({epochs[e - 1], *found[4 * e : 4 * e + 4]}) > 1  # at least one wrong answer in every epoch
    assert len(set(epochs)) < 20
    assert np.abs(found).max() <= 3


def test_a_perceptron_step_is_rosenblatts_rule():
    """w += rate (t - o) x for random inputs, weights and targets."""
    random = np.random.default_rng(1)
    net = cp.Network.sequential(3, 2)
    params = net.initialize(seed=0)
    for _ in range(50):
        x, t = random.normal(size=(1, 3)), random.integers(0, 2, size=(1, 2)).astype(float)
        W, b = params["output"].W["input"].copy(), params["output"].b.copy()
        o = ((x @ W + b) > 0).astype(float)
        cp.train(net, params, x, t, loss="perceptron", optimizer=cp.SGD(0.3), batch_size=1, epochs=1)
        np.testing.assert_allclose(params["output"].W["input"], W + 0.3 * x.T @ (t - o), rtol=0, atol=1e-15)
        np.testing.assert_allclose(params["output"].b, b + 0.3 * (t - o)[0], rtol=0, atol=1e-15)
