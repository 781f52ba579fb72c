"""Every analysis against torch.func in float64, for random networks of any wiring; skipped where torch is absent."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, LOSS_CASES
from differences import disagreement, finite_trace
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp

torch = pytest.importorskip("torch", reason="torch==2.13.0 is not installed: the comparison with torch.func is not run")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch meets its own, once
F = torch.nn.functional

#: What each activation is called in torch, by its name.
ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda z, f: z,
    "sigmoid": lambda z, f: torch.sigmoid(z),
    "tanh": lambda z, f: torch.tanh(z),
    "relu": lambda z, f: torch.relu(z),
    "leaky_relu": lambda z, f: F.leaky_relu(z, f.slope),
    "elu": lambda z, f: F.elu(z, f.alpha),
    "selu": lambda z, f: F.selu(z),
    "gelu": lambda z, f: F.gelu(z),
    "silu": lambda z, f: F.silu(z),
    "softplus": lambda z, f: F.softplus(z, threshold=50),
    "softsign": lambda z, f: F.softsign(z),
    "mish": lambda z, f: z * torch.tanh(F.softplus(z, threshold=50)),
    "hard_sigmoid": lambda z, f: torch.clamp(z / 6 + 0.5, 0, 1),
    "gaussian": lambda z, f: torch.exp(-z * z),
    "sine": lambda z, f: torch.sin(z),
    "log_sigmoid": lambda z, f: F.logsigmoid(z),
    "exponential": lambda z, f: torch.exp(z),
    "softmax": lambda z, f: torch.softmax(z, -1),
    "layer_normalization": lambda z, f: F.layer_norm(z, z.shape[-1:], eps=f.epsilon),
    "hyperbola": lambda z, f: torch.sqrt(z * z + 1),
}


def _squared(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    return loss.factor * (yhat - y) ** 2 / (yhat.shape[-1] if loss.outputs == "mean" else 1)


def _binary(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    y = (1 - loss.label_smoothing) * y + loss.label_smoothing / 2
    if u is not None:
        return F.binary_cross_entropy_with_logits(u, y, reduction="none")
    return -torch.xlogy(y, yhat) - torch.xlogy(1 - y, 1 - yhat)


def _classes(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    k = yhat.shape[-1]
    y = (torch.arange(k) == y[..., None]).to(yhat.dtype) if y.ndim == yhat.ndim - 1 else y
    y = (1 - loss.label_smoothing) * y + loss.label_smoothing / k
    return -y * torch.log_softmax(u, -1) if u is not None else -torch.xlogy(y, yhat)


def _quantile(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    return torch.maximum(loss.q * (y - yhat), (1 - loss.q) * (yhat - y))


def _tweedie(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    p = loss.power
    return y ** (2 - p) / ((1 - p) * (2 - p)) - y * yhat ** (1 - p) / (1 - p) + yhat ** (2 - p) / (2 - p)


def _huber(u: Any, yhat: Any, y: Any, loss: Any) -> Any:
    r, t = torch.abs(yhat - y), loss.threshold
    return torch.where(r <= t, r * r / 2, t * (r - t / 2))


#: What each loss is in torch, by its name: a function of z (where the activation matches, else None), yhat, y, loss.
LOSSES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "squared_error": _squared,
    "absolute_error": lambda u, yhat, y, loss: torch.abs(yhat - y),
    "huber": _huber,  # torch's own has no second derivative
    "quantile": _quantile,
    "poisson": lambda u, yhat, y, loss: (
        yhat - y + torch.xlogy(y, y) - (y * u if u is not None else torch.xlogy(y, yhat))
    ),
    "gamma": lambda u, yhat, y, loss: y / yhat - 1 - torch.log(y / yhat),
    "tweedie": _tweedie,
    "binary_cross_entropy": _binary,
    "cross_entropy": _classes,
    "log_cosh": lambda u, yhat, y, loss: torch.log(torch.cosh(yhat - y)),
}


def outputs(net: cp.Network, flat: Any, x: Any) -> dict[str, tuple[Any, Any]]:
    """(z, a) of each output layer for one sample x (i,), from the flat vector of parameters."""
    views = {(b.layer, b.source): flat[b.start : b.stop].reshape(b.shape) for b in net.layout.blocks}
    a, both = {"input": x}, {}
    for layer in net.layers:
        z = views.get((layer.name, None), 0)
        for c in layer.connections:
            z = z + (a[c.source] if c.kind == "identity" else a[c.source] @ _matrix(c, views[layer.name, c.source]))
        a[layer.name] = ACTIVATIONS[layer.f.name](z, layer.f)
        both[layer.name] = z, a[layer.name]
    return {name: both[name] for name in net.outputs}


def _matrix(c: Any, W: Any) -> Any:
    if c.kind == "dense":
        return W
    return torch.cat([torch.zeros(1, dtype=W.dtype), W])[torch.from_numpy(c.numbers)]


def loss_of(problem: Problem, flat: Any, x: Any, y: dict[str, Any]) -> Any:
    """The loss of one sample."""
    total = 0
    for name, (z, yhat) in outputs(problem.net, flat, x).items():
        loss = problem.losses[name]
        short = loss.partner is not None and isinstance(problem.net[name].f, loss.partner)
        total = total + LOSSES[loss.name](z if short else None, yhat, y[name], loss).sum()
    return total


def tensors(problem: Problem) -> tuple[Any, Any, dict[str, Any], Any]:
    w = np.ones(len(problem.X)) if problem.sample_weight is None else problem.sample_weight
    w = w if problem.reduction == "sum" else w / w.sum()
    y = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in problem.y.items()}
    return torch.from_numpy(problem.params.flat.copy()), torch.from_numpy(problem.X), y, torch.from_numpy(w)


def known(problem: Problem) -> bool:
    return all(loss.name in LOSSES for loss in problem.losses.values())


def test_tables_know_the_library():
    assert {case.name for case in ALL_ACTIVATION_CASES} == set(ACTIVATIONS)
    assert {case.loss.name for case in LOSS_CASES} <= set(LOSSES)


TOLERANCE = 1e-9


@settings(max_examples=100)
@given(problems())
def test_first_and_second_derivatives(problem: Problem):
    w, X, y, weights = tensors(problem)
    each = torch.func.vmap(partial(loss_of, problem), in_dims=(None, 0, 0))

    def cost(flat: Any, X: Any) -> Any:
        return (weights * each(flat, X, y)).sum()

    trace = finite_trace(problem)
    assert trace.cost == pytest.approx(cost(w, X).item(), rel=TOLERANCE, abs=1e-12)
    by_w, by_X = torch.func.grad(cost, argnums=(0, 1))(w, X)
    assert disagreement(trace.gradients.flat, by_w.numpy()) < TOLERANCE
    assert disagreement(cp.analysis.input_gradient(trace), by_X.numpy()) < TOLERANCE
    v = np.random.default_rng(0).normal(size=w.shape)
    along_v = lambda flat: torch.func.grad(cost)(flat, X) @ torch.from_numpy(v)  # noqa: E731
    Hv = torch.func.grad(along_v)(w)
    assert disagreement(cp.analysis.hessian_vector(trace, v).flat, Hv.numpy()) < TOLERANCE
    G = torch.func.vmap(torch.func.grad(partial(loss_of, problem)), in_dims=(None, 0, 0))(w, X, y).numpy()
    assert disagreement(trace.per_sample.gradients(), G) < TOLERANCE
    shares = weights.numpy() / weights.numpy().sum()
    assert disagreement(cp.analysis.fisher_diagonal(trace).flat, shares @ G**2) < TOLERANCE


@settings(max_examples=100)
@given(problems())
def test_jacobian_and_gauss_newton(problem: Problem):
    w, X, y, weights = tensors(problem)
    net, trace = problem.net, finite_trace(problem)
    J = cp.analysis.jacobian(net, problem.params, problem.X)
    diagonal = np.zeros(w.shape)
    for name, loss in problem.losses.items():
        short = loss.partner is not None and isinstance(net[name].f, loss.partner)

        def output(flat: Any, x: Any, place: int, name: str = name) -> Any:
            return outputs(net, flat, x)[name][place]

        def loss_of_output(u: Any, y: Any, name: str = name, short: bool = short, loss: cp.losses.Loss = loss) -> Any:
            yhat = ACTIVATIONS[net[name].f.name](u, net[name].f) if short else u
            return LOSSES[loss.name](u if short else None, yhat, y, loss).sum()

        by_x = torch.func.vmap(torch.func.jacrev(output, argnums=1), in_dims=(None, 0, None))(w, X, 1)
        assert disagreement(J[name] if len(net.outputs) > 1 else J, by_x.numpy()) < TOLERANCE
        place = 0 if short else 1
        by_w = torch.func.vmap(torch.func.jacrev(output), in_dims=(None, 0, None))(w, X, place)
        u = torch.func.vmap(output, in_dims=(None, 0, None))(w, X, place)
        H = torch.func.vmap(torch.func.jacrev(torch.func.jacrev(loss_of_output)))(u, y[name])
        diagonal += torch.einsum("n,nop,nok,npk->k", weights, H, by_w, by_w).numpy(force=True)
    assert disagreement(cp.analysis.gauss_newton_diagonal(trace).flat, diagonal) < TOLERANCE
    assert math.isfinite(diagonal.sum())


def test_integrated_gradients():
    net = cp.Network(2, [cp.Layer("h", 3, "tanh"), cp.Layer("o", 2, "softmax", ["h", "input"])])
    params, rng = net.initialize(seed=0), np.random.default_rng(0)
    X = rng.normal(size=(4, 2))
    w = torch.from_numpy(params.flat)
    nodes = (np.arange(20_000) + 0.5) / 20_000
    for x, share in zip(X, cp.analysis.integrated_gradients(net, params, X), strict=True):
        path = torch.from_numpy(nodes[:, None] * x)
        slopes = torch.func.vmap(torch.func.jacrev(lambda x: outputs(net, w, x)["o"][1]))(path)
        assert disagreement(share, slopes.numpy().mean(axis=0) * x) < 1e-8  # the midpoint rule is that good
