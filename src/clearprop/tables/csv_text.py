"""CSV text to columns of texts: which character separates the cells, which line has the names, and whether rows fit."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clearprop.errors import TableError

if TYPE_CHECKING:
    from _csv import Reader

#: A CSV file may have at most this many columns.
MAX_COLUMNS = 30_000
#: What may separate cells. If two explain the first lines equally well, the one that is rarer in texts is taken.
SEPARATORS = ("\t", "|", ";", ",")
_NAMED = {"\t": "tab", "|": "|", ";": "semicolon", ",": "comma"}
_LINES_TRIED, _BYTES_TRIED, _MOST_LINES_BEFORE = 60, 2**18, 10
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
_NUMBER = re.compile(r"\s*[-+]?[\d.,]*\d[\d.,]*\s*$")

csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # a text of any length is a cell


@dataclass(frozen=True)
class Layout:
    """Where the cells of a CSV text are: the separator, the lines before the names, and a note for the user on them."""

    separator: str
    skipped: int = 0
    note: str = ""


def read_texts(content: bytes, file: Path, separator: str | None = None) -> tuple[pl.DataFrame, Layout]:
    """The cells of UTF-8 text as a frame of texts, and how they were found.

    Raises TableError that names the line if the names or a row cannot be read.
    """
    layout = find_layout(content, file, separator)
    content = _from_names(content, layout)
    if b"\n" not in content.strip():
        raise TableError(f"{file}: has column names but no rows; expected at least one row.")
    names = _header(content, layout, file)
    try:
        raw = pl.read_csv(io.BytesIO(content), separator=layout.separator, infer_schema_length=0, has_header=True)
    except pl.exceptions.PolarsError as reason:
        _check_row_lengths(content, layout, names, file)
        raise TableError(
            f"{file}: cannot be read as a CSV file: {str(reason).splitlines()[0]}. Is a quote in the middle of a cell, "
            "or never closed?"
        ) from None
    if raw.width != len(names):
        raise TableError(
            f"{file}: the line of column names is ambiguous: {len(names)} or {raw.width} cells. Is there a line end "
            "within a name, or a quote in the middle of one?"
        )
    raw.columns = names
    blank = array("q")
    # Polars fills a short row with missing cells; only if the last column has some, every line must be checked.
    if raw.height and raw[names[-1]].null_count():
        blank = _check_row_lengths(content, layout, names, file, raw.height)
    if blank:
        is_row = np.ones(raw.height, bool)
        is_row[np.frombuffer(blank, np.int64)] = False
        raw = raw.filter(pl.Series(is_row))
    return raw, layout


def find_layout(content: bytes, file: Path, separator: str | None = None) -> Layout:
    r"""The separator of a CSV text, and the number of lines before its column names.

    A line such as "sep=;", comments that begin with "#", and a title of one cell are skipped, if what follows is a line
    of names.

    >>> find_layout(b"Sales of 2024\nday|load, kW\n1|2\n2|3\n", Path("t.csv"))
    Layout(separator='|', skipped=1, note='line 1 is skipped ("Sales of 2024"); line 2 has the column names')
    """
    if separator is None and file.name.lower().startswith((".tsv", ".tab"), file.name.find(".")):
        separator = "\t" if b"\t" in content[:_BYTES_TRIED] else None
    lines = content[:_BYTES_TRIED].decode("utf-8", errors="ignore").split("\n")
    lines = [line.rstrip("\r") for line in (lines[:-1][:_LINES_TRIED] or lines)]
    start = _first_line(lines, 0)
    declared = _SEPARATOR_LINE.match(lines[start]) if start < len(lines) else None
    if declared:
        separator, start = separator or declared[1], _first_line(lines, start + 1)
    body = _after_comments(lines, start)
    tried = [_try(lines[body:], candidate) for candidate in ([separator] if separator else SEPARATORS)]
    best = max(tried, key=lambda trial: trial.score)
    if body > start and best.columns > 1 and _has_names_behind_a_sign(lines, body, best, file):
        body -= 1
        best = _try(lines[body:], best.separator)
    skipped = body + best.before
    if best.before:
        _check_title(lines, body, skipped, best, file)
    texts = [line for line in lines[start:skipped] if line.strip()]
    return Layout(best.separator, skipped, _note(texts, skipped) if texts else _NOTED.get(best.separator, ""))


def _first_line(lines: list[str], start: int) -> int:
    """The index of the first line from `start` that is not blank."""
    return next((i for i in range(start, len(lines)) if lines[i].strip()), len(lines))


def _after_comments(lines: list[str], start: int) -> int:
    index = start
    while index < len(lines) and (lines[index].lstrip().startswith("#") or not lines[index].strip()):
        index += 1
    return index if index < len(lines) else start


def _has_names_behind_a_sign(lines: list[str], body: int, trial: _Trial, file: Path) -> bool:
    """Whether a line such as "#id,age" has the column names: as many cells as the next line, which holds numbers."""
    comment, *rows = [cells for cells in _cells("\n".join(lines[body - 1 :]), trial.separator) if cells]
    if len(comment) != len(rows[0]):
        return False
    numbers = [any(_NUMBER.match(cell) for cell in cells) for cells in rows]
    if not any(numbers):
        raise TableError(
            f'{file}: line {body} ("{lines[body - 1][:60]}") begins with "#" and has as many cells as the lines after '
            'it. If it has the column names, remove the "#"; if it is a comment, remove the line.'
        )
    return numbers[0]


@dataclass(frozen=True)
class _Trial:
    """How the first lines look when they are separated by one character."""

    separator: str
    columns: int
    before: int
    agree: bool

    @property
    def score(self) -> tuple[bool, bool, int, bool]:
        """Best are separators by which all lines, the first too, have equally many cells, and then more of them."""
        fits = self.agree and self.columns > 1
        return fits, fits and self.before == 0, self.columns, self.agree and (self.columns > 1 or self.separator == ",")


def _try(lines: list[str], separator: str) -> _Trial:
    rows = [cells for cells in _cells("\n".join(lines), separator) if cells]
    if len(lines) == _LINES_TRIED:
        rows = rows[:-1]  # a cell of several lines may be cut off
    if not rows:
        return _Trial(separator, 1, 0, agree=True)
    sizes = [len(cells) for cells in rows]
    common, times = Counter(sizes).most_common(1)[0]
    before = next((i for i, size in enumerate(sizes) if size == common), 0)
    if before > min(_MOST_LINES_BEFORE, len(rows) - 2) or common == 1 or times < 0.8 * (len(rows) - before):
        before = 0
    if before == 0 and common > 2 and len(rows) > 2 and _is_title(rows[0]) and _are_names(rows[1]):
        before = 1
    return _Trial(separator, sizes[before], before, agree=len(set(sizes[before:])) == 1)


def _cells(text: str, separator: str) -> Reader:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _is_title(cells: list[str]) -> bool:
    return bool(cells[0].strip()) and not any(cell.strip() for cell in cells[1:])


def _are_names(cells: list[str]) -> bool:
    return all(cell.strip() and not _NUMBER.match(cell) for cell in cells)


def _check_title(lines: list[str], first: int, header: int, trial: _Trial, file: Path) -> None:
    """Raise TableError unless the lines before the column names are clearly titles."""
    titles = [next(_cells(line, trial.separator), []) for line in lines[first:header] if line.strip()]
    names = next(_cells(lines[header], trial.separator), [])
    clear = all(sum(bool(cell.strip()) for cell in cells) <= 1 for cells in titles)
    if not clear or not _are_names([name for name in names if name.strip()]):
        raise TableError(
            f'{file}: line {first + 1} ("{lines[first][:60]}") has {len(titles[0])} cells, but the lines after it have '
            f"{trial.columns}, separated by {_NAMED.get(trial.separator, trial.separator)}. Expected a line of column "
            "names; remove a title, or give each column a name."
        )


#: A separator that is worth a word, because a name or a text may hold it.
_NOTED = {"|": 'the separator is "|"'}


def _note(texts: list[str], skipped: int) -> str:
    shown = f'("{texts[0][:60]}")' if len(texts) == 1 else f'("{texts[0][:60]}" and {len(texts) - 1} more)'
    what = f"line {skipped} is" if len(texts) == 1 else f"the lines before line {skipped + 1} are"
    return f"{what} skipped {shown}; line {skipped + 1} has the column names"


def _lines(content: bytes, separator: str) -> Reader:
    """The cells of each line. A cell may hold line ends between its quotes."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=separator)


def _header(content: bytes, layout: Layout, file: Path) -> list[str]:
    """The column names, each different; a nameless column is called by its number."""
    try:
        names = next((cells for cells in _lines(content, layout.separator) if cells), [])
    except csv.Error as reason:
        raise TableError(f"{file}: the line of column names cannot be read: {reason}.") from None
    if len(names) > MAX_COLUMNS:
        raise TableError(f"{file}: has {len(names):,} columns, more than the {MAX_COLUMNS:,} that a table may have.")
    return different_names(names, str(file))


def different_names(names: Sequence[Any], where: str) -> list[str]:
    """Column names as texts without white space around them and in one form of Unicode.

    A nameless column is called by its number. Raises TableError if a name occurs twice.

    >>> different_names([" age", 7, ""], "people.csv")
    ['age', '7', 'column 3']
    """
    texts = ("" if name is None else unicodedata.normalize("NFC", str(name).strip()) for name in names)
    bare = [name or f"column {number}" for number, name in enumerate(texts, start=1)]
    for name, times in Counter(bare).items():
        if times > 1:
            numbers = [str(i) for i, other in enumerate(bare, start=1) if other == name]
            raise TableError(
                f'{where}: the column name "{name}" occurs {times} times (columns {", ".join(numbers)}); '
                "give each column its own name."
            )
    return bare


def lines_of(content: bytes, file: Path, rows: Sequence[int] | np.ndarray) -> list[int]:
    """The lines of a CSV text at which some rows begin, both in rising order; lines count from 1."""
    layout = find_layout(content, file)
    lines = _lines(_from_names(content, layout), layout.separator)
    names, wanted, found, row, begins = None, set(np.asarray(rows).tolist()), [], -1, 1
    for cells in lines:
        if cells or (names is not None and len(names) == 1):  # any other blank line is skipped
            names = cells if names is None else names
            if row in wanted:
                found.append(layout.skipped + begins)
            row += 1
        begins = lines.line_num + 1
        if len(found) == len(wanted):
            break
    return found


def _from_names(content: bytes, layout: Layout) -> bytes:
    """The content from the line of column names on."""
    for _ in range(layout.skipped):
        content = content.partition(b"\n")[2]
    return content


def _check_row_lengths(
    content: bytes, layout: Layout, names: list[str], file: Path, height: int | None = None
) -> array[int]:
    """The indices of the blank rows; raises TableError at the first row that is not as long as the header.

    `height` is the number of rows that Polars read, if known.
    """
    lines, blank, row = _lines(content, layout.separator), array("q"), -1
    try:
        for cells in lines:
            if row < 0 and not cells:
                continue  # a blank line before the column names
            if not cells and len(names) > 1:
                blank.append(row)
            elif len(cells) != len(names) and len(names) > 1:
                raise TableError(
                    f"{file}: line {layout.skipped + lines.line_num}: expected {len(names)} cells as in the line of "
                    f"column names, got {len(cells)}. The cells are separated by "
                    f"{_NAMED.get(layout.separator, layout.separator)}: is a separator missing or one too many, a text "
                    "with a separator not in quotes, or a quote never closed?"
                )
            row += 1
    except csv.Error as reason:
        raise TableError(f"{file}: line {layout.skipped + lines.line_num} cannot be read: {reason}.") from None
    if height is not None and blank and height <= blank[-1]:
        raise TableError(
            f"{file}: the number of rows is ambiguous: {row} or {height}. Is there a line that ends with a carriage "
            "return alone, or a quote in the middle of a cell?"
        )
    return blank
