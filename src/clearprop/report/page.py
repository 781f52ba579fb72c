"""The page of the report: a header with the results in large type, and the sections in order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from clearprop.core.objective import Objective, prepare
from clearprop.draw.document import page_html, sections_html
from clearprop.draw.svg import element, number
from clearprop.explain.diagnosis import Diagnosis, diagnose_outputs
from clearprop.model.predictions import Predictions, predictions_of
from clearprop.report.activity import sweep
from clearprop.report.headline import results
from clearprop.report.quality import quality_sections
from clearprop.report.sections import (
    activity_section,
    diagnosis_section,
    gradient_section,
    importance_section,
    input_columns,
    learning_section,
    making_section,
    network_section,
)
from clearprop.serialization.atomic import write_atomically

if TYPE_CHECKING:
    from clearprop.model.model import Model


def write_report(
    model: Model,
    X: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    evaluated_on: str,
    seed: int = 0,
    diagnosis: Diagnosis | None = None,
) -> None:
    """Write the report of a model as one HTML file, in one atomic step.

    X (n, inputs) and y (as the loss takes it; (n,) also for one unit) are the rows to evaluate it on, and
    `evaluated_on` says which rows they are. `diagnosis` is that of these rows, if it is known already. Raises
    ShapeError or DataError for rows that cannot be used, ArgumentError for the path.

    >>> import pathlib, tempfile, clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(model, [[0.0], [1.0]], [0.0, 2.0], f"{folder}/report.html", evaluated_on="two rows")
    ...     pathlib.Path(folder, "report.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    page = render_report(model, X, y, evaluated_on=evaluated_on, seed=seed, diagnosis=diagnosis)
    write_atomically(path, page.encode("utf-8"))


def render_report(
    model: Model,
    X: Any,
    y: Any,
    *,
    evaluated_on: str = "20% of rows held out",
    seed: int = 0,
    diagnosis: Diagnosis | None = None,
) -> str:
    """The report of a model as the text of an HTML page; the same for the same model, rows and seed.

    >>> import clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> "root mean squared error" in render_report(model, [[0.0], [1.0]], [0.0, 2.0])
    True
    """
    outputs, layers = sweep(_objective(model, X, y), model.params)
    predictions = predictions_of(model.net, model.encoding, outputs)
    if diagnosis is None:
        columns = None if model.encoding is None else model.encoding.input_names
        diagnosis = diagnose_outputs(outputs, model.params, model.history, columns=columns)
    sections = [diagnosis_section(diagnosis), learning_section(model)]
    for each in predictions:
        sections += quality_sections(each, several=len(predictions) > 1)
    sections += [
        importance_section(model, outputs.objective, predictions, seed),
        gradient_section(model),
        activity_section(layers, model.net.outputs or ()),
        network_section(model, outputs.objective, predictions),
        making_section(model),
    ]
    shown = [section for section in sections if section is not None]
    lead = f"{_description(model, predictions)} Evaluated on {evaluated_on}. {_stopped(model)}"
    facts = _pairs(_facts(model, outputs.objective.samples), "facts")
    header = Markup("").join([
        element("p", lead, class_="lead"),
        element("div", *_results(predictions), facts, class_="results"),
        _navigation([section.title for section in shown]),
    ])  # fmt: skip
    footer = "Made by clearprop. This page holds everything it shows: it needs no network and no script."
    return page_html("report", "clearprop report", _title(predictions), header, sections_html(shown), footer)


def _results(predictions: Sequence[Predictions]) -> list[Markup]:
    """The results of all outputs, with the names of their targets if there are several."""
    found = [result for each in predictions for result in results(each)]
    return [
        element(
            "div",
            *([element("p", result.target, class_="target")] if len(found) > 1 else []),
            element("p", result.value, class_="number"),
            element("p", result.what, class_="what"),
            element("div", result.comparison.svg(), class_="scroll"),
            _pairs(result.details, "details"),
            class_="result",
        )
        for result in found
    ]


def _pairs(pairs: Sequence[tuple[str, str]], class_: str) -> Markup:
    """Names and values as a list of definitions."""
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *entries, class_=class_)


def _navigation(titles: Sequence[str]) -> Markup:
    links = [element("a", title, href=f"#section-{i}") for i, title in enumerate(titles, 1)]
    return element("nav", *links, aria_label="Sections")


def _objective(model: Model, X: Any, y: Any) -> Objective:
    """The rows of the report, checked. y (n,) counts as a column if the output has one unit."""
    net = model.net

    def column(name: str, values: Any) -> Any:
        array = np.asarray(values)
        return array[:, None] if array.ndim == 1 and net[name].units == 1 else array

    outputs = tuple(net.outputs or ())
    if isinstance(y, Mapping):
        y = {name: column(name, values) if name in outputs else values for name, values in y.items()}
    elif len(outputs) == 1:
        y = column(outputs[0], y)
    return prepare(net, model.params, X, y, model.loss)


def _title(predictions: Sequence[Predictions]) -> str:
    """What is predicted."""
    names = list(dict.fromkeys(_name(each) for each in predictions))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if 1 < len(names) <= 3 else ", ".join(names[:3])
    return f"Predicting {listed}{more}"


def _name(predictions: Predictions) -> str:
    if predictions.has_classes or len(predictions.labels) == 1:
        return predictions.target[:80]
    return f"{len(predictions.labels):,} {'labels' if predictions.task == 'multilabel' else 'numbers'}"


def _description(model: Model, predictions: Sequence[Predictions]) -> str:
    """What kind of answer the network gives, and from how many columns."""
    kinds = []
    for each in predictions[:4]:
        if each.task == "binary":
            kinds.append(f"either {' or '.join(label[:40] for label in each.labels)}")
        elif each.has_classes:
            kinds.append(f"one of {len(each.labels):,} classes")
        elif each.task == "multilabel":
            kinds.append("yes or no for each label")
        else:
            kinds.append("a number" if len(each.labels) == 1 else "numbers")
    columns = len(input_columns(model))
    text = f"{' and '.join(kinds)}, from {columns:,} column{'s' * (columns > 1)}."
    return text[0].upper() + text[1:]


def _facts(model: Model, rows: int) -> list[tuple[str, str]]:
    hidden = len(model.net.layers) - len(model.net.outputs or ())
    facts = [
        ("rows evaluated", f"{rows:,}"),
        ("hidden layers", f"{hidden:,}"),
        ("parameters", f"{model.net.parameter_count:,}"),
    ]
    if model.history is not None and model.history.epochs:
        facts.append(("epochs", f"{model.history.epochs:,}"))
        if model.history.best_epoch is not None:
            facts.append(("best epoch, restored", f"{model.history.best_epoch + 1:,}"))
        if "seconds" in model.history:
            facts.append(("seconds of training", number(sum(model.history["seconds"]), 2)))
    return facts


def _stopped(model: Model) -> str:
    history = model.history
    if history is None or not history.epochs:
        return "There is no history of the training."
    stopped = history.stopped or f"finished {history.epochs} epochs"
    best = history.best_epoch
    restored = "" if best is None else f" The parameters of epoch {best + 1:,} were restored."
    return f"Training {stopped}.{restored}"
