"""Text that fits into the terminal: its width, wrapped lines, and tables."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence

#: Columns of what is not a terminal: a pipe, a file, a notebook.
WIDTH = 80


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_width() -> int:
    """The number of columns of the terminal, or `WIDTH` if standard output is not a terminal."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if is_terminal() else WIDTH


def wrap(text: str, indent: int = 2) -> str:
    """The text with lines that are wider than the terminal broken at spaces, and the rest of a line indented further.

    Words that are wider than the terminal, such as paths, are not broken.

    >>> print(wrap("  a line that is too wide for a terminal of 80 columns, because it goes on and on and on"))
      a line that is too wide for a terminal of 80 columns, because it goes on and
        on and on
    """
    lines = []
    for line in text.split("\n"):
        start = " " * (len(line) - len(line.lstrip()) + indent)
        wrapped = textwrap.wrap(
            line, terminal_width(), subsequent_indent=start, break_long_words=False, break_on_hyphens=False
        )
        lines += wrapped or [""]
    return "\n".join(lines)


def format_table(
    names: Sequence[str],
    rows: Sequence[Sequence[str | float]],
    *,
    digits: Sequence[int] = (6, 4),
    least: int = 0,
    left: Collection[int] = (),
    indent: str = "",
) -> str:
    """A table that fits into the terminal; floats have `digits[0]` significant digits if there is room.

    A table that is too wide has names in two lines, then fewer digits. If that is not enough, it is divided into
    several tables, which all begin with the first column. `least` is the least width of numbers as long as there is
    room; `left` has the indices of the columns that are aligned to the left.

    >>> print(format_table(["epoch", "cost", "validation cost"], [["1", 0.5, 0.25], ["2", 0.125, 1 / 3]]))
    epoch   cost  validation cost
        1    0.5             0.25
        2  0.125         0.333333
    """
    room = terminal_width() - len(indent)
    columns, widths = _columns(names, rows, digits[0], False, least)
    for count, split in [(digits[0], True), *((count, True) for count in digits[1:])]:
        if _width(widths) <= room:
            break
        columns, widths = _columns(names, rows, count, split)
    groups: list[list[int]] = [[]]
    for i in range(len(columns)):
        if len(groups[-1]) > 1 and _width([widths[j] for j in [*groups[-1], i]]) > room:
            groups.append([0])
        groups[-1].append(i)
    cells = [
        [cell.ljust(width) if i in left else cell.rjust(width) for cell in column]
        for i, (column, width) in enumerate(zip(columns, widths, strict=True))
    ]
    tables = [zip(*(cells[i] for i in group), strict=True) for group in groups]
    return "\n\n".join("\n".join(f"{indent}{'  '.join(line)}".rstrip() for line in table) for table in tables)


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[str | float]], digits: int, split: bool, least: int = 0
) -> tuple[list[list[str]], list[int]]:
    """The cells of each column below its name, and the widths of the columns."""
    columns = []
    for i, name in enumerate(names):
        cells = [cell if isinstance(cell, str) else f"{cell:.{digits}g}" for cell in (row[i] for row in rows)]
        columns.append([*(_two_lines(name) if split else [name]), *cells])
    numeric = [any(not isinstance(row[i], str) for row in rows) for i in range(len(names))]
    widths = [max(least * number, *map(len, column)) for column, number in zip(columns, numeric, strict=True)]
    return columns, widths


def _two_lines(name: str) -> list[str]:
    """A name broken at the space that gives the shortest lines; the first line of a single word is empty."""
    words = name.split(" ")
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(len(words))]
    return list(min(halves, key=lambda lines: max(map(len, lines))))
