"""Initializers: the spread they promise, and where a network takes them from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import INITIALIZER_CASES, ids

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, NetworkError, ShapeError
from clearprop.initializers import as_initializer

every_initializer = pytest.mark.parametrize("case", INITIALIZER_CASES, ids=ids(INITIALIZER_CASES))
FAN_IN, FAN_OUT = 300, 200


def draw(initializer, seed=0, shape=(FAN_IN, FAN_OUT)):
    return initializer.draw(shape, shape[0], shape[-1], np.random.default_rng(seed))


@every_initializer
def test_mean_variance_and_bound(case):
    W = draw(case.initializer)
    variance = case.variance(FAN_IN, FAN_OUT)
    assert W.shape == (FAN_IN, FAN_OUT)
    assert W.dtype == np.float64
    assert W.mean() == pytest.approx(case.mean, abs=5 * math.sqrt(variance / W.size))
    assert W.var() == pytest.approx(variance, rel=0.03)
    if case.bound is not None:
        bound = case.bound(FAN_IN, FAN_OUT)
        assert np.abs(W).max() <= bound
        assert np.abs(W).max() >= 0.99 * bound


@every_initializer
def test_the_generator_decides(case):
    assert isinstance(case.initializer, cp.initializers.Initializer)
    np.testing.assert_array_equal(draw(case.initializer, seed=1), draw(case.initializer, seed=1))
    if case.name != "zeros":
        assert (draw(case.initializer, seed=1) != draw(case.initializer, seed=2)).all()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6), (7,)])
def test_orthogonal_rows_or_columns(shape):
    W = draw(cp.initializers.Orthogonal(gain=2.0), shape=shape)
    assert W.shape == shape
    matrix = W.reshape(shape[0], -1)
    smaller = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(smaller, 4 * np.eye(len(smaller)), atol=1e-12)


@pytest.mark.parametrize(("name", "activation"), cp.activations.ACTIVATIONS.items())
def test_the_default_initializer_depends_on_the_activation(name, activation):
    """Kept spread needs variance 1 / fan for S-shapes, 2 / fan_in where half of z is cut off, 1 / fan_in for SELU."""
    rectifying = {"relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "mish"}
    expected = "he_uniform" if name in rectifying else "lecun_normal" if name == "selu" else "glorot_uniform"
    assert activation.initializer == expected
    net = cp.Network(FAN_IN, [cp.Layer("a", FAN_OUT, name)])
    W = net.initialize(seed=0)["a"].W["input"]
    case = next(case for case in INITIALIZER_CASES if case.name == expected)
    assert W.var() == pytest.approx(case.variance(FAN_IN, FAN_OUT), rel=0.03)


def test_connection_before_layer_before_activation():
    net = cp.Network(
        50,
        [
            cp.Layer(
                "a",
                50,
                "tanh",
                initializer=cp.initializers.Uniform(1, 2),
                bias_initializer=cp.initializers.Uniform(3, 4),
            ),
            cp.Layer("b", 50, "tanh", ["a", cp.Dense("input", initializer=cp.initializers.Uniform(5, 6))]),
        ],
    )
    params = net.initialize(seed=0)

    def within(values, low, high):
        return (values >= low).all() and (values <= high).all()

    assert within(params["a"].W["input"], 1, 2)
    assert within(params["a"].b, 3, 4)
    assert within(params["b"].W["input"], 5, 6)
    assert within(params["b"].W["a"], -math.sqrt(6 / 150), math.sqrt(6 / 150))  # fan_in 100: both sources count
    assert np.abs(params["b"].W["a"]).max() > 0.99 * math.sqrt(6 / 150)
    np.testing.assert_array_equal(params["b"].b, 0)


def test_wired_weights_are_drawn_with_the_fan_in_of_their_pattern():
    local = cp.Wired("input", np.arange(1, 20_001).reshape(100, 200) * (np.arange(100)[:, None] < 100))
    sparse = np.zeros((1000, 200), int)
    sparse[:10] = np.arange(1, 2001).reshape(10, 200)
    dense_like = cp.Network(100, [cp.Layer("a", 200, "relu", local)]).initialize(seed=0)["a"].W["input"]
    few = cp.Network(1000, [cp.Layer("a", 200, "relu", cp.Wired("input", sparse))]).initialize(seed=0)["a"].W["input"]
    assert dense_like.var() == pytest.approx(2 / 100, rel=0.05)
    assert few.var() == pytest.approx(2 / 10, rel=0.05)


def test_same_seed_same_parameters():
    net = cp.Network.sequential(4, 5, 2)
    np.testing.assert_array_equal(net.initialize(seed=3).flat, net.initialize(seed=3).flat)
    assert (net.initialize(seed=3).flat != net.initialize(seed=4).flat).any()
    np.testing.assert_array_equal(
        net.initialize(seed=3, dtype="float32").flat, net.initialize(seed=3).flat.astype("float32")
    )


def test_given_arrays_are_used_and_the_others_are_drawn():
    net = cp.Network.sequential(2, 3, 1)
    W = np.arange(6.0).reshape(2, 3)
    params = net.initialize(seed=0, given={"hidden": {"input": W}, "output": {"b": [9]}})
    np.testing.assert_array_equal(params["hidden"].W["input"], W)
    assert params["output"].b == 9
    np.testing.assert_array_equal(params["output"].W["hidden"], net.initialize(seed=0)["output"].W["hidden"])
    W[0, 0] = 100
    assert params["hidden"].W["input"][0, 0] == 0


BAD_GIVEN = [
    ({"hidden": {"input": [[1, 2]]}}, ShapeError, "hidden.W['input']: expected shape (2, 3), got (1, 2)."),
    ({"hidden": {"b": [1, 2]}}, ShapeError, "hidden.b: expected shape (3,), got (2,)."),
    ({"hiden": {"b": [1, 2, 3]}}, NetworkError, 'there is no layer "hiden". Did you mean "hidden"?'),
    ({"hidden": {"inputs": [[1]]}}, NetworkError, 'has no weights from "inputs". Did you mean "input"?'),
    ({"hidden": {"b": [1, 2, math.nan]}}, DataError, "hidden.b: nan at row 2"),
    ({"hidden": {"b": ["a", "b", "c"]}}, DataError, "hidden.b: expected numbers"),
]


@pytest.mark.parametrize(("given", "kind", "telling"), BAD_GIVEN)
def test_bad_given_arrays(given, kind, telling):
    with pytest.raises(kind) as error:
        cp.Network.sequential(2, 3, 1).initialize(given=given)
    assert telling in str(error.value)


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (lambda: cp.initializers.Uniform(1, 1), "Uniform: expected low below high, got low=1, high=1."),
        (lambda: cp.initializers.Uniform(math.nan, 1), "Uniform low: expected a finite number, got nan."),
        (lambda: cp.initializers.Normal(-1), "Normal deviation: expected a finite number at least 0, got -1."),
        (lambda: cp.initializers.Orthogonal(0), "Orthogonal gain: expected a finite number above 0, got 0."),
        (
            lambda: cp.initializers.VarianceScaling(fan="out"),
            "VarianceScaling fan: expected one of 'in', 'average', got 'out'.",
        ),
        (
            lambda: cp.initializers.VarianceScaling(distribution="beta"),
            "VarianceScaling distribution: expected one of 'uniform'",
        ),
        (
            lambda: cp.initializers.VarianceScaling(-2),
            "VarianceScaling scale: expected a finite number above 0, got -2.",
        ),
        (lambda: as_initializer("he"), "initializer: unknown initializer 'he'. Available: glorot_uniform"),
        (lambda: as_initializer("He_Normal"), "did you mean 'he_normal'?"),
        (lambda: as_initializer(cp.initializers.Orthogonal), "write Orthogonal()."),
        (
            lambda: cp.Layer("a", 1, initializer="zero"),
            "layer \"a\" initializer: unknown initializer 'zero'; did you mean 'zeros'?",
        ),
        (
            lambda: cp.Dense("input", initializer="zero"),
            "connection from \"input\": unknown initializer 'zero'; did you mean 'zeros'?",
        ),
        (
            lambda: cp.Network.sequential(1, 1).initialize(seed=-1),
            "seed: expected a whole number of at least 0, got -1",
        ),
        (lambda: cp.Network.sequential(1, 1).initialize(seed=0.5), "seed: expected a whole number of at least 0"),
        (lambda: cp.Network.sequential(1, 1).initialize(dtype="int64"), "dtype: expected 'float32' or 'float64'"),
        (lambda: cp.Network.sequential(1, 1).initialize(dtype="flot"), "dtype: expected 'float32' or 'float64'"),
    ],
)
def test_arguments_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)
