"""scikit-learn's scorers on a network that is still being trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, make_scorer

from clearprop.core.parameters import Parameters


def score_during_training(estimator: Any, scoring: Any, validation: Any, params: Parameters) -> Callable[[], float]:
    """A function that computes the score of the present parameters on a validation set.

    `scoring` is the name of a scorer or a function of (estimator, X, y).
    """
    scorer: Any = check_scoring(estimator, scoring=scoring)
    kind = _PartlyFittedClassifier if is_classifier(estimator) else _PartlyFitted
    model, labels = kind(estimator, params), estimator._labels(validation.y)
    weights = {} if validation.weight is None else {"sample_weight": validation.weight}
    missing = _missing_classes(estimator, labels)
    if missing:
        scorer = _with_all_labels(scorer, estimator.classes_)

    def score() -> float:
        return float(scorer(model, validation.X, labels, **weights))

    if missing:
        _try(score, scoring, f"no row of the validation set has the class {', '.join(map(repr, missing))}")
    elif is_classifier(estimator) and len(estimator.classes_) == 1:
        _try(score, scoring, f"y has only the class {estimator.classes_.tolist()[0]!r}")
    return score


def _missing_classes(estimator: Any, labels: np.ndarray) -> list[Any]:
    """The classes of a classifier that no row of the validation set has."""
    if not is_classifier(estimator) or np.ndim(labels) != 1:
        return []
    return np.setdiff1d(estimator.classes_, labels).tolist()


def _with_all_labels(scorer: Any, classes: np.ndarray) -> Any:
    """A scorer of scikit-learn that is told all classes, if it takes probabilities; others as they are."""
    function = getattr(scorer, "_score_func", None)
    if function is None or getattr(scorer, "_response_method", "predict") == "predict":
        return scorer
    if "labels" not in signature(function).parameters or "labels" in scorer._kwargs:
        return scorer
    response, sign = scorer._response_method, scorer._sign
    return make_scorer(function, response_method=response, greater_is_better=sign > 0, **scorer._kwargs, labels=classes)


def _try(score: Callable[[], float], scoring: Any, problem: str) -> None:
    """Raise ValueError if a score is undefined because of the classes of the validation set."""
    value, cause = np.nan, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = score()
    except ValueError as error:
        cause = error
    if np.isnan(value):
        raise ValueError(
            f"scoring={scoring!r} is undefined, because {problem}. Give X_val and y_val with rows of every class, "
            'raise validation_fraction, or use scoring="loss".'
        ) from cause


class _PartlyFitted:
    """The estimator for a scorer during fit: it predicts data that is already checked."""

    def __init__(self, estimator: Any, params: Parameters) -> None:
        self._estimator, self._params = estimator, params

    def __getattr__(self, name: str) -> Any:
        """Parameters and attributes of the estimator."""
        if name in ("decision_function", "predict_proba", "predict_log_proba") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._estimator, name)

    def __sklearn_tags__(self) -> Any:
        return self._estimator.__sklearn_tags__()

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self._estimator._decode(self._estimator._sweep(self._params, X))


class _PartlyFittedClassifier(_PartlyFitted):
    """scikit-learn looks at the names of these methods to find the column of a class."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self._estimator._probabilities(self._estimator._sweep(self._params, X))

    def predict_log_proba(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))
