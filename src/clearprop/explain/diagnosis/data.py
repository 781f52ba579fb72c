"""Checks of the data: scales of inputs and targets, columns that repeat or leak, the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from clearprop.core.objective import unreachable_targets
from clearprop.explain.diagnosis.evidence import FITTED, LEARNED, Evidence, typical
from clearprop.explain.diagnosis.findings import Finding, check
from clearprop.explain.diagnosis.layers import saturated_units
from clearprop.explain.diagnosis.learning import classes_of, trained_in_order
from clearprop.losses import PointwiseLoss

LARGE = (
    30.0  #: typical size of an input or target above which usual learning rates and initial weights do not work well
)
SMALL = 1e-3  #: typical size below which a column has little effect next to one of size 1
TINY = 0.02  #: typical size of all inputs, or of the targets, below which learning is slow
FAR = 3.0  #: mean of the targets, in standard deviations, above which the bias has far to go
APART = 100.0  #: standard deviations of two targets, relative to each other, above which the small one is ignored
GAP = 40.0  #: gap between two classes in a column, in standard deviations within them, from which it gives them away
EXACT = 0.9999  #: correlation from which a column gives the target away
ROWS_TO_JUDGE = 50  #: rows required to compare columns with the targets
#: Cost within the last epoch relative to that after it, or the reverse, and least relative cost, if steps undo others.
UNDONE, UNDONE_FROM = 1.25, 0.02
SHIFTED = 2.0  #: the middles of training and validation differ by this many times the width of the middle 80%
STRETCHED = 10.0  #: or these widths differ by this factor
IN_BOTH = 0.02  #: share of the validation rows that are training rows too
DISTINCT = 0.2  #: distinct values of a column, per row, from which rows can be told apart


@check("constant-targets", "warning")
def constant_targets(evidence: Evidence) -> Iterator[Finding]:
    """Targets with one value on all rows."""
    counted = evidence.weight > 0
    for name, y in evidence.targets.items():
        rows = y[counted]
        resolution = 4 * np.finfo(evidence.params.dtype).eps * np.abs(rows).max(initial=0.0)
        same = np.ptp(rows, axis=0) <= resolution
        one_class = evidence.objective.targets[name].ndim == 1 and same.all()
        if len(rows) < 2 or not (one_class or (same.any() and evidence.objective.targets[name].ndim > 1)):
            continue
        which = np.flatnonzero(same)
        value = f"class {int(rows[0].argmax())}" if one_class else f"{rows[0, which[0]]:.6g}"
        output = name if one_class or y.shape[1] == 1 else f"{name} {', '.join(map(str, which[:5]))}"
        words = (
            f"The targets of {output} are {value} on all {len(rows):,} rows: there is nothing to learn from the inputs."
        )
        advice = "Check how the rows were chosen and the targets computed; a target needs at least two values."
        yield Finding(words, advice, (name,), {"columns": float(len(which))})


@check("unscaled-inputs", "warning")
def unscaled_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Columns much larger or smaller than 1; only a hint if the network learned, and nothing if it fits."""
    learned = evidence.relative_cost < LEARNED
    if evidence.is_trained and evidence.has_reached(FITTED):
        return
    (_, X), columns = evidence.sample, evidence.columns
    filled = (X != 0).mean(axis=0)
    size = np.sqrt(np.mean(X * X, axis=0) / np.where(filled > 0, filled, 1))  # of the numbers that are not 0
    varies = np.ptp(X, axis=0) > 0
    large = np.flatnonzero(np.sqrt(filled) * size > LARGE)
    small = np.flatnonzero((size < min(SMALL, SMALL * size.max())) & varies & (filled > 0.5))
    if not len(large) and varies.any() and size[varies].max() < TINY and not learned:
        small = np.flatnonzero(varies)
    if not len(large) and not len(small):
        return
    descriptions = [f"{columns[i]} has typical size {size[i]:.3g}" for i in [*large[:3], *small[:2]]]
    more = len(large) + len(small) - len(descriptions)
    words = f"{', '.join(descriptions)}{f', and {more} more' if more else ''}; a size of about 1 works best."
    advice = "Standardize the columns: (X - X.mean(axis=0)) / X.std(axis=0), with mean and std of the training rows."
    where = tuple(columns[i] for i in [*large, *small])
    severity = "hint" if learned and not any(saturated_units(evidence)) else "warning"
    yield Finding(words[0].upper() + words[1:], advice, where, {"largest": size.max()}, severity)


@check("unscaled-targets", "warning")
def unscaled_targets(evidence: Evidence) -> Iterator[Finding]:
    """Targets that are large, small, far from 0 or of very different sizes, while they are not learned."""
    for name, y in evidence.targets.items():
        loss = evidence.objective.losses[name]
        if not isinstance(loss, PointwiseLoss) or loss.partner is not None or evidence.relative_cost < LEARNED:
            continue
        words = _scale_of(evidence, name, y)
        if words:
            advice = "Train on (y - y.mean(axis=0)) / y.std(axis=0), and invert this for the predictions."
            cost = (
                ""
                if not np.isfinite(evidence.relative_cost)
                else (f", and the cost is {evidence.relative_cost:.3g} times that of a constant")
            )
            yield Finding(f"The targets of {name} {words}{cost}.", advice, (name,), {"typical": typical(y)})


def _scale_of(evidence: Evidence, name: str, y: np.ndarray) -> str:
    """What is unusual about the scale of targets; empty if nothing is."""
    weight = evidence.weight
    mean = weight @ y
    spread, size = np.sqrt(weight @ (y - mean) ** 2), float(np.sqrt((weight @ y**2).mean()))
    if size > LARGE or 0 < size < TINY:
        return f"have typical size {size:.3g}"
    if not evidence.outputs.is_finite or not spread.all():
        return ""
    yhat = evidence.yhat[name]
    missed = np.abs(weight @ yhat - mean)
    far = (np.abs(mean) > FAR * spread) & (missed > 0.25 * spread)
    if far.any():
        j = int(far.argmax())
        outputs = f"the outputs have mean {weight @ yhat[:, j]:.3g}"
        return f"have mean {mean[j]:.3g} and standard deviation {spread[j]:.3g}; {outputs}"
    ignored = (spread < spread.max() / APART) & (weight @ (yhat - y) ** 2 > 0.9 * spread**2)
    if ignored.any():
        return (
            f"have standard deviations from {spread.min():.3g} to {spread.max():.3g}: the largest outweighs the others"
        )
    return ""


@check("targets-out-of-reach", "warning")
def targets_out_of_reach(evidence: Evidence) -> Iterator[Finding]:
    """Targets that the activation of the output cannot give, whatever the weights; see `unreachable_targets`."""
    counted = {name: y if y.ndim == 1 else np.where(evidence.weight[:, None] > 0, y, np.nan)
               for name, y in evidence.objective.targets.items()}  # fmt: skip
    for text in unreachable_targets(replace(evidence.objective, targets=counted)):
        words, _, advice = text.rpartition(". ")
        yield Finding(f"{words}.", advice)


@check("leaking-column", "hint")
def leaking_column(evidence: Evidence) -> Iterator[Finding]:
    """An input from which alone the target can be read off."""
    if len(evidence.targets) > 1 or evidence.net.inputs < 2 or evidence.samples < ROWS_TO_JUDGE:
        return
    (rows, X), ((name, y),) = evidence.sample, evidence.targets.items()
    classes = classes_of(evidence)
    varies = np.ptp(X, axis=0) > 0
    if classes is not None:
        found = _separates(X, classes[0][rows])
    elif y.shape[1] == 1 and np.ptp(y[rows]) > 0:
        found = _correlates(X, y[rows, 0])
    else:
        return
    which = np.flatnonzero(found & varies)
    if 0 < len(which) < varies.sum():
        names = [evidence.columns[i] for i in which]
        alone = "each" if len(names) > 1 else "it"
        words = f"{', '.join(names[:5])}: alone, {alone} gives the target of {name} away on all {len(rows):,} rows "
        words += "compared."
        advice = "Leave the column out if it is computed from the target, or known only later than the prediction."
        yield Finding(words, advice, tuple(names), {"columns": float(len(which))})


def _correlates(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which columns have the same order as y, or lie on a line with it."""
    ranks = [np.argsort(np.argsort(values, axis=0), axis=0).astype(float) for values in (X, y)]
    with np.errstate(all="ignore"):
        pairs = [
            np.abs(_standardized(A).T @ _standardized(b[:, None]))[:, 0] / len(y) > EXACT for A, b in ((X, y), ranks)
        ]
    return pairs[0] | pairs[1]


def _separates(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which columns have a gap between all classes that is large beside the spread within them."""
    parts = [X[y == k] for k in np.unique(y)]
    if len(parts) < 2 or min(map(len, parts)) < 5:
        return np.zeros(X.shape[1], bool)
    low, high = np.array([p.min(axis=0) for p in parts]), np.array([p.max(axis=0) for p in parts])
    spread = np.array([p.std(axis=0) for p in parts])
    order = np.argsort(low, axis=0)
    low, high, spread = (np.take_along_axis(v, order, axis=0) for v in (low, high, spread))
    gap = low[1:] - high[:-1]
    apart = ((gap > 0) & (gap > GAP * np.maximum(spread[1:], spread[:-1]))).all(axis=0)
    constant = (gap > 0).all(axis=0) & (spread == 0).any(axis=0) & (len(parts) == 2)
    return apart | constant


@check("duplicate-columns", "hint")
def duplicate_columns(evidence: Evidence) -> Iterator[Finding]:
    """Columns of at least three values that are the same, or the same in another unit."""
    X = evidence.sample[1]
    usual = np.median(X, axis=0)
    rare = ((usual != X).sum(axis=0) < 10) | ((X.min(axis=0) == X) | (X.max(axis=0) == X)).all(axis=0)
    candidates = np.flatnonzero(~rare)
    Z = _standardized(X[:, candidates])
    marks = np.random.default_rng(0).normal(size=len(X)) @ Z  # equal columns have equal marks
    order = np.argsort(marks)
    near = np.diff(marks[order]) < 1e-7
    pairs = [
        tuple(sorted((int(candidates[order[k]]), int(candidates[order[k + 1]]))))
        for k in np.flatnonzero(near)
        if np.abs(Z[:, order[k]] - Z[:, order[k + 1]]).max() < 1e-5
    ]
    if pairs:
        named = [f"{evidence.columns[i]} and {evidence.columns[j]}" for i, j in pairs]
        more = f", and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
        words = f"{', '.join(named[:3])}{more}: the columns are the same, up to their unit."
        advice = "Keep one of each pair: the other adds no information, and splits the weights and the importance."
        where = tuple(evidence.columns[i] for i in dict.fromkeys(i for pair in pairs for i in pair))
        yield Finding(words, advice, where, {"pairs": float(len(pairs))})


def _standardized(X: np.ndarray) -> np.ndarray:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)


@check("rows-in-order", "warning", needs=("history",))
def rows_in_order(evidence: Evidence) -> Iterator[Finding]:
    """Rows in the order of their targets, trained on without shuffling, if that did harm."""
    if not trained_in_order(evidence) or not (evidence.relative_cost >= LEARNED or _undone(evidence)):
        return
    words = "Neighbouring rows have similar targets, and training took the rows in this order (shuffle=False): each "
    words += "step undoes what the steps before it learned."
    if evidence.is_trained:
        words += f" Within the last epoch the cost was {evidence.course[-1]:.4g}, and after it {evidence.cost:.4g}."
    yield Finding(words, "Shuffle the rows: shuffle=True (the default), or a random permutation of X and y.")


def _undone(evidence: Evidence) -> bool:
    """Whether the cost of the rows as they were trained on differs from that of all rows after the last step."""
    if len(evidence.course) < 2 or evidence.relative_cost < UNDONE_FROM:
        return False
    within = evidence.course[-1] / evidence.cost
    includes_more = evidence.recorded.facts.penalized or any(layer.dropout for layer in evidence.net.layers)
    falls = max(1.0, evidence.course[-2] / evidence.course[-1])
    return bool(within < 1 / UNDONE or (not includes_more and within > UNDONE * falls))


@check("validation-inputs-differ", "warning", needs=("validation",))
def validation_inputs_differ(evidence: Evidence) -> Iterator[Finding]:
    """Validation inputs of another size than those of training, as where only one of the two was standardized."""
    assert evidence.validation is not None
    X, held = evidence.objective.X, evidence.validation.objective.X
    low, middle, high = np.quantile(X, [0.1, 0.5, 0.9], axis=0)
    held_low, held_middle, held_high = np.quantile(held, [0.1, 0.5, 0.9], axis=0)
    varied = (high > low) & (held_high > held_low)
    wide, held_wide = np.where(varied, high - low, 1), np.where(varied, held_high - held_low, 1)
    moved = np.abs(held_middle - middle) > SHIFTED * np.maximum(wide, 1e-300)
    ratio = held_wide / wide
    odd = np.flatnonzero(varied & (moved | (ratio > STRETCHED) | (ratio < 1 / STRETCHED)))
    if len(odd) * 2 < np.count_nonzero(varied) or not len(odd):
        return
    i = int(odd[0])
    words = f"{len(odd)} of {X.shape[1]} columns have other values in the validation rows: the middle 80% of "
    words += f"{evidence.columns[i]} are {low[i]:.3g} to {high[i]:.3g} in training, and {held_low[i]:.3g} to "
    words += f"{held_high[i]:.3g} in validation."
    advice = "Prepare both sets alike: standardize the validation rows by the mean and deviation of the training rows."
    yield Finding(words, advice, tuple(evidence.columns[j] for j in odd[:100]), {"columns": float(len(odd))})


@check("rows-in-both-sets", "warning", needs=("validation",))
def rows_in_both_sets(evidence: Evidence) -> Iterator[Finding]:
    """Validation rows that are training rows too, in data whose rows can be told apart."""
    assert evidence.validation is not None
    X, held = evidence.objective.X, evidence.validation.objective.X
    some = evidence.sample[1]
    if max(len(np.unique(column)) for column in some.T) < DISTINCT * len(some):
        return
    seen = {row.tobytes() for row in np.ascontiguousarray(X) + 0.0}
    both = [i for i, row in enumerate(np.ascontiguousarray(held) + 0.0) if row.tobytes() in seen]
    if len(both) > max(1, IN_BOTH * len(held)):
        words = f"{len(both):,} of the {len(held):,} validation rows have the same inputs as a training row, so the "
        words += "validation cost does not tell how well the network does on new rows."
        advice = "Remove repeated rows before splitting, or split so that all copies are on one side."
        yield Finding(words, advice, tuple(map(str, both[:100])), {"rows": float(len(both))})
