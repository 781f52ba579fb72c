"""Diagnosis: run the checks of `data`, `layers` and `rates`, and collect their findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clearprop.checks import check_texts
from clearprop.core.network import Network
from clearprop.core.nonfinite import find_nonfinite
from clearprop.core.objective import prepare
from clearprop.core.outputs import Outputs, sweep_rows
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError
from clearprop.explain.diagnosis.data import labels, scales, stuck, worse
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import SEVERITIES, Diagnosis, Finding
from clearprop.explain.diagnosis.layers import activities, copies, deltas
from clearprop.explain.diagnosis.rates import of_history, of_step
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer, as_optimizer

if TYPE_CHECKING:
    from clearprop.training.history import History

LOOKED_FOR = (
    "numbers that are not finite",
    "vanishing deltas",
    "exploding deltas",
    "saturated units",
    "dead units",
    "duplicate units",
    "outputs stuck at the prior",
    "worse than a constant",
    "learning rate too high",
    "learning rate too low",
    "unscaled inputs",
    "unscaled targets",
    "labels that look wrong",
)


def diagnose(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    *,
    history: History | None = None,
    optimizer: Optimizer | LBFGS | str | None = None,
    sample_weight: Any = None,
    reduction: str = "mean",
    columns: Sequence[str] | None = None,
) -> Diagnosis:
    """Look for problems of a network on these rows: name, severity, the numbers behind them, and advice.

    X (n, inputs) and y are as in `cp.backpropagate`, preferably the training rows; `columns` are names of the inputs.
    With the `history` of training, the learning rate is checked by the course of the cost; with the `optimizer`
    (gradient descent or momentum), by the cost along the next step. A healthy network has no findings. Raises
    ShapeError, DataError or ArgumentError for invalid arguments. The thresholds are constants in the modules of
    clearprop.explain.diagnosis.

    >>> import numpy as np, clearprop as cp
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> net = cp.Network.sequential(2, 8, 1, hidden="relu")
    >>> params = net.initialize(seed=0)
    >>> params["hidden"].b = np.full(8, -100.0)
    >>> cp.diagnose(net, params, X, X[:, :1], loss="squared_error").names
    ('vanishing deltas', 'dead units', 'outputs stuck at the prior')
    """
    objective = prepare(net, params, X, y, loss, sample_weight, reduction).dense()
    if history is not None and not hasattr(history, "cost"):
        raise ArgumentError(f"history: expected the cp.History that cp.train returns, got {type(history).__name__}.")
    rule = None if optimizer is None else as_optimizer(optimizer)
    names = None if columns is None else check_texts(columns, "columns")
    if names is not None and len(names) != net.inputs:
        raise ArgumentError(f"columns: expected {net.inputs} names, one per input of the network, got {len(names)}.")
    return diagnose_outputs(sweep_rows(objective, params), params, history, rule, names)


def diagnose_outputs(
    outputs: Outputs,
    params: Parameters,
    history: History | None = None,
    optimizer: Optimizer | LBFGS | None = None,
    columns: Sequence[str] | None = None,
) -> Diagnosis:
    """The diagnosis of rows whose outputs are known already; it sweeps once more over at most 4,096 of them."""
    names = tuple(f"column {i}" for i in range(params.net.inputs)) if columns is None else tuple(columns)
    findings = sorted(_findings(outputs, params, names, history, optimizer), key=lambda f: SEVERITIES.index(f.severity))
    return Diagnosis(tuple(findings), LOOKED_FOR)


def _findings(
    outputs: Outputs,
    params: Parameters,
    columns: tuple[str, ...],
    history: History | None,
    optimizer: Optimizer | LBFGS | None,
) -> Iterator[Finding]:
    first = None if outputs.is_finite else find_nonfinite(outputs.objective, params)
    if first is not None:
        epochs = f" after {history.epochs} epochs" if history is not None and history.epochs else ""
        words = f"The first number that is not finite{epochs}: {first}."
        advice = "Scale the inputs, lower the learning rate, set clip_norm=1, or start from smaller weights."
        yield Finding("numbers that are not finite", "serious", words, advice, (first.layer,))
        return  # the other checks need finite numbers
    evidence = Evidence.gather(outputs, params)
    for check in (deltas, activities, copies, stuck, labels):
        yield from check(evidence)
    if history is not None and history.epochs:
        yield from worse(evidence)
    yield from scales(evidence, columns)
    findings = list(of_history(history, sum(evidence.prior.values()))) if history is not None else []
    yield from findings or of_step(evidence, optimizer, history)
