"""The training loop: epochs of gradient descent, with validation, stopping rules, callbacks and a history."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clearprop.checks import check_choice, check_flag, check_integer, check_number, check_seed, exclusive
from clearprop.core.network import Network
from clearprop.core.nonfinite import nonfinite_parameter
from clearprop.core.objective import Objective, prepare, warn_of_hindrances
from clearprop.core.parameters import Parameters
from clearprop.engine import ENGINES, with_engine
from clearprop.engine.api import Training
from clearprop.errors import ArgumentError, DataError
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, GradientDescent, Optimizer, as_optimizer
from clearprop.penalties import Limits, Penalty, as_penalties
from clearprop.serialization.codec import encode
from clearprop.training.batches import BatchPlan
from clearprop.training.callbacks import Callback, ProgressBar, as_callbacks
from clearprop.training.checkpoint import Checkpoint, Snapshot, as_checkpoint, check_epochs, open_checkpoint
from clearprop.training.descent import Descent
from clearprop.training.fingerprints import describe_data, description
from clearprop.training.history import History
from clearprop.training.lbfgs import run_lbfgs
from clearprop.training.metrics import Metric, as_metrics
from clearprop.training.rates import Rate
from clearprop.training.run import Run, measurement
from clearprop.training.saver import Saver
from clearprop.training.stopping import EarlyStopping, LowestValue, Rules, StoppingRule, as_rules


def train(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    *,
    loss: Loss | str | Mapping[str, Loss | str],
    optimizer: Optimizer | LBFGS | str = "adam",
    batch_size: int | None = 32,
    batches: int | None = None,
    epochs: int = 100,
    shuffle: bool = True,
    seed: int = 0,
    reduction: str = "mean",
    sample_weight: Any = None,
    penalty: Penalty | Sequence[Penalty] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    max_norm: float | None = None,
    validation: tuple[Any, ...] | float | None = None,
    metrics: str | Metric | Iterable[str | Metric] = (),
    stopping: StoppingRule | Iterable[StoppingRule] | None = None,
    callbacks: Callback | Iterable[Callback] = (),
    progress: bool | None = None,
    engine: str = "auto",
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    every: int | None = None,
    resume: bool | str = False,
) -> History:
    """Train by gradient descent; `params` change in place, and the history of the epochs is returned.

    X (n samples, i inputs), an array or a sparse matrix of SciPy, and y as `cp.backpropagate` takes them. `batch_size`
    rows make a step: None takes the whole set, 1 goes sample by sample (online); `batches` splits an epoch into so many
    nearly equal batches instead. Rows are shuffled in each epoch, in an order that follows from (seed, epoch),
    unless `shuffle=False`. `validation` is (X, y), (X, y, sample_weight), or the share of rows to split off. `metrics`
    are names or functions of (y, yhat), computed after each epoch. `progress` is a bar on standard error; None shows it
    on a terminal only.

    Raises ShapeError, DataError and ArgumentError before anything changes; TrainingDiverged when the cost stops being
    finite, with the parameters reset to those before that epoch. `engine` is "compiled"
    for whole epochs as machine code (made once on each machine, or ahead by cp.warmup), "textbook" for array code step
    by step, and "auto" for the compiled one wherever the definitions in use can be compiled: a RuntimeWarning tells
    which one cannot, and why.

    `checkpoint` is a file that the state of the run is saved in, every 10 seconds or after `every` epochs (or a
    `cp.Checkpoint` with more options). `resume=True` continues from it, ignoring the values in `params`, and ends bit
    for bit as if the run had never stopped; "auto" does so if the file exists. Raises CheckpointError, with the first
    difference, if it belongs to other data, another network or other settings; `epochs` may be more than before.

    Ctrl-C, SIGTERM (as SystemExit) and exceptions of a callback are raised after the current step; `params` are then
    those of the last finished step, or of the best epoch where an EarlyStopping restores, the checkpoint is saved, and
    the exception has the `history` so far.

    >>> import numpy as np, clearprop as cp
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(seed=0)
    >>> history = cp.train(
    ...     net, params, X, 3 * X + 1, loss="squared_error", optimizer=cp.GradientDescent(0.5), epochs=100
    ... )
    >>> params["output"].W["input"].round(3), params["output"].b.round(3)
    (array([[3.]]), array([1.]))
    """
    check_seed(seed)
    objective, held_out = _with_validation(
        prepare(net, params, X, y, loss, sample_weight, reduction), params, loss, validation, seed
    )
    warn_of_hindrances(objective)
    check_choice(engine, "engine", ("auto", *ENGINES))
    rule = as_optimizer(optimizer)
    nonfinite = nonfinite_parameter(params)
    if nonfinite is not None:
        raise DataError(f"params: {nonfinite}; expected finite numbers, such as net.initialize(seed=0) gives.")
    penalties, limits = as_penalties(penalty), Limits(clip_norm, clip_value, max_norm)  # type: ignore[arg-type]
    epochs, named, rules = check_integer(epochs, "epochs", least=0), as_metrics(metrics), as_rules(stopping)
    run = _make_run(objective, held_out, params, epochs, named, rules, as_callbacks(callbacks))
    progress = None if progress is None else check_flag(progress, "progress")
    saved = as_checkpoint(checkpoint, every, resume)
    with exclusive(params.flat.__array_interface__["data"][0] if params.flat.size else id(params), _BUSY):
        if isinstance(rule, LBFGS):
            _check_lbfgs(saved, limits)
            run.note_facts(rule.name, True, bool(penalties))
            training = Training(objective, GradientDescent(), penalties, seed=seed)
            return _minimize(run, training, rule, engine, progress)
        training = Training(objective, rule, penalties, limits, seed)
        plan = BatchPlan(objective.samples, batch_size, batches, check_flag(shuffle, "shuffle"), seed)
        snapshot, facts = None, {}
        if saved is not None:
            settings = _describe_settings(training, str(params.dtype), plan, list(named), rules)
            facts = {"data": describe_data(objective, held_out), "settings": settings}
            snapshot = open_checkpoint(saved, resume, params, facts)
        if snapshot is not None:
            engine = snapshot.engine if engine == "auto" else engine
        watched = "validation cost" if held_out is not None else "cost"
        rate = Rate(rule.schedule, len(plan.edges) - 1, max(1, epochs), lambda: run.history.columns.get(watched, []))
        descent = Descent(
            run, training, with_engine(engine, lambda kind: kind(training, params, plan.largest)), plan, rate
        )
        run.note_facts(rule.name, plan.shuffle or len(plan.edges) == 2, bool(penalties))  # one batch has no order
        return _descend(descent, rate, saved, facts, snapshot, progress)


#: The message if a second training would change the parameters of the first.
_BUSY = (
    "params: another training of these parameters is under way, in another thread or around this callback. Give each "
    "training parameters of its own: params.copy()."
)


def _make_run(
    objective: Objective,
    held_out: Objective | None,
    params: Parameters,
    epochs: int,
    metrics: dict[str, Metric],
    rules: tuple[StoppingRule, ...],
    callbacks: tuple[Callback, ...],
) -> Run:
    measurements = [measurement(objective, metrics)] if metrics else []
    if held_out is not None:
        measurements.append(measurement(held_out, metrics, "validation "))
    restoring = next((rule for rule in rules if isinstance(rule, EarlyStopping) and rule.restore_best), None)
    return Run(
        objective,
        params,
        epochs,
        Rules(rules),
        tuple(measurements),
        callbacks,
        best_by=restoring or LowestValue("cost" if held_out is None else "validation cost"),
        restore=restoring is not None,
    )


def _check_lbfgs(saved: Checkpoint | None, limits: Limits) -> None:
    if saved is not None:
        raise ArgumentError(
            "checkpoint: SciPy does not expose the state of L-BFGS; leave checkpoint out, or use another optimizer."
        )
    if limits != Limits():
        raise ArgumentError("optimizer: L-BFGS takes no clip_norm, clip_value or max_norm; use a penalty instead.")


def _minimize(run: Run, training: Training, rule: LBFGS, engine: str, progress: bool | None) -> History:
    """Train by L-BFGS."""
    if run.epochs == 0:
        return run.finish(None)
    with run.interrupts, ProgressBar(run.epochs, progress) as bar:
        run.report = bar.update
        result, reason = run_lbfgs(run, training, rule, engine)
    message = f"L-BFGS: {str(result.message).lower()}" if run.history.epochs < run.epochs else None
    return run.finish(reason or message)


def _descend(
    descent: Descent,
    rate: Rate,
    saved: Checkpoint | None,
    facts: dict[str, Any],
    snapshot: Snapshot | None,
    progress: bool | None,
) -> History:
    """Train by gradient descent, from a checkpoint if there is one."""
    run, reason = descent.run, None
    if saved is not None:
        descent.saver = Saver(saved, run, descent.engine, facts)
        if snapshot is None:
            descent.saver.save()
        else:
            run.resume(snapshot.history, snapshot.best)
            check_epochs(snapshot, rate, run.epochs, saved.path)
            reason = descent.resume(snapshot)
    with run.interrupts, ProgressBar(run.epochs, progress) as bar:
        run.report = bar.update
        descent.train(reason)
    return run.history


def _describe_settings(
    training: Training, precision: str, plan: BatchPlan, metrics: list[str], rules: tuple[StoppingRule, ...]
) -> dict[str, Any]:
    """The settings that must be equal in a run that is resumed."""
    return {
        "loss": {name: encode(loss) for name, loss in training.objective.losses.items()},
        "reduction": training.objective.reduction,
        "precision": precision,
        "batch_size": plan.batch_size,
        "batches": plan.batches,
        "shuffle": bool(plan.shuffle),
        "seed": plan.seed,
        "metrics": metrics,
        "optimizer": description(training.optimizer),
        "penalty": description(training.penalties),
        "limits": description(training.limits),
        "stopping": description(rules),
    }


def _with_validation(
    objective: Objective, params: Parameters, loss: Any, validation: tuple[Any, ...] | float | None, seed: int
) -> tuple[Objective, Objective | None]:
    """The objective to train on and the one held out, passed by the user or split off at random."""
    if validation is None:
        return objective, None
    if isinstance(validation, (tuple, list)):
        if len(validation) not in (2, 3):
            raise ArgumentError(
                f"validation: expected (X, y), (X, y, sample_weight) or a share, got {len(validation)} items."
            )
        X, y, *weight = validation
        names = ("validation X", "validation y")
        held_weight = weight[0] if weight else None
        return objective, prepare(objective.net, params, X, y, loss, held_weight, objective.reduction, names)
    share = check_number(validation, "validation", above=0, below=1)
    held = round(share * objective.samples)
    if held == 0 or held == objective.samples:
        raise DataError(
            f"validation: a share of {share:g} of {objective.samples} rows leaves one of the two sets without rows."
        )
    order = np.random.default_rng(seed).permutation(objective.samples)
    return _take(objective, np.sort(order[held:])), _take(objective, np.sort(order[:held]))


def _take(objective: Objective, rows: np.ndarray) -> Objective:
    weight = None if objective.sample_weight is None else objective.sample_weight[rows]
    if weight is not None and not weight.any():
        raise DataError("validation: all rows of the validation set, or all others, have sample_weight 0.")
    targets = {name: y[rows] for name, y in objective.targets.items()}
    return Objective(objective.net, objective.losses, objective.X[rows], targets, weight, objective.reduction)
