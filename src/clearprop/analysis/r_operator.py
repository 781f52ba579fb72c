"""The R-operator: the derivative of every number of both sweeps as the parameters move in a direction v.

R{x} = dx(w + r v)/dr at r = 0. Forward, R{z_j} = R{b_j} + sum_k (R{a_k} W_kj + a_k V_kj) and R{a_j} = f'_j(z_j) R{z_j};
backward, the same rule applied to each line of the backward sweep; R{dJ/dw} = H v. Pearlmutter, "Fast exact
multiplication by the Hessian", Neural Computation 6 (1994).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clearprop.activations import Activation, Elementwise
from clearprop.checks import check_array, check_finite, dense
from clearprop.core.backprop import Forward, backward, loss_and_delta
from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, check_trace
from clearprop.errors import ArgumentError, ShapeError
from clearprop.symbolic.jvp import Dual


def hessian_vector(trace: Trace, v: Parameters | Any) -> Parameters:
    """The Hessian of the cost times a vector, H v = dg(w + r v)/dr at r = 0, where g is the gradient.

    `v` are parameters or a vector (parameters,) in the order of `params.flat`; the result has the same order and
    includes frozen parameters. It is exact up to rounding and costs about two passes of backpropagation (Pearlmutter
    1994). A weight exactly at a kink (ReLU at 0) gets the slope that the activation itself gives there.
    Raises ShapeError, DataError or ArgumentError for an invalid `v`.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> X, y = np.array([[1.0], [2.0]]), np.zeros((2, 1))
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), X, y, loss="squared_error")
    >>> cp.analysis.hessian_vector(trace, [1.0, 0.0]).flat  # mean of x^2, and mean of x
    array([2.5, 1.5])
    """
    check_trace(trace)
    objective, net = trace.objective, trace.objective.net
    direction = as_direction(trace.params, v)
    params = Parameters(net, Dual(trace.params.flat, direction))  # type: ignore[arg-type]
    weights, product = objective.weights(slice(None)), np.zeros_like(direction)
    for rows in objective.chunks():
        gradients = Parameters(net, Dual(np.zeros_like(product), np.zeros_like(product)))  # type: ignore[arg-type]
        seen = r_forward(net, params, dense(objective.X[rows]))
        targets = {name: y[rows] for name, y in objective.targets.items()}
        _, delta = loss_and_delta(net, objective.losses, seen, targets, weights[rows])
        backward(net, params, seen, delta, gradients)
        product += gradients.flat.tangent  # type: ignore[attr-defined]
    return Parameters(net, product)


def r_forward(net: Network, params: Parameters, X: Any) -> Forward:
    """The forward sweep over dual parameters or a dual X (n, i): every z and a with its directional derivative."""
    X = X if isinstance(X, Dual) else Dual(X, np.zeros_like(X))
    z, a = {}, {INPUT: X}
    for layer in net.layers:
        W, b = params[layer.name].W, params[layer.name].b
        weighted_sum = sum(c.forward(a[c.source], W.get(c.source)) for c in layer.connections)
        z[layer.name] = weighted_sum if b is None else weighted_sum + b
        a[layer.name] = push_forward(layer.f, z[layer.name])  # type: ignore[arg-type]
    return Forward(z, a, a)


def push_forward(f: Activation, z: Dual) -> Dual:
    """f(z), and the Jacobian of f times R{z}; for an elementwise f that is f'(z) R{z}, its pullback as well."""
    if isinstance(f, Elementwise):
        a = f.function(z.value)
        return Dual(a, f.pullback(z.value, a, z.tangent))
    return f.function(z)


def as_direction(params: Parameters, v: Any) -> np.ndarray:
    """A direction as a finite vector in the order of `params.flat`."""
    if isinstance(v, Parameters) and v.net != params.net:
        raise ArgumentError("v: these parameters belong to another network.")
    array = check_array(v.flat if isinstance(v, Parameters) else v, "v", params.dtype)
    if array.shape != params.flat.shape:
        raise ShapeError(f"v: expected a vector of {params.flat.size} numbers, one per parameter, got {array.shape}.")
    check_finite(array, "v")
    return array
