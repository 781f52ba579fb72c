"""The sections on the quality of the predictions: what is right and wrong, errors, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from clearprop.draw.document import Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.prediction_charts import (
    POINTS,
    confusion_chart,
    flag_bars,
    predicted_against_true,
    reliability_counts,
    reliability_curve,
    residual_histogram,
)
from clearprop.draw.svg import element, number, percent, shorten
from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.sections import section
from clearprop.report.statistics import (
    ClassScores,
    Reliability,
    brier_score,
    class_scores,
    confused_pairs,
    reliability,
    wilson_interval,
)
from clearprop.report.text import read_confusion, read_reliability, read_residuals

_CLASSES_DRAWN = 30
_ROWS_SHOWN = 100
_COLUMNS_SHOWN = 4


def quality_sections(predictions: Predictions, several: bool) -> list[Section]:
    """The sections on one output; their titles begin with its name if there are several."""
    of = f"{predictions.output[:60]}: " if several else ""
    if predictions.has_classes:
        return [_confusion_section(predictions, of), _class_reliability(predictions, of)]
    if predictions.task == "multilabel":
        return [_flag_section(predictions, of), _flag_reliability(predictions, of)]
    return [_error_section(predictions, of)]


def _titled(of: str, title: str) -> str:
    """The title, after the name of the output if there are several."""
    return of + title[0].lower() + title[1:] if of else title


def _confusion_section(predictions: Predictions, of: str) -> Section:
    matrix, labels = evaluate(predictions).confusion, predictions.labels
    assert matrix is not None
    pairs, items = confused_pairs(matrix), []
    if len(labels) <= _CLASSES_DRAWN:
        note = "Each row is a true class. The stronger the colour, the larger its share of that class."
        items.append(Figure("Confusion matrix", (confusion_chart("Confusion matrix", matrix, labels),), note))
    elif pairs:
        rows = [(labels[i][:100], labels[j][:100], f"{m:,}", percent(m / matrix[i].sum())) for i, j, m in pairs]
        head = ("true", "predicted", "rows", "of the class")
        items.append(Table(head, tuple(rows), "Most often confused", left=2))
    items.append(_scores_table("By class", "class", class_scores(predictions), labels))
    return section(_titled(of, "What it gets right and wrong"), read_confusion(matrix, labels, pairs), items)


def _scores_table(title: str, what: str, scores: ClassScores, labels: Sequence[str]) -> Table:
    order = np.arange(len(labels))
    more = ""
    if len(labels) > _ROWS_SHOWN:
        order = np.argsort(np.where(np.isnan(scores.f1), 2, scores.f1), kind="stable")[:_ROWS_SHOWN]
        more = f"the {_ROWS_SHOWN} with the lowest F1 of {len(labels):,}"
    rows = [
        (
            labels[int(i)][:100],
            meter(scores.precision[i]),
            meter(scores.recall[i]),
            percent(scores.f1[i]),
            f"{scores.rows[i]:,}",
        )
        for i in order
    ]
    head = (what, "precision", "recall", "F1", "rows")
    return Table(head, tuple(rows), title, left=1, note=more, folded=len(labels) > _CLASSES_DRAWN)


def meter(share: float) -> Markup | str:
    """A share as text on a bar of its length."""
    if np.isnan(share):
        return "–"
    bar = element("i", style=f"width: {100 * share:.1f}%")
    return element("span", bar, element("b", percent(share)), class_="meter")


def _flag_section(predictions: Predictions, of: str) -> Section:
    y, labels, predicted = predictions.y, predictions.labels, predictions.predicted
    right = (predicted == y).mean(axis=0)
    worst = int(right.argmin())
    shown = min(len(labels), _CLASSES_DRAWN)
    chart = flag_bars("Right and wrong predictions by label", labels[:shown], y, predicted)
    note = (
        "From left to right: true positives, false negatives, false positives, true negatives. "
        "The number is the share of rows that are right."
    )
    table = _scores_table("By label", "label", class_scores(predictions), labels)
    table = replace(table, head=(*table.head[:-1], "rows with yes"))
    reading = f"The hardest label is “{labels[worst][:60]}”, right in {percent(float(right[worst]))} of the rows."
    figure = Figure("Predictions by label", (chart,), note, size="wide")
    return section(_titled(of, "What it gets right and wrong"), reading, [figure, table])


def _error_section(predictions: Predictions, of: str) -> Section:
    items: list[Figure | Table] = []
    rows = []
    several = len(predictions.labels) > 1
    for i, name in enumerate(predictions.labels):
        column = predictions.column(i)
        evaluation = evaluate(column)
        shown = [evaluation.metrics["RMSE"], evaluation.baseline["RMSE"], evaluation.metrics["MAE"]]
        rows.append((name[:100], *map(number, [*shown, evaluation.metrics.get("R2", np.nan)])))
        if i < _COLUMNS_SHOWN:
            items += _error_figures(column.y[:, 0], column.yhat[:, 0], name[:60], several)
    if several:
        head = ("column", "RMSE", "RMSE of the mean", "MAE", "R²")
        more = f"and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
        items.append(Table(head, tuple(rows[:_ROWS_SHOWN]), "By column", left=1, note=more))
    reading = read_residuals(predictions.y[:, 0], predictions.yhat[:, 0])
    reading = f"{predictions.labels[0][:60]}: {reading}" if several else reading
    return section(_titled(of, "How far off it is"), reading, items)


def _error_figures(y: np.ndarray, yhat: np.ndarray, name: str, several: bool) -> list[Figure]:
    title = f": {name}" if several else ""
    histogram, outside = residual_histogram(f"Histogram of predicted minus true {name}", yhat - y)
    outliers = f" {outside:,} rows are outside this range." if outside else ""
    dots = "A dot is a row" if len(y) <= POINTS else "The stronger the colour, the more rows"
    scatter = predicted_against_true(f"Predicted against true {name}", y, yhat)
    return [
        Figure(f"Predicted against true{title}", (scatter,), f"{dots}; on the dashed line the prediction is right."),
        Figure(f"Errors{title}", (histogram,), f"Right of the dashed line the prediction is too high.{outliers}"),
    ]


def _class_reliability(predictions: Predictions, of: str) -> Section:
    y, p, labels = predictions.y, predictions.yhat, list(predictions.labels)
    scores = {
        "Brier score": number(brier_score(y, p)),
        "log loss": number(evaluate(predictions).metrics["log loss"]),
    }
    if len(labels) > 2:
        bins = reliability((predictions.predicted == y).astype(int), p.max(axis=1))
        return _reliability_section(of, bins, None, "probability of the predicted class", "share that is right", scores)
    label = shorten(labels[1], 120)
    bins = reliability((y == 1).astype(int), p[:, 1])
    return _reliability_section(of, bins, labels[1], f"probability of “{label}”", f"share that is “{label}”", scores)


def _flag_reliability(predictions: Predictions, of: str) -> Section:
    p, y = predictions.yhat.ravel(), predictions.y.ravel()
    scores = {"Brier score": number(float(np.mean((p - y) ** 2)))}
    return _reliability_section(
        of, reliability(y, p), "yes", "probability of yes, all labels", "share that is yes", scores
    )


def _reliability_section(
    of: str, bins: Reliability, label: str | None, x_axis: str, y_axis: str, scores: Mapping[str, str]
) -> Section:
    note = (
        "On the dashed line the probabilities are calibrated; the whiskers are 95% intervals, "
        "and larger dots stand for more rows."
    )
    intervals = [wilson_interval(share * n, n) for share, n in zip(bins.observed, bins.rows, strict=True)]
    curve = reliability_curve(
        "Calibration curve", bins.predicted, bins.observed, intervals, bins.rows, (x_axis, y_axis)
    )
    counts = reliability_counts("Rows by probability", bins.edges, bins.rows, x_axis)
    figures = [
        Figure("Predicted against observed frequency", (curve,), note),
        Figure("Distribution of the probabilities", (counts,)),
    ]
    scores = {"expected calibration error": percent(bins.expected_error), **scores}
    listed = " · ".join(f"{name} {value}" for name, value in scores.items())
    title = _titled(of, "Can its probabilities be trusted?")
    return section(title, read_reliability(bins, label), figures, listed)
