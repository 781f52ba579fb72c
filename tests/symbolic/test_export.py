"""Every activation, loss and optimizer as JSON and back: the same numbers with NumPy and with another array library."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special
from cases import ALL_ACTIVATION_CASES, LOSS_CASES, OPTIMIZER_CASES, ActivationCase, LossCase, ids

import clearprop as cp
from clearprop.errors import ArgumentError, DataError
from clearprop.symbolic.export import Expressions, from_json, trace_activation, trace_loss, trace_optimizer


def round_trip(made: Expressions) -> Expressions:
    text = json.dumps(made.to_json(), allow_nan=False)
    again = from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    return again


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_every_activation(case: ActivationCase, dtype: type) -> None:
    f = case.activation
    z, error = (2 * np.random.default_rng(0).normal(size=(2, 5, 3))).astype(dtype)
    results = round_trip(trace_activation(f)).evaluate({"z": z, "error": error})
    a = f.function(z)
    np.testing.assert_array_equal(results["a"], a)
    if isinstance(f, cp.activations.Elementwise):
        np.testing.assert_array_equal(results["slope"], f.derivative(z, a).astype(dtype))
        assert np.shape(results["slope"]) == z.shape
    else:
        np.testing.assert_array_equal(results["delta"], f.pullback(z, a, error))
    assert {np.asarray(result).dtype for result in results.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("case", LOSS_CASES, ids=ids(LOSS_CASES))
def test_every_loss(case: LossCase) -> None:
    rng = np.random.default_rng(0)
    yhat = rng.dirichlet(np.ones(4), size=6)
    y = case.draw(rng, 6, 4)
    results = round_trip(trace_loss(case.loss, indices=y.ndim == 1)).evaluate({"yhat": yhat, "y": y})
    value, error = case.loss.value_and_error(yhat, y)
    np.testing.assert_array_equal(results["value"], value)
    np.testing.assert_array_equal(results["error"], error)


@pytest.mark.parametrize("case", [c for c in LOSS_CASES if c.loss.partner], ids=lambda case: case.label)
def test_every_short_form(case: LossCase) -> None:
    assert case.loss.partner is not None
    rng = np.random.default_rng(0)
    f, z, y = case.loss.partner(), rng.normal(size=(6, 4)), case.draw(rng, 6, 4)
    results = round_trip(trace_loss(case.loss, f, y.ndim == 1)).evaluate({"z": z, "y": y})
    value, delta = case.loss.short_form(z, f.function(z), y)
    np.testing.assert_array_equal(results["value"], value)
    np.testing.assert_array_equal(results["delta"], delta)


@pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=ids(OPTIMIZER_CASES))
def test_every_optimizer(case: Any) -> None:
    optimizer = case.optimizer
    if isinstance(optimizer, cp.LBFGS):
        return  # takes whole runs, and has no update of single parameters
    w, g, *slots = np.random.default_rng(0).uniform(0.1, 1, size=(2 + len(optimizer.slots), 7))
    inputs = {"learning_rate": 0.1, "t": 3, "w": w, "g": g, **dict(zip(optimizer.slots, slots, strict=True))}
    results = round_trip(trace_optimizer(optimizer)).evaluate(inputs)
    for result, expected in zip(results.values(), optimizer.update(0.1, 3, w, g, *slots), strict=True):
        np.testing.assert_array_equal(result, expected)


#: The functions of the array API (2024.12) that definitions of the library use; nothing else of NumPy is here.
STANDARD = (
    "abs", "arange", "astype", "asarray", "add", "bitwise_and", "bitwise_or", "bitwise_invert", "cos", "divide",
    "equal", "exp", "expm1", "greater", "greater_equal", "less", "less_equal", "log", "log1p", "max", "maximum", "min",
    "minimum", "multiply", "negative", "not_equal", "pow", "sign", "sin", "sqrt", "subtract", "sum", "tanh", "where",
)  # fmt: skip


class Strict(np.ndarray):
    """Arrays of a library that has the functions of the array API only."""

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return SimpleNamespace(__name__="strict", **{name: getattr(np, name) for name in STANDARD})


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_any_array_library_can_evaluate(case: ActivationCase) -> None:
    z, error = np.random.default_rng(0).normal(size=(2, 5, 3))
    made = trace_activation(case.activation)
    expected = made.evaluate({"z": z, "error": error})
    inputs = {"z": z.view(Strict), "error": error.view(Strict)}
    for name, result in made.evaluate(inputs, special=scipy.special).items():
        np.testing.assert_array_equal(np.asarray(result), expected[name])


def test_a_function_that_the_library_lacks_is_named() -> None:
    z = np.ones((1, 1)).view(Strict)
    with pytest.raises(ArgumentError, match=r"^erfc: not found in strict\. Pass a module that has it as special\.$"):
        trace_activation(cp.activations.gelu).evaluate({"z": z})


def test_numbers_that_are_not_finite_have_names_in_json() -> None:
    f = cp.activations.Custom("limits", lambda z: np.where(z > -np.inf, z, np.nan), lambda z, a: np.isfinite(z) * 1.0)
    made = round_trip(trace_activation(f))
    assert [node["value"] for node in made.to_json()["nodes"] if node["op"] == "constant"][:2] == ["-inf", "nan"]
    assert made.evaluate({"z": np.array([[1.0]])})["a"] == 1


def test_what_cannot_be_exported_is_named() -> None:
    f = cp.activations.Custom("branch", lambda z: z if z > 0 else 0 * z, lambda z, a: z)
    with pytest.raises(ArgumentError, match='Custom "branch": cannot be exported: it depends on the value of an array'):
        trace_activation(f)


INPUT = {"op": "input", "name": "z", "level": "element", "kind": "real"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], 'expressions: expected a dictionary with a list "nodes" and a dictionary "outputs".'),
        ({"nodes": {}, "outputs": {}}, 'expressions: expected a dictionary with a list "nodes" and a dictionary'),
        ({"nodes": [1], "outputs": {}}, "expressions: node 0: expected a dictionary, got int."),
        ({"nodes": [INPUT], "outputs": {"a": 1}}, "outputs: expected the index of one of the 1 earlier nodes, got 1."),
        (
            {"nodes": [INPUT], "outputs": {"a": True}},
            "outputs: expected the index of one of the 1 earlier nodes, got True.",
        ),
        (
            {"nodes": [INPUT, {"op": "exp", "args": [1]}], "outputs": {}},
            "node 1: 'exp' is not valid: expected the index of one of the 1 earlier nodes, got 1.",
        ),
        (
            {"nodes": [INPUT, {"op": "expp", "args": [0]}], "outputs": {}},
            "node 1: 'expp' is not valid: unknown operation. Did you mean \"exp\"?",
        ),
        (
            {"nodes": [INPUT, {"op": "exp", "args": [0, 0]}], "outputs": {}},
            "node 1: 'exp' is not valid: expected 1 arguments, got 2.",
        ),
        ({"nodes": [INPUT, {"op": "exp", "args": 3}], "outputs": {}}, "expressions: node 1: 'exp' is not valid"),
        ({"nodes": [{"op": "input", "name": "z", "level": "x", "kind": "real"}], "outputs": {}}, "node 0: 'input'"),
        ({"nodes": [{"op": "input", "name": "z", "level": "row", "kind": "x"}], "outputs": {}}, "unknown kind 'x'"),
        ({"nodes": [{"op": "constant", "value": "one"}], "outputs": {}}, "a constant is a number, not 'one'"),
        ({"nodes": [{"op": "constant"}], "outputs": {}}, "node 0: 'constant' is not valid"),
    ],
)
def test_other_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        from_json(data)
    assert message in str(caught.value)
