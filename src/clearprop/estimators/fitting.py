"""One fit: checked data in, trained parameters out. What the estimators share between their checks and the engines."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from clearprop.core.objective import warn_of_hindrances
from clearprop.core.parameters import Parameters
from clearprop.engine import with_engine
from clearprop.engine.api import Patience, State, Training
from clearprop.errors import ArgumentError, ShapeError, TrainingDiverged, warn_user
from clearprop.estimators import parameters as settings
from clearprop.estimators.adapter import gather
from clearprop.estimators.data import Data, row_keys
from clearprop.estimators.fitted import Earlier, set_attributes
from clearprop.estimators.protocol import (
    Hooks,
    NoImprovement,
    OptimizerState,
    SgdRate,
    ShuffledRows,
    fit_diverged,
    print_epochs,
)
from clearprop.estimators.task import first_parameters, make_task
from clearprop.optimizers import LBFGS, GradientDescent, Optimizer
from clearprop.penalties import Limits, as_penalties
from clearprop.schedules import Constant
from clearprop.serialization.atomic import check_target
from clearprop.training.checkpoint import Checkpoint, as_checkpoint, check_steps, open_checkpoint
from clearprop.training.descent import Descent
from clearprop.training.fingerprints import describe_data, description
from clearprop.training.lbfgs import run_lbfgs
from clearprop.training.rates import Rate
from clearprop.training.run import Measurement, Run, Stopping
from clearprop.training.saver import Saver
from clearprop.training.signals import Interrupts
from clearprop.training.stopping import LowestValue, Rules

#: Parameters that may differ between the estimator that was stopped and the one that continues.
_FREE = ("checkpoint", "warm_start", "verbose", "max_iter", "n_jobs", "engine")


def checkpoint_of(estimator: Any) -> Checkpoint | None:
    """The checkpoint that the estimator's parameter describes; ArgumentError where a fit cannot have one."""
    saved = as_checkpoint(estimator.checkpoint, None, False)
    if saved is None:
        return None
    if not settings.is_stochastic(estimator):
        raise ArgumentError(
            "checkpoint: SciPy does not expose the state of L-BFGS; leave checkpoint out, or use another solver."
        )
    if estimator.n_networks > 1:
        raise ArgumentError("checkpoint: a checkpoint holds one network; leave it out, or set n_networks=1.")
    if not isinstance(estimator.random_state, (int, np.integer)):
        raise ArgumentError(
            "random_state: with a checkpoint, expected a whole number, so that the fit can be repeated exactly, "
            f"got {estimator.random_state!r}."
        )
    check_target(saved.path)
    return saved


class Fit:
    """A fit of one network on an estimator's behalf: a run built from its parameters and what earlier fits left."""

    def __init__(self, estimator: Any, data: Data, held: Data | None, *, first: bool, partial: bool) -> None:
        self.estimator, self.first, self.partial, self.started = estimator, first, partial, False
        self.task = make_task(estimator, data.X.shape[1])
        self.rule = settings.rule_of(estimator)
        self.generator = self._generator()
        if first:
            dtype = self._working(estimator._precision(data.X.dtype))
            self.params = first_parameters(estimator, self.task.net, self.generator, dtype)
        else:
            dtype = self._working(np.dtype(np.asarray(estimator.coefs_[0]).dtype))
            self.params = self._parameters_so_far(dtype)
        self.earlier = Earlier() if first else Earlier.of(estimator)
        self.objective = self.task.objective(estimator, data, dtype)
        self.rows = np.arange(len(data.y))
        self.validation = self._validation(data, held, dtype)

    def _parameters_so_far(self, dtype: np.dtype) -> Parameters:
        est = self.estimator
        try:
            return gather(self.task.net, est.coefs_, est.intercepts_, dtype)
        except ShapeError as reason:
            raise ShapeError(
                "warm_start and partial_fit continue to train the network of the last fit, but the parameters or y now "
                f"describe another one: {reason} Restore them, or train a new network with warm_start=False."
            ) from reason

    def _working(self, dtype: np.dtype) -> np.dtype:
        """The precision to train in: L-BFGS compares costs that hardly differ, and so works in double precision."""
        self.dtype = dtype
        return np.dtype(np.float64) if isinstance(self.rule, LBFGS) else dtype

    def _generator(self) -> np.random.RandomState:
        """scikit-learn's; with a seed partial_fit continues with the one made from it, so that no order is repeated."""
        est, seed = self.estimator, self.estimator.random_state
        seeded = getattr(est, "_seeded", None) if self.partial else None
        if not isinstance(seed, (int, np.integer)):
            seeded = None, check_random_state(seed)
        elif seeded is None or seeded[0] != seed:
            seeded = seed, check_random_state(seed)
        est._seeded = None if seeded[0] is None else seeded  # a generator of the user or of NumPy is not stored
        return seeded[1]

    def _validation(self, data: Data, held: Data | None, dtype: np.dtype) -> Measurement | None:
        """The validation set: the user's, or split off for early stopping, or the training set if the share is 0."""
        est = self.estimator
        if held is None and est.early_stopping and settings.is_stochastic(est):
            held = data
            if est.validation_fraction > 0:
                self.rows, split_off = self._split(data)
                held = data.take(split_off)
        if held is None:
            return None
        if held.weight is not None and not held.weight.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, also in the validation set: all "
                f"{len(held.y)} of its rows have the weight 0. Raise validation_fraction, or give X_val and y_val."
            )
        score = est._scoring(held, self.params)

        def of_all_outputs(cost: float, outputs: Any) -> float:
            several = isinstance(outputs, dict)
            return score(cost, np.concatenate(list(outputs.values()), axis=1) if several else outputs)

        objective = self.task.objective(est, held, dtype)
        return Measurement(objective, {"validation score": of_all_outputs}, "validation ")

    def _split(self, data: Data) -> tuple[np.ndarray, np.ndarray]:
        est = self.estimator
        classes = est._stratify(data.y)
        if classes is not None:
            self._check_classes(classes)
        training, validation = train_test_split(
            self.rows, random_state=self.generator, test_size=est.validation_fraction, stratify=classes
        )
        if len(validation) < 2:
            raise ValueError(
                f"The validation set is too small: validation_fraction={est.validation_fraction:g} of {len(self.rows)} "
                "rows. Expected at least 2 rows; raise validation_fraction, or give X_val and y_val."
            )
        return np.asarray(training), np.asarray(validation)

    def _check_classes(self, classes: np.ndarray) -> None:
        """Whether both parts of the split can have rows of each class."""
        est, rows = self.estimator, len(classes)
        values, counts = np.unique(classes, axis=0, return_counts=True)
        if counts.min() < 2:
            (lone,) = est._labels(values[[counts.argmin()]]).tolist()
            raise ValueError(
                f"y: the class {lone!r} has only 1 row; early_stopping=True needs at least 2 rows of each class, for "
                "the training set and for the validation set. Add rows, give X_val and y_val, or set "
                "validation_fraction=0 to score the training set."
            )
        validation = math.ceil(rows * est.validation_fraction)
        if min(validation, rows - validation) < len(values):
            raise ValueError(
                f"validation_fraction={est.validation_fraction:g} of {rows} rows makes a validation set of "
                f"{validation} and a training set of {rows - validation}. Expected at least {len(values)} in each, "
                "one of each class; change validation_fraction, or give X_val and y_val."
            )

    def run(self, X: Any, y: Any, sample_weight: Any) -> Parameters:
        """Train, and leave scikit-learn's attributes in the estimator, also if the fit is interrupted or diverges."""
        est = self.estimator
        hooks = Hooks(est, X, y, sample_weight, lambda: est._model_attributes(self.params))
        if isinstance(self.rule, LBFGS):
            self._minimize(self.rule, hooks)
        else:
            self._descend(self.rule, hooks)
        hint = None if self.partial else est._hint(self.objective, self.params)
        if hint:
            warn_user(hint, ConvergenceWarning)
        hooks.end()
        return self.params if self.params.dtype == self.dtype else self.params.astype(self.dtype)

    def _run(self, epochs: int, stopping: Stopping, hooks: Hooks) -> Run:
        """The run with what both kinds of solvers share."""
        warn_of_hindrances(self.objective)
        est, best_by = self.estimator, None
        restore = bool(est.restore_best or est.early_stopping)
        if restore and self.validation is not None:
            best_by = LowestValue("validation score", -1.0, self.earlier.lowest)
        elif est.on_divergence == "keep" and self.validation is None:
            best_by = LowestValue("cost")
        best = self.earlier.best if restore else None
        if best is not None and best.shape != self.params.flat.shape:
            best = None
        return Run(
            self.objective,
            self.params,
            epochs,
            stopping,
            () if self.validation is None else (self.validation,),
            callbacks=(hooks.end_epoch,) if hooks.active else (),
            before_epoch=hooks.begin_epoch if hooks.active else None,
            report=print_epochs if est.verbose else None,
            best_by=best_by,
            restore=restore,
            by_rows=True,
            best=None if best is None else best.copy(),
            error=fit_diverged,
            interrupts=Interrupts(getattr(est, "_stop", None)),
        )

    # --- L-BFGS ------------------------------------------------------------------------------------------------------

    def _minimize(self, rule: LBFGS, hooks: Hooks) -> None:
        est = self.estimator
        if settings.limits_of(est) != Limits():
            raise ValueError("solver: L-BFGS takes no clip_norm, clip_value or max_norm; use alpha or penalty instead.")
        training = Training(
            self.objective, GradientDescent(), as_penalties(est.penalty), alpha=float(est.alpha), norms=False
        )
        run = self._run(int(est.max_iter), Rules(), hooks)
        self.started, result = True, None
        observed = bool(est.verbose or hooks.active or self.validation is not None)
        try:
            result, _ = run_lbfgs(run, training, rule, est.engine, observed)
            if result.status not in (0, 99):  # 99: stopped by a callback
                warn_user(
                    f"L-BFGS has not converged after {min(result.nit, est.max_iter)} iterations: "
                    f"{str(result.message).lower()}. Raise max_iter={est.max_iter} or max_fun={est.max_fun}, or scale "
                    "the inputs.",
                    ConvergenceWarning,
                )
        except TrainingDiverged as reason:
            self._keep_finite(reason, run)
        finally:
            run.restore_best()
            self._set_attributes(
                run, None if result is None else (int(min(result.nit, est.max_iter)), float(result.fun))
            )

    # --- gradient descent --------------------------------------------------------------------------------------------

    def _descend(self, rule: Optimizer, hooks: Hooks) -> None:
        est = self.estimator
        state = self._optimizer_state()
        epochs = 1 if self.partial else int(est.max_iter)
        training = self._training(rule, state)
        order = ShuffledRows(self.rows, est._batch_rows(len(self.rows)), self.generator if est.shuffle else None)
        engine = with_engine(est.engine, lambda kind: kind(training, self.params, order.batch_size))
        if engine.name == "compiled":
            from clearprop.engine.compiled.shuffling import shuffled_at_once

            order.shuffle = shuffled_at_once
        sizes = dict.fromkeys(rule.slots, self.params.trainable.shape)
        if {name: slot.shape for name, slot in state.slots.items()} == sizes:  # the same optimizer as before
            engine.state = State(state.steps, state.slots)
        else:
            state.steps = 0
        run, rates = self._parts(rule, state, epochs, len(order.edges) - 1, hooks)
        descent = Descent(run, training, engine, order, rates, state.epochs)
        saved = None if self.partial else checkpoint_of(est)
        ended = None if saved is None else self._open(saved, descent, rule)
        self.started = True
        with run.interrupts:
            try:
                self._train(descent, ended)
            finally:
                with run.interrupts.deferred():
                    run.stopping.reason(run.history)  # catches up if the fit was interrupted before
                    run.restore_best()
                    done, end = run.history.epochs, engine.state
                    state.slots, state.steps, state.epochs = end.slots, end.steps, state.epochs + done
                    if isinstance(rates, SgdRate):
                        state.learning_rate = rates.at(done)
                    est._optimizer = state
                    self._set_attributes(run)

    def _optimizer_state(self) -> OptimizerState:
        est = self.estimator
        state = getattr(est, "_optimizer", None)
        if not self.partial or state is None:
            return OptimizerState(float(est.learning_rate_init), settings.rate_settings(est))
        return replace(state)

    def _training(self, rule: Optimizer, state: OptimizerState) -> Training:
        est, keys = self.estimator, None
        if any(layer.dropout for layer in self.task.net.layers):
            keys = row_keys(self.objective.X)
            state.seed = state.seed or int(self.generator.randint(1, 2**31 - 1))
        limits, penalties = settings.limits_of(est), as_penalties(est.penalty)
        return Training(self.objective, rule, penalties, limits, state.seed, float(est.alpha), keys, norms=False)

    def _parts(
        self, rule: Optimizer, state: OptimizerState, epochs: int, steps: int, hooks: Hooks
    ) -> tuple[Run, SgdRate | Rate]:
        """The run, and its learning rates."""
        est, earlier, rates = self.estimator, self.earlier, None
        if settings.follows_own_rate(est):
            current, initial = settings.rate_settings(est), float(est.learning_rate_init)
            rates = SgdRate(est.learning_rate, initial, initial, est.power_t, earlier.t, len(self.rows), steps)
            if state.follows == current:  # scikit-learn continues with the rate of the first call
                rates.rate = state.learning_rate
            elif est.learning_rate == "invscaling":
                rates.rate = initial / (earlier.t + 1) ** est.power_t
            state.follows = current
        if est.early_stopping:
            patience = Patience(earlier.lowest, est.n_iter_no_change, est.tol, earlier.count)
            stopping = NoImprovement(patience, "validation score", -1.0, rates)
        else:
            patience = Patience(earlier.best_loss, est.n_iter_no_change, est.tol, earlier.count)
            stopping = NoImprovement(patience, rate=rates)
        if est.verbose:
            stopping.report = print
        run = self._run(epochs, stopping, hooks)
        if rates is not None:
            return run, rates
        column = "cost" if self.validation is None else "validation cost"
        before = earlier.losses if self.validation is None else earlier.costs
        costs = lambda: [*before, *run.history.columns.get(column, [])]  # noqa: E731
        return run, Rate(rule.schedule, steps, int(est.max_iter), costs, state.steps)

    def _train(self, descent: Descent, ended: str | None) -> None:
        est = self.estimator
        try:
            reason = descent.train(ended)
            if not (reason or self.partial):
                warn_user(
                    f"training ended after max_iter={est.max_iter} epochs, before convergence (no improvement by "
                    f"tol={est.tol:g} for n_iter_no_change={est.n_iter_no_change} epochs).",
                    ConvergenceWarning,
                )
        except KeyboardInterrupt:
            if descent.run.interrupts.stop is None:  # an ensemble warns itself, once
                warn_user(
                    f"fit was interrupted in epoch {descent.current_epoch}; the model has the parameters of the last "
                    "completed step.",
                    UserWarning,
                )
        except TrainingDiverged as reason:
            self._keep_finite(reason, descent.run)

    def _open(self, saved: Checkpoint, descent: Descent, rule: Optimizer) -> str | None:
        """Give the descent its checkpoint, and continue from it; the reason why its run had stopped, if it had."""
        est, run, path = self.estimator, descent.run, saved.path
        described = {
            name: description(value) for name, value in est.get_params(deep=False).items() if name not in _FREE
        }
        if not isinstance(rule.schedule, Constant):  # others may depend on the count of epochs
            described["max_iter"] = str(est.max_iter)
        held_out = None if self.validation is None else self.validation.objective
        facts = {
            "data": describe_data(self.objective, held_out),
            "parameters": {**described, "precision": str(self.params.dtype), "engine": descent.engine.name},
            "start": "new parameters" if self.first else "parameters of an earlier fit",
        }
        descent.saver = Saver(saved, run, descent.engine, facts)
        if not (self.first and os.path.isfile(path)):
            descent.saver.save()
            return None
        if not est.warm_start:
            raise ArgumentError(
                f"checkpoint: {path} exists. Continue that fit with warm_start=True; to start a new one, use another "
                "file, or delete it."
            )
        snapshot = open_checkpoint(saved, True, self.params, facts)
        assert snapshot is not None
        check_steps(snapshot, len(descent.order.edges) - 1, path)
        run.resume(snapshot.history, snapshot.best)
        return descent.resume(snapshot)

    # --- the end of a fit --------------------------------------------------------------------------------------------

    def _keep_finite(self, reason: TrainingDiverged, run: Run) -> None:
        """Warn and keep the best finite parameters, or raise; `on_divergence` decides."""
        wanted, best = self.estimator.on_divergence, run.best
        if wanted == "raise" or (wanted is None and best is None):
            raise reason
        kept = "the best parameters before it" if best is not None else "the initial parameters: no epoch was finished"
        self.params.flat[...] = best if best is not None else reason.last_finite.flat
        warn_user(f"{reason} The model has {kept}.", ConvergenceWarning)

    def _set_attributes(self, run: Run, minimum: tuple[int, float] | None = None) -> None:
        set_attributes(self.estimator, run, self.earlier, len(self.rows), first=self.first, minimum=minimum)
