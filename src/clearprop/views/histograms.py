"""Histograms of activations or deltas, layer by layer, as training goes on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clearprop.checks import check_choice
from clearprop.core.trace import Trace
from clearprop.draw.svg import coordinate, element, linear_scale, text_width
from clearprop.errors import ArgumentError
from clearprop.views.figure import Chart, Figure, Panel, ramp

_BINS, _STEP, _HIGH, _MOST = 48, 26.0, 44.0, 16
_WORDS = {
    "a": ("Activations", "Where a layer's units stand: at the ends of their range they are saturated."),
    "z": ("Weighted sums", "What enters the activation of each layer."),
    "delta": ("Deltas dJ/dz", "How much each unit's weighted sum matters; what vanishes here no longer learns."),
    "error": ("Error signals dJ/da", "What the layers after send back."),
}


def histograms(traces: Mapping[int, Trace], of: str = "delta") -> Figure:
    """Draw how a quantity of each layer is spread over samples and units, one line of hills per epoch.

    `traces` maps epochs to traces, as `Recorder.traces` gives them; `of` is "a", "z", "delta" or "error". Each hill has
    the same height, so that its width and place can be compared. Raises ArgumentError for no trace or more than 16.

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
    return Figure(f"{title} by layer over time", panels, f"{note} From top to bottom the epochs; hills of one height.")


def _panel(layer: str, values: Mapping[int, np.ndarray]) -> Panel:
    together = np.concatenate(list(values.values()))
    finite = together[np.isfinite(together)]
    low, high = np.quantile(finite, [0.005, 0.995]) if len(finite) else (0.0, 1.0)
    scale = linear_scale([low, high], ticks=2)
    edges = np.linspace(scale.low, scale.high, _BINS + 1)
    names = [f"epoch {epoch:,}" for epoch in values]
    left = 12 + max(map(text_width, names))
    height = _HIGH + _STEP * len(values) + 24
    chart = Chart(layer, scale, linear_scale([0, 1]), "", left + 190, height, right=10, left=left, grid="")
    chart.y_scale = type(chart.y_scale)(0, 1, (), ())
    if scale.low < 0 < scale.high:
        at = float(chart.x(0.0))
        chart.add(element("line", x1=at, x2=at, y1=14, y2=height - 24, class_="zero"))
    for i, (colour, (epoch, found)) in enumerate(zip(ramp(len(values)), values.items(), strict=True)):
        base = _HIGH + _STEP * i + 14
        counts = np.histogram(np.clip(found, scale.low, scale.high), edges)[0]
        smooth = np.convolve(np.pad(counts, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        heights = smooth / max(1e-300, smooth.max()) * (_HIGH - 6)
        xs = chart.x((edges[:-1] + edges[1:]) / 2)
        points = "".join(f"L{coordinate(x)} {coordinate(base - h)}" for x, h in zip(xs, heights, strict=True))
        path = f"M{coordinate(xs[0])} {coordinate(base)}{points}L{coordinate(xs[-1])} {coordinate(base)}Z"
        chart.add(
            element("path", element("title", f"{layer}, epoch {epoch}"), d=path, class_=f"ridge {colour}"),
            element("text", f"epoch {epoch:,}", x=left - 8, y=base, class_="tick end"),
        )
    return chart.panel(layer)
