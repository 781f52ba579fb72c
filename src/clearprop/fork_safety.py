"""Locks across a fork: it waits for whoever holds them, so that the child finds them free and what they guard whole.

Of a process's threads only the one that forks goes on in the child: a lock that another one held would stay locked
there forever.
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
    """A property that is computed once, without the lock for all objects of its class that it has up to Python 3.11.

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


def free_at_forks(lock: AbstractContextManager[Any]) -> None:
    """Let forks wait until nobody holds this lock.

    >>> lock = threading.Lock()
    >>> free_at_forks(lock)
    """
    if lock not in _locks:
        with _forking:
            _locks.add(lock)


def free_at_forks_at_last(*locks: AbstractContextManager[Any]) -> None:
    """The same for locks that are taken, in this order, by those who hold one of the others."""
    with _forking:
        _last.extend(locks)


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
