"""Divergence: the step it happens in is the last, and the exception says where it began and carries what was finite."""

from __future__ import annotations

import pickle
import re
from itertools import pairwise

import numpy as np
import pytest
from cases import ENGINES
from epochs import planned_epochs, run_batches

import clearprop as cp
from clearprop.core.nonfinite import find_nonfinite
from clearprop.core.objective import prepare
from clearprop.engine.api import Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import DataError, TrainingDiverged
from clearprop.training.batches import BatchPlan

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))
NET = cp.Network.sequential(3, 6, 2, hidden="tanh")
every_engine = pytest.mark.parametrize("engine", ENGINES)


def diverged(net, params, *data, **options) -> TrainingDiverged:
    with pytest.raises(TrainingDiverged) as found:
        cp.train(net, params, *data, **options)
    return found.value


class Jump(cp.schedules.Schedule):
    """A usual rate until an epoch, and a hopeless one from there on."""

    def at(self, progress):
        return self.learning_rate if progress.epoch < 4 else 1e200


@every_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [3.0, 1e4, 1e30])
def test_the_failed_step_is_named_and_the_parameters_before_are_at_hand(engine, dtype, rate):
    net = cp.Network.sequential(3, 4, 2, hidden="relu")
    params, seen = net.initialize(seed=1, dtype=dtype), []
    error = diverged(
        net, params, 50 * X, Y, loss="squared_error", optimizer=cp.GradientDescent(rate), batch_size=6, epochs=300,
        callbacks=lambda end: seen.append(end.params.flat.copy()), engine=engine,
    )  # fmt: skip
    assert error.epoch == len(seen)
    np.testing.assert_array_equal(params.flat, seen[-1] if seen else net.initialize(seed=1, dtype=dtype).flat)
    assert error.step in range(4)
    assert error.layer in ("hidden", "output")
    assert np.isfinite(error.last_finite.flat).all()
    plan = BatchPlan(20, 6, None, True, 0)
    batch = planned_epochs(plan, error.epoch, 1, []).batch(error.step)
    objective = prepare(net, params, 50 * X, Y, "squared_error")
    before = planned_epochs(plan, max(0, error.epoch - 1), 1, []).batch(0)
    assert find_nonfinite(objective, error.last_finite, before) is None
    if error.step == 0:
        assert find_nonfinite(objective, params, batch) is not None
        assert np.array_equal(error.last_finite.flat, seen[-2] if len(seen) > 1 else net.initialize(1, dtype).flat)
    else:
        assert np.array_equal(error.last_finite.flat, params.flat)
    assert str(error).startswith(f"epoch {error.epoch + 1}, step {error.step + 1} of 4: the cost or the parameters")


@pytest.mark.parametrize("threads", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("clip_norm", [None, 1e300])
def test_no_step_follows_the_failed_one(threads, clip_norm):
    """Step 3 of 10 has a target so far away that its square overflows; both engines leave the parameters after two."""
    far = Y.copy()
    far[4:6] = 1e200
    found = []
    for steps in (10, 2):
        params = NET.initialize(seed=1)
        objective = prepare(NET, params, X, far, "squared_error")
        training = Training(objective, cp.Momentum(0.01, 0.9), limits=cp.penalties.Limits(clip_norm))
        engine = TextbookEngine(training, params) if threads is None else CompiledEngine(training, params, 2, threads)
        batches = [np.arange(n, n + 2) for n in range(0, 2 * steps, 2)]
        with np.errstate(over="ignore"):
            result = run_batches(engine, 0, batches)
        assert engine.state.steps == 2
        assert result.failed_step == (2 if steps == 10 else None)
        assert np.isfinite(result.cost) == (steps == 2)
        found.append((params.flat.tobytes(), engine.state.slots["velocity"].tobytes()))
    assert found[0] == found[1]


@every_engine
def test_the_run_that_follows_a_failed_one_is_not_touched_by_it(engine):
    wanted = NET.initialize(seed=1)
    options = {"loss": "squared_error", "optimizer": cp.Momentum(0.01), "batch_size": 4, "epochs": 3, "engine": engine}
    cp.train(NET, wanted, X, Y, **options)
    diverged(NET, NET.initialize(seed=1), X, Y, **{**options, "optimizer": cp.GradientDescent(1e250)})
    again = NET.initialize(seed=1)
    cp.train(NET, again, X, Y, **options)
    assert again.flat.tobytes() == wanted.flat.tobytes()


@every_engine
def test_a_layer_within_is_named(engine):
    net = cp.Network(1, [cp.Layer("a", 2, "tanh"), cp.Layer("b", 2, "exponential"), cp.Layer("c", 1, "tanh")])
    params = net.initialize(seed=0)
    params["b"].b = [0.0, 800.0]
    error = diverged(net, params, [[1.0], [2.0]], [[0.0], [0.0]], loss="huber", batch_size=1, shuffle=False,
                     engine=engine)  # fmt: skip
    assert (error.epoch, error.layer) == (0, "b")
    assert re.search(r"There the activation a of b\[1\], sample \d is inf\. ", str(error))


@every_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinite_outputs_whose_cost_is_finite(engine, dtype):
    """Gamma loss comes from z alone: y exp(-z) - 1 - log y + z is small where exp(z) is infinite."""
    net = cp.Network.sequential(1, 1, output="exponential")
    params = net.initialize(given={"output": {"input": [[800.0]]}}, dtype=dtype)
    with np.errstate(over="ignore"):
        assert np.isfinite(cp.cost(net, params, [[1.0]], [[1.0]], loss="gamma"))
    error = diverged(net, params, [[1.0]], [[1.0]], loss="gamma", optimizer=cp.GradientDescent(0.1), engine=engine)
    assert (error.epoch, error.step, error.layer) == (0, 0, "output")
    assert "There the activation a of output[0], sample 0 is inf." in str(error)


@every_engine
def test_dropout_decides_as_in_the_step(engine):
    """The unit that overflows is dropped in some steps; the one that is named is one where it was not."""
    net = cp.Network(1, [cp.Layer("a", 1, "exponential", dropout=0.9), cp.Layer("b", 1)])
    params = net.initialize(given={"a": {"input": [[1.0]]}, "b": {"a": [[1.0]]}})
    rows = np.full((40, 1), 400.0)
    error = diverged(net, params, rows, np.zeros((40, 1)), loss="squared_error", batch_size=1, shuffle=False,
                     optimizer=cp.GradientDescent(1e-300), engine=engine)  # fmt: skip
    objective = prepare(net, params, rows, np.zeros((40, 1)), "squared_error")
    training = Training(objective, cp.GradientDescent(0.1))
    masks = [training.dropout_masks(params, 0, np.array([n]))["a"].item() for n in range(40)]
    assert error.step == np.flatnonzero(masks)[0]
    assert f"There the loss of b, sample {error.step} is inf." in str(error)


@every_engine
def test_what_only_the_end_of_the_last_epoch_shows(engine):
    """The parameters are finite, but their cost is not, and no later step would meet it."""
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[1.0]]}})
    error = diverged(
        net, params, [[1.0]], [[0.0]], loss="squared_error", optimizer=cp.GradientDescent(1e200), epochs=1,
        engine=engine,
    )  # fmt: skip
    assert (error.epoch, error.step) == (0, None)
    assert str(error).startswith("epoch 1: the cost or the parameters became NaN or infinite.")
    assert params["output"].W["input"] == [[1.0]]
    assert error.last_finite.flat.tolist() == params.flat.tolist()


@every_engine
@pytest.mark.parametrize("watched", ["cost", "validation cost", "restoring"])
def test_the_best_parameters_come_along(engine, watched):
    options = {}
    if watched != "cost":
        options["validation"] = (X[:7], Y[:7])
    if watched == "restoring":
        options["stopping"] = cp.EarlyStopping("validation cost", min_delta=1e-3)
    seen, costs = [], []

    def look(end):
        seen.append(end.params.flat.copy())
        costs.append(end.history["cost" if watched == "cost" else "validation cost"][-1])

    error = diverged(NET, NET.initialize(seed=2), X, Y, loss="squared_error", optimizer=cp.Momentum(Jump(0.3)),
                     batch_size=5, epochs=9, callbacks=look, engine=engine, **options)  # fmt: skip
    assert len(costs) == error.epoch == 4
    best = int(np.argmin(costs))
    if watched == "restoring":
        best, lowest = 0, costs[0]
        for epoch, (_, cost) in enumerate(pairwise(costs), start=1):
            if cost < lowest - 1e-3:
                best, lowest = epoch, cost
    np.testing.assert_array_equal(error.best.flat, seen[best])


def test_no_best_before_the_first_epoch_has_ended():
    error = diverged(NET, NET.initialize(), X, Y, loss="squared_error", optimizer=cp.GradientDescent(1e200), epochs=9,
                     batch_size=5)  # fmt: skip
    assert error.best is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    params = NET.initialize()
    params.flat[-1] = value
    with pytest.raises(DataError) as error:
        cp.train(NET, params, X, Y, loss="squared_error", epochs=1)
    assert str(error.value) == (
        f"params: the bias output.b of output[1] is {value}; expected finite numbers, such as "
        "net.initialize(seed=0) gives."
    )


def test_the_exception_survives_another_process():
    error = diverged(NET, NET.initialize(), X, Y, loss="squared_error", optimizer=cp.GradientDescent(1e200))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.epoch, again.step, again.layer) == (str(error), error.epoch, error.step, error.layer)
    np.testing.assert_array_equal(again.last_finite.flat, error.last_finite.flat)
