"""The three matrix products of a training step, on weights kept in panels.

A matrix W (k rows, n columns) is kept as panels: `panel` columns at a time, each panel a contiguous (k, panel) block (the
last one narrower, n rounded up to whole vectors). So a sweep reads W in one run, and the gradient of some rows of a
panel is one run as well, which the update rule consumes at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from clearprop.engine.compiled.tile import tile_along, tile_down
from clearprop.engine.compiled.vectors import TILE_ROWS

#: Steps of the shared dimension taken at a time, so that their part of a panel stays in the first-level cache.
SWEEP = 256


@njit(nogil=True, cache=True, error_model="numpy")
def multiply(a, offsets, first, rows, steps, W, w_at, columns, lanes, panel, start, start_at, start_row, c, c_at, c_row):
    """C = S + A W: `rows` rows of A found through offsets[first:], of `steps` numbers; C row-major with stride c_row.

    `columns` of W are padded to whole vectors. S has row stride start_row: 0 for a bias or zeros.
    """
    for j in range(0, columns, panel):
        width = min(panel, columns - j)
        for k in range(0, steps, SWEEP):
            depth = min(SWEEP, steps - k)
            b_at = w_at + j * steps + k * width
            for i in range(0, rows, TILE_ROWS):
                height = min(TILE_ROWS, rows - i)
                c_here = c_at + i * c_row + j
                if k == 0:
                    s_here = start_at + i * start_row + j
                    tile_along(height, width // lanes, a, offsets, first + i, k, W, b_at, width,
                               start, s_here, start_row, c, c_here, c_row, depth)  # fmt: skip
                else:
                    tile_along(height, width // lanes, a, offsets, first + i, k, W, b_at, width,
                               c, c_here, c_row, c, c_here, c_row, depth)  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def multiply_transposed(a, offsets, samples, row, rows, delta, d_at, d_row, vectors, lanes, zeros, g):
    """G = A^T D, (rows, vectors * lanes) contiguous: rows `row` to `row + rows` of A^T, one panel of D at d_at.

    Sample s of A lies at offsets[s], of D at d_at + s * d_row.
    """
    width = vectors * lanes
    for s in range(0, samples, SWEEP):
        depth = min(SWEEP, samples - s)
        d_here = d_at + s * d_row
        for i in range(0, rows, TILE_ROWS):
            height = min(TILE_ROWS, rows - i)
            if s == 0:
                tile_down(height, vectors, a, offsets, s, row + i, delta, d_here, d_row,
                          zeros, 0, 0, g, i * width, width, depth)  # fmt: skip
            else:
                tile_down(height, vectors, a, offsets, s, row + i, delta, d_here, d_row,
                          g, i * width, width, g, i * width, width, depth)  # fmt: skip
