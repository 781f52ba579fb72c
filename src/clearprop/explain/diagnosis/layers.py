"""Checks of layers: zero weights, duplicate, saturated and dead units, vanishing and exploding deltas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.network import Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.explain.diagnosis.evidence import FITTED, LEARNED, PRIOR, Evidence, typical
from clearprop.explain.diagnosis.findings import Finding, check

#: Typical delta of a hidden layer relative to that of the output, below and above which learning suffers.
VANISHED, EXPLODED = 1e-3, 1e2
#: A unit is saturated on a row if |f'(z)| is below this fraction of its maximum.
FLAT = 0.05
SATURATED = 0.6  #: fraction of saturated activations in a layer
DEAD = 0.25  #: fraction of dead units in a layer
SHRUNK = 0.2  #: typical weight relative to one before training
ROWS_TO_JUDGE = 50  #: rows required to call units dead, unless there are no more
NOTHING = 1e-6  #: largest weight into a layer below which nothing passes


@check("zero-weights", "serious")
def zero_weights(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose incoming weights are all 0; an output that starts so is usual, and one that ends so is not."""
    net, params = evidence.net, evidence.params
    outputs = net.outputs or ()
    stays = evidence.is_trained and evidence.relative_cost > LEARNED
    empty = [
        layer.name
        for layer in net.layers
        if (layer.name not in outputs or stays)
        and all(c.kind != "identity" for c in layer.connections)
        and all(np.abs(params[layer.name].W[c.source]).max(initial=0.0) < NOTHING for c in layer.connections)
    ]
    if empty:
        many = len(empty) > 1
        words = (
            f"All weights into {_list(empty)} are 0 (below {NOTHING:g}), so {'these layers are' if many else 'it is'}"
        )
        words += " the same for every row."
        advice = "Start from random weights (the default)."
        advice += " If the weights became 0 in training, weaken the penalty." if evidence.is_trained else ""
        yield Finding(words, advice, tuple(empty))


@check("penalty-too-strong", "serious", needs=("history",))
def penalty_too_strong(evidence: Evidence) -> Iterator[Finding]:
    """Weights far below those of the start, in a network that learned nothing."""
    if not evidence.recorded.facts.penalized or not evidence.is_trained or evidence.relative_cost < PRIOR:
        return
    before = typical(evidence.net.initialize(seed=0).penalized)
    after = typical(evidence.params.penalized)
    if after < SHRUNK * before:
        words = f"The weights have shrunk from about {before:.2g} before training to typical size {after:.2g}, and the "
        words += f"cost is {evidence.relative_cost:.3g} times that of a constant output."
        advice = (
            "Lower the strength of the penalty. If that does not help, the inputs may tell nothing about the targets."
        )
        yield Finding(words, advice, (), {"before": before, "after": after})


@check("duplicate-units", "serious")
def duplicate_units(evidence: Evidence) -> Iterator[Finding]:
    """Units of a layer with the same incoming and outgoing weights: their gradients are equal, so they stay equal."""
    net = evidence.net
    for layer in net.layers:
        if layer.units < 2 or layer.name in (net.outputs or ()):
            continue
        weights = _in_and_out(net, evidence.params, layer)
        if weights is None:
            continue
        size = np.abs(weights).max(axis=0)
        zero = ~weights.any(axis=1)
        if zero.any() and not zero.all():
            weights = weights[~zero]  # pruned, for example by a penalty
        alike = np.round(weights / np.where(size > 0, 1e-9 * size, 1))
        different = len(np.unique(alike, axis=0))
        if different < len(weights):
            words = f"Of the {layer.units} units of {layer.name} only {different} differ: the others have the same "
            words += "incoming and outgoing weights, so they get the same gradient and stay duplicates."
            advice = "Start from random weights (the default), not from zeros or one number."
            numbers = {"units": float(layer.units), "different": float(different)}
            yield Finding(words, advice, (layer.name,), numbers)


@check("saturated-units", "serious")
def saturated_units(evidence: Evidence) -> Iterator[Finding]:
    """Layers that are flat on most rows; while the network does not fit, because in a fitted one that is usual."""
    if evidence.has_reached(FITTED):
        return
    for layer, f, slope in _slopes(evidence):
        limit = _flat_limit(f)
        share = float((slope < limit).mean()) if limit is not None else 0.0
        if share > SATURATED:
            size = float(np.median(np.abs(evidence.trace[layer.name].z)))
            words = (
                f"{share:.0%} of the activations of {layer.name} are saturated ({layer.f.name} is flat there: |f'(z)| "
                f"is below {FLAT:.0%} of its largest); |z| is typically {size:.3g}."
            )
            numbers = {"share": share, "typical |z|": size}
            yield Finding(words, _unsaturate(evidence, layer), (layer.name,), numbers)


def _unsaturate(evidence: Evidence, layer: Layer) -> str:
    rate = "lower the learning rate, " if evidence.has_rate else ""
    if layer.name not in (evidence.net.outputs or ()):
        return f"Scale the inputs, start from smaller weights, {rate}or use another activation such as relu."
    if layer.f.name == "sigmoid":
        return f"Scale the inputs, {rate}or use binary_cross_entropy, whose delta does not vanish there."
    return f"Scale the inputs and the targets, {rate}or use an identity output."


@check("dead-units", "warning")
def dead_units(evidence: Evidence) -> Iterator[Finding]:
    """Units whose slope is 0 on every row; in a network that learned well they are only unused."""
    if evidence.is_trained and evidence.has_reached(LEARNED):
        return
    if evidence.is_trained and evidence.samples < min(ROWS_TO_JUDGE, evidence.recorded.facts.rows):
        return  # they may be alive on other rows
    for layer, f, slope in _slopes(evidence):
        dead = np.flatnonzero((slope == 0).all(axis=0))
        if _flat_limit(f) is not None or len(dead) < max(1.0, DEAD * layer.units):
            continue
        share = len(dead) / layer.units
        shown = ", ".join(str(j) for j in dead[:6]) + (", ..." if len(dead) > 6 else "")
        words = (
            f"{len(dead)} of {layer.units} units of {layer.name} ({layer.f.name}) have slope 0 on all {len(slope):,} "
            f"rows checked, so no gradient passes through them (units {shown})."
        )
        advice = "Start from other weights with biases at 0, or use leaky_relu or elu."
        if evidence.has_rate:
            advice = "Lower the learning rate, use leaky_relu or elu, or start again from other weights."
        numbers = {"share": share, "dead": len(dead)}
        yield Finding(words, advice, (layer.name,), numbers, "serious" if share > 0.5 else "warning")


@check("vanishing-deltas", "serious")
def vanishing_deltas(evidence: Evidence) -> Iterator[Finding]:
    """Hidden layers whose typical delta is far below that of the output."""
    ratios = _ratios(evidence)
    small = [name for name, ratio in ratios.items() if ratio < VANISHED]
    if small:
        verb = "learn" if len(small) > 1 else "learns"
        words = f"The typical delta (dJ/dz) relative to that of the output is {_table(ratios)}: {_list(small)} hardly "
        yield Finding(f"{words}{verb}.", _revive(evidence), tuple(small), ratios)


def _revive(evidence: Evidence) -> str:
    hidden = [layer.f for layer in evidence.net.layers if layer.name not in (evidence.net.outputs or ())]
    flat = dict.fromkeys(f.name for f in hidden if isinstance(f, Elementwise) and _flat_limit(f) is not None)
    others = "suitable initial weights (the default ones), fewer layers, or skip connections."
    if "sigmoid" in flat:
        return f"Use relu or tanh instead of sigmoid, {others}"
    return f"Use relu instead of {_list(list(flat))}, {others}" if flat else f"Use {others}"


@check("exploding-deltas", "serious")
def exploding_deltas(evidence: Evidence) -> Iterator[Finding]:
    """Hidden layers whose typical delta is far above that of the output."""
    ratios = _ratios(evidence)
    large = tuple(name for name, ratio in ratios.items() if ratio > EXPLODED)
    if large:
        words = f"The typical delta (dJ/dz) relative to that of the output is {_table(ratios)}: it grows towards the "
        advice = "Start from smaller weights (such as the default), add layer_normalization, or set clip_norm=1."
        yield Finding(f"{words}input.", advice, large, ratios)


def _ratios(evidence: Evidence) -> dict[str, float]:
    """The typical delta of each hidden layer relative to that of the outputs; none in a network that fits."""
    outputs = evidence.net.outputs or ()
    largest = max(typical(evidence.trace[name].delta) for name in outputs)
    if largest == 0 or evidence.has_reached(FITTED):
        return {}
    return {name: typical(evidence.trace[name].delta) / largest for name in evidence.trace if name not in outputs}


def _slopes(evidence: Evidence) -> Iterator[tuple[Layer, Elementwise, np.ndarray]]:
    """|f'(z)| of the layers with an elementwise activation, except outputs whose delta does not contain it."""
    for layer in evidence.net.layers:
        if isinstance(layer.f, Elementwise) and not _has_short_form(evidence, layer):
            z = evidence.trace[layer.name].z
            slope = np.asarray(layer.f.derivative(z, layer.f.function(z)), dtype=np.float64)
            yield layer, layer.f, np.abs(np.broadcast_to(slope, z.shape))


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


def _table(ratios: dict[str, float]) -> str:
    return ", ".join(f"{name} {ratio:.1e}" for name, ratio in ratios.items())


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
