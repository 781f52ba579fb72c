"""Fingerprints: what differs is seen and named, what is the same is not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import clearprop as cp
from clearprop.training.fingerprints import description, fingerprint, first_difference

X = np.arange(12.0).reshape(3, 4)
SAME = [X.copy(), np.asfortranarray(X), X[:, ::-1][:, ::-1]]
OTHER = [X.astype("float32"), X.T, X.reshape(4, 3), np.where(X == 5, 5 + 1e-15, X), -X, csr_array(X)]


@pytest.mark.parametrize("array", SAME, ids=range(len(SAME)))
def test_the_same_numbers_have_the_same_fingerprint(array):
    assert fingerprint(array) == fingerprint(X)


def test_different_numbers_shapes_and_precisions_have_different_fingerprints():
    found = {fingerprint(array) for array in (X, *OTHER)}
    assert len(found) == 1 + len(OTHER)
    assert fingerprint(X).startswith("3 x 4 float64, SHA-256 ")


def test_fingerprints_of_sparse_matrices_depend_on_values_and_indices():
    thin = csr_array(np.where(X > 4, X, 0.0))
    moved = csr_array((thin.data, thin.indices[::-1], thin.indptr), shape=thin.shape)
    assert fingerprint(thin) == fingerprint(thin.copy())
    assert fingerprint(thin) != fingerprint(moved)


WAS = {"settings": {"seed": 1, "rates": [0.1, 0.2]}, "layers": [{"name": "a", "units": 3}, {"name": "b", "units": 4}]}
DIFFERENCES = [
    (WAS, None),
    ({**WAS, "settings": {"seed": 2, "rates": [0.1, 0.2]}}, "settings, seed: was 1, is 2"),
    ({**WAS, "settings": {"seed": 1, "rates": (0.1, 0.2)}}, None),  # a tuple is a list in JSON
    ({**WAS, "settings": {"seed": 1, "rates": [0.1, 0.3]}}, "settings, rates, 1: was 0.2, is 0.3"),
    ({**WAS, "settings": {"seed": 1, "rates": [0.1]}}, "settings, rates: had 2 items, has 1"),
    ({**WAS, "settings": {"seed": 1}}, "settings, rates: was [0.1, 0.2], is missing"),
    ({**WAS, "more": 1}, "more: was missing, is 1"),
    ({**WAS, "layers": [WAS["layers"][0], {"name": "b", "units": 5}]}, "layers, b, units: was 4, is 5"),
]


@pytest.mark.parametrize(("now", "text"), DIFFERENCES, ids=range(len(DIFFERENCES)))
def test_the_first_difference_is_named(now, text):
    assert first_difference(WAS, now) == text


def test_descriptions_of_definitions_have_no_addresses():
    class Odd:
        pass

    assert " at 0x" in repr(Odd())
    assert " at 0x" not in description(Odd())
    assert description(cp.penalties.L2(0.1)) == "L2(strength=0.1)"
