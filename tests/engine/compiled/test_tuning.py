"""The way of sharing out a step follows the clock, and what one run found out is where the next one begins."""

import pytest

from clearprop.engine.compiled import tuning as module
from clearprop.engine.compiled.tuning import RARELY, SLICE, STEPS, TRIAL, WORTH_A_THREAD, Pace, Way

ONE, ROWS, HALF, COLUMNS = Way(1, False), Way(4, False), Way(2, False), Way(4, True)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_known", {})


def settle(pace: Pace, seconds: dict[Way, float], slices: int = 8) -> Way:
    for _ in range(slices):
        pace.record(seconds[pace.way])
    return pace.way


def test_every_way_is_tried_and_the_quickest_kept() -> None:
    pace = Pace(4, 3_000_017)
    pace.allow_columns()
    assert pace.ways == [COLUMNS, ROWS, HALF, ONE]
    assert settle(pace, {COLUMNS: 3e-5, ROWS: 2e-5, HALF: 1e-5, ONE: 4e-5}) == HALF


def test_a_step_too_small_to_share_has_one_way() -> None:
    pace = Pace(4, WORTH_A_THREAD * 2 - 1)
    assert pace.ways == [ONE]
    assert settle(pace, {ONE: 1.0}) == ONE
    assert pace.best == ONE


def test_a_number_that_is_asked_for_is_taken() -> None:
    pace = Pace(3, 1, fixed=True)
    assert pace.ways == [Way(3, False)]
    pace.allow_columns()
    assert pace.ways == [Way(3, True)]
    assert settle(pace, {Way(3, True): 1.0}) == Way(3, True)


def test_the_next_run_begins_with_what_this_one_found() -> None:
    operations = 1 << 29
    assert settle(Pace(2, operations), {Way(2, False): 2e-3, ONE: 1e-3}) == ONE
    assert Pace(2, operations + 5).way == ONE
    assert Pace(2, operations << 1).way == Way(2, False)


def test_what_the_first_slice_costs_does_not_count() -> None:
    pace = Pace(2, 1 << 33)
    pace.record(0.1)  # a thread had to be started
    assert pace.way == Way(2, False)
    assert settle(pace, {Way(2, False): 1e-3, ONE: 1.5e-3}) == Way(2, False)


def test_steps_of_different_purposes_are_told_apart() -> None:
    assert settle(Pace(2, 1 << 29, purpose=0), {Way(2, False): 2e-3, ONE: 1e-3}) == ONE
    assert Pace(2, 1 << 29, purpose=1).way == Way(2, False)


def test_a_trial_is_short_and_the_way_that_was_chosen_is_kept_for_longer() -> None:
    pace = Pace(2, 1 << 33)
    assert pace.on_trial
    assert pace.steps(1e-5) == TRIAL / 1e-5
    assert pace.steps(TRIAL) == STEPS
    assert pace.steps(1.0) == 1
    settle(pace, {Way(2, False): 1e-5, ONE: 2e-5})
    assert not pace.on_trial
    assert pace.steps(1e-5) == int(SLICE / 1e-5)


def test_a_machine_that_changes_is_followed_and_trials_of_slower_ways_are_rare() -> None:
    pace, seconds = Pace(2, 1 << 33), {Way(2, False): 1e-5, ONE: 1.2e-5}
    assert settle(pace, seconds) == Way(2, False)
    seconds[Way(2, False)] = 5e-5  # the other core is taken
    assert settle(pace, seconds, 3) == ONE
    tried = spent = 0.0
    while spent < 10.0:
        way, steps = pace.way, pace.steps(seconds[pace.way])
        took = steps * seconds[way]
        spent, tried = spent + took, tried + took * (way != ONE)
        pace.record(seconds[way], steps)
    assert 0 < tried < spent / RARELY * 2
    seconds[Way(2, False)] = 0.5e-5
    while pace.best != Way(2, False):
        pace.record(seconds[pace.way], pace.steps(seconds[pace.way]))
        spent += seconds[pace.way] * pace.steps(seconds[pace.way])
    assert spent < 13.0
