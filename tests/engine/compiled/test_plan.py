"""A plan is made once for each kind of run, and a run does not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.compiled.records import EVALUATE, TRAIN
from clearprop.engine.compiled.runner import Runner

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.sin(X[:, :2])


class Own(cp.activations.Elementwise):
    """An activation defined by a user, who may change it."""

    name = "own"
    scale = 1.0

    def function(self, z: Any) -> Any:
        return self.scale * z

    def derivative(self, z: Any, a: Any) -> Any:
        return self.scale + 0 * z


def network(f: Any = "tanh", units: int = 4) -> cp.Network:
    shared = cp.Wired("input", [[1, 0], [2, 1], [0, 2]])
    layers = [cp.Layer("hidden", units, f, dropout=0.2), cp.Layer("output", 2, sources=["hidden", shared])]
    return cp.Network(3, layers)


def plan(net: cp.Network, *, batch: int = 6, rows: int = 12, purpose: int = TRAIN, dtype: str = "float64") -> Any:
    params = net.initialize(seed=0, dtype=dtype)
    objective = prepare(net, params, X[:rows], Y[:rows], "squared_error")
    return Runner(objective, params, batch, purpose, threads=1).plan


def test_equal_runs_share_a_plan_and_others_do_not():
    first = plan(network())
    assert plan(network()) is first
    others = [
        plan(network("relu")),
        plan(network(units=5)),
        plan(network(), batch=4),
        plan(network(), rows=11),
        plan(network(), purpose=EVALUATE),
        plan(network(), dtype="float32"),
    ]
    assert len({id(p) for p in [first, *others]}) == 7


def test_a_network_with_a_users_definition_is_planned_each_time():
    f = Own()
    assert plan(network(f)) is not plan(network(f))


@pytest.mark.parametrize("name", ["layers", "connections"])
def test_a_shared_plan_is_read_only(name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(plan(network()), name)[0] = 0


def test_a_run_does_not_change_the_plan():
    def content(p: Any) -> list[bytes]:
        return [a.tobytes() for a in (p.layers, p.connections, p._layout, p._code, p._offsets, p._patterns)]

    net = network()
    p = plan(net)
    before = content(p)
    costs = []
    for _ in range(2):
        start, options = net.initialize(seed=0), {"batch_size": 6, "epochs": 3, "engine": "compiled"}
        history = cp.train(net, start, X, Y, loss="squared_error", optimizer=cp.Adam(0.1), **options)
        costs.append(list(history["cost"]))
    assert costs[0] == costs[1]
    assert content(p) == before
    assert plan(net) is p
