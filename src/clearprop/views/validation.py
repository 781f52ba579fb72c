"""What the views are given: it is checked here, and what does not fit is said."""

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
    """Parameters whose numbers are all finite."""
    if not isinstance(params, Parameters):
        hint = " Give trace.params." if isinstance(params, Trace) else ""
        raise ArgumentError(f"{view}: expected parameters, got {type(params).__name__}.{hint}")
    broken = int((~np.isfinite(params.flat)).sum())
    if broken:
        raise DataError(
            f"{view}: {broken:,} of {params.flat.size:,} parameters are not finite, and have no place in a drawing. "
            "cp.diagnose(...) says where the first one was born."
        )
    return params


def check_trace(trace: Any, view: str) -> Trace:
    """A trace."""
    if not isinstance(trace, Trace):
        raise ArgumentError(f"{view}: expected a trace, as cp.backpropagate gives it, got {type(trace).__name__}.")
    return trace


def check_kept(kept: Any, net: Network, view: str) -> list[tuple[int, Parameters]]:
    """Pairs of epoch and parameters of a recorder or a mapping, all of this network."""
    if not isinstance(kept, (Recorder, Mapping)):
        raise ArgumentError(f"{view}: expected a Recorder, or parameters by epoch, got {type(kept).__name__}.")
    pairs = list(kept.items())
    for epoch, params in pairs:
        if not isinstance(params, Parameters) or params.net != net:
            raise ArgumentError(
                f"{view}: the parameters kept at epoch {epoch} are not of the network of the trace. "
                "Take the trace and the recorder of one training run."
            )
    return pairs
