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
    """Predicted probabilities and observed frequencies in bins of equal width, without empty bins.

    `edges` are (bins, 2); `rows`, `predicted` (the mean probability) and `observed` (the frequency) are (bins,).
    `expected_error` is the mean of |predicted - observed| over all rows, the expected calibration error (Naeini, Cooper
    and Hauskrecht 2015).
    """

    edges: np.ndarray
    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    expected_error: float

    @property
    def mean_predicted(self) -> float:
        """The mean probability over all rows."""
        return float(np.average(self.predicted, weights=self.rows))

    @property
    def mean_observed(self) -> float:
        """The frequency over all rows."""
        return float(np.average(self.observed, weights=self.rows))


def reliability(y: np.ndarray, p: np.ndarray, bins: int = 10) -> Reliability:
    """Compare probabilities p (n,) with outcomes y (n,) of 0 and 1.

    >>> import numpy as np
    >>> reliability(np.array([1, 0]), np.array([0.75, 0.75])).expected_error
    0.25
    """
    edges = np.linspace(0, 1, bins + 1)
    bin_of_row = np.searchsorted(edges[1:-1], p)
    rows = np.bincount(bin_of_row, minlength=bins)
    used = rows > 0
    predicted = np.bincount(bin_of_row, weights=p, minlength=bins)[used] / rows[used]
    observed = np.bincount(bin_of_row, weights=y, minlength=bins)[used] / rows[used]
    error = float(np.average(np.abs(predicted - observed), weights=rows[used]))
    return Reliability(np.stack([edges[:-1], edges[1:]], axis=1)[used], rows[used], predicted, observed, error)


def brier_score(y: np.ndarray, p: np.ndarray) -> float:
    """Mean over rows of |p - e_y|^2 / 2 for p (n, k) and the one-hot e_y of y (n,): 0 is best, 1 is worst (Brier 1950).

    scikit-learn's `brier_score_loss` warns about probabilities of single precision, whose sum is not exactly 1.

    >>> import numpy as np
    >>> brier_score(np.array([1]), np.array([[0.5, 0.5]]))
    0.25
    """
    return float(np.mean(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)) / 2)


def most_frequent_share(y: np.ndarray) -> float:
    """The frequency of the most frequent row of y (n, o): the score of a constant prediction.

    >>> import numpy as np
    >>> most_frequent_share(np.array([[0, 1], [0, 1], [1, 1], [0, 0]]))
    0.5
    """
    _, counts = np.unique(y, axis=0, return_counts=True)
    return float(counts.max() / len(y))
