"""The vector registers of this machine, which determine the layout of weights and the size of tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.engine.compiled.numba_internals import processor

#: Bytes of a cache line. Kernels work on vectors of that size, and memory is allocated in lines.
LINE = 64
#: Rows of a tile: with TILE_VECTORS vectors each they fill the registers, and leave some for the operands.
TILE_ROWS = 6
#: Rows of a narrower tile, so that enough sums are computed at a time; more would need too many pointers.
NARROW_ROWS = 8


def _has(feature: str) -> bool:
    return f"+{feature}" in processor()[1].split(",")


#: 512-bit registers come with 32 names, 256- and 128-bit ones (AVX2, NEON) with 16 or 32.
VECTOR_BYTES = 64 if _has("avx512f") else 32 if _has("avx") else 16
TILE_VECTORS = 4 if VECTOR_BYTES == 64 else 2


@dataclass(frozen=True)
class Lanes:
    """How many numbers of a precision a vector holds, and the sizes that follow from it."""

    lanes: int

    @property
    def panel(self) -> int:
        """Columns of a full panel."""
        return self.lanes * TILE_VECTORS

    @property
    def portion(self) -> int:
        """Columns that only one thread works on: a panel, but at least the cache line that kernels write at a time."""
        return max(self.panel, self.lanes * LINE // VECTOR_BYTES)

    @property
    def block(self) -> int:
        """Rows of W whose gradient is computed and applied at once: a multiple of TILE_ROWS and of `panel`."""
        return int(np.lcm(TILE_ROWS, self.panel))

    def padded(self, units: int) -> int:
        """Columns including padding, a whole number of vectors."""
        return -(-units // self.lanes) * self.lanes


def lanes_of(dtype: np.dtype) -> Lanes:
    """The lanes of float32 or float64 on this machine."""
    return Lanes(VECTOR_BYTES // np.dtype(dtype).itemsize)
