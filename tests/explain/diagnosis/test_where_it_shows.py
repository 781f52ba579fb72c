"""A diagnosis reaches the user: after `clearprop train`, and in the report, when and only when something is off."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import clearprop as cp
from clearprop.cli.app import main
from clearprop.report.page import render_report


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    draw = np.random.default_rng(0)
    x1, x2 = draw.normal(size=(2, 400))
    path = tmp_path_factory.mktemp("table") / "table.csv"
    pl.DataFrame({"x1": x1, "x2": x2, "y": 2 * x1 - x2 + 0.1 * draw.normal(size=400)}).write_csv(path)
    return path


def train(table, model, *options):
    with pytest.raises(SystemExit) as stop:
        main(["train", str(table), "--target", "y", "--out", str(model), *options])
    assert stop.value.code == 0


def test_training_that_goes_well_is_not_commented_on(table, tmp_path, capsys):
    report = tmp_path / "r.html"
    train(table, tmp_path / "m.cprop", "--hidden", "16", "--epochs", "15", "--report", str(report))
    assert "Possible problems" not in capsys.readouterr().out
    assert ">Findings<" not in report.read_text(encoding="utf-8")


def test_training_that_goes_wrong_is(table, tmp_path, capsys):
    """Adam with a rate of 2 kills most of the relu units, and the cost swings."""
    report, model = tmp_path / "r.html", tmp_path / "m.cprop"
    options = ["--hidden", "16", "--optimizer", "adam", "--learning-rate", "2", "--epochs", "12", "--dropout", "0"]
    train(table, model, *options, "--report", str(report))
    printed = capsys.readouterr().out
    assert "Possible problems:\n" in printed
    assert "dead units\n  " in printed
    assert "  To try: " in printed
    page = report.read_text(encoding="utf-8")
    assert ">Findings<" in page
    assert "dead units" in page


def test_the_section_names_the_columns():
    draw = np.random.default_rng(1)
    X, y = draw.normal(size=(60, 2)), draw.normal(size=(60, 1))
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    model = cp.Model(net, net.initialize(seed=0), cp.SquaredError())
    assert ">Findings<" not in render_report(model, X, y)
    page = render_report(model, 1000 * X, y)
    assert ">Findings<" in page
    assert "Column 0 has typical size" in page
