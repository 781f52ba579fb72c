"""Input sensitivities: how much each output of a network moves with each input, by the backward sweep."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearprop.backprop import backward, forward
from clearprop.checks import check_inputs
from clearprop.network import INPUT, Network
from clearprop.objective import CHUNK
from clearprop.parameters import Parameters, check_params


def input_sensitivities(net: Network, params: Parameters, X: Any) -> np.ndarray:
    """d yhat_o / d x_i of each sample, (n samples, o outputs, i inputs), dropout off.

    One backward sweep per output: its error signal starts as 1 at that output and 0 at the others, and goes on past the
    first layers to the input, sum over layers j that take the input of delta_j W_j^T. The outputs of several output
    layers come one after the other. Raises ShapeError or DataError for an X that cannot be used.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 1, output="sigmoid")
    >>> params = net.initialize(given={"output": {"input": [[4.0], [-8.0]]}})
    >>> cp.input_sensitivities(net, params, np.zeros((1, 2)))
    array([[[ 1., -2.]]])
    """
    check_params(net, params)
    X = check_inputs(X, net.inputs, params.dtype)
    places = [(name, unit) for name in net.outputs or () for unit in range(net[name].units)]
    found = np.zeros((len(X), len(places), net.inputs), params.dtype)
    scratch = Parameters(net, np.zeros_like(params.flat))
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        seen = forward(net, params, X[rows])
        for place, (name, unit) in enumerate(places):
            error = np.zeros_like(seen.f[name])
            error[:, unit] = 1
            delta = net[name].f.pullback(seen.z[name], seen.f[name], error)
            others = {other: np.zeros_like(seen.z[other]) for other in net.outputs or ()}
            back = backward(net, params, seen, {**others, name: delta}, scratch)
            for layer in net.layers:
                for c in layer.connections:
                    if c.source == INPUT:
                        found[rows, place] += c.backward(back.delta[layer.name], params[layer.name].W.get(INPUT))
    return found
