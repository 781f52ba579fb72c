"""A training run, apart from its steps: what is recorded after each epoch, when training stops, and what it leaves.

`cp.train` and the estimators both build a `Run` from parts: measurements, a stopping rule, callbacks. `descent` runs
its epochs on an engine, `lbfgs` by SciPy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.api import EpochResult, Evaluation, Patience, State
from clearprop.errors import CheckpointError, TrainingDiverged
from clearprop.training.callbacks import Callback, EpochEnd
from clearprop.training.divergence import Divergence
from clearprop.training.history import Facts, History
from clearprop.training.metrics import Metric
from clearprop.training.signals import Interrupts

#: What `Run` calls with the history and the count of new epochs in it.
Report = Callable[[History, int], None]


class Stopping(Protocol):
    """Decides from the history when training stops."""

    def reason(self, history: History) -> str | None:
        """Why to stop after the epochs recorded since the last call, or None."""
        ...

    def resume(self, history: History) -> str | None:
        """Catch up with the history of a run that is resumed; why it had stopped, or None."""
        ...

    @property
    def patience(self) -> Patience | None:
        """If only the cost decides: how many epochs without improvement are left."""
        ...


class Best(Protocol):
    """Decides from the history which epoch is the best."""

    def is_best(self, history: History) -> bool:
        """Whether the last epoch is the best so far."""
        ...

    def best_epoch(self, history: History) -> int:
        """The best epoch so far, counted from 0."""
        ...


class Measurement:
    """Cost and metrics of a data set after each epoch: the training set, or with a prefix "validation " another one.

    `metrics` are functions of the cost and the outputs, by the name of their column.
    """

    def __init__(
        self, objective: Objective, metrics: Mapping[str, Callable[[float, Any], float]], prefix: str = ""
    ) -> None:
        self.objective, self.metrics, self.prefix = objective, metrics, prefix
        self.evaluation: Evaluation | None = None

    @property
    def columns(self) -> set[str]:
        """The names of its columns in the history."""
        return {*self.metrics, *([f"{self.prefix}cost"] if self.prefix else [])}

    def numbers(self) -> dict[str, float]:
        """The value of each column with the present parameters."""
        assert self.evaluation is not None
        if not self.metrics:
            return {f"{self.prefix}cost": self.evaluation.cost()}
        cost, outputs = self.evaluation.cost_and_outputs()
        found = {f"{self.prefix}cost": cost} if self.prefix else {}
        return found | {name: float(metric(cost, outputs)) for name, metric in self.metrics.items()}


def measurement(objective: Objective, metrics: Mapping[str, Metric], prefix: str = "") -> Measurement:
    """The measurement of metrics of (y, yhat), each for each output of the network."""

    def of_output(metric: Metric, output: str) -> Callable[[float, Any], float]:
        y = objective.targets[output]
        return lambda cost, outputs: metric(y, outputs[output] if isinstance(outputs, Mapping) else outputs)

    single = len(objective.targets) == 1
    named = {
        f"{prefix}{name}" if single else f"{prefix}{output} {name}": of_output(metric, output)
        for output in objective.targets
        for name, metric in metrics.items()
    }
    return Measurement(objective, named, prefix)


def diverged(found: Divergence, hint: str) -> TrainingDiverged:
    """The exception for a divergence."""
    return TrainingDiverged(
        f"{found.location}: the cost or the parameters became NaN or infinite. The parameters are those before that "
        f"epoch. {found.explanation} {hint}",
        **found.details,  # type: ignore[arg-type]
    )


@dataclass
class Run:
    """The parts of a training run, and its history.

    With `by_rows` the cost of an epoch is the mean over its steps weighted by rows, as in scikit-learn, and nothing
    else is recorded of the steps; so several epochs can run as one call of the engine. With `restore` the parameters of
    the best epoch are restored at the end. `error` makes the exception for a divergence.
    """

    objective: Objective
    params: Parameters
    epochs: int
    stopping: Stopping
    measurements: tuple[Measurement, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    before_epoch: Callable[[], None] | None = None
    report: Report | None = None
    best_by: Best | None = None
    restore: bool = False
    by_rows: bool = False
    best: np.ndarray | None = None
    error: Callable[[Divergence, str], TrainingDiverged] = diverged
    interrupts: Interrupts = field(default_factory=Interrupts)

    def __post_init__(self) -> None:
        self.history = History()

    @property
    def observes_each_epoch(self) -> bool:
        """Whether something looks at the parameters after each epoch, and not at its cost alone."""
        observers = (self.measurements, self.callbacks, self.before_epoch, self.best_by)
        return not self.by_rows or any(observers)

    @property
    def validation(self) -> Measurement | None:
        """The measurement of the validation set, if there is one."""
        return next((m for m in self.measurements if m.prefix), None)

    def evaluate_with(self, evaluation: Callable[[Objective, Parameters], Evaluation]) -> None:
        """Set what computes the cost and the outputs of a data set."""
        for m in self.measurements:
            m.evaluation = evaluation(m.objective, self.params)

    def note_facts(self, optimizer: str, shuffled: bool, penalized: bool) -> None:
        """Note in the history what its costs are of."""
        data = {"cost": self.objective} | ({"validation cost": self.validation.objective} if self.validation else {})
        held_out = data.get("validation cost")
        self.history.facts = Facts(
            self.objective.samples,
            shuffled,
            penalized,
            optimizer,
            {name: each.total_weight for name, each in data.items()} if self.objective.reduction == "sum" else {},
            None if held_out is None else (held_out.targets, held_out.sample_weight),
        )

    def end_epoch(self, result: EpochResult, rate: float = 0.0, seconds: float = 0.0) -> str | None:
        """Record an epoch, or by rows several; the reason to stop, if there is one."""
        self.record(result, rate, seconds)
        reasons = [self.stopping.reason(self.history), *map(self._answer, self.callbacks)]
        return next((reason for reason in reasons if reason), None)

    def record(self, result: EpochResult, rate: float = 0.0, seconds: float = 0.0) -> None:
        """Measure and record an epoch, or by rows several."""
        numbers = {"cost": float(result.losses[0]) if self.by_rows else result.cost + result.penalty}
        for m in self.measurements:
            numbers |= m.numbers()
        if not self.by_rows:
            numbers |= {"learning rate": rate, "gradient norm": result.gradient_norm, "seconds": seconds}
        with self.interrupts.deferred():
            if len(result.losses) > 1:
                self.history.columns.setdefault("cost", []).extend(result.losses.tolist())
            else:
                self.history.record(numbers, result.delta_norms, result.gradient_norms)
            if self.best_by is not None and self.best_by.is_best(self.history):
                self.best = np.empty_like(self.params.flat) if self.best is None else self.best
                np.copyto(self.best, self.params.flat)
            if self.report is not None:
                self.report(self.history, len(result.losses))

    def _answer(self, callback: Callback) -> str | None:
        epoch = self.history.epochs - 1
        answer = callback(EpochEnd(epoch, self.epochs, self.objective.net, self.params, self.history))
        if isinstance(answer, (bool, np.bool_)):  # a comparison of NumPy numbers is no bool
            return "stopped by a callback" if answer else None
        return answer if isinstance(answer, str) else None

    def resume(self, history: History, best: np.ndarray | None) -> None:
        """Take over history and best parameters of a checkpoint."""
        layers = set() if self.by_rows else set(self.params)
        columns = {"cost"}.union(*(m.columns for m in self.measurements))
        columns |= set() if self.by_rows else {"learning rate", "gradient norm", "seconds"}
        names = set(history.columns), set(history.delta_norms), set(history.gradient_norms)
        if history.epochs and names != (columns, layers, layers):
            raise CheckpointError(f"the checkpoint's history has other columns than this run: {', '.join(history)}.")
        history.facts = self.history.facts
        self.history, self.best = history, best

    def finish(self, reason: str | None) -> History:
        """Record why training ended, and restore the best parameters if `restore` is set."""
        self.history.stopped = reason or f"finished {self.history.epochs} epoch{'s' * (self.history.epochs != 1)}"
        self.restore_best()
        return self.history

    def restore_best(self) -> bool:
        """Restore the best parameters if `restore` is set and there are any; whether it was done."""
        if not (self.restore and self.best is not None):
            return False
        if self.best_by is not None and self.history.epochs:
            self.history.best_epoch = self.best_by.best_epoch(self.history)
        self.params.flat[...] = self.best
        return True

    def interrupted(self, error: BaseException, state: State | None = None) -> None:
        """Leave parameters and history that belong together, and give the exception the history to carry.

        `state` is that of the engine, whose epoch may be unfinished.
        """
        history = self.history
        event = "interrupted" if isinstance(error, (KeyboardInterrupt, SystemExit)) else type(error).__name__
        history.stopped = f"{event} after {history.epochs} epochs"
        if not self.restore_best() and state is not None and state.epoch == history.epochs and state.completed_steps:
            history.stopped = f"{event} in epoch {history.epochs + 1} after {state.completed_steps} steps"
            history.unfinished = {"epoch": history.epochs, "steps": state.completed_steps}
            if not self.by_rows and self.validation is not None and self.validation.evaluation is not None:
                history.unfinished["validation cost"] = self.validation.evaluation.cost()
        with contextlib.suppress(AttributeError, TypeError):  # an exception may refuse attributes
            error.history = history  # type: ignore[attr-defined]

    def divergence_error(self, found: Divergence, hint: str) -> TrainingDiverged:
        """The exception for a divergence, with the best parameters and the history of the epochs before."""
        error = self.error(found, hint)
        self.history.stopped = f"diverged in {found.location}"
        self.history.unfinished = {"epoch": found.epoch, "diverged": 1.0}
        error.history = self.history
        error.best = None if self.best is None else Parameters(self.params.net, self.best.copy())
        return error
