"""Model files: the network, its parameters, the losses, the encoding of the table, the settings and the history.

`clearprop.serialization.sealed` describes the layout of the bytes, `clearprop.serialization.codec` that of the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_finite
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, ModelFileError
from clearprop.losses import Loss
from clearprop.serialization.sealed import Kind
from clearprop.serialization.typed_files import pack_file, read_file
from clearprop.tables import TableEncoding
from clearprop.training.history import History

MODEL = Kind("model", ModelFileError)


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds; `parameters` is the flat vector."""

    network: Network
    parameters: np.ndarray
    losses: dict[str, Loss]
    encoding: TableEncoding | None
    settings: dict[str, Any]
    history: History | None

    def __post_init__(self) -> None:
        size, flat = self.network.layout.size, self.parameters
        if flat.shape != (size,) or flat.dtype not in (np.float32, np.float64):
            raise ArgumentError(
                f"parameters: expected a vector of {size} float32 or float64 numbers for this network, "
                f"got shape {flat.shape} of {flat.dtype}."
            )
        check_finite(flat, "parameters")
        if set(self.losses) != set(self.network.outputs or ()):
            raise ArgumentError(f"losses: expected one for each output of the network, got {list(self.losses)}.")
        if self.encoding is not None:
            encoded = (self.encoding.inputs, [self.encoding.outputs])
            expected = (self.network.inputs, [self.network[name].units for name in self.network.outputs or ()])
            if encoded != expected:
                raise ArgumentError(
                    f"encoding: expected {expected[0]} inputs and {expected[1]} outputs, as the network has, "
                    f"got {encoded[0]} and {encoded[1]}."
                )


def pack(
    net: Network,
    params: Parameters,
    losses: dict[str, Loss],
    encoding: TableEncoding | None,
    settings: dict[str, Any],
    history: History | None,
) -> bytes:
    """The bytes of a model file."""
    return pack_file(MODEL, ModelFile(net, params.flat, losses, encoding, settings, history))


def unpack(content: bytes, where: str, own: Iterable[Activation | Loss] = ()) -> dict[str, Any]:
    """The parts of a model file by name, all checked; raises ModelFileError for a damaged or incomplete file."""
    found = read_file(content, where, MODEL, ModelFile, own)
    return {
        "net": found.network,
        "params": Parameters(found.network, found.parameters),
        "losses": found.losses,
        "encoding": found.encoding,
        "settings": found.settings,
        "history": found.history,
    }
