"""Parameters: the weight matrices and biases of a network, as named views of one flat vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from clearprop.checks import check_array, check_dtype, check_finite, check_seed
from clearprop.core.layout import Block, Layout
from clearprop.display import Displayed
from clearprop.errors import ArgumentError, NetworkError, ShapeError, suggest
from clearprop.initializers import as_initializer
from clearprop.terminal import terminal_width, wrap

if TYPE_CHECKING:
    from clearprop.core.network import Network


class Weights(MutableMapping[str, np.ndarray]):
    """The W of one layer by source. Assignment checks the shape and copies the values into the flat vector."""

    __slots__ = ("_layer", "_views")

    def __init__(self, layer: str, views: dict[str, np.ndarray]) -> None:
        self._layer, self._views = layer, views

    def __getitem__(self, source: str) -> np.ndarray:
        if source not in self._views:
            raise NetworkError(f'layer "{self._layer}" has no weights from "{source}". {suggest(source, self._views)}')
        return self._views[source]

    def get(self, source: str, default: Any = None) -> Any:
        """The W from a source, or the default (an identity connection has no W)."""
        return self._views.get(source, default)

    def __contains__(self, source: object) -> bool:
        return source in self._views

    def __setitem__(self, source: str, values: Any) -> None:
        _assign(self[source], values, f"{self._layer}.W[{source!r}]")

    def __delitem__(self, source: str) -> None:
        raise NetworkError("weights cannot be deleted; build a network without that source.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return repr(self._views)


class LayerParameters:
    """W (by source) and b of one layer, as views of the flat vector; b is None for a layer without bias."""

    __slots__ = ("_W", "_b", "_name")  # no other attributes: `layer.bias = ...` raises instead of doing nothing

    def __init__(self, name: str, W: dict[str, np.ndarray], b: np.ndarray | None) -> None:
        self._name, self._b = name, b
        self._W = Weights(name, W)

    @property
    def W(self) -> Weights:
        """The weight matrices by source."""
        return self._W

    @W.setter
    def W(self, values: Any) -> None:
        if not isinstance(values, Mapping):
            sources = ", ".join(self._W) or "none"
            raise ArgumentError(
                f"{self._name}.W: expected a dict of arrays by source (sources: {sources}), got "
                f"{type(values).__name__}. For one source write params[{self._name!r}].W[source] = ..."
            )
        for source, array in values.items():
            self._W[source] = array

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


class Parameters(Displayed):
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

    __slots__ = ("__weakref__", "_flat", "_layers", "_layout", "_net")

    def __init__(self, net: Network, flat: np.ndarray) -> None:
        layout = getattr(net, "layout", None)
        if not isinstance(layout, Layout):
            raise ArgumentError(f"net: expected a cp.Network, got {type(net).__name__}.")
        dtype = getattr(flat, "dtype", None)
        if getattr(dtype, "kind", "") not in ("f", "c"):  # derivatives use complex and dual numbers
            raise ArgumentError(f"flat: expected a vector of float32 or float64, got {dtype or type(flat).__name__}.")
        if flat.shape != (layout.size,):
            raise ShapeError(f"parameters: expected a vector of shape ({layout.size},), got {flat.shape}.")
        self._net, self._flat, self._layout = net, flat, layout
        W: dict[str, dict[str, np.ndarray]] = {layer.name: {} for layer in net.layers}
        b: dict[str, np.ndarray] = {}
        for block in self._layout.blocks:
            view = self.view(block)
            if block.source is None:
                b[block.layer] = view
            else:
                W[block.layer][block.source] = view
        self._layers = {name: LayerParameters(name, W[name], b.get(name)) for name in W}

    @property
    def net(self) -> Network:
        """The network that these parameters belong to."""
        return self._net

    @property
    def flat(self) -> np.ndarray:
        """All parameters as one vector (parameters,); assignment copies the values into it."""
        return self._flat

    @flat.setter
    def flat(self, values: Any) -> None:
        if values is not self._flat:  # as in `params.flat += step`, which has changed it already
            _assign(self._flat, values, "params.flat")

    def __eq__(self, other: object) -> bool:
        """Whether the network and every number are the same."""
        if not isinstance(other, Parameters):
            return NotImplemented
        same = self.net == other.net and self.dtype == other.dtype
        return same and bool(np.array_equal(self.flat, other.flat))

    __hash__ = None  # type: ignore[assignment]  # the numbers change

    def __setitem__(self, layer: str, values: Any) -> None:
        raise ArgumentError(
            f"params[{layer!r}]: a layer cannot be replaced as a whole; assign to its arrays, such as "
            f"params[{layer!r}].W[source] = ... and params[{layer!r}].b = ..."
        )

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
        """A copy with a flat vector of its own."""
        return Parameters(self.net, self.flat.copy())

    def astype(self, dtype: Any) -> Parameters:
        """A copy in float32 or float64."""
        return Parameters(self.net, self.flat.astype(check_dtype(dtype)))

    def __repr__(self) -> str:
        return f"Parameters({self.flat.size} numbers, {self.dtype}, layers {', '.join(self._layers)})"

    def __str__(self) -> str:
        """Every W and b, layer by layer; large ones are cut off."""
        lines: list[str] = []
        for name in self._layers:
            lines += ["", name] if lines else [name]
            for block in self._layout.blocks:
                if block.layer == name:
                    label = "b" if block.source is None else f"W from {block.source}"
                    lines.append(wrap(f"  {label} {block.shape}{'' if block.trainable else ', frozen'}"))
                    lines += format_rows(self.view(block))
        return "\n".join(lines)


#: Number of rows and columns of an array that are printed, and the width of a number.
SHOWN, CELL = 8, 12


def format_rows(array: np.ndarray) -> list[str]:
    """The lines that show a vector or a matrix, as many columns as fit into the terminal; a last line counts the rest.

    >>> format_rows(np.array([0.5, -0.25]))
    ['           0.5        -0.25']
    """
    matrix = np.atleast_2d(array)
    rows, columns = matrix.shape
    room, dots = terminal_width() - 1, len(" ...")  # each number has a space before it, the line one more
    shown = min(SHOWN, columns, max(1, room // (CELL + 1)))
    if shown < columns:
        shown = min(shown, max(1, (room - dots) // (CELL + 1)))
    lines = []
    for row in matrix[:SHOWN]:
        numbers = " ".join(f"{number + 0.0:{CELL}.6g}" for number in row[:shown])
        lines.append(f"  {numbers}{' ...' if columns > shown else ''}")
    across = "value" if np.ndim(array) < 2 else "column"
    left = [
        f"{count:,} more {what}{'s' * (count > 1)}"
        for count, what in ((rows - SHOWN, "row"), (columns - shown, across))
        if count > 0
    ]
    return [*lines, f"  ... {' and '.join(left)}"] if left else lines


def initialize(
    net: Network, seed: int, dtype: Any = "float64", given: Mapping[str, Mapping[str, Any]] | None = None
) -> Parameters:
    """Initial parameters of a network: drawn from the seed in layer order, then replaced by the arrays in `given`.

    `given` is {layer: {source: W, "b": b}}. A connection's initializer takes precedence over that of its layer, and
    that over the default for the activation. Biases start at 0 unless the layer has a `bias_initializer`.
    """
    dtype = check_dtype(dtype)
    params = Parameters(net, np.zeros(net.layout.size, dtype))
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
