"""The sentence on the confusion matrix agrees with it."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.report.confusion import read_confusion
from clearprop.report.statistics import confused_pairs


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ([[5, 0], [0, 5]], "All 10 rows are classified correctly."),
        ([[1, 0], [0, 0]], "The one row is classified correctly."),
        ([[5, 1], [3, 4]], "4 of 13 rows are wrong; most often “b” is predicted as “a”, 3 of 7 rows."),
        ([[5, 1], [1, 4]], "2 of 11 rows are wrong; no two of the mistakes are of the same kind."),
        ([[5, 0], [1, 4]], "1 of 10 rows is wrong; most often “b” is predicted as “a”, 1 of 5 rows."),
    ],
)
def test_confusion(matrix, sentence):
    matrix = np.array(matrix)
    assert read_confusion(matrix, ["a", "b"], confused_pairs(matrix)) == sentence


def test_names_with_one_beginning_stay_different():
    names = [f"a name that is much longer than a sentence has room for, number {i}" for i in (1, 2)]
    matrix = np.array([[5, 2], [0, 4]])
    assert "number 1” is predicted as" in read_confusion(matrix, names, confused_pairs(matrix))
