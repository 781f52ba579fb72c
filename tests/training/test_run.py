"""What surrounds the steps of a run: measurements, the history, the best parameters, what an interruption leaves."""

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import EpochResult, State
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import CheckpointError
from clearprop.training.metrics import mae, rmse
from clearprop.training.run import Run, measurement
from clearprop.training.stopping import LowestValue, Rules

X, Y = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
NET = cp.Network.sequential(1, 1)


def make_run(**options):
    params = NET.initialize(given={"output": {"input": [[1.0]]}})
    objective = prepare(NET, params, X, Y, "squared_error")
    validation = measurement(objective, {"rmse": rmse, "mae": mae}, "validation ")
    run = Run(objective, params, 5, Rules(), **{"measurements": (validation,)} | options)
    run.evaluate_with(TextbookEngine.evaluation)
    return run


def result(*losses):
    return EpochResult(np.array(losses), losses[0], 0.0, 2.0, {"output": 1.0}, {"output": 2.0})


def test_a_measurement_has_the_cost_and_each_metric():
    numbers = make_run().measurements[0].numbers()
    assert numbers == pytest.approx({"validation cost": 1.0, "validation rmse": 2**0.5, "validation mae": 1.0})
    assert make_run().measurements[0].columns == set(numbers)


def test_several_outputs_are_measured_by_name():
    net = cp.Network(1, [cp.Layer("a", 1), cp.Layer("b", 1, sources=["input"])], outputs=["a", "b"])
    params = net.initialize(seed=0)
    objective = prepare(net, params, X, {"a": Y, "b": Y}, "squared_error")
    assert measurement(objective, {"mae": mae}).columns == {"a mae", "b mae"}


def test_the_best_parameters_are_put_back():
    run = make_run(best_by=LowestValue("validation cost"), restore=True)
    for weight in (2.0, 3.0, 1.0):
        run.params.flat[...] = [weight, 0.0]
        run.end_epoch(result(0.5))
    history = run.finish(None)
    assert (history.best_epoch, history.stopped) == (1, "finished 3 epochs")
    assert run.params.flat.tolist() == [3.0, 0.0]


def test_by_rows_several_epochs_are_recorded_at_once():
    run = make_run(by_rows=True, measurements=())
    assert not run.observes_each_epoch
    run.record(result(3.0, 2.0, 1.0))
    run.record(result(0.5))
    assert run.history.columns == {"cost": [3.0, 2.0, 1.0, 0.5]}
    assert make_run(by_rows=True).observes_each_epoch


def test_an_interruption_within_an_epoch_is_noted():
    run, error = make_run(), KeyboardInterrupt()
    run.end_epoch(result(0.5))
    run.interrupted(error, State(3, {}, epoch=1, completed_steps=2))
    assert error.history.stopped == "interrupted in epoch 2 after 2 steps"
    assert error.history.unfinished == {"epoch": 1, "steps": 2, "validation cost": 1.0}


def test_a_history_with_other_columns_is_refused():
    run = make_run()
    with pytest.raises(CheckpointError, match="history has other columns than this run: cost"):
        run.resume(cp.History({"cost": [1.0]}), None)
