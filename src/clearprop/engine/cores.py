"""How many cores training and prediction may use."""

from __future__ import annotations

import os
from pathlib import Path

from clearprop.checks import check_integer

_chosen: int | None = None


def set_threads(count: int | None) -> None:
    """How many threads training and prediction use at most; None for as many as this process may use.

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

    >>> import clearprop as cp
    >>> cp.get_threads() >= 1
    True
    """
    return _chosen if _chosen is not None else available_threads()


def available_threads() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, round(quota)) if quota else cores)


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
