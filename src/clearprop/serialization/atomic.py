"""Files written atomically: at every moment the path holds the complete old file or the complete new one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time

from clearprop.errors import ArgumentError, FileWriteError

_WRITE_AT_ONCE = 2**26
#: Seconds after which a temporary file must be that of a process that was killed.
_LEFT_BEHIND = 3600


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file completely or not at all: to a temporary file beside it, flushed to disk, then renamed.

    After any failure, including a power failure, the name refers to the complete old file or to the complete new one.
    Devices and pipes, such as /dev/stdout, are written to directly; if the path is a link, its target is replaced.
    Raises ArgumentError for a folder, or a path in a folder that does not exist, and FileWriteError if the system
    refuses.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/numbers.txt", b"1 2 3")
    ...     pathlib.Path(folder, "numbers.txt").read_text()
    '1 2 3'
    """
    check_target(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            _write_directly(os.fspath(path), content)
        else:
            replace_file(os.path.realpath(path), content)
    except FileWriteError:
        raise
    except OSError as reason:
        raise FileWriteError(
            f"{path}: cannot be written: {reason.strerror or reason}. An existing file is unchanged.", reason.errno
        ) from reason


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an ArgumentError for a folder, or a path in a folder that does not exist."""
    if os.path.isdir(path):
        raise ArgumentError(f"{path}: is a folder, expected the name of a file to write.")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ArgumentError(f"{path}: the folder {folder} does not exist; create it first.")


def replace_file(target: str, content: bytes, *, durable: bool = True) -> None:
    """Write a plain file atomically; OSError where that fails.

    With `durable=False` nothing is flushed to disk: a power cut may leave a damaged file, so its reader must check it.
    """
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f"{_prefix(target)}{secrets.token_hex(4)}.part")
    directory, file = _open_folder(folder) if durable else None, -1
    try:
        try:
            mode = _mode(target)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode or 0o666)
            _write_all(file, content)
            if durable:
                os.fsync(file)
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file, mode)
            closing, file = file, -1
            os.close(closing)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                if file != -1:
                    os.close(file)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(directory, target)
    finally:
        if directory is not None:
            with contextlib.suppress(OSError):
                os.close(directory)


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left[:_WRITE_AT_ONCE]) :]


def _write_directly(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY)
    try:
        _write_all(file, content)
    finally:
        os.close(file)


def _mode(target: str) -> int | None:
    """The permissions of the file that is replaced, None where there is none."""
    try:
        return os.stat(target).st_mode & 0o7777
    except FileNotFoundError:
        return None


def _open_folder(folder: str) -> int | None:
    """The folder, opened so that the rename can be flushed to disk; None if the system does not support that."""
    if not hasattr(os, "O_DIRECTORY"):
        return None
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder may be writable, but not readable
        return None


def _sync_folder(directory: int | None, target: str) -> None:
    if directory is None:
        return
    try:
        os.fsync(directory)
    except OSError as reason:
        if reason.errno not in (errno.EINVAL, errno.ENOTSUP):  # the file system does not support it
            raise FileWriteError(
                f"{target}: the new file is complete, but may be lost in a power cut: {reason.strerror}.",
                reason.errno,
            ) from reason


def _prefix(target: str) -> str:
    """How the names of the temporary files of a target begin."""
    return f".{os.path.basename(target)[:50]}."


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed processes left an hour or more ago: for this file, or in this folder."""
    target = os.path.realpath(path)
    folder, prefix = (target, ".") if os.path.isdir(target) else (os.path.dirname(target), _prefix(target))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            ours = entry.name.startswith(prefix) and entry.name.endswith(".part")
            if ours and entry.stat().st_mtime < time.time() - _LEFT_BEHIND:
                os.unlink(entry.path)
