"""Epochs as one call of the engine, and one by one; tests/estimators/test_descent.py has more of them."""

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Patience, Training
from clearprop.engine.textbook import TextbookEngine
from clearprop.estimators.protocol import NoImprovement, fit_diverged
from clearprop.training import descent
from clearprop.training.batches import BatchPlan
from clearprop.training.descent import Descent
from clearprop.training.rates import Rate
from clearprop.training.run import Run

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 1))


def make(rate, epochs=12, most=100.0, best=np.inf):
    net = cp.Network.sequential(3, 4, 1, hidden="relu")
    params = net.initialize(seed=1)
    objective = prepare(net, params, X, Y, "squared_error")
    training = Training(objective, cp.GradientDescent(rate), norms=False)
    plan, stopping = BatchPlan(20, 6, None, True, 3), NoImprovement(Patience(best, most, 0.0))
    run = Run(objective, params, epochs, stopping, by_rows=True, error=fit_diverged)
    rates = Rate(training.optimizer.schedule, 4, epochs)
    return Descent(run, training, TextbookEngine(training, params), plan, rates)


def test_several_epochs_as_one_call_are_epochs_one_by_one(monkeypatch):
    together = make(0.05)
    assert together._limits() == (101, 101)
    assert together.train() is None
    monkeypatch.setattr(descent, "OPERATIONS", 0)
    alone = make(0.05)
    assert alone._limits() == (1, 1)
    alone.train()
    assert together.run.history.cost == alone.run.history.cost
    np.testing.assert_array_equal(together.run.params.flat, alone.run.params.flat)


@pytest.mark.parametrize("rate", [10.0, 1e5, 1e100])
def test_a_divergence_is_searched_epoch_by_epoch(rate, monkeypatch):
    found = []
    for operations in (descent.OPERATIONS, 0):
        monkeypatch.setattr(descent, "OPERATIONS", operations)
        run = make(rate, epochs=300)
        with pytest.raises(cp.TrainingDiverged) as raised:
            run.train()
        error = raised.value
        found.append((error.epoch, error.step, error.last_finite.flat.tolist(), run.run.history.cost))
    assert found[0] == found[1]
    assert len(found[0][3]) == found[0][0]


def test_it_stops_where_the_patience_ends():
    run = make(0.05, most=2, best=-1.0)  # no epoch improves on that
    assert run.train() == "no improvement by tol=0 for 2 epochs"
    assert run.run.stopping.patience.count == 3
    assert run.current_epoch == run.run.history.epochs
