"""Names of weights and units as text: what is found, and what a wrong one is answered with."""

from __future__ import annotations

import pytest

import clearprop as cp
from clearprop.errors import ArgumentError, NetworkError
from clearprop.explain.derivation.names import Names, Subject, Unit

PATTERN = [[1, 0], [2, 1], [0, 2]]
NET = cp.Network(
    3,
    [
        cp.Layer("hidden", 2, "tanh", sources=[cp.Wired("input", PATTERN)]),
        cp.Layer("same", 2, sources=[cp.Direct("hidden")], bias=False),
        cp.Layer("output", 2, "softmax", sources=["same", "input"]),
    ],
)
NAMES = Names(NET, {"input": ["age", "a <- b", "income.b"], "output": ["kind=yes", "kind=no"]})


@pytest.mark.parametrize(
    ("text", "kind", "unit", "places"),
    [
        ("output[1] <- same[0]", "weight", Unit("output", 1), ((Unit("same", 0), Unit("output", 1)),)),
        ("output[1]←same[0]", "weight", Unit("output", 1), ((Unit("same", 0), Unit("output", 1)),)),
        ("kind=no <- age", "weight", Unit("output", 1), ((Unit("input", 0), Unit("output", 1)),)),
        ("output[kind=no] <- input[age]", "weight", Unit("output", 1), ((Unit("input", 0), Unit("output", 1)),)),
        ("kind=yes <- a <- b", "weight", Unit("output", 0), ((Unit("input", 1), Unit("output", 0)),)),
        ("hidden[1].b", "bias", Unit("hidden", 1), ()),
        ("hidden[1]", "z", Unit("hidden", 1), ()),
        ("hidden[1].z", "z", Unit("hidden", 1), ()),
        ("hidden[1].a", "a", Unit("hidden", 1), ()),
        ("input[2]", "a", Unit("input", 2), ()),
        ("income.b", "a", Unit("input", 2), ()),
        ("a <- b", "a", Unit("input", 1), ()),
    ],
)
def test_texts_name_quantities(text, kind, unit, places):
    found = NAMES.find(text)
    assert (found.kind, found.unit, found.places) == (kind, unit, places)


def test_a_shared_weight_has_a_name_for_each_connection():
    one, other = NAMES.find("hidden[0] <- age"), NAMES.find("hidden[1] <- a <- b")
    assert isinstance(one, Subject)
    assert one.entry == other.entry == (0,)
    assert (
        set(one.places)
        == set(other.places)
        == {
            (Unit("input", 0), Unit("hidden", 0)),
            (Unit("input", 1), Unit("hidden", 1)),
        }
    )
    assert one.places[0] == (Unit("input", 0), Unit("hidden", 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden[1] <- age", 'there is no "hiden[1] <- age". The nearest are: hidden[0] <- age'),
        ("output[0] <- hidden[0]", "The nearest are: kind="),
        ("hidden[1] <- age", 'there is no "hidden[1] <- age". The nearest are: hidden[1] <- a <- b'),
        ("hidden[7].b", "The nearest are: hidden["),
        ("agee", "The nearest are: age"),
        ("input[9]", "the units are input[0..2], hidden[0..1], same[0..1], output[0..1]"),
        ("input[0].b", 'there is no "input[0].b"'),
        ("input[0] <- hidden[0]", 'there is no "input[0] <- hidden[0]"'),
        ("", 'there is no ""'),
        ("hidden[-1]", 'there is no "hidden[-1]"'),
        ("same[0] <- hidden[0]", "is an identity connection: its weight is fixed at 1"),
        ("same[0].b", 'layer "same" has no bias'),
        ("HIDDEN[1]", "The nearest are: hidden[1], hidden[0]"),
        ("hidden[1].c", "The nearest are: hidden[1].b, hidden[1].a, hidden[1].z."),
        ("same[0].w", "The nearest are: same[0].a, same[0].z."),
        (3, 'expected a text such as "hidden[3] <- input[2]" or "hidden[3].b", got 3.'),
    ],
)
def test_an_unknown_name_is_reported_with_the_closest_names(text, message):
    with pytest.raises(ArgumentError) as caught:
        NAMES.find(text)
    assert message in str(caught.value)


def test_names_that_do_not_fit_the_network():
    with pytest.raises(ArgumentError, match=r'names: expected 3 texts for "input", one per unit, got \[\'age\'\]'):
        Names(NET, {"input": ["age"]})
    with pytest.raises(NetworkError, match='there is no layer "inputs"'):
        Names(NET, {"inputs": ["age"]})
