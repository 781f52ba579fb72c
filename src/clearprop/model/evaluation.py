"""How good predictions are: metrics, confusion matrix or residuals, in the target's own unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, with the confusion matrix (rows: true class) or residuals (predicted - true); prints readably.

    `baseline` holds the same metrics for always answering the commonest class, or the mean of the target.

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
        wide = max(map(len, self.metrics))
        for name, value in self.metrics.items():
            beside = (
                f"    ({readable(self.baseline[name])} for {_BASELINE[self.task]})" if name in self.baseline else ""
            )
            lines.append(f"  {name:{wide}s}  {readable(value)}{beside}")
        if self.confusion is not None:
            lines += ["", *_format_confusion(self.confusion, self.labels)]
        if self.residuals is not None:
            lines += ["", *_format_residuals(self.residuals, self.labels)]
        return "\n".join(lines)


_BASELINE = {
    "binary": "always the commonest class",
    "multiclass": "always the commonest class",
    "multilabel": "always the commonest answer",
    "regression": "always the mean",
}


def readable(value: float) -> str:
    """Four significant digits; from a thousand on whole numbers with the thousands apart.

    >>> readable(0.123456), readable(45333.86), readable(-999.96), readable(2.5e12)
    ('0.1235', '45,334', '-1,000', '2.5e+12')
    """
    return f"{value:,.0f}" if 999.95 <= abs(value) < 1e9 else f"{value:.4g}"


def evaluate_classes(
    y: np.ndarray, probabilities: np.ndarray, labels: Sequence[Any], log_loss: float | None = None
) -> Evaluation:
    """One label per row: y (n,) class indices, probabilities (n, k).

    The log loss comes from the probabilities unless it is given: where one is rounded to 0, only the weighted sums of
    the network know it exactly.

    >>> import numpy as np
    >>> print(evaluate_classes(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["no", "yes"]))
    3 rows
      accuracy           0.6667    (0.6667 for always the commonest class)
      balanced accuracy  0.75
      log loss           0.4149
      ROC AUC            1
    <BLANKLINE>
    confusion matrix (rows: true, columns: predicted)
                 no   yes  recall
    no            1     0  100.0%
    yes           1     1   50.0%
    """
    import sklearn.metrics  # takes a moment to load

    k = len(labels)
    guess = probabilities.argmax(axis=1)
    confusion = sklearn.metrics.confusion_matrix(y, guess, labels=np.arange(k))
    present = np.unique(y)
    recall = confusion.diagonal()[present] / confusion.sum(axis=1)[present]
    if log_loss is None:
        with np.errstate(divide="ignore"):
            log_loss = float(-np.log(probabilities[np.arange(len(y)), y].astype(np.float64)).mean())
    metrics = {"accuracy": float((guess == y).mean()), "balanced accuracy": float(recall.mean()), "log loss": log_loss}
    if k == 2 and len(present) == 2:
        metrics["ROC AUC"] = float(sklearn.metrics.roc_auc_score(y, probabilities[:, 1]))
    baseline = {"accuracy": float(np.bincount(y, minlength=k).max() / len(y))}
    task = "binary" if k == 2 else "multiclass"
    return Evaluation(task, len(y), metrics, baseline, [str(label) for label in labels], confusion)


def evaluate_flags(y: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> Evaluation:
    """Several yes-or-no answers per row: y and probabilities (n, o).

    >>> import numpy as np
    >>> evaluate_flags(np.array([[1.0, 0.0]]), np.array([[0.9, 0.9]]), ["a", "b"]).metrics["a accuracy"]
    1.0
    """
    right = (probabilities > 0.5) == (y > 0.5)
    share = np.maximum(y.mean(axis=0), 1 - y.mean(axis=0))
    metrics = {"all right": float(right.all(axis=1).mean())}
    baseline = {}
    for i, name in enumerate(names):
        metrics[f"{name} accuracy"] = float(right[:, i].mean())
        baseline[f"{name} accuracy"] = float(share[i])
    return Evaluation("multilabel", len(y), metrics, baseline)


def evaluate_numbers(y: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Evaluation:
    """Numbers: y and predicted (n, o) in the target's own unit.

    >>> import numpy as np
    >>> print(evaluate_numbers(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), ["price"]))
    2 rows
      RMSE  0.7071    (1 for always the mean)
      MAE   0.5    (1 for always the mean)
      R2    0.5
    <BLANKLINE>
    residuals (predicted - true)
              smallest     5%   median    95%   largest
    price           -1  -0.95     -0.5  -0.05         0
    """
    metrics, baseline = {}, {}
    residuals = predicted.astype(np.float64) - y
    for i, name in enumerate(names):
        prefix = f"{name} " if len(names) > 1 else ""
        spread = y[:, i] - y[:, i].mean()
        metrics[f"{prefix}RMSE"] = float(np.sqrt(np.mean(residuals[:, i] ** 2)))
        metrics[f"{prefix}MAE"] = float(np.abs(residuals[:, i]).mean())
        if spread.any():
            metrics[f"{prefix}R2"] = float(1 - (residuals[:, i] ** 2).sum() / (spread**2).sum())
        baseline[f"{prefix}RMSE"] = float(np.sqrt(np.mean(spread**2)))
        baseline[f"{prefix}MAE"] = float(np.abs(spread).mean())
    return Evaluation("regression", len(y), metrics, baseline, list(names), residuals=residuals)


_CLASSES_SHOWN = 12


def _format_confusion(confusion: np.ndarray, labels: Sequence[str]) -> list[str]:
    if len(labels) > _CLASSES_SHOWN:
        return _format_mistakes(confusion, labels)
    short = [label if len(label) <= 12 else label[:11] + "…" for label in labels]
    wide = [max(5, len(label)) for label in short]
    left = max(9, *(len(label) for label in short))
    lines = ["confusion matrix (rows: true, columns: predicted)"]
    heads = " ".join(f"{label:>{w}s}" for label, w in zip(short, wide, strict=True))
    lines.append(f"{' ' * left} {heads}  recall")
    for i, (label, row) in enumerate(zip(short, confusion, strict=True)):
        recall = f"{100 * row[i] / row.sum():6.1f}%" if row.sum() else "      -"
        cells = " ".join(f"{count:{w}d}" for count, w in zip(row, wide, strict=True))
        lines.append(f"{label:{left}s} {cells} {recall}")
    return lines


def _format_mistakes(confusion: np.ndarray, labels: Sequence[str]) -> list[str]:
    """The commonest mistakes, where the matrix is too large to print."""
    mistakes = confusion - np.diag(confusion.diagonal())
    order = np.argsort(mistakes, axis=None)[::-1][:10]
    lines = ["commonest mistakes (true -> predicted)"]
    for true, predicted in zip(*np.unravel_index(order, mistakes.shape), strict=True):
        if mistakes[true, predicted]:
            lines.append(f"  {mistakes[true, predicted]:6d}  {labels[true]} -> {labels[predicted]}")
    return lines


def _format_residuals(residuals: np.ndarray, names: Sequence[str]) -> list[str]:
    heads = ["smallest", "    5%", "  median", "   95%", "  largest"]
    rows = [[readable(q) for q in np.quantile(column, [0, 0.05, 0.5, 0.95, 1])] for column in residuals.T]
    wide = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    left = max(9, *(len(name) for name in names))
    lines = ["residuals (predicted - true)"]
    for name, cells in zip(["", *names], [heads, *rows], strict=True):
        lines.append(f"{name:{left}s} " + " ".join(f"{cell:>{w}s}" for cell, w in zip(cells, wide, strict=True)))
    return lines
