"""Quantities over the epochs: the cost, the deltas of the layers, single weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clearprop.core.trace import Trace
from clearprop.draw.axes import Plot, linear_scale
from clearprop.draw.charts import Curve, layers_drawn, layers_over_epochs, over_epochs
from clearprop.draw.figure import Figure
from clearprop.draw.style import contrasting, layer_classes
from clearprop.draw.svg import Drawing, swatch
from clearprop.errors import ArgumentError
from clearprop.training.history import History
from clearprop.views.recorder import Recorder, retrace, spread_out
from clearprop.views.surface import flat_index
from clearprop.views.validation import check_recorded, check_trace

_WIDTH, _HEIGHT, _MOST = 420.0, 270.0, 200


def history(history: History) -> Figure:
    """Draw the course of training: the cost, the validation cost if there is one, and |delta| of each layer.

    Wide ranges use a logarithmic scale; of many layers, twelve at equal distances are drawn, and the note names the
    others. Raises ArgumentError for a history without epochs.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> history = cp.History({"cost": [2.0, 1.0]}, delta_norms={"output": [1.0, 0.5]})
    >>> [panel.title for panel in views.history(history).panels]
    ['Cost', 'Norm of delta by layer, last step of each epoch']
    """
    if not isinstance(history, History):
        raise ArgumentError(f"history: expected the history that cp.train returns, got {type(history).__name__}.")
    if not history.epochs:
        raise ArgumentError("history: expected at least one epoch; train first.")
    curves = [
        Curve(name, class_, history[column])
        for name, class_, column in (("training", "first", "cost"), ("validation", "second", "validation cost"))
        if column in history
    ]
    note = [history.stopped] if history.stopped else []
    panels = [over_epochs("Cost in each epoch", curves, history.best_epoch, width=_WIDTH, title="Cost")]
    if history.delta_norms:
        names = list(history.delta_norms)  # from the input to the output
        classes = layer_classes(len(names) - 1)
        norms = [Curve(name, class_, history.delta_norms[name]) for name, class_ in zip(names, classes, strict=True)]
        title = "Norm of delta by layer, last step of each epoch"
        drawn = [curve.name for curve in layers_drawn(norms)]
        if drawn:
            panels.append(layers_over_epochs(title, norms, history.best_epoch, _WIDTH, title))
        flat = [curve.name for curve in norms if not layers_drawn([curve])]
        crowded = [name for name in names if name not in (*drawn, *flat)]
        note += [f"not drawn, because its norm is 0 or not finite in every epoch: {', '.join(flat)}"] if flat else []
        note += [f"not drawn, because twelve layers are the most: {', '.join(crowded)}"] if crowded else []
    return Figure("Training", tuple(panels), "; ".join(note), columns=2)


def weight_trajectory(recorder: Recorder, trace: Trace, *weights: str) -> Figure:
    """Draw the trajectory of one weight or of several: the value at each recorded epoch, and dJ/dw there.

    `trace` has the data of the gradient; weights are named as in `trace.derivation`. Of a long run, 200 epochs are
    drawn. Raises ArgumentError for weights that do not exist.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[1.0]]}})
    >>> trace, recorder = cp.backpropagate(net, params, [[1.0]], [[0.0]], loss="squared_error"), views.Recorder(params)
    >>> history = cp.train(net, params, [[1.0]], [[0.0]], loss="squared_error", epochs=3, callbacks=recorder)
    >>> views.weight_trajectory(recorder, trace, "output[0] <- input[0]").title
    'The trajectory of output[0] <- input[0]'
    """
    recorded = check_recorded(recorder, check_trace(trace, "weight_trajectory").params.net, "weight_trajectory")
    if not weights or len(recorded) < 2:
        raise ArgumentError(
            "weight_trajectory: expected at least one weight, and a recorder with at least one epoch of training."
        )
    indices = [flat_index(trace, text) for text in weights]
    recorded = spread_out(recorded, _MOST)
    epochs = [epoch for epoch, _ in recorded]
    values = np.array([params.flat[indices] for _, params in recorded])
    slopes = np.array([retrace(trace, params).gradients.flat[indices] for _, params in recorded])
    classes = list(contrasting(len(weights)))
    panels = [
        _by_epoch("w", epochs, dict(zip(weights, values.T, strict=True)), classes),
        _by_epoch("dJ/dw", epochs, dict(zip(weights, slopes.T, strict=True)), classes),
    ]
    legend = tuple((swatch("line", class_), text) for class_, text in zip(classes, weights, strict=True))
    note = "Gradient descent moves against dJ/dw: where dJ/dw is positive the weight decreases."
    title = f"The trajectory of {weights[0]}" if len(weights) == 1 else f"The trajectory of {len(weights)} weights"
    return Figure(title, tuple(panels), note, legend if len(weights) > 1 else (), columns=2)


def _by_epoch(title: str, epochs: Sequence[int], curves: Mapping[str, np.ndarray], classes: Sequence[str]) -> Drawing:
    scales = linear_scale(epochs, tight=True), linear_scale(np.concatenate(list(curves.values())))
    plot = Plot(title, *scales, "epochs done", width=_WIDTH, height=_HEIGHT)
    for (name, values), class_ in zip(curves.items(), classes, strict=True):
        plot.line(epochs, values, class_, name)
    return plot.drawing(title)
