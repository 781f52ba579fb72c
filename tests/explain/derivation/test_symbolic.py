"""The chain rule against SymPy: the forward sweep of a random network as a formula, differentiated symbolically."""

from __future__ import annotations

import numpy as np
import pytest
from parameter_names import texts

import clearprop as cp
from clearprop.explain.derivation.names import INPUT

sympy = pytest.importorskip("sympy")
mpmath = pytest.importorskip("mpmath")

FORMULAS = {
    "identity": lambda z: z,
    "tanh": sympy.tanh,
    "sigmoid": lambda z: 1 / (1 + sympy.exp(-z)),
    "gaussian": lambda z: sympy.exp(-(z**2)),
    "softplus": lambda z: sympy.log(1 + sympy.exp(z)),
}


def random_problem(seed: int) -> tuple[cp.Network, cp.Parameters, np.ndarray, np.ndarray]:
    """Two inputs, three layers with skips, joins, a shared weight and an identity, softmax at the end."""
    rng = np.random.default_rng(seed)
    kinds = [str(kind) for kind in rng.choice(list(FORMULAS), size=3)]
    shared = [[1, 2], [2, 1]]
    net = cp.Network(
        2,
        [
            cp.Layer("one", 2, kinds[0], sources=[cp.Wired(INPUT, shared)]),
            cp.Layer("two", 2, kinds[1], sources=["one", cp.Direct("one"), cp.Direct(INPUT)]),
            cp.Layer("three", 2, "softmax", sources=["two", INPUT], bias=bool(seed % 2)),
        ],
    )
    params = net.initialize(seed=seed)
    params.flat[...] = rng.normal(size=params.flat.size) * 0.7
    return net, params, rng.normal(size=(1, 2)), rng.integers(0, 2, size=1)


def symbolic_cost(net: cp.Network, X: np.ndarray, y: np.ndarray, w: list):
    """J as a formula in the symbols of the flat vector, written from the wiring alone."""

    a = {INPUT: [sympy.Float(float(x), 30) for x in X[0]]}
    blocks = {(block.layer, block.source): block for block in net.layout.blocks}
    for layer in net.layers:
        z = []
        for j in range(layer.units):
            b = blocks.get((layer.name, None))
            total = w[b.start + j] if b else sympy.Integer(0)
            for c in layer.connections:
                for i, source in enumerate(a[c.source]):
                    block = blocks.get((layer.name, c.source))
                    if c.kind == "identity":
                        weight = int(i == j)
                    elif c.kind == "wired":
                        weight = w[block.start + int(c.numbers[i, j]) - 1] if c.numbers[i, j] else 0
                    else:
                        weight = w[block.start + i * layer.units + j]
                    total += source * weight
            z.append(total)
        if layer.f.name == "softmax":
            a[layer.name] = [sympy.exp(v) / sum(sympy.exp(u) for u in z) for v in z]
        else:
            a[layer.name] = [FORMULAS[layer.f.name](v) for v in z]
    return -sympy.log(a["three"][int(y[0])])


@pytest.mark.parametrize("seed", range(8))
def test_the_symbolic_derivative_is_the_derived_gradient(seed):
    net, params, X, y = random_problem(seed)
    w = [sympy.Symbol(f"w{i}") for i in range(params.flat.size)]
    cost = symbolic_cost(net, X, y, w)
    with mpmath.workdps(25):
        formulas = sympy.lambdify(w, [cost, *(sympy.diff(cost, symbol) for symbol in w)], "mpmath", cse=True)
        value, *slopes = map(float, formulas(*map(mpmath.mpf, params.flat.tolist())))
    trace = cp.backpropagate(net, params, X, y, loss="cross_entropy")
    assert value == pytest.approx(trace.cost, rel=1e-13)
    listed = texts(net)
    assert len(listed) == params.flat.size
    for text, place in listed:
        slope = slopes[place]
        derivation = trace.derivation(text)
        assert derivation.value == pytest.approx(slope, rel=1e-11, abs=1e-15)
        assert sum(path.value for path in derivation.paths()) == pytest.approx(slope, rel=1e-11, abs=1e-15)
