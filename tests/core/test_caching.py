"""Results are cached for the library's definitions, and made anew for those of a user."""

from dataclasses import dataclass

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.caching import cached_by_definition
from clearprop.estimators.adapter import build_network


class Custom(cp.activations.Elementwise):
    """An activation of a user's own, whose behaviour may change."""

    name = "custom"
    slope = 1.0

    def function(self, z):
        return self.slope * z

    def derivative(self, z, a):
        return self.slope + 0 * z


@dataclass
class Mutable:
    """A definition with fields that can be assigned."""

    rate: float = 0.1


NET = cp.Network.sequential(2, 3, 1)
CUSTOM = cp.Network(2, [cp.Layer("output", 1, Custom())])

CASES = [
    ((1, 2.0, "text", None, True, np.dtype("float32"), np.float64(2)), True),
    (((), (1, (2, (3,)))), True),
    ((cp.tanh, cp.Momentum(0.1, 0.9)), True),
    ((cp.Momentum(cp.schedules.Cosine(0.1)),), True),
    ((NET, (("output", cp.SquaredError()),)), True),
    ((Custom(),), False),
    (((cp.tanh, Custom()),), False),
    ((CUSTOM,), False),
    ((Mutable(),), False),
    (([1, 2],), False),
    ((np.zeros(2),), False),
]


@pytest.mark.parametrize(("arguments", "cached"), CASES)
def test_what_is_cached(arguments, cached):
    calls = []
    make = cached_by_definition(lambda *arguments: calls.append(arguments))
    make(*arguments)
    make(*arguments)
    assert len(calls) == (1 if cached else 2)


def test_both_kinds_are_tried():
    assert {cached for _, cached in CASES} == {True, False}


def test_numbers_of_different_types_are_told_apart():
    make = cached_by_definition(lambda x: type(x))
    assert [make(1), make(1.0), make(True)] == [int, float, bool]


def test_networks_of_estimators():
    """Equal descriptions give one network; those with a user's activation one each."""
    first, second, other = (
        build_network(2, (3,), (f,), (0.0,), ((1, cp.sigmoid),), False) for f in (cp.tanh, cp.tanh, cp.relu)
    )
    assert first is second
    assert first.layers[0].f is cp.tanh
    assert other.layers[0].f is cp.relu
    own = Custom()
    networks = [build_network(2, (3,), (own,), (0.0,), ((1, cp.sigmoid),), False) for _ in range(2)]
    assert networks[0] is not networks[1]
