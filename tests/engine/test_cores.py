"""How many threads there may be."""

import os

import pytest

import clearprop as cp
from clearprop.engine.cores import available_threads
from clearprop.errors import ArgumentError


@pytest.fixture(autouse=True)
def as_before():
    yield
    cp.set_threads(None)


def test_a_chosen_number_holds_until_it_is_taken_back():
    cp.set_threads(3)
    assert cp.get_threads() == 3
    cp.set_threads(None)
    assert cp.get_threads() == available_threads()


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_what_is_no_number_of_threads(count):
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
