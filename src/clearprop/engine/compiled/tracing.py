"""Symbolic arrays: what a definition is called with so that the operations it performs can be compiled.

A `Symbol` stands for an array of the textbook, and speaks its language: operators, NumPy's ufuncs, the array API (so that
every function of `clearprop.mathematics` works on it), `x.shape[-1]`, `x[:, None]`, sums and maxima along a row. Each
operation adds a node to a graph instead of a number to memory. Fields, strings and plain Python numbers of a definition
stay what they are; only where a number meets a symbol does it become a constant, in the precision of that symbol, as
NumPy's promotion has it. What depends on the step alone (the rate, t) stays in double precision until it meets an array.

Nodes carry an LLVM operation and a level: STEP (one number a call), ROW (one a row, shape (n, 1) or, `flat`, (n,)) or
ELEMENT (one an element, shape (n, u)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEP, ROW, ELEMENT = 0, 1, 2
FLOATS = ("float", "double")
INTEGERS = {"float": "i32", "double": "i64"}

#: The compiled meaning of each function by name; `clearprop.engine.compiled.scalar` fills it.
MEANINGS: dict[str, Callable[..., Any]] = {}


class TraceError(TypeError):
    """A definition does something that only works on arrays that hold numbers."""


class Graph:
    """The operations of one kernel; equal operations on equal operands are one node."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = np.dtype(dtype)
        self.kind = {"float32": "float", "float64": "double"}[self.dtype.name]
        self.nodes: dict[tuple, Symbol] = {}

    def node(
        self, op: str, args: tuple[Symbol, ...], kind: str, extra: Any = None, level: int | None = None, flat: bool = False
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
        """An array (or for STEP a number) handed to the kernel."""
        return self.node("input", (), kind or self.kind, name, level, flat)

    @property
    def units(self) -> Symbol:
        """Number of columns u of each (n, u) array."""
        return self.node("units", (), "double")


class Symbol:
    """A symbolic array; see the module."""

    __slots__ = ("args", "extra", "flat", "graph", "kind", "level", "op")

    def __init__(
        self, graph: Graph, op: str, args: tuple[Symbol, ...], kind: str, extra: Any, level: int, flat: bool
    ) -> None:
        self.graph, self.op, self.args, self.kind, self.extra = graph, op, args, kind, extra
        self.level, self.flat = level, flat

    # ------------------------------------------------------------------------------------------------ shape and type
    @property
    def ndim(self) -> int:
        return 0 if self.level == STEP else 1 if self.flat else 2

    @property
    def shape(self) -> tuple[Any, ...]:
        rows = _Unknown("the number of rows")
        return ((), (rows,), (rows, self.graph.units if self.level == ELEMENT else 1))[self.ndim]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(bool) if self.kind == "i1" else self.graph.dtype if self.kind in FLOATS else np.dtype(np.intp)

    def astype(self, dtype: Any, copy: bool = True) -> Symbol:
        kind = np.dtype(dtype).kind
        if kind == "f":
            return as_float(self)
        if kind == np.dtype(self.dtype).kind:
            return self
        raise TraceError(f"it turns an array into {np.dtype(dtype)}")

    def copy(self) -> Symbol:
        return self

    def __getitem__(self, key: Any) -> Symbol:
        everything = slice(None)
        if self.level == ROW and not self.flat and key in ((everything, 0), (..., 0)):
            return self._reshaped(flat=True)
        if self.level == ROW and self.flat and key in ((everything, None), (..., None)):
            return self._reshaped(flat=False)
        if key in (..., everything, (everything, everything), ()):
            return self
        raise TraceError(f"it takes single entries of an array ([{key!r}])")

    def _reshaped(self, flat: bool) -> Symbol:
        return self.graph.node("same", (self,), self.kind, None, ROW, flat)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TraceError("it writes into an array; use where(condition, x, y)")

    # ---------------------------------------------------------------------------------------- what a symbol cannot do
    def __bool__(self) -> bool:
        raise TraceError("what it does depends on the value of an array; use where(condition, x, y) instead of if")

    def _no_number(self, *_: Any) -> Any:
        raise TraceError(
            "it asks an array for a plain number; use the functions of clearprop.mathematics or NumPy, not those of math"
        )

    __float__ = __int__ = __index__ = __complex__ = _no_number

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TraceError("it uses a function that is not known to the compiled engine")

    def __iter__(self) -> Any:
        raise TraceError("it loops over the rows of an array")

    __hash__ = object.__hash__

    # ---------------------------------------------------------------------------------------------------- operations
    def __array_namespace__(self, api_version: str | None = None) -> Namespace:
        return NAMESPACE

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and name in ("add", "maximum", "minimum"):
            name = {"add": "sum", "maximum": "max", "minimum": "min"}[name]
            options = {k: v for k, v in options.items() if k in ("axis", "keepdims")}
        elif method != "__call__" or any(v is not None for v in options.values()):
            raise TraceError(f"it calls {name} with {method if method != '__call__' else ', '.join(options)}")
        else:
            options = {}
        return meaning(name)(*inputs, **options)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return meaning(function.__name__)(*args, **kwargs)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce_row("sum", self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce_row("max", self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce_row("min", self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce_row("sum", self, axis, keepdims) / self.graph.units

    def __pos__(self) -> Symbol:
        return self

    def __neg__(self) -> Symbol:
        return arithmetic("sub", 0, self) if self.kind.startswith("i") and self.kind != "i1" else unary("fneg", self)

    def __abs__(self) -> Symbol:
        return intrinsic("fabs", self)

    def __invert__(self) -> Symbol:
        return self.graph.node("xor", (self, self.graph.constant(1, "i1")), "i1")


class Namespace:
    """The functions of the array API as far as definitions may use them."""

    def __getattr__(self, name: str) -> Any:
        if name in ("float32", "float64"):
            return np.dtype(name)
        if name in ("pi", "e", "inf", "nan"):
            return getattr(np, name)
        return meaning(name)


NAMESPACE = Namespace()


class _Unknown:
    """A length that is not known when a definition is compiled."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __getattr__(self, name: str) -> Any:
        raise TraceError(f"it uses {self.what}, but has to treat each row by itself")

    __index__ = __int__ = __float__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = (
        lambda self, *_: self.use
    )


def meaning(name: str) -> Callable[..., Any]:
    """The compiled meaning of a function of the array API, NumPy or SciPy."""
    if name not in MEANINGS:
        raise TraceError(f"it uses {name}, which is not known to the compiled engine")
    return MEANINGS[name]


# ----------------------------------------------------------------------------------------------------------- operands
def graph_of(*values: Any) -> Graph:
    """The graph that the symbols among the values belong to."""
    return next(value.graph for value in values if isinstance(value, Symbol))


def is_number(value: Any) -> bool:
    """Whether a value is a plain number: of Python, of NumPy, or an array with a single entry and no axis."""
    return isinstance(value, (bool, int, float, np.number, np.bool_)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )


def convert(x: Symbol, kind: str) -> Symbol:
    """A symbol in another LLVM type."""
    graph = x.graph
    if x.kind == kind:
        return x
    if x.op == "constant":
        return graph.constant(x.extra, kind)
    if x.kind == "i1":
        return graph.node("select", (x, graph.constant(1, kind), graph.constant(0, kind)), kind, None, None, x.flat)
    if x.kind in FLOATS:
        op = "fpext" if kind == "double" else "fptrunc"
    else:
        op = "sitofp" if kind in FLOATS else "sext" if kind == "i64" else "trunc"
    return graph.node(op, (x,), kind, None, None, x.flat)


def as_symbol(value: Any, graph: Graph) -> Symbol:
    """A result as a symbol, also where a definition returns a plain number."""
    if isinstance(value, Symbol):
        return value
    if is_number(value):
        return graph.constant(value, graph.kind)
    raise TraceError(f"it returns a {type(value).__name__}")


def as_float(x: Symbol) -> Symbol:
    """A symbol as a floating-point number in the precision of its graph, or double for a step's number."""
    return x if x.kind in FLOATS else convert(x, x.graph.kind if x.level else "double")


def common(*values: Any) -> tuple[tuple[Symbol, ...], bool]:
    """Operands in one LLVM type, and whether their result is a vector (n,).

    Numbers and what depends on the step alone take the type of the arrays they meet.
    """
    graph = graph_of(*values)
    for value in values:
        if not isinstance(value, Symbol) and not is_number(value):
            shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
            raise TraceError(f"it mixes an array with a {type(value).__name__}{shape}; only plain numbers can be compiled in")
    symbols = [value for value in values if isinstance(value, Symbol)]
    arrays = [x for x in symbols if x.level != STEP and x.op != "constant"]
    kinds = {x.kind for x in (arrays or symbols) if x.kind in FLOATS}
    whole = all(x.kind in INTEGERS.values() for x in symbols) and all(
        isinstance(v, (int, np.integer, Symbol)) and not isinstance(v, bool) for v in values
    )
    if len(kinds) > 1:
        raise TraceError(f"it mixes the precisions {sorted(kinds)}")
    kind = symbols[0].kind if whole else kinds.pop() if kinds else graph.kind if arrays else "double"
    if any(x.flat for x in arrays) and not all(x.flat for x in arrays):
        raise TraceError("it combines an array of shape (n,) with one of shape (n, u); keep the row axis: x[:, None]")
    made = tuple(convert(v, kind) if isinstance(v, Symbol) else graph.constant(v, kind) for v in values)
    return made, any(x.flat for x in arrays)


# --------------------------------------------------------------------------------------------------------- operations
def unary(op: str, x: Symbol) -> Symbol:
    """A floating-point operation on one operand."""
    x = as_float(x)
    return x.graph.node(op, (x,), x.kind, None, None, x.flat)


def intrinsic(name: str, *values: Any) -> Symbol:
    """An LLVM intrinsic on floating-point operands of one type: fabs, sqrt, rint, floor, fmuladd."""
    args, flat = common(*values)
    args = tuple(as_float(x) for x in args)
    return args[0].graph.node("intrinsic", args, args[0].kind, name, None, flat)


def library(name: str, *values: Any) -> Symbol:
    """A function of the C library in double precision, element by element: slow, for what is rarely used."""
    args, flat = common(*values)
    wide = tuple(convert(as_float(x), "double") for x in args)
    result = wide[0].graph.node("library", wide, "double", name, None, flat)
    return convert(result, args[0].kind) if args[0].kind in FLOATS else result


def rarely(condition: Symbol, name: str, x: Symbol, usual: Symbol) -> Symbol:
    """A function of the C library where the condition holds, which is seldom, and the usual result elsewhere."""
    return x.graph.node("rarely", (condition, x, usual), x.kind, name, None, x.flat)


def arithmetic(op: str, x: Any, y: Any) -> Symbol:
    """One of add, sub, mul (integers or floating-point numbers) and div."""
    (x, y), flat = common(x, y)
    if x.kind in FLOATS or op == "div":
        x, y, op = as_float(x), as_float(y), "f" + op
        if op == "fmul" and any(side.op == "constant" and side.extra == 1.0 for side in (x, y)):
            return y if x.op == "constant" and x.extra == 1.0 else x
    return x.graph.node(op, (x, y), x.kind, None, None, flat)


def compare(relation: str, x: Any, y: Any) -> Symbol:
    """A condition: one of lt, le, gt, ge, eq, ne (ne holds where one side is NaN, the others do not)."""
    (x, y), flat = common(x, y)
    if x.kind in FLOATS:
        return x.graph.node("fcmp", (x, y), "i1", "une" if relation == "ne" else "o" + relation, None, flat)
    return x.graph.node("icmp", (x, y), "i1", relation if relation in ("eq", "ne") else "s" + relation, None, flat)


def bitwise(op: str, x: Symbol, y: Any) -> Symbol:
    """One of and, or, xor, shl, ashr, lshr on integers, or the first three on conditions."""
    if not isinstance(y, Symbol) and (isinstance(y, (int, np.integer, np.bool_))):
        y = x.graph.constant(y, x.kind)
    if not isinstance(y, Symbol) or x.kind != y.kind or x.kind in FLOATS:
        raise TraceError(f"it applies a bitwise {op} to something else than two conditions")
    return x.graph.node(op, (x, y), x.kind, None, None, x.flat or y.flat)


def select(condition: Any, x: Any, y: Any) -> Symbol:
    """x where the condition holds, y elsewhere."""
    if not isinstance(condition, Symbol):
        return x if condition else y
    if condition.kind != "i1":
        condition = compare("ne", condition, 0)
    if not isinstance(x, Symbol) and not isinstance(y, Symbol):
        graph, kind = condition.graph, condition.graph.kind if condition.level else "double"
        chosen, flat = (graph.constant(x, kind), graph.constant(y, kind)), condition.flat
    else:
        chosen, flat = common(x, y)
        kind = chosen[0].kind
        if condition.level != STEP and kind == "double" != condition.graph.kind and all(s.level == STEP for s in chosen):
            kind = condition.graph.kind
            chosen = tuple(convert(s, kind) for s in chosen)
    return condition.graph.node("select", (condition, *chosen), kind, None, None, flat or condition.flat)


def reduce_row(operation: str, x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
    """The sum, max or min of each row."""
    if x.level != ELEMENT or axis not in (-1, 1):
        raise TraceError(f"it takes a {operation} that is not over the units of each row (axis=-1)")
    x = as_float(x)
    return x.graph.node("reduce", (x,), x.kind, operation, ROW, not keepdims)


def power(x: Any, n: Any) -> Symbol:
    """x to the power n: by multiplication for a whole number, by the C library for any other."""
    if is_number(n) and isinstance(x, Symbol) and x.level != STEP:
        n = float(n)
        if n == 0.5:
            return intrinsic("sqrt", x)
        if n.is_integer() and abs(n) <= 64:
            return _whole_power(as_float(x), int(n)) if n >= 0 else 1 / _whole_power(as_float(x), -int(n))
    return library("pow", x, n)


def _whole_power(x: Symbol, n: int) -> Symbol:
    if n == 0:
        return select(x == x, 1.0, 1.0)
    half = _whole_power(x, n // 2) if n > 1 else None
    if half is None:
        return x
    return half * half * x if n % 2 else half * half


def _operator(function: Callable[..., Any], *first: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both sides of a binary operator."""

    def forward(self: Symbol, other: Any) -> Any:
        return function(*first, self, other)

    def reflected(self: Symbol, other: Any) -> Any:
        return function(*first, other, self)

    return forward, reflected


for _name, _operation in {
    "add": (arithmetic, "add"),
    "sub": (arithmetic, "sub"),
    "mul": (arithmetic, "mul"),
    "truediv": (arithmetic, "div"),
    "pow": (power,),
}.items():
    _sides = _operator(*_operation)
    setattr(Symbol, f"__{_name}__", _sides[0])
    setattr(Symbol, f"__r{_name}__", _sides[1])
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Symbol, f"__{_name}__", _operator(compare, _name)[0])
for _name, _op in {"and": "and", "or": "or", "xor": "xor", "lshift": "shl", "rshift": "ashr"}.items():
    setattr(Symbol, f"__{_name}__", _operator(bitwise, _op)[0])
