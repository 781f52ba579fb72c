"""What an estimator trains: network, losses and first parameters, as its parameters describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clearprop.activations import Sigmoid
from clearprop.checks import check_dense_or_csr
from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.estimators import parameters as settings
from clearprop.estimators.adapter import build_network, draw_parameters
from clearprop.estimators.data import Data
from clearprop.losses import Loss


@dataclass(frozen=True)
class Task:
    """What an estimator trains: its network, the loss of each output layer, and each loss's own form of the target."""

    net: Network
    losses: Mapping[str, Loss]

    def objective(self, estimator: Any, data: Data, dtype: np.dtype) -> Objective:
        """The objective of these rows."""
        where = "y as standardized by target_scaling" if getattr(estimator, "target_scaling", False) else "y"
        targets = {
            name: loss.check_targets(
                estimator._targets(data.y, loss, dtype), len(data.y), self.net[name].units, dtype, where
            )
            for name, loss in self.losses.items()
        }
        weight = None if data.weight is None else np.asarray(data.weight, dtype)
        if issparse(data.X):
            X = check_dense_or_csr(data.X, self.net.inputs, dtype)
        else:
            X = np.ascontiguousarray(data.X, dtype)
        return Objective(self.net, self.losses, X, targets, weight)


def make_task(estimator: Any, inputs: int) -> Task:
    """The network that the parameters describe (or the one given), with its losses."""
    outputs = estimator._outputs()
    if estimator.network is not None:
        net = _given_network(estimator.network, inputs, [units for units, _, _ in outputs])
    else:
        sizes = tuple(settings.layer_sizes(estimator.hidden_layer_sizes))
        hidden = tuple(settings.hidden_activations(estimator.activation, len(sizes)))
        shares = tuple(settings.dropouts(estimator.dropout, len(sizes)))
        ends = tuple((units, f) for units, f, _ in outputs)
        net = build_network(inputs, sizes, hidden, shares, ends, bool(estimator.skip))
    losses = dict(zip(net.outputs or (), [loss for _, _, loss in outputs], strict=True))
    for name, loss in losses.items():
        loss.check_output(net[name].f, net[name].units)
    return Task(net, losses)


def _given_network(net: Network, inputs: int, outputs: list[int]) -> Network:
    units = [net[name].units for name in net.outputs or ()]
    if net.inputs != inputs or units != outputs:
        raise ValueError(
            f"network: expected {inputs} inputs and outputs of {outputs} units for this X and y, "
            f"got {net.inputs} inputs and {units}."
        )
    return net


def first_parameters(estimator: Any, net: Network, generator: np.random.RandomState, dtype: np.dtype) -> Parameters:
    """Starting parameters: scikit-learn's draws, or the library's for a network given."""
    if estimator.network is not None:
        return net.initialize(int(generator.randint(2**31 - 1)), dtype)
    hidden = len(net.layers) - len(net.outputs or ())
    kinds = settings.hidden_activations(estimator.activation, hidden) if hidden else []
    logistic = [isinstance(f, Sigmoid) for f in kinds]
    last = logistic[-1] if logistic else estimator.activation in ("logistic", "sigmoid")
    return draw_parameters(net, [*logistic, *[last] * len(net.outputs or ())], generator, dtype)
