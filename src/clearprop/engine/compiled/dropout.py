"""Dropout masks in compiled code: the bits of clearprop.randomness, number by number."""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.core import config

from clearprop.randomness import GOLDEN, mask_of, mix

if config.DISABLE_JIT:

    def fill_mask(work, place, stride, order, begin, rows, units, key, dropout):
        """The mask of some rows of the batch, into `work`."""
        mask = mask_of(np.array([key]), order[begin : begin + rows], units, dropout, work.dtype)
        for r in range(rows):
            work[place + r * stride :][:units] = mask[r]

else:
    _mix = njit(mix)

    @njit(error_model="numpy")
    def fill_mask(work, place, stride, order, begin, rows, units, key, dropout):
        """The mask of some rows of the batch, into `work`."""
        kept = 1.0 / (1.0 - dropout)
        for r in range(rows):
            row_key = _mix(key + GOLDEN * (np.uint64(order[begin + r]) + np.uint64(1)))
            line = place + r * stride
            for j in range(units):
                bits = _mix(row_key + GOLDEN * (np.uint64(j) + np.uint64(1)))
                uniform = np.float64(bits >> np.uint64(11)) * 2.0**-53
                work[line + j] = 0.0 if uniform < dropout else kept
