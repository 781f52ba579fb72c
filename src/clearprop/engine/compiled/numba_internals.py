"""The only module that uses private names of Numba and llvmlite, which may change in any release.

The versions in pyproject.toml have been tested. A test fails with a clear message when one of these names is gone:

- `numba.core.compiler_lock.global_compiler_lock`: held while kernels are compiled, because LLVM is not thread-safe.
- `llvmlite.binding.ffi.lib._lock`: llvmlite's own lock. Forks wait for both, so that a child finds them free.
- `numba.core.codegen.get_host_cpu_features`: the processor's features; settings of Numba switch some off.
- `numba.core.ccallback.CFunc`: a C function with stored code. The public `numba.cfunc` uses Numba's own cache or none.
- `numba.core.ccallback.CFunc.compile`: compiles it, or loads it from its `_cache`.
- `numba.core.dispatcher.Dispatcher.compile`: replaced on each function that Python calls, to optimise less.
- `numba.core.dispatcher.Dispatcher.enable_caching`: what is done by hand here; it shows that `_cache` is still used.
- `numba.core.compiler.CompileResult._reduce`: takes compiled code apart so that it can be pickled.
- `numba.core.compiler.CompileResult._rebuild`: loads it again.
- `numba.core.codegen.CodeLibrary.has_dynamic_globals`: whether code holds addresses that only this process knows.
- `numba.core.codegen.JITCPUCodegen.magic_tuple`: identifies the processor that code is compiled for.
- `numba.core.serialize.dumps`: pickles types and functions as `_rebuild` needs them.
- `numba.core.typing.templates.AttributeTemplate`: the base class of a type's attributes, which `records` defines.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import llvmlite.binding as llvm
from numba import config, njit
from numba.core.ccallback import CFunc
from numba.core.codegen import get_host_cpu_features
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.typing.templates import AttributeTemplate

__all__ = [
    "PLAIN",
    "AttributeTemplate",
    "compile_for_c",
    "compile_for_python",
    "compiler_lock",
    "llvm_lock",
    "processor",
]

_settings: Any = config
#: Whether Numba's compiler is switched off (NUMBA_DISABLE_JIT=1): then the engine runs as plain Python.
PLAIN = bool(_settings.DISABLE_JIT)
compiler_lock: Any = global_compiler_lock
llvm_lock: Any = llvm.ffi.lib._lock

#: Settings of Numba that change the code it compiles, besides those that name the processor.
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")
#: LLVM's level of optimisation, of 3. What takes time is written as vector instructions, so more only takes longer.
_LEVEL = 1


class Store(Protocol):
    """Where compiled code is kept between processes."""

    def load(self, function: str, key: str) -> bytes | None:
        """What was saved under a key; None if there is nothing."""
        ...

    def save(self, function: str, key: str, content: bytes) -> None:
        """Save compiled code."""
        ...


def processor() -> tuple[str, str]:
    """Name and features of the processor that code is compiled for: this one, unless Numba's settings name another.

    These are NUMBA_CPU_NAME, NUMBA_CPU_FEATURES and NUMBA_ENABLE_AVX.
    """
    name, features = _settings.CPU_NAME, _settings.CPU_FEATURES
    return name or llvm.get_host_cpu_name(), get_host_cpu_features() if features is None else features


class _Cache:
    """What Numba calls before and after it compiles a function."""

    def __init__(self, function: Any, store: Store) -> None:
        self.function, self.store = function, store

    def _key(self, signature: Any, codegen: Any) -> str:
        settings = [getattr(_settings, name, None) for name in _SETTINGS]
        function = self.function
        name = (function.__module__, function.__qualname__, sys.implementation.cache_tag)
        code = (function.__code__.co_code, dumps([cell.cell_contents for cell in function.__closure__ or ()]))
        parts = (name, code, signature, codegen.magic_tuple(), settings)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function for a signature; None if it was not saved."""
        target_context.refresh()
        saved = self.store.load(self.function.__name__, self._key(signature, target_context.codegen()))
        return None if saved is None else CompileResult._rebuild(target_context, *pickle.loads(saved))

    def save_overload(self, signature: Any, result: Any) -> None:
        """Save a compiled function, unless it holds addresses of this process."""
        if not result.library.has_dynamic_globals:
            key = self._key(signature, result.codegen)
            self.store.save(self.function.__name__, key, dumps(result._reduce()))


@contextmanager
def _fewer_optimisations() -> Iterator[None]:
    """Compile with less optimisation, and leave Numba as it was for everyone else."""
    with compiler_lock:
        before = _settings.OPT
        _settings.OPT = type(before)(min(before, _LEVEL))
        try:
            yield
        finally:
            _settings.OPT = before


def compile_for_python(function: Callable[..., Any], store: Store | None) -> Any:
    """A function for Python to call, compiled for the types it is called with; it holds no lock while it runs."""
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    if store is not None:
        dispatcher._cache = _Cache(function, store)
    compile_ = dispatcher.compile

    def compile_with_less(signature: Any) -> Any:
        with _fewer_optimisations():
            return compile_(signature)

    dispatcher.compile = compile_with_less
    return dispatcher


def compile_for_c(function: Callable[..., Any], signature: Any, store: Store | None) -> Any:
    """A C function: its `address` is valid as long as the object returned is alive."""
    options = {"nopython": True, "error_model": "numpy"}
    compiled: Any = CFunc(function, (signature.args, signature.return_type), locals={}, options=options)
    if store is not None:
        compiled._cache = _Cache(function, store)
    with _fewer_optimisations():
        compiled.compile()
    return compiled
