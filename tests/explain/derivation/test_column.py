"""The gradient of a column of a table: against differences of the cost, for every way a column is encoded."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

import clearprop as cp
from clearprop.cli.app import main
from clearprop.explain.derivation.column import column_gradient
from clearprop.tables import as_table

N = 3000
RNG = np.random.default_rng(0)
TABLE: dict[str, Any] = {
    "steps": RNG.normal(50, 7, N),
    "skewed": np.exp(RNG.normal(3, 1.5, N)),
    "gappy": [None if i % 9 == 4 else float(v) for i, v in enumerate(RNG.normal(size=N))],
    "truth": RNG.random(N) < 0.5,
    "day": [dt.datetime(2020, 1, 1) + dt.timedelta(hours=int(h)) for h in RNG.integers(0, 9999, N)],
    "job": RNG.choice(["cook", "clerk", "pilot"], N),
}
STEP = {"truth": True, "day": dt.timedelta(seconds=60)}


@pytest.fixture(scope="module")
def model() -> cp.Model:
    y = np.array(TABLE["steps"]) / 7 + np.log(TABLE["skewed"]) + TABLE["truth"]
    return cp.fit({**TABLE, "y": y}, "y", hidden=(6,), activation="tanh", epochs=3, progress=False)


def cost(model: cp.Model, rows: dict[str, Any]) -> cp.Trace:
    return cp.backpropagate(model.net, model.params.astype("float64"), *model.encode(rows, "float64"), loss=model.loss)


@pytest.mark.parametrize("rows", [slice(3, 4), slice(0, 7)], ids=["a row", "seven rows"])
@pytest.mark.parametrize("column", ["steps", "skewed", "gappy", "day"])
def test_against_differences_of_the_cost(model: cp.Model, column: str, rows: slice) -> None:
    some = {name: list(values[rows]) for name, values in TABLE.items()} | {"y": [7.0] * len(TABLE["job"][rows])}
    found = column_gradient(cost(model, some), model.encoding, column, as_table(some))
    days = column == "day"
    h: Any = dt.timedelta(seconds=1) if days else 1e-6
    higher, lower = ({**some, column: [None if v is None else v + sign * h for v in some[column]]} for sign in (1, -1))
    difference = (cost(model, higher).cost - cost(model, lower).cost) / (2 * (1 / 86400 if days else h))
    np.testing.assert_allclose(found.value, difference, rtol=1e-5, atol=1e-9)
    assert found.gradients.shape == found.slopes.shape == (len(some["job"]), len(found.inputs))


def test_a_missing_value_and_one_out_of_range_change_nothing(model: cp.Model) -> None:
    row = {name: [values[0]] for name, values in TABLE.items()} | {"y": [7.0]}
    for column, value in (("gappy", None), ("steps", 1e6)):
        changed = {**row, column: [value]}
        with pytest.warns(cp.errors.TableWarning) if value else np.errstate():
            trace = cost(model, changed)
        assert column_gradient(trace, model.encoding, column, as_table(changed)).value == 0


@pytest.fixture
def files(model: cp.Model, tmp_path: Any) -> list[str]:
    columns = {name: list(values[:9]) for name, values in TABLE.items()}
    pl.DataFrame(columns | {"y": [7.0] * 9}).write_csv(tmp_path / "t.csv")
    model.save(tmp_path / "m.cprop")
    return ["explain", str(tmp_path / "m.cprop"), str(tmp_path / "t.csv"), "--row", "2", "--weight"]


COLUMNS = {
    "steps": ["The column \"steps\": 10 inputs of the network", "steps standardized", "per unit of the column"],
    "day": ["per day of the column"],
    "truth": ["1 input of the network", "per step from false to true of the column"],
    "job": ["job=clerk", "A category has no unit: another one changes two inputs at once", 'one with --weight "input['],
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_on_the_command_line(column: str, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*files, column])
    printed = capsys.readouterr().out
    for part in COLUMNS[column]:
        assert part in " ".join(printed.split())
    inputs = 1 if column == "truth" else int(printed.partition(": ")[2].partition(" ")[0])
    with pytest.raises(SystemExit, match="0" if inputs == 1 else "2"):
        main([*files, column, "--paths", "30"])
    again = capsys.readouterr()
    if inputs == 1:
        assert again.out.startswith(printed + "\ndJ/dx of the input truth: 6 paths\n")
    else:
        text = f'the column "{column}" has {inputs} inputs; --paths, --document and --learning-rate need one of them'
        assert text in again.err


def test_one_input_of_a_column(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*files, "input[0]"])
    assert capsys.readouterr().out.startswith("dJ/dx of the input steps standardized")


def test_a_column_that_was_left_out_says_why(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    table = {"n": range(60), "x": np.cos(np.arange(60)), "y": np.sin(np.arange(60))}
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    cp.fit(tmp_path / "t.csv", "y", hidden=(), epochs=1, progress=False).save(tmp_path / "m.cprop")
    with pytest.raises(SystemExit, match="2"):
        main(["explain", str(tmp_path / "m.cprop"), str(tmp_path / "t.csv"), "--weight", "n"])
    assert 'the column "n" was left out of this model: the number of the row; keep it with' in capsys.readouterr().err
