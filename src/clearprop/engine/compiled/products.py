"""The three matrix products of a training step, on weights kept in panels.

A matrix W (k rows, n columns) is kept as panels: `panel` columns at a time, each panel a contiguous (k, panel) block
(the last one narrower, n rounded up to whole vectors). So a sweep reads W in one run, and the gradient of some rows
of a panel is one run as well, which the update rule consumes at once.

The two kernels are C functions, called by address: they are compiled and kept on disk apart from the epoch loop.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import from_dtype, types
from numba.core import config

from clearprop.engine.compiled.cache import address, inner
from clearprop.engine.compiled.ffi import register
from clearprop.engine.compiled.tile import tile_along, tile_down
from clearprop.engine.compiled.vectors import NARROW_ROWS, TILE_ROWS, TILE_VECTORS

#: Steps of the shared dimension taken at a time, so that their part of a panel stays in the first-level cache.
SWEEP = 256


def multiply(a, offsets, rows, steps, W, columns, lanes, panel, start, start_row, c, c_row):
    """C = S + A W: `rows` rows of A found through offsets, of `steps` numbers; C row-major with stride c_row.

    `columns` of W are padded to whole vectors. S has row stride start_row: 0 for a bias or zeros.
    """
    for j in range(0, columns, panel):
        width = min(panel, columns - j)
        tall = TILE_ROWS if width == panel else NARROW_ROWS
        for k in range(0, steps, SWEEP):
            depth = min(SWEEP, steps - k)
            origin, origin_row = (start, start_row) if k == 0 else (c, c_row)
            for i in range(0, rows, tall):
                height = min(tall, rows - i)
                tile_along(
                    height, width // lanes, a, offsets, i, k, W, j * steps + k * width, width,
                    origin, i * origin_row + j, origin_row, c, i * c_row + j, c_row, depth,
                )  # fmt: skip


def multiply_transposed(a, offsets, samples, row, rows, delta, delta_row, vectors, lanes, zeros, g):
    """G = A^T D, (rows, vectors * lanes) contiguous: rows `row` to `row + rows` of A^T, one panel of D.

    Sample s of A lies at offsets[s], of D at s * delta_row.
    """
    width = vectors * lanes
    tall = TILE_ROWS if vectors == TILE_VECTORS else NARROW_ROWS
    for s in range(0, samples, SWEEP):
        depth = min(SWEEP, samples - s)
        origin, origin_row = (zeros, 0) if s == 0 else (g, width)
        for i in range(0, rows, tall):
            height = min(tall, rows - i)
            tile_down(
                height, vectors, a, offsets, s, row + i, delta, s * delta_row, delta_row,
                origin, i * origin_row, origin_row, g, i * width, width, depth,
            )  # fmt: skip


def add_rows(a, offsets, rows, units, start, start_row, c, c_row):
    """C = S + A: the product with the unit matrix."""
    for r in range(rows):
        for j in range(units):
            c[r * c_row + j] = start[r * start_row + j] + a[offsets[r] + j]


@cache
def product_kernels(dtype: np.dtype) -> tuple[int, int, int]:
    """Addresses of `multiply`, `multiply_transposed` and `add_rows` in a precision."""
    if config.DISABLE_JIT:
        return register(multiply), register(multiply_transposed), register(add_rows)
    n, real, places = types.intp, types.CPointer(from_dtype(dtype)), types.CPointer(types.int64)
    along = types.void(real, places, n, n, real, n, n, n, real, n, real, n)
    down = types.void(real, places, n, n, n, real, n, n, n, real, real)
    identity = types.void(real, places, n, n, real, n, real, n)
    signatures = ((multiply, along), (multiply_transposed, down), (add_rows, identity))
    along_at, down_at, identity_at = (address(function, signature) for function, signature in signatures)
    return along_at, down_at, identity_at


@inner
def transpose_block(W, w_at, rows, width, columns, w_t_at, stride):
    """W_T[j, r] = W[r, j] of a contiguous block (rows, width) whose first `columns` columns are real."""
    for j in range(columns):
        line = w_t_at + j * stride
        for r in range(rows):
            W[line + r] = W[w_at + r * width + j]


@inner
def column_sums(delta, d_at, stride, rows, columns, g, g_at):
    """g = sum over rows of D, four rows at a time whatever the number of threads."""
    for j in range(columns):
        g[g_at + j] = 0
    for n in range(0, rows - 3, 4):
        line = d_at + n * stride
        for j in range(columns):
            pair = delta[line + j] + delta[line + stride + j]
            other = delta[line + 2 * stride + j] + delta[line + 3 * stride + j]
            g[g_at + j] += pair + other
    for n in range(rows - rows % 4, rows):
        for j in range(columns):
            g[g_at + j] += delta[d_at + n * stride + j]
