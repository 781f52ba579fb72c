"""The command line app: its commands, and the handling of errors.

An error that the user can fix is printed on standard error without a traceback, with exit code 2.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any

import typer

from clearprop.cli.check import check
from clearprop.cli.demo import demo
from clearprop.cli.diagnose import diagnose
from clearprop.cli.evaluate import evaluate
from clearprop.cli.explain import explain
from clearprop.cli.gallery import gallery
from clearprop.cli.predict import predict
from clearprop.cli.summary import summary
from clearprop.cli.train import train
from clearprop.cli.warmup import warmup
from clearprop.errors import ClearpropError
from clearprop.terminal import wrap

app = typer.Typer(name="clearprop", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (train, demo, gallery, predict, evaluate, summary, warmup, explain, check, diagnose):
    app.command()(command)


def _show_version(show: bool) -> None:
    if show:
        typer.echo(f"clearprop {metadata.version('clearprop')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Feedforward networks trained by backpropagation, from a table to a model and a report."""


def _show_warning(message: Warning | str, *_: Any) -> None:
    _report(message)


def _report(message: object) -> None:
    """Print a message on standard error; only in a terminal are its lines broken, at spaces."""
    text = f"clearprop: {message}"
    typer.echo(wrap(text) if sys.stderr.isatty() else text, err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exits with code 2 on an error that the user can fix."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app(arguments, prog_name="clearprop")
    except ClearpropError as reason:
        _report(reason)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
