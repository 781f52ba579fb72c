"""The learning rate of each step."""

import pytest

import clearprop as cp
from clearprop.schedules import as_schedule
from clearprop.training.rates import Rate


@pytest.mark.parametrize("name", sorted(cp.schedules.SCHEDULES))
def test_rates_over_several_steps_are_those_of_each(name):
    schedule = as_schedule(cp.schedules.SCHEDULES[name](0.1))
    rate = Rate(schedule, steps_per_epoch=4, epochs=9, costs=lambda: [1.0, 1.0], first_step=2)
    assert rate.of_epochs(1, 2).tolist() == [rate(step) for step in range(6, 14)]
    assert rate.is_known_ahead == (name == "constant")
