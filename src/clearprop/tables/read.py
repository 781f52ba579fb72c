"""Files to frames: CSV and Parquet, each read once."""

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

import narwhals as nw
import numpy as np
import polars as pl

from clearprop.errors import TableError, suggest
from clearprop.tables.plain import cleaned
from clearprop.tables.texts import inferred, stripped_columns

if TYPE_CHECKING:
    from _csv import Reader

#: The most columns of a CSV file.
MAX_COLUMNS = 30_000
_CSV, _PARQUET = (".csv", ".tsv", ".csv.gz", ".tsv.gz"), (".parquet", ".pq")


def read_table(path: str | os.PathLike[str], *, text: Sequence[str] = ()) -> nw.DataFrame[Any]:
    """The table in a CSV (`.csv`, `.tsv`, either with `.gz`) or Parquet (`.parquet`, `.pq`) file.

    A CSV file is UTF-8 with one line of column names; comma, semicolon or tab between the cells. The type of a column
    is found from all of its cells, except that the columns named in `text` stay text. White space around texts is
    stripped; "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None" and "?" are missing. Lines without anything are
    skipped.

    Raises TableError when the file is missing, empty, damaged or no table; it says where.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = file.write_text("age,job\\n30, clerk\\n?,cook\\n")
    >>> read_table(file).rows()
    [(30, 'clerk'), (None, 'cook')]
    """
    file = Path(path)
    ending = _ending(file)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise TableError(_not_found(file)) from None
    except OSError as reason:
        raise TableError(f"{file}: cannot be read: {reason.strerror}.") from None
    if ending.endswith(".gz"):
        content = _unpacked(content, file)
    if not content.strip():
        raise TableError(f"{file}: is empty; expected a line of column names and at least one row.")
    if ending in _PARQUET:
        frame = nw.from_native(_parquet(content, file), eager_only=True)
    else:
        frame = nw.from_native(_csv(content, file, text, tabs=ending.startswith(".tsv")), eager_only=True)
    if frame.shape[0] == 0:
        raise TableError(f"{file}: has column names but no rows; expected at least one row.")
    return frame


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


def most_unpacked(size: int) -> int:
    """How many bytes a compressed file of this size may hold: 100 times as many, and 32 MiB."""
    return 100 * size + 2**25


def _unpacked(content: bytes, file: Path) -> bytes:
    most = most_unpacked(len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacking:
            found = unpacking.read(most + 1)
        if len(found) > most:
            raise TableError(
                f"{file}: holds more than {most:,} bytes in {len(content):,}, which no table does. Unpack it first "
                "if it is one all the same."
            )
        return found
    except (OSError, EOFError, zlib.error) as reason:
        raise TableError(f"{file}: expected a whole gzip file, but it is damaged or not one: {reason}.") from None


def _parquet(content: bytes, file: Path) -> pl.DataFrame:
    _try_parquet(content, file)
    try:
        return pl.DataFrame([cleaned(series) for series in pl.read_parquet(io.BytesIO(content))])
    except (pl.exceptions.PolarsError, OSError) as reason:
        raise TableError(f"{file}: expected a Parquet file, but it is damaged or not one: {reason}.") from None


def _try_parquet(content: bytes, file: Path) -> None:
    """Raise a TableError for what is no Parquet file, or one that a process of its own could not decode.

    A damaged file may claim sizes at which the decoder ends its process, whoever called it.
    """
    refused = f"{file}: expected a Parquet file, but it is damaged or not one"
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise TableError(f"{refused}: it does not begin and end with PAR1.")
    most = most_unpacked(len(content)) + 2**25  # what decoding itself takes
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    seconds = 5 + len(content) // 2_000_000
    command = [sys.executable, str(Path(__file__).with_name("trial.py")), str(most), str(seconds)]
    try:
        done = subprocess.run(
            command, input=content, env=environment, capture_output=True, timeout=60 + 10 * seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise TableError(f"{refused}: after {60 + 10 * seconds} seconds it was not decoded.") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["its decoding ended without a word"]
        raise TableError(f"{refused}: {said[0][:200]} (with at most {most:,} bytes and {seconds} s to decode it).")


def _csv(content: bytes, file: Path, text: Sequence[str], *, tabs: bool) -> pl.DataFrame:
    content = content.removeprefix(b"\xef\xbb\xbf")
    _refuse_junk(content, file)
    first = content.lstrip().partition(b"\n")[0]
    between = "\t" if tabs else (";" if b";" in first and b"," not in first else ",")
    names = _header(content, between, file)
    try:
        raw = pl.read_csv(io.BytesIO(content), separator=between, infer_schema_length=0, has_header=True)
    except pl.exceptions.PolarsError as reason:
        _refuse_ragged(content, between, names, file)
        raise TableError(f"{file}: is not a CSV file that can be read: {reason}.") from None
    if raw.width != len(names):
        raise TableError(
            f"{file}: the line of column names has {len(names)} cells or {raw.width}, by how it is read. Is there a "
            "line end within a name, or a quote in the middle of one?"
        )
    raw.columns = names
    blank = array("q")
    # A row that is too short shows as missing cells at its end; only then is a look at every line needed.
    if raw.height and raw[names[-1]].null_count():
        blank = _refuse_ragged(content, between, names, file, raw.height)
    if blank:
        kept = np.ones(raw.height, bool)
        kept[np.frombuffer(blank, np.int64)] = False
        raw = raw.filter(pl.Series(kept))
    bare = stripped_columns(raw)
    return pl.DataFrame([s if s.name in text else inferred(s, decimal_comma=between == ";") for s in bare])


def _refuse_junk(content: bytes, file: Path) -> None:
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as reason:
        line = content[: reason.start].count(b"\n") + 1
        raise TableError(
            f"{file}: line {line} is not UTF-8 text (byte 0x{content[reason.start]:02x}). "
            "If this is a CSV file, save it again with the encoding UTF-8."
        ) from None
    if "\0" in whole:
        line = whole[: whole.index("\0")].count("\n") + 1
        raise TableError(f"{file}: expected text, got binary data (a zero byte in line {line}). Is this a CSV file?")


def _lines(content: bytes, between: str) -> Reader:
    """The cells of each line. A cell may hold line ends between its quotes."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=between)


def _header(content: bytes, between: str, file: Path) -> list[str]:
    """The column names, of which none may occur twice; a nameless column is called by its place."""
    try:
        names = next((cells for cells in _lines(content, between) if cells), [])
    except csv.Error as reason:
        raise TableError(f"{file}: the line of column names cannot be read: {reason}.") from None
    if len(names) > MAX_COLUMNS:
        raise TableError(f"{file}: has {len(names):,} columns, more than the {MAX_COLUMNS:,} that a table may have.")
    bare = [name.strip() or f"column {number}" for number, name in enumerate(names, start=1)]
    for name, times in Counter(bare).items():
        if times > 1:
            places = [str(i) for i, other in enumerate(bare, start=1) if other == name]
            raise TableError(
                f'{file}: the column name "{name}" occurs {len(places)} times (columns {", ".join(places)}); '
                "give each column its own name."
            )
    return bare


def _refuse_ragged(content: bytes, between: str, names: list[str], file: Path, height: int | None = None) -> array[int]:
    """Raise TableError at the first row of another length than the header; else the numbers of the blank rows.

    `height` is how many rows were read, where that is known.
    """
    lines, blank, row = _lines(content, between), array("q"), -1
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
            f"{file}: has {row} rows or {height}, by how it is read. Is there a line that ends with a carriage return "
            "alone, or a quote in the middle of a cell?"
        )
    return blank
