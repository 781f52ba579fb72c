"""One fit: checked data in, trained parameters out. What the estimators share between their checks and the engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from clearprop.activations import Sigmoid
from clearprop.checks import check_dense_or_csr
from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.core.randomness import mix
from clearprop.engine.api import Training
from clearprop.errors import ShapeError
from clearprop.estimators import parameters as settings
from clearprop.estimators.adapter import build_network, draw_parameters, gather
from clearprop.estimators.descent import Descent, Hooks, OptimizerState, Rows, run_lbfgs
from clearprop.estimators.resuming import FitSaver, checkpoint_of
from clearprop.estimators.watch import HeldOut, Watch
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, GradientDescent


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
        sizes = settings.layer_sizes(estimator.hidden_layer_sizes)
        hidden = settings.hidden_activations(estimator.activation, len(sizes))
        shares = settings.dropouts(estimator.dropout, len(sizes))
        net = build_network(inputs, sizes, hidden, shares, [(u, f) for u, f, _ in outputs], bool(estimator.skip))
    return Task(net, dict(zip(net.outputs or (), [loss for _, _, loss in outputs], strict=True)))


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


class Fit:
    """A fit of one network on an estimator's behalf."""

    def __init__(self, estimator: Any, data: Data, held: Data | None, *, first: bool, partial: bool) -> None:
        self.estimator, self.first, self.partial, self.begun = estimator, first, partial, False
        self.task = make_task(estimator, data.X.shape[1])
        self.rule = settings.rule_of(estimator)
        self.generator = self._generator()
        if first:
            dtype = self._working(estimator._precision(data.X.dtype))
            self.params = first_parameters(estimator, self.task.net, self.generator, dtype)
            _reset(estimator)
        else:
            dtype = self._working(np.dtype(np.asarray(estimator.coefs_[0]).dtype))
            self.params = self._parameters_so_far(dtype)
        self.objective = self.task.objective(estimator, data, dtype)
        self.rows = np.arange(len(data.y))
        self.held_out = self._hold_out(data, held, dtype)

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
        """scikit-learn's; with a seed partial_fit goes on with the one made from it, so that no order comes twice."""
        est, seed = self.estimator, self.estimator.random_state
        kept = getattr(est, "_seeded", None) if self.partial else None
        if not isinstance(seed, (int, np.integer)):
            kept = None, check_random_state(seed)
        elif kept is None or kept[0] != seed:
            kept = seed, check_random_state(seed)
        est._seeded = None if kept[0] is None else kept  # a generator of the user's or of NumPy is not ours to keep
        return kept[1]

    def _hold_out(self, data: Data, held: Data | None, dtype: np.dtype) -> HeldOut | None:
        """The rows to watch: given, or split off for early stopping, or those of training where the share is 0."""
        est = self.estimator
        if held is None and est.early_stopping and settings.is_stochastic(est):
            held = data
            if est.validation_fraction > 0:
                self.rows, apart = self._split(data)
                held = data.take(apart)
        if held is None:
            return None
        if held.weight is not None and not held.weight.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, also among the rows that are watched: all "
                f"{len(held.y)} of them have the weight 0. Raise validation_fraction, or give X_val and y_val."
            )
        objective = self.task.objective(est, held, dtype)
        return HeldOut(objective, est._scoring(held, self.params))

    def _split(self, data: Data) -> tuple[np.ndarray, np.ndarray]:
        est = self.estimator
        kept, apart = train_test_split(
            self.rows,
            random_state=self.generator,
            test_size=est.validation_fraction,
            stratify=est._stratify(data.y),
        )
        if len(apart) < 2:
            raise ValueError(
                f"The validation set is too small: validation_fraction={est.validation_fraction:g} of {len(self.rows)} "
                "rows. Expected at least 2 rows; raise validation_fraction, or give X_val and y_val."
            )
        return np.asarray(kept), np.asarray(apart)

    def run(self, X: Any, y: Any, sample_weight: Any) -> Parameters:
        """Train, and leave scikit-learn's attributes in the estimator."""
        est = self.estimator
        if settings.is_stochastic(est):
            _begin_batches(est)
        watch = Watch(est, self.params, self.held_out, bool(est.restore_best or est.early_stopping))
        hooks = Hooks(est, X, y, sample_weight, lambda: est._model_attributes(self.params))
        if isinstance(self.rule, LBFGS):
            self._run_lbfgs(self.rule, watch, hooks)
        else:
            self._descend(watch, hooks)
        hooks.end()
        return self.params if self.params.dtype == self.dtype else self.params.astype(self.dtype)

    def _run_lbfgs(self, rule: LBFGS, watch: Watch, hooks: Hooks) -> None:
        est = self.estimator
        if settings.limits_of(est) != type(settings.limits_of(est))():
            raise ValueError("solver: L-BFGS takes no clip_norm, clip_value or max_norm; use alpha, l1 or l2 instead.")
        training = Training(self.objective, GradientDescent(), settings.penalties_of(est), alpha=float(est.alpha))
        self.begun = True
        run_lbfgs(est, training, self.params, rule, watch, hooks)

    def _descend(self, watch: Watch, hooks: Hooks) -> None:
        est = self.estimator
        state = getattr(est, "_optimizer", None)
        if not self.partial or state is None:
            state = OptimizerState(float(est.learning_rate_init), settings.rate_words(est))
        keys = None
        if any(layer.dropout for layer in self.task.net.layers):
            keys = row_keys(self.objective.X)
            state.seed = state.seed or int(self.generator.randint(1, 2**31 - 1))
        training = Training(
            self.objective,
            self.rule,  # type: ignore[arg-type]
            settings.penalties_of(est),
            settings.limits_of(est),
            state.seed,
            float(est.alpha),
            keys,
            norms=False,
        )
        size = est._batch_rows(len(self.rows))
        rows = Rows(self.rows, size, self.generator if est.shuffle else None)
        est._optimizer = state
        est.n_iter_ = 0
        descent = Descent(est, training, self.params, state, rows, watch)
        saved = None if self.partial else checkpoint_of(est)
        if saved is not None:
            descent.saver = FitSaver(saved, descent, first=self.first)
        self.begun = True
        descent.run(1 if self.partial else int(est.max_iter), hooks, self.partial)


#: What a training by batches goes on from, at its beginning.
_BEGINNING = {"loss_curve_": list, "validation_scores_": lambda: None, "best_validation_score_": lambda: None}


def _reset(estimator: Any) -> None:
    """Forget an earlier training."""
    estimator.n_iter_ = estimator.t_ = estimator._no_improvement_count = 0
    for name in (*_BEGINNING, "best_loss_", "validation_loss_curve_", "_best"):
        vars(estimator).pop(name, None)


def _begin_batches(estimator: Any) -> None:
    """The attributes that scikit-learn has with batches only, where an earlier training has not left them."""
    for name, make in _BEGINNING.items():
        if not hasattr(estimator, name):
            setattr(estimator, name, make())
    if estimator.early_stopping:
        estimator.best_loss_ = None
    elif getattr(estimator, "best_loss_", None) is None:
        estimator.best_loss_ = np.inf


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
