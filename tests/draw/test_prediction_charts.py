"""Charts of predictions show every row once."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from clearprop.draw.prediction_charts import (
    POINTS,
    confusion_chart,
    flag_bars,
    predicted_against_true,
    reliability_curve,
    residual_histogram,
)

from clearprop.draw.svg import Drawing


def tips(drawing: Drawing) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawing.svg()).iter("title")]


@pytest.mark.parametrize("rows", [POINTS, POINTS + 1])
def test_every_row_is_a_point_or_is_counted_in_the_density(rows):
    y = np.random.default_rng(0).normal(size=rows)
    shown = tips(predicted_against_true("chart", y, y + 0.1))
    if rows <= POINTS:
        assert len(shown) == rows
    else:
        assert sum(int(tip.partition(" ")[0]) for tip in shown) == rows


def test_the_histogram_of_errors_has_the_middle_rows_and_counts_the_others():
    drawing, outside = residual_histogram("chart", np.random.default_rng(0).normal(size=1000))
    assert outside == 10
    assert sum(int(tip.partition(": ")[2].removesuffix(" rows")) for tip in tips(drawing)) == 990


def test_cells_of_the_confusion_chart_name_their_classes():
    assert tips(confusion_chart("chart", np.array([[3, 1], [0, 2]]), ["a", "b"])) == [
        "a predicted as a: 3 of 4 rows (75%)", "a predicted as b: 1 of 4 rows (25%)",
        "b predicted as a: 0 of 2 rows (0%)", "b predicted as b: 2 of 2 rows (100%)",
    ]  # fmt: skip


def test_bars_of_labels_hold_the_four_kinds_of_predictions():
    y, predicted = np.array([[1], [1], [0], [0]]), np.array([[1], [0], [1], [0]])
    kinds = [tip.partition(": ")[2].partition(" (")[0] for tip in tips(flag_bars("chart", ["a"], y, predicted))]
    assert kinds == ["1 true positives", "1 false negatives", "1 false positives", "1 true negatives"]


def test_points_of_the_calibration_curve_have_their_intervals():
    rows = np.array([10, 30])
    drawing = reliability_curve(
        "c", np.array([0.2, 0.8]), np.array([0.1, 0.9]), [(0.0, 0.3), (0.7, 1.0)], rows, ("x", "y")
    )
    root = ElementTree.fromstring(drawing.svg())
    whiskers = [node for node in root.iter("line") if node.get("class") == "whisker"]
    beads = [node for node in root.iter("circle") if "bead" in node.get("class", "")]
    for whisker, bead in zip(whiskers, beads, strict=True):
        assert whisker.get("x1") == bead.get("cx")
        assert float(whisker.get("y2", 0)) < float(bead.get("cy", 0)) < float(whisker.get("y1", 0))
