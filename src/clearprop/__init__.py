"""Feedforward networks trained by backpropagation: see every error signal, train at the speed of the hardware.

The names used most are here, as in `import clearprop as cp; cp.train(...)`. The others are in modules of this package:
`cp.activations`, `cp.losses`, `cp.optimizers`, `cp.schedules`, `cp.initializers`, `cp.penalties`, `cp.training`,
`cp.analysis`, `cp.views`.
"""

import importlib
import typing

from clearprop import activations, analysis, initializers, losses, optimizers, penalties, schedules, training
from clearprop import display as _display
from clearprop.activations import relu, sigmoid, softmax, tanh
from clearprop.core.connections import Dense, Direct, Wired
from clearprop.core.network import Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, backpropagate, cost, predict
from clearprop.engine.cores import get_threads, set_threads
from clearprop.engine.warmup import warmup
from clearprop.errors import ClearpropError, TrainingDiverged
from clearprop.explain.diagnosis import diagnose
from clearprop.explain.gradient_check import check_gradients
from clearprop.explain.worked import worked_solution
from clearprop.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
)
from clearprop.optimizers import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    GradientDescent,
    Momentum,
    Nadam,
    Nesterov,
    RMSprop,
    Rprop,
)
from clearprop.training import Checkpoint, EarlyStopping, History, Stepper, train

if typing.TYPE_CHECKING:
    from clearprop.engine.compiled.predictor import Predictor
    from clearprop.estimators import MLPClassifier, MLPRegressor
    from clearprop.model import Model, fit

__version__ = "0.1.0"

#: Names that are loaded on first access, with the module of each: they need Numba, scikit-learn or Polars, which take
#: longer to load than everything else.
_LAZY = {
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Model": "model",
    "Predictor": "engine.compiled.predictor",
    "fit": "model",
}
#: Modules that are loaded on first access.
_LAZY_MODULES = ("datasets", "estimators", "model", "tables", "views")
#: Classes of what functions return, and base classes, with the module of each.
_ELSEWHERE = {
    "CompiledCode": "engine.warmup",
    "Connection": "core.connections",
    "Derivation": "explain.derivation",
    "Diagnosis": "explain.diagnosis",
    "Evaluation": "model",
    "Finding": "explain.diagnosis",
    "GradientCheck": "explain.gradient_check",
    "LayerTrace": "core.trace",
    "TableEncoding": "tables",
    "WorkedSolution": "explain.worked",
}
#: Modules of public names.
_NAMESPACES = (activations, losses, optimizers, schedules, initializers, penalties, training, analysis)


@_display.set_writer
def _write_display(subject: typing.Any) -> str:
    """The HTML that a notebook shows of an object."""
    return importlib.import_module(f"{__name__}.views.notebook").html(subject)


def __getattr__(name: str) -> typing.Any:
    """Load a name on first access."""
    if name in _LAZY_MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    elsewhere = _ELSEWHERE | {n: m.__name__.removeprefix("clearprop.") for m in _NAMESPACES for n in m.__all__}
    if name in elsewhere:
        raise AttributeError(f"cp.{name} is now cp.{elsewhere[name]}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All names, loaded or not."""
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES})


__all__ = [
    "LBFGS",
    "SGD",
    "AbsoluteError",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Checkpoint",
    "ClearpropError",
    "CrossEntropy",
    "Dense",
    "Direct",
    "EarlyStopping",
    "GradientDescent",
    "History",
    "Huber",
    "Layer",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Network",
    "Parameters",
    "Poisson",
    "Predictor",
    "Quantile",
    "RMSprop",
    "Rprop",
    "SquaredError",
    "Stepper",
    "Trace",
    "TrainingDiverged",
    "Wired",
    "backpropagate",
    "check_gradients",
    "cost",
    "diagnose",
    "fit",
    "get_threads",
    "predict",
    "relu",
    "set_threads",
    "sigmoid",
    "softmax",
    "tanh",
    "train",
    "warmup",
    "worked_solution",
]
