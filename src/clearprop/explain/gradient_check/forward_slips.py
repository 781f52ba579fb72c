"""Slips of the forward sweep: the backward sweep is right, at numbers of another network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from clearprop.core.backprop import Forward, forward
from clearprop.core.parameters import Parameters
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.slips import Slip

Masks = Mapping[str, np.ndarray]


def forward_slips(problem: Problem) -> Iterator[tuple[Slip, Forward, Masks]]:
    """Each slip with the results of its forward sweep, and the dropout masks that it uses."""
    net, objective = problem.net, problem.objective

    def sweep(params: Parameters, masks: Masks = problem.masks) -> Forward:
        with np.errstate(all="ignore"):
            return forward(params.net, params, objective.X, masks)

    for layer in net.layers:
        own = problem.params[layer.name]
        if own.b is not None and own.b.any():
            changed = problem.params.copy()
            changed[layer.name].b = np.zeros_like(own.b)
            words = "the bias is left out in the forward sweep of {}: z = a W, it should be a W + b"
            yield Slip("wrong forward sweep", words, layer.name), sweep(changed), problem.masks
        for c in layer.connections:
            W = own.W.get(c.source)
            if W is None:
                continue
            changed, label = problem.params.copy(), f"{layer.name}.W[{c.source!r}]"
            if len(layer.connections) > 1:
                changed[layer.name].W[c.source] = np.zeros_like(W)
                words = "the term of {} is left out of the weighted sums in the forward sweep"
                yield Slip("wrong forward sweep", words, label), sweep(changed), problem.masks
            if W.ndim == 2 and W.shape[0] == W.shape[1]:
                changed[layer.name].W[c.source] = W.T
                words = "the forward sweep uses the transpose of {}"
                yield Slip("wrong forward sweep", words, label), sweep(changed), problem.masks
    for name, mask in problem.masks.items():
        for words, other in (
            (
                "the dropout mask of {} is left out in both sweeps",
                {k: m for k, m in problem.masks.items() if k != name},
            ),
            (
                "the dropout mask of {} is 0 or 1, without the factor 1 / (1 - dropout)",
                {**problem.masks, name: 1.0 * (mask != 0)},
            ),
        ):
            yield Slip("wrong dropout mask", words, name), sweep(problem.params, other), other
