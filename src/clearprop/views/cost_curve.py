"""The cost over one weight with the steps of training on it, and beside it the fit to the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clearprop.checks import dense
from clearprop.core.network import INPUT
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, predict
from clearprop.draw.axes import Plot, linear_scale, spread
from clearprop.draw.figure import Figure
from clearprop.draw.style import ramp
from clearprop.draw.svg import Drawing, coordinate, element, number, polyline, swatch, text_width
from clearprop.views.planes import MOST_SAMPLES, which_samples
from clearprop.views.recorder import Recorder, retrace, spread_out
from clearprop.views.surface import flat_index, reach
from clearprop.views.validation import check_parameters, check_recorded, check_trace

_GRID, _WIDTH, _HEIGHT, _MOST_STEPS, _MOST_FITS = 121, 400.0, 300.0, 200, 8


def cost_curve(
    trace: Trace,
    weight: str,
    recorder: Recorder | Mapping[int, Parameters] | None = None,
    span: float | None = None,
) -> Figure:
    """Draw the cost over one weight, with all others as in the trace, and the steps of training on it.

    `weight` names a weight or bias as in `trace.derivation`: "output[0] <- input[0]", "output[0].b". The points of
    `recorder` (or of parameters by epoch) are the weight and the cost at the recorded epochs, 200 at most. The curve
    extends by `span` to each side of the weight; by default it contains the points. If the network has one input and
    one output unit, a second panel has the data and the output of the network at up to 8 of the recorded epochs.
    Raises ArgumentError for a weight that does not exist.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0], [2.0]], [[1.0], [3.0]], loss="squared_error")
    >>> [panel.title for panel in views.cost_curve(trace, "output[0] <- input[0]").panels]
    ['Cost', 'Data and output']
    """
    check_parameters(check_trace(trace, "cost_curve").params, "cost_curve")
    index = flat_index(trace, weight)
    recorded = [] if recorder is None else check_recorded(recorder, trace.params.net, "cost_curve")
    for _, params in recorded:
        check_parameters(params, "cost_curve")
    steps = spread_out(recorded, _MOST_STEPS)
    moves = np.array([params.flat[index] for _, params in steps])
    costs = np.array([retrace(trace, params).cost for _, params in steps])
    low, high = reach(float(trace.params.flat[index]), moves, span)
    w = np.linspace(low, high, _GRID)
    J = curve_costs(trace, index, w)
    panels = [_curve(weight, w, J, moves, costs)]
    note = "The cost by this weight, with all others as in the trace."
    if len(moves) and not np.allclose(np.interp(moves, w, J), costs, rtol=0.02, atol=0.01 * float(np.ptp(J))):
        note += " In training the other weights changed too, so the points need not lie on the curve."
    net = trace.params.net
    outputs = net.outputs or ()
    if net.inputs == 1 and len(outputs) == 1 and net[outputs[0]].units == 1:
        panels.append(_fits(trace, spread_out(recorded, _MOST_FITS)))
        note += which_samples(trace.objective.samples)
    legend = [(swatch("line", "first"), "cost")]
    if len(steps):
        first, last = steps[0][0], steps[-1][0]
        legend.append((swatch("line", "path"), f"steps of training, from epoch {first:,} to {last:,} (filled)"))
    return Figure("Cost over one weight", tuple(panels), note, tuple(legend), columns=2)


def curve_costs(trace: Trace, index: int, values: np.ndarray) -> np.ndarray:
    """The cost for each value of one parameter, with all others as in the trace."""
    params, J = trace.params.copy(), np.empty(len(values))
    for i, value in enumerate(values):
        params.flat[index] = value
        J[i] = trace.objective.cost(params)
    return J


def _curve(weight: str, w: np.ndarray, J: np.ndarray, moves: np.ndarray, costs: np.ndarray) -> Drawing:
    y_scale = linear_scale(np.concatenate([J, costs]))
    plot = Plot("cost", linear_scale(w, tight=True), y_scale, weight, "J", _WIDTH, _HEIGHT)
    plot.line(w, J, "first", f"cost by {weight}, from {number(J.min())} to {number(J.max())}", "cost")
    shown = np.isfinite(costs)
    if shown.any():
        xs, ys = plot.x(moves[shown]), plot.y(costs[shown])
        plot.add(element("path", d=polyline(xs, ys), class_="line path"))
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            tip = element("title", f"{number(moves[shown][i])}: cost {number(costs[shown][i])}")
            last = " last" if i == len(xs) - 1 else ""
            plot.add(element("circle", tip, cx=float(x), cy=float(y), r=4 if last else 3, class_=f"spot{last}"))
    return plot.drawing("Cost")


def _fits(trace: Trace, recorded: list[tuple[int, Parameters]]) -> Drawing:
    """The samples, and the output of the network over its input at each of the epochs."""
    net, names = trace.params.net, [f"epoch {epoch:,}" for epoch, _ in recorded] or ["output"]
    X, y = dense(trace.objective.X), next(iter(trace.objective.targets.values()))
    pad = float(np.ptp(X)) * 0.06 or 0.5
    x = np.linspace(X.min() - pad, X.max() + pad, _GRID).astype(X.dtype)
    outputs = [predict(net, params, x[:, None])[:, 0] for _, params in recorded or [(0, trace.params)]]
    right = 24 + max(map(text_width, names))
    plot = Plot(
        "fit", linear_scale(x, tight=True), linear_scale(np.concatenate([y[:, 0], *outputs])), f"{INPUT}[0]", "target",
        _WIDTH, _HEIGHT, right=right,
    )  # fmt: skip
    for cx, cy in zip(plot.x(X[:MOST_SAMPLES, 0]), plot.y(y[:MOST_SAMPLES, 0]), strict=True):
        plot.add(element("circle", cx=float(cx), cy=float(cy), r=3, class_="plain point"))
    classes, ends = ramp(len(outputs)), [float(plot.y(output[-1])) for output in outputs]
    _, top, edge, bottom = plot.area
    for output, name, class_, end, at in zip(
        outputs, names, classes, ends, spread(ends, 14.0, top, bottom), strict=True
    ):
        plot.line(x, output, class_, name, name)
        leader = f"M{coordinate(edge + 1)} {coordinate(end)}L{coordinate(edge + 6)} {coordinate(at)}h5"
        plot.add(element("path", d=leader, class_=f"leader {class_}"))
        plot.add(element("text", name, x=edge + 15, y=at + 4, class_="tick"))
    return plot.drawing("Data and output")
