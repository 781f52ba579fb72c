"""What a notebook shows of each object: one card for each kind, with the drawings and tables of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.draw.document import Prose, Table, items_html
from clearprop.draw.figure import Figure
from clearprop.draw.network import draw_layers, draw_network
from clearprop.draw.style import style_sheet
from clearprop.draw.svg import element, number
from clearprop.views.over_time import history as draw_history

#: The most rows of a table and the most units or numbers that are drawn one by one.
_ROWS, _DRAWN = 12, 40


def html(subject: Any) -> str:
    """The HTML of an object, which no style of the notebook changes and which changes nothing outside itself.

    >>> import clearprop as cp
    >>> html(cp.Network.sequential(2, 3, 1))[:32]
    '<div class="clearprop notebook">'
    """
    for kind in type(subject).__mro__:
        if kind.__name__ in WRITERS:
            return str(WRITERS[kind.__name__](subject))
    raise TypeError(f"no notebook display for {type(subject).__name__}")


def _card(kind: str, lead: str, items: Sequence[Any] = ()) -> Markup:
    style = element("style", Markup(f"\n{style_sheet('notebook', 'equations')}\n"))
    head = [element("p", kind, class_="kicker"), element("p", lead, class_="lead")]
    return element("div", style, *head, *items_html(items), class_="clearprop notebook")


def _shortened(rows: Iterable[tuple[Any, ...]], count: int, what: str) -> dict[str, Any]:
    """The first rows of a table, and a note on the others."""
    shown = tuple(row for _, row in zip(range(_ROWS), rows, strict=False))
    return {"rows": shown, "note": "" if count <= _ROWS else f"The first {_ROWS} of {count:,} {what}."}


# --- networks and their numbers --------------------------------------------------------------------------------------


def _layer_table(net: Network) -> Table:
    counts = net.layout.counts()
    rows = (
        (
            layer.name,
            layer.f.name,
            ", ".join(c.source for c in layer.connections),
            f"{layer.units:,}",
            f"{counts[layer.name]:,}",
        )
        for layer in net.layers
    )
    head = ("layer", "activation", "sources", "units", "parameters")
    return Table(head, **_shortened(rows, len(net.layers), "layers"), left=3)


def _network(net: Network) -> Markup:
    lead = f"{net.inputs:,} inputs, {len(net.layers)} layers, {net.parameter_count:,} parameters"
    figure = Figure("", (draw_layers(net, {}),))
    return _card("Network", lead, [figure, _layer_table(net)])


def _parameters(params: Parameters) -> Markup:
    blocks = params.net.layout.blocks
    rows = (
        (
            block.layer,
            "b" if block.source is None else f"W from {block.source}",
            " x ".join(map(str, block.shape)),
            *_summary(params.view(block)),
        )
        for block in blocks
    )
    head = ("layer", "array", "shape", "mean", "standard deviation", "least", "largest")
    items: list[Any] = [Table(head, **_shortened(rows, len(blocks), "arrays"), left=3)]
    if params.flat.size <= _DRAWN:
        items.insert(0, Figure("", (draw_network(params.net, params, {}, {}),)))
    return _card("Parameters", f"{params.flat.size:,} numbers in {params.dtype}", items)


def _summary(values: np.ndarray) -> tuple[str, ...]:
    if not values.size:
        return ("", "", "", "")
    with np.errstate(all="ignore"):
        statistics = values.mean(), values.std(), values.min(), values.max()
    return tuple(number(float(v), 4) for v in statistics)


def _trace(trace: Any) -> Markup:
    from clearprop.views.network import network

    n, net = trace.objective.samples, trace.objective.net
    losses = ", ".join(dict.fromkeys(loss.name for loss in trace.objective.losses.values()))
    lead = f"cost J = {number(trace.cost, 6)} ({losses}, {trace.objective.reduction} over {n:,} rows)"
    rows = (
        (layer, *(f"{number(float(v.min()), 4)} to {number(float(v.max()), 4)}" for v in (t.z, t.a, t.error, t.delta)))
        for layer, t in trace.layers.items()
    )
    head = ("layer", "weighted sum z", "activation a", "error signal dJ/da", "delta dJ/dz")
    items: list[Any] = [Table(head, **_shortened(rows, len(trace.layers), "layers"), left=1)]
    if net.inputs + sum(layer.units for layer in net.layers) <= _DRAWN:
        items.insert(0, network(trace))
    return _card("Trace", lead, items)


def _history(history: Any) -> Markup:
    if not history.epochs:
        return _card("History", "no epoch yet")
    head = ("", "first epoch", "last epoch")
    rows = tuple((name, number(column[0], 5), number(column[-1], 5)) for name, column in history.items())
    best = "" if history.best_epoch is None else f"; the parameters are those of epoch {history.best_epoch + 1}"
    lead = f"{history.stopped or f'stopped after {history.epochs:,} epochs'}{best}"
    return _card("History", lead, [_curves(history), Table(head, rows, left=1)])


def _curves(history: Any) -> Markup:
    figures = [Figure(panel.title, (panel,)) for panel in draw_history(history).panels]
    return element("div", *items_html(figures), class_="figures")


# --- explanations ----------------------------------------------------------------------------------------------------


def _derivation(derivation: Any) -> Markup:
    return _card("Derivation", derivation.title, [Markup(derivation.html())])


def _solution(solution: Any) -> Markup:
    lead = f"the cost goes from {solution.trace.cost:.6g} to {solution.cost_after:.6g}"
    return _card("Worked solution", f"{solution.title}: {lead}", [Markup(solution.fragment())])


def _check(check: Any) -> Markup:
    lead, *_ = str(check).splitlines()
    rows = (
        (
            block.label,
            "agrees" if check.passes(block) else "differs",
            f"{block.error:.2g}",
            number(block.backpropagated, 6),
            number(block.difference, 6),
        )
        for block in check.blocks
    )
    head = ("array", "verdict", "relative error", "gradient", "numerically")
    mistakes = [Prose((str(mistake),)) for mistake in check.mistakes]
    notes = [Prose((note,), "note") for note in check.notes]
    return _card(
        "Gradient check", lead, [Table(head, **_shortened(rows, len(check.blocks), "arrays")), *mistakes, *notes]
    )


def _diagnosis(diagnosis: Any) -> Markup:
    if diagnosis.ok:
        return _card("Diagnosis", "Nothing looks wrong.", [Prose((str(diagnosis),), "note")])
    count = len(diagnosis)
    rows = tuple((finding.severity, finding.name, finding.words, finding.advice) for finding in diagnosis)
    lead = f"{count} finding{'s' if count > 1 else ''}"
    return _card("Diagnosis", lead, [Table(("severity", "finding", "what was measured", "what to try"), rows, left=9)])


# --- models and what they predict ------------------------------------------------------------------------------------


def _evaluation(evaluation: Any) -> Markup:
    from clearprop.model.evaluation import readable

    rows = tuple(
        (name, readable(value), readable(evaluation.baseline[name]) if name in evaluation.baseline else "")
        for name, value in evaluation.metrics.items()
    )
    items: list[Any] = [Table(("metric", "model", "constant"), rows, left=1)]
    if evaluation.confusion is not None and len(evaluation.labels) <= _ROWS:
        counts = tuple(
            (label, *map(int, row)) for label, row in zip(evaluation.labels, evaluation.confusion, strict=True)
        )
        items.append(Table(("true class", *evaluation.labels), counts, "Confusion matrix", left=1))
    return _card("Evaluation", f"{evaluation.rows:,} rows, {evaluation.task}", items)


def _predictions(predictions: Any) -> Markup:
    n = len(predictions.y)
    y, predicted = predictions.y, predictions.predicted
    if predictions.has_classes:
        names = predictions.labels
        rows = (
            (i, names[int(y[i])], names[int(predicted[i])], f"{float(predictions.yhat[i].max()):.3f}") for i in range(n)
        )
        head: tuple[str, ...] = ("row", "true", "predicted", "probability")
    else:
        rows = ((i, *(number(float(v), 5) for v in (*y[i], *predicted[i]))) for i in range(n))
        head = (
            "row",
            *(f"true {name}" for name in predictions.labels),
            *(f"predicted {name}" for name in predictions.labels),
        )
    return _card(
        "Predictions",
        f"{predictions.target}: {n:,} rows, {predictions.task}",
        [Table(head, **_shortened(rows, n, "rows"))],
    )


def _model(model: Any) -> Markup:
    items: list[Any] = []
    lead = f"{model.net.parameter_count:,} parameters"
    if model.encoding is not None:
        encoding = model.encoding
        lead = f"predicts {', '.join(encoding.target_names)}: {encoding.task_reason}"
        notes = encoding.describe()
        rows = ((n.column, n.kind, n.inputs, n.description) for n in notes)
        items.append(
            Table(
                ("column", "kind", "inputs", "encoding"),
                **_shortened(rows, len(notes), "columns"),
                folded=True,
                title="Columns",
            )
        )
    items.append(Figure("", (draw_layers(model.net, {}),)))
    if model.history is not None and model.history.epochs:
        items.append(_curves(model.history))
    metrics = model.settings.get("held_out", {})
    if metrics:
        rows = tuple((name, number(float(value), 4)) for name, value in metrics.items())
        items.append(Table(("metric", "held-out rows"), rows, left=1))
    return _card("Model", lead, items)


#: The function that writes each class, by its name, so that no class is loaded before it is shown.
WRITERS: dict[str, Callable[[Any], Markup]] = {
    "Network": _network,
    "Parameters": _parameters,
    "Trace": _trace,
    "History": _history,
    "Derivation": _derivation,
    "WorkedSolution": _solution,
    "GradientCheck": _check,
    "Diagnosis": _diagnosis,
    "Evaluation": _evaluation,
    "Predictions": _predictions,
    "Model": _model,
}
