"""Dataclasses as JSON data, and back, driven by their type hints.

A dataclass becomes an object with all of its fields. Where a hint allows several classes, the class variable `type`,
`kind` or `name` is stored with the fields and identifies the class. Arrays are stored in a dictionary beside the JSON
data, under the path of their field; the JSON data holds that path instead. So are matrices of integers
(`Sequence[Sequence[int]]`) and columns of numbers (`dict[str, list[float]]`).

Decoding checks all data: every value must have the type of the hint, every number must be finite, integers must fit in
64 bits, all fields must be present (but those marked "optional") and no others, and then the class checks the values.
Only classes that are listed here, or that a hint names, are created; nothing is imported.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import numpy as np

from clearprop.activations import ACTIVATIONS, Activation, Custom
from clearprop.core.connections import CONNECTIONS, Connection
from clearprop.core.network import Layer, Network
from clearprop.errors import ArgumentError, ClearpropError, ModelFileError, unknown
from clearprop.initializers import Initializer, Normal, Orthogonal, Uniform, VarianceScaling, Zeros
from clearprop.losses import LOSSES, CustomLoss, Loss
from clearprop.optimizers import LBFGS, OPTIMIZERS, Optimizer
from clearprop.penalties import PENALTIES, Penalty
from clearprop.schedules import SCHEDULES, Schedule

T = TypeVar("T")

#: A number that may be NaN or infinite; every other float of a file must be finite.
AnyFloat = Annotated[float, "NaN and infinity are allowed"]
#: Limits on what a file may describe.
MAX_DEPTH, MAX_LAYERS = 60, 10_000

_FAMILIES: dict[type, Mapping[str, type]] = {
    Activation: {name: type(activation) for name, activation in ACTIVATIONS.items()},
    Connection: CONNECTIONS,
    Initializer: {kind.name: kind for kind in (VarianceScaling, Uniform, Normal, Orthogonal, Zeros)},
    Loss: LOSSES,
    Optimizer: OPTIMIZERS,
    LBFGS: OPTIMIZERS,
    Penalty: PENALTIES,
    Schedule: SCHEDULES,
}
_MATRIX, _COLUMNS = Sequence[Sequence[int]], dict[str, list[float]]
_EXPECTED = {
    type(None): "null", bool: "true or false", int: "an integer of at most 64 bits", float: "a finite number",
    str: "a string", list: "a list", dict: "an object", np.ndarray: "the name of an array",
}  # fmt: skip
_Path = tuple[str | int, ...]
_NO_DEFAULT = object()


def encode(value: Any, arrays: dict[str, np.ndarray] | None = None, path: str = "") -> Any:
    """A value as JSON data. Arrays are added to `arrays`; without it, matrices and columns become lists.

    >>> import clearprop as cp
    >>> encode(cp.activations.LeakyReLU(0.1))
    {'name': 'leaky_relu', 'slope': 0.1}
    """
    return _Encoder(arrays).encode(value, None, (path,) if path else ())


def decode(
    kind: type[T] | Any,
    data: Any,
    arrays: Mapping[str, np.ndarray] | None = None,
    *,
    own: Iterable[Any] = (),
    path: str = "",
) -> T:
    """The value of type `kind` that `encode` wrote; `own` are the user's activations, losses etc. that it may name.

    `path` names the data in messages. Raises ModelFileError for anything that is not exactly such data.

    >>> import clearprop as cp
    >>> decode(cp.losses.Loss, {"name": "huber", "threshold": 2.0})
    Huber(threshold=2.0)
    >>> decode(cp.losses.Loss, {"name": "huber", "threshold": "2"}, path="loss")
    Traceback (most recent call last):
    clearprop.errors.ModelFileError: loss.threshold: expected a finite number, got '2'.
    """
    return _Decoder(dict(arrays or {}), tuple(own)).decode(kind, data, (path,) if path else ())


def definitions(net: Network) -> list[Any]:
    """The activations and initializers of a network, to decode another of the same definitions."""
    parts = [(layer.activation, layer.initializer, layer.bias_initializer) for layer in net.layers]
    parts += [(connection.initializer,) for layer in net.layers for connection in layer.connections]
    return [part for several in parts for part in several if part is not None]


def joined(path: _Path) -> str:
    """A path in messages, and the name of an array.

    >>> joined(("network", "layers", 0, "units"))
    'network.layers[0].units'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _error(path: _Path, text: str) -> ModelFileError:
    return ModelFileError(f"{joined(path)[:300]}: {text}" if path else text)


@cache
def _tag(kind: type) -> str | None:
    """The class variable that is stored to identify a class, if it has one."""
    fields = {field.name for field in dataclasses.fields(kind)}
    return next((name for name in ("type", "kind", "name") if hasattr(kind, name) and name not in fields), None)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The type hint of each field."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@cache
def _optional(kind: type) -> set[str]:
    """The fields that files of earlier versions lack; a plain default is left out of new files, too."""
    return {field.name for field in dataclasses.fields(kind) if field.metadata.get("optional")}


# --- writing ---------------------------------------------------------------------------------------------------------


class _Encoder:
    def __init__(self, arrays: dict[str, np.ndarray] | None) -> None:
        self.arrays = arrays

    def encode(self, value: Any, hint: Any, path: _Path) -> Any:
        if isinstance(value, (Custom, CustomLoss)):
            return {"name": value.name}
        if dataclasses.is_dataclass(value):
            kind = type(value)
            tag, hints = _tag(kind), _hints(kind)
            left_out = {name for name in _optional(kind) if getattr(value, name) == getattr(kind, name, _NO_DEFAULT)}
            names = [name for name in hints if name not in left_out]
            fields = {name: self.encode(getattr(value, name), hints[name], (*path, name)) for name in names}
            return {tag: getattr(value, tag), **fields} if tag else fields
        if self.arrays is not None and hint == _MATRIX:
            return self._put(np.array(value, np.int32), path)
        if self.arrays is not None and hint == _COLUMNS and value:
            return {"names": list(value), "values": self._put(np.array(list(value.values()), np.float64), path)}
        if isinstance(value, np.ndarray) and self.arrays is not None and hint is not Any:
            return self._put(value, path)
        inner = Any if hint is Any or Any in typing.get_args(hint) else None
        if isinstance(value, Mapping):
            return {name: self.encode(item, inner, (*path, name)) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.encode(item, inner, (*path, i)) for i, item in enumerate(value)]
        value = value.item() if isinstance(value, np.generic) else value
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise ArgumentError(
            f"{joined(path)}: expected numbers, strings, lists or dicts in a file, got {_shown(value)}."
        )

    def _put(self, array: np.ndarray, path: _Path) -> str:
        assert self.arrays is not None
        self.arrays[joined(path)] = array
        return joined(path)


# --- reading ---------------------------------------------------------------------------------------------------------


@cache
def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union. Beside a class, a string is the user's shorthand for it, which no file holds."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)
    members = typing.get_args(hint)
    shorthand = any(dataclasses.is_dataclass(_element(member)) for member in members)
    return tuple(member for member in members if not (shorthand and member is str))


def _element(hint: Any) -> Any:
    """The first class that the items of a list may have; any other hint as it is."""
    return _options(typing.get_args(hint)[0])[0] if typing.get_origin(hint) is Sequence else hint


@cache
def _json_types(hint: Any) -> tuple[type, ...]:
    """The types that JSON data of a hint may have."""
    origin = typing.get_origin(hint) or hint
    if origin is Annotated or hint is float:
        return int, float
    if hint == _MATRIX:
        return str, list
    if origin in (list, tuple, Sequence):
        return (list,)
    if origin is Literal or hint is np.ndarray:
        return (str,)
    return (dict,) if dataclasses.is_dataclass(hint) or origin in (dict, Mapping) else (hint,)


def _refuse(path: _Path, expected: str, got: Any) -> NoReturn:
    raise _error(path, f"expected {expected}, got {_shown(got)}.")


def _shown(value: Any) -> str:
    if type(value) is int and value.bit_length() > 64:
        return f"one of {value.bit_length()} bits"
    short = reprlib.Repr()
    short.maxstring, short.maxother = 60, 60
    return short.repr(value)


class _Decoder:
    def __init__(self, arrays: dict[str, np.ndarray], own: tuple[Any, ...]) -> None:
        self.arrays, self.own = arrays, own

    def decode(self, hint: Any, data: Any, path: _Path) -> Any:
        if hint is Any:
            return data
        if len(path) > MAX_DEPTH:
            raise _error(path[:4], f"nested more than {MAX_DEPTH} levels deep.")
        options = [option for option in _options(hint) if type(data) in _json_types(option)]
        if not options:
            expected = dict.fromkeys(_EXPECTED.get(o) or _EXPECTED[_json_types(o)[-1]] for o in _options(hint))
            _refuse(path, " or ".join(expected), data)
        if dataclasses.is_dataclass(options[0]):
            return self._object(options, data, path)
        return self._value(options[0], data, path)

    def _value(self, hint: Any, data: Any, path: _Path) -> Any:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is float or origin is Annotated:
            return self._float(data, path, finite=hint is float)
        if hint is int and abs(data) >= 2**63:
            _refuse(path, _EXPECTED[int], data)
        if origin is Literal:
            return data if data in arguments else _refuse(path, f"one of {', '.join(map(repr, arguments))}", data)
        if hint is np.ndarray or (hint == _MATRIX and isinstance(data, str)):
            return self._array(data, path)
        if hint == _COLUMNS and set(data) == {"names", "values"} and isinstance(data["values"], str):
            return self._columns(data, path)
        if isinstance(data, list):
            return self._list(origin, arguments, data, path)
        if isinstance(data, dict):
            return {name: self.decode(arguments[1], item, (*path, name)) for name, item in data.items()}
        return data

    def _float(self, data: float, path: _Path, *, finite: bool) -> float:
        if (type(data) is int and abs(data) >= 2**1023) or (finite and not math.isfinite(data)):
            _refuse(path, _EXPECTED[float], data)
        return float(data)

    def _list(self, origin: Any, arguments: tuple[Any, ...], data: list[Any], path: _Path) -> Any:
        if origin is tuple and arguments[-1] is not ...:
            if len(data) != len(arguments):
                _refuse(path, f"{len(arguments)} items", data)
            return tuple(self.decode(hint, data[i], (*path, i)) for i, hint in enumerate(arguments))
        if arguments[0] is Layer and len(data) > MAX_LAYERS:
            _refuse(path, f"at most {MAX_LAYERS:,} layers", len(data))
        items = (self.decode(arguments[0], item, (*path, i)) for i, item in enumerate(data))
        return list(items) if origin is list else tuple(items)

    def _array(self, name: str, path: _Path) -> np.ndarray:
        found = self.arrays.pop(name, None)  # used once, so that a small file cannot name many copies of an array
        if found is None:
            raise _error(path, f"the file has no array {_shown(name)}, or another field uses it.")
        return found.copy()

    def _columns(self, data: dict[str, Any], path: _Path) -> dict[str, list[float]]:
        names = self.decode(tuple[str, ...], data["names"], (*path, "names"))
        matrix = self._array(data["values"], path)
        if matrix.ndim != 2 or matrix.dtype != np.float64 or not len(matrix) == len(names) == len(set(names)):
            expected = f"a float64 matrix with a row for each of {len(names)} different names"
            raise _error(path, f"expected {expected}, got shape {matrix.shape} of {matrix.dtype}.")
        return dict(zip(names, matrix.tolist(), strict=True))

    def _object(self, kinds: Sequence[Any], data: dict[str, Any], path: _Path) -> Any:
        tag, fields = _tag(kinds[0]), dict(data)
        kind = kinds[0] if tag is None else self._chosen(kinds, tag, fields.pop(tag, None), path)
        if not isinstance(kind, type):
            return kind
        hints, optional = _hints(kind), _optional(kind)
        if odds := (fields.keys() ^ hints.keys()) - (optional - fields.keys()):
            odd = min(map(str, odds))
            what = "unknown" if odd in fields else "missing"
            raise _error(path, f"{what} field {_shown(odd)}; expected {', '.join(hints)}.")
        values = {name: self.decode(hints[name], item, (*path, name)) for name, item in fields.items()}
        try:
            return kind(**values)
        except ClearpropError as reason:
            raise _error(path, str(reason)) from reason

    def _chosen(self, kinds: Sequence[Any], tag: str, name: Any, path: _Path) -> Any:
        """The class that data names, among those of the hint, or the user's own definition of that name."""
        known: dict[str, Any] = {}
        for kind in kinds:
            known |= _FAMILIES.get(kind) or {getattr(kind, tag): kind}
            known |= {own.name: own for own in self.own if isinstance(own, kind)}
        if isinstance(name, str) and name in known:
            return known[name]
        path, family = (*path, tag), next((kind for kind in kinds if kind in _FAMILIES), None)
        if not isinstance(name, str) or family is None:
            _refuse(path, f"one of {', '.join(map(repr, known))}", name)
        message = unknown(family.__name__.lower(), name[:100], known)
        raise _error(path, f"{message} If it is your own, pass it: load(path, own=[...]).")
