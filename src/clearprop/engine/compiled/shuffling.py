"""Shuffles of a NumPy generator of the older kind, many in one call; compare `clearprop.engine.shuffling`.

The generator draws, as it always does: its function is called by address. Where the row numbers go is compiled here.
"""

from __future__ import annotations

import ctypes

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import compiled
from clearprop.engine.shuffling import shuffled
from clearprop.fork_safety import register_fork_locks

#: Of NumPy's C interface for such generators: what a capsule is called, and the fields that its struct begins with
#: (the address of the state, and of the functions that draw a whole number of 64 and of 32 bits from it).
_CAPSULE = b"BitGenerator"
_FIELDS = ctypes.c_size_t * 3

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)

if config.DISABLE_JIT:

    def draw(function, state):
        """The next 32 bits of a generator, by the addresses of what draws and of its state."""
        return ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(function)(state)

else:

    @intrinsic
    def draw(typing_context, function, state):
        """The next 32 bits of a generator, by the addresses of what draws and of its state."""

        def codegen(context, builder, signature, args):
            bits, address = ir.IntType(32), ir.IntType(64)
            kind = ir.FunctionType(bits, [address]).as_pointer()
            drawn = builder.call(builder.inttoptr(args[0], kind), [args[1]])
            return builder.zext(drawn, address)

        return types.int64(types.int64, types.int64), codegen


@compiled
def shuffle_often(function, state, rows, orders):
    """Shuffle rows (n,) once for each row of orders, and write there what comes out.

    From the last place to the second, a place changes with one up to it. Numbers of just as many bits are drawn until
    one is not beyond the place; one that is makes the place change with itself and come again, so that nothing depends
    on a guess of the processor.
    """
    for order in range(len(orders)):
        place, mask = len(rows) - 1, 1
        while mask < place:
            mask = 2 * mask + 1
        while place > 0:
            while place > mask // 2:
                drawn = draw(function, state) & mask
                fits = drawn <= place
                other = drawn if fits else place
                rows[place], rows[other] = rows[other], rows[place]
                place -= fits
            mask //= 2
        orders[order] = rows


def shuffled_at_once(rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
    """What `shuffled` gives, and the generator is left as it is left there."""
    if type(generator) is not np.random.RandomState:
        return shuffled(rows, generator, times)  # its shuffle may be another
    source, orders = generator._bit_generator, np.empty((times, len(rows)), np.int64)
    state, _, function = _FIELDS.from_address(_pointer_of(source.capsule, _CAPSULE))
    register_fork_locks(source.lock)
    with source.lock:
        shuffle_often(function, state, rows, orders)
    return orders
