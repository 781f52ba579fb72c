"""Microseconds per training step: clearprop beside scikit-learn, PyTorch and JAX, in one run, round by round in turn.

    python benchmarks/speed.py                       # every workload; peers that are not installed are left out
    python benchmarks/speed.py --only small,digits --dtype float64 --optimizer adam --hidden tanh --rounds 9

All start from the same parameters and take the same batches; after the first epoch the costs must agree to 1e-4, or
the line is void. Raw results go to benchmarks/results/ as JSON, with the machine and the versions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import clearprop as cp
from clearprop.engine import Training
from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.calls import call_multiply
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.memory import pointer
from clearprop.engine.compiled.products import product_kernels
from clearprop.engine.compiled.vectors import lanes_of
from clearprop.objective import prepare
from clearprop.randomness import epoch_order

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
        return epoch_order(0, epoch, len(self.X))

    def weights(self) -> list[np.ndarray]:
        """W and b of each layer in turn."""
        found = []
        for layer in self.net.layers:
            (W,) = self.params[layer.name].W.values()
            found += [W.copy(), self.params[layer.name].b.copy()]
        return found


def ours(p: Problem) -> Callable[[int], float]:
    rule = cp.Momentum(p.rate, 0.9) if p.optimizer == "momentum" else cp.Adam(p.rate)
    params = p.params.copy()
    engine = CompiledEngine(Training(prepare(p.net, params, p.X, p.y, "cross_entropy"), rule), params, p.batch)
    edges, rates = np.arange(0, len(p.X) + 1, p.batch), np.full(p.steps, p.rate)
    return lambda epoch: engine.run_steps(epoch, p.order(epoch), edges, rates).cost


def scikit_learn(p: Problem) -> Callable[[int], float]:
    from sklearn.neural_network import MLPClassifier

    solver = {"momentum": "sgd", "adam": "adam"}[p.optimizer]
    model = MLPClassifier(p.units[1:-1], activation=p.hidden, solver=solver, alpha=0.0, batch_size=p.batch,
                          learning_rate_init=p.rate, momentum=0.9, nesterovs_momentum=False, shuffle=False)  # fmt: skip
    model.partial_fit(p.X[: p.batch], p.y[: p.batch], classes=np.arange(p.units[-1]))
    start = p.weights()
    model.coefs_, model.intercepts_ = start[0::2], start[1::2]
    del model._optimizer  # the moments of the step before
    model.t_ = 0
    model._optimizer = _fresh_optimizer(model, p)

    def run(epoch: int) -> float:
        order, total = p.order(epoch), 0.0
        for s in range(p.steps):
            rows = order[s * p.batch : (s + 1) * p.batch]
            model.partial_fit(p.X[rows], p.y[rows])
            total += model.loss_
        return total / p.steps

    return run


def _fresh_optimizer(model: object, p: Problem) -> object:
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    parameters = model.coefs_ + model.intercepts_  # type: ignore[attr-defined]
    if p.optimizer == "adam":
        return AdamOptimizer(parameters, p.rate)
    return SGDOptimizer(parameters, p.rate, "constant", 0.9, False)


def torch_eager(p: Problem) -> Callable[[int], float]:
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
        rule = torch.optim.SGD(model.parameters(), p.rate, 0.9)
    X, y = torch.from_numpy(p.X), torch.from_numpy(p.y)

    def run(epoch: int) -> float:
        order, total = torch.from_numpy(p.order(epoch)), 0.0
        for s in range(p.steps):
            rows = order[s * p.batch : (s + 1) * p.batch]
            cost = torch.nn.functional.cross_entropy(model(X[rows]), y[rows])
            rule.zero_grad()
            cost.backward()
            rule.step()
            total += float(cost.detach())
        return total / p.steps

    return run


def jax_scan(p: Problem) -> Callable[[int], float]:
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

    def step(state: tuple, rows: jax.Array) -> tuple:
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
        state, values = whole(state, jnp.asarray(p.order(epoch)[: p.steps * p.batch].reshape(p.steps, p.batch)))
        return float(values.mean())

    return run


PEERS = {"clearprop": ours, "scikit-learn": scikit_learn, "torch": torch_eager, "jax": jax_scan}
MODULES = {"scikit-learn": "sklearn", "torch": "torch", "jax": "jax"}


@compiled
def repeat_tile(address, a, offsets, W, c, steps, columns, lanes, repeats):
    """The product of 6 rows with one panel, again and again, with everything in the first-level cache."""
    for _ in range(repeats):
        call_multiply(
            address, pointer(a), 0, pointer(offsets), 0, 6, steps, pointer(W), 0, columns, lanes, columns,
            pointer(c), 0, 0, pointer(c), columns, columns,
        )  # fmt: skip


def peak(dtype: str) -> float:
    """GFLOP/s of one core with the register tile alone: the best of many short runs."""
    kind = np.dtype(dtype)
    lanes = lanes_of(kind)
    steps, columns = 256, lanes.panel
    a, W, c = (np.ones(size, kind) for size in (6 * steps, steps * columns, 8 * columns))
    offsets, best = np.arange(6) * steps, float("inf")
    for _ in range(60):
        start = time.perf_counter()
        repeat_tile(product_kernels(kind)[0], a, offsets, W, c, steps, columns, lanes.lanes, 500)
        best = min(best, time.perf_counter() - start)
    return 2 * 6 * steps * columns * 500 / best / 1e9


def measure(name: str, args: argparse.Namespace, best: float) -> dict:
    """One line of the table: each in turn for `rounds` epochs, medians of the time of a step."""
    problem = Problem(name, args.dtype, args.optimizer, args.hidden)
    runs, costs, times = {}, {}, {}
    for peer in args.peers:
        try:
            runs[peer] = PEERS[peer](problem)
        except ImportError:
            continue
        costs[peer], times[peer] = runs[peer](0), []
    rounds = args.rounds if problem.flops < 1e9 else min(args.rounds, 5)
    for epoch in range(1, rounds + 1):
        for peer, run in runs.items():
            start = time.perf_counter()
            run(epoch)
            times[peer].append((time.perf_counter() - start) / problem.steps * 1e6)
    agreed = {peer: bool(abs(cost - costs["clearprop"]) <= 1e-4 * max(1, abs(cost))) for peer, cost in costs.items()}
    step = {peer: statistics.median(values) for peer, values in times.items()}
    rate = problem.flops / step["clearprop"] / 1e3
    return {
        "workload": name, "step_us": step, "least_us": {k: min(v) for k, v in times.items()}, "raw_us": times,
        "cost": costs, "agreed": agreed, "gflops": rate, "share_of_one_core": rate / best,
        "threads": cp.get_threads(),
    }  # fmt: skip


def show(line: dict) -> None:
    step = line["step_us"]
    parts = [f"{line['workload']:7s} {step['clearprop']:10.1f} us {line['gflops']:6.1f} GFLOP/s "
             f"{line['share_of_one_core']:5.0%} of a core"]  # fmt: skip
    for peer, value in step.items():
        if peer != "clearprop":
            void = (
                ""
                if line["agreed"][peer]
                else f"  VOID: cost {line['cost'][peer]:.6g} not {line['cost']['clearprop']:.6g}"
            )
            parts.append(f"{peer} {value:.1f} us ({value / step['clearprop']:.1f}x){void}")
    print("  ".join(parts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WORKLOADS))
    parser.add_argument("--peers", type=lambda text: ["clearprop", *text.split(",")], default=list(PEERS))
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--optimizer", choices=tuple(RATES), default="momentum")
    parser.add_argument("--hidden", choices=("relu", "tanh"), default="relu")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    best = peak(args.dtype)
    print(
        f"{args.dtype}, {args.optimizer}, {args.hidden}; a core's peak {best:.1f} GFLOP/s; {cp.get_threads()} threads"
    )
    lines = []
    for name in args.only:
        lines.append(measure(name, args, best))
        show(lines[-1])
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "scikit-learn")}
    for name in ("torch", "jax"):
        if any(name in line["step_us"] for line in lines):
            versions[name] = importlib.metadata.version(name)
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "system": platform.platform(),
    }
    now = datetime.now(UTC)
    settings = {k: v for k, v in vars(args).items() if k not in ("only", "peers")}
    record = {"date": now.isoformat(), "machine": machine, "versions": versions, "settings": settings}
    record |= {"peak_gflops": best, "lines": lines}
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"speed-{now:%Y%m%dT%H%M%S}.json").write_text(json.dumps(record, indent=1))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
