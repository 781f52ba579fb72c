"""One training run per library, from the same parameters, over the same batches; each is a function of the epoch.

A run does one epoch and returns its mean cost. Each library is used as its users would for speed: scikit-learn gets a
whole epoch in one call, PyTorch its fused Adam and (as a peer of its own) its compiler, JAX a scan over the batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.core.randomness import epoch_order
from clearprop.engine.api import Epochs, Training
from clearprop.engine.compiled.engine import CompiledEngine

#: Rows of a batch, units of the layers, rows of the data.
WORKLOADS = {
    "tiny": (4, (2, 3, 3), 4000),
    "small": (32, (64, 64, 10), 3584),
    "digits": (64, (64, 100, 10), 3584),
    "mnist": (128, (784, 128, 10), 12800),
    "tab": (256, (100, 256, 256, 10), 12800),
    "large": (512, (784, 1024, 1024, 10), 5120),
}
RATES = {"momentum": 0.01, "adam": 0.001}

Run = Callable[[int], float]


class Problem:
    """Data, starting parameters and batches of a workload."""

    def __init__(self, name: str, dtype: str, optimizer: str, hidden: str) -> None:
        self.batch, self.units, samples = WORKLOADS[name]
        self.dtype, self.optimizer, self.hidden, self.rate = dtype, optimizer, hidden, RATES[optimizer]
        random = np.random.default_rng(0)
        self.X = random.normal(size=(samples, self.units[0])).astype(dtype)
        self.y = random.integers(0, self.units[-1], samples)
        self.net = cp.Network.sequential(*self.units, hidden=hidden, output="softmax")
        self.params = self.net.initialize(0, dtype)
        self.steps = samples // self.batch
        pairs = list(zip(self.units, self.units[1:], strict=False))
        self.flops = 6 * self.batch * sum(i * o for i, o in pairs) - 2 * self.batch * pairs[0][0] * pairs[0][1]

    def order(self, epoch: int) -> np.ndarray:
        """The rows of an epoch, whole batches only."""
        return epoch_order(0, epoch, len(self.X))[: self.steps * self.batch]

    def batches(self, epoch: int) -> np.ndarray:
        """The rows of each batch, (steps, batch)."""
        return self.order(epoch).reshape(self.steps, self.batch)

    def weights(self) -> list[np.ndarray]:
        """W and b of each layer in turn."""
        found = []
        for layer in self.net.layers:
            (W,) = self.params[layer.name].W.values()
            found += [W.copy(), self.params[layer.name].b.copy()]
        return found


class Ours:
    """The compiled engine."""

    def __init__(self, p: Problem) -> None:
        rule = cp.Momentum(p.rate, 0.9) if p.optimizer == "momentum" else cp.Adam(p.rate)
        params = p.params.copy()
        self.p = p
        self.engine = CompiledEngine(Training(prepare(p.net, params, p.X, p.y, "cross_entropy"), rule), params, p.batch)
        self.edges, self.rates = np.arange(0, p.steps * p.batch + 1, p.batch), np.full(p.steps, p.rate)
        self.edges.flags.writeable = False  # the engine then checks them once

    def __call__(self, epoch: int) -> float:
        return self.engine.run(Epochs(epoch, self.p.order(epoch)[None], self.edges, self.rates)).cost

    @property
    def threads(self) -> int:
        """Threads that it has found to be quickest."""
        return self.engine.runner.tuner.best.threads


def scikit_learn(p: Problem) -> Run:
    from sklearn.neural_network import MLPClassifier
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    solver = {"momentum": "sgd", "adam": "adam"}[p.optimizer]
    model = MLPClassifier(p.units[1:-1], activation=p.hidden, solver=solver, alpha=0.0, batch_size=p.batch,
                          learning_rate_init=p.rate, momentum=0.9, nesterovs_momentum=False, shuffle=False)  # fmt: skip
    model.partial_fit(p.X[: p.batch], p.y[: p.batch], classes=np.arange(p.units[-1]))
    start = p.weights()
    model.coefs_, model.intercepts_, model.t_ = start[0::2], start[1::2], 0
    parameters = model.coefs_ + model.intercepts_  # the moments of the step before are forgotten
    adam = p.optimizer == "adam"
    model._optimizer = (
        AdamOptimizer(parameters, p.rate) if adam else SGDOptimizer(parameters, p.rate, "constant", 0.9, False)
    )

    def run(epoch: int) -> float:
        rows = p.order(epoch)
        model.partial_fit(p.X[rows], p.y[rows])  # an epoch: one step per batch of these rows in their order
        return model.loss_

    return run


def torch_eager(p: Problem, compiled: bool = False) -> Run:
    import torch

    torch.set_num_threads(cp.get_threads())
    kind = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[p.hidden]
    layers: list[torch.nn.Module] = []
    for i, o in zip(p.units, p.units[1:], strict=False):
        layers += [torch.nn.Linear(i, o, dtype=getattr(torch, p.dtype)), kind()]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), p.weights(), strict=True):
            parameter.copy_(torch.from_numpy(value.T.copy()))
    if p.optimizer == "adam":
        rule: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), p.rate, fused=True)
    else:
        rule = torch.optim.SGD(model.parameters(), p.rate, 0.9, fused=True)
    X, y = torch.from_numpy(p.X), torch.from_numpy(p.y)

    def cost_of(rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(X[rows]), y[rows])

    forward = torch.compile(cost_of) if compiled else cost_of

    def run(epoch: int) -> float:
        total = torch.zeros((), dtype=getattr(torch, p.dtype))
        for rows in torch.from_numpy(p.batches(epoch)):
            cost = forward(rows)
            rule.zero_grad()
            cost.backward()
            rule.step()
            total += cost.detach()
        return float(total) / p.steps

    return run


def torch_compiled(p: Problem) -> Run:
    return torch_eager(p, compiled=True)


def jax_scan(p: Problem) -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", p.dtype == "float64")
    f = {"relu": jax.nn.relu, "tanh": jnp.tanh}[p.hidden]
    X, y = jnp.asarray(p.X), jnp.asarray(p.y)

    def cost(w: list[jax.Array], rows: jax.Array) -> jax.Array:
        a = X[rows]
        for place in range(0, len(w), 2):
            z = a @ w[place] + w[place + 1]
            a = f(z)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[rows][:, None], axis=1))

    def step(state: Any, rows: jax.Array) -> Any:
        w, m, v, t = state
        value, g = jax.value_and_grad(cost)(w, rows)
        t = t + 1
        if p.optimizer == "momentum":
            m = [0.9 * a - p.rate * b for a, b in zip(m, g, strict=True)]
            return ([a + b for a, b in zip(w, m, strict=True)], m, v, t), value
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        hat, square = 1 - 0.9**t, 1 - 0.999**t
        w = [a - p.rate * (b / hat) / (jnp.sqrt(c / square) + 1e-8) for a, b, c in zip(w, m, v, strict=True)]
        return (w, m, v, t), value

    whole = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows), donate_argnums=0)
    start = [jnp.asarray(w) for w in p.weights()]
    state = (start, [jnp.zeros_like(w) for w in start], [jnp.zeros_like(w) for w in start], jnp.asarray(0.0, p.dtype))

    def run(epoch: int) -> float:
        nonlocal state
        state, values = whole(state, jnp.asarray(p.batches(epoch)))
        return float(values.mean())

    return run


PEERS: dict[str, Callable[[Problem], Run]] = {
    "clearprop": Ours,
    "scikit-learn": scikit_learn,
    "torch": torch_eager,
    "torch.compile": torch_compiled,
    "jax": jax_scan,
}
MODULES = {"scikit-learn": "scikit-learn", "torch": "torch", "torch.compile": "torch", "jax": "jax"}
