"""The backward sweep with deliberate mistakes, to simulate a wrong derivation."""

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
class Faults:
    """The mistakes of a faulty backward sweep, by layer or by connection (layer, source)."""

    no_derivative: frozenset[str] = frozenset()  #: delta = error, without the pullback of the activation
    at_activation: frozenset[str] = frozenset()  #: f'(a) instead of f'(z)
    derivative_again: frozenset[str] = frozenset()  #: the short form of an output's delta, multiplied by f'(z) again
    diagonal: frozenset[str] = frozenset()  #: only the diagonal of the Jacobian, as if softmax were elementwise
    transposed: frozenset[tuple[str, str]] = frozenset()  #: delta W instead of delta W^T
    missing_path: frozenset[tuple[str, str]] = frozenset()  #: the source's error signal lacks the term of this target
    transposed_gradient: frozenset[tuple[str, str]] = frozenset()  #: delta^T a instead of a^T delta
    rate: float = 0.0  #: delta goes back through weights already updated by -rate dJ/dW


def faulty_gradient(objective: Objective, params: Parameters, seen: Forward, faults: Faults) -> np.ndarray:
    """The flat gradient of a backward sweep with these faults."""
    net, gradients = params.net, Parameters(params.net, np.zeros_like(params.flat))
    weights = objective.weights(slice(None))[:, None]
    error: dict[str, Array] = {}
    for layer in reversed(net.layers):
        name = layer.name
        delta: Array = 0.0
        if name in objective.losses:
            delta = _output_delta(objective, layer, seen, faults) * weights
        if name in error:
            delta = delta + _pull(layer, seen, error[name], faults)
        for c in layer.connections:
            W, edge = params[name].W.get(c.source), (name, c.source)
            W_back = W
            if W is not None and c.kind != "identity":
                a = seen.a[c.source]
                gradient = delta.T @ a if edge in faults.transposed_gradient else c.gradient(a, delta)
                gradients[name].W[c.source][...] = gradient
                if c.trainable:
                    W_back = W - faults.rate * gradient
            if c.source != INPUT and edge not in faults.missing_path:
                term = delta @ W_back if edge in faults.transposed else c.backward(delta, W_back)
                error[c.source] = error[c.source] + term if c.source in error else term
        b = gradients[name].b
        if b is not None:
            b[...] = delta.sum(axis=0)
    return gradients.flat


def _output_delta(objective: Objective, layer: Layer, seen: Forward, faults: Faults) -> Array:
    name, loss, y = layer.name, objective.losses[layer.name], objective.targets[layer.name]
    z, a = seen.z[name], seen.a[name]
    if name in faults.no_derivative | faults.at_activation | faults.diagonal:
        return _pull(layer, seen, loss.value_and_error(a, y)[1], faults)
    delta = loss.value_and_delta(layer.f, z, a, y)[1]
    return delta * _diagonal(layer.f, z, a) if name in faults.derivative_again else delta


def _pull(layer: Layer, seen: Forward, error: Array, faults: Faults) -> Array:
    z, f = seen.z[layer.name], seen.f[layer.name]
    if layer.name in faults.no_derivative:
        return error
    if layer.name in faults.at_activation:
        return layer.f.pullback(f, layer.f.function(f), error)
    if layer.name in faults.diagonal:
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
