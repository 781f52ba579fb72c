"""CSV and Parquet files to data frames."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clearprop.errors import TableError, suggest
from clearprop.tables.values import as_written, infer_type, normalise, strip

if TYPE_CHECKING:
    from _csv import Reader

#: A CSV file may have at most this many columns.
MAX_COLUMNS = 30_000
_CSV, _PARQUET = (".csv", ".tsv", ".csv.gz", ".tsv.gz"), (".parquet", ".pq")


def read_table(path: str | os.PathLike[str], *, text: Sequence[str] = (), exact: Sequence[str] = ()) -> pl.DataFrame:
    """The table in a CSV (`.csv`, `.tsv`, either with `.gz`) or Parquet (`.parquet`, `.pq`) file.

    A CSV file is UTF-8 text with one line of column names; cells are separated by comma, semicolon or tab. The type of
    a column is inferred from all of its cells, except that the columns named in `text` stay text. White space around
    texts is stripped; "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None" and "?" are missing, except that in the
    columns named in `exact`, which are texts, only "" is. Blank lines are
    skipped. A Parquet file is first decoded in a separate process, because some damaged files end the process that
    decodes them (docs/decisions/0014); for a file that you trust, `polars.read_parquet` saves these 0.2 seconds.

    Raises TableError, which names the file and the line, if the file is missing, empty, damaged or not a table.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = file.write_text("age,job\\n30, clerk\\n?,cook\\n")
    >>> read_table(file).rows()
    [(30, 'clerk'), (None, 'cook')]
    """
    file = Path(path)
    ending, content = _content(file)
    if ending in _PARQUET:
        frame = _parquet(content, file, exact)
    else:
        frame = _csv(content, file, text, exact, tabs=ending.startswith(".tsv"))
    if frame.height == 0:
        raise TableError(f"{file}: has column names but no rows; expected at least one row.")
    return frame


def _content(file: Path) -> tuple[str, bytes]:
    """The ending of a file, and its bytes, unpacked."""
    ending = _ending(file)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise TableError(_not_found(file)) from None
    except OSError as reason:
        raise TableError(f"{file}: cannot be read: {reason.strerror}.") from None
    if ending.endswith(".gz"):
        content = _unpack(content, file)
    if not content.strip():
        raise TableError(f"{file}: is empty; expected a line of column names and at least one row.")
    return ending, content


def lines_of_rows(path: str | os.PathLike[str], rows: Sequence[int] | np.ndarray) -> list[int] | None:
    """The lines of a CSV file at which some rows begin, both in rising order; lines count from 1. None for Parquet."""
    ending, content = _content(Path(path))
    if ending in _PARQUET:
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    lines = _lines(content, _separator(content, ending.startswith(".tsv")))
    names, wanted, found, row, begins = None, set(np.asarray(rows).tolist()), [], -1, 1
    for cells in lines:
        if cells or (names is not None and len(names) == 1):  # any other blank line is skipped
            names = cells if names is None else names
            if row in wanted:
                found.append(begins)
            row += 1
        begins = lines.line_num + 1
        if len(found) == len(wanted):
            break
    return found


def _ending(file: Path) -> str:
    name = file.name.lower()
    for ending in sorted((*_CSV, *_PARQUET), key=len, reverse=True):
        if name.endswith(ending):
            return ending
    raise TableError(f'{file}: expected a file ending in {", ".join((*_CSV, *_PARQUET))}, got "{file.name}".')


def _not_found(file: Path) -> str:
    if not file.parent.is_dir():
        return f"{file}: no such file, and no folder {file.parent}."
    tables = sorted(f.name for f in file.parent.iterdir() if f.name.lower().endswith((*_CSV, *_PARQUET)))
    return f"{file}: no such file. {suggest(file.name, tables)}"


def most_unpack(size: int) -> int:
    """The most bytes that a compressed file of this size may unpack to: 100 times as many, plus 32 MiB."""
    return 100 * size + 2**25


def _unpack(content: bytes, file: Path) -> bytes:
    most = most_unpack(len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacking:
            unpacked = unpacking.read(most + 1)
        if len(unpacked) > most:
            raise TableError(
                f"{file}: {len(content):,} bytes unpack to more than {most:,}, which is not plausible for a table. "
                "If it is one, unpack the file first."
            )
        return unpacked
    except (OSError, EOFError, zlib.error) as reason:
        raise TableError(f"{file}: expected a gzip file, but it is damaged or not one: {reason}.") from None


def _parquet(content: bytes, file: Path, exact: Sequence[str]) -> pl.DataFrame:
    _check_parquet(content, file)
    try:
        frame = pl.read_parquet(io.BytesIO(content))
        frame.columns = different_names(frame.columns, str(file))
        return pl.DataFrame([as_written(s) if s.name in exact else normalise(s) for s in frame])
    except (pl.exceptions.PolarsError, OSError) as reason:
        raise TableError(f"{file}: expected a Parquet file, but it is damaged or not one: {reason}.") from None


def _check_parquet(content: bytes, file: Path) -> None:
    """Raise TableError if a separate process cannot decode the file.

    A damaged file may claim sizes at which the decoder aborts its process, which no `except` can catch.
    """
    refused = f"{file}: expected a Parquet file, but it is damaged or not one"
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise TableError(f"{refused}: it does not begin and end with PAR1.")
    most = most_unpack(len(content)) + 2**25  # the memory that decoding itself takes
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    seconds = 5 + len(content) // 2_000_000
    command = [sys.executable, str(Path(__file__).with_name("parquet_trial.py")), str(most), str(seconds)]
    try:
        done = subprocess.run(
            command, input=content, env=environment, capture_output=True, timeout=60 + 10 * seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise TableError(f"{refused}: decoding did not finish within {60 + 10 * seconds} seconds.") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["the decoder exited without a message"]
        raise TableError(f"{refused}: {lines[0][:200]} (the decoder may use {most:,} bytes and {seconds} s).")


def _csv(content: bytes, file: Path, text: Sequence[str], exact: Sequence[str], *, tabs: bool) -> pl.DataFrame:
    content = content.removeprefix(b"\xef\xbb\xbf")
    _check_text(content, file)
    separator = _separator(content, tabs)
    names = _header(content, separator, file)
    try:
        raw = pl.read_csv(io.BytesIO(content), separator=separator, infer_schema_length=0, has_header=True)
    except pl.exceptions.PolarsError as reason:
        _check_row_lengths(content, separator, names, file)
        raise TableError(f"{file}: cannot be read as a CSV file: {reason}.") from None
    if raw.width != len(names):
        raise TableError(
            f"{file}: the line of column names is ambiguous: {len(names)} or {raw.width} cells. Is there a line end "
            "within a name, or a quote in the middle of one?"
        )
    raw.columns = names
    blank = array("q")
    # Polars fills a short row with missing cells; only if the last column has some, every line must be checked.
    if raw.height and raw[names[-1]].null_count():
        blank = _check_row_lengths(content, separator, names, file, raw.height)
    if blank:
        is_row = np.ones(raw.height, bool)
        is_row[np.frombuffer(blank, np.int64)] = False
        raw = raw.filter(pl.Series(is_row))
    columns = [as_written(raw[s.name]) if s.name in exact else s for s in _strip_columns(raw)]
    kept = {*text, *exact}
    return pl.DataFrame([s if s.name in kept else infer_type(s, decimal_comma=separator == ";") for s in columns])


def _separator(content: bytes, tabs: bool) -> str:
    first = content.lstrip().partition(b"\n")[0]
    return "\t" if tabs else (";" if b";" in first and b"," not in first else ",")


def _strip_columns(frame: pl.DataFrame) -> list[pl.Series]:
    """All columns of a frame of texts stripped; many short ones are joined to a long one first, which is faster."""
    at_once, columns = max(1, 2**20 // max(1, frame.height)), []
    for start in range(0, frame.width, at_once):
        names = frame.columns[start : start + at_once]
        long = strip(pl.concat([frame[name] for name in names]))
        columns += [long.slice(i * frame.height, frame.height).alias(name) for i, name in enumerate(names)]
    return columns


def _check_text(content: bytes, file: Path) -> None:
    try:
        characters = content.decode("utf-8")
    except UnicodeDecodeError as reason:
        line = content[: reason.start].count(b"\n") + 1
        raise TableError(
            f"{file}: line {line} is not UTF-8 text (byte 0x{content[reason.start]:02x}). "
            "If this is a CSV file, save it again with the encoding UTF-8."
        ) from None
    if "\0" in characters:
        line = characters[: characters.index("\0")].count("\n") + 1
        raise TableError(f"{file}: expected text, got binary data (a zero byte in line {line}). Is this a CSV file?")


def _lines(content: bytes, separator: str) -> Reader:
    """The cells of each line. A cell may hold line ends between its quotes."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=separator)


def _header(content: bytes, separator: str, file: Path) -> list[str]:
    """The column names, each different; a nameless column is called by its number."""
    try:
        names = next((cells for cells in _lines(content, separator) if cells), [])
    except csv.Error as reason:
        raise TableError(f"{file}: the line of column names cannot be read: {reason}.") from None
    if len(names) > MAX_COLUMNS:
        raise TableError(f"{file}: has {len(names):,} columns, more than the {MAX_COLUMNS:,} that a table may have.")
    return different_names(names, str(file))


def different_names(names: Sequence[Any], where: str) -> list[str]:
    """Column names as texts without white space around them; a nameless column is called by its number.

    Raises TableError if a name occurs twice.

    >>> different_names([" age", 7, ""], "people.csv")
    ['age', '7', 'column 3']
    """
    texts = ("" if name is None else str(name).strip() for name in names)
    bare = [name or f"column {number}" for number, name in enumerate(texts, start=1)]
    for name, times in Counter(bare).items():
        if times > 1:
            numbers = [str(i) for i, other in enumerate(bare, start=1) if other == name]
            raise TableError(
                f'{where}: the column name "{name}" occurs {times} times (columns {", ".join(numbers)}); '
                "give each column its own name."
            )
    return bare


def _check_row_lengths(
    content: bytes, separator: str, names: list[str], file: Path, height: int | None = None
) -> array[int]:
    """The indices of the blank rows; raises TableError at the first row that is not as long as the header.

    `height` is the number of rows that Polars read, if known.
    """
    lines, blank, row = _lines(content, separator), array("q"), -1
    try:
        for cells in lines:
            if row < 0 and not cells:
                continue  # a blank line before the column names
            if not cells and len(names) > 1:
                blank.append(row)
            elif len(cells) != len(names) and len(names) > 1:
                raise TableError(
                    f"{file}: line {lines.line_num}: expected {len(names)} cells as in the line of column names, got "
                    f"{len(cells)}. Is a separator missing or one too many, a text with a comma not in quotes, or a "
                    "quote never closed?"
                )
            row += 1
    except csv.Error as reason:
        raise TableError(f"{file}: line {lines.line_num} cannot be read: {reason}.") from None
    if height is not None and blank and height <= blank[-1]:
        raise TableError(
            f"{file}: the number of rows is ambiguous: {row} or {height}. Is there a line that ends with a carriage "
            "return alone, or a quote in the middle of a cell?"
        )
    return blank
