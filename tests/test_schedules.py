"""Schedules: the rates they give, as functions of the progress alone."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from cases import SCHEDULE_CASES, ids

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.schedules import as_schedule

every_schedule = pytest.mark.parametrize("case", SCHEDULE_CASES, ids=ids(SCHEDULE_CASES))


def rates(schedule, costs, epochs=4, steps=2):
    return [
        schedule.at(cp.schedules.Progress(step, steps, epochs, costs[: step // steps]))
        for step in range(epochs * steps)
    ]


@every_schedule
def test_rates_of_a_run(case):
    assert isinstance(case.make(1.0), cp.schedules.Schedule)
    assert rates(case.make(1.0), case.costs) == pytest.approx(case.rates, rel=1e-13)


@every_schedule
def test_rates_scale(case):
    assert rates(case.make(1e-3), case.costs) == pytest.approx([1e-3 * rate for rate in case.rates], rel=1e-12)


@every_schedule
def test_each_step_can_be_computed_by_itself(case):
    """A run that is taken up again goes on with the rate it would have had, and one that goes on too long has one."""
    schedule = case.make(1.0)
    for step in (7, 0, 3, 7):
        assert schedule.at(cp.schedules.Progress(step, 2, 4, case.costs[: step // 2])) == pytest.approx(
            case.rates[step]
        )
    beyond = schedule.at(cp.schedules.Progress(1000, 2, 4, case.costs))
    assert 0 <= beyond <= 1


def test_progress():
    progress = cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5)
    assert progress.epoch == 2
    assert progress.done == 2.5
    assert progress.costs == ()


def test_plateau_requires_a_decrease_relative_to_the_best():
    plateau = cp.schedules.OnPlateau(1.0, factor=0.1, patience=2, min_delta=0.1, smallest=0.05)

    def rate(*costs):
        return plateau.at(cp.schedules.Progress(len(costs), 1, 99, costs))

    assert rate() == rate(5) == rate(5, 4.6) == 1
    assert rate(5, 4.6, 4.6) == 0.1  # neither is below 4.5
    assert rate(5, 4.6, 4.4) == 1
    assert rate(5, 5, 5, 5, 5) == 0.05  # no lower than the smallest
    assert rate(5, 5, 5, 5, 4) == 0.1  # one more epoch of waiting, then better
    assert rate(-1, -1.05) == rate(-1, -1.2, -1.2) == 1
    assert rate(-1, -1.05, -1.05) == 0.1


def test_a_plateau_ends_one_epoch_earlier_than_in_torch():
    """ReduceLROnPlateau(patience=1) reduces the rate after two epochs without improvement; here that is patience=2."""
    costs, rate, best, bad, theirs = [3.0, 2.0, 2.0, 2.1, 1.9, 2.0, 2.0, 2.0], 1.0, math.inf, 0, []
    for cost in costs:
        bad = 0 if cost < best * (1 - 1e-4) else bad + 1
        best = cost if bad == 0 else best
        if bad > 1:
            rate, bad = rate * 0.5, 0
        theirs.append(rate)
    plateau = cp.schedules.OnPlateau(1.0, factor=0.5, patience=2)
    ours = [plateau.at(cp.schedules.Progress(n, 1, 9, costs[:n])) for n in range(1, len(costs) + 1)]
    assert ours == theirs
    assert ours[-1] == 0.25


def test_one_cycle_ends_where_torch_ends():
    """Its last rate is max_lr / div_factor / final_div_factor, which is end=250000 with the defaults there."""
    last = cp.schedules.OneCycle(0.1, end=250_000).at(cp.schedules.Progress(50, 10, 5, []))
    assert last == pytest.approx(0.1 / 25 / 1e4, rel=1e-12)


def test_one_cycle_rises_and_falls_once():
    found = rates(cp.schedules.OneCycle(1.0, rise=0.3), (), epochs=10, steps=10)
    top = found.index(max(found))
    assert top == 30
    assert found[30] == 1
    assert found[0] == pytest.approx(1 / 25)
    assert all(a < b for a, b in pairwise(found[: top + 1]))
    assert all(a > b for a, b in pairwise(found[top:]))
    assert found[-1] < 0.001


def test_cosine_ends_at_the_final_rate():
    assert cp.schedules.Cosine(1.0, final=0.1).at(cp.schedules.Progress(40, 10, 4)) == pytest.approx(0.1)
    assert cp.schedules.Cosine(1.0).at(cp.schedules.Progress(20, 10, 4)) == pytest.approx(0.5)


def test_warm_up_of_a_number():
    assert rates(cp.schedules.WarmUp(0.8, epochs=1), ())[:3] == pytest.approx([0.4, 0.8, 0.8])
    assert cp.schedules.WarmUp(cp.schedules.WarmUp(0.8, epochs=1), epochs=2).at(
        cp.schedules.Progress(0, 2, 4)
    ) == pytest.approx(0.1)


def test_a_number_is_a_constant_schedule():
    assert as_schedule(0.1) == cp.schedules.Constant(0.1)
    assert as_schedule(cp.schedules.Cosine(0.1)) == cp.schedules.Cosine(0.1)
    assert cp.Adam(0.1).schedule == cp.schedules.Constant(0.1)
    assert cp.Adam(cp.schedules.Cosine(0.1)).schedule == cp.schedules.Cosine(0.1)


@pytest.mark.parametrize("kind", cp.schedules.SCHEDULES.values(), ids=cp.schedules.SCHEDULES)
@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, "fast", None])
def test_invalid_learning_rates(kind, rate):
    with pytest.raises(ArgumentError) as error:
        kind(rate)
    assert f"{kind.__name__} learning_rate: expected a finite number above 0, got {rate!r}." in str(error.value)


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (
            lambda: cp.schedules.InverseScaling(1, power=-1),
            "InverseScaling power: expected a finite number at least 0, got -1.",
        ),
        (lambda: cp.schedules.Step(1, every=0), "Step every: expected a whole number of at least 1, got 0."),
        (lambda: cp.schedules.Step(1, factor=0), "Step factor: expected a finite number above 0, got 0."),
        (
            lambda: cp.schedules.ExponentialDecay(1, factor=1.5),
            "ExponentialDecay factor: expected a finite number above 0 and at",
        ),
        (
            lambda: cp.schedules.Cosine(0.1, final=0.2),
            "Cosine final: expected a finite number at least 0 and at most 0.1, got 0.2",
        ),
        (
            lambda: cp.schedules.OneCycle(1, rise=1),
            "OneCycle rise: expected a finite number above 0 and below 1, got 1.",
        ),
        (lambda: cp.schedules.OneCycle(1, start=0.5), "OneCycle start: expected a finite number at least 1, got 0.5."),
        (lambda: cp.schedules.OneCycle(1, end=0), "OneCycle end: expected a finite number at least 1, got 0."),
        (
            lambda: cp.schedules.OnPlateau(1, factor=1),
            "OnPlateau factor: expected a finite number above 0 and below 1, got 1.",
        ),
        (
            lambda: cp.schedules.OnPlateau(1, patience=0),
            "OnPlateau patience: expected a whole number of at least 1, got 0.",
        ),
        (
            lambda: cp.schedules.OnPlateau(1, min_delta=-1),
            "OnPlateau min_delta: expected a finite number at least 0, got -1.",
        ),
        (
            lambda: cp.schedules.OnPlateau(1, smallest=-1),
            "OnPlateau smallest: expected a finite number at least 0, got -1.",
        ),
        (lambda: cp.schedules.WarmUp(1, epochs=0), "WarmUp epochs: expected a finite number above 0, got 0."),
        (lambda: as_schedule(cp.schedules.Cosine), "learning_rate: write Cosine(learning_rate) with parentheses."),
        (lambda: as_schedule("cosine"), "learning_rate: expected a finite number above 0, got 'cosine'."),
    ],
)
def test_arguments_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)
