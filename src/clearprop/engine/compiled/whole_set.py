"""Cost, outputs and gradient of a whole set of rows in compiled code, a chunk of rows at a time.

Chunks are the same for any number of threads, and so are the sums.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.runner import Passes
from clearprop.engine.compiled.transfer import copy_out

#: Rows of a chunk.
ROWS = 768


class _Chunks:
    """Passes over all rows in their order."""

    def __init__(self, objective: Objective, params: Parameters, purpose: int, **given: np.ndarray) -> None:
        self.objective, self.params = objective, params
        self.passes = Passes(objective, params, ROWS, purpose, **given)
        self.memory = self.passes.memory
        self._order = np.arange(objective.samples)
        self._edges = np.append(np.arange(0, objective.samples, ROWS), objective.samples)
        self._edges.flags.writeable = False
        self._rates = np.zeros(len(self._edges) - 1)
        self.memory.numbers[at.STEPS_PER_EPOCH] = len(self._rates)

    def run(self) -> list[float]:
        """The results of a pass over all rows."""
        return self.passes.run(self._order, self._edges, self._rates)


class CompiledEvaluation:
    """Cost and outputs of an objective, without dropout and without penalties; compare TextbookEvaluation."""

    def __init__(self, objective: Objective, params: Parameters) -> None:
        self._width = [(name, params.net[name].units) for name in objective.targets]
        size = objective.samples * sum(units for _, units in self._width)
        self._chunks = _Chunks(objective, params, at.EVALUATE, answers=np.empty(size, params.dtype))

    def cost(self) -> float:
        """J over the whole set with the parameters as they are."""
        return self._run(False)

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them where there are several."""
        cost = self._run(True)
        samples, start, found = self._chunks.objective.samples, 0, {}
        for name, units in self._width:
            end = start + samples * units
            found[name] = self._chunks.memory.answers[start:end].reshape(samples, units).copy()
            start = end
        return cost, next(iter(found.values())) if len(found) == 1 else found

    def _run(self, answered: bool) -> float:
        self._chunks.memory.numbers[at.ANSWERED] = answered
        results = self._chunks.run()
        return results[at.COST] / (results[at.SHARE] if self._chunks.objective.reduction == "mean" else 1.0)


class CompiledGradient:
    """Gradient of the cost of the whole set, without dropout and without penalties; compare TextbookGradient."""

    def __init__(self, objective: Objective, params: Parameters, norms: bool) -> None:
        shares = np.ascontiguousarray(objective.weights(slice(None)))
        self._chunks = _Chunks(objective, params, at.DIFFERENTIATE, sample_weight=shares)
        self._chunks.memory.numbers[at.MEAN] = False  # the weights are shares already
        self._chunks.memory.numbers[at.NORMS] = norms

    def cost(self, gradients: Parameters) -> float:
        """J with the parameters as they are; its gradient is written into `gradients`."""
        chunks = self._chunks
        chunks.memory.gradients.fill(0)
        self._results = chunks.run()
        copy_out(gradients.flat, chunks.memory.gradients, chunks.passes.copies, chunks.passes.plan.lanes.panel)
        return self._results[at.COST]

    def delta_norms(self) -> dict[str, float]:
        """Norm of the delta of each layer at the last call."""
        return norms_by_layer(self._chunks.params.net, self._results)[0]

    def evaluation(self, objective: Objective, params: Parameters) -> CompiledEvaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        return CompiledEvaluation(objective, params)


def norms_by_layer(net: Network, results: list[float]) -> tuple[dict[str, float], dict[str, float]]:
    """Norms of delta and of the gradient of each layer, from the results of a pass."""
    squares = iter(results[at.LAYERS + 2 :])
    delta, gradient = {}, {}
    for layer in net.layers:
        delta[layer.name], gradient[layer.name] = sqrt(next(squares)), sqrt(next(squares))
    return delta, gradient
