"""The epochs of a fit in scikit-learn's protocol: order of rows, rates, messages, and the attributes that it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from clearprop.engine import EpochResult, Training, make_engine
from clearprop.errors import TrainingDiverged
from clearprop.estimators.settings import follows_own_rate
from clearprop.estimators.watch import Watch
from clearprop.optimizers import LBFGS
from clearprop.parameters import Parameters
from clearprop.schedules import Progress
from clearprop.training.divergence import Divergence, find_divergence, is_finite, is_finite_after
from clearprop.training.lbfgs import minimize_lbfgs

#: Below this rate "adaptive" stops dividing it, and training ends.
SMALLEST_RATE = 1e-6


class FitDiverged(TrainingDiverged, ValueError):
    """A fit whose loss or parameters became NaN or infinite; a ValueError, as in scikit-learn."""


@dataclass
class OptimizerState:
    """What partial_fit goes on from: the rate, the optimizer's slots, steps and epochs done, and the dropout seed."""

    learning_rate: float
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    steps: int = 0
    epochs: int = 0
    seed: int = 0


class Hooks:
    """scikit-learn's callbacks, if any are set: a task for the fit, and one for each epoch."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, model: Callable[[], dict[str, Any]]) -> None:
        self.estimator, self.model = estimator, model
        self.root = estimator._init_callback_context(max_subtasks=int(estimator.max_iter))
        self.active = bool(getattr(estimator, "_skl_callbacks", None))
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.root.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_epoch(self) -> None:
        if self.active:
            self.task = self.root.subcontext(task_name="epoch")
            self.task.call_on_fit_task_begin(
                estimator=self.estimator, reconstruction_attributes=self.model, **self.data
            )

    def end_epoch(self) -> bool:
        """True when a callback asks to stop."""
        return self.active and self.task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.model, **self.data
        )

    def end(self) -> None:
        self.root.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self.model, **self.data)


@dataclass
class Rows:
    """The row numbers of each batch of an epoch, shuffled again and again by one generator, as scikit-learn does it."""

    rows: np.ndarray
    batch_size: int
    generator: np.random.RandomState | None

    def __post_init__(self) -> None:
        self.places = np.arange(len(self.rows))

    def epoch(self) -> list[np.ndarray]:
        """The batches of the next epoch."""
        if self.generator is not None:
            order = np.arange(len(self.rows))
            self.generator.shuffle(order)
            self.places = self.places[order]
        chosen = self.rows[self.places]
        return [chosen[start : start + self.batch_size] for start in range(0, len(chosen), self.batch_size)]


class Descent:
    """Epochs of gradient descent on an estimator's behalf."""

    def __init__(
        self, estimator: Any, training: Training, params: Parameters, state: OptimizerState, rows: Rows, watch: Watch
    ) -> None:
        self.estimator, self.params, self.state, self.rows, self.watch = estimator, params, state, rows, watch
        self.engine: Any = make_engine(estimator.engine, training, params, rows.batch_size)
        sizes = {name: slot.shape for name, slot in self.engine.slots.items()}
        if {name: slot.shape for name, slot in state.slots.items()} == sizes:  # the same rule of descent as before
            self.engine.slots, self.engine.steps = state.slots, state.steps
        self.schedule = training.optimizer.schedule
        self.own_rate = follows_own_rate(estimator)
        self.steps_per_epoch = -(-len(rows.rows) // rows.batch_size)

    def run(self, epochs: int, hooks: Hooks, partial: bool) -> None:
        """All epochs until convergence, the last, an interruption or a callback's word; then the best parameters."""
        est, finished = self.estimator, 0
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # looked for once per epoch
                for finished in self._epochs(epochs, hooks):
                    if finished == epochs and not partial:
                        _warn(
                            f"max_iter={epochs} epochs are done before convergence (no improvement by tol={est.tol:g} "
                            f"for n_iter_no_change={est.n_iter_no_change} epochs).",
                            ConvergenceWarning,
                        )
        except KeyboardInterrupt:
            _warn(f"fit was interrupted in epoch {finished + 1}; the model is as far as it had come.", UserWarning)
        except FitDiverged as reason:
            self.watch.keep_finite(reason)
        self.watch.restore()
        self.state.slots, self.state.steps = self.engine.slots, self.engine.steps

    def _epochs(self, epochs: int, hooks: Hooks) -> Iterator[int]:
        """Run and yield the number of each epoch after which training goes on."""
        before = self.params.flat.copy()
        earlier = before.copy()
        for number in range(1, epochs + 1):
            hooks.begin_epoch()
            before, earlier = earlier, before
            np.copyto(before, self.params.flat)
            batches = self.rows.epoch()
            result = self.engine.run_epoch(self.state.epochs, batches, self._rate)
            sound = is_finite(result, self.params)
            if sound and number == epochs:
                sound = is_finite_after(self.engine.training.objective, self.params, batches[-1])
            if not sound:
                found = find_divergence(
                    self.engine.training, self.params, before, earlier, result, self.state.epochs, batches
                )
                raise _diverged(found, number)
            self.state.epochs += 1
            stuck = self._record(result, number)
            asked = hooks.end_epoch()
            if asked or (stuck and self._is_end()):
                return
            yield number

    def _record(self, result: EpochResult, number: int) -> bool:
        est = self.estimator
        est.n_iter_, est.loss_ = number, float(result.per_row)
        est.t_ += len(self.rows.rows)
        est.loss_curve_.append(est.loss_)
        stuck = self.watch.end_epoch(est.loss_)
        if est.verbose:
            score = f", validation score = {est.validation_scores_[-1]:.6f}" if self.watch.held_out else ""
            print(f"Iteration {number}, loss = {est.loss_:.8f}{score}")
        if self.own_rate and est.learning_rate == "invscaling":
            self.state.learning_rate = float(est.learning_rate_init) / (est.t_ + 1) ** est.power_t
        return stuck

    def _is_end(self) -> bool:
        """What no improvement leads to: the end, or with "adaptive" a fifth of the rate."""
        est, state = self.estimator, self.state
        if self.own_rate and est.learning_rate == "adaptive" and state.learning_rate > SMALLEST_RATE:
            state.learning_rate /= 5.0
            est._no_improvement_count = 0
            if est.verbose:
                print(f"No improvement by tol={est.tol:g}: learning rate {state.learning_rate:g} from here on.")
            return False
        if est.verbose:
            print(f"No improvement by tol={est.tol:g} for {est.n_iter_no_change} epochs: stopped.")
        return True

    def _rate(self, step: int) -> float:
        if self.own_rate:
            return self.state.learning_rate
        est = self.estimator
        costs = est.validation_loss_curve_ if self.watch.held_out else est.loss_curve_
        rate = self.schedule.at(Progress(step, self.steps_per_epoch, int(est.max_iter), costs))
        self.state.learning_rate = rate
        return rate


def run_lbfgs(estimator: Any, training: Training, params: Parameters, rule: LBFGS, watch: Watch, hooks: Hooks) -> None:
    """L-BFGS on an estimator's behalf; iterations count as epochs."""
    est, start = estimator, params.flat.copy()

    def end_of_iteration(result: EpochResult) -> bool:
        est.n_iter_, est.loss_ = est.n_iter_ + 1, float(result.per_row)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if watch.held_out is not None:
            watch._score(watch.held_out)
        asked = hooks.end_epoch()
        hooks.begin_epoch()
        return asked

    est.n_iter_ = 0
    looked_at = est.verbose or hooks.active or watch.held_out is not None
    hooks.begin_epoch()
    found = minimize_lbfgs(training, params, rule, int(est.max_iter), end_of_iteration if looked_at else None)
    if not (np.isfinite(found.fun) and np.isfinite(params.flat).all()):
        where = find_divergence(training, params, start, start, None, found.nit, ())
        watch.keep_finite(_diverged(where, found.nit))
        return
    est.n_iter_, est.loss_ = int(min(found.nit, est.max_iter)), float(found.fun)
    if found.status not in (0, 99):  # 99: a callback's word
        _warn(
            f"L-BFGS has not converged after {est.n_iter_} iterations: {str(found.message).lower()}. Raise max_iter="
            f"{est.max_iter} or max_fun={est.max_fun}, or scale the inputs.",
            ConvergenceWarning,
        )
    watch.restore()


def _diverged(found: Divergence, epoch: int) -> FitDiverged:
    """`epoch` counts from 1, and from the beginning of this call."""
    step = "" if found.step is None else f", step {found.step + 1} of {found.steps}"
    # The first sentence is the one by which scikit-learn's users recognise this error.
    return FitDiverged(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        f"preprocessed. It happened in epoch {epoch}{step}: {found.words} Scale the inputs, lower learning_rate_init, "
        "or set clip_norm=1.",
        **found.details,  # type: ignore[arg-type]
    )


def _warn(message: str, category: type[Warning]) -> None:
    warnings.warn(message, category, stacklevel=5)
