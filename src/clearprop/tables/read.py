"""CSV and Parquet files to data frames."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from clearprop.checks import check_that
from clearprop.errors import TableError, suggest
from clearprop.tables.after_fork import safe_after_fork
from clearprop.tables.contents import (
    PACKED_ENDINGS,
    PARQUET,
    PARQUET_ENDINGS,
    TEXT_ENDINGS,
    decode_text,
    refuse_other_kinds,
    refuse_other_name,
    unpack,
)
from clearprop.tables.csv_text import Layout, different_names, lines_of, read_texts
from clearprop.tables.infer import infer_types
from clearprop.tables.marks import MISSING, strip
from clearprop.tables.notation import ReadingRules
from clearprop.tables.parquet import read_parquet
from clearprop.tables.rows import RowsError, name_rows
from clearprop.tables.values import as_written, normalise

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True)
class FileTexts:
    """The columns of a file, those of CSV still as texts, and what the user should know about how it was read.

    `in_doubt` are the signs of which the file does not tell whether they separate decimals: see `infer_types`.
    """

    frame: pl.DataFrame
    in_doubt: str = ""
    notes: tuple[str, ...] = ()
    layout: Layout | None = None


@safe_after_fork
def read_table(
    path: str | os.PathLike[str],
    *,
    text: Sequence[str] = (),
    exact: Sequence[str] = (),
    decimal: str | None = None,
    day_first: bool | None = None,
    missing: Sequence[str] = (),
    separator: str | None = None,
    encoding: str | None = None,
) -> pl.DataFrame:
    """The table in a CSV or Parquet file, which may be packed with gzip, bz2, xz or zip.

    What a file holds is told by its content. CSV text is UTF-8, UTF-16 or Windows-1252 (or in `encoding`); its cells
    are separated by comma, semicolon, tab or | (or by `separator`); lines of title, comment or "sep=;" before the line
    of column names are skipped. The type of a column is inferred from all of its cells, except that the columns named
    in `text` and `exact` stay text: docs/how-to/read-tables.md tells which notations of numbers and dates are known.
    `decimal` ("." or ",") and `day_first` decide where no cell does. White space around texts is stripped; "", "NA",
    "N/A", "NaN", "nan", "null", "NULL", "None", "?" and the texts in `missing` are missing, except that in the columns
    named in `exact` only "" is. Blank lines are skipped. A Parquet file is first decoded in a separate process, because
    some damaged files end the process that decodes them (docs/decisions/0014); for a file that you trust,
    `polars.read_parquet` saves these 0.2 seconds.

    Raises TableError, which names the file and the line, if the file is missing, empty, damaged or not a table, and
    which names the column if numbers or dates are ambiguous.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = file.write_text("age;job;pay\\n30; clerk;2.500,50\\n?;cook;1.900\\n")
    >>> read_table(file).rows()
    [(30, 'clerk', 2500.5), (None, 'cook', 1900.0)]
    """
    rules = ReadingRules.check(decimal, day_first, missing)
    read = read_file(path, exact=exact, missing=rules.missing, separator=separator, encoding=encoding)
    texts = [s for s in read.frame if s.dtype == pl.String and read.layout]
    try:
        return read.frame.with_columns(infer_types(texts, rules, {*text, *exact}, read.in_doubt).columns)
    except RowsError as error:
        lines = lines_of_rows(path, error.rows[:1])
        raise TableError(error.naming(f"{name_rows(lines or error.rows, 'line')} of the file")) from None


def read_file(
    path: str | os.PathLike[str],
    *,
    exact: Sequence[str] = (),
    missing: Sequence[str] = (),
    separator: str | None = None,
    encoding: str | None = None,
) -> FileTexts:
    """The columns of a file; those of a CSV file are stripped texts."""
    file, content = _content(path)
    marks = (*MISSING, *missing)
    if _is_parquet(content, file):
        frame = read_parquet(content, file)
        frame.columns = different_names(frame.columns, str(file))
        frame = pl.DataFrame([as_written(s) if s.name in exact else normalise(s, marks) for s in frame])
        read = FileTexts(frame)
    else:
        read = _csv(content, file, exact, marks, separator, encoding)
    if read.frame.height == 0:
        raise TableError(f"{file}: has column names but no rows; expected at least one row.")
    return read


def lines_of_rows(path: str | os.PathLike[str], rows: Sequence[int] | np.ndarray) -> list[int] | None:
    """The lines of a CSV file at which some rows begin, both in rising order; lines count from 1. None for Parquet."""
    file, content = _content(path)
    return None if _is_parquet(content, file) else lines_of(decode_text(content, file)[0], file, rows)


def _is_parquet(content: bytes, file: Path) -> bool:
    if content.startswith(PARQUET):
        refuse_other_name(file, "a Parquet file", (*PARQUET_ENDINGS, *PACKED_ENDINGS), f"{file.stem}.parquet")
    return content.startswith(PARQUET) or _bare_ending(file) in PARQUET_ENDINGS


def _content(path: str | os.PathLike[str]) -> tuple[Path, bytes]:
    """A file and its unpacked content."""
    if not os.fspath(path):
        raise TableError("data: expected the path of a file, got an empty text.")
    if _ADDRESS.match(os.fspath(path)):
        raise TableError(
            f"{os.fspath(path)}: is an address (URL), and clearprop reads files. Download it first, or pass the data "
            "frame in Python: polars.read_csv(address)."
        )
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise TableError(_not_found(file)) from None
    except OSError as reason:
        raise TableError(f"{file}: cannot be read: {reason.strerror}.") from None
    content = unpack(content, file)
    if not content.strip():
        raise TableError(f"{file}: is empty; expected a line of column names and at least one row.")
    refuse_other_kinds(content, file)
    return file, content


def _bare_ending(file: Path) -> str:
    """The ending of a file name without that of a packed file, in lower case."""
    name = file.name.lower()
    for packed in PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _not_found(file: Path) -> str:
    if not file.parent.is_dir():
        return f"{file}: no such file, and no folder {file.parent}."
    tables = sorted(f.name for f in file.parent.iterdir() if _bare_ending(f) in (*TEXT_ENDINGS, *PARQUET_ENDINGS))
    return f"{file}: no such file. {suggest(file.name, tables)}"


def _csv(
    content: bytes, file: Path, exact: Sequence[str], marks: Sequence[str], separator: str | None, encoding: str | None
) -> FileTexts:
    if _bare_ending(file) not in (*TEXT_ENDINGS, ""):
        expected = ", ".join((*TEXT_ENDINGS, *PARQUET_ENDINGS))
        raise TableError(
            f"{file}: expected a Parquet file, or a text file ending in {expected} (also packed: "
            f'{", ".join(PACKED_ENDINGS)}), got "{file.name}".'
        )
    check_that(separator is None or len(separator.encode()) == 1, 'separator: expected one character, such as ";"')
    content, encoded = decode_text(content, file, encoding)
    raw, layout = read_texts(content, file, separator)
    columns = [as_written(raw[s.name]) if s.name in exact else s for s in _strip_columns(raw, marks)]
    try:
        refuse_header_among_rows(columns, str(file))
    except RowsError as error:
        line = lines_of(content, file, error.rows)[0]
        raise TableError(error.naming(f"line {line} of the file, after line {line - 1}")) from None
    notes = tuple(f"{file}: {note}" for note in (encoded, layout.note) if note)
    return FileTexts(pl.DataFrame(columns), {";": ".,", ",": ""}.get(layout.separator, ","), notes, layout)


def refuse_header_among_rows(columns: Sequence[pl.Series], where: str) -> None:
    """Raise TableError if the line of column names stands again among the rows, as after joining files."""
    if len(columns) < 2 or any(s.dtype != pl.String for s in columns):
        return
    rows = np.flatnonzero((columns[0] == columns[0].name).fill_null(False).to_numpy())
    repeated = [row for row in rows[:1000].tolist() if all(s[row] == s.name for s in columns)]
    if repeated:
        again = f" (and {len(repeated) - 1} more)" if len(repeated) > 1 else ""
        raise RowsError(
            f'{where}: the column names "{columns[0].name}", "{columns[1].name}" ... stand again among the rows, in ',
            np.arange(len(columns[0])) == repeated[0], f"{again}. Were several tables joined? Remove these rows.",
        )  # fmt: skip


def _strip_columns(frame: pl.DataFrame, marks: Sequence[str]) -> list[pl.Series]:
    """All columns of a frame of texts stripped; many short ones are joined to a long one first, which is faster."""
    at_once, columns = max(1, 2**20 // max(1, frame.height)), []
    for start in range(0, frame.width, at_once):
        names = frame.columns[start : start + at_once]
        long = strip(pl.concat([frame[name] for name in names]), marks)
        columns += [long.slice(i * frame.height, frame.height).alias(name) for i, name in enumerate(names)]
    return columns
