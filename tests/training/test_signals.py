"""Interruptions: at any point the parameters are those of a finished step, and history and checkpoint go with them."""

import contextlib
import os
import signal
import sys
import threading

import numpy as np
import pytest

import clearprop as cp
from clearprop.engine.compiled import tuning
from clearprop.engine.compiled.records import TRAIN
from clearprop.engine.compiled.runner import Runner
from clearprop.engine.compiled.transfer import copy_out
from clearprop.engine.textbook import TextbookEngine
from clearprop.training.signals import Interrupts

EPOCHS, STEPS = 4, 5
X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.sin(X[:, :1])
NET = cp.Network(3, [cp.Layer("hidden", 4, "tanh", dropout=0.2), cp.Layer("output", 1, sources=["hidden", "input"])])
every_engine = pytest.mark.parametrize("engine", ["compiled", "textbook"])


def train(params, path=None, resume=False, stopping=None, **options):
    return cp.train(
        NET,
        params,
        X,
        Y,
        loss="squared_error",
        optimizer=cp.Momentum(cp.schedules.WarmUp(0.05, epochs=2)),
        batch_size=4,
        epochs=EPOCHS,
        max_norm=3.0,
        validation=(X, Y),
        stopping=stopping,
        checkpoint=path and cp.Checkpoint(path, every=1),
        resume=resume,
        **options,
    )


@pytest.fixture
def one_step_slices(monkeypatch):
    monkeypatch.setattr(tuning, "SLICE", 0.0)


def boundaries(engine, one_step_slices):
    """The parameters before the first step and after each, and the history of the whole run."""
    kind = TextbookEngine if engine == "textbook" else Runner
    part = "_step" if engine == "textbook" else "_run_slice"
    params, states, real = NET.initialize(seed=1), [], getattr(kind, part)
    states.append(params.flat.tobytes())

    def noting(self, *arguments):
        real(self, *arguments)
        flat = self._now.params.flat if engine == "textbook" else self.params.flat.copy()
        if engine == "compiled":
            if self.memory.options.purpose != TRAIN:
                return
            copy_out(flat, self.memory.weights, self.blocks, self.plan.lanes.panel)
        states.append(flat.tobytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, part, noting)
        history = train(params, engine=engine)
    assert len(states) == 1 + EPOCHS * STEPS
    return states, history


def recomputed(params, engine):
    """The cost of the parameters, as the engine computes it (they agree to rounding)."""
    plain = cp.cost(NET, params, X, Y, loss="squared_error")
    if engine == "textbook":
        return plain
    return pytest.approx(plain, rel=1e-13)


def costs_of(history):
    return {name: column for name, column in history.columns.items() if name != "seconds"}


#: What of the library is interrupted line by line (tests/serialization/test_sealed.py does so with a save).
TRACED = (
    "training/loop.py", "training/descent.py", "training/run.py", "training/saver.py", "checkpoint.py", "history.py",
    "textbook.py", "compiled/engine.py", "compiled/runner.py",
)  # fmt: skip


def interfere_at(chosen, action):
    """A tracer that acts at the chosen line of the library's training, and the count of lines so far."""
    count = [0]

    def local(frame, event, argument):
        if event == "line":
            count[0] += 1
            if count[0] == chosen:
                action()
        return local

    def tracer(frame, event, argument):
        return local if frame.f_code.co_filename.endswith(TRACED) else None

    return tracer, count


@contextlib.contextmanager
def traced(tracer):
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


def raise_it():
    raise KeyboardInterrupt


def signal_it():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("engine", "action", "points"),
    [("textbook", raise_it, 80), ("textbook", signal_it, 80), ("compiled", signal_it, 40)],
    ids=["raised in the textbook engine", "a signal in the textbook engine", "a signal in the compiled engine"],
)
def test_interruptions_anywhere_in_a_run(engine, action, points, tmp_path, one_step_slices):
    """Lines all over the run are interrupted, each in a run of its own: 200 points in all."""
    states, whole = boundaries(engine, one_step_slices)
    tracer, lines = interfere_at(-1, None)
    with traced(tracer):
        train(NET.initialize(seed=1), tmp_path / "counted.ckpt", engine=engine)
    positions = set()
    for point in range(points):
        path, params = tmp_path / f"{point}.ckpt", NET.initialize(seed=1)
        tracer, _ = interfere_at(1 + point * lines[0] // points, action)
        with pytest.raises(KeyboardInterrupt) as raised, traced(tracer):
            train(params, path, engine=engine)
        position = states.index(params.flat.tobytes())  # ValueError for a half-finished step
        history = getattr(raised.value, "history", None)
        if history is None:  # before the first epoch, or when all was done
            assert position in (0, EPOCHS * STEPS)
        else:
            epochs, steps = history.epochs, int(history.unfinished.get("steps", 0))
            positions.add((epochs, steps))
            assert position == epochs * STEPS + steps
            assert {n: c[:epochs] for n, c in costs_of(whole).items()} == costs_of(history) or epochs == 0
            if epochs or steps:  # the cost of the parameters recomputed is the history's last entry
                last = history.unfinished if steps else {n: c[-1] for n, c in history.columns.items()}
                assert last["validation cost"] == recomputed(params, engine)
        resumed = NET.initialize(seed=2) if path.exists() else NET.initialize(seed=1)
        again = train(resumed, path, "auto", engine=engine)
        assert resumed.flat.tobytes() == states[-1]
        assert costs_of(again) == costs_of(whole)
    assert len(positions) > 12
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


@every_engine
@pytest.mark.parametrize("best", [True, False])
def test_the_best_parameters_are_restored_if_requested(engine, best, one_step_slices):
    states, whole = boundaries(engine, one_step_slices)
    costs = whole["validation cost"]
    rule = cp.EarlyStopping(monitor="validation cost", patience=50, best="max", restore_best=best)
    expected = int(np.argmax(costs[:3]))
    assert expected < 2  # else nothing is restored

    def stop(end):
        if end.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    params = NET.initialize(seed=1)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(params, stopping=rule, callbacks=stop, engine=engine)
    history = raised.value.history
    assert history.stopped == "interrupted after 3 epochs"
    assert history.best_epoch == (expected if best else None)
    assert states.index(params.flat.tobytes()) == STEPS * (expected + 1 if best else 3)
    assert history["validation cost"][expected if best else -1] == recomputed(params, engine)


@every_engine
def test_sigterm_is_an_exit_that_saves(engine, tmp_path):
    def stop(end):
        if end.epoch == 1:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as raised:
        train(NET.initialize(seed=1), tmp_path / "run.ckpt", callbacks=stop, engine=engine)
    assert raised.value.code == 143
    assert raised.value.history.epochs == 2
    assert "run.ckpt holds the run so far" in raised.value.__notes__[0]
    assert cp.Checkpoint(tmp_path / "run.ckpt").read().epoch == 2
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_a_long_compiled_epoch_is_interrupted_between_slices(monkeypatch):
    """The signal comes while compiled code runs, in the first of many slices."""
    rows, params = 1_000_000, NET.initialize(seed=1)
    wakers, real = [], Runner._run_slice

    def with_a_signal(self, *arguments):
        if not wakers:
            wakers.append(threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)))
            wakers[0].start()
        return real(self, *arguments)

    monkeypatch.setattr(Runner, "_run_slice", with_a_signal)
    big = np.broadcast_to(np.float64([1.0, -1.0, 0.5]), (rows, 3))
    with pytest.raises(KeyboardInterrupt) as raised:
        cp.train(
            NET, params, big, np.zeros((rows, 1)), loss="squared_error", batch_size=1, shuffle=False,
            optimizer=cp.Momentum(1e-6), epochs=10**6, engine="compiled",
        )  # fmt: skip
    history = raised.value.history
    assert (history.epochs, history.stopped[:26]) == (0, "interrupted in epoch 1 aft")
    assert 0 < history.unfinished["steps"] < rows


def test_errors_of_callbacks_and_metrics_propagate_with_the_history():
    def broken(y, yhat):
        raise ZeroDivisionError("a metric")

    params = NET.initialize(seed=1)
    with pytest.raises(ZeroDivisionError, match="a metric") as raised:
        train(params, metrics=broken)
    history = raised.value.history
    assert (history.epochs, history.unfinished["steps"]) == (0, STEPS)
    assert history.stopped == f"ZeroDivisionError in epoch 1 after {STEPS} steps"
    assert history.unfinished["validation cost"] == recomputed(params, "compiled")


def test_interruptions_of_lbfgs():
    def stop(end):
        if end.epoch == 1:
            signal.raise_signal(signal.SIGTERM)

    params = cp.Network.sequential(3, 1).initialize(seed=1)
    with pytest.raises(SystemExit) as raised:
        cp.train(params.net, params, X, Y, loss="squared_error", optimizer="lbfgs", callbacks=stop)
    history = raised.value.history
    assert history.stopped == "interrupted after 2 epochs"
    np.testing.assert_allclose(
        history.cost[-1], cp.cost(params.net, params, X, Y, loss="squared_error"), rtol=1e-12
    )  # the history of L-BFGS has the cost after each iteration


# --- the waiting room itself -----------------------------------------------------------------------------------------


def test_signals_are_deferred_only_within_a_block():
    with Interrupts() as interrupts:
        waited = []
        with pytest.raises(KeyboardInterrupt), interrupts.deferred():
            waited.append(signal.raise_signal(signal.SIGINT))
        assert waited == [None]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with interrupts.deferred(deliver=False):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_own_handlers_and_ignored_signals_are_respected(monkeypatch):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("own")), signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts, interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            assert seen == []
        assert seen == ["own"]
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_outside_the_main_thread_handlers_are_unchanged():
    found = []

    def elsewhere():
        with Interrupts() as interrupts, interrupts.deferred():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
