"""The register tile: a block of C = S + A B stays in vector registers while the shared dimension is swept once.

Each step loads one row of B (a few vectors) and multiplies it by one number of each row of A, so a tile of 6 rows and 2
vectors (4 with 512-bit registers) does 12 (24) fused multiply-adds for 8 (10) loads, as much as the machine can do.
At the edge of a matrix tiles are narrower, and 8 rows high.
Rows of A are found through `offsets`, so a batch is read straight from where it lies. S, the start, has a row stride of
its own: stride 0 spreads one row (a bias, or zeros), the stride of C adds to C.

Every element of C is one chain of fused multiply-adds in the order of the shared dimension, whatever tile it is in, so
results do not depend on how a product is cut into tiles or shared out to threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from clearprop.engine.compiled.vectors import NARROW_ROWS, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES

_INDEX = ir.IntType(64)


class _Emitter:
    """Writes the LLVM code of the tiles of one product."""

    def __init__(self, builder: Any, signature: Any, args: Any, *, sweep_down: bool) -> None:
        self.builder, self.sweep_down = builder, sweep_down
        item = signature.args[2]
        self.scalar = args[2].type.pointee
        self.bytes = item.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(self.scalar, self.lanes)

        self.rows, self.vectors = args[0], args[1]
        self.a = builder.gep(args[2], [args[5]])
        self.offsets = builder.gep(args[3], [args[4]])
        self.b, self.b_row = builder.gep(args[6], [args[7]]), args[8]
        self.start, self.start_row = builder.gep(args[9], [args[10]]), args[11]
        self.c, self.c_row = builder.gep(args[12], [args[13]]), args[14]
        self.steps = args[15]

    def number(self, value: int) -> Any:
        return ir.Constant(_INDEX, value)

    def fma(self) -> Any:
        name = f"llvm.fma.v{self.lanes}f{self.bytes * 8}"
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(self.vector, [self.vector] * 3), name)

    def vectors_at(self, line: Any, count: int) -> list[Any]:
        """Pointers to `count` vectors from `line` on."""
        return [
            self.builder.bitcast(self.builder.gep(line, [self.number(v * self.lanes)]), self.vector.as_pointer())
            for v in range(count)
        ]

    def load(self, pointer: Any) -> Any:
        loaded = self.builder.load(pointer)
        loaded.align = self.bytes
        return loaded

    def line(self, base: Any, row_stride: Any, row: int) -> Any:
        return self.builder.gep(base, [self.builder.mul(row_stride, self.number(row))])

    def spread(self, element: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        first = self.builder.insert_element(undefined, element, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, undefined, zeros)

    def a_rows(self, rows: int) -> list[Any]:
        """Pointers to the rows of A where the sweep goes along them."""
        builder = self.builder
        places = [builder.gep(self.offsets, [self.number(r)]) for r in range(rows)]
        return [builder.gep(self.a, [builder.load(place)]) for place in places]

    def a_elements(self, lines: list[Any], step: Any, rows: int) -> list[Any]:
        """The number of each row of A that belongs to this step."""
        builder = self.builder
        if self.sweep_down:  # A is read transposed: a step takes neighbours from the row `step`
            line = builder.gep(self.a, [builder.load(builder.gep(self.offsets, [step]))])
            return [builder.load(builder.gep(line, [self.number(r)])) for r in range(rows)]
        return [builder.load(builder.gep(line, [step])) for line in lines]

    def tile(self, rows: int, vectors: int, end: Any) -> None:
        """One tile of fixed size, at the end of which the code goes on at `end`."""
        builder = self.builder
        lines = [] if self.sweep_down else self.a_rows(rows)
        starts = [
            [self.load(pointer) for pointer in self.vectors_at(self.line(self.start, self.start_row, r), vectors)]
            for r in range(rows)
        ]
        before, loop, done = builder.block, builder.append_basic_block("sweep"), builder.append_basic_block("store")
        builder.cbranch(builder.icmp_signed("<", self.number(0), self.steps), loop, done)

        builder.position_at_end(loop)
        step = builder.phi(_INDEX)
        sums = [[builder.phi(self.vector) for _ in range(vectors)] for _ in range(rows)]
        b_line = builder.gep(self.b, [builder.mul(step, self.b_row)])
        b = [self.load(pointer) for pointer in self.vectors_at(b_line, vectors)]
        fma, following = self.fma(), []
        for element, row in zip(self.a_elements(lines, step, rows), sums, strict=True):
            spread = self.spread(element)
            following.append([builder.call(fma, [spread, bv, total]) for bv, total in zip(b, row, strict=True)])
        next_step = builder.add(step, self.number(1))
        step.add_incoming(self.number(0), before)
        step.add_incoming(next_step, loop)
        for r in range(rows):
            for v in range(vectors):
                sums[r][v].add_incoming(starts[r][v], before)
                sums[r][v].add_incoming(following[r][v], loop)
        builder.cbranch(builder.icmp_signed("<", next_step, self.steps), loop, done)

        builder.position_at_end(done)
        results = [[builder.phi(self.vector) for _ in range(vectors)] for _ in range(rows)]
        for r in range(rows):
            pointers = self.vectors_at(self.line(self.c, self.c_row, r), vectors)
            for v, result in enumerate(results[r]):
                result.add_incoming(starts[r][v], before)
                result.add_incoming(following[r][v], loop)
                builder.store(result, pointers[v]).align = self.bytes
        builder.branch(end)

    def all_tiles(self) -> None:
        """A switch over every size of tile."""
        builder = self.builder
        end, wrong = builder.append_basic_block("tiled"), builder.append_basic_block("no_such_tile")
        chosen = builder.add(builder.mul(self.rows, self.number(TILE_VECTORS + 1)), self.vectors)
        switch = builder.switch(chosen, wrong)
        for vectors in range(1, TILE_VECTORS + 1):
            for rows in range(1, (TILE_ROWS if vectors == TILE_VECTORS else NARROW_ROWS) + 1):
                block = builder.append_basic_block(f"tile_{rows}x{vectors}")
                switch.add_case(self.number(rows * (TILE_VECTORS + 1) + vectors), block)
                builder.position_at_end(block)
                self.tile(rows, vectors, end)
        builder.position_at_end(wrong)
        builder.unreachable()
        builder.position_at_end(end)


def _signature(item: Any, offsets: Any) -> Any:
    n = types.intp
    return types.void(n, n, item, offsets, n, n, item, n, n, item, n, n, item, n, n, n)


if config.DISABLE_JIT:

    def _plain_tile(a_block, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, width):
        """C = S + A B with A (rows, steps) at hand, one step of the sweep at a time as the registers do it."""
        for r in range(len(a_block)):
            total = start[start_at + r * start_row :][:width].copy()
            for step, element in enumerate(a_block[r]):
                total += element * b[b_at + step * b_row :][:width]
            c[c_at + r * c_row :][:width] = total

    def tile_along(
        rows, vectors, a, offsets, offset, at, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, steps
    ):
        """C = S + A B, row r of A at a[offsets[offset + r] + at :]."""
        block = np.stack([a[offsets[offset + r] + at :][:steps] for r in range(rows)])
        width = vectors * VECTOR_BYTES // a.itemsize
        _plain_tile(block, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, width)

    def tile_down(
        rows, vectors, a, offsets, offset, at, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, steps
    ):
        """C = S + A^T B, row s of A (a step of the sweep) at a[offsets[offset + s] + at :]."""
        block = np.stack([a[offsets[offset + s] + at :][:rows] for s in range(steps)], axis=1)
        width = vectors * VECTOR_BYTES // a.itemsize
        _plain_tile(block, b, b_at, b_row, start, start_at, start_row, c, c_at, c_row, width)

else:

    @intrinsic
    def tile_along(
        typing_context,
        rows,
        vectors,
        a,
        offsets,
        offset,
        at,
        b,
        b_at,
        b_row,
        start,
        start_at,
        start_row,
        c,
        c_at,
        c_row,
        steps,
    ):
        """C = S + A B, row r of A at a[offsets[offset + r] + at :]."""

        def codegen(context, builder, signature, args):
            _Emitter(builder, signature, args, sweep_down=False).all_tiles()
            return context.get_dummy_value()

        return _signature(a, offsets), codegen

    @intrinsic
    def tile_down(
        typing_context,
        rows,
        vectors,
        a,
        offsets,
        offset,
        at,
        b,
        b_at,
        b_row,
        start,
        start_at,
        start_row,
        c,
        c_at,
        c_row,
        steps,
    ):
        """C = S + A^T B, row s of A (a step of the sweep) at a[offsets[offset + s] + at :]."""

        def codegen(context, builder, signature, args):
            _Emitter(builder, signature, args, sweep_down=True).all_tiles()
            return context.get_dummy_value()

        return _signature(a, offsets), codegen
