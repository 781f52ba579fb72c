"""Where the first NaN or infinity is born: the layer, the unit and the sample, in the order of the forward sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.core.backprop import forward, loss_and_delta
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters


@dataclass(frozen=True)
class Birth:
    """A number that is not finite: what it is, where, and the largest numbers that went into it, in words."""

    what: str
    layer: str
    unit: int | None
    sample: int | None
    value: float

    def __str__(self) -> str:
        unit = "" if self.unit is None else f"[{self.unit}]"
        sample = "" if self.sample is None else f", sample {self.sample}"
        return f"{self.what} of {self.layer}{unit}{sample} is {self.value}"


def birth(
    objective: Objective,
    params: Parameters,
    batch: np.ndarray | None = None,
    masks: Mapping[str, np.ndarray] | None = None,
) -> Birth | None:
    """The first number that is not finite: among the parameters, then layer by layer in z and a, then in the loss.

    Among the parameters that is the layer nearest to the outputs, where the backward sweep is first. `batch` (n,) are
    the rows to look at, all of them unless given; `masks` are those of dropout, for a batch.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop.core.objective import prepare
    >>> net = cp.Network.sequential(1, 1, output="exponential")
    >>> params = net.initialize(given={"output": {"input": [[1000.0]]}})
    >>> objective = prepare(net, params, [[0.0], [1.0]], [[1.0], [1.0]], "squared_error")
    >>> print(birth(objective, params))
    the activation a of output[0], sample 1 is inf
    """
    found = birth_in_parameters(params)
    if found:
        return found
    if batch is not None:
        return _in_rows(objective, params, batch, masks)
    chunks = (np.arange(rows.start, min(rows.stop, objective.samples)) for rows in objective.chunks())
    return next(filter(None, (_in_rows(objective, params, rows) for rows in chunks)), None)


def largest(objective: Objective, params: Parameters) -> str:
    """The largest weighted sum and where it is, in words: what comes before an overflow."""
    best, words = -1.0, "no weighted sum"
    with np.errstate(all="ignore"):
        for rows in objective.chunks():
            seen = forward(objective.net, params, objective.X[rows])
            for name, z in seen.z.items():
                size = np.abs(z)
                n, j = np.unravel_index(int(size.argmax()), size.shape)
                if float(size[n, j]) > best:
                    best = float(size[n, j])
                    words = f"z of {name}[{j}], sample {n + rows.start}, at {z[n, j]:.3g}"
    return words


def birth_in_parameters(params: Parameters) -> Birth | None:
    """A weight or bias that is not finite, of the layer nearest to the outputs, or None."""
    if np.isfinite(params.flat).all():
        return None
    places = {layer.name: place for place, layer in enumerate(params.net.layers)}
    for block in sorted(params.net.layout.blocks, key=lambda block: -places[block.layer]):
        values = params.view(block)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            place = tuple(int(i) for i in bad[0])
            what = f"the bias {block.label}" if block.source is None else f"the weight {block.label} {list(place)}"
            return Birth(what, block.layer, place[-1], None, float(values[place]))
    return None


def _in_rows(
    objective: Objective, params: Parameters, rows: np.ndarray, masks: Mapping[str, np.ndarray] | None = None
) -> Birth | None:
    with np.errstate(all="ignore"):
        seen = forward(objective.net, params, objective.X[rows], masks)
        for layer in objective.net.layers:
            for what, values in (("the weighted sum z", seen.z), ("the activation a", seen.f)):
                found = _first(what, layer.name, values[layer.name], rows)
                if found:
                    return found
        targets = {name: y[rows] for name, y in objective.targets.items()}
        losses, delta = loss_and_delta(objective.net, objective.losses, seen, targets, objective.plain_weights(rows))
        for name, values in delta.items():
            found = _first("the delta", name, values, rows)
            if found:
                return found
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            name = next(iter(objective.losses))
            return Birth("the loss", name, None, int(rows[bad[0]]), float(losses[bad[0]]))
    return None


def _first(what: str, layer: str, values: Any, rows: np.ndarray) -> Birth | None:
    if np.isfinite(values).all():
        return None
    bad = np.argwhere(~np.isfinite(values))
    n, j = (int(i) for i in bad[0])
    return Birth(what, layer, j, int(rows[n]), float(values[n, j]))
