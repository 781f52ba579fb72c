"""Histograms of activations or deltas, layer by layer, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clearprop.checks import check_choice, check_flag
from clearprop.core.trace import Trace
from clearprop.draw.axes import Plot, Scale, linear_scale, spread
from clearprop.draw.figure import Figure
from clearprop.draw.style import ramp
from clearprop.draw.svg import Drawing, coordinate, element, text_width
from clearprop.errors import ArgumentError

_BINS, _STEP, _HIGH, _MOST, _NAME = 48, 26.0, 44.0, 16, 14.0
_WORDS = {
    "a": ("Activations", "Units at the ends of their range are saturated."),
    "z": ("Weighted sums", "The arguments of the activation function of each layer."),
    "delta": (
        "Deltas dJ/dz",
        "The sensitivity of the cost to each weighted sum; where it is 0 nothing is learnt.",
    ),
    "error": ("Error signals dJ/da", "The sensitivity of the cost to each activation."),
}


def histograms(traces: Mapping[int, Trace], of: str = "delta", log: bool = False) -> Figure:
    """Draw the distribution of a quantity over samples and units, for each layer and epoch.

    `traces` maps epochs to traces, as `Recorder.traces` returns them; `of` is "a", "z", "delta" or "error". Every layer
    has a panel. The epochs are at their true distances from top to bottom, or with `log` at those of their logarithms.
    All histograms have the same height. Raises ArgumentError for no trace or more than 16.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), np.eye(2), [[0.0], [1.0]], loss="squared_error")
    >>> [panel.title for panel in views.histograms({0: trace}, of="a").panels]
    ['hidden', 'output']
    """
    check_choice(of, "of", tuple(_WORDS))
    check_flag(log, "log")
    if not isinstance(traces, Mapping) or not all(isinstance(key, (int, np.integer)) for key in traces):
        raise ArgumentError(f"traces: expected traces by epoch, such as {{0: trace}}, got {type(traces).__name__}.")
    if not 1 <= len(traces) <= _MOST or not all(isinstance(trace, Trace) for trace in traces.values()):
        raise ArgumentError(f"traces: expected 1 to {_MOST} traces by epoch, got {len(traces)}; see Recorder.traces.")
    if len({trace.objective.net for trace in traces.values()}) > 1:
        raise ArgumentError("traces: expected traces of one network, got several networks.")
    title, note = _WORDS[of]
    by_epoch = dict(sorted(traces.items()))
    bases = _bases(list(by_epoch), log)
    values = {
        name: {epoch: getattr(trace[name], of).ravel() for epoch, trace in by_epoch.items()}
        for name in next(iter(by_epoch.values()))
    }
    panels = tuple(_panel(name, arrays, bases) for name, arrays in values.items())
    note = (
        f"{note} Epochs from top to bottom{', on a log scale' if log else ''}.{_close(bases, log)}{_left_out(values)}"
    )
    return Figure(f"{title} by layer over the epochs", panels, note)


def _bases(epochs: Sequence[int], log: bool) -> np.ndarray:
    """Pixels of the base line of each epoch: differences are proportional to those of the epochs, or of log(1 + e)."""
    at = np.log1p(epochs) if log else np.array(epochs, float)
    return _HIGH + 14 + _STEP * (len(epochs) - 1) * (at - at[0]) / (at[-1] - at[0] or 1)


def _close(bases: np.ndarray, log: bool) -> str:
    if log or len(bases) < 2 or np.diff(bases).min() >= _STEP / 3:
        return ""
    return " Some epochs are so close that their histograms overlap; log=True moves them apart."


def _left_out(values: Mapping[str, Mapping[int, np.ndarray]]) -> str:
    """How many values are not finite, and in which layers."""
    counts = {name: sum(int((~np.isfinite(a)).sum()) for a in arrays.values()) for name, arrays in values.items()}
    layers = [name for name, count in counts.items() if count]
    total = sum(counts.values())
    return f" Left out: {total:,} values that are not finite, in {', '.join(layers)}." if total else ""


def _panel(layer: str, values: Mapping[int, np.ndarray], bases: np.ndarray) -> Drawing:
    values = {epoch: array[np.isfinite(array)] for epoch, array in values.items()}
    together = np.concatenate(list(values.values()))
    low, high = np.quantile(together, [0.005, 0.995]) if len(together) else (0.0, 1.0)
    scale = linear_scale([low, high], ticks=2)
    edges = np.linspace(scale.low, scale.high, _BINS + 1)
    left = 26 + max(text_width(f"epoch {epoch:,}") for epoch in values)
    height = float(bases[-1]) + 34
    plot = Plot(layer, scale, Scale(0, 1, (), ()), width=left + 190, height=height, right=10, left=left, grid="")
    if scale.low < 0 < scale.high:
        at = float(plot.x(0.0))
        plot.add(element("line", x1=at, x2=at, y1=14, y2=height - 24, class_="zero"))
    names = spread([float(base) for base in bases], _NAME, 0.0, height - 24)
    classes = ramp(len(values))
    for (epoch, array), base, name, class_ in zip(values.items(), bases, names, classes, strict=True):
        counts = np.histogram(np.clip(array, scale.low, scale.high), edges)[0]
        smooth = np.convolve(np.pad(counts, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        heights = smooth / max(1e-300, smooth.max()) * (_HIGH - 6)
        xs = plot.x((edges[:-1] + edges[1:]) / 2)
        points = "".join(f"L{coordinate(x)} {coordinate(base - h)}" for x, h in zip(xs, heights, strict=True))
        path = f"M{coordinate(xs[0])} {coordinate(base)}{points}L{coordinate(xs[-1])} {coordinate(base)}Z"
        leader = f"M{coordinate(left - 16)} {coordinate(name)}L{coordinate(left - 5)} {coordinate(base)}h5"
        plot.add(
            element("path", element("title", f"{layer}, epoch {epoch}"), d=path, class_=f"ridge {class_}"),
            element("path", d=leader, class_=f"leader {class_}"),
            element("text", f"epoch {epoch:,}", x=left - 20, y=name + 4, class_="tick end"),
        )
    return plot.drawing(layer)
