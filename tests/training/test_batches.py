"""Which rows make each step of an epoch."""

import numpy as np
import pytest
from epochs import planned_epochs

from clearprop.core.randomness import epoch_order
from clearprop.training.batches import BatchPlan


@pytest.mark.parametrize("samples", [1, 5, 20, 43, 100])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_plan_covers_every_row_once(samples, shuffle):
    for size, batches in ((None, None), (1, None), (7, None), (1000, None), (32, min(samples, 6))):
        plan = BatchPlan(samples, size, batches, shuffle, 3)
        epoch = planned_epochs(plan, 2, 1, [])
        parts = [epoch.batch(step) for step in range(epoch.steps)]
        in_order = not shuffle or len(parts) == 1  # the order within a single batch changes nothing
        order = np.arange(samples) if in_order else epoch_order(3, 2, samples)
        np.testing.assert_array_equal(np.concatenate(parts), order)
        if batches is not None:
            split = np.array_split(order, batches)
            assert [part.tolist() for part in parts] == [part.tolist() for part in split]
        elif size is not None:
            assert [len(part) for part in parts[:-1]] == [min(size, samples)] * (len(parts) - 1)


def test_orders_of_several_epochs_are_those_of_each():
    plan = BatchPlan(20, 7, None, True, 3)
    np.testing.assert_array_equal(plan.orders(2, 3), [epoch_order(3, epoch, 20) for epoch in (2, 3, 4)])
    plan.discard_after(1)
    np.testing.assert_array_equal(plan.orders(3, 1), [epoch_order(3, 3, 20)])
    assert not plan.edges.flags.writeable
    assert plan.largest == 7
