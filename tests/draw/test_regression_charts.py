"""Charts of predicted numbers show every row, and outliers do not crush them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from clearprop.draw.axes import inner_range
from clearprop.draw.regression_charts import (
    POINTS,
    predicted_against_true,
    residual_histogram,
    residuals_against_predicted,
)
from clearprop.draw.svg import Drawing


def tips(drawing: Drawing) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawing.svg()).iter("title")]


@pytest.mark.parametrize("rows", [POINTS, POINTS + 1])
def test_every_row_is_a_point_or_in_the_density(rows):
    y = np.random.default_rng(0).normal(size=rows)
    drawing, outside = predicted_against_true("chart", y, y + 0.1)
    points = [tip for tip in tips(drawing) if tip.startswith("true ")]
    cells = sum(path.get("d", "").count("M") for path in ElementTree.fromstring(drawing.svg()).iter("path"))
    assert outside == 0
    assert (len(points) == rows) if rows <= POINTS else (len(points) == 0 and 30 < cells < rows)


def test_an_outlier_is_drawn_at_the_edge_and_counted():
    y = np.r_[np.linspace(0, 1, 99), 1e6]
    drawing, outside = predicted_against_true("chart", y, y)
    xs = [float(node.get("cx", 0)) for node in ElementTree.fromstring(drawing.svg()).iter("circle")]
    assert outside == 1 + 0  # the scale ends at round numbers, beyond the values that were cut
    assert np.ptp(np.sort(xs)[:-1]) > 0.5 * drawing.width


def test_residuals_have_their_quantiles_as_lines():
    yhat = np.linspace(0, 1, 100)
    bands = np.array([[0.25, -1.0, 0.0, 1.0], [0.75, -2.0, 0.0, 2.0]])
    drawing, outside = residuals_against_predicted("chart", yhat, np.sin(50 * yhat), bands)
    lines = [node.get("data-name") for node in ElementTree.fromstring(drawing.svg()).iter("path")]
    assert [name for name in lines if name] == ["5%", "median", "95%"]
    assert outside == 0


def test_the_histogram_of_errors_has_the_middle_rows_and_counts_the_others():
    drawing, outside = residual_histogram("chart", np.random.default_rng(0).normal(size=1000))
    assert outside == 10
    assert sum(int(tip.partition(": ")[2].removesuffix(" rows")) for tip in tips(drawing)) == 990


@pytest.mark.parametrize(
    ("values", "range_"),
    [
        ([], (0.0, 1.0, 0)),
        ([5.0], (5.0, 5.0, 0)),
        ([0.0] * 30 + [1e9], (0.0, 0.0, 1)),
        ([float("nan"), 1.0, 2.0], (1.0, 2.0, 0)),
        (list(range(100)), (0.0, 99.0, 0)),
        ([-1e6, *range(100)], (2.0, 96.0, 6)),
    ],
)
def test_the_range_without_outliers(values, range_):
    assert inner_range(values) == range_
