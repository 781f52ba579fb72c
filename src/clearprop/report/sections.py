"""The sections on findings, training, layers, columns and settings: a sentence with figures and tables each."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from clearprop.activations import ReLU
from clearprop.core.network import INPUT
from clearprop.core.objective import Objective
from clearprop.core.trace import predict
from clearprop.draw.charts import Bar, Curve, bar_rows, layers_over_epochs, over_epochs, repeated_bars, small_histogram
from clearprop.draw.document import Prose, Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.network import draw_network
from clearprop.draw.network_layout import style_of
from clearprop.draw.style import layer_classes
from clearprop.draw.svg import Drawing, number, percent, shorten
from clearprop.explain.diagnosis import Diagnosis
from clearprop.model.predictions import Predictions, read_output
from clearprop.model.summary import format_setting
from clearprop.report.activity import SATURATED, LayerActivity
from clearprop.report.importance import REPEATS, importance, plan
from clearprop.report.text import read_activity, read_gradient, read_importance, read_learning
from clearprop.training.history import History

if TYPE_CHECKING:
    from clearprop.model.model import Model

_METRICS_SHOWN = 8
_HISTOGRAMS_SHOWN = 24
_ROWS_SHOWN = 200
_COLUMNS_DRAWN = 20
_SPELLED = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}
_NO_METRICS = ("cost", "learning rate", "gradient norm", "seconds")


def section(title: str, reading: str, items: Sequence[Figure | Table], note: str = "") -> Section:
    """A section: what its numbers mean, in words, a note, then figures and tables."""
    notes = [Prose((note,), "note")] if note else []
    return Section(title, (Prose((reading,), "reading"), *notes, *items))


def diagnosis_section(diagnosis: Diagnosis) -> Section | None:
    """The findings of a diagnosis; None without any."""
    if diagnosis.ok:
        return None
    rows = tuple((finding.severity, finding.name, finding.words, finding.advice) for finding in diagnosis)
    problems = f"{len(rows)} possible problem{'s' * (len(rows) > 1)}"
    reading = f"The diagnosis found {problems} in the network or its training: {', '.join(diagnosis.names)}."
    head = ("severity", "finding", "evidence", "what to try")
    return section("What to look at", reading, [Table(head, rows, "Findings", left=4, size="broad")])


#: The width of the drawing and the size of the figure if there are one or three; otherwise they are halves.
_SIZES = {1: (960.0, "wide"), 3: (330.0, "third")}


def learning_section(model: Model) -> Section | None:
    """Cost, metrics and learning rate over the epochs."""
    history = model.history
    if history is None or history.epochs == 0:
        return None
    metrics = dict.fromkeys(name.removeprefix("validation ") for name in history)
    shown = ["cost", *[name for name in metrics if name not in _NO_METRICS][:_METRICS_SHOWN]]
    if "learning rate" in history and len(set(history["learning rate"])) > 1:
        shown.append("learning rate")
    width, size = _SIZES.get(len(shown), (420.0, "half"))
    figures = [_training_figure(model, history, name, width, size) for name in shown]
    return section("How it learnt", read_learning(history), figures)


def _training_figure(model: Model, history: History, name: str, width: float, size: str) -> Figure:
    if name == "learning rate":
        curve = Curve("learning rate", "plain", history["learning rate"])
        chart = over_epochs("Learning rate in each epoch", [curve], log=False, width=width)
        return Figure("Learning rate", (chart,), "In the last step of each epoch.", size=size)
    curves = [
        Curve(label, class_, history[column])
        for label, class_, column in (("training", "first", name), ("validation", "second", f"validation {name}"))
        if column in history
    ]
    note = "Training: mean of the steps. Validation: after the epoch." if name == "cost" else "After each epoch."
    if name in ("rmse", "mae") and model.encoding is not None:
        note = "After each epoch, in standard deviations of the target."
    heading = _SPELLED.get(name, name[:1].upper() + name[1:])
    chart = over_epochs(f"{heading} in each epoch", curves, history.best_epoch, width=width)
    return Figure(heading, (chart,), note, size=size)


def gradient_section(model: Model) -> Section | None:
    """Norms of delta and of the gradient of each layer over the epochs."""
    history, counts = model.history, model.net.layout.counts()
    if history is None or not any(history.delta_norms.values()):
        return None
    outputs = model.net.outputs or ()
    hidden = [layer.name for layer in model.net.layers if layer.name not in outputs]
    classes = dict(zip([*hidden, *outputs], layer_classes(len(hidden), len(outputs)), strict=True))
    names = [layer.name for layer in model.net.layers]
    deltas = {name: history.delta_norms[name] for name in names if name in history.delta_norms}
    norms = {name: history.gradient_norms[name] for name in names if counts[name] and name in history.gradient_norms}

    def chart(what: str, series: Mapping[str, Sequence[float]]) -> Drawing:
        curves = [Curve(name, classes[name], values) for name, values in series.items()]
        return layers_over_epochs(f"Norm of {what} of each layer in each epoch", curves, history.best_epoch)

    note = "delta = dJ/dz, the sensitivity of the cost to the weighted sums of a layer; last batch of each epoch."
    figures = [
        Figure("Norm of delta by layer", (chart("delta", deltas),), note),
        Figure(
            "Norm of the gradient by layer",
            (chart("the gradient", norms),),
            "dJ/dW and dJ/db of a layer together; last batch of each epoch.",
        ),
    ]
    return section("Does the gradient reach every layer?", read_gradient(deltas, outputs), figures)


def network_section(model: Model, objective: Objective, predictions: Sequence[Predictions]) -> Section:
    """The drawing of the network."""
    net = model.net
    encoding = model.encoding
    inputs = list(encoding.input_names) if encoding is not None else [f"column {i}" for i in range(net.inputs)]
    names = {INPUT: inputs} | {
        each.output: [each.labels[-1]] if net[each.output].units == 1 else list(each.labels) for each in predictions
    }
    drawing = draw_network(net, model.params, objective.losses, names)
    frozen = net.parameter_count - net.trainable_count
    reading = f"{len(net.layers)} layer{'s' * (len(net.layers) > 1)} with {net.parameter_count:,} parameters"
    reading += f", {frozen:,} of them frozen." if frozen else ", all of them trained." if net.parameter_count else "."
    figure = Figure("From the input to the output", (drawing,), legend=drawing.legend, size="wide")
    return section("The network", reading, [figure])


def activity_section(layers: Sequence[LayerActivity], outputs: Sequence[str]) -> Section:
    """Saturated activations, dead units, and the distribution of the activations of each layer."""
    measured = [layer for layer in layers if layer.saturated is not None and layer.slow]
    figures = []
    if measured:
        rows = {
            layer.layer.name: (
                Bar(layer.saturated or 0.0, f"{percent(layer.saturated or 0)} saturated", "first"),
                Bar((layer.dead or 0) / layer.layer.units, f"{layer.dead:,} of {layer.layer.units:,} dead", "second"),
            )
            for layer in measured[:_HISTOGRAMS_SHOWN]
        }
        chart = bar_rows("Saturated activations and dead units by layer", rows, width=960, thick=13)
        note = (
            f"Saturated: |f′(z)| is below {percent(SATURATED)} of its largest value for z from −3 to 3. "
            "Dead: f′(z) is exactly 0 on every row. An output whose loss has delta = ŷ − y is left out, because its "
            "saturation does not slow learning."
        )
        if any(isinstance(layer.layer.f, ReLU) for layer in measured):
            note += " For relu, about half is normal."
        figures.append(Figure("Saturated activations and dead units", (chart,), note, size="wide"))
    figures += _histograms(layers, outputs)
    reading = read_activity(measured) if measured else "No layer can saturate in a way that slows learning."
    note = "The small charts are histograms of the activations of each layer, without dropout."
    if len(layers) > _HISTOGRAMS_SHOWN:
        note += f" The first {_HISTOGRAMS_SHOWN} of {len(layers)} layers are shown."
    return section("Saturated and dead units", reading, figures, note)


def _histograms(layers: Sequence[LayerActivity], outputs: Sequence[str]) -> list[Figure]:
    """A small chart for each layer; the fewer, the wider."""
    width, size = {1: (420.0, "half"), 2: (420.0, "half"), 3: (330.0, "third")}.get(len(layers), (230.0, "small"))
    hidden = iter(layer_classes(len(layers) - len(outputs), 0))
    figures = []
    for layer in layers[:_HISTOGRAMS_SHOWN]:
        name, f = layer.layer.name, layer.layer.f.name
        class_ = "output" if name in outputs else next(hidden)
        note = f"{f}; {percent(layer.zeros)} are exactly 0 and not drawn" if layer.zeros else f
        chart = small_histogram(f"Histogram of the activations of {name}", layer.edges, layer.counts, class_, width)
        figures.append(Figure(name[:80], (chart,), note, size=size))
    return figures


def importance_section(model: Model, objective: Objective, predictions: Sequence[Predictions], seed: int) -> Section:
    """How much the error grows when each column is shuffled."""
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

    shuffled = {name: columns[name] for name in chosen.columns}
    found = importance(error, part.X, shuffled, generator, chosen.left_out)
    unit, scale_by, without = _what_grows(predictions)
    order = found.order[:_COLUMNS_DRAWN]
    names = [found.names[i] for i in order]
    chart = repeated_bars("Permutation importance of the columns", names, found.growth[order] * scale_by, unit)
    note = f"The bar is the mean of {REPEATS} shuffles, the dots are the shuffles, on {found.rows:,} rows."
    if len(found.names) > _COLUMNS_DRAWN:
        note += f" The first {_COLUMNS_DRAWN} of {len(found.names):,} columns."
    if found.left_out:
        note += f" Left out, because their weights are smallest: {found.left_out:,} columns."
    figure = Figure("Permutation importance", (chart,), note, size="wide")
    return section("Which columns matter", read_importance(found, without), [figure])


def _what_grows(predictions: Sequence[Predictions]) -> tuple[str, float, Callable[[float], str]]:
    """The name of the axis, its factor, and the words for an error that has grown."""
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
        tables.append(Table(("", ""), tuple(rows[:_ROWS_SHOWN]), "Settings", left=2))
    versions = [
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in ("clearprop", "numpy")),
    ]
    tables.append(Table(("", ""), tuple(versions), "Versions that made this report", left=2))
    tables.append(_layers_table(model))
    if model.encoding is not None:
        notes = model.encoding.describe()
        rows = [(n.column[:200], n.kind, n.description[:300], f"{n.inputs:,}") for n in notes[:_ROWS_SHOWN]]
        more = f"and {len(notes) - _ROWS_SHOWN:,} more columns" if len(notes) > _ROWS_SHOWN else ""
        head = ("column", "kind", "encoding", "inputs")
        tables.append(Table(head, tuple(rows), "Columns of the table", 3, more, len(rows) > 24, "broad"))
    reading = model.encoding.task_reason if model.encoding is not None else "Trained on matrices, without a table."
    return section("How it was made", reading[0].upper() + reading[1:].rstrip(".") + ".", tables)


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
    head = ("layer", "activation", "from", "units", "parameters")
    return Table(head, tuple(rows), "Layers", 3, more, len(rows) > 24, "broad")
