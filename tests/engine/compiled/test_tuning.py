"""The strategy of sharing out a step follows the clock, and a run begins with the timings of earlier runs."""

import pytest

from clearprop.engine.compiled import tuning as module
from clearprop.engine.compiled.tuning import RARELY, SLICE, STEPS, TRIAL, WORTH_A_THREAD, Strategy, Tuner

ONE, ROWS, HALF, COLUMNS = Strategy(1, False), Strategy(4, False), Strategy(2, False), Strategy(4, True)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_known", {})


def settle(tuner: Tuner, seconds: dict[Strategy, float], slices: int = 8) -> Strategy:
    for _ in range(slices):
        tuner.record(seconds[tuner.strategy])
    return tuner.strategy


def test_every_strategy_is_tried_and_the_fastest_is_used() -> None:
    tuner = Tuner(4, 3_000_017)
    tuner.allow_columns()
    assert tuner.strategies == [COLUMNS, ROWS, HALF, ONE]
    assert settle(tuner, {COLUMNS: 3e-5, ROWS: 2e-5, HALF: 1e-5, ONE: 4e-5}) == HALF


def test_a_step_too_small_to_share_has_one_strategy() -> None:
    tuner = Tuner(4, WORTH_A_THREAD * 2 - 1)
    assert tuner.strategies == [ONE]
    assert settle(tuner, {ONE: 1.0}) == ONE
    assert tuner.best == ONE


def test_a_fixed_number_of_threads_is_used() -> None:
    tuner = Tuner(3, 1, fixed=True)
    assert tuner.strategies == [Strategy(3, False)]
    tuner.allow_columns()
    assert tuner.strategies == [Strategy(3, True)]
    assert settle(tuner, {Strategy(3, True): 1.0}) == Strategy(3, True)


def test_a_run_begins_with_the_timings_of_earlier_runs() -> None:
    operations = 1 << 29
    assert settle(Tuner(2, operations), {Strategy(2, False): 2e-3, ONE: 1e-3}) == ONE
    assert Tuner(2, operations + 5).strategy == ONE
    assert Tuner(2, operations << 1).strategy == Strategy(2, False)


def test_the_first_slice_does_not_count() -> None:
    tuner = Tuner(2, 1 << 33)
    tuner.record(0.1)  # a thread had to be started
    assert tuner.strategy == Strategy(2, False)
    assert settle(tuner, {Strategy(2, False): 1e-3, ONE: 1.5e-3}) == Strategy(2, False)


def test_steps_of_different_purposes_have_their_own_timings() -> None:
    assert settle(Tuner(2, 1 << 29, purpose=0), {Strategy(2, False): 2e-3, ONE: 1e-3}) == ONE
    assert Tuner(2, 1 << 29, purpose=1).strategy == Strategy(2, False)


def test_a_trial_is_short_and_the_chosen_strategy_runs_longer() -> None:
    tuner = Tuner(2, 1 << 33)
    assert tuner.on_trial
    assert tuner.steps(1e-5) == TRIAL / 1e-5
    assert tuner.steps(TRIAL) == STEPS
    assert tuner.steps(1.0) == 1
    settle(tuner, {Strategy(2, False): 1e-5, ONE: 2e-5})
    assert not tuner.on_trial
    assert tuner.steps(1e-5) == int(SLICE / 1e-5)


def test_changes_of_the_machine_are_followed_and_trials_of_slower_strategies_are_rare() -> None:
    tuner, seconds = Tuner(2, 1 << 33), {Strategy(2, False): 1e-5, ONE: 1.2e-5}
    assert settle(tuner, seconds) == Strategy(2, False)
    seconds[Strategy(2, False)] = 5e-5  # the other core is taken
    assert settle(tuner, seconds, 3) == ONE
    tried = spent = 0.0
    while spent < 10.0:
        strategy, steps = tuner.strategy, tuner.steps(seconds[tuner.strategy])
        took = steps * seconds[strategy]
        spent, tried = spent + took, tried + took * (strategy != ONE)
        tuner.record(seconds[strategy], steps)
    assert 0 < tried < spent / RARELY * 2
    seconds[Strategy(2, False)] = 0.5e-5
    while tuner.best != Strategy(2, False):
        tuner.record(seconds[tuner.strategy], tuner.steps(seconds[tuner.strategy]))
        spent += seconds[tuner.strategy] * tuner.steps(seconds[tuner.strategy])
    assert spent < 13.0
