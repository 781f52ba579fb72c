"""The headline of the report: one result in large type for each output, compared with a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.draw.charts import Bar, bar_rows
from clearprop.draw.svg import Drawing, number, percent, shorten
from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.statistics import commonest_row, wilson_interval

#: Of several columns of numbers these many have a result.
_COLUMNS_SHOWN = 4


@dataclass(frozen=True)
class Result:
    """One number in large type, compared with a baseline that ignores the inputs, and details."""

    target: str
    value: str
    what: str
    comparison: Drawing
    details: Sequence[tuple[str, str]]


def results(predictions: Predictions) -> list[Result]:
    """The headline of an output; of several columns of numbers one each."""
    if predictions.has_classes:
        return [_class_result(predictions)]
    if predictions.task == "multilabel":
        return [_flag_result(predictions)]
    columns = range(min(_COLUMNS_SHOWN, len(predictions.labels)))
    return [_number_result(predictions.column(column)) for column in columns]


def _compared(
    what: str, value: float, baseline: float, other: str, text: Callable[[float], str], whole: float = 1.0
) -> Drawing:
    """Bars of a value and of its baseline on a scale that ends at `whole`."""
    label = f"{what} {text(value)}, against {text(baseline)} for {other}"
    rows = {"this network": (value, "first"), other: (baseline, "idle")}
    return bar_rows(label, {name: [Bar(x / (whole or 1.0), text(x), class_)] for name, (x, class_) in rows.items()})


def _class_result(predictions: Predictions) -> Result:
    evaluation, y, labels = evaluate(predictions), predictions.y, predictions.labels
    share, baseline = evaluation.metrics["accuracy"], evaluation.baseline["accuracy"]
    low, high = wilson_interval(int((predictions.predicted == y).sum()), len(y))
    details = [("95% interval", f"{percent(low)} to {percent(high)}")]
    details.append(("balanced accuracy", percent(evaluation.metrics["balanced accuracy"])))
    if "ROC AUC" in evaluation.metrics:
        details.append(("ROC AUC", number(evaluation.metrics["ROC AUC"], 4)))
    other = f"always “{shorten(labels[int(np.bincount(y).argmax())], 100)}”"
    chart = _compared("Accuracy", share, baseline, other, percent)
    return Result(predictions.target, percent(share), "accuracy", chart, details)


def _flag_result(predictions: Predictions) -> Result:
    share = evaluate(predictions).metrics["all right"]
    single = float((predictions.predicted == predictions.y).mean())
    details = [("labels", f"{len(predictions.labels):,}"), ("single labels right", percent(single))]
    chart = _compared("All labels right", share, commonest_row(predictions.y), "always the most frequent", percent)
    return Result(predictions.target, percent(share), "of the rows have every label right", chart, details)


def _number_result(predictions: Predictions) -> Result:
    evaluation = evaluate(predictions)
    error, baseline = evaluation.metrics["RMSE"], evaluation.baseline["RMSE"]
    chart = _compared("RMSE", error, baseline, "always the mean", number, max(error, baseline))
    details = [
        ("mean absolute error", number(evaluation.metrics["MAE"])),
        ("R²", number(evaluation.metrics.get("R2", np.nan))),
    ]
    return Result(predictions.target, number(error), "root mean squared error", chart, details)
