"""The command `clearprop explain`: a trace, a derivation or a worked solution of rows of a table."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from clearprop.cli.arguments import ModelPath, Table, check_outputs
from clearprop.core.trace import Trace, backpropagate
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.column import column_gradient
from clearprop.explain.derivation.names import names_of_table
from clearprop.explain.derivation.text import to_ascii
from clearprop.explain.worked.solution import MOST_SUMS, count_sums, worked_solution, write_document
from clearprop.model import Model
from clearprop.tables import TableEncoding
from clearprop.terminal import wrap


def explain(
    model: ModelPath,
    table: Table,
    row: Annotated[int, typer.Option(help="Row of the table, counted from 0.")] = 0,
    rows: Annotated[str | None, typer.Option(help="A batch of rows instead, such as 0:8 for rows 0 to 7.")] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            help='Derive one: a weight "hidden[3] <- age", a bias "hidden[3].b", a unit "hidden[3]", an input; '
            "for a column of the table, the sum over its inputs."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate of the update that is shown.", show_default="0.1 in a worked step, else no update"
        ),
    ] = None,
    paths: Annotated[
        int | None, typer.Option(help="List every path of --weight, if there are at most this many.")
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(help="Write the worked step (.html or .tex), or the derivation of --weight (.md as well)."),
    ] = None,
) -> None:
    """Show the forward and backward sweep of rows, or derive one gradient by the chain rule.

    Without --weight: z, a, error signal, delta and gradients of each layer.

    With --document, and a small network: one whole training step as a worked solution.
    """
    check_outputs([model, table], [document])
    if paths is not None and weight is None:
        raise ArgumentError('--paths: needs --weight, such as --weight "hidden[0] <- input[0]".')
    if learning_rate is not None and weight is None and document is None:
        raise ArgumentError("--learning-rate: needs --weight or --document.")
    loaded = Model.load(model)
    encoding = loaded.require_encoding()
    known = encoding.table(table)
    chosen = select_rows(row, rows, len(known))
    taken = known.take(chosen)
    X, y = loaded.encode(taken, "float64")  # float64, so that all printed digits are right
    trace = backpropagate(loaded.net, loaded.params.astype("float64"), X, y, loss=loaded.loss)
    names = names_of_table(encoding, loaded.net)
    column = weight.strip() if weight is not None and weight.strip() in encoding.columns else None
    if reason := dict(encoding.left_out).get((weight or "").strip()):
        raise ArgumentError(f'--weight: the column "{weight}" was left out of this model: {reason}.')
    if column is not None:
        text = wrap(str(column_gradient(trace, encoding, column, taken)))
        if (paths, document, learning_rate) != (None, None, None):
            text += f"\n\n{_derive(trace, names, _only_input(encoding, column), learning_rate, paths, document)}"
    elif weight is not None:
        text = _derive(trace, names, weight, learning_rate, paths, document)
    elif document is not None:
        text = _write_solution(trace, names, chosen, learning_rate, document)
    else:
        text = str(trace)
    typer.echo(for_terminal(text.rstrip("\n"), sys.stdout.encoding))


def _derive(
    trace: Trace,
    names: dict[str, tuple[str, ...]],
    weight: str,
    learning_rate: float | None,
    paths: int | None,
    document: str | None,
) -> str:
    """The derivation of one gradient as text, or its paths, or written to a document."""
    from clearprop.explain.worked.pages import derivation_document, derivation_page  # most commands write no pages

    derivation = trace.derivation(weight, learning_rate=learning_rate, names=names)
    if paths is not None:
        return wrap(derivation.path_list(paths))
    if document is None:
        return wrap(derivation.text())
    write_document(
        document,
        html=lambda: derivation_page(derivation),
        latex=lambda: derivation_document(derivation),
        markdown=derivation.markdown,
    )
    return f"{derivation.title} written to {document}"


def _only_input(encoding: TableEncoding, column: str) -> str:
    """The one input of a column; ArgumentError if there are several."""
    place = encoding.columns[column]
    if place.stop - place.start > 1:
        raise ArgumentError(
            f'--weight: the column "{column}" has {place.stop - place.start} inputs; --paths, --document and '
            f"--learning-rate need one of them, input[{place.start}] to input[{place.stop - 1}]."
        )
    return f"input[{place.start}]"


def _write_solution(
    trace: Trace, names: dict[str, tuple[str, ...]], rows: list[int], learning_rate: float | None, document: str
) -> str:
    """Write the worked solution of one step."""
    if count_sums(trace) > MOST_SUMS:
        raise ArgumentError(
            f"--document: a whole step of this network has {count_sums(trace):,} sums to write out, more than "
            f'{MOST_SUMS}. Name one gradient, such as --weight "{names["input"][0]}", take fewer --rows, or train a '
            "smaller network, such as --hidden 4."
        )
    which = f"row {rows[0]}" if len(rows) == 1 else f"rows {rows[0]} to {rows[-1]}"
    title = f"One step of backpropagation, {which}"
    worked_solution(trace, 0.1 if learning_rate is None else learning_rate, names=names, title=title).save(document)
    return f"worked solution of {which} written to {document}"


def select_rows(row: int, rows: str | None, count: int) -> list[int]:
    """The row numbers of --row, or of --rows first:last without the last.

    >>> select_rows(3, None, 10), select_rows(0, "2:5", 10)
    ([3], [2, 3, 4])
    """
    if rows is None:
        if not 0 <= row < count:
            raise ArgumentError(f"--row: expected a row from 0 to {count - 1}, got {row}.")
        return [row]
    match = re.fullmatch(r"([0-9]{1,12}):([0-9]{1,12})", rows)
    if match is None or not int(match[1]) < int(match[2]) <= count:
        raise ArgumentError(
            f"--rows: expected first:last with rows from 0 to {count}, last excluded, such as 0:{min(8, count)}, got "
            f'"{rows}".'
        )
    return list(range(int(match[1]), int(match[2])))


def for_terminal(text: str, encoding: str | None) -> str:
    """The text in characters that the encoding of the terminal has; mathematical signs are spelled out if needed.

    >>> for_terminal("∂J/∂w", "ascii")
    'dJ/dw'
    """
    known = encoding or "ascii"
    try:
        text.encode(known)
    except UnicodeEncodeError:
        return to_ascii(text).encode(known, "backslashreplace").decode(known)
    return text
