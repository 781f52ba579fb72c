"""Checks of data and outputs: unscaled inputs and targets, suspicious labels, uninformative outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.explain.diagnosis.evidence import Evidence, one_hot
from clearprop.explain.diagnosis.findings import Finding
from clearprop.losses import BinaryCrossEntropy, CrossEntropy, PointwiseLoss

LARGE = (
    30.0  #: typical size of an input or target above which usual learning rates and initial weights do not work well
)
SMALL = 1e-3  #: typical size below which a column has little effect next to one of size 1
STUCK = 0.02  #: standard deviation of the outputs over the rows, relative to that of the targets
PRIOR = 0.98  #: cost relative to that of a constant output
SURE = 0.02  #: predicted probability of a label below which it looks wrong
FAR = 25.0  #: a target looks wrong if its residual is this many times the typical one
LEARNED = 0.5  #: cost relative to that of a constant below which the network has learned enough to check labels
WORSE, ROWS_TO_JUDGE = 1.05, 20  #: cost relative to that of a constant, and rows required, to be worse than a constant
SHARE, LEAST = 0.015, 3  #: fraction and number of rows that must look wrong, beyond the network's own errors


def scales(evidence: Evidence, columns: tuple[str, ...]) -> Iterator[Finding]:
    """Columns much larger or smaller than 1, and targets much larger."""
    X = evidence.trace.X.astype(np.float64)
    size, spread = np.sqrt(np.mean(X * X, axis=0)), X.std(axis=0)
    filled = (X != 0).mean(axis=0) > 0.5
    large = np.flatnonzero(size > LARGE)
    small = np.flatnonzero((size < SMALL * size.max()) & (spread > 0) & filled & (size < SMALL))
    if len(large) or len(small):
        descriptions = [f"{columns[i]} has typical size {size[i]:.3g}" for i in [*large[:3], *small[:2]]]
        more = len(large) + len(small) - len(descriptions)
        words = f"{', '.join(descriptions)}{f', and {more} more' if more else ''}; a size of about 1 works best."
        advice = (
            "Standardize the columns: (X - X.mean(axis=0)) / X.std(axis=0), with mean and std of the training rows."
        )
        where = tuple(columns[i] for i in [*large, *small])
        yield Finding(
            "unscaled inputs", "warning", words[0].upper() + words[1:], advice, where, {"largest": size.max()}
        )
    for name, y in evidence.objective.targets.items():
        loss = evidence.objective.losses[name]
        if not isinstance(loss, PointwiseLoss) or loss.partner is not None or evidence.relative_cost < LEARNED:
            continue
        typical = float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))
        if typical > LARGE:
            words = f"The targets of {name} have typical size {typical:.3g}, and the cost is still "
            words += f"{evidence.relative_cost:.0%} of that of a constant."
            advice = "Train on (y - y.mean()) / y.std(), and invert this for the predictions."
            yield Finding("unscaled targets", "warning", words, advice, (name,), {"typical": typical})


def stuck(evidence: Evidence) -> Iterator[Finding]:
    """Outputs that are nearly the same for every row, and no better than a constant."""
    for name, loss in evidence.objective.losses.items():
        yhat = evidence.yhat[name].astype(np.float64)
        y = one_hot(evidence.objective.targets[name], yhat)
        spread, wanted = float(np.sqrt(yhat.var(axis=0).sum())), float(np.sqrt(y.var(axis=0).sum()))
        if wanted == 0 or len(y) < 2:
            continue
        if spread <= STUCK * wanted and evidence.relative_cost > PRIOR:
            words = (
                f"{name} is nearly the same for every row: its standard deviation is {spread:.2g}, that of the targets "
                f"{wanted:.2g}, and the cost {evidence.cost:.4g} is no better than {evidence.prior[name]:.4g}, that of "
                f"a constant ({loss.name})."
            )
            advice = (
                "Check for dead or saturated units and the learning rate; or the inputs may contain no information."
            )
            numbers = {"spread": spread, "of the targets": wanted, "cost": evidence.cost}
            yield Finding("outputs stuck at the prior", "serious", words, advice, (name,), numbers)


def worse(evidence: Evidence) -> Iterator[Finding]:
    """A trained network with a higher cost than a constant."""
    constant = sum(evidence.prior.values())
    if evidence.objective.samples < ROWS_TO_JUDGE or not WORSE < evidence.relative_cost < np.inf:
        return
    words = (
        f"The cost of these {evidence.objective.samples:,} rows is {evidence.cost:.4g}, and that of the best constant "
        f"output is {constant:.4g}."
    )
    advice = (
        "If the cost of the training rows is low, the network overfits: use fewer units or epochs, dropout or a "
        "penalty. If it is high too: more epochs, or another learning rate."
    )
    yield Finding(
        "worse than a constant", "serious", words, advice, (), {"cost": evidence.cost, "of a constant": constant}
    )


def labels(evidence: Evidence) -> Iterator[Finding]:
    """Rows whose label the network clearly contradicts, or whose target is far off, with their leverage."""
    if len(evidence.objective.losses) > 1:
        return
    (name, loss), *_ = evidence.objective.losses.items()
    yhat = evidence.yhat[name].astype(np.float64)
    y = one_hot(evidence.objective.targets[name], yhat)
    if isinstance(loss, (CrossEntropy, BinaryCrossEntropy)):
        probability = (y * yhat).sum(axis=1) if isinstance(loss, CrossEntropy) else 1 - np.abs(yhat - y).max(axis=1)
        odd = np.flatnonzero(probability < SURE)
        least = max(LEAST, SHARE * len(y))
        reason = f"gives their labels a probability below {SURE:.0%}"
    else:
        distance = np.abs(yhat - y).max(axis=1)
        typical = float(np.median(distance))
        odd = np.flatnonzero(distance > FAR * max(typical, 1e-3 * y.std())) if len(y) >= 20 else np.array([], int)
        least, reason = 1, f"has an error more than {FAR:g} times the typical one ({typical:.3g})"
    learned = _typical_error(yhat, y) < LEARNED  # of typical rows, because a few wrong ones can dominate the cost
    if len(odd) < least or not learned:
        return
    odd = odd[np.argsort(-evidence.losses[odd], kind="stable")]
    total = float(evidence.losses.sum())
    share = float(evidence.losses[odd].sum()) / total if total else 0.0
    rows = ", ".join(f"{n} (loss {evidence.losses[n]:.3g})" for n in odd[:8])
    words = f"On {len(odd)} of {len(y):,} rows the network {reason}; they contribute {share:.0%} of the cost"
    words += f"{_pull(evidence, odd)}. The worst are rows {rows}."
    advice = "Look at these rows: correct or remove wrong labels, and keep those that are only difficult."
    numbers = {"rows": float(len(odd)), "share of the cost": share, "worst row": float(odd[0])}
    where = tuple(str(n) for n in odd[:100])
    yield Finding("labels that look wrong", "hint", words, advice, where, numbers)


def _typical_error(yhat: np.ndarray, y: np.ndarray) -> float:
    """The typical distance of outputs from targets, relative to that of a constant."""
    distance = np.abs(yhat - y).max(axis=1)
    constant = np.abs(y - (np.median(y, axis=0) if y.shape[1] == 1 and len(np.unique(y)) > 2 else y.mean(axis=0)))
    return float(np.median(distance) / max(float(np.median(constant.max(axis=1))), 1e-300))


def _pull(evidence: Evidence, odd: np.ndarray) -> str:
    """The leverage of these rows, if the trace has all rows."""
    if len(evidence.rows) < evidence.objective.samples:
        return ""
    leverage = float(evidence.trace.per_sample.leverage[odd].sum())
    return f" and {leverage:.0%} of the gradient of the parameters"
