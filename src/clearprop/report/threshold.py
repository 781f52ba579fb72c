"""The section on the decision threshold: ROC, precision and recall, with a slider where scripts run."""

from __future__ import annotations

import json

import numpy as np
from markupsafe import Markup
from sklearn.metrics import average_precision_score, roc_auc_score

from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.probability_charts import threshold_curve
from clearprop.draw.svg import element, number, percent, shorten
from clearprop.model.predictions import Predictions
from clearprop.report.section import quoted, section, titled
from clearprop.report.statistics import Thresholds, thresholds

#: Of several labels, these many have a section of their own.
_LABELS_SHOWN = 3


def threshold_sections(predictions: Predictions, of: str) -> list[Section]:
    """A section for two classes, and one for each of the first labels; none without rows of both kinds."""
    if predictions.task == "binary":
        made = [_section(predictions.labels[1], predictions.labels, predictions.y, predictions.yhat[:, 1], of)]
    elif predictions.task == "multilabel":
        made = [
            _section(label, ("no", "yes"), predictions.y[:, i], predictions.yhat[:, i], label)
            for i, label in enumerate(predictions.labels[:_LABELS_SHOWN])
        ]
    else:
        return []
    return [each for each in made if each is not None]


def _section(positive: str, labels: tuple[str, ...], y: np.ndarray, p: np.ndarray, of: str) -> Section | None:
    if len(np.unique(y)) < 2 or not np.isfinite(p).all():
        return None
    found = thresholds(y, p)
    share, name = found.positive / len(y), shorten(positive, 120)
    ends = np.r_[1.0, found.false_positive_rate, 0.0], np.r_[1.0, found.recall, 0.0]
    roc = threshold_curve(
        "ROC curve", *ends, ("false positive rate", "true positive rate"), (0.0, 1.0), found.half + 1
    )  # fmt: skip
    pr = threshold_curve(
        "Precision-recall curve", found.recall, found.precision, ("recall", "precision"), (share, share), found.half
    )
    note = "Dashed: a prediction that ignores the inputs. The mark is the threshold"
    figures = [
        Figure("ROC curve", (roc,), f"{note}.", size="third"),
        Figure("Precision and recall", (pr,), f"{note}; positive is “{name}”.", size="third"),
        _panel(found, labels),
    ]
    scores = (float(roc_auc_score(y, p)), float(average_precision_score(y, p)))
    return section(titled("Decision threshold", of), read_threshold(found, scores, positive), figures)


def read_threshold(found: Thresholds, scores: tuple[float, float], positive: str) -> str:
    """The area under the ROC curve and the average precision, and what the threshold of 0.5 gives."""
    auc, average = scores
    share = found.positive / (found.positive + found.negative)
    recall, precision = float(found.recall[found.half]), float(found.precision[found.half])
    if np.isnan(precision):
        at_half = f"no row is predicted as {quoted(positive)}: its probability is never above 50%"
    else:
        at_half = (
            f"{percent(recall)} of {quoted(positive)} are found, and {percent(precision)} of those predicted are right"
        )
    return (
        f"ROC AUC {number(auc, 4)} (0.5 by chance), average precision {number(average)} ({number(share)} by chance). "
        f"At the threshold 0.5, {at_half}."
    )


def _panel(found: Thresholds, labels: tuple[str, ...]) -> Markup:
    """The numbers at the threshold 0.5; the script of the page shows the slider and moves them."""
    data = {
        "at": [round(float(t), 4) for t in found.at],
        "tp": found.tp.tolist(),
        "fp": found.fp.tolist(),
        "positive": found.positive,
        "negative": found.negative,
    }
    tp, fp = int(found.tp[found.half]), int(found.fp[found.half])
    fn, tn = found.positive - tp, found.negative - fp
    precision, recall = (float(values[found.half]) for values in (found.precision, found.recall))
    shown = {
        "precision": percent(precision),
        "recall": percent(recall),
        "F1": percent(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else "–",
        "accuracy": percent((tp + tn) / (found.positive + found.negative)),
    }
    slider = element(
        "input", type="range", min="0", max=str(len(found.at) - 1), value=str(found.half), aria_label="threshold"
    )
    costs = [
        element("label", f"cost of a false {kind} ", element("input", type="number", min="0", step="any", value="1",
                                                            class_=kind))
        for kind in ("positive", "negative")
    ]  # fmt: skip
    caption = element("figcaption", element("strong", "Threshold ", element("output", "0.5", data_shows="at")),
                      element("span", "Rows with a higher probability are predicted as positive."))  # fmt: skip
    return element(
        "figure", caption, element("div", slider, class_="scripted"),
        _matrix(labels, tp, fn, fp, tn), _numbers(shown),
        element("div", *costs, element("p", "Cost of all rows: ", element("output", f"{fp + fn:,}", data_shows="cost"),
                                       element("span", "", data_shows="cheapest")), class_="scripted costs"),
        class_="third threshold", data_thresholds=json.dumps(data, separators=(",", ":")),
    )  # fmt: skip


def _matrix(labels: tuple[str, ...], tp: int, fn: int, fp: int, tn: int) -> Markup:
    """The confusion matrix of two classes as a table."""
    yes, no = (shorten(labels[i], 90) for i in (1, 0))

    def row(true: str, *cells: tuple[str, int, str]) -> Markup:
        shown = [element("td", element("output", f"{count:,}", data_shows=name), class_=class_)
                 for name, count, class_ in cells]  # fmt: skip
        return element("tr", element("th", f"true {true}", scope="row"), *shown)

    head = [element("th", text, scope="col", class_="n") for text in (f"predicted {yes}", f"predicted {no}")]
    body = [row(yes, ("tp", tp, "n"), ("fn", fn, "n bad")), row(no, ("fp", fp, "n bad"), ("tn", tn, "n"))]
    return element("table", element("thead", element("tr", element("th", ""), *head)), element("tbody", *body))


def _numbers(shown: dict[str, str]) -> Markup:
    pairs = [
        element("div", element("dt", name), element("dd", element("output", value, data_shows=name)))
        for name, value in shown.items()
    ]
    return element("dl", *pairs, class_="details")
