"""Dataclasses as JSON data and back: everything survives, and whatever else a file holds is refused with its path."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clearprop as cp
from clearprop.activations import ACTIVATIONS
from clearprop.errors import ArgumentError, ModelFileError
from clearprop.initializers import INITIALIZERS
from clearprop.losses import LOSSES, Huber, Quantile
from clearprop.optimizers import LBFGS, OPTIMIZERS, Momentum, Optimizer
from clearprop.penalties import PENALTIES, Penalty
from clearprop.schedules import SCHEDULES, Schedule, WarmUp
from clearprop.serialization.codec import MAX_DEPTH, MAX_LAYERS, decode, encode


def again(kind: Any, value: Any) -> Any:
    """The value after a way through JSON text."""
    return decode(kind, json.loads(json.dumps(encode(value), allow_nan=False)))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_survives(name):
    net = cp.Network.sequential(2, 3, 2, hidden=name)
    assert again(cp.Network, net) == net


@pytest.mark.parametrize("loss", [loss() for loss in LOSSES.values()] + [Huber(2.5), Quantile(0.9)])
def test_every_loss_survives(loss):
    assert again(cp.losses.Loss, loss) == loss


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_survives(name):
    optimizer = OPTIMIZERS[name]()
    assert again(Optimizer | LBFGS, optimizer) == optimizer


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_every_schedule_survives_inside_an_optimizer(name):
    optimizer = Momentum(WarmUp(SCHEDULES[name](0.1), epochs=2), 0.5)
    assert again(Optimizer | LBFGS, optimizer) == optimizer


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_every_initializer_survives(name):
    net = cp.Network.sequential(2, 3, 1, initializer=name)
    assert again(cp.Network, net) == net


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_every_penalty_survives(name):
    assert again(Penalty, PENALTIES[name](0.1)) == PENALTIES[name](0.1)


def test_own_definitions_are_named_and_passed_back():
    square = cp.activations.Custom("square", lambda z: z * z, lambda z, a: 2 * z)
    assert encode(square) == {"name": "square"}
    assert decode(cp.activations.Activation, {"name": "square"}, own=[square]) is square
    with pytest.raises(ModelFileError, match=r"name: unknown activation 'square'.*own=\[\.\.\.\]"):
        decode(cp.activations.Activation, {"name": "square"})
    with pytest.raises(ModelFileError, match="unknown loss 'square'"):
        decode(cp.losses.Loss, {"name": "square"}, own=[square])


@pytest.mark.parametrize("value", [np.zeros(3), {1, 2}, lambda z: z, 1j, b"bytes"])
def test_what_json_cannot_hold_is_refused_before_it_is_written(value):
    with pytest.raises(
        ArgumentError, match=r"anything\.a\[0\]: expected numbers, strings, lists or dicts in a file, got "
    ):
        encode(dataclasses.replace(OUTER, anything={"a": [value]}), {})


def test_numpy_scalars_become_numbers():
    assert json.dumps(encode(Huber(np.float32(0.5)))) == '{"name": "huber", "threshold": 0.5}'


@dataclass
class Inner:
    """A member of a union that its class variable tells apart."""

    type = "inner"
    size: float

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ModelFileError("size: expected at least 0.")


@dataclass
class Other:
    """Another member."""

    type = "other"
    name: str


@dataclass
class Outer:
    """Every kind of field that JSON data alone can hold."""

    flag: bool
    count: int
    number: float
    text: str | None
    kind: Literal["a", "b"]
    pair: tuple[str, int]
    numbers: tuple[float, ...]
    label: str | int | float | bool
    members: list[Inner | Other]
    anything: dict[str, Any]
    columns: dict[str, list[float]]


OUTER = Outer(
    True, 3, 0.5, None, "a", ("x", 1), (1.0, 2.0), 7, [Inner(1.0), Other("o")], {"x": [1, None]}, {"cost": [1.0, 0.5]}
)


def test_every_kind_of_field_survives():
    assert again(Outer, OUTER) == OUTER
    assert type(again(Outer, OUTER).label) is int
    assert encode(OUTER)["members"] == [{"type": "inner", "size": 1.0}, {"type": "other", "name": "o"}]


DEEP: Any = 0.1
for _ in range(MAX_DEPTH + 2):
    DEEP = {"name": "warm_up", "learning_rate": DEEP, "epochs": 1.0}
LAYER = encode(cp.Network.sequential(1, 1))["layers"][0]
WRONG = [
    (Outer, {"flag": 1}, "flag: expected true or false, got 1"),
    (Outer, {"count": True}, "count: expected an integer of at most 64 bits, got True"),
    (Outer, {"count": 1.0}, "count: expected an integer of at most 64 bits, got 1.0"),
    (Outer, {"count": 2**63}, "count: expected an integer of at most 64 bits, got 9223372036854775808"),
    (Outer, {"count": 10**5000}, "count: expected an integer of at most 64 bits, got one of 16610 bits"),
    (Outer, {"number": 10**400}, "number: expected a finite number, got one of 1329 bits"),
    (Outer, {"number": float("nan")}, "number: expected a finite number, got nan"),
    (Outer, {"number": float("inf")}, "number: expected a finite number, got inf"),
    (Outer, {"number": "0.5"}, "number: expected a finite number, got '0.5'"),
    (Outer, {"number": False}, "number: expected a finite number, got False"),
    (Outer, {"text": 7}, "text: expected a string or null, got 7"),
    (Outer, {"text": ["x" * 10_000]}, "text: expected a string or null, got ['xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxx"),
    (Outer, {"kind": "c"}, "kind: expected one of 'a', 'b', got 'c'"),
    (Outer, {"kind": None}, "kind: expected a string, got None"),
    (Outer, {"pair": ["x"]}, "pair: expected 2 items, got ['x']"),
    (Outer, {"pair": ["x", "y"]}, "pair[1]: expected an integer"),
    (Outer, {"numbers": [1.0, None]}, "numbers[1]: expected a finite number, got None"),
    (Outer, {"numbers": {}}, "numbers: expected a list, got {}"),
    (Outer, {"label": float("nan")}, "label: expected a finite number, got nan"),
    (Outer, {"label": []}, "label: expected a string or an integer of at most 64 bits or a finite number or true"),
    (Outer, {"members": [{"type": "inner", "size": -1.0}]}, "members[0]: size: expected at least 0"),
    (Outer, {"members": [{"type": "os.system"}]}, "members[0].type: expected one of 'inner', 'other', got 'os.system'"),
    (Outer, {"members": [{"size": 1.0}]}, "members[0].type: expected one of 'inner', 'other', got None"),
    (Outer, {"members": [{"type": [], "size": 1.0}]}, "members[0].type: expected one of 'inner', 'other', got []"),
    (Outer, {"members": [7]}, "members[0]: expected an object, got 7"),
    (Outer, {"members": [{"type": "inner"}]}, "members[0]: missing field 'size'; expected size"),
    (Outer, {"members": [{"type": "inner", "size": 1.0, "x": 1}]}, "members[0]: unknown field 'x'; expected size"),
    (Outer, {"columns": {"cost": "high"}}, "columns.cost: expected a list, got 'high'"),
    (Outer, {"columns": {"names": ["cost"], "values": "x"}}, "columns: the file has no array 'x'"),
    (cp.losses.Loss, 7, "expected an object, got 7"),
    (cp.losses.Loss, {"name": "huber", "threshold": -1.0}, "Huber threshold: expected a finite number above 0"),
    (cp.losses.Loss, {"name": "adam"}, "name: unknown loss 'adam'"),
    (cp.losses.Loss, {"name": "huber"}, "missing field 'threshold'"),
    (cp.losses.Loss, {"name": "x" * 10**7}, "name: unknown loss '" + "x" * 100 + "'. Available: "),
    (cp.Network, {"inputs": 10**300}, "inputs: expected an integer"),
    (cp.Network, {"layers": [LAYER] * (MAX_LAYERS + 1)}, "layers: expected at most 10,000 layers, got 10001"),
    (cp.Network, {"layers": [LAYER | {"activation": "tanh"}]}, "layers[0].activation: expected an object, got 'tanh'"),
    (cp.Network, {"layers": [LAYER | {"sources": ["input"]}]}, "sources[0]: expected an object, got 'input'"),
    (cp.Network, {"layers": [LAYER | {"sources": [{"kind": "dotted"}]}]}, "kind: unknown connection 'dotted'"),
    (cp.Network, {"outputs": ["none"]}, 'outputs: there is no layer "none"'),
    (Schedule, DEEP, "learning_rate: nested more than 60 levels deep"),
]
GOOD = {Outer: encode(OUTER), cp.Network: encode(cp.Network.sequential(1, 1))}


@pytest.mark.parametrize(("kind", "change", "text"), WRONG, ids=range(len(WRONG)))
def test_everything_else_is_refused_with_its_path(kind, change, text):
    data = GOOD[kind] | change if kind in GOOD else change
    with pytest.raises(ModelFileError, match=re.escape(text)):
        decode(kind, data)


def test_the_path_of_a_part_begins_with_what_the_caller_calls_it():
    with pytest.raises(ModelFileError, match=r"^target\.flag: expected true or false, got 'yes'\.$"):
        decode(Outer, GOOD[Outer] | {"flag": "yes"}, path="target")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = [
    Outer,
    cp.Network,
    cp.losses.Loss,
    Optimizer | LBFGS,
    Schedule,
    cp.History,
    int,
    float,
    list[str],
    dict[str, float],
]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(kind=st.sampled_from(KINDS), data=VALUES)
def test_any_json_is_decoded_or_refused(kind, data):
    try:
        found = decode(kind, data)
    except ModelFileError:
        return
    assert again(kind, found) == found
