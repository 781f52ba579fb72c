"""Callbacks: what they get, how they stop training, and the progress bar."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
import pytest
from cases import ENGINES

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.training.callbacks import as_callbacks

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
NET = cp.Network.sequential(2, 3, 1, hidden="tanh")
RUNS = [(optimizer, engine) for optimizer in ("adam", "lbfgs") for engine in ENGINES]
every_run = pytest.mark.parametrize(("optimizer", "engine"), RUNS)


def train(params=None, **options):
    params = NET.initialize(seed=0) if params is None else params
    return cp.train(NET, params, X, Y, loss="squared_error", **{"epochs": 6, **options})


@every_run
def test_a_callback_gets_the_epoch_the_network_the_parameters_and_the_history(optimizer, engine):
    ends, costs, params = [], [], NET.initialize(seed=0)

    def watch(end):
        ends.append(end)
        costs.append(list(end.history.cost))

    history = train(params, callbacks=watch, optimizer=optimizer, engine=engine)
    assert all(isinstance(end, cp.training.EpochEnd) for end in ends)
    assert [end.epoch for end in ends] == [0, 1, 2, 3, 4, 5]
    assert {end.epochs for end in ends} == {6}
    assert all(end.net is NET and end.params is params and end.history is history for end in ends)
    assert [len(cost) for cost in costs] == [1, 2, 3, 4, 5, 6]


@every_run
@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (True, "stopped by a callback"),
        (np.True_, "stopped by a callback"),
        ("good enough", "good enough"),
        (None, None),
        (False, None),
        (np.False_, None),
        ("", None),
    ],
)
def test_a_callback_stops_training_with_true_or_a_reason(optimizer, engine, answer, stopped):
    options = {"optimizer": optimizer, "engine": engine}
    history = train(callbacks=lambda end: answer if end.epoch == 2 else None, **options)
    assert history.epochs == (6 if stopped is None else 3)
    assert history.stopped == (stopped or "finished 6 epochs")


def test_all_callbacks_are_called_in_order():
    calls = []
    history = train(callbacks=[lambda end: calls.append("a") or "first", lambda end: calls.append("b") or "second"])
    assert calls == ["a", "b"]
    assert history.stopped == "first"


def test_one_or_several():
    assert as_callbacks(None) == ()
    assert as_callbacks(print) == (print,)
    assert as_callbacks([print, repr]) == (print, repr)
    for wrong in ("print", 3, [print, 3]):
        with pytest.raises(
            ArgumentError, match=r"callbacks: expected functions that take a cp\.training\.EpochEnd, got"
        ):
            as_callbacks(wrong)


# --- the progress bar ------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@every_run
def test_the_bar_is_hidden_without_a_terminal(capsys, optimizer, engine):
    train(optimizer=optimizer, engine=engine)
    assert capsys.readouterr() == ("", "")


@every_run
def test_the_bar_is_shown_on_request(capsys, optimizer, engine):
    history = train(optimizer=optimizer, engine=engine, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training" in shown.err
    assert "epoch 6/6" in shown.err
    assert f"cost {history.cost[-1]:.4g}" in shown.err
    assert "seconds" not in shown.err


def as_terminal(monkeypatch):
    """Standard error as a terminal; called in the test itself, because pytest swaps it after the fixtures."""
    for name, value in (("TERM", "xterm"), ("COLUMNS", "100")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@every_run
def test_the_bar_is_shown_on_a_terminal(monkeypatch, optimizer, engine):
    terminal = as_terminal(monkeypatch)
    train(optimizer=optimizer, engine=engine)
    assert "epoch 6/6" in terminal.getvalue()


@pytest.mark.parametrize(("columns", "named"), [(80, 1), (100, 2), (140, 3)])
def test_the_bar_shows_as_many_numbers_as_fit(monkeypatch, columns, named):
    terminal = as_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(columns))
    history = train(validation=0.5, metrics=["rmse"], progress=True)
    numbers = ["cost", "validation cost", "rmse", "validation rmse"]
    shown = "  ".join(f"{name} {history[name][-1]:.4g}" for name in numbers[:named])
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).rstrip().splitlines()[-1]
    assert f"epoch 6/6 {shown} " in last
    assert "…" not in terminal.getvalue()


def test_the_bar_is_hidden_on_a_terminal_on_request(monkeypatch):
    terminal = as_terminal(monkeypatch)
    train(progress=False)
    assert terminal.getvalue() == ""


def test_the_bar_is_removed_when_training_is_interrupted(monkeypatch):
    terminal = as_terminal(monkeypatch)

    def interrupt(end):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(callbacks=interrupt)
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again
