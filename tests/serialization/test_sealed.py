"""Saving: whole or not at all at every failing, killed or lost call. Reading: every damage is noticed."""

import errno
import json
import os
import random
import resource
import stat
import struct
import time

import numpy as np
import pytest
import safetensors.numpy
from filesystem import Recorder, failing_at, in_child, killing_at, power_cuts

from clearprop.errors import ArgumentError, ClearpropError, FileWriteError, ModelFileError
from clearprop.serialization import sealed as storage

OLD, NEW = b"old" * 50, b"new" * 100
NOTE = storage.Kind("note", ModelFileError)


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A file in a folder of its own; a save writes it in several pieces."""
    monkeypatch.setattr(storage, "_WRITE_AT_ONCE", 100)
    path = tmp_path / "saved" / "model.cprop"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def recorded(monkeypatch, path, content=NEW, **interference):
    """The calls of one save."""
    recorder = Recorder(**interference)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "os", recorder)
        storage.write_atomically(path, content)
    return recorder.log


# --- saving ----------------------------------------------------------------------------------------------------------


def test_the_calls_of_a_save(target, monkeypatch):
    names = [name for name, _, _ in recorded(monkeypatch, target)]
    writes = ["write", "write", "write"]
    assert names == ["open", "stat", "open", *writes, "fsync", "fchmod", "close", "replace", "fsync", "close"]
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("old", [OLD, None], ids=["replaced", "first"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_failure_of_any_call_leaves_the_old_file_and_nothing_behind(target, old, error, monkeypatch):
    if old is None:
        target.unlink()
    calls = [name for name, _, _ in recorded(monkeypatch, target)]
    point_of_no_return = calls.index("replace")
    for chosen in range(len(calls)):
        target.unlink()
        if old is not None:
            target.write_bytes(old)
        failing = calls[chosen]
        if chosen == len(calls) - 1:  # closing the folder, which changes nothing any more
            recorded(monkeypatch, target, before=failing_at(chosen, error))
        else:
            with pytest.raises(FileWriteError) as raised:
                recorded(monkeypatch, target, before=failing_at(chosen, error))
            assert raised.value.errno == error, failing
            assert os.strerror(error) in str(raised.value)
            assert str(target) in str(raised.value)
        assert os.listdir(target.parent) == (
            ["model.cprop"] if old is not None or chosen > point_of_no_return else []
        ), failing
        if chosen > point_of_no_return:
            assert target.read_bytes() == NEW
        elif old is not None:
            assert target.read_bytes() == OLD
            assert "What was there before is untouched." in str(raised.value)
        target.touch()


def test_a_disk_that_dies_keeps_the_old_file(target, monkeypatch):
    """From the failing call on nothing works any more, not even removing the temporary file."""
    for chosen in range(len(recorded(monkeypatch, target)) - 2):
        target.write_bytes(OLD)
        with pytest.raises(FileWriteError, match="Input/output error"):
            recorded(monkeypatch, target, before=failing_at(chosen, errno.EIO, onwards=True))
        assert target.read_bytes() == OLD


def test_an_interruption_at_any_call_leaves_nothing_behind(target, monkeypatch):
    calls = len(recorded(monkeypatch, target))
    for moment in ("before", "after"):
        for chosen in range(calls):
            target.write_bytes(OLD)

            def interrupt(place, name, chosen=chosen):
                if place == chosen:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                recorded(monkeypatch, target, **{moment: interrupt})
            assert os.listdir(target.parent) == ["model.cprop"]
            assert target.read_bytes() in (OLD, NEW)


def test_a_kill_at_every_call_of_a_save(target, monkeypatch):
    calls = len(recorded(monkeypatch, target))
    kills = 0
    for moment in ("before", "after"):
        for chosen in range(calls):
            target.write_bytes(OLD)

            def save(chosen=chosen, moment=moment):
                storage.os = Recorder(**{moment: killing_at(chosen)})
                storage.write_atomically(target, NEW)

            assert in_child(save) == -9
            assert target.read_bytes() in (OLD, NEW)
            kills += 1
    assert kills == 2 * calls >= 24
    left = [path for path in target.parent.iterdir() if path != target]
    assert left  # a killed process cannot clean up after itself
    for path in left:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    (target.parent / ".other.cprop.1.part").touch()
    storage.remove_leftovers(target)
    assert sorted(os.listdir(target.parent)) == [".other.cprop.1.part", "model.cprop"]


@pytest.mark.parametrize("old", [OLD, None], ids=["replaced", "first"])
def test_a_power_cut_at_any_call_leaves_the_old_or_the_new_file(target, old, monkeypatch):
    log = recorded(monkeypatch, target)
    found = power_cuts(log, target, old)
    assert len(found) == len(log) + 1
    assert all(outcomes <= {old, NEW} for outcomes in found)
    assert found[0] == {old}
    assert {old, NEW} in found
    assert found[-1] == {NEW}  # once it has returned, the new file is there to stay


@pytest.mark.parametrize("forgotten", ["file", "folder"])
def test_the_simulated_power_cut_would_notice_a_missing_sync(target, forgotten, monkeypatch):
    log = recorded(monkeypatch, target)
    syncs = [place for place, (name, _, _) in enumerate(log) if name == "fsync"]
    del log[syncs[forgotten == "folder"]]
    found = power_cuts(log, target, OLD)
    if forgotten == "file":
        assert NEW[: len(NEW) // 2] in set.union(*found)
    else:
        assert OLD in found[-1]


def test_the_simulated_power_cut_would_notice_a_file_written_in_place(target):
    log = [("open", (str(target), os.O_WRONLY | os.O_TRUNC), 3), ("write", (3, NEW), len(NEW)), ("fsync", (3,), None)]
    assert b"" in set.union(*power_cuts(log, target, OLD))


def test_a_full_device_is_an_error_and_stays_a_device():
    with pytest.raises(FileWriteError, match=r"/dev/full: cannot be written: No space left on device\.") as error:
        storage.write_atomically("/dev/full", NEW)
    assert error.value.errno == errno.ENOSPC
    assert isinstance(error.value, ClearpropError)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert not [name for name in os.listdir("/dev") if name.endswith(".part")]
    storage.write_atomically("/dev/null", NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_limit_on_the_size_of_files_keeps_the_old_one(target):
    def save():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        with pytest.raises(FileWriteError, match="File too large"):
            storage.write_atomically(target, NEW)

    assert in_child(save) == 0
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["model.cprop"]


def test_a_link_leads_to_the_file_that_is_replaced(target):
    link = target.parent / "latest"
    link.symlink_to(target.name)
    storage.write_atomically(link, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_permissions_of_a_replaced_file_stay(target):
    target.chmod(0o640)
    storage.write_atomically(target, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    first, plain = target.parent / "first", target.parent / "plain"
    storage.write_atomically(first, NEW)
    plain.touch()
    assert first.stat().st_mode == plain.stat().st_mode


def test_where_it_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"the folder .*nowhere does not exist"):
        storage.write_atomically(tmp_path / "nowhere" / "m.cprop", b"")
    with pytest.raises(ArgumentError, match="is a folder"):
        storage.write_atomically(tmp_path, b"")


# --- reading ---------------------------------------------------------------------------------------------------------

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
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [2**40, 2**40]}}, "sha256 lies from byte 0 to 32 of 32"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [-1, -32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [True, 32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"shape": [1] * 50 + [32]}}, "the size of sha256"),
    ({"__metadata__": head(), "sha256": SEAL | {"dtype": "object"}}, "object"),
    ({"__metadata__": head(), "sha256": [1]}, "cut off or damaged"),
    ({"__metadata__": head(), "other": SEAL}, "its digests are missing"),
    ({"__metadata__": head()}, "32 bytes too many"),
    ({"__metadata__": head(), "sha256": SEAL, "twice": SEAL}, "lies from byte 0 to 32"),
    ({"__metadata__": {}}, "no description"),
    ({"__metadata__": {"clearprop": "[]"}}, "no description"),
    ({"__metadata__": {"clearprop": "[" * 50_000}}, "no description"),
    ({"__metadata__": {"clearprop": '{"version": 2, "version": 2}'}}, "no description"),
    ({"__metadata__": {"clearprop": '{"version": "2"}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": 0}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": true}'}}, "no version"),
    ({"__metadata__": {"clearprop": '{"version": 4, "anything": []}'}}, "written by a newer clearprop .layout 4"),
    ({"__metadata__": {"clearprop": '{"version": 2, "many": [' + "0," * 10**6 + "0]}"}}, "no description"),
    ({"__metadata__": {"clearprop": '{"version": 2, "kind": "model"}'}, "sha256": SEAL}, "this is a model file"),
    (b'{"__metadata__": {}, "__metadata__": {}}', "no description"),
    (b'{"__metadata__": \xff}', "no description"),
]


@pytest.mark.parametrize(("header", "text"), HOSTILE, ids=range(len(HOSTILE)))
def test_headers_that_claim_what_cannot_be_are_rejected(header, text):
    with pytest.raises(ModelFileError, match=text):
        storage.read_sections(resealed(header), "n", NOTE)


def test_a_resealed_file_is_the_only_way_to_be_right():
    assert storage.read_sections(resealed({"__metadata__": head(x=1), "sha256": SEAL}), "n", NOTE).head == {"x": 1}


def test_what_could_not_be_read_again_is_not_written(monkeypatch):
    with pytest.raises(ArgumentError, match=r"more than the 8,388,608 and 1,000,000 that a file may have"):
        storage.pack_sections(NOTE, {"text": "x" * 2**23}, {})
    with pytest.raises(ArgumentError, match="note file: what describes it takes"):
        storage.pack_sections(NOTE, {"many": [0] * 1_000_001}, {})
