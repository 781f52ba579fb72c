"""What is fuzzed: each target reads bytes from anywhere, and gives a valid object or an exception that says why not."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import clearprop as cp
from clearprop.errors import ClearpropError
from clearprop.model import files
from clearprop.serialization.codec import decode, encode
from clearprop.serialization.sealed import VERSION, pack_sections
from clearprop.tables import TableEncoding, read_table
from clearprop.training import checkpoint

CORPUS = Path(__file__).parent / "corpus"


def read_model(content: bytes) -> None:
    """A model file as it is."""
    parts = files.unpack(content, "m.cprop")
    assert np.isfinite(parts["params"].flat).all()
    assert set(parts["losses"]) == set(parts["net"].outputs)


def read_sealed(content: bytes) -> None:
    """A model file whose digests are right: JSON text, then a line end and numbers of the arrays it names.

    Damage is found by the digests; this is a file that somebody made on purpose.
    """
    text, _, numbers = content.partition(b"\n")
    head = _json(text)
    if not isinstance(head, dict) or not all(isinstance(name, str) for name in head):
        return
    arrays = head.pop("arrays", {})
    if not isinstance(arrays, dict):
        return
    given = {}
    for name, kind in arrays.items():
        if isinstance(kind, list):
            try:
                given[name] = np.array(kind, np.int32 if "pattern" in name else np.float64)
            except (ValueError, TypeError, OverflowError):
                return
            continue
        size = 8 if kind == "f8" else 4
        given[name] = np.frombuffer(numbers[: len(numbers) // size * size], f"<f{size}")
    head.pop("kind", None)
    if head.get("version") not in (1, 2):  # older ones are read too
        head.pop("version", None)
    try:
        sealed = pack_sections(files.MODEL, head, given)
    except (ClearpropError, UnicodeEncodeError):
        return  # what cannot be written cannot be read
    read_model(sealed)


def read_checkpoint(content: bytes) -> None:
    """A checkpoint whose digests are right: JSON text with what describes it and its arrays, as lists of numbers."""
    data = _json(content)
    if not isinstance(data, dict) or not isinstance(data.get("arrays"), dict) or not isinstance(data.get("head"), dict):
        return
    try:
        arrays = {name: np.array(row, np.float64) for name, row in data["arrays"].items()}
        version = data["head"].get("version")
        head = data["head"] | {"version": version if version == 2 else VERSION, "kind": "checkpoint"}
        sealed = pack_sections(checkpoint.CHECKPOINT, head, arrays)
    except (ClearpropError, UnicodeEncodeError, ValueError, TypeError, OverflowError):
        return  # what cannot be written cannot be read
    handle, name = tempfile.mkstemp(suffix=".ckpt", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(sealed)
        snapshot = cp.Checkpoint(name).read()
    finally:
        os.unlink(name)
    assert snapshot.history.epochs == snapshot.epoch


def read_csv(content: bytes) -> None:
    """A table in text."""
    _table(content, ".csv")


def read_parquet(content: bytes) -> None:
    """A table in Parquet."""
    _table(content, ".parquet")


#: What `read_description` tries to decode.
KINDS = [
    cp.Network, cp.activations.Activation, cp.losses.Loss, cp.optimizers.Optimizer | cp.LBFGS,
    cp.schedules.Schedule, cp.penalties.Penalty, cp.initializers.Initializer, cp.History, TableEncoding,
]  # fmt: skip


def read_description(content: bytes) -> None:
    """The description of a definition, a network, a history, or the encoding of a table, in JSON."""
    data, refused = _json(content), []
    for kind in KINDS:
        try:
            found = decode(kind, data)
        except ClearpropError as reason:
            refused.append(reason)
            continue
        if dataclasses.is_dataclass(found):
            assert decode(type(found), json.loads(json.dumps(encode(found)))) == found
    if len(refused) == len(KINDS):
        raise refused[0]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _table(content: bytes, ending: str) -> None:
    handle, name = tempfile.mkstemp(suffix=ending, dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        frame = read_table(name)
        assert frame.shape[0] > 0
        assert frame.shape[1] == len(set(frame.columns)) > 0
    finally:
        os.unlink(name)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "model": read_model,
    "sealed": read_sealed,
    "checkpoint": read_checkpoint,
    "csv": read_csv,
    "parquet": read_parquet,
    "description": read_description,
}


def attempt(target: str, content: bytes) -> bool:
    """True where the bytes made a valid object, False where they were refused by an exception of clearprop."""
    try:
        TARGETS[target](content)
    except ClearpropError as reason:
        if str(reason).strip():
            return False
        raise
    return True


def corpus(target: str) -> Iterator[tuple[str, bytes]]:
    """The kept inputs of a target by name."""
    for path in sorted((CORPUS / target).iterdir()):
        yield path.name, path.read_bytes()
