"""Fitting a model on the command line: Ctrl-C, what is printed afterwards, and the files that are written."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import typer

from clearprop.explain.diagnosis import Diagnosis, diagnose_outputs
from clearprop.model import Model, fit
from clearprop.training import EpochEnd


def fit_interruptibly(table: Any, target: Any, **options: Any) -> Model:
    """`cp.fit`; the first Ctrl-C ends training after the current epoch, a second one at once."""
    interrupts = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if interrupts:
            raise KeyboardInterrupt
        interrupts.append(number)
        typer.echo("\nstopping after this epoch; Ctrl-C again stops at once", err=True)

    def stop(end: EpochEnd) -> str | None:
        return "stopped by Ctrl-C" if interrupts else None

    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):  # not if the signal is ignored, as for commands in the background
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        return fit(table, target, callbacks=stop, **options)
    except (KeyboardInterrupt, SystemExit):
        file = options.get("checkpoint")
        how = f"the run is saved in {file}; repeat the command with --resume" if file else "no file was written"
        typer.echo(f"clearprop: interrupted, {how}", err=True)
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


def save_and_report(model: Model, out: str, report: str | None) -> None:
    """Print how training ended and the metrics of the test set, and write the model and the report."""
    assert model.history is not None
    best = model.history.best_epoch
    restored = "" if best is None else f"; restored the parameters of epoch {best + 1}"
    typer.echo(f"{model.history.stopped}{restored} ({model.settings['seconds']:.1f} s)\n")
    diagnosis = None
    if model.held_out is not None:
        typer.echo(f"on {model.held_out.what}, which training did not see:\n{model.evaluate()}\n")
        held_out, columns = model.held_out, model.require_encoding().input_names
        diagnosis = diagnose_outputs(
            held_out.outputs, model.params, model.history, columns=columns, row_numbers=held_out.row_numbers
        )
        _warn(diagnosis)
    model.save(out)
    typer.echo(f"model  {out}")
    if report:
        model.report(report, diagnosis=diagnosis)
        typer.echo(f"report {report}")


def _warn(diagnosis: Diagnosis) -> None:
    """Print the findings of a diagnosis, if there are any; hints are left to the report."""
    findings = [finding for finding in diagnosis if finding.severity != "hint"]
    if findings:
        typer.echo("\n".join(["Possible problems:", *map(str, findings), ""]))
