"""The command line: train, predict, evaluate, explain, check, summary, warmup, demo and gallery.

A mistake of the user is answered on standard error without a traceback, with exit code 2. Files are written whole or
not at all.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer

from clearprop.activations import ACTIVATIONS
from clearprop.datasets import digits
from clearprop.engine.warmup import is_warm
from clearprop.engine.warmup import warmup as compile_ahead
from clearprop.errors import ArgumentError, ClearpropError, suggest
from clearprop.explain.diagnosis import diagnose
from clearprop.explain.gradient_check import check_gradients
from clearprop.gallery import script, scripts
from clearprop.model.model import HeldOut, Model, encode, fit
from clearprop.optimizers import OPTIMIZERS
from clearprop.serialization.atomic import write_atomically
from clearprop.tables import as_frame
from clearprop.training.callbacks import EpochEnd

app = typer.Typer(
    name="clearprop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Table = Annotated[str, typer.Argument(help="A table: CSV, TSV (.gz as well) or Parquet.", show_default=False)]
ModelPath = Annotated[str, typer.Argument(help="A model file written by clearprop train.", show_default=False)]
Several = list[str] | None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clearprop {metadata.version('clearprop')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Feedforward networks trained by backpropagation, from a table to a model and a report."""


@app.command()
def train(
    table: Table,
    target: Annotated[list[str], typer.Option(help="Column to predict; repeat it for several.", show_default=False)],
    out: Annotated[str | None, typer.Option(help="Model file to write.", show_default="TABLE with .cprop")] = None,
    report: Annotated[str | None, typer.Option(help="HTML report to write.")] = None,
    hidden: Annotated[str, typer.Option(help='Units of the hidden layers; "" for none.')] = "128,64",
    activation: Annotated[str, typer.Option(help=f"Of the hidden layers: {', '.join(ACTIVATIONS)}.")] = "relu",
    dropout: Annotated[
        float | None, typer.Option(help="Share of hidden activations set to 0 in training.", show_default="0.1")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"{', '.join(OPTIMIZERS)}.", show_default="adamw with warm-up and cosine")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of --optimizer.", show_default="its own")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows in a step.", show_default="32 to 256, by the rows")
    ] = None,
    epochs: Annotated[int, typer.Option(help="At most so many passes over the rows.")] = 60,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better validation cost.")] = 12,
    l2: Annotated[float, typer.Option(help="L2 penalty on the weights.")] = 0.0,
    holdout: Annotated[float, typer.Option(help="Share of the rows kept apart to test the result; 0 for none.")] = 0.2,
    validation: Annotated[float, typer.Option(help="Share of the other rows that says when to stop.")] = 0.1,
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    drop: Annotated[Several, typer.Option(help="Column to leave out; repeat it for several.")] = None,
    categorical: Annotated[Several, typer.Option(help="Column to take as categories; repeat it for several.")] = None,
    numeric: Annotated[Several, typer.Option(help="Column to take as numbers; repeat it for several.")] = None,
    seed: Annotated[int, typer.Option(help="All that is random follows from it.")] = 0,
    checkpoint: Annotated[
        str | None, typer.Option(help="File to save the run in while it goes on, to be resumed if it is stopped.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Save it after so many epochs.", show_default="every 10 seconds")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --checkpoint, if there.")] = False,
) -> None:
    """Train a network on a table, test it on rows held out, and write the model.

    Ctrl-C stops after the present epoch and writes what was learnt; a second one stops at once.
    """
    if report and holdout == 0:
        raise ArgumentError("--report: shows rows held out, and with --holdout 0 no rows are held out.")
    out = out or str(Path(Path(table).name.removesuffix(".gz")).with_suffix(".cprop"))
    _keep_apart([table], [out, report, checkpoint])
    if resume and checkpoint is not None and not Path(checkpoint).exists():
        typer.echo(f"{checkpoint} is not there yet: training begins from the start")
    model = _fit(
        table,
        target,
        task=task,
        drop=drop or (),
        categorical=categorical or (),
        numeric=numeric or (),
        hidden=_sizes(hidden),
        activation=activation,
        dropout=dropout,
        optimizer=_optimizer(optimizer, learning_rate),
        batch_size=batch_size,
        epochs=epochs,
        patience=patience,
        l2=l2,
        holdout=holdout,
        validation=validation,
        seed=seed,
        checkpoint=checkpoint,
        every=every,
        resume="auto" if resume else False,
    )
    _finish_training(model, out, report)


@app.command()
def demo(folder: Annotated[str, typer.Argument(help="Folder for the model and the report.")] = "demo") -> None:
    """Train on scikit-learn's handwritten digits, and write the model and the report into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    typer.echo("1,797 handwritten digits of 8 x 8 pixels (UCI, as scikit-learn ships them)")
    model = _fit(digits(), "digit")
    _finish_training(model, str(Path(folder, "digits.cprop")), str(Path(folder, "digits.html")))


@app.command()
def gallery(
    name: Annotated[str | None, typer.Argument(help="Example to run.", show_default="list them")] = None,
    seeds: Annotated[int | None, typer.Option(help="Starts a study trains from.", show_default="30")] = None,
    picture: Annotated[str | None, typer.Option(help="SVG file to write what was learnt to.")] = None,
) -> None:
    """List the worked examples and problems from the literature, or run one."""
    if name is None:
        if seeds is not None or picture is not None:
            raise ArgumentError("gallery: --seeds and --picture belong to an example; name one.")
        known = scripts()
        wide = max(map(len, known))
        for listed in known.values():
            typer.echo(f"{listed.name:{wide}s}  {listed.about}")
        return
    chosen = script(name)
    _keep_apart([], [picture])
    chosen.run(seeds, picture)
    if picture is not None:
        typer.echo(f"picture written to {picture}")


@app.command()
def predict(
    model: ModelPath,
    table: Table,
    out: Annotated[
        str | None, typer.Option(help="CSV or Parquet file to write.", show_default="standard output")
    ] = None,
    with_inputs: Annotated[bool, typer.Option("--with-inputs", help="Write the table's own columns too.")] = False,
) -> None:
    """Predict a target for every row, with the probability of each class."""
    _keep_apart([model, table], [out])
    if out is not None and not out.endswith((".csv", ".parquet", ".pq")):
        raise ArgumentError(f"--out: expected a name that ends in .csv, .parquet or .pq, got {out}.")
    loaded = Model.load(model)
    frame = as_frame(table, text=loaded.known_encoding.text_columns)
    predictions = pl.DataFrame(loaded.predict(frame))
    if with_inputs:
        predictions = _beside(frame.to_native(), predictions)
    if out is None:
        sys.stdout.write(predictions.write_csv())
        return
    content = io.BytesIO()
    if out.endswith((".parquet", ".pq")):
        predictions.write_parquet(content)
    else:
        predictions.write_csv(content)
    write_atomically(out, content.getvalue())
    typer.echo(f"{len(predictions):,} predictions written to {out}")


@app.command()
def evaluate(
    model: ModelPath,
    table: Table,
    report: Annotated[str | None, typer.Option(help="HTML report on these rows to write.")] = None,
) -> None:
    """Compare predictions with the target column: metrics, and confusion matrix or residuals."""
    _keep_apart([model, table], [report])
    loaded = Model.load(model)
    frame = as_frame(table, text=loaded.known_encoding.text_columns)
    X, y = encode(loaded.known_encoding, frame, loaded.params.dtype)
    typer.echo(str(loaded.judge(X, y)))
    if report:
        from clearprop.report import write_report  # takes time to import, and most commands draw nothing

        write_report(loaded, X, y, report, evaluated_on=f"{len(X):,} rows of {Path(table).name}")
        typer.echo(f"\nreport written to {report}")


@app.command()
def summary(model: ModelPath) -> None:
    """Show layers, wiring, shapes, parameters, columns, and how the model was trained."""
    typer.echo(str(Model.load(model)))


@app.command()
def warmup() -> None:
    """Compile ahead all that training and prediction need, once on a machine, in an image or before tests."""
    typer.echo(str(compile_ahead()))


@app.command()
def explain(
    model: ModelPath,
    table: Table,
    row: Annotated[int, typer.Option(help="Row of the table, counted from 0.")] = 0,
    rows: Annotated[str | None, typer.Option(help="A batch of rows instead, such as 0:8 (8 left out).")] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            help='Derive one: a weight "hidden[3] <- age", a bias "hidden[3].b", a unit "hidden[3]", an input.'
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate of the update that is shown.", show_default="0.1 in a worked step, else no update"
        ),
    ] = None,
    paths: Annotated[
        int | None, typer.Option(help="List every path of --weight, if there are at most so many.")
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(help="Write the worked step (.html or .tex), or the derivation of --weight (.md as well)."),
    ] = None,
) -> None:
    """Show rows on their way through the network and back, or derive one gradient by the chain rule.

    Without --weight: z, a, error signal, delta and gradients of each layer.

    With --document, and a small network: one whole training step as a worked solution.
    """
    from clearprop.cli.explain import explain_rows, for_terminal  # most commands write no mathematics

    _keep_apart([model, table], [document])
    text = explain_rows(model, table, row, rows, weight, learning_rate, paths, document)
    typer.echo(for_terminal(text.rstrip("\n"), sys.stdout.encoding))


@app.command()
def check(
    model: ModelPath,
    table: Table,
    rows: Annotated[int, typer.Option(help="Rows of the table to use.", min=1)] = 8,
    parameters: Annotated[
        int, typer.Option(help="Most parameters to check one by one; more go along random directions.", min=0)
    ] = 4000,
) -> None:
    """Check the gradient of every W and b against values of the cost; exit code 1 if one disagrees."""
    loaded = Model.load(model)
    frame = as_frame(table, text=loaded.known_encoding.text_columns)
    X, y = encode(loaded.known_encoding, frame[list(range(min(rows, frame.shape[0])))], np.dtype("float64"))
    directions = 4 if loaded.net.parameter_count > parameters else 0
    verdict = check_gradients(loaded.net, loaded.params, X, y, loss=loaded.loss, directions=directions)
    typer.echo(str(verdict))
    if not verdict.ok:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 where the user can mend something."""
    try:
        app(arguments, prog_name="clearprop")
    except ClearpropError as reason:
        typer.echo(f"clearprop: {reason}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)


def _fit(table: Any, target: Any, **options: Any) -> Model:
    """Train; the first Ctrl-C ends that after the present epoch, the second one at once."""
    asked = []
    if not is_warm():
        typer.echo("compiling the training loop, once on this machine: some 10 seconds", err=True)

    def arrive(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        typer.echo("\nstopping after this epoch; Ctrl-C again stops at once", err=True)

    def stop(end: EpochEnd) -> str | None:
        return "stopped by Ctrl-C" if asked else None

    before = signal.getsignal(signal.SIGINT)
    if callable(before):  # else the signal is ignored, as it is for commands in the background
        signal.signal(signal.SIGINT, arrive)
    try:
        return fit(table, target, callbacks=stop, **options)
    except (KeyboardInterrupt, SystemExit):
        kept = options.get("checkpoint")
        how = f"{kept} holds the run: the same command with --resume goes on with it" if kept else "nothing is written"
        typer.echo(f"clearprop: interrupted, {how}", err=True)
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _finish_training(model: Model, out: str, report: str | None) -> None:
    assert model.history is not None
    kept = model.history.best_epoch
    best = "" if kept is None else f"; kept the parameters of epoch {kept + 1}"
    if model.encoding is not None:
        typer.echo(f"{model.encoding.task_reason}")
    typer.echo(f"{model.history.stopped}{best} ({model.settings['seconds']:.1f} s)\n")
    if model.held_out is not None:
        judged = model.judge(model.held_out.X, model.held_out.y)
        typer.echo(f"on {model.held_out.what}, which training never saw:\n{judged}\n")
        _warn(model, model.held_out)
    model.save(out)
    typer.echo(f"model  {out}")
    if report:
        model.report(report)
        typer.echo(f"report {report}")


def _warn(model: Model, rows: HeldOut) -> None:
    """Print what is off, if anything is; hints are left to the report."""
    columns = model.known_encoding.input_names
    found = diagnose(model.net, model.params, rows.X, rows.y, model.loss, history=model.history, columns=columns)
    off = [finding for finding in found if finding.severity != "hint"]
    if off:
        typer.echo("\n".join(["Worth a look:", *map(str, off), ""]))


def _keep_apart(read: Sequence[str], written: Sequence[str | None]) -> None:
    """Refuse, before any work, to write over what is read, into a folder that is missing, or one file twice."""
    taken = {Path(path).resolve(): path for path in read}
    for path in filter(None, written):
        if Path(path).resolve() in taken:
            raise ArgumentError(f"{path}: is read or written already by this command; choose another name to write to.")
        if not Path(path).parent.is_dir() or Path(path).is_dir():
            what = "is a folder" if Path(path).is_dir() else f"the folder {Path(path).parent} does not exist"
            raise ArgumentError(f"{path}: cannot be written, {what}.")
        taken[Path(path).resolve()] = path


def _sizes(hidden: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in hidden.split(",") if size.strip())
    except ValueError:
        raise ArgumentError(
            f'--hidden: expected whole numbers with commas between, such as 128,64, got "{hidden}".'
        ) from None


def _optimizer(name: str | None, learning_rate: float | None) -> Any:
    if name is None:
        if learning_rate is not None:
            raise ArgumentError("--learning-rate: belongs to --optimizer; name that too, such as --optimizer adam.")
        return None
    if name not in OPTIMIZERS:
        raise ArgumentError(f'--optimizer: "{name}" is no optimizer. {suggest(name, OPTIMIZERS)}')
    if learning_rate is None:
        return OPTIMIZERS[name]()
    if name == "lbfgs":
        raise ArgumentError("--learning-rate: L-BFGS finds its own step and takes no learning rate.")
    made: Any = OPTIMIZERS[name]  # L-BFGS, refused above, is the one that takes no learning rate
    return made(learning_rate)


def _beside(table: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """The table's columns, then the predictions, renamed where both have a column."""
    both = {name: f"predicted {name}" for name in predictions.columns if name in table.columns}
    return pl.concat([table, predictions.rename(both)], how="horizontal")
