"""The headline of the report: one result in large type for each output, compared with a constant prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.draw.charts import Bar, bar_rows
from clearprop.draw.svg import Drawing, number, percent, shorten_middle
from clearprop.model.evaluation import Evaluation, evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.section import Evaluated, listed, quoted
from clearprop.report.statistics import accuracy_lift, error_ratio, wilson_interval

#: Of several columns of numbers these many have a result.
COLUMNS_SHOWN = 4
#: A class with more than this share of the rows makes the accuracy say little.
IMBALANCED = 0.8


@dataclass(frozen=True)
class Result:
    """One number in large type, what it gains over a constant prediction, a warning, and details.

    `beaten` tells whether the gain is beyond chance; None if that cannot be told.
    """

    target: str
    value: str
    what: str
    lift: str
    beaten: bool | None
    comparison: Drawing | None
    details: Sequence[tuple[str, str]]
    warning: str = ""


def results(evaluated: Evaluated) -> list[Result]:
    """The headlines of all outputs; of several columns of numbers one each."""
    if not evaluated.is_finite:
        return [_lost_result(each) for each in evaluated.predictions]
    found = []
    for each in evaluated.predictions:
        evaluation = evaluated.evaluations[each.output]
        if each.has_classes:
            found.append(_class_result(each, evaluation))
        elif each.task == "multilabel":
            found.append(_flag_result(each, evaluation))
        else:
            columns = range(min(COLUMNS_SHOWN, len(each.labels)))
            found += [_number_result(each.column(column)) for column in columns]
    return found


def _lost_result(predictions: Predictions) -> Result:
    """The headline of predictions that are NaN or infinite."""
    finite = np.atleast_1d(np.isfinite(predictions.yhat).reshape(len(predictions.y), -1).all(axis=1))
    lost = f"{np.count_nonzero(~finite):,} of {len(finite):,} rows have predictions that are NaN or infinite"
    return Result(predictions.target, "NaN", "no metric can be computed", lost, False, None, ())


def beats_constant(predictions: Predictions) -> bool | None:
    """Whether the predictions are better than a constant beyond chance; None if that cannot be told.

    For several columns of numbers, whether those of any column are.
    """
    if predictions.task != "regression":
        return _accuracy_gain(predictions)[1] > 0
    tops = [_ratio(predictions.column(i))[2] for i in range(len(predictions.labels))]
    return None if all(np.isnan(top) for top in tops) else any(top < 1 for top in tops)


def _compared(
    what: str, value: float, constant: float, other: str, text: Callable[[float], str], whole: float = 1.0
) -> Drawing:
    """Bars of a value and of that of a constant on a scale that ends at `whole`."""
    label = f"{what} {text(value)}, against {text(constant)} for {other}"
    rows = {"this network": (value, "first"), other: (constant, "idle")}
    return bar_rows(label, {name: [Bar(x / (whole or 1.0), text(x), class_)] for name, (x, class_) in rows.items()})


# --- classes and labels ---------------------------------------------------------------------------------------------


def _right_rows(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Which rows the predictions get right, and which the most frequent class or combination of labels, (n,) each."""
    y, predicted = predictions.y, predictions.predicted
    if predictions.has_classes:
        return predicted == y, y == np.bincount(y).argmax()
    _, index, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    return (predicted == y).all(axis=1), index.reshape(-1) == counts.argmax()


def _accuracy_gain(predictions: Predictions) -> tuple[float, float, float]:
    return accuracy_lift(*_right_rows(predictions))


def _read_gain(gain: tuple[float, float, float], other: str) -> tuple[str, bool]:
    """The gain in words, and whether it is beyond chance."""
    lift, low, high = gain
    if low <= 0 <= high:
        interval = f"95% interval {_points(low)} to {_points(high)}"
        return f"No better than {other} beyond chance: {_points(lift)} percentage points ({interval})", False
    way, (near, far) = "better" if lift > 0 else "worse", sorted((abs(low), abs(high)))
    interval = f"95% interval {_points(near)} to {_points(far)}"
    return f"{_points(abs(lift))} percentage points {way} than {other} ({interval})", lift > 0


def _points(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0").replace("-", "−").replace("−0.0", "0")


def _class_result(predictions: Predictions, evaluation: Evaluation) -> Result:
    y, labels, metrics = predictions.y, predictions.labels, evaluation.metrics
    share, constant = metrics["accuracy"], evaluation.baseline["accuracy"]
    low, high = wilson_interval(int((predictions.predicted == y).sum()), len(y))
    details = [("95% interval of the accuracy", f"{percent(low)} to {percent(high)}")]
    details.append(("balanced accuracy", percent(metrics["balanced accuracy"])))
    if "ROC AUC" in metrics:
        details.append(("ROC AUC", number(metrics["ROC AUC"], 4)))
    other = f"always “{shorten_middle(labels[int(np.bincount(y).argmax())], 130)}”"
    lift, beaten = _read_gain(_accuracy_gain(predictions), other)
    chart = _compared("Accuracy", share, constant, other, percent)
    warning = read_imbalance(predictions, metrics["balanced accuracy"])
    return Result(predictions.target, percent(share), "accuracy", lift, beaten, chart, details, warning)


def read_imbalance(predictions: Predictions, balanced: float) -> str:
    """A warning if one class has most rows, or if classes are never predicted; empty otherwise."""
    y, labels = predictions.y, predictions.labels
    counts = np.bincount(y, minlength=len(labels))
    largest, parts = int(counts.argmax()), []
    if counts[largest] > IMBALANCED * len(y):
        parts.append(
            f"Imbalanced: {percent(counts[largest] / len(y))} of the rows are {quoted(labels[largest])}, so a high "
            f"accuracy says little. The balanced accuracy is {percent(balanced)}; a constant gives "
            f"{percent(1 / max(1, np.count_nonzero(counts)))}."
        )
    never = [
        labels[i]
        for i in np.flatnonzero((counts > 0) & (np.bincount(predictions.predicted, minlength=len(labels)) == 0))
    ]
    if never:
        parts.append(f"Never predicted: {listed([quoted(name) for name in never])}.")
    return " ".join(parts)


def _flag_result(predictions: Predictions, evaluation: Evaluation) -> Result:
    share, (_, constant) = evaluation.metrics["all right"], _right_rows(predictions)
    single = float((predictions.predicted == predictions.y).mean())
    details = [("labels", f"{len(predictions.labels):,}"), ("single labels right", percent(single))]
    other = "always the most frequent answers"
    lift, beaten = _read_gain(_accuracy_gain(predictions), other)
    chart = _compared("All labels right", share, float(constant.mean()), "the most frequent", percent)
    what = "of the rows have every label right"
    return Result(predictions.target, percent(share), what, lift, beaten, chart, details)


# --- numbers --------------------------------------------------------------------------------------------------------


def _ratio(predictions: Predictions) -> tuple[float, float, float]:
    y, yhat = predictions.y[:, 0], predictions.yhat[:, 0]
    return error_ratio((yhat - y) ** 2, (y.mean() - y) ** 2)


def _number_result(predictions: Predictions) -> Result:
    evaluation = evaluate(predictions)
    error, constant = evaluation.metrics["RMSE"], evaluation.baseline["RMSE"]
    chart = _compared("RMSE", error, constant, "always the mean", number, max(error, constant))
    details = [
        ("mean absolute error", number(evaluation.metrics["MAE"])),
        ("R²", number(evaluation.metrics.get("R2", np.nan))),
    ]
    lift, beaten = _read_ratio(*_ratio(predictions))
    return Result(predictions.target, number(error), "root mean squared error", lift, beaten, chart, details)


def _read_ratio(ratio: float, low: float, high: float) -> tuple[str, bool | None]:
    """The error relative to that of the mean in words, and whether it is smaller beyond chance."""
    if np.isnan(ratio):
        return "All targets are equal, so the mean has no error to improve on", None
    text = f"{_change(ratio)} than always predicting the mean"
    if np.isnan(low):
        return text, None
    if low <= 1 <= high:
        interval = f"95% interval {_change(low)} to {_change(high)}"
        return f"No better than always predicting the mean, beyond chance ({interval})", False
    near, far = sorted(abs(1 - limit) for limit in (low, high))
    return f"{text} (95% interval {percent(near)} to {percent(far)})", ratio < 1


def _change(ratio: float) -> str:
    return f"{percent(abs(1 - ratio))} {'lower' if ratio <= 1 else 'higher'}"
