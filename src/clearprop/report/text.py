"""Sentences that explain the numbers of the charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clearprop.draw.svg import number, percent
from clearprop.report.activity import LayerActivity
from clearprop.report.importance import Importance
from clearprop.report.statistics import Reliability, wilson_interval
from clearprop.training.history import History

#: The gradient vanishes or explodes if the norm of delta changes by more than this factor between layers.
VANISHING = 1e-3


def read_learning(history: History) -> str:
    """Whether training was long enough, too long, or had no effect."""
    name = "validation cost" if "validation cost" in history else "cost"
    values = np.asarray(history[name], float)
    if history.epochs == 1:
        return f"Trained for one epoch, with a {name} of {number(values[0])}: too few epochs for a learning curve."
    best = int(np.nanargmin(values))
    fell = f"The {name} fell from {number(values[0])} to {number(values[best])} in epoch {best + 1:,}"
    if best == 0:
        return f"The {name} was lowest after the first epoch; further training did not help. Try a lower learning rate."
    if name == "validation cost":
        train = np.asarray(history.cost, float)
        rose, falling = values[-1] > 1.05 * values[best] if values[best] > 0 else False, train[-1] < train[best]
        if rose and falling:
            return f"{fell} and rose to {number(values[-1])} while the training cost still fell: the network overfits."
    recent = values[-max(2, len(values) // 10) :]
    if best >= len(values) - 2 and recent[0] - recent[-1] > 0.01 * (values[0] - values[best]):
        return f"{fell} and was still falling at the end: more epochs may help."
    return f"{fell} and levelled off."


def read_gradient(delta_norms: Mapping[str, Sequence[float]], outputs: Sequence[str]) -> str:
    """Whether delta vanishes or explodes from the outputs back, by its median ratio over the epochs."""
    norms = {name: np.asarray(values, float) for name, values in delta_norms.items() if len(values)}
    at_output = np.max([norms[name] for name in outputs if name in norms] or [[np.nan]], axis=0)
    hidden = [name for name in norms if name not in outputs]
    if not hidden:
        return "There is no hidden layer, so delta cannot vanish or explode."
    unreached = [name for name in hidden if not norms[name][-1] > 0]
    if unreached:
        return f"No gradient reached {_listed(unreached)} in the last epoch: delta was exactly 0 there."
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {
            name: float(np.nanmedian(norms[name] / np.where(at_output > 0, at_output, np.nan))) for name in hidden
        }
    if not all(np.isfinite(ratio) for ratio in ratios.values()):
        return "The delta of the outputs was 0: there was nothing left to learn."
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    if ratios[least] < VANISHING:
        times = number(1 / ratios[least], 2)
        return f"The gradient vanishes: delta is {times} times smaller in {least} than at the output."
    if ratios[most] > 1 / VANISHING:
        return f"The gradient explodes: delta is {number(ratios[most], 2)} times larger in {most} than at the output."
    furthest = hidden[0]
    return (
        f"The gradient neither vanishes nor explodes: from the output back to {furthest}, the norm of delta "
        f"{_times(ratios[furthest])} (median of the epochs)."
    )


def _times(ratio: float) -> str:
    if 0.9 <= ratio <= 1.1:
        return "stays the same"
    return f"grows {number(ratio, 2)} times" if ratio > 1 else f"shrinks to {percent(ratio)}"


def read_confusion(matrix: np.ndarray, labels: Sequence[str], pairs: Sequence[tuple[int, int, int]]) -> str:
    """How many rows are wrong, and which classes are confused most often."""
    rows = int(matrix.sum())
    if not pairs:
        return f"All {rows:,} rows are classified correctly." if rows > 1 else "The one row is classified correctly."
    wrong = rows - int(np.trace(matrix))
    errors = f"{wrong:,} of {rows:,} rows {'is' if wrong == 1 else 'are'} wrong"
    i, j, count = pairs[0]
    if count == 1 and wrong > 1:
        return f"{errors}; no two of the mistakes are of the same kind."
    most = f"most often {_quoted(labels[i])} is predicted as {_quoted(labels[j])}"
    return f"{errors}; {most}, {count:,} of {int(matrix[i].sum()):,} rows."


def read_residuals(y: np.ndarray, yhat: np.ndarray) -> str:
    """How large the errors are, and whether the predictions are biased beyond chance."""
    residual = yhat - y
    half, most = np.quantile(np.abs(residual), [0.5, 0.95])
    sizes = f"Half of the errors are below {number(half)}, 95% are below {number(most)}."
    n, mean = len(residual), float(residual.mean())
    if n < 2:
        return f"The error of the one row is {number(float(abs(residual[0])))}."
    if abs(mean) > 2.6 * float(residual.std(ddof=1)) / np.sqrt(n):
        return f"{sizes} On average the predictions are {number(abs(mean))} too {'high' if mean > 0 else 'low'}."
    return f"{sizes} On average the predictions are neither too high nor too low, beyond chance."


def read_reliability(found: Reliability, of_class: str | None) -> str:
    """Whether the probabilities are calibrated; `of_class` is None for those of the predicted class."""
    rows = int(found.rows.sum())
    predicted, observed = found.mean_predicted, found.mean_observed
    low, high = wilson_interval(observed * rows, rows)
    rows_are = f"of the rows are {_quoted(of_class)}" if of_class else "of the predictions are right"
    numbers = f"the mean probability is {percent(predicted)}, and {percent(observed)} {rows_are}"
    if low <= predicted <= high:
        if found.expected_error > 0.1:
            error = percent(found.expected_error)
            return f"Calibrated on average, but not at each probability: the expected calibration error is {error}."
        return f"The probabilities are calibrated: {numbers}."
    if of_class is None:
        return f"{'Overconfident' if predicted > observed else 'Underconfident'}: {numbers}."
    return f"The probability of {_quoted(of_class)} is too {'high' if predicted > observed else 'low'}: {numbers}."


def read_activity(layers: Sequence[LayerActivity]) -> str:
    """Which layers are saturated or have dead units."""
    dead = [(layer.dead, layer.layer) for layer in layers if layer.dead]
    worst = max(layers, key=lambda layer: layer.saturated or 0)
    most = f"{worst.layer.name} is saturated most, in {percent(worst.saturated or 0)} of its activations"
    if len(layers) == 1:
        most = f"{percent(worst.saturated or 0)} of the activations of {worst.layer.name} are saturated"
    if dead:
        units = _listed([f"{count:,} of {layer.units:,} units of {layer.name}" for count, layer in dead])
        return f"Dead on every row: {units}. {most[0].upper()}{most[1:]}."
    return f"No unit is dead; {most}." if worst.saturated else "No unit is dead and no activation is saturated."


def read_importance(found: Importance, without: Callable[[float], str]) -> str:
    """Which columns the predictions depend on; `without` puts the growth of the error into words."""
    first = int(found.order[0])
    noise = 2 * found.growth.std(axis=1, ddof=1) / np.sqrt(found.growth.shape[1])
    idle = int(np.count_nonzero(found.mean <= noise))
    if found.mean[first] <= noise[first]:
        return "No single column makes a significant difference."
    most = f"{_quoted(found.names[first])} matters most: when it is shuffled, {without(float(found.mean[first]))}."
    if not idle:
        return most
    columns = f"{idle:,} of {len(found.names):,} columns make" if len(found.names) > 1 else "It makes"
    return f"{most} {columns} no significant difference."


def _quoted(name: str) -> str:
    return f"“{name if len(name) <= 40 else name[:39] + '…'}”"


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
