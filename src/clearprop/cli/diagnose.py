"""The command `clearprop diagnose`."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer

from clearprop.cli.arguments import ModelPath, Table
from clearprop.explain.diagnosis import Finding, diagnose_outputs
from clearprop.model import Model
from clearprop.terminal import wrap


def diagnose(
    model: ModelPath,
    table: Table,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for problems of a model and its training; exit code 1 if there is more than hints.

    The table has the columns and targets of training: the training rows show most.
    """
    loaded = Model.load(model)
    rows, columns = loaded.rows(table), loaded.require_encoding().input_names
    found = diagnose_outputs(rows.outputs, loaded.params, loaded.history, columns=columns, row_numbers=rows.row_numbers)
    typer.echo(json.dumps([_fields(finding) for finding in found], indent=2) if as_json else wrap(str(found)))
    if any(finding.severity != "hint" for finding in found):
        raise typer.Exit(1)


def _fields(finding: Finding) -> dict[str, object]:
    """A finding for JSON, which has no NaN and no infinity: null stands for them."""
    numbers = {name: float(number) if math.isfinite(number) else None for name, number in finding.numbers.items()}
    return {
        "code": finding.code,
        "severity": finding.severity,
        "words": finding.words,
        "advice": finding.advice,
        "where": list(finding.where),
        "numbers": numbers,
        "docs": finding.docs,
    }
