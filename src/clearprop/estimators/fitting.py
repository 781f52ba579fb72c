"""One fit: checked data in, trained parameters out. What the estimators share between their checks and the engines."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from clearprop.activations import Sigmoid
from clearprop.checks import check_dense_or_csr
from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import mix
from clearprop.engine import with_engine
from clearprop.engine.api import Patience, State, Training
from clearprop.errors import ArgumentError, ShapeError, TrainingDiverged
from clearprop.estimators import parameters as settings
from clearprop.estimators.adapter import build_network, draw_parameters, gather
from clearprop.estimators.protocol import (
    Hooks,
    NoImprovement,
    OptimizerState,
    SgdRate,
    ShuffledRows,
    fit_diverged,
    print_epochs,
)
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, GradientDescent, Optimizer
from clearprop.penalties import Limits, as_penalties
from clearprop.schedules import Constant
from clearprop.serialization.atomic import check_target
from clearprop.training.checkpoint import Checkpoint, as_checkpoint, check_steps, open_checkpoint
from clearprop.training.descent import Descent
from clearprop.training.fingerprints import describe_data, in_words
from clearprop.training.lbfgs import run_lbfgs
from clearprop.training.rates import Rate
from clearprop.training.run import Measurement, Run, Stopping
from clearprop.training.saver import Saver
from clearprop.training.signals import Interrupts
from clearprop.training.stopping import LowestValue, Rules

#: Parameters that may differ between the estimator that was stopped and the one that continues.
_FREE = ("checkpoint", "warm_start", "verbose", "max_iter", "n_jobs", "engine")


@dataclass(frozen=True)
class Data:
    """Checked rows: X (n, i), dense or sparse, the target as the estimator takes it (n, o), weights (n,) or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, rows: np.ndarray) -> Data:
        """Some of the rows."""
        return Data(self.X[rows], self.y[rows], None if self.weight is None else self.weight[rows])


@dataclass(frozen=True)
class Task:
    """What an estimator trains: its network, the loss of each output layer, and each loss's own form of the target."""

    net: Network
    losses: Mapping[str, Loss]

    def objective(self, estimator: Any, data: Data, dtype: np.dtype) -> Objective:
        """The objective of these rows."""
        where = "y as standardized by target_scaling" if getattr(estimator, "target_scaling", False) else "y"
        targets = {
            name: loss.check_targets(
                estimator._targets(data.y, loss, dtype), len(data.y), self.net[name].units, dtype, where
            )
            for name, loss in self.losses.items()
        }
        weight = None if data.weight is None else np.asarray(data.weight, dtype)
        if issparse(data.X):
            X = check_dense_or_csr(data.X, self.net.inputs, dtype)
        else:
            X = np.ascontiguousarray(data.X, dtype)
        return Objective(self.net, self.losses, X, targets, weight)


def make_task(estimator: Any, inputs: int) -> Task:
    """The network that the parameters describe (or the one given), with its losses."""
    outputs = estimator._outputs()
    if estimator.network is not None:
        net = _given_network(estimator.network, inputs, [units for units, _, _ in outputs])
    else:
        sizes = tuple(settings.layer_sizes(estimator.hidden_layer_sizes))
        hidden = tuple(settings.hidden_activations(estimator.activation, len(sizes)))
        shares = tuple(settings.dropouts(estimator.dropout, len(sizes)))
        ends = tuple((units, f) for units, f, _ in outputs)
        net = build_network(inputs, sizes, hidden, shares, ends, bool(estimator.skip))
    losses = dict(zip(net.outputs or (), [loss for _, _, loss in outputs], strict=True))
    for name, loss in losses.items():
        loss.check_output(net[name].f, net[name].units)
    return Task(net, losses)


def _given_network(net: Network, inputs: int, outputs: list[int]) -> Network:
    units = [net[name].units for name in net.outputs or ()]
    if net.inputs != inputs or units != outputs:
        raise ValueError(
            f"network: expected {inputs} inputs and outputs of {outputs} units for this X and y, "
            f"got {net.inputs} inputs and {units}."
        )
    return net


def first_parameters(estimator: Any, net: Network, generator: np.random.RandomState, dtype: np.dtype) -> Parameters:
    """Starting parameters: scikit-learn's draws, or the library's for a network given."""
    if estimator.network is not None:
        return net.initialize(int(generator.randint(2**31 - 1)), dtype)
    hidden = len(net.layers) - len(net.outputs or ())
    kinds = settings.hidden_activations(estimator.activation, hidden) if hidden else []
    logistic = [isinstance(f, Sigmoid) for f in kinds]
    last = logistic[-1] if logistic else estimator.activation in ("logistic", "sigmoid")
    return draw_parameters(net, [*logistic, *[last] * len(net.outputs or ())], generator, dtype)


def checkpoint_of(estimator: Any) -> Checkpoint | None:
    """The checkpoint that the estimator's parameter describes; ArgumentError where a fit cannot have one."""
    saved = as_checkpoint(estimator.checkpoint, None, False)
    if saved is None:
        return None
    if not settings.is_stochastic(estimator):
        raise ArgumentError("checkpoint: L-BFGS runs inside SciPy, which keeps its state to itself; leave it out.")
    if estimator.n_networks > 1:
        raise ArgumentError("checkpoint: holds the fit of one network; leave it out, or set n_networks=1.")
    if not isinstance(estimator.random_state, (int, np.integer)):
        raise ArgumentError(
            "checkpoint: expected a whole number as random_state, so that a fit can begin alike a second time, "
            f"got {estimator.random_state!r}."
        )
    check_target(saved.path)
    return saved


class Fit:
    """A fit of one network on an estimator's behalf: a run built from its parameters and what earlier fits left."""

    def __init__(self, estimator: Any, data: Data, held: Data | None, *, first: bool, partial: bool) -> None:
        self.estimator, self.first, self.partial, self.begun = estimator, first, partial, False
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
                "warm_start and partial_fit go on with the network of the last fit, and the parameters or y describe "
                f"another one now: {reason} Set them back, or begin anew by fit with warm_start=False."
            ) from reason

    def _working(self, dtype: np.dtype) -> np.dtype:
        """The precision to train in: L-BFGS compares costs that hardly differ, and so works in double precision."""
        self.dtype = dtype
        return np.dtype(np.float64) if isinstance(self.rule, LBFGS) else dtype

    def _generator(self) -> np.random.RandomState:
        """scikit-learn's; with a seed partial_fit continues with the one made from it, so that no order is repeated."""
        est, seed = self.estimator, self.estimator.random_state
        kept = getattr(est, "_seeded", None) if self.partial else None
        if not isinstance(seed, (int, np.integer)):
            kept = None, check_random_state(seed)
        elif kept is None or kept[0] != seed:
            kept = seed, check_random_state(seed)
        est._seeded = None if kept[0] is None else kept  # a generator of the user's or of NumPy is not ours to store
        return kept[1]

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
        training, validation = train_test_split(
            self.rows,
            random_state=self.generator,
            test_size=est.validation_fraction,
            stratify=est._stratify(data.y),
        )
        if len(validation) < 2:
            raise ValueError(
                f"The validation set is too small: validation_fraction={est.validation_fraction:g} of {len(self.rows)} "
                "rows. Expected at least 2 rows; raise validation_fraction, or give X_val and y_val."
            )
        return np.asarray(training), np.asarray(validation)

    def run(self, X: Any, y: Any, sample_weight: Any) -> Parameters:
        """Train, and leave scikit-learn's attributes in the estimator, also if the fit is interrupted or diverges."""
        est = self.estimator
        hooks = Hooks(est, X, y, sample_weight, lambda: est._model_attributes(self.params))
        if isinstance(self.rule, LBFGS):
            self._minimize(self.rule, hooks)
        else:
            self._descend(self.rule, hooks)
        hooks.end()
        return self.params if self.params.dtype == self.dtype else self.params.astype(self.dtype)

    def _run(self, epochs: int, stopping: Stopping, hooks: Hooks) -> Run:
        """The run with what both kinds of solvers share."""
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
        self.begun, result = True, None
        observed = bool(est.verbose or hooks.active or self.validation is not None)
        try:
            result, _ = run_lbfgs(run, training, rule, est.engine, observed)
            if result.status not in (0, 99):  # 99: stopped by a callback
                _warn(
                    f"L-BFGS has not converged after {min(result.nit, est.max_iter)} iterations: "
                    f"{str(result.message).lower()}. Raise max_iter={est.max_iter} or max_fun={est.max_fun}, or scale "
                    "the inputs.",
                    ConvergenceWarning,
                )
        except TrainingDiverged as reason:
            self._keep_finite(reason, run)
        finally:
            run.restore_best()
            self._leave(run, None if result is None else (int(min(result.nit, est.max_iter)), float(result.fun)))

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
        self.begun = True
        with run.interrupts:
            try:
                self._train(descent, ended)
            finally:
                with run.interrupts.held():
                    run.stopping.reason(run.history)  # catches up if the fit was interrupted before
                    run.restore_best()
                    done, end = run.history.epochs, engine.state
                    state.slots, state.steps, state.epochs = end.slots, end.steps, state.epochs + done
                    if isinstance(rates, SgdRate):
                        state.learning_rate = rates.at(done)
                    est._optimizer = state
                    self._leave(run)

    def _optimizer_state(self) -> OptimizerState:
        est = self.estimator
        state = getattr(est, "_optimizer", None)
        if not self.partial or state is None:
            return OptimizerState(float(est.learning_rate_init), settings.rate_words(est))
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
            words, initial = settings.rate_words(est), float(est.learning_rate_init)
            rates = SgdRate(est.learning_rate, initial, initial, est.power_t, earlier.t, len(self.rows), steps)
            if state.follows == words:  # scikit-learn continues with the rate of the first call
                rates.rate = state.learning_rate
            elif est.learning_rate == "invscaling":
                rates.rate = initial / (earlier.t + 1) ** est.power_t
            state.follows = words
        if est.early_stopping:
            patience = Patience(earlier.lowest, est.n_iter_no_change, est.tol, earlier.count)
            stopping = NoImprovement(patience, "validation score", -1.0, rates)
        else:
            patience = Patience(earlier.best_loss, est.n_iter_no_change, est.tol, earlier.count)
            stopping = NoImprovement(patience, rate=rates)
        if est.verbose:
            stopping.say = print
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
                _warn(
                    f"max_iter={est.max_iter} epochs are done before convergence (no improvement by tol={est.tol:g} "
                    f"for n_iter_no_change={est.n_iter_no_change} epochs).",
                    ConvergenceWarning,
                )
        except KeyboardInterrupt:
            if descent.run.interrupts.stop is None:  # an ensemble warns itself, once
                _warn(
                    f"fit was interrupted in epoch {descent.current_epoch}; the model is as far as it had come.",
                    UserWarning,
                )
        except TrainingDiverged as reason:
            self._keep_finite(reason, descent.run)

    def _open(self, saved: Checkpoint, descent: Descent, rule: Optimizer) -> str | None:
        """Give the descent its checkpoint, and continue from it; the reason why its run had stopped, if it had."""
        est, run, path = self.estimator, descent.run, saved.path
        words = {name: in_words(value) for name, value in est.get_params(deep=False).items() if name not in _FREE}
        if not isinstance(rule.schedule, Constant):  # others may depend on the count of epochs
            words["max_iter"] = str(est.max_iter)
        held_out = None if self.validation is None else self.validation.objective
        facts = {
            "data": describe_data(self.objective, held_out),
            "parameters": {**words, "precision": str(self.params.dtype), "engine": descent.engine.name},
            "start": "new parameters" if self.first else "parameters of an earlier fit",
        }
        descent.saver = Saver(saved, run, descent.engine, facts)
        if not (self.first and os.path.isfile(path)):
            descent.saver.save()
            return None
        if not est.warm_start:
            raise ArgumentError(
                f"checkpoint: {path} exists. Continue that fit with warm_start=True; to begin anew, name another file, "
                "or delete it."
            )
        snapshot = open_checkpoint(saved, True, self.params, facts)
        assert snapshot is not None
        check_steps(snapshot, len(descent.order.edges) - 1, path)
        run.resume(snapshot.history, snapshot.best)
        return descent.resume(snapshot)

    # --- what a fit leaves -------------------------------------------------------------------------------------------

    def _keep_finite(self, reason: TrainingDiverged, run: Run) -> None:
        """Warn and keep the best parameters that were finite, or raise, as `on_divergence` says."""
        wanted, best = self.estimator.on_divergence, run.best
        if wanted == "raise" or (wanted is None and best is None):
            raise reason
        kept = "The best" if best is not None else "No epoch was finished: the first"
        self.params.flat[...] = best if best is not None else reason.last_finite.flat
        _warn(f"{reason} {kept} parameters before that are kept.", ConvergenceWarning)

    def _leave(self, run: Run, minimum: tuple[int, float] | None = None) -> None:
        """Set the fitted attributes; `minimum` are iterations and cost of L-BFGS."""
        est, earlier, history, stopping = self.estimator, self.earlier, run.history, run.stopping
        if self.first:
            for name in _OF_EARLIER_FITS:
                vars(est).pop(name, None)
        est.n_iter_, est.t_, est._no_improvement_count = history.epochs, earlier.t, earlier.count
        if history.epochs:
            est.loss_ = history.cost[-1]
        if minimum is not None:
            est.n_iter_, est.loss_ = minimum
        if isinstance(stopping, NoImprovement):
            est.t_ += history.epochs * len(self.rows)
            est.loss_curve_ = [*earlier.losses, *history.cost]
            est._no_improvement_count = stopping.patience.count
            est.best_loss_ = None if est.early_stopping else stopping.patience.best
            est.validation_scores_, est.best_validation_score_ = earlier.scores, earlier.best_score
        if self.validation is not None:
            scores = history.columns.get("validation score", [])
            est.validation_scores_ = [*(earlier.scores or []), *scores]
            est.validation_loss_curve_ = [*earlier.costs, *history.columns.get("validation cost", [])]
            best = -math.inf if earlier.best_score is None else earlier.best_score
            est.best_validation_score_ = max([best, *(score for score in scores if score > best)])
        if run.restore and run.best is not None:
            est._best = run.best


#: What a fit leaves that a new one forgets.
_OF_EARLIER_FITS = (
    "loss_curve_", "validation_scores_", "best_validation_score_", "best_loss_", "validation_loss_curve_", "_best",
)  # fmt: skip


@dataclass(frozen=True)
class Earlier:
    """What the fits before this one have left, if it continues them: counts, curves, and the best so far."""

    t: int = 0
    count: int = 0
    best_loss: float = math.inf
    best_score: float | None = None
    losses: Sequence[float] = ()
    scores: list[float] | None = None
    costs: Sequence[float] = ()
    best: np.ndarray | None = None

    @property
    def lowest(self) -> float:
        """The best score with the other sign, so that less is better."""
        return math.inf if self.best_score is None else -self.best_score

    @classmethod
    def of(cls, estimator: Any) -> Earlier:
        """What an estimator has of earlier fits."""
        best_loss = getattr(estimator, "best_loss_", None)
        return cls(
            estimator.t_,
            estimator._no_improvement_count,
            math.inf if best_loss is None else best_loss,
            getattr(estimator, "best_validation_score_", None),
            getattr(estimator, "loss_curve_", ()),
            getattr(estimator, "validation_scores_", None),
            getattr(estimator, "validation_loss_curve_", ()),
            getattr(estimator, "_best", None),
        )


def _warn(message: str, category: type[Warning]) -> None:
    warnings.warn(message, category, stacklevel=6)


def row_keys(X: Any) -> np.ndarray:
    """A number for each row that depends on what is in it alone, so that equal rows get the same dropout.

    The bits of a zero are 0, so a sparse row has the number of the same row written out.
    """
    values = X.data if issparse(X) else np.ascontiguousarray(X)
    bits = (values + 0.0).view(np.uint64 if X.dtype.itemsize == 8 else np.uint32).astype(np.uint64)  # no -0
    odd = mix(np.arange(1, X.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    if not issparse(X):
        return mix((bits * odd).sum(axis=1, dtype=np.uint64))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(bits * odd[X.indices], dtype=np.uint64)])
    return mix(sums[X.indptr[1:]] - sums[X.indptr[:-1]])
