"""When a run is saved; tests/training/test_checkpoint.py resumes from what was saved."""

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import EpochResult, State, Training
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import CheckpointError
from clearprop.training.run import Run
from clearprop.training.saver import Saver
from clearprop.training.stopping import Rules


@pytest.fixture
def saver(tmp_path):
    net = cp.Network.sequential(1, 1)
    params = net.initialize(seed=0)
    objective = prepare(net, params, [[1.0]], [[1.0]], "squared_error")
    run = Run(objective, params, 9, Rules())
    engine = TextbookEngine(Training(objective, cp.Momentum(0.1)), params)
    return Saver(cp.Checkpoint(tmp_path / "run.ckpt", every=2), run, engine, {})


def end_epoch(saver, last=False):
    saver.run.end_epoch(EpochResult(np.ones(1), 1.0, 0.0, 1.0, {"output": 1.0}, {"output": 1.0}))
    saver.after_epoch(last)


def test_it_is_saved_after_so_many_epochs_and_after_the_last(saver):
    saved = []
    for last in (False, False, False, True):
        end_epoch(saver, last)
        path = saver.checkpoint.path
        saved.append(saver.checkpoint.read().epoch if path.exists() else None)
    assert saved == [None, 2, 2, 4]


def test_within_an_epoch_the_completed_steps_and_their_rate_are_saved(saver):
    saver.begin_epoch(0.0, np.array([0.5, 0.25, 0.125]))
    saver.engine.state = State(2, saver.engine.state.slots, 0, 2, np.arange(4.0))
    saver.save()
    snapshot = saver.checkpoint.read()
    assert (snapshot.epoch, snapshot.done, snapshot.steps, snapshot.learning_rate) == (0, 2, 2, 0.25)
    assert snapshot.sums.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_epoch_that_is_not_recorded_is_not_saved(saver):
    """All its steps are in the parameters, and it is not in the history."""
    saver.engine.state = State(3, saver.engine.state.slots, 0, 3, np.arange(4.0))
    saver.after_interruption(KeyboardInterrupt(), steps=3)
    assert not saver.checkpoint.path.exists()


def test_another_engine_is_refused(saver):
    saver.save()
    snapshot = saver.checkpoint.read()
    saver.engine.name = "another"
    with pytest.raises(CheckpointError, match="written by the textbook engine; the another engine rounds differently"):
        saver.restore(snapshot)
