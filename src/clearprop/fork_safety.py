"""Locks that stay usable in a forked process: a fork waits until they are free.

Only the thread that calls fork continues in the child process. A lock held by another thread at that moment would stay
locked there forever.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar
from weakref import WeakSet

_T = TypeVar("_T")


class cached_property(functools.cached_property[_T]):
    """functools.cached_property without its lock for all objects of a class (removed in Python 3.12).

    >>> class Square:
    ...     @cached_property
    ...     def area(self):
    ...         return 4
    >>> Square().area
    4
    """

    def __init__(self, function: Callable[[Any], _T]) -> None:
        super().__init__(function)
        self.lock = nullcontext()


_locks: WeakSet[AbstractContextManager[Any]] = WeakSet()
_last: list[AbstractContextManager[Any]] = []
_held: list[AbstractContextManager[Any]] = []
_forking = threading.Lock()


def register_fork_locks(*locks: AbstractContextManager[Any], last: bool = False) -> None:
    """Make forks wait until these locks are free; with `last`, a fork acquires them after all others, in this order.

    >>> lock = threading.Lock()
    >>> register_fork_locks(lock)
    """
    if not last and all(lock in _locks for lock in locks):
        return
    with _forking:
        _last.extend(locks) if last else _locks.update(locks)


def _take() -> None:
    _forking.acquire()
    for lock in [*_locks, *_last]:
        lock.__enter__()
        _held.append(lock)


def _give_back() -> None:
    while _held:
        _held.pop().__exit__(None, None, None)
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)
