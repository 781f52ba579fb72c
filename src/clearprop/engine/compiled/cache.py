"""Compilation of the parts of the engine, kept on disk from one process to the next.

Numba's own cache looks at the file of a function alone. The parts of the engine share tables of columns and helpers, so
here a change of any file of the engine counts; and the place is the one where the kernels are kept as well.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import njit
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from clearprop.engine.compiled.code_store import described, folder, keep_latest, note_use, read, write
from clearprop.fork_safety import register_fork_locks

#: Most versions of the engine whose machine code is kept; of more, those that were used last.
ENGINES = 8

_PLAIN = bool(config.DISABLE_JIT)  # pyright: ignore[reportAttributeAccessIssue]


@cache
def fingerprint() -> str:
    """What the sources of the engine, and the versions of what compiles them, hash to; OSError where there are none."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    sources = sorted(Path(__file__).parent.glob("*.py"))
    if not sources:
        raise OSError("clearprop is installed without its sources, which tell its code from that of other versions")
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def place() -> Path | None:
    """The folder of the engine's machine code; None, with a warning, where there is none and none can be made."""
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
    """Say once that compiled code is not kept."""
    warnings.warn(
        f"clearprop: compiled code cannot be kept in {described()} ({reason}), so each process compiles anew, for some "
        "10 seconds. Set NUMBA_CACHE_DIR to a folder that can be written, or have clearprop warmup fill it once.",
        RuntimeWarning,
        stacklevel=2,
    )


def is_writable() -> bool:
    """Whether machine code that is compiled now can be kept."""
    path = place()
    if path is None:
        return False
    with suppress(OSError):  # another process may have removed it as one that was long not used
        path.mkdir(parents=True, exist_ok=True)
    return os.access(path, os.W_OK)


def is_kept(function: str) -> bool:
    """Whether a function need not be compiled any more, by its name."""
    path = None if _PLAIN else place()
    return _PLAIN or (path is not None and any(path.glob(f"*.{function}-*{_SUFFIX}")))


#: Settings of Numba's that change the code it makes, besides those that name the processor.
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")
_SUFFIX = ".code"


class _Sealed:
    """The files of a function: one for each signature, processor and settings, which is whole or counts as absent.

    Numba's own would be read as they are, and stop the process where they are damaged; and of two processes that note a
    signature in their index at once, one would undo what the other did.
    """

    def __init__(self, function: str) -> None:
        self.function = function

    def _path(self, key: Any) -> Path:
        settings = [getattr(config, name, None) for name in _SETTINGS]
        digest = hashlib.sha256(repr((key, settings)).encode()).hexdigest()
        return Path(str(place())) / f"{self.function}-{digest[:32]}{_SUFFIX}"

    def load(self, key: Any) -> Any:
        """What Numba has kept, None for nothing."""
        kept = read(self._path(key))
        return None if kept is None else pickle.loads(kept)

    def save(self, key: Any, data: Any) -> None:
        """Keep what Numba needs to load a function."""
        write(self._path(key), dumps(data))


class _Locator:
    """Tells Numba where to keep a function, and that all of the engine's sources are its source."""

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator:
        del function, file
        return cls()

    def ensure_cache_path(self) -> None:
        """Nothing, as `write` makes the folder."""

    def get_cache_path(self) -> str:
        return str(place())

    def get_source_stamp(self) -> str:
        return fingerprint()

    def get_disambiguator(self) -> None:
        return None


class _Functions(FunctionCache._impl_class):  # type: ignore[name-defined, misc]
    _locator_classes = [_Locator]  # noqa: RUF012


class _Cache(FunctionCache):
    _impl_class = _Functions

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Sealed(self._impl.filename_base)

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep what was compiled. A folder that can only be read, as in an image, still gives what it holds."""
        if not is_writable():
            _warn("it can only be read")
            return
        try:
            super().save_overload(signature, data)
        except OSError as reason:
            _warn(str(reason))


#: How hard LLVM tries, of 3. What takes time is written as vector instructions already, so that more is only waiting.
_EFFORT = 1


@contextmanager
def _modest_effort() -> Iterator[None]:
    """Compile with less optimisation, and leave Numba as it was for everyone else."""
    with global_compiler_lock:
        before = config.OPT  # pyright: ignore[reportAttributeAccessIssue]
        config.OPT = type(before)(min(before, _EFFORT))  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            config.OPT = before  # pyright: ignore[reportAttributeAccessIssue]


#: A function that only compiled code calls, into which it is linked.
inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def compiled(function: Callable[..., Any]) -> Any:
    """A function for Python to call, compiled for the types it is called with, which holds no lock while it runs."""
    if _PLAIN:
        return function
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    if place() is not None:
        dispatcher._cache = _Cache(function)
    compile_ = dispatcher.compile

    def modestly(signature: Any) -> Any:
        with _modest_effort():
            return compile_(signature)

    dispatcher.compile = modestly
    return dispatcher


_alive: dict[tuple[Callable[..., Any], Any], CFunc] = {}


def address(function: Callable[..., Any], signature: Any) -> int:
    """The address of a function compiled as a C function, once per process whichever thread asks first."""
    found = _alive.get((function, signature))
    if found is not None:
        return found.address
    with _modest_effort():
        found = _alive.get((function, signature))
        if found is None:
            options = {"nopython": True, "error_model": "numpy"}
            found = CFunc(function, (signature.args, signature.return_type), locals={}, options=options)
            if place() is not None:
                found._cache = _Cache(function)
            found.compile()
            _alive[function, signature] = found
        return found.address


register_fork_locks(global_compiler_lock, llvm.ffi.lib._lock, last=True)
