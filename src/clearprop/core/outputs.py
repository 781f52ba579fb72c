"""The outputs of a network for all rows of a data set: one forward sweep that several readers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from clearprop.core.backprop import Forward, forward, loss_and_delta
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters


@dataclass(frozen=True)
class Outputs:
    """What one forward sweep over the rows of an objective gave, without dropout.

    `z` and `a` hold the weighted sums and activations (n, units) of each output layer, and `losses` (n,) the loss of
    each row before weights. `is_finite` is False if a parameter, or a z, a, loss or delta of any row, is NaN or
    infinite.
    """

    objective: Objective
    z: Mapping[str, np.ndarray]
    a: Mapping[str, np.ndarray]
    losses: np.ndarray
    is_finite: bool


def sweep_rows(
    objective: Objective, params: Parameters, observe: Callable[[slice, Forward], None] | None = None
) -> Outputs:
    """Run the network over all rows, a chunk at a time; `observe` is called with the rows and sweep of each chunk.

    >>> import clearprop as cp
    >>> from clearprop.core.objective import prepare
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]]}})
    >>> outputs = sweep_rows(prepare(net, params, [[1.0], [2.0]], [[1.0], [1.0]], "squared_error"), params)
    >>> outputs.a["output"].tolist(), outputs.losses.tolist(), outputs.is_finite
    ([[2.0], [4.0]], [0.5, 4.5], True)
    """
    net, names = objective.net, tuple(objective.losses)
    z: dict[str, list[np.ndarray]] = {name: [] for name in names}
    a: dict[str, list[np.ndarray]] = {name: [] for name in names}
    losses: list[np.ndarray] = []
    is_finite = bool(np.isfinite(params.flat).all())
    for rows in objective.chunks():
        with np.errstate(all="ignore"):
            seen = forward(net, params, objective.X[rows])
            targets = {name: y[rows] for name, y in objective.targets.items()}
            ones = np.ones(len(seen.z[names[0]]), params.dtype)
            loss, delta = loss_and_delta(net, objective.losses, seen, targets, ones)
        losses.append(np.asarray(loss, np.float64))
        is_finite = is_finite and _all_finite(*seen.z.values(), *seen.f.values(), *delta.values(), losses[-1])
        for name in names:
            z[name].append(seen.z[name])
            a[name].append(seen.a[name])
        if observe is not None:
            observe(rows, seen)
    return Outputs(objective, _join(z), _join(a), np.concatenate(losses), is_finite)


def _join(parts: Mapping[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _all_finite(*arrays: np.ndarray) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)
