"""The drawing of a network: with the numbers of one sample, or with its weights as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from clearprop.core.network import INPUT
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.figure import Figure
from clearprop.draw.network import draw_network, is_small
from clearprop.draw.units import MOST_LABELS, draw_units, link_count, link_matrices
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.chain_rule import ChainRule
from clearprop.explain.derivation.names import Names
from clearprop.explain.derivation.text import short_number
from clearprop.views.validation import check_parameters

_DIGITS = 5
_MOST_UNITS = 60


def network(subject: Trace | Parameters, sample: int = 0, names: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw a network with its numbers.

    A trace shows one sample: the activation in each unit, its delta = dJ/dz below, the weight on each link. Parameters
    show the weights alone: the colour of a link is the sign, its width the absolute value; the layers of a large
    network are drawn as boxes. `names` are names of units by layer, such as {"input": ["age", "income"]}. Raises
    ArgumentError for a sample that does not exist, or a trace of more than 60 units.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 2, 1, hidden="tanh")
    >>> trace = cp.backpropagate(net, net.initialize(seed=0), np.ones((1, 2)), [[1.0]], loss="squared_error")
    >>> views.network(trace).title, views.network(trace.params).title
    ('Sample 0: activations, deltas and weights', 'Weights')
    """
    if isinstance(subject, Parameters):
        return _weights(check_parameters(subject, "network"), names or {})
    if not isinstance(subject, Trace):
        raise ArgumentError(f"network: expected a trace or parameters, got {type(subject).__name__}.")
    return _numbers(subject, sample, names or {})


def _weights(params: Parameters, names: Mapping[str, Sequence[str]]) -> Figure:
    net, known = params.net, Names(params.net, names)
    shown = {**known.given, INPUT: [known.unit(u) for u in known.units(INPUT)]}
    drawing = draw_network(net, params, {}, shown)
    return Figure("Weights" if is_small(net) else "Layers", (replace(drawing, legend=()),), legend=drawing.legend)


def _numbers(trace: Trace, sample: int, names: Mapping[str, Sequence[str]]) -> Figure:
    net, n = trace.objective.net, trace.objective.samples
    if isinstance(sample, bool) or not isinstance(sample, (int, np.integer)) or not 0 <= sample < n:
        raise ArgumentError(f"sample: expected a row of the trace from 0 to {n - 1}, got {sample!r}.")
    count = net.inputs + sum(layer.units for layer in net.layers)
    if count > _MOST_UNITS:
        raise ArgumentError(
            f"network: a drawing with numbers has room for at most {_MOST_UNITS} units, got {count:,}. "
            "Pass the parameters instead of the trace to draw the layers."
        )
    chain, known = ChainRule(trace, int(sample)), Names(net, names)
    units = [u for name in (INPUT, *net.index) for u in known.units(name)]
    numbers = {(u.layer, u.index): _short(chain.activation(u)) for u in units}
    below = {
        (u.layer, u.index): f"δ {_short(float(trace[u.layer].delta[sample, u.index]))}"
        for u in units
        if u.layer != INPUT
    }
    matrices, label = link_matrices(net, trace.params), "The network with its numbers"
    drawing = draw_units(net, matrices, known.given, label, numbers=numbers, below=below, text=_short)
    on_links = "weight on each link" if link_count(net) <= MOST_LABELS else "wider links for larger weights"
    loss = f"The loss of this sample is {short_number(float(trace.losses[sample]), 4)}"
    return Figure(
        f"Sample {sample}: activations, deltas and weights",
        (replace(drawing, legend=()),),
        note=f"In each unit its activation, below it δ = dJ/dz; {on_links}. {loss}.",
        legend=drawing.legend,
    )


def _short(value: float) -> str:
    return short_number(value, _DIGITS)
