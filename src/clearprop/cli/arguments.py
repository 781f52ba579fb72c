"""Arguments that several commands share, and checks of the files they write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from clearprop.errors import ArgumentError

Table = Annotated[str, typer.Argument(help="A table: CSV, TSV (also .gz) or Parquet.", show_default=False)]
ModelPath = Annotated[str, typer.Argument(help="A model file written by clearprop train.", show_default=False)]


def check_outputs(inputs: Sequence[str], outputs: Sequence[str | None]) -> None:
    """Raise, before any work, if an output would overwrite an input or another output, or cannot be written."""
    used = {Path(path).resolve() for path in inputs}
    for path in filter(None, outputs):
        if Path(path).resolve() in used:
            raise ArgumentError(f"{path}: this command already reads or writes it; choose another name to write to.")
        if Path(path).is_dir():
            raise ArgumentError(f"{path}: cannot be written, it is a folder.")
        if not Path(path).parent.is_dir():
            raise ArgumentError(f"{path}: cannot be written, the folder {Path(path).parent} does not exist.")
        used.add(Path(path).resolve())
