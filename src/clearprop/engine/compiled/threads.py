"""How threads meet inside compiled code: atomic numbers in an array, and waiting that soon yields the core."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.numba_internals import PLAIN

# Places in `sync`, a cache line (8 numbers) apart.
JOINED, STARTED, ARRIVED, BASE, FINISHED = 0, 8, 16, 24, 32
SYNC = 48

#: How often a waiting thread looks before it yields its core, and how often it yields before it sleeps.
SPINS, YIELDS = 300, 2000


def _system() -> tuple[Any, Any]:
    """What gives up the core, and what sleeps for some milliseconds or microseconds."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
        return kernel.SwitchToThread, kernel.Sleep
    process = ctypes.CDLL(None)
    return process.sched_yield, process.usleep


_YIELD, _SLEEP = _system()
_NAP = 1 if sys.platform == "win32" else 50

if PLAIN:
    # Without the compiler the steps run in one thread, and nothing has to be atomic.

    def atomic_add(numbers, place, value):
        """Add to a number and return what it was."""
        before = numbers[place]
        numbers[place] += value
        return before

    def atomic_load(numbers, place):
        """The number, with everything its writer wrote before it."""
        return numbers[place]

    def atomic_store(numbers, place, value):
        """Set the number, after everything written before."""
        numbers[place] = value

    def pause():
        """Tell the core that this is a waiting loop."""

    def give_way():
        """Let another thread have the core."""

    def nap():
        """Sleep for a moment."""

else:
    llvm.add_symbol("clearprop_yield", ctypes.cast(_YIELD, ctypes.c_void_p).value)
    llvm.add_symbol("clearprop_sleep", ctypes.cast(_SLEEP, ctypes.c_void_p).value)
    _external_yield = types.ExternalFunction("clearprop_yield", types.int32())
    _external_sleep = types.ExternalFunction("clearprop_sleep", types.int32(types.int32))

    def _place(builder: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    @intrinsic
    def atomic_add(typing_context, numbers, place, value):
        """Add to a number and return what it was."""

        def codegen(context, builder, signature, args):
            return builder.atomic_rmw("add", _place(builder, args), args[2], "seq_cst")

        return types.int64(numbers, types.intp, types.int64), codegen

    @intrinsic
    def atomic_load(typing_context, numbers, place):
        """The number, with everything its writer wrote before it."""

        def codegen(context, builder, signature, args):
            return builder.load_atomic(_place(builder, args), "acquire", 8)

        return types.int64(numbers, types.intp), codegen

    @intrinsic
    def atomic_store(typing_context, numbers, place, value):
        """Set the number, after everything written before."""

        def codegen(context, builder, signature, args):
            builder.store_atomic(args[2], _place(builder, args), "release", 8)
            return context.get_dummy_value()

        return types.void(numbers, types.intp, types.int64), codegen

    @intrinsic
    def pause(typing_context):
        """Tell the core that this is a waiting loop."""

        def codegen(context, builder, signature, args):
            if llvm.get_default_triple().startswith(("x86_64", "i686")):
                name = "llvm.x86.sse2.pause"
                module = builder.module
                function = module.globals.get(name) or ir.Function(module, ir.FunctionType(ir.VoidType(), []), name)
                builder.call(function, [])
            return context.get_dummy_value()

        return types.void(), codegen

    @inner
    def give_way():
        """Let another thread have the core."""
        _external_yield()

    @inner
    def nap():
        """Sleep for a moment."""
        _external_sleep(_NAP)


@inner
def wait_until(numbers, place, least):
    """Wait until a number is at least `least`: look for a moment, then let others have the core, then sleep."""
    tries = 0
    while atomic_load(numbers, place) < least:
        tries += 1
        if tries < SPINS:
            pause()
        elif tries < SPINS + YIELDS:
            give_way()
        else:
            nap()


@inner
def meet(numbers, target):
    """Wait until `target` arrivals have been counted, one's own included."""
    atomic_add(numbers, ARRIVED, 1)
    wait_until(numbers, ARRIVED, target)
