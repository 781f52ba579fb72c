"""Checkpoints: a run that was stopped anywhere and resumed ends bit for bit like one that was not."""

import json
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import clearprop as cp
from clearprop.engine.compiled import tuning as pace
from clearprop.errors import ArgumentError, CheckpointError, FileWriteError, ModelFileError
from clearprop.serialization import sealed as storage
from clearprop.training import saver
from clearprop.training.checkpoint import CHECKPOINT

draw = np.random.default_rng(0)
X = draw.normal(size=(30, 3))
Y = np.sin(X[:, :1])
LABELS = draw.integers(0, 3, size=30)
WEIGHT = draw.uniform(0.5, 2.0, size=30)
SQUARE = cp.activations.Custom("square", lambda z: z * z, lambda z, a: 2 * z)
every_engine = pytest.mark.parametrize("engine", ["compiled", "textbook"])


@dataclass
class Case:
    """A run that must continue bit for bit."""

    net: cp.Network
    y: Any = field(default_factory=lambda: Y)
    loss: Any = "squared_error"
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float64"


plain = cp.Network.sequential(3, 4, 1)
branched = cp.Network(
    3,
    [
        cp.Layer("wide", 4, "relu", sources=[cp.Wired("input", draw.permutation(np.arange(12)).reshape(3, 4))]),
        cp.Layer("same", 4, sources=[cp.Direct("wide"), cp.Dense("input", trainable=False)], dropout=0.25),
        cp.Layer("class", 3, "softmax", sources=["same", "input"]),
        cp.Layer("number", 1, sources=["wide"]),
    ],
    outputs=["class", "number"],
)
CASES = {
    "descent": Case(plain, options={"optimizer": cp.GradientDescent(0.05)}),
    "momentum, whole set": Case(plain, options={"optimizer": cp.Momentum(0.05), "batch_size": None}),
    "adam, one by one": Case(plain, options={"optimizer": cp.Adam(0.01), "batch_size": 1, "sample_weight": WEIGHT}),
    "adamw, cosine": Case(
        plain,
        options={"optimizer": cp.AdamW(cp.schedules.WarmUp(cp.schedules.Cosine(0.01), epochs=2))},
        dtype="float32",
    ),
    "rprop": Case(
        plain,
        options={"optimizer": cp.Rprop(0.01), "batches": 3, "penalty": [cp.penalties.L2(0.1), cp.penalties.L1(0.01)]},
    ),
    "plateau": Case(
        plain, options={"optimizer": cp.Nesterov(cp.schedules.OnPlateau(0.05, patience=1)), "validation": 0.3}
    ),
    "limits": Case(plain, options={"optimizer": "rmsprop", "clip_norm": 0.1, "max_norm": 1.0, "shuffle": False}),
    "early stopping": Case(
        plain,
        options={
            "optimizer": cp.Momentum(0.3),
            "stopping": [cp.EarlyStopping(patience=3), cp.training.Convergence(1e-9)],
            "validation": (X[:9], Y[:9], WEIGHT[:9]),
            "metrics": "rmse",
        },
    ),
    "everything": Case(
        branched,
        {"class": LABELS, "number": Y},
        {"class": "cross_entropy", "number": cp.Huber(0.5)},
        {"optimizer": cp.Nadam(0.01), "reduction": "sum", "sample_weight": WEIGHT, "clip_value": 0.5},
    ),
}
EPOCHS = 5


def run(case, params, engine, **options):
    everything = {"batch_size": 7, "epochs": EPOCHS, "seed": 3, "engine": engine, **case.options, **options}
    return cp.train(case.net, params, X, case.y, loss=case.loss, **everything)


def numbers(history):
    """All that is recorded but the seconds."""
    columns = {name: column for name, column in history.columns.items() if name != "seconds"}
    return columns, history.delta_norms, history.gradient_norms, history.stopped, history.best_epoch


class Stopped(Exception):
    pass


def stop_after(monkeypatch, pauses):
    """Let training be left between two steps, after so many of them."""
    left = [pauses]

    def count(self):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    monkeypatch.setattr(saver.Saver, "within_epoch", count)


@every_engine
@pytest.mark.parametrize("name", CASES)
def test_stopped_between_any_two_steps_and_resumed(name, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "SLICE", 0.0)  # one step at a time, so that there are pauses everywhere
    case, path = CASES[name], tmp_path / "run.ckpt"
    params = case.net.initialize(seed=1, dtype=case.dtype)
    whole = run(case, params, engine)
    again, stops = case.net.initialize(seed=1, dtype=case.dtype), 0
    for pauses in (2, 1, 4, 7, 1000):  # stopped, resumed, stopped again, ...
        with monkeypatch.context() as patch:
            stop_after(patch, pauses)
            try:
                history = run(case, again, engine, checkpoint=path, resume="auto")
            except Stopped:
                stops += 1
        again = case.net.initialize(seed=stops, dtype=case.dtype)  # what they are does not matter to a resumed run
    run(case, again, engine, checkpoint=path, resume=True)
    assert stops >= (0 if case.options.get("batch_size", 7) is None else 3)
    assert again.flat.tobytes() == params.flat.tobytes()
    assert numbers(history) == numbers(whole)


@every_engine
def test_single_epochs_equal_one_run(engine, tmp_path):
    """fit(n) is n times one more epoch is stop and resume."""
    case, path = CASES["descent"], tmp_path / "run.ckpt"
    params, again = (case.net.initialize(seed=1) for _ in range(2))
    whole = run(case, params, engine)
    for epochs in range(1, EPOCHS + 1):
        history = run(case, again, engine, epochs=epochs, checkpoint=path, resume="auto")
    assert again.flat.tobytes() == params.flat.tobytes()
    assert numbers(history) == numbers(whole)


def test_the_number_of_threads_may_change_in_between(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(pace, "SLICE", 0.0)
    case, path = CASES["everything"], tmp_path / "run.ckpt"
    results = set()
    for threads in ((1, 3, 2), (4, 1, 7), (2, 2, 1)):
        path.unlink(missing_ok=True)
        params = case.net.initialize(seed=1)
        for count, pauses in zip(threads, (3, 6, 1000), strict=True):
            cp.set_threads(count)
            with monkeypatch.context() as patch:
                stop_after(patch, pauses)
                try:
                    run(case, params, "compiled", checkpoint=path, resume="auto")
                except Stopped:
                    assert pauses < 1000
        cp.set_threads(None)
        results.add(params.flat.tobytes())
    params = case.net.initialize(seed=1)
    run(case, params, "compiled")
    assert results == {params.flat.tobytes()}


def test_saved_by_time_within_an_epoch(tmp_path, monkeypatch):
    """With a clock that goes a second a look, a checkpoint of 3 seconds is written in the midst of epochs."""
    clock = iter(range(10**6))
    monkeypatch.setattr(saver.time, "monotonic", lambda: float(next(clock)))
    case, saves = CASES["descent"], []
    real = saver.write_atomically
    monkeypatch.setattr(saver, "write_atomically", lambda path, content: (real(path, content), saves.append(content)))
    saved = cp.Checkpoint(tmp_path / "run.ckpt", seconds=3)
    params, final = case.net.initialize(seed=1), case.net.initialize(seed=1)
    run(case, params, "textbook", checkpoint=saved)
    run(case, final, "textbook")
    positions, found = set(), saves.copy()  # the resumed runs save too
    for content in found:  # whichever of them a kill had left, the end is the same
        (tmp_path / "run.ckpt").write_bytes(content)
        snapshot = saved.read()
        positions.add((snapshot.epoch, snapshot.done))
        again = case.net.initialize(seed=9)
        run(case, again, "textbook", checkpoint=saved, resume=True)
        assert again.flat.tobytes() == final.flat.tobytes()
    assert len(positions) > 6
    assert any(done for _, done in positions)


# --- resuming, and refusing to ----------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """A run of two epochs of five, and its settings."""
    path, case = tmp_path / "run.ckpt", CASES["descent"]
    run(case, case.net.initialize(seed=1), "textbook", epochs=2, checkpoint=path, penalty=cp.penalties.L2(0.1))
    return path


def resumed(path, X=X, y=Y, net=plain, engine="textbook", dtype="float64", **options):
    everything = {
        "batch_size": 7,
        "epochs": EPOCHS,
        "seed": 3,
        "penalty": cp.penalties.L2(0.1),
        "optimizer": cp.GradientDescent(0.05),
    }
    params = net.initialize(seed=1, dtype=dtype)
    everything |= {"loss": "squared_error", "engine": engine, "checkpoint": path, "resume": True, **options}
    return cp.train(net, params, X, y, **everything)


other_X, other_Y = X.copy(), Y.copy()
other_X[3, 1] += 1e-9
other_Y[4] = -other_Y[4]
DIFFERENCES = [
    (
        {"X": other_X},
        r"data, X: was 30 x 3 float64, SHA-256 \w{8}, is 30 x 3 float64, SHA-256 \w{8}\. Resume with",
    ),
    ({"X": X[:20], "y": Y[:20]}, r"data, X: was 30 x 3 float64, SHA-256 \w{8}, is 20 x 3 float64"),
    ({"y": other_Y}, r"data, y: was 30 x 1 float64"),
    ({"sample_weight": WEIGHT}, r"data, sample_weight: was none, is 30 float64, SHA-256"),
    ({"validation": (X[:5], Y[:5])}, r"data, validation X: was missing, is 5 x 3 float64"),
    ({"net": cp.Network.sequential(3, 5, 1)}, r"network, layers, hidden, units: was 4, is 5"),
    ({"net": cp.Network.sequential(3, 4, 4, 1)}, r"network, layers: had 2 items, has 3"),
    (
        {"net": cp.Network.sequential(3, 4, 1, hidden="tanh")},
        r"network, layers, hidden, activation, name: was relu",
    ),
    ({"batch_size": 8}, r"settings, batch_size: was 7, is 8"),
    ({"batch_size": 7, "batches": 4}, r"settings, batches: was None, is 4"),
    ({"shuffle": False}, r"settings, shuffle: was True, is False"),
    ({"seed": 4}, r"settings, seed: was 3, is 4"),
    (
        {"optimizer": cp.GradientDescent(0.06)},
        r"settings, optimizer: was GradientDescent\(learning_rate=0.05\), is Grad",
    ),
    ({"optimizer": cp.Adam(0.05)}, r"settings, optimizer: was GradientDescent\(learning_rate=0.05\), is Adam"),
    ({"penalty": None}, r"settings, penalty: was \(L2\(strength=0.1\),\), is \(\)"),
    ({"clip_norm": 1.0}, r"settings, limits: was Limits\(clip_norm=None"),
    ({"reduction": "sum"}, r"settings, reduction: was mean, is sum"),
    ({"loss": cp.Huber(0.5)}, r"settings, loss, output, name: was squared_error, is huber"),
    ({"metrics": "rmse"}, r"settings, metrics: had 0 items, has 1"),
    ({"stopping": cp.EarlyStopping()}, r"settings, stopping: was \(\), is \(EarlyStopping"),
    ({"dtype": "float32"}, r"data, X: was 30 x 3 float64, SHA-256 \w{8}, is 30 x 3 float32"),
    (
        {"engine": "compiled"},
        r'written by the textbook engine; the compiled engine rounds differently\. .*"textbook"',
    ),
    ({"epochs": 1}, r"has already started 2 epochs, more than epochs=1"),
]


assert (len(CASES), len(DIFFERENCES)) == (9, 23)  # as docs/explanation/reliability.md says


@pytest.mark.parametrize(("change", "text"), DIFFERENCES, ids=range(len(DIFFERENCES)))
def test_a_different_run_is_refused_with_the_difference(saved, change, text):
    before = saved.read_bytes()
    with pytest.raises(CheckpointError, match=rf"run\.ckpt: .*{text}"):
        resumed(saved, **change)
    assert saved.read_bytes() == before
    assert resumed(saved).epochs == EPOCHS  # with the original settings it continues


@pytest.mark.parametrize("options", [{"engine": "compiled"}, {"epochs": 1}, {"seed": 4}])
def test_parameters_are_unchanged_if_resuming_is_refused(saved, options):
    params, everything = plain.initialize(seed=1), {"engine": "textbook"} | options
    with pytest.raises(CheckpointError):
        run(CASES["descent"], params, **everything, checkpoint=saved, resume=True, penalty=cp.penalties.L2(0.1))
    assert params.flat.tobytes() == plain.initialize(seed=1).flat.tobytes()


@pytest.mark.parametrize(("optimizer", "fits"), [(cp.Adam(0.1), True), (cp.Adam(cp.schedules.Cosine(0.1)), False)])
def test_more_epochs_only_if_the_past_learning_rates_would_be_the_same(tmp_path, optimizer, fits):
    path, options = tmp_path / "run.ckpt", {"optimizer": optimizer}
    resumed(path, epochs=3, resume=False, **options)
    if fits:
        whole, part = plain.initialize(seed=1), plain.initialize(seed=1)
        run(CASES["descent"], whole, "textbook", epochs=6, penalty=cp.penalties.L2(0.1), **options)
        run(
            CASES["descent"],
            part,
            "textbook",
            epochs=6,
            penalty=cp.penalties.L2(0.1),
            checkpoint=path,
            resume=True,
            **options,
        )
        assert whole.flat.tobytes() == part.flat.tobytes()
    else:
        with pytest.raises(
            CheckpointError,
            match=r"with epochs=3, and its learning rate .*Cosine\(learning_rate=0.1.*epochs=3\.$",
        ):
            resumed(path, epochs=6, **options)


def test_resuming_a_finished_run_does_nothing(tmp_path):
    path = tmp_path / "run.ckpt"
    options = {"stopping": cp.EarlyStopping(monitor="cost", patience=1, min_delta=9e9), "epochs": 50}
    first, params = resumed(path, resume=False, **options), plain.initialize(seed=7)
    again = cp.train(
        plain, params, X, Y, loss="squared_error", batch_size=7, seed=3, penalty=cp.penalties.L2(0.1),
        engine="textbook", optimizer=cp.GradientDescent(0.05), checkpoint=path, resume=True, **options,
    )  # fmt: skip
    assert again.stopped.startswith("stopped early")
    assert numbers(again) == numbers(first)
    assert cp.Checkpoint(path).read().best.tobytes() == params.flat.tobytes()


def test_a_run_stopped_by_a_callback_continues(tmp_path):
    path = tmp_path / "run.ckpt"
    assert resumed(path, resume=False, callbacks=lambda end: "an hour is over").epochs == 1
    assert resumed(path, callbacks=lambda end: end.epoch == 2).epochs == 3
    assert resumed(path).stopped == "finished 5 epochs"


def test_a_sparse_matrix_has_a_fingerprint_too(tmp_path):
    path, thin = tmp_path / "run.ckpt", csr_array(np.where(X > 0.5, X, 0.0))
    whole = resumed(tmp_path / "whole.ckpt", X=thin, resume=False)
    resumed(path, X=thin, resume=False, epochs=2)
    assert numbers(resumed(path, X=thin)) == numbers(whole)
    other = thin.copy()
    other.data[3] += 1e-9
    with pytest.raises(CheckpointError, match="data, X: was 30 x 3 float64"):
        resumed(path, X=other)


def test_own_activations_and_losses_are_distinguished_by_name(tmp_path):
    net = cp.Network.sequential(3, 4, 1, hidden=SQUARE)
    loss = cp.losses.CustomLoss("half", lambda yhat, y: (0.5 * (yhat - y) ** 2, yhat - y))
    options = {"net": net, "loss": loss, "optimizer": cp.Adam(0.001)}
    whole = resumed(tmp_path / "whole.ckpt", resume=False, **options)
    resumed(tmp_path / "run.ckpt", resume=False, epochs=2, **options)
    assert numbers(resumed(tmp_path / "run.ckpt", **options)) == numbers(whole)
    assert cp.Checkpoint(tmp_path / "run.ckpt").read(own=[SQUARE]).params.net == net
    with pytest.raises(CheckpointError, match="unknown activation 'square'"):
        cp.Checkpoint(tmp_path / "run.ckpt").read()


BAD = [
    ({"checkpoint": 7}, ArgumentError, "checkpoint: expected the path of a file, got 7"),
    ({"checkpoint": "{folder}"}, ArgumentError, "is a folder, expected the name of a file"),
    ({"checkpoint": "{folder}/nowhere/run.ckpt"}, ArgumentError, "nowhere does not exist"),
    ({"every": 3}, ArgumentError, "every: requires checkpoint=; pass the path of a file"),
    ({"resume": True}, ArgumentError, "resume: requires checkpoint="),
    ({"checkpoint": "{folder}/new.ckpt", "resume": True}, CheckpointError, "new.ckpt: does not exist. Start without"),
    ({"checkpoint": "{folder}/new.ckpt", "resume": "yes"}, ArgumentError, 'expected True, False or "auto", got'),
    ({"checkpoint": "{folder}/new.ckpt", "every": 0}, ArgumentError, "checkpoint every: expected a whole number"),
    (
        {"checkpoint": cp.Checkpoint("a.ckpt"), "every": 2},
        ArgumentError,
        "every: set it in cp.Checkpoint, or pass the path",
    ),
    (
        {"checkpoint": "{folder}/run.ckpt"},
        ArgumentError,
        "run.ckpt exists. Continue that run with resume=True",
    ),
    ({"checkpoint": "{folder}/model.cprop", "resume": True}, CheckpointError, "this is a model file"),
    (
        {"checkpoint": "{folder}/new.ckpt", "optimizer": "lbfgs"},
        ArgumentError,
        "checkpoint: SciPy does not expose the state of L-BFGS",
    ),
]


@pytest.mark.parametrize(("options", "kind", "text"), BAD, ids=range(len(BAD)))
def test_bad_calls_change_nothing(options, kind, text, saved):
    cp.Model(plain, plain.initialize(), cp.SquaredError()).save(saved.parent / "model.cprop")
    before = {path: path.read_bytes() for path in saved.parent.iterdir()}
    params = plain.initialize(seed=1)
    options = {name: o.format(folder=saved.parent) if isinstance(o, str) else o for name, o in options.items()}
    with pytest.raises(kind, match=re.escape(text)):
        cp.train(plain, params, X, Y, loss="squared_error", epochs=1, engine="textbook", **options)
    assert params.flat.tobytes() == plain.initialize(seed=1).flat.tobytes()
    assert {path: path.read_bytes() for path in saved.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seconds": 0}, "checkpoint seconds: expected a finite number above 0"),
        ({"on_failure": "ignore"}, "checkpoint on_failure: expected one of 'warn', 'raise'"),
    ],
)
def test_bad_checkpoints(options, text):
    with pytest.raises(ArgumentError, match=text):
        cp.Checkpoint("run.ckpt", **options)


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_checkpoint_of_a_running_run_can_be_read(tmp_path):
    saved, seen = cp.Checkpoint(tmp_path / "run.ckpt", every=1), []

    def look(end):
        snapshot = saved.read()
        seen.append((snapshot.epoch, snapshot.history.cost == end.history.cost[: snapshot.epoch]))
        assert snapshot.params.net == plain

    resumed(saved, resume=False, callbacks=look)
    assert seen == [(0, True), (1, True), (2, True), (3, True), (4, True)]


def test_a_model_is_not_a_checkpoint_and_vice_versa(saved):
    with pytest.raises(ModelFileError, match="expected a clearprop model file; this is a checkpoint file"):
        cp.Model.load(saved)


def test_damage_is_detected(saved):
    content, generator = saved.read_bytes(), np.random.default_rng(0)
    for position in generator.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(generator.integers(0, 8))
        for wrong in (bytes(damaged), content[:position]):
            saved.write_bytes(wrong)
            with pytest.raises(CheckpointError, match=r"run\.ckpt"):
                cp.Checkpoint(saved).read()


WRONG_PARTS = [
    ({"epochs": -1}, {}, "epochs: expected a whole number of at least 0, got -1"),
    ({"learning_rate": "fast"}, {}, "learning_rate: expected a finite number, got 'fast'"),
    ({"slots": "none"}, {}, "slots: expected an object, got 'none'"),
    ({"slots": {"velocity": "slots.velocity"}}, {}, "slots.velocity: the file has no array 'slots.velocity'"),
    (
        {"slots": {"velocity": "v"}},
        {"v": np.zeros(0)},
        r"slots.velocity: expected a vector of 21 numbers of float64, got shape \(0,\)",
    ),
    ({"epoch": 1}, {}, "history: expected 1 epochs, got 2"),
    (
        {"done": 1, "steps": 11, "learning_rate": 0.05},
        {},
        "its sums over the current epoch are not those of this engine",
    ),
    ({"done": 1, "steps": 11}, {"sums": np.zeros(2, np.float32)}, "sums: expected a vector of float64 numbers, got"),
    ({"done": 7}, {"sums": np.zeros(4)}, "10 steps, 7 of them in epoch 3, are inconsistent with 5 steps per epoch"),
    ({"steps": 11}, {}, "11 steps, 0 of them in epoch 3, are inconsistent"),
    ({"extra": 1}, {}, "unknown field 'extra'; expected network, parameters, best, "),
    ({}, {"parameters": np.zeros(7)}, "parameters: expected a vector of 21 numbers of float64, got shape"),
    ({}, {"parameters": np.zeros(21, np.int32)}, "parameters: expected float32 or float64, got int32"),
    ({"best": "best"}, {"best": np.zeros(21, np.float32)}, "best: expected a vector of 21 numbers of float64, got"),
    ({}, {"history.columns": np.zeros((2, 2))}, "history.columns: expected a float64 matrix with a row for each of"),
]


@pytest.mark.parametrize(("head", "arrays", "text"), WRONG_PARTS, ids=range(len(WRONG_PARTS)))
def test_inconsistent_parts_are_rejected(saved, head, arrays, text):
    found = storage.read_sections(saved.read_bytes(), "run.ckpt", CHECKPOINT)
    saved.write_bytes(storage.pack_sections(CHECKPOINT, found.head | head, found.arrays | arrays))
    with pytest.raises(CheckpointError, match=text):
        resumed(saved)


def places_in(tree, path=()):
    """The path to each part of a tree of plain data."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in children:
        yield (*path, key)
        yield from places_in(part, (*path, key))


@pytest.mark.parametrize("odd", [None, -1, 2**70, float("nan"), "x", [], {}, [[0]], {"a": 1}], ids=repr)
def test_any_value_for_any_part_is_refused_or_resumed_or_read(saved, odd):
    """A file that somebody made on purpose, with digests that are right."""
    whole = storage.read_sections(saved.read_bytes(), "run.ckpt", CHECKPOINT)
    paths, refused = list(places_in(whole.head)), 0
    for path in paths:
        head = json.loads(json.dumps(whole.head))
        parent = head
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = odd
        saved.write_bytes(storage.pack_sections(CHECKPOINT, head, whole.arrays))
        try:
            assert np.isfinite(cp.Checkpoint(saved).read().params.flat).all()
            resumed(saved)
        except CheckpointError:
            refused += 1
    assert len(paths) > 60
    assert refused > len(paths) / 2


@every_engine
def test_a_failing_write_warns_and_training_continues(engine, tmp_path):
    whole = resumed(tmp_path / "run.ckpt", resume=False, engine=engine)
    with pytest.warns(
        RuntimeWarning, match=r"checkpoint /dev/full: cannot be written: No space .*Training continues\."
    ):
        history = resumed("/dev/full", resume=False, engine=engine, every=1)
    assert numbers(history) == numbers(whole)


def test_a_failing_write_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    path, writes, real = tmp_path / "run.ckpt", [], saver.write_atomically

    def failing(path, content):
        writes.append(1)
        if len(writes) > 2:
            raise FileWriteError("run.ckpt: cannot be written: No space left on device.", 28)
        real(path, content)

    monkeypatch.setattr(saver, "write_atomically", failing)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resumed(path, resume=False, every=1)
    assert len(caught) == len(writes) - 2 == 4
    assert cp.Checkpoint(path).read().epoch == 1
    for sooner in (0, 1):
        writes[:] = [1] * sooner
        with pytest.raises(FileWriteError, match="No space left"):
            resumed(cp.Checkpoint(tmp_path / f"other{sooner}.ckpt", every=1, on_failure="raise"), resume=False)
    monkeypatch.undo()
    assert resumed(path).epochs == EPOCHS
