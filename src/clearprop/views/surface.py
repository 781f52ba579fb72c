"""The cost over two weights, as a contour map with the path of training on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from clearprop.checks import check_number
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.axes import Plot, linear_scale
from clearprop.draw.contours import Contours
from clearprop.draw.figure import Figure
from clearprop.draw.svg import element, number, polyline, swatch
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names
from clearprop.views.recorder import Recorder
from clearprop.views.validation import check_parameters, check_recorded, check_trace

_GRID, _SIDE, _BANDS = 41, 420.0, 12


def cost_surface(
    trace: Trace,
    across: str,
    up: str,
    path: Recorder | Mapping[int, Parameters] | None = None,
    span: float | None = None,
) -> Figure:
    """Draw the cost over two weights, with all others as in the trace, and the path of the two weights.

    `across` and `up` name weights or biases as in `trace.derivation`: "output[0] <- hidden[1]", "hidden[0].b". `path`
    is a `Recorder`, or parameters by epoch. The map extends by `span` to each side of the weights; by default it
    contains the path. Other weights change along the path too, so that it is a projection onto this slice. Li et al.
    2018. Raises ArgumentError for weights that do not exist.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0], [2.0]], [[1.0], [3.0]], loss="squared_error")
    >>> views.cost_surface(trace, "output[0] <- input[0]", "output[0].b").title
    'Cost over two weights'
    """
    check_parameters(check_trace(trace, "cost_surface").params, "cost_surface")
    indices = [flat_index(trace, text) for text in (across, up)]
    if indices[0] == indices[1]:
        raise ArgumentError(f'cost_surface: expected two different weights, got one: "{across}" and "{up}".')
    here = trace.params.flat[indices]
    recorded = [] if path is None else check_recorded(path, trace.params.net, "cost_surface")
    moves = np.array([then.flat[indices] for _, then in recorded]).reshape(-1, 2)
    x_scale, y_scale = (linear_scale(reach(here[k], moves[:, k], span), tight=True) for k in (0, 1))
    plot = Plot("cost", x_scale, y_scale, across, up, _SIDE + 18, _SIDE - 60, grid="")
    xs, ys = (np.linspace(scale.low, scale.high, _GRID) for scale in (x_scale, y_scale))
    J = _costs(trace, indices, xs, ys)
    levels = _levels(J)
    contours = Contours(plot, xs, ys, J)
    for k, (low, high) in enumerate(pairwise(levels)):
        shade = 0.02 + 0.6 * (k / (_BANDS - 1)) ** 1.2
        plot.add(*contours.area(float(low), float(high), "first", shade))
    for level in levels[1:-1]:
        plot.add(*contours.line(float(level), "level"))
    shades = f"cost, from {number(float(J.min()))} to {number(float(J.max()))} where the colour is strongest"
    legend = [(swatch("square", "first"), shades)]
    if len(moves):
        _add_path(plot, moves)
        legend.append((swatch("line", "path"), "path of training, to the filled dot"))
    note = "Each thin line joins points of equal cost, with smaller steps near the minimum."
    return Figure("Cost over two weights", (plot.drawing(),), note, tuple(legend))


def flat_index(trace: Trace, text: str) -> int:
    """The index in the flat vector of the weight or bias that a text names."""
    subject = Names(trace.objective.net).find(text)
    if subject.block is None:
        raise ArgumentError(
            f'"{text}" is a unit, not a parameter; expected a weight "hidden[0] <- input[1]" or a bias "hidden[0].b".'
        )
    return subject.block.start + int(np.ravel_multi_index(subject.entry, subject.block.shape))


def reach(here: float, moves: np.ndarray, span: float | None) -> np.ndarray:
    """The ends of the range to draw of a weight: `span` to each side, or with room around all recorded values."""
    if span is not None:
        check_number(span, "span", above=0)
        return np.array([here - span, here + span])
    low, high = min([here, *moves]), max([here, *moves])
    pad = max(0.25 * (high - low), 0.5 * abs(here), 1.0 if len(moves) == 0 else 0.1)
    return np.array([low - pad, high + pad])


def _costs(trace: Trace, indices: list[int], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    params, J = trace.params.copy(), np.empty((len(ys), len(xs)))
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            params.flat[indices] = x, y
            J[row, column] = trace.objective.cost(params)
    return J


def _levels(J: np.ndarray) -> np.ndarray:
    """Levels that are closer near the minimum, where the path ends."""
    low, high = float(np.nanmin(J)), float(np.nanmax(J))
    height = high - low or 1.0
    return low + height * np.linspace(0, 1, _BANDS + 1) ** 2 + np.r_[-1e-9, np.zeros(_BANDS - 1), 1e-9] * height


def _add_path(plot: Plot, moves: np.ndarray) -> None:
    xs, ys = plot.x(moves[:, 0]), plot.y(moves[:, 1])
    plot.add(element("path", d=polyline(xs, ys), class_="line path"))
    for n, class_ in ((0, "spot"), (len(moves) - 1, "spot last")):
        plot.add(element("circle", cx=float(xs[n]), cy=float(ys[n]), r=5, class_=class_))
