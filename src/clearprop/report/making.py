"""The sections on the network and on how the model was made: layers, settings, columns, versions."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from clearprop.core.network import INPUT
from clearprop.draw.document import Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.network import draw_network
from clearprop.draw.network_layout import style_of
from clearprop.draw.svg import clean, number, percent
from clearprop.model.summary import format_setting
from clearprop.report.section import Evaluated, section

if TYPE_CHECKING:
    from clearprop.model.model import Model

_ROWS_SHOWN = 200
#: Settings whose names need more words beside the numbers of the rest of the report; None: the report has its own.
_SETTINGS = {
    "rows_trained_on": "rows for training and validation",
    "epochs": "epochs at most",
    "seconds": "seconds with encoding and evaluation",
    "held_out": None,
    "clearprop": "trained with clearprop",
}


def network_section(evaluated: Evaluated) -> Section:
    """The drawing of the network, and its layers."""
    model = evaluated.model
    net, encoding = model.net, model.encoding
    inputs = list(encoding.input_names) if encoding is not None else [f"column {i}" for i in range(net.inputs)]
    names = {INPUT: inputs} | {
        each.output: [each.labels[-1]] if net[each.output].units == 1 else list(each.labels)
        for each in evaluated.predictions
    }
    drawing = draw_network(net, model.params, evaluated.objective.losses, names)
    frozen = net.parameter_count - net.trainable_count
    reading = f"{len(net.layers)} layer{'s' * (len(net.layers) > 1)} with {net.parameter_count:,} parameters"
    reading += f", {frozen:,} of them frozen." if frozen else ", all of them trained." if net.parameter_count else "."
    figure = Figure("From the input to the output", (drawing,), legend=drawing.legend, size="wide")
    return section("Network", reading, [figure])


def making_section(model: Model) -> Section:
    """Settings, layers, encoding and versions."""
    settings = {_SETTINGS.get(name, name): value for name, value in model.settings.items()}
    settings.pop(None, None)
    rows = [(str(name).replace("_", " "), _setting(value)) for name, value in settings.items()][:_ROWS_SHOWN]
    versions = {"Python": platform.python_version()} | {name: metadata.version(name) for name in ("clearprop", "numpy")}
    rows.append(("report made with", ", ".join(f"{name} {version}" for name, version in versions.items())))
    tables = [Table(("", ""), tuple(rows), "Settings", left=2), _layers_table(model)]
    if model.encoding is not None:
        notes = model.encoding.describe()
        rows = [(n.column[:200], n.kind, n.description[:300], f"{n.inputs:,}") for n in notes[:_ROWS_SHOWN]]
        more = f"and {len(notes) - _ROWS_SHOWN:,} more columns" if len(notes) > _ROWS_SHOWN else ""
        head = ("column", "kind", "encoding", "inputs")
        tables.append(Table(head, tuple(rows), "Columns of the table", 3, more, len(rows) > 24, "broad"))
    reading = model.encoding.task_reason if model.encoding is not None else "Trained on matrices, without a table."
    return section("Settings and encoding", reading[0].upper() + reading[1:].rstrip(".") + ".", tables)


def _setting(value: Any) -> str | Markup:
    """A setting as text, in which lines may break after an opening bracket."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = number(value) if isinstance(value, float) else format_setting(value)
    text = text if len(text) <= 400 else text[:399] + "…"
    return Markup("(<wbr/>").join(escape(clean(part)) for part in text.split("("))


def _layers_table(model: Model) -> Table:
    net, counts = model.net, model.net.layout.counts()
    rows = [(INPUT, "", "", f"{net.inputs:,}", "0")]
    for layer in net.layers[:_ROWS_SHOWN]:
        kinds = [c.source + ("" if style_of(c) == "dense" else f" ({style_of(c)})") for c in layer.connections]
        f = layer.f.name + (f", dropout {percent(layer.dropout)}" if layer.dropout else "")
        rows.append((layer.name[:200], f, ", ".join(kinds)[:300], f"{layer.units:,}", f"{counts[layer.name]:,}"))
    more = f"and {len(net.layers) - _ROWS_SHOWN:,} more layers" if len(net.layers) > _ROWS_SHOWN else ""
    head = ("layer", "activation", "from", "units", "parameters")
    return Table(head, tuple(rows), "Layers", 3, more, len(rows) > 24)
