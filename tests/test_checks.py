"""The checks of single values and arrays that all entries share."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from clearprop.checks import (
    check_array,
    check_choice,
    check_dtype,
    check_finite,
    check_integer,
    check_number,
    check_sample_weight,
    check_seed,
)
from clearprop.errors import ArgumentError, DataError, ShapeError

F64 = np.dtype("float64")


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int8(1), Fraction(1, 2), np.float64(1)])
def test_numbers_of_every_type(value):
    found = check_number(value, "rate", above=0, most=1)
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize(
    "value", [0, -1, 2.1, math.nan, math.inf, "1", None, True, np.True_, 1j, [1], np.ones(2), Decimal(1)]
)
def test_what_is_no_number_in_range(value):
    with pytest.raises(ArgumentError, match="rate: expected a finite number above 0 and at most 2, got"):
        check_number(value, "rate", above=0, most=2)


def test_bounds_are_open_or_closed():
    assert check_number(0, "x", least=0) == 0
    assert check_number(1, "x", most=1) == 1
    with pytest.raises(ArgumentError, match=r"x: expected a finite number above 0, got 0\."):
        check_number(0, "x", above=0)
    with pytest.raises(ArgumentError, match=r"x: expected a finite number below 1, got 1\."):
        check_number(1, "x", below=1)


@pytest.mark.parametrize("value", [1, np.int64(3), np.uint8(2)])
def test_integers_of_every_type(value):
    assert type(check_integer(value, "epochs")) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True, math.nan, np.float64(2)])
def test_what_is_no_integer_in_range(value):
    with pytest.raises(ArgumentError, match="epochs: expected a whole number of at least 1, got"):
        check_integer(value, "epochs")


def test_seeds_fit_into_64_bits():
    assert check_seed(2**63 - 1) == 2**63 - 1
    with pytest.raises(ArgumentError, match=r"seed: expected a whole number below 2\^63, got 9223372036854775808."):
        check_seed(2**63)
    with pytest.raises(ArgumentError, match=r"seed: expected a whole number of at least 0, got None\."):
        check_seed(None)


@pytest.mark.parametrize("value", ["Mean", "", None, 3, ["mean"], np.ones(2)])
def test_choices(value):
    assert check_choice("mean", "reduction", ("mean", "sum")) == "mean"
    with pytest.raises(ArgumentError, match="reduction: expected one of 'mean', 'sum', got"):
        check_choice(value, "reduction", ("mean", "sum"))


def test_arrays_are_not_copied_without_need():
    array = np.ones((2, 2))
    assert check_array(array, "X", F64) is array
    assert check_array(array, "X", np.dtype("float32")).dtype == np.float32
    assert check_array([[1, True]], "X", F64).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("array", "telling"),
    [
        (np.array([[1, 2], [3, math.nan]]), "X: nan at row 1, column 1 (1 such value in all)."),
        (np.array([math.inf, 1, math.nan]), "X: inf at row 0 (2 such values in all)."),
        (np.array([-math.inf, math.inf]), "X: -inf at row 0 (2 such values in all)."),
        (np.array([[math.nan]], "float32"), "remove these rows, or fill the values in."),
    ],
)
def test_the_first_number_that_is_not_finite(array, telling):
    with pytest.raises(DataError) as error:
        check_finite(array, "X")
    assert telling in str(error.value)


def test_large_numbers_whose_sum_overflows_are_finite():
    check_finite(np.full(10, 3e38, "float32"), "X")
    check_finite(np.full(10, 1.7e308), "X")
    check_finite(np.array([1, 2]), "X")
    check_finite(np.empty((0, 3)), "X")


def test_sample_weights():
    assert check_sample_weight(None, 3, F64) is None
    assert check_sample_weight([0, 1, 2], 3, F64).tolist() == [0, 1, 2]
    with pytest.raises(ShapeError, match=r"sample_weight: expected shape \(3,\), one weight per row of X, got \(2,\)."):
        check_sample_weight([1, 2], 3, F64)


def test_precisions():
    assert check_dtype(np.float32) == check_dtype("float32") == np.dtype("float32")
    for wrong in ("float16", "int64", "text", int, None, 3):
        if wrong is None:  # NumPy's word for its default, float64
            assert check_dtype(wrong) == F64
        else:
            with pytest.raises(ArgumentError, match="dtype: expected 'float32' or 'float64', got"):
                check_dtype(wrong)
