"""The backward sweep with a mistake in it, on purpose: what a wrong derivation would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.activations import Activation, Elementwise
from clearprop.core.backprop import Forward
from clearprop.core.network import INPUT, Layer
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.mathematics import Array


@dataclass(frozen=True)
class Slips:
    """What goes wrong in a backward sweep, and in which layers or connections (layer, source)."""

    no_derivative: frozenset[str] = frozenset()  #: delta = error, without the pullback of the activation
    at_activation: frozenset[str] = frozenset()  #: f'(a) in place of f'(z)
    derivative_again: frozenset[str] = frozenset()  #: the short form of an output's delta times f'(z) once more
    diagonal: frozenset[str] = frozenset()  #: a softmax taken as elementwise: its Jacobian's diagonal only
    transposed: frozenset[tuple[str, str]] = frozenset()  #: delta W in place of delta W^T
    cut: frozenset[tuple[str, str]] = frozenset()  #: the term of this target is missing in its source's error signal
    turned: frozenset[tuple[str, str]] = frozenset()  #: delta^T a in place of a^T delta
    rate: float = 0.0  #: the weights that carry delta back have already moved by -rate dJ/dW


def slipped(objective: Objective, params: Parameters, seen: Forward, slips: Slips) -> np.ndarray:
    """The flat gradient that the backward sweep gives with these slips in it."""
    net, gradients = params.net, Parameters(params.net, np.zeros_like(params.flat))
    weights = objective.weights(slice(None))[:, None]
    error: dict[str, Array] = {}
    for layer in reversed(net.layers):
        name = layer.name
        delta: Array = 0.0
        if name in objective.losses:
            delta = _output_delta(objective, layer, seen, slips) * weights
        if name in error:
            delta = delta + _pull(layer, seen, error[name], slips)
        for c in layer.connections:
            W, place = params[name].W.get(c.source), (name, c.source)
            W_back = W
            if W is not None and c.kind != "identity":
                a = seen.a[c.source]
                gradient = delta.T @ a if place in slips.turned else c.gradient(a, delta)
                gradients[name].W[c.source][...] = gradient
                if c.trainable:
                    W_back = W - slips.rate * gradient
            if c.source != INPUT and place not in slips.cut:
                term = delta @ W_back if place in slips.transposed else c.backward(delta, W_back)
                error[c.source] = error[c.source] + term if c.source in error else term
        b = gradients[name].b
        if b is not None:
            b[...] = delta.sum(axis=0)
    return gradients.flat


def _output_delta(objective: Objective, layer: Layer, seen: Forward, slips: Slips) -> Array:
    name, loss, y = layer.name, objective.losses[layer.name], objective.targets[layer.name]
    z, a = seen.z[name], seen.a[name]
    if name in slips.no_derivative | slips.at_activation | slips.diagonal:
        return _pull(layer, seen, loss.value_and_error(a, y)[1], slips)
    delta = loss.value_and_delta(layer.f, z, a, y)[1]
    return delta * _diagonal(layer.f, z, a) if name in slips.derivative_again else delta


def _pull(layer: Layer, seen: Forward, error: Array, slips: Slips) -> Array:
    z, f = seen.z[layer.name], seen.f[layer.name]
    if layer.name in slips.no_derivative:
        return error
    if layer.name in slips.at_activation:
        return layer.f.pullback(f, layer.f.function(f), error)
    if layer.name in slips.diagonal:
        return error * _diagonal(layer.f, z, f)
    return layer.f.pullback(z, f, error)


def _diagonal(f: Activation, z: Array, a: Array) -> Array:
    """df_i/dz_i of each unit: f'(z), or the diagonal of the Jacobian of each row."""
    if isinstance(f, Elementwise):
        return f.pullback(z, a, np.ones_like(z))
    columns = []
    for i in range(z.shape[1]):
        unit = np.zeros_like(z)
        unit[:, i] = 1
        columns.append(f.pullback(z, a, unit)[:, i])
    return np.stack(columns, axis=1)
