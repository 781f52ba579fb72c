"""The page: the sections in order, put into the template; one file without anything outside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jinja2

from clearprop.draw.svg import clean, number
from clearprop.report.activity import sweep
from clearprop.report.look_at import diagnosis_section
from clearprop.report.predictions import Answer, Classes, Flags, answer, input_columns, objective_of, task_of
from clearprop.report.results import quality_sections, results
from clearprop.report.sections import (
    activity_section,
    gradient_section,
    importance_section,
    learning_section,
    making_section,
    network_section,
)
from clearprop.serialization.atomic import write_atomically

if TYPE_CHECKING:
    from clearprop.model.model import Model


def write_report(
    model: Model, X: Any, y: Any, path: str | os.PathLike[str], *, evaluated_on: str, seed: int = 0
) -> None:
    """Write the report of a model as one HTML file, whole or not at all.

    X (n, inputs) and y (as the loss takes it; (n,) also for one unit) are the rows to judge it on, and `evaluated_on`
    says what they are. Raises ShapeError or DataError for rows that cannot be used, ArgumentError for the path.

    >>> import pathlib, tempfile, clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(model, [[0.0], [1.0]], [0.0, 2.0], f"{folder}/report.html", evaluated_on="two rows")
    ...     pathlib.Path(folder, "report.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    page = render_report(model, X, y, evaluated_on=evaluated_on, seed=seed)
    write_atomically(path, page.encode("utf-8"))


def render_report(model: Model, X: Any, y: Any, *, evaluated_on: str = "20% of rows held out", seed: int = 0) -> str:
    """The report of a model as the text of an HTML page; the same for the same model, rows and seed.

    >>> import clearprop as cp
    >>> from clearprop.model.model import Model
    >>> net = cp.Network.sequential(1, 1)
    >>> model = Model(net, net.initialize(), cp.SquaredError())
    >>> "root mean squared error" in render_report(model, [[0.0], [1.0]], [0.0, 2.0])
    True
    """
    objective = objective_of(model, X, y)
    seen = sweep(objective, model.params)
    outputs = tuple(model.net.outputs or ())
    tasks = {name: task_of(model, name, objective.targets[name]) for name in outputs}
    answers = [answer(model, name, tasks[name], objective.targets[name], seen.a[name]) for name in outputs]
    sections = [diagnosis_section(model, objective), learning_section(model)]
    for found in answers:
        sections += quality_sections(found, objective, seen, several=len(outputs) > 1)
    sections += [
        importance_section(model, objective, answers, tasks, seed),
        gradient_section(model),
        activity_section(seen),
        network_section(model, objective, answers),
        making_section(model),
    ]
    return _template().render(
        title=_title(answers),
        told=_told(model, answers),
        results=[result for found in answers for result in results(found)],
        evaluated_on=evaluated_on,
        facts=_facts(model, objective.samples),
        stopped=_stopped(model),
        sections=[section for section in sections if section is not None],
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clearprop.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html.jinja")


def _title(answers: Sequence[Answer]) -> str:
    """What is predicted."""
    names = list(dict.fromkeys(_named(found) for found in answers))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if 1 < len(names) <= 3 else ", ".join(names[:3])
    return f"Predicting {listed}{more}"


def _named(found: Answer) -> str:
    if isinstance(found, Classes) or len(found.labels) == 1:
        return found.target[:80]
    return f"{len(found.labels):,} {'labels' if isinstance(found, Flags) else 'numbers'}"


def _told(model: Model, answers: Sequence[Answer]) -> str:
    """What kind of answer it is, and from what."""
    kinds = []
    for found in answers[:4]:
        many = len(found.labels)
        if isinstance(found, Classes):
            pair = " or ".join(label[:40] for label in found.labels)
            kinds.append(f"either {pair}" if many == 2 else f"one of {many:,} classes")
        elif isinstance(found, Flags):
            kinds.append("yes or no for each label")
        else:
            kinds.append("a number" if many == 1 else "numbers")
    columns = len(input_columns(model))
    told = f"{' and '.join(kinds)}, from {columns:,} column{'s' * (columns > 1)}."
    return told[0].upper() + told[1:]


def _facts(model: Model, rows: int) -> list[tuple[str, str]]:
    hidden = len(model.net.layers) - len(model.net.outputs or ())
    facts = [
        ("rows judged", f"{rows:,}"),
        ("hidden layers", f"{hidden:,}"),
        ("parameters", f"{model.net.parameter_count:,}"),
    ]
    if model.history is not None and model.history.epochs:
        facts.append(("epochs", f"{model.history.epochs:,}"))
        if model.history.best_epoch is not None:
            facts.append(("best epoch, kept", f"{model.history.best_epoch + 1:,}"))
        if "seconds" in model.history:
            facts.append(("seconds of training", number(sum(model.history["seconds"]), 2)))
    return facts


def _stopped(model: Model) -> str:
    history = model.history
    if history is None or not history.epochs:
        return "No history of the training was kept."
    said = history.stopped or f"finished {history.epochs} epochs"
    kept = "" if history.best_epoch is None else f" The parameters of epoch {history.best_epoch + 1:,} were kept."
    return f"Training {said}.{kept}"
