"""The command `clearprop warmup`."""

from __future__ import annotations

import typer

from clearprop.engine.warmup import warmup as compile_ahead


def warmup() -> None:
    """Compile ahead what training and prediction need: once per machine, in an image or before tests."""
    typer.echo(str(compile_ahead()))
