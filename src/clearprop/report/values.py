"""From the inputs of a network back to the values of the table: of rows, as numbers or as texts."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

import numpy as np

from clearprop.draw.svg import number
from clearprop.tables.columns import CategoricalColumn, NumericColumn

if TYPE_CHECKING:
    from clearprop.model.model import Model

MISSING = "missing"


def input_columns(model: Model) -> dict[str, slice]:
    """The columns of the table and the inputs of each; every input by itself without a table."""
    if model.encoding is not None:
        return dict(model.encoding.columns)
    return {f"column {i}": slice(i, i + 1) for i in range(model.net.inputs)}


def column_numbers(model: Model, name: str, inputs: np.ndarray) -> np.ndarray | None:
    """The values (n,) of a column of numbers from its inputs (n, k), NaN where missing; None for categories.

    They are as the network reads them: limited to the range of the training rows.
    """
    column = _encoder(model, name)
    if column is None:
        return inputs[:, 0].astype(np.float64)
    if not isinstance(column, NumericColumn) or not column.varies:
        return None
    t = inputs[:, 0].astype(np.float64) * column.scale + column.center
    values = np.sinh(t) * column.log_unit + column.fill if column.log_unit else t
    values = np.where(np.abs(values) < 1e-6 * (column.log_unit or column.scale), 0.0, values)  # a rounded 0
    if column.kind == "date":
        days = np.round(values)
        values = np.where(np.abs(values - days) < 1e-5 * max(1.0, column.scale), days, values)
    return np.where(inputs[:, -1] > 0.5, np.nan, values) if column.flag else values


def column_texts(model: Model, name: str, inputs: np.ndarray) -> list[str]:
    """The values of a column as texts, from its inputs (n, k)."""
    column, values = _encoder(model, name), column_numbers(model, name, inputs)
    if values is not None:
        kind = column.kind if isinstance(column, NumericColumn) else "number"
        return [value_text(value, kind) for value in values]
    if isinstance(column, CategoricalColumn):
        texts = [text.removeprefix(f"{name}=") for text in column.inputs]
        texts[-1] = MISSING if column.flag else texts[-1]
        return [texts[int(row.argmax())] if row.max() == 1 else "unknown" for row in inputs]
    return [MISSING if row[-1] > 0.5 else "present" for row in inputs]


def value_text(value: float, kind: str = "number") -> str:
    """A number of a column in words; days since 1970 as a date.

    >>> value_text(12.5), value_text(19000.0, "date"), value_text(1.0, "boolean")
    ('12.5', '2022-01-08', 'true')
    """
    if np.isnan(value):
        return MISSING
    if kind == "boolean":
        return "true" if value > 0.5 else "false"
    if kind == "date":
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(days=float(value))
        return moment.date().isoformat() if moment.time() == datetime.time() else f"{moment:%Y-%m-%d %H:%M}"
    return number(float(f"{value:.5g}"), 5) + (" days" if kind == "duration" else "")


def is_number(model: Model, name: str) -> bool:
    """Whether a column holds plain numbers."""
    column = _encoder(model, name)
    return column is None or (isinstance(column, NumericColumn) and column.varies and column.kind == "number")


def _encoder(model: Model, name: str) -> NumericColumn | CategoricalColumn | None:
    if model.encoding is None:
        return None
    return next(column for column in model.encoding.encoders if column.name == name)


_TWO = re.compile(r"(.*?)(\d+)\D+(\d+)")
_ONE = re.compile(r"(.*?)(\d+)")


def pixel_grid(model: Model) -> dict[str, tuple[int, int]] | None:
    """Row and column of each pixel by the name of its column, if the columns are the pixels of a square image.

    Their names end in two indices ("pixel 0 7"), or in one that counts them ("pixel63"). Columns that are left out,
    because they are constant, may be missing.
    """
    names = list(input_columns(model))
    left_out = [] if model.encoding is None else [name for name, _ in model.encoding.left_out]
    if len(names) < 16 or not all(is_number(model, name) for name in names):
        return None
    matches = [_TWO.fullmatch(name) for name in names]
    if all(matches) and len({match[1] for match in matches if match}) == 1:
        places = np.array([(int(match[2]), int(match[3])) for match in matches if match])
    else:
        matches = [_ONE.fullmatch(name) for name in [*names, *left_out]]
        if not all(matches) or len({match[1] for match in matches if match}) != 1:
            return None
        count = np.array([int(match[2]) for match in matches if match])
        side = round(np.sqrt(len(count)))
        if side * side != len(count) or len(set(count.tolist())) != side * side or np.ptp(count) != side * side - 1:
            return None
        places = np.stack(np.divmod(count - count.min(), side), axis=1)[: len(names)]
    side = int(np.ptp(places, axis=0).max()) + 1
    if side < 4 or len(names) < 0.5 * side * side or np.ptp(places, axis=0).min() < 0.7 * (side - 1):
        return None
    return {name: (int(i), int(j)) for name, (i, j) in zip(names, places - places.min(axis=0), strict=True)}


def images(model: Model, grid: dict[str, tuple[int, int]], X: np.ndarray) -> np.ndarray:
    """The rows X (n, inputs) as images (n, side, side) of values from 0 to 1; pixels that are left out are 0."""
    side = 1 + max(max(place) for place in grid.values())
    columns = input_columns(model)
    result = np.full((len(X), side, side), np.nan)
    for name, (i, j) in grid.items():
        result[:, i, j] = column_numbers(model, name, X[:, columns[name]])
    low, high = np.nanmin(result), np.nanmax(result)
    return np.nan_to_num((result - low) / (high - low if high > low else 1.0), nan=0.0)
