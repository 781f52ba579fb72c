"""Small estimators and data that the tests of this folder share."""

from __future__ import annotations

import numpy as np

import clearprop as cp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = X[:, 0] + 0.5 * X[:, 1] ** 2
LABELS = np.array(["low", "middle", "high"])[np.digitize(Y, [0, 1])]
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 30, "learning_rate_init": 0.02}


def classifier(**settings):
    return cp.MLPClassifier(**{**SMALL, **settings})


def regressor(**settings):
    return cp.MLPRegressor(**{**SMALL, **settings})


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))
