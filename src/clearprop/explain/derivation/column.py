"""How the cost changes with a column of a table, whose value may go into several inputs of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.analysis import input_gradient
from clearprop.core.trace import Trace
from clearprop.tables import Table, TableEncoding
from clearprop.tables.columns import NumericColumn

_UNITS = {"number": "unit", "boolean": "step from false to true", "date": "day", "duration": "day"}


@dataclass(frozen=True, eq=False)
class ColumnGradient:
    """The change of the cost J with the value v of a column: dJ/dv = sum over its inputs i of dJ/dx_i dx_i/dv.

    `inputs` are the k names, `x`, `gradients` dJ/dx_i and `slopes` dx_i/dv have shape (n rows, k). A category has no
    unit and no slopes: another one changes two inputs at once.

    >>> import clearprop as cp
    >>> from clearprop.tables import as_table
    >>> table = {"x": [i / 50 for i in range(50)], "y": [3 * i / 50 + 1 for i in range(50)]}
    >>> model = cp.fit(table, "y", hidden=(), optimizer="lbfgs", progress=False)
    >>> trace = cp.backpropagate(model.net, model.params, *model.encode(table), loss=model.loss)
    >>> found = column_gradient(trace, model.encoding, "x", as_table(table))
    >>> found.inputs, found.x.shape, bool(abs(found.value) < 0.01)
    (('x',), (50, 1), True)
    """

    column: str
    kind: str
    inputs: tuple[str, ...]
    first: int
    x: np.ndarray
    gradients: np.ndarray
    slopes: np.ndarray | None

    @property
    def value(self) -> float:
        """dJ/dv summed over the rows: what J gains per unit, if the value of all rows grows."""
        return float("nan") if self.slopes is None else float((self.gradients * self.slopes).sum())

    def __str__(self) -> str:
        """A line per input that matters, and the sum."""
        title = (
            f'The column "{self.column}": {len(self.inputs)} input{"s" if len(self.inputs) > 1 else ""} of the network'
        )
        rows = "" if len(self.x) == 1 else f", summed over {len(self.x)} rows"
        lines = [title, "=" * len(title), ""]
        if self.slopes is None:
            lines += [f"dJ/dx of each input{rows}. A category has no unit: another one changes two inputs at once.", ""]
        else:
            lines += [f"dJ/dv = sum over the inputs x of dJ/dx · dx/dv, for a value v of the column{rows}", ""]
        lines += self._table()
        if self.slopes is not None:
            lines += ["", f"dJ/dv = {self.value:.6g} per {_UNITS[self.kind]} of the column"]
        last = self.first + len(self.inputs) - 1
        places = f"input[{self.first}]" + (f" to input[{last}]" if last > self.first else "")
        return "\n".join([*lines, "", f'Its inputs are {places}; derive one with --weight "input[{self.first}]".'])

    def _table(self) -> list[str]:
        names = ["x", "dJ/dx"] if self.slopes is None else ["dJ/dx", "dx/dv", "product"]
        width = max(5, *map(len, self.inputs))
        lines, still = ["  ".join(["input".ljust(width), *(f"{name:>12s}" for name in names)])], 0
        for i, name in enumerate(self.inputs):
            dx = self.gradients[:, i]
            if self.slopes is None:
                numbers = [self.x[:, i].sum(), dx.sum()]
            else:
                slope = self.slopes[:, i]
                still += not slope.any()
                numbers = [dx.sum(), slope.mean(), (dx * slope).sum()]
                if not slope.any():
                    continue
            lines.append("  ".join([name.ljust(width), *(f"{number:12.6g}" for number in numbers)]))
        if still:
            lines.append(f"{still} more do not change with v here: dx/dv = 0")
        if self.slopes is not None and len(self.x) > 1:
            lines.append("(dx/dv is the mean over the rows)")
        return lines


def column_gradient(trace: Trace, encoding: TableEncoding, column: str, rows: Table) -> ColumnGradient:
    """How the cost of a trace of some rows of a table changes with one of its columns."""
    encoder = next(each for each in encoding.encoders if each.name == column)
    place = encoding.columns[column]
    slopes = encoder.slopes(rows[column]) if isinstance(encoder, NumericColumn) else None
    return ColumnGradient(
        column,
        encoder.kind,
        encoding.input_names[place],
        place.start,
        trace.X[:, place],
        input_gradient(trace)[:, place],
        slopes,
    )
