"""Feedforward networks trained by backpropagation: the error signals you can see, at the speed of the hardware."""

import importlib
import typing

from clearprop.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    Custom,
    Elementwise,
    LayerNormalization,
    LeakyReLU,
    elu,
    exponential,
    gaussian,
    gelu,
    hard_sigmoid,
    identity,
    layer_normalization,
    leaky_relu,
    log_sigmoid,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    sine,
    softmax,
    softplus,
    softsign,
    tanh,
)
from clearprop.analysis.curvature import fisher_diagonal, gauss_newton_diagonal
from clearprop.analysis.inputs import input_gradient, integrated_gradients, jacobian
from clearprop.analysis.r_operator import hessian_vector
from clearprop.core.connections import Connection, Dense, Direct, Wired
from clearprop.core.network import Layer, Network
from clearprop.core.parameters import Parameters
from clearprop.core.per_sample import PerSample
from clearprop.core.trace import LayerTrace, Trace, backpropagate, cost, predict
from clearprop.engine.cores import get_threads, set_threads
from clearprop.engine.warmup import CompiledCode, warmup
from clearprop.errors import ClearpropError, TrainingDiverged
from clearprop.explain.derivation import Derivation
from clearprop.explain.diagnosis import Diagnosis, Finding, diagnose
from clearprop.explain.gradient_check import GradientCheck, check_gradients
from clearprop.explain.worked import WorkedSolution, worked_solution
from clearprop.initializers import (
    INITIALIZERS,
    Initializer,
    Normal,
    Orthogonal,
    Uniform,
    VarianceScaling,
    Zeros,
)
from clearprop.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    CustomLoss,
    Gamma,
    Huber,
    Loss,
    PointwiseLoss,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
)
from clearprop.optimizers import (
    LBFGS,
    OPTIMIZERS,
    Adagrad,
    Adam,
    AdamEpsilonHat,
    AdamW,
    GradientDescent,
    Momentum,
    Nadam,
    Nesterov,
    Optimizer,
    RMSprop,
    Rprop,
)
from clearprop.penalties import L1, L2, PENALTIES, Limits, Penalty
from clearprop.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    OnPlateau,
    Progress,
    Schedule,
    Step,
    WarmUp,
)
from clearprop.training.callbacks import EpochEnd
from clearprop.training.checkpoint import Checkpoint
from clearprop.training.history import History
from clearprop.training.loop import train
from clearprop.training.metrics import METRICS
from clearprop.training.stopping import Convergence, EarlyStopping, StoppingRule

if typing.TYPE_CHECKING:
    from clearprop.engine.compiled.predictor import Predictor
    from clearprop.estimators import MLPClassifier, MLPRegressor
    from clearprop.model import Evaluation, Model, fit
    from clearprop.tables import TableEncoding

__version__ = "0.1.0"

#: Names that are loaded when they are asked for, and the module of each: they need Numba, scikit-learn or Polars, which
#: take longer to load than all the rest.
_LATER = {
    "Evaluation": "model",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Model": "model",
    "Predictor": "engine.compiled.predictor",
    "TableEncoding": "tables",
    "fit": "model",
}
#: Modules that are there as attributes in the same way.
_MODULES = ("datasets", "estimators", "model", "tables", "views")


def __getattr__(name: str) -> typing.Any:
    """A name that is loaded when it is asked for."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """All names, loaded or not."""
    return sorted({*globals(), *_LATER, *_MODULES})


__all__ = [
    "ACTIVATIONS",
    "ELU",
    "INITIALIZERS",
    "L1",
    "L2",
    "LBFGS",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "PENALTIES",
    "SCHEDULES",
    "AbsoluteError",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamEpsilonHat",
    "AdamW",
    "BinaryCrossEntropy",
    "Checkpoint",
    "ClearpropError",
    "CompiledCode",
    "Connection",
    "Constant",
    "Convergence",
    "Cosine",
    "CrossEntropy",
    "Custom",
    "CustomLoss",
    "Dense",
    "Derivation",
    "Diagnosis",
    "Direct",
    "EarlyStopping",
    "Elementwise",
    "EpochEnd",
    "Evaluation",
    "ExponentialDecay",
    "Finding",
    "Gamma",
    "GradientCheck",
    "GradientDescent",
    "History",
    "Huber",
    "Initializer",
    "InverseScaling",
    "Layer",
    "LayerNormalization",
    "LayerTrace",
    "LeakyReLU",
    "Limits",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Network",
    "Normal",
    "OnPlateau",
    "OneCycle",
    "Optimizer",
    "Orthogonal",
    "Parameters",
    "Penalty",
    "PerSample",
    "PointwiseLoss",
    "Poisson",
    "Predictor",
    "Progress",
    "Quantile",
    "RMSprop",
    "Rprop",
    "Schedule",
    "SquaredError",
    "Step",
    "StoppingRule",
    "TableEncoding",
    "Trace",
    "TrainingDiverged",
    "Tweedie",
    "Uniform",
    "VarianceScaling",
    "WarmUp",
    "Wired",
    "WorkedSolution",
    "Zeros",
    "backpropagate",
    "check_gradients",
    "cost",
    "diagnose",
    "elu",
    "exponential",
    "fisher_diagonal",
    "fit",
    "gauss_newton_diagonal",
    "gaussian",
    "gelu",
    "get_threads",
    "hard_sigmoid",
    "hessian_vector",
    "identity",
    "input_gradient",
    "integrated_gradients",
    "jacobian",
    "layer_normalization",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "predict",
    "relu",
    "selu",
    "set_threads",
    "sigmoid",
    "silu",
    "sine",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "train",
    "warmup",
    "worked_solution",
]
