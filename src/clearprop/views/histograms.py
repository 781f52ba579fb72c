"""Histograms of activations or deltas, layer by layer, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clearprop.checks import check_choice
from clearprop.core.trace import Trace
from clearprop.draw.axes import Plot, Scale, linear_scale
from clearprop.draw.figure import Figure
from clearprop.draw.style import ramp
from clearprop.draw.svg import Drawing, coordinate, element, text_width
from clearprop.errors import ArgumentError

_BINS, _STEP, _HIGH, _MOST = 48, 26.0, 44.0, 16
_WORDS = {
    "a": ("Activations", "Units at the ends of their range are saturated."),
    "z": ("Weighted sums", "The arguments of the activation function of each layer."),
    "delta": (
        "Deltas dJ/dz",
        "The sensitivity of the cost to each weighted sum; where it is 0 nothing is learnt.",
    ),
    "error": ("Error signals dJ/da", "The sensitivity of the cost to each activation."),
}


def histograms(traces: Mapping[int, Trace], of: str = "delta") -> Figure:
    """Draw the distribution of a quantity over samples and units, for each layer and epoch.

    `traces` maps epochs to traces, as `Recorder.traces` returns them; `of` is "a", "z", "delta" or "error". All
    histograms have the same height. Raises ArgumentError for no trace or more than 16.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), np.eye(2), [[0.0], [1.0]], loss="squared_error")
    >>> [panel.title for panel in views.histograms({0: trace}, of="a").panels]
    ['hidden', 'output']
    """
    check_choice(of, "of", tuple(_WORDS))
    if not isinstance(traces, Mapping) or not all(isinstance(key, (int, np.integer)) for key in traces):
        raise ArgumentError(f"traces: expected traces by epoch, such as {{0: trace}}, got {type(traces).__name__}.")
    if not 1 <= len(traces) <= _MOST or not all(isinstance(trace, Trace) for trace in traces.values()):
        raise ArgumentError(f"traces: expected 1 to {_MOST} traces by epoch, got {len(traces)}; see Recorder.traces.")
    if len({trace.objective.net for trace in traces.values()}) > 1:
        raise ArgumentError("traces: expected traces of one network, got several networks.")
    title, note = _WORDS[of]
    layers = list(next(iter(traces.values())))
    panels = tuple(_panel(name, {e: getattr(t[name], of).ravel() for e, t in traces.items()}) for name in layers)
    return Figure(f"{title} by layer over the epochs", panels, f"{note} Epochs from top to bottom.")


def _panel(layer: str, values: Mapping[int, np.ndarray]) -> Drawing:
    together = np.concatenate(list(values.values()))
    finite = together[np.isfinite(together)]
    low, high = np.quantile(finite, [0.005, 0.995]) if len(finite) else (0.0, 1.0)
    scale = linear_scale([low, high], ticks=2)
    edges = np.linspace(scale.low, scale.high, _BINS + 1)
    names = [f"epoch {epoch:,}" for epoch in values]
    left = 12 + max(map(text_width, names))
    height = _HIGH + _STEP * len(values) + 24
    plot = Plot(layer, scale, Scale(0, 1, (), ()), width=left + 190, height=height, right=10, left=left, grid="")
    if scale.low < 0 < scale.high:
        at = float(plot.x(0.0))
        plot.add(element("line", x1=at, x2=at, y1=14, y2=height - 24, class_="zero"))
    for i, (class_, (epoch, array)) in enumerate(zip(ramp(len(values)), values.items(), strict=True)):
        base = _HIGH + _STEP * i + 14
        counts = np.histogram(np.clip(array, scale.low, scale.high), edges)[0]
        smooth = np.convolve(np.pad(counts, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        heights = smooth / max(1e-300, smooth.max()) * (_HIGH - 6)
        xs = plot.x((edges[:-1] + edges[1:]) / 2)
        points = "".join(f"L{coordinate(x)} {coordinate(base - h)}" for x, h in zip(xs, heights, strict=True))
        path = f"M{coordinate(xs[0])} {coordinate(base)}{points}L{coordinate(xs[-1])} {coordinate(base)}Z"
        plot.add(
            element("path", element("title", f"{layer}, epoch {epoch}"), d=path, class_=f"ridge {class_}"),
            element("text", f"epoch {epoch:,}", x=left - 8, y=base, class_="tick end"),
        )
    return plot.drawing(layer)
