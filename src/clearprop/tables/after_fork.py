"""Tables in a forked process: Polars works there in an interpreter of its own.

A fork copies only the thread that calls it. The threads with which Polars computes are missing in the child, and most
of its operations would wait for them without end. A function marked by `safe_after_fork` runs in a new interpreter
then, which is started at the first call and serves all later ones; arguments and result are pickled. Elsewhere it is an
ordinary call.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import inspect
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from clearprop.errors import ClearpropError

_F = TypeVar("_F", bound=Callable[..., Any])

_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from clearprop.tables.after_fork import serve; serve()"
)


class _Reply(NamedTuple):
    """What a call returned or raised, and the warnings it gave."""

    result: Any
    error: BaseException | None
    warned: list[tuple[Warning | str, type[Warning]]]


class _Interpreter:
    """A new interpreter that runs functions for this process, one at a time."""

    def __init__(self) -> None:
        # get_executable: sys.executable, or what multiprocessing.set_executable names in an embedded Python
        command = [os.fsdecode(get_executable() or sys.executable), "-c", _START]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        pickle.dump(sys.path, self.process.stdin)  # type: ignore[arg-type]

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> _Reply:
        """The reply to one call. Raises ClearpropError if the interpreter has ended."""
        request = pickle.dumps((function.__module__, function.__qualname__, args, named), pickle.HIGHEST_PROTOCOL)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        with self.lock:
            try:
                stdin.write(request)
                stdin.flush()
                return pickle.load(stdout)
            except (OSError, EOFError, pickle.UnpicklingError) as reason:
                self.process.kill()
                raise ClearpropError(
                    "The interpreter that encodes tables for this forked process ended without an answer (exit status "
                    f"{self.process.wait()}). Start workers by spawn or forkserver instead of fork, or load the model "
                    "after the fork."
                ) from reason
            except BaseException:  # an interrupted call would leave its reply to the next one
                self.process.kill()
                self.process.wait()
                raise


#: Whether this process was forked from one with threads of Polars.
_lacks_threads = False
_interpreter: _Interpreter | None = None
_starting = threading.Lock()


def safe_after_fork(function: _F) -> _F:
    """Mark a function of this package that uses Polars, so that it also works in a forked process.

    The function must be defined at the level of a module or of a class, and its arguments and result must pickle.
    """

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if not _lacks_threads:
            return function(*args, **named)
        reply = _running_interpreter().call(function, args, named)
        for message, category in reply.warned:
            warnings.warn(message, category, stacklevel=2)
        if reply.error is not None:
            raise reply.error
        return reply.result

    return call  # type: ignore[return-value]


def _running_interpreter() -> _Interpreter:
    global _interpreter
    with _starting:
        if _interpreter is None or _interpreter.process.poll() is not None:
            _interpreter = _Interpreter()
        return _interpreter


def _close(interpreter: _Interpreter) -> None:
    for pipe in (interpreter.process.stdin, interpreter.process.stdout):
        if pipe is not None:
            pipe.close()


@atexit.register
def _end() -> None:
    if _interpreter is not None and _interpreter.process.returncode is None:
        _close(_interpreter)
        _interpreter.process.wait()


def serve() -> None:
    """Answer the calls of the process that started this one until it ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    while True:
        try:
            module, name, args, named = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(_reply(module, name, args, named), replies, pickle.HIGHEST_PROTOCOL)
        replies.flush()


def _reply(module: str, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> _Reply:
    function = functools.reduce(inspect.getattr_static, name.split("."), importlib.import_module(module))
    function = getattr(function, "__func__", function)  # a class method gets its class among the arguments
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, error = function(*args, **named), None
        except Exception as reason:  # raised again by the process that asked
            result, error = None, reason
    return _Reply(result, error, [(w.message, w.category) for w in caught])


def _has_polars_threads() -> bool:
    """Whether Polars has started its threads, polars-0 and so on; True where the system does not tell."""
    if "polars" not in sys.modules:
        return False
    try:
        names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
        return any(name.startswith("polars-0") for name in names)
    except OSError:  # not Linux, or a thread has just ended
        return True


def _before_fork() -> None:
    global _had_threads
    _had_threads = _has_polars_threads()


def _after_in_child() -> None:
    global _lacks_threads, _starting
    _lacks_threads = _lacks_threads or _had_threads
    _starting = threading.Lock()
    if _interpreter is not None:  # it belongs to the parent
        _close(_interpreter)
        _interpreter.process.returncode = 0


_had_threads = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_in_child)
