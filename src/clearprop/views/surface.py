"""The cost over two weights, as a map with the way of gradient descent on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from clearprop.checks import check_number
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.svg import element, linear_scale, number
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names
from clearprop.views.contours import Contours
from clearprop.views.figure import Chart, Figure, swatch
from clearprop.views.recorder import Recorder
from clearprop.views.validation import check_kept, check_parameters, check_trace

_GRID, _SIDE, _BANDS = 41, 420.0, 12


def cost_surface(
    trace: Trace,
    across: str,
    up: str,
    path: Recorder | Mapping[int, Parameters] | None = None,
    span: float | None = None,
) -> Figure:
    """Draw the cost over two weights, all others as in the trace, with the way of the two weights on it.

    `across` and `up` name weights or biases as `trace.derivation` does: "output[0] <- hidden[1]", "hidden[0].b". `path`
    is a `Recorder`, or parameters by epoch. The map reaches `span` to each side of the weights, and around the
    path unless `span` is given. Where other weights moved too, the path is its shadow on this slice. Li et al. 2018.
    Raises ArgumentError for weights that do not exist.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0], [2.0]], [[1.0], [3.0]], loss="squared_error")
    >>> views.cost_surface(trace, "output[0] <- input[0]", "output[0].b").title
    'The cost over two weights'
    """
    check_parameters(check_trace(trace, "cost_surface").params, "cost_surface")
    places = [place_of(trace, text) for text in (across, up)]
    if places[0] == places[1]:
        raise ArgumentError(f'cost_surface: expected two different weights, got "{across}" and "{up}", which are one.')
    here = trace.params.flat[places]
    kept = [] if path is None else check_kept(path, trace.params.net, "cost_surface")
    way = np.array([then.flat[places] for _, then in kept]) if kept else np.empty((0, 2))
    scales = [linear_scale(_reach(here[k], way[:, k], span), tight=True) for k in (0, 1)]
    chart = Chart("cost", scales[0], scales[1], across, _SIDE + 18, _SIDE - 60, grid="", y_title=up)
    xs, ys = (np.linspace(scale.low, scale.high, _GRID) for scale in scales)
    J = _costs(trace, places, xs, ys)
    levels = _levels(J)
    contours = Contours(chart, xs, ys, J)
    for k, (low, high) in enumerate(pairwise(levels)):
        shade = 0.02 + 0.6 * (k / (_BANDS - 1)) ** 1.2
        chart.add(*contours.area(float(low), float(high), "height", shade))
    for level in levels[1:-1]:
        chart.add(*contours.line(float(level), "level"))
    legend = [
        (swatch("square", "height"), f"cost, from {number(float(J.min()))} to {number(float(J.max()))} where strongest")
    ]
    if len(way):
        _draw_way(chart, way)
        legend.append((swatch("line", "path"), "the way of gradient descent, to the full dot"))
    note = "Each thin line joins points of one cost, with smaller steps near the bottom."
    return Figure("The cost over two weights", (chart.panel(""),), note, tuple(legend))


def place_of(trace: Trace, text: str) -> int:
    """Where the weight or bias that a text names lies in the flat vector."""
    subject = Names(trace.objective.net).find(text)
    if subject.block is None:
        raise ArgumentError(
            f'"{text}" is a unit, not a parameter: name a weight "hidden[0] <- input[1]" or a bias "hidden[0].b".'
        )
    return subject.block.start + int(np.ravel_multi_index(subject.entry, subject.block.shape))


def _reach(here: float, way: np.ndarray, span: float | None) -> np.ndarray:
    if span is not None:
        check_number(span, "span", above=0)
        return np.array([here - span, here + span])
    low, high = min([here, *way]), max([here, *way])
    pad = max(0.25 * (high - low), 0.5 * abs(here), 1.0 if len(way) == 0 else 0.1)
    return np.array([low - pad, high + pad])


def _costs(trace: Trace, places: list[int], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    params, J = trace.params.copy(), np.empty((len(ys), len(xs)))
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            params.flat[places] = x, y
            J[row, column] = trace.objective.cost(params)
    return J


def _levels(J: np.ndarray) -> np.ndarray:
    """Levels that lie closer together near the bottom, where the way ends."""
    low, high = float(np.nanmin(J)), float(np.nanmax(J))
    height = high - low or 1.0
    return low + height * np.linspace(0, 1, _BANDS + 1) ** 2 + np.r_[-1e-9, np.zeros(_BANDS - 1), 1e-9] * height


def _draw_way(chart: Chart, way: np.ndarray) -> None:
    xs, ys = chart.x(way[:, 0]), chart.y(way[:, 1])
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
    chart.add(element("path", d=path, class_="line path"))
    for n, kind in ((0, "place"), (len(way) - 1, "place last")):
        chart.add(element("circle", cx=float(xs[n]), cy=float(ys[n]), r=5, class_=kind))
