"""Activations: values, pullbacks against differences, large z, precision, and the user's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, ActivationCase, ids

import clearprop as cp
from clearprop.activations import as_activation
from clearprop.errors import ArgumentError, ShapeError

every_activation = pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


def grid(case: ActivationCase) -> np.ndarray:
    """Rows of 4 units from -5 to 5, none at a kink."""
    rng = np.random.default_rng(3)
    z = np.concatenate([np.linspace(-5, 5, 40), rng.normal(size=80), rng.uniform(-12, 12, size=80)])
    for kink in case.kinks:
        z = np.where(np.abs(z - kink) < 1e-3, kink + 2e-3, z)
    return z.reshape(-1, 4)


@every_activation
def test_function_is_the_written_formula(case):
    z = grid(case)
    expected = np.array([case.plain(row) for row in z.tolist()])
    np.testing.assert_allclose(case.activation(z), expected, rtol=1e-12, atol=1e-14)


@every_activation
def test_pullback_is_the_derivative(case):
    """J = sum of c a for random c has dJ/da = c, so the pullback of c is dJ/dz, by central differences."""
    z = grid(case)
    f, c, h = case.activation, np.random.default_rng(0).normal(size=z.shape), 1e-5
    delta = f.pullback(z, f(z), c)
    for unit in range(z.shape[1]):
        step = np.zeros(z.shape[1])
        step[unit] = h
        difference = ((f(z + step) - f(z - step)) * c).sum(axis=1) / (2 * h)
        np.testing.assert_allclose(delta[:, unit], difference, rtol=1e-7, atol=1e-9)


@every_activation
def test_elementwise_derivative_is_the_pullback_of_one(case):
    f, z = case.activation, grid(case)
    if isinstance(f, cp.activations.Elementwise):
        np.testing.assert_array_equal(f.derivative(z, f(z)) * np.ones_like(z), f.pullback(z, f(z), np.ones_like(z)))
    else:  # the units of a row depend on each other, so shifting all error signals changes nothing
        np.testing.assert_allclose(f.pullback(z, f(z), np.ones_like(z)), 0, atol=1e-12)


@both_precisions
@every_activation
def test_large_weighted_sums(case, dtype):
    """At z = -1e4 and 1e4 value and derivative are right wherever they are numbers, without a warning on the way."""
    ends = [(z, end) for z, end in ((-1e4, case.left), (1e4, case.right)) if end is not None]
    assert ends or case.least_units > 1 or case.name == "exponential"
    for z, (value, slope) in ends:
        z = np.full((2, 1), z, dtype)
        a = case.activation(z)
        tolerance = {"rtol": 1e-6 if dtype == "float32" else 1e-12, "atol": 1e-7 if dtype == "float32" else 1e-15}
        np.testing.assert_allclose(a, value, **tolerance)
        np.testing.assert_allclose(case.activation.pullback(z, a, np.ones_like(z)), slope, **tolerance)


@both_precisions
@every_activation
def test_finite_everywhere_between(case, dtype):
    z = np.concatenate([s * np.logspace(-30, 4, 120) for s in (-1, 1)]).astype(dtype).reshape(-1, 4)
    if case.name == "exponential":
        z = np.minimum(z, 80)
    a = case.activation(z)
    delta = case.activation.pullback(z, a, np.ones_like(z))
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()


@both_precisions
@every_activation
def test_precision_is_kept(case, dtype):
    z = grid(case).astype(dtype)
    z = np.minimum(z, 5)
    a = case.activation(z)
    assert a.dtype == np.dtype(dtype)
    assert case.activation.pullback(z, a, np.ones_like(z)).dtype == np.dtype(dtype)


@every_activation
def test_arguments_are_left_alone(case):
    z = np.minimum(grid(case), 5)
    error = np.ones_like(z)
    before = z.copy(), error.copy()
    a = case.activation(z)
    kept = a.copy()
    case.activation.pullback(z, a, error)
    np.testing.assert_array_equal(z, before[0])
    np.testing.assert_array_equal(error, before[1])
    np.testing.assert_array_equal(a, kept)


@every_activation
def test_marks_of_the_case_are_true(case):
    """`positive` and `below_one` decide which losses a case is tested with."""
    a = case.activation(np.random.default_rng(0).uniform(-8, 8, size=(500, 4)))
    assert (a > 0).all() == case.positive
    if case.below_one:
        assert (a < 1).all()


@both_precisions
def test_softmax_rows_are_probabilities(dtype):
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(size=(50, 6)), rng.uniform(-1e4, 1e4, size=(50, 6))]).astype(dtype)
    a = cp.softmax(z)
    assert (a >= 0).all()
    np.testing.assert_allclose(a.sum(axis=1), 1, rtol=1e-6)


def test_softmax_of_shifted_rows_is_the_same():
    z = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(cp.softmax(z + 700), cp.softmax(z), rtol=1e-12)


def test_softmax_of_two_units_is_sigmoid_of_the_difference():
    z = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(cp.softmax(z)[:, 0], cp.sigmoid(z[:, 0] - z[:, 1]), rtol=1e-14)


@pytest.mark.parametrize("scale", [1, 1e4])
@both_precisions
def test_layer_normalization_rows_have_mean_0_and_variance_1(dtype, scale):
    z = (scale * np.random.default_rng(0).normal(3, 2, size=(40, 7))).astype(dtype)
    a = cp.activations.layer_normalization(z)
    np.testing.assert_allclose(a.mean(axis=1), 0, atol=2e-6)
    np.testing.assert_allclose(a.var(axis=1), 1, atol=1e-4)


def test_layer_normalization_of_equal_units_is_zero():
    z = np.full((2, 3), 5.0)
    np.testing.assert_array_equal(cp.activations.layer_normalization(z), 0)
    np.testing.assert_allclose(
        cp.activations.layer_normalization.pullback(z, 0 * z, np.eye(3)[:2]).sum(axis=1), 0, atol=1e-10
    )


def test_selu_keeps_mean_and_variance():
    """The two constants are those for which standard normal z give activations of mean 0 and variance 1."""
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    a = cp.activations.selu(z)
    assert (a * density).sum() == pytest.approx(0, abs=1e-8)
    assert (a * a * density).sum() == pytest.approx(1, abs=1e-8)


def test_slope_at_a_kink():
    zero = np.zeros((1, 1))
    assert cp.relu.pullback(zero, zero, zero + 1) == 0
    assert cp.activations.leaky_relu.pullback(zero, zero, zero + 1) == 0.01
    assert cp.activations.hard_sigmoid.pullback(zero + 3, zero + 1, zero + 1) == 0


def test_a_name_stands_for_its_activation():
    for name, activation in cp.activations.ACTIVATIONS.items():
        assert as_activation(name) is activation
        assert activation.name == name
    own = cp.activations.Custom("own", np.sin, lambda z, a: np.cos(z))
    assert as_activation(own) is own


def test_activations_are_equal_by_their_settings():
    assert cp.activations.LeakyReLU(0.01) == cp.activations.leaky_relu
    assert cp.activations.LeakyReLU(0.2) != cp.activations.leaky_relu
    assert hash(cp.activations.ELU(1.0)) == hash(cp.activations.elu)
    assert cp.sigmoid != cp.tanh
    assert cp.activations.LayerNormalization(1e-5) == cp.activations.layer_normalization
    assert isinstance(cp.tanh, cp.activations.Activation)


@pytest.mark.parametrize(
    ("f", "slope", "kind", "telling"),
    [
        (lambda z: z if z > 0 else 0 * z, lambda z, a: z, ValueError, "f(z) gets an array (n samples, units)"),
        (lambda z: math.tanh(z), lambda z, a: z, TypeError, "with np.where in place of if"),
        (lambda z: z, lambda z: z, TypeError, "slope(z, a) gets z and a = f(z), arrays (n samples, units)"),
        (lambda z: z.sum(axis=1), lambda z, a: z, ShapeError, "for (4, 3) it returned (4,)."),
        (lambda z: z, lambda z, a: np.ones(3), ShapeError, "for (4, 3) it returned (3,)."),
        (
            lambda z: z,
            lambda z, a: None,
            ShapeError,
            "an array of that shape; for (4, 3) it returned ().",
        ),
    ],
)
def test_a_function_of_ones_own_with_a_bug_is_told_what_is_asked_of_it(f, slope, kind, telling):
    z = np.ones((4, 3))
    own = cp.activations.Custom("mine", f, slope)
    with pytest.raises(kind) as error:
        own.pullback(z, own(z), z)
    said = "\n".join([str(error.value), *getattr(error.value, "__notes__", ())])
    assert 'cp.activations.Custom "mine": ' in said
    assert telling in said


def test_a_slope_may_be_one_number():
    z = np.array([[1.0, -2.0]])
    assert cp.activations.Custom("half", lambda z: z / 2, lambda z, a: 0.5).pullback(z, z / 2, 4 * z).tolist() == [
        [2.0, -4.0]
    ]


@pytest.mark.parametrize(
    ("given", "telling"),
    [
        ("rlu", "activation: unknown activation 'rlu'; did you mean 'relu'?"),
        ("SoftMax", "did you mean 'softmax'?"),
        ("zzz", "Available: identity, sigmoid, tanh"),
        (None, "activation: unknown activation None."),
        (
            np.tanh,
            "For a custom one use cp.activations.Custom(name, f, derivative) or a subclass of "
            "cp.activations.Elementwise.",
        ),
        (cp.activations.ELU, "write ELU()."),
    ],
)
def test_what_is_no_activation(given, telling):
    with pytest.raises(ArgumentError) as error:
        as_activation(given)
    assert telling in str(error.value)


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (lambda: cp.activations.LeakyReLU(math.nan), "LeakyReLU slope: expected a finite number"),
        (lambda: cp.activations.LeakyReLU("big"), "LeakyReLU slope: expected a finite number"),
        (lambda: cp.activations.ELU(-1), "ELU alpha: expected a finite number above 0, got -1."),
        (
            lambda: cp.activations.LayerNormalization(0),
            "LayerNormalization epsilon: expected a finite number above 0, got 0.",
        ),
    ],
)
def test_settings_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)


def test_the_output_replaces_z_where_the_pullback_needs_nothing_else() -> None:
    """Also for the smallest numbers, both zeros, infinities and NaN."""
    cases = [case for case in ALL_ACTIVATION_CASES if case.activation.pullback_needs_only_output]
    assert {case.name for case in cases} >= {"relu", "elu", "selu"}
    for dtype in (np.float32, np.float64):
        least = np.nextafter(dtype(0), dtype(1))
        z = np.array([[0.0, -0.0, least, -least, 1e-30, -1e-30, 3.0, -3.0, 1e4, -1e4, np.inf, -np.inf, np.nan]], dtype)
        for case in cases:
            with np.errstate(all="ignore"):
                a = case.activation.function(z)
                error = np.full_like(z, 2)
                np.testing.assert_array_equal(
                    case.activation.pullback(a, a, error), case.activation.pullback(z, a, error)
                )
