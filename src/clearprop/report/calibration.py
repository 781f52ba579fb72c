"""The section on calibration: whether predicted probabilities are the observed frequencies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import binomtest

from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.probability_charts import reliability_counts, reliability_curve
from clearprop.draw.svg import number, percent, shorten
from clearprop.model.evaluation import Evaluation
from clearprop.model.predictions import Predictions
from clearprop.report.section import quoted, section, titled
from clearprop.report.statistics import Reliability, brier_score, reliability, wilson_interval

#: With fewer rows, bins cannot show more than coarse errors.
_FEW = 200


def calibration_section(predictions: Predictions, evaluation: Evaluation, of: str) -> Section:
    """Predicted probabilities against observed frequencies, of the positive class or of the predicted one."""
    y, p, labels = predictions.y, predictions.yhat, list(predictions.labels)
    if predictions.task == "multilabel":
        p, y = p.ravel(), y.ravel()
        scores = {"Brier score": number(float(np.mean((p - y) ** 2)))}
        return _section(of, reliability(y, p), "yes", "probability of yes, all labels", "share that is yes", scores)
    scores = {"Brier score": number(brier_score(y, p)), "log loss": number(evaluation.metrics["log loss"])}
    if len(labels) > 2:
        bins = reliability((predictions.predicted == y).astype(int), p.max(axis=1))
        return _section(of, bins, None, "probability of the predicted class", "share that is right", scores)
    label = shorten(labels[1], 120)
    bins = reliability((y == 1).astype(int), p[:, 1])
    return _section(of, bins, labels[1], f"probability of “{label}”", f"share that is “{label}”", scores)


def _section(
    of: str, bins: Reliability, label: str | None, x_axis: str, y_axis: str, scores: Mapping[str, str]
) -> Section:
    note = (
        "On the dashed line the probabilities are calibrated; the whiskers are 95% intervals, "
        "and larger dots stand for more rows."
    )
    intervals = [wilson_interval(share * n, n) for share, n in zip(bins.observed, bins.rows, strict=True)]
    most = float(bins.edges.max())
    curve = reliability_curve(
        "Calibration curve", bins.predicted, bins.observed, intervals, bins.rows, (x_axis, y_axis), most
    )
    counts = reliability_counts("Rows by probability", bins.edges, bins.rows, x_axis)
    figures = [
        Figure("Predicted against observed frequency", (curve,), note),
        Figure("Distribution of the probabilities", (counts,)),
    ]
    scores = {"expected calibration error": percent(bins.expected_error), **scores}
    listed = " · ".join(f"{name} {value}" for name, value in scores.items())
    return section(titled("Calibration", of), read_calibration(bins, label), figures, listed)


def read_calibration(bins: Reliability, of_class: str | None) -> str:
    """In which bins predicted and observed differ; `of_class` is None for probabilities of the predicted class."""
    rows, off = int(bins.rows.sum()), bins.off
    if not off.any():
        return _read_whole(bins, rows, of_class)
    gap = bins.observed - bins.predicted
    worst = int(np.argmax(np.where(off, bins.rows * np.abs(gap), -1)))
    share = percent(float(bins.rows[off].sum() / rows))
    example = (
        f"where the mean probability is {percent(bins.predicted[worst])}, {percent(bins.observed[worst])} of "
        f"{bins.rows[worst]:,} rows are {'right' if of_class is None else quoted(of_class)}"
    )
    return f"{_direction(gap[off], bins.predicted[off], of_class)} for {share} of the rows: {example}."


def _read_whole(bins: Reliability, rows: int, of_class: str | None) -> str:
    """If no bin is off by itself: whether all together are, or there are too few rows to tell."""
    predicted, observed = (float(np.average(values, weights=bins.rows)) for values in (bins.predicted, bins.observed))
    if binomtest(round(observed * rows), rows, min(1.0, max(0.0, predicted))).pvalue < 0.01:
        what = "of the predictions are right" if of_class is None else f"of the rows are {quoted(of_class)}"
        return (
            "In no single bin do predicted and observed frequency differ beyond chance, but over all rows the mean "
            f"probability is {percent(predicted)}, and {percent(observed)} {what}."
        )
    if rows < _FEW:
        return f"With only {rows:,} rows, predicted and observed frequency differ in no bin beyond chance."
    return "Calibrated: in no bin do predicted and observed frequency differ beyond chance."


def _direction(gap: np.ndarray, predicted: np.ndarray, of_class: str | None) -> str:
    """What the bins that are off have in common."""
    if of_class is None and (gap < 0).all():
        return "Overconfident"
    if of_class is None and (gap > 0).all():
        return "Underconfident"
    if of_class is not None and ((gap < 0).all() or (gap > 0).all()):
        return f"The probability of {quoted(of_class)} is too {'high' if gap[0] < 0 else 'low'}"
    outwards = np.sign(gap) == np.sign(0.5 - predicted)
    if of_class is not None and (outwards.all() or not outwards.any()):
        return f"The probabilities are too {'far from' if outwards.all() else 'close to'} 50%"
    return "Predicted and observed frequency differ"
