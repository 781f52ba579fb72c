"""The dense matrix products of a training step, on weights stored in panels.

A matrix W (k rows, n columns) is stored as panels: `panel` columns at a time, each panel a contiguous (k, panel) block
(the last one narrower, n rounded up to whole vectors). So a sweep reads W contiguously, and the gradient of some rows
of a panel is contiguous as well, so that the update rule can use it directly. Rows of A are read through `offsets`, so
the rows of a batch are not copied. S, the start, has its own row stride: stride 0 repeats one row (a bias, or zeros).

The register tile: a block of C = S + A B stays in vector registers while the shared dimension is swept once. Each step
loads one row of B (a few vectors) and multiplies it by one number of each row of A, so a tile of 6 rows and 2 vectors
(4 with 512-bit registers) does 12 (24) fused multiply-adds for 8 (10) loads, as much as the machine can do. At the edge
of a matrix tiles are narrower, and 8 rows high.

Every element of C is one chain of fused multiply-adds in the order of the shared dimension, whatever tile it is in, so
results do not depend on how a product is cut into tiles or divided among threads. The plain functions beside the
kernels replace them while the compiler is switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from clearprop.engine.compiled.builder import KINDS, Builder, Index
from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.machine import kernel
from clearprop.engine.compiled.vectors import NARROW_ROWS, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, lanes_of

#: Steps of the shared dimension swept at a time, so that their part of a panel stays in the first-level cache.
SWEEP = 256


@dataclass(frozen=True)
class Matrix:
    """A row-major matrix in memory: its address and the distance of its rows."""

    address: str
    stride: Index


class Product(Builder):
    """A product in a precision, cut into register tiles."""

    def __init__(self, dtype: np.dtype) -> None:
        super().__init__(KINDS[dtype.name], VECTOR_BYTES)
        self.panel = self.lanes * TILE_VECTORS
        self.sums = [[self.slot(self.vector) for _ in range(TILE_VECTORS)] for _ in range(NARROW_ROWS)]

    def row(self, i: Index) -> str:
        """The address of row i of A."""
        return self.at("%a", self.whole("%offsets", i))

    def matrix(self, address: str, at: Index, stride: Index) -> Matrix:
        """The matrix that starts `at` elements behind an address."""
        return Matrix(self.at(address, at), stride)

    def tall(self, vectors: Index) -> Index:
        """The rows of a tile of so many vectors."""
        return self.choose(vectors.compare("eq", TILE_VECTORS), TILE_ROWS, NARROW_ROWS)

    def tiles(self, height: Index, vectors: Index, depth: Index, b: Matrix, start: Matrix, c: Matrix) -> None:
        """C = S + A B for `height` rows, `vectors` of columns and `depth` steps, by a tile of that size."""
        sizes = {v: TILE_ROWS if v == TILE_VECTORS else NARROW_ROWS for v in range(1, TILE_VECTORS + 1)}
        cases = [r * (TILE_VECTORS + 1) + v for v, most in sizes.items() for r in range(1, most + 1)]
        for case in self.switch(height * (TILE_VECTORS + 1) + vectors, cases):
            self._tile(*divmod(case, TILE_VECTORS + 1), depth, b, start, c)

    def _tile(self, rows: int, vectors: int, depth: Index, b: Matrix, start: Matrix, c: Matrix) -> None:
        numbers = self.numbers_of_a(rows)
        sums = [row[:vectors] for row in self.sums[:rows]]
        for r, row in enumerate(sums):
            for total, address in zip(row, self._vectors(start, r, vectors), strict=True):
                total.set(self.load(address))
        with self.loop(0, depth) as step:
            y = [self.load(address) for address in self._vectors(b, step, vectors)]
            for row, number in zip(sums, numbers(step), strict=True):
                x = self.spread(number)
                for total, vector in zip(row, y, strict=True):
                    total.set(self.fma(x, vector, total.get()))
        for r, row in enumerate(sums):
            for total, address in zip(row, self._vectors(c, r, vectors), strict=True):
                self.store(address, total.get())

    def _vectors(self, matrix: Matrix, row: Index | int, count: int) -> list[str]:
        """The addresses of the first vectors of a row."""
        line = self.at(matrix.address, matrix.stride * row)
        return [self.at(line, v * self.lanes) for v in range(count)]

    def numbers_of_a(self, rows: int) -> Callable[[Index], list[str]]:
        """What gives, for a step of the sweep, the number of each of `rows` rows of A that belongs to it."""
        raise NotImplementedError


class Multiply(Product):
    """C = S + A W; the columns of W are padded to whole vectors."""

    def text(self) -> str:
        """The LLVM text."""
        rows, steps, columns = (self.index(name) for name in ("rows", "steps", "columns"))
        start_row, c_row = self.index("start_row"), self.index("c_row")
        with self.loop(0, columns, self.panel) as j:
            width = (columns - j).at_most(self.panel)
            vectors = width // self.lanes
            tall = self.tall(vectors)
            with self.loop(0, steps, SWEEP) as self.k:
                first, depth = self.k.compare("eq", 0), (steps - self.k).at_most(SWEEP)
                W = self.matrix("%W", j * steps + self.k * width, width)
                origin, origin_row = self.choose_pointer(first, "%start", "%c"), self.choose(first, start_row, c_row)
                with self.loop(0, rows, tall) as self.i:
                    start = self.matrix(origin, self.i * origin_row + j, origin_row)
                    c = self.matrix("%c", self.i * c_row + j, c_row)
                    self.tiles((rows - self.i).at_most(tall), vectors, depth, W, start, c)
        return self.defined("multiply")

    def numbers_of_a(self, rows: int) -> Callable[[Index], list[str]]:
        lines = [self.at(self.row(self.i + r), self.k) for r in range(rows)]
        return lambda step: [self.number(line, step) for line in lines]


class MultiplyTransposed(Product):
    """G = A^T D, (rows, width) contiguous: rows `row` to `row + rows` of A^T, one panel of D.

    Sample s of A is at offsets[s], of D at s * delta_row.
    """

    def text(self) -> str:
        """The LLVM text."""
        rows, samples, width, delta_row = (self.index(name) for name in ("rows", "samples", "width", "delta_row"))
        vectors = width // self.lanes
        tall = self.tall(vectors)
        with self.loop(0, samples, SWEEP) as self.s:
            first, depth = self.s.compare("eq", 0), (samples - self.s).at_most(SWEEP)
            delta = self.matrix("%delta", self.s * delta_row, delta_row)
            origin, origin_row = self.choose_pointer(first, "%zeros", "%g"), self.choose(first, 0, width)
            with self.loop(0, rows, tall) as self.i:
                start = self.matrix(origin, self.i * origin_row, origin_row)
                g = self.matrix("%g", self.i * width, width)
                self.tiles((rows - self.i).at_most(tall), vectors, depth, delta, start, g)
        return self.defined("multiply_transposed")

    def numbers_of_a(self, rows: int) -> Callable[[Index], list[str]]:
        first = self.index("row") + self.i

        def numbers(step: Index) -> list[str]:
            line = self.at(self.row(self.s + step), first)
            return [self.number(line, r) for r in range(rows)]

        return numbers


class AddRows(Builder):
    """C = S + A: the product with the unit matrix."""

    def text(self) -> str:
        """The LLVM text."""
        with self.loop(0, self.index("rows")) as r:
            row = self.at("%a", self.whole("%offsets", r))
            start, c = (self.at(f"%{x}", r * self.index(f"{x}_row")) for x in ("start", "c"))

            def add(j: Index, mask: str) -> None:
                x, y = (self.load(self.at(address, j), mask=mask) for address in (start, row))
                self.store(self.at(c, j), self.combine("sum", x, y), mask=mask)

            self.in_vectors(self.index("units"), add)
        return self.defined("add_rows")


def multiply(a, offsets, rows, steps, W, columns, start, start_row, c, c_row):
    """C = S + A W."""
    panel = lanes_of(W.dtype).panel
    for j in range(0, columns, panel):
        width = min(panel, columns - j)
        block = W[j * steps :][: steps * width].reshape(steps, width)
        for r in range(rows):
            c[r * c_row + j :][:width] = start[r * start_row + j :][:width] + a[offsets[r] :][:steps] @ block


def multiply_transposed(a, offsets, samples, row, rows, delta, delta_row, width, zeros, g):
    """G = A^T D for some rows of A^T and one panel of D."""
    block = np.stack([a[offsets[s] + row :][:rows] for s in range(samples)])
    g[: rows * width] = (block.T @ np.stack([delta[s * delta_row :][:width] for s in range(samples)])).ravel()


def add_rows(a, offsets, rows, units, start, start_row, c, c_row):
    """C = S + A."""
    for r in range(rows):
        c[r * c_row :][:units] = start[r * start_row :][:units] + a[offsets[r] :][:units]


@cache
def product_kernels(dtype: np.dtype) -> tuple[int, int, int]:
    """Addresses of `multiply`, `multiply_transposed` and `add_rows` in a precision."""
    return (
        kernel(multiply, lambda: Multiply(dtype).text()),
        kernel(multiply_transposed, lambda: MultiplyTransposed(dtype).text()),
        kernel(add_rows, lambda: AddRows(KINDS[dtype.name]).text()),
    )


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
