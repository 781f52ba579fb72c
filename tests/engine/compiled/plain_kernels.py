"""Run with NUMBA_DISABLE_JIT=1: each kernel is a plain function that hands views of its arrays to the definition."""

from __future__ import annotations

import numpy as np

import clearprop as cp
from clearprop.engine.compiled import ffi as calls
from clearprop.engine.compiled.elementwise import (
    activation_kernels,
    loss_kernel,
    optimizer_kernels,
    penalty_kernels,
)

DTYPE = np.dtype(np.float64)
ROWS, UNITS, STRIDE = 3, 5, 8
rng = np.random.default_rng(0)
padding = np.arange(STRIDE) >= UNITS


def table() -> tuple[np.ndarray, np.ndarray]:
    """Padded rows, that start at place 2 of a flat array, and their view (rows, units)."""
    flat = rng.normal(size=2 + ROWS * STRIDE)
    rows = flat[2:].reshape(ROWS, STRIDE)
    rows[:, padding] = np.nan
    return flat, rows[:, :UNITS]


def same(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-15)


def activation() -> None:
    (z, z_view), (a, a_view), (error, error_view) = table(), table(), table()
    forward, pullback = activation_kernels(cp.activations.gelu, DTYPE)
    calls.call_forward(forward, z, 2, a, 2, ROWS, UNITS, STRIDE)
    same(a_view, cp.activations.gelu(z_view))
    expected = cp.activations.gelu.pullback(z_view, a_view, error_view)
    calls.call_pullback(pullback, z, 2, a, 2, error, 2, ROWS, UNITS, STRIDE)
    same(error_view, expected)


def loss() -> None:
    (z, z_view), (a, a_view), (delta, delta_view), (y, y_view) = table(), table(), table(), table()
    a_view[...] = cp.softmax(z_view)
    classes, weights, values = np.array([9, 4, 0, 2]), np.array([9.0, 1.0, 2.0, 0.5]), np.zeros(4)
    kernel = loss_kernel(cp.CrossEntropy(), cp.softmax, DTYPE, indices=True)
    calls.call_loss(kernel, z, 2, a, 2, y, 2, classes, 1, weights, 1, delta, 2, values, 1, ROWS, UNITS, STRIDE)
    value, unweighted = cp.CrossEntropy().value_and_delta(cp.softmax, z_view, a_view, classes[1:])
    same(values[1:], weights[1:] * value)
    same(delta_view, weights[1:, None] * unweighted)
    kernel = loss_kernel(cp.SquaredError(), cp.tanh, DTYPE)
    calls.call_loss(kernel, z, 2, a, 2, y, 2, classes, 1, weights, 1, delta, 2, values, 1, ROWS, UNITS, STRIDE)
    more, unweighted = cp.SquaredError().value_and_delta(cp.tanh, z_view, a_view, y_view)
    same(values[1:], weights[1:] * (value + more))
    same(delta_view, weights[1:, None] * unweighted)


def optimizer() -> None:
    w, g, slot0, slot1 = (rng.uniform(0.1, 1, 9) for _ in range(4))
    before = [array.copy() for array in (w, g, slot0, slot1)]
    prepare, update = optimizer_kernels(cp.Adam(), DTYPE, (cp.penalties.L2(0.1),), 0.3, True)
    scalars = np.zeros(20)
    calls.call_prepare(prepare, 0.05, 3, 0.01, 0.2, scalars, 4)
    calls.call_update(update, w, 1, g, 1, slot0, 1, slot1, 1, 7, scalars, 4)
    seen = np.clip(before[1] + (0.1 + 0.2) * before[0], -0.3, 0.3)
    change, *slots = cp.Adam().update(0.05, 3, before[0], seen, *before[2:])
    for got, old, new in zip(
        (w, slot0, slot1), (before[0], *before[2:]), (before[0] * 0.99 + change, *slots), strict=True
    ):
        same(got[1:8], new[1:8])
        same(got[[0, 8]], old[[0, 8]])


def penalties() -> None:
    w, g, total = rng.normal(size=9), rng.normal(size=9), np.array([5.0, 1.0])
    expected = g.copy()
    expected[1:8] += 0.1 * w[1:8] + 0.2 * np.sign(w[1:8])
    slope, value = penalty_kernels((cp.penalties.L2(0.1), cp.penalties.L1(0.2)), DTYPE)
    calls.call_slope(slope, w, 1, g, 1, 7)
    same(g, expected)
    calls.call_value(value, w, 1, 7, total, 1)
    same(total, np.array([5.0, 1 + (0.05 * w[1:8] ** 2 + 0.2 * np.abs(w[1:8])).sum()]))


if __name__ == "__main__":
    activation()
    loss()
    optimizer()
    penalties()
    print("forward pullback loss update slope value")
