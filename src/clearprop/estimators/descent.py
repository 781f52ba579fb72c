"""The epochs of a fit in scikit-learn's protocol: order of rows, rates, messages, and the attributes that it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from clearprop.core.parameters import Parameters
from clearprop.engine import with_engine
from clearprop.engine.api import EpochResult, Epochs, State, Training
from clearprop.engine.shuffling import shuffled
from clearprop.errors import TrainingDiverged
from clearprop.estimators.parameters import follows_own_rate, rate_words
from clearprop.estimators.resuming import FitSaver
from clearprop.estimators.watch import Watch
from clearprop.optimizers import LBFGS
from clearprop.schedules import Constant
from clearprop.training.divergence import Divergence, find_divergence, is_finite, is_finite_on
from clearprop.training.lbfgs import minimize_lbfgs
from clearprop.training.rates import Rate
from clearprop.training.signals import Interrupts

#: Floating-point operations after which training looks up again at the latest: some hundredths of a second.
OPERATIONS = 1_000_000_000
#: The same time as operations: what a step takes at least, however small it is.
LEAST_PER_STEP = 300_000
#: Below this rate "adaptive" stops dividing it, and training ends.
SMALLEST_RATE = 1e-6


class FitDiverged(TrainingDiverged, ValueError):
    """A fit whose loss or parameters became NaN or infinite; a ValueError, as in scikit-learn."""


@dataclass
class OptimizerState:
    """What partial_fit goes on from: the rate and what it follows, the optimizer's slots, steps, epochs, and a seed."""

    learning_rate: float
    follows: tuple[Any, ...] | None = None
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    steps: int = 0
    epochs: int = 0
    seed: int = 0


class Hooks:
    """scikit-learn's callbacks, if any are set: a task for the fit, and one for each epoch or each member."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, model: Callable[[], dict[str, Any]]) -> None:
        self.estimator, self.model = estimator, model
        several = estimator.n_networks > 1
        tasks = int(estimator.n_networks if several else estimator.max_iter)
        self.root = estimator._init_callback_context(max_subtasks=tasks, sequential_subtasks=not several)
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

    @contextmanager
    def member(self, number: int, member: Any) -> Iterator[None]:
        """Inside, a network of an ensemble is trained, which is a task of its own."""
        task = self.root.subcontext(task_name="network", task_id=number)
        with task.propagate_callback_context(member):
            yield

    def end(self) -> None:
        self.root.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self.model, **self.data)


@dataclass
class Rows:
    """The batches of an epoch, shuffled again and again by one generator, as scikit-learn does it."""

    rows: np.ndarray
    batch_size: int
    generator: np.random.RandomState | None
    shuffle: Callable[[np.ndarray, np.random.RandomState, int], np.ndarray] = shuffled

    def __post_init__(self) -> None:
        self.chosen = self.rows.astype(np.int64)
        self.edges = np.append(np.arange(0, len(self.rows), self.batch_size), len(self.rows))
        self.edges.flags.writeable = False  # the compiled engine then looks at them once

    def orders(self, epochs: int, safe: int | None = None) -> np.ndarray:
        """The rows in the order of each of the next epochs, (epochs, n); if more than `safe`, some may be given back.

        scikit-learn shuffles the numbers from 0 to n - 1 and takes the rows at these places; the swaps of a shuffle do
        not depend on what is swapped, so shuffling the rows themselves gives the same order.
        """
        if self.generator is None:
            return np.repeat(self.chosen[None], epochs, axis=0)
        if safe is not None and epochs > safe:
            self.before = self.generator.get_state(legacy=False), self.chosen.copy()
        return self.shuffle(self.chosen, self.generator, epochs)

    def keep(self, epochs: int) -> None:
        """Of the orders that were asked for last only so many were used: the generator is where it was after these."""
        if self.generator is not None:
            state, self.chosen = self.before
            self.generator.set_state(state)
            self.shuffle(self.chosen, self.generator, epochs)


@dataclass(frozen=True)
class EpochRun:
    """Some epochs as one call: where the engine stood before, the rows of each epoch, the rate of each step."""

    start: tuple[np.ndarray, State]
    epochs: Epochs


class Descent:
    """Epochs of gradient descent on an estimator's behalf."""

    def __init__(
        self, estimator: Any, training: Training, params: Parameters, state: OptimizerState, rows: Rows, watch: Watch
    ) -> None:
        self.estimator, self.params, self.state, self.rows, self.watch = estimator, params, state, rows, watch
        self.training = training
        self.engine: Any = with_engine(estimator.engine, lambda kind: kind(training, params, rows.batch_size))
        sizes = dict.fromkeys(training.optimizer.slots, params.trainable.shape)
        if {name: slot.shape for name, slot in state.slots.items()} == sizes:  # the same rule of descent as before
            self.engine.state = State(state.steps, state.slots)
        if self.engine.name == "compiled":
            from clearprop.engine.compiled.shuffling import shuffled_at_once

            rows.shuffle = shuffled_at_once
        if watch.held_out is not None:
            watch.evaluation = self.engine.evaluation(watch.held_out.objective, params)
        self.schedule = training.optimizer.schedule
        self.own_rate = follows_own_rate(estimator)
        if state.follows != rate_words(estimator):  # scikit-learn goes on with the rate of the first call
            state.follows, state.learning_rate = rate_words(estimator), float(estimator.learning_rate_init)
            state.learning_rate = self._inverse(estimator.t_)
        self.steps_per_epoch = len(rows.edges) - 1
        self.before: EpochRun | None = None
        self.interrupts = Interrupts(getattr(estimator, "_stop", None))
        self.saver: FitSaver | None = None
        self.between, self.current = True, 1  # no epoch is under way; the number of the one that is, or comes next
        work = 6 * len(rows.rows) * params.flat.size + LEAST_PER_STEP * self.steps_per_epoch
        self.most = max(1, OPERATIONS // work)

    def run(self, epochs: int, hooks: Hooks, partial: bool) -> None:
        """All epochs until convergence, the last, an interruption or a callback's word; then the best parameters."""
        with self.interrupts:
            try:
                self._run(epochs, hooks, partial)
            finally:
                with self.interrupts.held():
                    self.engine.write_back()
                    self.watch.restore()
                    engine = self.engine.state
                    self.state.slots, self.state.steps = engine.slots, engine.steps

    def _run(self, epochs: int, hooks: Hooks, partial: bool) -> None:
        est = self.estimator
        self.current = est.n_iter_ + 1
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # looked for after each call
                converged = self._epochs(epochs, hooks)
            if not (converged or partial):
                _warn(
                    f"max_iter={epochs} epochs are done before convergence (no improvement by tol={est.tol:g} "
                    f"for n_iter_no_change={est.n_iter_no_change} epochs).",
                    ConvergenceWarning,
                )
        except KeyboardInterrupt:
            if self.saver is not None and self.between:
                self.saver.after_epochs(last=True)
            if self.interrupts.stop is not None:
                return  # the ensemble says so, once
            _warn(f"fit was interrupted in epoch {self.current}; the model is as far as it had come.", UserWarning)
        except FitDiverged as reason:
            self.watch.keep_finite(reason)

    def _epochs(self, epochs: int, hooks: Hooks) -> bool:
        """Run epochs until training ends; False if the last was done before."""
        number, saver = self.estimator.n_iter_, self.saver
        ended = number >= epochs or (saver is not None and saver.ended)
        while number < epochs and not ended:
            hooks.begin_epoch()
            self.between, self.current = False, number + 1
            safe, most = self._unwatched(hooks)
            orders = self.rows.orders(min(epochs - number, most), safe)
            stuck = False  # nothing but the last of them can end training
            for losses in self._train(orders, safe, number, epochs):
                number += len(losses)
                with self.interrupts.held(deliver=False):
                    stuck = self._record(losses, number)
                self.current = number
            asked = hooks.end_epoch()
            ended = asked or (stuck and self._is_end())
            self.between = True
            if saver is not None:
                saver.after_epochs(ended=ended and not asked, last=ended or number == epochs)
            self.interrupts.check()
        return ended

    def _unwatched(self, hooks: Hooks) -> tuple[int, int]:
        """How many epochs can run as one call, as nothing looks in between.

        Before so many nothing can end training; and of so many the engine says where they end.
        """
        est = self.estimator
        changing = not self.own_rate and not isinstance(self.schedule, Constant)
        if hooks.active or self.watch.looks_each_epoch or changing:
            return 1, 1
        safe = int(min(self.most, max(0, est.n_iter_no_change - est._no_improvement_count) + 1))
        return safe, min(self.most, max(safe, est.n_iter_))

    def _train(self, orders: np.ndarray, safe: int, number: int, epochs: int) -> Iterator[list[float]]:
        """Run epochs on rows in these orders as one call, after `number` others of `epochs`; yields their losses."""
        state = self.engine.state
        epochs_now = Epochs(self.state.epochs, orders, self.rows.edges, self._rates(len(orders), state.steps))
        run = EpochRun((self.params.flat.copy(), state), epochs_now)
        patience = self.watch.patience if len(orders) > safe else None
        pause = self.interrupts.check if len(orders) == 1 else None  # several take hundredths of a second
        with self.interrupts.held(deliver=False):
            losses = self.engine.run(run.epochs, pause, patience).losses
        if len(losses) < len(orders):
            self.rows.keep(len(losses))
            orders = orders[: len(losses)]
            run = EpochRun(run.start, run.epochs.part(0, len(losses)))
        final = number + len(orders) == epochs
        if np.isfinite(losses).all() and np.isfinite(self.params.flat).all() and not (final and self._is_lost(orders)):
            self.state.epochs += len(orders)
            self.before = run
            yield losses.tolist()
        else:
            yield from self._search(run, number, final=final)

    def _is_lost(self, orders: np.ndarray) -> bool:
        """Whether the last step left parameters whose cost or outputs are not finite on its rows."""
        return not is_finite_on(self.training.objective, self.params, orders[-1, self.rows.edges[-2] :])

    def _restore(self, start: tuple[np.ndarray, State]) -> None:
        self.params.flat[...], self.engine.state = start

    def _search(self, run: EpochRun, number: int, *, final: bool) -> Iterator[list[float]]:
        """Run epochs again one by one, up to the one in which numbers stop being finite."""
        earlier = self._before_last_epoch()
        self._restore(run.start)
        earlier = self.params.flat.copy() if earlier is None else earlier
        for i in range(len(run.epochs)):
            before, batches = self.params.flat.copy(), run.epochs.part(i, i + 1)
            result = self.engine.run(batches)
            last = final and i == len(run.epochs) - 1
            if not is_finite(result, self.params) or (last and self._is_lost(batches.orders)):
                epoch = self.state.epochs
                found = find_divergence(self.training, self.params, before, earlier, result, epoch, batches)
                raise _diverged(found, number + i + 1)
            self.state.epochs += 1
            yield result.losses.tolist()
            earlier = before

    def _before_last_epoch(self) -> np.ndarray | None:
        """The parameters before the last epoch that was finished, if there is one."""
        run = self.before
        if run is None:
            return None
        self._restore(run.start)
        if len(run.epochs) > 1:
            self.engine.run(run.epochs.part(0, len(run.epochs) - 1))
        return self.params.flat.copy()

    def _record(self, losses: list[float], number: int) -> bool:
        """Note the losses of epochs of which `number` is the last; True when improvement has failed for too long."""
        est = self.estimator
        est.n_iter_, est.loss_ = number, losses[-1]
        est.t_ += len(losses) * len(self.rows.rows)
        est.loss_curve_ += losses
        stuck = self.watch.end_epochs(losses)
        if est.verbose:
            score = f", validation score = {est.validation_scores_[-1]:.6f}" if self.watch.held_out else ""
            for epoch, loss in enumerate(losses, number - len(losses) + 1):
                print(f"Iteration {epoch}, loss = {loss:.8f}{score}")
        if self.own_rate:
            self.state.learning_rate = self._inverse(est.t_)
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

    def _rates(self, epochs: int, first: int) -> np.ndarray:
        """The learning rate of each step of the next epochs, `first` steps being done."""
        est, state, steps = self.estimator, self.state, self.steps_per_epoch
        if self.own_rate:
            later = [self._inverse(est.t_ + i * len(self.rows.rows)) for i in range(1, epochs)]
            return np.repeat([state.learning_rate, *later], steps)
        costs = est.validation_loss_curve_ if self.watch.held_out else est.loss_curve_
        rate = Rate(self.schedule, steps, int(est.max_iter), lambda: costs)
        rates = rate.over(first, epochs * steps)
        state.learning_rate = float(rates[-1])
        return rates

    def _inverse(self, t: int) -> float:
        """The rate after t rows: scaled down with "invscaling", else as it is."""
        est = self.estimator
        if est.learning_rate != "invscaling":
            return self.state.learning_rate
        return float(est.learning_rate_init) / (t + 1) ** est.power_t


def run_lbfgs(estimator: Any, training: Training, params: Parameters, rule: LBFGS, watch: Watch, hooks: Hooks) -> None:
    """L-BFGS on an estimator's behalf; iterations count as epochs."""
    est, start = estimator, params.flat.copy()

    def end_of_iteration(result: EpochResult) -> bool:
        est.n_iter_, est.loss_ = est.n_iter_ + 1, float(result.losses[0])
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
    found = minimize_lbfgs(
        training, params, rule, int(est.max_iter), end_of_iteration if looked_at else None, est.engine
    )
    if not (np.isfinite(found.fun) and np.isfinite(params.flat).all()):
        where = find_divergence(training, params, start, start, None, found.nit, None)
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
