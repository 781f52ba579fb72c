"""Data frames with categorical and missing values as inputs of the estimators, encoded by `clearprop.tables`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from clearprop.errors import TableError, suggest
from clearprop.tables import as_table
from clearprop.tables.choose import Column, choose_columns
from clearprop.tables.frame import declared_categories


def is_frame(X: Any) -> bool:
    """Whether X is a data frame that narwhals reads (pandas, polars, pyarrow)."""
    return nw.dependencies.is_into_dataframe(X)


@contextmanager
def noting_frames(X: Any, estimator: str) -> Iterator[None]:
    """Add to an error what takes a data frame that is more than finite numbers."""
    try:
        yield
    except ValueError as error:
        columns = nw.from_native(X, eager_only=True).iter_columns() if is_frame(X) else ()
        if any(not c.dtype.is_numeric() or _has_gaps(c) for c in columns):
            error.add_note(
                f'{estimator}(categorical_features="from_dtype") takes data frames with text, categories and missing '
                "values as they are."
            )
        raise


def _has_gaps(series: nw.Series[Any]) -> bool:
    return series.null_count() > 0 or (series.dtype.is_float() and bool(series.is_nan().any()))


@dataclass(frozen=True)
class FrameEncoder:
    """How the columns of a data frame become inputs, learnt from the training frame."""

    encoders: tuple[Column, ...]
    left_out: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, X: Any, categorical: Any) -> FrameEncoder:
        """Learn the encoding; `categorical` is "from_dtype", or names, places or a mask of the categorical columns.

        Columns of text, categories and enumerations are categorical with "from_dtype"; numbers, dates, and true and
        false are not. Raises TableError for a name that does not exist and where no column is left to learn from.
        """
        table = as_table(X)
        wanted = dict.fromkeys(_named(X, table.columns, categorical), "categorical")
        encoders, left_out = choose_columns(table, table.columns, wanted)
        return cls(encoders, left_out)

    @property
    def input_names(self) -> list[str]:
        """The name of each input of the network, such as "age", "job=clerk" or "age is missing"."""
        return [name for column in self.encoders for name in column.inputs]

    def encode(self, X: Any, dtype: np.dtype) -> np.ndarray:
        """The inputs of each row, (n, inputs)."""
        if not is_frame(X):
            raise TableError(f"X: expected a data frame as in fit, got {type(X).__name__}.")
        table = as_table(X)
        table.require([column.name for column in self.encoders], "X: column", "is missing.")
        out = np.empty((len(table), len(self.input_names)), dtype)
        start = 0
        for column in self.encoders:
            stop = start + len(column.inputs)
            column.encode(table[column.name], out[:, start:stop])
            start = stop
        return out


def _named(X: Any, columns: Sequence[str], categorical: Any) -> tuple[str, ...]:
    """The columns to be taken as categories whatever they hold."""
    if isinstance(categorical, str):
        return declared_categories(X)
    places = np.asarray(categorical)
    if places.dtype.kind == "b":
        if places.shape != (len(columns),):
            raise ValueError(
                f"categorical_features: expected a mask of {len(columns)} columns, got shape {places.shape}."
            )
        return tuple(name for name, chosen in zip(columns, places, strict=True) if chosen)
    names = []
    for place in places.tolist():
        if isinstance(place, int):
            if not 0 <= place < len(columns):
                raise ValueError(f"categorical_features: expected places from 0 to {len(columns) - 1}, got {place}.")
            names.append(columns[place])
        elif place in columns:
            names.append(place)
        else:
            raise ValueError(f"categorical_features: there is no column {place!r}. {suggest(str(place), columns)}")
    return tuple(names)
