"""The section on residuals (predicted - true) of numbers: their size, their bias, and intervals."""

from __future__ import annotations

import numpy as np

from clearprop.draw.document import Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.regression_charts import (
    POINTS,
    predicted_against_true,
    residual_histogram,
    residuals_against_predicted,
)
from clearprop.draw.svg import number, percent
from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.headline import COLUMNS_SHOWN
from clearprop.report.section import section, titled

_ROWS_SHOWN = 100
#: A bin of predictions has at least these many rows.
_BIN_ROWS = 20
#: If 1% of the rows make more than this share of the squared error, they are reported.
_DOMINANT = 0.4


def residual_sections(predictions: Predictions, of: str) -> list[Section]:
    """The section on one column of numbers, or on several."""
    several, items, readings, rows = len(predictions.labels) > 1, [], [], []
    for i, name in enumerate(predictions.labels):
        column = predictions.column(i)
        evaluation = evaluate(column)
        shown = [evaluation.metrics["RMSE"], evaluation.baseline["RMSE"], evaluation.metrics["MAE"]]
        rows.append((name[:100], *map(number, [*shown, evaluation.metrics.get("R2", np.nan)])))
        if i < COLUMNS_SHOWN and np.isfinite(column.yhat).all():
            y, yhat = column.y[:, 0], column.yhat[:, 0]
            items += _column(y, yhat, name[:60] if several else "")
            readings.append(f"{name[:60]}: {read_residuals(y, yhat)}" if several else read_residuals(y, yhat))
    if several:
        head = ("column", "RMSE", "RMSE of the mean", "MAE", "R²")
        more = f"and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
        items.append(Table(head, tuple(rows[:_ROWS_SHOWN]), "By column", left=1, note=more))
    reading = readings[0] if readings else "The predictions are not finite."
    return [section(titled("Residuals", of), reading, items, " ".join(readings[1:]))]


def _column(y: np.ndarray, yhat: np.ndarray, of: str) -> list[Figure | Table]:
    residual = yhat - y
    bands = residual_bands(yhat, residual)
    true, edge = predicted_against_true(f"Predicted against true {of}".rstrip(), y, yhat)
    over, edge_over = residuals_against_predicted(f"Residuals against predicted {of}".rstrip(), yhat, residual, bands)
    histogram, outside = residual_histogram("Histogram of the residuals", residual)
    dots = "A dot is a row" if len(y) <= POINTS else "The stronger the colour, the more rows"
    figures = [
        Figure(titled("Predicted against true", of), (true,), f"{dots}. Dashed: right.{_at_edge(edge)}", size="third"),
        Figure(titled("Residuals against predicted", of), (over,),
               f"Lines: median, and 5% and 95% of the errors at each size.{_at_edge(edge_over)}", size="third"),
        Figure(titled("Distribution of the residuals", of), (histogram,),
               "Right of the dashed line the prediction is too high."
               + (f" {outside:,} rows are outside this range." if outside else ""), size="third"),
    ]  # fmt: skip
    return [*figures, *([_intervals(yhat, residual, of)] if len(y) >= 3 * _BIN_ROWS else [])]


def _at_edge(count: int) -> str:
    return f" {count:,} row{'s are' if count > 1 else ' is'} beyond the axes and drawn at the edge." if count else ""


def prediction_bins(yhat: np.ndarray, most: int = 10) -> list[np.ndarray]:
    """Rows in up to `most` groups of equal size, by the size of the prediction; one group if all are equal.

    >>> [rows.tolist() for rows in prediction_bins(np.r_[np.zeros(20), np.ones(20)], most=2)] == [
    ...     list(range(20)),
    ...     list(range(20, 40)),
    ... ]
    True
    """
    order = np.argsort(yhat, kind="stable")
    count = max(1, min(most, len(yhat) // _BIN_ROWS))
    return np.array_split(order, 1 if np.ptp(yhat) == 0 else count)


def residual_bands(yhat: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """The mean prediction and the 5%, 50% and 95% quantiles of the residuals of each bin, (bins, 4)."""
    return np.array(
        [[yhat[rows].mean(), *np.quantile(residual[rows], [0.05, 0.5, 0.95])] for rows in prediction_bins(yhat)]
    )


def _intervals(yhat: np.ndarray, residual: np.ndarray, of: str) -> Table:
    """Where the true value lies in 90% of the rows, by the size of the prediction."""
    rows = []
    for bin_rows in prediction_bins(yhat, most=5):
        low, high = np.quantile(-residual[bin_rows], [0.05, 0.95])
        rows.append((
            f"{number(float(yhat[bin_rows].min()))} to {number(float(yhat[bin_rows].max()))}",
            f"{len(bin_rows):,}",
            number(float(residual[bin_rows].mean())),
            f"{_signed(low)} to {_signed(high)}",
        ))  # fmt: skip
    head = ("predicted", "rows", "mean error", "true − predicted, middle 90%")
    return Table(head, tuple(rows), titled("Intervals by size of the prediction", of), left=1, size="broad")


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(float(value))


def read_residuals(y: np.ndarray, yhat: np.ndarray) -> str:
    """How large the errors are, and whether the predictions are biased beyond chance, overall or at some sizes."""
    residual = yhat - y
    if len(residual) < 2:
        return f"The error of the one row is {number(float(abs(residual[0])))}."
    half, most = np.quantile(np.abs(residual), [0.5, 0.95])
    sizes = f"Half of the errors are below {number(half)}, 95% are below {number(most)}."
    return f"{sizes} {_read_bias(yhat, residual)}{_read_dominant(residual)}"


def _read_bias(yhat: np.ndarray, residual: np.ndarray) -> str:
    """The mean error, overall and in each bin of predictions, if it is beyond chance."""
    mean, z = _mean_and_z(residual)
    bins = prediction_bins(yhat)
    means, zs = np.array([_mean_and_z(residual[rows]) for rows in bins]).T
    off = np.abs(zs) > 3  # of ten bins, one is beyond by chance in 3% of the cases
    if len(bins) >= 5 and off[0] and off[-1] and means[0] * means[-1] < 0:
        way = "too close to their mean" if means[0] > 0 else "too far from their mean"
        return (
            f"The predictions are {way}: the lowest are {_off(means[0])} and the highest {_off(means[-1])} on average."
        )
    if abs(z) > 2.6:
        return f"On average the predictions are {_off(mean)}."
    if off.any():
        worst = int(np.argmax(np.where(off, np.abs(zs), 0)))
        low, high = (number(float(limit)) for limit in (yhat[bins[worst]].min(), yhat[bins[worst]].max()))
        return f"Right on average, but predictions from {low} to {high} are {_off(means[worst])} on average."
    at_size = ", also not at any size of the prediction" if len(bins) > 1 else ""
    return f"On average the predictions are neither too high nor too low, beyond chance{at_size}."


def _mean_and_z(residual: np.ndarray) -> tuple[float, float]:
    """The mean error, and in standard errors."""
    mean, error = float(residual.mean()), float(residual.std(ddof=1) / np.sqrt(len(residual)))
    if error <= 1e-12 * abs(mean):  # all errors are the same
        return mean, float(np.sign(mean)) * np.inf if mean else 0.0
    return mean, mean / error


def _off(mean: float) -> str:
    return f"{number(abs(mean))} too {'high' if mean > 0 else 'low'}"


def _read_dominant(residual: np.ndarray) -> str:
    """Whether a few rows make most of the squared error."""
    squares = np.sort(residual**2)[::-1]
    few = len(squares) // 100
    if few == 0 or squares[:few].sum() <= _DOMINANT * squares.sum():
        return ""
    share = percent(float(squares[:few].sum() / squares.sum()))
    return f" {few:,} row{'s make' if few > 1 else ' makes'} {share} of the squared error (1% of the rows)."
