"""How good the answers are beyond the metrics of an evaluation: scores by class, reliability of probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScores:
    """Of each class, (k,): rows, precision, recall and F1; NaN where a class has no rows or is never answered."""

    rows: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class from its confusion matrix.

    precision_j = m_jj / sum_i m_ij,  recall_i = m_ii / sum_j m_ij,  F1 = 2 m_ii / (sum_j m_ij + sum_j m_ji)
    """
    right, rows, answered = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)

    return ClassScores(rows, share(right, answered), share(right, rows), share(2 * right, rows + answered))


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


def wilson_interval(right: float, rows: float, z: float = 1.959964) -> tuple[float, float]:
    """The 95% interval of a share seen as right of rows (Wilson 1927).

    >>> [round(limit, 3) for limit in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    share = right / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, middle - half), min(1.0, middle + half)


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
    """Mean over rows of the squared distance of p (n, k) to the one-hot y (n,), halved so that 0 is best and 1 worst.

    For two classes it is the mean of (p_1 - y)^2 (Brier 1950, who did not halve).

    >>> import numpy as np
    >>> brier_score(np.array([1]), np.array([[0.5, 0.5]]))
    0.25
    """
    squares = (p**2).sum(axis=1) + 1 - 2 * p[np.arange(len(y)), y]  # |p - e_y|^2
    return float(np.mean(squares) / 2)


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
