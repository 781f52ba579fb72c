"""Rows whose label or target looks wrong, judged by a network that has learned the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import bdtrc

from clearprop.core.objective import unreachable_targets
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import Finding, check
from clearprop.explain.diagnosis.learning import classes_of, overfits

KNOWN = 0.7  #: share of the rows of a class, and of what accuracy can gain, that the network must get right
#: Share of the mistakes that the surer half of the rows has if labels are right, per share of mistakes.
DECAY = 0.5
LEAST, MOST = 3, 0.2  #: number, and share of the surer half, of mistakes that are reported
CERTAIN = 0.005  #: probability of so many mistakes if the labels are right
FAR = 10.0  #: a target looks wrong if its residual is this many times the typical one, and apart from the others
APART = 2.0  #: ratio of the residuals at both sides of a gap
TAIL = 0.12  #: share of the rows that can have such residuals
ISOLATED = 1e-9  #: probability of such a gap before them
ALONE = 10.0  #: a target is alone if it is this many times as far from the median as any other
CHANCE = 1e-3  #: and if the tail of the others makes that less probable than this
FOLLOWS = 0.25  #: correlation of outputs and targets on the other rows


@check("labels-that-look-wrong", "hint")
def labels(evidence: Evidence) -> Iterator[Finding]:
    """Rows whose label the network contradicts where it is sure, or whose target is far off."""
    if len(evidence.objective.losses) > 1 or overfits(evidence) or any(unreachable_targets(evidence.objective)):
        return
    classes = classes_of(evidence)
    odd, reason = _labels(evidence, *classes) if classes is not None else _targets(evidence)
    if not len(odd):
        return
    odd = odd[np.argsort(-evidence.losses[odd], kind="stable")]
    total = float(evidence.weight @ evidence.losses)
    share = float(evidence.weight[odd] @ evidence.losses[odd]) / total if total else 0.0
    number = evidence.row_numbers
    rows = ", ".join(f"{number[n]} (loss {evidence.losses[n]:.3g})" for n in odd[:8])
    words = f"On {len(odd)} of {evidence.samples:,} rows the network {reason}; they contribute {share:.0%} of the cost"
    words += f"{_pull(evidence, odd)}. The worst are rows {rows}."
    advice = "Look at these rows: correct or remove wrong labels, and keep those that are only difficult."
    numbers = {"rows": float(len(odd)), "share of the cost": share, "worst row": float(number[odd[0]])}
    yield Finding(words, advice, tuple(str(number[n]) for n in odd[:100]), numbers)


def _labels(evidence: Evidence, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, str]:
    """Rows among the surer half that the network contradicts, if its mistakes hardly get rarer as it gets surer.

    Where labels are right, mistakes are rare where the network is sure. A label that was exchanged does not depend on
    the inputs, so that it is as frequent there.
    """
    none, reason = np.array([], int), "is sure of another class"
    counted = np.flatnonzero(evidence.weight > 0)
    y, p = y[counted], p[counted]
    wrong = p.argmax(axis=1) != y
    sizes = np.bincount(y, minlength=p.shape[1])
    recall = np.bincount(y, weights=~wrong, minlength=p.shape[1]) / np.maximum(sizes, 1)
    majority = sizes.max() / len(y)
    missed = float(wrong.mean()) / (1 - majority) if majority < 1 else 1.0  # of what accuracy can gain
    if 1 - missed < KNOWN:
        return none, reason
    order = np.argsort(-p.max(axis=1), kind="stable")
    sure = order[: len(y) // 2]
    mistakes, all_mistakes = int(wrong[sure].sum()), int(wrong.sum())
    # the probability of at least so many mistakes in the surer half
    chance = bdtrc(mistakes - 1, all_mistakes, DECAY * missed) if mistakes > 0 else 1.0
    if mistakes < LEAST or mistakes > MOST * len(sure) or chance > CERTAIN:
        return none, reason
    third = order[len(y) // 2 : 3 * len(y) // 4]
    shown = order[: 3 * len(y) // 4] if int(wrong[third].sum()) <= mistakes else sure
    return counted[shown[wrong[shown] & (recall[y[shown]] >= KNOWN)]], reason


def _targets(evidence: Evidence) -> tuple[np.ndarray, str]:
    """Rows whose residuals are apart from those of all others, by more than the tail of those leads to expect."""
    (name, y), *_ = evidence.targets.items()
    counted = np.flatnonzero(evidence.weight > 0)
    y, yhat = y[counted], evidence.yhat[name].astype(np.float64)[counted]
    distance, none = np.abs(yhat - y).max(axis=1), np.array([], int)
    typical = float(np.median(distance))
    large = f"has an error more than {FAR:g} times the typical one ({typical:.3g})"
    reason = f"{large}, and far above all others"
    n = len(counted)
    if n < 20:
        return none, reason
    order = np.argsort(-distance, kind="stable")
    r = np.maximum(distance[order], 1e-3 * typical + 1e-300)
    single = _single_targets(y, distance, typical)
    if len(single):
        return counted[single], f"{large}, and a target far from all others"
    for k in range(int(TAIL * n), 0, -1):  # of several such gaps, the lowest
        gap = float(np.log(r[k - 1] / r[k]))
        if r[k - 1] < FAR * typical or gap < np.log(APART):
            continue
        if gap * k > -np.log(ISOLATED) * _tail(r, k):
            odd, others = order[:k], order[k:]
            return (
                counted[odd] if _stands_in(y[odd], y[others]) or _follows(yhat[others], y[others]) else none
            ), reason
    return none, reason


def _single_targets(y: np.ndarray, distance: np.ndarray, typical: float) -> np.ndarray:
    """Up to `LEAST` rows with a target alone, far from all others, whose residual is large as well.

    One mistyped target also moves the outputs of its neighbours, so that its residual alone is not apart from theirs.
    """
    away = np.abs(y - np.median(y, axis=0)).max(axis=1)
    order = np.argsort(-away, kind="stable")
    if not np.median(away):  # mostly one number, so that any other is far from it
        return np.array([], int)
    r = np.maximum(away[order], 1e-300)
    for k in range(1, LEAST + 1):
        apart = r[k - 1] >= ALONE * r[k] and np.log(r[k - 1] / r[k]) > -np.log(CHANCE) * _tail(r, k)
        if apart and (distance[order[:k]] >= FAR * typical).all():
            return order[:k]
    return np.array([], int)


def _tail(r: np.ndarray, k: int) -> float:
    """Hill's estimate from the values after the first k of falling ones: r^(-1 / tail) is the share beyond r."""
    below = r[k : k + max(10, len(r) // 20)]
    return float(np.log(below / below[-1]).mean())


def _stands_in(odd: np.ndarray, others: np.ndarray) -> bool:
    """Whether one number, repeated, stands for something else among numbers that vary, such as -999 for missing."""
    return len(odd) >= LEAST and np.ptp(odd) == 0 and len(np.unique(others)) > len(others) / 2


def _follows(yhat: np.ndarray, y: np.ndarray) -> bool:
    """Whether the outputs have learned something about these targets."""
    A, B = yhat - yhat.mean(axis=0), y - y.mean(axis=0)
    scale = float(np.sqrt((A * A).sum() * (B * B).sum()))
    return scale > 0 and float((A * B).sum()) > FOLLOWS * scale


def _pull(evidence: Evidence, odd: np.ndarray) -> str:
    """The leverage of these rows, if the trace has all rows."""
    if len(evidence.rows) < evidence.samples:
        return ""
    leverage = float(evidence.trace.per_sample.leverage[odd].sum())
    return f" and {leverage:.0%} of the gradient of the parameters"
