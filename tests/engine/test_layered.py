"""Threads that share out the columns of wide layers find the bits of a single one."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import clearprop as cp
from clearprop.engine import TextbookEngine, Training
from clearprop.engine.compiled import memory as at
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.threads import JOINED
from clearprop.objective import prepare
from clearprop.penalties import Limits

ROWS, BATCH = 600, 17  # so many steps that the other threads are there for most of them


def wide_network() -> cp.Network:
    """Layers of several panels beside narrow ones: skips, a join, an identity, a frozen weight, dropout, an output that
    is a source as well, and a softmax, whose units cannot be shared out.
    """
    frozen = cp.Dense("a", trainable=False)
    return cp.Network(
        11,
        [
            cp.Layer("a", 384, "tanh", dropout=0.2),
            cp.Layer("narrow", 5, "sigmoid", sources=["input", "a"]),
            cp.Layer("b", 384, "relu", sources=["narrow", cp.Direct("a"), "input"]),
            cp.Layer("mixed", 130, "softmax", sources=["b"]),
            cp.Layer("values", 384, "identity", sources=["mixed", frozen, "b"]),
            cp.Layer("classes", 4, "softmax", sources=["values", "b"]),
        ],
        outputs=["values", "classes"],
    )


def trained(
    threads: int | None, dtype: str, optimizer: cp.Optimizer, limits: Limits, sparse: bool = False
) -> tuple[np.ndarray, list, object]:
    """Parameters and results after two epochs; the textbook engine's where `threads` is None."""
    net, random = wide_network(), np.random.default_rng(3)
    X = random.normal(size=(ROWS, 11)).astype(dtype)
    X = csr_array(X * (X > 0.5)) if sparse else X
    y = {"values": random.normal(size=(ROWS, 384)).astype(dtype), "classes": random.integers(0, 4, ROWS)}
    params = net.initialize(seed=1, dtype=dtype)
    losses = {"values": "squared_error", "classes": "cross_entropy"}
    weight = random.uniform(0.5, 2, ROWS)
    training = Training(prepare(net, params, X, y, losses, weight), optimizer, (cp.L2(0.01),), limits, seed=5)
    engine = TextbookEngine(training, params) if threads is None else CompiledEngine(training, params, BATCH, threads)
    batches = [np.arange(start, min(start + BATCH, ROWS)) for start in range(0, ROWS, BATCH)]
    results = [engine.run_epoch(epoch, batches, lambda step: 0.01) for epoch in range(2)]
    return params.flat, results, engine


CASES = [
    (cp.Momentum(0.01, 0.9), Limits()),
    (cp.Adam(0.01), Limits(clip_value=0.05)),
    (cp.GradientDescent(0.01), Limits(clip_norm=0.5)),
    (cp.GradientDescent(0.01), Limits(max_norm=0.7)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "limits"), CASES, ids=["momentum", "adam", "clip_norm", "max_norm"])
def test_columns_shared_out_give_the_same_bits(optimizer: cp.Optimizer, limits: Limits, dtype: str) -> None:
    alone, first, engine = trained(1, dtype, optimizer, limits)
    assert engine.memory.numbers[at.MEETINGS] == 0
    for threads in (2, 3):
        flat, results, engine = trained(threads, dtype, optimizer, limits)
        split = engine.passes.plan.layers[1:, at.SPLIT].tolist()
        assert engine.memory.numbers[at.MEETINGS] == 13
        assert engine.passes._sync[JOINED] == threads - 1
        assert split == [1, 0, 1, 0, 1, 0]
        assert flat.tobytes() == alone.tobytes(), threads
        assert results == first


def test_sparse_rows_too() -> None:
    flat = [trained(threads, "float64", *CASES[0], sparse=True)[0] for threads in (1, 2)]
    assert flat[0].tobytes() == flat[1].tobytes()


def test_it_is_what_the_textbook_does() -> None:
    flat = [trained(threads, "float64", *CASES[1])[0] for threads in (None, 2)]
    np.testing.assert_allclose(flat[1], flat[0], rtol=1e-9, atol=1e-12)
