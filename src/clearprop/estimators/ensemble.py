"""Ensembles: several networks from different seeds, trained side by side in threads, and averaged."""

from __future__ import annotations

import warnings
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


def fit_members(estimator: Any, data: Any, held: Any, incremental: bool, hooks: Any) -> None:
    """Train the members (or go on with them) on checked rows, and leave them in `members_`."""
    est = estimator
    members = _members(est, getattr(est, "members_", []) if incremental or est.warm_start else [])
    workers = worker_count(est.n_jobs, len(members))
    inner = max(1, get_threads() // workers)  # so that workers times inner threads fit the cores
    config = get_config()  # scikit-learn's, which each thread has of its own

    def train(place: int) -> Any:
        with at_most(inner), config_context(**config), hooks.member(place, members[place]):
            return members[place]._fit_checked(est, data, held, incremental)

    with _pools().limit(limits=inner if workers > 1 else None):
        est.members_ = _in_threads(train, members, workers)
    est.n_iter_ = max(member.n_iter_ for member in est.members_)
    est.loss_ = float(np.mean([member.loss_ for member in est.members_ if hasattr(member, "loss_")] or [np.nan]))
    est.n_layers_, est.out_activation_ = est.members_[0].n_layers_, est.members_[0].out_activation_


def _members(estimator: Any, before: list[Any]) -> list[Any]:
    """As many members as wanted: those of before with the parameters that hold now, and fresh ones."""
    kept = before[: estimator.n_networks]
    members = [member.set_params(**_settings(estimator, member.random_state)) for member in kept]
    if len(members) < estimator.n_networks:
        seeds = check_random_state(estimator.random_state).randint(2**31 - 1, size=estimator.n_networks).tolist()
        free = [seed for seed in seeds if seed not in {member.random_state for member in members}]
        members += [_member(estimator, seed) for seed in free[: estimator.n_networks - len(members)]]
    return members


def _in_threads(train: Callable[[int], Any], members: list[Any], workers: int) -> list[Any]:
    """The trained members; after Ctrl-C those that had made a step by then, or the KeyboardInterrupt if none had."""
    stop = Event()
    for member in members:
        member._stop = stop
    try:
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(train, range(len(members))))
            except BaseException:
                stop.set()  # those that run stop soon, and the pool waits for them
                raise
    except KeyboardInterrupt:
        begun = [member for member in members if _has_made_a_step(member)]
        if not begun:
            raise
        warnings.warn(
            f"fit was interrupted; {len(begun)} of {len(members)} networks are kept, as far as they had come.",
            UserWarning,
            stacklevel=5,
        )
        return begun
    finally:
        for member in members:
            del member._stop


def _has_made_a_step(member: Any) -> bool:
    state = getattr(member, "_optimizer", None)
    return hasattr(member, "coefs_") and (state.steps > 0 if state is not None else member.n_iter_ > 0)


def _settings(estimator: Any, seed: int) -> dict[str, Any]:
    """The parameters of a member: copies of the ensemble's, and a seed of its own."""
    own = {"n_networks": 1, "n_jobs": None, "random_state": seed, "warm_start": True}
    given: Any = clone(estimator)
    return {**given.get_params(deep=False), **own}


def _member(estimator: Any, seed: int) -> Any:
    return type(estimator)(**_settings(estimator, seed))


@cache
def _pools() -> ThreadpoolController:
    """The thread pools of NumPy and its kin, looked for once."""
    return ThreadpoolController()


def worker_count(n_jobs: int | None, members: int) -> int:
    """How many networks to train at once: as many as threads may be used with None or -1, never more than those."""
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
