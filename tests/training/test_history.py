"""What a history records, and what printing it shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from cases import ENGINES

import clearprop as cp
from clearprop.errors import ArgumentError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
NET = cp.Network.sequential(2, 3, 1, hidden="tanh")


def train(**options):
    return cp.train(NET, NET.initialize(seed=0), X, Y, loss="squared_error", **options)


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_number_for_each_epoch(engine, optimizer):
    history = train(optimizer=optimizer, epochs=5, validation=(X, Y), metrics=["rmse", "mae"], engine=engine)
    assert isinstance(history, cp.History)
    assert list(history) == [
        "cost",
        "rmse",
        "mae",
        "validation cost",
        "validation rmse",
        "validation mae",
        "learning rate",
        "gradient norm",
        "seconds",
    ]
    assert history.epochs == 5
    for name in history:
        assert len(history[name]) == 5
        assert all(type(number) is float and np.isfinite(number) for number in history[name])
    for norms in (history.delta_norms, history.gradient_norms):
        assert set(norms) == {"hidden", "output"}
        assert all(len(values) == 5 and min(values) > 0 for values in norms.values())
    assert history.cost == history["cost"]
    assert "cost" in history
    assert "accuracy" not in history
    assert history["rmse"] == history["validation rmse"]
    assert history["validation cost"][-1] == pytest.approx(history["rmse"][-1] ** 2 / 2)
    assert min(history["seconds"]) > 0


def test_the_cost_of_an_epoch_is_that_of_its_steps():
    """Before each step's change, so the first is the cost at the start, and differs from the validation cost."""
    history = train(epochs=3, batch_size=None, validation=(X, Y))
    start = cp.backpropagate(NET, NET.initialize(seed=0), X, Y, "squared_error").cost
    assert history.cost[0] == pytest.approx(start)
    assert history.cost[1:] == pytest.approx(history["validation cost"][:-1])


def test_printing_a_short_run():
    history = cp.History()
    history.record({"cost": 1.0, "validation accuracy": 0.25}, {"a": 1.0}, {"a": 2.0})
    history.record({"cost": 0.123456789, "validation accuracy": 0.5}, {"a": 1.5}, {"a": 2.5})
    history.stopped = "finished 2 epochs"
    assert str(history).splitlines() == [
        " epoch          cost  validation accuracy",
        "     1             1                 0.25",
        "     2      0.123457                  0.5",
        "finished 2 epochs",
    ]
    assert history.delta_norms == {"a": [1.0, 1.5]}
    assert history.gradient_norms == {"a": [2.0, 2.5]}


def test_printing_a_long_run_shows_twelve_epochs_and_the_last():
    history = cp.History({"cost": [float(epoch) for epoch in range(1000)]})
    lines = str(history).splitlines()
    assert len(lines) == 13
    assert lines[1].split() == ["1", "0"]
    assert lines[-1].split() == ["1,000", "999"]


def test_an_empty_history():
    history = cp.History()
    assert history.epochs == 0
    assert history.cost == []
    assert str(history).strip() == "epoch"


def test_an_unknown_name():
    with pytest.raises(ArgumentError) as error:
        train(epochs=1)["validation cost"]
    assert str(error.value).startswith('history: nothing is recorded as "validation cost".')
    assert "Available: cost, learning rate, gradient norm, seconds." in str(error.value)


def test_a_history_is_a_mapping_of_columns():
    history = train(epochs=3, validation=(X, Y))
    columns = dict(history)
    assert columns == history.columns
    assert columns is not history.columns
    assert list(history.keys()) == list(history) == list(columns)
    assert [*history.values()] == [*columns.values()]
    assert [*history.items()] == [*columns.items()]
    assert len(history) == len(columns) == 5
    assert {**history} == columns
    assert history.get("cost") is history["cost"]
    assert history.get("accuracy") is None
    assert history.get("accuracy", [1.0]) == [1.0]
    assert isinstance(history, Mapping)


def test_a_history_as_data_frames():
    history = train(epochs=3, validation=(X, Y), metrics="rmse")
    frame = history.to_pandas()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert {name: frame[name].tolist() for name in frame} == dict(history)
    table = history.to_polars()
    assert table.columns == ["epoch", *history]
    assert table["epoch"].to_list() == [1, 2, 3]
    assert table.drop("epoch").to_dict(as_series=False) == dict(history)
    assert cp.History().to_pandas().shape == (0, 0)
    assert cp.History().to_polars().shape == (0, 1)
