"""The headline of each output, and the sections on how good its answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from clearprop.core.objective import Objective
from clearprop.draw.charts import versus
from clearprop.draw.svg import element, number, percent, shorten
from clearprop.losses import usual_loss
from clearprop.model.evaluation import Evaluation, evaluate_classes, evaluate_flags, evaluate_numbers
from clearprop.report.activity import Sweep
from clearprop.report.predictions import Answer, Classes, Flags, Numbers
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


def results(found: Answer) -> list[Result]:
    """The headline of an output; of several columns of numbers one each."""
    if isinstance(found, Classes):
        return [_class_result(found)]
    if isinstance(found, Flags):
        return [_flag_result(found)]
    return [_number_result(found, column) for column in range(min(_COLUMNS_SHOWN, len(found.labels)))]


def _shares(share: float, baseline: float, other: str) -> Markup:
    rows = [
        ("this network", share, percent(share), "first"),
        (shorten(other, 170), baseline, percent(baseline), "idle"),
    ]
    return versus(f"{percent(share)}, against {percent(baseline)} for {other}", rows, 1.0)


def _class_result(found: Classes) -> Result:
    evaluation = evaluate_classes(found.y, found.p, found.labels)
    share, baseline, n = evaluation.metrics["accuracy"], evaluation.baseline["accuracy"], len(found.y)
    low, high = wilson_interval(round(share * n), n)
    details = [("95% interval", f"{percent(low)} to {percent(high)}")]
    details.append(("balanced accuracy", percent(evaluation.metrics["balanced accuracy"])))
    if "ROC AUC" in evaluation.metrics:
        details.append(("ROC AUC", number(evaluation.metrics["ROC AUC"], 4)))
    other = f"always “{shorten(found.labels[int(np.bincount(found.y).argmax())], 100)}”"
    return Result(found.target, percent(share), "accuracy", _shares(share, baseline, other), details)


def _flag_result(found: Flags) -> Result:
    share = evaluate_flags(found.y, found.p, found.labels).metrics["all right"]
    single = float((found.predicted == found.y).mean())
    details = [("labels", f"{len(found.labels):,}"), ("single labels right", percent(single))]
    chart = _shares(share, commonest_row(found.y), "always the commonest")
    return Result(found.target, percent(share), "of the rows have every label right", chart, details)


def _evaluate_column(found: Numbers, column: int) -> Evaluation:
    return evaluate_numbers(found.y[:, [column]], found.yhat[:, [column]], [found.labels[column]])


def _number_result(found: Numbers, column: int) -> Result:
    evaluation = _evaluate_column(found, column)
    error, baseline = evaluation.metrics["RMSE"], evaluation.baseline["RMSE"]
    rows = [("this network", error, number(error), "first"), ("always the mean", baseline, number(baseline), "idle")]
    chart = versus(f"RMSE {number(error)}, against {number(baseline)} for the mean", rows, max(error, baseline))
    details = [
        ("mean absolute error", number(evaluation.metrics["MAE"])),
        ("R²", number(evaluation.metrics.get("R2", np.nan))),
    ]
    return Result(found.labels[column], number(error), "root mean squared error", chart, details)


def quality_sections(found: Answer, objective: Objective, seen: Sweep, several: bool) -> list[Section]:
    """What the output gets right and wrong, and whether its probabilities can be trusted."""
    of = f"{found.output[:60]}: " if several else ""
    if isinstance(found, Classes):
        return [_confusion_section(found, of), _class_reliability(found, objective, seen, of)]
    if isinstance(found, Flags):
        return [_flag_section(found, of), _flag_reliability(found, of)]
    return [_error_section(found, of)]


def _titled(of: str, title: str) -> str:
    """A title, after the name of the output where there are several."""
    return of + title[0].lower() + title[1:] if of else title


def _confusion_section(found: Classes, of: str) -> Section:
    matrix, labels = evaluate_classes(found.y, found.p, found.labels).confusion, found.labels
    assert matrix is not None
    pairs, figures, tables = confused_pairs(matrix), [], []
    if len(labels) <= _CLASSES_DRAWN:
        note = "Each row is a true class. The deeper the colour, the larger its share of that class."
        figures.append(Figure("Confusion matrix", confusion_chart("Confusion matrix", matrix, labels), note))
    elif pairs:
        rows = [(labels[i][:100], labels[j][:100], f"{m:,}", percent(m / matrix[i].sum())) for i, j, m in pairs]
        tables.append(Table("Most often mixed up", ("true", "answered", "rows", "of the class"), rows, left=2))
    tables.append(_scores_table(matrix, labels))
    title = _titled(of, "What it gets right and wrong")
    return Section(title, read_confusion(matrix, labels, pairs), figures, tables)


def _scores_table(matrix: np.ndarray, labels: Sequence[str]) -> Table:
    scores = class_scores(matrix)
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


def _flag_section(found: Flags, of: str) -> Section:
    right = (found.predicted == found.y).mean(axis=0)
    worst = int(right.argmin())
    shown = min(len(found.labels), _CLASSES_DRAWN)
    chart = flag_bars("Right and wrong answers by label", found.labels[:shown], found.y, found.predicted)
    note = (
        "From left to right: yes and found, yes but missed, no but taken for yes, no and found. "
        "The number is the share right."
    )
    rows = [_flag_row(found, i) for i in range(min(len(found.labels), _ROWS_SHOWN))]
    head = ("label", "precision", "recall", "F1", "rows with yes")
    reading = f"Hardest is “{found.labels[worst][:60]}”, right in {percent(float(right[worst]))} of the rows."
    return Section(
        _titled(of, "What it gets right and wrong"),
        reading,
        [Figure("Answers by label", chart, note, "wide")],
        [Table("By label", head, rows, folded=len(rows) > _CLASSES_DRAWN)],
    )


def _flag_row(found: Flags, label: int) -> Sequence[Markup | str]:
    pairs = 2 * found.y[:, label] + found.predicted[:, label]
    scores = class_scores(np.bincount(pairs, minlength=4).reshape(2, 2))
    return (
        found.labels[label][:100],
        meter(scores.precision[1]),
        meter(scores.recall[1]),
        percent(scores.f1[1]),
        f"{scores.rows[1]:,}",
    )


def _error_section(found: Numbers, of: str) -> Section:
    figures, rows = [], []
    for i, name in enumerate(found.labels):
        evaluation = _evaluate_column(found, i)
        shown = [evaluation.metrics["RMSE"], evaluation.baseline["RMSE"], evaluation.metrics["MAE"]]
        rows.append((name[:100], *map(number, [*shown, evaluation.metrics.get("R2", np.nan)])))
        if i < _COLUMNS_SHOWN:
            figures += _error_figures(found.y[:, i], found.yhat[:, i], name[:60], len(found.labels) > 1)
    tables = []
    if len(rows) > 1:
        head = ("column", "RMSE", "RMSE of the mean", "MAE", "R²")
        more = f"and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
        tables.append(Table("By column", head, rows[:_ROWS_SHOWN], more=more))
    reading = read_residuals(found.y[:, 0], found.yhat[:, 0])
    reading = f"{found.labels[0][:60]}: {reading}" if len(rows) > 1 else reading
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


def _class_reliability(found: Classes, objective: Objective, seen: Sweep, of: str) -> Section:
    f, y = objective.net[found.output].f, objective.targets[found.output]
    # from the weighted sums, because a probability may be rounded to 0
    losses, _ = usual_loss(f).value_and_delta(f, seen.z[found.output], seen.a[found.output], y)
    scores = {
        "Brier score": number(brier_score(found.y, found.p)),
        "log loss": number(float(losses.mean(dtype=np.float64))),
    }
    if len(found.labels) > 2:
        bins = reliability((found.predicted == found.y).astype(int), found.p.max(axis=1))
        return _reliability_section(of, bins, None, "probability of the answered class", "share that is right", scores)
    second = list(found.labels)[1]
    label = shorten(second, 120)
    bins = reliability((found.y == 1).astype(int), found.p[:, 1])
    return _reliability_section(of, bins, second, f"probability of “{label}”", f"share that is “{label}”", scores)


def _flag_reliability(found: Flags, of: str) -> Section:
    p, y = found.p.ravel(), found.y.ravel()
    scores = {"Brier score": number(float(np.mean((p - y) ** 2)))}
    return _reliability_section(
        of, reliability(y, p), "yes", "probability of yes, all labels", "share that is yes", scores
    )


def _reliability_section(
    of: str, bins: Reliability, label: str | None, said: str, true: str, scores: Mapping[str, str]
) -> Section:
    note = (
        "On the dashed line the probabilities keep their word; the whiskers are 95% intervals, "
        "larger dots hold more rows."
    )
    figures = [
        Figure("Said and came true", reliability_curve("Calibration curve", bins, said, true), note),
        Figure("How often each probability is said", reliability_counts("Rows by probability", bins, said)),
    ]
    told = {"expected calibration error": percent(bins.expected_error), **scores}
    listed = " · ".join(f"{name} {value}" for name, value in told.items())
    title = _titled(of, "Can its probabilities be trusted?")
    return Section(title, read_reliability(bins, label), figures, note=listed)
