"""Checks of what was learned: against a constant, on the training rows and on rows that training did not see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.explain.diagnosis.evidence import LEARNED, PRIOR, Evidence, typical
from clearprop.explain.diagnosis.findings import Finding, check
from clearprop.losses import BinaryCrossEntropy, CrossEntropy

STUCK = 0.02  #: standard deviation of the outputs over the rows, relative to that of the targets
SAME = 1e-6  #: typical gradient of the weights, relative to the delta of the output
WORSE, ROWS_TO_JUDGE = 1.05, 20  #: cost relative to that of a constant, and rows required, to be worse than a constant
CERTAIN = 3.0  #: standard errors
#: Overfitting: the validation cost relative to its lowest, its rise relative to the cost of a constant, and the
#: training cost relative to the validation cost. One of these must be reached.
OVERFIT = (1.25, 0.2, 0.5), (1.15, 0.1, 0.1), (1.05, 0.02, 0.02)
GAP = 0.7  #: training cost relative to a constant below which the training rows were learned
STRETCH, ALIKE = 32, 0.3  #: rows in a stretch; variance of the mean targets of stretches relative to that of targets
OTHERS = 10  #: rows of other classes required to judge how many are recognized
MAJORITY, RECOGNIZED = 0.9, 0.1  #: share of the most frequent class; share of the other rows that must be recognized


@check("imbalanced-classes", "warning", needs=("history",))
def imbalanced_classes(evidence: Evidence) -> Iterator[Finding]:
    """A class that most rows have, and a network that answers little else; with class weights, both are weighted."""
    if not evidence.is_trained or len(evidence.objective.losses) > 1:
        return
    classes = classes_of(evidence)
    if classes is None:
        return
    y, p = classes
    counted = evidence.weight > 0
    shares = np.bincount(y, weights=evidence.weight, minlength=p.shape[1])
    most = int(shares.argmax())
    others = (y != most) & counted
    if shares[most] < MAJORITY or others.sum() < OTHERS:
        return
    right = p.argmax(axis=1) == y
    recall = float(evidence.weight[others] @ right[others] / evidence.weight[others].sum())
    if recall > RECOGNIZED:
        return
    words = (
        f"{shares[most]:.1%} of the rows are of class {most}. The network is right on {evidence.weight @ right:.1%} of "
    )
    words += (
        f"the rows, and recognizes {int(right[others].sum()):,} of the {int(others.sum()):,} rows of other classes."
    )
    advice = (
        "Judge it by balanced accuracy or ROC AUC instead of accuracy; give rare classes a larger sample_weight, or "
    )
    advice += "lower the probability from which the rare class is predicted."
    yield Finding(words, advice, (str(most),), {"share": shares[most], "recall": recall})


@check("outputs-stuck-at-the-prior", "serious")
def outputs_stuck(evidence: Evidence) -> Iterator[Finding]:
    """Outputs that are nearly the same for every row; before training, only if no weight has a gradient either."""
    for name, loss in evidence.objective.losses.items():
        spread, wanted = outputs_spread(evidence, name)
        if wanted == 0 or evidence.samples < 2 or spread > STUCK * wanted or evidence.relative_cost <= PRIOR:
            continue
        if not evidence.is_trained and typical(evidence.trace.gradients.penalized) > SAME * typical(
            evidence.trace[name].delta
        ):
            continue  # the weights can still learn
        words = (
            f"{name} is nearly the same for every row: its standard deviation is {spread:.2g}, that of the targets "
            f"{wanted:.2g}, and the cost {evidence.cost:.4g} is no better than {evidence.prior[name]:.4g}, that of a "
            f"constant ({loss.name})."
        )
        advice = "Check for dead or saturated units"
        advice += " and the learning rate" if evidence.has_rate else " and for weights that are 0"
        advice += "; or the inputs may contain no information about the targets."
        yield Finding(words, advice, (name,), {"spread": spread, "of the targets": wanted, "cost": evidence.cost})


def outputs_spread(evidence: Evidence, name: str) -> tuple[float, float]:
    """The standard deviations of the outputs and of the targets over the rows."""
    spreads = (
        float(np.sqrt((evidence.weight @ (values - evidence.weight @ values) ** 2).sum()))
        for values in (evidence.yhat[name].astype(np.float64), evidence.targets[name])
    )
    return next(spreads), next(spreads)


@check("nothing-learned", "serious", needs=("history",))
def nothing_learned(evidence: Evidence) -> Iterator[Finding]:
    """After training, outputs that vary but predict no better than a constant, on these or on validation rows."""
    if not evidence.is_trained or evidence.constant_cost == 0 or any(outputs_stuck(evidence)):
        return
    words = _no_better(evidence) or _nothing_carries_over(evidence)
    if words:
        advice = "Check that each row of X belongs to its row of y, and that the inputs can tell something about the "
        advice += "targets. If they do: train longer, with another learning rate, or with more units."
        yield Finding(words, advice, (), {"cost": evidence.cost, "of a constant": evidence.constant_cost})


def _no_better(evidence: Evidence) -> str:
    few = evidence.samples < ROWS_TO_JUDGE
    if evidence.relative_cost < PRIOR or (evidence.relative_cost > WORSE and not few):
        return ""
    if _gained(evidence) or _ranks(evidence):
        return ""
    return (
        f"After {evidence.recorded.epochs} epochs the cost of these rows is {evidence.cost:.4g}, and that of the best "
        f"constant output is {evidence.constant_cost:.4g}: the outputs vary, but not with the targets."
    )


def _ranks(evidence: Evidence) -> bool:
    """Whether the order of the outputs is that of the targets, which a few large targets can hide from the cost."""
    from scipy.stats import spearmanr  # takes a moment to load

    (name, y), *others = evidence.targets.items()
    if others or y.shape[1] > 1 or np.ptp(y) == 0 or np.ptp(evidence.yhat[name]) == 0:
        return False
    counted = evidence.weight > 0
    r = float(spearmanr(y[counted, 0], evidence.yhat[name][counted, 0]).statistic)  # type: ignore[union-attr]
    degrees = int(counted.sum()) - 2
    chance = evidence.net.parameter_count / evidence.samples
    return degrees > 0 and r > 0.1 and r * r * degrees > CERTAIN**2 * 2 + chance * degrees


def _nothing_carries_over(evidence: Evidence) -> str:
    if not evidence.are_training_rows or (evidence.relative_cost > GAP and _gained(evidence)):
        return ""
    if evidence.validation_course is not None and evidence.recorded.best_epoch is None:
        v, (constant, uncertain) = evidence.validation_course, evidence.validation_constant
        lowest, last = float(v.min()), float(v[-1])
    elif evidence.validation is not None and evidence.validation_costs is not None:
        (last, constant), uncertain = evidence.validation_costs, evidence.validation.objective.samples**-0.5
        lowest = last
    else:
        return ""
    if lowest < PRIOR * constant or last < (PRIOR + uncertain) * constant:
        return ""
    return (
        f"The cost of the validation rows was {lowest:.4g} at its lowest and {last:.4g} at the end, and that of a "
        f"constant output is {constant:.4g}: nothing that carries over to other rows was learned."
    )


def _gained(evidence: Evidence) -> bool:
    """Whether the cost is further below that of a constant than fitting noise would bring it."""
    mean, error = evidence.gain
    chance = evidence.constant_cost * evidence.net.parameter_count / evidence.samples
    return mean - chance > CERTAIN * error > 0


@check("overfitting", "warning", needs=("history",))
def overfitting(evidence: Evidence) -> Iterator[Finding]:
    """A validation cost far above its lowest or that of a constant, beside a low training cost."""
    words = overfits(evidence)
    if words:
        advice = (
            "Stop at the best epoch (stopping=cp.EarlyStopping()), or use fewer units, dropout, a penalty or more rows."
        )
        yield Finding(words, advice, (), {"cost": evidence.cost, "of a constant": evidence.constant_cost})


def overfits(evidence: Evidence) -> str:
    """How rows that training did not see show that the training rows were learned by heart; empty if they do not."""
    if not evidence.is_trained or "diverged" in evidence.recorded.unfinished:
        return ""
    last = len(evidence.course) - max(1, len(evidence.course) // 10)
    trained = float(np.median(evidence.course[last:]))
    if evidence.validation_course is not None and evidence.recorded.best_epoch is None:
        v, (constant, uncertain) = evidence.validation_course, evidence.validation_constant
        end, best = float(np.median(v[last:])), int(v.argmin())
        risen = any(
            end > times * v[best] and end - v[best] > rise * constant and trained < low * end
            for times, rise, low in OVERFIT
        )
        if risen or (end > (PRIOR + uncertain) * constant and trained < GAP * constant):
            return (
                f"The training rows were learned by heart: their cost fell to {trained:.4g}, while the validation cost "
                f"was lowest in epoch {best + 1} ({v[best]:.4g}) and ended at {end:.4g}."
            )
    if evidence.validation_costs is not None:
        cost, constant = evidence.validation_costs
        if cost > PRIOR * constant and evidence.relative_cost < GAP:
            return _by_heart(evidence.cost, "the validation rows", cost, constant)
    if evidence.samples >= ROWS_TO_JUDGE and not evidence.are_training_rows and trained < LEARNED * evidence.cost:
        worse = evidence.relative_cost > PRIOR and evidence.gain[0] < CERTAIN * evidence.gain[1]
        return _by_heart(trained, "these rows", evidence.cost, evidence.constant_cost) if worse else ""
    return ""


def _by_heart(trained: float, rows: str, cost: float, constant: float) -> str:
    return (
        f"What was learned does not hold for other rows: the cost of the training rows is {trained:.4g}, that of "
        f"{rows} {cost:.4g}, and that of a constant output {constant:.4g}."
    )


@check("worse-than-a-constant", "serious", needs=("history",))
def worse_than_a_constant(evidence: Evidence) -> Iterator[Finding]:
    """A trained network with a higher cost than a constant."""
    mean, error = evidence.gain
    if evidence.samples < ROWS_TO_JUDGE or not evidence.is_trained or not WORSE < evidence.relative_cost < np.inf:
        return
    if -mean < CERTAIN * error:  # a few rows make the difference
        return
    words = (
        f"The cost of these {evidence.samples:,} rows is {evidence.cost:.4g}, and that of the best constant output is "
    )
    words += f"{evidence.constant_cost:.4g}."
    advice = "Use fewer units or epochs, dropout or a penalty." if overfits(evidence) else "Train for more epochs"
    advice += "" if overfits(evidence) else (", or with another learning rate." if evidence.has_rate else ".")
    numbers = {"cost": evidence.cost, "of a constant": evidence.constant_cost}
    yield Finding(words, advice, (), numbers)


def trained_in_order(evidence: Evidence) -> bool:
    """Whether rows whose neighbours have similar targets were trained on without shuffling."""
    if (
        not evidence.are_training_rows
        or evidence.recorded.facts.shuffled is not False
        or evidence.samples < ROWS_TO_JUDGE
    ):
        return False
    from scipy.stats import rankdata  # takes a moment to load

    length = max(2, min(STRETCH, evidence.samples // 10))
    between = within = 0.0
    for name, y in evidence.targets.items():
        if evidence.objective.targets[name].ndim > 1:
            y = rankdata(y, axis=0)  # so that a few large targets count no more than others
        stretches = y[: len(y) // length * length].reshape(-1, length, y.shape[1])
        between, within = between + stretches.mean(axis=1).var(axis=0).sum(), within + y.var(axis=0).sum()
    return bool(between > (ALIKE + 1 / length) * within)


def classes_of(evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    """The class of each row (n,) and the predicted probabilities (n, classes); None if the target is not one class."""
    (name, loss), *_ = evidence.objective.losses.items()
    y, p = evidence.targets[name], evidence.yhat[name].astype(np.float64)
    if isinstance(loss, BinaryCrossEntropy) and y.shape[1] == 1:
        y, p = np.hstack([1 - y, y]), np.hstack([1 - p, p])
    elif not isinstance(loss, CrossEntropy):
        return None
    return y.argmax(axis=1), p
