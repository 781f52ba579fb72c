"""Expression graphs of definitions as JSON, and their evaluation with any array library.

Another program, such as a web page or an array library on a GPU, evaluates the JSON by the names of the array API:

    {"nodes": [{"op": "input", "name": "z"}, {"op": "constant", "value": 0},
               {"op": "maximum", "args": [0, 1]}, ...], "outputs": {"a": 2, "slope": 5}}

`args` are indices of earlier nodes. The operations are the rows of `clearprop.symbolic.operations`. Besides functions
of the array API and SciPy's erf, erfc, expit, log_expit and xlogy these are: sum, max and min over the last axis, which
keeps length 1 unless `flat` is true; expand and flatten, which add and remove that axis; real, which converts to the
precision of the inputs; units, the number of columns; and column, the index of each column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

from clearprop.activations import Activation, Elementwise
from clearprop.errors import ArgumentError, DataError, suggest
from clearprop.losses import Loss
from clearprop.mathematics import Array, namespace
from clearprop.optimizers import Optimizer
from clearprop.symbolic.graph import BOOLEAN, ELEMENT, INTEGER, REAL, ROW, STEP, Graph, Symbol, TraceError, ordered
from clearprop.symbolic.operations import OPERATIONS, REDUCTIONS, find_function
from clearprop.symbolic.tracing import as_symbol, constant, record, total, tracer

_LEVELS = {"step": STEP, "row": ROW, "element": ELEMENT}
_NOT_FINITE = ("inf", "-inf", "nan")


@dataclass(frozen=True, eq=False)
class Expressions:
    """Named results of one expression graph.

    >>> import numpy as np, clearprop as cp
    >>> relu = trace_activation(cp.relu)
    >>> relu.evaluate({"z": np.array([[-1.0, 2.0]])})
    {'a': array([[0., 2.]]), 'slope': array([[0., 1.]])}
    >>> from_json(relu.to_json()).to_json() == relu.to_json()
    True
    """

    outputs: dict[str, Symbol]

    @property
    def nodes(self) -> list[Symbol]:
        """The nodes that the outputs depend on, operands first."""
        return ordered(self.outputs.values())

    def evaluate(self, inputs: Mapping[str, Array], special: Any = None) -> dict[str, Array]:
        """The outputs for arrays of one library; `special` has its erf, erfc, expit, log_expit and xlogy.

        SciPy's functions are used for NumPy's arrays.
        """
        elements = [node.extra for node in self.nodes if node.op == "input" and node.level == ELEMENT]
        like = inputs[elements[0]] if elements else next(iter(inputs.values()))
        xp = namespace(like)
        spaces = (xp, *([special] if special is not None else []), *([scipy.special] if xp is np else []))
        values: dict[int, Any] = {}
        for node in self.nodes:
            args = [values[id(x)] for x in node.args]
            values[id(node)] = inputs[node.extra] if node.op == "input" else _value(node, args, xp, like, spaces)
        return {name: values[id(node)] for name, node in self.outputs.items()}

    def to_json(self) -> dict[str, Any]:
        """The graph as lists, dictionaries, texts and numbers that `json.dumps` accepts."""
        index = {id(node): i for i, node in enumerate(self.nodes)}
        nodes = [_node_to_json(node, [index[id(x)] for x in node.args]) for node in self.nodes]
        return {"nodes": nodes, "outputs": {name: index[id(node)] for name, node in self.outputs.items()}}


def _value(node: Symbol, args: list[Any], xp: Any, like: Array, spaces: tuple[Any, ...]) -> Any:
    if node.op == "constant":
        return node.extra
    operation = OPERATIONS[node.op]
    if operation.compute is not None:
        return operation.compute(xp, like, node.flat, *args)
    if node.op == "where" and all(x.op == "constant" for x in node.args[1:]):
        args[1:] = [xp.asarray(x, dtype=like.dtype) for x in args[1:]]
    return find_function(operation, *spaces)(*args)


def _node_to_json(node: Symbol, args: list[int]) -> dict[str, Any]:
    if node.op == "constant":
        return {"op": "constant", "value": node.extra if math.isfinite(node.extra) else str(node.extra)}
    made: dict[str, Any] = {"op": node.op}
    if node.op == "input":
        level = next(name for name, level in _LEVELS.items() if level == node.level)
        made |= {"name": node.extra, "level": level, "kind": node.kind}
    if args:
        made["args"] = args
    return made | {"flat": True} if node.flat and node.op in ("input", *REDUCTIONS) else made


def from_json(data: Any) -> Expressions:
    """The expressions of `Expressions.to_json`; raises DataError for anything else."""
    graph, nodes = tracer(), []
    parts = (data.get("nodes"), data.get("outputs")) if isinstance(data, dict) else ()
    if tuple(map(type, parts)) != (list, dict):
        raise DataError('expressions: expected a dictionary with a list "nodes" and a dictionary "outputs".')
    for i, node in enumerate(data["nodes"]):
        if not isinstance(node, dict):
            raise DataError(f"expressions: node {i}: expected a dictionary, got {type(node).__name__}.")
        try:
            args = [_earlier(index, nodes) for index in node.get("args", ())]
            nodes.append(_node_from_json(graph, node, args))
        except (TypeError, ValueError, KeyError) as error:
            raise DataError(f"expressions: node {i}: {node.get('op')!r} is not valid: {error}") from error
    try:
        return Expressions({str(name): _earlier(index, nodes) for name, index in data["outputs"].items()})
    except ValueError as error:
        raise DataError(f"expressions: outputs: {error}") from error


def _earlier(index: Any, nodes: list[Symbol]) -> Symbol:
    if type(index) is not int or not 0 <= index < len(nodes):
        raise ValueError(f"expected the index of one of the {len(nodes)} earlier nodes, got {index!r}.")
    return nodes[index]


def _node_from_json(graph: Graph, node: dict[str, Any], args: list[Symbol]) -> Symbol:
    op, flat = node.get("op"), node.get("flat", False) is True
    if op == "input":
        if node["kind"] not in (REAL, INTEGER, BOOLEAN):
            raise ValueError(f"unknown kind {node['kind']!r}.")
        return graph.input(str(node["name"]), _LEVELS[node["level"]], node["kind"], flat)
    if op == "constant":
        value = float(node["value"]) if node["value"] in _NOT_FINITE else node["value"]
        if not isinstance(value, (bool, int, float)):
            raise TypeError(f"a constant is a number, not {value!r}.")
        return constant(graph, value)
    if op not in OPERATIONS:
        raise ValueError(f"unknown operation. {suggest(str(op), OPERATIONS)}")
    operation = OPERATIONS[op]
    if len(args) != operation.arguments:
        raise ValueError(f"expected {operation.arguments} arguments, got {len(args)}.")
    match op:
        case "sum" | "max" | "min":
            return total(args[0], op, not flat)
        case "expand" | "flatten":
            return args[0][:, None] if op == "expand" else args[0][:, 0]
        case "units":
            return graph.node("units", (), REAL)
        case "column":
            return graph.node("column", (), INTEGER, level=ELEMENT)
    return record(operation, *args)


# ---------------------------------------------------------------------------------------------------------- definitions
def trace_activation(f: Activation) -> Expressions:
    """The expressions of an activation.

    Outputs: a = f(z), and for an elementwise activation slope = f'(z), else delta = dJ/dz from the input error = dJ/da.
    """
    with _tracing(f) as graph:
        z = graph.input("z")
        a = as_symbol(f.function(z), graph)
        if isinstance(f, Elementwise):
            return _outputs(graph, a=a, slope=f.derivative(z, a))
        return _outputs(graph, a=a, delta=f.pullback(z, a, graph.input("error")))


def trace_loss(loss: Loss, activation: Activation | None = None, indices: bool = False) -> Expressions:
    """The expressions of a loss.

    Outputs: the value of each sample, and error = dl/dyhat from the inputs yhat and y. With the activation of the
    output layer, the inputs are z and y and the outputs value and delta = dl/dz, by the short form if there is one.
    With `indices`, y (n,) holds class indices.
    """
    with _tracing(loss) as graph:
        source = graph.input("yhat" if activation is None else "z")
        y = graph.input("y", ROW, INTEGER, flat=True) if indices else graph.input("y")
        if activation is None:
            value, error = loss.value_and_error(source, y)
            return _outputs(graph, value=value, error=error)
        value, delta = loss.value_and_delta(activation, source, as_symbol(activation.function(source), graph), y)
        return _outputs(graph, value=value, delta=delta)


def trace_optimizer(optimizer: Optimizer) -> Expressions:
    """The expressions of an update: change and each slot, from learning_rate, t (the step), w, g and the slots."""
    with _tracing(optimizer, rows=False) as graph:
        rate, t = graph.input("learning_rate", STEP), graph.input("t", STEP)
        arrays = [graph.input(name) for name in ("w", "g", *optimizer.slots)]
        change, *updated = optimizer.update(rate, t, *arrays)  # type: ignore[arg-type]
        return _outputs(graph, change=change, **dict(zip(optimizer.slots, updated, strict=True)))


@contextmanager
def _tracing(definition: Any, rows: bool = True) -> Iterator[Graph]:
    """An empty graph; what cannot be traced is reported with the name of the definition."""
    try:
        yield tracer(rows=rows)
    except TraceError as error:
        raise ArgumentError(
            f'{type(definition).__name__} "{definition.name}": cannot be exported: it {error}.'
        ) from error


def _outputs(graph: Graph, **values: Any) -> Expressions:
    return Expressions({name: as_symbol(value, graph) for name, value in values.items()})
