"""The command `clearprop demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearprop.cli.fitting import fit_interruptibly, save_and_report
from clearprop.datasets import digits


def demo(folder: Annotated[str, typer.Argument(help="Folder for the model and the report.")] = "demo") -> None:
    """Train on scikit-learn's handwritten digits, and write the model and the report into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    typer.echo("1,797 handwritten digits of 8 x 8 pixels (UCI, included in scikit-learn)")
    model = fit_interruptibly(digits(), "digit")
    save_and_report(model, str(Path(folder, "digits.cprop")), str(Path(folder, "digits.html")))
