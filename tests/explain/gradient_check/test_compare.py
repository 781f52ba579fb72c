"""Right gradients pass where rounding, kinks and cancellation are in the way, and wrong ones there do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from networks import problems

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.explain.gradient_check.numeric import Derivative
from clearprop.explain.gradient_check.problem import Problem

SQUARED = "squared_error"


def backpropagated(net, params, X, y, loss=SQUARED):
    return cp.backpropagate(net, params, X, y, loss=loss).gradients


def check(net, params, X, y, gradient=None, **options):
    return cp.check_gradients(net, params, X, y, options.pop("loss", SQUARED), gradient=gradient, **options)


def relu_network(rows=500, units=100):
    rng = np.random.default_rng(1)
    net = cp.Network.sequential(20, units, 1, hidden="relu")
    return net, net.initialize(seed=0), rng.normal(size=(rows, 20)), rng.normal(size=(rows, 1))


def fitted_network():
    X = np.linspace(-1, 1, 7)[:, None]
    y = np.sin(2 * X)
    net = cp.Network.sequential(1, 6, 1, hidden="tanh")
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, loss=SQUARED, optimizer=cp.LBFGS(), epochs=3000)
    return net, params, X, y


def columns_of_different_size():
    rng = np.random.default_rng(8)
    net = cp.Network.sequential(2, 1)
    X = np.c_[1e6 * rng.normal(size=20), 0.05 * rng.normal(size=20)]
    return net, net.initialize(seed=0), X, rng.normal(size=(20, 1))


def saturated_units():
    rng = np.random.default_rng(2)
    net = cp.Network.sequential(3, 5, 2, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=0)
    params.flat *= 12
    return net, params, 2 * rng.normal(size=(9, 3)), rng.uniform(size=(9, 2))


SITUATIONS = [relu_network, fitted_network, columns_of_different_size, saturated_units]


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("method", ["complex", "central"])
def test_right_gradients_pass_and_wrong_ones_do_not(situation, method):
    problem = situation()
    gradient = backpropagated(*problem).flat
    assert check(*problem, method=method).ok
    assert check(*problem, gradient.copy(), method=method).ok
    for wrong in (-gradient, 2 * gradient, gradient / 2, 0 * gradient):
        found = check(*problem, wrong, method=method)
        assert not found.ok
        assert found.kinks == ()


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_single_wrong_entry_of_a_large_relu_network_is_noticed(method):
    problem = relu_network()
    gradient = backpropagated(*problem)
    gradient["hidden"].W["input"][3, 5] *= 1.5
    found = check(*problem, gradient, method=method)
    bad = [block for block in found.blocks if not found.passes(block)]
    assert [(block.label, block.index) for block in bad] == [("hidden.W['input']", (3, 5))]


def test_the_sign_of_a_small_column_counts():
    problem = columns_of_different_size()
    gradient = backpropagated(*problem)
    gradient["output"].W["input"][1] *= -1
    found = check(*problem, gradient)
    assert not found.ok
    assert found.blocks[0].index == (1, 0)
    assert found.blocks[0].error == pytest.approx(2.0)


# --- kinks -------------------------------------------------------------------------------------------------------


def rows_at_kinks(activation, seed, padded):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(10, 3)), rng.normal(size=(10, 1))
    if padded:  # z = 0 in every layer for rows of zeros
        net = cp.Network.sequential(3, 6, 4, 1, hidden=activation)
        X[:3] = 0
        return net, net.initialize(seed=seed), X, y
    net = cp.Network.sequential(3, 4, 1, hidden=activation)
    return net, net.initialize(seed=seed, given={"hidden": {"input": np.zeros((3, 4))}}), X, y


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "selu"])
@pytest.mark.parametrize("padded", [False, True], ids=["weights of 0", "rows of zeros"])
def test_several_rows_at_a_kink_may_each_take_any_slope(activation, padded):
    for seed in range(4):
        problem = rows_at_kinks(activation, seed, padded)
        found = check(*problem)
        assert found.ok, str(found)
        assert found.kinks
        gradient = backpropagated(*problem)
        layer = problem[0].layers[0].name
        highest = max(kink.high for kink in found.kinks if kink.label == f"{layer}.b")
        gradient[layer].b += 3 * abs(highest) + 1
        assert not check(*problem, gradient).ok


def test_a_slope_of_2_at_a_kink_is_noticed():
    net = cp.Network.sequential(1, 1, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"input": [[1.0]]}, "output": {"hidden": [[1.0]]}})
    X, y = np.zeros((2, 1)), np.ones((2, 1))
    for slope, ok in ((0.0, True), (0.5, True), (1.0, True), (2.0, False), (-0.1, False)):
        gradient = {"hidden": {"input": [[0.0]], "b": [-slope]}, "output": {"hidden": [[0.0]], "b": [-1.0]}}
        assert check(net, params, X, y, gradient).ok is ok, slope


def test_a_function_is_checked_at_other_parameters_too_where_all_is_at_a_kink():
    problem = rows_at_kinks("relu", 0, padded=False)

    def halved(params):
        gradient = backpropagated(problem[0], params, *problem[2:])
        gradient["hidden"].W["input"] = 0.5 * gradient["hidden"].W["input"]
        return gradient

    found = check(*problem, halved)
    assert not found.ok
    assert found.mistakes[0].name == "factor"
    note = (
        "every entry of hidden.W['input'], hidden.b is at a kink, so it was checked as well at parameters with normal"
    )
    assert note in found.notes[-1]
    alone = check(*problem, halved(problem[1]))
    assert alone.ok
    assert "so a wrong gradient may look the same: pass a function of the parameters" in alone.notes[-1]


def test_a_gradient_of_zero_says_little_and_a_function_is_checked_elsewhere():
    net = cp.Network.sequential(3, 1)
    params, X = net.initialize(seed=0), np.random.default_rng(0).normal(size=(6, 3))
    y = cp.predict(net, params, X)
    found = check(net, params, X, y, np.zeros(4))
    assert found.ok
    assert "the gradient is 0 at these parameters, up to rounding" in found.notes[-1]
    found = check(net, params, X, y, lambda p: -backpropagated(net, p, X, y).flat)
    assert [mistake.name for mistake in found.mistakes] == ["sign"]


# --- precision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("directions", [0, 4])
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
@pytest.mark.parametrize("form", ["arrays of float32", "copied into float64", "nested lists"])
def test_a_gradient_of_single_precision_passes(hidden, directions, form):
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(800, 10)), rng.normal(size=(800, 1))
    net = cp.Network.sequential(10, 20, 1, hidden=hidden)
    params = net.initialize(seed=0, dtype="float32")
    single = backpropagated(net, params, X.astype("f4"), y.astype("f4"))
    forms = {
        "arrays of float32": {k: {**{s: single[k].W[s] for s in single[k].W}, "b": single[k].b} for k in single},
        "copied into float64": single.flat.astype(np.float64),
        "nested lists": single.flat.tolist(),
    }
    assert check(net, params, X, y, forms[form], directions=directions).ok
    assert not check(net, params, X, y, -single.flat, directions=directions).ok
    assert not check(net, params, X, y, 1.01 * single.flat.astype(float), directions=directions).ok


def test_a_rounded_gradient_gets_the_tolerance_that_it_needs():
    net, params, X, y = saturated_units()
    params.flat /= 12
    rounded = np.round(backpropagated(net, params, X, y).flat, 6)
    found = check(net, params, X, y, rounded)
    assert not found.ok
    assert "if the gradient was rounded or computed in single precision, tolerance=" in found.notes[-1]
    tolerance = float(found.notes[-1].split("tolerance=")[1].split()[0])
    assert check(net, params, X, y, rounded, tolerance=tolerance).ok


# --- dropout and penalties ---------------------------------------------------------------------------------------

RNG = np.random.default_rng(7)
DROPOUT = cp.Network(3, [cp.Layer("hidden", 5, "sigmoid", dropout=0.5), cp.Layer("output", 2)])
PARAMS, INPUTS, TARGETS = DROPOUT.initialize(seed=2), RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
MASK = 2.0 * (RNG.random((12, 5)) < 0.5)


def with_dropout(params, mask=MASK, on_the_way_back=MASK):
    W1, b1, W2, b2 = (
        params[k].W[s] if s else params[k].b
        for k, s in (("hidden", "input"), ("hidden", ""), ("output", "hidden"), ("output", ""))
    )
    h = 1 / (1 + np.exp(-(INPUTS @ W1 + b1)))
    delta = ((h * mask) @ W2 + b2 - TARGETS) / 12
    back = (delta @ W2.T) * on_the_way_back * h * (1 - h)
    return {
        "hidden": {"input": INPUTS.T @ back, "b": back.sum(axis=0)},
        "output": {"hidden": (h * mask).T @ delta, "b": delta.sum(axis=0)},
    }


def test_a_gradient_with_dropout_is_checked_with_its_mask():
    for gradient in (None, with_dropout, with_dropout(PARAMS)):
        assert check(DROPOUT, PARAMS, INPUTS, TARGETS, gradient, masks={"hidden": MASK}).ok
    found = check(DROPOUT, PARAMS, INPUTS, TARGETS, with_dropout)
    assert not found.ok
    assert found.notes[0].startswith("checked without dropout in hidden; for a gradient with dropout, fix the mask")


ONES = np.ones_like(MASK)
WRONG_MASKS = [
    ((MASK, ONES), "dropout mask left out"),
    ((MASK, MASK / 2), "dropout mask not scaled"),
    ((ONES, ONES), "wrong dropout mask"),
    ((MASK / 2, MASK / 2), "wrong dropout mask"),
]


@pytest.mark.parametrize(("masks", "name"), WRONG_MASKS)
def test_wrong_masks_are_named(masks, name):
    found = check(DROPOUT, PARAMS, INPUTS, TARGETS, with_dropout(PARAMS, *masks), masks={"hidden": MASK})
    assert name in [mistake.name for mistake in found.mistakes]


@pytest.mark.parametrize("penalty", [cp.penalties.L2(0.1), [cp.penalties.L2(0.1), cp.penalties.L1(0.2)]])
def test_a_penalised_cost_is_checked(penalty):
    net, params, X, y = saturated_units()
    assert check(net, params, X, y, penalty=penalty).ok
    plain = backpropagated(net, params, X, y).flat
    found = check(net, params, X, y, plain, penalty=penalty)
    assert [mistake.name for mistake in found.mistakes] == ["missing penalty"]
    slope = sum(p.value_and_slope(params.penalized)[1] for p in (penalty if isinstance(penalty, list) else [penalty]))
    right = plain.copy()
    right[: params.penalized.size] += slope
    assert check(net, params, X, y, right, penalty=penalty).ok
    right[: params.penalized.size] += slope
    found = check(net, params, X, y, right, penalty=penalty)
    assert [mistake.name for mistake in found.mistakes] == ["wrong penalty"]
    assert found.mistakes[0].words == "the derivative of the penalty is 2 times what it should be"


@pytest.mark.parametrize("strength", [0.075, 1.8, -0.075])
@pytest.mark.parametrize("layers", [("hidden", "output"), ("output",)])
def test_a_penalty_that_the_cost_does_not_have_is_named_with_its_strength(strength, layers):
    net, params, X, y = saturated_units()
    gradient = backpropagated(net, params, X, y)
    for layer in layers:
        for source, W in gradient[layer].W.items():
            W += strength * params[layer].W[source]
    found = check(net, params, X, y, gradient)
    assert [mistake.name for mistake in found.mistakes] == ["penalty"]
    assert found.mistakes[0].words.startswith(f"{strength:+g} w is added to the gradient of each weight in output.W")


def test_a_weight_of_0_is_at_the_kink_of_an_absolute_penalty():
    net = cp.Network.sequential(2, 1)
    params = net.initialize(given={"output": {"input": np.zeros((2, 1))}})
    X, y = np.eye(2), np.ones((2, 1))
    found = check(net, params, X, y, penalty=cp.penalties.L1(0.3))
    assert found.ok
    assert {kink.cause for kink in found.kinks} == {"the weight is 0, where the penalty has a kink"}


# --- the numerical derivatives themselves -----------------------------------------------------------------------------


@settings(max_examples=40)
@given(problems(most_layers=5))
def test_the_derivative_by_entries_and_along_a_direction_agree(problem):
    """Of networks of any wiring; a direction goes through all layers at once, entries layer by layer."""
    if not problem.params.flat.size:
        return
    derivative = Derivative.of(Problem.of(prepare(*problem.arguments).dense(), problem.params, 1e-6), True, 1e-16)
    gradient = np.zeros_like(problem.params.flat)
    for block in problem.net.layout.blocks:
        D = derivative.sensitivities(problem.net[block.layer])
        gradient[block.start : block.stop] = derivative.gradient_of(block, D)[0].middle
    v = np.random.default_rng(0).normal(size=gradient.size)
    size = np.abs(gradient) @ np.abs(v)
    assert derivative.along(v).middle == pytest.approx(gradient @ v, rel=1e-9, abs=1e-12 * size)
