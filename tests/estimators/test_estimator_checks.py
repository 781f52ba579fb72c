"""scikit-learn's checks of its estimator contract, on both classes in many configurations.

The only expected failures are checks that call partial_fit with early stopping, which raises as in scikit-learn.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import clearprop as cp

#: Settings of both classes; the checks fit some hundred times each, so networks are small and epochs few.
CONFIGURATIONS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01, "learning_rate": "adaptive"},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.0, "n_iter_no_change": 3},
    "float32": {"dtype": "float32", "solver": "lbfgs", "max_iter": 5},
    "dropout": {"dropout": 0.2},
    "ensemble": {"n_networks": 2},
    "categories": {"categorical_features": "from_dtype"},
    "skips, own activations": {
        "skip": True,
        "activation": ["silu", cp.activations.LeakyReLU(0.2)],
        "hidden_layer_sizes": (6, 4),
    },
    "an optimizer": {"solver": cp.AdamW(cp.schedules.Cosine(0.02), weight_decay=0.01), "max_iter": 30},
    "penalties and bounds": {
        "penalty": [cp.penalties.L1(1e-3), cp.penalties.L2(1e-3)],
        "max_norm": 3.0,
        "clip_norm": 1.0,
    },
    "no hidden layer": {"hidden_layer_sizes": (), "solver": "lbfgs"},
}
SHARED = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}
OWN = {
    cp.MLPClassifier: [{"class_weight": "balanced"}, {"label_smoothing": 0.1}],
    cp.MLPRegressor: [{"loss": "huber", "target_scaling": True}, {"loss": "absolute_error"}],
}

CALL_PARTIAL_FIT = (
    "check_estimators_partial_fit_n_features",
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
)
ESTIMATORS = [
    kind(**{**SHARED, **settings}) for kind, more in OWN.items() for settings in [*CONFIGURATIONS.values(), *more]
]


def fails(estimator):
    """The checks that fail for an estimator as they do for scikit-learn's own, and why."""
    reason = "partial_fit does not support early_stopping=True, as in scikit-learn"
    return dict.fromkeys(CALL_PARTIAL_FIT, reason) if estimator.early_stopping else {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:batch_size")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=fails)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def test_there_are_enough_configurations():
    assert len(ESTIMATORS) == 28
    assert len({repr(estimator) for estimator in ESTIMATORS}) == 28
    assert np.all([isinstance(estimator, (cp.MLPClassifier, cp.MLPRegressor)) for estimator in ESTIMATORS])
