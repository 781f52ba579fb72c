"""Gradient checking says yes to right gradients, and names the place of a wrong one."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, LOSS_CASES, ids
from hypothesis import assume, given, settings
from networks import problems

import clearprop as cp
from clearprop.errors import ArgumentError, ClearpropError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))


def smooth(problem):
    """No kinks in it: checked on those in tests/core/test_backprop.py, where they are stayed away from."""
    from networks import ACTIVATION_OF

    return not any(ACTIVATION_OF[layer.f].kinks for layer in problem.net.layers) and not any(
        case.kinks for case in problem.loss_cases.values()
    )


@settings(max_examples=15)
@given(problems(most_layers=3, most_samples=2))
def test_right_gradients_pass(problem):
    assume(smooth(problem) and 0 < problem.net.parameter_count < 40)
    found = cp.check_gradients(*problem.arguments, tolerance=1e-4)
    assert found.ok, str(found)
    assert len(found.blocks) > 0


def wrong_square(factor):
    return cp.activations.Custom("wrong square", lambda z: z * z, lambda z, a: factor * z)


def test_a_wrong_derivative_is_found_where_it_acts():
    """The hidden derivative is 1% off: the gradients behind it are wrong, those of the output are right."""
    for factor, ok in ((2.0, True), (2.02, False)):
        net = cp.Network.sequential(2, 3, 1, hidden=wrong_square(factor))
        found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss="squared_error")
        assert isinstance(found, cp.explain.gradient_check.GradientCheck)
        assert found.ok is ok
        assert {block.label: block.error <= found.tolerance for block in found.blocks} == {
            "hidden.W['input']": ok,
            "output.W['hidden']": True,
            "hidden.b": ok,
            "output.b": True,
        }
        assert (found.worst > 1e-3) is not ok
        assert ("BAD" in str(found)) is not ok
        assert str(found).startswith(("all agree to 1e-06: ", "NOT all agree to 1e-06: ")[not ok])


def test_a_wrong_slope_of_a_loss_is_found():
    loss = cp.losses.CustomLoss("wrong", lambda yhat, y: ((yhat - y) ** 2, yhat - y))
    net = cp.Network.sequential(2, 1)
    found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss=loss)
    assert not found.ok
    worst = max(found.blocks, key=lambda block: block.error)
    assert worst.difference == pytest.approx(2 * worst.backpropagated)
    assert f"{worst.backpropagated:.9g} {worst.difference:.9g}" in " ".join(str(found).split())
    assert str(list(worst.index)) in str(found)


def test_frozen_parameters_and_biases_are_checked_too():
    net = cp.Network(
        2, [cp.Layer("a", 3, "tanh", cp.Dense("input", trainable=False), train_bias=False), cp.Layer("b", 1)]
    )
    found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss="squared_error", sample_weight=[1, 2, 0, 1])
    assert [block.label for block in found.blocks] == ["b.W['a']", "b.b", "a.W['input']", "a.b"]
    assert found.ok


def test_single_precision_is_checked_in_double():
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    params = net.initialize(seed=0, dtype="float32")
    before = params.flat.copy()
    assert cp.check_gradients(net, params, X, Y, loss="squared_error", tolerance=1e-9).ok
    np.testing.assert_array_equal(params.flat, before)
    assert params.dtype == np.float32


def at_kinks(b):
    net = cp.Network.sequential(2, 1, 1, hidden="relu")
    given = {"hidden": {"input": [[0.0], [0.0]], "b": [b]}, "output": {"hidden": [[1.0]]}}
    return net, net.initialize(given=given)


@pytest.mark.parametrize("method", ["auto", "central"])
def test_a_kink_is_called_a_kink(method):
    """With all z = 0 at a ReLU, the weights into it have two slopes; that is no disagreement."""
    net, params = at_kinks(0.0)
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", method=method)
    assert found.ok
    assert [(kink.label, kink.index) for kink in found.kinks] == [
        ("hidden.W['input']", (0, 0)),
        ("hidden.W['input']", (1, 0)),
        ("hidden.b", (0,)),
    ]
    for kink in found.kinks:
        assert kink.low - 1e-9 <= kink.gradient <= kink.high + 1e-9
        assert kink.cause == "hidden[0], sample 0: z = 0 is at a kink of relu"
    printed = str(found)
    assert "hidden.b: no derivative at its entries (kink)" in printed
    assert "kink, not counted: hidden.b [0]: any slope from " in printed
    assert {block.label: block.kinks for block in found.blocks}["output.W['hidden']"] == 0


def test_a_gradient_outside_the_two_slopes_of_a_kink_is_wrong():
    net, params = at_kinks(0.0)
    gradient = cp.backpropagate(net, params, X, Y, loss="squared_error").gradients
    gradient["hidden"].b = [100.0]
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=gradient)
    assert not found.ok
    assert found.layers == {"output": True, "hidden": False}
    gradient["hidden"].b = [cp.check_gradients(net, params, X, Y, loss="squared_error").kinks[-1].high]
    assert cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=gradient).ok


@pytest.mark.parametrize("b", [1e-4, -1e-4, 3e-6])
def test_a_kink_within_the_step_of_differences_is_stepped_back_from(b):
    net, params = at_kinks(b)
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", method="central")
    assert found.ok, str(found)
    assert found.method == "central differences"
    if abs(b) > 1e-5:
        assert found.kinks == ()


@pytest.mark.parametrize(
    ("loss", "name"), [(cp.AbsoluteError(), "absolute_error"), (cp.Quantile(0.9), "quantile")], ids=lambda x: str(x)
)
@pytest.mark.parametrize("method", ["auto", "central"])
def test_a_residual_at_the_kink_of_a_loss(loss, name, method):
    net = cp.Network.sequential(2, 1)
    params = net.initialize(given={"output": {"input": [[1.0], [1.0]], "b": [0.5]}})
    y = cp.predict(net, params, X) - [[0.0], [0.5], [0.5], [0.5]]
    found = cp.check_gradients(net, params, X, y, loss=loss, method=method)
    assert found.ok
    assert len(found.kinks) == 3
    assert found.kinks[0].cause == f"output[0], sample 0: the residual yhat - y = 0 is at a kink of {name}"


@pytest.mark.parametrize("f", ["elu", "softsign", "selu", "hard_sigmoid", "leaky_relu"])
def test_smooth_or_off_the_kink_there_is_none(f):
    """At 0 the derivative of elu and softsign is one number, only its own slope jumps."""
    z = 0.0 if f in ("elu", "softsign") else 0.3
    net = cp.Network(1, [cp.Layer("h", 1, f), cp.Layer("o", 1)])
    params = net.initialize(given={"h": {"input": [[1.0]]}, "o": {"h": [[2.0]]}})
    for method in ("complex", "central"):
        found = cp.check_gradients(net, params, [[z]], [[1.0]], loss="squared_error", method=method)
        assert found.ok, str(found)
        assert found.kinks == ()


KINK = {"hard_sigmoid": 3.0, "selu": 0.0, "leaky_relu": 0.0, "relu": 0.0}


@pytest.mark.parametrize("f", KINK)
@pytest.mark.parametrize("method", ["complex", "central"])
def test_kinks_of_other_activations(f, method):
    net = cp.Network(1, [cp.Layer("h", 1, f), cp.Layer("o", 1)])
    params = net.initialize(given={"h": {"input": [[1.0]], "b": [KINK[f]]}, "o": {"h": [[2.0]]}})
    found = cp.check_gradients(net, params, [[0.0]], [[-1.0]], loss="squared_error", method=method)
    assert [kink.label for kink in found.kinks] == ["h.b"]
    assert found.ok


# --- the two methods ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_every_activation_allows_the_complex_step(case):
    net = cp.Network(2, [cp.Layer("h", 3, case.activation), cp.Layer("o", 1)])
    params = net.initialize(seed=0)
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", method="complex", tolerance=1e-10)
    assert found.ok, str(found)
    assert found.method == "complex step"
    differences = cp.check_gradients(net, params, X, Y, loss="squared_error", method="central")
    assert differences.ok
    assert differences.method == "central differences"
    np.testing.assert_allclose(
        [block.difference for block in found.blocks], [block.backpropagated for block in found.blocks], rtol=1e-9
    )


@pytest.mark.parametrize("case", LOSS_CASES, ids=ids(LOSS_CASES))
def test_every_loss_allows_the_complex_step(case):
    activation = next(a.activation for a in ALL_ACTIVATION_CASES if case.outputs(a) and a.least_units <= 2)
    net = cp.Network(2, [cp.Layer("h", 3, "tanh"), cp.Layer("o", 2, activation)])
    y = case.draw(np.random.default_rng(1), 4, 2)
    found = cp.check_gradients(net, net.initialize(seed=0), X, y, loss=case.loss, method="complex", tolerance=1e-9)
    assert found.ok, str(found)


def erf_by_table(z):
    """Not analytic as written: it looks numbers up."""
    return np.interp(np.clip(z, -3, 3), np.linspace(-3, 3, 2001), np.tanh(np.linspace(-3, 3, 2001)))


def by_parts(z):
    """Drops the imaginary part, so that NumPy does not warn."""
    return np.tanh(np.array([[float(v.real) for v in row] for row in np.asarray(z)]))


NOT_ANALYTIC = [
    (lambda z: np.tanh(z) + 0 * np.floor(z), "the complex continuation of floor is not known"),
    (erf_by_table, "the complex continuation of numpy.interp is not known"),
    (lambda z: np.tanh(z.astype(float)), "Casting complex values to real discards the imaginary part"),
    (by_parts, "along a random direction it gives -?0.?[0-9]*, and differences give"),
    (lambda z: np.tanh(z.real), "the complex continuation of the real part of a complex number"),
    (lambda z: np.array([[math.tanh(v) for v in row] for row in z]), "a function does not accept complex numbers"),
]


@pytest.mark.parametrize(("f", "reason"), NOT_ANALYTIC, ids=[str(i) for i in range(len(NOT_ANALYTIC))])
def test_what_is_not_analytic_is_detected_and_differences_serve(f, reason):
    net = cp.Network.sequential(2, 3, 1, hidden=cp.activations.Custom("mine", f, lambda z, a: 1 - a * a))
    params = net.initialize(seed=0)
    tolerance = 1e-2 if f is erf_by_table else 1e-6  # its slope is that of the table's chords
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", tolerance=tolerance)
    assert found.ok, str(found)
    assert found.method == "central differences"
    assert re.search(reason, found.notes[0])
    with pytest.raises(ArgumentError, match=r'method: the complex step cannot be used: .*Use method="central"\.'):
        cp.check_gradients(net, params, X, Y, loss="squared_error", method="complex")


# --- directions, for large networks ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["complex", "central"])
def test_random_directions_pass_what_is_right_and_find_what_is_wrong(method):
    net = cp.Network.sequential(20, 30, 20, 3, hidden="tanh", output="softmax")
    params, y = net.initialize(seed=0), rng.integers(0, 3, size=6)
    wide = rng.normal(size=(6, 20))
    found = cp.check_gradients(net, params, wide, y, loss="cross_entropy", directions=3, method=method)
    assert found.ok, str(found)
    assert all(block.checked < 10 for block in found.blocks)
    assert "along 3 random directions in each W and b" in str(found)
    gradient = cp.backpropagate(net, params, wide, y, loss="cross_entropy").gradients
    right = gradient["hidden2"].W["hidden1"][17, 5]
    gradient["hidden2"].W["hidden1"][17, 5] += 0.01
    found = cp.check_gradients(
        net, params, wide, y, loss="cross_entropy", gradient=gradient, directions=3, method=method
    )
    assert found.layers == {"hidden1": True, "hidden2": False, "output": True}
    bad = next(block for block in found.blocks if not found.passes(block))
    assert bad.index == (17, 5)
    assert bad.difference == pytest.approx(right, rel=1e-6)


def test_large_networks_are_checked_along_directions_by_themselves(monkeypatch):
    monkeypatch.setattr("clearprop.explain.gradient_check.check.WORK", 100)
    net = cp.Network.sequential(60, 80, 2, hidden="relu")
    params, y = net.initialize(seed=0), rng.normal(size=(3, 2))
    wide = rng.normal(size=(3, 60))
    found = cp.check_gradients(net, params, wide, y, loss="squared_error")
    assert found.ok
    assert sum(block.checked for block in found.blocks) < 60
    found = cp.check_gradients(
        net, params, wide, y, loss="squared_error", gradient=lambda p: -cp_gradient(net, p, wide, y).flat
    )
    assert [mistake.name for mistake in found.mistakes] == ["sign"]
    assert not any(found.layers.values())


def cp_gradient(net, params, X, y):
    return cp.backpropagate(net, params, X, y, loss="squared_error").gradients


def test_a_layer_of_vanishing_gradient_is_judged_by_its_own_size():
    """Ten sigmoid layers: the gradient at the front is 1e-8 of that at the back, and still has to be right."""
    net = cp.Network.sequential(2, *[3] * 10, 1, hidden="sigmoid")
    params = net.initialize(seed=0)
    gradient = cp_gradient(net, params, X, Y)
    assert np.abs(gradient["hidden1"].W["input"]).max() < 1e-6 * np.abs(gradient["output"].b).max()
    assert cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=gradient).ok
    gradient["hidden1"].W["input"] = 1.01 * gradient["hidden1"].W["input"]
    found = cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=gradient)
    assert [name for name, ok in found.layers.items() if not ok] == ["hidden1"]


def test_a_gradient_of_zero_where_terms_cancel_is_right():
    net = cp.Network.sequential(2, 1)
    params = net.initialize(seed=0)
    y = cp.predict(net, params, X)
    for method in ("complex", "central"):
        found = cp.check_gradients(net, params, X, y, loss="squared_error", method=method)
        assert found.ok, str(found)
        far = cp.check_gradients(net, params, 1e6 * X, 1e6 * y, loss="squared_error", method=method)
        assert far.ok, str(far)


# --- a gradient handed in ----------------------------------------------------------------------------------------


def test_every_form_of_a_gradient():
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    params = net.initialize(seed=0)
    right = cp_gradient(net, params, X, Y)
    as_dict = {name: {**{k: right[name].W[k].tolist() for k in right[name].W}, "b": right[name].b} for name in right}
    keepdims = {name: {**arrays, "b": arrays["b"][None, :]} for name, arrays in as_dict.items()}
    forms = [right, right.flat, right.flat.tolist(), as_dict, keepdims, lambda p: as_dict, lambda p: right]
    for form in forms:
        assert cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=form).ok
    single = right.astype("float32")
    assert cp.check_gradients(net, params, X, Y, loss="squared_error", gradient=single, tolerance=1e-5).ok
    assert len(forms) == 7


NET = cp.Network.sequential(2, 3, 1, hidden="tanh")
OTHER = cp.Network.sequential(2, 4, 1).initialize()
BAD_GRADIENTS = [
    (np.zeros(4), r"gradient: expected a flat vector of 13 numbers in the order of params.flat, got shape \(4,\)"),
    (np.full(13, np.nan), r"gradient of hidden.W\[\'input\'\]: nan at \[0, 0\] \(6 of 6 entries are not finite\)"),
    (OTHER, "gradient: expected the gradient of this network, got that of another network"),
    ({"hiden": {}}, 'gradient: there is no layer "hiden". Did you mean "hidden"?'),
    ({"hidden": {"inputs": 0}}, 'there is no "inputs". Did you mean "input"'),
    ({"hidden": [1, 2]}, r'gradient\["hidden"\]: expected a dict .* got list'),
    ({"hidden": {"input": np.zeros((3, 2))}}, r"expected shape \(2, 3\), got \(3, 2\)\. .*pass the transpose"),
    ({"hidden": {"b": np.zeros((4, 3))}}, r"expected shape \(3,\), got \(4, 3\)\. Sum delta over the samples"),
    ({"hidden": {"b": [1, np.inf, 0]}}, r"gradient of hidden.b: inf at \[1\] \(1 of 3"),
    ({"hidden": {"b": ["a", "b", "c"]}}, "gradient of hidden.b: expected numbers"),
    (lambda p: lambda: p, "the function returned another function"),
    (lambda p: None, r"the function returned None\. End it with return and a dict \{layer: \{source: dJ/dW"),
    ((np.zeros((2, 3)), np.zeros(3)), r'got a tuple of 2 arrays\. Name each: \{"hidden": \{"input": dW, "b": db\}'),
    ({"hidden": {"b": np.zeros((3, 1))}}, r"expected shape \(3,\), got \(3, 1\)\. It is a column: pass db\.ravel\(\)"),
    ({"hidden": {"b": None}}, r"gradient of hidden.b: expected an array of shape \(3,\), got None\. Leave it out"),
    ({"output": {"b": [np.nan]}}, r'overflowed or was divided by 0 in the backward sweep: np\.seterr\(all="raise"\)'),
]


@pytest.mark.parametrize(("gradient", "text"), BAD_GRADIENTS, ids=[str(i) for i in range(len(BAD_GRADIENTS))])
def test_bad_gradients(gradient, text):
    with pytest.raises(ClearpropError, match=text):
        cp.check_gradients(NET, NET.initialize(), X, Y, loss="squared_error", gradient=gradient)


def test_a_layer_named_b_cannot_be_told_from_a_bias_in_a_dict():
    net = cp.Network(2, [cp.Layer("b", 2, "tanh"), cp.Layer("out", 1)])
    with pytest.raises(ArgumentError, match='a layer is named "b", which in a dict means the bias'):
        cp.check_gradients(net, net.initialize(), X, Y, loss="squared_error", gradient={"out": {"b": [0]}})
    assert cp.check_gradients(net, net.initialize(), X, Y, loss="squared_error").ok


def test_a_function_gets_its_own_copy_of_the_parameters():
    params = NET.initialize(seed=0)
    before = params.flat.copy()

    def careless(p):
        gradient = cp_gradient(NET, p, X, Y).flat
        p.flat[:] = 0
        return gradient

    assert cp.check_gradients(NET, params, X, Y, loss="squared_error", gradient=careless).ok
    np.testing.assert_array_equal(params.flat, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "exact"}, "method: expected one of 'auto', 'complex', 'central', got 'exact'"),
        ({"directions": -1}, "directions: expected a whole number of at least 0, got -1"),
        ({"learning_rate": 0}, "learning_rate: expected a finite number above 0, got 0"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(ArgumentError, match=text):
        cp.check_gradients(NET, NET.initialize(), X, Y, loss="squared_error", **options)


def test_a_network_without_parameters():
    net = cp.Network(2, [cp.Layer("out", 2, "tanh", cp.Direct("input"), bias=False)])
    found = cp.check_gradients(net, net.initialize(), X, np.zeros((4, 2)), loss="squared_error")
    assert found.ok
    assert found.worst == 0
    assert str(found) == "all agree to 1e-06"
    assert found.layers == {}


MASKS = [
    ({"hiden": np.ones((4, 3))}, 'masks: there is no layer "hiden". Did you mean "hidden"'),
    ({"output": np.ones((4, 1))}, 'masks: "output" is an output layer, which has no dropout'),
    ({"hidden": np.ones((3, 4))}, r'masks\["hidden"\]: expected shape \(4, 3\) \(rows, units\), got \(3, 4\)'),
]


@pytest.mark.parametrize(("masks", "text"), MASKS)
def test_bad_masks(masks, text):
    with pytest.raises(ClearpropError, match=text):
        cp.check_gradients(NET, NET.initialize(), X, Y, loss="squared_error", masks=masks)


def test_a_function_that_is_random_or_adds_up_is_said_to_be_so():
    params, generator, total = NET.initialize(seed=0), np.random.default_rng(0), np.zeros(13)

    def random(p):
        return cp_gradient(NET, p, X, Y).flat * generator.uniform(0.5, 1.5)

    def adding(p):
        total[:] += cp_gradient(NET, p, X, Y).flat
        return total

    for gradient, name, words in (
        (random, "random gradient", "the function returns another gradient in each call"),
        (adding, "accumulated gradient", "a second call returns twice the gradient of the first"),
    ):
        found = cp.check_gradients(NET, params, X, Y, loss="squared_error", gradient=gradient)
        assert not found.ok
        assert [mistake.name for mistake in found.mistakes] == [name]
        assert found.mistakes[0].words.startswith(words)


NOT_BY_ROW = [
    (lambda z: z - z.mean(), "mine of hidden mixes the samples: its result for a row depends on the other rows"),
    (
        lambda z: z - z.mean(axis=-1, keepdims=True),
        "mine of hidden mixes the units of a row, but is declared as element",
    ),
    (lambda z: z + rng.normal(size=z.shape), "mine of hidden gives another result in each call"),
]


@pytest.mark.parametrize(("f", "text"), NOT_BY_ROW, ids=["rows", "units", "random"])
def test_activations_that_do_not_work_on_each_row_by_itself_are_refused(f, text):
    net = cp.Network.sequential(2, 3, 1, hidden=cp.activations.Custom("mine", f, lambda z, a: 1 + 0 * z))
    with pytest.raises(ArgumentError, match=text):
        cp.check_gradients(net, net.initialize(seed=0), X, Y, loss="squared_error")


def test_a_cost_that_is_not_finite_is_refused_with_the_unit():
    net = cp.Network.sequential(2, 1, output="exponential")
    params = net.initialize(given={"output": {"b": [1000.0]}})
    with pytest.raises(ClearpropError, match=r"the cost is inf .*the activation a of output\[0\], sample 0 is inf"):
        cp.check_gradients(net, params, X, Y, loss="squared_error")


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, "small"])
def test_bad_tolerance(tolerance):
    net = cp.Network.sequential(2, 1)
    with pytest.raises(ArgumentError, match="tolerance: expected a finite number above 0"):
        cp.check_gradients(net, net.initialize(), X, Y, loss="squared_error", tolerance=tolerance)
