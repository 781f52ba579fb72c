"""The section on learning curves: cost, metrics and learning rate over the epochs."""

from __future__ import annotations

import numpy as np

from clearprop.draw.charts import Curve, over_epochs
from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.svg import WIDTHS, number, percent
from clearprop.report.section import Evaluated, section
from clearprop.training.history import History

_METRICS_SHOWN = 8
_SPELLED = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}
_NO_METRICS = ("cost", "learning rate", "gradient norm", "seconds")
#: The size of the figures if there are one or three; otherwise they are halves.
_SIZES = {1: "wide", 3: "third"}
#: Changes of the cost below this share of its whole fall are not reported.
_NOTABLE = 0.1


def learning_section(evaluated: Evaluated) -> Section | None:
    """Cost, metrics and learning rate over the epochs; None without a history."""
    history = evaluated.model.history
    if history is None or history.epochs == 0:
        return None
    metrics = dict.fromkeys(name.removeprefix("validation ") for name in history)
    shown = ["cost", *[name for name in metrics if name not in _NO_METRICS][:_METRICS_SHOWN]]
    if "learning rate" in history and len(set(history["learning rate"])) > 1:
        shown.append("learning rate")
    size = _SIZES.get(len(shown), "half")
    standardized = evaluated.model.encoding is not None
    figures = [_figure(history, name, size, standardized) for name in shown]
    return section("Learning curves", read_learning(history, evaluated.diagnosis.ok), figures)


def _figure(history: History, name: str, size: str, standardized: bool) -> Figure:
    if name == "learning rate":
        curve = Curve("learning rate", "plain", history["learning rate"])
        chart = over_epochs("Learning rate in each epoch", [curve], log=False, width=WIDTHS[size])
        return Figure("Learning rate", (chart,), "In the last step of each epoch.", size=size)
    curves = [
        Curve(label, class_, history[column])
        for label, class_, column in (("training", "first", name), ("validation", "second", f"validation {name}"))
        if column in history
    ]
    note = "After each epoch."
    if name == "cost":
        note = "Training: mean of the steps, with penalties and dropout. Validation: after the epoch, without."
    elif name in ("rmse", "mae") and standardized:
        note = "After each epoch, in standard deviations of the target."
    heading = _SPELLED.get(name, name[:1].upper() + name[1:])
    chart = over_epochs(f"{heading} in each epoch", curves, history.best_epoch, width=WIDTHS[size])
    return Figure(heading, (chart,), note, size=size)


def read_learning(history: History, advise: bool = True) -> str:
    """What the cost did over the epochs; with advice unless the diagnosis gives it."""
    name = "validation cost" if "validation cost" in history else "cost"
    values = np.asarray(history[name], float)
    finite = np.isfinite(values)
    if history.epochs == 1:
        return f"Trained for one epoch, with a {name} of {number(values[0])}: too few epochs for a learning curve."
    if not finite.all():
        return (
            f"The {name} is not finite in {np.count_nonzero(~finite):,} of {len(values):,} epochs: training diverged."
        )
    best = int(values.argmin())
    first, last, least = values[0], values[-1], values[best]
    swing = float(values.max() - least)
    if swing <= 1e-6 * max(abs(values).max(), 1e-300):
        return f"The {name} stayed at {number(first)} in all {len(values):,} epochs: training had no effect on it."
    if best == 0:
        hint = " Try a lower learning rate." if advise else ""
        return f"The {name} was lowest after the first epoch ({number(first)}) and ended at {number(last)}.{hint}"
    fell = f"The {name} fell from {number(first)} to {number(least)} in epoch {best + 1:,}"
    size = (first - least) / abs(first) if first else 1.0
    little = f", by only {percent(size)}" if size < 0.05 else ""
    return f"{fell}{little}{_ending(history, values, best, advise)}"


def _ending(history: History, values: np.ndarray, best: int, advise: bool) -> str:
    """What happened after the best epoch."""
    fall, last = values[0] - values[best], values[-1]
    if last - values[best] > _NOTABLE * fall:
        rose = f" and rose to {number(last)} by the last"
        train = np.asarray(history.cost, float)
        overfits = "validation cost" in history and train[-1] < train[best]
        if overfits:
            rose += " while the training cost still fell: the network overfits after that epoch"
        if history.best_epoch is not None:
            rose += f". The parameters of epoch {history.best_epoch + 1:,} were restored"
        elif not overfits and advise:
            rose += ". Try a lower learning rate, or early stopping"
        return f"{rose}."
    tenth = max(1, len(values) // 10)
    recent, before = values[-tenth:].mean(), values[-2 * tenth : -tenth].mean()
    if best >= len(values) - tenth - 1 and before - recent > 0.01 * fall:
        return f" and was still falling at the end{': more epochs may help' if advise else ''}."
    return " and levelled off."
