"""The sections on training, layers and columns: each puts pictures, tables and one sentence together."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from clearprop.activations import ReLU
from clearprop.core.network import INPUT
from clearprop.core.objective import Objective
from clearprop.core.trace import predict
from clearprop.draw.charts import (
    Curve,
    activation_histogram,
    importance_bars,
    layers_over_epochs,
    over_epochs,
    ramp,
    saturation_bars,
)
from clearprop.draw.network import draw_network
from clearprop.draw.network_layout import style_of
from clearprop.draw.svg import number, percent, shorten
from clearprop.model.predictions import Predictions, read_output
from clearprop.model.summary import format_setting
from clearprop.report.activity import SATURATED, LayerActivity
from clearprop.report.importance import REPEATS, importance, plan
from clearprop.report.summaries import read_activity, read_gradient, read_importance, read_learning
from clearprop.training.history import History

if TYPE_CHECKING:
    from clearprop.model.model import Model

_METRICS_SHOWN = 8
_HISTOGRAMS_SHOWN = 24
_ROWS_SHOWN = 200
_SPELLED = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}
_NO_METRICS = ("cost", "learning rate", "gradient norm", "seconds")


@dataclass(frozen=True)
class Figure:
    """A picture with its heading, a note on how to read it, and a legend of (sample, words).

    `size` is "half" of the width of the page, "wide" for the whole, or "small" for one of many.
    """

    heading: str
    picture: Markup
    note: str = ""
    size: str = "half"
    legend: tuple[tuple[Markup, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows under column heads; the first `left` columns are text, the others numbers; `more` says what is left out.

    `folded` ones are opened by a click; `size` is "half" or "broad".
    """

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    left: int = 1
    more: str = ""
    folded: bool = False
    size: str = "half"


@dataclass(frozen=True)
class Section:
    """A part of the page: its title, what the numbers say in words, then figures, tables and notes."""

    title: str
    reading: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    note: str = ""


#: Width of the drawing and size of the figure where there are one or three of them; otherwise they are halves.
_SIZES = {1: (960.0, "wide"), 3: (330.0, "third")}


def learning_section(model: Model) -> Section | None:
    """Cost, metrics and rate over the epochs."""
    history = model.history
    if history is None or history.epochs == 0:
        return None
    metrics = dict.fromkeys(name.removeprefix("validation ") for name in history)
    shown = ["cost", *[name for name in metrics if name not in _NO_METRICS][:_METRICS_SHOWN]]
    if "learning rate" in history and len(set(history["learning rate"])) > 1:
        shown.append("learning rate")
    width, size = _SIZES.get(len(shown), (420.0, "half"))
    figures = [_training_figure(model, history, name, width, size) for name in shown]
    return Section("How it learnt", read_learning(history), figures)


def _training_figure(model: Model, history: History, name: str, width: float, size: str) -> Figure:
    if name == "learning rate":
        rate = over_epochs(
            "Learning rate in each epoch",
            [Curve("learning rate", "plain", history["learning rate"])],
            None,
            False,
            width,
        )
        return Figure("Learning rate", rate, "In the last step of each epoch.", size)
    curves = [
        Curve(label, class_, history[column])
        for label, class_, column in (("training", "first", name), ("validation", "second", f"validation {name}"))
        if column in history
    ]
    note = "Training as its steps saw it, validation after the epoch." if name == "cost" else "After each epoch."
    if name in ("rmse", "mae") and model.encoding is not None:
        note = "After each epoch, in standard deviations of the target."
    heading = _SPELLED.get(name, name[:1].upper() + name[1:])
    chart = over_epochs(f"{heading} in each epoch", curves, history.best_epoch, width=width)
    return Figure(heading, chart, note, size)


def gradient_section(model: Model) -> Section | None:
    """Norms of delta and of the gradient of each layer over the epochs."""
    history, counts = model.history, model.net.layout.counts()
    if history is None or not any(history.delta_norms.values()):
        return None
    names = [layer.name for layer in model.net.layers]
    deltas = {name: history.delta_norms[name] for name in names if name in history.delta_norms}
    weighted = {name: history.gradient_norms[name] for name in names if counts[name] and name in history.gradient_norms}
    figures = [
        Figure(
            "Norm of delta by layer",
            layers_over_epochs("Norm of delta of each layer in each epoch", deltas, history.best_epoch),
            "delta = dJ/dz, the sensitivity of the cost to a layer’s weighted sums; last batch of each epoch.",
        ),
        Figure(
            "Norm of the gradient by layer",
            layers_over_epochs("Norm of the gradient of each layer in each epoch", weighted, history.best_epoch),
            "dJ/dW and dJ/db of a layer together; last batch of each epoch.",
        ),
    ]
    reading = read_gradient(deltas, model.net.outputs or ())
    return Section("Does the gradient reach every layer?", reading, figures)


def network_section(model: Model, objective: Objective, predictions: Sequence[Predictions]) -> Section:
    """The drawing of the network."""
    net = model.net
    encoding = model.encoding
    inputs = list(encoding.input_names) if encoding is not None else [f"column {i}" for i in range(net.inputs)]
    outputs = {
        each.output: [each.labels[-1]] if net[each.output].units == 1 else list(each.labels) for each in predictions
    }
    drawing = draw_network(net, model.params, objective.losses, inputs, outputs)
    frozen = net.parameter_count - net.trainable_count
    reading = f"{len(net.layers)} layer{'s' * (len(net.layers) > 1)} with {net.parameter_count:,} parameters"
    reading += f", {frozen:,} of them frozen." if frozen else ", all of them trained." if net.parameter_count else "."
    figure = Figure("From the input to the output", drawing.picture, "", "wide", drawing.legend)
    return Section("The network", reading, [figure])


def activity_section(layers: Sequence[LayerActivity]) -> Section:
    """Saturated activations, dead units, and what each layer puts out."""
    measured = [layer for layer in layers if layer.saturated is not None and layer.slow]
    figures = []
    if measured:
        bars = saturation_bars("Saturated activations and dead units by layer", measured[:_HISTOGRAMS_SHOWN])
        note = (
            f"Saturated: |f′(z)| is below {percent(SATURATED)} of its largest value for z from −3 to 3. "
            "Dead: f′(z) is exactly 0 on every row. An output whose loss gives delta = ŷ − y is left out, "
            "because its saturation slows nothing."
        )
        if any(isinstance(layer.layer.f, ReLU) for layer in measured):
            note += " For relu about half is usual."
        figures.append(Figure("Saturated activations and dead units", bars, note, "wide"))
    figures += _histograms(layers)
    reading = read_activity(measured) if measured else "No layer can saturate in a way that slows learning."
    note = "The small pictures are histograms of the activations of each layer, without dropout."
    if len(layers) > _HISTOGRAMS_SHOWN:
        note += f" The first {_HISTOGRAMS_SHOWN} of {len(layers)} layers are shown."
    return Section("Saturated and dead units", reading, figures, note=note)


def _histograms(layers: Sequence[LayerActivity]) -> list[Figure]:
    """A small picture for each layer; the fewer, the wider."""
    width, size = {1: (420.0, "half"), 2: (420.0, "half"), 3: (330.0, "third")}.get(len(layers), (230.0, "small"))
    figures = []
    for layer, colour in list(zip(layers, ramp(len(layers)), strict=True))[:_HISTOGRAMS_SHOWN]:
        f = layer.layer.f.name
        note = f"{f}; {percent(layer.zeros)} are exactly 0 and not drawn" if layer.zeros else f
        figures.append(Figure(layer.layer.name[:80], activation_histogram(layer, colour, width), note, size))
    return figures


def importance_section(model: Model, objective: Objective, predictions: Sequence[Predictions], seed: int) -> Section:
    """What it costs to shuffle each column."""
    generator = np.random.default_rng(seed)
    columns = input_columns(model)
    chosen = plan(model.net, model.params, objective.X, columns, generator)
    targets = {name: y[chosen.rows] for name, y in objective.targets.items()}
    part = Objective(model.net, objective.losses, objective.X[chosen.rows], targets, None, objective.reduction)
    first, *others = predictions

    def error(X: np.ndarray) -> float:
        if others:
            return replace(part, X=X).cost(model.params)
        yhat = predict(model.net, model.params, X)
        return read_output(model.net, model.encoding, first.output, targets[first.output], yhat, task=first.task).error

    tried = {name: columns[name] for name in chosen.columns}
    found = importance(error, part.X, tried, generator, chosen.left_out)
    unit, scale_by, without = _what_grows(predictions)
    picture = importance_bars("Permutation importance of the columns", found, unit, scale_by)
    note = f"The bar is the mean of {REPEATS} shuffles, the dots are the shuffles, on {found.rows:,} rows."
    if len(found.names) > 20:
        note += f" The first 20 of {len(found.names):,} columns."
    if found.left_out:
        note += f" Not tried, because their weights are smallest: {found.left_out:,} columns."
    reading = read_importance(found, without)
    return Section("Which columns matter", reading, [Figure("Permutation importance", picture, note, "wide")])


def _what_grows(predictions: Sequence[Predictions]) -> tuple[str, float, Callable[[float], str]]:
    """Name of the axis, its factor, and the words for an error that has grown."""
    first = predictions[0]
    if len(predictions) > 1:
        return "increase of the cost", 1.0, lambda grown: f"the cost grows by {number(grown)}"
    if first.task != "regression":
        axis = "accuracy lost, in percentage points"
        return axis, 100.0, lambda grown: f"accuracy falls by {number(100 * grown, 2)} percentage points"
    if len(first.labels) > 1:
        axis = "increase of the RMSE, in standard deviations"
        return axis, 1.0, lambda grown: f"the RMSE grows by {number(grown)} standard deviations"
    axis = shorten(f"increase of the RMSE of {first.target}", 400)
    return axis, 1.0, lambda grown: f"the RMSE grows by {number(grown)}"


def input_columns(model: Model) -> dict[str, slice]:
    """The columns of the table and the inputs of each; every input by itself without a table."""
    if model.encoding is not None:
        return dict(model.encoding.columns)
    return {f"column {i}": slice(i, i + 1) for i in range(model.net.inputs)}


def making_section(model: Model) -> Section:
    """Settings, layers, encoding and versions."""
    tables = []
    if model.settings:
        rows = [(name.replace("_", " "), _setting(value)) for name, value in model.settings.items()]
        tables.append(Table("Settings", ("", ""), rows[:_ROWS_SHOWN], left=2))
    versions = [
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in ("clearprop", "numpy")),
    ]
    tables.append(Table("Versions that made this report", ("", ""), versions, left=2))
    tables.append(_layers_table(model))
    if model.encoding is not None:
        notes = model.encoding.describe()
        rows = [(n.column[:200], n.kind, n.description[:300], f"{n.inputs:,}") for n in notes[:_ROWS_SHOWN]]
        more = f"and {len(notes) - _ROWS_SHOWN:,} more columns" if len(notes) > _ROWS_SHOWN else ""
        head = ("column", "kind", "what was done", "inputs")
        tables.append(Table("Columns of the table", head, rows, 3, more, len(rows) > 24, "broad"))
    reading = model.encoding.task_reason if model.encoding is not None else "Trained on matrices, without a table."
    return Section("How it was made", reading[0].upper() + reading[1:].rstrip(".") + ".", (), tables)


def _setting(value: Any) -> str:
    text = format_setting(value)
    return text if len(text) <= 400 else text[:399] + "…"


def _layers_table(model: Model) -> Table:
    net, counts = model.net, model.net.layout.counts()
    rows = [(INPUT, "", "", f"{net.inputs:,}", "0")]
    for layer in net.layers[:_ROWS_SHOWN]:
        kinds = [c.source + ("" if style_of(c) == "dense" else f" ({style_of(c)})") for c in layer.connections]
        f = layer.f.name + (f", dropout {percent(layer.dropout)}" if layer.dropout else "")
        rows.append((layer.name[:200], f, ", ".join(kinds)[:300], f"{layer.units:,}", f"{counts[layer.name]:,}"))
    more = f"and {len(net.layers) - _ROWS_SHOWN:,} more layers" if len(net.layers) > _ROWS_SHOWN else ""
    return Table(
        "Layers", ("layer", "activation", "from", "units", "parameters"), rows, 3, more, len(rows) > 24, "broad"
    )
