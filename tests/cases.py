"""The tables of cases that the tests run on: whoever adds an activation, a loss or an optimizer adds a row here.

Each row says what the tests cannot know by themselves: where a function has kinks, which targets a loss takes, which
rate suits an optimizer. tests/test_completeness.py fails when something public has no row.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import clearprop as cp

#: What `cp.train(engine=...)` is tested with.
ENGINES = ["compiled", "textbook"]

Rng = np.random.Generator


# --- activations -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActivationCase:
    """`plain` is f of one row of z written with `math` only; `left`, `right` are (f, f') at z = -1e4 and 1e4."""

    activation: cp.activations.Activation
    plain: Callable[[list[float]], list[float]]
    left: tuple[float, float] | None = None
    right: tuple[float, float] | None = None  # None where exp(1e4) is no number
    kinks: tuple[float, ...] = ()  # where the derivative, or its slope, jumps
    positive: bool = False  # all outputs above 0, as Poisson loss and cross-entropy need
    below_one: bool = False  # and below 1, as binary cross-entropy needs
    least_units: int = 1

    @property
    def name(self) -> str:
        return self.activation.name


def single(f: Callable[[float], float]) -> Callable[[list[float]], list[float]]:
    return lambda row: [f(z) for z in row]


def plain_softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(z) for z in row)
    return [math.exp(z) / total for z in row]


def plain_layer_normalization(row: list[float], epsilon: float = 1e-5) -> list[float]:
    mean = sum(row) / len(row)
    variance = sum((z - mean) ** 2 for z in row) / len(row)
    return [(z - mean) / math.sqrt(variance + epsilon) for z in row]


def plain_sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def plain_selu(z: float) -> float:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * z if z > 0 else scale * alpha * (math.exp(z) - 1)


SELU_FLOOR = -1.0507009873554805 * 1.6732632423543772

ACTIVATION_CASES = [
    ActivationCase(cp.activations.identity, single(lambda z: z), (-1e4, 1), (1e4, 1)),
    ActivationCase(cp.sigmoid, single(plain_sigmoid), (0, 0), (1, 0), positive=True, below_one=True),
    ActivationCase(cp.tanh, single(math.tanh), (-1, 0), (1, 0)),
    ActivationCase(cp.relu, single(lambda z: max(z, 0)), (0, 0), (1e4, 1), kinks=(0,)),
    ActivationCase(
        cp.activations.leaky_relu, single(lambda z: z if z > 0 else z / 100), (-100, 0.01), (1e4, 1), kinks=(0,)
    ),
    ActivationCase(
        cp.activations.elu, single(lambda z: z if z > 0 else math.exp(z) - 1), (-1, 0), (1e4, 1), kinks=(0,)
    ),
    ActivationCase(
        cp.activations.selu, single(plain_selu), (SELU_FLOOR, 0), (1.0507009873554805e4, 1.0507009873554805), (0,)
    ),
    ActivationCase(cp.activations.gelu, single(lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2), (0, 0), (1e4, 1)),
    ActivationCase(cp.activations.silu, single(lambda z: z * plain_sigmoid(z)), (0, 0), (1e4, 1)),
    ActivationCase(
        cp.activations.softplus, single(lambda z: math.log(1 + math.exp(z))), (0, 0), (1e4, 1), positive=True
    ),
    ActivationCase(
        cp.activations.softsign,
        single(lambda z: z / (1 + abs(z))),
        (-1e4 / 10001, 1 / 10001**2),
        (1e4 / 10001, 1 / 10001**2),
        kinks=(0,),
    ),
    ActivationCase(cp.activations.mish, single(lambda z: z * math.tanh(math.log(1 + math.exp(z)))), (0, 0), (1e4, 1)),
    ActivationCase(
        cp.activations.hard_sigmoid, single(lambda z: min(max(z / 6 + 0.5, 0), 1)), (0, 0), (1, 0), kinks=(-3, 3)
    ),
    ActivationCase(cp.activations.step, single(lambda z: float(z > 0)), (0, 0), (1, 0), kinks=(0,)),
    ActivationCase(
        cp.activations.gaussian, single(lambda z: math.exp(-(z**2))), (0, 0), (0, 0), positive=True, below_one=True
    ),
    ActivationCase(
        cp.activations.sine, single(math.sin), (-math.sin(1e4), math.cos(1e4)), (math.sin(1e4), math.cos(1e4))
    ),
    ActivationCase(cp.activations.log_sigmoid, single(lambda z: -math.log(1 + math.exp(-z))), (-1e4, 1), (0, 0)),
    ActivationCase(cp.activations.exponential, single(math.exp), (0, 0), None, positive=True),
    ActivationCase(cp.softmax, plain_softmax, positive=True, below_one=True, least_units=2),
    ActivationCase(cp.activations.layer_normalization, plain_layer_normalization, least_units=2),
]

#: Activations of other settings, and the user's own, that run through the same tests.
MORE_ACTIVATION_CASES = [
    ActivationCase(
        cp.activations.LeakyReLU(slope=0.2),
        single(lambda z: z if z > 0 else 0.2 * z),
        (-2000, 0.2),
        (1e4, 1),
        kinks=(0,),
    ),
    ActivationCase(
        cp.activations.ELU(alpha=0.5),
        single(lambda z: z if z > 0 else 0.5 * (math.exp(z) - 1)),
        (-0.5, 0),
        (1e4, 1),
        kinks=(0,),
    ),
    ActivationCase(
        cp.activations.LayerNormalization(epsilon=0.1), lambda row: plain_layer_normalization(row, 0.1), least_units=2
    ),
    ActivationCase(
        cp.activations.Custom("hyperbola", lambda z: np.sqrt(z * z + 1), lambda z, a: z / a),
        single(lambda z: math.sqrt(z * z + 1)),
        (math.sqrt(1e8 + 1), -1e4 / math.sqrt(1e8 + 1)),
        (math.sqrt(1e8 + 1), 1e4 / math.sqrt(1e8 + 1)),
        positive=True,
    ),
]
ALL_ACTIVATION_CASES = ACTIVATION_CASES + MORE_ACTIVATION_CASES


# --- losses ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossCase:
    """`draw` gives targets for (rng, n, units); `plain` is the loss of one row (yhat, y) written with `math` only.

    `outputs` says which output activations the loss is defined for; `kinks` are residuals yhat - y where its slope
    (or the slope of that) jumps.
    """

    label: str
    loss: cp.losses.Loss
    draw: Callable[[Rng, int, int], np.ndarray]
    plain: Callable[[list[float], Any], float]
    outputs: Callable[[ActivationCase], bool] = lambda case: case.name != "step"
    kinks: tuple[float, ...] = ()
    least_units: int = 1


def real_targets(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.normal(size=(n, units))


def counts(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.poisson(1.5, size=(n, units)).astype(float)


def labels(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.integers(0, 2, size=(n, units)).astype(float)


def class_indices(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.integers(0, units, size=n)


def one_hot(rng: Rng, n: int, units: int) -> np.ndarray:
    return np.eye(units)[class_indices(rng, n, units)]


def distributions(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.dirichlet(np.ones(units), size=n)


def plain_sum(f: Callable[[float, float], float]) -> Callable[[list[float], Any], float]:
    return lambda yhat, y: math.fsum(f(p, t) for p, t in zip(yhat, y, strict=True))


def plain_huber(threshold: float) -> Callable[[float, float], float]:
    return lambda p, t: (p - t) ** 2 / 2 if abs(p - t) <= threshold else threshold * abs(p - t) - threshold**2 / 2


def plain_quantile(q: float) -> Callable[[float, float], float]:
    return lambda p, t: max(q * (t - p), (q - 1) * (t - p))


def plain_deviance(p: float, t: float) -> float:
    return p - t + (t * math.log(t / p) if t else 0)


def plain_gamma(p: float, t: float) -> float:
    return t / p - 1 - math.log(t / p)


def plain_tweedie(power: float) -> Callable[[float, float], float]:
    """By integration of its slope: half the deviance is the integral of (m - t) / m^power for m from t to p."""

    def antiderivative(m: float, t: float) -> float:
        return m ** (2 - power) / (2 - power) - (t * m ** (1 - power) / (1 - power) if t else 0)

    return lambda p, t: antiderivative(p, t) - antiderivative(t, t)


def sizes(rng: Rng, n: int, units: int) -> np.ndarray:
    return rng.gamma(2, size=(n, units))


def amounts(rng: Rng, n: int, units: int) -> np.ndarray:
    return np.where(rng.uniform(size=(n, units)) < 0.3, 0, rng.gamma(2, size=(n, units)))


def plain_binary(smoothing: float = 0) -> Callable[[float, float], float]:
    def loss(p: float, t: float) -> float:
        t = t + smoothing * (0.5 - t)
        return -t * math.log(p) - (1 - t) * math.log(1 - p)

    return loss


def plain_cross_entropy(smoothing: float = 0) -> Callable[[list[float], Any], float]:
    def loss(yhat: list[float], y: Any) -> float:
        rows = [float(k == y) for k in range(len(yhat))] if np.ndim(y) == 0 else list(y)
        smooth = [t + smoothing * (1 / len(yhat) - t) for t in rows]
        return -math.fsum(t * math.log(p) for t, p in zip(smooth, yhat, strict=True))

    return loss


def positive(case: ActivationCase) -> bool:
    return case.positive


def probability(case: ActivationCase) -> bool:
    return case.positive and case.below_one


def several(case: ActivationCase) -> bool:
    return case.positive and case.name != "exponential"


def both_signs(case: ActivationCase) -> bool:
    low, high = case.activation.output_range or (-1, 1)
    return low < 0 < high


#: Only softmax gives class probabilities; the tables also try the general formula, which others need.
ANY_OUTPUT = cp.CrossEntropy(any_output=True)

LOSS_CASES = [
    LossCase("squared", cp.SquaredError(), real_targets, plain_sum(lambda p, t: (p - t) ** 2 / 2)),
    LossCase("squared, factor 1", cp.SquaredError(factor=1), real_targets, plain_sum(lambda p, t: (p - t) ** 2)),
    LossCase(
        "squared, mean over outputs",
        cp.SquaredError(factor=1, outputs="mean"),
        real_targets,
        lambda yhat, y: math.fsum((p - t) ** 2 for p, t in zip(yhat, y, strict=True)) / len(yhat),
    ),
    LossCase("absolute", cp.AbsoluteError(), real_targets, plain_sum(lambda p, t: abs(p - t)), kinks=(0,)),
    LossCase("huber", cp.Huber(), real_targets, plain_sum(plain_huber(1)), kinks=(-1, 1)),
    LossCase("huber, 0.3", cp.Huber(0.3), real_targets, plain_sum(plain_huber(0.3)), kinks=(-0.3, 0.3)),
    LossCase("median", cp.Quantile(), real_targets, plain_sum(plain_quantile(0.5)), kinks=(0,)),
    LossCase("quantile 0.9", cp.Quantile(0.9), real_targets, plain_sum(plain_quantile(0.9)), kinks=(0,)),
    LossCase(
        "perceptron",
        cp.losses.Perceptron(),
        labels,
        plain_sum(lambda p, t: max(0, (1 - 2 * t) * p)),
        both_signs,
        kinks=(-1, 0),
    ),
    LossCase("poisson", cp.Poisson(), counts, plain_sum(plain_deviance), positive),
    LossCase("gamma", cp.losses.Gamma(), sizes, plain_sum(plain_gamma), positive),
    LossCase("tweedie", cp.losses.Tweedie(), amounts, plain_sum(plain_tweedie(1.5)), positive),
    LossCase("tweedie 1.2", cp.losses.Tweedie(1.2), amounts, plain_sum(plain_tweedie(1.2)), positive),
    LossCase("binary", cp.BinaryCrossEntropy(), labels, plain_sum(plain_binary()), probability),
    LossCase(
        "binary, soft targets",
        cp.BinaryCrossEntropy(),
        lambda rng, n, units: rng.uniform(size=(n, units)),
        plain_sum(plain_binary()),
        probability,
    ),
    LossCase(
        "binary, smoothed",
        cp.BinaryCrossEntropy(label_smoothing=0.2),
        labels,
        plain_sum(plain_binary(0.2)),
        probability,
    ),
    LossCase("classes by index", ANY_OUTPUT, class_indices, plain_cross_entropy(), several, least_units=2),
    LossCase("classes one-hot", ANY_OUTPUT, one_hot, plain_cross_entropy(), several, least_units=2),
    LossCase("class probabilities", ANY_OUTPUT, distributions, plain_cross_entropy(), several, least_units=2),
    LossCase(
        "classes, smoothed",
        cp.CrossEntropy(0.1, any_output=True),
        class_indices,
        plain_cross_entropy(0.1),
        several,
        least_units=2,
    ),
    LossCase(
        "the user's own",
        cp.losses.CustomLoss("log_cosh", lambda yhat, y: (np.log(np.cosh(yhat - y)), np.tanh(yhat - y))),
        real_targets,
        plain_sum(lambda p, t: math.log(math.cosh(p - t))),
    ),
]


# --- optimizers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OptimizerCase:
    """Rates and steps with which it comes to the minimum of a parabola and of Rosenbrock's valley."""

    make: Callable[..., Any]  # a rate or a schedule -> the optimizer
    parabola_rate: float
    rosenbrock_rate: float
    rosenbrock_cost: float  # the cost it gets below in 4000 steps (L-BFGS: 100), from 24.2 at the start (-1.2, 1)

    @property
    def name(self) -> str:
        return self.optimizer.name

    @property
    def optimizer(self) -> cp.optimizers.Optimizer | cp.LBFGS:
        return self.make(0.01)


OPTIMIZER_CASES = [
    OptimizerCase(cp.SGD, 0.1, 0.001, 0.05),
    OptimizerCase(cp.GradientDescent, 0.1, 0.001, 0.05),
    OptimizerCase(lambda rate: cp.Momentum(rate, 0.9), 0.02, 0.001, 1e-3),
    OptimizerCase(lambda rate: cp.Nesterov(rate, 0.9), 0.02, 0.001, 1e-3),
    OptimizerCase(cp.Adagrad, 1.0, 0.5, 0.01),
    OptimizerCase(cp.RMSprop, 0.01, 0.002, 0.01),
    OptimizerCase(cp.Adam, 0.05, 0.02, 1e-3),
    OptimizerCase(lambda rate: cp.AdamW(rate, weight_decay=1e-6), 0.05, 0.02, 1e-3),
    OptimizerCase(cp.optimizers.AdamEpsilonHat, 0.05, 0.02, 1e-3),
    OptimizerCase(cp.Nadam, 0.05, 0.02, 1e-3),
    OptimizerCase(cp.Rprop, 0.1, 0.01, 1e-6),
    OptimizerCase(lambda rate: cp.LBFGS(), 1.0, 1.0, 1e-12),
]


# --- schedules -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScheduleCase:
    """`make(rate)` with the rates it gives in a run of 4 epochs of 2 steps, for a rate of 1."""

    make: Callable[[float], cp.schedules.Schedule]
    rates: tuple[float, ...]
    costs: tuple[float, ...] = (4.0, 3.0, 2.0, 1.0)  # after each epoch

    @property
    def name(self) -> str:
        return self.make(1.0).name


def half_cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


SCHEDULE_CASES = [
    ScheduleCase(cp.schedules.Constant, (1,) * 8),
    ScheduleCase(lambda rate: cp.schedules.InverseScaling(rate, power=1), tuple(1 / t for t in range(1, 9))),
    ScheduleCase(lambda rate: cp.schedules.Step(rate, every=2, factor=0.1), (1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1)),
    ScheduleCase(
        lambda rate: cp.schedules.ExponentialDecay(rate, factor=0.5), (1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125)
    ),
    ScheduleCase(
        lambda rate: cp.schedules.Cosine(rate, final=rate / 5),
        tuple(0.2 + 0.8 * half_cosine(step / 8) for step in range(8)),
    ),
    ScheduleCase(
        lambda rate: cp.schedules.OneCycle(rate, rise=0.25, start=10, end=100),
        (
            0.1,
            0.1 + 0.9 * half_cosine(1 / 2),
            1,
            *(0.01 + 0.99 * half_cosine(step / 6) for step in range(1, 6)),
        ),
    ),
    ScheduleCase(
        lambda rate: cp.schedules.OnPlateau(rate, factor=0.5, patience=1),
        (1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25),
        costs=(2.0, 2.0, 2.0, 1.0),
    ),
    ScheduleCase(
        lambda rate: cp.schedules.WarmUp(cp.schedules.Step(rate, every=3, factor=0.5), epochs=2),
        (0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5),
    ),
]


# --- connections -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectionCase:
    """A connection from "input" of `source` units into `units` units: how many weights, and their matrix."""

    label: str
    make: Callable[[str], cp.core.connections.Connection]
    source: int
    units: int
    weights: int
    matrix: Callable[[np.ndarray], np.ndarray]
    fan_in: float


WINDOW = [[1, 0], [2, 1], [0, 2]]  # two weights that slide over three inputs
LOCAL = [[1, 0], [2, 0], [0, 3]]  # local fields without sharing

CONNECTION_CASES = [
    ConnectionCase("dense", cp.Dense, 3, 2, 6, lambda W: W.reshape(3, 2), 3),
    ConnectionCase("frozen", lambda source: cp.Dense(source, False), 3, 2, 6, lambda W: W.reshape(3, 2), 3),
    ConnectionCase("identity", cp.Direct, 3, 3, 0, lambda W: np.eye(3), 0),
    ConnectionCase(
        "wired, shared",
        lambda source: cp.Wired(source, WINDOW),
        3,
        2,
        2,
        lambda W: np.array([[W[0], 0], [W[1], W[0]], [0, W[1]]]),
        2,
    ),
    ConnectionCase(
        "wired, local, frozen",
        lambda source: cp.Wired(source, LOCAL, trainable=False),
        3,
        2,
        3,
        lambda W: np.array([[W[0], 0], [W[1], 0], [0, W[2]]]),
        1.5,
    ),
]


# --- initializers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InitializerCase:
    """Mean and variance of the weights of a layer with `fan_in` and `fan_out`, and a bound on their size."""

    name: str
    initializer: cp.initializers.Initializer
    mean: float
    variance: Callable[[float, float], float]
    bound: Callable[[float, float], float] | None = None


def uniform_bound(variance: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda fan_in, fan_out: math.sqrt(3 * variance(fan_in, fan_out))


def glorot(fan_in: float, fan_out: float) -> float:
    return 2 / (fan_in + fan_out)


def he(fan_in: float, fan_out: float) -> float:
    return 2 / fan_in


def lecun(fan_in: float, fan_out: float) -> float:
    return 1 / fan_in


INITIALIZER_CASES = [
    InitializerCase("glorot_uniform", cp.initializers.INITIALIZERS["glorot_uniform"], 0, glorot, uniform_bound(glorot)),
    InitializerCase("glorot_normal", cp.initializers.INITIALIZERS["glorot_normal"], 0, glorot),
    InitializerCase("he_uniform", cp.initializers.INITIALIZERS["he_uniform"], 0, he, uniform_bound(he)),
    InitializerCase("he_normal", cp.initializers.INITIALIZERS["he_normal"], 0, he),
    InitializerCase("lecun_uniform", cp.initializers.INITIALIZERS["lecun_uniform"], 0, lecun, uniform_bound(lecun)),
    InitializerCase("lecun_normal", cp.initializers.INITIALIZERS["lecun_normal"], 0, lecun),
    InitializerCase("orthogonal", cp.initializers.INITIALIZERS["orthogonal"], 0, lambda i, o: 1 / max(i, o)),
    InitializerCase("uniform", cp.initializers.INITIALIZERS["uniform"], 0, lambda i, o: 1 / 12, lambda i, o: 0.5),
    InitializerCase("normal", cp.initializers.INITIALIZERS["normal"], 0, lambda i, o: 0.01),
    InitializerCase("zeros", cp.initializers.INITIALIZERS["zeros"], 0, lambda i, o: 0, lambda i, o: 0),
    InitializerCase("uniform, off centre", cp.initializers.Uniform(1, 3), 2, lambda i, o: 1 / 3, lambda i, o: 3),
    InitializerCase("normal, off centre", cp.initializers.Normal(0.5, mean=2), 2, lambda i, o: 0.25),
    InitializerCase(
        "variance scaling", cp.initializers.VarianceScaling(3.0, "average", "normal"), 0, lambda i, o: 6 / (i + o)
    ),
]


# --- penalties -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PenaltyCase:
    """A penalty, with its value and slope for one weight written with `math` only."""

    penalty: cp.penalties.Penalty
    value: Callable[[float], float]
    slope: Callable[[float], float]

    @property
    def name(self) -> str:
        return self.penalty.name


PENALTY_CASES = [
    PenaltyCase(cp.penalties.L1(0.3), lambda w: 0.3 * abs(w), lambda w: 0.3 * (w > 0) - 0.3 * (w < 0)),
    PenaltyCase(cp.penalties.L2(0.3), lambda w: 0.15 * w**2, lambda w: 0.3 * w),
]


# --- everything else that is public ----------------------------------------------------------------------------------

#: Public names without a table of their own, and the file that tests them.
TESTED_IN = {
    "Checkpoint": "training/test_checkpoint.py",
    "Predictor": "engine/compiled/test_predictor.py",
    "get_threads": "engine/test_cores.py",
    "set_threads": "engine/test_cores.py",
    "warmup": "engine/test_warmup.py",
    "CompiledCode": "engine/test_warmup.py",
    "Activation": "test_activations.py",
    "Elementwise": "test_activations.py",
    "Loss": "test_losses.py",
    "PointwiseLoss": "test_losses.py",
    "Connection": "core/test_connections.py",
    "Initializer": "test_initializers.py",
    "Optimizer": "test_optimizers.py",
    "Schedule": "test_schedules.py",
    "Progress": "test_schedules.py",
    "Penalty": "test_penalties.py",
    "Limits": "test_penalties.py",
    "Layer": "core/test_network.py",
    "Network": "core/test_network.py",
    "Parameters": "core/test_parameters.py",
    "Trace": "core/test_trace.py",
    "LayerTrace": "core/test_trace.py",
    "Derivation": "explain/derivation/test_derivation.py",
    "WorkedSolution": "explain/worked/test_solution.py",
    "worked_solution": "explain/worked/test_solution.py",
    "backpropagate": "core/test_trace.py",
    "predict": "core/test_trace.py",
    "GradientCheck": "explain/gradient_check/test_check.py",
    "check_gradients": "explain/gradient_check/test_check.py",
    "Diagnosis": "explain/diagnosis/test_diagnose.py",
    "Finding": "explain/diagnosis/test_diagnose.py",
    "diagnose": "explain/diagnosis/test_diagnose.py",
    "train": "training/test_loop.py",
    "History": "training/test_history.py",
    "EpochEnd": "training/test_callbacks.py",
    "Stepper": "training/test_stepper.py",
    "StoppingRule": "training/test_stopping.py",
    "Convergence": "training/test_stopping.py",
    "EarlyStopping": "training/test_stopping.py",
    "METRICS": "training/test_metrics.py",
    "cost": "core/test_trace.py",
    "ClearpropError": "test_errors.py",
    "TrainingDiverged": "training/test_loop.py",
    "TableEncoding": "tables/test_tables.py",
    "Model": "model/test_model.py",
    "fit": "model/test_model.py",
    "Evaluation": "model/test_evaluation.py",
    "PerSample": "core/test_per_sample.py",
    "fisher_diagonal": "analysis/test_curvature.py",
    "gauss_newton_diagonal": "analysis/test_curvature.py",
    "hessian_vector": "analysis/test_r_operator.py",
    "input_gradient": "analysis/test_inputs.py",
    "integrated_gradients": "analysis/test_inputs.py",
    "jacobian": "analysis/test_inputs.py",
    "MLPClassifier": "estimators/test_estimator_checks.py",
    "MLPRegressor": "estimators/test_estimator_checks.py",
}


def public_names() -> dict[str, Any]:
    """Everything public by its name after `cp.`: the names at the top, those of the namespaces, and result types."""
    top = {name: getattr(cp, name) for name in cp.__all__}
    for module in cp._NAMESPACES:
        short = module.__name__.removeprefix("clearprop.")
        top |= {f"{short}.{name}": getattr(module, name) for name in module.__all__ if name not in cp.__all__}
    for name, module in cp._ELSEWHERE.items():
        top[f"{module}.{name}"] = getattr(importlib.import_module(f"clearprop.{module}"), name)
    return top


def ids(cases: list[Any]) -> list[str]:
    """Names of the rows for pytest."""
    return [getattr(case, "label", None) or case.name for case in cases]
