"""The predictions of an output layer beside the true targets, as metrics, report and command line use them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clearprop.activations import Sigmoid, Softmax
from clearprop.core.network import Layer, Network
from clearprop.core.outputs import Outputs
from clearprop.display import Displayed
from clearprop.errors import ArgumentError
from clearprop.fork_safety import cached_property
from clearprop.losses import usual_loss
from clearprop.tables import TableEncoding


@dataclass(frozen=True, eq=False)
class Predictions(Displayed):
    """The predictions of one output layer for n rows beside the truth, with the labels and in the unit of the target.

    | task                     | labels             | y                                  | yhat                        |
    |--------------------------|--------------------|------------------------------------|-----------------------------|
    | "binary", "multiclass"   | the k classes      | (n,) indices of classes            | (n, k) probabilities        |
    | "multilabel"             | the o columns      | (n, o) of 0 and 1                  | (n, o) probabilities of 1   |
    | "regression"             | the o columns      | (n, o) in the unit of the target   | (n, o) in that unit         |

    `log_loss` (n,) is the cross-entropy of each row for classes, computed from the weighted sums, so that it is exact
    even if a probability is rounded to 0. `sample_weight` (n,) weighs the rows, equally if it is None.
    """

    task: str
    target: str
    labels: tuple[str, ...]
    y: np.ndarray
    yhat: np.ndarray
    output: str = "output"
    log_loss: np.ndarray | None = None
    sample_weight: np.ndarray | None = None

    @property
    def has_classes(self) -> bool:
        """Whether each row has one of several classes."""
        return self.task in ("binary", "multiclass")

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class (n,), the more probable of 0 and 1 (n, o), or the numbers (n, o)."""
        if self.has_classes:
            return self.yhat.argmax(axis=1)
        return (self.yhat > 0.5).astype(int) if self.task == "multilabel" else self.yhat

    @property
    def error(self) -> float:
        """One number that is 0 if every row is right: the share of rows with a wrong answer, or the RMSE.

        The RMSE of several columns is measured in the standard deviation of each.
        """
        if self.task != "regression":
            wrong = self.predicted != self.y
            return float((wrong if self.has_classes else wrong.any(axis=1)).mean())
        squares = np.mean((self.yhat - self.y) ** 2, axis=0)
        if squares.size == 1:
            return float(np.sqrt(squares[0]))
        spread = self.y.var(axis=0)
        return float(np.sqrt(np.mean(squares / np.where(spread > 0, spread, 1))))

    def column(self, index: int) -> Predictions:
        """The predictions of one of several columns of numbers, or of one of several labels."""
        part = slice(index, index + 1)
        label = self.labels[index]
        return replace(self, target=label, labels=(label,), y=self.y[:, part], yhat=self.yhat[:, part])


def predictions_of(net: Network, encoding: TableEncoding | None, outputs: Outputs) -> tuple[Predictions, ...]:
    """The predictions of each output layer, from one sweep over the rows.

    Raises ArgumentError if the table sets a task with classes and the output does not give probabilities.
    """
    return tuple(
        read_output(net, encoding, name, outputs.objective.targets[name], outputs.a[name], outputs.z[name])
        for name in outputs.a
    )


def read_output(
    net: Network,
    encoding: TableEncoding | None,
    output: str,
    y: np.ndarray,
    a: np.ndarray,
    z: np.ndarray | None = None,
    task: str | None = None,
) -> Predictions:
    """The predictions of one output layer from its activations `a` (n, units) and targets `y` as the loss takes them.

    `z` are its weighted sums, for the log loss. The task is inferred unless it is known.
    """
    layer = net[output]
    encoding = encoding if len(net.outputs or ()) == 1 else None  # the target of a table belongs to the one output
    task = infer_task(layer, encoding, y) if task is None else task
    names = _unit_names(layer) if encoding is None else encoding.target_names
    target = output if encoding is None else encoding.target_names[0]
    if task == "regression":
        y, yhat = (array.astype(np.float64) if encoding is None else _decode(encoding, array) for array in (y, a))
        return Predictions(task, target, names, y, yhat, output)
    p = a.astype(np.float64)
    if task == "multilabel":
        return Predictions(task, target, names, (y > 0.5).astype(int), p, output)
    p = np.hstack([1 - p, p]) if layer.units == 1 else p
    classes = encoding.classes if encoding is not None else range(p.shape[1])
    loss = None
    if z is not None and (y.ndim == 2 or isinstance(layer.f, Softmax)):
        loss = usual_loss(layer.f).value_and_delta(layer.f, z, a, y)[0].astype(np.float64)
    return Predictions(task, target, tuple(map(str, classes)), _class_indices(y), p, output, loss)


def infer_task(layer: Layer, encoding: TableEncoding | None, y: np.ndarray) -> str:
    """The task of an output layer: binary, multiclass, multilabel or regression.

    That of the table if there is one. Otherwise softmax gives one of several classes, and sigmoid a yes or no for each
    unit if all targets are 0 or 1.
    """
    if encoding is None:
        if isinstance(layer.f, Softmax):
            return "multiclass"
        if isinstance(layer.f, Sigmoid) and np.isin(y, (0, 1)).all():
            return "binary" if layer.units == 1 else "multilabel"
        return "regression"
    if encoding.task != "regression" and not isinstance(layer.f, (Softmax, Sigmoid)):
        raise ArgumentError(
            f'the output "{layer.name}" has the activation {layer.f.name}, but the task of the table is '
            f"{encoding.task}. Expected an output that gives probabilities: sigmoid or softmax."
        )
    return encoding.task


def _class_indices(y: np.ndarray) -> np.ndarray:
    """Class indices (n,) from indices, from one column of 0 and 1, or from rows of probabilities."""
    if y.ndim == 1:
        return y.astype(int)
    return (y[:, 0] > 0.5).astype(int) if y.shape[1] == 1 else y.argmax(axis=1)


def _unit_names(layer: Layer) -> tuple[str, ...]:
    return (layer.name,) if layer.units == 1 else tuple(f"{layer.name} {j}" for j in range(layer.units))


def _decode(encoding: TableEncoding, standardized: np.ndarray) -> np.ndarray:
    columns = encoding.decode(standardized)
    return np.stack([columns[name] for name in encoding.target_names], axis=1)
