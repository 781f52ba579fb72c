"""The command `clearprop train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearprop.activations import ACTIVATIONS
from clearprop.cli.arguments import Table, check_outputs
from clearprop.cli.fitting import fit_interruptibly, save_and_report
from clearprop.errors import ArgumentError
from clearprop.optimizers import LBFGS, OPTIMIZERS, Optimizer, as_optimizer
from clearprop.penalties import L2

Several = list[str] | None


def train(
    table: Table,
    target: Annotated[list[str], typer.Option(help="Column to predict; repeat it for several.", show_default=False)],
    out: Annotated[str | None, typer.Option(help="Model file to write.", show_default="TABLE with .cprop")] = None,
    report: Annotated[str | None, typer.Option(help="HTML report to write.")] = None,
    hidden: Annotated[str, typer.Option(help='Units of the hidden layers; "" for none.')] = "128,64",
    activation: Annotated[str, typer.Option(help=f"Of the hidden layers: {', '.join(ACTIVATIONS)}.")] = "relu",
    dropout: Annotated[
        float | None, typer.Option(help="Fraction of hidden activations set to 0 in training.", show_default="0.1")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"{', '.join(OPTIMIZERS)}.", show_default="adamw with warm-up and cosine")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of --optimizer.", show_default="that of the optimizer")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows per step.", show_default="32 to 256, by the number of rows")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Maximum number of passes over the rows.")] = 60,
    patience: Annotated[int, typer.Option(help="Stop after this many epochs without a lower validation cost.")] = 12,
    penalty: Annotated[float, typer.Option(help="Strength of the L2 penalty on the weights.")] = 0.0,
    holdout: Annotated[float, typer.Option(help="Fraction of the rows for the test set; 0 for none.")] = 0.2,
    validation: Annotated[
        float, typer.Option(help="Fraction of the other rows for the validation set of early stopping; 0 for none.")
    ] = 0.1,
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    drop: Annotated[Several, typer.Option(help="Column to ignore; repeat it for several.")] = None,
    categorical: Annotated[Several, typer.Option(help="Column to treat as categories; repeat it for several.")] = None,
    numeric: Annotated[Several, typer.Option(help="Column to treat as numbers; repeat it for several.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help='Decimal sign, "." or ",", of numbers that do not tell it.', show_default=False)
    ] = None,
    day_first: Annotated[
        bool | None, typer.Option("--day-first/--month-first", help="Order of dates that do not tell it.")
    ] = None,
    missing: Annotated[Several, typer.Option(help='Text that means a missing value, such as "-".')] = None,
    text: Annotated[
        Several, typer.Option(help="Column to read as texts as they are written, None and NA too; also a target.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    checkpoint: Annotated[
        str | None, typer.Option(help="File to save the run in during training, to resume it if it is stopped.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Save the run after this many epochs.", show_default="every 10 seconds")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --checkpoint, if it exists.")] = False,
) -> None:
    """Train a network on a table, test it on rows held out, and write the model.

    The task that was inferred, and the columns that were left out, are printed first, with the option that changes it.

    Ctrl-C stops after the current epoch and writes the model; a second Ctrl-C stops at once.
    """
    if report and holdout == 0:
        raise ArgumentError("--report: needs held-out rows; use a --holdout greater than 0.")
    out = out or str(Path(Path(table).name.removesuffix(".gz")).with_suffix(".cprop"))
    check_outputs([table], [out, report, checkpoint])
    if resume and checkpoint is not None and not Path(checkpoint).exists():
        typer.echo(f"{checkpoint} does not exist yet: training starts from the beginning")
    model = fit_interruptibly(
        table,
        target,
        task=task,
        drop=drop or (),
        categorical=categorical or (),
        numeric=numeric or (),
        decimal=decimal,
        day_first=day_first,
        missing=missing or (),
        text=text or (),
        hidden=_sizes(hidden),
        activation=activation,
        dropout=dropout,
        optimizer=_optimizer(optimizer, learning_rate),
        batch_size=batch_size,
        epochs=epochs,
        patience=patience,
        penalty=L2(penalty) if penalty else None,
        holdout=holdout,
        validation=validation,
        seed=seed,
        checkpoint=checkpoint,
        every=every,
        resume="auto" if resume else False,
    )
    save_and_report(model, out, report)


def _sizes(hidden: str) -> tuple[int, ...]:
    """The sizes in --hidden.

    >>> _sizes("128, 64"), _sizes("")
    ((128, 64), ())
    """
    try:
        return tuple(int(size) for size in hidden.split(",") if size.strip())
    except ValueError:
        raise ArgumentError(
            f'--hidden: expected whole numbers separated by commas, such as 128,64, got "{hidden}".'
        ) from None


def _optimizer(name: str | None, learning_rate: float | None) -> Optimizer | LBFGS | None:
    """The optimizer of --optimizer and --learning-rate; None for the default of `cp.fit`."""
    if name is None:
        if learning_rate is not None:
            raise ArgumentError("--learning-rate: needs --optimizer, such as --optimizer adam.")
        return None
    optimizer = as_optimizer(name)
    if learning_rate is None:
        return optimizer
    if isinstance(optimizer, LBFGS):
        raise ArgumentError("--learning-rate: L-BFGS has no learning rate; its line search chooses the step.")
    return type(optimizer)(learning_rate)
