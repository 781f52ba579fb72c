"""Files that hold one dataclass: JSON data in the header, arrays beside it, and a digest of everything."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from clearprop.errors import ArgumentError, ModelFileError
from clearprop.serialization.codec import decode, encode
from clearprop.serialization.older import upgraded
from clearprop.serialization.sealed import Kind, Sections, pack_sections, read_sections

T = TypeVar("T")


def pack_file(kind: Kind, value: Any) -> bytes:
    """The bytes of a file that holds a dataclass.

    >>> from clearprop.penalties import Limits
    >>> content = pack_file(Kind("limits", ModelFileError), Limits(clip_norm=1.0))
    >>> read_file(content, "limits.bin", Kind("limits", ModelFileError), Limits)
    Limits(clip_norm=1.0, clip_value=None, max_norm=None)
    """
    arrays: dict[str, np.ndarray] = {}
    return pack_sections(kind, encode(value, arrays), arrays)


def read_content(path: str | os.PathLike[str], kind: Kind) -> bytes:
    """The bytes of a file; raises the error of the kind if it cannot be read."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ArgumentError(f"path: expected the name of a file, got {path!r}.")
    try:
        return Path(path).read_bytes()
    except OSError as reason:
        raise kind.error(f"{path}: cannot be read: {reason.strerror}.") from reason


def read_file(content: bytes, where: str, kind: Kind, of: type[T], own: Iterable[Any] = ()) -> T:
    """The dataclass of type `of` that a file holds; `own` are the user's activations, losses etc. that it may name.

    Raises the error of the kind, with `where` in front, for anything that is not exactly such a file.
    """
    return decode_sections(open_file(content, where, kind), where, kind, of, own)


def open_file(content: bytes, where: str, kind: Kind) -> Sections:
    """The JSON data and the arrays of a file, in the present layout, before they are decoded."""
    sections = read_sections(content, where, kind)
    try:
        return upgraded(sections, kind.name)
    except ModelFileError as reason:
        raise kind.error(f"{where}: {reason}") from reason


def decode_sections(sections: Sections, where: str, kind: Kind, of: type[T], own: Iterable[Any] = ()) -> T:
    """The dataclass that the sections of a file hold; see `read_file`."""
    try:
        return decode(of, sections.head, sections.arrays, own=own)
    except ModelFileError as reason:
        raise kind.error(f"{where}: {reason}") from reason
