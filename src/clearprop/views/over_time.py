"""What changes from epoch to epoch: the cost, the deltas of the layers, and the way of one weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clearprop.core.trace import Trace
from clearprop.draw.charts import thin
from clearprop.draw.svg import epoch_scale, linear_scale, log_scale
from clearprop.errors import ArgumentError
from clearprop.training.history import History
from clearprop.views.figure import Chart, Figure, Legend, Panel, colours, ramp, swatch
from clearprop.views.recorder import Recorder, again
from clearprop.views.surface import place_of
from clearprop.views.validation import check_kept, check_trace

_WIDTH, _HEIGHT, _MOST, _LAYERS = 400.0, 240.0, 200, 8


def history(told: History) -> Figure:
    """Draw how training went: the cost, the validation cost if there is one, and |delta| of each layer.

    Wide ranges get a logarithmic scale; of many layers, eight spread evenly are drawn. Raises ArgumentError for a
    history without epochs.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> told = cp.History({"cost": [2.0, 1.0]}, delta_norms={"output": [1.0, 0.5]})
    >>> [panel.title for panel in views.history(told).panels]
    ['Cost', 'Norm of delta by layer, last step of each epoch']
    """
    if not isinstance(told, History):
        raise ArgumentError(f"history: expected the history that cp.train returns, got {type(told).__name__}.")
    if not told.epochs:
        raise ArgumentError("history: there is no epoch in it yet; train first.")
    costs = {name: told[name] for name in ("cost", "validation cost") if name in told}
    both = ((swatch("line", "first"), "training"), (swatch("line", "second"), "validation"))
    panels = [_lines("Cost", costs, ("first", "second"), both if len(costs) > 1 else ())]
    if told.delta_norms:
        names = list(reversed(told.delta_norms))  # from the input to the output
        if len(names) > _LAYERS:
            names = [names[round(i * (len(names) - 1) / (_LAYERS - 1))] for i in range(_LAYERS)]
        paints = ramp(len(names))
        norms = {name: told.delta_norms[name] for name in names}
        legend = tuple((swatch("line", paint), name) for paint, name in zip(paints, names, strict=True))
        panels.append(_lines("Norm of delta by layer, last step of each epoch", norms, paints, legend))
    return Figure("How training went", tuple(panels), told.stopped, columns=2)


def way_of_weight(recorder: Recorder, trace: Trace, *weights: str) -> Figure:
    """Draw the way of one weight, or of several: its value at each epoch kept, and dJ/dw there.

    `trace` has the data that the gradient is taken on; `weights` are named as `trace.derivation` names them. Of a long
    run, 200 epochs are drawn. Raises ArgumentError for weights that do not exist.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[1.0]]}})
    >>> trace, recorder = cp.backpropagate(net, params, [[1.0]], [[0.0]], loss="squared_error"), views.Recorder(params)
    >>> history = cp.train(net, params, [[1.0]], [[0.0]], loss="squared_error", epochs=3, callbacks=recorder)
    >>> views.way_of_weight(recorder, trace, "output[0] <- input[0]").title
    'The way of output[0] <- input[0]'
    """
    kept = check_kept(recorder, check_trace(trace, "way_of_weight").params.net, "way_of_weight")
    if not weights or len(kept) < 2:
        raise ArgumentError(
            "way_of_weight: expected at least one weight, and a recorder that saw an epoch of training."
        )
    places = [place_of(trace, text) for text in weights]
    kept = [kept[round(i * (len(kept) - 1) / (_MOST - 1))] for i in range(_MOST)] if len(kept) > _MOST else kept
    epochs = [epoch for epoch, _ in kept]
    values = np.array([params.flat[places] for _, params in kept])
    slopes = np.array([again(trace, params).gradients.flat[places] for _, params in kept])
    paints = list(colours(len(weights)))
    panels = [
        _by_epoch("w", epochs, dict(zip(weights, values.T, strict=True)), paints),
        _by_epoch("dJ/dw", epochs, dict(zip(weights, slopes.T, strict=True)), paints),
    ]
    legend = tuple((swatch("line", paint), text) for paint, text in zip(paints, weights, strict=True))
    note = "Gradient descent goes against dJ/dw: where that is positive the weight falls."
    title = f"The way of {weights[0]}" if len(weights) == 1 else f"The way of {len(weights)} weights"
    return Figure(title, tuple(panels), note, legend if len(weights) > 1 else (), columns=2)


def _lines(title: str, curves: Mapping[str, Sequence[float]], paints: Sequence[str], legend: Legend) -> Panel:
    """Lines over all epochs of a history."""
    everything = np.concatenate([np.asarray(values, float) for values in curves.values()])
    finite = everything[np.isfinite(everything)]
    wide = len(finite) > 0 and finite.min() > 0 and finite.max() > 25 * finite.min()
    epochs = max(map(len, curves.values()))
    scale = log_scale(finite) if wide else linear_scale(finite)
    chart = Chart(title, epoch_scale(epochs), scale, "epoch", _WIDTH, _HEIGHT)
    for (name, values), paint in zip(curves.items(), paints, strict=False):
        chart.line(*thin(values), paint, tip=name)
    return chart.panel(title, legend)


def _by_epoch(title: str, epochs: Sequence[int], curves: Mapping[str, np.ndarray], paints: Sequence[str]) -> Panel:
    everything = np.concatenate(list(curves.values()))
    x_scale = linear_scale(epochs, tight=True)
    chart = Chart(title, x_scale, linear_scale(everything), "epochs done", _WIDTH, _HEIGHT)
    for (name, values), paint in zip(curves.items(), paints, strict=True):
        chart.line(list(epochs), list(values), paint, tip=name)
    return chart.panel(title)
