"""Sensitivities of the inputs: the backward sweep continues to dJ/dX and d yhat/dX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearprop.checks import check_array, check_choice, check_inputs, check_integer, dense
from clearprop.core.backprop import Backward, Forward, backward, forward
from clearprop.core.network import INPUT, Network, check_params
from clearprop.core.objective import CHUNK
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, check_trace
from clearprop.errors import ShapeError


def input_gradient(trace: Trace) -> np.ndarray:
    """How the cost changes with every entry of X: dJ/dX, (n samples, i inputs).

    dJ/dX = sum over targets j of the input of delta_j W_j^T, as for any other layer.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 1)
    >>> params = net.initialize(given={"output": {"input": [[3.0], [-1.0]]}})
    >>> trace = cp.backpropagate(net, params, np.array([[1.0, 1.0]]), np.array([[1.0]]), loss="squared_error")
    >>> cp.analysis.input_gradient(trace)
    array([[ 3., -1.]])
    """
    delta = {name: trace[name].delta for name in check_trace(trace)}
    return error_at_input(trace.objective.net, trace.params, delta, dense(trace.X))


def jacobian(net: Network, params: Parameters, X: Any, of: str = "a") -> Any:
    """How every output changes with every input: d yhat/dX, (n samples, o units, i inputs).

    `of="z"` differentiates the weighted sums of the output layer instead of its activations. A dict by output layer
    where there are several. One backward sweep for each output unit, started with delta = pullback of the unit's error
    signal 1. Raises ShapeError, DataError or ArgumentError for invalid arguments.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 1, output="sigmoid")
    >>> params = net.initialize(given={"output": {"input": [[4.0], [-8.0]]}})
    >>> cp.analysis.jacobian(net, params, np.zeros((1, 2)))
    array([[[ 1., -2.]]])
    """
    check_params(net, params)
    check_choice(of, "of", ("a", "z"))
    X = check_inputs(X, net.inputs, params.dtype)
    outputs = tuple(net.outputs or ())
    result = {name: np.empty((len(X), net.units(name), net.inputs), params.dtype) for name in outputs}
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        seen = forward(net, params, X[rows])
        for name in outputs:
            for unit in range(net.units(name)):
                delta = sweep_from_unit(net, params, seen, name, unit, of).delta
                result[name][rows, unit] = error_at_input(net, params, delta, X[rows])
    return result[outputs[0]] if len(outputs) == 1 else result


def integrated_gradients(net: Network, params: Parameters, X: Any, baseline: Any = None, steps: int = 64) -> Any:
    """The contribution of each input to each output, relative to a baseline: (n samples, o units, i inputs).

    (x_i - x0_i) * integral from 0 to 1 of d yhat/dx_i at x0 + t (x - x0), by Gauss-Legendre quadrature with `steps`
    points; the sum over inputs is yhat(x) - yhat(x0). The baseline x0 is zero unless given: one row (i,) for all
    samples, or one per sample (n, i). A dict by output layer where there are several. Sundararajan, Taly and Yan 2017.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(2, 1, output="softplus")
    >>> params = net.initialize(given={"output": {"input": [[2.0], [-1.0]]}})
    >>> share = cp.analysis.integrated_gradients(net, params, np.array([[1.0, 1.0]]))
    >>> share.round(4), (cp.predict(net, params, [[1, 1]]) - cp.predict(net, params, [[0, 0]])).round(4)
    (array([[[ 1.2402, -0.6201]]]), array([[0.6201]]))
    """
    check_params(net, params)
    X = check_inputs(X, net.inputs, params.dtype)
    start = np.zeros(net.inputs) if baseline is None else check_array(baseline, "baseline", params.dtype)
    if start.shape not in ((net.inputs,), X.shape):
        raise ShapeError(f"baseline: expected one row ({net.inputs},) or one per sample {X.shape}, got {start.shape}.")
    start = check_inputs(np.broadcast_to(start, X.shape), net.inputs, params.dtype, "baseline")
    nodes, weights = np.polynomial.legendre.leggauss(check_integer(steps, "steps", most=10_000))
    total: Any = None
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        slopes = jacobian(net, params, start + params.dtype.type(node) * (X - start))
        named = slopes if isinstance(slopes, Mapping) else {"": slopes}
        terms = {name: params.dtype.type(weight) * J * (X - start)[:, None, :] for name, J in named.items()}
        total = terms if total is None else {name: total[name] + term for name, term in terms.items()}
    return total.get("", total)


def sweep_from_unit(net: Network, params: Parameters, seen: Forward, output: str, unit: int, of: str = "a") -> Backward:
    """The backward sweep from the activation (or weighted sum) of one output unit instead of a cost."""
    one = np.zeros_like(seen.z[output])
    one[:, unit] = 1
    start = {name: np.zeros_like(seen.z[name]) for name in net.outputs or ()}
    start[output] = one if of == "z" else net[output].f.pullback(seen.z[output], seen.f[output], one)
    return backward(net, params, seen, start, Parameters(net, np.zeros_like(params.flat)))


def error_at_input(net: Network, params: Parameters, delta: Mapping[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """The error signal at the input: one term per layer that reads it."""
    error = np.zeros_like(X)
    for layer in net.layers:
        for c in layer.connections:
            if c.source == INPUT:
                error += c.backward(delta[layer.name], params[layer.name].W.get(INPUT))
    return error
