"""Kernels from definitions: what a network's activations, losses, optimizers and penalties are in compiled code.

A definition is called once with symbolic arrays (`tracing`), the operations it performs become vector code
(`lowering`) and machine code (`machine`), and the kernel is known by its address. In a kernel's arguments, rows lie
`stride` elements apart, a multiple of 64 bytes, and the columns from `units` to `stride` are padding: zeros are written
there, and nothing that stands there reaches a result. A kernel holds no state, and may run in several threads at once.

With Numba's compiler switched off (NUMBA_DISABLE_JIT=1) a kernel is a plain Python function that hands views of the
arrays to the definition itself, so that a reader can step into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.engine.compiled import scalar
from clearprop.engine.compiled.ffi import register
from clearprop.engine.compiled.lowering import Output, RunKernel, StepKernel, ordered
from clearprop.engine.compiled.machine import compile_function
from clearprop.engine.compiled.narrow_kernels import NarrowKernel
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.row_kernels import RowKernel
from clearprop.errors import CompilationError
from clearprop.losses import Loss
from clearprop.optimizers import Optimizer
from clearprop.penalties import Penalty
from clearprop.symbolic.graph import ELEMENT, INTEGERS, ROW, STEP, Graph, Symbol, TraceError
from clearprop.symbolic.operations import as_symbol, convert, reduce_row
from clearprop.symbolic.table import MEANINGS

#: Most slots per parameter that an optimizer may have here.
SLOTS = 2
#: Most numbers that an optimizer may compute from rate and t.
SCALARS = 16


def _is_fixed(x: Any) -> bool:
    """Whether what this does can never change: numbers, and the library's own definitions made of such."""
    if isinstance(x, tuple):
        return all(map(_is_fixed, x))
    if x is None or isinstance(x, (int, float, str, np.dtype)):
        return True
    names = _own_fields(type(x))
    return names is not None and all(_is_fixed(getattr(x, name)) for name in names)


@lru_cache(maxsize=256)
def _own_fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a definition of the library's own, which never change; None for any other class."""
    own = is_dataclass(kind) and kind.__module__.startswith("clearprop.") and kind.__hash__ is not None
    return tuple(field.name for field in fields(kind)) if own else None


def remembered(make: Callable[..., Any], most: int = 1024) -> Any:
    """Make the kernels of a definition once, unless it is someone's own, which may have changed since."""
    kept = lru_cache(maxsize=most, typed=True)(make)

    @wraps(make)
    def call(*given: Any, **named: Any) -> Any:
        fixed = _is_fixed((*given, *named.values()))
        return kept(*given, **named) if fixed else make(*given, **named)

    return call


@remembered
def activation_kernels(activation: Activation, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of forward(z, a, rows, units, stride) and pullback(z, a, error, rows, units, stride).

    `forward` writes a = f(z) and may work in place (a is z); `pullback` makes delta = dJ/dz of error = dJ/da in place.
    """
    if PLAIN:
        return register(_plain_forward(activation)), register(_plain_pullback(activation))
    graph, (z,) = _arrays(dtype, "z")
    with _compiling(activation, "function"):
        a = _stored(graph, "a", activation.function(z))
    forward = RowKernel(graph, "forward", [a])
    graph, outputs = _traced_pullback(activation, dtype)
    pullback = RowKernel(graph, "pullback", outputs)
    return compile_function(forward.text()), compile_function(pullback.text())


def _traced_pullback(activation: Activation, dtype: np.dtype) -> tuple[Graph, list[Output]]:
    graph, (z, a, error) = _arrays(dtype, "z", "a", "error")
    with _compiling(activation, "pullback"):
        delta = _stored(graph, "error", activation.pullback(a if activation.sign_is_enough else z, a, error))
    return graph, [delta]


@remembered
def reads_z(activation: Activation) -> bool:
    """Whether the pullback looks at z; where not, the forward kernel may overwrite it with a."""
    _, (delta,) = _traced_pullback(activation, np.dtype(np.float64))
    return any(node.op == "input" and node.extra == "z" for node in ordered([delta.value]))


@remembered
def loss_kernel(
    loss: Loss,
    activation: Activation,
    dtype: np.dtype,
    indices: bool = False,
    activates: bool = False,
    narrow: bool = False,
) -> int:
    """Address of loss(z, a, y, y_index, weights, delta, values, rows, units, stride).

    Adds w_n l_n to values (float64) and writes w_n dl/dz to delta, which must not overlap another array. With
    `indices`, the targets are class indices (int64) in y_index, else the rows of y; the other one is not looked at.
    A row whose outputs are not finite has the loss NaN, also where the loss is computed from z alone. With `activates`
    it computes a = f(z) itself and does not look at the array: what both need, such as exp(z), is computed once.
    A `narrow` one takes only layers that `is_narrow` says are.
    """
    if PLAIN:
        return register(_plain_loss(loss, activation, indices, activates))
    graph, (z, a) = _arrays(dtype, "z", "a")
    if activates:
        with _compiling(activation, "function"):
            a = convert(as_symbol(activation.function(z), graph), graph.kind)
    y = graph.input("y", ELEMENT)
    if indices:
        y = convert(graph.input("y_index", ROW, "i64", flat=True), INTEGERS[graph.kind])
    weights = graph.input("weights", ROW, flat=True)
    with _compiling(loss, "value and delta"):
        value, delta = loss.value_and_delta(activation, z, a, y)
        value = value + reduce_row("sum", 0 * a, axis=-1)  # NaN where an output is not finite
        value = convert(as_symbol(weights * value, graph), graph.kind)
        outputs = [_stored(graph, "delta", weights[:, None] * delta), Output("values", value, add=True)]
    kind = NarrowKernel if narrow else RowKernel
    return compile_function(kind(graph, "loss", outputs, apart=True).text())


@remembered
def optimizer_kernels(
    optimizer: Optimizer,
    dtype: np.dtype,
    penalties: Sequence[Penalty] = (),
    clip_value: float | None = None,
    ridge: bool = False,
) -> tuple[int, int]:
    """Addresses of prepare(rate, t, shrink, ridge, scalars) and update(w, g, slot0, slot1, count, scalars).

    `prepare` computes what depends on the step alone (such as 1 - beta^t) into `scalars` (16 of float64), once per
    step. `update` turns `count` parameters w into w (1 - shrink) + change and updates the slots in place; the gradient
    that the optimizer sees is g plus the slopes of the penalties, and with `ridge` plus that number times w, cut to
    +-clip_value.
    """
    if len(optimizer.slots) > SLOTS:
        raise CompilationError(
            f"optimizer: the compiled engine keeps at most {SLOTS} slots per parameter, {type(optimizer).__name__} has "
            f'{len(optimizer.slots)} ({", ".join(optimizer.slots)}). Train with engine="textbook".'
        )
    if PLAIN:
        return register(_plain_prepare), register(_plain_update(optimizer, penalties, clip_value, ridge))
    graph, (w, g) = _arrays(dtype, "w", "g", rows=False)
    rate, t, shrink, strength = (graph.input(name, STEP, "double") for name in ("rate", "t", "shrink", "ridge"))
    slots = [graph.input(f"slot{place}", ELEMENT) for place in range(len(optimizer.slots))]
    g = _with_slopes(g, w, penalties)
    g = g + strength * w if ridge else g
    g = g if clip_value is None else scalar.clip(g, -clip_value, clip_value)
    with _compiling(optimizer, "update"):
        change, *following = optimizer.update(rate, t, w, g, *slots)  # pyright: ignore[reportArgumentType]
        outputs = [_stored(graph, "w", w * (1 - shrink) + change)]
        outputs += [_stored(graph, f"slot{place}", slot) for place, slot in enumerate(following)]
        kernel = RunKernel(graph, "update", outputs)
        if len(following) != len(slots):
            raise TraceError(f"returns {len(following)} slots instead of {len(slots)}")
        if len(kernel.scalars) > SCALARS:
            raise TraceError(f"uses {len(kernel.scalars)} numbers that depend on rate and t, more than {SCALARS}")
    return compile_function(StepKernel(graph).text(kernel.scalars)), compile_function(kernel.text())


@remembered
def penalty_kernels(penalties: Sequence[Penalty], dtype: np.dtype) -> tuple[int, int]:
    """Addresses of slope(w, g, count), which adds dJ/dw to g, and value(w, count, total), which adds to total[0]."""
    if PLAIN:
        return register(_plain_slope(penalties)), register(_plain_value(penalties))
    graph, (w, g) = _arrays(dtype, "w", "g", rows=False)
    slope = RunKernel(graph, "slope", [_stored(graph, "g", _with_slopes(g, w, penalties))])
    graph, (w,) = _arrays(dtype, "w", rows=False)
    total = 0 * w
    for penalty in penalties:
        with _compiling(penalty, "value_and_slope"):
            total = total + penalty.value_and_slope(w)[0]
    outputs = [Output("total", reduce_row("sum", total, axis=-1), add=True)]
    value = RunKernel(graph, "value", outputs)
    return compile_function(slope.text()), compile_function(value.text())


def _with_slopes(g: Symbol, w: Symbol, penalties: Sequence[Penalty]) -> Symbol:
    """The gradient and the slopes of the penalties."""
    for penalty in penalties:
        with _compiling(penalty, "value_and_slope"):
            g = g + penalty.value_and_slope(w)[1]
    return g


# ------------------------------------------------------------------------------------------------------------- compiled
def _arrays(dtype: np.dtype, *names: str, rows: bool = True) -> tuple[Graph, list[Symbol]]:
    """A new graph and symbolic arrays in it: (n, u), or runs of parameters where there are no rows."""
    graph = Graph(dtype, MEANINGS, rows)
    return graph, [graph.input(name, ELEMENT) for name in names]


def _stored(graph: Graph, pointer: str, value: Any) -> Output:
    """A result in the precision of its graph."""
    return Output(pointer, convert(as_symbol(value, graph), graph.kind))


@contextmanager
def _compiling(definition: Any, what: str) -> Iterator[None]:
    """Say which definition it is that cannot be compiled, why, and how to mend it."""
    try:
        yield
    except Exception as error:
        reason = f"it {error}" if isinstance(error, TraceError) else f"{type(error).__name__}: {error}"
        raise CompilationError(
            f'{type(definition).__name__} "{definition.name}": {what} cannot be compiled: {reason}. Write it with '
            "operators and the functions of clearprop.mathematics or NumPy on whole arrays, "
            'or train with engine="textbook".'
        ) from error


# ---------------------------------------------------------------------------------------------------------------- plain
def _table(array: np.ndarray, rows: int, units: int, stride: int) -> np.ndarray:
    """The view (rows, units) of padded rows."""
    return array[: rows * stride].reshape(rows, stride)[:, :units]


def _plain_forward(activation: Activation) -> Callable[..., None]:
    def forward(z: np.ndarray, a: np.ndarray, rows: int, units: int, stride: int) -> None:
        _table(a, rows, units, stride)[...] = activation.function(_table(z, rows, units, stride))

    return forward


def _plain_pullback(activation: Activation) -> Callable[..., None]:
    def pullback(z: np.ndarray, a: np.ndarray, error: np.ndarray, rows: int, units: int, stride: int) -> None:
        z, a, error = (_table(array, rows, units, stride) for array in (z, a, error))
        error[...] = activation.pullback(z, a, error)

    return pullback


def _plain_loss(loss: Loss, activation: Activation, indices: bool, activates: bool) -> Callable[..., None]:
    def kernel(
        z: np.ndarray,
        a: np.ndarray,
        y: np.ndarray,
        y_index: np.ndarray,
        weights: np.ndarray,
        delta: np.ndarray,
        values: np.ndarray,
        rows: int,
        units: int,
        stride: int,
    ) -> None:
        z, a, delta = (_table(array, rows, units, stride) for array in (z, a, delta))
        a = activation.function(z) if activates else a
        targets = y_index[:rows] if indices else _table(y, rows, units, stride)
        value, unweighted = loss.value_and_delta(activation, z, a, targets)
        values[:rows] += weights[:rows] * (value + (0 * a).sum(axis=1))  # NaN where an output is not finite
        delta[...] = weights[:rows, None] * unweighted

    return kernel


def _plain_prepare(rate: float, t: int, shrink: float, ridge: float, scalars: np.ndarray) -> None:
    scalars[:4] = rate, t, shrink, ridge


def _plain_update(
    optimizer: Optimizer, penalties: Sequence[Penalty], clip_value: float | None, ridge: bool
) -> Callable[..., None]:
    def update(
        w: np.ndarray, g: np.ndarray, slot0: np.ndarray, slot1: np.ndarray, count: int, scalars: np.ndarray
    ) -> None:
        rate, t, shrink = float(scalars[0]), int(scalars[1]), float(scalars[2])
        slots = [slot[:count] for slot in (slot0, slot1)[: len(optimizer.slots)]]
        w, g = w[:count], g[:count]
        for penalty in penalties:
            g = g + penalty.value_and_slope(w)[1]
        g = g + float(scalars[3]) * w if ridge else g
        g = g if clip_value is None else np.clip(g, -clip_value, clip_value)
        change, *following = optimizer.update(rate, t, w, g, *slots)  # pyright: ignore[reportArgumentType]
        w[...] = w * (1 - shrink) + change
        for slot, new in zip(slots, following, strict=True):
            slot[...] = new

    return update


def _plain_slope(penalties: Sequence[Penalty]) -> Callable[..., None]:
    def slope(w: np.ndarray, g: np.ndarray, count: int) -> None:
        for penalty in penalties:
            g[:count] += penalty.value_and_slope(w[:count])[1]

    return slope


def _plain_value(penalties: Sequence[Penalty]) -> Callable[..., None]:
    def value(w: np.ndarray, count: int, total: np.ndarray) -> None:
        total[0] += sum(float(penalty.value_and_slope(w[:count])[0].sum()) for penalty in penalties)

    return value
