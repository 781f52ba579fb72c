"""Sealed files: every damage is noticed, and headers that claim what cannot be are refused."""

import json
import random
import struct

import numpy as np
import pytest
import safetensors.numpy

from clearprop.errors import ArgumentError, ModelFileError
from clearprop.serialization import sealed as storage

NOTE = storage.Kind("note", ModelFileError)
ARRAYS = {"numbers": np.arange(500.0), "more": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros(0)}


def note():
    return storage.pack_sections(NOTE, {"text": "grüß", "number": 7}, ARRAYS)


def test_what_is_packed_comes_back_and_any_reader_of_safetensors_can_look_inside():
    found = storage.read_sections(note(), "n", NOTE)
    assert (found.version, found.head) == (storage.VERSION, {"text": "grüß", "number": 7})
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
        np.testing.assert_array_equal(safetensors.numpy.load(note())[name], array)
    assert note() == note()


def is_rejected(content):
    try:
        storage.read_sections(content, "n", NOTE)
    except ModelFileError:
        return True
    return False


def test_every_truncation_and_any_bytes_too_many_are_rejected():
    content = note()
    assert all(is_rejected(content[:length]) for length in range(len(content)))
    assert all(is_rejected(content + bytes(more)) for more in (1, 8, 1000))


def test_every_flipped_bit_of_the_header_is_rejected():
    content = bytearray(note())
    bits = 8 * (8 + struct.unpack("<Q", content[:8])[0])
    assert bits > 2000
    for bit in range(bits):
        content[bit // 8] ^= 1 << bit % 8
        assert is_rejected(content), bit
        content[bit // 8] ^= 1 << bit % 8
    assert not is_rejected(content)


def test_ten_thousand_flipped_bits_of_the_body_are_rejected():
    content, draw = bytearray(note()), random.Random(0)
    start = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(10_000):
        place, bit = draw.randrange(start, len(content)), 1 << draw.randrange(8)
        content[place] ^= bit
        assert is_rejected(content), (place, bit)
        content[place] ^= bit


def resealed(header, body=b"", table=None):
    """A file with this header, its last digest made right."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    start = struct.pack("<Q", len(text)) + text
    return start + body + storage.hashlib.sha256(start).digest()


def head(**fields):
    return {"clearprop": json.dumps({"version": 2, "kind": "note", **fields})}


SEAL = {"dtype": "U8", "shape": [1, 32], "data_offsets": [0, 32]}
HOSTILE = [
    ({"__metadata__": head(), "sha256": SEAL | {"data_offsets": [0, 2**62]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [2**40, 2**40]}}, "sha256 is at bytes 0 to 32 of 32"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [-1, -32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [True, 32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [1] * 50 + [32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"dtype": "object"}}, "object"),
    ({"__metadata__": head(), "sha256": [1]}, "truncated or damaged"),
    ({"__metadata__": head(), "other": SEAL}, "its digests are missing"),
    ({"__metadata__": head()}, "32 unexpected bytes at the end"),
    ({"__metadata__": head(), "sha256": SEAL, "twice": SEAL}, "is at bytes 0 to 32"),
    ({"__metadata__": {}}, "does not describe"),
    ({"__metadata__": {"clearprop": "[]"}}, "does not describe"),
    ({"__metadata__": {"clearprop": "[" * 50_000}}, "does not describe"),
    ({"__metadata__": {"clearprop": '{"version": 2, "version": 2}'}}, "does not describe"),
    ({"__metadata__": {"clearprop": '{"version": "2"}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": 0}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": true}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": 4, "anything": []}'}}, "written by a newer clearprop .layout 4"),
    ({"__metadata__": {"clearprop": '{"version": 2, "many": [' + "0," * 2 * 10**6 + "0]}"}}, "does not describe"),
    ({"__metadata__": {"clearprop": '{"version": 2, "kind": "model"}'}, "sha256": SEAL}, "this is a model file"),
    (b'{"__metadata__": {}, "__metadata__": {}}', "does not describe"),
    (b'{"__metadata__": \xff}', "does not describe"),
]


@pytest.mark.parametrize(("header", "text"), HOSTILE, ids=range(len(HOSTILE)))
def test_headers_that_claim_what_cannot_be_are_rejected(header, text):
    with pytest.raises(ModelFileError, match=text):
        storage.read_sections(resealed(header), "n", NOTE)


def test_a_resealed_file_is_the_only_way_to_be_right():
    assert storage.read_sections(resealed({"__metadata__": head(x=1), "sha256": SEAL}), "n", NOTE).head == {"x": 1}


def test_what_could_not_be_read_again_is_not_written(monkeypatch):
    with pytest.raises(ArgumentError, match=r"at most 33,554,432 bytes and 2,000,000 values are allowed"):
        storage.pack_sections(NOTE, {"text": "x" * 2**25}, {})
    with pytest.raises(ArgumentError, match="note file: its JSON data has"):
        storage.pack_sections(NOTE, {"many": [0] * 2_000_001}, {})
