"""Where a NaN or an infinity first occurs: the layer, the unit and the sample, in the order of the forward sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.core.backprop import forward, loss_and_delta
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters


@dataclass(frozen=True)
class FirstNonFinite:
    """The first value that is not finite: what it is, and its layer, unit and sample."""

    what: str
    layer: str
    unit: int | None
    sample: int | None
    value: float

    def __str__(self) -> str:
        unit = "" if self.unit is None else f"[{self.unit}]"
        sample = "" if self.sample is None else f", sample {self.sample}"
        return f"{self.what} of {self.layer}{unit}{sample} is {self.value}"


def find_nonfinite(
    objective: Objective,
    params: Parameters,
    batch: np.ndarray | None = None,
    masks: Mapping[str, np.ndarray] | None = None,
) -> FirstNonFinite | None:
    """The first value that is not finite: in the parameters, then layer by layer in z and a, then in the loss.

    Of several parameters it is one of the layer nearest to the outputs, which the backward sweep reaches first.
    `batch` (n,) selects rows, by default all; `masks` are the dropout masks of a batch.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop.core.objective import prepare
    >>> net = cp.Network.sequential(1, 1, output="exponential")
    >>> params = net.initialize(given={"output": {"input": [[1000.0]]}})
    >>> objective = prepare(net, params, [[0.0], [1.0]], [[1.0], [1.0]], "squared_error")
    >>> print(find_nonfinite(objective, params))
    the activation a of output[0], sample 1 is inf
    """
    first = nonfinite_parameter(params)
    if first:
        return first
    if batch is not None:
        return _in_rows(objective, params, batch, masks)
    chunks = (np.arange(rows.start, min(rows.stop, objective.samples)) for rows in objective.chunks())
    return next(filter(None, (_in_rows(objective, params, rows) for rows in chunks)), None)


def largest_weighted_sum(objective: Objective, params: Parameters) -> str:
    """A description of the largest weighted sum and its position, which is where an overflow will occur."""
    largest, description = -1.0, "no weighted sum"
    with np.errstate(all="ignore"):
        for rows in objective.chunks():
            swept = forward(objective.net, params, objective.X[rows])
            for name, z in swept.z.items():
                size = np.abs(z)
                n, j = np.unravel_index(int(size.argmax()), size.shape)
                if float(size[n, j]) > largest:
                    largest = float(size[n, j])
                    description = f"z of {name}[{j}], sample {n + rows.start}, at {z[n, j]:.3g}"
    return description


def nonfinite_parameter(params: Parameters) -> FirstNonFinite | None:
    """A weight or bias that is not finite, of the layer nearest to the outputs, or None."""
    if np.isfinite(params.flat).all():
        return None
    for block in sorted(params.net.layout.blocks, key=lambda block: -params.net.index[block.layer]):
        values = params.view(block)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            what = f"the bias {block.label}" if block.source is None else f"the weight {block.label} {list(index)}"
            return FirstNonFinite(what, block.layer, index[-1], None, float(values[index]))
    return None


def _in_rows(
    objective: Objective, params: Parameters, rows: np.ndarray, masks: Mapping[str, np.ndarray] | None = None
) -> FirstNonFinite | None:
    with np.errstate(all="ignore"):
        swept = forward(objective.net, params, objective.X[rows], masks)
        for layer in objective.net.layers:
            for what, values in (("the weighted sum z", swept.z), ("the activation a", swept.f)):
                first = _first_in(what, layer.name, values[layer.name], rows)
                if first:
                    return first
        targets = {name: y[rows] for name, y in objective.targets.items()}
        losses, delta = loss_and_delta(objective.net, objective.losses, swept, targets, objective.plain_weights(rows))
        for name, values in delta.items():
            first = _first_in("the delta", name, values, rows)
            if first:
                return first
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            name = next(iter(objective.losses))
            return FirstNonFinite("the loss", name, None, int(rows[bad[0]]), float(losses[bad[0]]))
    return None


def _first_in(what: str, layer: str, values: Any, rows: np.ndarray) -> FirstNonFinite | None:
    if np.isfinite(values).all():
        return None
    bad = np.argwhere(~np.isfinite(values))
    n, j = (int(i) for i in bad[0])
    return FirstNonFinite(what, layer, j, int(rows[n]), float(values[n, j]))
