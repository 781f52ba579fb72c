"""Kernels agree with the definitions they come from, on padded rows and runs of any length."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, LOSS_CASES, OPTIMIZER_CASES, PENALTY_CASES, ActivationCase, LossCase, ids

import clearprop as cp
from clearprop.engine.compiled import machine
from clearprop.engine.compiled.elementwise import (
    activation_kernels,
    loss_kernel,
    optimizer_kernels,
    penalty_kernels,
    reads_z,
)
from clearprop.engine.compiled.narrow_kernels import is_narrow
from clearprop.errors import ArgumentError

DTYPES = (np.float32, np.float64)
#: (rows, units): no rows, one unit, whole vectors of either type, and everything between.
SHAPES = ((0, 3), (1, 1), (3, 2), (4, 8), (5, 10), (2, 16), (19, 11), (3, 37))
TOLERANCE = {np.float32: {"rtol": 2e-5, "atol": 2e-6}, np.float64: {"rtol": 1e-12, "atol": 1e-13}}
EXTREMES = np.array([0.0, -0.0, 1e-30, 3.0, -3.0, 20.0, -20.0, 90.0, -90.0, 1e4, -1e4])


def call(address: int, *arguments: Any) -> None:
    """Call a kernel: arrays as pointers, whole numbers as int64, others as double."""
    kinds = {np.ndarray: ctypes.c_void_p, int: ctypes.c_int64, float: ctypes.c_double}
    given = [x.ctypes.data if isinstance(x, np.ndarray) else x for x in arguments]
    ctypes.CFUNCTYPE(None, *(kinds[type(x)] for x in arguments))(address)(*given)


def stride_of(units: int, dtype: type) -> int:
    """Distance of rows: whole lines of 64 bytes, and a line more."""
    line = 64 // np.dtype(dtype).itemsize
    return -(-units // line) * line + line


def padded(values: np.ndarray, dtype: type) -> np.ndarray:
    """Rows with padding that holds NaN."""
    rows, units = values.shape
    table = np.full((rows, stride_of(units, dtype)), math.nan, dtype)
    table[:, :units] = values
    return table


def check_padding(table: np.ndarray, units: int) -> None:
    """Behind the units, the rest of their last vector is zero; what comes then is untouched."""
    line = 64 // table.itemsize
    end = -(-units // line) * line
    assert (table[:, units:end] == 0).all()
    assert np.isnan(table[:, end:]).all()


def drawn(rows: int, units: int, dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, units)).astype(dtype) * 2


# --- activations -----------------------------------------------------------------------------------------------------


def run_activation(
    activation: cp.activations.Activation, z: np.ndarray, error: np.ndarray, in_place: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """a and delta by the kernels."""
    (rows, units), dtype = z.shape, z.dtype.type
    forward, pullback = activation_kernels(activation, z.dtype)
    sums, delta = padded(z, dtype), padded(error, dtype)
    a = sums if in_place else np.full_like(sums, math.nan)
    call(forward, sums, a, rows, units, a.shape[1])
    check_padding(a, units)
    call(pullback, sums, a, delta, rows, units, a.shape[1])
    check_padding(delta, units)
    return a[:, :units], delta[:, :units]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_activation_agrees_with_its_definition(case: ActivationCase, dtype: type) -> None:
    for rows, units in SHAPES:
        if units < case.least_units:
            continue
        z, error = drawn(rows, units, dtype), drawn(rows, units, dtype, 1)
        a, delta = run_activation(case.activation, z, error)
        exact = z.astype(np.float64)
        expected = case.activation.function(exact)
        np.testing.assert_allclose(a, expected, **TOLERANCE[dtype])
        pulled = case.activation.pullback(exact, expected, error.astype(np.float64))
        np.testing.assert_allclose(delta, pulled, **TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_activation_at_extremes(case: ActivationCase, dtype: type) -> None:
    z = np.stack([EXTREMES, EXTREMES[::-1]]).astype(dtype)
    a, delta = run_activation(case.activation, z, np.ones_like(z))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = case.activation.function(z)
        pulled = case.activation.pullback(z, expected, np.ones_like(z))
    np.testing.assert_allclose(a, expected, **TOLERANCE[dtype])
    np.testing.assert_allclose(delta, pulled, **TOLERANCE[dtype])


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_result_does_not_depend_on_the_position_of_an_element(case: ActivationCase) -> None:
    z, error = drawn(6, 21, np.float32), drawn(6, 21, np.float32, 1)
    a, delta = run_activation(case.activation, z, error)
    for row in range(6):
        alone, pulled = run_activation(case.activation, z[row : row + 1], error[row : row + 1])
        assert alone.tobytes() == a[row].tobytes()
        assert pulled.tobytes() == delta[row].tobytes()
    if isinstance(case.activation, cp.activations.Elementwise):
        shifted, pulled = run_activation(case.activation, np.roll(z, 5, axis=1), np.roll(error, 5, axis=1))
        assert shifted.tobytes() == np.roll(a, 5, axis=1).tobytes()
        assert pulled.tobytes() == np.roll(delta, 5, axis=1).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_forward_may_overwrite_z(case: ActivationCase, dtype: type) -> None:
    z, error = drawn(4, 19, dtype), drawn(4, 19, dtype, 1)
    a, delta = run_activation(case.activation, z, error)
    same, pulled = run_activation(case.activation, z, error, in_place=True)
    assert same.tobytes() == a.tobytes()
    if not reads_z(case.activation):
        assert pulled.tobytes() == delta.tobytes()


def test_which_pullbacks_read_z() -> None:
    without = {case.name for case in ALL_ACTIVATION_CASES if not reads_z(case.activation)}
    assert without == {
        "sigmoid",
        "tanh",
        "relu",
        "elu",
        "selu",
        "softsign",
        "step",
        "log_sigmoid",
        "exponential",
        "softmax",
    }


# --- losses ----------------------------------------------------------------------------------------------------------

OUTPUTS = [
    case for case in ALL_ACTIVATION_CASES if case.name in ("identity", "tanh", "sigmoid", "softplus", "softmax")
] + [case for case in ALL_ACTIVATION_CASES if case.name == "exponential"]
PAIRS = [(loss, output) for loss in LOSS_CASES for output in OUTPUTS if loss.outputs(output)]


def run_loss(
    loss: cp.losses.Loss,
    activation: cp.activations.Activation,
    z: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    **kind: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted values, added to 1, and delta by the kernel."""
    (rows, units), dtype = z.shape, z.dtype.type
    address = loss_kernel(loss, activation, z.dtype, y.ndim == 1, **kind)
    targets = padded(y, dtype) if y.ndim == 2 else np.empty(0, dtype)
    indices = y.astype(np.int64) if y.ndim == 1 else np.empty(0, np.int64)
    a, delta, values = padded(activation.function(z), dtype), padded(z * 0, dtype), np.ones(rows)
    call(address, padded(z, dtype), a, targets, indices, weights, delta, values, rows, units, a.shape[1])
    check_padding(delta, units)
    return values, delta[:, :units]


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "output"), PAIRS, ids=[f"{c.label}, {o.name}" for c, o in PAIRS])
def test_loss_agrees_with_its_definition(case: LossCase, output: ActivationCase, dtype: type, narrow: bool) -> None:
    rng = np.random.default_rng(0)
    for rows, units in SHAPES:
        if units < max(case.least_units, output.least_units) or (narrow and not is_narrow(units, dtype().itemsize)):
            continue
        z, weights = drawn(rows, units, dtype), rng.uniform(0, 2, rows).astype(dtype)
        y = case.draw(rng, rows, units)
        y = y if y.ndim == 1 else y.astype(dtype)
        values, delta = run_loss(case.loss, output.activation, z, y, weights, narrow=narrow)
        exact, w = z.astype(np.float64), weights.astype(np.float64)
        yhat = output.activation.function(z).astype(np.float64)
        value, unweighted = case.loss.value_and_delta(
            output.activation, exact, yhat, y if y.ndim == 1 else y.astype(np.float64)
        )
        # binary cross-entropy of an output that is not the sigmoid divides by 1 - yhat, which loses digits near 1
        slack = {name: 50 * size for name, size in TOLERANCE[dtype].items()}
        np.testing.assert_allclose(values - 1, w * value, **slack)
        np.testing.assert_allclose(delta, w[:, None] * unweighted, **slack)


def test_every_loss_has_pairs() -> None:
    assert {type(case.loss) for case, _ in PAIRS} == {*cp.losses.LOSSES.values(), cp.losses.CustomLoss}
    assert len(PAIRS) > 60


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("activates", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_short_forms_stay_finite_at_extremes(dtype: type, activates: bool, narrow: bool) -> None:
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 80.0]]).astype(dtype)
    for loss, activation, y, expected in (
        (cp.CrossEntropy(), cp.softmax, np.array([1, 1]), [2e4, 0]),
        (cp.BinaryCrossEntropy(), cp.sigmoid, np.array([[0, 1, 1], [1, 1, 0]]), [2e4 + math.log(2), 1e4 + 80]),
    ):
        y = y if y.ndim == 1 else y.astype(dtype)
        values, delta = run_loss(loss, activation, z, y, np.ones(2, dtype), activates=activates, narrow=narrow)
        np.testing.assert_allclose(values - 1, expected, rtol=1e-6)
        assert (np.abs(delta) <= 1).all()


@pytest.mark.parametrize("case", [case for case in LOSS_CASES if case.least_units > 1], ids=lambda case: case.label)
def test_a_narrow_row_does_not_depend_on_the_rows_beside_it(case: LossCase) -> None:
    rng = np.random.default_rng(3)
    output = next(output for loss, output in PAIRS if loss is case)
    z, weights, y = drawn(19, 5, np.float32), np.ones(19, np.float32), case.draw(rng, 19, 5)
    y = y if y.ndim == 1 else y.astype(np.float32)
    values, delta = run_loss(case.loss, output.activation, z, y, weights, activates=True, narrow=True)
    for row in range(19):
        here = slice(row, row + 1)
        value, alone = run_loss(
            case.loss, output.activation, z[here], y[here], weights[here], activates=True, narrow=True
        )
        assert value.tobytes() == values[here].tobytes()
        assert alone.tobytes() == delta[here].tobytes()


# --- optimizers and penalties ----------------------------------------------------------------------------------------

#: What a batch's own penalty multiplies the weights by.
RIDGE = 0.3
RULES = [case.optimizer for case in OPTIMIZER_CASES if not isinstance(case.optimizer, cp.LBFGS)]


@dataclass
class Run:
    """Parameters with a gradient and slots, of which the first `count` entries are to change."""

    count: int
    dtype: type
    w: np.ndarray = field(init=False)
    g: np.ndarray = field(init=False)
    slots: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.count)
        self.w, self.g = (rng.normal(size=self.count + 3).astype(self.dtype) for _ in range(2))
        self.slots = [rng.uniform(0.1, 1, self.count + 3).astype(self.dtype) for _ in range(2)]

    def update(self, kernels: tuple[int, int], t: int, begin: int = 0, end: int | None = None) -> None:
        """One step by the kernels, of the entries from `begin` to `end`."""
        prepare, update = kernels
        scalars = np.zeros(16)
        call(prepare, 0.05, t, 0.01, RIDGE, scalars)
        pieces = [array[begin:] for array in (self.w, self.g, *self.slots)]
        call(update, *pieces, (self.count if end is None else end) - begin, scalars)


def textbook_update(
    optimizer: Any, run: Run, t: int, penalties: Any, clip: float | None, ridge: bool = False
) -> list[np.ndarray]:
    """w and the slots after one step, by the definition."""
    w, g = run.w.astype(np.float64), run.g.astype(np.float64)
    for penalty in penalties:
        g = g + penalty.value_and_slope(w)[1]
    g = g + RIDGE * w if ridge else g
    g = g if clip is None else np.clip(g, -clip, clip)
    slots = [slot.astype(np.float64) for slot in run.slots[: len(optimizer.slots)]]
    change, *following = optimizer.update(0.05, t, w, g, *slots)
    return [w * (1 - 0.01) + change, *following]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", RULES, ids=lambda optimizer: optimizer.name)
def test_optimizer_agrees_with_its_definition(optimizer: cp.optimizers.Optimizer, dtype: type) -> None:
    for penalties, clip, ridge in (
        ((), None, False),
        ((), None, True),
        ((cp.penalties.L2(0.1), cp.penalties.L1(0.01)), 0.5, True),
    ):
        kernels = optimizer_kernels(optimizer, np.dtype(dtype), penalties, clip, ridge)
        for count in (0, 1, 5, 16, 37, 64):
            for t in (1, 2, 1000):
                run, before = Run(count, dtype), Run(count, dtype)
                run.update(kernels, t)
                expected = textbook_update(optimizer, before, t, penalties, clip, ridge)
                for got, want in zip([run.w, *run.slots], expected, strict=False):
                    np.testing.assert_allclose(got[:count], want[:count], **TOLERANCE[dtype])
                unused = run.slots[len(optimizer.slots) :]
                assert all((a == b).all() for a, b in zip(unused, before.slots[len(optimizer.slots) :], strict=True))
                for got, old in zip([run.w, run.g, *run.slots], [before.w, before.g, *before.slots], strict=True):
                    assert (got[count:] == old[count:]).all()
                assert (run.g == before.g).all()


@pytest.mark.parametrize("optimizer", RULES, ids=lambda optimizer: optimizer.name)
def test_update_does_not_depend_on_how_a_run_is_divided(optimizer: cp.optimizers.Optimizer) -> None:
    kernels = optimizer_kernels(optimizer, np.dtype(np.float32), (cp.penalties.L2(0.1),))
    whole, cut = Run(53, np.float32), Run(53, np.float32)
    whole.update(kernels, 3)
    for begin, end in ((0, 7), (7, 40), (40, 41), (41, 53)):
        cut.update(kernels, 3, begin, end)
    for a, b in zip([whole.w, *whole.slots], [cut.w, *cut.slots], strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", PENALTY_CASES, ids=ids(PENALTY_CASES))
def test_penalty_agrees_with_its_definition(case: Any, dtype: type) -> None:
    for penalties in ((case.penalty,), (case.penalty, cp.penalties.L2(0.2)), ()):
        slope, value = penalty_kernels(penalties, np.dtype(dtype))
        for count in (0, 1, 16, 37):
            run, total = Run(count, dtype), np.array([2.0])
            expected = run.g + sum((p.value_and_slope(run.w)[1] for p in penalties), np.zeros_like(run.w))
            expected[count:] = run.g[count:]
            call(slope, run.w, run.g, count)
            np.testing.assert_allclose(run.g, expected, **TOLERANCE[dtype])
            call(value, run.w, count, total)
            sums = sum(float(p.value_and_slope(run.w[:count])[0].sum()) for p in penalties)
            np.testing.assert_allclose(total - 2, sums, rtol=1e-5, atol=1e-6)


# --- the user's own --------------------------------------------------------------------------------------------------


class Bent(cp.activations.Elementwise):
    """Fields that are no dataclass fields, a loop, and branches that do not depend on the data."""

    name = "bent"

    def __init__(self, terms: int, clipped: bool) -> None:
        self.terms, self.clipped = terms, clipped

    def function(self, z: np.ndarray) -> np.ndarray:
        total = 0 * z
        for n in range(1, self.terms + 1):
            total = total + z**n / math.factorial(n)
        return np.clip(total, -1, 5) if self.clipped else total

    def derivative(self, z: np.ndarray, a: np.ndarray) -> np.ndarray:
        inside = (a > -1) & (a < 5) if self.clipped else z == z
        return np.where(inside, sum(z ** (n - 1) / math.factorial(n - 1) for n in range(1, self.terms + 1)), 0.0)


class Sharpened(cp.activations.Activation):
    """A softmax of the user's own, with NumPy's methods."""

    name = "sharpened"

    def function(self, z: np.ndarray) -> np.ndarray:
        e = np.exp(3 * (z - z.max(axis=-1, keepdims=True)))
        return e / e.sum(axis=-1, keepdims=True)

    def pullback(self, z: np.ndarray, a: np.ndarray, error: np.ndarray) -> np.ndarray:
        return 3 * a * (error - np.sum(error * a, axis=1, keepdims=True))


OWN = [
    cp.activations.Custom("numpy", lambda z: np.sinh(z) / np.cosh(z), lambda z, a: 1 - np.square(a)),
    cp.activations.Custom(
        "powers", lambda z: abs(z) ** 1.5 + 2.0**z, lambda z, a: 1.5 * np.sqrt(np.abs(z)) * np.sign(z)
    ),
    cp.activations.Custom("condition as number", lambda z: (z > 0) * z, lambda z, a: (z > 0).astype(z.dtype)),
    cp.activations.Custom("constant slope", lambda z: z, lambda z, a: np.ones_like(z)),
    Bent(2, clipped=False),
    Bent(3, clipped=True),
    Sharpened(),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", OWN, ids=lambda activation: activation.name)
def test_activations_of_users(activation: cp.activations.Activation, dtype: type) -> None:
    z, error = drawn(5, 13, dtype), drawn(5, 13, dtype, 1)
    a, delta = run_activation(activation, z, error)
    expected = activation.function(z.astype(np.float64))
    np.testing.assert_allclose(a, expected, **TOLERANCE[dtype])
    pulled = activation.pullback(z.astype(np.float64), expected, error.astype(np.float64))
    np.testing.assert_allclose(delta, pulled, **TOLERANCE[dtype])


def test_a_definition_of_a_user_is_traced_each_time() -> None:
    slope = [2.0]
    steep = cp.activations.Custom("steep", lambda z: slope[0] * z, lambda z, a: slope[0] + 0 * z)
    z = drawn(2, 3, np.float64)
    first, _ = run_activation(steep, z, z)
    slope[0] = 3.0
    second, _ = run_activation(steep, z, z)
    np.testing.assert_array_equal(first, 2 * z)
    np.testing.assert_array_equal(second, 3 * z)


@dataclass(frozen=True)
class Margin(cp.losses.Loss):
    """The loss of a whole row: how far the best wrong class is above the right one, less a margin."""

    name = "margin"
    margin: float = 1.0

    def value_and_error(self, yhat: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right = np.sum(yhat * y, axis=-1, keepdims=True)
        wrong = np.max(yhat - 1e3 * y, axis=-1, keepdims=True)
        excess = np.maximum(self.margin + wrong - right, 0)
        return excess[:, 0], np.where(excess > 0, (yhat == wrong) - y, 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_of_a_user_over_rows(dtype: type) -> None:
    rng = np.random.default_rng(0)
    y = np.eye(7)[rng.integers(0, 7, 6)].astype(dtype)
    z = drawn(6, 7, dtype)
    values, delta = run_loss(Margin(2.0), cp.tanh, z, y, np.ones(6, dtype))
    value, expected = Margin(2.0).value_and_delta(cp.tanh, z, cp.tanh(z), y)
    np.testing.assert_allclose(values - 1, value, **TOLERANCE[dtype])
    np.testing.assert_allclose(delta, expected, **TOLERANCE[dtype])


@dataclass(frozen=True)
class Warming(cp.optimizers.Optimizer):
    """Slots that come back swapped, one of them a number of the step; roots and powers of t."""

    name = "warming"
    slots = ("first", "second")

    def update(self, learning_rate: float, t: int, w: Any, g: Any, *slots: Any) -> tuple[Any, ...]:
        first, second = slots
        pace = learning_rate * np.minimum(t**-0.5, t * 10**-1.5)
        return -pace * g / (1 + abs(first - second)), second, t / (t + 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_optimizer_of_a_user(dtype: type) -> None:
    kernels = optimizer_kernels(Warming(0.1), np.dtype(dtype))
    for t in (1, 7, 400):
        run, before = Run(21, dtype), Run(21, dtype)
        run.update(kernels, t)
        w, first, second = textbook_update(Warming(0.1), before, t, (), None)
        np.testing.assert_allclose(run.w[:21], w[:21], **TOLERANCE[dtype])
        np.testing.assert_array_equal(run.slots[0][:21], first[:21])
        np.testing.assert_allclose(run.slots[1][:21], second, **TOLERANCE[dtype])


# --- what cannot be compiled -----------------------------------------------------------------------------------------


def custom(function: Callable[[Any], Any]) -> cp.activations.Custom:
    return cp.activations.Custom("mine", function, lambda z, a: z)


HOW = (
    "Write it with operators and the functions of clearprop.mathematics or NumPy on whole arrays, "
    'or train with engine="textbook".'
)
UNKNOWN = np.frompyfunc(abs, 1, 1)


def write(z: Any) -> Any:
    z[z < 0] = 0
    return z


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda z: z if z > 0 else 0, "it depends on the value of an array; use where(condition, x, y) instead of if"),
        (
            lambda z: math.exp(z),
            "it needs a plain number; use clearprop.mathematics or NumPy instead of float() and math",
        ),
        (lambda z: list(z), "it loops over the rows of an array"),
        (write, "it writes into an array; use where(condition, x, y)"),
        (lambda z: z[:, 1:], "it selects single entries or parts of an array"),
        (lambda z: np.fft.fft(z), "it uses fft, which is not one of the supported functions"),
        (lambda z: np.asarray(z, float), "it calls a function that is not one of the supported functions"),
        (
            lambda z: z * np.array([1.0, 2.0]),
            "it combines its argument with a ndarray of shape (2,); only numbers can be constants",
        ),
        (lambda z: z / z.shape[0], "it uses the number of rows, but each row has to be computed independently"),
        (lambda z: z - z.sum(), "it takes a sum that is not over the units of each row (axis=-1)"),
        (lambda z: z - z.sum(axis=1), "it combines an array of shape (n,) with one of shape (n, u); "
         "keep the row axis with x[:, None]"),
        (lambda z: np.maximum(z, 0, out=np.zeros(3)), "it uses maximum with out"),
        (lambda z: z.astype(int), "it converts an array to int64"),
        (lambda z: None, "it returns a NoneType"),
        (lambda z: z.T, "AttributeError: 'Symbol' object has no attribute 'T'"),
        (lambda z: undefined, "NameError: name 'undefined' is not defined"),  # type: ignore[name-defined]  # noqa: F821
    ],
)  # fmt: skip
def test_messages_about_what_cannot_be_compiled(function: Callable[[Any], Any], reason: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        activation_kernels(custom(function), np.dtype(np.float64))
    assert str(caught.value) == f'Custom "mine": function cannot be compiled: {reason}. {HOW}'


@dataclass(frozen=True)
class Lost(cp.optimizers.Optimizer):
    """Does something wrong, by the number of its slots."""

    name = "lost"

    def update(self, learning_rate: float, t: int, w: Any, g: Any, *slots: Any) -> tuple[Any, ...]:
        return {0: lambda: (-g, g), 1: lambda: (g / g.shape[0], g), 2: lambda: (g - np.sum(g), g, g)}[len(slots)]()


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        ((), "it returns 1 slots instead of 0"),
        (("a",), "it uses the shape of the parameters, which are updated in slices of any length"),
        (("a", "b"), "it takes a sum over the parameters, which are updated in slices of any length"),
    ],
)
def test_messages_about_optimizers(slots: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lost, "slots", slots)
    with pytest.raises(ArgumentError) as caught:
        optimizer_kernels(Lost(0.1), np.dtype(np.float64))
    assert str(caught.value) == f'Lost "lost": update cannot be compiled: {reason}. {HOW}'


def test_message_about_too_many_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lost, "slots", ("a", "b", "c"))
    with pytest.raises(ArgumentError) as caught:
        optimizer_kernels(Lost(0.1), np.dtype(np.float64))
    assert str(caught.value) == (
        "optimizer: the compiled engine supports at most 2 slots per parameter, Lost has 3 (a, b, c). "
        'Train with engine="textbook".'
    )


# --- machine code ----------------------------------------------------------------------------------------------------

TEXT = """define void @kernel(ptr %x) {
  %old = load double, ptr %x
  %new = fadd double %old, 1.0
  store double %new, ptr %x
  ret void
}
"""


def add_one(made: machine.Machine) -> float:
    x = np.array([2.0])
    call(made.address(TEXT), x)
    return float(x[0])


def test_machine_code_is_stored_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "folder", lambda: tmp_path / "kept")
    assert add_one(machine.Machine()) == 3.0
    (file,) = (tmp_path / "kept").iterdir()
    second = machine.Machine()
    monkeypatch.setattr(second, "module", lambda text: pytest.fail("compiled again"))
    assert add_one(second) == 3.0
    file.write_bytes(file.read_bytes()[:-1] + b"?")  # damaged: compiled again, and mended
    assert add_one(machine.Machine()) == 3.0
    assert len(list((tmp_path / "kept").iterdir())) == 1
    third = machine.Machine()
    monkeypatch.setattr(third, "module", lambda text: pytest.fail("compiled again"))
    assert add_one(third) == 3.0


def test_machine_code_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(machine, "folder", lambda: tmp_path / "file" / "kept")  # cannot be made
    assert add_one(machine.Machine()) == 3.0
    monkeypatch.setattr(machine, "folder", lambda: tmp_path / "kept")
    monkeypatch.setattr(machine, "FILES", 0)
    assert add_one(machine.Machine()) == 3.0
    assert list((tmp_path / "kept").iterdir()) == []


def test_kernels_are_made_and_run_in_several_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "folder", lambda: tmp_path)
    z = drawn(50, 33, np.float32)
    results: list[bytes] = []

    def work() -> None:
        for alpha in range(1, 6):
            a, delta = run_activation(replace(cp.activations.elu, alpha=alpha + 0.125), z, z)
            results.append(a.tobytes() + delta.tobytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert len(set(results)) == 5


def test_without_the_compiler_kernels_are_the_definitions_themselves() -> None:
    script = Path(__file__).with_name("plain_kernels.py")
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "forward pullback loss update slope value\n"
