"""The section on gradients: the norms of delta and of the gradient of each layer over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clearprop.draw.charts import Curve, layers_over_epochs
from clearprop.draw.document import Section
from clearprop.draw.figure import Figure
from clearprop.draw.style import colours_of_layers
from clearprop.draw.svg import Drawing, number, percent
from clearprop.explain.diagnosis.layers import EXPLODED, VANISHED
from clearprop.report.section import Evaluated, listed, section


def gradients_section(evaluated: Evaluated) -> Section | None:
    """Norms of delta and of the gradient of each layer over the epochs; None without a history."""
    net, history = evaluated.model.net, evaluated.model.history
    if history is None or not any(history.delta_norms.values()):
        return None
    counts, classes, names = net.layout.counts(), colours_of_layers(net), [layer.name for layer in net.layers]
    deltas = {name: history.delta_norms[name] for name in names if name in history.delta_norms}
    norms = {name: history.gradient_norms[name] for name in names if counts[name] and name in history.gradient_norms}

    def chart(what: str, series: Mapping[str, Sequence[float]]) -> Drawing:
        curves = [Curve(name, classes[name], values) for name, values in series.items()]
        return layers_over_epochs(f"Norm of {what} of each layer in each epoch", curves, history.best_epoch)

    note = "delta = dJ/dz, the sensitivity of the cost to the weighted sums of a layer; last batch of each epoch."
    figures = [
        Figure("Norm of delta by layer", (chart("delta", deltas),), note),
        Figure(
            "Norm of the gradient by layer",
            (chart("the gradient", norms),),
            "dJ/dW and dJ/db of a layer together; last batch of each epoch.",
        ),
    ]
    return section("Gradient norms", read_gradient(deltas, net.outputs or (), evaluated.diagnosis.names), figures)


def read_gradient(
    delta_norms: Mapping[str, Sequence[float]], outputs: Sequence[str], findings: Sequence[str] = ()
) -> str:
    """Whether delta vanishes or explodes from the outputs back, by its median ratio over the epochs."""
    norms = {name: np.asarray(values, float) for name, values in delta_norms.items() if len(values)}
    at_output = np.max([norms[name] for name in outputs if name in norms] or [[np.nan]], axis=0)
    hidden = [name for name in norms if name not in outputs]
    if not hidden:
        return "There is no hidden layer, so delta cannot vanish or explode."
    unreached = [name for name in hidden if not norms[name][-1] > 0]
    if unreached:
        return f"No gradient reached {listed(unreached)} in the last epoch: delta was exactly 0 there."
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {name: _median(norms[name] / np.where(at_output > 0, at_output, np.nan)) for name in hidden}
    if not all(np.isfinite(ratio) for ratio in ratios.values()):
        return "The delta of the outputs was 0: there was nothing left to learn."
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    if ratios[least] < VANISHED:
        times = number(1 / ratios[least], 2)
        return f"The gradient vanishes: delta is {times} times smaller in {least} than at the output."
    if ratios[most] > EXPLODED:
        return f"The gradient explodes: delta is {number(ratios[most], 2)} times larger in {most} than at the output."
    change = (
        f"from the output back to {hidden[0]}, the norm of delta {_times(ratios[hidden[0]])} (median of the epochs)."
    )
    if any("delta" in name or "gradient" in name for name in findings):  # of the trained network, not of the epochs
        return f"During training, {change} See the findings for the trained network."
    return f"The gradient neither vanishes nor explodes: {change}"


def _median(ratios: np.ndarray) -> float:
    finite = ratios[np.isfinite(ratios)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _times(ratio: float) -> str:
    if 0.9 <= ratio <= 1.1:
        return "stays the same"
    return f"grows {number(ratio, 2)} times" if ratio > 1 else f"shrinks to {percent(ratio)}"
