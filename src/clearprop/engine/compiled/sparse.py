"""The products of a training step with rows of a sparse matrix, beside those of `products` with rows of a dense one.

A sparse matrix A is CSR: row r holds values[starts[r] : starts[r + 1]], in the columns at the same positions of
`columns`, in rising order. Its rows are not copied, and only stored entries are read. Every element of a result is
one chain of fused multiply-adds in that order, whatever the number of threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from clearprop.engine.compiled.builder import KINDS, Builder, Index
from clearprop.engine.compiled.machine import kernel
from clearprop.engine.compiled.vectors import TILE_VECTORS, VECTOR_BYTES, lanes_of

#: Rows of W whose gradient is computed and applied at once.
BLOCK = 2048


class SparseProduct(Builder):
    """A product of sparse rows in a precision."""

    def __init__(self, dtype: np.dtype) -> None:
        super().__init__(KINDS[dtype.name], VECTOR_BYTES)

    def entries(self, row: Index) -> tuple[Index, Index]:
        """Where the entries of a chosen row start and end."""
        chosen = self.whole("%chosen", row)
        return self.whole("%starts", chosen), self.whole("%starts", chosen + 1)

    def column(self, k: Index) -> Index:
        """The column of an entry."""
        return Index(self, self.emit(f"sext i32 {self.number('%columns', k, 'i32')} to i64"))

    def vectors(self, line: str, count: int) -> list[str]:
        """The addresses of `count` neighbouring vectors."""
        return [self.at(line, v * self.lanes) for v in range(count)]

    def first_entry(self, start: Index, end: Index, least: Index) -> Index:
        """The first entry of a row whose column is at least `least`."""
        low, high = self.slot("i64"), self.slot("i64")
        low.set(start)
        high.set(end)
        with self.repeat():
            left, right = Index(self, low.get()), Index(self, high.get())
            self.leave_if(left.compare("sge", right))
            middle = (left + right) // 2
            before = self.column(middle).compare("slt", least)
            low.set(self.choose(before, middle + 1, left))
            high.set(self.choose(before, right, middle))
        return Index(self, low.get())

    def multiply(self) -> str:
        """C = S + A W for the rows chosen[0], chosen[1], ... of A; W in panels, all else as in `products.Multiply`."""
        rows, steps, units = (self.index(name) for name in ("rows", "steps", "units"))
        panel = self.lanes * TILE_VECTORS
        sums = [self.slot(self.vector) for _ in range(TILE_VECTORS)]
        with self.loop(0, units, panel) as j:
            width = (units - j).at_most(panel)
            W = self.at("%W", j * steps)
            for count in self.switch(width // self.lanes, range(1, TILE_VECTORS + 1)):
                with self.loop(0, rows) as r:
                    c, start = (self.at(f"%{x}", r * self.index(f"{x}_row") + j) for x in ("c", "start"))
                    for total, address in zip(sums, self.vectors(start, count), strict=False):
                        total.set(self.load(address))
                    with self.loop(*self.entries(r)) as k:
                        x = self.spread(self.number("%values", k))
                        w = self.vectors(self.at(W, self.column(k) * width), count)
                        for total, address in zip(sums, w, strict=False):
                            total.set(self.fma(x, self.load(address), total.get()))
                    for total, address in zip(sums, self.vectors(c, count), strict=False):
                        self.store(address, total.get())
        return self.defined("multiply_sparse")

    def multiply_transposed(self) -> str:
        """G = A^T D, (rows, width) contiguous: rows `row` to `row + rows` of A^T, one panel of D."""
        row, rows, width = (self.index(name) for name in ("row", "rows", "width"))
        with self.loop(0, rows * width, self.lanes) as i:
            self.store(self.at("%g", i), "zeroinitializer")
        for count in self.switch(width // self.lanes, range(1, TILE_VECTORS + 1)):
            with self.loop(0, self.index("samples")) as s:
                start, end = self.entries(s)
                d = self.vectors(self.at("%delta", s * self.index("delta_row")), count)
                delta = [self.load(address) for address in d]
                with self.loop(self.first_entry(start, end, row), end) as k:
                    i = self.column(k) - row
                    self.leave_if(i.compare("sge", rows))
                    x = self.spread(self.number("%values", k))
                    for y, address in zip(delta, self.vectors(self.at("%g", i * width), count), strict=True):
                        self.store(address, self.fma(x, y, self.load(address)))
        return self.defined("multiply_transposed_sparse")

    def add_rows(self) -> str:
        """C = S + A: the product with the unit matrix."""
        with self.loop(0, self.index("rows")) as r:
            c, start = (self.at(f"%{x}", r * self.index(f"{x}_row")) for x in ("c", "start"))
            self.in_vectors(
                self.index("units"),
                lambda j, mask: self.store(self.at(c, j), self.load(self.at(start, j), mask=mask), mask=mask),
            )
            with self.loop(*self.entries(r)) as k:
                address = self.at(c, self.column(k))
                before = self.emit(f"load {self.kind}, ptr {address}")
                total = self.emit(f"fadd {self.kind} {before}, {self.number('%values', k)}")
                self.do(f"store {self.kind} {total}, ptr {address}")
        return self.defined("add_rows_sparse")


def multiply_sparse(values, columns, starts, chosen, rows, steps, W, units, start, start_row, c, c_row):
    """C = S + A W."""
    panel = lanes_of(W.dtype).panel
    for j in range(0, units, panel):
        width = min(panel, units - j)
        block = W[j * steps :][: steps * width].reshape(steps, width)
        for r in range(rows):
            entries = slice(starts[chosen[r]], starts[chosen[r] + 1])
            added = values[entries] @ block[columns[entries]]
            c[r * c_row + j :][:width] = start[r * start_row + j :][:width] + added


def multiply_transposed_sparse(values, columns, starts, chosen, samples, row, rows, delta, delta_row, width, g):
    """G = A^T D for some rows of A^T and one panel of D."""
    block = g[: rows * width].reshape(rows, width)
    block[...] = 0
    for s in range(samples):
        for k in range(starts[chosen[s]], starts[chosen[s] + 1]):
            if row <= columns[k] < row + rows:
                block[columns[k] - row] += values[k] * delta[s * delta_row :][:width]


def add_rows_sparse(values, columns, starts, chosen, rows, units, start, start_row, c, c_row):
    """C = S + A."""
    for r in range(rows):
        c[r * c_row :][:units] = start[r * start_row :][:units]
        for k in range(starts[chosen[r]], starts[chosen[r] + 1]):
            c[r * c_row + columns[k]] += values[k]


@cache
def sparse_kernels(dtype: np.dtype) -> tuple[int, int, int]:
    """Addresses of the three products in a precision."""
    return (
        kernel(multiply_sparse, lambda: SparseProduct(dtype).multiply()),
        kernel(multiply_transposed_sparse, lambda: SparseProduct(dtype).multiply_transposed()),
        kernel(add_rows_sparse, lambda: SparseProduct(dtype).add_rows()),
    )
