"""What engines receive: the batches of several epochs, and patience."""

import numpy as np
import pytest

from clearprop.engine.api import Epochs, Patience

EPOCHS = Epochs(3, np.array([[3, 0, 4, 1, 2], [0, 1, 2, 3, 4]]), np.array([0, 2, 4, 5]), np.arange(6.0))


def test_batches_are_counted_over_all_epochs():
    batches = [EPOCHS.batch(step).tolist() for step in range(6)]
    assert batches == [[3, 0], [4, 1], [2], [0, 1], [2, 3], [4]]
    assert np.shares_memory(EPOCHS.batch(4), EPOCHS.orders)
    assert (len(EPOCHS), EPOCHS.steps) == (2, 3)


def test_a_part_has_its_own_number_orders_and_rates():
    part = EPOCHS.part(1, 2)
    assert (part.first, len(part), part.rates.tolist()) == (4, 1, [3.0, 4.0, 5.0])
    assert part.batch(2).tolist() == [4]


@pytest.mark.parametrize(
    ("losses", "count", "best"),
    [([], 0, 1.0), ([0.9], 0, 0.9), ([0.95], 1, 0.95), ([0.95, 0.91], 2, 0.91), ([0.95, 0.85], 0, 0.85),
     ([np.nan, 1.0], 2, 1.0)],
)  # fmt: skip
def test_patience_counts_from_the_lowest_loss(losses, count, best):
    """As scikit-learn does: an epoch has to be better than the best by `tol`, but is the best even without."""
    patience = Patience(1.0, 1, 0.1).after(losses)
    assert (patience.count, patience.best, patience.is_exhausted) == (count, best, count > 1)


@pytest.mark.parametrize(
    ("losses", "count", "best"),
    [([1.0], 1, 1.0), ([0.9], 1, 1.0), ([0.95, 0.89], 0, 0.89), ([0.8, 0.75], 1, 0.8), ([np.nan], 1, 1.0)],
)
def test_strict_patience_counts_from_the_last_improvement(losses, count, best):
    patience = Patience(1.0, 1, 0.1, strict=True).after(losses)
    assert (patience.count, patience.best) == (count, best)


def test_the_first_loss_is_an_improvement():
    for strict in (True, False):
        assert Patience(np.inf, 1, 0.5, strict=strict).after([7.0]) == Patience(7.0, 1, 0.5, strict=strict)
