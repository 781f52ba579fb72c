"""Ensembles: several networks with different seeds, trained in parallel threads, whose outputs are averaged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Event
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController

from clearprop.engine.cores import at_most, get_threads
from clearprop.errors import warn_user


def fit_members(estimator: Any, data: Any, validation: Any, incremental: bool, hooks: Any) -> None:
    """Train the members, or continue to train them, on checked data, and set `members_`."""
    est = estimator
    members = _members(est, getattr(est, "members_", []) if incremental or est.warm_start else [])
    workers = worker_count(est.n_jobs, len(members))
    inner = max(1, get_threads() // workers)  # so that workers * inner does not exceed the cores
    config = get_config()  # scikit-learn's configuration is local to a thread

    def train(index: int) -> Any:
        with at_most(inner), config_context(**config), hooks.member(index, members[index]):
            return members[index]._fit_checked(est, data, validation, incremental)

    with _pools().limit(limits=inner if workers > 1 else None):
        est.members_ = _in_threads(train, members, workers)
    est.n_iter_ = max(member.n_iter_ for member in est.members_)
    est.loss_ = float(np.mean([member.loss_ for member in est.members_ if hasattr(member, "loss_")] or [np.nan]))
    est.n_layers_, est.out_activation_ = est.members_[0].n_layers_, est.members_[0].out_activation_


def _members(estimator: Any, before: list[Any]) -> list[Any]:
    """`n_networks` members: the earlier ones with the present parameters, and new ones."""
    earlier = before[: estimator.n_networks]
    members = [member.set_params(**_settings(estimator, member.random_state)) for member in earlier]
    if len(members) < estimator.n_networks:
        seeds = check_random_state(estimator.random_state).randint(2**31 - 1, size=estimator.n_networks).tolist()
        free = [seed for seed in seeds if seed not in {member.random_state for member in members}]
        members += [_member(estimator, seed) for seed in free[: estimator.n_networks - len(members)]]
    return members


def _in_threads(train: Callable[[int], Any], members: list[Any], workers: int) -> list[Any]:
    """The trained members; after Ctrl-C those that had completed a step, or KeyboardInterrupt if none had."""
    stop = Event()
    for member in members:
        member._stop = stop
    try:
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(train, range(len(members))))
            except BaseException:
                stop.set()  # running members stop soon; the pool waits for them
                raise
    except KeyboardInterrupt:
        started = [member for member in members if _has_completed_a_step(member)]
        if not started:
            raise
        warn_user(
            f"fit was interrupted; members_ has the {len(started)} of {len(members)} networks that had started.",
            UserWarning,
        )
        return started
    finally:
        for member in members:
            del member._stop


def _has_completed_a_step(member: Any) -> bool:
    state = getattr(member, "_optimizer", None)
    return hasattr(member, "coefs_") and (state.steps > 0 if state is not None else member.n_iter_ > 0)


def _settings(estimator: Any, seed: int) -> dict[str, Any]:
    """The parameters of a member: copies of the ensemble's, with its own seed."""
    own = {"n_networks": 1, "n_jobs": None, "random_state": seed, "warm_start": True}
    copy: Any = clone(estimator)
    return {**copy.get_params(deep=False), **own}


def _member(estimator: Any, seed: int) -> Any:
    return type(estimator)(**_settings(estimator, seed))


@cache
def _pools() -> ThreadpoolController:
    """The thread pools of NumPy and other libraries; finding them takes time."""
    return ThreadpoolController()


def worker_count(n_jobs: int | None, members: int) -> int:
    """How many networks to train at once: at most `get_threads()`, which is also the default (None) and -1."""
    cores = get_threads()
    wanted = cores if n_jobs is None else n_jobs if n_jobs > 0 else cores + 1 + n_jobs
    return max(1, min(wanted, cores, members))


def mean_outputs(estimator: Any, X: Any) -> np.ndarray:
    """The mean of the members' outputs, (n, outputs)."""
    members = estimator.members_
    total = members[0]._sweep(members[0]._parameters(), X)
    for member in members[1:]:
        total = total + member._sweep(member._parameters(), X)
    return total / len(members)
