"""`clearprop explain` with --weight and --document, as a user runs it."""

from __future__ import annotations

import polars as pl
import pytest

import clearprop as cp
from clearprop.cli.app import main
from clearprop.cli.explain import for_terminal
from tests.model.test_model import people


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    pl.DataFrame(people(60)).write_csv(folder / "people.csv")
    cp.fit(str(folder / "people.csv"), "rich", hidden=(3,), epochs=2).save(folder / "m.cprop")
    return folder


def run(folder, *options: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(folder / "m.cprop"), str(folder / "people.csv"), *options])
    return int(stop.value.code or 0)


def test_a_weight_by_the_name_of_its_column(folder, capsys):
    assert run(folder, "--row", "5", "--weight", "hidden[2] <- age", "--learning-rate", "0.1") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("dJ/dw of the weight hidden[2] <- age")
    assert "rich=yes" in printed
    assert "The backward sweep computed the same number" in printed


def test_a_batch_and_all_paths(folder, capsys):
    assert run(folder, "--rows", "3:7", "--weight", "hidden[0].b") == 0
    assert "sum " in capsys.readouterr().out
    assert run(folder, "--rows", "3:7", "--weight", "hidden[0].b", "--paths", "100") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("dJ/db of the bias of hidden[0]: 4 paths")
    assert "sum of all paths" in printed


@pytest.mark.parametrize("name", ["worked.html", "worked.tex", "derived.html", "derived.tex", "derived.md"])
def test_documents(folder, name, capsys):
    options = ["--weight", "hidden[2] <- age"] if name.startswith("derived") else ["--learning-rate", "0.5"]
    assert run(folder, "--row", "2", "--document", str(folder / name), *options) == 0
    assert f"written to {folder / name}" in capsys.readouterr().out
    start = {"html": "<!DOCTYPE html>", "tex": "\\documentclass", ".md": "# dJ/dw"}
    assert (folder / name).read_text(encoding="utf-8").startswith(start[name.rpartition(".")[2].replace("md", ".md")])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weight", "hiden[0] <- agee"], 'there is no "hiden[0] <- agee". The nearest are: hidden[0] <- age'),
        (["--row", "60"], "--row: expected a row from 0 to 59, got 60."),
        (["--rows", "50:70"], "--rows: expected first:last with rows from 0 to 60, last excluded, such as 0:8"),
        (["--rows", "abc"], 'got "abc"'),
        (["--paths", "5"], "--paths: needs --weight"),
        (["--learning-rate", "0.1"], "--learning-rate: needs --weight or --document"),
        (
            ["--rows", "0:60", "--weight", "hidden[0].b", "--paths", "5"],
            "has 60 paths over 60 samples, more than limit=5",
        ),
        (["--document", "worked.pdf"], "worked.pdf: expected a name that ends in .html or .htm or .tex"),
        (
            ["--rows", "0:60", "--document", "worked.html"],
            'sums to write out, more than 400. Name one gradient, such as --weight "age", take fewer --rows',
        ),
    ],
)
def test_errors_exit_with_code_2_and_explain_the_fix(folder, options, said, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(folder, *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("clearprop: ")
    assert sorted(folder.iterdir()) == before


def test_signs_are_spelled_out_on_an_ascii_terminal():
    assert for_terminal("∂J/∂w · 水", "ascii") == "dJ/dw * \\u6c34"
    assert for_terminal("∂J/∂w · 水", "utf-8") == "∂J/∂w · 水"
