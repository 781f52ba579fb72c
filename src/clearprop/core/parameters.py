"""Parameters: named arrays that are views of one flat vector.

The flat vector holds, in this order, the trainable weights of all layers, the trainable biases, the frozen weights and
the frozen biases. So what gradient descent changes, and what a penalty shrinks, is each one slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from clearprop.checks import check_array, check_dtype, check_finite, check_seed
from clearprop.core.network import Network
from clearprop.errors import ArgumentError, NetworkError, ShapeError, suggest
from clearprop.initializers import as_initializer


@dataclass(frozen=True)
class Block:
    """Where one W or b lies in the flat vector: `source` is None for a bias."""

    layer: str
    source: str | None
    start: int
    shape: tuple[int, ...]
    trainable: bool

    @property
    def stop(self) -> int:
        """The place after its last entry."""
        return self.start + math.prod(self.shape)

    @property
    def label(self) -> str:
        """Its name for people: b of hidden, or W from input to hidden."""
        return f"{self.layer}.b" if self.source is None else f"{self.layer}.W[{self.source!r}]"


@dataclass(frozen=True)
class Layout:
    """The blocks of a network's flat vector and its slices."""

    blocks: tuple[Block, ...]
    size: int
    trainable: int  #: entries that gradient descent changes: flat[:trainable]
    penalized: int  #: trainable weights without biases: flat[:penalized]

    def counts(self) -> dict[str, int]:
        """Number of parameters of each layer."""
        counts = {block.layer: 0 for block in self.blocks}
        for block in self.blocks:
            counts[block.layer] += block.stop - block.start
        return _WithZero(counts)


class _WithZero(dict[str, int]):
    """A layer that has no parameters counts 0."""

    def __missing__(self, key: str) -> int:
        return 0


@lru_cache(maxsize=256)
def layout(net: Network) -> Layout:
    """The layout of a network's parameters.

    >>> import clearprop as cp
    >>> [block.label for block in layout(cp.Network.sequential(2, 3, 1)).blocks]
    ["hidden.W['input']", "output.W['hidden']", 'hidden.b', 'output.b']
    """
    wanted: list[tuple[int, str, str | None, tuple[int, ...], bool]] = []
    for layer in net.layers:
        for c in layer.connections:
            shape = c.parameter_shape(net.units(c.source), layer.units)
            if shape is not None:
                wanted.append((0 if c.trainable else 2, layer.name, c.source, shape, c.trainable))
        if layer.bias:
            wanted.append((1 if layer.train_bias else 3, layer.name, None, (layer.units,), layer.train_bias))
    blocks, sizes = [], [0, 0, 0, 0]
    for group, name, source, shape, trainable in sorted(wanted, key=lambda entry: entry[0]):  # a stable sort
        blocks.append(Block(name, source, sum(sizes), shape, trainable))
        sizes[group] += math.prod(shape)
    return Layout(tuple(blocks), sum(sizes), sizes[0] + sizes[1], sizes[0])


class Weights(MutableMapping[str, np.ndarray]):
    """The W of one layer by source; assigning copies numbers into the flat vector after a check of the shape."""

    def __init__(self, layer: str, views: dict[str, np.ndarray]) -> None:
        self._layer, self._views = layer, views

    def __getitem__(self, source: str) -> np.ndarray:
        if source not in self._views:
            raise NetworkError(f'layer "{self._layer}" has no weights from "{source}". {suggest(source, self._views)}')
        return self._views[source]

    def get(self, source: str, default: Any = None) -> Any:
        """The W from a source, or the default: an identity connection has none."""
        return self._views.get(source, default)

    def __contains__(self, source: object) -> bool:
        return source in self._views

    def __setitem__(self, source: str, values: Any) -> None:
        _assign(self[source], values, f"{self._layer}.W[{source!r}]")

    def __delitem__(self, source: str) -> None:
        raise NetworkError("weights cannot be deleted: build a network without that source.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return repr(self._views)


class LayerParameters:
    """W (by source) and b of one layer, as views of the flat vector; b is None for a layer without bias."""

    def __init__(self, name: str, W: dict[str, np.ndarray], b: np.ndarray | None) -> None:
        self._name, self._b = name, b
        self.W = Weights(name, W)

    @property
    def b(self) -> np.ndarray | None:
        """The bias (units,)."""
        return self._b

    @b.setter
    def b(self, values: Any) -> None:
        if self._b is None:
            raise NetworkError(f'layer "{self._name}" has no bias.')
        _assign(self._b, values, f"{self._name}.b")

    def __repr__(self) -> str:
        return f"W={self.W!r}, b={self._b!r}"


def _assign(view: np.ndarray, values: Any, where: str) -> None:
    array = check_array(values, where, view.dtype)
    if array.shape != view.shape:
        raise ShapeError(f"{where}: expected shape {view.shape}, got {array.shape}.")
    check_finite(array, where)
    view[...] = array


class Parameters:
    """Every weight and bias of a network: `params["hidden"].W["input"]`, `params["hidden"].b`, `params.flat`.

    >>> import clearprop as cp
    >>> params = cp.Network.sequential(2, 3, 1).initialize(seed=0)
    >>> params["hidden"].b = [1, 2, 3]
    >>> params.flat.shape, params["hidden"].W["input"].shape
    ((13,), (2, 3))
    >>> print(params["hidden"].b, cp.Network.sequential(1, 1).initialize(given={"output": {"input": [[2.0]]}}))
    [1. 2. 3.] output
      W from input (1, 1)
                 2
      b (1,)
                 0
    """

    def __init__(self, net: Network, flat: np.ndarray) -> None:
        if not isinstance(net, Network):
            raise ArgumentError(f"net: expected a cp.Network, got {type(net).__name__}.")
        dtype = getattr(flat, "dtype", None)
        if getattr(dtype, "kind", "") not in ("f", "c"):  # complex numbers and dual ones serve derivatives
            raise ArgumentError(f"flat: expected a vector of float32 or float64, got {dtype or type(flat).__name__}.")
        self._layout = layout(net)  # looked up once: a network is hashed through and through
        size = self._layout.size
        if flat.shape != (size,):
            raise ShapeError(f"parameters: expected a vector of {size} numbers for this network, got {flat.shape}.")
        self.net, self.flat = net, flat
        W: dict[str, dict[str, np.ndarray]] = {layer.name: {} for layer in net.layers}
        b: dict[str, np.ndarray] = {}
        for block in self._layout.blocks:
            view = self.view(block)
            if block.source is None:
                b[block.layer] = view
            else:
                W[block.layer][block.source] = view
        self._layers = {name: LayerParameters(name, W[name], b.get(name)) for name in W}

    def __getitem__(self, layer: str) -> LayerParameters:
        if layer not in self._layers:
            raise NetworkError(f'parameters: there is no layer "{layer}". {suggest(layer, self._layers)}')
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def view(self, block: Block) -> np.ndarray:
        """One W or b as a view of the flat vector."""
        return self.flat[block.start : block.stop].reshape(block.shape)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.flat.dtype

    @property
    def trainable(self) -> np.ndarray:
        """The part of the flat vector that gradient descent changes."""
        return self.flat[: self._layout.trainable]

    @property
    def penalized(self) -> np.ndarray:
        """The trainable weights without the biases, which penalties shrink."""
        return self.flat[: self._layout.penalized]

    def copy(self) -> Parameters:
        """The same numbers in a vector of their own."""
        return Parameters(self.net, self.flat.copy())

    def astype(self, dtype: Any) -> Parameters:
        """The same numbers in float32 or float64."""
        return Parameters(self.net, self.flat.astype(check_dtype(dtype)))

    def __repr__(self) -> str:
        return f"Parameters({self.flat.size} numbers, {self.dtype}, layers {', '.join(self._layers)})"

    def __str__(self) -> str:
        """Every W and b, layer by layer; of large ones the beginning."""
        lines: list[str] = []
        for name in self._layers:
            lines += ["", name] if lines else [name]
            for block in self._layout.blocks:
                if block.layer == name:
                    label = "b" if block.source is None else f"W from {block.source}"
                    lines.append(f"  {label} {block.shape}{'' if block.trainable else ', frozen'}")
                    lines += format_rows(self.view(block))
        return "\n".join(lines)


#: How many rows, and numbers of a row, are printed of an array.
SHOWN = 8


def format_rows(array: np.ndarray) -> list[str]:
    """The lines of a vector or a matrix, and what is left out.

    >>> format_rows(np.array([0.5, -0.25]))
    ['           0.5        -0.25']
    """
    matrix = np.atleast_2d(array)
    rows, columns = matrix.shape
    lines = []
    for row in matrix[:SHOWN]:
        numbers = " ".join(f"{number:12.6g}" for number in row[:SHOWN])
        lines.append("  " + numbers.rstrip() + (" ..." if columns > SHOWN else ""))
    return [*lines, f"  ... {rows - SHOWN} more rows"] if rows > SHOWN else lines


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


def initialize(
    net: Network, seed: int, dtype: Any = "float64", given: Mapping[str, Mapping[str, Any]] | None = None
) -> Parameters:
    """Starting parameters of a network: drawn from the seed in layer order, then `given` arrays put in place.

    `given` is {layer: {source: W, "b": b}}. A connection's own initializer comes before its layer's, and that before
    the one that suits the activation; biases start at 0 unless the layer says otherwise.
    """
    dtype = check_dtype(dtype)
    params = Parameters(net, np.zeros(layout(net).size, dtype))
    generator = np.random.default_rng(check_seed(seed))
    for layer in net.layers:
        fan_in = max(1.0, net.fan_in(layer))
        usual = as_initializer(layer.initializer or layer.f.initializer)
        for c in layer.connections:
            if c.source in params[layer.name].W and c.kind != "identity":
                draw = as_initializer(c.initializer or usual).draw
                W = params[layer.name].W[c.source]
                W[...] = draw(W.shape, fan_in, layer.units, generator)
        b = params[layer.name].b
        if b is not None:
            b[...] = as_initializer(layer.bias_initializer).draw(b.shape, fan_in, layer.units, generator)
    if not (given is None or (isinstance(given, Mapping) and all(isinstance(a, Mapping) for a in given.values()))):
        raise ArgumentError(
            f'given: expected arrays by layer and source, such as {{"output": {{"b": [0.0]}}}}, got {given!r}.'
        )
    for name, arrays in (given or {}).items():
        for key, values in arrays.items():
            own = params[name]
            if key == "b" and "b" in own.W and own.b is not None:
                raise ArgumentError(
                    f'given: "b" of layer "{name}" may be its bias or its weights from the layer "b". Give that layer '
                    f'another name, or set both afterwards: params["{name}"].b = ..., params["{name}"].W["b"] = ...'
                )
            if key == "b" and "b" not in own.W:
                own.b = values
            else:
                own.W[key] = values
    return params
