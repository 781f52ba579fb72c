"""What MLPClassifier and MLPRegressor share: checks, fit and partial_fit, predictions, and looking inside."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import estimator_html_repr
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from clearprop.activations import Activation
from clearprop.backprop import forward
from clearprop.checks import check_dtype
from clearprop.errors import ArgumentError
from clearprop.estimators import ensemble, settings
from clearprop.estimators.building import gather, output_name, views
from clearprop.estimators.descent import Hooks
from clearprop.estimators.fitting import Data, Fit, make_task
from clearprop.estimators.frames import FrameEncoder, is_frame
from clearprop.losses import CustomLoss, Loss
from clearprop.network import Network
from clearprop.objective import CHUNK, Objective
from clearprop.parameters import Parameters, check_params
from clearprop.sensitivities import input_sensitivities
from clearprop.trace import Trace, backpropagate

#: What an estimator notes about its target, which the members of an ensemble need too.
_TARGET_NOTES = ("_label_binarizer", "_width", "_center", "_scale")


def _has_hidden_layers(estimator: Any) -> bool:
    if estimator.network is not None:
        return len(estimator.network.layers) > len(estimator.network.outputs)
    return len(settings.layer_sizes(estimator.hidden_layer_sizes)) > 0


def _goes_by_batches(estimator: Any) -> bool:
    if not settings.is_stochastic(estimator):
        raise AttributeError("partial_fit goes batch by batch, so it is there for every solver but lbfgs.")
    return True


class BaseMLP(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """The shared part of the estimators; use MLPClassifier or MLPRegressor."""

    _parameter_constraints: dict[str, Any] = settings.CONSTRAINTS

    # --- what the two estimators say differently ---------------------------------------------------------------------

    @abstractmethod
    def _outputs(self) -> list[tuple[int, Activation, Loss]]:
        """Units, activation and loss of each output layer, once the target is known."""

    @abstractmethod
    def _take_target(self, y: Any, incremental: bool) -> np.ndarray:
        """The checked target as a matrix (n, o), with what it tells about the outputs noted."""

    @abstractmethod
    def _targets(self, y: np.ndarray, loss: Loss, dtype: np.dtype) -> np.ndarray:
        """The matrix (n, o) in the form that a loss takes."""

    @abstractmethod
    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions from the activations of the output layers side by side."""

    @abstractmethod
    def _score_of(self, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None) -> float:
        """The score that scikit-learn stops early by."""

    @abstractmethod
    def _labels(self, y: np.ndarray) -> np.ndarray:
        """The matrix (n, o) as a caller would give it."""

    def _stratify(self, y: np.ndarray) -> np.ndarray | None:
        return None

    def _weigh(self, weight: np.ndarray | None, y: Any) -> np.ndarray | None:
        return weight

    # --- fit ---------------------------------------------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train on X (n samples, i features) and y.

        `sample_weight` (n,) weighs the rows. `X_val`, `y_val` and `sample_weight_val` are rows to watch: with
        `early_stopping` they take the place of the share that would be split off. Returns the estimator.
        Raises ValueError for data or parameters that cannot be used, and where training diverges.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=False)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it makes one epoch, with nothing to stop."
            )
        return self._fit(X, y, sample_weight, (None, None, None), incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, held: tuple[Any, Any, Any], *, incremental: bool) -> Any:
        settings.layer_sizes(self.hidden_layer_sizes)
        first = not self._is_trained() or not (self.warm_start or incremental)
        data = self._take(X, y, sample_weight, incremental, first)
        watched = self._take_held(*held)
        if self.restore_best and watched is None and not self.early_stopping:
            raise ValueError("restore_best: expected X_val and y_val in fit, or early_stopping=True, to know the best.")
        self.n_outputs_ = sum(units for units, _, _ in self._outputs())
        if self.n_networks > 1:
            hooks = Hooks(self, X, y, sample_weight, dict)
            ensemble.fit_members(self, data, watched, incremental)
            hooks.end()
            return self
        fit = Fit(self, data, watched, first=first, partial=incremental)
        self._keep(fit.params)
        fit.run(X, y, sample_weight)
        self._keep(fit.params)
        return self

    @with_callbacks
    def _fit_checked(self, parent: Any, data: Data, held: Data | None, incremental: bool) -> Any:
        """Train as a member of an ensemble, on rows that the ensemble has checked."""
        for name in ("n_features_in_", "n_outputs_", "classes_", *_TARGET_NOTES):
            if hasattr(parent, name):
                setattr(self, name, getattr(parent, name))
        self._encoder = None
        fit = Fit(self, data, held, first=not self._is_trained(), partial=incremental)
        self._keep(fit.params)
        fit.run(data.X, data.y, data.weight)
        self._keep(fit.params)
        return self

    def _is_trained(self) -> bool:
        return hasattr(self, "coefs_") or hasattr(self, "members_")

    def _take(self, X: Any, y: Any, sample_weight: Any, incremental: bool, reset: bool) -> Data:
        """Checked rows of the training set."""
        if y is None:
            validate_data(self, X, y, multi_output=True)  # says that y is missing, in scikit-learn's way
        self._encoder = None if reset else getattr(self, "_encoder", None)
        if self.categorical_features is not None and is_frame(X):
            matrix = self._take_frame(X, reset)
            y = _check_y(y, multi_output=True, y_numeric=self._y_numeric, estimator=self)
            check_consistent_length(matrix, y)
        else:
            matrix, y = validate_data(
                self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=self._y_numeric,
                dtype=(np.float64, np.float32), reset=reset,
            )  # fmt: skip
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, matrix)
        target = self._take_target(y, incremental)
        return Data(_dense(matrix), target, self._weigh(weight, y))

    _y_numeric = False

    def _take_frame(self, X: Any, reset: bool) -> np.ndarray:
        validate_data(self, X, skip_check_array=True, reset=reset)
        if reset:
            self._encoder = FrameEncoder.fit(X, self.categorical_features)
        assert self._encoder is not None
        return self._encoder.encode(X, self._precision(np.dtype(np.float64)))

    def _take_held(self, X: Any, y: Any, weight: Any) -> Data | None:
        if X is None and y is None and weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val: expected both, got one of them.")
        matrix = _dense(self._take_rows(X))
        y = _check_y(y, multi_output=True, y_numeric=self._y_numeric, estimator=self)
        check_consistent_length(matrix, y)
        checked = None if weight is None else _check_sample_weight(weight, matrix)
        return Data(matrix, self._held_target(y), checked)

    @abstractmethod
    def _held_target(self, y: np.ndarray) -> np.ndarray:
        """The target of the rows to watch as a matrix (n, o)."""

    def _batch_rows(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the {rows} training rows; all rows make one batch.",
                UserWarning,
                stacklevel=7,
            )
        return min(int(self.batch_size), rows)

    def _precision(self, found: np.dtype) -> np.dtype:
        return check_dtype(found if self.dtype is None else self.dtype)

    def _keep(self, params: Parameters) -> None:
        """The trained parameters, with coefs_ and intercepts_ as views of them."""
        net = params.net
        vars(self).update(self._model_attributes(params))
        self.network_, self.n_layers_ = net, len(net.layers) - len(net.outputs or ()) + 2
        self.out_activation_ = output_name(net[(net.outputs or ())[0]].f)

    def _model_attributes(self, params: Parameters) -> dict[str, Any]:
        coefs, intercepts = views(params)
        return {"coefs_": coefs, "intercepts_": intercepts, "_kept": (params, tuple(coefs), tuple(intercepts))}

    # --- predictions -------------------------------------------------------------------------------------------------

    def _parameters(self) -> Parameters:
        """The parameters that coefs_ and intercepts_ hold now."""
        kept = getattr(self, "_kept", None)
        if kept is not None:
            params, coefs, intercepts = kept
            now = (*self.coefs_, *self.intercepts_)
            if len(now) == len(coefs) + len(intercepts) and all(
                a is b for a, b in zip(now, (*coefs, *intercepts), strict=True)
            ):
                return params
        net = getattr(self, "network_", None) or make_task(self, self.n_features_in_).net
        return gather(net, self.coefs_, self.intercepts_, np.dtype(np.asarray(self.coefs_[0]).dtype))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_kept", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "network_"):
            vars(self).update(self._model_attributes(self._parameters()))

    def _take_rows(self, X: Any) -> Any:
        """Checked rows to predict: a matrix, dense or sparse."""
        if getattr(self, "_encoder", None) is not None:
            validate_data(self, X, skip_check_array=True, reset=False)
            return self._encoder.encode(X, self._precision(np.dtype(np.float64)))
        plain = (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in (np.float64, np.float32)
            and X.shape[1] == self.n_features_in_
            and len(X) > 0
            and not hasattr(self, "feature_names_in_")
        )
        if plain and np.isfinite(X.sum()):  # what validate_data would find, in less time
            return X
        return validate_data(self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)

    def _outputs_of(self, X: Any) -> np.ndarray:
        """Activations of the output layers side by side, (n, outputs); the mean over an ensemble."""
        check_is_fitted(self)
        X = self._take_rows(X)
        if hasattr(self, "members_"):
            return ensemble.mean_outputs(self, X)
        return self._sweep(self._parameters(), X)

    def _sweep(self, params: Parameters, X: Any) -> np.ndarray:
        names = params.net.outputs or ()
        parts = [
            a[names[0]] if len(names) == 1 else np.concatenate([a[name] for name in names], axis=1)
            for a in _activations(params, X)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions for X (n, i): labels or numbers, (n,) or (n, outputs)."""
        return self._decode(self._outputs_of(X))

    # --- what is watched ---------------------------------------------------------------------------------------------

    def _scoring(self, held: Data, objective: Objective, params: Parameters) -> Callable[[], float]:
        """The score of the present parameters on rows that were held out."""
        if self.scoring == "loss":
            return lambda: -objective.cost(params)
        if self.scoring is None:
            return lambda: self._score_or_nan(held, self._sweep(params, objective.X))
        from clearprop.estimators.scoring import score_during_training

        return score_during_training(self, self.scoring, held, params)

    def _score_or_nan(self, held: Data, outputs: np.ndarray) -> float:
        return self._score_of(held.y, outputs, held.weight) if np.isfinite(outputs).all() else np.nan

    # --- looking inside ----------------------------------------------------------------------------------------------

    @available_if(_has_hidden_layers)
    def transform(self, X: Any) -> np.ndarray:
        """Activations of the last hidden layer, (n, units); those of all members of an ensemble side by side."""
        check_is_fitted(self)
        X = self._take_rows(X)
        if hasattr(self, "members_"):
            return np.concatenate([member.transform(X) for member in self.members_], axis=1)
        params = self._parameters()
        last = _last_hidden(params.net)
        return np.concatenate([a[last] for a in _activations(params, X)])

    @property
    def _n_features_out(self) -> int:
        if hasattr(self, "members_"):
            return sum(member._n_features_out for member in self.members_)
        return self.network_[_last_hidden(self.network_)].units

    def input_sensitivities(self, X: Any) -> np.ndarray:
        """How much each output moves with each input: d yhat_o / d x_i, (n, i), or (n, o, i) for several outputs.

        Outputs are what the network gives: probabilities, or numbers in the unit of y. Inputs are columns of X, or the
        inputs that the encoding of a frame makes of them, in the order of `input_names_`.
        """
        check_is_fitted(self)
        X = _dense(self._take_rows(X))
        members = getattr(self, "members_", [self])
        found = np.mean([m._sensitivities(X) for m in members], axis=0)
        return found[:, 0] if found.shape[1] == 1 else found

    def _sensitivities(self, X: np.ndarray) -> np.ndarray:
        params = self._parameters()
        return input_sensitivities(params.net, params, X) * self._output_scale()[:, None]

    def _output_scale(self) -> np.ndarray:
        """By how much the outputs of the network are multiplied to be in the unit of y, (outputs,)."""
        return np.ones(1)

    def explain(self, X: Any, i: int = 0, y: Any = None) -> Trace:
        """The trace of row i of X: every z, a, error signal, delta and gradient of one backward sweep.

        `y` is the target of that row. Without it a classifier takes the class it predicts, and a regressor traces its
        prediction itself: J = sum of the outputs, so that errors and deltas say how the prediction moves.
        Raises ArgumentError for an ensemble: explain one of its `members_`.
        """
        check_is_fitted(self)
        if hasattr(self, "members_"):
            raise ArgumentError("explain: an ensemble has no single trace; use estimator.members_[0].explain(X, i).")
        params = self._parameters()
        row = _dense(self._take_rows(X))[[i]]
        target, losses = self._trace_target(row, y, params)
        return backpropagate(params.net, params, row, target, losses)

    def _trace_target(
        self, row: np.ndarray, y: Any, params: Parameters
    ) -> tuple[Mapping[str, np.ndarray], Mapping[str, Loss]]:
        losses = make_task(self, row.shape[1]).losses
        if y is None:
            y = self._own_answer(self._sweep(params, row))
        else:
            y = self._held_target(np.asarray(y).reshape(1, -1) if np.ndim(y) else np.asarray([y]))
        if y is None:
            itself = CustomLoss("prediction", lambda yhat, y: (yhat, np.ones_like(yhat)))
            zeros = {name: np.zeros((1, params.net[name].units), params.dtype) for name in losses}
            return zeros, dict.fromkeys(losses, itself)
        return {name: self._targets(y, loss, params.dtype) for name, loss in losses.items()}, losses

    def _own_answer(self, outputs: np.ndarray) -> np.ndarray | None:
        return None

    def to_network(self) -> tuple[Network, Parameters]:
        """The network and a copy of its parameters, for `cp.predict`, `cp.backpropagate` and all else.

        Raises ArgumentError for an ensemble, whose `members_` each have their own.
        """
        check_is_fitted(self)
        if hasattr(self, "members_"):
            raise ArgumentError("to_network: an ensemble has several; use estimator.members_[0].to_network().")
        return self._parameters().net, self._parameters().copy()

    @classmethod
    def _from_network(cls, net: Network, params: Parameters, **settings_: Any) -> Any:
        check_params(net, params)
        estimator = cls(network=net, **settings_)
        estimator.n_features_in_, estimator._encoder = net.inputs, None
        estimator.n_iter_ = estimator.t_ = estimator._no_improvement_count = 0
        return estimator

    @property
    def input_names_(self) -> list[str]:
        """The names of the network's inputs: the columns of X, or what the encoding of a frame makes of them."""
        check_is_fitted(self)
        if self._encoder is not None:
            return self._encoder.input_names
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        return [str(name) for name in names]

    def _html_repr(self) -> str:
        """scikit-learn's diagram, and once fitted the drawing of the network under it."""
        diagram = estimator_html_repr(self)
        if not hasattr(self, "coefs_"):
            return diagram
        from clearprop.report.network_drawing import draw_network

        params = self._parameters()
        losses = make_task(self, params.net.inputs).losses
        names = {name: [f"{name} {k}" for k in range(params.net[name].units)] for name in params.net.outputs or ()}
        return diagram + str(draw_network(params.net, params, losses, self.input_names_, names).picture)

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_trained()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else X


def _last_hidden(net: Network) -> str:
    return [layer.name for layer in net.layers if layer.name not in (net.outputs or ())][-1]


def _activations(params: Parameters, X: Any) -> Iterator[dict[str, np.ndarray]]:
    """The activations of every layer, some thousand rows at a time."""
    for start in range(0, X.shape[0], CHUNK):
        rows = X if X.shape[0] <= CHUNK else X[start : start + CHUNK]
        yield forward(params.net, params, np.asarray(_dense(rows), params.dtype)).a
