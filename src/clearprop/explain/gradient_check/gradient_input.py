"""The user's gradient in any of the accepted forms, converted to a flat vector in the order of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.checks import check_array
from clearprop.core.layout import Block
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, DataError, ShapeError, suggest

#: Parameters, a flat vector, {layer: {source: array, "b": array}}, or a function of the parameters that returns one.
GradientInput = Parameters | np.ndarray | Mapping[str, Mapping[str, Any]] | Callable[[Parameters], Any]

_FORM = 'a dict {layer: {source: dJ/dW, "b": dJ/db}}'
_DOUBLE, _SINGLE = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))


@dataclass(frozen=True)
class Given:
    """A gradient as a flat vector, 0 where it is missing; the blocks that are missing; and its precision."""

    flat: np.ndarray
    missing: frozenset[Block] = frozenset()
    eps: float = _DOUBLE


def as_gradient(gradient: GradientInput, params: Parameters) -> Given:
    """The gradient that was passed or that the function returns."""
    if callable(gradient):
        answer = gradient(params.copy())
        if callable(answer):
            raise ArgumentError("gradient: the function returned another function, expected a gradient.")
        if answer is None:
            raise ArgumentError(f"gradient: the function returned None. End it with return and {_FORM}.")
        return as_gradient(answer, params)
    if isinstance(gradient, Parameters):
        if gradient.net != params.net:
            raise ArgumentError("gradient: expected the gradient of this network, got that of another network.")
        blocks = {block: gradient.view(block) for block in params.net.layout.blocks}
    elif isinstance(gradient, Mapping):
        blocks = dict(_from_dict(gradient, params.net))
    else:
        blocks = _from_vector(gradient, params)
    flat = np.zeros(params.flat.size)
    for block, values in blocks.items():
        _check_finite(values, block)
        flat[block.start : block.stop] = values.ravel()
    missing = frozenset(block for block in params.net.layout.blocks if block not in blocks)
    return Given(flat, missing, _precision(flat, blocks.values()))


def _precision(flat: np.ndarray, arrays: Any) -> float:
    """The rounding unit of the least precise array; numbers that are all exact in float32 were computed in it."""
    eps = max((float(np.finfo(a.dtype).eps) for a in arrays if a.dtype.kind == "f"), default=_DOUBLE)
    with np.errstate(over="ignore"):
        single = bool(flat.any()) and np.array_equal(flat, flat.astype(np.float32))
    return max(eps, _SINGLE) if single else eps


def _from_vector(gradient: Any, params: Parameters) -> dict[Block, np.ndarray]:
    blocks = params.net.layout.blocks
    if isinstance(gradient, (tuple, list)) and any(np.ndim(part) for part in gradient):
        raise ArgumentError(
            f"gradient: expected {_FORM}, got a {type(gradient).__name__} of {len(gradient)} arrays. "
            f"Name each: {_example(blocks)}."
        )
    flat = _as_floats(gradient, "gradient")
    if flat.shape != params.flat.shape:
        raise ShapeError(
            f"gradient: expected a flat vector of {params.flat.size} numbers in the order of params.flat, got shape "
            f"{flat.shape}. Or pass {_FORM}."
        )
    return {block: flat[block.start : block.stop] for block in blocks}


def _example(blocks: tuple[Block, ...]) -> str:
    layers = dict.fromkeys(block.layer for block in blocks)
    arrays = {
        layer: ", ".join(
            f'"{"b" if b.source is None else b.source}": {"db" if b.source is None else "dW"}'
            for b in blocks
            if b.layer == layer
        )
        for layer in list(layers)[:2]
    }
    return (
        "{"
        + ", ".join(f'"{layer}": {{{listed}}}' for layer, listed in arrays.items())
        + (", ...}" if len(layers) > 2 else "}")
    )


def _from_dict(gradient: Mapping[str, Any], net: Network) -> Iterator[tuple[Block, np.ndarray]]:
    blocks = {(b.layer, "b" if b.source is None else b.source): b for b in net.layout.blocks}
    if any(b.source == "b" for b in net.layout.blocks):
        raise ArgumentError(
            'gradient: a layer is named "b", which in a dict means the bias. Pass the gradient as Parameters: '
            "g = cp.Parameters(net, np.zeros_like(params.flat)), then g[layer].W[source] = ... and g[layer].b = ..."
        )
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
            yield block, _of_shape(values, block)


def _of_shape(values: Any, block: Block) -> np.ndarray:
    where = f"gradient of {block.label}"
    if values is None:
        raise ArgumentError(
            f"{where}: expected an array of shape {block.shape}, got None. Leave it out if it is frozen."
        )
    array = _as_floats(values, where)
    if block.source is None and array.shape == (1, *block.shape):
        array = array[0]  # a sum over samples with keepdims
    if array.shape != block.shape:
        turned = array.ndim == 2 and array.T.shape == block.shape
        hint = " Rows are units of the source, columns units of the layer: pass the transpose." if turned else ""
        if block.source is None and array.shape == (*block.shape, 1):
            hint = " It is a column: pass db.ravel()."
        elif len(block.shape) == 1 and array.ndim == 2 and array.shape[1:] == block.shape:
            hint = " Sum delta over the samples: delta.sum(axis=0)."
        raise ShapeError(f"{where}: expected shape {block.shape}, got {array.shape}.{hint}")
    return array


def _as_floats(values: Any, where: str) -> np.ndarray:
    """The numbers in their own floating-point precision."""
    dtype = np.asarray(values).dtype if isinstance(values, (np.ndarray, np.generic)) else np.dtype(np.float64)
    return check_array(values, where, dtype if dtype.kind == "f" else np.dtype(np.float64))


def _check_finite(values: np.ndarray, block: Block) -> None:
    bad = np.argwhere(~np.isfinite(values.reshape(block.shape)))
    if len(bad):
        index = [int(i) for i in bad[0]]
        raise DataError(
            f"gradient of {block.label}: {values.reshape(block.shape)[tuple(index)]} at {index} ({len(bad)} of "
            f"{values.size} entries are not finite). Something overflowed or was divided by 0 in the backward sweep: "
            'np.seterr(all="raise") stops at the line; usual causes are exp of a large z, log(0) and 0 / 0.'
        )
