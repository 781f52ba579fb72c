"""Values of parameters and fitted attributes as JSON data and arrays, and back, each with a note of its type.

None, booleans, numbers and texts stand for themselves. Any other value is an object with one entry, whose name is the
type: `{"tuple": [100]}`, `{"optimizer": {"name": "adam", ...}}`, `{"array": "loss_curve_"}`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from clearprop.activations import Activation
from clearprop.core.network import Network
from clearprop.errors import ArgumentError, ModelFileError
from clearprop.estimators.frames import FrameEncoder
from clearprop.estimators.protocol import OptimizerState
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer
from clearprop.penalties import Penalty
from clearprop.schedules import Schedule
from clearprop.serialization.codec import decode, encode
from clearprop.training.checkpoint import Checkpoint

#: The classes that the codec writes, by the name of their entry.
_DEFINITIONS: dict[str, type] = {
    "activation": Activation, "loss": Loss, "optimizer": Optimizer, "L-BFGS": LBFGS, "schedule": Schedule,
    "penalty": Penalty, "network": Network, "checkpoint": Checkpoint, "columns": FrameEncoder, "state": OptimizerState,
}  # fmt: skip
#: Kinds of dtypes that labels may have: booleans, integers, floats, texts and objects.
_LABELS = "biufUO"
_MAX_DEPTH = 20
_NUMBERS = ("float64", "float32", "int64", "uint32")


def pack_value(value: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    """A value as JSON data; its arrays go into `arrays`. ArgumentError for one that no file can hold.

    >>> pack_value((100, 50), {}, "hidden_layer_sizes")
    {'tuple': [100, 50]}
    """
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    for name, kind in _DEFINITIONS.items():
        if isinstance(value, kind):
            value = replace(value, path=os.fspath(value.path)) if isinstance(value, Checkpoint) else value
            return {name: encode(value, arrays, path)}
    if isinstance(value, list) and value and all(type(item) is float for item in value):
        return {"floats": _put(np.array(value), arrays, path)}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [pack_value(item, arrays, f"{path}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, Mapping):
        rows = [[pack_value(part, arrays, f"{path}[{i}]") for part in row] for i, row in enumerate(value.items())]
        return {"dict": rows}
    if isinstance(value, np.ndarray):
        if value.dtype.name in _NUMBERS and 1 <= value.ndim <= 2:
            return {"array": _put(value, arrays, path)}
        if value.dtype.kind in _LABELS and value.ndim == 1:
            return {"labels": [pack_value(item, arrays, path) for item in value.tolist()], "dtype": str(value.dtype)}
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        if isinstance(state, dict) and state["bit_generator"] == "MT19937":
            numbers = np.append(state["state"]["key"], np.uint32(state["state"]["pos"]))
            return {"generator": _put(numbers, arrays, path)}
    if isinstance(value, LabelBinarizer):
        return {"binarizer": pack_value(vars(value), arrays, path)}
    if isinstance(value, (np.dtype, type)):
        return {"dtype": str(np.dtype(value))}
    if isinstance(value, os.PathLike):
        return {"path": os.fspath(value)}
    raise ArgumentError(
        f"{path}: a file cannot hold {value!r}; it holds numbers, texts, lists, arrays and the library's definitions. "
        "Set it to another value before saving."
    )


def _put(array: np.ndarray, arrays: dict[str, np.ndarray], path: str) -> str:
    arrays[path] = array
    return path


def unpack_value(data: Any, arrays: dict[str, np.ndarray], own: Iterable[Any], path: str, depth: int = 0) -> Any:
    """The value that `pack_value` wrote; arrays are taken out of `arrays`. ModelFileError for other data."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if not isinstance(data, dict) or not data or depth > _MAX_DEPTH:
        raise ModelFileError(f"{path}: expected a value and its type, got {str(data)[:60]}.")
    (name, content), *more = data.items()
    if name in _DEFINITIONS and not more:
        used = {key: arrays.pop(key) for key in list(arrays) if key.startswith((f"{path}.", f"{path}["))}
        return decode(_DEFINITIONS[name], content, used, own=own, path=path)

    def inner(item: Any, place: str = "") -> Any:
        return unpack_value(item, arrays, own, path + place, depth + 1)

    try:
        return _plain_value(name, content, dict(more), arrays, inner)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as reason:
        if isinstance(reason, ModelFileError):
            raise
        raise ModelFileError(f"{path}: the data of this {name[:40]} is not as it was saved.") from reason


def _plain_value(name: str, content: Any, more: dict[str, Any], arrays: dict[str, np.ndarray], unpack: Any) -> Any:
    """The value of a type that is no definition."""
    if name == "labels" and set(more) == {"dtype"}:
        return _labels([unpack(item) for item in content], str(more["dtype"]))
    if more:
        raise ValueError("more than one entry")
    if name in ("list", "tuple"):
        if not isinstance(content, list):
            raise TypeError("not a list")
        return (list if name == "list" else tuple)(unpack(item, f"[{i}]") for i, item in enumerate(content))
    if name == "dict":
        return {unpack(key): unpack(value, f"[{i}]") for i, (key, value) in enumerate(content)}
    if name in ("floats", "array"):
        array = arrays.pop(content)
        return array.tolist() if name == "floats" else array.copy()
    if name == "generator":
        state, generator = arrays.pop(content), np.random.RandomState(0)
        if state.shape != (625,) or state.dtype != np.uint32 or state[-1] > 624:
            raise ValueError("not a state of this generator")
        generator.set_state(("MT19937", state[:-1], int(state[-1]), 0, 0.0))
        return generator
    if name == "binarizer":
        return _binarizer(unpack(content))
    if name == "dtype":
        return np.dtype({"float32": np.float32, "float64": np.float64}[content])
    if name == "path":
        return Path(content)
    raise ValueError("an unknown type")


def _labels(values: list[Any], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    longest = max((len(value) for value in values if isinstance(value, str)), default=1)
    if kind.kind not in _LABELS or (kind.kind == "U" and kind.itemsize > 4 * max(1, longest)):
        raise ValueError("a dtype that labels do not have")
    array = np.empty(len(values), kind)
    array[:] = values
    return array


def _binarizer(values: dict[str, Any]) -> LabelBinarizer:
    binarizer = LabelBinarizer()
    expected = {*vars(binarizer), "y_type_", "sparse_input_", "classes_"}
    if set(values) != expected or values["classes_"].ndim != 1:
        raise ValueError("other attributes")
    vars(binarizer).update(values)
    return binarizer
