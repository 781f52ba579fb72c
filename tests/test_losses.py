"""Losses: value and slope together, the short forms, large weighted sums, and what targets they take."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from cases import ACTIVATION_CASES, LOSS_CASES, ids
from sklearn.metrics import mean_tweedie_deviance

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, ShapeError
from clearprop.losses import as_loss, usual_loss

every_loss = pytest.mark.parametrize("case", LOSS_CASES, ids=ids(LOSS_CASES))
both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
#: Every loss with every output activation that it is defined for.
PAIRS = [(loss, f) for loss in LOSS_CASES for f in ACTIVATION_CASES if loss.outputs(f)]
every_pair = pytest.mark.parametrize(("case", "output"), PAIRS, ids=[f"{a.label}-{b.name}" for a, b in PAIRS])
SMOOTH = [(loss, f) for loss, f in PAIRS if loss.loss.partner and isinstance(f.activation, loss.loss.partner)]


def draw(case, output, n=30, units=3, dtype="float64"):
    """z, yhat = f(z) and targets, away from all kinks."""
    rng = np.random.default_rng(5)
    z, y = rng.normal(size=(n, units)), case.draw(rng, n, units)
    near = np.zeros(n, bool)
    for kink in output.kinks:
        near |= (np.abs(z - kink) < 1e-3).any(axis=1)
    for kink in case.kinks:
        near |= (np.abs(output.activation(z) - y - kink) < 1e-3).any(axis=1)
    z, y = z[~near].astype(dtype), y[~near]
    return z, output.activation(z), y.astype(dtype) if y.dtype.kind == "f" else y


def test_pairs_are_all_there():
    assert len(PAIRS) > 190
    assert {(a.loss.name, b.name) for a, b in SMOOTH} == {
        ("poisson", "exponential"),
        ("gamma", "exponential"),
        ("tweedie", "exponential"),
        ("binary_cross_entropy", "sigmoid"),
        ("cross_entropy", "softmax"),
    }


@every_pair
def test_value_is_the_written_formula(case, output):
    z, yhat, y = draw(case, output)
    expected = [case.plain(p, t) for p, t in zip(yhat.tolist(), y.tolist(), strict=True)]
    assert len(expected) > 20
    np.testing.assert_allclose(case.loss.value_and_error(yhat, y)[0], expected, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(case.loss.value_and_delta(output.activation, z, yhat, y)[0], expected, rtol=1e-11)


@every_pair
def test_delta_is_the_derivative_by_z(case, output):
    z, yhat, y = draw(case, output)
    f, h = output.activation, 1e-5
    _, delta = case.loss.value_and_delta(f, z, yhat, y)
    for unit in range(z.shape[1]):
        step = np.zeros(z.shape[1])
        step[unit] = h
        up, down = (case.loss.value_and_delta(f, w, f(w), y)[0] for w in (z + step, z - step))
        np.testing.assert_allclose(delta[:, unit], (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


@every_loss
def test_error_is_the_derivative_by_yhat(case):
    output = next(f for f in ACTIVATION_CASES if f.name == "sigmoid")
    _, yhat, y = draw(case, output)
    _, error = case.loss.value_and_error(yhat, y)
    h = 1e-6
    for unit in range(yhat.shape[1]):
        step = np.zeros(yhat.shape[1])
        step[unit] = h
        up, down = (case.loss.value_and_error(p, y)[0] for p in (yhat + step, yhat - step))
        np.testing.assert_allclose(error[:, unit], (up - down) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("case", "output"), SMOOTH, ids=[f"{a.label}-{b.name}" for a, b in SMOOTH])
def test_short_form_equals_the_general_form(case, output):
    z, yhat, y = draw(case, output)
    f = output.activation
    value, delta = case.loss.value_and_delta(f, z, yhat, y)
    general, error = case.loss.value_and_error(yhat, y)
    np.testing.assert_allclose(value, general, rtol=1e-12)
    np.testing.assert_allclose(delta, f.pullback(z, yhat, error), rtol=1e-10, atol=1e-13)


#: Pairs of loss and output whose delta is yhat - y.
PLAIN_DELTA = [(a, b) for a, b in SMOOTH if a.loss.name not in ("gamma", "tweedie")]


@pytest.mark.parametrize(("case", "output"), PLAIN_DELTA, ids=[f"{a.label}-{b.name}" for a, b in PLAIN_DELTA])
def test_delta_of_the_short_form_is_yhat_minus_y(case, output):
    z, yhat, y = draw(case, output)
    rows = np.eye(3)[y] if y.ndim == 1 else y
    smoothing = getattr(case.loss, "label_smoothing", 0)
    rows = rows + smoothing * ((1 / 2 if case.loss.name == "binary_cross_entropy" else 1 / 3) - rows)
    np.testing.assert_allclose(case.loss.value_and_delta(output.activation, z, yhat, y)[1], yhat - rows, atol=1e-15)


@both_precisions
@every_pair
def test_precision_is_kept(case, output, dtype):
    z, yhat, y = draw(case, output, dtype=dtype)
    value, delta = case.loss.value_and_delta(output.activation, z, yhat, y)
    assert value.dtype == delta.dtype == np.dtype(dtype)
    assert value.shape == (len(z),)
    assert delta.shape == z.shape


@every_loss
def test_targets_and_outputs_are_left_alone(case):
    output = next(f for f in ACTIVATION_CASES if f.name == "softmax")
    z, yhat, y = draw(case, output)
    kept = z.copy(), yhat.copy(), y.copy()
    case.loss.value_and_delta(output.activation, z, yhat, y)
    case.loss.value_and_error(yhat, y)
    for now, before in zip((z, yhat, y), kept, strict=True):
        np.testing.assert_array_equal(now, before)


# --- large weighted sums ---------------------------------------------------------------------------------------------

HUGE = pytest.mark.parametrize("size", [1e4, 1e30])


@HUGE
@both_precisions
def test_binary_cross_entropy_of_huge_logits(dtype, size):
    z = np.array([[size], [-size], [size], [-size]], dtype)
    y = np.array([[1], [0], [0], [1]], dtype)
    value, delta = cp.BinaryCrossEntropy().value_and_delta(cp.sigmoid, z, cp.sigmoid(z), y)
    np.testing.assert_allclose(value, [0, 0, size, size], rtol=1e-6)
    np.testing.assert_array_equal(delta, [[0], [0], [1], [-1]])


@pytest.mark.parametrize(("dtype", "z"), [("float32", 15.0), ("float64", 30.0)])
def test_binary_cross_entropy_keeps_its_digits_where_it_is_small(dtype, z):
    """log(1 + exp(z)) - z is exp(-z) to first order, but not as a difference of two numbers of the size of z."""
    z, y = np.array([[z], [-z]], dtype), np.array([[1], [0]], dtype)
    value, _ = cp.BinaryCrossEntropy().value_and_delta(cp.sigmoid, z, cp.sigmoid(z), y)
    np.testing.assert_allclose(value, np.exp(-np.abs(z[:, 0])), rtol=1e-6 if dtype == "float32" else 1e-12)


@HUGE
@both_precisions
def test_smoothed_binary_cross_entropy_of_huge_logits(dtype, size):
    z, y = np.array([[size], [-size]], dtype), np.array([[1], [1]], dtype)
    value, delta = cp.BinaryCrossEntropy(0.2).value_and_delta(cp.sigmoid, z, cp.sigmoid(z), y)
    np.testing.assert_allclose(value, [0.1 * size, 0.9 * size], rtol=1e-6)
    np.testing.assert_allclose(delta, [[0.1], [-0.9]], rtol=1e-6)


@HUGE
@both_precisions
@pytest.mark.parametrize("targets", ["indices", "one-hot"])
def test_cross_entropy_of_huge_logits(dtype, size, targets):
    z = np.array([[size, -size, 0], [size, -size, 0], [size, -size, 0], [size, size, -size]], dtype)
    y = np.array([0, 1, 2, 0])
    y = np.eye(3, dtype=dtype)[y] if targets == "one-hot" else y
    value, delta = cp.CrossEntropy().value_and_delta(cp.softmax, z, cp.softmax(z), y)
    np.testing.assert_allclose(value, [0, 2 * size, size, math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(delta, [[0, 0, 0], [1, -1, 0], [1, 0, -1], [-0.5, 0.5, 0]], rtol=1e-6)


@HUGE
@both_precisions
def test_poisson_of_a_huge_negative_logarithm(dtype, size):
    z, y = np.array([[-size], [-size]], dtype), np.array([[0], [3]], dtype)
    value, delta = cp.Poisson().value_and_delta(cp.activations.exponential, z, cp.activations.exponential(z), y)
    np.testing.assert_allclose(value, [0, 3 * size], rtol=1e-3)
    np.testing.assert_array_equal(delta, [[0], [-3]])


@both_precisions
@pytest.mark.parametrize("loss", [cp.AbsoluteError(), cp.Quantile(0.25)], ids=str)
def test_linear_losses_of_huge_outputs(dtype, loss):
    z, y = np.array([[1e30], [-1e30]], dtype), np.zeros((2, 1), dtype)
    value, delta = loss.value_and_delta(cp.activations.identity, z, z, y)
    assert np.isfinite(value).all()
    assert (np.abs(delta) <= 1).all()


@both_precisions
def test_huber_of_huge_outputs(dtype):
    """The square that is not taken overflows nothing."""
    z, y = np.array([[1e30], [-1e30]], dtype), np.zeros((2, 1), dtype)
    value, delta = cp.Huber(2.0).value_and_delta(cp.activations.identity, z, z, y)
    np.testing.assert_allclose(value, 2e30, rtol=1e-6)
    np.testing.assert_array_equal(delta, [[2], [-2]])


@pytest.mark.parametrize(
    ("loss", "output", "y"),
    [
        (cp.BinaryCrossEntropy(), "sigmoid", [[1.0, 0.0]]),
        (cp.BinaryCrossEntropy(), "sigmoid", [[0.0, 1.0]]),
        (cp.CrossEntropy(), "softmax", [[1.0, 0.0]]),
        (cp.CrossEntropy(), "softmax", [[0.0, 1.0]]),
    ],
)
@both_precisions
def test_saturated_probabilities_pass_through_the_whole_trace(loss, output, y, dtype):
    """Outputs rounded to 0 and 1, right and wrong: no warning, cost and delta are finite."""
    net = cp.Network.sequential(1, 2, output=output)
    params = net.initialize(dtype=dtype, given={"output": {"input": [[1000.0, -1000.0]]}})
    trace = cp.backpropagate(net, params, [[1.0]], y, loss=loss)
    assert np.isfinite(trace.cost)
    assert np.isfinite(trace["output"].delta).all()
    assert np.isfinite(trace.gradients.flat).all()
    assert not np.isnan(trace["output"].error).any()


@pytest.mark.parametrize(
    ("loss", "yhat", "y", "error"),
    [
        (cp.BinaryCrossEntropy(), [[1.0, 0.0]], [[1.0, 0.0]], [[-1.0, 1.0]]),
        (cp.CrossEntropy(), [[1.0, 0.0]], [[1.0, 0.0]], [[-1.0, 0.0]]),
        (cp.Poisson(), [[0.0]], [[0.0]], [[1.0]]),
    ],
    ids=["binary", "classes", "poisson"],
)
def test_the_edge_of_the_domain(loss, yhat, y, error):
    """At yhat = y = 0 or 1 the loss is 0, and 0 log 0 leaves neither NaN nor a warning."""
    value, found = loss.value_and_error(np.array(yhat), np.array(y))
    np.testing.assert_array_equal(value, [0.0])
    np.testing.assert_array_equal(found, error)


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_name_stands_for_its_loss():
    for name, kind in cp.losses.LOSSES.items():
        assert as_loss(name) == kind()
        assert isinstance(as_loss(name), cp.losses.Loss)
    assert as_loss(cp.Huber(2)) == cp.Huber(2.0)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        (cp.softmax, cp.CrossEntropy()),
        (cp.sigmoid, cp.BinaryCrossEntropy()),
        (cp.activations.exponential, cp.Poisson()),
        (cp.activations.identity, cp.SquaredError()),
        (cp.tanh, cp.SquaredError()),
    ],
)
def test_usual_loss(output, loss):
    assert usual_loss(output) == loss


def test_a_partner_needs_a_short_form():
    class Half(cp.losses.PointwiseLoss):
        partner = cp.activations.Custom

        def value_and_slope(self, yhat, y):
            return yhat, yhat

    cube = cp.activations.Custom("cube", lambda z: z**3, lambda z, a: 3 * z**2)
    with pytest.raises(NotImplementedError, match="Half has a partner but no short_form"):
        Half().value_and_delta(cube, np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (lambda: cp.SquaredError(factor=0), "SquaredError factor: expected a finite number above 0, got 0."),
        (lambda: cp.SquaredError(outputs="all"), "SquaredError outputs: expected one of 'sum', 'mean', got 'all'."),
        (lambda: cp.Huber(-1), "Huber threshold: expected a finite number above 0, got -1."),
        (lambda: cp.Quantile(1), "Quantile q: expected a finite number above 0 and below 1, got 1."),
        (lambda: cp.Quantile("0.5"), "Quantile q: expected a finite number above 0 and below 1, got '0.5'."),
        (lambda: cp.BinaryCrossEntropy(1.0), "BinaryCrossEntropy label_smoothing: expected a finite number at least 0"),
        (lambda: cp.CrossEntropy(math.nan), "CrossEntropy label_smoothing: expected a finite number"),
        (lambda: as_loss("squared_eror"), "loss: unknown loss 'squared_eror'; did you mean 'squared_error'?"),
        (lambda: as_loss(cp.Huber), "write Huber()."),
        (lambda: as_loss(3), "loss: unknown loss 3. Available: squared_error"),
    ],
)
def test_settings_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)


# --- targets ---------------------------------------------------------------------------------------------------------

BAD_TARGETS = [
    (cp.SquaredError(), [1.0, 2.0], 1, ShapeError, "expected shape (2, 1) (rows of X, output units), got (2,)."),
    (cp.SquaredError(), [1.0, 2.0], 1, ShapeError, "Give a column: y.reshape(-1, 1)."),
    (cp.SquaredError(), [[1.0, 2.0]], 2, ShapeError, "expected shape (2, 2) (rows of X, output units), got (1, 2)."),
    (cp.SquaredError(), [[1.0], [math.nan]], 1, DataError, "y: nan at row 1, column 0 (1 such value in all)."),
    (cp.SquaredError(), [[1.0], [-math.inf]], 1, DataError, "y: -inf at row 1, column 0"),
    (cp.SquaredError(), [["a"], ["b"]], 1, DataError, "y: expected numbers, got values of type <U1."),
    (cp.SquaredError(), [[1.0], [1.0, 2.0]], 1, ShapeError, "y: expected a rectangular array of numbers"),
    (cp.SquaredError(), None, 1, DataError, "y: expected numbers, got values of type object."),
    (cp.Poisson(), [[1.0], [-2.0]], 1, DataError, "at least 0 for Poisson loss, got -2 at row 1, column 0."),
    (cp.losses.Perceptron(), [[1.0], [0.5]], 1, DataError, "y: expected 0 or 1 for perceptron loss, got 0.5 at row 1,"),
    (cp.losses.Perceptron(), [[1.0], [-1.0]], 1, DataError, "column 0. For labels of -1 and 1: (y + 1) / 2."),
    (cp.BinaryCrossEntropy(), [[0.0], [2.0]], 1, DataError, "from 0 to 1 for binary cross-entropy, got 2 at row 1"),
    (cp.BinaryCrossEntropy(), [[-0.5], [1.0]], 1, DataError, "got -0.5 at row 0, column 0."),
    (cp.BinaryCrossEntropy(), [0, 1], 1, ShapeError, "Give a column: y.reshape(-1, 1)."),
    (
        cp.CrossEntropy(),
        [0, 3],
        3,
        DataError,
        "expected class indices from 0 to 2, one per output unit, got 3 at row 1",
    ),
    (cp.CrossEntropy(), [-1, 2], 3, DataError, "got -1 at row 0."),
    (cp.CrossEntropy(), [0.0, 1.0], 3, DataError, "of an integer type, got float64: y.astype(int)."),
    (cp.CrossEntropy(), ["cat", "dog"], 3, DataError, "classes, y = np.unique(y, return_inverse=True)."),
    (cp.CrossEntropy(), [[0], [1]], 3, ShapeError, "got shape (2, 1). Give a vector: y.ravel()."),
    (cp.CrossEntropy(), [0, 1, 2], 3, ShapeError, "expected class indices (2,) or one row of class probabilities"),
    (cp.CrossEntropy(), [[1, 1, 0], [0, 1, 0]], 3, DataError, "sum to 1, got [1.0, 1.0, 0.0] at row 0."),
    (cp.CrossEntropy(), [[1, 0, 0], [2, -1, 0]], 3, DataError, "at least 0 and sum to 1, got [2.0, -1.0, 0.0]"),
    (cp.CrossEntropy(), [[1, 0, 0], [math.nan, 0, 0]], 3, DataError, "y: nan at row 1, column 0"),
    (
        cp.CrossEntropy(),
        [0.0, math.nan],
        3,
        DataError,
        "whole numbers from 0 to 2, got nan at row 1 (1 such value in all)",
    ),
    (
        cp.CrossEntropy(),
        [0.5, 1.0],
        3,
        DataError,
        "got 0.5 at row 0 (1 such value in all). Correct these labels, or leave",
    ),
]


@pytest.mark.parametrize(("loss", "y", "units", "kind", "telling"), BAD_TARGETS)
def test_bad_targets(loss, y, units, kind, telling):
    with pytest.raises(kind) as error:
        loss.check_targets(y, 2, units, np.dtype("float64"))
    assert telling in str(error.value)


def test_targets_are_copied_only_to_change_their_precision():
    y = np.ones((2, 1))
    assert cp.SquaredError().check_targets(y, 2, 1, np.dtype("float64")) is y
    assert cp.SquaredError().check_targets(y, 2, 1, np.dtype("float32")).dtype == np.dtype("float32")
    indices = np.array([0, 1], np.intp)
    assert cp.CrossEntropy().check_targets(indices, 2, 2, np.dtype("float64")) is indices
    assert cp.SquaredError().check_targets([[True], [False]], 2, 1, np.dtype("float64")).tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize("y", [np.array([0, 2], np.int8), np.array([0, 2], np.uint64), [0, 2]])
def test_class_indices_of_any_integer_type(y):
    found = cp.CrossEntropy().check_targets(y, 2, 3, np.dtype("float32"))
    assert found.tolist() == [0, 2]
    assert found.dtype == np.intp


def test_true_and_false_are_class_indices():
    found = cp.CrossEntropy().check_targets(np.array([True, False]), 2, 2, np.dtype("float64"))
    assert found.tolist() == [1, 0]


def test_gamma_and_tweedie_are_half_of_scikit_learns_deviances():
    rng = np.random.default_rng(0)
    yhat, y = rng.gamma(2, size=(50, 1)), rng.gamma(2, size=(50, 1))
    for loss, power in (
        (cp.losses.Gamma(), 2),
        (cp.losses.Tweedie(1.3), 1.3),
        (cp.losses.Tweedie(1.9), 1.9),
        (cp.Poisson(), 1),
    ):
        expected = mean_tweedie_deviance(y, yhat, power=power) / 2
        assert loss.value_and_error(yhat, y)[0].mean() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cp.losses.Tweedie(1), "Tweedie power: expected a finite number above 1 and below 2, got 1."),
        (lambda: cp.losses.Tweedie(2.0), "Tweedie power: expected a finite number above 1 and below 2, got 2.0."),
        (
            lambda: cp.losses.Gamma().check_targets([[1.0], [0.0]], 2, 1, np.dtype(float)),
            "y: expected values above 0 for gamma loss, got 0 at row 1, column 0. For amounts that can be 0 use "
            "cp.losses.Tweedie(), for counts cp.Poisson().",
        ),
        (
            lambda: cp.losses.Tweedie().check_targets([[-1.0]], 1, 1, np.dtype(float)),
            "y: expected values of at least 0 for Tweedie loss, got -1 at row 0, column 0.",
        ),
    ],
)
def test_gamma_and_tweedie_say_what_they_take(make, message):
    with pytest.raises(cp.ClearpropError) as found:
        make()
    assert str(found.value) == message


# --- word for word ---------------------------------------------------------------------------------------------------

#: The loss, the name that stands for it in files and calls, and its settings when none are given.
DEFAULTS = [
    (cp.SquaredError, "squared_error", {"factor": 0.5, "outputs": "sum"}),
    (cp.AbsoluteError, "absolute_error", {}),
    (cp.Huber, "huber", {"threshold": 1.0}),
    (cp.Quantile, "quantile", {"q": 0.5}),
    (cp.losses.Perceptron, "perceptron", {}),
    (cp.Poisson, "poisson", {}),
    (cp.losses.Gamma, "gamma", {}),
    (cp.losses.Tweedie, "tweedie", {"power": 1.5}),
    (cp.BinaryCrossEntropy, "binary_cross_entropy", {"label_smoothing": 0.0}),
    (cp.CrossEntropy, "cross_entropy", {"label_smoothing": 0.0}),
]


def test_names_and_defaults():
    assert [(kind, kind.name, vars(kind())) for kind, _, _ in DEFAULTS] == [
        (kind, name, {"any_output": False, **settings}) for kind, name, settings in DEFAULTS
    ]
    assert list(cp.losses.LOSSES.items()) == [(name, kind) for kind, name, _ in DEFAULTS]
    assert cp.losses.Loss.name == ""
    assert cp.losses.CustomLoss("quartic", abs).name == "quartic"


@pytest.mark.parametrize(
    ("function", "kind", "telling"),
    [
        (lambda yhat, y: (yhat - y) ** 2, ArgumentError, "returns two of that shape, the loss of each output and its"),
        (lambda yhat, y: (((yhat - y) ** 2).sum(), yhat - y), ShapeError, "for (4, 2) it returned ()."),
        (lambda yhat, y: ((yhat - y) ** 2, np.ones(2)), ShapeError, "for (4, 2) it returned (2,)."),
        (lambda yhat: yhat, TypeError, "function(yhat, y) gets arrays (n samples, output units)"),
    ],
)
def test_a_loss_of_ones_own_with_a_bug_is_told_what_is_asked_of_it(function, kind, telling):
    with pytest.raises(kind) as error:
        cp.losses.CustomLoss("mine", function).value_and_error(np.ones((4, 2)), np.zeros((4, 2)))
    said = "\n".join([str(error.value), *getattr(error.value, "__notes__", ())])
    assert 'cp.losses.CustomLoss "mine": ' in said
    assert telling in said


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, _, fields in DEFAULTS for field in fields])
def test_settings_cannot_be_changed_afterwards(kind, field):
    loss = kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(loss, field, getattr(loss, field))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cp.SquaredError(0), "SquaredError factor: expected a finite number above 0, got 0."),
        (lambda: cp.SquaredError(1, "max"), "SquaredError outputs: expected one of 'sum', 'mean', got 'max'."),
        (lambda: cp.Huber(0), "Huber threshold: expected a finite number above 0, got 0."),
        (lambda: cp.Quantile(0), "Quantile q: expected a finite number above 0 and below 1, got 0."),
        (lambda: cp.Quantile(1), "Quantile q: expected a finite number above 0 and below 1, got 1."),
        (lambda: cp.losses.Tweedie(1), "Tweedie power: expected a finite number above 1 and below 2, got 1."),
        (lambda: cp.losses.Tweedie(2), "Tweedie power: expected a finite number above 1 and below 2, got 2."),
        (
            lambda: cp.BinaryCrossEntropy(-0.1),
            "BinaryCrossEntropy label_smoothing: expected a finite number at least 0 and below 1, got -0.1.",
        ),
        (
            lambda: cp.BinaryCrossEntropy(1),
            "BinaryCrossEntropy label_smoothing: expected a finite number at least 0 and below 1, got 1.",
        ),
        (
            lambda: cp.CrossEntropy(-0.1),
            "CrossEntropy label_smoothing: expected a finite number at least 0 and below 1, got -0.1.",
        ),
        (
            lambda: cp.CrossEntropy(1),
            "CrossEntropy label_smoothing: expected a finite number at least 0 and below 1, got 1.",
        ),
        (lambda: cp.losses.CustomLoss("", abs), "CustomLoss label: expected a text that is not empty, got ''."),
        (lambda: cp.losses.CustomLoss("own", 3), "CustomLoss function: expected a function, got 3."),
        (
            lambda: as_loss("hubert"),
            "loss: unknown loss 'hubert'; did you mean 'huber'? Available: squared_error, absolute_error, huber, "
            "quantile, perceptron, poisson, gamma, tweedie, binary_cross_entropy, cross_entropy.",
        ),
        (
            lambda: as_loss(cp.Huber, "losses[1]"),
            "losses[1]: expected an object or a name, got the class; write Huber(). Available: "
            "squared_error, absolute_error, huber, quantile, perceptron, poisson, gamma, tweedie, "
            "binary_cross_entropy, cross_entropy.",
        ),
        (
            lambda: as_loss(float),
            "loss: unknown loss <class 'float'>. Available: squared_error, absolute_error, huber, quantile, "
            "perceptron, poisson, gamma, tweedie, binary_cross_entropy, cross_entropy.",
        ),
    ],
)
def test_the_whole_message_of_each_setting(make, message):
    with pytest.raises(ArgumentError) as error:
        make()
    assert str(error.value) == message


#: Loss, targets of two samples, number of units, and the whole message.
MESSAGES = [
    (
        cp.SquaredError(),
        [1.0, 2.0],
        1,
        "y: expected shape (2, 1) (rows of X, output units), got (2,). Give a column: y.reshape(-1, 1).",
    ),
    (cp.SquaredError(), [1.0, 2.0], 2, "y: expected shape (2, 2) (rows of X, output units), got (2,)."),
    (
        cp.SquaredError(),
        [[1.0, 2.0]],
        1,
        "y: expected shape (2, 1) (rows of X, output units), got (1, 2). Its columns seem to be the samples; rows are "
        "samples here: pass y.T.",
    ),
    (cp.Poisson(), [[1.0], [-2.0]], 1, "y: expected values of at least 0 for Poisson loss, got -2 at row 1, column 0."),
    (
        cp.losses.Tweedie(),
        [[0, 1], [2, -1]],
        2,
        "y: expected values of at least 0 for Tweedie loss, got -1 at row 1, column 1.",
    ),
    (
        cp.losses.Gamma(),
        [[1, 0.5], [2, 0]],
        2,
        "y: expected values above 0 for gamma loss, got 0 at row 1, column 1. For amounts that can be 0 use "
        "cp.losses.Tweedie(), for counts cp.Poisson().",
    ),
    (
        cp.BinaryCrossEntropy(),
        [[0, 1], [1, 1.5]],
        2,
        "y: expected probabilities or labels from 0 to 1 for binary cross-entropy, got 1.5 at row 1, column 1.",
    ),
    (
        cp.BinaryCrossEntropy(),
        [[-0.5], [1]],
        1,
        "y: expected probabilities or labels from 0 to 1 for binary cross-entropy, got -0.5 at row 0, column 0.",
    ),
    (cp.CrossEntropy(), [0, 3], 3, "y: expected class indices from 0 to 2, one per output unit, got 3 at row 1."),
    (cp.CrossEntropy(), [-1, 2], 3, "y: expected class indices from 0 to 2, one per output unit, got -1 at row 0."),
    (cp.CrossEntropy(), [0.0, 1.0], 3, "y: expected class indices of an integer type, got float64: y.astype(int)."),
    (
        cp.CrossEntropy(),
        ["cat", "dog"],
        3,
        "y: expected class indices from 0 to 2, got values of type <U3. "
        "Turn labels into indices: classes, y = np.unique(y, return_inverse=True).",
    ),
    (
        cp.CrossEntropy(),
        [[0], [1]],
        3,
        "y: expected class indices (2,) or one row of class probabilities per sample (2, 3), got shape (2, 1). "
        "Give a vector: y.ravel().",
    ),
    (
        cp.CrossEntropy(),
        [[0, 1], [1, 0]],
        3,
        "y: expected class indices (2,) or one row of class probabilities per sample (2, 3), got shape (2, 2).",
    ),
    (
        cp.CrossEntropy(),
        [0, 1, 2],
        3,
        "y: expected class indices (2,) or one row of class probabilities per sample (2, 3), got shape (3,).",
    ),
    (
        cp.CrossEntropy(),
        [0.0, 1.0, 2.0],
        3,
        "y: expected class indices (2,) or one row of class probabilities per sample (2, 3), got shape (3,).",
    ),
    (
        cp.CrossEntropy(),
        [[[0], [1]]],
        3,
        "y: expected class indices (2,) or one row of class probabilities per sample (2, 3), got shape (1, 2, 1).",
    ),
    (
        cp.CrossEntropy(),
        [[0.5, 0.5], [0.5, 0.502]],
        2,
        "y: expected class probabilities that are at least 0 and sum to 1, got [0.5, 0.502] at row 1. "
        "Weigh samples with sample_weight instead.",
    ),
    (
        cp.CrossEntropy(),
        [[1.5, -0.5], [1, 0]],
        2,
        "y: expected class probabilities that are at least 0 and sum to 1, got [1.5, -0.5] at row 0. "
        "Weigh samples with sample_weight instead.",
    ),
]


@pytest.mark.parametrize(("loss", "y", "units", "message"), MESSAGES)
def test_the_whole_message_of_bad_targets(loss, y, units, message):
    with pytest.raises((DataError, ShapeError)) as error:
        loss.check_targets(y, 2, units, np.dtype("float64"))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (cp.Poisson(), [[0.0], [3.0]]),
        (cp.losses.Tweedie(), [[0.0], [3.5]]),
        (cp.losses.Gamma(), [[1e-300], [3.5]]),
        (cp.BinaryCrossEntropy(), [[0.0], [1.0]]),
        (cp.CrossEntropy(), [[0.0, 1.0], [0.5, 0.5009]]),
        (cp.CrossEntropy(), [0, 1]),
    ],
    ids=str,
)
def test_targets_at_the_bounds_are_taken(loss, y):
    units = 2 if isinstance(loss, cp.CrossEntropy) else 1
    np.testing.assert_array_equal(loss.check_targets(y, 2, units, np.dtype("float64")), y)
