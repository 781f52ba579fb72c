"""Calls of small compiled kernels by their address, so that the epoch loop is compiled once for all of them.

A kernel is a C function, given as an int64. Arguments that point into an array are an array and a place in it. With
Numba's compiler switched off an "address" is the number of a plain Python function, which gets views that start there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

_plain: list[Callable[..., None]] = []


def register(function: Callable[..., None]) -> int:
    """The number that stands for a plain Python kernel while the compiler is switched off."""
    _plain.append(function)
    return len(_plain) - 1


def _emit(context: Any, builder: Any, signature: Any, args: Any, pointers: int) -> Any:
    """Call args[0] as a C function of `pointers` (array, place) pairs followed by numbers."""
    values = []
    for pair in range(pointers):
        array, place = 1 + 2 * pair, 2 + 2 * pair
        data = context.make_array(signature.args[array])(context, builder, args[array]).data
        values.append(builder.gep(data, [args[place]]))
    values += args[1 + 2 * pointers :]
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
    return context.get_dummy_value()


def _views(arguments: tuple[Any, ...], pointers: int) -> list[Any]:
    pairs = [arguments[2 * p][arguments[2 * p + 1] :] for p in range(pointers)]
    return [*pairs, *arguments[2 * pointers :]]


n, real = types.intp, types.float64

if config.DISABLE_JIT:

    def call_forward(address: int, *arguments: Any) -> None:
        """Turn z into a = f(z): (z, at, a, at, rows, units, stride)."""
        _plain[address](*_views(arguments, 2))

    def call_pullback(address: int, *arguments: Any) -> None:
        """Turn the error signal into delta, in place: (z, at, a, at, error, at, rows, units, stride)."""
        _plain[address](*_views(arguments, 3))

    def call_loss(address: int, *arguments: Any) -> None:
        """Loss and delta: (z, at, a, at, y, at, indices, at, weights, at, delta, at, values, at, rows, units, stride)."""
        _plain[address](*_views(arguments, 7))

    def call_optimizer(address: int, *arguments: Any) -> None:
        """Update a run of parameters: (w, at, g, at, slot0, at, slot1, at, count, rate, t, shrink)."""
        _plain[address](*_views(arguments, 4))

    def call_penalty(address: int, *arguments: Any) -> None:
        """Add the slope of a penalty to g: (w, at, g, at, count)."""
        _plain[address](*_views(arguments, 2))

else:

    @intrinsic
    def call_forward(typing_context, address, z, z_at, a, a_at, rows, units, stride):
        """Turn z into a = f(z)."""

        def codegen(context, builder, signature, args):
            return _emit(context, builder, signature, args, 2)

        return types.void(n, z, n, a, n, n, n, n), codegen

    @intrinsic
    def call_pullback(typing_context, address, z, z_at, a, a_at, error, error_at, rows, units, stride):
        """Turn the error signal into delta, in place."""

        def codegen(context, builder, signature, args):
            return _emit(context, builder, signature, args, 3)

        return types.void(n, z, n, a, n, error, n, n, n, n), codegen

    @intrinsic
    def call_loss(
        typing_context, address, z, z_at, a, a_at, y, y_at, indices, indices_at,
        weights, weights_at, delta, delta_at, values, values_at, rows, units, stride,
    ):  # fmt: skip
        """Add the weighted losses to values, and write their delta."""

        def codegen(context, builder, signature, args):
            return _emit(context, builder, signature, args, 7)

        pointers = (z, n, a, n, y, n, indices, n, weights, n, delta, n, values, n)
        return types.void(n, *pointers, n, n, n), codegen

    @intrinsic
    def call_optimizer(typing_context, address, w, w_at, g, g_at, s0, s0_at, s1, s1_at, count, rate, t, shrink):
        """Update a run of parameters in place."""

        def codegen(context, builder, signature, args):
            return _emit(context, builder, signature, args, 4)

        return types.void(n, w, n, g, n, s0, n, s1, n, n, real, n, real), codegen

    @intrinsic
    def call_penalty(typing_context, address, w, w_at, g, g_at, count):
        """Add the slope of a penalty to g."""

        def codegen(context, builder, signature, args):
            return _emit(context, builder, signature, args, 2)

        return types.void(n, w, n, g, n, n), codegen
