"""Optimizers: their steps against plain formulas and scikit-learn's, and the way to a minimum in each engine."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from cases import ENGINES, OPTIMIZER_CASES, SCHEDULE_CASES, ids
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.optimizers import as_optimizer

every_optimizer = pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=ids(OPTIMIZER_CASES))
WITH_STEPS = [case for case in OPTIMIZER_CASES if isinstance(case.optimizer, cp.optimizers.Optimizer)]
every_stepper = pytest.mark.parametrize("case", WITH_STEPS, ids=ids(WITH_STEPS))
every_engine = pytest.mark.parametrize("engine", ENGINES)

# --- single steps ----------------------------------------------------------------------------------------------------

GRADIENTS = [3.0, -0.5, -2.0, 0.25, 0.0, 1e-3]
START = 1.5


def plain_gradient_descent(w, gradients, rate=0.01):
    for g in gradients:
        w -= rate * g
        yield w


plain_sgd = plain_gradient_descent


def plain_momentum(w, gradients, rate=0.01, momentum=0.9):
    v = 0.0
    for g in gradients:
        v = momentum * v - rate * g
        w += v
        yield w


def plain_nesterov(w, gradients, rate=0.01, momentum=0.9):
    """In the form of Sutskever 2013 the gradient is taken at w + momentum v; the parameters shown are that point."""
    v = 0.0
    for g in gradients:
        before = v
        v = momentum * v - rate * g
        w += -momentum * before + (1 + momentum) * v
        yield w


def plain_torch_sgd(w, gradients, rates, momentum, nesterov):
    """torch.optim.SGD, with a learning rate for each step."""
    v = 0.0
    for g, rate in zip(gradients, rates, strict=True):
        v = momentum * v + g
        w -= rate * (g + momentum * v if nesterov else v)
        yield w


def plain_adagrad(w, gradients, rate=0.01):
    total = 0.0
    for g in gradients:
        total += g**2
        w -= rate * g / (math.sqrt(total) + 1e-10)
        yield w


def plain_rmsprop(w, gradients, rate=0.01):
    mean = 0.0
    for g in gradients:
        mean = 0.9 * mean + 0.1 * g**2
        w -= rate * g / (math.sqrt(mean) + 1e-8)
        yield w


def weighted_mean(values, beta):
    """The bias-corrected running mean: each value counts beta less than the next one."""
    weights = [beta ** (len(values) - 1 - i) for i in range(len(values))]
    return math.fsum(v * weight for v, weight in zip(values, weights, strict=True)) / math.fsum(weights)


def plain_adam(w, gradients, rate=0.01, decay=0.0):
    for t in range(1, len(gradients) + 1):
        g = gradients[:t]
        w = w * (1 - rate * decay)
        w -= rate * weighted_mean(g, 0.9) / (math.sqrt(weighted_mean([x * x for x in g], 0.999)) + 1e-8)
        yield w


def plain_adam_epsilon_hat(w, gradients, rate=0.01):
    for t in range(1, len(gradients) + 1):
        g = gradients[:t]
        m = weighted_mean(g, 0.9) * (1 - 0.9**t)
        s = weighted_mean([x * x for x in g], 0.999) * (1 - 0.999**t)
        w -= rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(s) + 1e-8)
        yield w


def plain_adamw(w, gradients):
    return plain_adam(w, gradients, decay=1e-6)


def plain_nadam(w, gradients, rate=0.01):
    for t in range(1, len(gradients) + 1):
        g = gradients[:t]
        m = 0.1 * math.fsum(0.9 ** (t - 1 - i) * x for i, x in enumerate(g))
        ahead = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g[-1] / (1 - 0.9**t)
        w -= rate * ahead / (math.sqrt(weighted_mean([x * x for x in g], 0.999)) + 1e-8)
        yield w


def plain_rprop(w, gradients, rate=0.01):
    step, last = 1.0, 0.0
    for g in gradients:
        if g * last > 0:
            step = min(step * 1.2, 5000.0)
        elif g * last < 0:
            step, g = max(step * 0.5, 1e-4), 0.0
        w -= rate * step * (g > 0) - rate * step * (g < 0)
        last = g
        yield w


PLAIN = {name.removeprefix("plain_"): f for name, f in list(globals().items()) if name.startswith("plain_")}


def steps(optimizer, w, gradients):
    """The parameters after each step, by the optimizer's update."""
    slots = [np.full_like(w, optimizer.first(name)) for name in optimizer.slots]
    for t, g in enumerate(gradients, start=1):
        change, *slots = optimizer.update(optimizer.learning_rate, t, w, np.full_like(w, g), *slots)
        w = w * (1 - optimizer.learning_rate * optimizer.weight_decay) + change
        yield w


@every_stepper
def test_steps_equal_the_formulas(case):
    found = list(steps(case.optimizer, np.full(3, START), GRADIENTS))
    expected = list(PLAIN[case.name](START, GRADIENTS))
    assert len(expected) == len(GRADIENTS)
    np.testing.assert_allclose(found, np.repeat(np.array(expected)[:, None], 3, axis=1), rtol=1e-13)


@every_stepper
@every_engine
def test_steps_of_training_equal_the_formulas(case, engine):
    """A single weight w with l = g w has the gradient g in each step, whatever w is."""
    net = cp.Network(1, [cp.Layer("w", 1, bias=False)])
    params = net.initialize(given={"w": {"input": [[START]]}})
    linear = cp.losses.CustomLoss("linear", lambda yhat, y: (yhat * y, y))
    n = len(GRADIENTS)
    options = {"batch_size": 1, "shuffle": False, "engine": engine}
    cp.train(
        net,
        params,
        np.ones((n, 1)),
        np.array(GRADIENTS)[:, None],
        loss=linear,
        optimizer=case.optimizer,
        epochs=1,
        **options,
    )
    assert params.flat[0] == pytest.approx(list(PLAIN[case.name](START, GRADIENTS))[-1], rel=1e-13)


@every_stepper
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_training_keep_the_precision(case, dtype):
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    params = net.initialize(dtype=dtype)
    rng = np.random.default_rng(0)
    flat = params.flat
    cp.train(
        net, params, rng.normal(size=(8, 2)), rng.normal(size=(8, 1)), loss="huber", optimizer=case.optimizer, epochs=2
    )
    assert params.flat is flat
    assert params.dtype == np.dtype(dtype)


# --- scikit-learn ----------------------------------------------------------------------------------------------------


def sklearn_steps(optimizer, w, gradients):
    for g in gradients:
        optimizer.update_params([w], [np.full_like(w, g)])
        yield w.copy()


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_equals_sklearn(nesterov):
    kind = cp.Nesterov if nesterov else cp.Momentum
    w = np.full(2, START)
    theirs = list(sklearn_steps(SGDOptimizer([w], 0.03, momentum=0.8, nesterov=nesterov), w, GRADIENTS))
    np.testing.assert_allclose(list(steps(kind(0.03, 0.8), np.full(2, START), GRADIENTS)), theirs, rtol=1e-12)


SGD_RULES = [
    (cp.SGD(0.05), cp.GradientDescent(0.05)),
    (cp.SGD(0.05, momentum=0.8), cp.Momentum(0.05, 0.8)),
    (cp.SGD(0.05, momentum=0.8, nesterov=True), cp.Nesterov(0.05, 0.8)),
]


@every_engine
@pytest.mark.parametrize(("sgd", "rule"), SGD_RULES, ids=["plain", "momentum", "nesterov"])
def test_sgd_trains_bit_for_bit_as_the_rule_that_it_selects(sgd, rule, engine):
    X, y = np.sin(np.arange(24.0)).reshape(12, 2), np.cos(np.arange(12.0))[:, None]
    net = cp.Network.sequential(2, 5, 1, hidden="tanh")
    first, second = net.initialize(seed=0), net.initialize(seed=0)
    options = {"loss": "squared_error", "batch_size": 5, "epochs": 3, "engine": engine, "clip_norm": 1.0}
    cp.train(net, first, X, y, optimizer=sgd, **options)
    cp.train(net, second, X, y, optimizer=rule, **options)
    assert first.flat.tobytes() == second.flat.tobytes()
    assert sgd.slots == rule.slots


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_takes_the_steps_of_torch_at_a_constant_rate_only(nesterov):
    sgd = cp.SGD(0.03, momentum=0.8, nesterov=nesterov)
    ours = [w[0] for w in steps(sgd, np.full(1, START), GRADIENTS)]
    assert ours == pytest.approx(list(plain_torch_sgd(START, GRADIENTS, [0.03] * 6, 0.8, nesterov)), rel=1e-12)
    halved = list(plain_torch_sgd(START, GRADIENTS, [0.03, 0.03, 0.03, 0.015, 0.015, 0.015], 0.8, nesterov))
    w, slots = START, [0.0]
    for t, g in enumerate(GRADIENTS, start=1):
        change, *slots = sgd.update(0.03 if t <= 3 else 0.015, t, w, g, *slots)
        w += change
    assert abs(w - halved[-1]) > 1e-3  # as the docstring of SGD says


@pytest.mark.parametrize("grows", [False, True])
def test_nadam_takes_the_steps_of_torch_at_a_constant_beta_only(grows):
    """In torch.optim.NAdam beta_1 grows with the steps, as the docstring says."""

    def beta(t):
        return 0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) if grows else 0.9

    w, m, v, product = START, 0.0, 0.0, 1.0
    for t, g in enumerate(GRADIENTS, start=1):
        product, m, v = product * beta(t), 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        ahead = beta(t + 1) * m / (1 - product * beta(t + 1)) + (1 - beta(t)) * g / (1 - product)
        w -= 0.03 * ahead / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    *_, (ours,) = steps(cp.Nadam(0.03), np.full(1, START), GRADIENTS)
    assert (ours == pytest.approx(w, rel=1e-12)) == (not grows)


def test_adam_equals_sklearn():
    """scikit-learn has the other form of Kingma and Ba: its epsilon counts sqrt(1 - beta_2^t) less in step t."""
    w, ours, epsilon = np.full(2, START), np.full(2, START), 1e-3
    theirs = list(sklearn_steps(AdamOptimizer([w], 0.03, 0.8, 0.99, epsilon), w, GRADIENTS))
    slots = [np.zeros(2), np.zeros(2)]
    for t, (g, expected) in enumerate(zip(GRADIENTS, theirs, strict=True), start=1):
        adam = cp.Adam(0.03, 0.8, 0.99, epsilon / math.sqrt(1 - 0.99**t))
        change, *slots = adam.update(0.03, t, ours, np.full(2, g), *slots)
        ours = ours + change
        np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_adam_equals_sklearn_with_negligible_epsilon():
    w = np.full(2, START)
    theirs = list(sklearn_steps(AdamOptimizer([w], 0.03, epsilon=1e-30), w, GRADIENTS))
    ours = list(steps(cp.Adam(0.03, epsilon=1e-30), np.full(2, START), GRADIENTS))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# --- to the minimum --------------------------------------------------------------------------------------------------


@every_optimizer
@every_engine
def test_parabola(case, engine):
    """J = (w1 - 3)^2 / 2 + 5 (w2 + 1)^2, as linear units that see only the input 1."""
    net = cp.Network(
        1, [cp.Layer("a", 1, bias=False), cp.Layer("b", 1, "identity", "input", bias=False)], outputs=["a", "b"]
    )
    params = net.initialize(given={"a": {"input": [[0.0]]}, "b": {"input": [[0.0]]}})
    n = 50  # the same row again and again: an epoch is 50 steps
    history = cp.train(
        net,
        params,
        np.ones((n, 1)),
        {"a": np.full((n, 1), 3.0), "b": np.full((n, 1), -1.0)},
        loss={"a": cp.SquaredError(), "b": cp.SquaredError(factor=5)},
        optimizer=case.make(case.parabola_rate),
        batch_size=1,
        epochs=20,
        shuffle=False,
        engine=engine,
    )
    np.testing.assert_allclose(params.flat, [3, -1], atol=0.01)
    assert history.cost[-1] < 1e-3


SQUARE = cp.activations.Custom("square", lambda z: z * z, lambda z, a: 2 * z)
#: (1 - x)^2 + 100 (y - x^2)^2 as a network of two weights x and y that sees the input 1.
ROSENBROCK = cp.Network(
    1,
    [
        cp.Layer("x", 1, bias=False),
        cp.Layer("x squared", 1, SQUARE, cp.Direct("x"), bias=False),
        cp.Layer("gap", 1, "identity", ["input", cp.Dense("x squared", trainable=False)], bias=False),
    ],
    outputs=["x", "gap"],
)


@every_optimizer
@every_engine
def test_rosenbrock(case, engine):
    params = ROSENBROCK.initialize(given={"x": {"input": [[-1.2]]}, "gap": {"input": [[1.0]], "x squared": [[-1.0]]}})
    n = 1 if case.name == "lbfgs" else 100
    X, y = np.ones((n, 1)), {"x": np.ones((n, 1)), "gap": np.zeros((n, 1))}
    losses = {"x": cp.SquaredError(factor=1), "gap": cp.SquaredError(factor=100)}
    assert cp.backpropagate(ROSENBROCK, params, X, y, losses).cost == pytest.approx(24.2)
    options = {"batch_size": 1, "epochs": 100 if case.name == "lbfgs" else 40, "shuffle": False, "engine": engine}
    cp.train(ROSENBROCK, params, X, y, loss=losses, optimizer=case.make(case.rosenbrock_rate), **options)
    assert params["gap"].W["x squared"] == -1
    assert cp.backpropagate(ROSENBROCK, params, X, y, losses).cost < case.rosenbrock_cost


@every_stepper
@pytest.mark.parametrize("schedule", SCHEDULE_CASES, ids=ids(SCHEDULE_CASES))
def test_every_schedule_with_every_optimizer(case, schedule):
    """Training with the schedule is training with its rates, epoch by epoch, by hand."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    net = cp.Network.sequential(2, 1)
    optimizer = case.make(schedule.make(0.01))
    params = net.initialize(seed=0)
    history = cp.train(net, params, X, y, loss="squared_error", optimizer=optimizer, batches=2, epochs=4, shuffle=False)
    by_hand = net.initialize(seed=0)
    w, slots = by_hand.flat, [np.full(3, optimizer.first(name)) for name in optimizer.slots]
    costs, used = [], []
    for step in range(8):
        rows = slice(0, 3) if step % 2 == 0 else slice(3, 6)
        trace = cp.backpropagate(net, by_hand, X[rows], y[rows], loss="squared_error")
        rate = optimizer.schedule.at(cp.schedules.Progress(step, 2, 4, tuple(costs)))
        change, *slots = optimizer.update(rate, step + 1, w, trace.gradients.flat, *slots)
        by_hand.penalized[...] *= 1 - rate * optimizer.weight_decay
        w += change
        used.append((rate, trace.cost))
        if step % 2:
            costs.append((used[-2][1] + used[-1][1]) / 2)
    assert history.cost == pytest.approx(costs, rel=1e-12)
    assert history["learning rate"] == pytest.approx([rate for rate, _ in used[1::2]])
    np.testing.assert_allclose(params.flat, by_hand.flat, rtol=1e-12)


@every_engine
def test_weight_decay_shrinks_weights_and_not_biases(engine):
    """With a gradient of 0 everywhere AdamW multiplies each weight by 1 - rate * weight_decay in each step."""
    net = cp.Network(1, [cp.Layer("a", 1, sources=cp.Dense("input", trainable=False)), cp.Layer("b", 1)])
    params = net.initialize(given={"a": {"input": [[2.0]], "b": [3.0]}, "b": {"a": [[4.0]], "b": [5.0]}})
    flat = cp.losses.CustomLoss("flat", lambda yhat, y: (0 * yhat, 0 * yhat))
    optimizer = cp.AdamW(0.1, weight_decay=0.5)
    cp.train(
        net,
        params,
        np.ones((3, 1)),
        np.ones((3, 1)),
        loss=flat,
        optimizer=optimizer,
        batch_size=1,
        epochs=1,
        engine=engine,
    )
    assert params["b"].W["a"][0, 0] == pytest.approx(4 * 0.95**3)
    assert params["b"].b == 5
    assert params["a"].b == 3
    assert params["a"].W["input"] == 2


def test_rprop_does_not_depend_on_the_size_of_the_gradient():
    found = [list(steps(cp.Rprop(0.01), np.full(1, START), [k * g for g in GRADIENTS])) for k in (1, 1e-200, 1e200)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_rprop_steps_stay_between_smallest_and_largest():
    grow = list(steps(cp.Rprop(1.0, largest=2.0), np.zeros(1), [1.0] * 6))
    np.testing.assert_allclose(np.diff(np.ravel(grow)), [-1.2, -1.44, -1.728, -2, -2], rtol=1e-12)
    shrink = list(steps(cp.Rprop(1.0, smallest=0.2), np.zeros(1), [1, -1, -1, 1, 1, -1, -1, 1, 1]))
    np.testing.assert_allclose(np.diff(np.ravel(shrink)), [0, 0.5, 0, -0.25, 0, 0.2, 0, -0.2], atol=1e-12)


# --- settings --------------------------------------------------------------------------------------------------------


def test_optimizers_by_name():
    for name, kind in cp.optimizers.OPTIMIZERS.items():
        assert as_optimizer(name) == kind()
    assert as_optimizer(cp.Nadam(0.1)) == cp.Nadam(0.1)
    assert cp.Momentum(0.1, 0.8) == cp.Momentum(learning_rate=0.1, momentum=0.8)


@every_stepper
@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, "fast", None])
def test_invalid_learning_rates(case, rate):
    kind = type(case.optimizer)
    with pytest.raises(ArgumentError) as error:
        kind(rate)
    assert f"{kind.__name__} learning_rate: expected a finite number above 0, got {rate!r}." in str(error.value)


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (
            lambda: cp.Momentum(0.1, 1.5),
            "Momentum momentum: expected a finite number at least 0 and at most 1, got 1.5.",
        ),
        (lambda: cp.Nesterov(0.1, -0.1), "Nesterov momentum: expected a finite number at least 0 and at most 1"),
        (lambda: cp.RMSprop(0.1, decay_rate=1), "RMSprop decay_rate: expected a finite number at least 0 and below 1"),
        (lambda: cp.Adam(0.1, beta_1=1), "Adam beta_1: expected a finite number at least 0 and below 1, got 1."),
        (lambda: cp.Nadam(0.1, beta_2=math.nan), "Nadam beta_2: expected a finite number at least 0 and below 1"),
        (lambda: cp.Adam(0.1, epsilon=0), "Adam epsilon: expected a finite number above 0, got 0."),
        (lambda: cp.Adagrad(0.1, epsilon=-1), "Adagrad epsilon: expected a finite number above 0, got -1."),
        (lambda: cp.AdamW(0.1, weight_decay=-1), "AdamW weight_decay: expected a finite number at least 0, got -1."),
        (lambda: cp.Rprop(0.1, grow=1), "Rprop grow: expected a finite number above 1, got 1."),
        (lambda: cp.Rprop(0.1, shrink=1), "Rprop shrink: expected a finite number above 0 and below 1, got 1."),
        (lambda: cp.Rprop(0.1, smallest=0), "Rprop smallest: expected a finite number above 0, got 0."),
        (lambda: cp.Rprop(0.1, largest=1e-5), "Rprop largest: expected a finite number above 0.0001, got 1e-05."),
        (lambda: cp.LBFGS(memory=0), "LBFGS memory: expected a whole number of at least 1, got 0."),
        (lambda: cp.LBFGS(line_steps=2.5), "LBFGS line_steps: expected a whole number of at least 1, got 2.5."),
        (lambda: as_optimizer("adm"), "optimizer: unknown optimizer 'adm'; did you mean 'adam'?"),
        (lambda: as_optimizer("lion"), "Available: sgd, gradient_descent, momentum, nesterov"),
        (
            lambda: cp.SGD(0.1, momentum=1.5),
            "SGD momentum: expected a finite number at least 0 and at most 1, got 1.5.",
        ),
        (lambda: cp.SGD(0.1, nesterov=1), "SGD nesterov: expected True or False, got 1."),
        (lambda: cp.SGD(0.1, nesterov=True), "SGD nesterov: expected a momentum above 0 with nesterov=True"),
        (lambda: as_optimizer(cp.Adam), "write Adam(learning_rate)."),
        (lambda: as_optimizer(0.1), "optimizer: unknown optimizer 0.1."),
    ],
)
def test_arguments_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam_epsilon_hat_equals_sklearns_adam(epsilon):
    w = np.full(2, START)
    theirs = list(sklearn_steps(AdamOptimizer([w], 0.03, 0.8, 0.99, epsilon), w, GRADIENTS))
    ours, slots = START, (0.0, 0.0)
    rule = cp.optimizers.AdamEpsilonHat(0.03, 0.8, 0.99, epsilon)
    for t, (g, expected) in enumerate(zip(GRADIENTS, theirs, strict=True), start=1):
        change, *slots = rule.update(0.03, t, ours, g, *slots)
        ours = ours + change
        np.testing.assert_allclose(ours, expected[0], rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cp.LBFGS(gradient_tolerance=-1),
            "LBFGS gradient_tolerance: expected a finite number at least 0, got -1.",
        ),
        (lambda: cp.LBFGS(cost_tolerance=-1), "LBFGS cost_tolerance: expected a finite number at least 0, got -1."),
        (lambda: cp.LBFGS(evaluations=0), "LBFGS evaluations: expected a whole number of at least 1, got 0."),
    ],
)
def test_invalid_arguments_of_lbfgs(make, message):
    with pytest.raises(cp.ClearpropError) as found:
        make()
    assert str(found.value) == message


# --- word for word ---------------------------------------------------------------------------------------------------

#: The optimizer, the name that stands for it, its slots, and its settings when none are given.
DEFAULTS = [
    (cp.SGD, "sgd", (), {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
    (cp.GradientDescent, "gradient_descent", (), {"learning_rate": 0.01}),
    (cp.Momentum, "momentum", ("velocity",), {"learning_rate": 0.01, "momentum": 0.9}),
    (cp.Nesterov, "nesterov", ("velocity",), {"learning_rate": 0.01, "momentum": 0.9}),
    (cp.Adagrad, "adagrad", ("square",), {"learning_rate": 0.01, "epsilon": 1e-10}),
    (cp.RMSprop, "rmsprop", ("square",), {"learning_rate": 0.01, "decay_rate": 0.9, "epsilon": 1e-8}),
    (cp.Adam, "adam", ("mean", "square"), {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
    (
        cp.AdamW,
        "adamw",
        ("mean", "square"),
        {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
    ),
    (
        cp.optimizers.AdamEpsilonHat,
        "adam_epsilon_hat",
        ("mean", "square"),
        {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    ),
    (cp.Nadam, "nadam", ("mean", "square"), {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}),
    (
        cp.Rprop,
        "rprop",
        ("previous", "step"),
        {"learning_rate": 0.01, "grow": 1.2, "shrink": 0.5, "smallest": 1e-4, "largest": 5000.0},
    ),
    (
        cp.LBFGS,
        "lbfgs",
        (),
        {"memory": 10, "line_steps": 20, "gradient_tolerance": 1e-12, "cost_tolerance": 1e-15, "evaluations": None},
    ),
]


def test_names_slots_and_defaults():
    assert [(kind, kind.name, getattr(kind(), "slots", ()), vars(kind())) for kind, *_ in DEFAULTS] == DEFAULTS
    assert list(cp.optimizers.OPTIMIZERS.items()) == [(name, kind) for kind, name, _, _ in DEFAULTS]
    assert (cp.optimizers.Optimizer.name, cp.optimizers.Optimizer.slots) == ("", ())


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, _, _, fields in DEFAULTS for field in fields])
def test_optimizers_are_immutable(kind, field):
    optimizer = kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(optimizer, field, getattr(optimizer, field))


def test_initial_values_of_the_slots():
    found = {(kind.name, slot): kind().first(slot) for kind, _, slots, _ in DEFAULTS for slot in slots}
    assert found == {
        ("momentum", "velocity"): 0.0,
        ("nesterov", "velocity"): 0.0,
        ("adagrad", "square"): 0.0,
        ("rmsprop", "square"): 0.0,
        **{(name, slot): 0.0 for name in ("adam", "adamw", "adam_epsilon_hat", "nadam") for slot in ("mean", "square")},
        ("rprop", "previous"): 0.0,
        ("rprop", "step"): 1.0,
    }
    assert [kind().weight_decay for kind, name, *_ in DEFAULTS if name not in ("adamw", "lbfgs")] == [0.0] * 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cp.GradientDescent(0), "GradientDescent learning_rate: expected a finite number above 0, got 0."),
        (
            lambda: cp.Momentum(0.1, -0.1),
            "Momentum momentum: expected a finite number at least 0 and at most 1, got -0.1.",
        ),
        (
            lambda: cp.Momentum(0.1, 1.1),
            "Momentum momentum: expected a finite number at least 0 and at most 1, got 1.1.",
        ),
        (
            lambda: cp.RMSprop(0.1, -0.1),
            "RMSprop decay_rate: expected a finite number at least 0 and below 1, got -0.1.",
        ),
        (lambda: cp.RMSprop(0.1, 1), "RMSprop decay_rate: expected a finite number at least 0 and below 1, got 1."),
        (lambda: cp.Adam(0.1, -0.1), "Adam beta_1: expected a finite number at least 0 and below 1, got -0.1."),
        (lambda: cp.Adam(0.1, 1), "Adam beta_1: expected a finite number at least 0 and below 1, got 1."),
        (lambda: cp.Adam(0.1, 0, -0.1), "Adam beta_2: expected a finite number at least 0 and below 1, got -0.1."),
        (lambda: cp.Adam(0.1, 0, 1), "Adam beta_2: expected a finite number at least 0 and below 1, got 1."),
        (lambda: cp.Adam(0.1, epsilon=0), "Adam epsilon: expected a finite number above 0, got 0."),
        (lambda: cp.AdamW(weight_decay=-0.1), "AdamW weight_decay: expected a finite number at least 0, got -0.1."),
        (lambda: cp.Rprop(grow=1), "Rprop grow: expected a finite number above 1, got 1."),
        (lambda: cp.Rprop(shrink=0), "Rprop shrink: expected a finite number above 0 and below 1, got 0."),
        (lambda: cp.Rprop(shrink=1), "Rprop shrink: expected a finite number above 0 and below 1, got 1."),
        (lambda: cp.Rprop(smallest=0), "Rprop smallest: expected a finite number above 0, got 0."),
        (lambda: cp.Rprop(largest=1e-4), "Rprop largest: expected a finite number above 0.0001, got 0.0001."),
        (lambda: cp.LBFGS(0), "LBFGS memory: expected a whole number of at least 1, got 0."),
        (lambda: cp.LBFGS(1, 0), "LBFGS line_steps: expected a whole number of at least 1, got 0."),
        (
            lambda: as_optimizer("adan"),
            "optimizer: unknown optimizer 'adan'; did you mean 'adam'? Available: sgd, gradient_descent, momentum, "
            "nesterov, adagrad, rmsprop, adam, adamw, adam_epsilon_hat, nadam, rprop, lbfgs.",
        ),
        (
            lambda: as_optimizer(cp.Adam),
            "optimizer: expected an object or a name, got the class; write Adam(learning_rate). Available: "
            "sgd, gradient_descent, momentum, nesterov, adagrad, rmsprop, adam, adamw, adam_epsilon_hat, nadam, "
            "rprop, lbfgs.",
        ),
        (
            lambda: as_optimizer(0.5),
            "optimizer: unknown optimizer 0.5. Available: sgd, gradient_descent, momentum, nesterov, adagrad, rmsprop, "
            "adam, adamw, adam_epsilon_hat, nadam, rprop, lbfgs.",
        ),
    ],
)
def test_complete_messages(make, message):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    "make",
    [
        lambda: cp.Momentum(0.1, 0),
        lambda: cp.Momentum(0.1, 1),
        lambda: cp.RMSprop(0.1, 0),
        lambda: cp.Adam(0.1, 0, 0),
        lambda: cp.AdamW(weight_decay=0),
        lambda: cp.Rprop(smallest=1.0, largest=1.5),
        lambda: cp.LBFGS(1, 1, 0, 0, 1),
    ],
)
def test_arguments_at_the_bounds_are_accepted(make):
    assert make() == make()
