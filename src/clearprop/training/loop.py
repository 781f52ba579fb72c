"""The training loop: epochs of gradient descent, with validation, stopping rules, callbacks and a history."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.checks import check_choice, check_flag, check_integer, check_number, check_seed, exclusive
from clearprop.core.network import Network
from clearprop.core.nonfinite import nonfinite_parameter
from clearprop.core.objective import Objective, prepare
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import epoch_order
from clearprop.engine import with_engine
from clearprop.engine.api import Engine, EpochResult, Epochs, Evaluation, Training
from clearprop.errors import ArgumentError, CheckpointError, DataError, TrainingDiverged
from clearprop.fork_safety import cached_property
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer, as_optimizer
from clearprop.penalties import Limits, Penalty, as_penalties
from clearprop.serialization.codec import describe
from clearprop.training.callbacks import Callback, EpochEnd, ProgressBar, as_callbacks
from clearprop.training.checkpoint import Checkpoint, Saver, Snapshot, as_checkpoint, open_checkpoint
from clearprop.training.divergence import Divergence, find_divergence, is_finite, is_finite_on
from clearprop.training.fingerprints import describe_data, in_words
from clearprop.training.history import History
from clearprop.training.metrics import Metric, as_metrics
from clearprop.training.rates import Rate
from clearprop.training.signals import Interrupts
from clearprop.training.stopping import EarlyStopping, StoppingRule, as_rules


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
    nearly equal batches instead. Rows are shuffled anew in each epoch, in an order that follows from (seed, epoch),
    unless `shuffle=False`. `validation` is (X, y), (X, y, sample_weight), or the share of rows to split off. `metrics`
    are names or functions of (y, yhat), computed after each epoch. `progress` is a bar on standard error; None shows it
    on a terminal only.

    Raises ShapeError, DataError and ArgumentError before anything changes; TrainingDiverged when the cost stops being
    finite, with the parameters put back to those before that epoch. `engine` is "compiled"
    for whole epochs as machine code (made once on each machine, or ahead by cp.warmup), "textbook" for array code step
    by step, and "auto" for the compiled one wherever the definitions in use can be compiled: a RuntimeWarning tells
    which one cannot, and why.

    `checkpoint` is a file that the state of the run is saved in, every 10 seconds or after `every` epochs (or a
    `cp.Checkpoint`, which says more). `resume=True` goes on from it, whatever `params` were, and ends bit for bit as if
    the run had never stopped; "auto" does so if the file exists. Raises CheckpointError, with the first difference,
    where it belongs to other data, another network or other settings; `epochs` may be more than before.

    Ctrl-C, SIGTERM (as SystemExit) and what a callback raises come through once a step is finished; then `params` are
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
    check_choice(engine, "engine", ("auto", "compiled", "textbook"))
    rule = as_optimizer(optimizer)
    broken = nonfinite_parameter(params)
    if broken is not None:
        raise DataError(f"params: {broken}; expected finite numbers, such as net.initialize(seed=0) gives.")
    penalties, limits = as_penalties(penalty), Limits(clip_norm, clip_value, max_norm)  # type: ignore[arg-type]
    run = Run(
        objective,
        held_out,
        params,
        check_integer(epochs, "epochs", least=0),
        as_metrics(metrics),
        as_rules(stopping),
        as_callbacks(callbacks),
        None if progress is None else check_flag(progress, "progress"),
    )
    saved = as_checkpoint(checkpoint, every, resume)
    with exclusive(params.flat.__array_interface__["data"][0] if params.flat.size else id(params), _BUSY):
        if isinstance(rule, LBFGS):
            from clearprop.training.lbfgs import run_lbfgs

            if saved is not None:
                raise ArgumentError("checkpoint: L-BFGS runs inside SciPy, which keeps its state; leave it out.")
            if limits != Limits():
                raise ArgumentError(
                    "optimizer: L-BFGS takes no clip_norm, clip_value or max_norm; use a penalty instead."
                )
            return run_lbfgs(run, rule, penalties, seed, engine)
        descent = Training(objective, rule, penalties, limits, seed)
        plan = BatchPlan(objective.samples, batch_size, batches, check_flag(shuffle, "shuffle"), seed)
        snapshot, facts = None, {}
        if saved is not None:
            facts = {"data": describe_data(objective, held_out), "settings": _describe_settings(run, descent, plan)}
            snapshot = open_checkpoint(saved, resume, params, facts)
        if snapshot is not None:
            engine = snapshot.engine if engine == "auto" else engine
            run.resume(snapshot)
        descending = with_engine(engine, lambda kind: kind(descent, params, plan.largest))
        run.watch(lambda objective: descending.evaluation(objective, params))
        saver = None if saved is None else Saver(saved, run, descending, facts)
        return _descend(run, descending, descent, plan, saver, snapshot)


#: What is said where a second training would change the parameters of the first.
_BUSY = (
    "params: another training of these parameters is under way, in another thread or around this callback. Give each "
    "training parameters of its own: params.copy()."
)


def _describe_settings(run: Run, training: Training, plan: BatchPlan) -> dict[str, Any]:
    """What has to be the same for a resumed run to be the same run."""
    return {
        "loss": {name: describe(loss) for name, loss in run.objective.losses.items()},
        "reduction": run.objective.reduction,
        "precision": str(run.params.dtype),
        "batch_size": plan.batch_size,
        "batches": plan.batches,
        "shuffle": bool(plan.shuffle),
        "seed": plan.seed,
        "metrics": list(run.metrics),
        **{
            name: in_words(thing)
            for name, thing in (
                ("optimizer", training.optimizer),
                ("penalty", training.penalties),
                ("limits", training.limits),
                ("stopping", run.rules),
            )
        },
    }


@dataclass(frozen=True)
class BatchPlan:
    """Which rows make each step of an epoch."""

    samples: int
    batch_size: int | None
    batches: int | None
    shuffle: bool
    seed: int

    def __post_init__(self) -> None:
        if self.batches is not None:
            check_integer(self.batches, "batches")
            if self.batches > self.samples:
                raise ArgumentError(f"batches: expected at most one per row ({self.samples}), got {self.batches}.")
        elif self.batch_size is not None:
            check_integer(self.batch_size, "batch_size")

    @cached_property
    def edges(self) -> np.ndarray:
        """Where each batch begins in the order of an epoch, and the end."""
        if self.batches is not None:
            small, longer = divmod(self.samples, self.batches)  # the first ones take one row more, as in np.array_split
            edges = np.concatenate([[0], np.cumsum([small + (i < longer) for i in range(self.batches)])])
        else:
            size = min(self.batch_size or self.samples, self.samples)
            edges = np.append(np.arange(0, self.samples, size), self.samples)
        edges.flags.writeable = False  # so that an engine needs to check them only once
        return edges

    @property
    def largest(self) -> int:
        """Rows of the largest batch."""
        return int(np.diff(self.edges).max())

    def orders(self, first: int, count: int) -> np.ndarray:
        """The order of the rows in `count` epochs from `first` on, (count, n)."""
        if self.shuffle and len(self.edges) > 2:  # the order within one batch changes nothing
            return np.array([epoch_order(self.seed, epoch, self.samples) for epoch in range(first, first + count)])
        return np.tile(np.arange(self.samples), (count, 1))


@dataclass
class Run:
    """What surrounds the steps of a training run: validation, metrics, rules, callbacks; it keeps the best so far."""

    objective: Objective
    held_out: Objective | None
    params: Parameters
    epochs: int
    metrics: dict[str, Metric]
    rules: tuple[StoppingRule, ...]
    callbacks: tuple[Callback, ...]
    progress: bool | None

    def __post_init__(self) -> None:
        self.history = History()
        self.restoring = next((r for r in self.rules if isinstance(r, EarlyStopping) and r.restore_best), None)
        self.best: np.ndarray | None = None
        self._lowest = np.inf
        self.interrupts = Interrupts()
        self._trained: Evaluation | None = None
        self._held_out: Evaluation | None = None

    def watch(self, evaluation: Callable[[Objective], Evaluation]) -> None:
        """How cost and outputs are computed, where epochs are measured by more than the cost that their steps saw."""
        self._trained = evaluation(self.objective) if self.metrics else None
        self._held_out = evaluation(self.held_out) if self.held_out is not None else None

    def end_epoch(self, result: EpochResult, rate: float, seconds: float) -> str | None:
        """Record an epoch; the reason to stop, if there is one."""
        numbers = {"cost": result.cost + result.penalty}
        if self._trained is not None:
            numbers |= self._measure(self._trained, self.objective, "")[1]
        if self.held_out is not None and self._held_out is not None:
            numbers["validation cost"], measured = self._measure(self._held_out, self.held_out, "validation ")
            numbers |= measured
        numbers |= {"learning rate": rate, "gradient norm": result.gradient_norm, "seconds": seconds}
        with self.interrupts.held():
            self.history.record(numbers, result.delta_norms, result.gradient_norms)
            if self._is_best(numbers.get("validation cost", numbers["cost"])):
                self.best = np.empty_like(self.params.flat) if self.best is None else self.best
                np.copyto(self.best, self.params.flat)
        reasons: list[str | None] = [self.verdict()]
        reasons += [self._call(callback) for callback in self.callbacks]
        return next((reason for reason in reasons if reason), None)

    def verdict(self) -> str | None:
        """Why a rule would stop now, if one would."""
        return next(filter(None, (rule.reason(self.history) for rule in self.rules)), None)

    def resume(self, snapshot: Snapshot) -> None:
        """Take over history and best parameters of a checkpoint; the parameters follow when all is known to fit."""
        history, layers = snapshot.history, set(self.params)
        names = set(history.columns), set(history.delta_norms), set(history.gradient_norms)
        if history.epochs and names != (self._names(), layers, layers):
            raise CheckpointError(f"the checkpoint's history has other columns than this run: {', '.join(history)}.")
        self.history, self.best = snapshot.history, snapshot.best
        costs = self.history.columns.get("validation cost", self.history.cost)
        self._lowest = min(costs, default=np.inf)

    def interrupted(self, error: BaseException, engine: Engine | None = None) -> None:
        """Leave parameters and history that belong together, and give the exception the history to carry."""
        history = self.history
        word = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else type(error).__name__
        history.stopped = f"{word} after {history.epochs} epochs"
        if self.best is not None and self.restoring and history.epochs:
            history.best_epoch = self.restoring.best_epoch(history)
            self.params.flat[...] = self.best
        elif engine is not None and engine.state.epoch == history.epochs and engine.state.completed_steps:
            steps = engine.state.completed_steps
            history.stopped = f"{word} in epoch {history.epochs + 1} after {steps} steps"
            history.unfinished = {"epoch": history.epochs, "steps": steps}
            if self._held_out is not None:
                history.unfinished["validation cost"] = self._held_out.cost()
        with contextlib.suppress(AttributeError, TypeError):  # an exception may refuse attributes
            error.history = history  # type: ignore[attr-defined]

    def _is_best(self, cost: float) -> bool:
        if self.restoring:
            return self.restoring.best_epoch(self.history) == self.history.epochs - 1
        found = cost < self._lowest
        self._lowest = min(cost, self._lowest)
        return found

    def finish(self, reason: str | None) -> History:
        """Put back the best parameters where that was asked for."""
        self.history.stopped = reason or f"finished {self.history.epochs} epoch{'s' * (self.history.epochs != 1)}"
        if self.best is not None and self.restoring:
            self.history.best_epoch = self.restoring.best_epoch(self.history)
            self.params.flat[...] = self.best
        return self.history

    def _names(self) -> set[str]:
        """The names under which each epoch is recorded."""
        outputs = list(self.objective.targets)
        measured = [name if len(outputs) == 1 else f"{output} {name}" for output in outputs for name in self.metrics]
        apart = [] if self.held_out is None else ["cost", *measured]
        return {
            "cost",
            *measured,
            *(f"validation {name}" for name in apart),
            "learning rate",
            "gradient norm",
            "seconds",
        }

    def _measure(self, evaluation: Evaluation, objective: Objective, prefix: str) -> tuple[float, dict[str, float]]:
        """The cost, and each metric of each output."""
        if not self.metrics:
            return evaluation.cost(), {}
        cost, yhat = evaluation.cost_and_outputs()
        single = not isinstance(yhat, Mapping)
        numbers = {}
        for output, y in objective.targets.items():
            for name, metric in self.metrics.items():
                label = f"{prefix}{name}" if single else f"{prefix}{output} {name}"
                numbers[label] = float(metric(y, yhat if single else yhat[output]))
        return cost, numbers

    def _call(self, callback: Callback) -> str | None:
        epoch = self.history.epochs - 1
        answer = callback(EpochEnd(epoch, self.epochs, self.objective.net, self.params, self.history))
        if isinstance(answer, (bool, np.bool_)):  # a comparison of NumPy numbers is no bool
            return "stopped by a callback" if answer else None
        return answer if isinstance(answer, str) else None

    def diverged(self, found: Divergence, hint: str) -> TrainingDiverged:
        """The exception for a divergence, with the last finite and the best parameters."""
        return TrainingDiverged(
            f"{found.place}: the cost or the parameters became NaN or infinite. The parameters are those before that "
            f"epoch. {found.words} {hint}",
            best=None if self.best is None else Parameters(self.params.net, self.best.copy()),
            **found.details,  # type: ignore[arg-type]
        )


def _descend(
    run: Run,
    engine: Engine,
    training: Training,
    plan: BatchPlan,
    saver: Saver | None = None,
    snapshot: Snapshot | None = None,
) -> History:
    schedule, steps = training.optimizer.schedule, len(plan.edges) - 1
    watched = "validation cost" if run.held_out is not None else "cost"
    rate = Rate(schedule, steps, max(1, run.epochs), lambda: run.history.columns.get(watched, []))
    if saver is not None:
        if snapshot is not None:
            saver.restore(snapshot)
        saver.begin(rate, snapshot)
    if snapshot is not None:
        run.params.flat[...] = snapshot.params.flat
    with run.interrupts, ProgressBar(run.epochs, run.progress) as bar:
        try:
            reason = run.verdict() if run.history.epochs else None
            if not reason:
                reason = _run_epochs(run, engine, training, plan, rate, bar, saver)
            return run.finish(reason)
        except TrainingDiverged:
            raise
        except BaseException as error:
            with run.interrupts.held():
                engine.write_back()
                run.history.even_out()
                if saver is not None:
                    saver.after_interruption(error, steps)
                run.interrupted(error, engine)
            raise


def _run_epochs(
    run: Run,
    engine: Engine,
    training: Training,
    plan: BatchPlan,
    rate: Rate,
    bar: ProgressBar,
    saver: Saver | None,
) -> str | None:
    """Run the epochs that are left; why they ended, if not because all were done."""

    def pause() -> None:
        run.interrupts.check()
        if saver is not None:
            saver.within_epoch()

    reason, start = None, saver.epoch_began if saver is not None else time.perf_counter()
    before = run.params.flat.copy()
    earlier = before.copy()
    for epoch in range(run.history.epochs, run.epochs):
        before, earlier = earlier, before
        np.copyto(before, run.params.flat)
        rates = rate.over(epoch * rate.steps_per_epoch, rate.steps_per_epoch)
        batches = Epochs(epoch, plan.orders(epoch, 1), plan.edges, rates)
        with run.interrupts.held(deliver=False):  # a signal that comes in the last step waits for the record
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # looked for below, once per epoch
                result = engine.run(batches, pause)
            sound = is_finite(result, run.params)
            if sound and epoch == run.epochs - 1:
                sound = is_finite_on(run.objective, run.params, batches.batch(batches.steps - 1))
            if not sound:
                found = find_divergence(training, run.params, before, earlier, result, epoch, batches)
                raise run.diverged(found, "Lower the learning rate, scale the inputs, or set clip_norm=1.")
        reason = run.end_epoch(result, float(batches.rates[-1]), time.perf_counter() - start)
        start = time.perf_counter()
        if saver is not None:
            saver.after_epoch(start, last=bool(reason) or epoch == run.epochs - 1)
        bar.update(run.history)
        if reason:
            break
    return reason


def _with_validation(
    objective: Objective, params: Parameters, loss: Any, validation: tuple[Any, ...] | float | None, seed: int
) -> tuple[Objective, Objective | None]:
    """The objective to train on and the one held out, given apart or split off at random."""
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
        raise DataError(f"validation: a share of {share:g} of {objective.samples} rows leaves no row on one side.")
    order = np.random.default_rng(seed).permutation(objective.samples)
    return _take(objective, np.sort(order[held:])), _take(objective, np.sort(order[:held]))


def _take(objective: Objective, rows: np.ndarray) -> Objective:
    weight = None if objective.sample_weight is None else objective.sample_weight[rows]
    if weight is not None and not weight.any():
        raise DataError("validation: the rows split off, or those left, all have sample_weight 0.")
    targets = {name: y[rows] for name, y in objective.targets.items()}
    return Objective(objective.net, objective.losses, objective.X[rows], targets, weight, objective.reduction)
