"""Statistics beyond the metrics of an evaluation: scores by class, intervals, calibration, thresholds."""

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


def accuracy_lift(right: np.ndarray, constant: np.ndarray) -> tuple[float, float, float]:
    """How much more often a prediction is right than a constant one, with a 95% interval, from the rows of each (n,).

    The interval adds half a row to each of the four cells of the paired table (Agresti and Min 2005), so that it is
    not empty if both are right on the same rows.

    >>> right, constant = np.array([True] * 90 + [False] * 10), np.array([True] * 60 + [False] * 40)
    >>> [round(value, 2) for value in accuracy_lift(right, constant)]
    [0.3, 0.2, 0.38]
    """
    n, gained, lost = len(right), int((right & ~constant).sum()), int((constant & ~right).sum())
    middle = (gained - lost) / (n + 2)
    half = 1.96 * float(np.sqrt(gained + lost + 1 - (n + 2) * middle**2)) / (n + 2)
    return (gained - lost) / n, max(-1.0, middle - half), min(1.0, middle + half)


def error_ratio(squares: np.ndarray, constant: np.ndarray) -> tuple[float, float, float]:
    """The RMSE relative to that of a constant, with a 95% interval, from the squared errors (n,) of both on each row.

    The interval is that of the logarithm of the ratio by the delta method; NaN for one row or errors that are all 0.

    >>> ratio, low, high = error_ratio(np.array([1.0, 1.0, 2.0]), np.array([4.0, 4.0, 8.0]))
    >>> ratio, low, high
    (0.5, 0.5, 0.5)
    """
    mean, of_constant, n = float(squares.mean()), float(constant.mean()), len(squares)
    if of_constant == 0 or mean == 0 or n < 2 or not np.isfinite(mean):
        ratio = float(np.sqrt(mean / of_constant)) if of_constant else float("nan")
        return ratio, float("nan"), float("nan")
    ratio = float(np.sqrt(mean / of_constant))
    spread = float(np.std(squares / mean - constant / of_constant, ddof=1)) / np.sqrt(n) / 2
    return ratio, ratio * float(np.exp(-1.96 * spread)), ratio * float(np.exp(1.96 * spread))


@dataclass(frozen=True)
class Thresholds:
    """What each threshold t gives if rows with a probability above t are predicted as positive.

    `at` (m,) are the thresholds, rising; `tp` and `fp` (m,) the rows rightly and wrongly predicted as positive, of
    `positive` and `negative` rows in all.
    """

    at: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    positive: int
    negative: int

    @property
    def recall(self) -> np.ndarray:
        """The share of the positive rows that are found: the true positive rate."""
        return self.tp / self.positive

    @property
    def false_positive_rate(self) -> np.ndarray:
        """The share of the negative rows that are predicted as positive."""
        return self.fp / self.negative

    @property
    def precision(self) -> np.ndarray:
        """The share of the predicted rows that are positive; NaN if none are predicted."""
        predicted = self.tp + self.fp
        return np.where(predicted > 0, self.tp / np.maximum(predicted, 1), np.nan)

    @property
    def half(self) -> int:
        """The index of the threshold of 0.5, which the predictions use."""
        return int(np.searchsorted(self.at, 0.5))


def thresholds(y: np.ndarray, p: np.ndarray, most: int = 100) -> Thresholds:
    """Thresholds from 0 to 1: at even steps, and at quantiles of the probabilities, for y (n,) of 0 and 1 and p (n,).

    >>> found = thresholds(np.array([0, 1, 1]), np.array([0.2, 0.4, 0.9]), most=2)
    >>> print(found.at[found.half], found.tp[found.half], found.fp[found.half])
    0.5 1 0
    """
    quantiles = np.unique(np.quantile(p, np.linspace(0, 1, most + 1)))
    digits = np.round(quantiles, 4)
    at = np.unique(np.concatenate([np.linspace(0, 1, 21), digits]))
    counts = [np.sort(p[y == kind]) for kind in (1, 0)]
    tp, fp = (len(part) - np.searchsorted(part, at, side="right") for part in counts)
    return Thresholds(at, tp, fp, len(counts[0]), len(counts[1]))


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
    def off(self) -> np.ndarray:
        """In which bins the two differ beyond chance: exact binomial tests at 5% for all bins together, (bins,)."""
        tests = [
            binomtest(round(share * n), int(n), float(np.clip(p, 0, 1))).pvalue < 0.05 / len(self.rows)
            for p, share, n in zip(self.predicted, self.observed, self.rows, strict=True)
        ]
        return np.array(tests)


def reliability(y: np.ndarray, p: np.ndarray, bins: int = 10) -> Reliability:
    """Compare probabilities p (n,) with outcomes y (n,) of 0 and 1, in bins up to the largest p.

    >>> import numpy as np
    >>> reliability(np.array([1, 0]), np.array([0.75, 0.75])).expected_error
    0.25
    """
    top = next((top for top in (0.05, 0.1, 0.2, 0.5) if p.max() <= top), 1.0)
    edges = np.linspace(0, top, bins + 1)
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
