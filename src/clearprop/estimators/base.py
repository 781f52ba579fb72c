"""The base class of MLPClassifier and MLPRegressor: validation of data, fit and partial_fit, predictions."""

from __future__ import annotations

import sys
from abc import ABC
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import validation
from sklearn.utils.validation import _check_sample_weight, _check_y, check_consistent_length, check_is_fitted

from clearprop.checks import check_dtype, exclusive
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import CompilationError, warn_user
from clearprop.estimators import ensemble
from clearprop.estimators import parameters as settings
from clearprop.estimators.adapter import gather, output_name, views
from clearprop.estimators.data import Data, by_rows, is_finite, is_plain_target
from clearprop.estimators.fitting import Fit, checkpoint_of
from clearprop.estimators.frames import FrameEncoder, frame_hint, is_frame
from clearprop.estimators.inspection import InspectionMixin, activations
from clearprop.estimators.labels import check_target_values
from clearprop.estimators.protocol import Hooks
from clearprop.estimators.task import make_task

#: Fitted attributes of a single network; in an ensemble its members have them.
_SINGLE_NETWORK_ATTRIBUTES = (
    "coefs_", "intercepts_", "_views", "network_", "t_", "loss_curve_", "best_loss_", "validation_scores_",
    "best_validation_score_", "validation_loss_curve_", "_best", "_no_improvement_count", "_optimizer", "_seeded",
)  # fmt: skip
#: Attributes that describe the target, which are copied to the members of an ensemble.
_TARGET_ATTRIBUTES = ("_label_binarizer", "_width", "_center", "_scale")


#: scikit-learn's own, whose annotations declare X and y as strings.
validate_data: Any = validation.validate_data


#: The parameters and the compiled predictor of each estimator; stored here because predict must not set attributes.
_PREDICTORS: WeakKeyDictionary[BaseEstimator, tuple[Parameters, Any]] = WeakKeyDictionary()
#: Compiled prediction is faster from this many rows; with fewer, copying the parameters takes longer.
MIN_COMPILED_ROWS = 64
#: Rows times parameters from which loading the compiled engine pays off for one prediction.
MIN_LOADING_WORK = 20_000_000_000


@lru_cache(maxsize=256)
def _parameter_names(kind: type[BaseMLP], init: Any) -> tuple[str, ...]:
    """The parameter names that scikit-learn reads from the signature of the constructor, cached."""
    del init
    return tuple(super(BaseMLP, kind)._get_param_names())


class BaseMLP(
    InspectionMixin, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC
):
    """The base class of the estimators; use MLPClassifier or MLPRegressor."""

    _parameter_constraints: ClassVar[dict[str, Any]] = settings.CONSTRAINTS

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return list(_parameter_names(cls, cls.__init__))

    def _validate_params(self) -> None:
        kind = type(self)
        defaults, missing = settings.checked_defaults(kind, kind.__init__), object()
        values = self.get_params(deep=False)
        settings.check_parameters(kind, {name: a for name, a in values.items() if a is not defaults.get(name, missing)})

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

        `sample_weight` (n,) are the weights of the rows. `X_val`, `y_val` and `sample_weight_val` are a validation set:
        with `early_stopping` it replaces the fraction that would be split off. Returns the estimator.
        Raises ValueError for invalid data or parameters, and if training diverges.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=False)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it runs a single epoch.")
        return self._fit(X, y, sample_weight, (None, None, None), incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], *, incremental: bool) -> Any:
        busy = f"{type(self).__name__}: this estimator is already being fitted in another thread; fit a clone of it."
        with exclusive(id(self), busy):
            return self._fit_exclusively(X, y, sample_weight, validation, incremental)

    def _fit_exclusively(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], incremental: bool
    ) -> Any:
        before = dict(vars(self))
        try:
            first = not self._is_trained() or not (self.warm_start or incremental)
            data, held_out = self._check_data(X, y, sample_weight, validation, incremental, first)
            if self.n_networks > 1:
                hooks = Hooks(self, X, y, sample_weight, dict)
                ensemble.fit_members(self, data, held_out, incremental, hooks)
                for name in _SINGLE_NETWORK_ATTRIBUTES:  # left by an earlier fit of a single network
                    vars(self).pop(name, None)
                hooks.end()
                return self
            fit = Fit(self, data, held_out, first=first, partial=incremental)
        except BaseException:
            self._restore_attributes(before)
            raise
        self._run(fit, before, X, y, sample_weight)
        return self

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], incremental: bool, first: bool
    ) -> tuple[Data, Data | None]:
        """The checked training set and validation set; sets the attributes that describe them."""
        settings.layer_sizes(self.hidden_layer_sizes)
        if not incremental:
            checkpoint_of(self)
        data = self._check_training(X, y, sample_weight, incremental, first)
        held_out = self._check_validation(*validation)
        if self.restore_best and held_out is None and not self.early_stopping:
            raise ValueError(
                "restore_best: expected X_val and y_val in fit, or early_stopping=True, to find the best epoch."
            )
        self.n_outputs_ = sum(units for units, _, _ in self._outputs())
        return data, held_out

    def _run(self, fit: Fit, before: dict[str, Any], X: Any, y: Any, sample_weight: Any) -> None:
        """Train, with the parameters set meanwhile; restores the attributes if training fails before its first step."""
        vars(self).pop("members_", None)
        self._set_parameters(fit.params)
        try:
            self._set_parameters(fit.run(X, y, sample_weight))
        except BaseException:
            if not fit.started:
                self._restore_attributes(before)
            raise

    def _restore_attributes(self, before: dict[str, Any]) -> None:
        """Restore all attributes, so that a fit that raises leaves the earlier model unchanged."""
        vars(self).clear()
        vars(self).update(before)

    @with_callbacks
    def _fit_checked(self, parent: Any, data: Data, validation: Data | None, incremental: bool) -> Any:
        """Train as a member of an ensemble, on data that the ensemble has checked."""
        before = dict(vars(self))
        for name in ("n_features_in_", "n_outputs_", "classes_", *_TARGET_ATTRIBUTES):
            if hasattr(parent, name):
                setattr(self, name, getattr(parent, name))
        self._encoder = None
        fit = Fit(self, data, validation, first=not self._is_trained(), partial=incremental)
        self._run(fit, before, data.X, data.y, data.weight)
        return self

    def _is_trained(self) -> bool:
        """Whether training can continue: there is a network, or there are members for an ensemble."""
        return hasattr(self, "members_" if self.n_networks > 1 else "coefs_")

    def _check_training(self, X: Any, y: Any, sample_weight: Any, incremental: bool, reset: bool) -> Data:
        """The checked training set."""
        if y is None:
            validate_data(self, X, y, multi_output=True)  # raises scikit-learn's error for a missing y
        check_target_values(y, labels=not self._y_numeric)
        self._encoder = None if reset else getattr(self, "_encoder", None)
        if self._encoder is not None:
            self._encoder.require_frame(X)
        if self.categorical_features is not None and is_frame(X):
            matrix = self._encode_frame(X, reset)
            y = _check_y(y, multi_output=True, y_numeric=self._y_numeric, estimator=self)
            check_consistent_length(matrix, y)
        elif self._is_plain(X, reset) and is_plain_target(y, len(X)):
            matrix, self.n_features_in_ = X, X.shape[1]
        else:
            with frame_hint(X, type(self).__name__):
                matrix, y = validate_data(
                    self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=self._y_numeric,
                    dtype=(np.float64, np.float32), reset=reset,
                )  # fmt: skip
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, matrix)
        target = self._fit_target(y, weight, incremental)
        return Data(by_rows(matrix), target, self._weigh(weight, y))

    _y_numeric = False

    def _encode_frame(self, X: Any, reset: bool) -> np.ndarray:
        validate_data(self, X, skip_check_array=True, reset=reset)
        if reset:
            self._encoder = FrameEncoder.fit(X, self.categorical_features)
        assert self._encoder is not None
        return self._encoder.encode(X, self._precision(np.dtype(np.float64)))

    def _check_validation(self, X: Any, y: Any, weight: Any) -> Data | None:
        if X is None and y is None and weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val: expected both, got one of them.")
        check_target_values(y, "y_val", labels=not self._y_numeric)
        matrix = by_rows(self._check_rows(X))
        y = _check_y(y, multi_output=True, y_numeric=self._y_numeric, estimator=self)
        check_consistent_length(matrix, y)
        checked = None if weight is None else _check_sample_weight(weight, matrix)
        return Data(matrix, self._check_target(y), checked)

    def _batch_rows(self, rows: int) -> int:
        if isinstance(self.batch_size, str):  # "auto"
            return min(200, rows)
        if self.batch_size > rows:
            warn_user(
                f"batch_size={self.batch_size} is larger than the {rows} training rows; all rows make one batch.",
                UserWarning,
            )
        return min(int(self.batch_size), rows)

    def _precision(self, dtype: np.dtype) -> np.dtype:
        return check_dtype(dtype if self.dtype is None else self.dtype)

    def _set_parameters(self, params: Parameters) -> None:
        """Set the fitted attributes: coefs_ and intercepts_ are views of the parameters."""
        net = params.net
        vars(self).update(self._model_attributes(params))
        self.network_, self.n_layers_ = net, len(net.layers) - len(net.outputs or ()) + 2
        self.out_activation_ = output_name(net[next(iter(net.outputs or ()))].f)

    def _model_attributes(self, params: Parameters) -> dict[str, Any]:
        coefs, intercepts = views(params)
        return {"coefs_": coefs, "intercepts_": intercepts, "_views": (params, tuple(coefs), tuple(intercepts))}

    # --- predictions -------------------------------------------------------------------------------------------------

    def _parameters(self) -> Parameters:
        """The parameters with the present values of coefs_ and intercepts_."""
        stored = getattr(self, "_views", None)
        if stored is not None:
            params, coefs, intercepts = stored
            now = (*self.coefs_, *self.intercepts_)
            if len(now) == len(coefs) + len(intercepts) and all(
                a is b for a, b in zip(now, (*coefs, *intercepts), strict=True)
            ):
                return params
        net = getattr(self, "network_", None) or make_task(self, self.n_features_in_).net
        return gather(net, self.coefs_, self.intercepts_, np.dtype(np.asarray(self.coefs_[0]).dtype))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        state.pop("_views", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "network_"):
            vars(self).update(self._model_attributes(self._parameters()))

    def _check_rows(self, X: Any) -> Any:
        """The checked X of a prediction: a dense or sparse matrix."""
        if getattr(self, "_encoder", None) is not None:
            assert self._encoder is not None
            self._encoder.require_frame(X)
            validate_data(self, X, skip_check_array=True, reset=False)
            return self._encoder.encode(X, self._precision(np.dtype(np.float64)))
        if self._is_plain(X, reset=False):
            return X
        return validate_data(self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)

    def _is_plain(self, X: Any, reset: bool) -> bool:
        """Whether validate_data would return X unchanged; a faster check."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in (np.float64, np.float32)
            and X.size > 0
            and (reset or X.shape[1] == self.n_features_in_)
            and not hasattr(self, "feature_names_in_")
            and is_finite(X)
        )

    def _outputs_of(self, X: Any) -> np.ndarray:
        """Activations of the output layers side by side, (n, outputs); the mean over an ensemble."""
        check_is_fitted(self)
        X = self._check_rows(X)
        if hasattr(self, "members_"):
            return ensemble.mean_outputs(self, X)
        return self._sweep(self._parameters(), X)

    def _sweep(self, params: Parameters, X: Any) -> np.ndarray:
        predictor = self._predictor(params, X.shape[0])
        if predictor is None:
            return np.concatenate([_side_by_side(a, params.net) for a in activations(params, X)])
        rows = predictor(X if issparse(X) else np.ascontiguousarray(X, params.dtype))
        return rows if isinstance(rows, np.ndarray) else _side_by_side(rows, params.net)

    def _predictor(self, params: Parameters, rows: int) -> Any:
        """The compiled predictor with the present parameters, or None if plain NumPy is faster.

        Compiled code pays off for many rows if the engine is loaded already, as it is after a fit, or if there is so
        much work that loading it does not matter.
        """
        work = rows * params.flat.size
        is_loaded = "clearprop.engine.compiled.step" in sys.modules
        if (
            rows < MIN_COMPILED_ROWS
            or self.engine not in ("auto", "compiled")
            or not (is_loaded or work > MIN_LOADING_WORK)
        ):
            return None
        from clearprop.engine.compiled.predictor import Predictor

        cached = _PREDICTORS.get(self)
        if cached is None or cached[0] is not params:
            try:
                cached = params, Predictor(params.net, params)
            except CompilationError:  # fit has warned about it
                cached = params, None
            _PREDICTORS[self] = cached
        elif cached[1] is not None:
            cached[1].read(params)
        return cached[1]

    def predict(self, X: Any) -> np.ndarray:
        """Predictions for X (n, i): labels or numbers, (n,) or (n, outputs)."""
        return self._decode(self._outputs_of(X))

    # --- validation score -------------------------------------------------------------------------------------------

    def _scoring(self, validation: Data, params: Parameters) -> Callable[[float, np.ndarray], float]:
        """The function that computes the score of a validation set from its cost and outputs."""
        if self.scoring == "loss":
            return lambda cost, outputs: -cost
        if self.scoring is None:
            return lambda cost, outputs: self._score_or_nan(validation, outputs)
        from clearprop.estimators.scoring import score_during_training

        scorer = score_during_training(self, self.scoring, validation, params)
        return lambda cost, outputs: scorer()

    def _score_or_nan(self, validation: Data, outputs: np.ndarray) -> float:
        return self._score_of(validation.y, outputs, validation.weight) if np.isfinite(outputs).all() else np.nan

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_") or hasattr(self, "members_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if self.dtype is not None and tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = [str(np.dtype(self.dtype))]
        return tags


def _side_by_side(outputs: Mapping[str, np.ndarray], net: Network) -> np.ndarray:
    """The activations of the output layers, (n, outputs)."""
    parts = [outputs[name] for name in net.outputs or ()]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
