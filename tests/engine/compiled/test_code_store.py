"""Files of compiled code are complete or count as absent, whoever writes them and whatever happens to their folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clearprop.engine.compiled import cache, code_store

CONTENT = bytes(range(256)) * 4
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda file: b"",
    "cut in the digest": lambda file: file[:20],
    "cut in the content": lambda file: file[:-1],
    "a byte too many": lambda file: file + b"\0",
    "zeros at the end": lambda file: file[:512] + bytes(len(file) - 512),
    "a bit of the digest": lambda file: bytes([file[0] ^ 1]) + file[1:],
    "a bit of the content": lambda file: file[:-1] + bytes([file[-1] ^ 128]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_counts_as_absent(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "code"
    code_store.write(path, CONTENT)
    assert code_store.read(path) == CONTENT
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert code_store.read(path) is None
    code_store.write(path, CONTENT)
    assert code_store.read(path) == CONTENT
    assert len(DAMAGES) == 7


def test_a_missing_folder_is_created_and_old_unfinished_files_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "spaces and ünïcode" / "engine"
    code_store.write(folder / "code", CONTENT)
    old, young = folder / ".old.1.part", folder / ".young.2.part"
    for path, age in ((old, 2 * code_store.DAY), (young, 0.0)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    code_store.write(folder / "other", CONTENT)
    assert {path.name for path in folder.iterdir()} == {"code", "other", ".young.2.part"}


@pytest.mark.skipif(os.name != "posix", reason="no permissions of files")
def test_other_users_may_read_the_files(tmp_path: Path) -> None:
    """Because an image is built by one user and run by another."""
    before = os.umask(0o022)
    try:
        code_store.write(tmp_path / "code", CONTENT)
    finally:
        os.umask(before)
    assert (tmp_path / "code").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        code_store.write(tmp_path / "code", CONTENT)
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(code_store.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(cache, "folder", code_store.folder.__wrapped__)
    monkeypatch.setattr(code_store, "folder", code_store.folder.__wrapped__)
    cache._warn.cache_clear()
    with pytest.warns(RuntimeWarning) as caught:
        assert cache.place.__wrapped__() is None
    assert str(caught[0].message).startswith(
        "clearprop: compiled code cannot be stored in the cache of a user without a home directory (Could not determine"
    )


def test_a_folder_that_another_process_removed_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    gone = tmp_path / "engine-0"
    monkeypatch.setattr(cache, "place", lambda: gone)

    @cache.compiled
    def add(x: float) -> float:
        return x + 1

    assert add(1.0) == 2.0
    (file,) = gone.glob("*add-*.code")
    for content in (b"", file.read_bytes()[:100]):  # damaged: compiled and stored again
        whole = file.read_bytes()
        file.write_bytes(content)
        again = cache.compiled(add.py_func)
        assert again(1.0) == 2.0
        assert code_store.read(file) is not None
        assert len(whole) > 100
    assert [str(w.message) for w in recwarn] == []


FULL = """
import os, resource, sys, warnings
os.chdir(sys.argv[1])
from clearprop.engine.compiled import cache, code_store, machine
code_store.folder()
os.mkdir("elsewhere")
os.chdir("elsewhere")  # a relative NUMBA_CACHE_DIR stays where it was
cache.place()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # each write fails, as on a full disk
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")

    @cache.compiled
    def add(x):
        return x + 1

    answers = add(1.0), add(1)
    machine.compile_function("define double @kernel() {\\n  ret double 1.0\\n}\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(len(caught), *answers, caught[0].message)
os.chdir("..")
print([name for _, _, names in os.walk(".") for name in names], os.listdir("elsewhere"))
"""


@pytest.mark.skipif(os.name != "posix", reason="no limit on the size of files")
def test_a_full_disk_and_a_relative_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-c", FULL, str(tmp_path)],
        env=os.environ | {"NUMBA_CACHE_DIR": "näked cache"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    reported, left = done.stdout.splitlines() or (done.stderr, "")
    assert reported.startswith(
        f"1 2.0 2 clearprop: compiled code cannot be stored in {tmp_path / 'näked cache' / 'clearprop'} ([Errno 27]"
    )
    assert left == "[] []"
