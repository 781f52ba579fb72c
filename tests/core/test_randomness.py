"""Randomness by place: orders and dropout masks follow from the seed, not from what was computed before."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.core.randomness import dropout_mask, epoch_order

F64 = np.dtype("float64")


def test_an_order_is_a_permutation_that_seed_and_epoch_decide():
    orders = {(seed, epoch): epoch_order(seed, epoch, 50) for seed in range(4) for epoch in range(4)}
    for (seed, epoch), order in orders.items():
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
        np.testing.assert_array_equal(order, epoch_order(seed, epoch, 50))
    assert len({tuple(order) for order in orders.values()}) == 16


def test_orders_are_spread_evenly():
    """Every row comes first about equally often."""
    first = np.bincount([epoch_order(0, epoch, 5)[0] for epoch in range(2000)], minlength=5)
    assert (np.abs(first - 400) < 4 * np.sqrt(2000 * 0.2 * 0.8)).all()


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_masks_hold_0_or_the_scale_and_have_mean_1(dropout):
    mask = dropout_mask(0, 0, 0, np.arange(2000), 50, dropout, F64)
    assert set(np.unique(mask)) == {0.0, 1 / (1 - dropout)}
    share = (mask == 0).mean()
    error = np.sqrt(dropout * (1 - dropout) / mask.size)
    assert abs(share - dropout) < 4 * error
    assert mask.mean() == pytest.approx(1, abs=4 * error / (1 - dropout))
    assert np.abs((mask == 0).mean(axis=0) - dropout).max() < 5 * np.sqrt(dropout * (1 - dropout) / 2000)


def test_masks_follow_the_rows_wherever_they_are():
    """A row has the same mask in any batch, at any place in it."""
    whole = dropout_mask(3, 2, 1, np.arange(100), 7, 0.3, F64)
    order = epoch_order(0, 0, 100)
    np.testing.assert_array_equal(dropout_mask(3, 2, 1, order, 7, 0.3, F64), whole[order])
    for size in (1, 13, 50):
        parts = [dropout_mask(3, 2, 1, np.arange(100)[i : i + size], 7, 0.3, F64) for i in range(0, 100, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_masks_differ_by_seed_epoch_and_layer():
    rows = np.arange(400)
    base = dropout_mask(0, 0, 0, rows, 20, 0.5, F64)
    for other in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        mask = dropout_mask(*other, rows, 20, 0.5, F64)
        agreement = (mask == base).mean()
        assert agreement == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(mask.size))


def test_neighbouring_rows_and_units_are_unrelated():
    mask = dropout_mask(0, 0, 0, np.arange(4000), 40, 0.5, F64) - 1
    for shift in (1, 2, 3):
        assert abs((mask[shift:] * mask[:-shift]).mean()) < 4 / np.sqrt(mask.size)
        assert abs((mask[:, shift:] * mask[:, :-shift]).mean()) < 4 / np.sqrt(mask.size)


def test_precision_and_large_seeds():
    assert dropout_mask(0, 0, 0, np.arange(3), 2, 0.5, np.dtype("float32")).dtype == np.float32
    assert dropout_mask(2**63 - 1, 10**6, 0, np.arange(3), 2, 0.5, F64).shape == (3, 2)
    assert sorted(epoch_order(2**63 - 1, 10**6, 4)) == [0, 1, 2, 3]
