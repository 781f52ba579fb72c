"""The section on partial dependence: the mean prediction if a column has one value in all rows (Friedman 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clearprop.core.trace import predict
from clearprop.draw.axes import Scale, linear_scale
from clearprop.draw.charts import Curve
from clearprop.draw.column_charts import effect_curves, effect_dots
from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.style import contrasting
from clearprop.draw.svg import number, percent, shorten, shorten_all
from clearprop.model.predictions import Predictions, read_output
from clearprop.report.section import Evaluated, quoted, section, titled
from clearprop.report.values import column_numbers, column_texts, is_number, pixel_grid

COLUMNS_SHOWN, PIXELS_SHOWN = 6, 3
_ROWS, _GRID, _CATEGORIES, _CURVES = 300, 16, 10, 3


@dataclass(frozen=True)
class Effect:
    """The mean prediction (values, units) for each value of a column; `numbers` are None for categories."""

    column: str
    names: tuple[str, ...]
    numbers: np.ndarray | None
    mean: np.ndarray


def effects_section(evaluated: Evaluated, predictions: Predictions, columns: Sequence[str], of: str) -> Section | None:
    """How the predictions of one output change with its main columns; None without any."""
    most = COLUMNS_SHOWN if pixel_grid(evaluated.model) is None else PIXELS_SHOWN
    found = [effect for name in columns[:most]
             if len((effect := partial_dependence(evaluated, predictions, name)).names) > 1]  # fmt: skip
    if not found or not all(np.isfinite(effect.mean).all() for effect in found):
        return None
    units, names = _shown(predictions, found)
    means = np.concatenate([effect.mean[:, units] for effect in found])
    scale = linear_scale(means.ravel(), ticks=4)
    if predictions.task != "regression":
        scale = replace(scale, labels=tuple(map(percent, scale.ticks)))
    figures = [
        Figure(quoted(effect.column), (_chart(effect, units, names, predictions, scale),), size="third")
        for effect in found
    ]
    note = (
        "Each column is set to one value in all rows while the others stay as they are, also where such rows do not "
        "occur. The same scale in all charts; the ticks below are quantiles of the column."
    )
    return section(titled("Partial dependence", of), read_effects(found, predictions, units), figures, note)


def partial_dependence(evaluated: Evaluated, predictions: Predictions, name: str) -> Effect:
    """The mean prediction over some rows for values of a column that occur, between its 2% and 98% quantiles."""
    model, objective, inputs = evaluated.model, evaluated.objective, evaluated.columns[name]
    generator = np.random.default_rng(evaluated.seed)
    rows = np.sort(generator.choice(objective.samples, size=min(_ROWS, objective.samples), replace=False))
    blocks = objective.X[:, inputs]
    values = column_numbers(model, name, blocks) if is_number(model, name) else None
    examples = _quantile_rows(values) if values is not None else _category_rows(column_texts(model, name, blocks))
    X = np.tile(objective.X[rows], (len(examples), 1))
    X[:, inputs] = np.repeat(blocks[examples], len(rows), axis=0)
    a = predict(model.net, model.params, X)
    a = a[predictions.output] if isinstance(a, dict) else a
    y = np.tile(
        objective.targets[predictions.output][rows],
        (len(examples), *[1] * (objective.targets[predictions.output].ndim - 1)),
    )
    yhat = read_output(model.net, model.encoding, predictions.output, y, a, task=predictions.task).yhat
    mean = yhat.reshape(len(examples), len(rows), -1).mean(axis=1)
    return Effect(
        name, tuple(column_texts(model, name, blocks[examples])), None if values is None else values[examples], mean
    )


def _quantile_rows(values: np.ndarray) -> np.ndarray:
    """Rows whose values are at even quantiles, each value once, rising."""
    present = np.flatnonzero(np.isfinite(values))
    order = present[np.argsort(values[present], kind="stable")]
    if len(order) == 0:
        return order
    picked = order[np.round(np.linspace(0.02, 0.98, _GRID) * (len(order) - 1)).astype(int)]
    _, first = np.unique(values[picked], return_index=True)
    return picked[first]


def _category_rows(texts: Sequence[str]) -> np.ndarray:
    """A row of each of the most frequent values."""
    names, first, counts = np.unique(np.array(texts, object).astype(str), return_index=True, return_counts=True)
    return first[np.argsort(-counts, kind="stable")[: min(_CATEGORIES, len(names))]]


def _shown(predictions: Predictions, found: Sequence[Effect]) -> tuple[list[int], list[str]]:
    """The units whose predictions change most, and their names; of two classes the second."""
    if predictions.task == "binary":
        return [1], [predictions.labels[1]]
    swing = np.max([np.ptp(effect.mean, axis=0) for effect in found], axis=0)
    units = sorted(np.argsort(-swing, kind="stable")[:_CURVES].tolist())
    return units, [predictions.labels[unit] for unit in units]


def _chart(effect: Effect, units: Sequence[int], names: Sequence[str], predictions: Predictions, scale: Scale):
    classes = contrasting(len(units)) if len(units) > 1 else ["first"]
    curves = [
        Curve(name, class_, effect.mean[:, unit].tolist())
        for name, class_, unit in zip(shorten_all(names, 150), classes, units, strict=True)
    ]
    what = f"mean {'prediction' if predictions.task == 'regression' else 'probability'}"
    what += f" of {shorten(names[0], 110)}" if len(units) == 1 and predictions.task != "regression" else ""
    label = f"Partial dependence on {effect.column[:80]}"
    if effect.numbers is None:
        return effect_dots(label, effect.names, curves, what, scale)
    return effect_curves(label, effect.numbers, curves, (shorten(effect.column, 200), what), scale)


def read_effects(found: Sequence[Effect], predictions: Predictions, units: Sequence[int]) -> str:
    """The effect of the first column in words."""
    effect = found[0]
    unit = max(units, key=lambda unit: float(np.ptp(effect.mean[:, unit])))
    mean = effect.mean[:, unit]
    low, high = int(mean.argmin()), int(mean.argmax())
    text = number if predictions.task == "regression" else percent
    what = "prediction" if predictions.task == "regression" else f"probability of {quoted(predictions.labels[unit])}"
    places = effect.names if effect.numbers is not None else tuple(map(quoted, effect.names))
    return (
        f"Over {quoted(effect.column)}, the mean {what} goes from {text(float(mean[low]))} (at {places[low]}) "
        f"to {text(float(mean[high]))} (at {places[high]})."
    )
