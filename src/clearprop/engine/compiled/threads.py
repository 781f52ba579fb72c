"""Synchronization of threads inside compiled code: atomic counters, and waiting that soon yields the core."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types

from clearprop.engine.compiled.cache import inner
from clearprop.engine.compiled.ffi import compiled_as

# Indices of the counters in `sync`, a cache line (8 numbers) apart.
JOINED, STARTED, ARRIVED, BASE, FINISHED = 0, 8, 16, 24, 32
SYNC = 48

#: How often a waiting thread checks before it yields its core, and how often it yields before it sleeps.
SPINS, YIELDS = 300, 2000


def _system() -> tuple[Any, Any]:
    """The C functions that yield the core, and that sleep for some milliseconds or microseconds."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
        return kernel.SwitchToThread, kernel.Sleep
    process = ctypes.CDLL(None)
    return process.sched_yield, process.usleep


_YIELD, _SLEEP = _system()
_MOMENT = 1 if sys.platform == "win32" else 50

llvm.add_symbol("clearprop_yield", ctypes.cast(_YIELD, ctypes.c_void_p).value)
llvm.add_symbol("clearprop_sleep", ctypes.cast(_SLEEP, ctypes.c_void_p).value)


def _external(name: str, *numbers: int) -> Callable[..., Any]:
    """Code that calls a C function with some numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)] * len(numbers))
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [ir.Constant(ir.IntType(32), number) for number in numbers])
        return context.get_dummy_value()

    return codegen


def _add(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "seq_cst")


def _load(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", 8)


def _store(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "release", 8)
    return context.get_dummy_value()


def _pause(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    if llvm.get_default_triple().startswith(("x86_64", "i686")):
        function = ir.FunctionType(ir.VoidType(), [])
        builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), function), [])
    return context.get_dummy_value()


# Without the compiler the steps run in one thread, so nothing has to be atomic.


@compiled_as(_add, lambda counters, index, value: types.int64(counters, types.intp, types.int64))
def atomic_add(counters: Any, index: int, value: int) -> int:
    """Add to a counter and return its previous value."""
    before = counters[index]
    counters[index] += value
    return before


@compiled_as(_load, lambda counters, index: types.int64(counters, types.intp))
def atomic_load(counters: Any, index: int) -> int:
    """The counter, with everything that its writer wrote before."""
    return counters[index]


@compiled_as(_store, lambda counters, index, value: types.void(counters, types.intp, types.int64))
def atomic_store(counters: Any, index: int, value: int) -> None:
    """Set the counter, after everything written before."""
    counters[index] = value


@compiled_as(_pause, types.void)
def pause() -> None:
    """Tell the core that this is a waiting loop."""


@compiled_as(_external("clearprop_yield"), types.void)
def yield_core() -> None:
    """Let another thread use the core."""
    time.sleep(0)


@compiled_as(_external("clearprop_sleep", _MOMENT), types.void)
def sleep() -> None:
    """Sleep for a moment."""
    time.sleep(1e-4)


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
