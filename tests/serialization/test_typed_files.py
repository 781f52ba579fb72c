"""Files that hold a dataclass: arrays come back bit for bit, and messages name the file and the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import CheckpointError
from clearprop.serialization.codec import AnyFloat
from clearprop.serialization.sealed import Kind, pack_sections, read_sections
from clearprop.serialization.typed_files import pack_file, read_file

STATE = Kind("state", CheckpointError)


@dataclass
class State:
    """Every kind of field."""

    epoch: int
    best_cost: AnyFloat
    net: cp.Network
    optimizer: cp.optimizers.Optimizer | None
    parameters: np.ndarray
    slots: dict[str, np.ndarray]
    best: np.ndarray | None
    columns: dict[str, list[float]]


def state() -> State:
    net = cp.Network(2, [cp.Layer("output", 1, sources=[cp.Wired("input", [[1], [1]])])])
    vector = np.linspace(0, 1, 5, dtype=np.float32)
    columns = {"cost": [2.0, 1.0], "norm": [0.5, float("nan")]}
    return State(3, float("inf"), net, cp.Adam(cp.schedules.Cosine(0.1)), vector, {"mean": vector**2}, None, columns)


def test_everything_comes_back_bit_for_bit():
    content = pack_file(STATE, state())
    found, expected = read_file(content, "run.ckpt", STATE, State), state()
    assert (found.epoch, found.best_cost, found.best) == (3, float("inf"), None)
    assert (found.net, found.optimizer) == (expected.net, expected.optimizer)
    assert found.parameters.tobytes() == expected.parameters.tobytes()
    assert found.parameters.dtype == np.float32
    assert found.slots["mean"].tobytes() == expected.slots["mean"].tobytes()
    assert str(found.columns) == str(expected.columns)
    assert pack_file(STATE, found) == content
    found.parameters[0] = 7  # not a view of the file


def test_arrays_have_the_path_of_their_field_as_name():
    arrays = read_sections(pack_file(STATE, state()), "run.ckpt", STATE).arrays
    assert sorted(arrays) == ["columns", "net.layers[0].sources[0].pattern", "parameters", "slots.mean"]


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ({"epoch": "3"}, "epoch: expected an integer of at most 64 bits, got '3'"),
        ({"parameters": "other"}, "parameters: the file has no array 'other', or another field uses it"),
        ({"slots": {"a": "parameters"}}, "slots.a: the file has no array 'parameters', or another field uses it"),
        ({"slots": {"a": "slots.mean", "b": "slots.mean"}}, "slots.b: the file has no array 'slots.mean', or another"),
        ({"best": 7}, "best: expected the name of an array or null, got 7"),
        ({"extra": 1}, "run.ckpt: unknown field 'extra'; expected epoch, best_cost, "),
        (
            {"columns": {"names": ["a", "a"], "values": "columns"}},
            "columns: expected a float64 matrix with a row for each",
        ),
        ({"columns": {"names": ["a"], "values": "columns"}}, "a row for each of 1 different names, got shape (2, 2)"),
    ],
)
def test_messages_name_the_file_and_the_field(head, text):
    found = read_sections(pack_file(STATE, state()), "run.ckpt", STATE)
    with pytest.raises(CheckpointError) as error:
        read_file(pack_sections(STATE, found.head | head, found.arrays), "run.ckpt", STATE, State)
    assert str(error.value).startswith("run.ckpt: ")
    assert text in str(error.value)
