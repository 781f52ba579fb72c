"""Each usual mistake, planted in a backward sweep written by hand, is called by its name; nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Problem, problems

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.explain.gradient_check.numeric import Derivative
from clearprop.explain.gradient_check.problem import Problem as CheckProblem


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


F = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "softplus": (lambda z: np.log(1 + np.exp(z)), sigmoid),
    "identity": (lambda z: z, np.ones_like),
}


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Exercise:
    """A network with its data; the loss is squared error, or "cross_entropy" where the output is softmax."""

    net: cp.Network
    outputs: int
    loss: str
    seed: int = 0
    samples: int = 7

    @property
    def arguments(self):
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.samples, self.net.inputs))
        if self.loss == "squared_error":
            y = rng.normal(size=(self.samples, self.outputs))
        else:
            y = np.eye(self.outputs)[rng.integers(0, self.outputs, self.samples)]
        params = self.net.initialize(seed=self.seed + 1)
        params.flat[:] += rng.normal(0, 0.2, size=params.flat.shape)
        return self.net, params, X, y, self.loss


def dense(inputs, *layers, seed=0, loss="squared_error"):
    """A chain from (units, activation)."""
    made = [cp.Layer(f"layer{i}", units, f) for i, (units, f) in enumerate(layers, 1)]
    return Exercise(cp.Network(inputs, made), layers[-1][0], loss, seed)


SHALLOW = dense(3, (4, "tanh"), (2, "identity"))
DEEP = dense(2, (5, "sigmoid"), (5, "tanh"), (5, "softplus"), (2, "sigmoid"), seed=1)
CLASSES = dense(3, (4, "tanh"), (4, "sigmoid"), (3, "softmax"), seed=2, loss="cross_entropy")
SKIP = Exercise(
    cp.Network(
        3,
        [
            cp.Layer("first", 4, "tanh"),
            cp.Layer("second", 4, "sigmoid", ["first", "input"]),
            cp.Layer("third", 4, "tanh", ["second", "first"]),
            cp.Layer("out", 2, "identity", ["third", "first"]),
        ],
    ),
    2,
    "squared_error",
    seed=3,
)
SQUARED_SOFTMAX = dense(3, (4, "tanh"), (3, "softmax"), seed=4)
NETWORKS = {"shallow": SHALLOW, "deep": DEEP, "classes": CLASSES, "skip": SKIP}


def homework(exercise, slip="", where="", rate=0.0):
    """The gradient as a learner would write it, by the chain rule, with one slip in it."""
    net, params, X, y, loss = exercise.arguments
    z, a = {}, {"input": X}
    for layer in net.layers:
        z[layer.name] = params[layer.name].b + sum(
            a[c.source] @ params[layer.name].W[c.source] for c in layer.connections
        )
        f = layer.f.name
        a[layer.name] = softmax(z[layer.name]) if f == "softmax" else F[f][0](z[layer.name])
    last, n = net.layers[-1], len(X)
    yhat = a[last.name]
    error = {layer.name: 0.0 for layer in net.layers}
    error[last.name] = (yhat - y) / n if loss == "squared_error" else -y / yhat / n
    gradient = {}
    for layer in reversed(net.layers):
        name, e = layer.name, error[layer.name]
        if layer.f.name == "softmax":
            s = a[name]
            delta = s * (e - (e * s).sum(axis=1, keepdims=True))
            delta = s * (1 - s) * e if slip == "softmax diagonal" else e if slip == "softmax identity" else delta
        else:
            slope = F[layer.f.name][1](a[name] if slip == "f'(a)" and where == name else z[name])
            delta = e if slip == "no derivative" and where in (name, "everywhere") else e * slope
        if slip == "derivative twice" and layer is last:
            delta = delta * (a[name] * (1 - a[name]))
        gradient[name] = {}
        for c in layer.connections:
            W = params[name].W[c.source]
            gradient[name][c.source] = a[c.source].T @ delta
            if slip == "transposed gradient" and where == name and W.shape[0] == W.shape[1]:
                gradient[name][c.source] = delta.T @ a[c.source]
            if slip == "updated":
                W = W - rate * gradient[name][c.source]
            back = delta @ W if slip == "transposed" and where == name and W.shape[0] == W.shape[1] else delta @ W.T
            if c.source != "input" and not (slip == "path" and where == (name, c.source)):
                error[c.source] = error[c.source] + back
        gradient[name]["b"] = delta.sum(axis=0)
        if slip == "no bias" and where in (name, "everywhere"):
            gradient[name]["b"] = np.zeros(layer.units)
        if slip == "mean of bias":
            gradient[name]["b"] = delta.mean(axis=0)
    return gradient


def scaled(gradient, c):
    return {layer: {key: c * g for key, g in arrays.items()} for layer, arrays in gradient.items()}


def names(exercise, gradient, **options):
    found = cp.check_gradients(*exercise.arguments, gradient=gradient, **options)
    assert not found.ok
    return [mistake.name for mistake in found.mistakes]


@pytest.mark.parametrize("exercise", [*NETWORKS.values(), SQUARED_SOFTMAX], ids=[*NETWORKS, "softmax, squared"])
def test_a_correct_hand_derived_gradient_passes(exercise):
    found = cp.check_gradients(*exercise.arguments, gradient=homework(exercise), tolerance=1e-9)
    assert found.ok
    assert found.mistakes == ()
    assert str(found).startswith("all agree to 1e-09")


#: The slip planted, where it is, the networks it is planted in, and the name it must get.
PLANTED = [
    ("no derivative", "layer1", ["shallow", "deep", "classes"], "missing derivative"),
    ("no derivative", "layer2", ["deep", "classes"], "missing derivative"),
    ("no derivative", "everywhere", ["shallow", "deep", "skip"], "missing derivative"),
    ("no derivative", "second", ["skip"], "missing derivative"),
    ("f'(a)", "layer1", ["shallow", "deep", "classes"], "derivative at a instead of z"),
    ("no bias", "layer1", ["shallow", "deep", "classes"], "missing bias gradient"),
    ("no bias", "everywhere", ["shallow", "deep", "classes", "skip"], "missing bias gradient"),
    ("mean of bias", "", ["shallow", "deep", "classes", "skip"], "mean against sum"),
    ("transposed", "layer2", ["deep", "classes"], "transposed weights"),
    ("transposed", "layer3", ["deep"], "transposed weights"),
    ("transposed", "third", ["skip"], "transposed weights"),
    ("transposed gradient", "layer2", ["deep", "classes"], "transposed gradient"),
    ("transposed gradient", "second", ["skip"], "transposed gradient"),
    ("path", ("second", "first"), ["skip"], "missing path"),
    ("path", ("third", "first"), ["skip"], "missing path"),
    ("path", ("out", "first"), ["skip"], "missing path"),
    ("derivative twice", "", ["classes"], "derivative twice"),
]
CASES = [(slip, where, network, name) for slip, where, networks, name in PLANTED for network in networks]


@pytest.mark.parametrize(("slip", "where", "network", "name"), CASES)
def test_a_planted_mistake_gets_its_name(slip, where, network, name):
    exercise = NETWORKS[network]
    found = cp.check_gradients(*exercise.arguments, gradient=homework(exercise, slip, where))
    assert not found.ok
    best = found.mistakes[0]
    assert best.name == name
    assert [mistake.name for mistake in found.mistakes] == [name], "nothing else explains it as well"
    if isinstance(where, str) and where not in ("", "everywhere") and slip not in ("transposed", "transposed gradient"):
        assert best.where == (where,)
    assert f"1. {best.name}: {best.words}" in " ".join(str(found).split())
    assert str(found).startswith("NOT all agree to 1e-06")


def test_the_layers_of_a_missing_derivative_are_named_and_the_identity_is_not():
    found = cp.check_gradients(*SKIP.arguments, gradient=homework(SKIP, "no derivative", "everywhere"))
    assert found.mistakes[0].where == ("first", "second", "third")


@pytest.mark.parametrize("slip", ["softmax diagonal", "softmax identity"])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_the_forgotten_jacobian_of_softmax(slip, seed, loss):
    exercise = dense(3, (4, "tanh"), (3 + seed, "softmax"), seed=seed, loss=loss)
    assert names(exercise, homework(exercise, slip)) == ["softmax Jacobian forgotten"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rate", [1e-3, 0.1, 2.0])
@pytest.mark.parametrize("known", [True, False])
def test_deltas_from_weights_that_have_moved_already(network, rate, known):
    exercise = NETWORKS[network]
    found = cp.check_gradients(
        *exercise.arguments, gradient=homework(exercise, "updated", rate=rate), learning_rate=rate if known else None
    )
    assert [mistake.name for mistake in found.mistakes] == ["already updated weights"]
    assert f"with learning rate {rate:g};" in found.mistakes[0].words


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("c", "name"),
    [
        (2, "factor"),
        (0.5, "factor"),
        (-1, "sign"),
        (7, "mean against sum"),
        (1 / 7, "mean against sum"),
        (0.37, "factor"),
        (-2, "sign + factor"),
        (-7, "sign + mean against sum"),
    ],
)
def test_factors(network, c, name):
    exercise = NETWORKS[network]
    found = names(exercise, scaled(homework(exercise), c))
    if exercise.outputs == 2 and c in (2, 0.5):  # twice is also the sum over the two outputs for their mean
        assert sorted(found) == ["factor", "mean against sum"]
    elif exercise.outputs == 2 and c == -2:
        assert sorted(found) == ["sign + factor", "sign + mean against sum"]
    else:
        assert found == [name]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_factor_of_two_causes_is_named_by_its_number_too(network):
    exercise = NETWORKS[network]
    assert names(exercise, scaled(homework(exercise), 14)) == ["factor + mean against sum", "factor"]


def test_a_factor_that_two_mistakes_explain_gets_both_names():
    """With two samples, twice the gradient is also the sum where the mean belongs."""
    exercise = replace(SHALLOW, net=SHALLOW.net.with_layer("layer2", units=1), outputs=1, samples=2)
    assert sorted(names(exercise, scaled(homework(exercise), 2))) == ["factor", "mean against sum"]


@pytest.mark.parametrize("network", NETWORKS)
def test_two_mistakes_at_once(network):
    exercise = NETWORKS[network]
    first = exercise.net.layers[0].name
    gradient = scaled(homework(exercise, "no derivative", first), -7)
    for arrays in gradient.values():
        del arrays["b"]
    best = names(exercise, gradient)[0]
    assert set(best.split(" + ")) == {"missing derivative", "missing bias gradient", "sign", "mean against sum"}


def test_a_bias_that_is_not_given_is_missing_and_a_frozen_one_is_not():
    gradient = homework(SHALLOW)
    del gradient["layer1"]["b"]
    found = cp.check_gradients(*SHALLOW.arguments, gradient=gradient)
    assert found.mistakes[0].name == "missing bias gradient"
    assert found.mistakes[0].where == ("layer1",)
    assert "layer1.b: MISSING, not in the gradient" in str(found)
    frozen = SHALLOW.net.with_layer("layer1", train_bias=False)
    exercise = Exercise(frozen, 2, "squared_error")
    gradient = homework(exercise)
    del gradient["layer1"]["b"]
    found = cp.check_gradients(*exercise.arguments, gradient=gradient)
    assert found.ok
    assert ": frozen, not in the gradient" in str(found)


def test_a_weight_gradient_left_at_zero():
    gradient = homework(DEEP)
    gradient["layer3"]["layer2"] = np.zeros((5, 5))
    assert names(DEEP, gradient) == ["missing weight gradient"]


def test_one_hidden_unit_does_not_turn_every_factor_into_a_rate():
    """Through a single unit, moved weights only scale the delta: then the rate must be known to be named."""
    exercise = dense(2, (1, "tanh"), (1, "identity"))
    gradient = homework(exercise)
    gradient["layer1"] = {key: 0.8 * g for key, g in gradient["layer1"].items()}
    assert names(exercise, gradient) == ["factor"]
    moved = homework(exercise, "updated", rate=0.1)
    assert names(exercise, moved) == ["factor"]
    assert sorted(names(exercise, moved, learning_rate=0.1)) == ["already updated weights", "factor"]
    assert names(exercise, gradient, learning_rate=0.1) == ["factor"]


def test_what_is_not_a_known_mistake_gets_no_name():
    gradient = homework(DEEP)
    gradient["layer2"]["layer1"][2, 3] *= 1.5
    found = cp.check_gradients(*DEEP.arguments, gradient=gradient)
    assert found.mistakes == ()
    assert "no known mistake explains the gradient" in str(found)
    assert found.layers == {"layer1": True, "layer2": False, "layer3": True, "layer4": True}
    bad = next(block for block in found.blocks if not found.passes(block))
    assert bad.index == (2, 3)
    assert bad.backpropagated == pytest.approx(1.5 * bad.difference)


@pytest.mark.parametrize("kind", range(4))
def test_no_false_names(kind: int):
    """Right gradients of networks of any wiring pass; randomly wrong ones are found, and get no name."""
    seen: list[int] = []

    @settings(max_examples=10)
    @given(problem=problems(most_layers=3), seed=st.integers(0, 2**32))
    def check(problem: Problem, seed: int) -> None:
        seen.extend([kind] * _has_no_false_name(kind, problem, seed))

    check()
    assert len(seen) >= 3, "errors of this kind"


def _has_no_false_name(kind: int, problem: Problem, seed: int) -> bool:
    """Check one network; whether the error was one that could have got a name."""
    gradient = cp.backpropagate(*problem.arguments).gradients.flat.copy()
    if gradient.size < 2 or not gradient.any():
        return False
    assert cp.check_gradients(*problem.arguments, gradient=gradient).ok
    rng = np.random.default_rng(seed)
    blocks = problem.net.layout.blocks
    block = blocks[rng.integers(len(blocks))]
    part = slice(block.start, block.stop)
    if kind == 0:  # one entry is off by a tenth of the largest
        gradient[rng.integers(gradient.size)] += 0.1 * np.abs(gradient).max()
    elif kind == 1:
        gradient = rng.normal(size=gradient.size)
    elif kind == 2:  # every entry has a factor of its own
        gradient *= rng.uniform(0.3, 3, size=gradient.size)
    else:
        gradient[part] = rng.normal(size=block.stop - block.start)
    found = cp.check_gradients(*problem.arguments, gradient=gradient)
    assert not found.ok
    if np.count_nonzero(gradient) <= 2:
        return False
    assert found.mistakes == (), str(found)
    return True


# --- an activation or a loss of one's own ------------------------------------------------------------------------


def own(slope):
    return cp.activations.Custom("arctan", np.arctan, slope)


@pytest.mark.parametrize(
    ("slope", "name", "words"),
    [
        (lambda z, a: 1 + 0 * z, "missing derivative", "the derivative of arctan is 1 everywhere"),
        (lambda z, a: -1 / (1 + z * z), "sign", "the derivative of arctan has the wrong sign"),
        (lambda z, a: 2 / (1 + z * z), "factor", "the derivative of arctan is 2 times what it should be"),
        (lambda z, a: 1 / (1 + abs(z)), "wrong derivative", "the derivative of arctan does not match the function"),
    ],
)
def test_a_wrong_derivative_of_ones_own_activation_is_named(slope, name, words):
    exercise = Exercise(SHALLOW.net.with_layer("layer1", activation=own(slope)), 2, "squared_error")
    found = cp.check_gradients(*exercise.arguments)
    assert not found.ok
    assert [mistake.name for mistake in found.mistakes] == [name]
    assert found.mistakes[0].words.startswith(words)
    assert found.mistakes[0].where == ("layer1",)


class DiagonalSoftmax(cp.activations.Activation):
    name = "my softmax"

    def function(self, z):
        return cp.softmax(z)

    def pullback(self, z, a, error):
        return error * a * (1 - a)


def test_a_forgotten_jacobian_in_ones_own_activation_is_named():
    exercise = Exercise(SQUARED_SOFTMAX.net.with_layer("layer2", activation=DiagonalSoftmax()), 3, "squared_error")
    found = cp.check_gradients(*exercise.arguments)
    assert [mistake.name for mistake in found.mistakes] == ["my softmax Jacobian forgotten"]
    assert "uses only the diagonal of the Jacobian" in found.mistakes[0].words


@pytest.mark.parametrize(
    ("slope", "name"),
    [(lambda r: r, "factor"), (lambda r: -2 * r, "sign"), (lambda r: 2 * r + 0.1, "wrong derivative")],
)
def test_a_wrong_slope_of_ones_own_loss_is_named(slope, name):
    loss = cp.losses.CustomLoss("square", lambda yhat, y: ((yhat - y) ** 2, slope(yhat - y)))
    net, params, X, y, _ = SHALLOW.arguments
    found = cp.check_gradients(net, params, X, y, loss)
    assert [mistake.name for mistake in found.mistakes] == [name]
    assert found.mistakes[0].words.startswith("the slope of square")


def test_a_wrong_short_form_is_named():
    class Half(cp.BinaryCrossEntropy):
        def short_form(self, z, yhat, y):
            value, delta = super().short_form(z, yhat, y)
            return value, delta / 2

    net, params, X, _, _ = DEEP.arguments
    y = np.random.default_rng(0).integers(0, 2, size=(len(X), 2)).astype(float)
    found = cp.check_gradients(net, params, X, y, Half())
    assert [mistake.name for mistake in found.mistakes] == ["factor"]
    assert "delta in the short form of binary_cross_entropy is 0.5 times" in found.mistakes[0].words


def test_the_derivative_is_taken_from_values_only():
    """The cost used numerically never asks for a pullback, which might be what is wrong."""
    net = SHALLOW.net.with_layer("layer2", activation=own(lambda z, a: 1 / 0))
    _, params, X, y, loss = Exercise(net, 2, "squared_error").arguments
    problem = CheckProblem.of(prepare(net, params, X, y, loss), params, 1e-6)
    derivative = Derivative.of(problem, True, 1e-16)
    assert np.isfinite(derivative.along(np.ones_like(params.flat)).middle)
    with pytest.raises(ZeroDivisionError):
        problem.backpropagated()
