"""Shuffles by NumPy's own generator; tests/engine/compiled/test_shuffling.py compares the compiled ones with them."""

import numpy as np

from clearprop.engine.shuffling import shuffled


def test_each_order_is_a_shuffle_of_the_previous_one():
    rows, expected = np.arange(7), np.arange(7)
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    for order in shuffled(rows, ours, 4):
        theirs.shuffle(expected)
        np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(rows, expected)
    assert ours.randint(1 << 30) == theirs.randint(1 << 30)


def test_zero_shuffles():
    assert shuffled(np.arange(3), np.random.RandomState(0), 0).shape == (0, 3)
