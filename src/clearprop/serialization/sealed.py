"""The container of all files: JSON data and arrays, with a digest of every byte.

The format is safetensors: the length of a JSON header (8 bytes), the header, then the arrays as raw numbers. The
metadata entry "clearprop" of the header is JSON text with the version of the layout, the kind of file, and all data
besides the arrays. The last array, "sha256", holds one SHA-256 digest per row: one for every array before it, in the
order of the file, and the last one (the last 32 bytes of the file) for the header with its length. Nothing in a file is
imported or executed, and every size in it is compared with the actual number of bytes before memory is allocated.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy

from clearprop.errors import ArgumentError, ModelFileError

#: The layout of the files; a reader refuses a higher one. `clearprop.serialization.older` reads those before. A new one
#: gets its own golden files (tests/golden/make_golden.py).
VERSION = 3
#: Limits of a header: its bytes, its values (an object counts as 4), and its arrays; 50,000 columns need a third.
MAX_HEADER, MAX_VALUES, MAX_ARRAYS = 32 * 2**20, 2_000_000, 10_000

_DIGESTS, _DIGEST_BYTES = "sha256", 32
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4", "U8": "u1"}


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name in the header, and the exception for a file that cannot be read."""

    name: str
    error: type[ModelFileError]


@dataclass(frozen=True)
class Sections:
    """The content of a file: the version of its layout, the JSON data, and the arrays as views of its bytes."""

    version: int
    head: dict[str, Any]
    arrays: dict[str, np.ndarray]


def pack_sections(kind: Kind, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file with JSON data, arrays by name, and their digests.

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
            f"{kind.name} file: its JSON data has {length:,} bytes and {_weight(text):,} values, but at "
            f"most {MAX_HEADER:,} bytes and {MAX_VALUES:,} values are allowed."
        )
    spans = _spans(json.loads(content[8 : 8 + length]))
    digests = b"".join(_digest(content, 8 + length, span) for name, span in spans.items() if name != _DIGESTS)
    content[-table.nbytes :] = digests + hashlib.sha256(content[: 8 + length]).digest()
    return bytes(content)


def read_sections(content: bytes, where: str, kind: Kind) -> Sections:
    """The content of a file whose digests are all correct; raises the error of the kind for anything else."""
    expected = f"{where}: expected a clearprop {kind.name} file"
    length = _header_length(content)
    if len(content) < 16 or content[8:9] != b"{" or length > MAX_HEADER:
        raise kind.error(f"{expected}; this is another kind of file, or it is truncated.")
    if length > len(content) - 8:
        raise kind.error(f"{expected}; its header should have {length} bytes, so the file is truncated. Copy it again.")
    try:
        header = _parse(content[8 : 8 + length].decode())
        metadata = header.pop("__metadata__")
        head = _parse(metadata["clearprop"])
        version = head["version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise kind.error(f"{expected}; its header is damaged, or does not describe a {kind.name}.") from None
    if type(version) is not int or version < 1:
        raise kind.error(f"{expected}; its header has no version.")
    if version > VERSION:
        raise kind.error(
            f"{where}: written by a newer clearprop (layout {version}, this one reads up to {VERSION}). "
            "Update: pip install -U clearprop."
        )
    try:
        arrays = _arrays(header, memoryview(content)[8 + length :])
        if version > 1 or _DIGESTS in arrays:  # one flipped bit would turn the version 3 into 1
            _check_digests(content, length, header, arrays.pop(_DIGESTS, None))
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        raise kind.error(f"{expected}; it is truncated or damaged ({reason}). Copy it again.") from None
    found = head.get("kind", "model")
    if found != kind.name:
        article = "an" if str(found)[:1] in "aeiou" else "a"
        raise kind.error(f"{expected}; this is {article} {str(found)[:40]} file.")
    return Sections(version, {name: value for name, value in head.items() if name not in ("version", "kind")}, arrays)


def _header_length(content: bytes | bytearray) -> int:
    return int.from_bytes(content[:8], "little")


def _weight(text: str) -> int:
    """The approximate memory of the values of a JSON text, in units of 60 bytes; strings are not counted."""
    return text.count(",") + text.count("[") + 4 * text.count("{")


def _parse(text: str) -> dict[str, Any]:
    """A JSON object of limited size in which no name occurs twice."""
    if _weight(text) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    found = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _spans(header: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The first byte of each array and the byte after its end, in the order of the file."""
    spans = {name: tuple(entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__"}
    return dict(sorted(spans.items(), key=lambda entry: entry[1]))


def _arrays(header: Mapping[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """The arrays as views of the data; ValueError unless they fill it exactly."""
    if len(header) > MAX_ARRAYS:
        raise ValueError(f"{len(header)} arrays are more than {MAX_ARRAYS}")
    offset, arrays = 0, {}
    for name, (begin, end) in _spans(header).items():
        entry = header[name]
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"]
        sizes = [begin, end, *shape]
        if not all(type(size) is int and 0 <= size < 2**60 for size in sizes) or len(shape) > 2:
            raise ValueError(f"the size of {name[:40]} is {str(shape)[:40]}")
        if begin != offset or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise ValueError(f"{name[:40]} is at bytes {begin} to {end} of {len(data)}")
        arrays[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        offset = end
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} unexpected bytes at the end")
    return arrays


def _check_digests(content: bytes, length: int, header: Mapping[str, Any], table: np.ndarray | None) -> None:
    spans = _spans(header)
    if table is None or table.shape != (len(spans), _DIGEST_BYTES) or list(spans)[-1] != _DIGESTS:
        raise ValueError("its digests are missing")
    if hashlib.sha256(memoryview(content)[: 8 + length]).digest() != table[-1].tobytes():
        raise ValueError("the digest of its header is wrong")
    for row, (name, span) in zip(table[:-1], spans.items(), strict=False):
        if _digest(content, 8 + length, span) != row.tobytes():
            raise ValueError(f"the digest of {name[:40]} is wrong")


def _digest(content: bytes | bytearray, start: int, span: tuple[int, int]) -> bytes:
    return hashlib.sha256(memoryview(content)[start + span[0] : start + span[1]]).digest()
