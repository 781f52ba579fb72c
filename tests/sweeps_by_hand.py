"""A backward sweep as a student writes it, for chains of layers, with one place for each slip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import clearprop as cp


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


F = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda z: np.maximum(z, 0),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "identity": lambda z: z,
    "softmax": softmax,
}
SLOPE = {
    "tanh": lambda z, a: 1 - a * a,
    "sigmoid": lambda z, a: a * (1 - a),
    "relu": lambda z, a: 1.0 * (z > 0),
    "softplus": lambda z, a: sigmoid(z),
    "identity": lambda z, a: np.ones_like(z),
}


@dataclass(frozen=True)
class Chain:
    """A chain of layers (units, activation) with data; `loss` is that of the last layer."""

    layers: tuple[tuple[int, str], ...]
    loss: str = "squared_error"
    inputs: int = 3
    rows: int = 7
    seed: int = 0

    @property
    def net(self) -> cp.Network:
        made = [cp.Layer(f"layer{i}", units, f) for i, (units, f) in enumerate(self.layers, 1)]
        return cp.Network(self.inputs, made)

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        units = self.layers[-1][0]
        X = rng.normal(size=(self.rows, self.inputs))
        if self.loss == "cross_entropy":
            return X, np.eye(units)[rng.integers(0, units, self.rows)]
        return X, rng.uniform(0.1, 0.9, size=(self.rows, units))

    @property
    def params(self) -> cp.Parameters:
        params = self.net.initialize(seed=self.seed + 1)
        params.flat[:] += np.random.default_rng(self.seed + 2).normal(0, 0.3, size=params.flat.shape)
        return params


CHAINS = {
    "one hidden layer": Chain(((4, "sigmoid"), (2, "sigmoid"))),
    "one output": Chain(((5, "tanh"), (1, "identity")), seed=1),
    "deep": Chain(((4, "tanh"), (4, "sigmoid"), (4, "tanh"), (2, "identity")), seed=2),
    "relu": Chain(((6, "relu"), (5, "relu"), (2, "identity")), seed=3, rows=12),
    "classes": Chain(((5, "tanh"), (5, "sigmoid"), (3, "softmax")), "cross_entropy", seed=4),
    "binary": Chain(((4, "sigmoid"), (4, "sigmoid"), (1, "sigmoid")), "binary_cross_entropy", seed=5),
    "wide": Chain(((12, "tanh"), (9, "softplus"), (4, "sigmoid")), inputs=8, rows=30, seed=6),
}

Hooks = Mapping[str, Callable[..., Any]]


def homework(chain: Chain, params: cp.Parameters, hooks: Hooks | None = None, weights: Any = None) -> dict:
    """The gradient by hand. Hooks replace a step: see the names in the body, each with the arguments of its step."""
    do = dict(hooks or {})
    X, y = chain.data
    n, names = len(X), [f"layer{i}" for i in range(1, len(chain.layers) + 1)]
    act = dict(zip(names, (f for _, f in chain.layers), strict=True))
    W = {k: params[k].W[s] for k, s in zip(names, ["input", *names], strict=False)}
    z, a, sources = {}, {"input": X}, dict(zip(names, ["input", *names], strict=False))
    for k in names:
        z[k] = a[sources[k]] @ do.get("W forward", lambda k, W: W)(k, W[k]) + do.get("b forward", lambda k, b: b)(
            k, params[k].b
        )
        a[k] = F[act[k]](z[k])
    last = names[-1]
    short = chain.loss != "squared_error"
    w = np.full((n, 1), 1 / n) if weights is None else (weights / weights.sum())[:, None]
    w = do.get("rows", lambda w: w)(w)
    error = do.get("error", lambda yhat, y: yhat - y)(a[last], y)
    delta = (
        error
        if short
        else error * do.get("slope", lambda k, z, a, s: s)(last, z[last], a[last], SLOPE[act[last]](z[last], a[last]))
    )
    delta = do.get("delta out", lambda delta, yhat, y: delta)(delta, a[last], y) * w
    gradient: dict = {}
    for k in reversed(names):
        s = sources[k]
        own = do.get("own delta", lambda k, delta, error: delta)(k, delta, error * w if k == last else error)
        dW = do.get("dW", lambda k, a, delta, z: a.T @ delta)(k, a[s], own, z.get(s, X))
        db = do.get("db", lambda k, delta, dW: delta.sum(axis=0))(k, own, dW)
        gradient[k] = {s: dW, "b": db}
        if s != "input":
            sent = do.get("sent delta", lambda k, delta, error: delta)(k, delta, error * w if k == last else error)
            error = do.get("back", lambda k, delta, W, dW: delta @ W.T)(k, sent, W[k], dW)
            slope = do.get("slope", lambda k, z, a, s: s)(s, z[s], a[s], SLOPE[act[s]](z[s], a[s]))
            delta = do.get("pull", lambda k, error, slope: error * slope)(s, error, slope)
    return do.get("all", lambda gradient: gradient)(gradient)
