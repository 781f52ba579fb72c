"""The quality of predictions: metrics, and a confusion matrix or residuals, in the unit of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clearprop.display import Displayed
from clearprop.model.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Evaluation(Displayed):
    """Metrics by name, with the confusion matrix (rows: true class) or residuals (predicted - true); prints readably.

    `baseline` holds the same metrics for always predicting the most frequent class, or the mean of the target.

    >>> import clearprop as cp
    >>> print(cp.model.Evaluation("regression", 120, {"rmse": 1.5}, {"rmse": 3.0}))
    120 rows
      rmse  1.5    (3 for always the mean)
    """

    task: str
    rows: int
    metrics: dict[str, float]
    baseline: dict[str, float] = field(default_factory=dict)
    labels: Sequence[str] = ()
    confusion: np.ndarray | None = None
    residuals: np.ndarray | None = None

    def __str__(self) -> str:
        """The metrics with their baseline, then a confusion matrix or the spread of the residuals."""
        lines = [f"{self.rows:,} rows"]
        width = max(map(len, self.metrics))
        for name, value in self.metrics.items():
            baseline = self.baseline.get(name)
            note = "" if baseline is None else f"    ({readable(baseline)} for {_BASELINE[self.task]})"
            lines.append(f"  {name:{width}s}  {readable(value)}{note}")
        if self.confusion is not None:
            lines += ["", *_format_confusion(self.confusion, self.labels)]
        if self.residuals is not None:
            lines += ["", *_format_residuals(self.residuals, self.labels)]
        return "\n".join(lines)


_BASELINE = {
    "binary": "always the most frequent class",
    "multiclass": "always the most frequent class",
    "multilabel": "always the most frequent answer",
    "regression": "always the mean",
}


def readable(value: float) -> str:
    """Four significant digits; an integer with commas from a thousand on.

    >>> readable(0.123456), readable(45333.86), readable(-999.96), readable(2.5e12)
    ('0.1235', '45,334', '-1,000', '2.5e+12')
    """
    return f"{value:,.0f}" if 999.95 <= abs(value) < 1e9 else f"{value:.4g}"


def evaluate(predictions: Predictions) -> Evaluation:
    """The metrics of predictions by scikit-learn; the log loss comes from the weighted sums if they are known.

    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> print(evaluate(Predictions("binary", "rich", ("no", "yes"), np.array([0, 1, 1]), p)))
    3 rows
      accuracy           0.6667    (0.6667 for always the most frequent class)
      balanced accuracy  0.75
      log loss           0.4149
      ROC AUC            1
    <BLANKLINE>
    confusion matrix (rows: true, columns: predicted)
                 no   yes  recall
    no            1     0  100.0%
    yes           1     1   50.0%
    >>> y = np.array([[1.0], [3.0]])
    >>> print(evaluate(Predictions("regression", "price", ("price",), y, np.array([[1.0], [2.0]]))))
    2 rows
      RMSE  0.7071    (1 for always the mean)
      MAE   0.5    (1 for always the mean)
      R2    0.5
    <BLANKLINE>
    residuals (predicted - true)
              smallest     5%   median    95%   largest
    price           -1  -0.95     -0.5  -0.05         0
    """
    if predictions.has_classes:
        return _evaluate_classes(predictions)
    return _evaluate_flags(predictions) if predictions.task == "multilabel" else _evaluate_numbers(predictions)


def _evaluate_classes(predictions: Predictions) -> Evaluation:
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score  # takes a moment to load

    y, p, predicted = predictions.y, predictions.yhat, predictions.predicted
    weight = predictions.sample_weight
    present, log_loss = np.unique(y), predictions.log_loss
    if log_loss is None:
        with np.errstate(divide="ignore"):
            log_loss = -np.log(p[np.arange(len(y)), y])
    metrics = {
        "accuracy": float(accuracy_score(y, predicted, sample_weight=weight)),
        "balanced accuracy": float(
            recall_score(y, predicted, labels=present, average="macro", sample_weight=weight, zero_division=0.0)  # type: ignore[arg-type]
        ),
        "log loss": float(np.average(log_loss, weights=weight)),
    }
    if len(predictions.labels) == len(present) == 2:
        finite = np.isfinite(p).all()
        metrics["ROC AUC"] = float(roc_auc_score(y, p[:, 1], sample_weight=weight)) if finite else np.nan
    most_frequent = np.bincount(y, weights=weight).argmax()
    baseline = {"accuracy": float(np.average(y == most_frequent, weights=weight))}
    confusion = confusion_matrix(y, predicted, labels=np.arange(len(predictions.labels)))
    return Evaluation(predictions.task, len(y), metrics, baseline, predictions.labels, confusion)


def _evaluate_flags(predictions: Predictions) -> Evaluation:
    from sklearn.metrics import accuracy_score  # takes a moment to load

    y, weight = predictions.y, predictions.sample_weight
    metrics = {"all right": float(accuracy_score(y, predictions.predicted, sample_weight=weight))}
    baseline = {}
    for i, name in enumerate(predictions.labels):
        metrics[f"{name} accuracy"] = float(accuracy_score(y[:, i], predictions.predicted[:, i], sample_weight=weight))
        share = float(np.average(y[:, i], weights=weight))
        baseline[f"{name} accuracy"] = max(share, 1 - share)
    return Evaluation("multilabel", len(y), metrics, baseline)


def _evaluate_numbers(predictions: Predictions) -> Evaluation:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error  # takes a moment to load

    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    weight = predictions.sample_weight
    for i, name in enumerate(predictions.labels):
        y, yhat = predictions.y[:, i], predictions.yhat[:, i]
        mean = np.full(len(y), np.average(y, weights=weight))
        prefix = f"{name} " if len(predictions.labels) > 1 else ""
        scores = {"RMSE": root_mean_squared_error, "MAE": mean_absolute_error}
        if (y != y[0]).any():
            scores["R2"] = r2_score
        for short, score in scores.items():
            finite = np.isfinite(yhat).all()
            metrics[prefix + short] = float(score(y, yhat, sample_weight=weight)) if finite else np.nan
            if short != "R2":
                baseline[prefix + short] = float(score(y, mean, sample_weight=weight))
    return Evaluation(
        "regression",
        len(predictions.y),
        metrics,
        baseline,
        predictions.labels,
        residuals=predictions.yhat - predictions.y,
    )


_CLASSES_SHOWN = 12


def _format_confusion(confusion: np.ndarray, labels: Sequence[str]) -> list[str]:
    if len(labels) > _CLASSES_SHOWN:
        return _format_mistakes(confusion, labels)
    shortened = _shortened(labels)
    widths = [max(5, len(label)) for label in shortened]
    left = max(9, *(len(label) for label in shortened))
    lines = ["confusion matrix (rows: true, columns: predicted)"]
    headings = " ".join(f"{label:>{w}s}" for label, w in zip(shortened, widths, strict=True))
    lines.append(f"{' ' * left} {headings}  recall")
    for i, (label, row) in enumerate(zip(shortened, confusion, strict=True)):
        recall = f"{100 * row[i] / row.sum():6.1f}%" if row.sum() else "      -"
        cells = " ".join(f"{count:{w}d}" for count, w in zip(row, widths, strict=True))
        lines.append(f"{label:{left}s} {cells} {recall}")
    return lines


def _shortened(labels: Sequence[str]) -> list[str]:
    """Labels of at most 12 characters, more where they would become equal; what is cut out is in the middle.

    >>> _shortened(["no", "a very long label", "1582218195625938940"])
    ['no', 'a very…label', '158221…38940']
    >>> _shortened(["a" * 20 + "b" + "a" * 9, "a" * 30])
    ['aaaaaaaaaaaaaa…aaabaaaaaaaaa', 'aaaaaaaaaaaaaa…aaaaaaaaaaaaa']
    """
    for left in range(6, max(map(len, labels), default=0), 4):
        shortened = [lb if len(lb) <= 2 * left else f"{lb[:left]}…{lb[1 - left :]}" for lb in labels]
        if len(set(shortened)) == len(labels):
            return shortened
    return list(labels)


def _format_mistakes(confusion: np.ndarray, labels: Sequence[str]) -> list[str]:
    """The most frequent mistakes, if the matrix is too large to print."""
    mistakes = confusion - np.diag(confusion.diagonal())
    order = np.argsort(mistakes, axis=None)[::-1][:10]
    lines = ["most frequent mistakes (true -> predicted)"]
    for true, predicted in zip(*np.unravel_index(order, mistakes.shape), strict=True):
        if mistakes[true, predicted]:
            lines.append(f"  {mistakes[true, predicted]:6d}  {labels[true]} -> {labels[predicted]}")
    return lines


def _format_residuals(residuals: np.ndarray, names: Sequence[str]) -> list[str]:
    headings = ["smallest", "    5%", "  median", "   95%", "  largest"]
    rows = [[readable(q) for q in np.quantile(column, [0, 0.05, 0.5, 0.95, 1])] for column in residuals.T]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    left = max(9, *(len(name) for name in names))
    lines = ["residuals (predicted - true)"]
    for name, cells in zip(["", *names], [headings, *rows], strict=True):
        lines.append(f"{name:{left}s} " + " ".join(f"{cell:>{w}s}" for cell, w in zip(cells, widths, strict=True)))
    return lines
