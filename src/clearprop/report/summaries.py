"""One sentence for a person, computed from the numbers that a picture shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clearprop.draw.svg import number, percent
from clearprop.report.activity import LayerActivity
from clearprop.report.importance import Importance
from clearprop.report.statistics import Reliability, wilson_interval
from clearprop.training.history import History

#: Between layers, delta that shrinks or grows by more than this is called vanishing or exploding.
VANISHING = 1e-3


def read_learning(history: History) -> str:
    """Whether training was long enough, too long, or did not help."""
    name = "validation cost" if "validation cost" in history else "cost"
    values = np.asarray(history[name], float)
    if history.epochs == 1:
        return f"One epoch was trained: a {name} of {number(values[0])}, and no course of learning to see."
    best = int(np.nanargmin(values))
    fell = f"The {name} fell from {number(values[0])} to {number(values[best])} in epoch {best + 1:,}"
    if best == 0:
        return f"The {name} was lowest after the first epoch: training on did not help. Try a lower learning rate."
    if name == "validation cost":
        train = np.asarray(history.cost, float)
        rose, falling = values[-1] > 1.05 * values[best] if values[best] > 0 else False, train[-1] < train[best]
        if rose and falling:
            return (
                f"{fell} and rose to {number(values[-1])} while the training cost went on falling: overfitting set in."
            )
    recent = values[-max(2, len(values) // 10) :]
    if best >= len(values) - 2 and recent[0] - recent[-1] > 0.01 * (values[0] - values[best]):
        return f"{fell} and was still falling at the end: more epochs may help."
    return f"{fell} and levelled off."


def read_gradient(delta_norms: Mapping[str, Sequence[float]], outputs: Sequence[str]) -> str:
    """Whether delta vanishes or explodes on its way back from the outputs, by its median ratio over the epochs."""
    norms = {name: np.asarray(values, float) for name, values in delta_norms.items() if len(values)}
    at_output = np.max([norms[name] for name in outputs if name in norms] or [[np.nan]], axis=0)
    hidden = [name for name in norms if name not in outputs]
    if not hidden:
        return "There is no hidden layer, so delta has no way to go back and cannot vanish or explode."
    silent = [name for name in hidden if not norms[name][-1] > 0]
    if silent:
        return f"No gradient reached {_listed(silent)} in the last epoch: delta was exactly 0 there."
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {
            name: float(np.nanmedian(norms[name] / np.where(at_output > 0, at_output, np.nan))) for name in hidden
        }
    if not all(np.isfinite(ratio) for ratio in ratios.values()):
        return "The delta of the outputs was 0, so nothing was left to learn."
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
    """How many rows are wrong, and which class is taken for which most often."""
    rows = int(matrix.sum())
    if not pairs:
        return f"All {rows:,} rows got their right class." if rows > 1 else "The one row got its right class."
    wrong = rows - int(np.trace(matrix))
    said = f"{wrong:,} of {rows:,} rows {'is' if wrong == 1 else 'are'} wrong"
    i, j, count = pairs[0]
    if count == 1 and wrong > 1:
        return f"{said}; no class is taken for the same other class twice."
    most = f"most often {_quoted(labels[i])} is taken for {_quoted(labels[j])}"
    return f"{said}; {most}, {count:,} of {int(matrix[i].sum()):,} rows."


def read_residuals(y: np.ndarray, yhat: np.ndarray) -> str:
    """How large the errors are, and whether the answers lean to one side by more than chance."""
    residual = yhat - y
    half, most = np.quantile(np.abs(residual), [0.5, 0.95])
    said = f"Half of the answers are off by less than {number(half)}, 19 in 20 by less than {number(most)}."
    n, mean = len(residual), float(residual.mean())
    if n < 2:
        return f"The one row is off by {number(float(abs(residual[0])))}."
    if abs(mean) > 2.6 * float(residual.std(ddof=1)) / np.sqrt(n):
        return f"{said} On average they are {number(abs(mean))} too {'high' if mean > 0 else 'low'}."
    return f"{said} They are not too high or too low on average, beyond chance."


def read_reliability(found: Reliability, of_class: str | None) -> str:
    """Whether the probabilities can be taken at their word; `of_class` is None for those of the answered class."""
    rows = int(found.rows.sum())
    said, true = found.mean_said, found.mean_true
    low, high = wilson_interval(true * rows, rows)
    numbers = f"on average it says {percent(said)}, and "
    numbers += (
        f"{percent(true)} of the rows are {_quoted(of_class)}"
        if of_class
        else f"is right for {percent(true)} of the rows"
    )
    if low <= said <= high:
        if found.expected_error > 0.1:
            error = percent(found.expected_error)
            return f"Right on average but not for each probability: the expected calibration error is {error}."
        return f"The probabilities can be taken at their word: {numbers}."
    if of_class is None:
        word = "Overconfident" if said > true else "Underconfident"
        return f"{word}: {numbers}."
    return f"The probability of {_quoted(of_class)} is too {'high' if said > true else 'low'}: {numbers}."


def read_activity(layers: Sequence[LayerActivity]) -> str:
    """How much of the network is saturated or dead."""
    dead = [(layer.dead, layer.layer) for layer in layers if layer.dead]
    worst = max(layers, key=lambda layer: layer.saturated or 0)
    most = f"{worst.layer.name} is saturated most, in {percent(worst.saturated or 0)} of its activations"
    if len(layers) == 1:
        most = f"{percent(worst.saturated or 0)} of the activations of {worst.layer.name} are saturated"
    if dead:
        said = _listed([f"{count:,} of {layer.units:,} units of {layer.name}" for count, layer in dead])
        return f"Dead on every row: {said}. {most[0].upper()}{most[1:]}."
    return f"No unit is dead; {most}." if worst.saturated else "No unit is dead and no activation is saturated."


def read_importance(found: Importance, without: Callable[[float], str]) -> str:
    """Which columns the answers depend on; `without` says in words what an error that has grown by a number means."""
    first = int(found.order[0])
    noise = 2 * found.growth.std(axis=1, ddof=1) / np.sqrt(found.growth.shape[1])
    idle = int(np.count_nonzero(found.mean <= noise))
    if found.mean[first] <= noise[first]:
        return "No column by itself makes a difference that could be told from chance."
    said = f"{_quoted(found.names[first])} matters most: shuffle it, and {without(float(found.mean[first]))}."
    if not idle:
        return said
    columns = f"{idle:,} of {len(found.names):,} columns make" if len(found.names) > 1 else "It makes"
    return f"{said} {columns} no difference that could be told from chance."


def _quoted(name: str) -> str:
    return f"“{name if len(name) <= 40 else name[:39] + '…'}”"


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
