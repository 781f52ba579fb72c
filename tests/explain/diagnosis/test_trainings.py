"""False alarms on healthy trainings, and missed problems of sick ones, counted; `benchmarks/diagnosis.py` runs all."""

from __future__ import annotations

import pytest

from tests.explain.diagnosis.sick_trainings import SICK
from tests.explain.diagnosis.trainings import HEALTHY

SOME = list(HEALTHY)[::4] + list(HEALTHY)[-36::2]


def test_the_tables_are_long_enough():
    assert len(HEALTHY) >= 100
    assert len(SICK) >= 30
    assert len({code for code, _ in SICK.values()}) >= 12
    assert len(set(SOME)) >= 35


@pytest.mark.parametrize("name", sorted(set(SOME)))
def test_a_healthy_training_has_no_finding(name):
    run = HEALTHY[name]()
    run.train()
    assert run.diagnose().codes == ()
    assert run.diagnose_held_out().codes == ()


@pytest.mark.parametrize("name", SICK)
def test_the_cause_of_a_sick_training_comes_first(name):
    code, make = SICK[name]
    run = make()
    run.train()
    assert run.diagnose().codes[:1] == (code,)
