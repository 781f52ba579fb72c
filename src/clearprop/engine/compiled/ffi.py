"""Calls of small compiled kernels by their address, so that the epoch loop is compiled once for all of them.

A kernel is a C function, given as an int64. An argument that points into an array is given as a pointer to the start of
the array and a place in it. With Numba's compiler switched off an "address" is the number of a plain Python function,
which gets views that start there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import inner

_plain: list[Callable[..., None]] = []


def register(function: Callable[..., None]) -> int:
    """The number that stands for a plain Python kernel while the compiler is switched off."""
    _plain.append(function)
    return len(_plain) - 1


def _plain_call(pattern: str, address: int, arguments: tuple[Any, ...]) -> None:
    """`pattern` has a letter per argument of the kernel: p start and place, n and r a whole and a real number."""
    left = iter(arguments)
    _plain[address](*[next(left)[next(left) :] if letter == "p" else next(left) for letter in pattern])


def _caller(pattern: str) -> Any:
    """Signature and code of a call whose kernel takes arguments by `pattern`."""

    def signature(arguments: tuple[Any, ...]) -> Any:
        wanted, remaining = [], iter(arguments)
        for letter in pattern:
            given = next(remaining)
            wanted.append(given if letter == "p" else types.float64 if letter == "r" else types.intp)
            if letter == "p":
                next(remaining)
                wanted.append(types.intp)
        return types.void(types.intp, *wanted)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, place = [], 1
        for letter in pattern:
            value = args[place]
            if letter == "p":
                value = builder.gep(value, [args[place + 1]])
            values.append(value)
            place += 2 if letter == "p" else 1
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return signature, codegen


FORWARD, PULLBACK, LOSS = "ppnnn", "pppnnn", "pppppppnnn"
PREPARE, UPDATE, SLOPE, VALUE = "rnrrp", "ppppnp", "ppn", "pnp"
MULTIPLY, MULTIPLY_TRANSPOSED, ADD_ROWS = "ppnnpnnnpnpn", "ppnnnpnnnpp", "ppnnpnpn"
MULTIPLY_SPARSE, TRANSPOSED_SPARSE, ADD_ROWS_SPARSE = "ppppnnpnnpnpn", "ppppnnnpnnp", "ppppnnpnpn"

if config.DISABLE_JIT:

    def call_forward(address: int, *arguments: Any) -> None:
        """Turn z into a = f(z)."""
        _plain_call(FORWARD, address, arguments)

    def call_pullback(address: int, *arguments: Any) -> None:
        """Turn the error signal into delta, in place."""
        _plain_call(PULLBACK, address, arguments)

    def call_loss(address: int, *arguments: Any) -> None:
        """Add the weighted losses to values, and write their delta."""
        _plain_call(LOSS, address, arguments)

    def call_prepare(address: int, *arguments: Any) -> None:
        """Compute what an update rule needs once per step."""
        _plain_call(PREPARE, address, arguments)

    def call_update(address: int, *arguments: Any) -> None:
        """Update a run of parameters in place."""
        _plain_call(UPDATE, address, arguments)

    def call_slope(address: int, *arguments: Any) -> None:
        """Add the slope of the penalties to g."""
        _plain_call(SLOPE, address, arguments)

    def call_value(address: int, *arguments: Any) -> None:
        """Add the penalties of a run of weights to a total."""
        _plain_call(VALUE, address, arguments)

    def call_multiply(address: int, *arguments: Any) -> None:
        """C = S + A W."""
        _plain_call(MULTIPLY, address, arguments)

    def call_multiply_transposed(address: int, *arguments: Any) -> None:
        """G = A^T D."""
        _plain_call(MULTIPLY_TRANSPOSED, address, arguments)

    def call_add_rows(address: int, *arguments: Any) -> None:
        """C = S + A."""
        _plain_call(ADD_ROWS, address, arguments)

    def call_multiply_sparse(address: int, *arguments: Any) -> None:
        """C = S + A W for rows of a sparse matrix."""
        _plain_call(MULTIPLY_SPARSE, address, arguments)

    def call_transposed_sparse(address: int, *arguments: Any) -> None:
        """G = A^T D for rows of a sparse matrix."""
        _plain_call(TRANSPOSED_SPARSE, address, arguments)

    def call_add_rows_sparse(address: int, *arguments: Any) -> None:
        """C = S + A for rows of a sparse matrix."""
        _plain_call(ADD_ROWS_SPARSE, address, arguments)

    def call_part(m: Any, address: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> None:
        """Call a part of the step by its address."""
        _plain[address](m, m.work, a, b, c, d, e)

else:

    @intrinsic
    def call_forward(typing_context, address, z, z_at, a, a_at, rows, units, stride):
        """Turn z into a = f(z)."""
        signature, codegen = _caller(FORWARD)
        return signature((z, z_at, a, a_at, rows, units, stride)), codegen

    @intrinsic
    def call_pullback(typing_context, address, z, z_at, a, a_at, error, error_at, rows, units, stride):
        """Turn the error signal into delta, in place."""
        signature, codegen = _caller(PULLBACK)
        return signature((z, z_at, a, a_at, error, error_at, rows, units, stride)), codegen

    @intrinsic
    def call_loss(
        typing_context, address, z, z_at, a, a_at, y, y_at, indices, indices_at,
        weights, weights_at, delta, delta_at, values, values_at, rows, units, stride,
    ):  # fmt: skip
        """Add the weighted losses to values, and write their delta."""
        signature, codegen = _caller(LOSS)
        pointers = (z, z_at, a, a_at, y, y_at, indices, indices_at, weights, weights_at, delta, delta_at)
        return signature((*pointers, values, values_at, rows, units, stride)), codegen

    @intrinsic
    def call_prepare(typing_context, address, rate, t, shrink, ridge, scalars, scalars_at):
        """Compute what an update rule needs once per step."""
        signature, codegen = _caller(PREPARE)
        return signature((rate, t, shrink, ridge, scalars, scalars_at)), codegen

    @intrinsic
    def call_update(typing_context, address, w, w_at, g, g_at, s0, s0_at, s1, s1_at, count, scalars, scalars_at):
        """Update a run of parameters in place."""
        signature, codegen = _caller(UPDATE)
        return signature((w, w_at, g, g_at, s0, s0_at, s1, s1_at, count, scalars, scalars_at)), codegen

    @intrinsic
    def call_slope(typing_context, address, w, w_at, g, g_at, count):
        """Add the slope of the penalties to g."""
        signature, codegen = _caller(SLOPE)
        return signature((w, w_at, g, g_at, count)), codegen

    @intrinsic
    def call_value(typing_context, address, w, w_at, count, total, total_at):
        """Add the penalties of a run of weights to a total."""
        signature, codegen = _caller(VALUE)
        return signature((w, w_at, count, total, total_at)), codegen

    @intrinsic
    def call_multiply(
        typing_context, address, a, a_at, offsets, offsets_at, rows, steps, W, W_at, columns, lanes, panel,
        start, start_at, start_row, c, c_at, c_row,
    ):  # fmt: skip
        """C = S + A W."""
        signature, codegen = _caller(MULTIPLY)
        factors = (a, a_at, offsets, offsets_at, rows, steps, W, W_at, columns, lanes, panel)
        return signature((*factors, start, start_at, start_row, c, c_at, c_row)), codegen

    @intrinsic
    def call_multiply_transposed(
        typing_context, address, a, a_at, offsets, offsets_at, samples, row, rows,
        delta, delta_at, delta_row, vectors, lanes, zeros, zeros_at, g, g_at,
    ):  # fmt: skip
        """G = A^T D."""
        signature, codegen = _caller(MULTIPLY_TRANSPOSED)
        factors = (a, a_at, offsets, offsets_at, samples, row, rows, delta, delta_at, delta_row, vectors, lanes)
        return signature((*factors, zeros, zeros_at, g, g_at)), codegen

    @intrinsic
    def call_add_rows(
        typing_context, address, a, a_at, offsets, offsets_at, rows, units, start, start_at, start_row, c, c_at, c_row
    ):
        """C = S + A."""
        signature, codegen = _caller(ADD_ROWS)
        return signature(
            (a, a_at, offsets, offsets_at, rows, units, start, start_at, start_row, c, c_at, c_row)
        ), codegen

    @intrinsic
    def call_multiply_sparse(
        typing_context, address, values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at,
        rows, steps, W, W_at, units, panel, start, start_at, start_row, c, c_at, c_row,
    ):  # fmt: skip
        """C = S + A W for rows of a sparse matrix."""
        signature, codegen = _caller(MULTIPLY_SPARSE)
        matrix = (values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at)
        return signature(
            (*matrix, rows, steps, W, W_at, units, panel, start, start_at, start_row, c, c_at, c_row)
        ), codegen

    @intrinsic
    def call_transposed_sparse(
        typing_context, address, values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at,
        samples, row, rows, delta, delta_at, delta_row, width, g, g_at,
    ):  # fmt: skip
        """G = A^T D for rows of a sparse matrix."""
        signature, codegen = _caller(TRANSPOSED_SPARSE)
        matrix = (values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at)
        return signature((*matrix, samples, row, rows, delta, delta_at, delta_row, width, g, g_at)), codegen

    @intrinsic
    def call_add_rows_sparse(
        typing_context, address, values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at,
        rows, units, start, start_at, start_row, c, c_at, c_row,
    ):  # fmt: skip
        """C = S + A for rows of a sparse matrix."""
        signature, codegen = _caller(ADD_ROWS_SPARSE)
        matrix = (values, values_at, columns, columns_at, starts, starts_at, chosen, chosen_at)
        return signature((*matrix, rows, units, start, start_at, start_row, c, c_at, c_row)), codegen

    @intrinsic
    def _call_part(typing_context, address, table, table_at, work, work_at, a, b, c, d, e):
        signature, codegen = _caller("ppnnnnn")
        return signature((table, table_at, work, work_at, a, b, c, d, e)), codegen

    @inner
    def call_part(m, address, a=0, b=0, c=0, d=0, e=0):
        """Call a part of the step by its address."""
        _call_part(address, m.table, 0, m.work, 0, a, b, c, d, e)
