"""Ensembles: several networks from different seeds, trained side by side in threads, and averaged."""

from __future__ import annotations

import os
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits


def fit_members(estimator: Any, data: Any, held: Any, incremental: bool) -> None:
    """Train the members (or go on with them) on checked rows, and leave them in `members_`."""
    est = estimator
    members = getattr(est, "members_", None)
    if members is None or not (incremental or est.warm_start):
        seeds = check_random_state(est.random_state).randint(2**31 - 1, size=est.n_networks)
        members = [_member(est, int(seed)) for seed in seeds]
    workers = worker_count(est.n_jobs, len(members))
    with threadpool_limits(limits=1 if workers > 1 else None):  # so that workers times inner threads fit the cores
        est.members_ = Parallel(n_jobs=workers, prefer="threads")(
            delayed(_fit_one)(member, est, data, held, incremental) for member in members
        )
    est.n_iter_ = max(member.n_iter_ for member in est.members_)
    est.loss_ = float(np.mean([member.loss_ for member in est.members_]))
    est.n_layers_, est.out_activation_ = est.members_[0].n_layers_, est.members_[0].out_activation_


def _member(estimator: Any, seed: int) -> Any:
    settings = {"n_networks": 1, "n_jobs": None, "random_state": seed, "warm_start": True}
    return clone(estimator).set_params(**settings).set_callbacks()


def _fit_one(member: Any, estimator: Any, data: Any, held: Any, incremental: bool) -> Any:
    return member._fit_checked(estimator, data, held, incremental)


def worker_count(n_jobs: int | None, members: int) -> int:
    """How many threads to use: all cores with None or -1, never more than there are, one inside another's workers."""
    if joblib.parallel.get_active_backend()[0].nesting_level:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    wanted = cores if n_jobs is None else n_jobs if n_jobs > 0 else cores + 1 + n_jobs
    return max(1, min(wanted, cores, members))


def mean_outputs(estimator: Any, X: Any) -> np.ndarray:
    """The mean of the members' outputs, (n, outputs)."""
    members = estimator.members_
    total = members[0]._sweep(members[0]._parameters(), X)
    for member in members[1:]:
        total = total + member._sweep(member._parameters(), X)
    return total / len(members)
