"""The section on the activations of the layers: saturated ones, dead units, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.activations import Activation, Elementwise, ReLU
from clearprop.core.backprop import Forward
from clearprop.core.network import Layer, Network
from clearprop.core.objective import Objective
from clearprop.core.outputs import Outputs, sweep_rows
from clearprop.core.parameters import Parameters
from clearprop.draw.axes import inner_range
from clearprop.draw.charts import Bar, bar_rows, small_histogram
from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.style import colours_of_layers
from clearprop.draw.svg import WIDTHS, percent
from clearprop.losses import Loss
from clearprop.report.section import listed, section

#: An activation is saturated if |f'(z)| is below this share of its maximum for z from -3 to 3.
SATURATED = 0.05
_HISTOGRAM_ROWS = 2000
_BINS = 24
_LAYERS_SHOWN = 24


@dataclass(frozen=True)
class LayerActivity:
    """The share of saturated activations of a layer, its number of dead units, and a histogram of its activations.

    `saturated` and `dead` are None if the activation is not elementwise (softmax, layer normalisation). A unit is dead
    if its derivative is exactly 0 on every row, so that no gradient passes. `zeros` is the share of activations that
    are exactly 0; the histogram (`counts` in `edges`) has the others, but for `outside` outliers that would crush it.
    """

    layer: Layer
    saturated: float | None
    dead: int | None
    counts: np.ndarray
    edges: np.ndarray
    zeros: float
    outside: int
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
        counts, edges = np.histogram(others, bins=_BINS, range=_range(*inner_range(others)[:2]))
        has_slope = self.limit is not None
        return LayerActivity(
            self.layer,
            self.saturated / (self.samples * self.layer.units) if has_slope else None,
            int(self.layer.units - np.count_nonzero(self.alive)) if has_slope else None,
            counts,
            edges,
            zeros,
            len(others) - int(counts.sum()),
            not _is_partner(loss, self.layer.f),
        )


def _is_partner(loss: Loss | None, f: Activation) -> bool:
    return loss is not None and loss.partner is not None and isinstance(f, loss.partner)


def _range(low: float, high: float) -> tuple[float, float]:
    """The range of a histogram, wide enough for bins of distinct edges if all values are equal."""
    least = 1e-6 * max(abs(low), abs(high))
    return (low, high) if high - low > least else (low - least, high + least)


def activity_section(layers: Sequence[LayerActivity], net: Network) -> Section:
    """Saturated activations, dead units, and the distribution of the activations of each layer."""
    measured = [layer for layer in layers if layer.saturated is not None and layer.slow]
    figures = []
    if measured:
        rows = {
            layer.layer.name: (
                Bar(layer.saturated or 0.0, f"{percent(layer.saturated or 0)} saturated", "first"),
                Bar((layer.dead or 0) / layer.layer.units, f"{layer.dead:,} of {layer.layer.units:,} dead", "second"),
            )
            for layer in measured[:_LAYERS_SHOWN]
        }
        chart = bar_rows("Saturated activations and dead units by layer", rows, width=620, thick=13)
        note = (
            f"Saturated: |f′(z)| is below {percent(SATURATED)} of its largest value for z from −3 to 3. "
            "Dead: f′(z) is exactly 0 on every row. An output whose loss has delta = ŷ − y is left out, because its "
            "saturation does not slow learning."
        )
        if any(isinstance(layer.layer.f, ReLU) for layer in measured):
            note += " For relu, about half is normal."
        figures.append(Figure("Saturated activations and dead units", (chart,), note, size="wide"))
    figures += _histograms(layers, colours_of_layers(net))
    reading = read_activity(measured) if measured else "No layer can saturate in a way that slows learning."
    note = "The small charts are histograms of the activations of each layer, without dropout."
    if len(layers) > _LAYERS_SHOWN:
        note += f" The first {_LAYERS_SHOWN} of {len(layers)} layers are shown."
    return section("Activations", reading, figures, note)


def _histograms(layers: Sequence[LayerActivity], colours: dict[str, str]) -> list[Figure]:
    """A small chart for each layer; the fewer, the wider."""
    size = {1: "half", 2: "half", 3: "third"}.get(len(layers), "small")
    figures = []
    for layer in layers[:_LAYERS_SHOWN]:
        name, f = layer.layer.name, layer.layer.f.name
        note = f"{f}; {percent(layer.zeros)} are exactly 0 and not drawn" if layer.zeros else f
        note += f"; {layer.outside:,} are outside this range" if layer.outside else ""
        title = f"Histogram of the activations of {name}"
        chart = small_histogram(title, layer.edges, layer.counts, colours[name], WIDTHS[size])
        figures.append(Figure(name[:80], (chart,), note, size=size))
    return figures


def read_activity(layers: Sequence[LayerActivity]) -> str:
    """Which layers are saturated or have dead units."""
    dead = [(layer.dead, layer.layer) for layer in layers if layer.dead]
    worst = max(layers, key=lambda layer: layer.saturated or 0)
    most = f"{worst.layer.name} is saturated most, in {percent(worst.saturated or 0)} of its activations"
    if len(layers) == 1:
        most = f"{percent(worst.saturated or 0)} of the activations of {worst.layer.name} are saturated"
    if dead:
        units = listed([f"{count:,} of {layer.units:,} units of {layer.name}" for count, layer in dead])
        return f"Dead on every row: {units}. {most[0].upper()}{most[1:]}."
    return f"No unit is dead; {most}." if worst.saturated else "No unit is dead and no activation is saturated."
