"""Expressions: their values, their simplification, and numbers put in."""

from __future__ import annotations

import math

import pytest

from clearprop.symbolic.expression import (
    ONE,
    ZERO,
    Apply,
    Negative,
    Number,
    OverSamples,
    Partial,
    Power,
    Product,
    Quotient,
    Rest,
    Sum,
    Symbol,
    add,
    divide,
    exact_sum,
    multiply,
    negate,
    numbers,
    subtract,
)

A, B = Symbol("a", ("hidden[0]",), 3.0), Symbol("b", (), -0.5)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (Number(2.5), 2.5),
        (A, 3.0),
        (Partial(A, B, 7.0), 7.0),
        (Rest(4, 1.5), 1.5),
        (Sum((A, B)), 2.5),
        (Product((A, B)), -1.5),
        (Quotient(A, B), -6.0),
        (Quotient(A, ZERO), math.inf),
        (Negative(A), -3.0),
        (Power(A, 2), 9.0),
        (Apply("exp", (A,), 20.0), 20.0),
        (OverSamples(A, 12.0), 12.0),
    ],
)
def test_value_and_numbers(expression, value):
    assert expression.value == value
    assert numbers(expression).value == value
    assert "Symbol(" not in repr(numbers(expression))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (add(A, ZERO), A),
        (add(), ZERO),
        (add(A, add(B, A)), Sum((A, B, A))),
        (add(ONE, Number(2.0)), Number(3.0)),
        (subtract(A, B), Sum((A, Negative(B)))),
        (negate(negate(A)), A),
        (negate(ZERO), ZERO),
        (multiply(ONE, A), A),
        (multiply(A, ZERO), ZERO),
        (multiply(A, A), Power(A, 2)),
        (multiply(A, A, A), Power(A, 3)),
        (multiply(negate(A), negate(B)), Product((A, B))),
        (multiply(A, negate(multiply(A, B))), Negative(Product((Power(A, 2), B)))),
        (multiply(Number(-2.0), A), Negative(Product((Number(2.0), A)))),
        (multiply(Number(2.0), Number(0.5), A), A),
        (divide(A, ONE), A),
        (divide(Number(1.0), Number(4.0)), Number(0.25)),
        (divide(negate(A), B), Negative(Quotient(A, B))),
        (divide(ZERO, A), ZERO),
    ],
)
def test_simplification(made, expected):
    assert made == expected


def test_a_derivative_without_a_formula_becomes_its_number():
    assert numbers(Apply("f'", (A,), 0.25)) == Number(0.25)
    assert numbers(Apply("exp", (A,), 20.0)) == Apply("exp", (Number(3.0),), 20.0)


def test_sums_are_rounded_once_and_may_be_infinite():
    assert exact_sum([0.1] * 10) == 1.0
    assert exact_sum([math.inf, 1.0]) == math.inf
    assert math.isnan(exact_sum([math.inf, -math.inf]))
