"""Dropout masks in compiled code: the bits of clearprop.core.randomness, one number at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.randomness import GOLDEN, mask_of, mix
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.records import Memory

if TYPE_CHECKING or PLAIN:

    def fill_mask(
        m: Memory, to: int, stride: int, begin: int, rows: int, column: int, units: int, key: np.uint64, dropout: float
    ) -> None:
        """The mask of some rows of the batch and `units` columns from `column` on, into `work`."""
        numbers = m.order[begin : begin + rows]
        numbers = m.row_keys[numbers] if m.options.has_row_keys else numbers
        values = mask_of(np.array([key]), numbers, column + units, dropout, m.work.dtype)[:, column:]
        for r in range(rows):
            m.work[to + r * stride :][:units] = values[r]

else:
    _mix = inner(mix)

    @inner
    def fill_mask(
        m: Memory, to: int, stride: int, begin: int, rows: int, column: int, units: int, key: np.uint64, dropout: float
    ) -> None:
        """The mask of some rows of the batch and `units` columns from `column` on, into `work`."""
        scale, has_keys = 1.0 / (1.0 - dropout), m.options.has_row_keys
        for r in range(rows):
            row = m.order[begin + r]
            number = m.row_keys[row] if has_keys else np.uint64(row)
            row_key = _mix(key + GOLDEN * (number + np.uint64(1)))
            line = to + r * stride
            for j in range(units):
                bits = _mix(row_key + GOLDEN * (np.uint64(column + j) + np.uint64(1)))
                uniform = np.float64(bits >> np.uint64(11)) * 2.0**-53
                m.work[line + j] = 0.0 if uniform < dropout else scale
