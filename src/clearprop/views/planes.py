"""Planes: what a network says over two of its inputs, and how a hidden layer bends the space of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from clearprop.checks import check_finite, check_inputs
from clearprop.core.backprop import forward
from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import predict
from clearprop.draw.svg import element, linear_scale, number
from clearprop.errors import ArgumentError, ShapeError
from clearprop.views.contours import Contours
from clearprop.views.figure import Chart, Figure, Legend, colours, swatch
from clearprop.views.validation import check_parameters

_SIDE, _GRID, _MARGIN, _MOST_SAMPLES, _MOST_CLASSES = 340.0, 81, 0.12, 2000, 8


def decision_boundary(
    params: Parameters,
    X: Any,
    y: Any,
    inputs: tuple[int, int] = (0, 1),
    at: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw what the network says over two of its inputs, and the samples on it.

    X (n, i), y class indices (n,), one column of 0 and 1, or one-hot rows. The other inputs stay at `at` (i,), the mean
    of X unless given. One output unit: the shade is its activation, and the line is where it is 1/2 (or 0, where it
    leaves the range from 0 to 1); several: each class has the area where it is largest. `names` are those of the
    inputs, `classes` those of the classes. Raises ArgumentError or ShapeError for what does not fit.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 1, output="sigmoid")
    >>> views.decision_boundary(net.initialize(seed=0), np.eye(2), np.array([0, 1])).title
    'What the network says'
    """
    net = check_parameters(params, "decision_boundary").net
    X = check_inputs(X, net.inputs, params.dtype)
    labels, known = _labels(y, len(X)), _input_names(net, names)
    legend = _class_legend(labels, classes)
    i, j = _pair(inputs, net.inputs, "inputs")
    middle = check_inputs(
        X.mean(axis=0, keepdims=True) if at is None else np.atleast_2d(at), net.inputs, params.dtype, "at"
    )
    chart = _chart(X[:, i], X[:, j], known[i], known[j])
    xs, ys = _axis(chart.x_scale), _axis(chart.y_scale)
    plane = np.repeat(middle[:1], _GRID * _GRID, axis=0)
    plane[:, i], plane[:, j] = np.tile(xs, _GRID), np.repeat(ys, _GRID)
    yhat = _single_output(net, predict(net, params, plane)).reshape(_GRID, _GRID, -1)
    chart.add(*_areas(chart, xs, ys, yhat), *_samples(chart, X[:, i], X[:, j], labels))
    note = _what_is_shaded(yhat)
    if net.inputs > 2:
        note += " The other inputs stay at " + ("their means." if at is None else "the values given.")
    return Figure("What the network says", (chart.panel(""),), note, legend)


def hidden_space(
    params: Parameters,
    X: Any,
    y: Any,
    layer: str,
    units: tuple[int, int] = (0, 1),
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draw the samples as two units of a layer see them: before the bend, z = b + a W, and after it, a = f(z).

    X (n, i), y and `classes` as for `decision_boundary`. Where the network has two inputs, the lines are those of
    squared paper there; where a single output unit takes only these two units, the bold line is where it changes
    sides. Raises NetworkError, ArgumentError or ShapeError for what does not fit.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 2, 1, hidden="tanh", output="sigmoid")
    >>> [panel.title for panel in views.hidden_space(net.initialize(seed=0), np.eye(2), [0, 1], "hidden").panels]
    ['Before the bend: z', 'After the bend: a = tanh(z)']
    """
    net = check_parameters(params, "hidden_space").net
    X = check_inputs(X, net.inputs, params.dtype)
    labels, f = _labels(y, len(X)), net[layer].f
    legend = _class_legend(labels, classes)
    i, j = _pair(units, net[layer].units, "units")
    seen = forward(net, params, X)
    paper = [forward(net, params, line) for line in _squared_paper(X)] if net.inputs == 2 else []
    panels = []
    for title, of in (("Before the bend: z", "z"), (f"After the bend: a = {f.name}(z)", "f")):
        points = getattr(seen, of)[layer]
        lines = [getattr(line, of)[layer] for line in paper]
        chart = _chart(points[:, i], points[:, j], f"{layer}[{i}]", f"{layer}[{j}]")
        chart.add(*(_polyline(chart, line[:, i], line[:, j]) for line in lines))
        if of == "f":
            chart.add(*_side_line(chart, params, layer, (i, j)))
        chart.add(*_samples(chart, points[:, i], points[:, j], labels))
        panels.append(chart.panel(title))
    note = "The thin lines are squared paper laid on the two inputs." if paper else ""
    if any("edge" in str(part) for part in panels[1].parts):
        note += " The bold line is where the output changes sides."
    return Figure("The space of the hidden units", tuple(panels), note.strip(), legend)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def _areas(chart: Chart, xs: np.ndarray, ys: np.ndarray, yhat: np.ndarray) -> list[Markup]:
    if yhat.shape[2] == 1:
        return _shades(Contours(chart, xs, ys, yhat[..., 0]), yhat)
    parts, paints = [], colours(yhat.shape[2])
    for k in range(yhat.shape[2]):
        lead = yhat[..., k] - np.delete(yhat, k, axis=2).max(axis=2)
        contours = Contours(chart, xs, ys, lead)
        parts += contours.area(0, max(1e-9, float(lead.max())) + 1, f"region {paints[k]}", 0.3)
        parts += contours.line(0, "edge")
    return parts


def _middle(yhat: np.ndarray) -> float:
    """Where a single output changes sides: 1/2, or 0 where it leaves the range from 0 to 1."""
    return 0.5 if yhat.min() >= 0 and yhat.max() <= 1 else 0.0


def _what_is_shaded(yhat: np.ndarray) -> str:
    if yhat.shape[2] > 1:
        return "The colour is the class whose output is largest."
    low, high = (number(float(end)) for end in (yhat.min(), yhat.max()))
    return f"The shade is the output, from {low} to {high}; on the line it is {'1/2' if _middle(yhat) else '0'}."


def _shades(contours: Contours, yhat: np.ndarray) -> list[Markup]:
    """Bands from the colour of one side to that of the other, strongest far from the line between them."""
    low, high = float(yhat.min()), float(yhat.max())
    middle = _middle(yhat)
    reach = max(high - middle, middle - low, 1e-9)
    parts = []
    for k in range(6):
        strength = 0.06 + 0.44 * k / 5
        parts += contours.area(middle + reach * k / 6, middle + reach * (k + 1) / 6 + 1e-9, "region first", strength)
        parts += contours.area(middle - reach * (k + 1) / 6 - 1e-9, middle - reach * k / 6, "region second", strength)
    return [*parts, *contours.line(middle, "edge")]


def _samples(chart: Chart, xs: np.ndarray, ys: np.ndarray, labels: np.ndarray) -> list[Markup]:
    paints = colours(int(labels.max()) + 1) if labels.max() > 0 else ["second"]
    radius = 5.0 if len(xs) <= 60 else 3.4 if len(xs) <= 400 else 2.4
    return [
        element(
            "circle",
            element("title", f"sample {n}, class {labels[n]}: {number(float(xs[n]))}, {number(float(ys[n]))}"),
            cx=float(chart.x(xs[n])), cy=float(chart.y(ys[n])), r=radius, class_=f"sample {paints[labels[n]]}",
        )
        for n in range(min(len(xs), _MOST_SAMPLES))
    ]  # fmt: skip


def _polyline(chart: Chart, xs: np.ndarray, ys: np.ndarray) -> Markup:
    inside = (
        (xs >= chart.x_scale.low) & (xs <= chart.x_scale.high) & (ys >= chart.y_scale.low) & (ys <= chart.y_scale.high)
    )
    path, pen_down = "", False
    for x, y, shown in zip(chart.x(xs), chart.y(ys), inside, strict=True):
        path += f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}" if shown else ""
        pen_down = bool(shown)
    return element("path", d=path or "M0 0", class_="line mesh")


def _squared_paper(X: np.ndarray) -> list[np.ndarray]:
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


def _side_line(chart: Chart, params: Parameters, layer: str, units: tuple[int, int]) -> list[Markup]:
    """Where a single output unit that takes only these two units has z = 0."""
    net = params.net
    output = net[(net.outputs or ("",))[0]]
    only = [c.source for c in output.connections] == [layer] and output.units == 1 and net[layer].units == 2
    if not only or output.connections[0].kind == "identity":
        return []
    c = output.connections[0]
    w = np.asarray(c.matrix(params[output.name].W[layer], 1))[list(units), 0]
    b = params[output.name].b
    xs, ys = _axis(chart.x_scale), _axis(chart.y_scale)
    plane = w[0] * xs[None, :] + w[1] * ys[:, None] + (0.0 if b is None else b[0])
    return Contours(chart, xs, ys, plane).line(0, "edge")


# --- what is given ----------------------------------------------------------------------------------------------------


def _chart(xs: np.ndarray, ys: np.ndarray, x_title: str, y_title: str) -> Chart:
    scales = [linear_scale(_wider(values), tight=True) for values in (xs, ys)]
    return Chart("samples", scales[0], scales[1], x_title, _SIDE + 18, _SIDE - 30, grid="", y_title=y_title)


def _wider(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * _MARGIN or 0.5
    return np.array([low - pad, high + pad])


def _axis(scale: Any) -> np.ndarray:
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


def _pair(given: Any, count: int, name: str) -> tuple[int, int]:
    chosen = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else ()
    if count < 2:
        raise ArgumentError(f"{name}: expected a plane of two, and there is only one here.")
    if (
        len(chosen) != 2
        or chosen[0] == chosen[1]
        or not all(isinstance(k, (int, np.integer)) for k in chosen)
        or not all(0 <= k < count for k in chosen)
    ):
        raise ArgumentError(f"{name}: expected two different numbers from 0 to {count - 1}, got {given!r}.")
    return int(chosen[0]), int(chosen[1])


def _single_output(net: Network, yhat: Any) -> np.ndarray:
    if isinstance(yhat, dict):
        raise ArgumentError(
            f"decision_boundary: the network has several outputs ({', '.join(net.outputs or ())}); "
            "build a network with the one you want to see."
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
    texts = classes is None or all(isinstance(name, str) for name in classes)
    if classes is not None and not (texts and count <= len(classes) <= _MOST_CLASSES):
        raise ArgumentError(
            f"classes: expected {count} to {_MOST_CLASSES} texts, the name of class 0 first, got {list(classes)!r}."
        )
    paints = colours(count) if count > 1 else ["second"]
    names = classes or [f"class {k}" for k in range(count)]
    return tuple((swatch("dot", paint), name) for paint, name in zip(paints, names, strict=False))
