"""The command `clearprop check`."""

from __future__ import annotations

from typing import Annotated

import typer

from clearprop.cli.arguments import ModelPath, Table
from clearprop.explain.gradient_check import check_gradients
from clearprop.model import Model


def check(
    model: ModelPath,
    table: Table,
    rows: Annotated[int, typer.Option(help="Number of rows of the table to use.", min=1)] = 8,
    parameters: Annotated[
        int | None,
        typer.Option(
            help="Up to this many parameters are checked one by one, more along random directions; by default as many "
            "as take some seconds.",
            min=0,
        ),
    ] = None,
) -> None:
    """Check the gradient of every W and b against values of the cost; exit code 1 if one disagrees."""
    loaded = Model.load(model)
    known = loaded.require_encoding().table(table)
    X, y = loaded.encode(known.take(range(min(rows, len(known)))), "float64")
    directions = None if parameters is None else 4 * (loaded.net.parameter_count > parameters)
    result = check_gradients(loaded.net, loaded.params, X, y, loss=loaded.loss, directions=directions)
    typer.echo(str(result))
    if not result.ok:
        raise typer.Exit(1)
