"""scikit-learn's scorers on a network that is still being trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring

from clearprop.core.parameters import Parameters


def score_during_training(estimator: Any, scoring: Any, validation: Any, params: Parameters) -> Callable[[], float]:
    """A function that computes the score of the present parameters on a validation set.

    `scoring` is the name of a scorer or a function of (estimator, X, y).
    """
    scorer: Any = check_scoring(estimator, scoring=scoring)
    model, labels = _PartlyFitted(estimator, params), estimator._labels(validation.y)
    weights = {} if validation.weight is None else {"sample_weight": validation.weight}
    return lambda: float(scorer(model, validation.X, labels, **weights))


class _PartlyFitted:
    """The estimator for a scorer during fit: it predicts data that is already checked."""

    def __init__(self, estimator: Any, params: Parameters) -> None:
        self._estimator, self._params = estimator, params

    def __getattr__(self, name: str) -> Any:
        """Parameters and attributes of the estimator."""
        if name in ("predict_proba", "predict_log_proba") and hasattr(self._estimator, name):
            return self._probabilities if name == "predict_proba" else lambda X: np.log(self._probabilities(X))
        if name in ("decision_function",) or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._estimator, name)

    def __sklearn_tags__(self) -> Any:
        return self._estimator.__sklearn_tags__()

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self._estimator._decode(self._estimator._sweep(self._params, X))

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return self._estimator._probabilities(self._estimator._sweep(self._params, X))
