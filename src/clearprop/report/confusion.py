"""The sections on classes and labels: what is confused with what, and the scores of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from clearprop.draw.confusion_charts import confusion_chart, flag_bars
from clearprop.draw.document import Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.svg import WIDTHS, element, percent
from clearprop.model.evaluation import Evaluation
from clearprop.model.predictions import Predictions
from clearprop.report.section import quoted, section, titled
from clearprop.report.statistics import ClassScores, class_scores, confused_pairs

CLASSES_DRAWN = 30
_ROWS_SHOWN = 100


def confusion_section(predictions: Predictions, evaluation: Evaluation, of: str) -> Section:
    """The confusion matrix, or the most confused pairs of many classes, and the scores of each class."""
    matrix, labels = evaluation.confusion, predictions.labels
    assert matrix is not None
    pairs, items, is_wide = confused_pairs(matrix), [], False
    if len(labels) <= CLASSES_DRAWN:
        note = "Each row is a true class; the shade is the share of the row."
        chart = confusion_chart("Confusion matrix", matrix, labels)
        is_wide = chart.width > 1.05 * WIDTHS["half"]
        items.append(Figure("Confusion matrix", (chart,), note, size="wide" if is_wide else "half"))
    elif pairs:
        rows = [(labels[i][:100], labels[j][:100], f"{m:,}", percent(m / matrix[i].sum())) for i, j, m in pairs]
        head = ("true", "predicted", "rows", "of the class")
        items.append(Table(head, tuple(rows), "Most often confused", left=2))
    table = _scores_table("By class", "class", class_scores(predictions), labels)
    items.append(replace(table, size="broad") if is_wide else table)
    return section(titled("Confusion matrix", of), read_confusion(matrix, labels, pairs), items)


def read_confusion(matrix: np.ndarray, labels: Sequence[str], pairs: Sequence[tuple[int, int, int]]) -> str:
    """How many rows are wrong, and which classes are confused most often."""
    rows = int(matrix.sum())
    if not pairs:
        return f"All {rows:,} rows are classified correctly." if rows > 1 else "The one row is classified correctly."
    wrong = rows - int(np.trace(matrix))
    errors = f"{wrong:,} of {rows:,} rows {'is' if wrong == 1 else 'are'} wrong"
    i, j, count = pairs[0]
    if count == 1 and wrong > 1:
        return f"{errors}; no two of the mistakes are of the same kind."
    most = f"most often {quoted(labels[i])} is predicted as {quoted(labels[j])}"
    return f"{errors}; {most}, {count:,} of {int(matrix[i].sum()):,} rows."


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
    return Table(head, tuple(rows), title, left=1, note=more, folded=len(labels) > CLASSES_DRAWN)


def meter(share: float) -> Markup | str:
    """A share as text on a bar of its length."""
    if np.isnan(share):
        return "–"
    bar = element("i", style=f"width: {100 * share:.1f}%")
    return element("span", bar, element("b", percent(share)), class_="meter")


def labels_section(predictions: Predictions, of: str) -> Section:
    """True and false answers for each of several yes-or-no labels."""
    y, labels, predicted = predictions.y, predictions.labels, predictions.predicted
    right = (predicted == y).mean(axis=0)
    worst = int(right.argmin())
    shown = min(len(labels), CLASSES_DRAWN)
    chart = flag_bars("Right and wrong predictions by label", labels[:shown], y, predicted)
    table = _scores_table("By label", "label", class_scores(predictions), labels)
    table = replace(table, head=(*table.head[:-1], "rows with yes"))
    reading = f"The hardest label is {quoted(labels[worst])}, right in {percent(float(right[worst]))} of the rows."
    note = "The number is the share of rows that are right."
    figure = Figure("Predictions by label", (chart,), note, size="wide")
    return section(titled("Predictions by label", of), reading, [figure, table])
