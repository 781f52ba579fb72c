"""MLPClassifier: labels and probabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from clearprop.activations import Activation, sigmoid, softmax
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.estimators.base import BaseMLP
from clearprop.estimators.labels import are_same_classes, check_target_values, class_weights, fit_labels
from clearprop.estimators.parameters import LOSS_NAMES
from clearprop.estimators.protocol import available_partial_fit
from clearprop.losses import BinaryCrossEntropy, CrossEntropy, Loss, as_loss
from clearprop.optimizers import LBFGS, Optimizer
from clearprop.penalties import Penalty
from clearprop.schedules import Schedule
from clearprop.training.checkpoint import Checkpoint


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A feedforward classifier with the parameters, attributes and numbers of scikit-learn's class of this name.

    J = mean of the cross-entropy (sigmoid outputs for two classes and for multi-label targets, softmax for more) plus
    alpha / (2 n) sum W^2 for a batch of n rows. What goes beyond scikit-learn changes nothing until it is set:

    - `activation`: any of the library's or your own, or a list with one per hidden layer; `dropout` likewise.
    - `solver`: also an optimizer such as `cp.AdamW(0.001)`; `learning_rate`: also a schedule, with any solver.
    - `loss`: "log_loss", or any loss of the library; `label_smoothing`; `soft_targets=True` accepts rows of
      probabilities.
    - `class_weight`: "balanced" or a dict; `max_norm`, `clip_norm`, `clip_value`.
    - `penalty`: one or several, such as `cp.penalties.L1(1e-4)`; unlike `alpha` they are not divided by the batch size.
    - `skip=True` connects the input to every layer; `network` is a `cp.Network` to train instead.
    - `scoring`: the score of `early_stopping`: a scorer, or "loss" for the validation loss; `restore_best` restores the
      parameters of the best epoch. With `validation_fraction=0` the score is that of the training set.
    - `categorical_features="from_dtype"` accepts data frames with categories and missing values.
    - `n_networks` networks are trained in `n_jobs` threads (None: all cores) and averaged.
    - `dtype="float32"` computes in single precision whatever the precision of X.
    - `checkpoint`: a file (or a `cp.Checkpoint`) in which fit saves its state every 10 seconds. With `warm_start=True`
      a new estimator with the same parameters and data continues from it, with the same result bit for bit.
    - `on_divergence`: if numbers become NaN or infinite, "raise" raises, and "keep" warns and restores the best earlier
      parameters (of the best score, or of the lowest loss); None is "keep" if the best epoch is restored, else "raise".

    Raises ValueError (InvalidParameterError for parameters) with the name of the parameter and its allowed values.

    >>> import numpy as np, clearprop as cp
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> model = cp.MLPClassifier((4,), "tanh", solver="lbfgs", random_state=1).fit(X, ["no", "yes", "yes", "no"])
    >>> model.predict(X)
    array(['no', 'yes', 'yes', 'no'], dtype='<U3')
    """

    loss: str | Loss
    class_weight: str | Mapping[Any, float] | None
    label_smoothing: float
    soft_targets: bool
    classes_: np.ndarray
    _label_binarizer: LabelBinarizer
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss", *LOSS_NAMES}), Loss],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "soft_targets": ["boolean"],
    }

    def __init__(
        self,
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
        loss: str | Loss = "log_loss",
        class_weight: str | Mapping[Any, float] | None = None,
        label_smoothing: float = 0.0,
        soft_targets: bool = False,
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one epoch on X (n, i) and y; the first call needs all `classes` of this and later calls."""
        check_target_values(y, labels=True)
        check_target_values(classes, "classes", labels=True)
        known = self.soft_targets or are_same_classes(classes, getattr(self, "classes_", None))
        if not known and _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._partial_fit(X, y, sample_weight)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of the predictions for X (n, i)."""
        check_target_values(y, labels=True)
        return super().score(X, y, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (n, classes), in the order of `classes_`."""
        return self._probabilities(self._outputs_of(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`, (n, classes)."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities)

    def _probabilities(self, outputs: np.ndarray) -> np.ndarray:
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def _decode(self, outputs: np.ndarray) -> Any:
        kind = self._kind
        if kind == "multiclass":
            return self.classes_[outputs.argmax(axis=1)]
        if kind == "binary":
            return self.classes_[(outputs[:, 0] > 0.5).astype(np.intp) % len(self.classes_)]
        return self._label_binarizer.inverse_transform(outputs)  # sparse if the target was sparse

    @property
    def _kind(self) -> str:
        if self.soft_targets:
            return "multiclass"
        kind = self._label_binarizer.y_type_
        return kind if kind in ("binary", "multiclass") else "multilabel"

    def _score_of(self, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None) -> float:
        if self._kind == "multiclass":
            correct = outputs.argmax(axis=1) == y.argmax(axis=1)
        elif len(self.classes_) == 1:
            correct = np.ones(len(y), bool)  # there is only one class to predict
        else:
            correct = ((outputs > 0.5) == (y > 0.5)).all(axis=1)
        if weight is None:
            return np.count_nonzero(correct) / len(correct)
        return float(np.average(correct, weights=weight))

    # --- the target --------------------------------------------------------------------------------------------------

    def _outputs(self) -> list[tuple[int, Activation, Loss]]:
        kind = self._kind
        f = softmax if kind == "multiclass" else sigmoid
        return [(self._units, f, self._loss(kind))]

    def _loss(self, kind: str) -> Loss:
        if self.loss == "log_loss":
            default = CrossEntropy if kind == "multiclass" else BinaryCrossEntropy
            return default(label_smoothing=float(self.label_smoothing))
        if self.label_smoothing:
            raise ValueError(
                "label_smoothing: requires loss='log_loss'; for another loss, set its own label_smoothing."
            )
        return as_loss(self.loss)

    @property
    def _units(self) -> int:
        """The number of output units."""
        if self.soft_targets or self._kind == "multilabel":
            return len(self.classes_)
        return 1 if self._kind == "binary" else len(self.classes_)

    def _fit_target(self, y: Any, weight: np.ndarray | None, incremental: bool) -> np.ndarray:
        if self.soft_targets:
            return self._check_soft_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        known = hasattr(self, "classes_") and (self.warm_start or incremental)
        if not known:
            self._label_binarizer = fit_labels(y)
            self.classes_ = self._label_binarizer.classes_
        elif not incremental and set(unique_labels(y)) != set(self.classes_):
            # begins with the message of scikit-learn
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {unique_labels(y)}. Use partial_fit to train on rows of some "
                "of the classes, or set warm_start=False to begin again."
            )
        return self._binary_rows(y)

    def _binary_rows(self, y: np.ndarray) -> np.ndarray:
        """Labels as one-hot or multi-label rows of booleans, (n, outputs)."""
        if y.ndim != 1 or self._kind == "multilabel":
            self._require_known(np.setdiff1d(unique_labels(y), self.classes_))
            rows = self._label_binarizer.transform(y)
            return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows).astype(bool)
        indices = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        self._require_known(np.unique(y[self.classes_[indices] != y]))
        return indices[:, None] == (np.arange(self._units) if self._units > 1 else 1)

    def _require_known(self, unknown: np.ndarray) -> None:
        if len(unknown):
            raise ValueError(f"y: expected labels among classes_ {self.classes_}, got {unknown.tolist()}.")

    def _check_soft_targets(self, y: np.ndarray) -> np.ndarray:
        if y.ndim != 2 or y.shape[1] < 2:
            raise ValueError(f"y: soft_targets=True expects a row of probabilities per sample, got shape {y.shape}.")
        if not hasattr(self, "classes_") or len(self.classes_) != y.shape[1]:
            self.classes_ = np.arange(y.shape[1])
        return np.asarray(y, np.float64)

    def _check_target(self, y: np.ndarray) -> np.ndarray:
        if self.soft_targets:
            return self._check_soft_targets(y)
        return self._binary_rows(column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y)

    def _targets(self, y: np.ndarray, loss: Loss, dtype: np.dtype) -> np.ndarray:
        if isinstance(loss, CrossEntropy) and not self.soft_targets:
            return y.argmax(axis=1)
        return np.asarray(y, dtype)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        return self._decode(np.asarray(y, np.float64))

    def _predicted_target(self, outputs: np.ndarray) -> np.ndarray:
        if self._kind == "multiclass":
            return np.eye(outputs.shape[1])[outputs.argmax(axis=1)]
        return outputs > 0.5

    def _stratify(self, y: np.ndarray) -> np.ndarray | None:
        """scikit-learn stratifies by class if there is one output, and splits at random otherwise."""
        return y if y.shape[1] == 1 else None

    def _weigh(self, weight: np.ndarray | None, y: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        if y.ndim == 2 and y.shape[1] > 1:
            by_class = compute_sample_weight(self.class_weight, y)
        else:
            by_class = class_weights(self.class_weight, column_or_1d(y), weight)
        return by_class if weight is None else weight * by_class

    # --- conversion -------------------------------------------------------------------------------------------------

    @classmethod
    def from_network(cls, net: Network, params: Parameters, classes: Sequence[Any] | None = None) -> MLPClassifier:
        """A fitted classifier around a network with one output layer: a unit for two classes, or one for each.

        >>> import clearprop as cp
        >>> net = cp.Network.sequential(2, 3, output="softmax")
        >>> cp.MLPClassifier.from_network(net, net.initialize(seed=0), ["a", "b", "c"]).predict([[0.0, 1.0]]).shape
        (1,)
        """
        units = net[next(iter(net.outputs or ()))].units
        labels = np.unique(np.arange(max(2, units)) if classes is None else np.asarray(classes))
        if len(net.outputs or ()) != 1 or len(labels) != max(2, units):
            raise ValueError(
                f"classes: expected {max(2, units)} for a network with one output layer of {units} units, "
                f"got {len(labels)}, and {len(net.outputs or ())} output layers."
            )
        estimator = cls._from_network(net, params)
        estimator._label_binarizer = LabelBinarizer().fit(labels)
        estimator.classes_, estimator.n_outputs_ = labels, units
        estimator._set_parameters(params.copy())
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
