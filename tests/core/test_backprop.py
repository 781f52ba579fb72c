"""The heart: both sweeps against differences of the cost on random networks, and against sums written out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, LOSS_CASES
from hypothesis import assume, given, settings
from networks import ACTIVATION_OF, Problem, problems

import clearprop as cp
from clearprop.core.backprop import forward
from clearprop.core.objective import prepare

NETWORKS = 500
STEP = 1e-5


def cost_and_side(problem: Problem) -> tuple[float, list[np.ndarray]]:
    """J as its definition says, and on which side of each kink every weighted sum and residual lies."""
    seen = forward(problem.net, problem.params, problem.X)
    total, sides = np.zeros(len(problem.X)), []
    for name, case in problem.loss_cases.items():
        total += case.loss.value_and_delta(problem.net[name].f, seen.z[name], seen.a[name], problem.y[name])[0]
        sides += [seen.a[name] - problem.y[name] > kink for kink in case.kinks]
    for layer in problem.net.layers:
        sides += [seen.z[layer.name] > kink for kink in ACTIVATION_OF[layer.f].kinks]
    w = np.ones(len(problem.X)) if problem.sample_weight is None else problem.sample_weight
    return float((w * total).sum() / (w.sum() if problem.reduction == "mean" else 1)), sides


def smooth_enough(problem: Problem) -> bool:
    """Whether a difference quotient can say 6 digits: no number is next to a pole of a loss or of a normalisation."""
    seen = forward(problem.net, problem.params, problem.X)
    if not all((np.abs(z) < 5).all() for z in seen.z.values()):
        return False
    for name, case in problem.loss_cases.items():
        partner = case.loss.partner
        if partner is not None and not isinstance(problem.net[name].f, partner):  # a logarithm of yhat is taken
            yhat = seen.a[name]
            upper = 0.99 if case.loss.name == "binary_cross_entropy" else np.inf
            if yhat.min() < 0.01 or yhat.max() > upper:
                return False
    return all(
        seen.z[layer.name].std(axis=1).min() > 0.1
        for layer in problem.net.layers
        if isinstance(layer.f, cp.activations.LayerNormalization)
    )


def differences(problem: Problem) -> np.ndarray:
    """Central differences for every parameter, frozen ones too; skips the problem if a kink lies within a step."""
    w, slopes = problem.params.flat, []
    _, here = cost_and_side(problem)
    for i in range(len(w)):
        kept, costs = w[i], []
        for step in (STEP, -STEP):
            w[i] = kept + step
            cost, side = cost_and_side(problem)
            costs.append(cost)
            assume(all(np.array_equal(a, b) for a, b in zip(here, side, strict=True)))
        w[i] = kept
        slopes.append((costs[0] - costs[1]) / (2 * STEP))
    return np.array(slopes)


EXPECTED = [
    *(f"activation {case.name}" for case in ALL_ACTIVATION_CASES),
    *(f"loss {case.label}" for case in LOSS_CASES),
    *(f"{layers} layers" for layers in range(1, 7)),
    *("connection dense", "connection dense, frozen", "connection identity"),
    *("connection wired", "connection wired, frozen", "bias trained", "bias frozen", "bias none"),
    *("join", "skip", "an output is a source", "several outputs", "one output"),
    *("weights", "no weights", "reduction mean", "reduction sum"),
]


def test_gradients_agree_with_differences_on_random_networks():
    checked, occurred = 0, Counter()

    @settings(max_examples=NETWORKS)
    @given(problems())
    def check(problem):
        nonlocal checked
        assume(problem.net.parameter_count > 0 and smooth_enough(problem))
        trace = cp.backpropagate(*problem.arguments)
        scale = np.abs(trace.gradients.flat).max()
        assume(scale > 1e-3 * max(1, trace.cost))  # a slope lost in the rounding of the cost proves nothing
        slopes = differences(problem)
        assert trace.cost == pytest.approx(cost_and_side(problem)[0], rel=1e-12)
        np.testing.assert_allclose(trace.gradients.flat, slopes, rtol=0, atol=1e-6 * scale)
        checked += 1
        occurred.update(set(problem.features()))

    check()
    assert checked >= NETWORKS
    assert not [feature for feature in EXPECTED if not occurred[feature]], occurred
    assert min(occurred[feature] for feature in EXPECTED) >= 5, occurred


# --- by hand ---------------------------------------------------------------------------------------------------------

NET = cp.Network(
    2,
    [
        cp.Layer("hidden", 3, "tanh"),
        cp.Layer("output", 2, "sigmoid", sources=["hidden", "input", cp.Direct("input")]),
    ],
)


def small(seed: int = 0):
    rng = np.random.default_rng(seed)
    params = NET.initialize(seed=seed)
    params["hidden"].b = rng.normal(size=3)
    params["output"].b = rng.normal(size=2)
    return params, rng.normal(size=(4, 2)), rng.normal(size=(4, 2))


def test_forward_sweep_written_out():
    params, X, _ = small()
    seen = forward(NET, params, X)
    W1, b1 = params["hidden"].W["input"], params["hidden"].b
    W2, W3, b2 = params["output"].W["hidden"], params["output"].W["input"], params["output"].b
    for n, x in enumerate(X):
        hidden = [np.tanh(b1[j] + sum(x[i] * W1[i, j] for i in range(2))) for j in range(3)]
        for k in range(2):
            z = b2[k] + sum(hidden[j] * W2[j, k] for j in range(3)) + sum(x[i] * W3[i, k] for i in range(2)) + x[k]
            assert seen.z["output"][n, k] == pytest.approx(z, rel=1e-14)
            assert seen.a["output"][n, k] == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-14)
    assert seen.a["input"] is X


def test_backward_sweep_written_out():
    """Squared error, weights w_n / sum w_n: every delta, error signal and gradient as sums over samples and units."""
    params, X, y = small()
    w = np.array([1.0, 2.0, 0.0, 3.0])
    trace = cp.backpropagate(NET, params, X, y, loss="squared_error", sample_weight=w)
    W2 = params["output"].W["hidden"]
    a1, a2 = trace["hidden"].a, trace["output"].a
    error2 = (a2 - y) * (w / w.sum())[:, None]
    delta2 = error2 * a2 * (1 - a2)
    error1 = np.array([[sum(delta2[n, k] * W2[j, k] for k in range(2)) for j in range(3)] for n in range(4)])
    delta1 = error1 * (1 - a1**2)
    np.testing.assert_allclose(trace["output"].error, error2, rtol=1e-13)
    np.testing.assert_allclose(trace["output"].delta, delta2, rtol=1e-13)
    np.testing.assert_allclose(trace["hidden"].error, error1, rtol=1e-13)
    np.testing.assert_allclose(trace["hidden"].delta, delta1, rtol=1e-13)
    g = trace.gradients
    for n_units, a, delta, W, b in (
        (2, X, delta1, g["hidden"].W["input"], g["hidden"].b),
        (3, a1, delta2, g["output"].W["hidden"], g["output"].b),
        (2, X, delta2, g["output"].W["input"], g["output"].b),
    ):
        for i in range(n_units):
            for j in range(W.shape[1]):
                assert W[i, j] == pytest.approx(sum(a[n, i] * delta[n, j] for n in range(4)), rel=1e-12)
        np.testing.assert_allclose(b, delta.sum(axis=0), rtol=1e-13)
    assert trace.cost == pytest.approx(((w / w.sum()) * ((a2 - y) ** 2 / 2).sum(axis=1)).sum())


def diamond():
    """Two paths from `a` to `d`, an identity path beside them, and an output on the way."""
    return cp.Network(
        2,
        [
            cp.Layer("a", 2, "tanh"),
            cp.Layer("b", 3, "sigmoid", "a"),
            cp.Layer("c", 2, "softplus", ["a", "input"]),
            cp.Layer("d", 2, "identity", ["b", "c", cp.Direct("a")]),
        ],
        outputs=["c", "d"],
    )


def test_masks_and_error_signals_agree_with_differences():
    """J depends on the mask m of a layer as J(m f(z)), so dJ/dm = error f(z): this checks masks and error signals."""
    net, rng = diamond(), np.random.default_rng(1)
    params, X = net.initialize(seed=2), rng.normal(size=(3, 2))
    y = {"c": rng.normal(size=(3, 2)), "d": rng.normal(size=(3, 2))}
    objective = prepare(net, params, X, y, "squared_error")
    masks = {"a": rng.choice([0.0, 2.0], size=(3, 2)), "b": rng.choice([0.0, 1.25], size=(3, 3))}
    gradients = cp.Parameters(net, np.zeros_like(params.flat))
    scratch = cp.Parameters(net, np.zeros_like(params.flat))
    _, seen, back = objective.sweep(params, gradients, slice(None), masks)
    np.testing.assert_array_equal(seen.a["a"], seen.f["a"] * masks["a"])

    def cost():
        return objective.sweep(params, scratch, slice(None), masks)[0]

    h = 1e-5
    for array, expected in (
        (params.flat, gradients.flat),
        (masks["a"], back.error["a"] * seen.f["a"]),
        (masks["b"], back.error["b"] * seen.f["b"]),
    ):
        for place in np.ndindex(array.shape):
            kept, costs = array[place], []
            for step in (h, -h):
                array[place] = kept + step
                costs.append(cost())
            array[place] = kept
            assert (costs[0] - costs[1]) / (2 * h) == pytest.approx(expected[place], rel=1e-7, abs=1e-9)


def test_error_signals_add_up_where_paths_join():
    """The error signal at `a` is the sum of what each path alone sends back."""
    net, rng = diamond(), np.random.default_rng(1)
    params, X = net.initialize(seed=2), rng.normal(size=(3, 2))
    y = {"c": rng.normal(size=(3, 2)), "d": rng.normal(size=(3, 2))}
    trace = cp.backpropagate(net, params, X, y, loss="squared_error")
    from_b = trace["b"].delta @ params["b"].W["a"].T
    from_c = trace["c"].delta @ params["c"].W["a"].T
    np.testing.assert_allclose(trace["a"].error, from_b + from_c + trace["d"].delta, rtol=1e-13)
    from_d = trace["d"].delta @ params["d"].W["c"].T
    np.testing.assert_allclose(trace["c"].error, from_d + (trace["c"].a - y["c"]) / 3, rtol=1e-13)


def test_gradients_are_written_anew():
    """What stood in the gradient before does not matter, so nothing piles up from step to step."""
    params, X, y = small()
    objective = prepare(NET, params, X, y, "squared_error")
    clean, full = (cp.Parameters(NET, np.full_like(params.flat, value)) for value in (0.0, 1e9))
    objective.sweep(params, clean, slice(None))
    objective.sweep(params, full, slice(None))
    np.testing.assert_array_equal(clean.flat, full.flat)


def test_nothing_given_is_changed():
    params, X, y = small()
    kept = params.flat.copy(), X.copy(), y.copy()
    cp.backpropagate(NET, params, X, y, loss="squared_error")
    for now, before in zip((params.flat, X, y), kept, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_kept_in_every_array(dtype):
    """With every kind of activation and connection in it, no number of a float32 network is float64."""
    layers, previous = [], "input"
    for i, case in enumerate(ALL_ACTIVATION_CASES):
        wired = cp.Wired(previous, [[1, 2, 0], [0, 1, 2], [3, 0, 1]])
        skip = ["input"] if previous != "input" else []
        layers.append(cp.Layer(f"layer{i}", 3, case.activation, [wired, cp.Direct(previous), *skip]))
        previous = f"layer{i}"
    net = cp.Network(3, layers)
    params = net.initialize(seed=0, dtype=dtype)
    rng = np.random.default_rng(0)
    trace = cp.backpropagate(net, params, rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), loss="quantile")
    assert {getattr(trace[name], what).dtype for name in trace for what in ("z", "a", "error", "delta")} == {
        np.dtype(dtype)
    }
    assert trace.gradients.dtype == trace.losses.dtype == np.dtype(dtype)
    assert np.isfinite(trace.gradients.flat).all()
