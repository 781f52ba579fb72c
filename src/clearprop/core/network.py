"""Network: which layer takes which as sources. Immutable and hashable; it holds no values of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clearprop.activations import Activation
from clearprop.checks import check_integer, check_texts
from clearprop.core.connections import Connection, Dense
from clearprop.core.layer import INPUT, Layer
from clearprop.core.layout import Layout
from clearprop.core.parameters import Parameters, initialize
from clearprop.display import Displayed
from clearprop.errors import ArgumentError, NetworkError, suggest
from clearprop.fork_safety import cached_property
from clearprop.initializers import Initializer
from clearprop.terminal import terminal_width, wrap

__all__ = ["INPUT", "Layer", "Network", "check_params"]


@dataclass(frozen=True, repr=False)
class Network(Displayed):
    """Layers in topological order, each taking any earlier layers as sources.

    `outputs` names the layers that are compared with targets, by default the last layer.

    >>> import clearprop as cp
    >>> net = cp.Network(
    ...     inputs=2,
    ...     layers=[cp.Layer("hidden", 3, "tanh"), cp.Layer("output", 1, "sigmoid", sources=["hidden", "input"])],
    ... )
    >>> print(net)
    input      2
    hidden     3  tanh     from input            9 parameters
    output     1  sigmoid  from hidden, input    6 parameters  -> output
    """

    inputs: int
    layers: Sequence[Layer]
    outputs: Sequence[str] | str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "inputs", check_integer(self.inputs, "inputs"))
        layers = tuple(self.layers) if isinstance(self.layers, Iterable) else ()
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise NetworkError(f"layers: expected at least one cp.Layer, got {self.layers!r}.")
        put(self, "layers", _fill_in_sources(layers))
        outputs = (layers[-1].name,) if self.outputs is None else self.outputs
        put(self, "outputs", check_texts(outputs, "outputs"))
        _check_wiring(self)

    def __repr__(self) -> str:
        before = [INPUT, *(layer.name for layer in self.layers)]
        layers = ", ".join(layer._call(name) for name, layer in zip(before, self.layers, strict=False))
        outputs = "" if self.outputs == (self.layers[-1].name,) else f", outputs={list(self.outputs or ())!r}"
        return f"Network({self.inputs}, [{layers}]{outputs})"

    @classmethod
    def sequential(
        cls,
        *units: int,
        hidden: Activation | str = "relu",
        output: Activation | str = "identity",
        dropout: float = 0.0,
        initializer: Initializer | str | None = None,
    ) -> Network:
        """A chain: inputs, units of each hidden layer, units of the output layer.

        >>> import clearprop as cp
        >>> [layer.name for layer in cp.Network.sequential(64, 100, 50, 10, hidden="tanh", output="softmax").layers]
        ['hidden1', 'hidden2', 'output']
        """
        if len(units) < 2:
            raise NetworkError(f"sequential: expected at least the numbers of inputs and outputs, got {units}.")
        names = ["hidden"] if len(units) == 3 else [f"hidden{i}" for i in range(1, len(units) - 1)]
        layers = [
            Layer(name, size, hidden, dropout=dropout, initializer=initializer)
            for name, size in zip(names, units[1:-1], strict=True)
        ]
        return cls(units[0], [*layers, Layer("output", units[-1], output, initializer=initializer)])

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name."""
        if name not in self.index:
            raise NetworkError(f'network: there is no layer "{name}". {suggest(name, self.index)}')
        return self.layers[self.index[name]]

    @cached_property
    def index(self) -> dict[str, int]:
        """The position of each layer, by name."""
        return {layer.name: i for i, layer in enumerate(self.layers)}

    def units(self, source: str) -> int:
        """Units of a layer, or of the input."""
        return self.inputs if source == INPUT else self[source].units

    def fan_in(self, layer: Layer) -> float:
        """Number of activations that reach one unit of the layer (an average where units differ)."""
        return sum(c.fan_in(self.units(c.source)) for c in layer.connections)

    @cached_property
    def layout(self) -> Layout:
        """Where each W and b lies in the flat vector of parameters."""
        units = {INPUT: self.inputs} | {layer.name: layer.units for layer in self.layers}
        return Layout.of(self.layers, units)

    @property
    def parameter_count(self) -> int:
        """Number of parameters, including the frozen ones."""
        return self.layout.size

    @property
    def trainable_count(self) -> int:
        """Number of parameters that gradient descent changes."""
        return self.layout.trainable

    def initialize(
        self, seed: int = 0, dtype: Any = "float64", given: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Parameters:
        """Initial parameters drawn from a seed, with the arrays in `given` ({layer: {source: W, "b": b}}) inserted.

        >>> import clearprop as cp
        >>> params = cp.Network.sequential(2, 1).initialize(seed=0, given={"output": {"b": [0.5]}})
        >>> params["output"].b
        array([0.5])
        """
        return initialize(self, seed, dtype, given)

    def __str__(self) -> str:
        """One line per layer; the sources come last if the lines are wider than the terminal otherwise."""
        counts = self.layout.counts()
        wide = max(len(name) for name in [INPUT, *self.index])
        f_wide = max(len(layer.f.name) for layer in self.layers)
        sources = [f"from {', '.join(_describe(c) for c in layer.connections)}" for layer in self.layers]
        s_wide = max(map(len, sources))
        c_wide = max(3, *(len(f"{counts[name]:,}") for name in self.index))
        lines, narrow = [f"{INPUT:{wide}s}  {self.inputs:5,d}"], [f"{INPUT:{wide}s}  {self.inputs:5,d}"]
        for layer, source in zip(self.layers, sources, strict=True):
            start = f"{layer.name:{wide}s}  {layer.units:5,d}  {layer.f.name:{f_wide}s}  "
            end = f"{counts[layer.name]:{c_wide},d} parameters" + (
                f"  dropout {layer.dropout:g}" if layer.dropout else ""
            )
            end += "  -> output" if layer.name in (self.outputs or ()) else ""
            lines.append(f"{start}{source:{s_wide}s}  {end}")
            narrow.append(f"{start}{end}  {source}")
        fits = max(map(len, lines)) <= terminal_width()
        return "\n".join(lines) if fits else wrap("\n".join(narrow), indent=wide + 2)

    def with_layer(self, name: str, **changes: Any) -> Network:
        """The same network with fields of one layer changed.

        >>> import clearprop as cp
        >>> cp.Network.sequential(2, 3, 1).with_layer("hidden", dropout=0.5)["hidden"].dropout
        0.5
        """
        self[name]
        return replace(
            self, layers=[replace(layer, **changes) if layer.name == name else layer for layer in self.layers]
        )


def _describe(connection: Connection) -> str:
    kind = "" if connection.kind == "dense" else f" ({connection.kind})"
    frozen = " (frozen)" if connection.kind != "identity" and not connection.trainable else ""
    return f"{connection.source}{kind}{frozen}"


def _fill_in_sources(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """A layer without sources takes the layer before it, the first one the input."""
    before = [INPUT, *(layer.name for layer in layers)]
    return tuple(
        replace(layer, sources=(Dense(source),)) if layer.sources is None else layer
        for layer, source in zip(layers, before, strict=False)
    )


def _check_wiring(net: Network) -> None:
    names = [layer.name for layer in net.layers]
    for name in names:
        if names.count(name) > 1:
            raise NetworkError(
                f'layers: the name "{name}" is used {names.count(name)} times; each layer needs its own.'
            )
    earlier = [INPUT]
    for layer in net.layers:
        for connection in layer.connections:
            if connection.source not in earlier:
                raise NetworkError(_explain_bad_source(net, layer, connection.source))
            connection.check(layer.name, net.units(connection.source), layer.units)
        _check_twice(layer)
        earlier.append(layer.name)
    _check_outputs(net, names)


def _check_twice(layer: Layer) -> None:
    pairs = [(c.source, c.kind == "identity") for c in layer.connections]
    for source, identity in pairs:
        if pairs.count((source, identity)) > 1:
            raise NetworkError(
                f'layer "{layer.name}": takes "{source}" twice. One source can give one connection with weights '
                "and one identity connection; two weights on one path would only add up."
            )


def _check_outputs(net: Network, names: list[str]) -> None:
    outputs = net.outputs or ()
    for name in outputs:
        if name not in names:
            raise NetworkError(f'outputs: there is no layer "{name}". {suggest(str(name), names)}')
        if net[name].dropout:
            raise NetworkError(f'layer "{name}": an output layer cannot have dropout; put it on the layers before.')
    if not outputs or len(set(outputs)) != len(outputs):
        raise NetworkError(f"outputs: expected different names of layers, at least one, got {outputs}.")
    used = {c.source for layer in net.layers for c in layer.connections} | set(outputs)
    for name in names:
        if name not in used:
            raise NetworkError(
                f'layer "{name}": no layer takes it and it is not an output, so it would never learn. '
                f"Take it as a source, or name it in outputs={[*outputs, name]}."
            )


def _explain_bad_source(net: Network, layer: Layer, source: str) -> str:
    """A message for a source that is not an earlier layer: it is unknown, comes later, or is part of a cycle."""
    where = f'layer "{layer.name}"'
    later = {other.name: [c.source for c in other.connections] for other in net.layers}
    if source not in later:
        known = [INPUT, *(name for name in later if name != layer.name)]
        return f'{where}: there is no source "{source}". {suggest(source, known)}'
    path = _path(later, source, layer.name)
    if path:
        return (
            f"{where}: the wiring has a cycle, {' -> '.join([layer.name, *path])} (each takes the next). "
            "A feedforward network has none: take one of these sources out."
        )
    return f'{where}: its source "{source}" comes later in the list. Put "{source}" before "{layer.name}".'


def _path(sources: dict[str, list[str]], start: str, end: str) -> list[str]:
    """Names from `start` to `end`, each taking the next as a source, or [] if there is no such path."""
    stack = [[start]]
    visited = set()
    while stack:
        path = stack.pop()
        if path[-1] == end:
            return path
        if path[-1] not in visited:
            visited.add(path[-1])
            stack += [[*path, source] for source in sources.get(path[-1], [])]
    return []


def check_params(net: Any, params: Any) -> None:
    """Raise an ArgumentError unless these are a network and parameters of its own."""
    if not isinstance(net, Network):
        raise ArgumentError(f"net: expected a cp.Network, got {type(net).__name__}.")
    if not isinstance(params, Parameters):
        raise ArgumentError(
            f"params: expected cp.Parameters, such as net.initialize(seed=0), got {type(params).__name__}."
        )
    if params.net != net:
        raise ArgumentError("params: these parameters belong to another network; use net.initialize(seed=0).")
