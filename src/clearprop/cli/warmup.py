"""The command `clearprop warmup`."""

from __future__ import annotations

import typer

from clearprop.engine.warmup import warmup as compile_ahead
from clearprop.terminal import wrap


def warmup() -> None:
    """Compile ahead what training and prediction need: once per machine, in an image or before tests."""
    typer.echo("compiling what is not stored yet: up to a minute", err=True)
    typer.echo(wrap(str(compile_ahead())))
