"""The chain rule by paths and by steps, against the backward sweep, for random networks of any wiring."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from networks import Problem, problems
from parameter_names import texts

import clearprop as cp
from clearprop.explain.derivation.chain_rule import ChainRule
from clearprop.explain.derivation.names import Names, Subject
from clearprop.symbolic.expression import exact_sum

MOST_PATHS = 200


def paths_of(chains: list[ChainRule], subject: Subject, short: bool) -> float | None:
    """The sum over all paths, or None where they are too many; their number must be the count."""
    expected_counts = [chain.count(subject, short) for chain in chains]
    if sum(expected_counts) > MOST_PATHS:
        return None
    listed = [list(chain.paths(subject, short)) for chain in chains]
    assert [len(paths) for paths in listed] == expected_counts
    for paths in listed:
        assert len({path.links for path in paths}) == len(paths), "a path is listed twice"
    return exact_sum(path.value for paths in listed for path in paths)


def test_every_parameter_of_200_random_networks():
    """Steps and complete list of paths of every parameter give the gradient of cp.backpropagate."""
    seen: Counter[str] = Counter()

    @settings(max_examples=200)
    @given(problems())
    def check(problem: Problem) -> None:
        with np.errstate(all="ignore"):
            trace = cp.backpropagate(*problem.arguments)
            largest = np.abs(trace.gradients.flat).max(initial=0.0)
            if not np.isfinite(largest):
                seen["without a finite gradient"] += 1
                return
            chains = [ChainRule(trace, n) for n in range(len(problem.X))]
            names = Names(problem.net)
            for text, place in texts(problem.net):
                subject, wanted = names.find(text), trace.gradients.flat[place]
                found = [exact_sum(chain.gradient(subject) for chain in chains)]
                for short in (False, True):
                    total = paths_of(chains, subject, short)
                    if total is None:
                        seen["parameters with too many paths to list"] += 1
                    elif np.isfinite(total) or short:  # a probability rounded to 0 has no full product
                        found.append(total)
                        seen["complete lists of paths"] += 1
                    else:
                        seen["full products that do not exist"] += 1
                for value in found:
                    # relative to the size of the gradient: where terms cancel, an entry may be rounding itself
                    assert abs(value - wanted) <= 1e-12 * largest, (text, value, wanted)
                seen["parameters"] += 1
        seen["networks"] += 1
        seen.update(set(problem.features()))

    check()
    assert seen["networks"] >= 200
    assert seen["parameters"] > 3000
    assert seen["complete lists of paths"] > 0.8 * 2 * seen["parameters"]
    assert seen["without a finite gradient"] <= 5
    wiring = ("skip", "join", "connection wired", "connection identity", "several outputs", "an output is a source")
    more = ("activation softmax", "activation layer_normalization", "connection dense, frozen", "weights")
    for feature in (*wiring, *more):
        assert seen[feature] >= 5, feature


def test_unit_and_input_signals_match_the_trace():
    checked = Counter()

    @settings(max_examples=40)
    @given(problems())
    def check(problem: Problem) -> None:
        with np.errstate(all="ignore"):
            trace = cp.backpropagate(*problem.arguments)
        if not np.isfinite(trace.gradients.flat).all():
            return
        for chain in (ChainRule(trace, n) for n in range(len(problem.X))):
            error, delta = chain.signals
            for layer in problem.net.layers:
                seen = trace[layer.name]
                if np.isfinite(seen.error).all():
                    np.testing.assert_allclose(error[layer.name], seen.error[chain.sample], rtol=1e-9, atol=1e-12)
                np.testing.assert_allclose(delta[layer.name], seen.delta[chain.sample], rtol=1e-9, atol=1e-12)
                checked["layers"] += 1

    check()
    assert checked["layers"] > 100


@pytest.mark.parametrize("unit", ["x[0]", "x[1]"])
def test_the_derivative_by_an_input_is_the_slope_of_the_cost(unit):
    net = cp.Network(2, [cp.Layer("h", 3, "tanh"), cp.Layer("o", 2, "softmax", sources=["h", "input"])])
    params, X, y = net.initialize(seed=2), np.array([[0.3, -0.7]]), [1]
    subject = Names(net).find(unit.replace("x", "input"))
    chain = ChainRule(cp.backpropagate(net, params, X, y, loss="cross_entropy"), 0)
    step = np.zeros_like(X)
    step[0, int(unit[2])] = 1e-6
    slope = (
        cp.cost(net, params, X + step, y, "cross_entropy") - cp.cost(net, params, X - step, y, "cross_entropy")
    ) / 2e-6
    assert chain.gradient(subject) == pytest.approx(slope, rel=1e-7)
    assert exact_sum(path.value for path in chain.paths(subject)) == pytest.approx(slope, rel=1e-7)


def test_paths_are_the_ones_a_reader_would_draw():
    """A diamond with a skip: from the input to the output directly, and through each hidden unit."""
    net = cp.Network(1, [cp.Layer("h", 2, "tanh"), cp.Layer("o", 1, sources=["h", "input"])])
    trace = cp.backpropagate(net, net.initialize(seed=0), [[0.5]], [[1.0]], loss="squared_error")
    chain = ChainRule(trace, 0)
    units = [
        [f"{node.quantity} {node.unit.layer}{node.unit.index}" for node in path.nodes[:-1] if node.unit]
        for path in chain.paths(Names(net).find("input[0]"))
    ]
    assert units == [
        ["a input0", "z h0", "a h0", "z o0", "a o0"],
        ["a input0", "z h1", "a h1", "z o0", "a o0"],
        ["a input0", "z o0", "a o0"],
    ]


def test_a_connection_with_weights_beside_an_identity_makes_two_paths():
    net = cp.Network(1, [cp.Layer("h", 1, "tanh"), cp.Layer("o", 1, sources=["h", cp.Direct("h")])])
    trace = cp.backpropagate(net, net.initialize(seed=0), [[0.5]], [[1.0]], loss="squared_error")
    paths = list(ChainRule(trace, 0).paths(Names(net).find("h[0] <- input[0]")))
    assert [path.links[2].kind for path in paths] == ["weight", "identity"]
    assert sum(path.value for path in paths) == pytest.approx(trace.gradients["h"].W["input"][0, 0], rel=1e-14)


def test_path_counts_of_a_large_network_are_exact_whole_numbers():
    net = cp.Network.sequential(3, *[50] * 12, 4, output="softmax")
    trace = cp.backpropagate(net, net.initialize(seed=0), np.ones((1, 3)), [2], loss="cross_entropy")
    chain = ChainRule(trace, 0)
    subject = Names(net).find("hidden1[0] <- input[0]")
    assert chain.count(subject) == 50**11 * 4 * 4
    assert chain.count(subject, short=True) == 50**11 * 4


def test_no_name_of_a_layer_collides_with_a_connection():
    """A layer whose name looks like a connection of another one."""
    layers = [cp.Layer("a", 2), cp.Layer("b <- a dense", 2, "softmax", sources=["a"]), cp.Layer("b", 2, sources=["a"])]
    net = cp.Network(1, [*layers, cp.Layer("output", 1, sources=["b <- a dense", "b"])])
    trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0]], [[1.0]], loss="squared_error")
    for subject in ("a[0] <- input[0]", "b[1] <- a[0]", "b <- a dense[0].b"):
        derivation = trace.derivation(subject)
        assert derivation.value == pytest.approx(derivation.gradient, rel=1e-12)
