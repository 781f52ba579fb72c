"""Single steps: the same parameters as `cp.train`, a state that continues, and arguments that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from cases import OPTIMIZER_CASES, ids

import clearprop as cp
from clearprop.errors import ArgumentError, ShapeError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(23, 3)), rng.normal(size=(23, 2))
WEIGHT = rng.uniform(0.5, 2, size=23)
NET = cp.Network(3, [cp.Layer("h", 5, "tanh"), cp.Layer("o", 2, sources=["h", "input"])])
STEPPERS = [case for case in OPTIMIZER_CASES if isinstance(case.optimizer, cp.optimizers.Optimizer)]
BATCHES = [slice(start, start + 6) for start in range(0, 23, 6)]
OPTIONS = {"loss": "squared_error", "penalty": cp.penalties.L2(0.01), "clip_norm": 1.0, "max_norm": 1.5}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("case", STEPPERS, ids=ids(STEPPERS))
def test_steps_are_bit_for_bit_those_of_train(case, reduction, dtype):
    options = {**OPTIONS, "optimizer": case.make(0.01), "reduction": reduction}
    params, expected = NET.initialize(seed=1, dtype=dtype), NET.initialize(seed=1, dtype=dtype)
    cp.train(
        NET, expected, X, Y, batch_size=6, epochs=3, shuffle=False, sample_weight=WEIGHT, engine="textbook", **options
    )
    stepper = cp.Stepper(NET, params, **options)
    for _ in range(3):
        for batch in BATCHES:
            stepper.step(X[batch], Y[batch], WEIGHT[batch])
    assert params.flat.tobytes() == expected.flat.tobytes()
    assert stepper.state.steps == 12


def test_the_cost_is_that_of_the_history():
    params = NET.initialize(seed=1)
    history = cp.train(NET, params.copy(), X, Y, batch_size=None, epochs=4, engine="textbook", **OPTIONS)
    stepper = cp.Stepper(NET, params, **OPTIONS)
    assert [stepper.step(X, Y) for _ in range(4)] == history.cost


def test_the_learning_rate_of_a_step_can_follow_a_schedule():
    schedule = cp.schedules.Cosine(0.05)
    params, expected = NET.initialize(seed=1), NET.initialize(seed=1)
    optimizer = cp.Momentum(schedule)
    cp.train(
        NET, expected, X, Y, loss="huber", optimizer=optimizer, batch_size=6, epochs=3, shuffle=False, engine="textbook"
    )
    stepper = cp.Stepper(NET, params, loss="huber", optimizer=optimizer)
    for step in range(12):
        rate = schedule.at(cp.schedules.Progress(step, steps_per_epoch=4, epochs=3))
        stepper.step(X[BATCHES[step % 4]], Y[BATCHES[step % 4]], learning_rate=rate)
    assert params.flat.tobytes() == expected.flat.tobytes()


def test_a_state_continues_in_another_stepper():
    one, two = NET.initialize(seed=1), NET.initialize(seed=1)
    stepper = cp.Stepper(NET, one, loss="squared_error", optimizer="adam")
    for _ in range(4):
        stepper.step(X, Y)
    first = cp.Stepper(NET, two, loss="squared_error", optimizer="adam")
    for _ in range(2):
        first.step(X, Y)
    second = cp.Stepper(NET, two, loss="squared_error", optimizer="adam")
    second.state = first.state
    for _ in range(2):
        second.step(X, Y)
    assert one.flat.tobytes() == two.flat.tobytes()
    assert second.state.steps == 4


def test_dropout_draws_another_mask_in_each_step():
    net = cp.Network.sequential(3, 50, 2, dropout=0.5)
    costs = []
    for _ in range(2):
        params = net.initialize(seed=1)
        stepper = cp.Stepper(net, params, loss="squared_error", optimizer=cp.SGD(1e-12), seed=3)
        costs.append([stepper.step(X, Y) for _ in range(3)])
    assert costs[0] == costs[1]
    assert len({round(cost, 6) for cost in costs[0]}) == 3


def test_a_step_that_is_not_finite_changes_nothing():
    params = NET.initialize(seed=1)
    stepper = cp.Stepper(NET, params, loss="squared_error", optimizer=cp.SGD(1e200))
    stepper.step(X, Y)
    before, state = params.copy(), stepper.state
    with pytest.raises(cp.TrainingDiverged, match=r"^step 2: the cost or an output is NaN or infinite") as error:
        stepper.step(X, Y)
    assert params.flat.tobytes() == before.flat.tobytes() == error.value.last_finite.flat.tobytes()
    assert stepper.state is state
    assert error.value.step == state.steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lbfgs"}, "optimizer: L-BFGS takes no single steps; use cp.train."),
        ({"optimizer": "adm"}, "optimizer: unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"penalty": 0.1}, "penalty: expected penalties such as"),
        ({"clip_norm": 0}, "clip_norm: expected a finite number above 0, got 0."),
        ({"seed": -1}, "seed: "),
    ],
)
def test_arguments_that_are_refused(options, message):
    with pytest.raises(ArgumentError) as error:
        cp.Stepper(NET, NET.initialize(), **{"loss": "squared_error", **options})
    assert str(error.value).startswith(message)


def test_batches_that_are_refused():
    stepper = cp.Stepper(NET, NET.initialize(), loss="squared_error", optimizer=cp.Adam(cp.schedules.Cosine(0.1)))
    with pytest.raises(ArgumentError, match=r"learning_rate: the optimizer has the schedule Cosine\("):
        stepper.step(X, Y)
    with pytest.raises(ArgumentError, match="learning_rate: expected a finite number above 0, got 0"):
        stepper.step(X, Y, learning_rate=0)
    with pytest.raises(ShapeError):
        stepper.step(X[:, :2], Y, learning_rate=0.1)
    assert stepper.state.steps == 0
