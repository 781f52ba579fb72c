"""MLPRegressor: numbers, several at once, and several quantiles of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions

from clearprop.activations import Activation, Exponential, Identity, exponential, identity
from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, DataError
from clearprop.estimators.base import BaseMLP
from clearprop.estimators.parameters import LOSS_NAMES, loss_list
from clearprop.estimators.protocol import available_partial_fit
from clearprop.losses import Loss, Quantile, as_loss
from clearprop.optimizers import LBFGS, Optimizer
from clearprop.penalties import Penalty
from clearprop.schedules import Schedule
from clearprop.training.checkpoint import Checkpoint

#: Standard deviations of a target between which `target_scaling` is not suggested; the larger also limits the mean.
SCALED_DEVIATION = (0.1, 10.0)


class NotNumbers(DataError, TypeError):
    """A target that is not numeric; also a TypeError, as in scikit-learn."""


class MLPRegressor(RegressorMixin, BaseMLP):
    """A feedforward regressor with the parameters, attributes and numbers of scikit-learn's class of this name.

    J = mean over the samples of the loss, summed over the outputs, plus alpha / (2 n) sum W^2 for a batch of n rows.
    What goes beyond scikit-learn changes nothing until it is set. `MLPClassifier` describes what both have; here:

    - `loss`: any of the library's by name or object ("absolute_error", `cp.Huber(1.5)`, `cp.Quantile(0.9)`, "gamma",
      `cp.losses.Tweedie(1.2)`, your own), or a list of them for the same target: `[cp.Quantile(0.1), cp.Quantile(0.9)]`
      predicts both quantiles, (n, 2). Poisson, gamma and Tweedie have the exponential as output.
    - `target_scaling=True` trains on standardized targets and predicts in the unit of y. Targets such as prices need
      it; a fit whose predictions are worse than the mean of such targets warns.

    >>> import numpy as np, clearprop as cp
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = cp.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9).fit(X, 3 * X[:, 0] + 1)
    >>> model.coefs_[0].round(3), model.intercepts_[0].round(3)
    (array([[3.]]), array([1.]))
    """

    _y_numeric = True
    loss: str | Loss | Sequence[str | Loss]
    target_scaling: bool
    _width: int
    _center: np.ndarray
    _scale: np.ndarray
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(LOSS_NAMES), Loss, list, tuple],
        "target_scaling": ["boolean"],
    }

    def __init__(
        self,
        loss: str | Loss | Sequence[str | Loss] = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str | Optimizer | LBFGS = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        target_scaling: bool = False,
        network: Network | None = None,
        skip: bool = False,
        dropout: float | Sequence[float] = 0.0,
        penalty: Penalty | Sequence[Penalty] | None = None,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        scoring: Any = None,
        restore_best: bool = False,
        categorical_features: Any = None,
        n_networks: int = 1,
        n_jobs: int | None = None,
        dtype: Any = None,
        engine: str = "auto",
        on_divergence: str | None = None,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    ) -> None:
        vars(self).update({name: value for name, value in locals().items() if name not in ("self", "__class__")})

    @available_partial_fit
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch on X (n, i) and y."""
        return self._partial_fit(X, y, sample_weight)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2; for a list of losses the mean of D2 (explained fraction of the loss) for quantiles and R2 for others."""
        if not isinstance(self.loss, (list, tuple)):
            return super().score(X, y, sample_weight)
        yhat = self._in_unit_of_y(self._outputs_of(X))
        return self._mean_score(np.asarray(y, np.float64).reshape(len(yhat), -1), yhat, sample_weight)

    def _mean_score(self, y: np.ndarray, yhat: np.ndarray, weight: Any) -> float:
        """The mean of the scores of each loss on its part of the predictions."""
        losses = self._losses()
        several = isinstance(self.loss, (list, tuple))
        return float(
            np.mean(
                [
                    d2_pinball_score(y, part, alpha=loss.q, sample_weight=weight)
                    if several and isinstance(loss, Quantile)
                    else r2_score(y, part, sample_weight=weight)
                    for loss, part in zip(losses, np.split(yhat, len(losses), axis=1), strict=True)
                ]
            )
        )

    def _losses(self) -> list[Loss]:
        return [as_loss(loss) for loss in loss_list(self.loss)]

    def _in_unit_of_y(self, outputs: np.ndarray) -> np.ndarray:
        if not self.target_scaling:
            return outputs
        return (outputs * self._scale + self._center).astype(outputs.dtype, copy=False)

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        yhat = self._in_unit_of_y(outputs)
        several = len(loss_list(self.loss))
        if isinstance(self.loss, (list, tuple)) and self._width > 1:
            return np.stack(np.split(yhat, several, axis=1), axis=2)  # (n, outputs, losses)
        return yhat[:, 0] if yhat.shape[1] == 1 else yhat

    def _score_of(self, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None) -> float:
        return self._mean_score(y, self._in_unit_of_y(outputs), weight)

    # --- the target --------------------------------------------------------------------------------------------------

    def _outputs(self) -> list[tuple[int, Activation, Loss]]:
        losses = self._losses()
        if not losses:
            raise ValueError("loss: expected at least one loss in the list, got none.")
        return [(self._width, exponential if loss.partner is Exponential else identity, loss) for loss in losses]

    def _fit_target(self, y: Any, weight: np.ndarray | None, incremental: bool) -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        rows = _as_numbers(y)
        continues = self._is_trained() and (self.warm_start or incremental)
        if not continues:
            self._width = rows.shape[1]
            if self.target_scaling:
                self._center = np.average(rows, axis=0, weights=weight)
                spread = np.sqrt(np.average((rows - self._center) ** 2, axis=0, weights=weight))
                self._scale = np.where(spread > 0, spread, 1.0)
                losses = len(loss_list(self.loss))
                self._center, self._scale = np.tile(self._center, losses), np.tile(self._scale, losses)
        return self._check_target(rows)

    def _check_target(self, y: np.ndarray) -> np.ndarray:
        rows = _as_numbers(y)
        if rows.shape[1] != self._width:
            raise ValueError(f"y: expected {self._width} outputs as in the first call of fit, got {rows.shape[1]}.")
        return rows

    def _targets(self, y: np.ndarray, loss: Loss, dtype: np.dtype) -> np.ndarray:
        scaled = (y - self._center[: y.shape[1]]) / self._scale[: y.shape[1]] if self.target_scaling else y
        return np.asarray(scaled, dtype)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        return y[:, 0] if y.shape[1] == 1 else y

    def _output_scale(self) -> np.ndarray:
        return self._scale if self.target_scaling else np.ones(1)

    def _hint(self, objective: Objective, params: Parameters) -> str | None:
        if self.target_scaling or any(not isinstance(params.net[name].f, Identity) for name in objective.losses):
            return None
        y = next(iter(objective.targets.values()))
        mean, deviation = y.mean(axis=0), y.std(axis=0)
        least, most = SCALED_DEVIATION
        usual = (np.abs(mean) <= most) & (deviation <= most) & ((deviation >= least) | (deviation == 0))
        if usual.all():
            return None
        constant = np.broadcast_to(mean, y.shape)
        of_mean = sum(
            float(np.average(loss.value_and_delta(identity, constant, constant, y)[0], weights=objective.sample_weight))
            for loss in objective.losses.values()
        )
        cost = objective.cost(params)
        if not cost > of_mean:
            return None
        return (
            f"the predictions are worse than the mean of y: their loss is {cost:.4g}, that of the mean {of_mean:.4g}. "
            f"y has the mean {_shown(mean)} and the standard deviation {_shown(deviation)}; networks learn best if "
            "these are near 0 and 1. Set target_scaling=True, which trains on standardized targets and predicts in the "
            "unit of y."
        )

    # --- conversion -------------------------------------------------------------------------------------------------

    def to_network(self) -> tuple[Network, Parameters]:
        """The network and a copy of its parameters; target scaling becomes part of the output layers.

        Raises ArgumentError for an ensemble, and for scaled targets of an output that is not the identity.
        """
        net, params = super().to_network()
        start = 0
        for name in net.outputs or () if self.target_scaling else ():
            if not isinstance(net[name].f, Identity):
                raise ArgumentError(
                    f'to_network: target scaling cannot become part of the {net[name].f.name} "{name}".'
                )
            units = slice(start, start + net[name].units)
            own = params[name]
            for W in own.W.values():
                W *= self._scale[units]
            assert own.b is not None
            own.b[...] = own.b * self._scale[units] + self._center[units]
            start = units.stop
        return net, params

    @classmethod
    def from_network(cls, net: Network, params: Parameters, loss: str | Loss = "squared_error") -> MLPRegressor:
        """A fitted regressor around a network with one output layer.

        >>> import clearprop as cp
        >>> net = cp.Network.sequential(1, 1)
        >>> params = net.initialize(given={"output": {"input": [[2.0]]}})
        >>> cp.MLPRegressor.from_network(net, params).predict([[3.0]])
        array([6.])
        """
        if len(net.outputs or ()) != 1:
            raise ValueError(f"net: expected one output layer, got {list(net.outputs or ())}.")
        estimator = cls._from_network(net, params, loss=loss)
        estimator._width = estimator.n_outputs_ = net[next(iter(net.outputs or ()))].units
        estimator._set_parameters(params.copy())
        return estimator


def _shown(values: np.ndarray) -> str:
    """One number, or the first of several and a mark."""
    return f"{values[0]:.4g}" + ", ..." * (len(values) > 1)


def _as_numbers(y: np.ndarray) -> np.ndarray:
    """The target as a matrix (n, o) of floats; NotNumbers for text and dates."""
    if y.dtype.kind not in "biuf":
        raise NotNumbers(
            f"y: expected numbers, got values of type {y.dtype}, the first of them {y.flat[0]!r}. "
            "Pass numbers, or use MLPClassifier for labels."
        )
    return np.asarray(y, np.float64).reshape(len(y), -1)
