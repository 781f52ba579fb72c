"""Permutation importance: the growth of the error when the values of a column are shuffled (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from clearprop.core.network import INPUT, Network
from clearprop.core.parameters import Parameters

ROWS = 2000
REPEATS = 5
_LEAST_ROWS = 200
_LEAST_COLUMNS = 20
#: Limit on the operations of all forward sweeps: a few seconds on one core.
BUDGET = 3e10


@dataclass(frozen=True)
class Importance:
    """How much the error grows when columns are shuffled: `growth` (columns, repeats), in the order of `names`.

    `rows` is the number of rows; `error` is their error before shuffling; `left_out` columns with small weights were
    left out.
    """

    names: tuple[str, ...]
    growth: np.ndarray
    error: float
    rows: int
    left_out: int

    @property
    def mean(self) -> np.ndarray:
        """The mean growth of each column, (columns,)."""
        return self.growth.mean(axis=1)

    @property
    def order(self) -> np.ndarray:
        """Indices of the columns, the most important first."""
        return np.argsort(-self.mean, kind="stable")


@dataclass(frozen=True)
class Plan:
    """The rows and columns to use."""

    rows: np.ndarray
    columns: tuple[str, ...]
    left_out: int


def plan(
    net: Network,
    params: Parameters,
    X: np.ndarray,
    columns: Mapping[str, slice],
    generator: np.random.Generator,
    budget: float = BUDGET,
) -> Plan:
    """At most ROWS random rows, fewer if there are many columns and parameters; then the columns of most weight.

    The weight of a column is the sum over its inputs of standard deviation * |W|: its effect on the first layers.
    """
    cost = REPEATS * (net.parameter_count + 10 * net.inputs)  # of one row, with shuffling and checks
    rows = int(min(ROWS, len(X), max(_LEAST_ROWS, budget / (cost * len(columns)))))
    chosen = np.sort(generator.choice(len(X), size=rows, replace=False))
    most = max(_LEAST_COLUMNS, int(budget / (cost * rows)))
    names = tuple(columns)
    if len(names) > most:
        weight = X[chosen].std(axis=0) * _input_weights(net, params)
        ranked = sorted(names, key=lambda name: -float(weight[columns[name]].sum()))[:most]
        names = tuple(name for name in names if name in set(ranked))
    return Plan(chosen, names, len(columns) - len(names))


def _input_weights(net: Network, params: Parameters) -> np.ndarray:
    """The sum of |W| out of each input, (inputs,)."""
    total = np.zeros(net.inputs)
    for layer in net.layers:
        for c in layer.connections:
            if c.source == INPUT:
                W = params[layer.name].W.get(INPUT)
                total += np.abs(c.matrix(W, layer.units)).sum(axis=1)  # type: ignore[arg-type]
    return total


def importance(
    error: Callable[[np.ndarray], float],
    X: np.ndarray,
    columns: Mapping[str, slice],
    generator: np.random.Generator,
    left_out: int = 0,
    repeats: int = REPEATS,
) -> Importance:
    """Shuffle the inputs of each column together, `repeats` times, and measure the growth of `error(X)`.

    >>> import numpy as np
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> found = importance(
    ...     lambda Z: float(np.abs(Z[:, 0] - X[:, 0]).mean()),
    ...     X,
    ...     {"a": slice(0, 1), "b": slice(1, 2)},
    ...     np.random.default_rng(0),
    ... )
    >>> bool(found.mean[0] > 0), float(found.mean[1])
    (True, 0.0)
    """
    before = error(X)
    shuffled = X.copy()
    growth = np.zeros((len(columns), repeats))
    for i, inputs in enumerate(columns.values()):
        for k in range(repeats):
            shuffled[:, inputs] = X[generator.permutation(len(X)), inputs]
            growth[i, k] = error(shuffled) - before
        shuffled[:, inputs] = X[:, inputs]
    return Importance(tuple(columns), growth, before, len(X), left_out)
