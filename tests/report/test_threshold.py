"""What each threshold gives, against scikit-learn; the numbers without a script are those at 0.5."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pytest
import sklearn.metrics

from clearprop.draw.document import sections_html
from clearprop.model.predictions import Predictions
from clearprop.report.statistics import thresholds
from clearprop.report.threshold import threshold_sections

GENERATOR = np.random.default_rng(0)
Y = (GENERATOR.random(500) < 0.3).astype(int)
P = np.clip(0.3 + 0.2 * Y + 0.2 * GENERATOR.normal(size=500), 0, 1)


def binary(y, p) -> Predictions:
    return Predictions("binary", "fraud", ("no", "yes"), y, np.stack([1 - p, p], axis=1))


def test_counts_are_those_of_scikit_learn():
    found = thresholds(Y, P)
    for t, tp, fp in zip(found.at, found.tp, found.fp, strict=True):
        (_, false), (_, true) = sklearn.metrics.confusion_matrix(Y, t < P, labels=[0, 1])
        assert (tp, fp) == (true, false)
    assert (found.positive, found.negative) == (Y.sum(), (1 - Y).sum())
    assert found.at[found.half] == 0.5
    assert found.at[0] == 0
    assert found.at[-1] == 1


def test_thresholds_resolve_small_probabilities():
    p = np.random.default_rng(1).uniform(0, 0.02, 1000)
    found = thresholds((p > 0.015).astype(int), p)
    assert np.count_nonzero(found.at < 0.02) > 50
    assert np.isnan(found.precision[found.half])


def test_the_numbers_without_a_script_are_those_of_the_predictions():
    (section,) = threshold_sections(binary(Y, P), "")
    page = str(sections_html([section]))
    shown = dict(re.findall(r'<output data-shows="(\w+)">([^<]*)</output>', page))
    predicted = (P > 0.5).astype(int)
    (tn, fp), (fn, tp) = sklearn.metrics.confusion_matrix(Y, predicted)
    assert {name: int(shown[name]) for name in ("tp", "fp", "fn", "tn")} == {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    assert shown["precision"] == f"{100 * sklearn.metrics.precision_score(Y, predicted):.1f}%".replace(".0%", "%")
    assert shown["recall"] == f"{100 * sklearn.metrics.recall_score(Y, predicted):.1f}%".replace(".0%", "%")
    assert shown["cost"] == str(fp + fn)
    auc = sklearn.metrics.roc_auc_score(Y, P)
    assert f"ROC AUC {auc:.4f}".rstrip("0") in page
    data = json.loads(unescape(re.findall(r'data-thresholds="([^"]*)"', page)[0]))
    assert data["tp"][data["at"].index(0.5)] == tp
    assert len(page) < 40_000


def test_no_prediction_of_the_class_is_said_plainly():
    (section,) = threshold_sections(binary(Y, P / 10), "")
    assert "At the threshold 0.5, no row is predicted as “yes”: its probability is never above 50%." in str(
        sections_html([section])
    )


@pytest.mark.parametrize("y", [np.zeros(5, int), np.ones(5, int)])
def test_rows_of_one_class_have_no_section(y):
    assert threshold_sections(binary(y, np.linspace(0, 1, 5)), "") == []


def test_several_labels_have_a_section_each_and_several_classes_none():
    y = np.stack([Y, 1 - Y, np.zeros_like(Y)], axis=1)
    labels = Predictions("multilabel", "t", ("a", "b", "c"), y, np.stack([P, 1 - P, P], axis=1))
    assert [section.title for section in threshold_sections(labels, "")] == [
        "Decision threshold: a", "Decision threshold: b",
    ]  # fmt: skip
    three = Predictions("multiclass", "t", ("a", "b", "c"), Y, np.full((500, 3), 1 / 3))
    assert threshold_sections(three, "") == []
