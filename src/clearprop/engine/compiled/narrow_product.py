"""The product C = S + A W for a W of few columns: a vector holds one column of C for as many rows as it has lanes.

The tile of `tile` loads one number of each row of A at a time, which is what a product with few columns waits for.
Here vectors of A are loaded and transposed in registers, and each column of A meets every number of a row of W in turn.
Every number of C is the same chain of fused multiply-adds in the same order, so no bit differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numba.core import config

from clearprop.engine.compiled.builder import LINE, Emitter
from clearprop.engine.compiled.machine import compile_function
from clearprop.engine.compiled.narrow_kernels import BLOCKS
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.vectors import VECTOR_BYTES
from clearprop.symbolic.graph import Graph

#: Vectors that hold columns of A and sums at a time: a few are left for the operands.
REGISTERS = 30
#: The part of its vectors that a row of W may fill, and the least vectors along a row of A, for this to be quicker
#: (where the processor has registers for it).
WORTH_TURNING, LEAST = 0.75, 2

_ARGUMENTS = (
    "ptr %a, ptr %offsets, i64 %rows, i64 %steps, ptr %W, i64 %columns, i64 %lanes, i64 %panel, "
    "ptr %start, i64 %start_row, ptr %c, i64 %c_row"
)


class NarrowProduct(Emitter):
    """`products.multiply` for a W of `units` real columns in one panel, with one row of S for all.

    Zeros are written behind the real columns.
    """

    def __init__(self, dtype: np.dtype, units: int) -> None:
        super().__init__(Graph(dtype, {}))
        self.units, self.vector = units, self.type(self.kind)
        self.fma = self.declare(f"llvm.fma.v{self.lanes}f{8 * dtype.itemsize}", self.vector, [self.vector] * 3)

    def text(self) -> str:
        """The LLVM text."""
        groups = max(1, min(2, REGISTERS // (self.lanes + self.units)))
        together = groups * self.lanes
        whole = self.emit(f"mul i64 {self.emit(f'sdiv i64 %rows, {together}')}, {together}")
        self.whole_steps = self.emit(f"mul i64 {self.emit(f'sdiv i64 %steps, {self.lanes}')}, {self.lanes}")
        self.rest = self.emit(f"sub i64 %steps, {self.whole_steps}")
        self.rest_mask = self.first_lanes(self.rest)
        with self.counting("n", whole, together) as first:
            self._groups(first, groups)
        with self.counting("n", self.emit(f"sub i64 %rows, {whole}"), self.lanes) as further:
            self._groups(self.emit(f"add i64 {whole}, {further}"), 1)
        slots = [f"  %{counter} = alloca i64" for counter in ("n", "k", "i", "r")]
        slots += [f"  %sum{i} = alloca {self.vector}" for i in range(groups * self.units)]
        slots.append(f"  %here = alloca [{self.lanes} x {self.vector}]")
        return self.defined(_ARGUMENTS, slots)

    def _groups(self, first: str, groups: int) -> None:
        """So many groups of rows from `first` on; where it is one it may be cut short by the last row."""
        lines = [[self._row_of_a(first, g * self.lanes + r) for r in range(self.lanes)] for g in range(groups)]
        for j in range(self.units):
            start = self.spread(self._number("start", str(j)), self.kind)
            for g in range(groups):
                self.do(f"store {self.vector} {start}, ptr {self._sum(g, j)}")
        with self.counting("k", self.whole_steps, self.lanes) as k:
            columns = [self.transposed([self.load(self._at(line, k), self.kind) for line in group]) for group in lines]
            for i, several in enumerate(zip(*columns, strict=True)):
                self._add_step(several, self.emit(f"add i64 {k}, {i}"))
        for g in range(groups):
            rows = [self.load(self._at(line, self.whole_steps), self.kind, self.rest_mask) for line in lines[g]]
            for i, column in enumerate(self.transposed(rows)):
                self.do(f"store {self.vector} {column}, ptr {self._here(str(i))}")
            with self.counting("i", self.rest, 1) as i:
                column = self.emit(f"load {self.vector}, ptr {self._here(i)}")
                self._add_step([column], self.emit(f"add i64 {self.whole_steps}, {i}"), g)
        for g in range(groups):
            self._write(g, self.emit(f"add i64 {first}, {g * self.lanes}"))

    def _add_step(self, columns: Sequence[str], step: str, first: int = 0) -> None:
        """Add a column of A times a row of W to the sums of groups from `first` on."""
        row = self.emit(f"mul i64 {step}, %columns")
        for j in range(self.units):
            weight = self.spread(self._number("W", self.emit(f"add i64 {row}, {j}")), self.kind)
            for g, column in enumerate(columns, first):
                before = self.emit(f"load {self.vector}, ptr {self._sum(g, j)}")
                factors = ", ".join(f"{self.vector} {x}" for x in (column, weight, before))
                total = self.emit(f"call {self.vector} {self.fma}({factors})")
                self.do(f"store {self.vector} {total}, ptr {self._sum(g, j)}")

    def _write(self, g: int, first: str) -> None:
        """The sums of a group as rows of C."""
        left = self.emit(f"sub i64 %rows, {first}")
        few = self.emit(f"icmp slt i64 {left}, {self.lanes}")
        count = self.emit(f"select i1 {few}, i64 {left}, i64 {self.lanes}")
        for block in range(0, self.units, self.lanes):
            sums = [
                self.emit(f"load {self.vector}, ptr {self._sum(g, j)}") if j < self.units else "zeroinitializer"
                for j in range(block, block + self.lanes)
            ]
            for r, row in enumerate(self.transposed(sums)):
                self.do(f"store {self.vector} {row}, ptr {self._here(str(r))}")
            with self.counting("r", count, 1) as r:
                row = self.emit(f"load {self.vector}, ptr {self._here(r)}")
                line = self.emit(f"mul i64 {self.emit(f'add i64 {first}, {r}')}, %c_row")
                self.store(self._at("%c", self.emit(f"add i64 {line}, {block}")), row, self.kind)

    def _row_of_a(self, first: str, further: int) -> str:
        """Where a row of A is; one behind the last is the first of its group again."""
        row = self.emit(f"add i64 {first}, {further}")
        row = self.emit(f"select i1 {self.emit(f'icmp slt i64 {row}, %rows')}, i64 {row}, i64 {first}")
        return self._at("%a", self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr %offsets, i64 {row}')}"))

    def _sum(self, g: int, j: int) -> str:
        return f"%sum{g * self.units + j}"

    def _at(self, pointer: str, place: str) -> str:
        return self.emit(f"getelementptr {self.kind}, ptr {pointer}, i64 {place}")

    def _here(self, place: str) -> str:
        return self.emit(f"getelementptr {self.vector}, ptr %here, i64 {place}")

    def _number(self, pointer: str, place: str) -> str:
        return self.emit(f"load {self.kind}, ptr {self._at(f'%{pointer}', place)}")


@cache
def multiply_kernel(dtype: np.dtype, steps: int, units: int) -> int:
    """The address of `multiply` for one row of S, a whole group of rows and a W (steps, units): the quicker one."""
    lanes = LINE // dtype.itemsize
    narrow = units <= min(BLOCKS, WORTH_TURNING * -(-units // lanes)) * lanes and steps >= LEAST * lanes
    if config.DISABLE_JIT or VECTOR_BYTES < LINE or not narrow:
        return product_kernels(dtype)[0]
    return compile_function(NarrowProduct(dtype, units).text())
