"""Model files: whole or not at all, data only, and every damage answered by a typed error."""

import re
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import clearprop as cp
from clearprop.errors import ModelFileError
from clearprop.model import files
from clearprop.serialization import sealed as storage

SQUARE = cp.activations.Custom("square", lambda z: z * z, lambda z, a: 2 * z)


def every_kind_of_network():
    """One network with every kind of connection, many activations, frozen parts and own initializers."""
    return cp.Network(
        3,
        [
            cp.Layer("a", 4, cp.activations.LeakyReLU(0.2), initializer="orthogonal", dropout=0.25),
            cp.Layer("b", 4, "layer_normalization", sources=["a", cp.Direct("a")]),
            cp.Layer(
                "c", 2, cp.activations.ELU(0.5), sources=[cp.Wired("input", [[1, 0], [2, 1], [0, 2]], trainable=False)]
            ),
            cp.Layer(
                "d",
                3,
                "softmax",
                sources=[cp.Dense("b", trainable=False, initializer=cp.initializers.Uniform(-0.3, 0.3)), "c", "input"],
                bias_initializer=cp.initializers.Normal(0.5),
                train_bias=False,
            ),
        ],
    )


def model_bytes(net=None, dtype="float64"):
    net = net or every_kind_of_network()
    params = net.initialize(seed=1, dtype=dtype)
    history = cp.History({"cost": [1.0, 0.5]}, {"a": [1.0, 2.0]}, {"a": [3.0, 4.0]}, "finished 2 epochs", 1)
    return net, params, files.pack(net, params, {"d": cp.CrossEntropy(0.1)}, None, {"seed": 1}, history)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_packed_comes_back_bit_for_bit(dtype):
    net, params, content = model_bytes(dtype=dtype)
    parts = files.unpack(content, "m.cprop")
    assert parts["net"] == net
    assert hash(parts["net"]) == hash(net)
    assert parts["params"].flat.dtype == dtype
    assert parts["params"].flat.tobytes() == params.flat.tobytes()
    assert parts["losses"] == {"d": cp.CrossEntropy(0.1)}
    assert parts["settings"] == {"seed": 1}
    assert parts["history"].cost == [1.0, 0.5]
    assert parts["history"].best_epoch == 1
    parts["params"].flat[0] = 7  # not a view of the file


def test_packing_twice_gives_the_same_bytes():
    assert model_bytes()[2] == model_bytes()[2]


def test_own_activation_is_named_in_the_file_and_handed_over():
    net = cp.Network.sequential(2, 3, 1, hidden=SQUARE)
    content = files.pack(net, net.initialize(), {"output": cp.SquaredError()}, None, {}, None)
    assert b"lambda" not in content
    with pytest.raises(ModelFileError, match=r"\[0\]\.activation\.name: unknown activation 'square'.*own=\["):
        files.unpack(content, "m.cprop")
    assert files.unpack(content, "m.cprop", own=[SQUARE])["net"] == net


def test_damage_is_rejected():
    """Of the whole file: tests/serialization/test_sealed.py damages every byte of it."""
    _, _, content = model_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 4
        for wrong in (content[:place], bytes(damaged)):
            with pytest.raises(ModelFileError, match=r"m\.cprop"):
                files.unpack(wrong, "m.cprop")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_junk_is_rejected(content):
    with pytest.raises(ModelFileError):
        files.unpack(content, "m.cprop")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths_into(tree, path=()):
    yield path
    if isinstance(tree, dict):
        for key in tree:
            yield from paths_into(tree[key], (*path, key))
    elif isinstance(tree, list):
        for i, item in enumerate(tree):
            yield from paths_into(item, (*path, i))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.data())
def test_any_json_in_place_of_any_part_gives_a_typed_error_or_a_valid_model(data):
    head, arrays = sections()
    path = data.draw(st.sampled_from([p for p in paths_into(head) if p]))
    parent = head
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(json_values)
    content = storage.pack_sections(files.MODEL, head, arrays)
    try:
        parts = files.unpack(content, "m.cprop")
    except ModelFileError:
        return
    assert cp.predict(parts["net"], parts["params"], np.ones((2, parts["net"].inputs))).shape[0] == 2


def sections():
    """The JSON data and the arrays of a model file, to be changed and sealed again."""
    found = storage.read_sections(model_bytes()[2], "m.cprop", files.MODEL)
    return found.head, found.arrays


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "another kind of file, or it is truncated"),
        (b"age,income\n1,2\n3,4\n5,6\n", "another kind of file"),
        (struct.pack("<Q", 2**40) + b"{}" * 20, "another kind of file"),
        (struct.pack("<Q", 1000) + b"{}" * 20, "is truncated"),
        (safetensors.numpy.save({"w": np.zeros(3)}), "does not describe a model"),
        (safetensors.numpy.save({"w": np.zeros(3)}, {"clearprop": "[]"}), "does not describe a model"),
        (safetensors.numpy.save({"w": np.zeros(3)}, {"clearprop": "{}"}), "does not describe a model"),
        (safetensors.numpy.save({"w": np.zeros(3)}, {"clearprop": '{"version": 99}'}), "newer clearprop"),
        (
            safetensors.numpy.save({"w": np.zeros(3)}, {"clearprop": '{"version": 1}'}),
            "does not follow layout 1 of a model file",
        ),
    ],
)
def test_what_is_no_model_file_is_named(content, text):
    with pytest.raises(ModelFileError, match=text):
        files.unpack(content, "m.cprop")


def test_parameters_that_do_not_fit_or_are_not_finite_are_rejected():
    head, arrays = sections()
    flat = arrays["parameters"]
    for wrong, text in (
        (flat[:-1], "parameters: expected a vector of 70"),
        (flat.astype("float16"), "float32 or float64"),
        (np.where(np.arange(len(flat)) == 3, np.nan, flat), "nan at row 3"),
    ):
        with pytest.raises(ModelFileError, match=text):
            files.unpack(storage.pack_sections(files.MODEL, head, arrays | {"parameters": wrong}), "m.cprop")
    for lost in ("parameters", "history.columns", "network.layers[2].sources[0].pattern"):
        rest = {name: array for name, array in arrays.items() if name != lost}
        with pytest.raises(ModelFileError, match=f"{re.escape(lost)}: the file has no array"):
            files.unpack(storage.pack_sections(files.MODEL, head, rest), "m.cprop")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"none\.cprop: cannot be read: No such file"):
        cp.Model.load(tmp_path / "none.cprop")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        cp.Model.load(tmp_path)
