"""How many threads there may be."""

import os
import threading

import joblib
import pytest

import clearprop as cp
from clearprop.engine.cores import THREAD_VARIABLES, at_most, available_threads, one_blas_thread
from clearprop.errors import ArgumentError


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    cp.set_threads(None)


def test_set_threads_applies_until_it_is_reset():
    cp.set_threads(3)
    assert cp.get_threads() == 3
    cp.set_threads(None)
    assert cp.get_threads() == available_threads()


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_invalid_thread_counts(count):
    with pytest.raises(ArgumentError, match="threads: expected a whole number of at least 1"):
        cp.set_threads(count)
    assert cp.get_threads() == available_threads()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_affinity_is_respected():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_threads() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("name", THREAD_VARIABLES)
def test_limits_from_environment_variables(name, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("clearprop.engine.cores._quota", lambda: None)
    assert available_threads() == 8
    for text, expected in (("3", 3), ("1", 1), ("99", 8), ("0", 1), ("", 8), ("4,2", 8), ("-1", 8)):
        monkeypatch.setenv(name, text)
        assert available_threads() == expected, text


def test_at_most_applies_in_its_own_thread_only():
    cp.set_threads(6)
    seen = []
    with at_most(2):
        thread = threading.Thread(target=lambda: seen.append(cp.get_threads()))
        thread.start()
        thread.join()
        seen.append(cp.get_threads())
        with at_most(9):
            seen.append(cp.get_threads())
    assert [*seen, cp.get_threads()] == [6, 2, 6, 6]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_workers_times_threads_do_not_exceed_the_cores(backend):
    """A worker gets its share; alone, it gets everything."""
    for workers in (1, 2, 5):
        found = joblib.Parallel(n_jobs=workers, backend=backend)(
            joblib.delayed(cp.get_threads)() for _ in range(workers)
        )
        assert all(1 <= threads <= max(1, available_threads() // workers) for threads in found)
    assert joblib.Parallel(n_jobs=1)([joblib.delayed(cp.get_threads)()]) == [available_threads()]
    assert cp.get_threads() == available_threads()


def test_matrix_products_use_one_thread_inside_the_block_and_as_many_as_before_after_it():
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas")

    def threads():
        return {pool["num_threads"] for pool in pools.info()}

    with pools.limit(limits=2):
        before = threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}, "a block is still open"
        second.__exit__(None, None, None)
        assert threads() == before
