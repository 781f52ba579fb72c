"""Compilation of the parts of the engine by Numba, and where their code is stored between processes.

Numba's own cache looks at the file of a function alone. The parts of the engine share tables of columns and helpers, so
here a change of any file of the engine counts; and the code is stored where that of the kernels is.
"""

from __future__ import annotations

import hashlib
import os
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

#: Most versions of the engine whose code is kept on disk; of more, those that were used last.
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
        f"clearprop: compiled code cannot be stored in {described()} ({reason}), so each process compiles it again "
        "(about 10 seconds). Set NUMBA_CACHE_DIR to a writable folder, or fill one once with clearprop warmup.",
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


def is_stored(function: str) -> bool:
    """Whether the code of a function, by its name, is on disk (or none is needed)."""
    path = None if PLAIN else place()
    return PLAIN or (path is not None and any(path.glob(f"{function}-*{_SUFFIX}")))


class _Files:
    """One file for each function, signature, processor and settings, which is complete or counts as absent.

    Numba's own files would be read as they are, and end the process where they are damaged; and of two processes that
    write a signature to its index at once, one would undo what the other did.
    """

    def _path(self, function: str, key: str) -> Path:
        return Path(str(place())) / f"{function}-{key}{_SUFFIX}"

    def load(self, function: str, key: str) -> bytes | None:
        """What was saved under a key; None if there is nothing."""
        return read(self._path(function, key))

    def save(self, function: str, key: str, content: bytes) -> None:
        """Save compiled code. A folder that can only be read, as in an image, still gives what it holds."""
        if not is_writable():
            _warn("it can only be read")
            return
        try:
            write(self._path(function, key), content)
        except OSError as reason:
            _warn(str(reason))


def _store() -> _Files | None:
    return None if place() is None else _Files()


def inner(function: F) -> F:
    """A function that only compiled code calls, into which it is linked."""
    return _inner(function)


def compiled(function: Callable[..., Any]) -> Any:
    """A function for Python to call, compiled for the types it is called with; it holds no lock while it runs."""
    return function if PLAIN else compile_for_python(function, _store())


_alive: dict[tuple[Callable[..., Any], Any], Any] = {}


def address(function: Callable[..., Any], signature: Any) -> int:
    """The address of a function compiled as a C function, once per process whichever thread asks first."""
    key = (function, signature)
    if key not in _alive:
        with compiler_lock:
            if key not in _alive:
                _alive[key] = compile_for_c(function, signature, _store())
    return _alive[key].address


register_fork_locks(compiler_lock, llvm_lock, last=True)
