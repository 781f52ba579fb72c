"""The page of the report: a header with the results in large type, and the sections in order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from clearprop.core.objective import Objective, prepare
from clearprop.draw.document import Section, contents, page_html, sections_html
from clearprop.draw.svg import element, number
from clearprop.explain.diagnosis import Diagnosis, diagnose_outputs
from clearprop.model.predictions import Predictions, predictions_of
from clearprop.report.activity import LayerActivity, activity_section, sweep
from clearprop.report.calibration import calibration_section
from clearprop.report.confusion import confusion_section, labels_section
from clearprop.report.effects import effects_section
from clearprop.report.findings import TITLE, badge, findings_section
from clearprop.report.gradients import gradients_section
from clearprop.report.headline import Result, results
from clearprop.report.importance import importance_section, measure
from clearprop.report.learning import learning_section
from clearprop.report.making import making_section, network_section
from clearprop.report.most_wrong import most_wrong_section
from clearprop.report.residuals import residual_sections
from clearprop.report.section import Evaluated
from clearprop.report.threshold import threshold_sections
from clearprop.report.values import input_columns
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
    row_numbers: np.ndarray | None = None,
) -> None:
    """Write the report of a model as one HTML file, in one atomic step.

    X (n, inputs) and y (as the loss takes it; (n,) also for one unit) are the rows to evaluate it on, and
    `evaluated_on` says which rows they are. `diagnosis` is that of these rows, if it is known already; `row_numbers`
    (n,) are their indices in the user's table, 0 to n - 1 by default. Raises ShapeError or DataError for rows that
    cannot be used, ArgumentError for the path.

    >>> import pathlib, tempfile, clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(model, [[0.0], [1.0]], [0.0, 2.0], f"{folder}/report.html", evaluated_on="two rows")
    ...     pathlib.Path(folder, "report.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    page = render_report(
        model, X, y, evaluated_on=evaluated_on, seed=seed, diagnosis=diagnosis, row_numbers=row_numbers
    )
    write_atomically(path, page.encode("utf-8"))


def render_report(
    model: Model,
    X: Any,
    y: Any,
    *,
    evaluated_on: str = "20% of rows held out",
    seed: int = 0,
    diagnosis: Diagnosis | None = None,
    row_numbers: np.ndarray | None = None,
) -> str:
    """The report of a model as the text of an HTML page; the same for the same model, rows and seed.

    >>> import clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> "root mean squared error" in render_report(model, [[0.0], [1.0]], [0.0, 2.0])
    True
    """
    with np.errstate(all="ignore"):  # a network that has diverged has a report too
        return _render(model, _objective(model, X, y), evaluated_on, seed, diagnosis, row_numbers)


def _render(
    model: Model,
    objective: Objective,
    evaluated_on: str,
    seed: int,
    diagnosis: Diagnosis | None,
    row_numbers: np.ndarray | None,
) -> str:
    outputs, layers = sweep(objective, model.params)
    predictions = predictions_of(model.net, model.encoding, outputs)
    numbers = np.arange(outputs.objective.samples) if row_numbers is None else np.asarray(row_numbers)
    if diagnosis is None:
        columns = None if model.encoding is None else model.encoding.input_names
        diagnosis = diagnose_outputs(outputs, model.params, model.history, columns=columns, row_numbers=numbers)
    evaluated = Evaluated(model, outputs.objective, predictions, diagnosis, numbers, seed)
    sections = _sections(evaluated, layers)
    findings = next((f"#section-{i}" for i, each in enumerate(sections, 1) if each.title == TITLE), "")
    lead = f"{_description(model, predictions)} Evaluated on {evaluated_on}. {_stopped(model)}"
    header = Markup("").join([
        element("p", lead, class_="lead"),
        element("p", badge(diagnosis, findings)),
        element("div", *map(_result, _named(results(evaluated))), _pairs(_facts(evaluated), "facts"), class_="results"),
        contents(sections),
    ])  # fmt: skip
    footer = "Made by clearprop. This page holds everything it shows, and needs no network. Scripts only sort and copy "
    footer += "tables, move the threshold, and show values under the pointer."
    return page_html("report", "clearprop report", _title(predictions), header, sections_html(sections), footer)


def _sections(evaluated: Evaluated, layers: Sequence[LayerActivity]) -> list[Section]:
    """All sections, the most useful first; without those on predictions if these are not finite."""
    sections: list[Section | None] = [
        findings_section(evaluated.diagnosis),
        learning_section(evaluated),
        *(_prediction_sections(evaluated) if evaluated.is_finite else []),
        gradients_section(evaluated),
        activity_section(layers, evaluated.model.net) if evaluated.is_finite else None,
        network_section(evaluated),
        making_section(evaluated.model),
    ]
    return [each for each in sections if each is not None]


def _prediction_sections(evaluated: Evaluated) -> list[Section | None]:
    """What is right and wrong, and which columns the predictions depend on."""
    measured = measure(evaluated)
    tried = measured.columns
    main = [] if tried is None else [tried.names[i] for i in tried.order if tried.significant[i]]
    sections: list[Section | None] = []
    for each in evaluated.predictions:
        of = each.output if evaluated.several else ""
        evaluation = evaluated.evaluations[each.output]
        if each.has_classes:
            sections.append(confusion_section(each, evaluation, of))
        elif each.task == "multilabel":
            sections.append(labels_section(each, of))
        else:
            sections += residual_sections(each, of)
        sections += threshold_sections(each, of)
        if each.task != "regression":
            sections.append(calibration_section(each, evaluation, of))
        sections.append(most_wrong_section(evaluated, each, main, of))
    sections.append(importance_section(evaluated, measured))
    sections += [
        effects_section(evaluated, each, main, each.output if evaluated.several else "")
        for each in evaluated.predictions
    ]
    return sections


def _named(found: Sequence[Result]) -> list[Result]:
    """The results, with the names of their targets only if there are several."""
    return list(found) if len(found) > 1 else [replace(result, target="") for result in found]


def _result(result: Result) -> Markup:
    """A card: the number, what it gains over a constant, a warning, the comparison and details."""
    state = {True: "gain", False: "no gain", None: "unknown"}[result.beaten]
    return element(
        "div",
        *([element("p", result.target, class_="target")] if result.target else []),
        element("p", result.value, class_="number"),
        element("p", result.what, class_="what"),
        element("p", f"{result.lift}.", class_=f"lift {state.replace(' ', '-')}"),
        *([element("p", result.warning, class_="caution")] if result.warning else []),
        *([element("div", result.comparison.svg(), class_="scroll")] if result.comparison is not None else []),
        _pairs(result.details, "details"),
        class_="result",
    )


def _pairs(pairs: Sequence[tuple[str, str]], class_: str) -> Markup:
    """Names and values as a list of definitions."""
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *entries, class_=class_)


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
    return prepare(net, model.params, X, y, model.loss).dense()


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


def _facts(evaluated: Evaluated) -> list[tuple[str, str]]:
    model, rows = evaluated.model, evaluated.objective.samples
    hidden = len(model.net.layers) - len(model.net.outputs or ())
    facts = [
        ("rows evaluated", f"{rows:,}"),
        ("hidden layers", f"{hidden:,}"),
        ("parameters", f"{model.net.parameter_count:,}"),
    ]
    if model.history is not None and model.history.epochs:
        facts.append(("epochs", f"{model.history.epochs:,}"))
        if model.history.best_epoch is not None:
            facts.append(("epoch restored", f"{model.history.best_epoch + 1:,}"))
        if "seconds" in model.history:
            facts.append(("seconds in the epochs", number(sum(model.history["seconds"]))))
    return facts


def _stopped(model: Model) -> str:
    history = model.history
    if history is None or not history.epochs:
        return "There is no history of the training."
    stopped = history.stopped or f"finished {history.epochs} epochs"
    best = history.best_epoch
    restored = "" if best is None else f" The parameters of epoch {best + 1:,} were restored."
    return f"Training {stopped}.{restored}"
