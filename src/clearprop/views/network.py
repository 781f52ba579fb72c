"""The drawing of a network: with the numbers of one sample in it, or with the weights as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from clearprop.core.network import INPUT
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.network import draw_network
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.chain_rule import ChainRule
from clearprop.explain.derivation.names import Names
from clearprop.explain.worked.drawing import MOST_LABELS, draw, link_count, short_number
from clearprop.views.figure import Figure, Panel, inset, swatch
from clearprop.views.validation import check_parameters

_DIGITS = 5
_MOST_UNITS = 60


def network(subject: Trace | Parameters, sample: int = 0, names: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw a network with its numbers.

    A trace shows one sample on its way: the activation in each unit, its delta = dJ/dz below, the weight on each link.
    Parameters show the weights alone: the colour of a link is its sign, its width the size; a network too large for
    that is drawn by its layers. `names` are names of units by layer, such as {"input": ["age", "income"]}.
    Raises ArgumentError for a sample that is not there, or a trace of more than 60 units.

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
    inputs = [known.unit(u) for u in known.units(INPUT)]
    outputs = {name: names[name] for name in net.outputs or () if name in names}
    drawing = draw_network(net, params, {}, inputs, outputs)
    width, height = _size(drawing.picture)
    legend = tuple((inset(picture, 34, 14), words) for picture, words in drawing.legend)
    title = "Weights" if "Units and weights" in drawing.picture else "Layers"
    return Figure(title, (Panel("", width, height, (inset(drawing.picture, width, height),)),), legend=legend)


def _numbers(trace: Trace, sample: int, names: Mapping[str, Sequence[str]]) -> Figure:
    net, n = trace.objective.net, trace.objective.samples
    if isinstance(sample, bool) or not isinstance(sample, (int, np.integer)) or not 0 <= sample < n:
        raise ArgumentError(f"sample: expected a row of the trace from 0 to {n - 1}, got {sample!r}.")
    units = net.inputs + sum(layer.units for layer in net.layers)
    if units > _MOST_UNITS:
        raise ArgumentError(
            f"network: {units:,} units are more than a drawing with numbers can show ({_MOST_UNITS}). "
            "Give the parameters instead of the trace to draw the layers."
        )
    chain, known = ChainRule(trace, int(sample)), Names(net, names)
    every = [u for name in (INPUT, *net.index) for u in known.units(name)]
    inside = {u: chain.activation(u) for u in every}
    below = {
        u: f"δ {short_number(float(trace[u.layer].delta[sample, u.index]), _DIGITS)}" for u in every if u.layer != INPUT
    }
    links = {
        (layer.name, c.source, c.kind): chain.matrix(layer.name, c) for layer in net.layers for c in layer.connections
    }
    drawing = Markup(draw(chain, known, inside, below, links, "The network with its numbers", _DIGITS).svg())
    width, height = _size(drawing)
    on = "weight on each link" if link_count(net) <= MOST_LABELS else "wider links for larger weights"
    cost = f"The loss of this sample is {short_number(float(trace.losses[sample]), 4)}"
    return Figure(
        f"Sample {sample}: activations, deltas and weights",
        (Panel("", width, height, (inset(drawing, width, height),)),),
        note=f"In each unit its activation, below it δ = dJ/dz; {on}. {cost}.",
        legend=((swatch("line", "first"), "positive weight"), (swatch("line", "second"), "negative weight")),
    )


def _size(drawing: Markup) -> tuple[float, float]:
    """Width and height of an SVG, from its view box."""
    width, height = str(drawing).partition('viewBox="0 0 ')[2].partition('"')[0].split()
    return float(width), float(height)
