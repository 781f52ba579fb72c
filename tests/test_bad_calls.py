"""Every public function and class, every parameter of it, against a list of bad values.

Each call is answered by an exception that is documented and names the parameter, before anything has changed. Which
values a parameter takes is said once, by the kind of parameter it is; every other value of the list is bad.
"""

from __future__ import annotations

import inspect
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from cases import public_names
from sklearn.utils._param_validation import InvalidParameterError

import clearprop as cp
from clearprop.errors import ClearpropError

#: What nobody means to give, by a name for the report.
BAD: dict[str, Any] = {
    "None": None, "True": True, "False": False, "-1": -1, "0": 0, "1.5": 1.5, "nan": math.nan, "inf": math.inf,
    "10**400": 10**400, "1j": 1j, "text": "nonsense", "no text": "", "bytes": b"ab", "object": object(), "list": [],
    "dict": {"a": 1}, "ragged": [[1, 2], [3]], "class": dict, "NaN array": np.array([[math.nan, 1.0]]),
    "texts": np.array(["a", "b"]), "no rows": np.zeros((0, 2)),
}  # fmt: skip

#: Everything public by its bare name.
PUBLIC = {path.rpartition(".")[2]: public for path, public in public_names().items()}
NET = cp.Network.sequential(2, 3, 1, hidden="tanh")
PARAMS = NET.initialize(seed=0)
X = np.array([[0.0, 1.0], [1.0, 0.5], [0.3, -1.0], [2.0, 0.0]])
Y = np.array([[0.0], [1.0], [0.5], [2.0]])
TRACE = cp.backpropagate(NET, PARAMS, X, Y, loss="squared_error")
TABLE = {"x": [float(i) for i in range(12)], "y": [float(i % 3) for i in range(12)]}


# --- which values are good -------------------------------------------------------------------------------------------

Good = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(above: float = -math.inf, below: float = math.inf, least: float = -math.inf, most: float = math.inf) -> Good:
    def good(value: Any) -> bool:
        if not is_number(value) or abs(value) > 1e308 or value != value:
            return False
        return above < value < below and least <= value <= most

    return good


def integer(least: int = 1, most: float = 1e308) -> Good:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def optional(good: Good) -> Good:
    return lambda value: value is None or good(value)


def either(*kinds: Good) -> Good:
    return lambda value: any(good(value) for good in kinds)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def never(value: Any) -> bool:
    return False


def text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def any_text(value: Any) -> bool:
    return isinstance(value, str)


def empty(value: Any) -> bool:
    return isinstance(value, list) and not value


def several(value: Any) -> bool:
    """Nothing, or none of several."""
    return value is None or empty(value)


def texts(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "U"


def no_rows(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def function(value: Any) -> bool:
    """The class in the list can be called."""
    return value is dict


RATE = number(above=0)


@dataclass(frozen=True)
class Call:
    """Something public, good arguments for it, and what each of its parameters takes."""

    name: str
    takes: dict[str, Good]
    given: Callable[[], dict[str, Any]] = dict
    function: Callable[..., Any] | None = None
    #: names that stand for a parameter in its messages, besides its own
    also: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: an exception of scikit-learn that is right too
    allowed: tuple[type[Exception], ...] = (ClearpropError,)

    @property
    def call(self) -> Callable[..., Any]:
        return self.function or PUBLIC[self.name]


def rule(name: str, **more: Good) -> Call:
    return Call(name, {"learning_rate": RATE, **more})


DECAY, EPSILON = number(least=0, below=1), number(above=0)
DEFINITIONS = [
    rule("SGD", momentum=number(least=0, most=1), nesterov=lambda value: value is False),
    rule("GradientDescent"),
    rule("Momentum", momentum=number(least=0, most=1)),
    rule("Nesterov", momentum=number(least=0, most=1)),
    rule("Adagrad", epsilon=EPSILON),
    rule("RMSprop", decay_rate=DECAY, epsilon=EPSILON),
    *[rule(name, beta_1=DECAY, beta_2=DECAY, epsilon=EPSILON) for name in ("Adam", "AdamEpsilonHat", "Nadam")],
    rule("AdamW", beta_1=DECAY, beta_2=DECAY, epsilon=EPSILON, weight_decay=number(least=0)),
    rule("Rprop", grow=number(above=1), shrink=number(above=0, below=1), smallest=number(above=0, below=5000),
         largest=number(above=1e-4)),
    Call("LBFGS", {"memory": integer(), "line_steps": integer(), "gradient_tolerance": number(least=0),
                   "cost_tolerance": number(least=0), "evaluations": optional(integer())}),
    rule("Constant"),
    rule("Cosine", final=number(least=0)),
    rule("ExponentialDecay", factor=number(above=0)),
    rule("InverseScaling", power=number(least=0)),
    rule("OnPlateau", factor=number(above=0, below=1), patience=integer(), min_delta=number(least=0),
         smallest=number(least=0)),
    rule("OneCycle", rise=number(above=0, below=1), start=number(above=0), end=number(above=0)),
    rule("Step", every=integer(), factor=number(above=0)),
    rule("WarmUp", epochs=number(above=0)),
    Call("ELU", {"alpha": number(above=0)}),
    Call("LeakyReLU", {"slope": number()}),
    Call("LayerNormalization", {"epsilon": EPSILON}),
    Call("Custom", {"label": text, "f": function, "slope": function},
         lambda: {"label": "a", "f": np.sin, "slope": np.cos}),
    Call("SquaredError", {"factor": number(above=0), "outputs": never, "any_output": flag}),
    Call("Huber", {"threshold": number(above=0), "any_output": flag}),
    Call("Quantile", {"q": number(above=0, below=1), "any_output": flag}),
    Call("Tweedie", {"power": number(above=1, below=2), "any_output": flag}),
    Call("BinaryCrossEntropy", {"label_smoothing": DECAY, "any_output": flag}),
    Call("CrossEntropy", {"label_smoothing": DECAY, "any_output": flag}),
    Call(
        "CustomLoss",
        {"label": text, "function": function, "any_output": flag},
        lambda: {"label": "a", "function": np.sin},
    ),
    Call("L1", {"strength": number(least=0)}),
    Call("L2", {"strength": number(least=0)}),
    Call("Limits", dict.fromkeys(["clip_norm", "clip_value", "max_norm"], optional(RATE))),
    Call("VarianceScaling", {"scale": RATE, "fan": never, "distribution": never}),
    Call("Uniform", {"low": number(below=0.5), "high": number(above=-0.5)}),
    Call("Normal", {"deviation": number(least=0), "mean": number()}),
    Call("Orthogonal", {"gain": RATE}),
    Call("Convergence", {"gradient_norm": optional(RATE), "cost_change": RATE, "patience": integer()}),
    Call("EarlyStopping", {"monitor": optional(text), "patience": integer(), "min_delta": number(least=0),
                           "best": optional(never), "restore_best": flag}),
    Call("Direct", {"source": text}, lambda: {"source": "input"}),
    Call("Dense", {"source": text, "trainable": flag, "initializer": optional(never)}, lambda: {"source": "input"}),
    Call("Wired", {"source": text, "pattern": never, "trainable": flag, "initializer": optional(never)},
         lambda: {"source": "input", "pattern": [[1], [2]]}),
    Call("Layer", {"name": text, "units": integer(), "activation": never, "sources": optional(either(text, texts)),
                   "bias": flag,
                   "train_bias": flag, "dropout": DECAY, "initializer": optional(never), "bias_initializer": never},
         lambda: {"name": "a", "units": 2}, also={"sources": ("source",)}),
    Call("Network", {"inputs": integer(), "layers": never, "outputs": optional(never)},
         lambda: {"inputs": 2, "layers": [cp.Layer("a", 2)]}),
    Call("Checkpoint", {"path": text, "every": optional(integer()), "seconds": optional(RATE), "on_failure": never},
         lambda: {"path": "run.ckpt"}),
    Call("Stepper", {"net": never, "params": never, "loss": never, "optimizer": never, "seed": integer(0, 2**63),
                     "reduction": never, "penalty": several,
                     **dict.fromkeys(["clip_norm", "clip_value", "max_norm"], optional(RATE))},
         lambda: {"net": NET, "params": PARAMS, "loss": "squared_error"}),
    Call("Parameters", {"net": never, "flat": never}, lambda: {"net": NET, "flat": PARAMS.flat},
         also={"flat": ("parameters",)}),
    Call("Predictor", {"net": never, "params": never}, lambda: {"net": NET, "params": PARAMS}),
]  # fmt: skip

DATA = {"net": never, "params": never, "X": never, "y": never, "loss": never, "sample_weight": optional(never),
        "reduction": never}  # fmt: skip


def problem(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"net": NET, "params": PARAMS, "X": X, "y": Y, "loss": "squared_error", **more}


FUNCTIONS = [
    Call("backpropagate", DATA, problem()),
    Call("cost", DATA, problem()),
    Call("predict", {"net": never, "params": never, "X": never}, lambda: {"net": NET, "params": PARAMS, "X": X}),
    Call("check_gradients", {**DATA, "tolerance": RATE, "gradient": optional(function), "method": never,
                             "directions": optional(integer(0, 1e5)), "learning_rate": optional(RATE),
                             "seed": integer(0, 2**63), "penalty": several,
                             "masks": optional(never)},
         problem()),
    Call("diagnose", {**DATA, "history": optional(never), "optimizer": optional(never), "columns": optional(never),
                      "validation": optional(never), "checks": empty},
         problem()),
    Call("train", {
        **DATA, "optimizer": never, "batch_size": optional(integer(1, 1e6)), "batches": optional(integer(1, 4)),
        "epochs": integer(0, 10), "shuffle": flag, "seed": integer(0, 2**63), "penalty": several,
        "clip_norm": optional(RATE), "clip_value": optional(RATE), "max_norm": optional(RATE),
        "validation": optional(number(above=0, below=1)), "metrics": either(several, function), "stopping": several,
        "callbacks": either(several, function), "progress": optional(flag), "engine": never,
        "checkpoint": either(text, lambda v: v is None), "every": optional(never), "resume": lambda v: v is False,
    }, problem(epochs=1, engine="textbook"), also={"resume": ("checkpoint",), "every": ("checkpoint",)}),
    Call("jacobian", {"net": never, "params": never, "X": never, "of": never},
         lambda: {"net": NET, "params": PARAMS, "X": X}),
    Call("integrated_gradients", {"net": never, "params": never, "X": never, "baseline": optional(never),
                                  "steps": integer(1, 1000)}, lambda: {"net": NET, "params": PARAMS, "X": X}),
    Call("hessian_vector", {"trace": never, "v": never}, lambda: {"trace": TRACE, "v": PARAMS}),
    Call("fisher_diagonal", {"trace": never}),
    Call("gauss_newton_diagonal", {"trace": never}),
    Call("input_gradient", {"trace": never}),
    Call("worked_solution", {"trace": never, "learning_rate": RATE, "names": optional(never), "digits": integer(1, 17),
                             "title": any_text, "limit": integer(1, 1e6), "answers": flag,
                             "count_from": integer(0, 1), "letters": optional(never)}, lambda: {"trace": TRACE}),
    Call("set_threads", {"count": optional(integer(1, 1e6))}, also={"count": ("threads",)}),
    Call("fit", {
        "data": never, "target": never, "task": never, "drop": empty, "categorical": empty, "numeric": empty,
        "text": empty, "decimal": optional(never), "day_first": optional(flag),
        "missing": either(empty, any_text, number()),
        "hidden": either(empty, no_rows), "activation": never, "dropout": optional(DECAY), "optimizer": optional(never),
        "batch_size": optional(integer()), "epochs": integer(1, 10), "patience": integer(), "penalty": several,
        "holdout": DECAY, "validation": DECAY, "seed": integer(0, 2**63), "dtype": optional(never),
        "callbacks": either(several, function), "progress": optional(flag),
        "checkpoint": either(text, lambda v: v is None), "every": optional(never), "resume": lambda v: v is False,
    }, lambda: {"data": TABLE, "target": "y", "epochs": 1, "hidden": (2,), "task": "regression"},
        also={"data": ("table", "Column", "column", "file"), "target": ("Target",), "resume": ("checkpoint",),
              "every": ("checkpoint",)}),
    Call("Trace.derivation", {"subject": never, "sample": optional(integer(0, 3)), "learning_rate": optional(RATE),
                              "names": optional(never), "most": integer(1, 1e6), "digits": integer(1, 17)},
         lambda: {"subject": "hidden[0]"}, TRACE.derivation, also={"subject": ("derivation",)}),
    Call("Network.initialize", {"seed": integer(0, 2**63), "dtype": optional(never), "given": optional(never)},
         dict, NET.initialize),
    Call("Network.sequential",
         {"hidden": never, "output": never, "dropout": DECAY, "initializer": optional(never)}, dict,
         lambda **given: cp.Network.sequential(2, 2, 1, **given),
         also={"hidden": ("activation",), "output": ("activation",)}),
    Call("Model.load", {"path": never}, dict, cp.Model.load, also={"path": ("nonsense: cannot be read",)}),
    Call("MLPClassifier.load", {"path": never}, dict, cp.MLPClassifier.load,
         also={"path": ("nonsense: cannot be read",)}),
]  # fmt: skip
CALLS = DEFINITIONS + FUNCTIONS

#: Public names that nobody calls with values of their own, and why.
NOT_CALLED = {
    **dict.fromkeys(["ACTIVATIONS", "INITIALIZERS", "LOSSES", "METRICS", "OPTIMIZERS", "PENALTIES", "SCHEDULES"],
                    "a table"),
    **dict.fromkeys(["Activation", "Connection", "Elementwise", "Initializer", "Loss", "Optimizer", "Penalty",
                     "PointwiseLoss", "Schedule", "StoppingRule"], "abstract"),
    **dict.fromkeys(["Derivation", "Diagnosis", "EpochEnd", "Evaluation", "Progress", "Finding", "GradientCheck",
                     "History", "LayerTrace", "Trace", "PerSample", "WorkedSolution", "TableEncoding", "Model",
                     "CompiledCode"],
                    "what a function returns"),
    **dict.fromkeys(["ClearpropError", "TrainingDiverged"], "an exception"),
    **dict.fromkeys(["AbsoluteError", "Gamma", "Perceptron", "Poisson"], "takes nothing"),
    **dict.fromkeys(["Zeros", "get_threads", "warmup"], "takes nothing"),
    **dict.fromkeys(["MLPClassifier", "MLPRegressor"], "test_estimators below"),
}  # fmt: skip


def bad_values(good: Good) -> dict[str, Any]:
    return {label: value for label, value in BAD.items() if not good(value)}


def test_every_public_name_is_called():
    called = {call.name for call in CALLS}
    instances = {name for name, public in PUBLIC.items() if isinstance(public, cp.activations.Activation)}
    assert set(PUBLIC) - called - set(NOT_CALLED) - instances == set()
    for call in CALLS:
        names = set(inspect.signature(call.call).parameters) - {"given", "self", "costs", "own", "net_"}
        assert call.function is not None or names - set(call.takes) - {"mean"} == set(), call.name
    assert sum(len(bad_values(good)) for call in CALLS for good in call.takes.values()) > 4800


def answer(call: Call, parameter: str, value: Any) -> str | None:
    """What is wrong with the answer to one bad call, or None."""
    given = {**call.given(), parameter: value}
    before = PARAMS.flat.tobytes(), X.tobytes(), Y.tobytes()
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call.call(**given)
    except call.allowed as error:
        told = str(error)
        names = (parameter, *call.also.get(parameter, ()))
        if not any(name in told for name in names):
            return f"does not name it: {told[:150]}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:150]}"
    else:
        return "was accepted"
    finally:
        changed = (PARAMS.flat.tobytes(), X.tobytes(), Y.tobytes()) != before
        slow = time.perf_counter() - start > 20
    return "changed what it was given" if changed else "took more than 20 seconds" if slow else None


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_bad_values(call):
    wrong = []
    for parameter, good in call.takes.items():
        for label, value in bad_values(good).items():
            told = answer(call, parameter, value)
            if told:
                wrong.append(f"{call.name}({parameter}={label}): {told}")
    assert wrong == [], "\n".join(["", *wrong])


# --- the estimators, whose exceptions are scikit-learn's -------------------------------------------------------------

COUNT, SHARE, NOT_NEGATIVE = integer(1, 1e6), number(least=0, below=1), number(least=0)
SETTINGS: dict[str, Good] = {
    "hidden_layer_sizes": either(COUNT, empty, no_rows), "activation": empty, "solver": never, "alpha": NOT_NEGATIVE,
    "batch_size": COUNT, "learning_rate": never, "learning_rate_init": RATE, "power_t": NOT_NEGATIVE, "max_iter": COUNT,
    "shuffle": flag, "random_state": either(integer(0, 2**32 - 1), lambda v: v is None), "tol": NOT_NEGATIVE,
    "verbose": either(flag, integer(0)), "warm_start": flag, "momentum": number(least=0, most=1),
    "nesterovs_momentum": flag, "early_stopping": flag, "validation_fraction": SHARE, "beta_1": SHARE, "beta_2": SHARE,
    "epsilon": RATE, "n_iter_no_change": either(COUNT, lambda v: isinstance(v, float) and v == math.inf),
    "max_fun": COUNT, "network": optional(never), "skip": flag, "dropout": either(SHARE, empty),
    "penalty": optional(empty), "max_norm": optional(RATE), "clip_norm": optional(RATE), "clip_value": optional(RATE),
    "scoring": optional(function), "restore_best": flag,
    "categorical_features": optional(either(empty, texts, no_rows)), "n_networks": COUNT,
    "n_jobs": optional(integer(-9)), "dtype": optional(never), "engine": never,
    "on_divergence": optional(never), "checkpoint": optional(text),
}  # fmt: skip
OF_ONE = {
    "MLPClassifier": {"loss": never, "class_weight": optional(never), "label_smoothing": SHARE, "soft_targets": flag},
    "MLPRegressor": {"loss": never, "target_scaling": flag},
}
USUAL = {"max_iter": 1, "hidden_layer_sizes": (), "batch_size": 4, "engine": "textbook", "random_state": 0}


@pytest.mark.parametrize("name", OF_ONE)
def test_settings_of_estimators(name):
    """Refused by fit, before it has learnt or changed anything, with an exception that names the parameter."""
    kind, takes = getattr(cp, name), {**SETTINGS, **OF_ONE[name]}
    assert set(takes) == set(kind().get_params())
    wrong, count = [], 0
    for parameter, good in takes.items():
        for label, value in bad_values(good).items():
            estimator, count = kind(**{**USUAL, "solver": "sgd", parameter: value}), count + 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    estimator.fit(X, [0, 1, 1, 0])
            except (ClearpropError, InvalidParameterError, ValueError) as error:
                if parameter not in str(error):
                    wrong.append(f"{name}({parameter}={label}): does not name it: {str(error)[:150]}")
            except BaseException as error:
                wrong.append(f"{name}({parameter}={label}): {type(error).__name__}: {str(error)[:150]}")
            else:
                wrong.append(f"{name}({parameter}={label}): was accepted")
            if hasattr(estimator, "coefs_"):
                wrong.append(f"{name}({parameter}={label}): left something learnt")
    assert wrong == [], "\n".join(["", *wrong])
    assert count > 700
