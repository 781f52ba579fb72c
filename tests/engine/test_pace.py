"""The way of sharing out a step follows the clock, and what one run found out is where the next one begins."""

import pytest

from clearprop.engine.compiled import pace as module
from clearprop.engine.compiled.pace import AGAIN, WORTH_A_THREAD, Pace, Way

ONE, ROWS, HALF, COLUMNS = Way(1, False), Way(4, False), Way(2, False), Way(4, True)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_known", {})


def settle(pace: Pace, seconds: dict[Way, float], passes: int = 4) -> Way:
    for _ in range(passes):
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


def test_a_number_that_is_asked_for_is_taken() -> None:
    pace = Pace(3, 1, fixed=True)
    assert pace.ways == [Way(3, False)]
    pace.allow_columns()
    assert pace.ways == [Way(3, True)]
    assert settle(pace, {Way(3, True): 1.0}) == Way(3, True)


def test_the_next_run_begins_with_what_this_one_found() -> None:
    operations = 1 << 29
    assert settle(Pace(2, operations), {Way(2, False): 2.0, ONE: 1.0}) == ONE
    assert Pace(2, operations + 5).way == ONE
    assert Pace(2, operations << 1).way == Way(2, False)


def test_a_machine_that_changes_is_followed() -> None:
    pace, seconds = Pace(2, 1 << 33), {Way(2, False): 1.0, ONE: 1.2}
    assert settle(pace, seconds) == Way(2, False)
    seconds[Way(2, False)] = 5.0  # the other core is taken
    assert settle(pace, seconds) == ONE
    seconds[Way(2, False)] = 0.1
    for _ in range(80 * AGAIN):
        pace.record(seconds[pace.way])
    assert pace.best == Way(2, False)
