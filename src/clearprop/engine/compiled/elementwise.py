"""Kernels from definitions: compiled code of activations, losses, optimizers and penalties.

The body of a kernel is array code that calls the definition. It is called once with symbols, which records an
expression graph (`clearprop.symbolic`). `lowering` turns the graph into vector instructions, and `machine` compiles
them. A kernel is identified by its address. In its arguments, rows are `stride` elements apart, a multiple of 64 bytes,
and the columns from `units` to `stride` are padding: kernels write zeros there, and no result depends on the values
in the padding. A kernel has no state and may run in several threads at once.

With Numba's compiler switched off (NUMBA_DISABLE_JIT=1) a kernel is a plain Python function that calls the same body
with views of the arrays, so that a reader can step into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.core.caching import cached_by_definition
from clearprop.engine.compiled.ffi import parameters, register
from clearprop.engine.compiled.lowering import Lowering, Output, RunKernel, StepKernel
from clearprop.engine.compiled.machine import compile_function
from clearprop.engine.compiled.narrow_kernels import NarrowKernel
from clearprop.engine.compiled.numba_internals import PLAIN
from clearprop.engine.compiled.row_kernels import RowKernel
from clearprop.errors import CompilationError
from clearprop.losses import Loss
from clearprop.optimizers import Optimizer
from clearprop.penalties import Penalty
from clearprop.symbolic.graph import ELEMENT, INTEGER, REAL, ROW, STEP, Graph, TraceError, ordered
from clearprop.symbolic.tracing import as_symbol, clip, total, tracer

#: Most slots per parameter that an optimizer may have here.
SLOTS = 2
#: Most numbers that an optimizer may compute from the learning rate and t.
SCALARS = 16

#: The body of a kernel gets its inputs by name, as symbols or as arrays, and returns its outputs by name.
Body = Callable[[Callable[[str], Any]], dict[str, Any]]


@cached_by_definition
def activation_kernels(activation: Activation, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of forward(z, a, rows, units, stride) and pullback(z, a, error, rows, units, stride).

    `forward` writes a = f(z) and may work in place (a is z); `pullback` replaces error = dJ/da by delta = dJ/dz.
    """

    def forward(array: Callable[[str], Any]) -> dict[str, Any]:
        return {"a": activation.function(array("z"))}

    return (
        _row_kernel(forward, activation, "function", dtype, "forward"),
        _row_kernel(_pullback(activation), activation, "pullback", dtype, "pullback"),
    )


def _pullback(activation: Activation) -> Body:
    def pullback(array: Callable[[str], Any]) -> dict[str, Any]:
        z, a, error = array("z"), array("a"), array("error")
        return {"error": activation.pullback(a if activation.pullback_needs_only_output else z, a, error)}

    return pullback


@cached_by_definition
def reads_z(activation: Activation) -> bool:
    """Whether the pullback reads z; if not, the forward kernel may overwrite it with a."""
    graph = tracer()
    with _compiling(activation, "pullback"):
        delta = as_symbol(_pullback(activation)(graph.input)["error"], graph)
    return any(node.op == "input" and node.extra == "z" for node in ordered([delta]))


@cached_by_definition
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
    `indices`, the targets are class indices (int64) in y_index, else the rows of y; the other array is not read.
    A row with outputs that are not finite has the loss NaN, also where the loss is computed from z alone. With
    `activates` the kernel computes a = f(z) itself instead of reading it, so that common parts, such as exp(z), are
    computed once. A `narrow` kernel is for layers for which `is_narrow` is true.
    """

    def body(array: Callable[[str], Any]) -> dict[str, Any]:
        z, a = array("z"), array("a")
        if activates:
            with _compiling(activation, "function"):
                a = activation.function(z)
        y, weights = array("y_index" if indices else "y"), array("weights")
        value, delta = loss.value_and_delta(activation, z, a, y)
        value = weights * (value + (0 * a).sum(axis=-1))  # NaN where an output is not finite
        return {"delta": weights[:, None] * delta, "values": value}

    kernel = NarrowKernel if narrow else RowKernel
    return _row_kernel(body, loss, "value and delta", dtype, "loss", kernel, apart=True)


@cached_by_definition
def optimizer_kernels(
    optimizer: Optimizer,
    dtype: np.dtype,
    penalties: Sequence[Penalty] = (),
    clip_value: float | None = None,
    ridge: bool = False,
) -> tuple[int, int]:
    """Addresses of prepare(rate, t, shrink, ridge, scalars) and update(w, g, slot0, slot1, units, scalars).

    `prepare` computes what depends on the step alone (such as 1 - beta^t) into `scalars` (16 of float64), once per
    step. `update` replaces `units` parameters w by w (1 - shrink) + change and updates the slots in place. The gradient
    that the optimizer gets is g plus the slopes of the penalties, plus ridge * w if `ridge` is true, clipped to
    +-clip_value.
    """
    if len(optimizer.slots) > SLOTS:
        raise CompilationError(
            f"optimizer: the compiled engine supports at most {SLOTS} slots per parameter, {type(optimizer).__name__} "
            f'has {len(optimizer.slots)} ({", ".join(optimizer.slots)}). Train with engine="textbook".'
        )

    def body(array: Callable[[str], Any]) -> dict[str, Any]:
        w, g = array("w"), array("g")
        rate, t, shrink, strength = map(array, _STEP)
        slots = [array(f"slot{i}") for i in range(len(optimizer.slots))]
        g = _with_slopes(g, w, penalties)
        g = g + strength * w if ridge else g
        g = g if clip_value is None else clip(g, -clip_value, clip_value)
        change, *updated = optimizer.update(rate, t, w, g, *slots)
        if len(updated) != len(slots):
            raise TraceError(f"returns {len(updated)} slots instead of {len(slots)}")
        return {"w": w * (1 - shrink) + change, **{f"slot{i}": slot for i, slot in enumerate(updated)}}

    if PLAIN:
        return register(_plain_prepare), _plain(body, "update")
    with _compiling(optimizer, "update"):
        kernel = RunKernel(*_instructions(body, dtype, "update", rows=False))
        if len(kernel.scalars) > SCALARS:
            raise TraceError(f"computes {len(kernel.scalars)} values from rate and t alone, more than {SCALARS}")
    return compile_function(StepKernel(kernel.graph).text(kernel.scalars)), compile_function(kernel.text())


@cached_by_definition
def penalty_kernels(penalties: Sequence[Penalty], dtype: np.dtype) -> tuple[int, int]:
    """Addresses of slope(w, g, units), which adds dJ/dw to g, and value(w, units, total), which adds to total[0]."""

    def slope(array: Callable[[str], Any]) -> dict[str, Any]:
        w, g = array("w"), array("g")
        return {"g": _with_slopes(g, w, penalties)}

    def value(array: Callable[[str], Any]) -> dict[str, Any]:
        w = array("w")
        values = 0 * w
        for penalty in penalties:
            with _compiling(penalty, "value_and_slope"):
                values = values + penalty.value_and_slope(w)[0]
        return {"total": values}

    if PLAIN:
        return _plain(slope, "slope"), _plain(value, "value")
    slopes = RunKernel(*_instructions(slope, dtype, "slope", rows=False))
    values = RunKernel(*_instructions(value, dtype, "value", rows=False))
    return compile_function(slopes.text()), compile_function(values.text())


def _with_slopes(g: Any, w: Any, penalties: Sequence[Penalty]) -> Any:
    """The gradient plus the slopes of the penalties."""
    for penalty in penalties:
        with _compiling(penalty, "value_and_slope"):
            g = g + penalty.value_and_slope(w)[1]
    return g


# ------------------------------------------------------------------------------------------------------------- compiled
#: The numbers of a step, in the order in which `prepare` gets them.
_STEP = ("rate", "t", "shrink", "ridge")
#: Level, kind and shape of the inputs that are not arrays (n, u) of real numbers.
_INPUTS: dict[str, tuple[int, str, bool]] = {
    "y_index": (ROW, INTEGER, True),
    "weights": (ROW, REAL, True),
    **dict.fromkeys(_STEP, (STEP, REAL, False)),
}


def _row_kernel(
    body: Body,
    definition: Any,
    what: str,
    dtype: np.dtype,
    signature: str,
    kernel: type[RowKernel] = RowKernel,
    apart: bool = False,
) -> int:
    """The address of a kernel over rows."""
    if PLAIN:
        return _plain(body, signature)
    with _compiling(definition, what):
        instructions = _instructions(body, dtype, signature)
    return compile_function(kernel(*instructions, apart).text())


def _instructions(body: Body, dtype: np.dtype, signature: str, rows: bool = True) -> tuple[Graph, str, list[Output]]:
    """The instruction graph of a body with its outputs."""
    traced = tracer(dtype, rows)
    results = body(lambda name: traced.input(name, *_INPUTS.get(name, (ELEMENT, REAL, False))))
    lower, outputs = Lowering(traced), []
    for name, value in results.items():
        symbol = as_symbol(value, traced)
        symbol = total(symbol) if name == "total" else symbol
        outputs.append(Output(name, lower(symbol), add=name in ("values", "total")))
    return lower.graph, signature, outputs


@contextmanager
def _compiling(definition: Any, what: str) -> Iterator[None]:
    """Name the definition that cannot be compiled, the reason, and how to fix it."""
    try:
        yield
    except CompilationError:
        raise
    except Exception as error:
        if PLAIN:
            raise
        reason = f"it {error}" if isinstance(error, TraceError) else f"{type(error).__name__}: {error}"
        raise CompilationError(
            f'{type(definition).__name__} "{definition.name}": {what} cannot be compiled: {reason}. Write it with '
            "operators and the functions of clearprop.mathematics or NumPy on whole arrays, "
            'or train with engine="textbook".'
        ) from error


# ---------------------------------------------------------------------------------------------------------------- plain
def _plain(body: Body, signature: str) -> int:
    """A kernel in plain Python with a signature of `ffi`."""

    def kernel(*arguments: Any) -> None:
        given = dict(zip(parameters(signature), arguments, strict=True))

        def view(name: str) -> Any:
            if name in _STEP:
                number = given["scalars"][_STEP.index(name)]
                return int(number) if name == "t" else float(number)
            units = given["units"]
            if "rows" not in given:
                return given[name][:units]
            rows, stride = given["rows"], given["stride"]
            if name in ("y_index", "weights", "values"):
                return given[name][:rows]
            return given[name][: rows * stride].reshape(rows, stride)[:, :units]

        for name, value in body(view).items():
            if name == "total":
                given[name][0] += value.sum()
            else:
                view(name)[...] = view(name) + value if name == "values" else value

    return register(kernel)


def _plain_prepare(rate: float, t: int, shrink: float, ridge: float, scalars: np.ndarray) -> None:
    scalars[:4] = rate, t, shrink, ridge
