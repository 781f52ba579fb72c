"""Slips that students make, planted in a sweep by hand on networks of several shapes: each gets its name."""

from __future__ import annotations

import numpy as np
import pytest
from sweeps_by_hand import CHAINS, homework, sigmoid

import clearprop as cp


def has(*activations):
    """Chains with one of these activations in a hidden layer."""
    return lambda chain: any(f in activations for _, f in chain.layers[:-1])


def square(chain):
    return any(a == b for (a, _), (b, _) in zip(chain.layers, chain.layers[1:], strict=False))


def bent(chain):
    return chain.loss == "squared_error" and chain.layers[-1][1] != "identity"


def deep(chain):
    return len(chain.layers) > 2


def squared(chain):
    return chain.loss == "squared_error"


def always(chain):
    return True


def first(change):
    """A hook of slopes that changes those of layer1 only."""
    return {"slope": lambda k, z, a, s: change(z, a, s) if k == "layer1" else s}


def scaled(gradient, c, key=None):
    return {
        k: {s: g * (c if key is None or s == key else 1) for s, g in arrays.items()} for k, arrays in gradient.items()
    }


#: The hooks of a slip, the chains it is possible in, and the name it must get.
SLIPS = {
    "no derivative in layer1": (first(lambda z, a, s: np.ones_like(z)), always, "missing derivative"),
    "f'(a) in layer1, sigmoid": (
        first(lambda z, a, s: sigmoid(a) * (1 - sigmoid(a))),
        lambda c: c.layers[0][1] == "sigmoid",
        "derivative at a instead of z",
    ),
    "z (1 - z)": (first(lambda z, a, s: z * (1 - z)), lambda c: c.layers[0][1] == "sigmoid", "z instead of a"),
    "1 - z^2": (first(lambda z, a, s: 1 - z * z), lambda c: c.layers[0][1] == "tanh", "z instead of a"),
    "tanh' = 1 - a": (first(lambda z, a, s: 1 - a), lambda c: c.layers[0][1] == "tanh", "wrong derivative"),
    "tanh' = a (1 - a)": (first(lambda z, a, s: a * (1 - a)), lambda c: c.layers[0][1] == "tanh", "wrong derivative"),
    "sigmoid' = 1 - a^2": (first(lambda z, a, s: 1 - a * a), lambda c: c.layers[0][1] == "sigmoid", "wrong derivative"),
    "sigmoid' = a": (first(lambda z, a, s: a), lambda c: c.layers[0][1] == "sigmoid", "wrong derivative"),
    "relu' = 1 where z < 0": (first(lambda z, a, s: 1.0 * (z < 0)), has("relu"), "wrong derivative"),
    "relu' = z where z > 0": (first(lambda z, a, s: np.maximum(z, 0)), has("relu"), "wrong derivative"),
    "relu of the error": ({"pull": lambda k, e, s: np.maximum(e, 0)}, has("relu"), "activation of the error"),
    "derivative twice": (first(lambda z, a, s: s * s), lambda c: c.layers[0][1] != "relu", "derivative twice"),
    "y - yhat": ({"error": lambda yhat, y: y - yhat}, always, "sign"),
    "2 (yhat - y)": ({"error": lambda yhat, y: 2 * (yhat - y)}, lambda c: c.layers[-1][0] != 2, "factor"),
    "yhat only": ({"error": lambda yhat, y: yhat}, squared, "wrong error signal"),
    "-y only": ({"error": lambda yhat, y: -y}, squared, "wrong error signal"),
    "yhat - y left out": ({"error": lambda yhat, y: np.ones_like(y)}, squared, "wrong error signal"),
    "the loss sent back": ({"error": lambda yhat, y: 0.5 * (yhat - y) ** 2}, squared, "wrong error signal"),
    "sign of the residual": ({"error": lambda yhat, y: np.sign(yhat - y)}, squared, "another loss"),
    "delta out times a (1 - a)": (
        {"delta out": lambda d, yhat, y: d * yhat * (1 - yhat)},
        lambda c: c.loss != "squared_error",
        "derivative twice",
    ),
    "no derivative at the output": ({"delta out": lambda d, yhat, y: yhat - y}, bent, "missing derivative"),
    "softmax: the target class only": (
        {"delta out": lambda d, yhat, y: d * y},
        lambda c: c.loss == "cross_entropy",
        "softmax Jacobian forgotten",
    ),
    "softmax: -y / yhat": (
        {"delta out": lambda d, yhat, y: -y / yhat},
        lambda c: c.loss == "cross_entropy",
        "softmax Jacobian forgotten",
    ),
    "sum instead of mean": ({"rows": lambda w: w * len(w)}, always, "mean against sum"),
    "divided by n twice": ({"rows": lambda w: w / len(w)}, always, "mean against sum"),
    "last row lost": ({"rows": lambda w: w * (np.arange(len(w)) < len(w) - 1)[:, None]}, always, "row left out"),
    "row 0 lost, mean over n - 1": (
        {"rows": lambda w: (np.arange(len(w)) > 0)[:, None] / (len(w) - 1)},
        always,
        "row left out",
    ),
    "only the last row": ({"rows": lambda w: w * (np.arange(len(w)) == len(w) - 1)[:, None]}, always, "single row"),
    "dW transposed": (
        {"dW": lambda k, a, d, z: (d.T @ a) if a.shape[1] == d.shape[1] else a.T @ d},
        square,
        "transposed gradient",
    ),
    "z in dW": ({"dW": lambda k, a, d, z: z.T @ d}, always, "z instead of a"),
    "a left out of dW": ({"dW": lambda k, a, d, z: np.ones_like(a).T @ d}, always, "activations left out"),
    "db = mean": ({"db": lambda k, d, dW: d.mean(axis=0)}, always, "mean against sum"),
    "db from dW": ({"db": lambda k, d, dW: dW.sum(axis=0)}, always, "bias from dW"),
    "db = last row": ({"db": lambda k, d, dW: d[-1]}, always, "bias of a single row"),
    "db = sum of everything": (
        {"db": lambda k, d, dW: np.full(d.shape[1], d.sum())},
        lambda c: True,
        "bias summed over units",
    ),
    "db = 0": ({"db": lambda k, d, dW: 0 * d[0]}, always, "missing bias gradient"),
    "W transposed on the way back": (
        {"back": lambda k, d, W, dW: d @ W if W.shape[0] == W.shape[1] else d @ W.T},
        square,
        "transposed weights",
    ),
    "W left out on the way back": (
        {"back": lambda k, d, W, dW: np.repeat(d.sum(axis=1, keepdims=True), len(W), axis=1)},
        always,
        "weights left out",
    ),
    "dW in place of W": ({"back": lambda k, d, W, dW: d @ dW.T}, always, "gradient instead of weights"),
    "last unit only": (
        {"back": lambda k, d, W, dW: d[:, -1:] @ W[:, -1:].T},
        lambda c: c.layers[-1][0] > 1,
        "single unit",
    ),
    "no way back": ({"back": lambda k, d, W, dW: 0 * d @ W.T}, always, "missing path"),
    "updated weights": ({"back": lambda k, d, W, dW: d @ (W - 0.3 * dW).T}, always, "already updated weights"),
    "mean over units on the way back": (
        {"back": lambda k, d, W, dW: d @ W.T / W.shape[1] if k == "layer2" else d @ W.T},
        lambda c: c.layers[1][0] > 2,
        "factor",
    ),
    "error sent back": ({"sent delta": lambda k, d, e: e}, bent, "missing derivative"),
    "error in dW and db": ({"own delta": lambda k, d, e: e}, bent, "missing derivative"),
    "bias left out forward": ({"b forward": lambda k, b: 0 * b if k == "layer1" else b}, always, "wrong forward sweep"),
    "one layer three times": (
        {"all": lambda g: {**g, "layer1": {s: 3 * v for s, v in g["layer1"].items()}}},
        always,
        "factor",
    ),
    "one block -0.4 times": (
        {"all": lambda g: {**g, "layer2": {s: (-0.4 if s != "b" else 1) * v for s, v in g["layer2"].items()}}},
        always,
        "factor",
    ),
    "-0.01 times everything": ({"all": lambda g: scaled(g, -0.01)}, always, "factor"),
    "all 0": ({"all": lambda g: scaled(g, 0)}, always, "zero gradient"),
}


def every_other(k, names):
    return names if len(names) == 1 else names[k % 2 :: 2]


#: Slips with the same numbers as another one in this chain: both are named.
ALIKE = {
    ("W left out on the way back", "classes"): "missing path",  # the deltas of softmax sum to 0
    ("no way back", "classes"): "weights left out",
    ("one layer three times", "classes"): "mean against sum",  # there are three outputs
    ("mean over units on the way back", "deep"): "factor + mean against sum",
}
CASES = [
    (slip, name)
    for k, (slip, (_, possible, _)) in enumerate(SLIPS.items())
    for name in every_other(k, [n for n in CHAINS if possible(CHAINS[n])])
]


def mistakes(chain, gradient, **options):
    X, y = chain.data
    check = cp.check_gradients(chain.net, chain.params, X, y, chain.loss, gradient=gradient, **options)
    assert not check.ok
    return [mistake.name for mistake in check.mistakes]


@pytest.mark.parametrize("name", CHAINS)
def test_the_sweep_by_hand_is_right_without_a_slip(name):
    chain = CHAINS[name]
    X, y = chain.data
    check = cp.check_gradients(chain.net, chain.params, X, y, chain.loss, gradient=homework(chain, chain.params))
    assert check.ok, str(check)
    assert check.mistakes == ()


@pytest.mark.parametrize(("slip", "name"), CASES)
def test_a_slip_gets_its_name_and_no_other(slip, name):
    hooks, _, expected = SLIPS[slip]
    found = mistakes(CHAINS[name], homework(CHAINS[name], CHAINS[name].params, hooks))
    alike = {ALIKE[slip, name]} if (slip, name) in ALIKE else set()
    assert set(found) == {expected} | alike


def test_every_slip_is_tried():
    assert len(SLIPS) == 50
    assert {slip for slip, _ in CASES} == set(SLIPS)
    assert len(CASES) > 110


#: Two slips in one sweep, in every chain where both are possible and visible.
PAIRS = [
    ("no derivative in layer1", "db = mean", "one hidden layer"),
    ("no derivative in layer1", "updated weights", "deep"),
    ("no derivative in layer1", "y - yhat", "binary"),
    ("z (1 - z)", "sum instead of mean", "one hidden layer"),
    ("tanh' = 1 - a", "db from dW", "one output"),
    ("tanh' = a (1 - a)", "last row lost", "deep"),
    ("derivative twice", "W left out on the way back", "wide"),
    ("relu' = 1 where z < 0", "yhat only", "relu"),
    ("relu of the error", "db = 0", "relu"),
    ("2 (yhat - y)", "z in dW", "one output"),
    ("the loss sent back", "db = sum of everything", "wide"),
    ("-y only", "one block -0.4 times", "one hidden layer"),
    ("delta out times a (1 - a)", "db = mean", "binary"),
    ("no derivative at the output", "updated weights", "one hidden layer"),
    ("softmax: the target class only", "a left out of dW", "classes"),
    ("last row lost", "db from dW", "deep"),
    ("only the last row", "updated weights", "binary"),
    ("dW transposed", "db = mean", "deep"),
    ("W transposed on the way back", "one layer three times", "classes"),
    ("dW in place of W", "-0.01 times everything", "deep"),
    ("last unit only", "bias left out forward", "wide"),
    ("error in dW and db", "no derivative in layer1", "wide"),
    ("db = last row", "updated weights", "deep"),
    ("z in dW", "bias left out forward", "deep"),
]


@pytest.mark.parametrize(("first_slip", "second_slip", "name"), PAIRS)
def test_two_slips_are_named_together(first_slip, second_slip, name):
    chain, slips = CHAINS[name], (SLIPS[first_slip], SLIPS[second_slip])
    gradient = homework(chain, chain.params, {**slips[0][0], **slips[1][0]})
    expected = {slip[2] for slip in slips}
    assert any(set(found.split(" + ")) == expected for found in mistakes(chain, gradient))


def test_there_are_as_many_pairs_as_the_page_says():
    assert len(PAIRS) == 24


W = np.array([1, 2, 0.5, 3, 1, 1, 0.2])
ROWS = {
    "ignored": (None, None, "sample weights ignored"),
    "divided by n": (W, lambda w: w * W.sum() / len(W), "mean against sum"),
    "twice": (W, lambda w: w * W[:, None], "sample weights twice"),
    "row 2 lost": (W, lambda w: w * (np.arange(7) != 2)[:, None], "row left out"),
}


@pytest.mark.parametrize("case", ROWS)
def test_slips_with_sample_weights(case):
    weights, rows, expected = ROWS[case]
    chain = CHAINS["one hidden layer"]
    gradient = homework(chain, chain.params, {} if rows is None else {"rows": rows}, weights)
    assert mistakes(chain, gradient, sample_weight=W) == [expected]


def test_right_gradients_with_sample_weights_pass():
    chain = CHAINS["one hidden layer"]
    X, y = chain.data
    gradient = homework(chain, chain.params, weights=W)
    assert cp.check_gradients(chain.net, chain.params, X, y, chain.loss, sample_weight=W, gradient=gradient).ok


def test_noise_gets_no_name():
    rng = np.random.default_rng(0)
    for name in ("one hidden layer", "relu", "classes"):
        chain = CHAINS[name]
        gradient = homework(chain, chain.params)
        gradient["layer1"]["input"] = gradient["layer1"]["input"] + 0.01 * rng.normal(
            size=(chain.inputs, chain.layers[0][0])
        )
        assert mistakes(chain, gradient) == []
