"""Random problems for hypothesis: a network of any wiring, numbers for its parameters, data, losses and weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from cases import ALL_ACTIVATION_CASES, LOSS_CASES, ActivationCase, LossCase
from hypothesis import assume
from hypothesis import strategies as st

import clearprop as cp
from clearprop.core.backprop import forward

ACTIVATION_OF = {case.activation: case for case in ALL_ACTIVATION_CASES}


@dataclass(frozen=True)
class Problem:
    """What `cp.backpropagate` takes, and for each output the row of LOSS_CASES that its loss came from."""

    net: cp.Network
    params: cp.Parameters
    X: np.ndarray
    y: dict[str, np.ndarray]
    loss_cases: dict[str, LossCase]
    sample_weight: np.ndarray | None
    reduction: str

    @property
    def losses(self) -> dict[str, cp.losses.Loss]:
        return {name: case.loss for name, case in self.loss_cases.items()}

    @property
    def arguments(self) -> tuple:
        return self.net, self.params, self.X, self.y, self.losses, self.sample_weight, self.reduction

    def features(self) -> Iterator[str]:
        """What occurs in it, in words, to count that everything does occur."""
        yield f"{len(self.net.layers)} layers"
        yield f"reduction {self.reduction}"
        yield "weights" if self.sample_weight is not None else "no weights"
        yield "several outputs" if len(self.y) > 1 else "one output"
        for case in self.loss_cases.values():
            yield f"loss {case.label}"
        names = [layer.name for layer in self.net.layers]
        for before, layer in zip(["input", *names], self.net.layers, strict=False):
            yield f"activation {layer.f.name}"
            yield "bias " + ("none" if not layer.bias else "trained" if layer.train_bias else "frozen")
            sources = {c.source for c in layer.connections}
            if len(sources) > 1:
                yield "join"
            if sources - {before}:
                yield "skip"
            if sources & set(self.net.outputs):
                yield "an output is a source"
            for c in layer.connections:
                yield f"connection {c.kind}" + ("" if c.trainable or c.kind == "identity" else ", frozen")


@st.composite
def connections(draw: st.DrawFn, source: str, source_units: int, units: int) -> list[cp.core.connections.Connection]:
    """One connection from a source, or one with weights and an identity connection beside it."""
    trainable = draw(st.booleans())
    if source_units == units and draw(st.booleans()):
        residual = [cp.Direct(source)]
        return [cp.Dense(source, trainable), *residual] if draw(st.booleans()) else residual
    if draw(st.booleans()):
        return [cp.Dense(source, trainable)]
    numbers = st.integers(0, max(1, source_units * units // 2))
    row = st.lists(numbers, min_size=units, max_size=units)
    pattern = np.array(draw(st.lists(row, min_size=source_units, max_size=source_units)))
    pattern[0, 0] = max(pattern[0, 0], 1)
    kept, renumbered = np.unique(pattern, return_inverse=True)
    renumbered = renumbered.reshape(pattern.shape) + (0 if kept[0] == 0 else 1)
    return [cp.Wired(source, renumbered, trainable)]


@st.composite
def problems(draw: st.DrawFn, most_layers: int = 6, most_samples: int = 4) -> Problem:
    """Any wiring of up to `most_layers` layers; the numbers come from a drawn seed, so that wirings shrink well."""
    units = {"input": draw(st.integers(1, 4))}
    sources: dict[str, list[str]] = {}
    for i in range(1, draw(st.integers(1, most_layers)) + 1):
        earlier = list(units)
        chosen = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=3, unique=True))
        sources[f"layer{i}"] = (
            chosen if draw(st.booleans()) else [earlier[-1], *(k for k in chosen if k != earlier[-1])]
        )
        units[f"layer{i}"] = draw(st.integers(1, 5))
    unused = [name for name in sources if not any(name in taken for taken in sources.values())]
    outputs = [name for name in sources if name in unused or draw(st.integers(0, 9)) == 0]

    layers, loss_cases = [], {}
    for name, taken in sources.items():
        activation, loss = draw(_activation_and_loss(units[name], name in outputs))
        if loss is not None:
            loss_cases[name] = loss
        wired = [c for source in taken for c in draw(connections(source, units[source], units[name]))]
        bias, train_bias = draw(st.sampled_from([(True, True), (True, True), (True, False), (False, True)]))
        layers.append(cp.Layer(name, units[name], activation.activation, wired, bias, train_bias))
    net = cp.Network(units["input"], layers, outputs)

    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, most_samples))
    params = net.initialize(seed=0)
    for layer in net.layers:
        for W in params[layer.name].W.values():
            W[...] = rng.normal(size=W.shape) / np.sqrt(max(1.0, net.fan_in(layer) / 2))
        if layer.bias:
            params[layer.name].b = rng.normal(0, 0.5, size=layer.units)
    X = rng.normal(size=(n, units["input"]))
    with np.errstate(over="ignore", invalid="ignore"):
        z = forward(net, params, X).z.values()
    assume(all((np.abs(array) < 20).all() for array in z))  # exponentials of exponentials overflow
    y = {name: case.draw(rng, n, units[name]) for name, case in loss_cases.items()}
    weights = rng.uniform(0.2, 3, size=n) if draw(st.booleans()) else None
    if weights is not None and n > 1 and draw(st.booleans()):
        weights[0] = 0
    return Problem(
        net,
        params,
        X,
        y,
        loss_cases,
        weights,
        draw(st.sampled_from(["mean", "sum"])),
    )


@st.composite
def _activation_and_loss(draw: st.DrawFn, units: int, output: bool) -> tuple[ActivationCase, LossCase | None]:
    loss = draw(st.sampled_from([case for case in LOSS_CASES if case.least_units <= units])) if output else None
    fitting = [
        case for case in ALL_ACTIVATION_CASES if case.least_units <= units and (loss is None or loss.outputs(case))
    ]
    if loss is not None and loss.loss.partner and draw(st.booleans()):
        fitting = [case for case in fitting if isinstance(case.activation, loss.loss.partner)]
    return draw(st.sampled_from(fitting)), loss
