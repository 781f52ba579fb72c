"""The section on the rows with the largest errors, with their values, or as pictures if the inputs are pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from clearprop.draw.document import Section, Table
from clearprop.draw.picture import gray_picture
from clearprop.draw.svg import element, number, percent, shorten, shorten_middle
from clearprop.model.predictions import Predictions
from clearprop.report.section import Evaluated, quoted, section, titled
from clearprop.report.values import column_texts, images, is_number, pixel_grid

_ROWS_SHOWN, _PICTURES_SHOWN, _COLUMNS_SHOWN = 10, 16, 5


def most_wrong_section(evaluated: Evaluated, predictions: Predictions, main_columns: Sequence[str], of: str) -> Section:
    """The rows of one output with the largest errors; `main_columns` are shown first."""
    grid = pixel_grid(evaluated.model)
    error, wrong = row_errors(predictions)
    shown = _ROWS_SHOWN if grid is None else _PICTURES_SHOWN
    order = np.argsort(-np.nan_to_num(error, nan=np.inf), kind="stable")
    order = np.array([i for i in order if wrong[i]][:shown] or order[:shown])
    note = "Rows are counted from 0, in the order of the table."
    if predictions.task != "regression":
        note += " A confident mistake can also be a wrong label."
    reading = read_most_wrong(predictions, order, evaluated.row_numbers, bool(wrong[order[0]]))
    item = (
        _pictures(evaluated, predictions, order, grid) if grid else _table(evaluated, predictions, order, main_columns)
    )
    return section(titled("Rows it gets most wrong", of), reading, [item], note)


def row_errors(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The error of each row, and which rows are wrong at all, (n,) each.

    Log loss for classes and labels; the size of the residual for numbers, of several columns in standard deviations.
    """
    y, yhat = predictions.y, predictions.yhat
    with np.errstate(divide="ignore"):
        if predictions.has_classes:
            error = predictions.log_loss if predictions.log_loss is not None else -np.log(yhat[np.arange(len(y)), y])
            return np.asarray(error), predictions.predicted != y
        if predictions.task == "multilabel":
            return -np.log(np.where(y == 1, yhat, 1 - yhat)).sum(axis=1), (predictions.predicted != y).any(axis=1)
    spread = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0) if y.shape[1] > 1 else 1.0
    error = np.abs((yhat - y) / spread).max(axis=1)
    return error, error != 0


def read_most_wrong(predictions: Predictions, order: np.ndarray, numbers: np.ndarray, any_wrong: bool) -> str:
    """The worst row in words."""
    first = int(order[0])
    true, predicted, _ = _answers(predictions, first)
    if not any_wrong:
        return "No row is wrong; these are the ones it is least sure of."
    if predictions.has_classes:
        of_predicted, of_true = (
            percent(float(predictions.yhat[first, unit]))
            for unit in (predictions.predicted[first], int(predictions.y[first]))
        )
        return (
            f"The largest log loss is in row {numbers[first]:,}: {quoted(true)} is predicted as {quoted(predicted)} "
            f"({of_predicted}), with {of_true} for {quoted(true)}."
        )
    if predictions.task == "multilabel":
        return f"The largest log loss is in row {numbers[first]:,}."
    what = "" if len(predictions.labels) == 1 else ", measured in standard deviations of each column"
    return f"The largest error{what} is in row {numbers[first]:,}: {true} is predicted as {predicted}."


def _answers(predictions: Predictions, row: int) -> tuple[str, str, str]:
    """The true answer of a row, the predicted one, and the probability of the true one or the residual."""
    y, yhat, labels = predictions.y[row], predictions.yhat[row], predictions.labels
    if predictions.has_classes:
        return labels[int(y)], labels[int(predictions.predicted[row])], percent(float(yhat[int(y)]))
    if predictions.task == "multilabel":
        sets = [", ".join(shorten(labels[j], 90) for j in np.flatnonzero(answers)) or "none"
                for answers in (y, predictions.predicted[row])]  # fmt: skip
        return sets[0], sets[1], percent(float(np.prod(np.where(y == 1, yhat, 1 - yhat))))
    return tuple(", ".join(number(float(v), 4) for v in values) for values in (y, yhat, yhat - y))  # type: ignore[return-value]


def _table(evaluated: Evaluated, predictions: Predictions, order: np.ndarray, main_columns: Sequence[str]) -> Table:
    """One row of the table per row, with its answers and the values of the most important columns."""
    X = evaluated.objective.X[order]
    names = list(dict.fromkeys([*main_columns, *evaluated.columns]))[:_COLUMNS_SHOWN]
    values = [column_texts(evaluated.model, name, X[:, evaluated.columns[name]]) for name in names]
    rows = [
        (
            f"{evaluated.row_numbers[i]:,}",
            *map(_cut, _answers(predictions, int(i))),
            *(_cut(v[k]) for v in values),
        )
        for k, i in enumerate(order)
    ]
    last = "predicted − true" if predictions.task == "regression" else "probability of the true"
    head = ("row", "true", "predicted", last, *map(_cut, names))
    more = len(evaluated.columns) - len(names)
    note = f"The {len(names)} most important columns; {more:,} more are not shown." if more else ""
    title = "Largest errors" if predictions.task == "regression" else "Largest log loss"
    numeric = predictions.task == "regression"
    at_right = (True, numeric, numeric, True, *(is_number(evaluated.model, name) for name in names))
    return Table(head, tuple(rows), title, note=note, size="broad", at_right=at_right)


def _cut(text: str) -> str:
    return shorten_middle(text, 220)


def _pictures(
    evaluated: Evaluated, predictions: Predictions, order: np.ndarray, grid: dict[str, tuple[int, int]]
) -> Markup:
    """A picture of the pixels of each row, with its answers."""
    figures = []
    for i, pixels in zip(order, images(evaluated.model, grid, evaluated.objective.X[order]), strict=True):
        true, predicted, last = _answers(predictions, int(i))
        row = f"row {evaluated.row_numbers[i]:,}"
        tip = f"{row}: true {true}, predicted {predicted}"
        what = "probability of the true" if predictions.task != "regression" else "error"
        figures.append(
            element(
                "li", gray_picture(pixels, tip),
                element("span", element("b", f"{shorten(true, 70)} → {shorten(predicted, 70)}"),
                        element("span", f"{row}; {what} {last}")),
            )
        )  # fmt: skip
    caption = element("figcaption", element("strong", "True → predicted"))
    return element("figure", caption, element("ul", *figures, class_="pictures"), class_="wide")
