"""Checks of layers: vanishing and exploding deltas, saturated, dead and duplicate units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.network import Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import Finding

#: Typical delta of a hidden layer relative to that of the output, below and above which learning suffers.
VANISHED, EXPLODED = 1e-3, 1e2
#: A unit is saturated on a row if |f'(z)| is below this fraction of its maximum.
FLAT = 0.05
SATURATED = 0.6  #: fraction of saturated activations in a layer
DEAD = 0.25  #: fraction of dead units in a layer
FITTED = (
    0.1  #: cost relative to that of a constant below which the network has learned, so that small slopes are normal
)


def deltas(evidence: Evidence) -> Iterator[Finding]:
    """Vanishing or exploding deltas: the typical delta of each hidden layer relative to that of the outputs."""
    net, trace = evidence.objective.net, evidence.trace
    sizes = {name: float(np.sqrt(np.mean(np.square(trace[name].delta, dtype=np.float64)))) for name in trace}
    outputs = max(sizes[name] for name in net.outputs or ())
    if outputs == 0 or evidence.relative_cost < FITTED:
        return
    ratios = {name: size / outputs for name, size in sizes.items() if name not in (net.outputs or ())}
    table = ", ".join(f"{name} {ratio:.1e}" for name, ratio in ratios.items())
    small = tuple(name for name, ratio in ratios.items() if ratio < VANISHED)
    large = tuple(name for name, ratio in ratios.items() if ratio > EXPLODED)
    if small:
        words = f"The typical delta (dJ/dz) relative to that of the output is {table}: {_list(small)} hardly learn."
        words = words if len(small) > 1 else words.replace("hardly learn", "hardly learns")
        advice = "Use relu or tanh instead of sigmoid, suitable initial weights, fewer layers, or skip connections."
        yield Finding("vanishing deltas", "serious", words, advice, small, ratios)
    if large:
        words = f"The typical delta (dJ/dz) relative to that of the output is {table}: it grows towards the input."
        advice = "Start from smaller weights (such as the default), add layer_normalization, or set clip_norm=1."
        yield Finding("exploding deltas", "serious", words, advice, large, ratios)


def activities(evidence: Evidence) -> Iterator[Finding]:
    """Saturated layers and dead units."""
    net = evidence.objective.net
    for layer in net.layers:
        if not isinstance(layer.f, Elementwise) or _has_short_form(evidence, layer):
            continue
        z, a = evidence.trace[layer.name].z, layer.f.function(evidence.trace[layer.name].z)
        slope = np.abs(np.broadcast_to(np.asarray(layer.f.derivative(z, a), dtype=np.float64), z.shape))
        dead = np.flatnonzero((slope == 0).all(axis=0))
        flat = _flat_limit(layer.f)
        share = float((slope < flat).mean()) if flat is not None else 0.0
        if flat is not None and share > SATURATED and evidence.relative_cost > FITTED:
            yield _saturated(layer, share, z)
        elif flat is None and len(dead) >= max(1.0, DEAD * layer.units):
            yield _dead(layer, dead, len(z))


def _saturated(layer: Layer, share: float, z: np.ndarray) -> Finding:
    typical = float(np.median(np.abs(z)))
    words = (
        f"{share:.0%} of the activations of {layer.name} are saturated ({layer.f.name} is flat there: |f'(z)| is below "
        f"{FLAT:.0%} of its largest); |z| is typically {typical:.3g}."
    )
    advice = (
        "Scale the inputs, start from smaller weights, lower the learning rate, or use another activation such as relu."
    )
    return Finding("saturated units", "serious", words, advice, (layer.name,), {"share": share, "typical |z|": typical})


def _dead(layer: Layer, dead: np.ndarray, rows: int) -> Finding:
    share = len(dead) / layer.units
    shown = ", ".join(str(j) for j in dead[:6]) + (", ..." if len(dead) > 6 else "")
    words = (
        f"{len(dead)} of {layer.units} units of {layer.name} ({layer.f.name}) have slope 0 on all {rows:,} rows "
        f"checked, so no gradient passes through them (units {shown})."
    )
    advice = "Lower the learning rate, use leaky_relu or elu, or start again from other weights with biases at 0."
    severity = "serious" if share > 0.5 else "warning"
    return Finding("dead units", severity, words, advice, (layer.name,), {"share": share, "dead": len(dead)})


def copies(evidence: Evidence) -> Iterator[Finding]:
    """Units of a layer with the same incoming and outgoing weights: their gradients are equal, so they stay equal."""
    net = evidence.objective.net
    for layer in net.layers:
        if layer.units < 2 or layer.name in (net.outputs or ()):
            continue
        weights = _in_and_out(net, evidence.params, layer)
        if weights is None:
            continue
        size = float(np.abs(weights).max(initial=0.0))
        zero = ~weights.any(axis=1)
        if zero.any() and not zero.all():
            weights = weights[~zero]  # pruned, for example by a penalty
        alike = np.round(weights / (1e-9 * size)) if size else weights
        different = len(np.unique(alike, axis=0))
        if different < len(weights):
            words = f"Of the {layer.units} units of {layer.name} only {different} differ: the others have the same "
            words += "incoming and outgoing weights, so they get the same gradient and stay duplicates."
            advice = "Start from random weights (the default), not from zeros or one number."
            numbers = {"units": float(layer.units), "different": float(different)}
            yield Finding("duplicate units", "serious", words, advice, (layer.name,), numbers)


def _in_and_out(net: Network, params: Parameters, layer: Layer) -> np.ndarray | None:
    """Bias, incoming and outgoing weights of each unit, (units, weights); None with identity connections."""
    parts = [] if params[layer.name].b is None else [params[layer.name].b[:, None]]  # type: ignore[index]
    for target in net.layers:
        for c in target.connections:
            if (target.name == layer.name or c.source == layer.name) and c.kind == "identity":
                return None
            if target.name == layer.name:
                parts.append(c.matrix(params[target.name].W[c.source], target.units).T)
            elif c.source == layer.name:
                parts.append(c.matrix(params[target.name].W[c.source], target.units))
    return np.hstack(parts).astype(np.float64)


def _has_short_form(evidence: Evidence, layer: Layer) -> bool:
    """Whether it is an output with delta = yhat - y, for which saturation does no harm."""
    loss = evidence.objective.losses.get(layer.name)
    return loss is not None and loss.partner is not None and isinstance(layer.f, loss.partner)


def _flat_limit(f: Elementwise) -> float | None:
    """The slope below which f is saturated; None if it is not flat at both ends, such as relu."""
    z = np.array([-30.0, 30.0, *np.linspace(-3, 3, 61)])
    slope = np.abs(np.broadcast_to(np.asarray(f.derivative(z, f.function(z)), dtype=np.float64), z.shape))
    limit = FLAT * float(slope.max())
    return limit if slope[:2].max() < limit else None


def _list(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
