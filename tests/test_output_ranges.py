"""Which output activations a loss takes, and which targets an output activation can give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import clearprop as cp
from clearprop.activations import ACTIVATIONS
from clearprop.core.objective import prepare, unreachable_targets
from clearprop.losses import LOSSES
from tests.cases import ALL_ACTIVATION_CASES

#: The activations of the library that each loss with a domain takes.
TAKEN = {
    "perceptron": set(ACTIVATIONS)
    - {"sigmoid", "relu", "softplus", "hard_sigmoid", "step", "gaussian", "log_sigmoid", "exponential", "softmax"},
    "poisson": {"sigmoid", "softplus", "gaussian", "exponential", "softmax"},
    "gamma": {"sigmoid", "softplus", "gaussian", "exponential", "softmax"},
    "tweedie": {"sigmoid", "softplus", "gaussian", "exponential", "softmax"},
    "binary_cross_entropy": {"sigmoid", "gaussian", "softmax"},
    "cross_entropy": {"softmax"},
}
PAIRS = [(loss, activation) for loss in LOSSES for activation in ACTIVATIONS]
STEP_REFUSED = (
    "loss: the derivative of step is 0, so that nothing can be learnt through it. Use identity as output activation "
    "with cp.losses.Perceptron(), whose answer is cp.activations.step of its outputs; or sigmoid with "
    "binary_cross_entropy. To compute it all the same: cp.losses.{}(any_output=True)."
)
TARGETS = {"cross_entropy": [0, 1], "gamma": [[1.0, 1.0], [1.0, 2.0]]}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3))

CALLS = {
    "train": lambda net, params, y, loss: cp.train(net, params, X, y, loss=loss, optimizer="adam", epochs=1),
    "backpropagate": lambda net, params, y, loss: cp.backpropagate(net, params, X, y, loss=loss),
    "cost": lambda net, params, y, loss: cp.cost(net, params, X, y, loss=loss),
    "check_gradients": lambda net, params, y, loss: cp.check_gradients(net, params, X, y, loss=loss),
    "diagnose": lambda net, params, y, loss: cp.diagnose(net, params, X, y, loss=loss),
    "Stepper": lambda net, params, y, loss: cp.Stepper(net, params, loss=loss).step(X, y),
}


def test_every_pair_is_in_the_table():
    assert len(PAIRS) == 10 * 20
    assert set(TAKEN) < set(LOSSES)


@pytest.mark.parametrize(("loss", "activation"), PAIRS)
def test_a_loss_is_refused_where_it_is_not_defined_for_the_outputs(loss, activation):
    net = cp.Network.sequential(3, 2, output=activation)
    params, y = net.initialize(0), TARGETS.get(loss, [[0.0, 1.0], [1.0, 0.0]])
    if activation in TAKEN.get(loss, set(ACTIVATIONS) - {"step"}):
        assert np.isfinite(cp.cost(net, params, X, y, loss=loss))
        return
    before = params.flat.copy()
    for name, call in CALLS.items():
        with pytest.raises(cp.errors.ArgumentError, match="any_output=True") as error:
            call(net, params, y, loss)
        message = str(error.value)
        if activation == "step":
            assert message == STEP_REFUSED.format(LOSSES[loss].__name__), name
            continue
        assert message.startswith(f"loss: {loss} takes "), name
        assert f"those of {activation} are {ACTIVATIONS[activation].described_range}." in message
        assert f"Use {getattr(LOSSES[loss].partner, 'name', 'identity')} as output activation." in message
    np.testing.assert_array_equal(params.flat, before)
    with np.errstate(all="ignore"):
        assert isinstance(cp.cost(net, params, X, y, loss=LOSSES[loss](any_output=True)), float)


def test_the_message_for_raw_scores_as_outputs():
    net = cp.Network.sequential(3, 4, 2)
    with pytest.raises(cp.errors.ArgumentError) as error:
        cp.train(net, net.initialize(0), X, [0, 1], loss="cross_entropy", optimizer="adam")
    assert str(error.value) == (
        "loss: cross_entropy takes class probabilities (outputs between 0 and 1 that sum to 1), but those of identity "
        "are any number. Use softmax as output activation. The loss is then computed from its weighted sums z "
        "(logits), without rounded probabilities. To train it all the same: cp.losses.CrossEntropy(any_output=True)."
    )


def test_one_unit_of_softmax_is_refused():
    """Its output is always 1."""
    net = cp.Network.sequential(3, 1, output="softmax")
    with pytest.raises(cp.errors.ArgumentError, match="softmax of a single unit is always 1"):
        cp.cost(net, net.initialize(0), X, [[0.0], [1.0]], loss="binary_cross_entropy")


def test_an_own_activation_is_not_judged():
    own = cp.activations.Custom("scores", lambda z: z, lambda z, a: 1 + 0 * z)
    net = cp.Network(3, [cp.Layer("output", 2, own)])
    assert cp.cost(net, net.initialize(0), X, [[1.0, 0.0]] * 2, loss=cp.losses.SquaredError()) > 0
    assert own.output_range is None


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=lambda case: case.name)
def test_all_values_lie_in_the_stated_range(case):
    if case.activation.output_range is None:
        return
    z = np.concatenate([np.linspace(-30, 30, 4001), [-700, 700]]).reshape(1, -1)
    low, high = case.activation.output_range
    a = case.activation(z)
    assert ((a >= low) & (a <= high)).all()
    if case.activation.includes_ends:
        assert any(np.isfinite(end) and (a == end).any() for end in (low, high)) or case.name == "sine"


UNREACHABLE = {
    "relu": ([[-1.0], [2.0]], "at least 0"),
    "softplus": ([[-1.0], [2.0]], "above 0"),
    "exponential": ([[-1.0], [2.0]], "above 0"),
    "sigmoid": ([[0.0], [10.0]], "between 0 and 1"),
    "tanh": ([[0.0], [-5.0]], "between -1 and 1"),
    "log_sigmoid": ([[0.5], [-5.0]], "below 0"),
}


def step_twice(net, y):
    stepper = cp.Stepper(net, net.initialize(0), loss="squared_error")
    return [stepper.step(X, y) for _ in range(2)]


TRAIN = {
    "train": lambda net, y: cp.train(net, net.initialize(0), X, y, loss="squared_error", optimizer="adam", epochs=1),
    "Stepper": step_twice,
    "MLPRegressor": lambda net, y: cp.MLPRegressor(network=net, n_iter_no_change=np.inf, max_iter=1, tol=0).partial_fit(
        X, np.ravel(y)
    ),
}


@pytest.mark.parametrize("train", TRAIN.values(), ids=TRAIN)
@pytest.mark.parametrize("activation", UNREACHABLE)
def test_targets_out_of_reach_are_named_before_training(activation, train):
    y, values = UNREACHABLE[activation]
    net = cp.Network.sequential(3, 1, output=activation)
    with pytest.warns(UserWarning, match="out of reach") as caught:
        train(net, y)
    first = next(
        i
        for i in (0, 1)
        if not ACTIVATIONS[activation].output_range[0] <= y[i][0] <= ACTIVATIONS[activation].output_range[1]
    )
    assert [str(w.message) for w in caught] == [
        f'y: 1 of 2 targets are out of reach of {activation}, the activation of layer "output", whose values are '
        f"{values}: {y[first][0]:g} in row {first}, column 0, is the first. Use the identity as output activation, or "
        "scale the targets."
    ]


@pytest.mark.parametrize(
    ("activation", "y"),
    [("sigmoid", [[0.0], [1.0]]), ("tanh", [[-1.0], [1.0]]), ("relu", [[0.0], [3.0]]), ("identity", [[-9.0], [9.0]])],
)
def test_targets_at_the_ends_of_the_range_are_fine(activation, y):
    net = cp.Network.sequential(3, 1, output=activation)
    assert list(unreachable_targets(prepare(net, net.initialize(0), X, y, "squared_error"))) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cp.train(net, net.initialize(0), X, y, loss="squared_error", optimizer="adam", epochs=1)


STEPS = {
    "a step before the output": (
        [cp.Layer("a", 2, "tanh"), cp.Layer("b", 2, "step", "a"), cp.Layer("o", 1, sources="b")],
        'layer "a", layer "b": the error signal does not reach them, because the derivative of step in layer "b" is 0, '
        "so that their parameters keep their initial values. Freeze them (trainable=False, train_bias=False) to show "
        "this, or use sigmoid.",
    ),
    "a skip connection around it": (
        [cp.Layer("a", 2, "tanh"), cp.Layer("b", 2, "step", "a"), cp.Layer("o", 1, sources=["b", "a"])],
        'layer "b": the error signal does not reach it, because the derivative of step in layer "b" is 0, so that its '
        "parameters keep their initial values. Freeze them (trainable=False, train_bias=False) to show this, or use "
        "sigmoid.",
    ),
    "frozen, as Rosenblatt's association units": (
        [cp.Layer("a", 2, "step", cp.Dense("input", trainable=False), train_bias=False), cp.Layer("o", 1, sources="a")],
        "",
    ),
    "no step": ([cp.Layer("a", 2, "tanh"), cp.Layer("o", 1, sources="a")], ""),
}


@pytest.mark.parametrize(("layers", "sentence"), STEPS.values(), ids=STEPS)
def test_layers_that_a_step_keeps_from_learning_are_named(layers, sentence):
    net = cp.Network(3, layers)
    params = net.initialize(0)
    before = params.flat.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cp.train(net, params, X, [[0.0], [1.0]], loss="squared_error", epochs=3)
    assert [str(w.message) for w in caught] == [sentence] * bool(sentence)
    trains = {name: not np.array_equal(params[name].b, before_of(net, before)[name].b) for name in net.index}
    assert trains["o"]
    assert not any(trains[name] for name in net.index if f'layer "{name}"' in sentence.partition(":")[0])


def before_of(net, flat):
    params = net.initialize(0)
    params.flat[:] = flat
    return params


def test_an_estimator_names_them_too():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cp.MLPClassifier((2,), activation="step", random_state=0, max_iter=1).fit(X, [0, 1])
    assert [str(w.message) for w in caught if "step" in str(w.message)] == [
        'layer "hidden": the error signal does not reach it, because the derivative of step in layer "hidden" is 0, so '
        "that its parameters keep their initial values. Freeze them (trainable=False, train_bias=False) to show this, "
        "or use sigmoid."
    ]
