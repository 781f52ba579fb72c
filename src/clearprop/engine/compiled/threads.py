"""How threads meet inside compiled code: atomic counters in an array, and waiting that soon yields the core."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.numba_internals import PLAIN

# Indices of the counters in `sync`, a cache line (8 numbers) apart.
JOINED, STARTED, ARRIVED, BASE, FINISHED = 0, 8, 16, 24, 32
SYNC = 48

#: How often a waiting thread checks before it yields its core, and how often it yields before it sleeps.
SPINS, YIELDS = 300, 2000


def _system() -> tuple[Any, Any]:
    """What gives up the core, and what sleeps for some milliseconds or microseconds."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
        return kernel.SwitchToThread, kernel.Sleep
    process = ctypes.CDLL(None)
    return process.sched_yield, process.usleep


_YIELD, _SLEEP = _system()
_PAUSE = 1 if sys.platform == "win32" else 50

if TYPE_CHECKING or PLAIN:
    # Without the compiler the steps run in one thread, so nothing has to be atomic.

    def atomic_add(counters: Any, index: int, value: int) -> int:
        """Add to a counter and return its previous value."""
        before = counters[index]
        counters[index] += value
        return before

    def atomic_load(counters: Any, index: int) -> int:
        """The counter, with everything that its writer wrote before."""
        return counters[index]

    def atomic_store(counters: Any, index: int, value: int) -> None:
        """Set the counter, after everything written before."""
        counters[index] = value

    def pause() -> None:
        """Tell the core that this is a waiting loop."""

    def yield_core() -> None:
        """Let another thread use the core."""

    def sleep() -> None:
        """Sleep for a moment."""

else:
    llvm.add_symbol("clearprop_yield", ctypes.cast(_YIELD, ctypes.c_void_p).value)
    llvm.add_symbol("clearprop_sleep", ctypes.cast(_SLEEP, ctypes.c_void_p).value)
    _external_yield = types.ExternalFunction("clearprop_yield", types.int32())
    _external_sleep = types.ExternalFunction("clearprop_sleep", types.int32(types.int32))

    def _counter(builder: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    @intrinsic
    def atomic_add(typing_context, counters, index, value):
        """Add to a counter and return its previous value."""

        def codegen(context, builder, signature, args):
            return builder.atomic_rmw("add", _counter(builder, args), args[2], "seq_cst")

        return types.int64(counters, types.intp, types.int64), codegen

    @intrinsic
    def atomic_load(typing_context, counters, index):
        """The counter, with everything that its writer wrote before."""

        def codegen(context, builder, signature, args):
            return builder.load_atomic(_counter(builder, args), "acquire", 8)

        return types.int64(counters, types.intp), codegen

    @intrinsic
    def atomic_store(typing_context, counters, index, value):
        """Set the counter, after everything written before."""

        def codegen(context, builder, signature, args):
            builder.store_atomic(args[2], _counter(builder, args), "release", 8)
            return context.get_dummy_value()

        return types.void(counters, types.intp, types.int64), codegen

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
    def yield_core() -> None:
        """Let another thread use the core."""
        _external_yield()

    @inner
    def sleep() -> None:
        """Sleep for a moment."""
        _external_sleep(_PAUSE)


@inner
def wait_until(counters: Any, index: int, least: int) -> None:
    """Wait until a counter is at least `least`: check for a moment, then yield the core, then sleep."""
    tries = 0
    while atomic_load(counters, index) < least:
        tries += 1
        if tries < SPINS:
            pause()
        elif tries < SPINS + YIELDS:
            yield_core()
        else:
            sleep()


@inner
def meet(counters: Any, target: int) -> None:
    """Wait until `target` arrivals have been counted, including this one."""
    atomic_add(counters, ARRIVED, 1)
    wait_until(counters, ARRIVED, target)
