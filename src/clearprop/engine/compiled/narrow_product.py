"""The product C = S + A W for a W of few columns: a vector holds one column of C for as many rows as it has lanes.

The tile of `products` loads one number of each row of A at a time, and these loads limit a product with few columns.
Here vectors of A are loaded and transposed in registers, and each column of A is multiplied by every number of a row of
W in turn. Every element of C is the same chain of fused multiply-adds in the same order, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from clearprop.engine.compiled.builder import KINDS, Builder, Index
from clearprop.engine.compiled.machine import compile_function
from clearprop.engine.compiled.narrow_kernels import BLOCKS
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.vectors import LINE, VECTOR_BYTES

#: Vectors that hold columns of A and sums at a time: a few are left for the operands.
REGISTERS = 30
#: The part of its vectors that a row of W may fill, and the least vectors along a row of A, for this to be faster
#: (where the processor has registers for it).
WORTH_TRANSPOSING, LEAST = 0.75, 2


class NarrowProduct(Builder):
    """`products.Multiply` for a W of `units` real columns in one panel, with one row of S for all.

    Zeros are written behind the real columns.
    """

    def __init__(self, dtype: np.dtype, units: int) -> None:
        super().__init__(KINDS[dtype.name])
        self.units = units
        self.groups = max(1, min(2, REGISTERS // (self.lanes + units)))  # of rows, at a time
        self.sums = [[self.slot(self.vector) for _ in range(units)] for _ in range(self.groups)]
        self.here = self.slot(f"[{self.lanes} x {self.vector}]").name

    def text(self) -> str:
        """The LLVM text."""
        together = self.groups * self.lanes
        rows, steps = self.index("rows"), self.index("steps")
        whole = rows // together * together
        self.whole_steps = steps // self.lanes * self.lanes
        self.rest = steps - self.whole_steps
        self.rest_mask = self.first_lanes(self.rest)
        with self.loop(0, whole, together) as first:
            self._groups(first, self.groups)
        with self.loop(whole, rows, self.lanes) as first:
            self._groups(first, 1)
        return self.defined("multiply")

    def _groups(self, first: Index, groups: int) -> None:
        """So many groups of rows from `first` on; a single one may be cut short by the last row."""
        lines = [[self._row_of_a(first, g * self.lanes + r) for r in range(self.lanes)] for g in range(groups)]
        for j in range(self.units):
            start = self.spread(self.number("%start", j))
            for g in range(groups):
                self.sums[g][j].set(start)
        with self.loop(0, self.whole_steps, self.lanes) as k:
            columns = [self.transposed([self.load(self.at(line, k)) for line in group]) for group in lines]
            for i, several in enumerate(zip(*columns, strict=True)):
                self._add_step(several, k + i)
        for g in range(groups):
            rows = [self.load(self.at(line, self.whole_steps), mask=self.rest_mask) for line in lines[g]]
            self._put_here(self.transposed(rows))
            with self.loop(0, self.rest) as i:
                self._add_step([self._get_here(i)], self.whole_steps + i, g)
        for g in range(groups):
            self._write(g, first + g * self.lanes)

    def _add_step(self, columns: Sequence[str], step: Index, first: int = 0) -> None:
        """Add a column of A times a row of W to the sums of groups from `first` on."""
        row = step * self.index("columns")
        for j in range(self.units):
            weight = self.spread(self.number("%W", row + j))
            for column, sums in zip(columns, self.sums[first:], strict=False):
                sums[j].set(self.fma(column, weight, sums[j].get()))

    def _write(self, g: int, first: Index) -> None:
        """The sums of a group as rows of C."""
        count = (self.index("rows") - first).at_most(self.lanes)
        for block in range(0, self.units, self.lanes):
            sums = [total.get() for total in self.sums[g][block : block + self.lanes]]
            self._put_here(self.transposed(sums + ["zeroinitializer"] * (self.lanes - len(sums))))
            with self.loop(0, count) as r:
                self.store(self.at("%c", (first + r) * self.index("c_row") + block), self._get_here(r))

    def _row_of_a(self, first: Index, further: int) -> str:
        """The address of a row of A; behind the last one it is the first of its group again."""
        row = first + further
        row = self.choose(row.compare("slt", self.index("rows")), row, first)
        return self.at("%a", self.whole("%offsets", row))

    def _put_here(self, vectors: Sequence[str]) -> None:
        for i, vector in enumerate(vectors):
            self.do(f"store {self.vector} {vector}, ptr {self.at(self.here, i, self.vector)}")

    def _get_here(self, i: Index) -> str:
        return self.emit(f"load {self.vector}, ptr {self.at(self.here, i, self.vector)}")


@cache
def multiply_kernel(dtype: np.dtype, steps: int, units: int) -> int:
    """The address of `multiply` for one row of S, a whole group of rows and a W (steps, units): the faster one."""
    lanes = LINE // dtype.itemsize
    narrow = units <= min(BLOCKS, WORTH_TRANSPOSING * -(-units // lanes)) * lanes and steps >= LEAST * lanes
    if PLAIN or VECTOR_BYTES < LINE or not narrow:
        return product_kernels(dtype)[0]
    return compile_function(NarrowProduct(dtype, units).text())
