"""The headline of each output, and the sections on how good its answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from clearprop.draw.charts import versus
from clearprop.draw.svg import element, number, percent, shorten
from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.quality_charts import (
    POINTS,
    confusion_chart,
    flag_bars,
    predicted_against_true,
    reliability_counts,
    reliability_curve,
    residual_histogram,
)
from clearprop.report.sections import Figure, Section, Table
from clearprop.report.statistics import (
    ClassScores,
    Reliability,
    brier_score,
    class_scores,
    commonest_row,
    confused_pairs,
    reliability,
    wilson_interval,
)
from clearprop.report.summaries import read_confusion, read_reliability, read_residuals

_CLASSES_DRAWN = 30
_ROWS_SHOWN = 100
_COLUMNS_SHOWN = 4


@dataclass(frozen=True)
class Result:
    """One number in large type, beside what is reached without looking at a row; then smaller ones."""

    target: str
    value: str
    what: str
    comparison: Markup
    details: Sequence[tuple[str, str]]


def results(predictions: Predictions) -> list[Result]:
    """The headline of an output; of several columns of numbers one each."""
    if predictions.has_classes:
        return [_class_result(predictions)]
    if predictions.task == "multilabel":
        return [_flag_result(predictions)]
    columns = range(min(_COLUMNS_SHOWN, len(predictions.labels)))
    return [_number_result(predictions.column(column)) for column in columns]


def _shares(share: float, baseline: float, other: str) -> Markup:
    rows = [
        ("this network", share, percent(share), "first"),
        (shorten(other, 170), baseline, percent(baseline), "idle"),
    ]
    return versus(f"{percent(share)}, against {percent(baseline)} for {other}", rows, 1.0)


def _class_result(predictions: Predictions) -> Result:
    evaluation, y, labels = evaluate(predictions), predictions.y, predictions.labels
    share, baseline = evaluation.metrics["accuracy"], evaluation.baseline["accuracy"]
    low, high = wilson_interval(int((predictions.predicted == y).sum()), len(y))
    details = [("95% interval", f"{percent(low)} to {percent(high)}")]
    details.append(("balanced accuracy", percent(evaluation.metrics["balanced accuracy"])))
    if "ROC AUC" in evaluation.metrics:
        details.append(("ROC AUC", number(evaluation.metrics["ROC AUC"], 4)))
    other = f"always “{shorten(labels[int(np.bincount(y).argmax())], 100)}”"
    return Result(predictions.target, percent(share), "accuracy", _shares(share, baseline, other), details)


def _flag_result(predictions: Predictions) -> Result:
    share = evaluate(predictions).metrics["all right"]
    single = float((predictions.predicted == predictions.y).mean())
    details = [("labels", f"{len(predictions.labels):,}"), ("single labels right", percent(single))]
    chart = _shares(share, commonest_row(predictions.y), "always the most frequent")
    return Result(predictions.target, percent(share), "of the rows have every label right", chart, details)


def _number_result(predictions: Predictions) -> Result:
    evaluation = evaluate(predictions)
    error, baseline = evaluation.metrics["RMSE"], evaluation.baseline["RMSE"]
    rows = [("this network", error, number(error), "first"), ("always the mean", baseline, number(baseline), "idle")]
    chart = versus(f"RMSE {number(error)}, against {number(baseline)} for the mean", rows, max(error, baseline))
    details = [
        ("mean absolute error", number(evaluation.metrics["MAE"])),
        ("R²", number(evaluation.metrics.get("R2", np.nan))),
    ]
    return Result(predictions.target, number(error), "root mean squared error", chart, details)


def quality_sections(predictions: Predictions, several: bool) -> list[Section]:
    """What the output gets right and wrong, and whether its probabilities can be trusted."""
    of = f"{predictions.output[:60]}: " if several else ""
    if predictions.has_classes:
        return [_confusion_section(predictions, of), _class_reliability(predictions, of)]
    if predictions.task == "multilabel":
        return [_flag_section(predictions, of), _flag_reliability(predictions, of)]
    return [_error_section(predictions, of)]


def _titled(of: str, title: str) -> str:
    """A title, after the name of the output where there are several."""
    return of + title[0].lower() + title[1:] if of else title


def _confusion_section(predictions: Predictions, of: str) -> Section:
    matrix, labels = evaluate(predictions).confusion, predictions.labels
    assert matrix is not None
    pairs, figures, tables = confused_pairs(matrix), [], []
    if len(labels) <= _CLASSES_DRAWN:
        note = "Each row is a true class. The deeper the colour, the larger its share of that class."
        figures.append(Figure("Confusion matrix", confusion_chart("Confusion matrix", matrix, labels), note))
    elif pairs:
        rows = [(labels[i][:100], labels[j][:100], f"{m:,}", percent(m / matrix[i].sum())) for i, j, m in pairs]
        tables.append(Table("Most often mixed up", ("true", "answered", "rows", "of the class"), rows, left=2))
    tables.append(_scores_table(class_scores(predictions), labels))
    title = _titled(of, "What it gets right and wrong")
    return Section(title, read_confusion(matrix, labels, pairs), figures, tables)


def _scores_table(scores: ClassScores, labels: Sequence[str]) -> Table:
    order = np.arange(len(labels))
    more = ""
    if len(labels) > _ROWS_SHOWN:
        order = np.argsort(np.where(np.isnan(scores.f1), 2, scores.f1), kind="stable")[:_ROWS_SHOWN]
        more = f"the {_ROWS_SHOWN} classes of lowest F1 out of {len(labels):,}"
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
    head = ("class", "precision", "recall", "F1", "rows")
    return Table("By class", head, rows, more=more, folded=len(labels) > _CLASSES_DRAWN)


def meter(share: float) -> Markup | str:
    """A share as text over a bar of its length."""
    if np.isnan(share):
        return "–"
    bar = element("i", " ", style=f"width: {100 * share:.1f}%")
    return element("span", bar, element("b", percent(share)), class_="meter")


def _flag_section(predictions: Predictions, of: str) -> Section:
    y, labels, predicted = predictions.y, predictions.labels, predictions.predicted
    right = (predicted == y).mean(axis=0)
    worst = int(right.argmin())
    shown = min(len(labels), _CLASSES_DRAWN)
    chart = flag_bars("Right and wrong answers by label", labels[:shown], y, predicted)
    note = (
        "From left to right: true positives, false negatives, false positives, true negatives. "
        "The number is the share of right answers."
    )
    table = replace(_scores_table(class_scores(predictions), labels), heading="By label")
    table = replace(table, head=("label", *table.head[1:-1], "rows with yes"))
    reading = f"Hardest is “{labels[worst][:60]}”, right in {percent(float(right[worst]))} of the rows."
    figure = Figure("Answers by label", chart, note, "wide")
    return Section(_titled(of, "What it gets right and wrong"), reading, [figure], [table])


def _error_section(predictions: Predictions, of: str) -> Section:
    figures, rows = [], []
    several = len(predictions.labels) > 1
    for i, name in enumerate(predictions.labels):
        column = predictions.column(i)
        evaluation = evaluate(column)
        shown = [evaluation.metrics["RMSE"], evaluation.baseline["RMSE"], evaluation.metrics["MAE"]]
        rows.append((name[:100], *map(number, [*shown, evaluation.metrics.get("R2", np.nan)])))
        if i < _COLUMNS_SHOWN:
            figures += _error_figures(column.y[:, 0], column.yhat[:, 0], name[:60], several)
    tables = []
    if several:
        head = ("column", "RMSE", "RMSE of the mean", "MAE", "R²")
        more = f"and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
        tables.append(Table("By column", head, rows[:_ROWS_SHOWN], more=more))
    reading = read_residuals(predictions.y[:, 0], predictions.yhat[:, 0])
    reading = f"{predictions.labels[0][:60]}: {reading}" if several else reading
    return Section(_titled(of, "How far off it is"), reading, figures, tables)


def _error_figures(y: np.ndarray, yhat: np.ndarray, name: str, several: bool) -> list[Figure]:
    title = f": {name}" if several else ""
    histogram, outside = residual_histogram(f"Histogram of predicted minus true {name}", yhat - y)
    further = f" {outside:,} rows lie further out." if outside else ""
    dots = "A dot is a row" if len(y) <= POINTS else "The deeper the colour, the more rows"
    scatter = predicted_against_true(f"Predicted against true {name}", y, yhat)
    return [
        Figure(f"Predicted against true{title}", scatter, f"{dots}; on the dashed line the answer is right."),
        Figure(f"Errors{title}", histogram, f"Right of the dashed line the answer is too high.{further}"),
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
    figures = [
        Figure(
            "Predicted against observed frequency", reliability_curve("Calibration curve", bins, x_axis, y_axis), note
        ),
        Figure("How often each probability is predicted", reliability_counts("Rows by probability", bins, x_axis)),
    ]
    scores = {"expected calibration error": percent(bins.expected_error), **scores}
    listed = " · ".join(f"{name} {value}" for name, value in scores.items())
    title = _titled(of, "Can its probabilities be trusted?")
    return Section(title, read_reliability(bins, label), figures, note=listed)
