"""Networks, losses and optimizers as plain JSON data, and back, without importing anything that a file names."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clearprop.activations import ACTIVATIONS, Activation, Custom
from clearprop.core.connections import CONNECTIONS
from clearprop.core.network import Layer, Network
from clearprop.errors import ClearpropError, ModelFileError, suggest
from clearprop.initializers import Initializer, Normal, Orthogonal, Uniform, VarianceScaling, Zeros
from clearprop.losses import LOSSES, CustomLoss, Loss
from clearprop.optimizers import OPTIMIZERS
from clearprop.penalties import PENALTIES
from clearprop.schedules import SCHEDULES, Schedule

_INITIALIZERS = {kind.name: kind for kind in (VarianceScaling, Uniform, Normal, Orthogonal, Zeros)}
_ACTIVATIONS = {name: type(activation) for name, activation in ACTIVATIONS.items()}
#: Fields that earlier versions wrote by another name.
_RENAMED = {"rate": "learning_rate"}
_LAYER_FLAGS = ("bias", "train_bias")
MAX_LAYERS = 10_000


def describe(thing: Any) -> dict[str, Any]:
    """Name and fields of an activation, loss, optimizer, schedule, penalty or initializer.

    >>> import clearprop as cp
    >>> describe(cp.LeakyReLU(0.1))
    {'name': 'leaky_relu', 'slope': 0.1}
    """
    if isinstance(thing, (Custom, CustomLoss)):
        return {"name": thing.name}
    fields = {}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        fields[field.name] = describe(value) if isinstance(value, (Schedule, Initializer)) else value
    return {"name": thing.name, **fields}


def describe_network(net: Network) -> dict[str, Any]:
    """A network as plain data.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(2, 3, 1)
    >>> rebuild_network(describe_network(net)) == net
    True
    """
    return {
        "inputs": net.inputs,
        "layers": [_describe_layer(layer) for layer in net.layers],
        "outputs": list(net.outputs or ()),
    }


def pack_network(net: Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A network for a file: plain data that names the arrays which hold the patterns of its wired connections.

    >>> import clearprop as cp
    >>> net = cp.Network(2, [cp.Layer("output", 1, sources=[cp.Wired("input", [[1], [1]])])])
    >>> described, arrays = pack_network(net)
    >>> arrays["pattern 0"].tolist(), rebuild_network(described, arrays=arrays) == net
    ([[1], [1]], True)
    """
    described, arrays = describe_network(net), {}
    for layer in described["layers"]:
        for source in layer["sources"]:
            if "pattern" in source:
                name = f"pattern {len(arrays)}"
                arrays[name], source["pattern"] = np.array(source["pattern"], np.int32), name
    return described, arrays


def _describe_layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "units": layer.units,
        "activation": describe(layer.f),
        "sources": [_describe_connection(c) for c in layer.connections],
        "bias": layer.bias,
        "train_bias": layer.train_bias,
        "dropout": layer.dropout,
        "initializer": describe(layer.initializer) if layer.initializer else None,
        "bias_initializer": describe(layer.bias_initializer),
    }


def _describe_connection(connection: Any) -> dict[str, Any]:
    fields = {"kind": connection.kind, "source": connection.source}
    if connection.kind != "identity":
        fields["trainable"] = connection.trainable
        fields["initializer"] = describe(connection.initializer) if connection.initializer else None
    if connection.kind == "wired":
        fields["pattern"] = [list(row) for row in connection.pattern]
    return fields


def rebuild_network(
    data: Any, own: Iterable[Activation] = (), arrays: Mapping[str, np.ndarray] | None = None
) -> Network:
    """The network that was described; `own` are the user's activations that it may name, `arrays` those of the file.

    Raises ModelFileError for anything that is not such a description.
    """
    fields = _mapping(data, "network", {"inputs", "layers", "outputs"})
    activations = _ACTIVATIONS | {activation.name: activation for activation in own}
    layers = _listing(fields["layers"], "network layers")
    if len(layers) > MAX_LAYERS:
        raise ModelFileError(f"network: {len(layers)} layers are more than the {MAX_LAYERS} a file may hold.")
    try:
        return Network(
            _integer(fields["inputs"], "network inputs"),
            [_rebuild_layer(layer, i, activations, arrays or {}) for i, layer in enumerate(layers)],
            [_text(name, "network outputs") for name in _listing(fields["outputs"], "network outputs")],
        )
    except ModelFileError:
        raise
    except ClearpropError as reason:
        raise ModelFileError(f"network: the file describes an impossible one: {reason}") from reason


def _rebuild_layer(data: Any, place: int, activations: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Layer:
    where = f"network layer {place}"
    known = {field.name for field in dataclasses.fields(Layer)}
    fields = _mapping(data, where, known)
    for flag in _LAYER_FLAGS:
        if not isinstance(fields[flag], bool):
            raise ModelFileError(f"{where}: expected {flag} true or false, got {fields[flag]!r}.")
    return Layer(
        _text(fields["name"], where),
        _integer(fields["units"], f"{where} units"),
        rebuild(fields["activation"], activations, f"{where} activation"),
        [_rebuild_connection(c, where, arrays) for c in _listing(fields["sources"], where)],
        fields["bias"],
        fields["train_bias"],
        fields["dropout"],
        _rebuild_initializer(fields["initializer"], where),
        _rebuild_initializer(fields["bias_initializer"], where) or Zeros(),
    )


def _rebuild_connection(data: Any, where: str, arrays: Mapping[str, np.ndarray]) -> Any:
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if not isinstance(kind, str) or kind not in CONNECTIONS:
        raise ModelFileError(f"{where}: expected a connection of a kind {', '.join(CONNECTIONS)}, got {kind!r}.")
    fields = dict(_mapping(data, where, {"kind", *(f.name for f in dataclasses.fields(CONNECTIONS[kind]))}))
    del fields["kind"]
    if "initializer" in fields:
        fields["initializer"] = _rebuild_initializer(fields["initializer"], where)
        if not isinstance(fields["trainable"], bool):
            raise ModelFileError(f"{where}: expected trainable true or false, got {fields['trainable']!r}.")
    if isinstance(fields.get("pattern"), str):
        if fields["pattern"] not in arrays:
            raise ModelFileError(f"{where}: its pattern is missing in the file.")
        fields["pattern"] = arrays[fields["pattern"]]
    _text(fields["source"], where)
    return CONNECTIONS[kind](**fields)


def _rebuild_initializer(data: Any, where: str) -> Initializer | None:
    return None if data is None else rebuild(data, _INITIALIZERS, f"{where} initializer")


def rebuild(data: Any, registry: Mapping[str, Any], where: str) -> Any:
    """The definition that `describe` described, from a registry of classes (or of the user's own instances)."""
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise ModelFileError(f"{where}: expected a name with its fields, got {str(data)[:80]!r}.")
    found = registry.get(data["name"])
    if found is None:
        raise ModelFileError(
            f'{where}: there is no "{data["name"]}" in this version. {suggest(data["name"], registry)} '
            "If it is your own, hand it over: cp.Model.load(path, own=[...])."
        )
    if not isinstance(found, type):
        return found
    known = {field.name for field in dataclasses.fields(found)}
    data = {name if name in known else _RENAMED.get(name, name): value for name, value in data.items()}
    fields = dict(_mapping(data, where, {"name", *known}))
    del fields["name"]
    kinds = typing.get_type_hints(found)
    for name, value in fields.items():
        if isinstance(value, Mapping):
            fields[name] = rebuild(value, SCHEDULES, f"{where} {name}")
        elif kinds[name] is str and not isinstance(value, str):
            raise ModelFileError(f"{where} {name}: expected text, got {value!r}.")
    try:
        return found(**fields)
    except ClearpropError as reason:
        raise ModelFileError(f"{where}: {reason}") from reason


def rebuild_loss(data: Any, own: Iterable[Loss] = ()) -> Loss:
    """The loss that `describe` described.

    >>> import clearprop as cp
    >>> rebuild_loss({"name": "huber", "threshold": 2.0})
    Huber(threshold=2.0)
    """
    return rebuild(data, LOSSES | {loss.name: loss for loss in own}, "loss")


def rebuild_optimizer(data: Any) -> Any:
    """The optimizer that `describe` described.

    >>> import clearprop as cp
    >>> rebuild_optimizer(describe(cp.Momentum(cp.Cosine(0.1)))) == cp.Momentum(cp.Cosine(0.1))
    True
    """
    return rebuild(data, OPTIMIZERS, "optimizer")


def rebuild_penalty(data: Any) -> Any:
    """The penalty that `describe` described.

    >>> rebuild_penalty({"name": "l2", "strength": 0.1})
    L2(strength=0.1)
    """
    return rebuild(data, PENALTIES, "penalty")


def _mapping(data: Any, where: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ModelFileError(f"{where}: expected fields {', '.join(sorted(keys))}, got {str(data)[:80]!r}.")
    if set(data) != keys:
        odd = sorted(map(str, set(data) ^ keys))
        raise ModelFileError(f"{where}: expected the fields {', '.join(sorted(keys))}; missing or unknown: {odd[0]}.")
    return data


def _listing(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise ModelFileError(f"{where}: expected a list, got {str(data)[:80]!r}.")
    return data


def _text(data: Any, where: str) -> str:
    if not isinstance(data, str):
        raise ModelFileError(f"{where}: expected a name, got {str(data)[:80]!r}.")
    return data


def _integer(data: Any, where: str) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise ModelFileError(f"{where}: expected a whole number, got {str(data)[:80]!r}.")
    return data
