"""The command `clearprop evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from clearprop.cli.arguments import ModelPath, Table, check_outputs
from clearprop.model import Model


def evaluate(
    model: ModelPath,
    table: Table,
    report: Annotated[str | None, typer.Option(help="HTML report on these rows to write.")] = None,
) -> None:
    """Compare predictions with the target column: metrics, and confusion matrix or residuals."""
    check_outputs([model, table], [report])
    loaded = Model.load(model)
    rows = loaded.rows(table)
    typer.echo(str(loaded.evaluate(rows)))
    if report:
        loaded.report(report, rows)
        typer.echo(f"\nreport written to {report}")
