"""Gradient checking: the backward sweep against central differences of the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.checks import check_number
from clearprop.losses import Loss
from clearprop.network import Network
from clearprop.objective import prepare
from clearprop.parameters import Block, Parameters, check_params, layout


@dataclass(frozen=True)
class BlockCheck:
    """One W or b: its largest disagreement relative to the size of the gradient, and the place and values there."""

    label: str
    error: float
    place: tuple[int, ...]
    backpropagated: float
    difference: float


@dataclass(frozen=True)
class GradientCheck:
    """The verdict on every W and b; `ok` if none disagrees by more than `tolerance`; printing it shows a table."""

    blocks: tuple[BlockCheck, ...]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest relative disagreement."""
        return max((block.error for block in self.blocks), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether all agree."""
        return self.worst <= self.tolerance

    def __str__(self) -> str:
        wide = max((len(block.label) for block in self.blocks), default=0)
        lines = [
            f"{block.label:{wide}s}  {'ok ' if block.error <= self.tolerance else 'BAD'}"
            f"  relative error {block.error:.1e}"
            f"  worst at {list(block.place)}: {block.backpropagated:.9g} against {block.difference:.9g}"
            for block in self.blocks
        ]
        return "\n".join([*lines, f"{'all agree' if self.ok else 'NOT all agree'} to {self.tolerance:g}"])


def check_gradients(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    sample_weight: Any = None,
    reduction: str = "mean",
    tolerance: float = 1e-6,
) -> GradientCheck:
    """Compare every entry of the gradient with (J(w + h) - J(w - h)) / 2h, in float64.

    The disagreement of an entry is relative to the largest entry of the gradient, or to 1e-3 where the whole gradient
    is smaller than that. A kink (ReLU at 0) within h of a weighted sum shows as a disagreement.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    >>> print(
    ...     cp.check_gradients(net, net.initialize(seed=0), np.ones((4, 2)), np.ones((4, 1)), loss="squared_error").ok
    ... )
    True
    """
    check_number(tolerance, "tolerance", above=0)
    check_params(net, params)
    params = params.astype("float64")
    objective = prepare(net, params, X, y, loss, sample_weight, reduction)
    gradients = Parameters(net, np.zeros_like(params.flat))
    objective.sweep(params, gradients, slice(None))
    differences = np.array([_difference(objective.cost, params, i) for i in range(len(params.flat))])
    scale = max(float(np.abs(gradients.flat).max(initial=0.0)), 1e-3)
    return GradientCheck(tuple(_compare(b, gradients.flat, differences, scale) for b in layout(net).blocks), tolerance)


def _difference(cost: Any, params: Parameters, i: int) -> float:
    """The central difference of the fourth order, which leaves rounding as the only error to speak of."""
    w = params.flat[i]
    h = 1e-3 * max(1.0, abs(w))
    values = []
    for step in (h, -h, 2 * h, -2 * h):
        params.flat[i] = w + step
        values.append(cost(params))
    params.flat[i] = w
    near, far = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / (4 * h)
    return (4 * near - far) / 3


def _compare(block: Block, gradient: np.ndarray, differences: np.ndarray, scale: float) -> BlockCheck:
    g, d = (v[block.start : block.stop].reshape(block.shape) for v in (gradient, differences))
    place = np.unravel_index(int(np.argmax(np.abs(g - d))), block.shape)
    return BlockCheck(
        block.label,
        float(abs(g[place] - d[place]) / scale),
        tuple(int(p) for p in place),
        float(g[place]),
        float(d[place]),
    )
