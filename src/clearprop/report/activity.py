"""The activity of the layers on the rows of the report: saturated activations, dead units, histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.activations import Activation, Elementwise
from clearprop.core.backprop import Forward
from clearprop.core.network import Layer
from clearprop.core.objective import Objective
from clearprop.core.outputs import Outputs, sweep_rows
from clearprop.core.parameters import Parameters
from clearprop.losses import Loss

#: An activation is saturated if |f'(z)| is below this share of its maximum for z from -3 to 3.
SATURATED = 0.05
_HISTOGRAM_ROWS = 2000
_BINS = 24


@dataclass(frozen=True)
class LayerActivity:
    """The share of saturated activations of a layer, its number of dead units, and a histogram of its activations.

    `saturated` and `dead` are None if the activation is not elementwise (softmax, layer normalisation). A unit is dead
    if its derivative is exactly 0 on every row, so that no gradient passes. `zeros` is the share of activations that
    are exactly 0; the histogram (`counts` in `edges`) has the others.
    """

    layer: Layer
    saturated: float | None
    dead: int | None
    counts: np.ndarray
    edges: np.ndarray
    zeros: float
    slow: bool  #: whether saturation slows learning; it does not if the loss has the short form yhat - y


def sweep(objective: Objective, params: Parameters) -> tuple[Outputs, tuple[LayerActivity, ...]]:
    """Run the network over the rows once: its outputs, and what each layer did."""
    meters = [_Meter(layer, objective.samples) for layer in objective.net.layers]
    sampled = np.unique(np.linspace(0, objective.samples - 1, _HISTOGRAM_ROWS).astype(int))

    def observe(rows: slice, seen: Forward) -> None:
        inside = sampled[(sampled >= rows.start) & (sampled < rows.stop)] - rows.start
        for meter in meters:
            meter.read(seen.z[meter.layer.name], seen.f[meter.layer.name], inside)

    outputs = sweep_rows(objective, params, observe)
    return outputs, tuple(meter.result(objective.losses.get(meter.layer.name)) for meter in meters)


def largest_slope(f: Elementwise) -> float:
    """The largest |f'(z)| for z from -3 to 3.

    >>> import clearprop as cp
    >>> largest_slope(cp.sigmoid), largest_slope(cp.tanh)
    (0.25, 1.0)
    """
    z = np.linspace(-3, 3, 601)
    return float(np.abs(np.asarray(f.derivative(z, f.function(z)), float)).max())


class _Meter:
    """Accumulates the activity of one layer over the chunks of rows."""

    def __init__(self, layer: Layer, samples: int) -> None:
        self.layer, self.samples = layer, samples
        self.limit = SATURATED * largest_slope(layer.f) if isinstance(layer.f, Elementwise) else None
        self.saturated = 0
        self.alive = np.zeros(layer.units, bool)
        self.sample: list[np.ndarray] = []

    def read(self, z: np.ndarray, a: np.ndarray, sampled: np.ndarray) -> None:
        if self.limit is not None:
            assert isinstance(self.layer.f, Elementwise)
            slope = np.broadcast_to(np.abs(np.asarray(self.layer.f.derivative(z, a), float)), a.shape)
            self.saturated += int(np.count_nonzero(slope < self.limit))
            self.alive |= (slope > 0).any(axis=0)
        self.sample.append(a[sampled])

    def result(self, loss: Loss | None) -> LayerActivity:
        values = np.concatenate(self.sample).ravel().astype(np.float64)
        values = values[np.isfinite(values)]
        others = values[values != 0]
        zeros = 1 - len(others) / len(values) if len(values) else 0.0
        counts, edges = np.histogram(others, bins=_BINS, range=_range(others))
        has_slope = self.limit is not None
        return LayerActivity(
            self.layer,
            self.saturated / (self.samples * self.layer.units) if has_slope else None,
            int(self.layer.units - np.count_nonzero(self.alive)) if has_slope else None,
            counts,
            edges,
            zeros,
            not _is_partner(loss, self.layer.f),
        )


def _is_partner(loss: Loss | None, f: Activation) -> bool:
    return loss is not None and loss.partner is not None and isinstance(f, loss.partner)


def _range(values: np.ndarray) -> tuple[float, float]:
    """The range of a histogram, wide enough for bins of distinct edges if all values are equal."""
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    least = 1e-6 * max(abs(low), abs(high))
    return (low, high) if high - low > least else (low - least, high + least)
