"""Diagonals of the Gauss-Newton and Fisher matrices: dense ones from differences, and where they are the Hessian."""

from __future__ import annotations

import numpy as np
import pytest
from differences import disagreement, finite_trace, moved, slope
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp
from clearprop.core.backprop import forward

#: Losses whose curvature is bounded; the others have logarithms of yhat in them.
LEVEL = (cp.SquaredError, cp.AbsoluteError, cp.Huber, cp.Quantile, cp.losses.CustomLoss)


def dense_gauss_newton(problem: Problem) -> np.ndarray:
    """sum_n c_n J_n^T H_n J_n with J and H from differences of the outputs and of the slope of the loss."""
    net, params, X, y, losses, weights, reduction = problem.arguments
    w = np.ones(len(X)) if weights is None else weights
    w = w if reduction == "sum" else w / w.sum()
    G = np.zeros((params.flat.size, params.flat.size))
    for name, loss in losses.items():
        f = net[name].f
        short = loss.partner is not None and isinstance(f, loss.partner)

        def output(at: cp.Parameters, name: str = name, short: bool = short) -> np.ndarray:
            seen = forward(net, at, X)
            return (seen.z if short else seen.f)[name]

        def slope_of_loss(u: np.ndarray, name: str = name, loss: cp.losses.Loss = loss, f=f, short: bool = short):
            return loss.short_form(u, f(u), y[name])[1] if short else loss.value_and_error(u, y[name])[1]

        J = np.stack([slope(lambda r, v=v: output(moved(params, v, r))) for v in np.eye(params.flat.size)], axis=2)
        u = output(params)
        logarithm = not short and not isinstance(loss, LEVEL)
        h = 0.01 * float(np.minimum(u, np.abs(1 - u)).min()) if logarithm else 1e-4  # it curves strongly near 0 and 1
        H = np.stack([slope(lambda r, u=u, e=e: slope_of_loss(u + r * e), h) for e in np.eye(u.shape[1])], axis=2)
        G += np.einsum("n,nop,noq,nqr->pr", w, J, H, J)
    return G


@settings(max_examples=25)
@given(problems(most_layers=4))
def test_any_network_agrees_with_differences(problem: Problem):
    if problem.params.flat.size == 0:
        return
    found = cp.analysis.gauss_newton_diagonal(finite_trace(problem)).flat
    assert disagreement(found, np.diag(dense_gauss_newton(problem))) < 1e-5


@pytest.mark.parametrize(
    ("output", "loss", "units"),
    [
        ("identity", "squared_error", 2),
        ("sigmoid", "binary_cross_entropy", 2),
        ("softmax", "cross_entropy", 3),
        ("exponential", "poisson", 1),
    ],
)
def test_is_the_hessian_of_a_model_without_hidden_layer(output: str, loss: str, units: int):
    rng = np.random.default_rng(0)
    net = cp.Network.sequential(3, units, output=output)
    y = rng.integers(0, units, size=9) if loss == "cross_entropy" else rng.integers(0, 2, size=(9, units))
    trace = cp.backpropagate(net, net.initialize(seed=0), rng.normal(size=(9, 3)), y, loss, rng.uniform(size=9))
    H = np.column_stack([cp.analysis.hessian_vector(trace, e).flat for e in np.eye(net.parameter_count)])
    assert cp.analysis.gauss_newton_diagonal(trace).flat == pytest.approx(np.diag(H), rel=1e-12)


def test_does_not_depend_on_how_many_rows_are_swept_at_once(monkeypatch: pytest.MonkeyPatch):
    from clearprop.analysis import curvature

    rng = np.random.default_rng(0)
    net = cp.Network(
        3, [cp.Layer("hidden", 2, "tanh", cp.Wired("input", [[1, 0], [2, 1], [0, 2]])), cp.Layer("out", 2)]
    )
    trace = cp.backpropagate(net, net.initialize(seed=0), rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), "huber")
    whole = cp.analysis.gauss_newton_diagonal(trace).flat
    monkeypatch.setattr(curvature, "NUMBERS_AT_ONCE", 40)
    assert cp.analysis.gauss_newton_diagonal(trace).flat == pytest.approx(whole, rel=1e-12)
    assert (whole >= 0).all()


def test_fisher_is_the_second_moment_of_the_gradients():
    rng = np.random.default_rng(0)
    net = cp.Network.sequential(3, 4, 2, hidden="tanh", output="softmax")
    w = rng.uniform(size=11)
    trace = cp.backpropagate(net, net.initialize(0), rng.normal(size=(11, 3)), np.arange(11) % 2, "cross_entropy", w)
    alone = trace.per_sample.gradients()
    assert cp.analysis.fisher_diagonal(trace).flat == pytest.approx(np.average(alone**2, axis=0, weights=w), rel=1e-12)
