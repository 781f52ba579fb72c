"""Files of fitted estimators, in the container of model files: parameters, fitted attributes, network and weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from clearprop.checks import check_finite
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, ClearpropError, ModelFileError
from clearprop.estimators import parameters as settings
from clearprop.estimators.frames import FrameEncoder
from clearprop.estimators.protocol import OptimizerState
from clearprop.estimators.values import pack_value, unpack_value
from clearprop.serialization.sealed import Kind, pack_sections, read_sections

T = TypeVar("T")

ESTIMATOR = Kind("estimator", ModelFileError)

_NUMBER, _TEXT, _LIST, _ARRAY = (int, float), str, list, np.ndarray
#: The fitted attributes that a file holds, and their types.
_ATTRIBUTES: dict[str, Any] = {
    **dict.fromkeys(
        ("n_features_in_", "n_outputs_", "n_iter_", "n_layers_", "t_", "_no_improvement_count", "_width"), int
    ),
    **dict.fromkeys(("loss_", "best_loss_", "best_validation_score_"), (*_NUMBER, type(None))),
    **dict.fromkeys(("loss_curve_", "validation_loss_curve_"), _LIST),
    "validation_scores_": (_LIST, type(None)),
    **dict.fromkeys(("classes_", "feature_names_in_", "_center", "_scale", "_best"), _ARRAY),
    "out_activation_": _TEXT,
    "_seeded": (tuple, type(None)),
    "_sklearn_output_config": dict,
    "_label_binarizer": LabelBinarizer,
    "_encoder": (FrameEncoder, type(None)),
    "_optimizer": OptimizerState,
}
#: Attributes that are written as the network and its parameters, or as members.
_OF_THE_NETWORK = ("coefs_", "intercepts_", "_views", "network_", "members_")


@dataclass(frozen=True)
class _Reader:
    """What is common to all parts of a file that is read."""

    kind: Any
    arrays: dict[str, np.ndarray]
    own: tuple[Any, ...]

    def value(self, data: Any, path: str) -> Any:
        return unpack_value(data, self.arrays, self.own, path)


def pack_estimator(estimator: Any) -> bytes:
    """The bytes of the file of a fitted estimator."""
    arrays: dict[str, np.ndarray] = {}
    head = {"estimator": type(estimator).__name__, **_pack(estimator, arrays, "")}
    return pack_sections(ESTIMATOR, head, arrays)


def _pack(estimator: Any, arrays: dict[str, np.ndarray], path: str) -> dict[str, Any]:
    parameters = estimator.get_params(deep=False)
    attributes = {name: value for name, value in vars(estimator).items() if name not in parameters}
    unknown = [name for name in attributes if name not in (*_ATTRIBUTES, *_OF_THE_NETWORK)]
    if unknown:
        raise ArgumentError(f"save: a file cannot hold the attribute {unknown[0]} of this estimator; delete it first.")
    data: dict[str, Any] = {
        "parameters": {name: pack_value(value, arrays, f"{path}{name}") for name, value in parameters.items()},
        "attributes": {
            name: pack_value(value, arrays, f"{path}{name}")
            for name, value in attributes.items()
            if name not in _OF_THE_NETWORK
        },
    }
    if hasattr(estimator, "members_"):
        data["members"] = [
            _pack(member, arrays, f"{path}members_[{i}].") for i, member in enumerate(estimator.members_)
        ]
    else:
        params = estimator._parameters()
        check_finite(params.flat, "coefs_ and intercepts_")
        data["network"] = pack_value(params.net, arrays, f"{path}network_")
        data["weights"] = pack_value(params.flat, arrays, f"{path}weights")
    return data


def unpack_estimator(content: bytes, where: str, kind: type[T], own: Iterable[Any] = ()) -> T:
    """The estimator of class `kind` in a file; ModelFileError for anything else."""
    sections = read_sections(content, where, ESTIMATOR)
    head, found = dict(sections.head), sections.head.get("estimator")
    if found != kind.__name__:
        raise ModelFileError(f"{where}: expected a file of {kind.__name__}, this is one of {str(found)[:60]}.")
    try:
        del head["estimator"]
        return _unpack(_Reader(kind, dict(sections.arrays), tuple(own)), head, "")
    except ModelFileError as reason:
        raise ModelFileError(f"{where}: {reason}") from reason
    except (ClearpropError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
        raise ModelFileError(f"{where}: its data does not describe a fitted {kind.__name__}: {reason}") from reason


def _unpack(reader: _Reader, data: dict[str, Any], path: str) -> Any:
    estimator = reader.kind()
    parameters = {name: reader.value(value, f"{path}{name}") for name, value in data["parameters"].items()}
    if parameters.keys() != estimator.get_params(deep=False).keys():
        odd = min(parameters.keys() ^ estimator.get_params(deep=False).keys())
        raise ModelFileError(f"{path}parameters: expected those of {reader.kind.__name__}; {odd[:60]!r} differs.")
    settings.check_parameters(reader.kind, parameters)
    vars(estimator).update(parameters)
    for name, packed in data["attributes"].items():
        value = reader.value(packed, f"{path}{name}")
        if name not in _ATTRIBUTES or not isinstance(value, _ATTRIBUTES[name]) or isinstance(value, bool):
            raise ModelFileError(f"{path}{name[:60]}: expected a fitted attribute, got {str(value)[:60]}.")
        setattr(estimator, name, value)
    if "members" in data:
        estimator.members_ = [_unpack(reader, part, f"{path}members_[{i}].") for i, part in enumerate(data["members"])]
        return estimator
    net, flat = reader.value(data["network"], f"{path}network_"), reader.value(data["weights"], f"{path}weights")
    params = Parameters(net, flat)
    check_finite(params.flat, f"{path}weights")
    _check_fit(estimator, net, path)
    estimator._set_parameters(params)
    return estimator


def _check_fit(estimator: Any, net: Any, path: str) -> None:
    """Whether network and attributes belong together."""
    encoder = getattr(estimator, "_encoder", None)
    inputs = estimator.n_features_in_ if encoder is None else len(encoder.input_names)
    units = [net[name].units for name in net.outputs or ()]
    expected = [count for count, _, _ in estimator._outputs()]
    if net.inputs != inputs or units != expected:
        raise ModelFileError(
            f"{path}network_: expected {inputs} inputs and outputs of {expected} units, as the attributes say, "
            f"got {net.inputs} and {units}."
        )
