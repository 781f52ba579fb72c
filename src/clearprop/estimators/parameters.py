"""Validation of the estimators' parameters, and their conversion into objects of the library."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

from clearprop.activations import ACTIVATIONS, Activation, as_activation, sigmoid
from clearprop.checks import check_number
from clearprop.core.network import Network
from clearprop.engine import ENGINES
from clearprop.losses import LOSSES
from clearprop.optimizers import LBFGS, OPTIMIZERS, AdamEpsilonHat, Momentum, Nesterov, Optimizer
from clearprop.penalties import Limits, Penalty
from clearprop.schedules import Schedule
from clearprop.training.checkpoint import Checkpoint

#: SciPy's default for L-BFGS, which scikit-learn uses: an iteration that lowers the cost by less ends the search.
COST_TOLERANCE = 2.2204460492503131e-09

_POSITIVE = [Interval(Real, 0, None, closed="neither"), None]

#: Allowed values by parameter: scikit-learn's and additional ones.
CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({"logistic", *ACTIVATIONS}), Activation, list, tuple],
    "solver": [StrOptions({"sgd", *OPTIMIZERS}), Optimizer, LBFGS],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "network": [Network, None],
    "skip": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "penalty": [Penalty, list, tuple, None],
    "max_norm": _POSITIVE,
    "clip_norm": _POSITIVE,
    "clip_value": _POSITIVE,
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, HasMethods("__call__"), None],
    "restore_best": ["boolean"],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "n_networks": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
    "on_divergence": [StrOptions({"raise", "keep"}), None],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "checkpoint": [str, os.PathLike, Checkpoint, None],
    "engine": [str],  # one of `ENGINES`, see `_check_strictly`
}

LOSS_NAMES = set(LOSSES)


#: Types of immutable defaults.
_IMMUTABLE = (type(None), bool, int, float, str)


@lru_cache(maxsize=256)
def checked_defaults(kind: Any, init: Any) -> Mapping[str, Any]:
    """The valid, immutable defaults of the constructor `init` of a class.

    A parameter that is still its default (the same object) needs no check in `fit`.
    """
    defaults = {}
    for name, parameter in inspect.signature(init).parameters.items():
        value = parameter.default
        if all(type(item) in _IMMUTABLE for item in (value if type(value) is tuple else (value,))):
            with suppress(InvalidParameterError):  # fit raises it
                check_parameters(kind, {name: value})
                defaults[name] = value
    return defaults


def check_parameters(kind: Any, values: Mapping[str, Any]) -> None:
    """Raise InvalidParameterError for the first parameter that is invalid for the class `kind`."""
    if any(isinstance(size, Integral) for size in loss_list(values.get("loss"))):
        raise InvalidParameterError(
            f"The 'loss' parameter of {kind.__name__} must be a loss such as 'squared_error'. Got {values['loss']!r} "
            f"instead. If these are the units of the hidden layers, name the parameter: "
            f"{kind.__name__}(hidden_layer_sizes={values['loss']!r})."
        )
    validate_parameter_constraints(kind._parameter_constraints, values, caller_name=kind.__name__)
    _check_strictly(kind, values)


def _check_strictly(kind: Any, values: Mapping[str, Any]) -> None:
    """Check what scikit-learn accepts: booleans as numbers, integers beyond 64 bits, unknown scores and engines."""
    for name, value in values.items():
        expected = None
        if isinstance(value, (bool, np.bool_)) and not {"boolean", "verbose"} & {
            allowed for allowed in kind._parameter_constraints[name] if isinstance(allowed, str)
        }:
            expected = "a number or another allowed value, not a boolean"
        elif isinstance(value, int) and abs(value) >= 2**63:
            expected = "an integer of at most 64 bits"
        elif name == "scoring" and isinstance(value, str) and value not in {"loss", *get_scorer_names()}:
            expected = 'the name of a scorer or "loss"'
        elif name == "engine" and value not in ("auto", *ENGINES):
            expected = f"one of {', '.join(map(repr, ('auto', *ENGINES)))}"
        elif name == "categorical_features" and not (value is None or isinstance(value, str) or _is_list(value)):
            expected = "a list of columns"
        elif name == "hidden_layer_sizes" and not isinstance(value, Integral) and not _is_list(value):
            expected = "a list with the units of each hidden layer"
        if expected:
            raise InvalidParameterError(
                f"The {name!r} parameter of {kind.__name__} must be {expected}. Got {value!r} instead."
            )


def _is_list(value: Any) -> bool:
    if isinstance(value, (Mapping, str, bytes, type)) or not hasattr(value, "__iter__"):
        return False
    return all(np.ndim(item) == 0 for item in value)


def one_activation(activation: str | Activation, where: str = "activation") -> Activation:
    """An activation by name or object; "logistic" is scikit-learn's name of the sigmoid."""
    return sigmoid if isinstance(activation, str) and activation == "logistic" else as_activation(activation, where)


def hidden_activations(activation: Any, layers: int) -> list[Activation]:
    """One activation per hidden layer, from one for all layers or a list."""
    if isinstance(activation, (list, tuple)):
        if len(activation) != layers:
            raise ValueError(
                f"activation: expected one, or one for each of {layers} hidden layers, got a list of {len(activation)}."
            )
        return [one_activation(f, f"activation[{i}]") for i, f in enumerate(activation)]
    return [one_activation(activation)] * layers


def dropouts(dropout: Any, layers: int) -> list[float]:
    """One probability of dropout per hidden layer, from one for all layers or a list."""
    if isinstance(dropout, (list, tuple)):
        if len(dropout) != layers:
            raise ValueError(f"dropout: expected one number, or a list of {layers}, got a list of {len(dropout)}.")
        return [check_number(p, f"dropout[{i}]", least=0, below=1) for i, p in enumerate(dropout)]
    return [float(dropout)] * layers


def layer_sizes(units: Any) -> list[int]:
    """The units of each hidden layer; a number is one layer. Raises ValueError for sizes that are not above 0."""
    sizes = list(units) if hasattr(units, "__iter__") else [units]
    for size in sizes:
        if not isinstance(size, (Integral, np.integer)) or isinstance(size, (bool, np.bool_)) or size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0 and whole numbers, got {sizes}.")
    return [int(size) for size in sizes]


def rule_of(estimator: Any) -> Optimizer | LBFGS:
    """The optimizer described by `solver`, with the estimator's learning rate."""
    solver, rate = estimator.solver, estimator.learning_rate
    if isinstance(solver, (Optimizer, LBFGS)):
        if isinstance(rate, Schedule):
            raise ValueError(
                f"learning_rate: the optimizer passed as solver has its own learning rate. Use "
                f"solver={type(solver).__name__}(schedule) and leave learning_rate out."
            )
        return solver
    if solver == "lbfgs":
        return LBFGS(
            gradient_tolerance=estimator.tol, cost_tolerance=COST_TOLERANCE, evaluations=int(estimator.max_fun)
        )
    start: Any = rate if isinstance(rate, Schedule) else float(estimator.learning_rate_init)
    if solver == "sgd":
        kind = Nesterov if estimator.nesterovs_momentum else Momentum
        return kind(start, float(estimator.momentum))
    if solver == "adam":
        return AdamEpsilonHat(start, float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon))
    return replace(OPTIMIZERS[solver](), learning_rate=start)  # type: ignore[arg-type]


def is_stochastic(estimator: Any) -> bool:
    """Whether the solver trains on batches, which partial_fit needs."""
    return not (estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS))


def follows_own_rate(estimator: Any) -> bool:
    """Whether learning_rate is "constant", "invscaling" or "adaptive" and applies, which is so for sgd only."""
    return isinstance(estimator.solver, str) and estimator.solver == "sgd" and isinstance(estimator.learning_rate, str)


def rate_settings(estimator: Any) -> tuple[Any, ...] | None:
    """The parameters of such a learning rate, or None."""
    if not follows_own_rate(estimator):
        return None
    return estimator.learning_rate, float(estimator.learning_rate_init), float(estimator.power_t)


def limits_of(estimator: Any) -> Limits:
    """The bounds on gradients and weights."""
    return Limits(estimator.clip_norm, estimator.clip_value, estimator.max_norm)


def loss_list(loss: Any) -> Sequence[Any]:
    """One loss, or the losses of several outputs for the same target, as a list."""
    return list(loss) if isinstance(loss, (list, tuple)) else [loss]
