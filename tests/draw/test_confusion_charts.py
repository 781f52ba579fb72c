"""Charts of right and wrong answers show every row once, with one scale of shades."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from clearprop.draw.confusion_charts import confusion_chart, flag_bars
from clearprop.draw.svg import WIDTHS, Drawing


def tips(drawing: Drawing) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawing.svg()).iter("title")]


def test_cells_name_their_classes_and_rows():
    assert tips(confusion_chart("chart", np.array([[3, 1], [0, 2]]), ["a", "b"])) == [
        "a predicted as a: 3 of 4 rows (75%)", "a predicted as b: 1 of 4 rows (25%)",
        "b predicted as b: 2 of 2 rows (100%)",
    ]  # fmt: skip


def test_right_and_wrong_cells_of_one_share_have_one_shade():
    root = ElementTree.fromstring(confusion_chart("chart", np.array([[2, 2], [4, 0]]), ["a", "b"]).svg())
    shades = [(node.get("class"), node.get("style")) for node in root.iter("rect")]
    assert shades == [
        ("first shaded", "--s: 0.72"), ("second shaded", "--s: 0.72"), ("second shaded", "--s: 1.00"),
    ]  # fmt: skip


def test_long_names_are_cut_where_they_differ():
    names = [f"a long name that many classes of this table have in common, number {i}" for i in range(4)]
    root = ElementTree.fromstring(confusion_chart("chart", np.eye(4, dtype=int), names).svg())
    shown = {node.text for node in root.iter("text") if node.text and node.text.startswith("a long")}
    assert len(shown) == 4
    assert {node.text for node in root.iter("title")} >= set(names)


def test_few_classes_fit_half_a_page_and_many_have_cells_for_their_counts():
    few = confusion_chart("chart", np.eye(10, dtype=int), [str(i) for i in range(10)])
    assert few.width <= WIDTHS["half"] + 1
    many = confusion_chart("chart", np.eye(25, dtype=int), [f"class {i}" for i in range(25)])
    root = ElementTree.fromstring(many.svg())
    assert min(float(node.get("width", 0)) for node in root.iter("rect")) >= 18


def test_bars_of_labels_hold_the_four_kinds_of_predictions():
    y, predicted = np.array([[1], [1], [0], [0]]), np.array([[1], [0], [1], [0]])
    kinds = [tip.partition(": ")[2].partition(" (")[0] for tip in tips(flag_bars("chart", ["a"], y, predicted))]
    assert kinds == ["1 true positives", "1 false negatives", "1 false positives", "1 true negatives"]
