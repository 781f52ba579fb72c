"""Calls of small compiled kernels by their address, so that the epoch loop is compiled once for all of them.

A kernel is a C function whose address is an int64. `SIGNATURES` declares the parameters of each kind of kernel once:
the callers here, the heads of the LLVM functions in `builder` and the C signatures of functions that Numba compiles are
generated from it. For a pointer a caller takes two arguments: an array, and the index at which the data starts.

With Numba's compiler switched off an "address" is the index of a plain Python function, and pointers are views.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.numba_internals import PLAIN

F = TypeVar("F", bound=Callable[..., Any])

_DENSE = "ptr a, ptr offsets"
_SPARSE = "ptr values, ptr columns, ptr starts, ptr chosen"
#: LLVM type and name of each parameter, by the kind of kernel.
SIGNATURES: dict[str, list[tuple[str, str]]] = {
    name: [(kind, parameter) for kind, parameter in (pair.split() for pair in text.split(", "))]
    for name, text in {
        # a = f(z); and, in place, the error signal to delta
        "forward": "ptr z, ptr a, i64 rows, i64 units, i64 stride",
        "pullback": "ptr z, ptr a, ptr error, i64 rows, i64 units, i64 stride",
        # the weighted losses are added to values, their delta is written
        "loss": "ptr z, ptr a, ptr y, ptr y_index, ptr weights, ptr delta, ptr values, i64 rows, i64 units, i64 stride",
        # what an optimizer needs once a step; a range of parameters is updated in place
        "prepare": "double rate, i64 t, double shrink, double ridge, ptr scalars",
        "update": "ptr w, ptr g, ptr slot0, ptr slot1, i64 units, ptr scalars",
        # the slope of the penalties is added to g, their value to a total
        "slope": "ptr w, ptr g, i64 units",
        "value": "ptr w, i64 units, ptr total",
        # C = S + A W, G = A^T D, C = S + A, of dense and of sparse rows
        "multiply": f"{_DENSE}, i64 rows, i64 steps, ptr W, i64 columns, ptr start, i64 start_row, ptr c, i64 c_row",
        "multiply_transposed": f"{_DENSE}, i64 samples, i64 row, i64 rows, ptr delta, i64 delta_row, i64 width, "
        "ptr zeros, ptr g",
        "add_rows": f"{_DENSE}, i64 rows, i64 units, ptr start, i64 start_row, ptr c, i64 c_row",
        "multiply_sparse": f"{_SPARSE}, i64 rows, i64 steps, ptr W, i64 units, ptr start, i64 start_row, ptr c, "
        "i64 c_row",
        "multiply_transposed_sparse": f"{_SPARSE}, i64 samples, i64 row, i64 rows, ptr delta, i64 delta_row, "
        "i64 width, ptr g",
        "add_rows_sparse": f"{_SPARSE}, i64 rows, i64 units, ptr start, i64 start_row, ptr c, i64 c_row",
        # a part of the training step
        "part": "ptr table, ptr work, i64 a, i64 b, i64 c, i64 d, i64 e",
    }.items()
}
_NUMBA = {"i64": types.intp, "double": types.float64}
_functions: list[Callable[..., None]] = []


def parameters(kind: str) -> list[str]:
    """The names of the parameters of a kind of kernel."""
    return [name for _, name in SIGNATURES[kind]]


def register(function: Callable[..., None]) -> int:
    """The "address" of a plain Python kernel while the compiler is switched off."""
    _functions.append(function)
    return len(_functions) - 1


def c_signature(kind: str, pointers: dict[str, Any]) -> Any:
    """The Numba type of a kind of kernel, given the types of what its pointers point to."""
    arguments = [_NUMBA.get(letter) or types.CPointer(pointers[name]) for letter, name in SIGNATURES[kind]]
    return types.void(*arguments)


def compiled_as(codegen: Callable[..., Any], signature: Callable[..., Any]) -> Callable[[F], F]:
    """Let compiled code emit LLVM instructions where it calls the decorated function.

    `codegen(context, builder, signature, arguments)` emits them with llvmlite's builder, and `signature` gives the
    Numba signature from the types of the arguments. While the compiler is switched off the function itself runs.
    """

    def decorate(function: F) -> F:
        def typing(typing_context: Any, *arguments: Any) -> Any:
            return signature(*arguments), codegen

        names = ["typing_context", *inspect.signature(function).parameters]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typing.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
        typing.__name__, typing.__doc__ = function.__name__, function.__doc__
        emitting: Any = intrinsic(typing)
        return function if PLAIN else emitting

    return decorate


def _caller(kind: str) -> Callable[..., None]:
    """What compiled code calls a kernel with: its address, then its arguments, two for each pointer."""
    kinds = [letter for letter, _ in SIGNATURES[kind]]

    def signature(address: Any, *arguments: Any) -> Any:
        given, wanted = iter(arguments), []
        for letter in kinds:
            argument = next(given)
            wanted += [argument, next(given) and types.intp] if letter == "ptr" else [_NUMBA[letter]]
        return types.void(types.intp, *wanted)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, *rest = arguments
        given = iter(rest)
        values = [builder.gep(next(given), [next(given)]) if x == "ptr" else next(given) for x in kinds]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(address, function.as_pointer()), values)
        return context.get_dummy_value()

    def call(address: int, *arguments: Any) -> None:
        given = iter(arguments)
        _functions[address](*[next(given)[next(given) :] if x == "ptr" else next(given) for x in kinds])

    names = [name for letter, p in SIGNATURES[kind] for name in ((p, f"{p}_at") if letter == "ptr" else (p,))]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("address", *names)]
    call.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    call.__name__, call.__doc__ = f"call_{kind}", f"Call a {kind} kernel: address, {', '.join(names)}."
    return compiled_as(codegen, signature)(call)


call_forward, call_pullback, call_loss = _caller("forward"), _caller("pullback"), _caller("loss")
call_prepare, call_update = _caller("prepare"), _caller("update")
call_slope, call_value = _caller("slope"), _caller("value")
call_multiply, call_multiply_transposed = _caller("multiply"), _caller("multiply_transposed")
call_multiply_sparse, call_multiply_transposed_sparse = (
    _caller("multiply_sparse"),
    _caller("multiply_transposed_sparse"),
)
call_add_rows, call_add_rows_sparse = _caller("add_rows"), _caller("add_rows_sparse")
_call_part = _caller("part")


@inner
def _call_compiled_part(m, address, a=0, b=0, c=0, d=0, e=0):
    _call_part(address, m.table, 0, m.work, 0, a, b, c, d, e)


def _call_plain_part(m: Any, address: int, *numbers: int) -> None:
    _functions[address](m, m.work, *numbers, *[0] * (5 - len(numbers)))


#: Call a part of the step: the memory, the address of the part, and up to five numbers.
call_part: Callable[..., None] = _call_plain_part if PLAIN else _call_compiled_part
