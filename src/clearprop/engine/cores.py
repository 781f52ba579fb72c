"""How many cores training and prediction may use."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from clearprop.checks import check_integer
from clearprop.fork_safety import register_fork_locks

_chosen: int | None = None
_share: ContextVar[int | None] = ContextVar("clearprop_threads", default=None)

#: Environment variables by which loky and batch systems limit the threads of a process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def set_threads(count: int | None) -> None:
    """Set how many threads training and prediction use at most; None for as many as this process may use.

    Results do not depend on it.

    >>> import clearprop as cp
    >>> cp.set_threads(1)
    >>> cp.get_threads()
    1
    >>> cp.set_threads(None)
    """
    global _chosen
    _chosen = None if count is None else check_integer(count, "threads")


def get_threads() -> int:
    """How many threads training and prediction use at most.

    In a worker of joblib this is its share of the cores, so that all workers together use no more threads than cores.

    >>> import clearprop as cp
    >>> cp.get_threads() >= 1
    True
    """
    count, share = available_threads() if _chosen is None else _chosen, _share.get()
    if share is None and _is_worker() and not (_is_main_thread() and _environment_limits()):
        share = 1
    return count if share is None else min(count, share)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Limit the threads that training and prediction use inside the block, if started from this thread."""
    token = _share.set(threads)
    try:
        yield
    finally:
        _share.reset(token)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products of NumPy use one thread inside the block: small products are slower with more threads.

    The setting holds for the whole process; of blocks that overlap, the last one to end restores it.
    """
    global _blocks, _restore
    with _blas_lock:
        if _blocks == 0:
            _restore = _blas().limit(limits=1).restore_original_limits
        _blocks += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blocks -= 1
            if _blocks == 0 and _restore is not None:
                _restore()


_blas_lock = threading.Lock()
register_fork_locks(_blas_lock)
_blocks = 0
_restore: Callable[[], None] | None = None


@cache
def _blas() -> Any:
    """The thread pools of the BLAS libraries; finding them takes time."""
    from threadpoolctl import ThreadpoolController  # imported on first use: import clearprop stays fast

    return ThreadpoolController().select(user_api="blas")


def available_threads() -> int:
    """Cores that this process may use: its affinity, its control group's quota, OMP_NUM_THREADS, NUMBA_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, min([cores, *([round(quota)] if quota else []), *_environment_limits()]))


def _environment_limits() -> list[int]:
    """The limits set by environment variables."""
    return [int(os.environ[name]) for name in THREAD_VARIABLES if os.environ.get(name, "").isdecimal()]


def _is_worker() -> bool:
    """Whether this runs in a parallel worker of joblib."""
    parallel = sys.modules.get("joblib.parallel")
    return parallel is not None and parallel.get_active_backend()[0].nesting_level > 0


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@cache
def _quota() -> float | None:
    """Cores granted by the control group (version 2, then 1)."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit, period = (int(Path(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return limit / period if limit > 0 else None
    except (OSError, ValueError):
        return None
