"""Findings about data and outputs: unscaled inputs and targets, labels that look wrong, outputs that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.explain.diagnosis.evidence import Evidence, one_hot
from clearprop.explain.diagnosis.findings import Finding
from clearprop.losses import BinaryCrossEntropy, CrossEntropy, PointwiseLoss

LARGE = 30.0  #: typical size of an input or target above which rates and starting weights no longer suit
SMALL = 1e-3  #: and below which a column is hardly heard beside one of size 1
STUCK = 0.02  #: spread of the outputs over the rows, against that of the targets
PRIOR = 0.98  #: share of the cost of a constant
SURE = 0.02  #: probability given to a label that the network holds for wrong
FAR = 25.0  #: residuals this many times the typical one
LEARNT = 0.5  #: below this share of a constant's cost a network may judge labels
WORSE, ROWS_TO_JUDGE = 1.05, 20  #: times the cost of a constant, on at least so many rows, is worse than saying nothing
SHARE, LEAST = 0.015, 3  #: so many rows must look wrong, that the network's own errors are not taken for it


def scales(evidence: Evidence, columns: tuple[str, ...]) -> Iterator[Finding]:
    """Columns far larger or smaller than 1, and targets far larger."""
    X = evidence.trace.X.astype(np.float64)
    size, spread = np.sqrt(np.mean(X * X, axis=0)), X.std(axis=0)
    filled = (X != 0).mean(axis=0) > 0.5
    large = np.flatnonzero(size > LARGE)
    small = np.flatnonzero((size < SMALL * size.max()) & (spread > 0) & filled & (size < SMALL))
    if len(large) or len(small):
        said = [f"{columns[i]} has typical size {size[i]:.3g}" for i in [*large[:3], *small[:2]]]
        more = len(large) + len(small) - len(said)
        words = f"{', '.join(said)}{f' and {more} more are off' if more else ''}; what suits the weights is about 1."
        advice = "Standardize the columns: (X - X.mean(axis=0)) / X.std(axis=0), with the numbers of the training rows."
        where = tuple(columns[i] for i in [*large, *small])
        yield Finding(
            "unscaled inputs", "warning", words[0].upper() + words[1:], advice, where, {"largest": size.max()}
        )
    for name, y in evidence.objective.targets.items():
        loss = evidence.objective.losses[name]
        if not isinstance(loss, PointwiseLoss) or loss.partner is not None or evidence.left < LEARNT:
            continue
        typical = float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))
        if typical > LARGE:
            words = (
                f"The targets of {name} have typical size {typical:.3g}, and the cost is still {evidence.left:.0%} of "
            )
            words += "that of a constant."
            advice = "Train on (y - y.mean()) / y.std(), and turn predictions back."
            yield Finding("unscaled targets", "warning", words, advice, (name,), {"typical": typical})


def stuck(evidence: Evidence) -> Iterator[Finding]:
    """Outputs that are the same for every row, at the cost of a constant."""
    for name, loss in evidence.objective.losses.items():
        yhat = evidence.yhat[name].astype(np.float64)
        y = one_hot(evidence.objective.targets[name], yhat)
        spread, wanted = float(np.sqrt(yhat.var(axis=0).sum())), float(np.sqrt(y.var(axis=0).sum()))
        if wanted == 0 or len(y) < 2:
            continue
        if spread <= STUCK * wanted and evidence.left > PRIOR:
            words = (
                f"{name} says nearly the same for every row: its spread is {spread:.2g} where that of the targets is "
                f"{wanted:.2g}, and the cost {evidence.cost:.4g} is no better than {evidence.prior[name]:.4g}, that of "
                f"a constant ({loss.name})."
            )
            advice = "Look for dead or saturated units and for a rate too high or low; else the inputs may not tell."
            numbers = {"spread": spread, "of the targets": wanted, "cost": evidence.cost}
            yield Finding("outputs stuck at the prior", "serious", words, advice, (name,), numbers)


def worse(evidence: Evidence) -> Iterator[Finding]:
    """A trained network that costs more than a constant."""
    constant = sum(evidence.prior.values())
    if evidence.objective.samples < ROWS_TO_JUDGE or not WORSE < evidence.left < np.inf:
        return
    words = (
        f"The cost of these {evidence.objective.samples:,} rows is {evidence.cost:.4g}, and saying the same for every "
        f"row would cost {constant:.4g}."
    )
    advice = (
        "If the cost of the training rows is low, too much was learnt by heart: fewer units or epochs, dropout, l2. "
        "If it is high too: more epochs, or another rate."
    )
    yield Finding(
        "worse than a constant", "serious", words, advice, (), {"cost": evidence.cost, "of a constant": constant}
    )


def labels(evidence: Evidence) -> Iterator[Finding]:
    """Rows whose label the network contradicts surely, or whose target is far off, with their leverage."""
    if len(evidence.objective.losses) > 1:
        return
    (name, loss), *_ = evidence.objective.losses.items()
    yhat = evidence.yhat[name].astype(np.float64)
    y = one_hot(evidence.objective.targets[name], yhat)
    if isinstance(loss, (CrossEntropy, BinaryCrossEntropy)):
        given = (y * yhat).sum(axis=1) if isinstance(loss, CrossEntropy) else 1 - np.abs(yhat - y).max(axis=1)
        odd = np.flatnonzero(given < SURE)
        least = max(LEAST, SHARE * len(y))
        seen = f"gives their labels a probability below {SURE:.0%}"
    else:
        distance = np.abs(yhat - y).max(axis=1)
        typical = float(np.median(distance))
        odd = np.flatnonzero(distance > FAR * max(typical, 1e-3 * y.std())) if len(y) >= 20 else np.array([], int)
        least, seen = 1, f"is more than {FAR:g} times as far off as usual ({typical:.3g})"
    learnt = _typical_left(yhat, y) < LEARNT  # by typical rows, for a few wrong ones can make most of the cost
    if len(odd) < least or not learnt:
        return
    odd = odd[np.argsort(-evidence.losses[odd], kind="stable")]
    total = float(evidence.losses.sum())
    share = float(evidence.losses[odd].sum()) / total if total else 0.0
    rows = ", ".join(f"{n} (loss {evidence.losses[n]:.3g})" for n in odd[:8])
    words = f"On {len(odd)} of {len(y):,} rows the network {seen}; they make {share:.0%} of the cost"
    words += f"{_pull(evidence, odd)}. The worst are rows {rows}."
    advice = "Look at these rows: mend or remove labels that are wrong, and keep those that are merely hard."
    numbers = {"rows": float(len(odd)), "share of the cost": share, "worst row": float(odd[0])}
    where = tuple(str(n) for n in odd[:100])
    yield Finding("labels that look wrong", "hint", words, advice, where, numbers)


def _typical_left(yhat: np.ndarray, y: np.ndarray) -> float:
    """The typical distance of outputs from targets, against that of a constant."""
    apart = np.abs(yhat - y).max(axis=1)
    constant = np.abs(y - (np.median(y, axis=0) if y.shape[1] == 1 and len(np.unique(y)) > 2 else y.mean(axis=0)))
    return float(np.median(apart) / max(float(np.median(constant.max(axis=1))), 1e-300))


def _pull(evidence: Evidence, odd: np.ndarray) -> str:
    """The leverage of these rows, where the trace holds them all."""
    if len(evidence.rows) < evidence.objective.samples:
        return ""
    leverage = float(evidence.trace.per_sample.leverage[odd].sum())
    return f" and {leverage:.0%} of the pull on the parameters"
