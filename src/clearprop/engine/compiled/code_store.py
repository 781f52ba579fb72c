"""Files of compiled code: their folder, a digest of the content of each file, and a limit on their number."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba import config

from clearprop.serialization.atomic import remove_leftovers, replace_file

#: Seconds after which another use of a file is recorded.
DAY = 86_400.0

_DIGEST = 32


@cache
def folder() -> Path:
    """Where compiled code is stored: NUMBA_CACHE_DIR if it is set, else the user's cache; OSError if there is none.

    It stays the same when the process changes its working directory.
    """
    numba = config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    base = numba or os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache").absolute() / "clearprop"
    except RuntimeError as reason:
        raise OSError(str(reason)) from None


def described() -> str:
    """The name of the folder in messages."""
    try:
        return str(folder())
    except OSError:
        return "the cache of a user without a home directory"


def read(path: Path) -> bytes | None:
    """The content of a file; None if it is absent, not readable for this user, or damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    note_use(path)
    digest, content = stored[:_DIGEST], stored[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def write(path: Path, content: bytes) -> None:
    """Write a file in one step, so that another process sees all of it or nothing; OSError if that fails.

    A missing folder is created: processes remove folders that were not used for long. Nothing is flushed to disk,
    because a file that a power cut damages counts as absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), hashlib.sha256(content).digest() + content, durable=False)
    remove_leftovers(path.parent)


def note_use(path: Path) -> None:
    """Mark a file or folder as used today; where that is not allowed, nothing can be removed either."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def keep_latest(paths: Iterable[Path], most: int) -> None:
    """Remove all files and folders except the `most` that were used last.

    A process that is about to read one compiles it again. It does not matter if another process removes one first.
    """
    by_use = []
    for path in paths:
        with suppress(OSError):
            by_use.append((path.stat().st_mtime, path))
    for _, path in sorted(by_use, reverse=True)[most:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
