"""The command `clearprop summary`."""

from __future__ import annotations

import typer

from clearprop.cli.arguments import ModelPath
from clearprop.model import Model


def summary(model: ModelPath) -> None:
    """Show layers, wiring, shapes, parameters, columns, and how the model was trained."""
    typer.echo(str(Model.load(model)))
