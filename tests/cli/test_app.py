"""The command line as a user runs it: output, files, exit codes, and no traceback."""

import json
import re
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

import clearprop as cp
from clearprop.cli import fitting
from clearprop.cli.app import main
from tests.model.test_model import people


@pytest.fixture
def table(tmp_path):
    pl.DataFrame(people(200)).write_csv(tmp_path / "people.csv")
    return tmp_path / "people.csv"


@pytest.fixture
def trained(table, tmp_path, capsys):
    run("train", table, "--target", "rich", "--hidden", "4", "--epochs", "3", "--out", tmp_path / "m.cprop")
    capsys.readouterr()
    return tmp_path / "m.cprop"


def run(*arguments):
    """The exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_train_predict_evaluate_summary(table, tmp_path, capsys):
    model, report = tmp_path / "m.cprop", tmp_path / "r.html"
    assert (
        run("train", table, "--target", "rich", "--hidden", "8,4", "--epochs", "5", "--out", model, "--report", report)
        == 0
    )
    printed, said = capsys.readouterr()
    assert 'Predicts "rich": classification, because "rich" holds text.' in said
    assert "on 40 rows held out of 200, which training did not see" in printed
    assert "confusion matrix" in printed
    assert report.read_text(encoding="utf-8").lower().startswith("<!doctype html>")

    predictions = tmp_path / "p.csv"
    assert run("predict", model, table, "--out", predictions) == 0
    frame = pl.read_csv(predictions)
    assert frame.columns == ["rich", "probability of no", "probability of yes"]
    assert len(frame) == 200
    expected = cp.Model.load(model).predict(table)
    assert frame["rich"].to_list() == expected["rich"].tolist()

    capsys.readouterr()
    assert run("evaluate", model, table) == 0
    assert "accuracy" in capsys.readouterr().out
    assert run("summary", model) == 0
    printed = capsys.readouterr().out
    for part in ("hidden1", "parameters", "columns", "batch size", "history", "training"):
        assert part in printed


def test_predict_to_standard_output_parquet_and_with_inputs(trained, table, tmp_path, capsys):
    assert run("predict", trained, table) == 0
    assert capsys.readouterr().out.startswith("rich,probability of no,probability of yes\n")
    assert run("predict", trained, table, "--out", tmp_path / "p.parquet", "--with-inputs") == 0
    frame = pl.read_parquet(tmp_path / "p.parquet")
    assert {"rich", "predicted rich", "age"} <= set(frame.columns)


def test_predictions_beside_inputs_of_the_same_names(tmp_path, capsys):
    columns = {"x": range(0, 80, 2), "predicted y": range(40, 0, -1), "y": ["a", "b"] * 20}
    pl.DataFrame(columns).write_csv(tmp_path / "t.csv")
    cp.fit(tmp_path / "t.csv", "y", numeric="predicted y", hidden=(), epochs=1).save(tmp_path / "m.cprop")
    assert run("predict", tmp_path / "m.cprop", tmp_path / "t.csv", "--with-inputs") == 0
    header = capsys.readouterr().out.partition("\n")[0]
    assert header == "x,predicted y,y,predicted y (2),probability of a,probability of b"


def test_explain_and_check(trained, table, capsys):
    assert run("explain", trained, table, "--row", "3") == 0
    assert "delta dJ/dz" in capsys.readouterr().out
    assert run("check", trained, table) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("all agree to 1e-06: ")
    assert "along 4 random directions" not in printed
    assert run("check", trained, table, "--parameters", "3", "--rows", "5") == 0
    assert "along 4 random directions in each W and b" in capsys.readouterr().out


def test_the_model_is_named_after_the_table_by_default(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("train", table, "--target", "pay", "--hidden", "", "--epochs", "2") == 0
    assert cp.Model.load("people.cprop").net.parameter_count > 0


BAD_COMMANDS = [
    ("train {table} --target incme", 'Target column "incme" does not exist'),
    ("train {folder}/peple.csv --target rich", "people.csv"),
    ("train {table} --target rich --out {table}", "already reads or writes it"),
    ("train {table} --target rich --out {folder}/x.cprop --report {folder}/x.cprop", "already reads or writes it"),
    ("train {table} --target rich --out {folder}/none/m.cprop", "does not exist"),
    ("train {table} --target rich --hidden abc --out {folder}/x.cprop", 'such as 128,64, got "abc"'),
    (
        "train {table} --target rich --learning-rate 0.1 --out {folder}/x.cprop",
        "--learning-rate: needs --optimizer",
    ),
    (
        "train {table} --target rich --optimizer adam --learning-rate 0 --out {folder}/x.cprop",
        "rate: expected a finite number above 0",
    ),
    ("train {table} --target rich --optimizer adm --out {folder}/x.cprop", "did you mean 'adam'"),
    (
        "train {table} --target rich --holdout 0 --epochs 1 --out {folder}/x.cprop --report {folder}/r.html",
        "needs held-out rows",
    ),
    ("predict {table} {table}", "expected a clearprop model file"),
    ("predict {model} {folder}/none.csv", "none.csv"),
    ("predict {model} {table} --out {model}", "already reads or writes it"),
    ("predict {model} {table} --out {folder}/p.xlsx", "expected a name that ends in .csv, .parquet or .pq"),
    ("evaluate {model} {folder}/short.csv", 'Column "age" is missing'),
    ("explain {model} {table} --row 200", "expected a row from 0 to 199, got 200"),
    ("summary {folder}/none.cprop", "cannot be read"),
]


@pytest.mark.parametrize(("command", "text"), BAD_COMMANDS)
def test_errors_exit_with_code_2_and_change_no_file(command, text, trained, table, tmp_path, capsys):
    (tmp_path / "short.csv").write_text("rich\nyes\nno\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    words = command.format(table=table, folder=tmp_path, model=trained).split(" ")
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.startswith("clearprop: ")
    assert "Traceback" not in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_wrong_option_is_a_usage_error(table, capsys):
    assert run("train", table) == 2
    assert "--target" in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)


def test_help_shows_the_defaults(capsys):
    """A default in square brackets within the text would be taken for markup and vanish."""
    for command, defaults in (
        ("train", ["TABLE with .cprop", "0.1", "adamw with warm-up and cosine", "32 to 256", "every 10 seconds"]),
        ("predict", ["standard output"]),
        ("gallery", ["list them", "30"]),
    ):
        assert run(command, "--help") == 0
        printed = " ".join(re.sub(r"\x1b\[[0-9;]*m|[│\s]+", " ", capsys.readouterr().out).split())
        for default in defaults:
            assert f"[default: ({default}" in printed


def test_the_first_ctrl_c_stops_after_the_epoch_and_saves(table, trained):
    old = trained.read_bytes()
    run_file = trained.parent / "run.ckpt"
    command = [sys.executable, "-m", "clearprop", "train", table, "--target", "rich", "--out", trained]
    options = ["--epochs", "1000000", "--patience", "1000000", "--checkpoint", run_file, "--every", "1"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not run_file.exists() and process.poll() is None:  # it is there once training has begun
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "stopping after this epoch; Ctrl-C again stops at once" in error
    assert "stopped by Ctrl-C; restored the parameters of epoch" in printed
    assert trained.read_bytes() != old
    assert cp.Model.load(trained).history.epochs == cp.Checkpoint(run_file).read().epoch >= 1
    assert {path.name for path in trained.parent.iterdir()} == {"people.csv", "m.cprop", "run.ckpt"}


@pytest.mark.parametrize("kind", ["two Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("saved", [True, False], ids=["with a checkpoint", "without"])
def test_stopped_at_once(table, trained, monkeypatch, capsys, kind, saved):
    """The old model stays; the same command with --resume ends as if it had not been stopped."""
    old, run_file, real = trained.read_bytes(), trained.parent / "run.ckpt", fitting.fit
    words = ["train", table, "--target", "rich", "--epochs", "4", "--patience", "9"]
    words += ["--checkpoint", run_file, "--resume"] if saved else []

    def stop(end):
        if end.epoch == 1:
            for number in (signal.SIGINT, signal.SIGINT) if kind == "two Ctrl-C" else (signal.SIGTERM,):
                signal.raise_signal(number)

    def fit(*arguments, callbacks, **options):
        return real(*arguments, callbacks=[callbacks, stop], **options)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "fit", fit)
        assert run(*words, "--out", trained) == (130 if kind == "two Ctrl-C" else 143)
    captured = capsys.readouterr()
    how = f"the run is saved in {run_file}; repeat the command with --resume" if saved else "no file was written"
    assert f"clearprop: interrupted, {how}" in captured.err
    assert trained.read_bytes() == old
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if saved:
        assert "run.ckpt does not exist yet: training starts from the beginning" in captured.out
        assert run(*words, "--out", trained) == 0
        assert run(*words[:-3], "--out", trained.parent / "whole.cprop") == 0
        whole, resumed = cp.Model.load(trained.parent / "whole.cprop"), cp.Model.load(trained)
        assert resumed.params.flat.tobytes() == whole.params.flat.tobytes()
        assert resumed.history.cost == whole.history.cost


def test_a_checkpoint_of_other_settings_is_refused(table, trained, capsys):
    words = ["train", table, "--target", "rich", "--epochs", "1", "--checkpoint", trained.parent / "run.ckpt"]
    assert run(*words, "--out", trained) == 0
    assert run(*words, "--out", trained) == 2
    assert "run.ckpt exists. Continue that run with resume=True (--resume)" in capsys.readouterr().err
    assert run(*words, "--out", trained, "--resume", "--seed", "1") == 2
    assert "belongs to another run. data, X: was" in capsys.readouterr().err


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"clearprop {cp.__version__}\n"


def test_demo(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("demo") == 0
    printed = capsys.readouterr().out
    assert "demo/digits.cprop" in printed
    model = cp.Model.load("demo/digits.cprop")
    assert model.settings["held_out"]["accuracy"] > 0.95
    assert (tmp_path / "demo" / "digits.html").stat().st_size < 1_000_000


def test_diagnose(table, tmp_path, capsys):
    good, bad = tmp_path / "good.cprop", tmp_path / "bad.cprop"
    options = ["--target", "rich", "--hidden", "8"]
    assert run("train", table, *options, "--epochs", "40", "--out", good) == 0
    capsys.readouterr()
    assert run("diagnose", good, table) == 0
    assert capsys.readouterr().out.startswith("Nothing looks wrong (looked for: constant targets, ")
    rates = ["--optimizer", "gradient_descent", "--learning-rate", "1e-5", "--patience", "40"]
    assert run("train", table, *options, "--epochs", "15", *rates, "--out", bad) == 0
    capsys.readouterr()
    assert run("diagnose", bad, table) == 1
    assert (
        "warning: learning rate too low\n  The cost decreases steadily but slowly (learning rate 1e-05)"
        in capsys.readouterr().out
    )
    assert run("diagnose", bad, table, "--json") == 1
    findings = json.loads(capsys.readouterr().out)
    assert {"code", "severity", "words", "advice", "where", "numbers", "docs"} == set(findings[0])
    assert "learning-rate-too-low" in [finding["code"] for finding in findings]
    assert run("diagnose", good, table, "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
