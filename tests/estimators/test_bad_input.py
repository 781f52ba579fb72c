"""Bad input is answered by the exception that scikit-learn raises, and the message names what is wrong."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as theirs

import clearprop as cp

X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.arange(20) % 3
BAD_PARAMETERS: list[tuple[str, Any]] = [
    ("hidden_layer_sizes", (3, 0)), ("hidden_layer_sizes", -1), ("activation", "tenh"), ("activation", 3),
    ("solver", "newton"), ("solver", None), ("alpha", -0.1), ("alpha", "a"), ("batch_size", 0), ("batch_size", "all"),
    ("learning_rate", "falling"), ("learning_rate", 0.1), ("learning_rate_init", 0.0), ("learning_rate_init", "slow"),
    ("power_t", -1), ("max_iter", 0), ("max_iter", 1.5), ("shuffle", "yes"), ("random_state", -1),
    ("random_state", "seed"), ("tol", -1e-3), ("verbose", "loud"), ("warm_start", None), ("momentum", 1.1),
    ("momentum", -0.1), ("nesterovs_momentum", "no"), ("early_stopping", "maybe"), ("validation_fraction", 1.0),
    ("validation_fraction", -0.1), ("beta_1", 1.0), ("beta_1", -0.5), ("beta_2", 1.0), ("epsilon", 0.0),
    ("n_iter_no_change", 0), ("n_iter_no_change", 2.5), ("max_fun", 0), ("max_fun", None),
]  # fmt: skip
BAD_DATA: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "NaN in X": (np.where(X > 1, np.nan, X), Y, {}),
    "infinity in X": (np.where(X > 1, np.inf, X), Y, {}),
    "text in X": (X.astype(str).astype(object) + "a", Y, {}),
    "one dimension": (X[:, 0], Y, {}),
    "three dimensions": (X[:, :, None], Y, {}),
    "no rows": (X[:0], Y[:0], {}),
    "no columns": (X[:, :0], Y, {}),
    "complex X": (X + 1j, Y, {}),
    "fewer labels": (X, Y[:-1], {}),
    "no labels": (X, None, {}),
    "NaN in y": (X, np.where(Y == 1, np.nan, Y), {}),
    "weights of another length": (X, Y, {"sample_weight": np.ones(19)}),
    "weights of two dimensions": (X, Y, {"sample_weight": np.ones((20, 2))}),
    "NaN in weights": (X, Y, {"sample_weight": np.full(20, np.nan)}),
    "NaN in sparse X": (sparse.csr_matrix(np.where(X > 1, np.nan, X)), Y, {}),
    "sparse of a kind that is refused": (sparse.csr_matrix(X).astype(complex), Y, {}),
}


def error_of(call: Any) -> BaseException:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except Exception as error:
            return error
    pytest.fail("nothing was raised")


def pair(kind: str, **settings: Any) -> list[Any]:
    return [getattr(module, kind)(**{"max_iter": 2, "random_state": 0, **settings}) for module in (cp, theirs)]


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_parameters(name, value, kind):
    ours, other = (error_of(lambda m=m: m.fit(X, Y)) for m in pair(kind, **{name: value}))
    assert isinstance(ours, type(other)), (ours, other)
    assert name in str(ours)
    assert re.search(r"must be|expected", str(ours))


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("case", BAD_DATA)
def test_data_to_fit(case, kind):
    rows, y, more = BAD_DATA[case]
    ours, other = (error_of(lambda m=m: m.fit(rows, y, **more)) for m in pair(kind))
    assert isinstance(ours, type(other)), (ours, other)
    assert str(ours) == str(other)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_validation_rows_need_a_positive_weight(kind):
    weights = np.where(np.arange(20) == 19, 1.0, 0.0)  # which is not split off
    ours, other = (error_of(lambda m=m: m.fit(X, np.arange(20) % 2, weights)) for m in pair(kind, early_stopping=True))
    assert isinstance(ours, type(other)), (ours, other)
    assert str(ours).startswith(str(other).rstrip("."))
    assert "all 2 of its rows have the weight 0" in str(ours)


@pytest.mark.parametrize("y", [Y.astype(str), Y.astype("M8[D]"), Y.astype("m8[s]")], ids=["text", "dates", "durations"])
def test_the_target_of_a_regressor_is_numeric(y):
    """scikit-learn's answer comes from the middle of NumPy: a subtraction that it has no rule for."""
    ours, other = (error_of(lambda m=m: m.fit(X, y)) for m in pair("MLPRegressor"))
    assert isinstance(ours, (ValueError, TypeError))
    assert isinstance(other, TypeError)
    assert f"y: expected numbers, got values of type {y.dtype}, the first of them {y[0]!r}." in str(ours)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("case", [case for case, (_, y, more) in BAD_DATA.items() if y is Y and not more])
def test_data_to_predict(case, kind):
    models = [m.fit(X, Y) for m in _quiet(pair(kind))]
    ours, other = (error_of(lambda m=m: m.predict(BAD_DATA[case][0])) for m in models)
    assert isinstance(ours, type(other)), (ours, other)
    assert str(ours) == str(other)


def _quiet(models: list[Any]) -> list[Any]:
    warnings.simplefilter("ignore")
    return models


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "transform", "explain", "to_network"])
def test_before_fit(method):
    from sklearn.exceptions import NotFittedError

    arguments = {"score": (X, Y), "to_network": ()}.get(method, (X,))
    with pytest.raises(NotFittedError, match="MLPClassifier instance is not fitted yet"):
        getattr(cp.MLPClassifier(), method)(*arguments)


def test_different_columns_than_in_fit():
    models = [m.fit(X, Y) for m in _quiet(pair("MLPClassifier"))]
    ours, other = (error_of(lambda m=m: m.predict(X[:, :2])) for m in models)
    assert isinstance(ours, type(other))
    assert str(ours) == str(other)


@pytest.mark.parametrize(
    ("settings", "fit", "message"),
    [
        ({}, {"X_val": X}, "X_val and y_val: expected both, got one of them."),
        ({}, {"X_val": X, "y_val": Y[:5]}, "inconsistent numbers of samples"),
        ({}, {"X_val": X[:, :2], "y_val": Y}, "X has 2 features, but MLPClassifier is expecting 3"),
        ({}, {"X_val": X, "y_val": Y + 5}, "y: expected labels among classes_ [0 1 2], got [5, 6, 7]."),
        ({"restore_best": True}, {}, "restore_best: expected X_val and y_val in fit, or early_stopping=True"),
        ({"scoring": "acuracy"}, {"X_val": X, "y_val": Y}, "'scoring' parameter of MLPClassifier must be a str among"),
        ({"class_weight": "even"}, {}, "The 'class_weight' parameter of MLPClassifier must be"),
        ({"class_weight": {7: 1}}, {}, "are not in class_weight"),
        ({"dropout": [0.1, 0.2]}, {}, "dropout: expected one number, or a list of 1, got a list of 2."),
        ({"activation": ["tanh"] * 3}, {}, "activation: expected one, or one for each of 1 hidden layers"),
        (
            {"solver": cp.Adam(), "learning_rate": cp.schedules.Cosine(0.1)},
            {},
            "the optimizer passed as solver has its own learning rate",
        ),
        ({"solver": "lbfgs", "clip_norm": 1.0}, {}, "L-BFGS takes no clip_norm"),
        ({"network": cp.Network.sequential(2, 3)}, {}, "network: expected 3 inputs and outputs of [3] units"),
        ({"loss": "squared_error", "label_smoothing": 0.1}, {}, "label_smoothing: requires loss='log_loss'"),
    ],
    ids=[f"beyond {i}" for i in range(14)],
)
def test_parameters_beyond_scikit_learn(settings, fit, message):
    ours = error_of(lambda: cp.MLPClassifier(max_iter=2, random_state=0, **settings).fit(X, Y, **fit))
    assert isinstance(ours, ValueError)
    assert message in str(ours)


def test_no_case_is_lost():
    assert len(BAD_PARAMETERS) == 37
    assert {name for name, _ in BAD_PARAMETERS} == set(theirs.MLPClassifier().get_params())
    assert len(BAD_DATA) == 16
