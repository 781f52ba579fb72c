"""Networks and starting parameters from the estimators' parameters, and coefs_ and intercepts_ as views of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from clearprop.activations import Activation, Exponential, Sigmoid
from clearprop.core.caching import cached_by_definition
from clearprop.core.network import INPUT, Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ShapeError


@partial(cached_by_definition, most=64)
def build_network(
    inputs: int,
    sizes: tuple[int, ...],
    hidden: tuple[Activation, ...],
    dropouts: tuple[float, ...],
    outputs: tuple[tuple[int, Activation], ...],
    skip: bool,
) -> Network:
    """A chain of hidden layers and the output layers after it; with `skip` every layer takes the input too."""
    names = ["hidden"] if len(sizes) == 1 else [f"hidden{i + 1}" for i in range(len(sizes))]
    before, layers = INPUT, []
    for name, units, f, dropout in zip(names, sizes, hidden, dropouts, strict=True):
        layers.append(Layer(name, units, f, sources=_sources(before, skip), dropout=dropout))
        before = name
    ends = ["output"] if len(outputs) == 1 else [f"output{i + 1}" for i in range(len(outputs))]
    for name, (units, f) in zip(ends, outputs, strict=True):
        layers.append(Layer(name, units, f, sources=_sources(before, skip)))
    return Network(inputs, layers, ends)


def _sources(before: str, skip: bool) -> list[str]:
    return [before, INPUT] if skip and before != INPUT else [before]


def draw_parameters(
    net: Network, logistic: Sequence[bool], generator: np.random.RandomState, dtype: np.dtype
) -> Parameters:
    """Weights and biases uniform within +-sqrt(6 / (fan_in + fan_out)), 2 instead of 6 for logistic hidden units.

    The bound of Glorot and Bengio (2010), drawn in scikit-learn's order: layer by layer, weights, then biases.
    `logistic` tells which layers these are.
    """
    params = Parameters(net, np.zeros(net.layout.size, dtype))
    for layer, narrow in zip(net.layers, logistic, strict=True):
        bound = np.sqrt((2.0 if narrow else 6.0) / (net.fan_in(layer) + layer.units))
        for c in layer.connections:
            W = params[layer.name].W[c.source]
            W[...] = generator.uniform(-bound, bound, W.shape)
        b = params[layer.name].b
        assert b is not None
        b[...] = generator.uniform(-bound, bound, b.shape)
    return params


def views(params: Parameters) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases in the order of the layers, as views: coefs_ and intercepts_."""
    coefs, intercepts = [], []
    for layer in params.net.layers:
        own = params[layer.name]
        coefs += [own.W[c.source] for c in layer.connections if c.source in own.W and c.kind != "identity"]
        intercepts += [] if own.b is None else [own.b]
    return coefs, intercepts


def gather(net: Network, coefs: Sequence[Any], intercepts: Sequence[Any], dtype: np.dtype) -> Parameters:
    """Parameters that hold copies of coefs_ and intercepts_."""
    params = Parameters(net, np.zeros(net.layout.size, dtype))
    own_coefs, own_intercepts = views(params)
    for what, own, given in (("coefs_", own_coefs, coefs), ("intercepts_", own_intercepts, intercepts)):
        if len(own) != len(given):
            raise ShapeError(f"{what}: expected {len(own)} arrays for this network, got {len(given)}.")
        for i, (view, array) in enumerate(zip(own, given, strict=True)):
            if np.shape(array) != view.shape:
                raise ShapeError(f"{what}[{i}]: expected shape {view.shape}, got {np.shape(array)}.")
            view[...] = array
    return params


def output_name(f: Activation) -> str:
    """scikit-learn's name of an output activation."""
    if isinstance(f, Sigmoid):
        return "logistic"
    return "exp" if isinstance(f, Exponential) else f.name
