"""Files: written whole or not at all, and read only if every byte is as it was written.

The layout is that of safetensors: the length of a JSON header (8 bytes), the header, then arrays as raw numbers. The
header's metadata entry "clearprop" holds JSON text with the version of the layout, the kind of file, and all that is no
array. The last array, "sha256", has a SHA-256 digest for each section: a row for every array before it in the order in
which they lie, and a last row (the last 32 bytes of the file) for the header with its length. Nothing in a file is
imported or executed, and no size that it claims is believed before it is compared with what is there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy

from clearprop.errors import ArgumentError, FileWriteError, ModelFileError

#: The layout of the files; a reader refuses a higher one. `clearprop.serialization.older` reads those before. A new one
#: gets its own golden files (tests/golden/make_golden.py).
VERSION = 3
#: Bounds on what a header may hold: its bytes, what its values weigh (an object counts 4), and its arrays.
MAX_HEADER, MAX_VALUES, MAX_ARRAYS = 8 * 2**20, 1_000_000, 10_000

_DIGESTS, _DIGEST_BYTES = "sha256", 32
_WRITE_AT_ONCE = 2**26
#: Seconds after which a temporary file must be that of a save that was killed.
_LEFT_BEHIND = 3600
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4", "U8": "u1"}


# --- writing ---------------------------------------------------------------------------------------------------------


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed over it.

    Whatever happens on the way, and a power cut too, the name leads to the old file or to the new one, both whole. What
    is no plain file, such as /dev/stdout, is written to directly. Raises ArgumentError for a path that cannot be meant,
    and FileWriteError where the system refuses.

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
            _replace(os.path.realpath(path), content)
    except FileWriteError:
        raise
    except OSError as reason:
        raise FileWriteError(
            f"{path}: cannot be written: {reason.strerror or reason}. What was there before is untouched.", reason.errno
        ) from reason


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an ArgumentError for a path that no file can have: a folder, or one in a folder that is not there."""
    if os.path.isdir(path):
        raise ArgumentError(f"{path}: is a folder, expected the name of a file to write.")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ArgumentError(f"{path}: the folder {folder} does not exist. Make it first.")


def _replace(target: str, content: bytes) -> None:
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f"{_prefix(name)}{secrets.token_hex(4)}.part")
    directory, file = _open_folder(folder), -1
    try:
        try:
            mode = _mode(target)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode or 0o666)
            _write_all(file, content)
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
    """The folder, so that the rename itself can be made durable, where the system lets a folder be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return None
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one may write into a folder that one may not list
        return None


def _sync_folder(directory: int | None, target: str) -> None:
    if directory is None:
        return
    try:
        os.fsync(directory)
    except OSError as reason:
        if reason.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise FileWriteError(
                f"{target}: is written, whole and new, but may not outlive a power cut: {reason.strerror}.",
                reason.errno,
            ) from reason


def _prefix(name: str) -> str:
    return f".{name[:50]}."


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files of saves to this path that were killed, an hour or more ago."""
    folder, name = os.path.split(os.path.realpath(path))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            ours = entry.name.startswith(_prefix(name)) and entry.name.endswith(".part")
            if ours and entry.stat().st_mtime < time.time() - _LEFT_BEHIND:
                os.unlink(entry.path)


# --- sections with digests -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name in the header, and the exception for one that cannot be read."""

    name: str
    error: type[ModelFileError]


@dataclass(frozen=True)
class Sections:
    """What a file holds: the version of its layout, the JSON data, and arrays that look into its bytes."""

    version: int
    head: dict[str, Any]
    arrays: dict[str, np.ndarray]


def pack_sections(kind: Kind, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file: JSON data and arrays by name, sealed with their digests.

    >>> content = pack_sections(Kind("note", ModelFileError), {"text": "hello"}, {"numbers": np.arange(3)})
    >>> read_sections(content, "note.bin", Kind("note", ModelFileError)).head["text"]
    'hello'
    """
    text = json.dumps({"version": VERSION, "kind": kind.name, **head}, ensure_ascii=False, separators=(",", ":"))
    table = np.zeros((len(arrays) + 1, _DIGEST_BYTES), np.uint8)
    little = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    content = bytearray(safetensors.numpy.save({**little, _DIGESTS: table}, {"clearprop": text}))
    length = _header_length(content)
    if length > MAX_HEADER or _weight(text) > MAX_VALUES:
        raise ArgumentError(
            f"{kind.name} file: what describes it takes {length:,} bytes and {_weight(text):,} values, more than the "
            f"{MAX_HEADER:,} and {MAX_VALUES:,} that a file may have."
        )
    spans = _spans(json.loads(content[8 : 8 + length]))
    digests = b"".join(_digest(content, 8 + length, span) for name, span in spans.items() if name != _DIGESTS)
    content[-table.nbytes :] = digests + hashlib.sha256(content[: 8 + length]).digest()
    return bytes(content)


def read_sections(content: bytes, where: str, kind: Kind) -> Sections:
    """The sections of a file, once all their digests are found right; raises the kind's error for anything else."""
    expected = f"{where}: expected a clearprop {kind.name} file"
    length = _header_length(content)
    if len(content) < 16 or content[8:9] != b"{" or length > MAX_HEADER:
        raise kind.error(f"{expected}; this is something else, or only its beginning.")
    if length > len(content) - 8:
        raise kind.error(f"{expected}; its header should have {length} bytes, so the file is cut off. Copy it again.")
    try:
        header = _parse(content[8 : 8 + length].decode())
        metadata = header.pop("__metadata__")
        head = _parse(metadata["clearprop"])
        version = head["version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise kind.error(f"{expected}; its header is damaged, or holds no description of a {kind.name}.") from None
    if type(version) is not int or version < 1:
        raise kind.error(f"{expected}; its description has no version.")
    if version > VERSION:
        raise kind.error(
            f"{where}: written by a newer clearprop (layout {version}, this one reads up to {VERSION}). "
            "Update: pip install -U clearprop."
        )
    try:
        arrays = _arrays(header, memoryview(content)[8 + length :])
        if version > 1 or _DIGESTS in arrays:  # one flipped bit makes the digit 3 a 1
            _check_digests(content, length, header, arrays.pop(_DIGESTS, None))
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        raise kind.error(f"{expected}; it is cut off or damaged ({reason}). Copy it again.") from None
    found = head.get("kind", "model")
    if found != kind.name:
        raise kind.error(f"{expected}; this is a {str(found)[:40]} file.")
    return Sections(version, {name: value for name, value in head.items() if name not in ("version", "kind")}, arrays)


def _header_length(content: bytes | bytearray) -> int:
    return int.from_bytes(content[:8], "little")


def _weight(text: str) -> int:
    """What the values of a JSON text take in memory, roughly, in units of 60 bytes; a text itself counts nothing."""
    return text.count(",") + text.count("[") + 4 * text.count("{")


def _parse(text: str) -> dict[str, Any]:
    """A JSON object of bounded size without a name that occurs twice."""
    if _weight(text) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    found = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _spans(header: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Where each array begins and ends, in the order in which they lie."""
    spans = {name: tuple(entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__"}
    return dict(sorted(spans.items(), key=lambda entry: entry[1]))


def _arrays(header: Mapping[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """The arrays, as views of the data; ValueError unless they fill it exactly."""
    if len(header) > MAX_ARRAYS:
        raise ValueError(f"{len(header)} arrays are more than {MAX_ARRAYS}")
    place, arrays = 0, {}
    for name, (begin, end) in _spans(header).items():
        entry = header[name]
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"]
        whole = [begin, end, *shape]
        if not all(type(number) is int and 0 <= number < 2**60 for number in whole) or len(shape) > 2:
            raise ValueError(f"the size of {name[:40]} is {str(shape)[:40]}")
        if begin != place or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise ValueError(f"{name[:40]} lies from byte {begin} to {end} of {len(data)}")
        arrays[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        place = end
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes too many")
    return arrays


def _check_digests(content: bytes, length: int, header: Mapping[str, Any], table: np.ndarray | None) -> None:
    spans = _spans(header)
    if table is None or table.shape != (len(spans), _DIGEST_BYTES) or list(spans)[-1] != _DIGESTS:
        raise ValueError("its digests are missing")
    if hashlib.sha256(memoryview(content)[: 8 + length]).digest() != table[-1].tobytes():
        raise ValueError("its header is not as it was written")
    for row, (name, span) in zip(table[:-1], spans.items(), strict=False):
        if _digest(content, 8 + length, span) != row.tobytes():
            raise ValueError(f"{name[:40]} is not as it was written")


def _digest(content: bytes | bytearray, start: int, span: tuple[int, int]) -> bytes:
    return hashlib.sha256(memoryview(content)[start + span[0] : start + span[1]]).digest()
