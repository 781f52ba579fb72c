"""What a model answers to the rows of the report, output by output, in the words and units of its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clearprop.activations import Sigmoid, Softmax
from clearprop.core.network import Layer
from clearprop.core.objective import Objective, prepare
from clearprop.errors import ArgumentError
from clearprop.fork_safety import cached_property
from clearprop.tables import TableEncoding

if TYPE_CHECKING:
    from clearprop.model.model import Model


@dataclass(frozen=True)
class Classes:
    """One class for each row: y (n,) are places in `labels`, p (n, k) the probabilities of the k labels."""

    output: str
    target: str
    labels: tuple[str, ...]
    y: np.ndarray
    p: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of each row, (n,); of two equal ones the first."""
        return self.p.argmax(axis=1)

    @property
    def error(self) -> float:
        """The share of rows that are wrong."""
        return float((self.predicted != self.y).mean())


@dataclass(frozen=True)
class Flags:
    """Several yes-or-no answers for each row: y (n, o) of 0 and 1, p (n, o) the probabilities of yes."""

    output: str
    target: str
    labels: tuple[str, ...]
    y: np.ndarray
    p: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """Whether yes is more probable, (n, o) of 0 and 1."""
        return (self.p > 0.5).astype(int)

    @property
    def error(self) -> float:
        """The share of rows with at least one wrong answer."""
        return float((self.predicted != self.y).any(axis=1).mean())


@dataclass(frozen=True)
class Numbers:
    """Numbers for each row: y and yhat (n, o), in the target's own unit."""

    output: str
    target: str
    labels: tuple[str, ...]
    y: np.ndarray
    yhat: np.ndarray

    @property
    def error(self) -> float:
        """The root mean squared error; of several columns each measured in its standard deviation."""
        squares = np.mean((self.yhat - self.y) ** 2, axis=0)
        if squares.size == 1:
            return float(np.sqrt(squares[0]))
        spread = self.y.var(axis=0)
        return float(np.sqrt(np.mean(squares / np.where(spread > 0, spread, 1))))


Answer = Classes | Flags | Numbers


def objective_of(model: Model, X: Any, y: Any) -> Objective:
    """The rows of the report, checked. y (n,) is taken as a column where the output has one unit.

    Raises ShapeError or DataError as `cp.backpropagate` does.
    """
    net = model.net

    def column(name: str, given: Any) -> Any:
        array = np.asarray(given)
        return array[:, None] if array.ndim == 1 and net[name].units == 1 else array

    outputs = tuple(net.outputs or ())
    if isinstance(y, Mapping):
        y = {name: column(name, given) if name in outputs else given for name, given in y.items()}
    elif len(outputs) == 1:
        y = column(outputs[0], y)
    return prepare(net, model.params, X, y, model.loss)


def task_of(model: Model, output: str, y: np.ndarray) -> str:
    """What an output answers: binary, multiclass, multilabel or regression.

    The encoding says it where there is one. Otherwise softmax answers one of several classes, and sigmoid yes or no
    where all targets are 0 or 1. Raises ArgumentError where classes are wanted and the output gives no probabilities.
    """
    layer, encoding = model.net[output], _encoding_of(model)
    if encoding is None:
        if isinstance(layer.f, Softmax):
            return "multiclass"
        if isinstance(layer.f, Sigmoid) and np.isin(y, (0, 1)).all():
            return "binary" if layer.units == 1 else "multilabel"
        return "regression"
    if encoding.task != "regression" and not isinstance(layer.f, (Softmax, Sigmoid)):
        raise ArgumentError(
            f'report: the output "{output}" has the activation {layer.f.name}, but the table sets a {encoding.task} '
            "task. Expected an output that gives probabilities: sigmoid or softmax."
        )
    return encoding.task


def _encoding_of(model: Model) -> TableEncoding | None:
    """The encoding of the table, whose target belongs to the one output of the network."""
    return model.encoding if len(model.net.outputs or ()) == 1 else None


def answer(model: Model, output: str, task: str, y: np.ndarray, yhat: np.ndarray) -> Answer:
    """The answer of one output, from its activations yhat (n, units) and checked targets y."""
    layer, encoding = model.net[output], _encoding_of(model)
    target = encoding.target_names[0] if encoding is not None else output
    if task == "regression":
        if encoding is None:
            return Numbers(output, target, _unit_names(layer), y.astype(np.float64), yhat.astype(np.float64))
        y, yhat = _in_own_unit(encoding, y), _in_own_unit(encoding, yhat)
        return Numbers(output, target, encoding.target_names, y, yhat)
    if task == "multilabel":
        names = encoding.target_names if encoding is not None else _unit_names(layer)
        return Flags(output, target, names, (y > 0.5).astype(int), yhat.astype(np.float64))
    p = yhat.astype(np.float64)
    p = np.hstack([1 - p, p]) if layer.units == 1 else p
    labels = [str(label) for label in encoding.classes] if encoding is not None else map(str, range(p.shape[1]))
    return Classes(output, target, tuple(labels), _class_indices(y), p)


def _class_indices(y: np.ndarray) -> np.ndarray:
    """Class indices (n,) from indices, from one column of 0 and 1, or from rows of probabilities."""
    if y.ndim == 1:
        return y.astype(int)
    return (y[:, 0] > 0.5).astype(int) if y.shape[1] == 1 else y.argmax(axis=1)


def _unit_names(layer: Layer) -> tuple[str, ...]:
    return (layer.name,) if layer.units == 1 else tuple(f"{layer.name} {j}" for j in range(layer.units))


def _in_own_unit(encoding: TableEncoding, standardized: np.ndarray) -> np.ndarray:
    columns = encoding.decode(standardized)
    return np.stack([columns[name] for name in encoding.target_names], axis=1)


def input_columns(model: Model) -> dict[str, slice]:
    """The columns of the table and the inputs each fills; every input by itself where there is no encoding."""
    if model.encoding is not None:
        return dict(model.encoding.columns)
    return {f"column {i}": slice(i, i + 1) for i in range(model.net.inputs)}
