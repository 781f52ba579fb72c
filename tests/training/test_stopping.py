"""Stopping rules by themselves, on histories written down; in training they are tested in test_loop.py."""

from __future__ import annotations

import math

import pytest

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.training.stopping import as_rules


def stops(rule, **columns):
    """After which epoch (from 1) a rule stops a run with these numbers, or None."""
    names = {name.replace("_", " "): list(values) for name, values in columns.items()}
    for epoch in range(1, len(next(iter(names.values()))) + 1):
        if rule.reason(cp.History({name: values[:epoch] for name, values in names.items()})):
            return epoch
    return None


def test_convergence_of_the_gradient():
    rule = cp.training.Convergence(gradient_norm=0.1, cost_change=None)
    assert isinstance(rule, cp.training.StoppingRule)
    assert stops(rule, cost=[1, 1, 1, 1], gradient_norm=[1, 0.5, 0.1, 0]) == 3
    assert stops(rule, cost=[1, 1, 1, 1], gradient_norm=[1, 0.5, 0.2, 0.11]) is None


def test_convergence_of_the_cost():
    rule = cp.training.Convergence(cost_change=0.01, patience=2)
    assert stops(rule, cost=[2, 1, 1, 1, 1], gradient_norm=[9] * 5) == 4
    assert stops(rule, cost=[2, 1, 1, 0.5, 0.5, 0.5], gradient_norm=[9] * 6) == 6
    assert stops(rule, cost=[1000, 991, 982.5], gradient_norm=[9] * 3) == 3
    assert stops(rule, cost=[1000, 989, 980], gradient_norm=[9] * 3) is None
    assert stops(rule, cost=[0, 0, 0], gradient_norm=[9] * 3) == 3
    assert stops(rule, cost=[-1, -1, -1], gradient_norm=[9] * 3) == 3


def test_either_criterion_suffices():
    rule = cp.training.Convergence(gradient_norm=0.1, cost_change=0.01, patience=1)
    assert stops(rule, cost=[9, 5, 3], gradient_norm=[1, 0.1, 9]) == 2
    assert stops(rule, cost=[9, 9, 3], gradient_norm=[1, 1, 9]) == 2


def test_early_stopping_waits_for_an_improvement():
    assert stops(cp.EarlyStopping(patience=2), cost=[3, 2, 2, 2]) == 4
    assert stops(cp.EarlyStopping(patience=2), cost=[3, 2, 2, 1, 1, 0.5]) is None
    assert stops(cp.EarlyStopping(patience=1, min_delta=0.5), cost=[3, 2, 1.6]) == 3
    assert stops(cp.EarlyStopping(patience=3), cost=[3, 1, 2, math.nan, 2]) == 5


def test_early_stopping_monitors_the_validation_cost_if_there_is_one():
    rule = cp.EarlyStopping(patience=1)
    history = cp.History({"cost": [3, 2], "validation cost": [1, 2]})
    assert rule.column(history) == "validation cost"
    assert rule.best_epoch(history) == 0
    assert rule.reason(history) == ("stopped early: validation cost has not improved for 1 epoch (best in epoch 1)")


def test_higher_is_better_for_accuracy_and_r2():
    for name in ("accuracy", "r2", "validation accuracy"):
        rule = cp.EarlyStopping(monitor=name, patience=2)
        assert rule.best_epoch(cp.History({"cost": [1] * 4, name: [0.1, 0.5, 0.4, 0.5]})) == 1
    for name in ("cost", "rmse", "validation mae"):
        rule = cp.EarlyStopping(monitor=name, patience=2)
        assert rule.best_epoch(cp.History({"cost": [1] * 4, name: [0.5, 0.1, 0.1, 0.2]})) == 1


def test_the_direction_can_be_set():
    history = cp.History({"cost": [1, 1, 1], "own": [0.1, 0.3, 0.2]})
    assert cp.EarlyStopping("own", best="max").best_epoch(history) == 1
    assert cp.EarlyStopping("own", best="min").best_epoch(history) == 0
    assert cp.EarlyStopping("cost", best="max").best_epoch(history) == 0
    with pytest.raises(ArgumentError) as error:
        cp.EarlyStopping("own").reason(history)
    assert str(error.value) == 'EarlyStopping: expected best="min" or best="max" for "own", got None.'


def test_an_unknown_column():
    with pytest.raises(ArgumentError) as error:
        cp.EarlyStopping("validation accuracy").reason(cp.History({"cost": [1], "accuracy": [1]}))
    assert str(error.value) == 'history: nothing is recorded as "validation accuracy". Available: cost, accuracy.'


def test_infinite_initial_costs_are_not_the_best():
    assert stops(cp.EarlyStopping(patience=3), cost=[math.inf, math.inf, 5, 4, 3]) is None


class Lucky(cp.training.StoppingRule):
    """A user's own."""

    def reason(self, history):
        return "lucky" if history.epochs == 7 else None


def test_a_user_defined_rule():
    assert stops(Lucky(), cost=[1] * 9) == 7
    assert as_rules(Lucky()) == (Lucky(),)


def test_one_or_several():
    assert as_rules(None) == ()
    assert as_rules(cp.training.Convergence()) == (cp.training.Convergence(),)
    assert as_rules([cp.training.Convergence(), cp.EarlyStopping()]) == (cp.training.Convergence(), cp.EarlyStopping())
    two = [cp.EarlyStopping(), cp.EarlyStopping("cost", restore_best=False)]
    assert as_rules(two) == tuple(two)


@pytest.mark.parametrize(
    ("make", "telling"),
    [
        (
            lambda: cp.training.Convergence(gradient_norm=0),
            "Convergence gradient_norm: expected a finite number above 0, got 0.",
        ),
        (
            lambda: cp.training.Convergence(cost_change=-1),
            "Convergence cost_change: expected a finite number above 0, got -1.",
        ),
        (
            lambda: cp.training.Convergence(cost_change=None),
            "Convergence: expected a gradient_norm, a cost_change or both, got",
        ),
        (
            lambda: cp.training.Convergence(patience=0),
            "Convergence patience: expected a whole number of at least 1, got 0.",
        ),
        (lambda: cp.EarlyStopping(patience=0), "EarlyStopping patience: expected a whole number of at least 1, got 0."),
        (
            lambda: cp.EarlyStopping(min_delta=-1),
            "EarlyStopping min_delta: expected a finite number at least 0, got -1",
        ),
        (lambda: cp.EarlyStopping(best="low"), "EarlyStopping best: expected one of 'min', 'max', got 'low'."),
        (lambda: as_rules("early"), "stopping: expected rules such as cp.EarlyStopping(), got 'early'."),
        (lambda: as_rules([cp.EarlyStopping]), "stopping: expected rules such as cp.EarlyStopping(), got <class"),
        (
            lambda: as_rules([cp.EarlyStopping()] * 2),
            "stopping: only one EarlyStopping can restore its best parameters",
        ),
    ],
)
def test_settings_out_of_range(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)
