"""The objective: data, losses and reduction, which define the cost J that gradient descent minimizes.

J = sum_n w_n l_n / sum_n w_n for the reduction "mean", J = sum_n w_n l_n for "sum"; w_n are sample weights (1 by
default) and l_n is the loss of sample n, summed over the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clearprop.activations import UnitStep
from clearprop.checks import check_choice, check_dense_or_csr, check_sample_weight, dense
from clearprop.core.backprop import Backward, Forward, backward, forward, loss_and_delta
from clearprop.core.network import Network, check_params
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, unknown, warn_user
from clearprop.losses import Loss, as_loss

#: Number of rows per sweep when the whole set is evaluated; limits the memory and does not change the result.
CHUNK = 4096


@dataclass(frozen=True)
class Objective:
    """Validated data (X, targets by output layer, sample weights), a loss for each output, and the reduction.

    X is an array (n, inputs) or a csr_array of SciPy.
    """

    net: Network
    losses: Mapping[str, Loss]
    X: np.ndarray
    targets: Mapping[str, np.ndarray]
    sample_weight: np.ndarray | None = None
    reduction: str = "mean"

    @property
    def samples(self) -> int:
        """Number of rows n."""
        return self.X.shape[0]

    def dense(self) -> Objective:
        """The same objective with X as a dense array."""
        return replace(self, X=dense(self.X))

    @property
    def total_weight(self) -> float:
        """sum_n w_n."""
        return float(self.samples if self.sample_weight is None else self.sample_weight.sum(dtype=np.float64))

    def plain_weights(self, rows: Any) -> np.ndarray:
        """The sample weights w_n of a batch, (n,)."""
        return np.ones(self.X[rows].shape[0], self.X.dtype) if self.sample_weight is None else self.sample_weight[rows]

    def weights(self, rows: Any) -> np.ndarray:
        """The factor of each l_n in the cost of a batch, (n,): w_n, divided by the sum of the weights for "mean"."""
        w = self.plain_weights(rows)
        total = w.sum()
        return w if self.reduction == "sum" or total == 0 else w / total

    def chunks(self) -> Iterator[slice]:
        """Slices that cover all rows, CHUNK rows at a time."""
        return (slice(start, start + CHUNK) for start in range(0, self.samples, CHUNK))

    def sweep(
        self, params: Parameters, gradients: Parameters, rows: Any, masks: Mapping[str, np.ndarray] | None = None
    ) -> tuple[float, Forward, Backward]:
        """Cost of a batch of rows and the results of both sweeps; the gradient is written into `gradients`."""
        swept = forward(self.net, params, self.X[rows], masks)
        targets = {name: y[rows] for name, y in self.targets.items()}
        values, delta = loss_and_delta(self.net, self.losses, swept, targets, self.weights(rows))
        return float(values.sum()), swept, backward(self.net, params, swept, delta, gradients, masks)

    def cost(self, params: Parameters) -> float:
        """J over the whole set, without penalties and without dropout."""
        total = 0.0
        for rows in self.chunks():
            swept = forward(self.net, params, self.X[rows])
            targets = {name: y[rows] for name, y in self.targets.items()}
            values, _ = loss_and_delta(self.net, self.losses, swept, targets, self.plain_weights(rows))
            total += float(values.sum(dtype=np.float64))
        return total if self.reduction == "sum" else total / self.total_weight


def prepare(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    sample_weight: Any = None,
    reduction: str = "mean",
    names: tuple[str, str] = ("X", "y"),
) -> Objective:
    """Validate the arguments of a caller and make an objective; data is copied only to change its precision."""
    check_params(net, params)
    check_choice(reduction, "reduction", ("mean", "sum"))
    X = check_dense_or_csr(X, net.inputs, params.dtype, names[0])
    losses, outputs = losses_by_output(net, loss), tuple(net.outputs or ())
    targets = {}
    for name, given in _by_output(y, outputs, names[1]):
        where = _where(names[1], name, outputs)
        targets[name] = losses[name].check_targets(given, X.shape[0], net[name].units, params.dtype, where)
    return Objective(net, losses, X, targets, check_sample_weight(sample_weight, X.shape[0], params.dtype), reduction)


def losses_by_output(net: Network, loss: Loss | str | Mapping[str, Loss | str]) -> dict[str, Loss]:
    """The loss of each output layer.

    >>> losses_by_output(Network.sequential(2, 3, 1), "huber")
    {'output': Huber(threshold=1.0)}
    """
    outputs, losses = tuple(net.outputs or ()), {}
    for name, given in _by_output(loss, outputs, "loss"):
        where = _where("loss", name, outputs)
        losses[name] = as_loss(given, where)
        losses[name].check_output(net[name].f, net[name].units, where)
    return losses


def warn_of_hindrances(objective: Objective) -> None:
    """Warn of targets that the outputs cannot give, and of layers that cannot learn, before the first step."""
    for sentence in (*unreachable_targets(objective), *layers_behind_steps(objective.net)):
        warn_user(sentence, UserWarning)


def unreachable_targets(objective: Objective) -> Iterator[str]:
    """One sentence for each output layer that has targets which its activation cannot give.

    >>> net = Network.sequential(1, 1, output="relu")
    >>> objective = prepare(net, net.initialize(), [[1.0], [2.0]], [[-3.0], [3.0]], "squared_error")
    >>> print(*unreachable_targets(objective))
    y: 1 of 2 targets are out of reach of relu, the activation of layer "output", whose values are at least 0: -3 \
in row 0, column 0, is the first. Use the identity as output activation, or scale the targets.
    """
    outputs = tuple(objective.net.outputs or ())
    for name, y in objective.targets.items():
        activation = objective.net[name].f
        low, high = activation.output_range or (-math.inf, math.inf)
        if (math.isinf(low) and math.isinf(high)) or y.ndim != 2:  # class indices are not outputs
            continue
        values = activation.described_range
        outside = (y < low) | (y > high)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            yield (
                f"{_where('y', name, outputs)}: {np.count_nonzero(outside):,} of {y.size:,} targets are out of reach "
                f'of {activation.name}, the activation of layer "{name}", whose values are {values}: '
                f"{y[row, column]:g} in row {row}, column {column}, is the first. Use the identity as output "
                "activation, or scale the targets."
            )


def layers_behind_steps(net: Network) -> Iterator[str]:
    """One sentence if layers with trainable parameters get no error signal, because every path to them has a step.

    >>> from clearprop import Layer
    >>> net = Network(1, [Layer("hidden", 2, "step"), Layer("output", 1, sources="hidden")])
    >>> print(*layers_behind_steps(net))
    layer "hidden": the error signal does not reach it, because the derivative of step in layer "hidden" is 0, so that \
its parameters keep their initial values. Freeze them (trainable=False, train_bias=False) to show this, or use sigmoid.
    """
    with_path, reached = set(net.outputs or ()), set(net.outputs or ())
    for layer in reversed(net.layers):
        sources = {connection.source for connection in layer.connections}
        with_path |= sources if layer.name in with_path else set()
        reached |= sources if layer.name in reached and not isinstance(layer.f, UnitStep) else set()
    steps = [f'layer "{layer.name}"' for layer in net.layers if isinstance(layer.f, UnitStep)]
    stuck = [
        f'layer "{layer.name}"'
        for layer in net.layers
        if layer.name in with_path
        and (layer.name not in reached or isinstance(layer.f, UnitStep))
        and ((layer.bias and layer.train_bias) or any(c.trainable and c.kind != "identity" for c in layer.connections))
    ]
    if stuck:
        it, its = ("it", "its") if len(stuck) == 1 else ("them", "their")
        yield (
            f"{', '.join(stuck)}: the error signal does not reach {it}, because the derivative of step in "
            f"{', '.join(steps)} is 0, so that {its} parameters keep their initial values. Freeze them "
            "(trainable=False, train_bias=False) to show this, or use sigmoid."
        )


def _where(what: str, name: str, outputs: tuple[str, ...]) -> str:
    return what if len(outputs) == 1 else f'{what}["{name}"]'


def _by_output(given: Any, outputs: tuple[str, ...], what: str) -> list[tuple[str, Any]]:
    """One item per output layer, from a single item or from a dict by layer name."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in outputs:
                raise ArgumentError(f"{what}: {unknown('output layer', name, outputs)}")
        missing = [name for name in outputs if name not in given]
        if missing:
            raise ArgumentError(f'{what}: the output layer "{missing[0]}" is missing.')
        return [(name, given[name]) for name in outputs]
    if len(outputs) == 1 or (what == "loss" and isinstance(given, (str, Loss))):
        return [(name, given) for name in outputs]
    raise ArgumentError(
        f"{what}: the network has {len(outputs)} outputs, so expected a dict with one entry for each of: "
        f"{', '.join(outputs)}."
    )
