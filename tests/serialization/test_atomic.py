"""Writing: complete or not at all at every failing, killed or lost call."""

import errno
import os
import resource
import stat
import time

import pytest
from filesystem import Recorder, failing_at, in_child, killing_at, power_cuts

from clearprop.errors import ArgumentError, ClearpropError, FileWriteError
from clearprop.serialization import atomic

OLD, NEW = b"old" * 50, b"new" * 100


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A file in a folder of its own; a save writes it in several pieces."""
    monkeypatch.setattr(atomic, "_WRITE_AT_ONCE", 100)
    path = tmp_path / "saved" / "model.cprop"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def recorded(monkeypatch, path, content=NEW, **interference):
    """The calls of one save."""
    recorder = Recorder(**interference)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "os", recorder)
        atomic.write_atomically(path, content)
    return recorder.log


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
            assert "An existing file is unchanged." in str(raised.value)
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
                atomic.os = Recorder(**{moment: killing_at(chosen)})
                atomic.write_atomically(target, NEW)

            assert in_child(save) == -9
            assert target.read_bytes() in (OLD, NEW)
            kills += 1
    assert kills == 2 * calls >= 24
    left = [path for path in target.parent.iterdir() if path != target]
    assert left  # a killed process cannot clean up after itself
    for path in left:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    (target.parent / ".other.cprop.1.part").touch()
    atomic.remove_leftovers(target)
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
        atomic.write_atomically("/dev/full", NEW)
    assert error.value.errno == errno.ENOSPC
    assert isinstance(error.value, ClearpropError)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert not [name for name in os.listdir("/dev") if name.endswith(".part")]
    atomic.write_atomically("/dev/null", NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_limit_on_the_size_of_files_keeps_the_old_one(target):
    def save():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        with pytest.raises(FileWriteError, match="File too large"):
            atomic.write_atomically(target, NEW)

    assert in_child(save) == 0
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["model.cprop"]


def test_a_link_leads_to_the_file_that_is_replaced(target):
    link = target.parent / "latest"
    link.symlink_to(target.name)
    atomic.write_atomically(link, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_permissions_of_a_replaced_file_stay(target):
    target.chmod(0o640)
    atomic.write_atomically(target, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    first, plain = target.parent / "first", target.parent / "plain"
    atomic.write_atomically(first, NEW)
    plain.touch()
    assert first.stat().st_mode == plain.stat().st_mode


def test_where_it_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"the folder .*nowhere does not exist"):
        atomic.write_atomically(tmp_path / "nowhere" / "m.cprop", b"")
    with pytest.raises(ArgumentError, match="is a folder"):
        atomic.write_atomically(tmp_path, b"")


def test_without_flushing_a_failure_still_leaves_the_old_file_and_nothing_behind(target, monkeypatch):
    def save(**interference):
        recorder = Recorder(**interference)
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "os", recorder)
            atomic.replace_file(str(target), NEW, durable=False)
        return [name for name, _, _ in recorder.log]

    calls = save()
    assert calls == ["stat", "open", "write", "write", "write", "fchmod", "close", "replace"]
    for chosen in range(len(calls)):
        target.write_bytes(OLD)
        with pytest.raises(OSError, match="Input/output error"):
            save(before=failing_at(chosen, errno.EIO))
        assert os.listdir(target.parent) == ["model.cprop"]
        assert target.read_bytes() == OLD


def test_leftovers_in_a_folder(tmp_path):
    for name in (".a.1.part", ".b.2.part", "c.part", ".d"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".new.3.part").touch()
    atomic.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".d", ".new.3.part", "c.part"]
