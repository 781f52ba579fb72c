"""Formulas have the values that the definitions compute, for every activation and loss."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, LOSS_CASES, ids

import clearprop as cp
from clearprop.explain.derivation.latex import LatexNotation
from clearprop.explain.derivation.text import TextNotation
from clearprop.symbolic.expression import Apply, Number, Symbol
from clearprop.symbolic.formulas import activation_formula, error_formula, loss_formula, slope_formula, written
from clearprop.symbolic.tracing import tracer

rng = np.random.default_rng(3)


def row_of(f: cp.activations.Activation, units: int, seed: int):
    z = np.random.default_rng(seed).normal(size=(1, units)) * 1.5
    return z, f.function(z), [Symbol("z", (str(i),), float(v)) for i, v in enumerate(z[0])]


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_slopes_and_values_of_every_activation(case):
    f, units = case.activation, 4
    for seed in range(6):
        z, a, z_symbols = row_of(f, units, seed)
        a_symbols = [Symbol("a", (str(i),), float(v)) for i, v in enumerate(a[0])]
        pulled = f.pullback(np.repeat(z, units, 0), np.repeat(a, units, 0), np.eye(units))
        for p in range(units):
            value = activation_formula(f, z_symbols, p, float(a[0, p])).expression
            assert value.value == pytest.approx(a[0, p], rel=1e-12, abs=1e-15)
            for q in range(units):
                found = slope_formula(f, z_symbols, a_symbols, q, p, float(pulled[q, p])).expression
                assert found.value == pytest.approx(pulled[q, p], rel=1e-9, abs=1e-14)


LIBRARY = [case for case in ALL_ACTIVATION_CASES if case.name in cp.activations.ACTIVATIONS]


@pytest.mark.parametrize("case", LIBRARY, ids=ids(LIBRARY))
def test_every_activation_of_the_library_has_a_formula(case):
    _, a, symbols = row_of(case.activation, 3, 0)
    found = slope_formula(
        case.activation, symbols, [Symbol("a", (str(i),), float(v)) for i, v in enumerate(a[0])], 1, 1, float("nan")
    )
    assert not isinstance(found.expression, Apply) or found.expression.function != "f'"


@pytest.mark.parametrize(
    ("f", "z", "written"),
    [
        (cp.sigmoid, 0.5, "a · (1 − a)"),
        (cp.tanh, 0.5, "1 − a²"),
        (cp.activations.identity, 0.5, "1"),
        (cp.activations.gaussian, 0.5, "−2 · z · a"),
        (cp.activations.exponential, 0.5, "a"),
        (cp.activations.softplus, 0.5, "1 / (1 + exp(−z))"),
        (cp.activations.sine, 0.5, "cos(z)"),
    ],
)
def test_formulas_are_written_as_in_textbooks(f, z, written):
    a = float(f.function(np.array([z]))[0])
    symbol = Symbol("z", (), z), Symbol("a", (), a)
    slope = float(f.pullback(np.array([z]), np.array([a]), np.array([1.0]))[0])
    found = slope_formula(f, [symbol[0]], [symbol[1]], 0, 0, slope)
    assert TextNotation().write(found.expression) == written


def test_the_formula_of_relu_has_a_reason():
    for z, slope, reason in ((2.0, 1.0, "z > 0"), (-2.0, 0.0, "z ≤ 0")):
        found = slope_formula(cp.relu, [Symbol("z", (), z)], [Symbol("a", (), max(z, 0))], 0, 0, slope)
        assert (found.expression, found.reason) == (Number(slope), reason)
    assert activation_formula(cp.relu, [Symbol("z", (), -2.0)], 0, 0.0).reason == "z < 0"


def test_a_definition_that_cannot_be_traced_is_a_number_with_a_name():
    class Table(cp.activations.Elementwise):
        name = "table"

        def function(self, z):
            return np.interp(z, [0, 1], [0, 1])

        def derivative(self, z, a):
            return np.array([1.0 if 0 <= v <= 1 else 0.0 for v in z.ravel()]).reshape(z.shape)

    symbols = [Symbol("z", (), 0.5)], [Symbol("a", (), 0.5)]
    assert slope_formula(Table(), *symbols, 0, 0, 1.0).expression == Apply("f'", (symbols[0][0],), 1.0)
    assert activation_formula(Table(), symbols[0], 0, 0.5).expression == Apply("f", (symbols[0][0],), 0.5)


def test_a_formula_that_disagrees_with_the_number_is_not_shown():
    """A definition whose code for arrays does something else than its code on single numbers."""

    class Odd(cp.activations.Elementwise):
        name = "odd"

        def function(self, z):
            return z

        def derivative(self, z, a):
            return z * 0 + 1 if isinstance(z, np.ndarray) else z * 0 + 2

    symbol = Symbol("z", (), 0.5)
    assert slope_formula(Odd(), [symbol], [symbol], 0, 0, 1.0).expression == Apply("f'", (symbol,), 1.0)


@pytest.mark.parametrize("case", LOSS_CASES, ids=ids(LOSS_CASES))
def test_error_signals_and_values_of_every_loss(case):
    units, checked = 3, 0
    for seed in range(6):
        generator = np.random.default_rng(seed)
        yhat = generator.dirichlet(np.ones(units), size=1)
        y = case.draw(generator, 1, units)
        value, error = case.loss.value_and_error(yhat, y)
        rows = case.loss._rows(y, yhat)[0] if isinstance(case.loss, cp.CrossEntropy) else y[0]
        total = 0.0
        for i in range(units):
            symbols = Symbol("yhat", (), float(yhat[0, i])), Symbol("y", (), float(rows[i]))
            found = error_formula(case.loss, *symbols, units, float(error[0, i])).expression
            smoothed = isinstance(case.loss, cp.CrossEntropy)
            assert found.value == pytest.approx(error[0, i], rel=1e-9, abs=1e-12)
            single = 0.0
            if not smoothed:
                single = float(np.sum(case.loss.value_and_slope(yhat, y)[0][0, i]))
            total += loss_formula(case.loss, *symbols, units, single).value
            checked += 1
        assert total == pytest.approx(float(value[0]), rel=1e-9, abs=1e-12)
    assert checked == 18


@pytest.mark.parametrize(
    ("loss", "yhat", "y", "written"),
    [
        (cp.SquaredError(), 0.7, 1.0, "ŷ − y"),
        (cp.SquaredError(factor=1), 0.7, 1.0, "2 · (ŷ − y)"),
        (cp.BinaryCrossEntropy(), 0.7, 1.0, "−1 / ŷ"),
        (cp.BinaryCrossEntropy(), 0.7, 0.0, "1 / (1 − ŷ)"),
        (cp.Poisson(), 0.7, 2.0, "1 − y / ŷ"),
        (cp.CrossEntropy(), 0.7, 1.0, "−y / ŷ"),
        (cp.CrossEntropy(), 0.7, 0.0, "0"),
        (cp.losses.CustomLoss("cosh", lambda p, t: (np.log(np.cosh(p - t)), np.tanh(p - t))), 0.7, 1.0, "tanh(ŷ − y)"),
    ],
)
def test_error_signals_are_written_as_in_textbooks(loss, yhat, y, written):
    if isinstance(loss, cp.CrossEntropy):
        number = -y / yhat
    else:
        number = float(loss.value_and_slope(np.array([[yhat]]), np.array([[y]]))[1][0, 0])
    found = error_formula(loss, Symbol("yhat", (), yhat), Symbol("y", (), y), 1, number)
    assert TextNotation().write(found.expression) == written


@pytest.mark.parametrize(
    ("f", "written_text", "latex"),
    [
        (cp.relu, "(1 if z > 0, else 0)", r"\begin{cases}1 & \text{if } z > 0 \\ 0 & \text{otherwise}\end{cases}"),
        (
            cp.activations.elu,
            "(1 if z > 0, else a + 1)",
            r"\begin{cases}1 & \text{if } z > 0 \\ a + 1 & \text{otherwise}\end{cases}",
        ),
    ],
)
def test_without_numbers_both_branches_are_written(f, written_text, latex):
    graph = tracer()
    inputs = {"z": Symbol("z"), "a": Symbol("a")}
    found = written(f.derivative(*map(graph.input, inputs)), inputs)
    assert TextNotation().write(found.expression) == written_text
    assert LatexNotation().write(found.expression) == latex
    assert found.reason == ""


def test_the_reason_is_the_condition_of_the_branch_that_was_taken():
    inner = cp.activations.Custom(
        "steps", lambda z: z, lambda z, a: np.where(z > 2, 3.0, np.where((z < 1) & (z > 0), 2.0, 1.0))
    )
    for z, slope, reason in ((2.5, 3.0, "z > 2"), (0.5, 2.0, "z ≤ 2"), (-1.0, 1.0, "z ≤ 2")):
        found = slope_formula(inner, [Symbol("z", (), z)], [Symbol("a", (), z)], 0, 0, slope)
        assert (found.expression, found.reason) == (Number(slope), reason)
    elu = activation_formula(cp.activations.elu, [Symbol("z", (), 2.0)], 0, 2.0)
    assert (elu.expression, elu.reason) == (Symbol("z", (), 2.0), "z > 0")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (np.log2, "log₂(z)"),
        (np.arcsin, "arcsin(z)"),
        (np.cbrt, "cbrt(z)"),
        (lambda z: 2.0**z, "2^(z)"),
        (lambda z: np.hypot(z, 1), "sqrt(z^2 + 1^2)"),
        (lambda z: z * np.maximum(z, -1), "z²"),
        (lambda z: np.floor(z + 1), "⌊z + 1⌋"),
        (lambda z: (z > 0) * z, "(z > 0) · z"),
    ],
)
def test_functions_are_written_as_in_mathematics(function, text):
    f = cp.activations.Custom("f", function, lambda z, a: z)
    a = float(function(np.float64(0.5)))
    found = activation_formula(f, [Symbol("z", (), 0.5)], 0, a).expression
    assert TextNotation().write(found) == text
    assert found.value == pytest.approx(a, rel=1e-14)
