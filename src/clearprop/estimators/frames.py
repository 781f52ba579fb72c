"""Data frames with categorical and missing values as inputs of the estimators, encoded by `clearprop.tables`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from clearprop.errors import TableError, TableWarning, suggest, warn_user
from clearprop.tables import as_table
from clearprop.tables.after_fork import safe_after_fork
from clearprop.tables.choose import Column, choose_columns
from clearprop.tables.encoding import encode_columns, input_names
from clearprop.tables.frame import declared_categories
from clearprop.tables.values import kind_of, loses_digits


def is_frame(X: Any) -> bool:
    """Whether X is a data frame that narwhals reads (pandas, polars, pyarrow)."""
    return nw.dependencies.is_into_dataframe(X)


@contextmanager
def frame_hint(X: Any, estimator: str) -> Iterator[None]:
    """Add a hint to an error raised for a data frame with categories or missing values."""
    try:
        yield
    except ValueError as error:
        columns = nw.from_native(X, eager_only=True).iter_columns() if is_frame(X) else ()
        if any(not c.dtype.is_numeric() or _has_gaps(c) for c in columns):
            error.add_note(
                f'{estimator}(categorical_features="from_dtype") accepts data frames with text, categories and '
                "missing values."
            )
        raise


def _has_gaps(series: nw.Series[Any]) -> bool:
    return series.null_count() > 0 or (series.dtype.is_float() and bool(series.is_nan().any()))


@dataclass(frozen=True)
class FrameEncoder:
    """Encodes the columns of a data frame as inputs, as learnt from the training frame."""

    encoders: tuple[Column, ...]
    left_out: tuple[tuple[str, str], ...]

    @classmethod
    @safe_after_fork
    def fit(cls, X: Any, categorical: Any) -> FrameEncoder:
        """Learn the encoding; `categorical` is "from_dtype", or names, indices or a mask of the categorical columns.

        Columns of text, categories and enumerations are categorical with "from_dtype"; numbers, dates and
        booleans are not. Raises TableError for an unknown name, and if no usable column is left.
        """
        table = as_table(X)
        numbers = [c for c in table.columns if kind_of(table[c]) == "number" and not loses_digits(table[c])]
        wanted = dict.fromkeys(numbers, "numeric")  # an estimator is given the columns to use, so no index is left out
        wanted |= dict.fromkeys(_categorical_names(X, table.columns, categorical), "categorical")
        with table.naming_rows():
            encoders, left_out = choose_columns(table, table.columns, wanted)
        for name, reason in left_out:
            if "keep it with" in reason:
                reason = f"{reason.partition('; ')[0]}; keep it with categorical_features=[..., {name!r}]"
                warn_user(f'X: column "{name}" is left out: {reason}.', TableWarning)
        return cls(encoders, left_out)

    def require_frame(self, X: Any) -> None:
        """Raise TableError unless X is a data frame."""
        if not is_frame(X):
            names = ", ".join(f'"{column.name}"' for column in self.encoders[:10])
            raise TableError(
                f"X: expected a data frame with the columns {names}{' ...' if self.encoders[10:] else ''}, as in fit, "
                f"got {type(X).__name__}. One row of a pandas data frame is frame.iloc[[0]], and a dict becomes one by "
                "pd.DataFrame([row])."
            )

    @property
    def input_names(self) -> list[str]:
        """The name of each input of the network, such as "age", "job=clerk" or "age is missing"."""
        return list(input_names(self.encoders))

    @safe_after_fork
    def encode(self, X: Any, dtype: np.dtype) -> np.ndarray:
        """The inputs of each row, (n, inputs)."""
        table = as_table(X)
        table.require([column.name for column in self.encoders], "X: column", "is missing.")
        return encode_columns(self.encoders, table, dtype)


def _categorical_names(X: Any, columns: Sequence[str], categorical: Any) -> tuple[str, ...]:
    """The names of the columns to encode as categories."""
    if isinstance(categorical, str):
        return declared_categories(X)
    choice = np.asarray(categorical)
    if choice.dtype.kind == "b":
        if choice.shape != (len(columns),):
            raise ValueError(
                f"categorical_features: expected a mask of {len(columns)} columns, got shape {choice.shape}."
            )
        return tuple(name for name, chosen in zip(columns, choice, strict=True) if chosen)
    names = []
    for item in choice.tolist():
        if isinstance(item, int):
            if not 0 <= item < len(columns):
                raise ValueError(f"categorical_features: expected indices from 0 to {len(columns) - 1}, got {item}.")
            names.append(columns[item])
        elif item in columns:
            names.append(item)
        else:
            raise ValueError(f"categorical_features: unknown column {item!r}. {suggest(str(item), columns)}")
    return tuple(names)
