"""Cost, outputs and gradient over all rows of a data set in compiled code, a chunk of rows at a time.

The chunks do not depend on the number of threads, so the sums do not either.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.compiled.records import DIFFERENTIATE, EVALUATE, Memory
from clearprop.engine.compiled.runner import Runner
from clearprop.engine.compiled.transfer import copy_out

#: Rows of a chunk.
ROWS = 768


class _Chunks:
    """Passes over all rows in their order."""

    def __init__(self, objective: Objective, params: Parameters, purpose: int, **arrays: Any) -> None:
        self.objective, self.params = objective, params
        self.runner = Runner(objective, params, ROWS, purpose, **arrays)
        self.memory, self.options = self.runner.memory, np.asarray(self.runner.memory.options)
        self._order = np.arange(objective.samples)
        self._edges = np.append(np.arange(0, objective.samples, ROWS), objective.samples)
        self._order.flags.writeable = self._edges.flags.writeable = False
        self._rates = np.zeros(len(self._edges) - 1)
        self.runner.progress["steps_per_epoch"] = len(self._rates)

    def run(self) -> float:
        """The cost over all rows; other results are in the memory."""
        self.runner.run(self._order, self._edges, self._rates)
        cost, share = self.runner.results["cost"][()], self.runner.results["share"][()]
        return float(cost / share if self.options["is_mean"] else cost)


class CompiledEvaluation:
    """Cost and outputs of an objective, without dropout and without penalties; compare TextbookEvaluation."""

    def __init__(self, objective: Objective, params: Parameters) -> None:
        self._width = [(name, params.net[name].units) for name in objective.targets]
        size = objective.samples * sum(units for _, units in self._width)
        self._chunks = _Chunks(objective, params, EVALUATE, answers=np.empty(size, params.dtype))

    def cost(self) -> float:
        """J over the whole set with the parameters as they are."""
        self._chunks.options["with_answers"] = False
        return self._chunks.run()

    def cost_and_outputs(self) -> tuple[float, Any]:
        """J, and the activations of the output layer (n, o units), or a dict of them where there are several."""
        self._chunks.options["with_answers"] = True
        cost = self._chunks.run()
        samples, start, outputs = self._chunks.objective.samples, 0, {}
        for name, units in self._width:
            end = start + samples * units
            outputs[name] = self._chunks.memory.answers[start:end].reshape(samples, units).copy()
            start = end
        return cost, next(iter(outputs.values())) if len(outputs) == 1 else outputs


class CompiledGradient:
    """Gradient of the cost of the whole set, without dropout and without penalties; compare TextbookGradient."""

    def __init__(self, objective: Objective, params: Parameters, norms: bool) -> None:
        shares = np.ascontiguousarray(objective.weights(slice(None)))
        self._chunks = _Chunks(objective, params, DIFFERENTIATE, sample_weight=shares)
        self._chunks.options["is_mean"] = False  # the weights are shares already
        self._chunks.options["with_norms"] = norms

    def cost(self, gradients: Parameters) -> float:
        """J with the parameters as they are; its gradient is written into `gradients`."""
        chunks = self._chunks
        chunks.memory.gradients.fill(0)
        cost = chunks.run()
        copy_out(gradients.flat, chunks.memory.gradients, chunks.runner.blocks, chunks.runner.plan.lanes.panel)
        return cost

    def delta_norms(self) -> dict[str, float]:
        """Norm of the delta of each layer at the last call."""
        return norms_by_layer(self._chunks.params.net, self._chunks.memory)[0]

    def evaluation(self, objective: Objective, params: Parameters) -> CompiledEvaluation:
        """What computes the cost and the outputs of an objective with the parameters as they are."""
        return CompiledEvaluation(objective, params)


def norms_by_layer(net: Network, memory: Memory) -> tuple[dict[str, float], dict[str, float]]:
    """Norms of delta and of the gradient of each layer, from the results of a pass."""
    squares = iter(memory.squares[2:].tolist())
    delta, gradient = {}, {}
    for layer in net.layers:
        delta[layer.name], gradient[layer.name] = sqrt(next(squares)), sqrt(next(squares))
    return delta, gradient
