"""The batches of an epoch as a sequence, and the rates of its steps."""

import numpy as np
import pytest

import clearprop as cp
from clearprop.engine.batches import Batches, Rate
from clearprop.schedules import as_schedule

BATCHES = Batches(np.array([3, 0, 4, 1, 2]), np.array([0, 2, 4, 5]))


def test_batches_are_a_sequence_of_row_numbers():
    assert len(BATCHES) == 3
    assert [rows.tolist() for rows in BATCHES] == [[3, 0], [4, 1], [2]]
    assert BATCHES[-1].tolist() == [2]
    assert [rows.tolist() for rows in BATCHES[1:]] == [[4, 1], [2]]
    with pytest.raises(IndexError):
        BATCHES[3]


def test_batches_are_views_of_the_order():
    assert np.shares_memory(BATCHES[0], BATCHES.order)


@pytest.mark.parametrize("name", sorted(cp.schedules.SCHEDULES))
def test_rates_over_several_steps_are_those_of_each(name):
    rate = Rate(as_schedule(cp.schedules.SCHEDULES[name](0.1)), steps_per_epoch=4, epochs=3, costs=lambda: [1.0, 1.0])
    assert rate.over(2, 5).tolist() == [rate(step) for step in range(2, 7)]
