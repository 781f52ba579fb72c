"""The user's gradient in any of the accepted forms, converted to a flat vector in the order of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clearprop.checks import check_array, check_finite
from clearprop.core.layout import Block
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, ShapeError, suggest

#: Parameters, a flat vector, {layer: {source: array, "b": array}}, or a function of the parameters that returns one.
GradientInput = Parameters | np.ndarray | Mapping[str, Mapping[str, Any]] | Callable[[Parameters], Any]


def as_gradient(gradient: GradientInput, params: Parameters) -> tuple[np.ndarray, frozenset[Block]]:
    """The gradient as a flat vector, 0 where it is missing, and the blocks that are missing."""
    net = params.net
    if isinstance(gradient, Parameters):
        if gradient.net != net:
            raise ArgumentError("gradient: expected the gradient of this network, got that of another network.")
        return gradient.flat.astype(np.float64), frozenset()
    if isinstance(gradient, Mapping):
        return _from_dict(gradient, net)
    if callable(gradient):
        answer = gradient(params.copy())
        if callable(answer):
            raise ArgumentError("gradient: the function returned another function, expected a gradient.")
        return as_gradient(answer, params)
    flat = check_array(gradient, "gradient", np.dtype("float64"))
    if flat.shape != params.flat.shape:
        raise ShapeError(
            f"gradient: expected a flat vector of {params.flat.size} numbers in the order of params.flat, got shape "
            f'{flat.shape}. Or pass a dict {{layer: {{source: dJ/dW, "b": dJ/db}}}}.'
        )
    check_finite(flat, "gradient")
    return flat.copy(), frozenset()


def _from_dict(gradient: Mapping[str, Any], net: Network) -> tuple[np.ndarray, frozenset[Block]]:
    blocks = {(b.layer, "b" if b.source is None else b.source): b for b in net.layout.blocks}
    if any(b.source == "b" for b in net.layout.blocks):
        raise ArgumentError(
            'gradient: a layer is named "b", which in a dict means the bias. Pass the gradient as Parameters: '
            "g = cp.Parameters(net, np.zeros_like(params.flat)), then g[layer].W[source] = ... and g[layer].b = ..."
        )
    flat = np.zeros(net.layout.size)
    missing = set(blocks)
    for layer, arrays in gradient.items():
        if layer not in net.index:
            raise ArgumentError(f'gradient: there is no layer "{layer}". {suggest(str(layer), net.index)}')
        if not isinstance(arrays, Mapping):
            raise ArgumentError(
                f'gradient["{layer}"]: expected a dict {{source: dJ/dW, "b": dJ/db}}, got {type(arrays).__name__}.'
            )
        for key, values in arrays.items():
            block = blocks.get((layer, key))
            if block is None:
                known = [k for name, k in blocks if name == layer]
                raise ArgumentError(f'gradient["{layer}"]: there is no "{key}". {suggest(str(key), known)}')
            flat[block.start : block.stop] = _checked(values, block).ravel()
            missing.discard((layer, key))
    return flat, frozenset(blocks[key] for key in missing)


def _checked(values: Any, block: Block) -> np.ndarray:
    where = f"gradient of {block.label}"
    array = check_array(values, where, np.dtype("float64"))
    if block.source is None and array.shape == (1, *block.shape):
        array = array[0]  # a sum over samples with keepdims
    if array.shape != block.shape:
        turned = array.ndim == 2 and array.T.shape == block.shape
        rows = len(block.shape) == 1 and array.ndim == 2 and array.shape[1:] == block.shape
        hint = " Rows are units of the source, columns units of the layer: pass the transpose." if turned else ""
        hint = " Sum delta over the samples: delta.sum(axis=0)." if rows else hint
        raise ShapeError(f"{where}: expected shape {block.shape}, got {array.shape}.{hint}")
    check_finite(array, where)
    return array
