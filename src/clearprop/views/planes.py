"""Planes: the output of a network over two of its inputs, and the samples in the space of two hidden units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from clearprop.checks import check_finite, check_inputs, dense
from clearprop.core.backprop import forward
from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, predict
from clearprop.draw.axes import Plot, Scale, linear_scale
from clearprop.draw.contours import Contours
from clearprop.draw.figure import Figure
from clearprop.draw.style import contrasting
from clearprop.draw.svg import Drawing, Legend, element, number, polyline, swatch
from clearprop.errors import ArgumentError, ShapeError
from clearprop.views.validation import check_parameters

_SIDE, _GRID, _COARSE, _MARGIN, MOST_SAMPLES, _MOST_CLASSES = 340.0, 81, 41, 0.12, 2000, 8


def decision_boundary(
    params: Parameters,
    X: Any,
    y: Any,
    inputs: tuple[int, int] = (0, 1),
    at: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw the output of the network over two of its inputs, and the samples.

    X (n, i), y class indices (n,), one column of 0 and 1, or one-hot rows. The other inputs stay at `at` (i,), by
    default the mean of X. With one output unit, the shade is its activation, and the line is where it equals 1/2 (or 0,
    if the output leaves the range from 0 to 1). With several, each class has the area where its output is largest.
    `names` are those of the inputs, `classes` those of the classes. Raises ArgumentError or ShapeError for arguments
    that do not match the network.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 1, output="sigmoid")
    >>> views.decision_boundary(net.initialize(seed=0), np.eye(2), np.array([0, 1])).title
    'Decision boundary'
    """
    net = check_parameters(params, "decision_boundary").net
    X = check_inputs(X, net.inputs, params.dtype)
    labels, known = _labels(y, len(X)), _input_names(net, names)
    legend = _class_legend(labels, classes)
    i, j = _pair(inputs, net.inputs, "inputs")
    middle = check_inputs(
        X.mean(axis=0, keepdims=True) if at is None else np.atleast_2d(at), net.inputs, params.dtype, "at"
    )
    plot = _plot(X[:, i], X[:, j], known[i], known[j])
    xs, ys = _axis(plot.x_scale), _axis(plot.y_scale)
    plane = np.repeat(middle[:1], _GRID * _GRID, axis=0)
    plane[:, i], plane[:, j] = np.tile(xs, _GRID), np.repeat(ys, _GRID)
    yhat = _single_output(net, predict(net, params, plane)).reshape(_GRID, _GRID, -1)
    plot.add(*_areas(plot, xs, ys, yhat), *_samples(plot, X[:, i], X[:, j], labels))
    note = _what_is_shaded(yhat)
    note += which_samples(len(X))
    if net.inputs > 2:
        note += " The other inputs stay at " + ("their means." if at is None else "the values given.")
    return Figure("Decision boundary", (plot.drawing(),), note, legend)


def hidden_space(
    params: Parameters,
    X: Any,
    y: Any,
    layer: str,
    units: tuple[int, int] = (0, 1),
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw the samples in the plane of two units of a layer: the weighted sums z = b + a W, and a = f(z).

    X (n, i), y and `classes` as for `decision_boundary`. If the network has two inputs, the thin lines are the image of
    a square grid on them. If a single output unit takes only these two units, the bold line is its decision boundary.
    Raises NetworkError, ArgumentError or ShapeError for arguments that do not match the network.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 2, 1, hidden="tanh", output="sigmoid")
    >>> [panel.title for panel in views.hidden_space(net.initialize(seed=0), np.eye(2), [0, 1], "hidden").panels]
    ['Weighted sums: z', 'Activations: a = tanh(z)']
    """
    net = check_parameters(params, "hidden_space").net
    X = check_inputs(X, net.inputs, params.dtype)
    labels, f = _labels(y, len(X)), net[layer].f
    legend = _class_legend(labels, classes)
    i, j = _pair(units, net[layer].units, "units")
    sweep = forward(net, params, X)
    grid = [forward(net, params, line) for line in _square_grid(X)] if net.inputs == 2 else []
    panels = []
    for title, of in (("Weighted sums: z", "z"), (f"Activations: a = {f.name}(z)", "f")):
        points = getattr(sweep, of)[layer]
        lines = [getattr(line, of)[layer] for line in grid]
        plot = _plot(points[:, i], points[:, j], f"{layer}[{i}]", f"{layer}[{j}]")
        plot.add(*(_polyline(plot, line[:, i], line[:, j]) for line in lines))
        if of == "f":
            plot.add(*_side_line(plot, params, layer, (i, j)))
        plot.add(*_samples(plot, points[:, i], points[:, j], labels))
        panels.append(plot.drawing(title))
    note = "The thin lines are the image of a square grid on the two inputs." if grid else ""
    if any("edge" in str(part) for part in panels[1].parts):
        note += " The bold line is the decision boundary of the output."
    note += which_samples(len(X))
    return Figure("The space of two hidden units", tuple(panels), note.strip(), legend)


def has_boundary(trace: Trace) -> bool:
    """Whether `boundary_frames` can draw it: two inputs, one output layer, targets that are classes."""
    net, y = trace.params.net, next(iter(trace.objective.targets.values()))
    indices = y.ndim == 1 and y.max(initial=0) < _MOST_CLASSES
    columns = y.ndim == 2 and y.shape[1] <= _MOST_CLASSES and np.isin(y, (0, 1)).all()
    return net.inputs == 2 and len(net.outputs or ()) == 1 and bool(indices or columns)


def boundary_frames(
    trace: Trace, frames: Sequence[Parameters], names: Mapping[str, Sequence[str]]
) -> tuple[list[Drawing], str, Legend]:
    """The decision boundary with each of the parameters, drawn with the same elements; a note and the legend."""
    net, X = trace.params.net, dense(trace.objective.X)
    labels, known = _labels(next(iter(trace.objective.targets.values())), len(X)), _input_names(net, names.get(INPUT))
    plot = _plot(X[:, 0], X[:, 1], *known)
    xs, ys = (np.linspace(scale.low, scale.high, _COARSE) for scale in (plot.x_scale, plot.y_scale))
    plane = np.column_stack([np.tile(xs, _COARSE), np.repeat(ys, _COARSE)]).astype(X.dtype)
    outputs = np.array([predict(net, params, plane).reshape(_COARSE, _COARSE, -1) for params in frames])
    middle, samples, drawings = _middle(outputs), _samples(plot, X[:, 0], X[:, 1], labels), []
    for yhat in outputs:
        plot.parts = [*_regions(plot, xs, ys, yhat, middle), *samples]
        drawings.append(plot.drawing())
    note = "The colour is the class whose output is largest."
    if outputs.shape[-1] == 1:
        note = f"On the line the output is {'1/2' if middle else '0'}."
    classes = names.get((net.outputs or ("",))[0]) if outputs.shape[-1] > 1 else None
    return drawings, note + which_samples(len(X)), _class_legend(labels, classes)


# --- the parts ----------------------------------------------------------------------------------------------------


def _areas(plot: Plot, xs: np.ndarray, ys: np.ndarray, yhat: np.ndarray) -> list[Markup]:
    if yhat.shape[2] == 1:
        return _shades(Contours(plot, xs, ys, yhat[..., 0]), yhat)
    parts, classes = [], contrasting(yhat.shape[2])
    for k in range(yhat.shape[2]):
        lead = yhat[..., k] - np.delete(yhat, k, axis=2).max(axis=2)
        contours = Contours(plot, xs, ys, lead)
        parts += contours.area(0, max(1e-9, float(lead.max())) + 1, classes[k], 0.3)
        parts += contours.line(0, "edge")
    return parts


def _regions(plot: Plot, xs: np.ndarray, ys: np.ndarray, yhat: np.ndarray, middle: float) -> list[Markup]:
    """One path for the region of each class, empty or not, in whole pixels; and the line between two classes."""
    several = yhat.shape[2] > 1
    leads = (
        [yhat[..., k] - np.delete(yhat, k, axis=2).max(axis=2) for k in range(yhat.shape[2])]
        if several
        else [middle - yhat[..., 0], yhat[..., 0] - middle]
    )
    areas, edges = [], []
    for lead, class_ in zip(leads, contrasting(len(leads)), strict=True):
        contours = Contours(plot, xs, ys, lead)
        empty = element("path", d="M0 0", class_=class_, fill_rule="evenodd", fill_opacity=0.3)
        areas += contours.area(0, max(0.0, float(lead.max())) + 1, class_, 0.3) or [empty]
        edges += contours.line(0, "edge") or [element("path", d="M0 0", class_="line edge")]
    return [_simpler(path) for path in (*areas, *edges[:-1])]  # each line is the edge of two classes


def _simpler(path: Markup) -> Markup:
    """A path in whole pixels, without the points that are less than a pixel off the line through the others."""

    def shorter(match: re.Match[str]) -> str:
        points = np.array([pair.split() for pair in match[0][1:].split("L")], float)
        kept = np.round(points[_needed(points)]).astype(int).tolist()
        return "M" + "L".join(f"{x} {y}" for x, y in kept)

    return Markup(re.sub(r"M[\d.L ]+", shorter, str(path)))


def _needed(points: np.ndarray) -> list[int]:
    """The indices of the points that the line needs, by halving it at the farthest point (Douglas and Peucker 1973)."""
    needed, waiting = {0, len(points) - 1}, [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        (x, y), offsets = points[last] - points[first], points[first + 1 : last] - points[first]
        length = math.hypot(x, y)
        away = np.abs(offsets[:, 0] * y - offsets[:, 1] * x) / length if length else np.hypot(*offsets.T)
        if away.max() > 0.8:
            middle = first + 1 + int(away.argmax())
            needed.add(middle)
            waiting += [(first, middle), (middle, last)]
    return sorted(needed)


def _middle(yhat: np.ndarray) -> float:
    """The output on the decision boundary: 1/2, or 0 if the output leaves the range from 0 to 1."""
    return 0.5 if yhat.min() >= 0 and yhat.max() <= 1 else 0.0


def which_samples(samples: int) -> str:
    return f" Of {samples:,} samples the first {MOST_SAMPLES:,} are drawn." if samples > MOST_SAMPLES else ""


def _what_is_shaded(yhat: np.ndarray) -> str:
    if yhat.shape[2] > 1:
        return "The colour is the class whose output is largest."
    low, high = (number(float(end)) for end in (yhat.min(), yhat.max()))
    return f"The shade is the output, from {low} to {high}; on the line it is {'1/2' if _middle(yhat) else '0'}."


def _shades(contours: Contours, yhat: np.ndarray) -> list[Markup]:
    """Bands of two colours, one for each side of the boundary, darker with the distance from it."""
    low, high = float(yhat.min()), float(yhat.max())
    middle = _middle(yhat)
    reach = max(high - middle, middle - low, 1e-9)
    parts = []
    for k in range(6):
        strength = 0.06 + 0.44 * k / 5
        parts += contours.area(middle + reach * k / 6, middle + reach * (k + 1) / 6 + 1e-9, "first", strength)
        parts += contours.area(middle - reach * (k + 1) / 6 - 1e-9, middle - reach * k / 6, "second", strength)
    return [*parts, *contours.line(middle, "edge")]


def _samples(plot: Plot, xs: np.ndarray, ys: np.ndarray, labels: np.ndarray) -> list[Markup]:
    classes = contrasting(max(2, int(labels.max()) + 1))
    radius = 5.0 if len(xs) <= 60 else 3.4 if len(xs) <= 400 else 2.4
    return [
        element(
            "circle",
            element("title", f"sample {n}, class {labels[n]}: {number(float(xs[n]))}, {number(float(ys[n]))}"),
            cx=float(plot.x(xs[n])), cy=float(plot.y(ys[n])), r=radius, class_=f"sample {classes[labels[n]]}",
        )
        for n in range(min(len(xs), MOST_SAMPLES))
    ]  # fmt: skip


def _polyline(plot: Plot, xs: np.ndarray, ys: np.ndarray) -> Markup:
    inside = (xs >= plot.x_scale.low) & (xs <= plot.x_scale.high) & (ys >= plot.y_scale.low) & (ys <= plot.y_scale.high)
    shown = np.flatnonzero(inside)
    pieces = np.split(shown, np.flatnonzero(np.diff(shown) > 1) + 1)
    path = "".join(polyline(plot.x(xs[piece]), plot.y(ys[piece])) for piece in pieces if len(piece))
    return element("path", d=path or "M0 0", class_="line mesh")


def _square_grid(X: np.ndarray) -> list[np.ndarray]:
    """Lines along both inputs, around the samples, each as a matrix of inputs (points, 2)."""
    low, high = X.min(axis=0), X.max(axis=0)
    pad = np.where(high > low, (high - low) * 0.25, 0.5)
    steps, along = [np.linspace(low[k] - pad[k], high[k] + pad[k], 9) for k in (0, 1)], np.linspace(0, 1, 60)
    lines = []
    for k in (0, 1):
        other = low[1 - k] - pad[1 - k] + along * (high[1 - k] - low[1 - k] + 2 * pad[1 - k])
        for step in steps[k]:
            line = np.empty((60, 2), X.dtype)
            line[:, k], line[:, 1 - k] = step, other
            lines.append(line)
    return lines


def _side_line(plot: Plot, params: Parameters, layer: str, units: tuple[int, int]) -> list[Markup]:
    """Where z = 0 in a single output unit that takes only these two units."""
    net = params.net
    output = net[(net.outputs or ("",))[0]]
    only = [c.source for c in output.connections] == [layer] and output.units == 1 and net[layer].units == 2
    if not only or output.connections[0].kind == "identity":
        return []
    c = output.connections[0]
    w = np.asarray(c.matrix(params[output.name].W[layer], 1))[list(units), 0]
    b = params[output.name].b
    xs, ys = _axis(plot.x_scale), _axis(plot.y_scale)
    plane = w[0] * xs[None, :] + w[1] * ys[:, None] + (0.0 if b is None else b[0])
    return Contours(plot, xs, ys, plane).line(0, "edge")


# --- the arguments ----------------------------------------------------------------------------------------------------


def _plot(xs: np.ndarray, ys: np.ndarray, x_title: str, y_title: str) -> Plot:
    x_scale, y_scale = (linear_scale(_wider(values), tight=True) for values in (xs, ys))
    return Plot("samples", x_scale, y_scale, x_title, y_title, _SIDE, _SIDE - 18, grid="")


def _wider(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * _MARGIN or 0.5
    return np.array([low - pad, high + pad])


def _axis(scale: Scale) -> np.ndarray:
    return np.linspace(scale.low, scale.high, _GRID)


def _labels(y: Any, n: int) -> np.ndarray:
    """The class of each sample as an index."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape == (n, 1):
        array = array[:, 0]
    elif array.ndim == 2 and len(array) == n:
        array = array.argmax(axis=1)
    if array.shape != (n,) or array.dtype.kind not in "fiub":
        raise ShapeError(f"y: expected a class for each of {n} samples, got shape {array.shape} of {array.dtype}.")
    check_finite(array, "y")
    labels = np.rint(array).astype(int)
    if (labels < 0).any() or (np.abs(labels - array) > 1e-9).any() or labels.max() >= _MOST_CLASSES:
        raise ArgumentError(f"y: expected classes from 0 to {_MOST_CLASSES - 1}, got {np.unique(array)[:9].tolist()}.")
    return labels


def _pair(pair: Any, count: int, name: str) -> tuple[int, int]:
    chosen = tuple(pair) if isinstance(pair, (tuple, list, np.ndarray)) else ()
    if count < 2:
        raise ArgumentError(f"{name}: expected two different indices, but there is only one to choose from.")
    if (
        len(chosen) != 2
        or chosen[0] == chosen[1]
        or not all(isinstance(k, (int, np.integer)) for k in chosen)
        or not all(0 <= k < count for k in chosen)
    ):
        raise ArgumentError(f"{name}: expected two different indices from 0 to {count - 1}, got {pair!r}.")
    return int(chosen[0]), int(chosen[1])


def _single_output(net: Network, yhat: Any) -> np.ndarray:
    if isinstance(yhat, dict):
        raise ArgumentError(
            f"decision_boundary: the network has several outputs ({', '.join(net.outputs or ())}); "
            "build a network with only the one to draw."
        )
    return yhat


def _input_names(net: Network, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [f"{INPUT}[{k}]" for k in range(net.inputs)]
    if len(names) != net.inputs:
        raise ArgumentError(f"names: expected {net.inputs} names, one per input, got {len(names)}.")
    return list(names)


def _class_legend(labels: np.ndarray, classes: Sequence[str] | None) -> Legend:
    count = int(labels.max()) + 1
    are_texts = classes is None or all(isinstance(name, str) for name in classes)
    if classes is not None and not (are_texts and count <= len(classes) <= _MOST_CLASSES):
        raise ArgumentError(
            f"classes: expected {count} to {_MOST_CLASSES} names, that of class 0 first, got {list(classes)!r}."
        )
    colours = contrasting(max(2, count))
    names = classes or [f"class {k}" for k in range(count)]
    return tuple((swatch("dot", colour), name) for colour, name in zip(colours, names, strict=False))
