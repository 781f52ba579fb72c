"""The products of a training step with rows of a sparse matrix, beside those of `products` with rows of a dense one.

A sparse matrix A is CSR: row r holds values[starts[r] : starts[r + 1]], in the columns `columns` of the same places, in
rising order. Its rows are read where they lie, and no number of A is read that is 0 because it is not there. Every
element of a result is one chain of fused multiply-adds in that order, whatever the number of threads.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import config
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import address, inner
from clearprop.engine.compiled.ffi import register
from clearprop.engine.compiled.vectors import VECTOR_BYTES

#: Rows of W whose gradient is made and consumed at once.
BLOCK = 2048


if config.DISABLE_JIT:

    def add_multiple(c, c_at, x, w, w_at, count):
        """C += x w for `count` numbers, whole vectors."""
        c[c_at : c_at + count] += x * w[w_at : w_at + count]

else:

    @intrinsic
    def add_multiple(typing_context, c, c_at, x, w, w_at, count):
        """C += x w for `count` numbers, whole vectors."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            c, c_at, x, w, w_at, count = args
            item = signature.args[0].dtype.bitwidth // 8
            lanes = VECTOR_BYTES // item
            vector, index = ir.VectorType(x.type, lanes), count.type
            name = f"llvm.fma.v{lanes}f{item * 8}"
            module = builder.module
            fma = module.globals.get(name) or ir.Function(module, ir.FunctionType(vector, [vector] * 3), name)
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            spread = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)
            to, source = builder.gep(c, [c_at]), builder.gep(w, [w_at])
            before, loop, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            place = builder.phi(index)
            place.add_incoming(ir.Constant(index, 0), before)
            here, there = (builder.bitcast(builder.gep(p, [place]), vector.as_pointer()) for p in (to, source))
            product = builder.call(fma, [spread, builder.load(there, align=item), builder.load(here, align=item)])
            builder.store(product, here, align=item)
            following = builder.add(place, ir.Constant(index, lanes))
            place.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(c, types.intp, c.dtype, w, types.intp, types.intp), codegen


@inner
def first_place(columns, start, end, least):
    """The first place of a row whose column is at least `least`."""
    while start < end:
        middle = (start + end) // 2
        if columns[middle] < least:
            start = middle + 1
        else:
            end = middle
    return start


def multiply_sparse(values, columns, starts, chosen, rows, steps, W, units, panel, start, start_row, c, c_row):
    """C = S + A W for the rows chosen[0], chosen[1], ... of A; W in panels, all else as in `products.multiply`."""
    for j in range(0, units, panel):
        width = min(panel, units - j)
        for r in range(rows):
            line = r * c_row + j
            for v in range(width):
                c[line + v] = start[r * start_row + j + v]
            for k in range(starts[chosen[r]], starts[chosen[r] + 1]):
                add_multiple(c, line, values[k], W, j * steps + columns[k] * width, width)


def multiply_transposed_sparse(values, columns, starts, chosen, samples, row, rows, delta, delta_row, width, g):
    """G = A^T D, (rows, width) contiguous: rows `row` to `row + rows` of A^T, one panel of D."""
    for i in range(rows * width):
        g[i] = 0
    for s in range(samples):
        end = starts[chosen[s] + 1]
        k = first_place(columns, starts[chosen[s]], end, row)
        while k < end and columns[k] < row + rows:
            add_multiple(g, (columns[k] - row) * width, values[k], delta, s * delta_row, width)
            k += 1


def add_rows_sparse(values, columns, starts, chosen, rows, units, start, start_row, c, c_row):
    """C = S + A: the product with the unit matrix."""
    for r in range(rows):
        for j in range(units):
            c[r * c_row + j] = start[r * start_row + j]
        for k in range(starts[chosen[r]], starts[chosen[r] + 1]):
            c[r * c_row + columns[k]] += values[k]


@cache
def sparse_kernels(dtype: np.dtype) -> tuple[int, int, int]:
    """Addresses of the three products in a precision."""
    functions = (multiply_sparse, multiply_transposed_sparse, add_rows_sparse)
    if config.DISABLE_JIT:
        along, down, identity = map(register, functions)
        return along, down, identity
    n, real = types.intp, types.CPointer(from_dtype(dtype))
    matrix = (real, types.CPointer(types.int32), types.CPointer(types.int64), types.CPointer(types.int64))
    signatures = (
        types.void(*matrix, n, n, real, n, n, real, n, real, n),
        types.void(*matrix, n, n, n, real, n, n, real),
        types.void(*matrix, n, n, real, n, real, n),
    )
    along, down, identity = (address(f, signature) for f, signature in zip(functions, signatures, strict=True))
    return along, down, identity
