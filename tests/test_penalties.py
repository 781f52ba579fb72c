"""Penalties and limits by themselves; what they do in training is tested in training/test_loop.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import PENALTY_CASES, ids

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.penalties import as_penalties

every_penalty = pytest.mark.parametrize("case", PENALTY_CASES, ids=ids(PENALTY_CASES))
WEIGHTS = np.array([-2.0, -1e-3, 0.0, 0.5, 7.0])


@every_penalty
def test_value_and_slope_equal_the_formulas(case):
    assert isinstance(case.penalty, cp.penalties.Penalty)
    value, slope = case.penalty.value_and_slope(WEIGHTS)
    np.testing.assert_allclose(value, [case.value(w) for w in WEIGHTS], rtol=1e-14)
    np.testing.assert_allclose(slope, [case.slope(w) for w in WEIGHTS], rtol=1e-14)


@every_penalty
def test_slope_is_the_derivative(case):
    w, h = WEIGHTS[WEIGHTS != 0], 1e-6
    up, down = (case.penalty.value_and_slope(w + step)[0] for step in (h, -h))
    np.testing.assert_allclose(case.penalty.value_and_slope(w)[1], (up - down) / (2 * h), rtol=1e-7)


@every_penalty
def test_precision_is_preserved(case):
    value, slope = case.penalty.value_and_slope(WEIGHTS.astype("float32"))
    assert value.dtype == slope.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_clip_value_before_norm(dtype):
    g = np.array([30.0, -4.0, 0.0], dtype)
    cp.penalties.Limits(clip_value=3.0).clip(g)
    np.testing.assert_array_equal(g, [3, -3, 0])
    cp.penalties.Limits(clip_norm=1.0, clip_value=100.0).clip(g)
    np.testing.assert_allclose(g, [math.sqrt(0.5), -math.sqrt(0.5), 0], rtol=1e-6)
    cp.penalties.Limits(clip_norm=1.1).clip(g)
    np.testing.assert_allclose(np.linalg.norm(g), 1, rtol=1e-6)
    assert g.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_bound_the_weights_into_each_unit(dtype):
    W = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]], dtype)
    cp.penalties.Limits(max_norm=1.0).bound(W)
    np.testing.assert_allclose(W, [[0.6, 0.3, 0], [0.8, 0.4, 0]], rtol=1e-6)
    shared = np.array([3.0, 4.0], dtype)
    cp.penalties.Limits(max_norm=2.5).bound(shared)
    np.testing.assert_allclose(shared, [1.5, 2], rtol=1e-6)


def test_no_limits_change_nothing():
    g, W = np.array([1e9]), np.array([[1e9]])
    cp.penalties.Limits().clip(g)
    cp.penalties.Limits().bound(W)
    assert g[0] == W[0, 0] == 1e9


def test_one_or_several():
    assert as_penalties(None) == ()
    assert as_penalties(cp.penalties.L1(0.1)) == (cp.penalties.L1(0.1),)
    assert as_penalties([cp.penalties.L1(0.1), cp.penalties.L2(0.2)]) == (cp.penalties.L1(0.1), cp.penalties.L2(0.2))
    assert cp.penalties.PENALTIES == {"l1": cp.penalties.L1, "l2": cp.penalties.L2}


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (lambda: cp.penalties.L2(-1), "L2 strength: expected a finite number at least 0, got -1."),
        (lambda: cp.penalties.L1(math.inf), "L1 strength: expected a finite number at least 0, got inf."),
        (lambda: cp.penalties.Limits(clip_norm=0), "clip_norm: expected a finite number above 0, got 0."),
        (lambda: cp.penalties.Limits(clip_value=-1), "clip_value: expected a finite number above 0, got -1."),
        (lambda: cp.penalties.Limits(max_norm=math.nan), "max_norm: expected a finite number above 0, got nan."),
        (lambda: as_penalties(0.1), "penalty: expected penalties such as cp.penalties.L2(1e-4), got 0.1."),
        (
            lambda: as_penalties([cp.penalties.L2(), 0.1]),
            "penalty: expected penalties such as cp.penalties.L2(1e-4), got 0.1.",
        ),
        (lambda: as_penalties("l2"), "penalty: expected penalties such as cp.penalties.L2(1e-4), got 'l2'."),
        (
            lambda: as_penalties(cp.penalties.L2),
            "penalty: expected penalties such as cp.penalties.L2(1e-4), got <class",
        ),
    ],
)
def test_arguments_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)
