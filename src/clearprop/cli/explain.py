"""What `clearprop explain` shows: a trace, a derivation or a worked solution of rows of a table."""

from __future__ import annotations

import re

import numpy as np

from clearprop.core.trace import Trace, backpropagate
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import names_of_table
from clearprop.explain.derivation.text import to_ascii
from clearprop.explain.worked.pages import derivation_document, derivation_page
from clearprop.explain.worked.solution import MOST_SUMS, count_sums, worked_solution, write_document
from clearprop.model.model import Model, encode
from clearprop.tables import as_frame


def explain_rows(
    model: str,
    table: str,
    row: int,
    rows: str | None,
    weight: str | None,
    learning_rate: float | None,
    paths: int | None,
    document: str | None,
) -> str:
    """The text to print; a document is written on the way. Raises ClearpropError for what cannot be used."""
    loaded = Model.load(model)
    encoding = loaded.known_encoding
    frame = as_frame(table, text=encoding.text_columns)
    chosen = chosen_rows(row, rows, frame.shape[0])
    if paths is not None and weight is None:
        raise ArgumentError('--paths: belongs to --weight; name that too, such as --weight "hidden[0] <- input[0]".')
    if learning_rate is not None and weight is None and document is None:
        raise ArgumentError("--learning-rate: belongs to --weight or --document; name one of them too.")
    X, y = encode(encoding, frame[chosen], np.dtype("float64"))  # float64, so that all digits shown are right
    trace = backpropagate(loaded.net, loaded.params.astype("float64"), X, y, loss=loaded.loss)
    names = names_of_table(encoding, loaded.net)
    if weight is not None:
        return _explain_one(trace, names, weight, learning_rate, paths, document)
    if document is None:
        return str(trace)
    if count_sums(trace) > MOST_SUMS:
        raise ArgumentError(
            f"--document: a whole step of this network has {count_sums(trace):,} sums to write out, and a page holds "
            f'{MOST_SUMS}. Name one gradient, such as --weight "{names["input"][0]}", take fewer --rows, or train a '
            "smaller network, such as --hidden 4."
        )
    which = f"row {chosen[0]}" if len(chosen) == 1 else f"rows {chosen[0]} to {chosen[-1]}"
    title = f"One step of backpropagation, {which}"
    worked_solution(trace, 0.1 if learning_rate is None else learning_rate, names=names, title=title).save(document)
    return f"worked solution of {which} written to {document}"


def _explain_one(
    trace: Trace,
    names: dict[str, tuple[str, ...]],
    weight: str,
    learning_rate: float | None,
    paths: int | None,
    document: str | None,
) -> str:
    derivation = trace.derivation(weight, learning_rate=learning_rate, names=names)
    if paths is not None:
        return derivation.path_list(paths)
    if document is None:
        return derivation.text()
    write_document(
        document,
        html=lambda: derivation_page(derivation),
        latex=lambda: derivation_document(derivation),
        markdown=derivation.markdown,
    )
    return f"{derivation.title} written to {document}"


def chosen_rows(row: int, rows: str | None, count: int) -> list[int]:
    """The rows that --row or --rows A:B mean, B left out.

    >>> chosen_rows(3, None, 10), chosen_rows(0, "2:5", 10)
    ([3], [2, 3, 4])
    """
    if rows is None:
        if not 0 <= row < count:
            raise ArgumentError(f"--row: expected a row from 0 to {count - 1}, got {row}.")
        return [row]
    match = re.fullmatch(r"([0-9]{1,12}):([0-9]{1,12})", rows)
    if match is None or not int(match[1]) < int(match[2]) <= count:
        raise ArgumentError(
            f"--rows: expected first:last with rows from 0 to {count} such as 0:{min(8, count)}, the last one left "
            f'out, got "{rows}".'
        )
    return list(range(int(match[1]), int(match[2])))


def for_terminal(text: str, encoding: str | None) -> str:
    """The text as a terminal of that encoding can show it: with its signs, or spelt out.

    >>> for_terminal("∂J/∂w", "ascii")
    'dJ/dw'
    """
    known = encoding or "ascii"
    try:
        text.encode(known)
    except UnicodeEncodeError:
        return to_ascii(text).encode(known, "backslashreplace").decode(known)
    return text
