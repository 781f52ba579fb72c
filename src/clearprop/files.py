"""Model files: one file, data only, written whole or not at all.

The file is in the safetensors format: a JSON header, then the flat vector of the parameters as raw numbers. The
header's metadata entry "clearprop" holds JSON text of the network, the losses, the encoding of the table, the settings
and the history, with the version of this layout. Nothing in it is imported or executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from clearprop.activations import Activation
from clearprop.checks import check_finite
from clearprop.description import describe, describe_network, rebuild_loss, rebuild_network
from clearprop.errors import ArgumentError, ClearpropError, ModelFileError
from clearprop.losses import Loss
from clearprop.network import Network
from clearprop.parameters import Parameters, layout
from clearprop.tables import TableEncoding
from clearprop.training.history import History

#: The layout of the JSON text; a reader refuses a higher one.
VERSION = 1
_MAX_HEADER = 100_000_000  # the limit that the safetensors format sets


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed over it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/numbers.txt", b"1 2 3")
    ...     Path(folder, "numbers.txt").read_text()
    '1 2 3'
    """
    path = Path(path)
    if path.is_dir():
        raise ArgumentError(f"{path}: is a folder, expected the name of a file to write.")
    if not path.parent.is_dir():
        raise ArgumentError(f"{path}: the folder {path.parent} does not exist. Make it first.")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as reason:
        raise ArgumentError(f"{path}: cannot be written: {reason.strerror}.") from reason
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _permissions(path))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or what a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def pack(
    net: Network,
    params: Parameters,
    losses: dict[str, Loss],
    encoding: TableEncoding | None,
    settings: dict[str, Any],
    history: History | None,
) -> bytes:
    """The bytes of a model file."""
    head = {
        "version": VERSION,
        "network": describe_network(net),
        "losses": {name: describe(loss) for name, loss in losses.items()},
        "encoding": None if encoding is None else encoding.to_dict(),
        "settings": settings,
        "history": None if history is None else _describe_history(history),
    }
    text = json.dumps(head, ensure_ascii=False, allow_nan=True, separators=(",", ":"))
    return safetensors.numpy.save({"parameters": params.flat}, {"clearprop": text})


def unpack(content: bytes, where: str, own: Iterable[Activation | Loss] = ()) -> dict[str, Any]:
    """The parts of a model file by name, all checked; raises ModelFileError for anything that is not whole."""
    head, tensors = _open(content, where)
    own = tuple(own)
    try:
        net = rebuild_network(head["network"], [item for item in own if isinstance(item, Activation)])
        flat = _flat(tensors, net)
        own_losses = [item for item in own if isinstance(item, Loss)]
        return {
            "net": net,
            "params": Parameters(net, flat),
            "losses": _losses(head["losses"], net, own_losses),
            "encoding": _encoding(head["encoding"], net),
            "settings": _settings(head["settings"]),
            "history": None if head["history"] is None else _rebuild_history(head["history"]),
        }
    except ModelFileError as reason:
        raise ModelFileError(f"{where}: {reason}") from reason


def _open(content: bytes, where: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON text and the arrays of the file."""
    expected = f"{where}: expected a clearprop model file"
    length = int.from_bytes(content[:8], "little")
    if len(content) < 16 or content[8:9] != b"{" or length > _MAX_HEADER:
        raise ModelFileError(f"{expected}; this is something else, or only its beginning.")
    if length > len(content) - 8:
        raise ModelFileError(
            f"{expected}; its header should have {length} bytes, so the file is cut off. Copy it again."
        )
    try:
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        head = json.loads(metadata["clearprop"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"{expected}; its header holds no description of a model.") from None
    try:
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as reason:
        raise ModelFileError(f"{expected}; it is cut off or damaged ({reason}). Copy it again.") from None
    keys = {"version", "network", "losses", "encoding", "settings", "history"}
    if not isinstance(head, dict) or not isinstance(head.get("version"), int):
        raise ModelFileError(f"{expected}; its description has no version.")
    if head["version"] > VERSION:
        raise ModelFileError(
            f"{where}: written by a newer clearprop (layout {head['version']}, this one reads up to {VERSION}). "
            "Update: pip install -U clearprop."
        )
    if set(head) != keys:
        raise ModelFileError(f"{expected}; its description lacks or adds {sorted(set(head) ^ keys)[0]!r}.")
    return head, tensors


def _flat(tensors: dict[str, np.ndarray], net: Network) -> np.ndarray:
    flat = tensors.get("parameters")
    size = layout(net).size
    if flat is None or set(tensors) != {"parameters"} or flat.shape != (size,) or flat.dtype.kind != "f":
        raise ModelFileError(f"expected one vector of {size} parameters for this network, got {list(tensors)}.")
    if flat.dtype not in (np.float32, np.float64):
        raise ModelFileError(f"expected parameters in float32 or float64, got {flat.dtype}.")
    try:
        check_finite(flat, "parameters")
    except ClearpropError as reason:
        raise ModelFileError(str(reason)) from None
    return flat.copy()  # what safetensors hands out is a read-only view


def _losses(data: Any, net: Network, own: list[Loss]) -> dict[str, Loss]:
    if not isinstance(data, dict) or set(data) != set(net.outputs or ()):
        raise ModelFileError("losses: expected one for each output of the network.")
    return {name: rebuild_loss(loss, own) for name, loss in data.items()}


def _encoding(data: Any, net: Network) -> TableEncoding | None:
    if data is None:
        return None
    encoding = TableEncoding.from_dict(data)
    outputs = net[(net.outputs or ("",))[0]].units
    if encoding.inputs != net.inputs or encoding.outputs != outputs or len(net.outputs or ()) != 1:
        raise ModelFileError(
            f"the table's encoding gives {encoding.inputs} inputs and {encoding.outputs} outputs, "
            f"the network has {net.inputs} and {outputs}."
        )
    return encoding


def _settings(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ModelFileError("settings: expected names with values.")
    return data


def _describe_history(history: History) -> dict[str, Any]:
    return {
        "columns": history.columns,
        "delta_norms": history.delta_norms,
        "gradient_norms": history.gradient_norms,
        "stopped": history.stopped,
        "best_epoch": history.best_epoch,
    }


def _rebuild_history(data: Any) -> History:
    if not isinstance(data, dict) or set(data) != set(_describe_history(History())):
        raise ModelFileError("history: expected columns, norms, why it stopped and the best epoch.")
    lengths = set()
    for part in ("columns", "delta_norms", "gradient_norms"):
        columns = data[part]
        if not isinstance(columns, dict) or not all(_is_numbers(numbers) for numbers in columns.values()):
            raise ModelFileError(f"history {part}: expected lists of numbers by name.")
        lengths |= {len(numbers) for numbers in columns.values()}
    best = data["best_epoch"]
    if len(lengths) > 1 or not isinstance(data["stopped"], str):
        raise ModelFileError("history: expected lists of one length and why it stopped.")
    if not (best is None or (type(best) is int and 0 <= best < max(lengths, default=0))):
        raise ModelFileError(f"history: expected a best epoch among those recorded, got {best!r}.")
    return History(**data)


def _is_numbers(data: Any) -> bool:
    return isinstance(data, list) and all(type(number) in (int, float) for number in data)
