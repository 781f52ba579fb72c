"""The learning rate of each step."""

import pytest

import clearprop as cp
from clearprop.schedules import as_schedule
from clearprop.training.rates import Rate


@pytest.mark.parametrize("name", sorted(cp.schedules.SCHEDULES))
def test_rates_over_several_steps_are_those_of_each(name):
    rate = Rate(as_schedule(cp.schedules.SCHEDULES[name](0.1)), steps_per_epoch=4, epochs=3, costs=lambda: [1.0, 1.0])
    assert rate.over(2, 5).tolist() == [rate(step) for step in range(2, 7)]
