"""The command `clearprop predict`."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import polars as pl
import typer

from clearprop.cli.arguments import ModelPath, Table, check_outputs
from clearprop.errors import ArgumentError
from clearprop.model import Model
from clearprop.serialization.atomic import write_atomically
from clearprop.tables.columns import free_name


def predict(
    model: ModelPath,
    table: Table,
    out: Annotated[
        str | None, typer.Option(help="CSV or Parquet file to write.", show_default="standard output")
    ] = None,
    with_inputs: Annotated[bool, typer.Option("--with-inputs", help="Write the columns of the table as well.")] = False,
) -> None:
    """Predict the target of every row, with the probability of each class."""
    check_outputs([model, table], [out])
    if out is not None and not out.endswith((".csv", ".parquet", ".pq")):
        raise ArgumentError(f"--out: expected a name that ends in .csv, .parquet or .pq, got {out}.")
    loaded = Model.load(model)
    rows = loaded.require_encoding().table(table)
    predictions = loaded.predict(rows).to_polars()
    if with_inputs:
        predictions = _append(rows.frame, predictions)
    if out is None:
        sys.stdout.write(predictions.write_csv())
        return
    content = io.BytesIO()
    if out.endswith(".csv"):
        predictions.write_csv(content)
    else:
        predictions.write_parquet(content)
    write_atomically(out, content.getvalue())
    typer.echo(f"{len(predictions):,} predictions written to {out}")


def _append(table: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """The columns of the table, then the predictions, which are renamed if the table has a column of that name."""
    taken = {*table.columns, *predictions.columns}
    renamed = {n: free_name(f"predicted {n}", taken) for n in predictions.columns if n in table.columns}
    return pl.concat([table, predictions.rename(renamed)], how="horizontal")
