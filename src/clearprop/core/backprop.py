"""Backpropagation: the forward sweep and the backward sweep.

A network is layers j in topological order, each taking earlier layers k as sources (the input is a_0 = X):

    z_j     = b_j + sum over sources k of a_k W_kj              weighted sum
    a_j     = f_j(z_j)                                          activation
    error_k = sum over targets j of delta_j W_kj^T              error signal dJ/da_k: one term per path
    delta_k = pullback of f_k applied to error_k                sensitivity dJ/dz_k, error_k * f_k'(z_k) elementwise
    dJ/dW_kj = a_k^T delta_j      dJ/db_j = sum over samples of delta_j

Rows are samples: z, a, error and delta of a layer are (n samples, units). Rumelhart, Hinton and Williams, "Learning
representations by back-propagating errors", Nature 323 (1986).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters
from clearprop.losses import Loss
from clearprop.mathematics import Array


@dataclass
class Forward:
    """Result of the forward sweep: z, f(z) and the activation a of each layer, by layer name.

    `a` differs from f(z) only by the dropout mask; a["input"] is X.
    """

    z: dict[str, Array]
    f: dict[str, Array]
    a: dict[str, Array]


@dataclass
class Backward:
    """Result of the backward sweep: error signal and delta of each layer (an output that is no source has no error)."""

    error: dict[str, Array]
    delta: dict[str, Array]


def forward(net: Network, params: Parameters, X: Array, masks: Mapping[str, Array] | None = None) -> Forward:
    """Sweep from the input to the outputs; `masks` holds a dropout mask (n, units) for each layer that has one."""
    z, f, a = {}, {}, {INPUT: X}
    for layer in net.layers:
        W, b = params[layer.name].W, params[layer.name].b
        weighted_sum = sum(c.forward(a[c.source], W.get(c.source)) for c in layer.connections)
        z[layer.name] = weighted_sum if b is None else weighted_sum + b
        f[layer.name] = layer.f.function(z[layer.name])
        a[layer.name] = f[layer.name] * masks[layer.name] if masks and layer.name in masks else f[layer.name]
    return Forward(z, f, a)


def backward(
    net: Network,
    params: Parameters,
    swept: Forward,
    delta_of_outputs: Mapping[str, Array],
    gradients: Parameters,
    masks: Mapping[str, Array] | None = None,
) -> Backward:
    """Sweep from the outputs to the input; dJ/dW and dJ/db are written into `gradients`."""
    error: dict[str, Array] = {}
    delta: dict[str, Array] = dict(delta_of_outputs)
    for layer in reversed(net.layers):
        name = layer.name
        if name in error:  # an output that is also a source has both deltas, from its loss and from its targets
            signal = error[name] * masks[name] if masks and name in masks else error[name]
            pulled = layer.f.pullback(swept.z[name], swept.f[name], signal)
            delta[name] = pulled + delta[name] if name in delta else pulled
        for c in layer.connections:
            W = params[name].W.get(c.source)
            if W is not None and c.kind != "identity":
                gradients[name].W[c.source][...] = c.gradient(swept.a[c.source], delta[name])
            if c.source != INPUT:
                term = c.backward(delta[name], W)
                error[c.source] = error[c.source] + term if c.source in error else term
        b = gradients[name].b
        if b is not None:
            b[...] = delta[name].sum(axis=0)
    return Backward(error, delta)


def loss_and_delta(
    net: Network, losses: Mapping[str, Loss], swept: Forward, targets: Mapping[str, Array], weights: Array
) -> tuple[Array, dict[str, Array]]:
    """Weighted loss of each sample (n,), summed over the outputs, and delta of each output layer.

    `weights` (n,) are w_n for the cost sum_n w_n l_n, and w_n / sum_n w_n for the mean.
    """
    values, delta = 0, {}
    for name, loss in losses.items():
        value, slope = loss.value_and_delta(net[name].f, swept.z[name], swept.a[name], targets[name])
        values = values + weights * value
        delta[name] = slope * weights[:, None]
    return values, delta
