"""Charts of columns: importance and partial dependence."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from clearprop.draw.axes import share_scale
from clearprop.draw.charts import Curve, over_epochs
from clearprop.draw.column_charts import effect_curves, effect_dots, repeated_bars


def test_bars_have_a_dot_for_each_repeat():
    drawing = repeated_bars("chart", ["a", "b"], np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]]), "increase")
    root = ElementTree.fromstring(drawing.svg())
    assert len(list(root.iter("circle"))) == 6
    assert [node.text for node in root.iter("title")] == ["a: 2 (1 to 3)", "b: 0 (−1 to 1)"]


def test_several_curves_of_an_effect_have_a_legend():
    curves = [Curve(name, class_, [0.1, 0.2, 0.4]) for name, class_ in (("yes", "first"), ("no", "second"))]
    drawing = effect_curves("chart", np.array([1.0, 2.0, 4.0]), curves, ("x", "mean"), share_scale())
    assert [meaning for _, meaning in drawing.legend] == ["yes", "no"]
    assert effect_curves("chart", np.array([1.0, 2.0, 4.0]), curves[:1], ("x", "mean"), share_scale()).legend == ()


def test_each_category_has_its_row_of_dots():
    drawing = effect_dots("chart", ["red", "blue"], [Curve("yes", "first", [0.25, 0.5])], "mean", share_scale())
    tips = [node.text for node in ElementTree.fromstring(drawing.svg()).iter("title")]
    assert tips == ["red: yes 0.25", "blue: yes 0.5"]


def titles(drawing) -> list[str | None]:
    return [
        node.text for node in ElementTree.fromstring(drawing.svg()).iter("text") if "title" in node.get("class", "")
    ]


def test_log_axes_are_marked_and_outliers_of_other_axes_are_counted():
    assert titles(over_epochs("cost", [Curve("cost", "first", [100.0, 10.0, 1.0])])) == ["epoch", "log scale"]
    assert titles(over_epochs("cost", [Curve("cost", "first", [3.0, 2.0, 1.0])])) == ["epoch"]
    spiked = [Curve("R²", "first", [-1e6, *np.linspace(0.1, 0.9, 19)])]
    assert titles(over_epochs("R²", spiked)) == ["epoch", "2 values beyond the axis"]
