"""Diagonals of curvature matrices: the generalized Gauss-Newton matrix and the empirical Fisher matrix."""

from __future__ import annotations

import numpy as np

from clearprop.analysis.inputs import sweep_from_unit
from clearprop.analysis.r_operator import push_forward
from clearprop.checks import dense
from clearprop.core.backprop import Forward, forward
from clearprop.core.network import INPUT
from clearprop.core.parameters import Parameters
from clearprop.core.per_sample import connection_of, sample_gradients
from clearprop.core.trace import Trace, check_trace
from clearprop.losses import Loss
from clearprop.symbolic.jvp import Dual, tangent_of

NUMBERS_AT_ONCE = 2**23  #: rows x output units x parameters that are in memory at once


def fisher_diagonal(trace: Trace) -> Parameters:
    """The diagonal of the empirical Fisher matrix, sum_n w_n g_n^2 / sum_n w_n with g_n = dl_n/dw.

    Of the shape of the parameters, frozen ones included. It uses the observed targets; for its limits see
    Kunstner, Balles and Hennig 2019.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), [[0.0], [0.0]], [[1.0], [3.0]], loss="squared_error")
    >>> cp.analysis.fisher_diagonal(trace)["output"].b  # (1 + 9) / 2
    array([5.])
    """
    return check_trace(trace).per_sample.second_moment


def gauss_newton_diagonal(trace: Trace) -> Parameters:
    """The diagonal of the generalized Gauss-Newton matrix G = sum_n c_n J_n^T H_n J_n, of the shape of the parameters.

    J_n (o, parameters) is the derivative of the outputs of sample n by the parameters, H_n (o, o) the second derivative
    of its loss by those outputs, c_n the factor of its loss in the cost. "Outputs" are the weighted sums z where loss
    and activation match (softmax and cross-entropy, ...), else yhat, so that H_n is positive semidefinite for every
    convex loss. The trace of G is `.flat.sum()`. Schraudolph 2002; the diagonal swept backward: Dangel et al. 2020.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0], [3.0]], [[1.0], [3.0]], loss="squared_error")
    >>> cp.analysis.gauss_newton_diagonal(trace)["output"].W["input"]  # (1 + 9) / 2
    array([[5.]])
    """
    check_trace(trace)
    objective, net, params = trace.objective, trace.objective.net, trace.params
    weights, diagonal = objective.weights(slice(None)), Parameters(net, np.zeros_like(params.flat))
    each = max(1, params.flat.size * max(net.units(name) for name in objective.losses))
    rows_at_once = max(1, NUMBERS_AT_ONCE // each)
    for start in range(0, objective.samples, rows_at_once):
        rows = slice(start, start + rows_at_once)
        seen = forward(net, params, objective.X[rows])
        for name, loss in objective.losses.items():
            H = output_curvature(trace, seen, name, loss, objective.targets[name][rows]) * weights[rows, None, None]
            _add_output(diagonal, params, seen, name, H, "z" if matches(trace, name, loss) else "a")
    return diagonal


def matches(trace: Trace, output: str, loss: Loss) -> bool:
    """Whether the loss has its short form with the activation of this output."""
    return loss.partner is not None and isinstance(trace.objective.net[output].f, loss.partner)


def output_curvature(trace: Trace, seen: Forward, output: str, loss: Loss, y: np.ndarray) -> np.ndarray:
    """H_n: the second derivative of the loss of each sample by z of a matching output, else by yhat, (n, o, o)."""
    f, z, yhat = trace.objective.net[output].f, seen.z[output], seen.a[output]
    columns = []
    for unit in range(z.shape[1]):
        one = np.zeros_like(z)
        one[:, unit] = 1
        if matches(trace, output, loss):
            slope = loss.short_form(Dual(z, one), push_forward(f, Dual(z, one)), y)[1]
        else:
            slope = loss.value_and_error(Dual(yhat, one), y)[1]
        columns.append(tangent_of(slope))
    return np.stack(columns, axis=2)


def _add_output(diagonal: Parameters, params: Parameters, seen: Forward, output: str, H: np.ndarray, of: str) -> None:
    """Add sum_n sum_op J_no H_nop J_np of one output layer to the entry of each parameter."""
    net = diagonal.net
    deltas = [sweep_from_unit(net, params, seen, output, unit, of).delta for unit in range(H.shape[1])]
    for block in net.layout.blocks:
        delta = np.stack([d[block.layer] for d in deltas], axis=1)  # (n, o, u)
        c, entries = connection_of(net, block), diagonal.view(block)
        a = dense(seen.a[block.source or INPUT])
        if c is None or c.kind == "dense":
            square = (delta * np.einsum("nop,npu->nou", H, delta)).sum(axis=1)
            entries += square.sum(axis=0) if c is None else (a * a).T @ square
        else:
            J = np.stack([sample_gradients(c, a, delta[:, o]) for o in range(H.shape[1])], axis=1)
            entries += (J * np.einsum("nop,npk->nok", H, J)).sum(axis=(0, 1))
