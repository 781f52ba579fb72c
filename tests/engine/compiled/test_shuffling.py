"""Many shuffles in one call are NumPy's own, bit for bit, and leave its generator where NumPy leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clearprop.engine.compiled.shuffling import shuffled_at_once
from clearprop.engine.shuffling import shuffled

RandomState = np.random.RandomState
SOURCES: dict[str, Callable[[int], RandomState]] = {
    "MT19937": RandomState,
    "PCG64": lambda seed: RandomState(np.random.PCG64(seed)),  # keeps half of a draw for the next one
    "Philox": lambda seed: RandomState(np.random.Philox(seed)),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("n", "times"), [(1, 3), (2, 5), (3, 5), (4, 5), (5, 5), (150, 20), (1000, 3), (70_001, 1)])
def test_shuffles_are_those_of_numpy(n: int, times: int, source: str) -> None:
    rows = np.random.default_rng(n).permutation(2 * n)[:n]
    ours, theirs = SOURCES[source](n), SOURCES[source](n)
    mine, plain = rows.copy(), rows.copy()
    ours.randint(7), theirs.randint(7)
    np.testing.assert_array_equal(shuffled_at_once(mine, ours, times), shuffled(plain, theirs, times))
    np.testing.assert_array_equal(mine, plain)
    assert ours.randint(2**31 - 1) == theirs.randint(2**31 - 1)


def test_no_shuffle_draws_nothing() -> None:
    ours, theirs = RandomState(0), RandomState(0)
    assert shuffled_at_once(np.arange(3), ours, 0).shape == (0, 3)
    assert ours.randint(2**31 - 1) == theirs.randint(2**31 - 1)


def test_the_global_generator_of_numpy() -> None:
    np.random.seed(5)
    ours = shuffled_at_once(np.arange(9), np.random.mtrand._rand, 2)
    np.random.seed(5)
    np.testing.assert_array_equal(ours, shuffled(np.arange(9), np.random.mtrand._rand, 2))


def test_a_generator_that_shuffles_in_its_own_way_does_so() -> None:
    class Backwards(RandomState):
        def shuffle(self, x: np.ndarray) -> None:
            x[:] = x[::-1].copy()

    assert shuffled_at_once(np.arange(3), Backwards(), 2).tolist() == [[2, 1, 0], [0, 1, 2]]


def test_a_generator_that_several_threads_share() -> None:
    """Each shuffle comes from draws of its own: together they are those of one thread, in some order."""
    generator, reference = RandomState(3), RandomState(3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shuffled_at_once(np.arange(500), generator, 1)[0].tolist(), range(200)))
    expected = [shuffled(np.arange(500), reference, 1)[0].tolist() for _ in range(200)]
    assert sorted(found) == sorted(expected)


PLAIN = """
import numpy as np
from clearprop.engine.shuffling import shuffled
from clearprop.engine.compiled.shuffling import shuffled_at_once
found = [shuffle(np.arange(20), np.random.RandomState(1), 3) for shuffle in (shuffled, shuffled_at_once)]
np.testing.assert_array_equal(*found)
print("agreed")
"""


def test_the_same_code_runs_as_plain_python() -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "agreed\n", done.stderr
