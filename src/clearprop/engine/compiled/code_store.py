"""Files of machine code: where they are kept, each with a digest of what it holds, and how many of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba.core import config

from clearprop.serialization.atomic import remove_leftovers, replace_file

#: Seconds after which it counts that a file is used again.
DAY = 86_400.0

_DIGEST = 32


@cache
def folder() -> Path:
    """Where machine code is kept: in NUMBA_CACHE_DIR where it is set, else in the user's cache.

    It stays the same when the process changes its working directory. OSError where there is none.
    """
    numba = config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    base = numba or os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache").absolute() / "clearprop"
    except RuntimeError as reason:
        raise OSError(str(reason)) from None


def described() -> str:
    """The folder, as messages call it."""
    try:
        return str(folder())
    except OSError:
        return "the cache of a user without a home"


def read(path: Path) -> bytes | None:
    """What was kept in a file, unless it is absent, not for this user to read, or damaged."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    note_use(path)
    digest, content = kept[:_DIGEST], kept[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def write(path: Path, content: bytes) -> None:
    """Keep content in a file, at once, so that another process finds all of it or nothing; OSError where that fails.

    The folder is made where it is missing: processes remove what others have long not used. A file that a power cut
    damaged counts as absent, so that nothing is flushed to disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(str(path), hashlib.sha256(content).digest() + content, durable=False)
    remove_leftovers(path.parent)


def note_use(path: Path) -> None:
    """Mark a file or folder as used today; where that is not allowed, nothing is removed either."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def keep_latest(paths: Iterable[Path], most: int) -> None:
    """Remove files and folders but for the `most` that were used last.

    A process that is about to read one compiles it anew; one that another process removes first is gone as well.
    """
    found = []
    for path in paths:
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[most:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
