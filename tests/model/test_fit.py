"""How often the expensive steps run: one conversion of a table, each row encoded once, few sweeps over test rows."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import clearprop as cp
from clearprop.cli.app import main
from clearprop.core import backprop
from clearprop.report import page
from clearprop.report.importance import Loss, Measured
from clearprop.tables import columns, frame
from tests.model.test_model import people

ROWS, HELD_OUT = 200, 40


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts of conversions, of rows encoded per column, and of forward sweeps by the number of rows."""
    counter: Counter[str] = Counter()

    def count(function: Callable[..., Any], key: Callable[..., str], amount: Callable[..., int]) -> None:
        def counted(*arguments: Any, **options: Any) -> Any:
            counter[key(*arguments)] += amount(*arguments)
            return function(*arguments, **options)

        for name, module in list(sys.modules.items()):
            if name.startswith("clearprop.") and getattr(module, function.__name__, None) is function:
                monkeypatch.setattr(module, function.__name__, counted)
        for kind in (columns.NumericColumn, columns.CategoricalColumn):
            if vars(kind).get(function.__name__) is function:
                monkeypatch.setattr(kind, function.__name__, counted)

    count(frame.as_table, lambda data: "conversions", lambda data: 1)
    count(backprop.forward, lambda net, params, X, *masks: f"sweeps of {len(X)} rows", lambda *_: 1)
    for kind in (columns.NumericColumn, columns.CategoricalColumn):
        count(kind.encode, lambda column, *_: f"rows of {column.name}", lambda column, series, out: len(series))
    nothing = Measured(None, None, Loss(lambda X: 0.0, "log loss", str), 0)
    monkeypatch.setattr(page, "measure", lambda *_: nothing)  # it sweeps over shuffled rows by design
    return counter


def test_a_fit_normalises_the_table_once_and_encodes_each_row_once(counts: Counter[str]) -> None:
    for target in ("rich", "pay", ["member", "old"]):
        counts.clear()
        model = cp.fit(people(ROWS), target, hidden=(4,), epochs=1)
        assert counts["conversions"] == 1
        assert {counts[f"rows of {column.name}"] for column in model.encoding.encoders} == {ROWS}
        assert counts[f"sweeps of {HELD_OUT} rows"] == 1


def test_training_with_a_report_sweeps_the_held_out_rows_three_times(counts: Counter[str], tmp_path: Any) -> None:
    """Once for the metrics, once for the trace of the diagnosis, and once for the layers in the report."""
    table, model, report = (str(tmp_path / name) for name in ("t.csv", "m.cprop", "r.html"))
    pl.DataFrame(people(ROWS)).write_csv(table)
    with pytest.raises(SystemExit, match="0"):
        main(["train", table, "--target", "rich", "--epochs", "2", "--out", model, "--report", report])
    assert counts["conversions"] == 1
    assert counts[f"sweeps of {HELD_OUT} rows"] == 3
    assert counts["rows of age"] == ROWS


def test_evaluating_with_a_report_encodes_the_rows_once(counts: Counter[str], tmp_path: Any) -> None:
    model = cp.fit(people(ROWS), "rich", hidden=(4,), epochs=1)
    counts.clear()
    rows = model.rows(people(50, 1))
    model.evaluate(rows)
    model.report(tmp_path / "r.html", rows)
    assert counts["conversions"] == 1
    assert counts["rows of age"] == 50
    assert counts["sweeps of 50 rows"] == 3
