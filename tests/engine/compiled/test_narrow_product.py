"""The product with few columns has the bits of the one with many, and is taken where it is quicker."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from clearprop.engine.compiled import narrow_product
from clearprop.engine.compiled.machine import compile_function
from clearprop.engine.compiled.narrow_kernels import BLOCKS
from clearprop.engine.compiled.narrow_product import NarrowProduct, multiply_kernel
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.vectors import LINE, VECTOR_BYTES, lanes_of
from tests.engine.compiled.test_elementwise import call, stride_of

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
ROWS, STEPS = (0, 1, 3, 8, 15, 16, 17, 33, 40), (1, 7, 8, 16, 19, 50)


def multiplied(
    kernel: int, a: np.ndarray, rows: int, W: np.ndarray, b: np.ndarray, dtype: np.dtype, panel: int = 0
) -> np.ndarray:
    """C = b + A W by a kernel, rows of A in reverse order and in the midst of NaN; with the padding of C.

    W lies in panels of so many columns, 0 for one panel of all.
    """
    lanes, (steps, units) = lanes_of(dtype), W.shape
    columns, c_row = lanes.padded(units), stride_of(units, dtype.type)
    table = np.full((rows + 1, steps + 3), np.nan, dtype)
    table[:rows, :steps] = a[:rows]
    offsets = np.arange(rows, dtype=np.int64)[::-1] * (steps + 3)
    padded, start, c = np.zeros((steps, columns), dtype), np.zeros(columns, dtype), np.full((rows + 1, c_row), 7, dtype)
    padded[:, :units], start[:units] = W, b
    panels = np.concatenate(
        [padded[:, j : j + (panel or columns)].ravel() for j in range(0, columns, panel or columns)]
    )
    call(
        kernel, table, np.ascontiguousarray(offsets), rows, steps, panels, columns, start, 0, c, c_row,
    )  # fmt: skip
    assert (c[rows] == 7).all()  # no row too many
    return c[:rows]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("units", [1, 2, 3, 5, 6, 7, 8, 9, 12, 16])
def test_every_number_has_the_bits_of_the_wide_product(units: int, dtype: np.dtype) -> None:
    rng = np.random.default_rng(units)
    kernel, wide = compile_function(NarrowProduct(dtype, units).text()), product_kernels(dtype)[0]
    panel = lanes_of(dtype).panel
    for rows, steps in product(ROWS, STEPS):
        a, W, b = (rng.normal(size=shape).astype(dtype) for shape in ((40, steps), (steps, units), units))
        c = multiplied(kernel, a, rows, W, b, dtype)
        np.testing.assert_array_equal(c[:, :units], multiplied(wide, a, rows, W, b, dtype, panel)[:, :units])
        np.testing.assert_allclose(c[::-1, :units], b + a[:rows] @ W, rtol=1e-4 if dtype.itemsize == 4 else 1e-11,
                                   atol=1e-5 if dtype.itemsize == 4 else 1e-13)  # fmt: skip
        whole = -(-units // (LINE // dtype.itemsize)) * (LINE // dtype.itemsize)
        assert (c[:, units:whole] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(bad: float, dtype: np.dtype) -> None:
    a, W = np.ones((20, 19), dtype), np.full((19, 3), 0.5, dtype)
    a[4, 18] = a[13, 2] = bad
    c = multiplied(compile_function(NarrowProduct(dtype, 3).text()), a, 20, W, np.zeros(3, dtype), dtype)[::-1, :3]
    assert np.flatnonzero(~np.isfinite(c).all(axis=1)).tolist() == [4, 13]
    np.testing.assert_array_equal(c[[0, 19]], np.full((2, 3), 9.5))


@pytest.mark.skipif(VECTOR_BYTES < LINE, reason="on processors whose registers are shorter, the wide one is taken")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_is_taken_where_vectors_would_be_half_empty(dtype: np.dtype) -> None:
    lanes, wide = LINE // dtype.itemsize, product_kernels(dtype)[0]
    long = narrow_product.LEAST * lanes
    taken = [units for units in range(1, 5 * lanes) if multiply_kernel(dtype, long, units) != wide]
    part = int(narrow_product.WORTH_TRANSPOSING * lanes)
    assert taken == [*range(1, part + 1), *range(lanes + 1, BLOCKS * part + 1)]
    assert multiply_kernel(dtype, long - 1, 1) == wide
