"""The compiled engine computes the steps of the textbook engine, for any network and any number of threads."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import platform
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import joblib
import numpy as np
import pytest
from epochs import planned_epochs, run_batches
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Epochs, Patience, Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.textbook import TextbookEngine
from clearprop.training.batches import BatchPlan

SMOOTH = (
    "identity",
    "sigmoid",
    "tanh",
    "softplus",
    "silu",
    "gelu",
    "mish",
    "gaussian",
    "sine",
    "log_sigmoid",
    "softsign",
)
KINKED = ("relu", "leaky_relu", "elu", "selu", "hard_sigmoid")
BY_ROW = ("softmax", "layer_normalization")
HIDDEN = SMOOTH + KINKED + BY_ROW

#: Pairs of output activation and loss, with and without a short form.
OUTPUTS = (
    ("identity", cp.SquaredError()),
    ("tanh", cp.SquaredError(factor=1.0, outputs="mean")),
    ("softmax", cp.CrossEntropy()),
    ("softmax", cp.CrossEntropy(label_smoothing=0.1)),
    ("sigmoid", cp.CrossEntropy(any_output=True)),
    ("sigmoid", cp.BinaryCrossEntropy()),
    ("softmax", cp.BinaryCrossEntropy(label_smoothing=0.1)),
    ("exponential", cp.Poisson()),
    ("softplus", cp.Poisson()),
    ("identity", cp.Huber(0.7)),
    ("identity", cp.AbsoluteError()),
    ("identity", cp.Quantile(0.3)),
    ("softmax", cp.SquaredError()),
    ("identity", cp.losses.CustomLoss("quartic", lambda yhat, y: ((yhat - y) ** 4, 4 * (yhat - y) ** 3))),
)

OPTIMIZERS = (
    cp.GradientDescent(0.05),
    cp.Momentum(0.02, 0.9),
    cp.Nesterov(0.02, 0.9),
    cp.Adagrad(0.05),
    cp.RMSprop(0.01),
    cp.Adam(0.01),
    cp.AdamW(0.01, weight_decay=0.1),
    cp.Nadam(0.01),
    cp.Momentum(cp.schedules.ExponentialDecay(0.05, 0.5)),
)


@dataclass
class Case:
    """A network with data and options of training."""

    net: cp.Network
    losses: dict[str, cp.losses.Loss]
    X: np.ndarray
    y: dict[str, np.ndarray]
    weight: np.ndarray | None
    reduction: str
    optimizer: cp.optimizers.Optimizer
    penalties: tuple[cp.penalties.Penalty, ...]
    limits: cp.penalties.Limits
    plan: BatchPlan
    seed: int
    alpha: float = 0.0
    row_keys: np.ndarray | None = None


@st.composite
def networks(draw: st.DrawFn, largest: int = 24) -> tuple[cp.Network, dict[str, cp.losses.Loss]]:
    size = st.integers(1, largest)
    inputs = draw(size)
    units = {"input": inputs}
    layers: list[cp.Layer] = []
    count = draw(st.integers(1, 4))
    for i in range(count):
        name, last = f"l{i}", i == count - 1
        wide = draw(st.sampled_from([draw(size), *units.values()]))
        f = draw(st.sampled_from(HIDDEN))
        wide = max(2, wide) if f in BY_ROW else wide
        sources = draw(st.lists(st.sampled_from(sorted(units)), min_size=1, max_size=3, unique=True))
        connections = [draw(_connection(source, units[source], wide)) for source in sources]
        if draw(st.booleans()) and not any(c.kind == "identity" for c in connections):
            connections += [cp.Direct(s) for s in sorted(units) if units[s] == wide and s not in sources][:1]
        dropout = draw(st.sampled_from([0.0, 0.0, 0.3])) if not last else 0.0
        bias, train_bias = draw(st.booleans()), draw(st.sampled_from([True, True, False]))
        layers.append(
            cp.Layer(
                name, wide, f, connections, bias, train_bias, dropout, bias_initializer=cp.initializers.Normal(0.3)
            )
        )
        units[name] = wide
    taken = {c.source for layer in layers for c in layer.connections}
    outputs = [layer.name for layer in layers if layer.name not in taken]
    extra = [layer.name for layer in layers if layer.name in taken and not layer.dropout]
    outputs += draw(st.lists(st.sampled_from(extra), max_size=1)) if extra else []
    losses = {}
    for i, layer in enumerate(layers):
        if layer.name in outputs:
            f, loss = draw(st.sampled_from(OUTPUTS))
            if layer.units == 1 and (f == "softmax" or isinstance(loss, cp.CrossEntropy)):
                f, loss = "identity", cp.SquaredError()
            layers[i] = cp.Layer(
                layer.name, layer.units, f, layer.sources, layer.bias, layer.train_bias, 0.0,
                bias_initializer=layer.bias_initializer,
            )  # fmt: skip
            losses[layer.name] = loss
    return cp.Network(inputs, layers, [layer.name for layer in layers if layer.name in outputs]), losses


@st.composite
def _connection(draw: st.DrawFn, source: str, source_units: int, units: int) -> cp.core.connections.Connection:
    kind = draw(st.sampled_from(["dense", "dense", "dense", "frozen", "wired", "identity"]))
    if kind == "identity" and source_units == units:
        return cp.Direct(source)
    if kind == "wired":
        random = np.random.default_rng(draw(st.integers(0, 99)))
        pattern = random.integers(0, 5, (source_units, units))
        pattern.flat[0] = 1
        used = np.unique(np.append(pattern, 0))
        return cp.Wired(source, np.searchsorted(used, pattern), trainable=draw(st.booleans()))
    return cp.Dense(source, trainable=kind != "frozen")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    net, losses = draw(networks())
    seed, samples = draw(st.integers(0, 1000)), draw(st.integers(1, 60))
    random = np.random.default_rng(seed)
    X = random.normal(size=(samples, net.inputs))
    y = {name: _targets(random, loss, samples, net[name].units, draw(st.booleans())) for name, loss in losses.items()}
    weight = random.integers(0, 3, samples) * 0.5 if draw(st.booleans()) else None
    if weight is not None:
        weight[0] = 1.0
    sizes = st.sampled_from([1, 3, 8, 20, None])
    limits = draw(
        st.sampled_from(
            [
                {},
                {},
                {"clip_norm": 0.5},
                {"clip_value": 0.05},
                {"max_norm": 0.8},
                {"clip_norm": 0.3, "max_norm": 1.0, "clip_value": 0.2},
            ]
        )
    )
    penalties = draw(st.sampled_from([(), (), (cp.penalties.L2(0.1),), (cp.penalties.L1(0.05), cp.penalties.L2(0.01))]))
    plan = BatchPlan(samples, draw(sizes), None, draw(st.booleans()), seed)
    return Case(
        net, losses, X, y, weight, draw(st.sampled_from(["mean", "sum"])), draw(st.sampled_from(OPTIMIZERS)),
        penalties, cp.penalties.Limits(**limits), plan, seed, draw(st.sampled_from([0.0, 0.0, 0.5])),
        draw(st.sampled_from([None, random.integers(0, 2**63, samples, np.uint64)])),
    )  # fmt: skip


def _targets(random: np.random.Generator, loss: cp.losses.Loss, samples: int, units: int, indices: bool) -> np.ndarray:
    if isinstance(loss, cp.CrossEntropy):
        classes = random.integers(0, units, samples)
        return classes if indices else np.eye(units)[classes]
    if isinstance(loss, cp.BinaryCrossEntropy):
        return random.integers(0, 2, (samples, units)).astype(float)
    if isinstance(loss, cp.Poisson):
        return random.integers(0, 4, (samples, units)).astype(float)
    return random.normal(size=(samples, units))


def _train(case: Case, dtype: str, engine: type, threads: int | None = None, epochs: int = 3):
    params = case.net.initialize(case.seed, dtype)
    objective = prepare(case.net, params, case.X, case.y, case.losses, case.weight, case.reduction)
    training = Training(objective, case.optimizer, case.penalties, case.limits, case.seed, case.alpha, case.row_keys)
    largest = case.plan.largest
    runner = engine(training, params, largest)
    if threads is not None:
        runner = CompiledEngine(training, params, largest, threads)
    results = []
    with np.errstate(all="ignore"):
        several = planned_epochs(case.plan, 0, epochs, _rates(case, epochs))
        results += [runner.run(several.part(e, e + 1)) for e in range(epochs)]
    return params, results, runner


def _rates(case: Case, epochs: int) -> np.ndarray:
    steps = len(case.plan.edges) - 1
    return np.array(
        [case.optimizer.schedule.at(cp.schedules.Progress(step, steps, 3)) for step in range(epochs * steps)]
    )


def _close(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_both_engines_agree_on_random_networks(case: Case) -> None:
    theirs, expected, textbook = _train(case, "float64", TextbookEngine)
    ours, found, compiled = _train(case, "float64", CompiledEngine)
    if not np.isfinite(theirs.flat).all() or np.abs(theirs.flat).max(initial=0) > 1e6:
        return  # both engines may overflow on the way, at different places
    _close(ours.flat, theirs.flat, 1e-10)
    assert compiled.state.steps == textbook.state.steps
    for name, slot in textbook.state.slots.items():
        _close(compiled.state.slots[name], slot, 1e-10)
    for mine, other in zip(found, expected, strict=True):
        _close(
            np.array([mine.cost, mine.penalty, mine.gradient_norm, *mine.losses]),
            np.array([other.cost, other.penalty, other.gradient_norm, *other.losses]),
            1e-9,
        )
        assert mine.delta_norms.keys() == other.delta_norms.keys()
        for name in mine.delta_norms:
            _close(np.array(mine.delta_norms[name]), np.array(other.delta_norms[name]), 1e-9)
            _close(np.array(mine.gradient_norms[name]), np.array(other.gradient_norms[name]), 1e-9)


def _digest(case: Case, dtype: str, threads: int) -> bytes:
    params, results, runner = _train(case, dtype, CompiledEngine, threads, epochs=2)
    numbers = [[r.cost, r.penalty, r.gradient_norm, *r.losses, *r.delta_norms.values()] for r in results]
    slots = runner.state.slots.values()
    return params.flat.tobytes() + np.array(numbers).tobytes() + b"".join(slot.tobytes() for slot in slots)


def test_the_number_of_threads_changes_no_bit() -> None:
    """Parameters, slots, costs and norms of 40 networks with all features, in both precisions: one hash each."""
    seen, counts = [], (1, 2, 3, 4, 7, 8, 16)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def run(case: Case) -> None:
        for dtype in ("float32", "float64"):
            hashes = [hashlib.sha256(_digest(case, dtype, threads)).hexdigest() for threads in counts]
            assert len(set(hashes)) == 1, dict(zip(counts, hashes, strict=True))
            seen.append(hashes[0])

    run()
    assert len(seen) >= 2 * 40
    assert len(set(seen)) > 40  # and they are not all of the same numbers


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_float32_stays_close_to_float64(case: Case) -> None:
    exact, _, _ = _train(case, "float64", TextbookEngine, epochs=1)
    theirs, _, _ = _train(case, "float32", TextbookEngine, epochs=1)
    ours, _, _ = _train(case, "float32", CompiledEngine, epochs=1)
    if not np.isfinite(theirs.flat).all() or np.abs(exact.flat).max(initial=0) > 100:
        return
    start = case.net.initialize(case.seed, "float32").flat.astype(np.float64)
    reference = max(float(np.abs(theirs.flat - exact.flat).max(initial=0)), 1e-5)
    assert np.abs(ours.flat - exact.flat).max(initial=0) <= 20 * reference + 1e-5 * np.abs(start).max(initial=1)


@pytest.mark.parametrize("threads", [0, 1, 2, 4])
@pytest.mark.parametrize("best", [-1e9, 1e9, np.inf])
def test_epochs_as_one_call_stop_where_patience_is_exhausted(best: float, threads: int) -> None:
    """Without any improvement after `most` + 1 epochs; 0 threads stand for the textbook engine."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    orders, edges = np.stack([rng.permutation(40) for _ in range(20)]), np.array([0, 12, 24, 36, 40])
    epochs = Epochs(0, orders, edges, np.full(80, 0.01))

    def start() -> tuple[Any, Any]:
        params = cp.Network.sequential(5, 6, 3, output="softmax").initialize(0)
        training = Training(prepare(params.net, params, X, y, "cross_entropy"), cp.Adam(0.01))
        engine = CompiledEngine(training, params, 12, threads) if threads else TextbookEngine(training, params)
        return engine, params

    engine, params = start()
    losses = engine.run(epochs, None, Patience(best, 4, 0.0, count=1)).losses
    assert len(losses) == (4 if best < 0 else 20)  # the first loss is below the other two, and then they fall
    assert engine.state.steps == 4 * len(losses)
    other, expected = start()
    np.testing.assert_array_equal(other.run(epochs.part(0, len(losses))).losses, losses)
    np.testing.assert_array_equal(params.flat, expected.flat)
    more = Epochs(len(losses), orders[:9], edges, np.full(36, 0.01))
    np.testing.assert_array_equal(engine.run(more).losses, other.run(more).losses)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from([1, 3]))
def test_several_epochs_as_one_call_are_the_epochs_one_by_one(case: Case, threads: int) -> None:
    epochs = planned_epochs(case.plan, 0, 3, _rates(case, 3))
    found = []
    for engine in (TextbookEngine, CompiledEngine, None):
        params = case.net.initialize(case.seed)
        objective = prepare(case.net, params, case.X, case.y, case.losses, case.weight, case.reduction)
        training = Training(
            objective, case.optimizer, case.penalties, case.limits, case.seed, case.alpha, case.row_keys, norms=False
        )
        largest = case.plan.largest
        runner = TextbookEngine(training, params) if engine is TextbookEngine else CompiledEngine(
            training, params, largest, threads
        )  # fmt: skip
        start = runner.state
        with np.errstate(all="ignore"):
            if engine is None:  # one by one
                losses = np.concatenate([runner.run(epochs.part(e, e + 1)).losses for e in range(3)])
            else:
                losses = runner.run(epochs).losses
        state, end = runner.state, params.flat.copy()
        found.append([losses, end, *(slot.copy() for slot in state.slots.values())])
        runner.state, params.flat[...] = start, case.net.initialize(case.seed).flat
        assert runner.state.steps == 0
        with np.errstate(all="ignore"):
            runner.run(epochs)
        assert runner.state.steps == state.steps
        np.testing.assert_array_equal(params.flat, end)
    textbook, together, alone = found
    if not np.isfinite(textbook[1]).all() or np.abs(textbook[1]).max(initial=0) > 1e6:
        return
    for a, b, c in zip(textbook, together, alone, strict=True):
        _close(b, a, 1e-9)
        np.testing.assert_allclose(c, b, rtol=1e-15)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.integers(1, 3))
def test_verifying_the_last_batch_changes_nothing(case: Case, threads: int) -> None:
    """Each epoch is verified, and all results have the same bits; both engines find the same."""
    expected, results, _ = _train(case, "float64", CompiledEngine, threads)
    epochs = planned_epochs(case.plan, 0, 3, _rates(case, 3))
    params = case.net.initialize(case.seed, "float64")
    objective = prepare(case.net, params, case.X, case.y, case.losses, case.weight, case.reduction)
    training = Training(objective, case.optimizer, case.penalties, case.limits, case.seed, case.alpha, case.row_keys)
    runner = CompiledEngine(training, params, case.plan.largest, threads)
    with np.errstate(all="ignore"):
        for e, result in enumerate(results):
            epoch = replace(epochs.part(e, e + 1), verify=True)
            verified = runner.run(epoch)
            np.testing.assert_equal(asdict(replace(verified, is_verified=True)), asdict(result))
            if result.failed_step is None:
                assert verified.is_verified == TextbookEngine(training, params)._is_finite_on(epoch.batch(-1))
    np.testing.assert_array_equal(params.flat, expected.flat)


@pytest.mark.parametrize("kind", [CompiledEngine, TextbookEngine])
@pytest.mark.parametrize(("weight", "finite"), [(0.1, True), (1e300, False), (np.nan, False)])
def test_outputs_that_are_not_finite_are_noticed(weight: float, finite: bool, kind: type) -> None:
    """Dropout would hide them, and a loss computed from z alone as well."""
    net = cp.Network(1, [cp.Layer("h", 40, "identity", dropout=0.9), cp.Layer("out", 1, "exponential")])
    params = net.initialize(seed=0)
    X, y = np.full((5, 1), 1e10), np.ones((5, 1))
    training = Training(prepare(net, params, X, y, cp.SquaredError()), cp.Adam(), (cp.penalties.L2(1e300),))
    engine = kind(training, params, 5)
    params.flat[...] = 1e-12
    params["out"].W["h"][7, 0] = weight
    with np.errstate(all="ignore"):
        if kind is CompiledEngine:
            assert np.isfinite(engine.runner.cost_of(np.array([4, 2]))) == finite
        else:
            assert engine._is_finite_on(np.array([4, 2])) == finite


@pytest.mark.parametrize("batch", [1, 2, 5, 6, 7, 13, 31, 64, 97])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_remainder_of_rows_and_columns(batch: int, dtype: str) -> None:
    random = np.random.default_rng(batch)
    for units in (1, 7, 9, 17, 33, 70):
        net = cp.Network.sequential(batch % 5 + units, units, 3, hidden="tanh", output="softmax")
        X, y = random.normal(size=(100, net.inputs)), random.integers(0, 3, 100)
        case = Case(net, {"output": cp.CrossEntropy()}, X, {"output": y}, None, "mean", cp.Momentum(0.01), (),
                    cp.penalties.Limits(),
                    BatchPlan(100, batch, None, True, 0), 0)  # fmt: skip
        theirs, _, _ = _train(case, dtype, TextbookEngine, epochs=1)
        ours, _, _ = _train(case, dtype, CompiledEngine, 2, epochs=1)
        _close(ours.flat, theirs.flat, 1e-12 if dtype == "float64" else 1e-3)


PLAIN = """
import numpy as np, clearprop as cp
from clearprop.engine.api import Epochs, Patience, Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.textbook import TextbookEngine
from clearprop.core.objective import prepare
keys = np.arange(11, dtype=np.uint64) // 2
random = np.random.default_rng(0)
X, y = random.normal(size=(11, 3)), random.integers(0, 2, 11)
net = cp.Network(3, [
    cp.Layer("a", 3, "tanh", dropout=0.2), cp.Layer("b", 2, "relu", [cp.Wired("a", [[1, 0], [2, 1], [0, 2]])]),
    cp.Layer("out", 2, "softmax", ["b", "input"]),
])
found = []
for engine in (CompiledEngine, TextbookEngine):
    params = net.initialize(seed=1)
    data = prepare(net, params, X, y, cp.CrossEntropy())
    training = Training(data, cp.AdamW(0.01), (cp.penalties.L2(0.1),), seed=3, alpha=0.5, row_keys=keys)
    runner = engine(training, params, 4)
    result = runner.run(Epochs(0, np.arange(8)[None], np.array([0, 4, 8]), np.full(2, 0.01)))
    found.append([*params.flat, result.cost, result.penalty, *result.losses])
np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-12)
found = []
for engine in ("compiled", "textbook"):
    params = net.initialize(seed=1)
    cp.train(net, params, X, y, loss="cross_entropy", optimizer=cp.AdamW(0.01), batch_size=4, epochs=2, engine=engine,
             penalty=cp.penalties.L2(0.1), clip_norm=0.5, max_norm=1.0)
    found.append(params.flat)
np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-12)
print("agreed")
"""


def test_the_same_code_runs_as_plain_python() -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", PLAIN], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "agreed\n", done.stderr


SHORT_VECTORS = """
import numpy as np, clearprop as cp
from clearprop.engine.api import Epochs, Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.vectors import VECTOR_BYTES
from clearprop.core.objective import prepare
assert VECTOR_BYTES == 16
random = np.random.default_rng(0)
X, y = random.normal(size=(48, 20)), random.normal(size=(48, 9))
net = cp.Network.sequential(20, 36, 28, 9, hidden="tanh")
order, edges = np.arange(48)[None], np.arange(0, 49, 12)

def trained(threads):
    params = net.initialize(0)
    engine = CompiledEngine(Training(prepare(net, params, X, y, "squared_error"), cp.Adam(0.01)), params, 12, threads)
    for epoch in range(30):
        engine.run(Epochs(epoch, order, edges, np.full(4, 0.01)))
    return params.flat

alone = trained(1)
expected = net.initialize(0)
cp.train(net, expected, X, y, loss="squared_error", optimizer=cp.Adam(0.01), batch_size=12, epochs=30, shuffle=False,
         engine="textbook")
np.testing.assert_allclose(alone, expected.flat, rtol=1e-8, atol=1e-10)
print([trained(threads).tobytes() == alone.tobytes() for threads in (2, 3, 4, 2, 3, 4)])
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the features are those of x86")
def test_vectors_shorter_than_half_a_cache_line() -> None:
    """As on ARM and on processors without AVX: threads that share out columns do not write to each other's."""
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse,+sse2"}
    done = subprocess.run(
        [sys.executable, "-c", SHORT_VECTORS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{[True] * 6}\n", done.stderr


def _trained(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(300, 40)), random.integers(0, 5, 300)
    net = cp.Network.sequential(40, 200, 5, hidden="tanh", output="softmax")
    params = net.initialize(seed)
    cp.train(net, params, X, y, loss="cross_entropy", batch_size=50, epochs=3, seed=seed)
    return params.flat.tobytes()


def test_two_fits_at_once_in_one_process() -> None:
    alone = [_trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_trained, range(4))) == alone


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_give_the_same_numbers(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    alone = _trained(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork where threads run
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            assert pool.submit(_trained, 0).result() == alone


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_of_joblib_give_the_same_numbers(backend: str) -> None:
    alone = [_trained(seed) for seed in range(4)]
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(_trained)(seed) for seed in range(4))
    assert found == alone


def test_more_threads_than_cores_in_several_fits_at_once() -> None:
    """Four fits of nine threads each: all finish, with the numbers of one thread."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(96, 20)), random.normal(size=(96, 1))
    net = cp.Network.sequential(20, 40, 1, hidden="tanh")
    plan = BatchPlan(96, 24, None, True, 0)

    def digest(threads: int) -> bytes:
        params = net.initialize(0)
        training = Training(prepare(net, params, X, y, "squared_error"), cp.Adam(0.01))
        engine = CompiledEngine(training, params, 24, threads)
        for epoch in range(5):
            engine.run(planned_epochs(plan, epoch, 1, np.full(4, 0.01)))
        return params.flat.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(digest, [9] * 4)) == {digest(1)}


def test_rows_out_of_range_are_refused_before_compiled_code_runs() -> None:
    net = cp.Network.sequential(2, 1)
    params = net.initialize(0)
    training = Training(prepare(net, params, np.zeros((3, 2)), np.zeros((3, 1)), "squared_error"), cp.Momentum(0.1))
    engine = CompiledEngine(training, params, 2)
    with pytest.raises(cp.errors.ArgumentError, match="row numbers from 0 to 2, got 0 to 3"):
        run_batches(engine, 0, [np.array([0, 3])])
    with pytest.raises(cp.errors.ArgumentError, match="batches of 1 to 2 rows, got sizes from 3 to 3"):
        run_batches(engine, 0, [np.array([0, 1, 2])])


def test_strided_and_read_only_data_gives_the_same_bits() -> None:
    random = np.random.default_rng(0)
    whole = random.normal(size=(60, 12))
    y = random.normal(size=(30, 1))
    found = []
    for X in (whole[::2, 3:8], np.ascontiguousarray(whole[::2, 3:8]), np.asfortranarray(whole[::2, 3:8])):
        X.flags.writeable = False
        net = cp.Network.sequential(5, 8, 1)
        params = net.initialize(0)
        cp.train(net, params, X, y, loss="squared_error", epochs=2, engine="compiled")
        found.append(params.flat.tobytes())
    assert found[0] == found[1] == found[2]
