"""Diagnosis: run the checks, and collect their findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clearprop.checks import check_texts
from clearprop.core.network import Network
from clearprop.core.nonfinite import find_nonfinite
from clearprop.core.objective import prepare
from clearprop.core.outputs import Outputs, sweep_rows
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError
from clearprop.explain.diagnosis import data, labels, layers, learning, rates
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import Check, Diagnosis, Finding, check
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer, as_optimizer

if TYPE_CHECKING:
    from clearprop.training.history import History


@check("numbers-that-are-not-finite", "serious")
def not_finite(evidence: Evidence) -> Iterator[Finding]:
    """The first NaN or infinity of both sweeps."""
    first = None if evidence.outputs.is_finite else find_nonfinite(evidence.objective, evidence.params)
    if first is not None:
        epochs = f" after {evidence.recorded.epochs} epochs" if evidence.is_trained else ""
        words = f"The first number that is not finite{epochs}: {first}."
        rate = "lower the learning rate, set clip_norm=1, " if evidence.has_rate else ""
        yield Finding(words, f"Scale the inputs, {rate}or start from smaller weights.", (first.layer,))


#: Checks that do not need finite outputs.
OF_ALL = (
    *(data.constant_targets, data.targets_out_of_reach, data.unscaled_inputs, data.unscaled_targets),
    *(rates.too_high, not_finite),
)
#: All checks, causes before their effects. The order of the findings is this one, except that hints come last.
CHECKS = (
    *OF_ALL[:4],
    data.rows_in_order,
    data.rows_in_both_sets,
    data.validation_inputs_differ,
    layers.zero_weights,
    layers.duplicate_units,
    layers.penalty_too_strong,
    *OF_ALL[4:],
    rates.too_low,
    layers.saturated_units,
    layers.dead_units,
    layers.vanishing_deltas,
    layers.exploding_deltas,
    learning.outputs_stuck,
    learning.nothing_learned,
    learning.overfitting,
    learning.worse_than_a_constant,
    learning.imbalanced_classes,
    data.leaking_column,
    data.duplicate_columns,
    labels.labels,
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
    validation: tuple[Any, ...] | None = None,
    checks: Sequence[Check] = (),
) -> Diagnosis:
    """Look for problems of a network on these rows: name, severity, the numbers behind them, and advice.

    X (n, inputs) and y are as in `cp.backpropagate`, preferably the training rows; `columns` are names of the inputs.
    With the `history` of training (or that of `cp.TrainingDiverged`), the course of the cost is judged; with the
    `optimizer` (gradient descent or momentum), the cost along the next step; with `validation`, (X, y) or
    (X, y, sample_weight), whether what was learned holds for rows that training did not see. `checks` are checks of
    your own, made with `cp.explain.diagnosis.Check`. A healthy network has no findings. Raises ShapeError, DataError or
    ArgumentError for invalid arguments. The thresholds are constants in the modules of clearprop.explain.diagnosis.

    >>> import numpy as np, clearprop as cp
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> net = cp.Network.sequential(2, 8, 1, hidden="relu")
    >>> params = net.initialize(seed=0)
    >>> params["hidden"].b = np.full(8, -100.0)
    >>> cp.diagnose(net, params, X, X @ [[1.0], [2.0]], loss="squared_error").names
    ('dead units', 'vanishing deltas', 'outputs stuck at the prior')
    """
    objective = prepare(net, params, X, y, loss, sample_weight, reduction).dense()
    if history is not None and not hasattr(history, "cost"):
        raise ArgumentError(f"history: expected the cp.History that cp.train returns, got {type(history).__name__}.")
    rule = None if optimizer is None else as_optimizer(optimizer)
    names = None if columns is None else check_texts(columns, "columns")
    if names is not None and len(names) != net.inputs:
        raise ArgumentError(f"columns: expected {net.inputs} names, one per input of the network, got {len(names)}.")
    held = None if validation is None else _sweep_validation(net, params, validation, loss)
    outputs = sweep_rows(objective, params)
    return diagnose_outputs(outputs, params, history, optimizer=rule, columns=names, validation=held, checks=checks)


def diagnose_outputs(
    outputs: Outputs,
    params: Parameters,
    history: History | None = None,
    *,
    optimizer: Optimizer | LBFGS | None = None,
    columns: Sequence[str] | None = None,
    row_numbers: np.ndarray | None = None,
    validation: Outputs | None = None,
    checks: Sequence[Check] = (),
) -> Diagnosis:
    """The diagnosis of rows whose outputs are known already; it sweeps once more over at most 4,096 of them.

    `row_numbers` (n,) are their indices in the user's table, to name them by.
    """
    names = tuple(f"column {i}" for i in range(params.net.inputs)) if columns is None else tuple(columns)
    numbers = np.arange(outputs.objective.samples) if row_numbers is None else row_numbers
    evidence = Evidence(outputs, params, history, optimizer, names, numbers, validation)
    known = (*CHECKS, *_own(checks)) if outputs.is_finite else OF_ALL
    ran = [each for each in known if each.can_run(evidence)]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # after a divergence, numbers are large
        findings = [finding for each in ran for finding in each(evidence)]
    findings.sort(key=lambda finding: finding.severity == "hint")
    return Diagnosis(tuple(findings), tuple(each.code for each in ran))


def _own(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The user's checks."""
    if not isinstance(checks, (list, tuple)):
        raise ArgumentError(f"checks: expected a list of cp.explain.diagnosis.Check, got {type(checks).__name__}.")
    own, codes = tuple(checks), {each.code for each in CHECKS}
    for each in own:
        if not isinstance(each, Check):
            raise ArgumentError(f"checks: expected cp.explain.diagnosis.Check, got {type(each).__name__}.")
        if each.code in codes:
            raise ArgumentError(f"checks: the code {each.code!r} is taken; choose another.")
        codes.add(each.code)
    return own


def _sweep_validation(net: Network, params: Parameters, validation: Any, loss: Any) -> Outputs:
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        raise ArgumentError("validation: expected (X, y) or (X, y, sample_weight).")
    X, y, *weight = validation
    objective = prepare(net, params, X, y, loss, *weight, names=("validation X", "validation y"))
    return sweep_rows(objective.dense(), params)
