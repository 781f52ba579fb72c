"""Symbolic arrays: definitions are called with them to record which operations they perform.

A `Symbol` stands for an array. It supports operators, NumPy's functions and the array API (so every function of
`clearprop.mathematics` works on it), `x.shape[-1]`, `x[:, None]`, and sums and maxima along a row. Each operation adds
a node to a `Graph`. Plain Python numbers become constants when they are combined with a symbol.

There are two kinds of graph. The *expression graph* of a definition has operations of the table in
`clearprop.symbolic.operations`, where `tracer` creates it; its values are "real", "integer" or "boolean". The
*instruction graph* of a kernel has instructions of `clearprop.symbolic.primitives`; its values have LLVM types.

Every node has a level: STEP (one number per call), ROW (one number per row, shape (n, 1) or, if `flat`, (n,)) or
ELEMENT (one number per element, shape (n, u)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

STEP, ROW, ELEMENT = 0, 1, 2
REAL, INTEGER, BOOLEAN = "real", "integer", "boolean"

Functions = Mapping[str, Callable[..., Any]]


class TraceError(TypeError):
    """A definition does something that cannot be recorded; the message continues the sentence "it ..."."""


class Namespace:
    """The functions of the array API, NumPy and SciPy that can be called with symbols."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        if name in ("float32", "float64"):
            return np.dtype(name)
        if name in ("pi", "e", "inf", "nan"):
            return getattr(np, name)
        if name not in self._functions:
            raise TraceError(f"uses {name}, which is not one of the supported functions")
        return self._functions[name]


class Graph:
    """Nodes in the order of their creation; equal operations on equal operands share one node.

    With `rows=False` the arrays are slices of the parameter vector, and their shape is not available to the definition.
    """

    def __init__(self, dtype: Any, functions: Functions, rows: bool = True) -> None:
        self.dtype, self.rows = np.dtype(dtype), rows
        self.namespace = Namespace(functions)
        self.nodes: dict[tuple[Any, ...], Symbol] = {}

    @property
    def kind(self) -> str:
        """The LLVM type of the precision."""
        return {"float32": "float", "float64": "double"}[self.dtype.name]

    def node(
        self,
        op: str,
        args: tuple[Symbol, ...],
        kind: str,
        extra: Any = None,
        level: int | None = None,
        flat: bool = False,
    ) -> Symbol:
        """The node of an operation; its level defaults to the highest level of its operands."""
        level = max((x.level for x in args), default=STEP) if level is None else level
        key = (op, tuple(id(x) for x in args), kind, repr(extra), level, flat)
        if key not in self.nodes:
            self.nodes[key] = Symbol(self, op, args, kind, extra, level, flat)
        return self.nodes[key]

    def input(self, name: str, level: int = ELEMENT, kind: str = REAL, flat: bool = False) -> Symbol:
        """An array passed by the caller, or a number if the level is STEP."""
        return self.node("input", (), kind, name, level, flat)


def _method(name: str) -> Callable[..., Any]:
    """A method or operator that calls the function of this name."""

    def method(self: Symbol, *args: Any, **options: Any) -> Any:
        return getattr(self.graph.namespace, name)(self, *args, **options)

    return method


def _reflected(name: str) -> Callable[..., Any]:
    """A binary operator whose right operand is the symbol."""

    def method(self: Symbol, other: Any) -> Any:
        return getattr(self.graph.namespace, name)(other, self)

    return method


class Symbol:
    """A symbolic array: one node of a graph."""

    __slots__ = ("args", "extra", "flat", "graph", "index", "kind", "level", "op")

    def __init__(
        self, graph: Graph, op: str, args: tuple[Symbol, ...], kind: str, extra: Any, level: int, flat: bool
    ) -> None:
        self.graph, self.op, self.args, self.kind, self.extra = graph, op, args, kind, extra
        self.level, self.flat, self.index = level, flat, len(graph.nodes)

    # ------------------------------------------------------------------------------------------------ shape and type
    @property
    def ndim(self) -> int:
        return 0 if self.level == STEP else 1 if self.flat else 2

    @property
    def shape(self) -> tuple[Any, ...]:
        if self.level != STEP and not self.graph.rows:
            raise TraceError("uses the shape of the parameters, which are updated in slices of any length")
        rows = UnknownLength()
        units = self.graph.node("units", (), REAL) if self.level == ELEMENT else 1
        return ((), (rows,), (rows, units))[self.ndim]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype({BOOLEAN: bool, INTEGER: np.intp}.get(self.kind, self.graph.dtype))

    def __getitem__(self, key: Any) -> Symbol:
        everything = slice(None)
        if self.level == ROW and not self.flat and key in ((everything, 0), (..., 0)):
            return self.graph.node("flatten", (self,), self.kind, None, ROW, True)
        if self.level == ROW and self.flat and key in ((everything, None), (..., None)):
            return self.graph.node("expand", (self,), self.kind, None, ROW, False)
        if key in (..., everything, (everything, everything), ()):
            return self
        raise TraceError("selects single entries or parts of an array")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TraceError("writes into an array; use where(condition, x, y)")

    # ---------------------------------------------------------------------------------------- what a symbol cannot do
    def __bool__(self) -> bool:
        raise TraceError("depends on the value of an array; use where(condition, x, y) instead of if")

    def __iter__(self) -> Any:
        raise TraceError("loops over the rows of an array")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TraceError("calls a function that is not one of the supported functions")

    def _no_number(self, *_: Any) -> Any:
        raise TraceError("needs a plain number; use clearprop.mathematics or NumPy instead of float() and math")

    __float__ = __int__ = __index__ = __complex__ = _no_number
    __hash__ = object.__hash__

    # ---------------------------------------------------------------------------------------------------- operations
    def __array_namespace__(self, api_version: str | None = None) -> Namespace:
        return self.graph.namespace

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and name in ("add", "maximum", "minimum"):
            name = {"add": "sum", "maximum": "max", "minimum": "min"}[name]
            return getattr(self, name)(options.get("axis"), options.get("keepdims", False))
        if method != "__call__" or any(value is not None for value in options.values()):
            raise TraceError(f"uses {name} with {', '.join(options) if method == '__call__' else method}")
        return getattr(self.graph.namespace, name)(*inputs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        return getattr(self.graph.namespace, function.__name__)(*args, **options)

    __add__, __radd__ = _method("add"), _reflected("add")
    __sub__, __rsub__ = _method("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _method("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _method("divide"), _reflected("divide")
    __pow__, __rpow__ = _method("pow"), _reflected("pow")
    __lt__, __le__, __gt__, __ge__ = map(_method, ("less", "less_equal", "greater", "greater_equal"))
    __eq__, __ne__ = _method("equal"), _method("not_equal")  # type: ignore[assignment]
    __and__, __or__, __xor__ = _method("bitwise_and"), _method("bitwise_or"), _method("bitwise_xor")
    __lshift__, __invert__ = _method("bitwise_left_shift"), _method("bitwise_invert")
    __neg__, __pos__, __abs__ = _method("negative"), _method("positive"), _method("abs")
    sum, max, min, mean = _method("sum"), _method("max"), _method("min"), _method("mean")
    astype, copy, clip = _method("astype"), _method("positive"), _method("clip")


class UnknownLength:
    """The number of rows, which is not known while a definition is traced."""

    def use(self, *_: Any) -> Any:
        """Raise TraceError."""
        raise TraceError("uses the number of rows, but each row has to be computed independently")

    __index__ = __int__ = __float__ = __bool__ = __add__ = __radd__ = __sub__ = __rsub__ = use
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __lt__ = __gt__ = __le__ = __ge__ = use


def is_number(value: Any) -> bool:
    """Whether a value is a plain number: of Python, of NumPy, or an array with a single entry and no axis."""
    return isinstance(value, (bool, int, float, np.number, np.bool_)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )


def ordered(targets: Iterable[Symbol], known: Any = ()) -> list[Symbol]:
    """The nodes that the targets depend on, operands first; nodes whose id is in `known` are skipped."""
    needed: dict[int, Symbol] = {}
    waiting = list(targets)
    while waiting:
        node = waiting.pop()
        if id(node) not in needed and id(node) not in known:
            needed[id(node)] = node
            waiting += node.args
    return sorted(needed.values(), key=lambda node: node.index)
