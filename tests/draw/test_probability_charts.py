"""Charts of probabilities: intervals of the calibration curve, and the mark of the threshold."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from clearprop.draw.probability_charts import reliability_curve, threshold_curve


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


def test_small_probabilities_fill_the_chart():
    drawing = reliability_curve("c", np.array([0.01]), np.array([0.02]), [(0.0, 0.03)], np.array([9]), ("x", "y"), 0.05)
    ticks = [node.text for node in ElementTree.fromstring(drawing.svg()).iter("text")]
    assert "5%" in ticks
    assert "100%" not in ticks


def test_the_mark_of_the_threshold_is_on_the_curve():
    x, y = np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.8, 0.0])
    root = ElementTree.fromstring(threshold_curve("ROC", x, y, ("fpr", "tpr"), (0, 1), 1).svg())
    (mark,) = root.iter("circle")
    left, right, *_ = map(float, root.get("data-coordinates", "").split())
    assert float(mark.get("cx", 0)) == pytest.approx((left + right) / 2, abs=0.01)
    assert [title.text for title in mark] == ["fpr 50%, tpr 80%"]
    without = threshold_curve("PR", x, np.array([1.0, np.nan, np.nan]), ("r", "p"), (0, 1), 1)
    assert "moving" not in without.svg()
