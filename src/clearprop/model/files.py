"""Model files: the network, its parameters, the losses, the encoding of the table, the settings and the history.

`clearprop.serialization.sealed` describes the file layout. The parameters are the flat vector; the history is a matrix
with one row for each recorded quantity; everything else is JSON text in the header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_finite
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ClearpropError, ModelFileError
from clearprop.losses import Loss
from clearprop.serialization.codec import describe, pack_network, rebuild_loss, rebuild_network
from clearprop.serialization.sealed import Kind, pack_sections, read_sections
from clearprop.tables import TableEncoding
from clearprop.training.history import History, pack_history, rebuild_history

MODEL = Kind("model", ModelFileError)


def pack(
    net: Network,
    params: Parameters,
    losses: dict[str, Loss],
    encoding: TableEncoding | None,
    settings: dict[str, Any],
    history: History | None,
) -> bytes:
    """The bytes of a model file."""
    described, arrays = pack_network(net)
    recorded, numbers = (None, {}) if history is None else pack_history(history)
    head = {
        "network": described,
        "losses": {name: describe(loss) for name, loss in losses.items()},
        "encoding": None if encoding is None else encoding.to_dict(),
        "settings": settings,
        "history": recorded,
    }
    return pack_sections(MODEL, head, {"parameters": params.flat, **arrays, **numbers})


def unpack(content: bytes, where: str, own: Iterable[Activation | Loss] = ()) -> dict[str, Any]:
    """The parts of a model file by name, all checked; raises ModelFileError for anything that is not whole."""
    found, own = read_sections(content, where, MODEL), tuple(own)
    head, arrays = found.head, found.arrays
    try:
        _check_names(head, {"network", "losses", "encoding", "settings", "history"})
        net = rebuild_network(head["network"], [item for item in own if isinstance(item, Activation)], arrays)
        own_losses = [item for item in own if isinstance(item, Loss)]
        return {
            "net": net,
            "params": Parameters(net, checked_vector(arrays.get("parameters"), net.layout.size, "parameters").copy()),
            "losses": _losses(head["losses"], net, own_losses),
            "encoding": _encoding(head["encoding"], net),
            "settings": _settings(head["settings"]),
            "history": _history(head["history"], arrays, found.version),
        }
    except ModelFileError as reason:
        raise ModelFileError(f"{where}: {reason}") from reason


def _check_names(head: Mapping[str, Any], names: set[str]) -> None:
    if set(head) != names:
        raise ModelFileError(f"its description lacks or adds {sorted(set(head) ^ names)[0]!r}.")


def checked_vector(flat: Any, size: int, name: str) -> np.ndarray:
    """A vector of so many finite numbers in single or double precision, which looks into the file."""
    if flat is None or flat.shape != (size,) or flat.dtype.kind != "f":
        raise ModelFileError(f"expected one vector of {size} {name} for this network, got {_shape(flat)}.")
    if flat.dtype not in (np.float32, np.float64):
        raise ModelFileError(f"expected {name} in float32 or float64, got {flat.dtype}.")
    try:
        check_finite(flat, name)
    except ClearpropError as reason:
        raise ModelFileError(str(reason)) from None
    return flat


def _shape(array: np.ndarray | None) -> str:
    return "none" if array is None else f"shape {array.shape}"


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


def _history(data: Any, arrays: Mapping[str, np.ndarray], version: int) -> History | None:
    if data is None:
        return None
    return rebuild_history(data, arrays) if version > 1 else _first_history(data)


def _first_history(data: Any) -> History:
    """The history as layout 1 had it: every number in the JSON text."""
    if not isinstance(data, dict) or set(data) != {*_PARTS, "stopped", "best_epoch"}:
        raise ModelFileError("history: expected columns, norms, why it stopped and the best epoch.")
    names, rows = {}, []
    for part in _PARTS:
        columns = data[part]
        if not isinstance(columns, dict) or not all(_is_numbers(numbers) for numbers in columns.values()):
            raise ModelFileError(f"history {part}: expected lists of numbers by name.")
        names[part] = list(columns)
        rows += columns.values()
    if len({len(row) for row in rows}) > 1:
        raise ModelFileError("history: expected lists of one length and why it stopped.")
    return rebuild_history(data | names | {"unfinished": {}}, {"history": np.array(rows, np.float64)} if rows else {})


_PARTS = ("columns", "delta_norms", "gradient_norms")


def _is_numbers(data: Any) -> bool:
    return isinstance(data, list) and all(type(number) in (int, float) for number in data)
