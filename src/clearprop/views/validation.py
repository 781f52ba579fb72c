"""Checks of the arguments of the views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.errors import ArgumentError, DataError
from clearprop.views.recorder import Recorder


def check_parameters(params: Any, view: str) -> Parameters:
    """The parameters. Raises unless they are parameters, all of them finite."""
    if not isinstance(params, Parameters):
        hint = " Pass trace.params." if isinstance(params, Trace) else ""
        raise ArgumentError(f"{view}: expected parameters, got {type(params).__name__}.{hint}")
    broken = int((~np.isfinite(params.flat)).sum())
    if broken:
        raise DataError(
            f"{view}: {broken:,} of {params.flat.size:,} parameters are not finite and cannot be drawn. "
            "cp.diagnose(...) reports where the first one occurred."
        )
    return params


def check_trace(trace: Any, view: str) -> Trace:
    """The trace. Raises unless it is one."""
    if not isinstance(trace, Trace):
        raise ArgumentError(f"{view}: expected a trace, as cp.backpropagate returns it, got {type(trace).__name__}.")
    return trace


def check_recorded(recorded: Any, net: Network, view: str) -> list[tuple[int, Parameters]]:
    """Pairs of epoch and parameters from a recorder or a mapping. Raises unless all are of this network."""
    if not isinstance(recorded, (Recorder, Mapping)):
        raise ArgumentError(f"{view}: expected a Recorder, or parameters by epoch, got {type(recorded).__name__}.")
    pairs = list(recorded.items())
    for epoch, params in pairs:
        if not isinstance(params, Parameters) or params.net != net:
            raise ArgumentError(
                f"{view}: the parameters recorded at epoch {epoch} belong to another network than the trace. "
                "Use the trace and the recorder of one training run."
            )
    return pairs
