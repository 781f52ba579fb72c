"""Symbolic arrays: what a definition is called with so that the operations it performs can be compiled.

A `Symbol` stands for an array of the textbook, and speaks its language: operators, NumPy's functions, the array API
(so that every function of `clearprop.mathematics` works on it), `x.shape[-1]`, `x[:, None]`, sums and maxima along a
row. Each operation adds a node to a graph instead of a number to memory. Fields, strings and plain Python numbers of a
definition stay what they are; only where a number meets a symbol does it become a constant, in the precision of that
symbol, as NumPy's promotion has it. What depends on the step alone (the rate, t) stays in double precision until it
meets an array.

Nodes carry an LLVM operation and a level: STEP (one number a call), ROW (one a row, shape (n, 1) or, `flat`, (n,)) or
ELEMENT (one an element, shape (n, u)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

STEP, ROW, ELEMENT = 0, 1, 2
FLOATS = ("float", "double")
INTEGERS = {"float": "i32", "double": "i64"}

Meanings = Mapping[str, Callable[..., Any]]


class TraceError(TypeError):
    """A definition does something that only works on arrays that hold numbers; the text tells what, after "it"."""


class Namespace:
    """The functions of the array API, NumPy and SciPy as far as definitions may use them."""

    def __init__(self, meanings: Meanings) -> None:
        self._meanings = meanings

    def __getattr__(self, name: str) -> Any:
        if name in ("float32", "float64"):
            return np.dtype(name)
        if name in ("pi", "e", "inf", "nan"):
            return getattr(np, name)
        if name not in self._meanings:
            raise TraceError(f"uses {name}, which the compiled engine does not know")
        return self._meanings[name]


class Graph:
    """The operations of one kernel; equal operations on equal operands are one node.

    Where the arrays have no rows (`rows` is False: a run of parameters), a definition may not ask for their shape.
    """

    def __init__(self, dtype: np.dtype, meanings: Meanings, rows: bool = True) -> None:
        self.dtype, self.rows = np.dtype(dtype), rows
        self.kind = {"float32": "float", "float64": "double"}[self.dtype.name]
        self.namespace = Namespace(meanings)
        self.nodes: dict[tuple[Any, ...], Symbol] = {}

    def node(
        self,
        op: str,
        args: tuple[Symbol, ...],
        kind: str,
        extra: Any = None,
        level: int | None = None,
        flat: bool = False,
    ) -> Symbol:
        """The node of an operation; its level is the highest of its operands unless given."""
        level = max((x.level for x in args), default=STEP) if level is None else level
        key = (op, tuple(id(x) for x in args), kind, repr(extra), level, flat)
        if key not in self.nodes:
            self.nodes[key] = Symbol(self, op, args, kind, extra, level, flat)
        return self.nodes[key]

    def constant(self, value: Any, kind: str) -> Symbol:
        """A number in the given LLVM type."""
        value = float(value) if kind in FLOATS else int(value)
        if kind == "float":
            with np.errstate(over="ignore"):
                value = float(np.float32(value))
        return self.node("constant", (), kind, value)

    def input(self, name: str, level: int, kind: str | None = None, flat: bool = False) -> Symbol:
        """An array, or for STEP a number, handed to the kernel."""
        return self.node("input", (), kind or self.kind, name, level, flat)

    @property
    def units(self) -> Symbol:
        """Number of columns u of each (n, u) array."""
        return self.node("units", (), "double")


def _method(name: str) -> Callable[..., Any]:
    """A method or operator of a symbol that is the function of this name."""

    def method(self: Symbol, *args: Any, **options: Any) -> Any:
        return getattr(self.graph.namespace, name)(self, *args, **options)

    return method


def _reflected(name: str) -> Callable[..., Any]:
    """A binary operator whose right side is the symbol."""

    def method(self: Symbol, other: Any) -> Any:
        return getattr(self.graph.namespace, name)(other, self)

    return method


class Symbol:
    """A symbolic array; see the module."""

    __slots__ = ("args", "extra", "flat", "graph", "kind", "level", "op", "place")

    def __init__(
        self, graph: Graph, op: str, args: tuple[Symbol, ...], kind: str, extra: Any, level: int, flat: bool
    ) -> None:
        self.graph, self.op, self.args, self.kind, self.extra = graph, op, args, kind, extra
        self.level, self.flat, self.place = level, flat, len(graph.nodes)

    # ------------------------------------------------------------------------------------------------ shape and type
    @property
    def ndim(self) -> int:
        return 0 if self.level == STEP else 1 if self.flat else 2

    @property
    def shape(self) -> tuple[Any, ...]:
        if self.level != STEP and not self.graph.rows:
            raise TraceError("looks at the shape of the parameters, which are updated in runs of any length")
        rows = UnknownLength()
        return ((), (rows,), (rows, self.graph.units if self.level == ELEMENT else 1))[self.ndim]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(bool) if self.kind == "i1" else self.graph.dtype if self.kind in FLOATS else np.dtype(np.intp)

    def __getitem__(self, key: Any) -> Symbol:
        everything = slice(None)
        if self.level == ROW and not self.flat and key in ((everything, 0), (..., 0)):
            return self.graph.node("same", (self,), self.kind, None, ROW, True)
        if self.level == ROW and self.flat and key in ((everything, None), (..., None)):
            return self.graph.node("same", (self,), self.kind, None, ROW, False)
        if key in (..., everything, (everything, everything), ()):
            return self
        raise TraceError("takes single entries or parts of an array")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TraceError("writes into an array; use where(condition, x, y)")

    # ---------------------------------------------------------------------------------------- what a symbol cannot do
    def __bool__(self) -> bool:
        raise TraceError("depends on the value of an array; use where(condition, x, y) instead of if")

    def __iter__(self) -> Any:
        raise TraceError("loops over the rows of an array")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TraceError("uses a function that the compiled engine does not know")

    def _no_number(self, *_: Any) -> Any:
        raise TraceError("asks for a plain number; use clearprop.mathematics or NumPy instead of float() and math")

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
    __pow__, __rpow__ = _method("power"), _reflected("power")
    __lt__, __le__, __gt__, __ge__ = (
        _method("less"),
        _method("less_equal"),
        _method("greater"),
        _method("greater_equal"),
    )
    __eq__, __ne__ = _method("equal"), _method("not_equal")  # type: ignore[assignment]
    __and__, __or__, __xor__ = _method("bitwise_and"), _method("bitwise_or"), _method("bitwise_xor")
    __lshift__, __invert__ = _method("bitwise_left_shift"), _method("bitwise_invert")
    __neg__, __pos__, __abs__ = _method("negative"), _method("positive"), _method("abs")
    sum, max, min, mean = _method("sum"), _method("max"), _method("min"), _method("mean")
    astype, copy, clip = _method("astype"), _method("positive"), _method("clip")


class UnknownLength:
    """The number of rows, which a compiled definition is not told."""

    def use(self, *_: Any) -> Any:
        """Refuse."""
        raise TraceError("uses the number of rows, but has to treat each row by itself")

    __index__ = __int__ = __float__ = __bool__ = __add__ = __radd__ = __sub__ = __rsub__ = use
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __lt__ = __gt__ = __le__ = __ge__ = use
