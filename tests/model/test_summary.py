"""What is said about a model: the task and what was left out, in the report of a fit and in the summary."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import clearprop as cp
from clearprop.cli.app import main

N = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
QUICK: dict[str, Any] = {"hidden": (3,), "epochs": 2}

#: a target, and what a fit says about it
TARGETS: dict[str, tuple[Any, str]] = {
    "26 classes as integers": (
        np.arange(N) % 26,
        'regression, because "y" holds 26 different integers, more than 20; task="classification" predicts them as '
        "classes",
    ),
    "counts": (
        np.arange(N) % 9,
        'classification, because "y" holds 9 different integers; task="regression" predicts them as numbers',
    ),
    "few rows": (
        np.arange(N) // 4 % 19 + 1000 * (np.arange(N) % 2) * (np.arange(N) // 4 % 19 > 11),
        'regression, because "y" holds 26 different integers',
    ),
    "text": (np.where(X > 0, "u", "v"), 'classification, because "y" holds text'),
    "numbers": (X, 'regression, because "y" holds numbers that are not integers'),
    "codes": (2**60 + np.arange(N) % 3, 'classification, because "y" holds codes: integers beyond 2^53'),
}


@pytest.mark.parametrize("case", TARGETS)
def test_the_inferred_task_is_always_reported(case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    y, said = TARGETS[case]
    model = cp.fit({"x": X, "y": y}, "y", **QUICK)
    printed = capsys.readouterr()
    assert (printed.out, printed.err.startswith(f'Predicts "y": {said}')) == ("", True)
    assert said in str(model)
    pl.DataFrame({"x": X, "y": y}).write_csv(tmp_path / "t.csv")
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "t.csv"), "--target", "y", "--epochs", "1", "--out", str(tmp_path / "m.cprop")])
    assert f'Predicts "y": {said}' in capsys.readouterr().err


@pytest.mark.parametrize(("task", "classes"), [("classification", 26), ("regression", 0)])
def test_one_argument_overrides_the_task(task: str, classes: int) -> None:
    model = cp.fit({"x": X, "y": np.arange(N) % 26}, "y", task=task, **QUICK, progress=False)
    assert (len(model.encoding.classes), model.encoding.task_reason) == (classes, f"{task}, as requested")


def test_codes_of_19_digits_come_back_exactly() -> None:
    codes = 1582218195625938940 + np.arange(N) % 5
    for text in ((), "y"):
        model = cp.fit({"x": X, "y": codes}, "y", text=text, **QUICK, progress=False)
        assert [int(label) for label in model.encoding.classes] == sorted(set(codes.tolist()))
        assert set(map(int, model.predict({"x": X})["y"])) <= set(codes.tolist())


LEFT_OUT = {
    "Unnamed: 0": RNG.permutation(N),
    "name": [f"person {i}" for i in range(N)],
    "same": [7] * N,
    "empty": [None] * N,
    "mine": X,
}
SAID = [
    'Left out: "Unnamed: 0": the number of the row, in another order; keep it with numeric="Unnamed: 0" (--numeric '
    '"Unnamed: 0")',
    'Left out: "name": 120 different texts in 120 rows, like a name or an identifier, such as "person 0"; keep it with '
    'categorical="name" (--categorical "name")',
    'Left out: "same": all rows hold the same value, 7',
    'Left out: "empty": all values are missing',
]


def test_what_is_left_out_is_reported_with_the_way_to_keep_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = {**LEFT_OUT, "x": X, "y": np.where(X > 0, "u", "v")}
    model = cp.fit(table, "y", drop="mine", **QUICK)
    assert capsys.readouterr().err.splitlines() == ['Predicts "y": classification, because "y" holds text.', *SAID]
    assert [column for column, _ in model.encoding.left_out] == list(LEFT_OUT)
    cp.fit(table, "y", **QUICK, progress=False)
    assert capsys.readouterr().err == ""
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    command = ["train", str(tmp_path / "t.csv"), "--target", "y", "--drop", "mine", "--epochs", "1", "--hidden", "3"]
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--out", str(tmp_path / "m.cprop")])
    assert set(SAID) <= set(capsys.readouterr().err.splitlines())
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--out", str(tmp_path / "m.cprop"), "--numeric", "Unnamed: 0", "--categorical", "name"])
    assert [c for c, _ in cp.Model.load(tmp_path / "m.cprop").encoding.left_out] == ["same", "empty", "mine"]


def test_text_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pl.DataFrame({"x": X, "y": ["None", "Apnea", "NA"] * 40}).write_csv(tmp_path / "t.csv")
    command = ["train", str(tmp_path / "t.csv"), "--target", "y", "--epochs", "1", "--out", str(tmp_path / "m.cprop")]
    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert '"NA" and "None" were read as missing in lines 2, 4, 5, 7, 8 and 75 more' in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--text", "y"])
    assert cp.Model.load(tmp_path / "m.cprop").encoding.classes == ["Apnea", "NA", "None"]


def test_new_categories_are_reported_on_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cp.fit({"job": ["cook", "clerk"] * 60, "y": X}, "y", **QUICK, progress=False).save(tmp_path / "m.cprop")
    (tmp_path / "t.csv").write_text("job\ncook\npilot\nnurse\n")
    monkeypatch.setattr("warnings.filters", [])
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(tmp_path / "m.cprop"), str(tmp_path / "t.csv")])
    printed = capsys.readouterr()
    assert printed.out.startswith("y\n")
    assert printed.err == (
        'clearprop: Column "job", lines 3, 4 of the file: "pilot" and 1 more are not among the categories of training; '
        "taken as the average row.\n"
    )


def test_a_long_summary_is_cut_with_a_sentence() -> None:
    table = {f"c{i}": RNG.normal(size=N) for i in range(70)} | {f"k{i}": [i] * N for i in range(60)}
    model = cp.fit({**table, "y": X}, "y", **QUICK, progress=False)
    lines = str(model).splitlines()
    assert len(lines) < 140
    assert "  70 columns are used and 60 are left out; model.encoding.describe() lists all of them." in lines
    assert "c49" in str(model)
    assert "c50" not in str(model)
    assert model.encoding.left_out_lines()[20] == "Left out: 40 more columns; model.encoding.left_out lists all."


def test_a_model_equals_its_copies(tmp_path: Path) -> None:
    model = cp.fit({"x": X, "job": ["cook", "clerk"] * 60, "y": X}, "y", **QUICK, progress=False)
    model.save(tmp_path / "m.cprop")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), cp.Model.load(tmp_path / "m.cprop")):
        assert model == other
        other.params.flat[0] += 1
        assert model != other
    assert model != "model"
    assert model.held_out == model.held_out
