"""Threads that share out the columns of wide layers compute the bits of a single thread."""

from dataclasses import asdict

import numpy as np
import pytest
from epochs import run_batches
from scipy.sparse import csr_array

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import EpochResult, Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.threads import JOINED
from clearprop.engine.textbook import TextbookEngine
from clearprop.penalties import Limits

ROWS, BATCH = 60, 17


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


def engine_of(
    threads: int | None, dtype: str, optimizer: cp.optimizers.Optimizer, limits: Limits, sparse: bool = False
) -> TextbookEngine | CompiledEngine:
    """An engine at its start; the textbook engine where `threads` is None."""
    net, random = wide_network(), np.random.default_rng(3)
    X = random.normal(size=(ROWS, 11)).astype(dtype)
    X = csr_array(X * (X > 0.5)) if sparse else X
    y = {"values": random.normal(size=(ROWS, 384)).astype(dtype), "classes": random.integers(0, 4, ROWS)}
    params = net.initialize(seed=1, dtype=dtype)
    losses = {"values": "squared_error", "classes": "cross_entropy"}
    weight = random.uniform(0.5, 2, ROWS)
    training = Training(prepare(net, params, X, y, losses, weight), optimizer, (cp.penalties.L2(0.01),), limits, seed=5)
    return TextbookEngine(training, params) if threads is None else CompiledEngine(training, params, BATCH, threads)


def run_epoch(engine: TextbookEngine | CompiledEngine, epoch: int) -> EpochResult:
    batches = [np.arange(start, min(start + BATCH, ROWS)) for start in range(0, ROWS, BATCH)]
    return run_batches(engine, epoch, batches)


CASES = [
    (cp.Momentum(0.01, 0.9), Limits()),
    (cp.Adam(0.01), Limits(clip_value=0.05)),
    (cp.GradientDescent(0.01), Limits(clip_norm=0.5)),
    (cp.GradientDescent(0.01), Limits(max_norm=0.7)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "limits"), CASES, ids=["momentum", "adam", "clip_norm", "max_norm"])
@pytest.mark.parametrize(("threads", "sparse"), [(2, False), (3, False), (2, True)])
def test_sharing_out_columns_gives_the_same_bits(
    threads: int, sparse: bool, optimizer: cp.optimizers.Optimizer, limits: Limits, dtype: str
) -> None:
    alone, together = (engine_of(n, dtype, optimizer, limits, sparse) for n in (1, threads))
    assert alone.memory.layout.column_meetings == 0
    assert together.memory.layout.column_meetings == 13
    assert together.runner.plan.layers["by_columns"][1:].tolist() == [True, False, True, False, True, False]
    joined = 0
    for epoch in range(200):  # the other threads join when the machine lets them
        np.testing.assert_equal(asdict(run_epoch(together, epoch)), asdict(run_epoch(alone, epoch)))
        assert together.params.flat.tobytes() == alone.params.flat.tobytes()
        joined += together.runner._sync[JOINED] == threads - 1
        if joined == 2:
            return
    pytest.fail("the other threads never joined")


def test_it_agrees_with_the_textbook_engine() -> None:
    ours, textbook = (engine_of(threads, "float64", *CASES[1]) for threads in (2, None))
    for epoch in range(2):
        run_epoch(ours, epoch), run_epoch(textbook, epoch)
    np.testing.assert_allclose(ours.params.flat, textbook.params.flat, rtol=1e-9, atol=1e-12)
