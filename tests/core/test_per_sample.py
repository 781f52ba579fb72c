"""Gradients of single samples: one row at a time, sums, statistics, and what is too large."""

from __future__ import annotations

import numpy as np
import pytest
from differences import disagreement, finite_trace
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp
from clearprop.core import per_sample
from clearprop.errors import ArgumentError


@settings(max_examples=60)
@given(problems())
def test_any_network_agrees_with_one_row_at_a_time(problem: Problem):
    net, params, X, y, losses, weights, _ = problem.arguments
    samples = finite_trace(problem).per_sample
    alone = [
        cp.backpropagate(net, params, X[n : n + 1], {k: v[n : n + 1] for k, v in y.items()}, losses)
        for n in range(len(X))
    ]
    G = samples.gradients()
    w = np.ones(len(X)) if weights is None else weights
    assert disagreement(G, np.array([trace.gradients.flat for trace in alone])) < 1e-12
    assert samples.losses == pytest.approx([trace.cost for trace in alone], rel=1e-12, abs=1e-15)
    assert samples.norms == pytest.approx(np.linalg.norm(G, axis=1), rel=1e-12, abs=1e-15)
    if G.size == 0:
        return
    mean = np.average(G, axis=0, weights=w)
    assert disagreement(samples.mean.flat, mean) < 1e-12
    assert disagreement(cp.backpropagate(net, params, X, y, losses, weights).gradients.flat, mean) < 1e-12
    assert disagreement(samples.variance.flat, np.average((G - mean) ** 2, axis=0, weights=w)) < 1e-12
    assert disagreement(samples.second_moment.flat, np.average(G**2, axis=0, weights=w)) < 1e-12
    pull = w * np.linalg.norm(G, axis=1)
    assert samples.leverage == pytest.approx(pull / (pull.sum() or 1), rel=1e-12, abs=1e-15)


def problem_of(n: int = 7, dtype: str = "float64") -> cp.Trace:
    net = cp.Network.sequential(3, 4, 2, hidden="tanh", output="softmax")
    rng = np.random.default_rng(0)
    return cp.backpropagate(net, net.initialize(0, dtype), rng.normal(size=(n, 3)), np.arange(n) % 2, "cross_entropy")


def test_layers_select_their_parameters():
    trace = problem_of()
    whole, part = trace.per_sample.gradients(), trace.per_sample.gradients(["output"])
    net = trace.objective.net
    places = np.concatenate([np.arange(b.start, b.stop) for b in net.layout.blocks if b.layer == "output"])
    assert np.array_equal(part, whole[:, places])
    assert part.shape == (7, 10)
    with pytest.raises(ArgumentError, match=r'layers: there is no layer "outptu"\. Did you mean "output"'):
        trace.per_sample.gradients(["outptu"])


def test_one_mislabelled_sample_has_most_leverage():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 2))
    y = (X[:, :1] > 0).astype(float)
    y[17] = 1 - y[17]
    X[17] = [3, 0] if y[17] == 0 else [-3, 0]
    net = cp.Network.sequential(2, 8, 1, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, loss="binary_cross_entropy", optimizer=cp.Adam(0.02), batch_size=None, epochs=40)
    samples = cp.backpropagate(net, params, X, y, loss="binary_cross_entropy").per_sample
    assert samples.leverage.argmax() == samples.losses.argmax() == 17
    assert samples.leverage.sum() == pytest.approx(1)


def test_signal_to_noise():
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[1.0]]}})
    trace = cp.backpropagate(net, params, [[0.0], [0.0]], [[-1.0], [-3.0]], loss="squared_error")
    # the bias's gradients are 1 and 3, the weight's are 0 and 0
    assert trace.per_sample.signal_to_noise["output"].b.tolist() == [2]
    assert trace.per_sample.signal_to_noise["output"].W["input"].tolist() == [[0]]
    same = cp.backpropagate(net, params, [[0.0], [0.0]], [[-1.0], [-1.0]], loss="squared_error").per_sample
    assert same.signal_to_noise["output"].b.tolist() == [float("inf")]
    fitted = cp.backpropagate(net, params, [[1.0]], [[1.0]], loss="squared_error").per_sample
    assert fitted.leverage.tolist() == [0]


def test_statistics_do_not_depend_on_how_many_are_held(monkeypatch: pytest.MonkeyPatch):
    whole = problem_of(50).per_sample.variance.flat
    monkeypatch.setattr(per_sample, "_PIECE", 1000)
    assert problem_of(50).per_sample.variance.flat == pytest.approx(whole, rel=1e-12)


def test_says_how_much_memory_and_what_to_select():
    samples = problem_of(1000, "float32").per_sample
    with pytest.raises(ArgumentError) as reason:
        samples.gradients(memory_limit=60_000)
    assert str(reason.value) == (
        "per-sample gradients: 1,000 rows x 26 parameters of 4 bytes would take 101.6 KiB, more than the limit of "
        '58.6 KiB. Select 576 rows of X or fewer or layers=["output"] (39.1 KiB), or raise memory_limit; norms, '
        "leverage, variance and signal_to_noise need no such array."
    )
    assert samples.gradients(["output"], memory_limit=60_000).shape == (1000, 10)
    with pytest.raises(ArgumentError, match=r"more than the limit of 50 bytes\. Raise memory_limit;"):
        samples.gradients(memory_limit=50)
