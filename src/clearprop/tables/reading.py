"""Files to frames: CSV and Parquet, each read once."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from clearprop.errors import TableError, suggest
from clearprop.tables.plain import cleaned
from clearprop.tables.texts import inferred, stripped

if TYPE_CHECKING:
    from _csv import Reader

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


def _unpacked(content: bytes, file: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as reason:
        raise TableError(f"{file}: expected a whole gzip file, but it is damaged or not one: {reason}.") from None


def _parquet(content: bytes, file: Path) -> pl.DataFrame:
    try:
        return pl.DataFrame([cleaned(series) for series in pl.read_parquet(io.BytesIO(content))])
    except (pl.exceptions.PolarsError, OSError) as reason:
        raise TableError(f"{file}: expected a Parquet file, but it is damaged or not one: {reason}.") from None


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
    raw.columns = names
    blank: list[int] = []
    # A row that is too short shows as missing cells at its end; only then is a look at every line needed.
    if raw.height and raw[names[-1]].null_count():
        blank = _refuse_ragged(content, between, names, file)
    if blank and raw.height:
        raw = raw.with_row_index("\0row").filter(~pl.col("\0row").is_in(blank)).drop("\0row")
    bare = [stripped(raw[name]) for name in names]
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
    bare = [name.strip() or f"column {number}" for number, name in enumerate(names, start=1)]
    for name in bare:
        if bare.count(name) > 1:
            places = [str(i) for i, other in enumerate(bare, start=1) if other == name]
            raise TableError(
                f'{file}: the column name "{name}" occurs {len(places)} times (columns {", ".join(places)}); '
                "give each column its own name."
            )
    return bare


def _refuse_ragged(content: bytes, between: str, names: list[str], file: Path) -> list[int]:
    """Raise TableError at the first row of another length than the header; else the numbers of the blank rows."""
    lines, blank, row = _lines(content, between), [], -1
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
    return blank
