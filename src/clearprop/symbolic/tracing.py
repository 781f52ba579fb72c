"""Tracing: a definition is called with symbols, which record its operations in an expression graph.

>>> import clearprop as cp
>>> graph = tracer()
>>> slope = cp.relu.derivative(graph.input("z"), graph.input("a"))
>>> slope.op, [x.op for x in slope.args]
('where', ['greater', 'constant', 'constant'])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from clearprop.symbolic.graph import (
    BOOLEAN,
    ELEMENT,
    INTEGER,
    REAL,
    ROW,
    Graph,
    Symbol,
    TraceError,
    UnknownLength,
    is_number,
)
from clearprop.symbolic.operations import BY_NAME, OPERATIONS, REDUCTIONS, Operation


def record(operation: Operation, *args: Any, level: int | None = None, flat: bool | None = None) -> Symbol:
    """Add an operation to the graph of its arguments, which are symbols and plain numbers."""
    for value in args:
        if isinstance(value, UnknownLength):
            value.use()
        if not isinstance(value, Symbol) and not is_number(value):
            shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
            raise TraceError(
                f"combines its argument with a {type(value).__name__}{shape}; only numbers can be constants"
            )
    symbols = [value for value in args if isinstance(value, Symbol)]
    arrays = {x.flat for x in symbols if x.level}
    if len(arrays) > 1:
        raise TraceError("combines an array of shape (n,) with one of shape (n, u); keep the row axis with x[:, None]")
    graph = symbols[0].graph
    nodes = tuple(value if isinstance(value, Symbol) else constant(graph, value) for value in args)
    flat = True in arrays if flat is None else flat
    return graph.node(operation.name, nodes, _kind(operation, nodes), None, level, flat)


def constant(graph: Graph, value: Any) -> Symbol:
    """A number as a node."""
    if isinstance(value, (bool, np.bool_)):
        return graph.node("constant", (), BOOLEAN, bool(value))
    whole = isinstance(value, (int, np.integer))
    return graph.node("constant", (), INTEGER if whole else REAL, int(value) if whole else float(value))


def _kind(operation: Operation, args: tuple[Symbol, ...]) -> str:
    """The kind of a result."""
    args = args[1:] if operation.name == "where" else args
    exact = {x.kind for x in args if x.op != "constant"}
    if operation.name.startswith("bitwise"):
        if REAL in (x.kind for x in args) or len(exact) > 1:
            raise TraceError("applies &, |, ^, ~ or << to something other than conditions")
        return exact.pop()
    if operation.kind or not exact:
        return operation.kind or REAL
    kinds = {x.kind for x in args}
    return kinds.pop() if len(kinds) == 1 and (BOOLEAN not in kinds or len(args) == 1) else REAL


def _astype(x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
    kind = np.dtype(dtype).kind
    if kind == x.dtype.kind:
        return x
    if kind == "f":
        return record(OPERATIONS["real"], x)
    raise TraceError(f"converts an array to {np.dtype(dtype)}")


def _arange(stop: Any) -> Symbol:
    """The index of each column."""
    if not isinstance(stop, Symbol) or stop.op != "units":
        raise TraceError("calls arange with something other than the number of units")
    return stop.graph.node("column", (), INTEGER, level=ELEMENT)


def _over_row(name: str) -> Callable[..., Symbol]:
    def reduce(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        if not x.graph.rows:
            raise TraceError(f"takes a {name} over the parameters, which are updated in slices of any length")
        if x.level != ELEMENT or axis not in (-1, 1):
            raise TraceError(f"takes a {name} that is not over the units of each row (axis=-1)")
        return total(x, name, keepdims)

    return reduce


def total(x: Symbol, name: str = "sum", keepdims: bool = False) -> Symbol:
    """The sum, max or min of each row, or of a slice of parameters."""
    return record(OPERATIONS[name], x, level=ROW, flat=not keepdims)


def _mean(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
    return _over_row("sum")(x, axis, keepdims) / x.graph.node("units", (), REAL)


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """X between two bounds, None for no bound."""
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


#: Functions that are written with the operations of the table.
SHORTHANDS: dict[str, Callable[..., Any]] = {
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "isnan": lambda x: x != x,
    "isfinite": lambda x: abs(x) < math.inf,
    "clip": clip,
    "mean": _mean,
    "arange": _arange,
    "astype": _astype,
    "asarray": lambda x, dtype=None: x,
    "zeros_like": lambda like, dtype=None: np.where(like == like, 0.0, 0.0),
    "ones_like": lambda like, dtype=None: np.where(like == like, 1.0, 1.0),
}
#: Every function that a definition can call, by its names in the array API, NumPy and SciPy.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _over_row(row.name) if row.name in REDUCTIONS else partial(record, row)
    for name, row in BY_NAME.items()
    if row.compute is None or row.name in REDUCTIONS
} | SHORTHANDS


def tracer(dtype: Any = np.float64, rows: bool = True) -> Graph:
    """An empty expression graph, in which definitions are traced."""
    return Graph(dtype, FUNCTIONS, rows)


def as_symbol(value: Any, graph: Graph) -> Symbol:
    """The result of a definition as a symbol; it may be a plain number."""
    if isinstance(value, Symbol):
        return value
    if is_number(value):
        return constant(graph, value)
    raise TraceError(f"returns a {type(value).__name__}")
