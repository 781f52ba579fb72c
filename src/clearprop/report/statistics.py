"""Statistics beyond the metrics of an evaluation: scores by class, calibration of probabilities, intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from clearprop.model.predictions import Predictions


@dataclass(frozen=True)
class ClassScores:
    """Of each class or label, (k,): rows, precision, recall and F1; NaN if a class has no rows or no predictions."""

    rows: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def class_scores(predictions: Predictions) -> ClassScores:
    """Precision, recall and F1 of each class, or of the answer yes of each label."""
    labels = range(len(predictions.labels)) if predictions.has_classes else None
    y, predicted = predictions.y, predictions.predicted
    if not predictions.has_classes and y.shape[1] == 1:
        y, predicted, labels = y[:, 0], predicted[:, 0], [1]
    scores = precision_recall_fscore_support(y, predicted, labels=labels, average=None, zero_division=np.nan)  # type: ignore[arg-type]
    precision, recall, f1, rows = map(np.asarray, scores)
    return ClassScores(rows, precision, recall, f1)


def confused_pairs(matrix: np.ndarray, most: int = 20) -> list[tuple[int, int, int]]:
    """The pairs (true class, answered class, rows) that are mixed up most often, most first.

    >>> import numpy as np
    >>> confused_pairs(np.array([[5, 1], [3, 4]]))
    [(1, 0, 3), (0, 1, 1)]
    """
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(matrix)) for place in order]
    return [(i, j, int(wrong[i, j])) for i, j in pairs if wrong[i, j] > 0]


def wilson_interval(right: float, rows: int) -> tuple[float, float]:
    """The 95% interval of a share of `right` in `rows` (Wilson 1927).

    >>> [round(limit, 3) for limit in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    interval = binomtest(round(right), int(rows)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Reliability:
    """What probabilities say and what came true, in bins of equal width; bins without rows are left out.

    `rows`, `said` (mean probability) and `came_true` (share) are (bins,); `expected_error` is the mean of
    |said - came_true| over all rows, the expected calibration error (Naeini, Cooper and Hauskrecht 2015).
    """

    edges: np.ndarray
    rows: np.ndarray
    said: np.ndarray
    came_true: np.ndarray
    expected_error: float

    @property
    def mean_said(self) -> float:
        """The mean probability over all rows."""
        return float(np.average(self.said, weights=self.rows))

    @property
    def mean_true(self) -> float:
        """The share that came true over all rows."""
        return float(np.average(self.came_true, weights=self.rows))


def reliability(came_true: np.ndarray, p: np.ndarray, bins: int = 10) -> Reliability:
    """Compare probabilities p (n,) with what came true (n,) of 0 and 1.

    >>> import numpy as np
    >>> reliability(np.array([1, 0]), np.array([0.75, 0.75])).expected_error
    0.25
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], p)
    rows = np.bincount(place, minlength=bins)
    used = rows > 0
    said = np.bincount(place, weights=p, minlength=bins)[used] / rows[used]
    true = np.bincount(place, weights=came_true, minlength=bins)[used] / rows[used]
    error = float(np.average(np.abs(said - true), weights=rows[used]))
    return Reliability(np.stack([edges[:-1], edges[1:]], axis=1)[used], rows[used], said, true, error)


def brier_score(y: np.ndarray, p: np.ndarray) -> float:
    """Mean over rows of |p - e_y|^2 / 2 for p (n, k) and the one-hot e_y of y (n,): 0 is best, 1 is worst (Brier 1950).

    scikit-learn's `brier_score_loss` warns about probabilities of single precision, whose sum is not exactly 1.

    >>> import numpy as np
    >>> brier_score(np.array([1]), np.array([[0.5, 0.5]]))
    0.25
    """
    return float(np.mean(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)) / 2)


def commonest_row(y: np.ndarray) -> float:
    """The share of rows that equal the commonest row of y (n, o): what always answering it gets right.

    >>> import numpy as np
    >>> commonest_row(np.array([[0, 1], [0, 1], [1, 1], [0, 0]]))
    0.5
    """
    _, counts = np.unique(y, axis=0, return_counts=True)
    return float(counts.max() / len(y))


def density(x: np.ndarray, y: np.ndarray, low: float, high: float, cells: int = 44) -> list[tuple[int, int, int]]:
    """How many points lie in each cell of a square grid from low to high, as (column, row, count) of the used cells."""
    counts, _, _ = np.histogram2d(x, y, bins=cells, range=[[low, high], [low, high]])
    return [(int(i), int(j), int(counts[i, j])) for i, j in np.argwhere(counts > 0)]
