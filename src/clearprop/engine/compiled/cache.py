"""Compilation of the parts of the engine by Numba, and where their code is stored between processes.

Numba's own cache is invalidated only by a change of the file that holds the function. The parts of the engine share
records and helpers, so here a change of any file of the engine invalidates the stored code. There is one file for each
function, signature, processor and settings; a damaged or incomplete file is ignored. Numba's own files crash a process
if they are damaged, and if two processes add a signature to an index at the same time, one of them is lost.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from numba import njit

from clearprop.engine.compiled.code_store import described, folder, keep_latest, note_use, read, write
from clearprop.engine.compiled.numba_internals import (
    PLAIN,
    compile_for_c,
    compile_for_python,
    compiler_lock,
    llvm_lock,
)
from clearprop.fork_safety import register_fork_locks

#: Maximum number of versions of the engine whose code stays on disk: those that were used last.
ENGINES = 8
_SUFFIX = ".code"
_njit: Any = njit
_inner = _njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

F = TypeVar("F", bound=Callable[..., Any])


@cache
def fingerprint() -> str:
    """The hash of the engine's sources and of the versions of its compilers; OSError if there are no sources."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    sources = sorted(Path(__file__).parent.glob("*.py"))
    if not sources:
        raise OSError("clearprop is installed without its source files, which identify its compiled code")
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def place() -> Path | None:
    """The folder of the engine's code; None, with a warning, if it cannot be created."""
    try:
        path = folder() / f"engine-{fingerprint()}"
        known = path.is_dir()
        path.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        _warn(str(reason))
        return None
    note_use(path)
    if not known:
        keep_latest(path.parent.glob("engine-*"), ENGINES)
    return path


@cache
def _warn(reason: str) -> None:
    """Warn once that compiled code cannot be stored."""
    warnings.warn(
        f"clearprop: compiled code cannot be stored in {described()} ({reason}), so each process compiles it again. "
        "Set NUMBA_CACHE_DIR to a writable folder, or fill one once with clearprop warmup.",
        RuntimeWarning,
        stacklevel=2,
    )


def is_writable() -> bool:
    """Whether code that is compiled now can be stored."""
    path = place()
    if path is None:
        return False
    with suppress(OSError):  # another process may have removed it because it was not used for long
        path.mkdir(parents=True, exist_ok=True)
    return os.access(path, os.W_OK)


def _load(name: str) -> bytes | None:
    """The stored code of that name; None if there is none."""
    path = place()
    return None if path is None else read(path / f"{name}{_SUFFIX}")


def _save(name: str, content: bytes) -> None:
    """Store compiled code. Code is still loaded from a read-only folder, such as that of a container image."""
    path = place()
    if path is None:
        return
    if not is_writable():
        _warn("it is read-only")
        return
    try:
        write(path / f"{name}{_SUFFIX}", content)
    except OSError as reason:
        _warn(str(reason))


def inner(function: F) -> F:
    """A function that only compiled code calls, into which it is linked."""
    return _inner(function)


def compiled(function: Callable[..., Any]) -> Any:
    """A function for Python to call, compiled for the types it is called with; it holds no lock while it runs."""
    if PLAIN:
        return function
    place()  # now, because a relative NUMBA_CACHE_DIR depends on the working directory
    return compile_for_python(function, _load, _save)


_alive: dict[tuple[Callable[..., Any], Any], Any] = {}


def address(function: Callable[..., Any], signature: Any) -> int:
    """The address of a function compiled as a C function, once per process whichever thread asks first.

    The parts of a training step are compiled like this. Before the first one of a signature, a message announces it.
    """

    def load(name: str) -> bytes | None:
        code = _load(name)
        if code is None:
            _announce(signature)
        return code

    key = (function, signature)
    if key not in _alive:
        with compiler_lock:
            if key not in _alive:
                _alive[key] = compile_for_c(function, signature, load, _save)
    return _alive[key].address


@cache
def _announce(signature: Any) -> None:
    """Report on standard error, once for each signature, that the parts of a step are compiled now."""
    if sys.stderr is not None:
        message = "clearprop: compiling the training code (once per machine, about 10 seconds)"
        print(message, file=sys.stderr, flush=True)


register_fork_locks(compiler_lock, llvm_lock, last=True)
