"""Many shuffles by a `RandomState` in one call, with the results of `engine.shuffling.shuffled`.

NumPy's generator draws the random bits: its C function is called by address. The swaps are compiled here.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.ffi import compiled_as
from clearprop.engine.shuffling import shuffled
from clearprop.fork_safety import register_fork_locks

#: NumPy's C interface of a bit generator: the name of its capsule, and the fields that its struct begins with (the
#: addresses of the state, and of the functions that draw 64 and 32 bits from it).
_CAPSULE = b"BitGenerator"
_FIELDS = ctypes.c_size_t * 3

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def _call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    bits, address = ir.IntType(32), ir.IntType(64)
    function = ir.FunctionType(bits, [address]).as_pointer()
    return builder.zext(builder.call(builder.inttoptr(args[0], function), [args[1]]), address)


@compiled_as(_call, lambda function, state: types.int64(types.int64, types.int64))
def draw(function, state):
    """The next 32 bits of a generator, given the addresses of its C function and of its state."""
    return ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(function)(state)


@compiled
def shuffle_often(function, state, rows, orders):
    """Shuffle rows (n,) once for each row of orders, and write each result there.

    From the last row to the second, row i is swapped with row j <= i. Numbers of as many bits as i has are drawn until
    one is at most i; a larger one swaps row i with itself instead of being a branch that the processor mispredicts.
    """
    for order in range(len(orders)):
        i, mask = len(rows) - 1, 1
        while mask < i:
            mask = 2 * mask + 1
        while i > 0:
            while i > mask // 2:
                drawn = draw(function, state) & mask
                fits = drawn <= i
                j = drawn if fits else i
                rows[i], rows[j] = rows[j], rows[i]
                i -= fits
            mask //= 2
        orders[order] = rows


def shuffled_at_once(rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
    """The result of `shuffled`, which also leaves the generator in the same state."""
    if type(generator) is not np.random.RandomState:
        return shuffled(rows, generator, times)  # a subclass may shuffle differently
    source, orders = generator._bit_generator, np.empty((times, len(rows)), np.int64)
    state, _, function = _FIELDS.from_address(_pointer_of(source.capsule, _CAPSULE))
    register_fork_locks(source.lock)
    with source.lock:
        shuffle_often(function, state, rows, orders)
    return orders
