"""The problem to check: an objective and parameters, with the results of the correct sweeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearprop.core.backprop import Backward, Forward
from clearprop.core.layout import Block
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters


@dataclass(frozen=True)
class Problem:
    """Objective, parameters, the results of both sweeps, and `truth`, the gradient that they give."""

    objective: Objective
    params: Parameters
    tolerance: float
    truth: np.ndarray
    cost: float
    seen: Forward
    back: Backward

    @classmethod
    def of(cls, objective: Objective, params: Parameters, tolerance: float) -> Problem:
        """Run both sweeps over all rows."""
        gradients = Parameters(params.net, np.zeros_like(params.flat))
        cost, seen, back = objective.sweep(params, gradients, slice(None))
        return cls(objective, params, tolerance, gradients.flat, cost, seen, back)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every W and b."""
        return self.params.net.layout.blocks

    def rounding(self, method: str) -> float:
        """The largest difference that rounding can cause between two correct values of an entry.

        A gradient can be small because large terms cancel, so the bound is relative to the terms: |a| times |delta|,
        summed over the samples, and the rounding of z. Differences add the rounding of the cost, divided by the step.
        """
        terms = 0.0
        for layer in self.params.net.layers:
            spread = np.abs(self.back.delta[layer.name]).sum(axis=0).max(initial=0.0)
            largest = max(float(np.abs(self.seen.a[c.source]).max(initial=0.0)) for c in layer.connections)
            z = float(np.abs(self.seen.z[layer.name]).max(initial=0.0))
            terms = max(terms, float(spread) * max(1.0, largest), 1e-3 * z * max(1.0, largest))
        exact = 1e-12 * terms
        return exact if method == "complex step" else exact + 1e-11 * max(abs(self.cost), terms)
