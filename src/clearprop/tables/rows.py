"""Errors about rows of a table: what raises them sees one column, and the table names the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from clearprop.errors import TableError


def name_rows(numbers: Sequence[int] | np.ndarray, what: str = "row") -> str:
    """Some rows (or lines) for a message.

    >>> name_rows([3]), name_rows(range(2, 9), "line")
    ('row 3', 'lines 2, 3, 4, 5, 6 and 2 more')
    """
    more = f" and {len(numbers) - 5:,} more" if len(numbers) > 5 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:5]))}{more}"


class RowsError(TableError):
    """An error about rows of a table, which stand between two parts of the message and count from 0.

    What raises it sees one column only. `Table.naming_rows` raises it again with the rows of the user's table, or the
    lines of the file.
    """

    def __init__(self, before: str, mask: np.ndarray, after: str) -> None:
        self.before, self.rows, self.after = before, np.flatnonzero(mask), after
        super().__init__(self.naming(name_rows(self.rows)))

    def naming(self, rows: str) -> str:
        """The message with other words for the rows."""
        return f"{self.before}{rows}{self.after}"


def cell_error(series: pl.Series, mask: np.ndarray, after: str, what: str = "Column") -> RowsError:
    """The error about the first cell where `mask` is true, as in 'Column "age", row 3: expected ...'."""
    first = np.arange(len(series)) == np.flatnonzero(mask)[0]
    return RowsError(f'{what} "{series.name}", ', first, f": {after}")


def holds(series: pl.Series, value: Any) -> np.ndarray:
    """True where the column holds `value`, shape (n,)."""
    return (series == value).fill_null(False).to_numpy()
