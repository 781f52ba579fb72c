"""Labels and targets as people have them: missing, mixed, of a class with one row, absent from the validation set."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, roc_auc_score

import clearprop as cp
from clearprop.errors import DataError
from clearprop.estimators.labels import check_target_values

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(21)
X = RNG.normal(size=(40, 2))
TEXTS = ["a", "b"] * 20
NUMBERS = [1.0, 2.0] * 20

MISSING = {
    "None": ([None, *TEXTS[1:]], "None in row 0"),
    "None in the middle": ([*TEXTS[:7], None, *TEXTS[8:]], "None in row 7"),
    "pd.NA": (pd.Series([pd.NA, *TEXTS[1:]], dtype="string"), "<NA> in row 0"),
    "pd.NA among objects": (np.array([pd.NA, *NUMBERS[1:]], dtype=object), "<NA> in row 0"),
    "NaN among texts": (np.array([np.nan, *TEXTS[1:]], dtype=object), "nan in row 0"),
    "category": (pd.Series(pd.Categorical([None, *TEXTS[1:]])), "nan in row 0"),
    "polars": (pl.Series([None, *TEXTS[1:]]), "None in row 0"),
    "a column": (np.array([[None], *([v] for v in TEXTS[1:])], dtype=object), "None in row 0"),
    "two columns": ([[1, 0], [1, None], *[[0, 1]] * 38], "None in row 1"),
    "NaT": (pd.Series([pd.NaT] * 40), "in row 0"),
}
MIXED = {
    "array": np.array([1, *TEXTS[1:]], dtype=object),
    "list": [1, *TEXTS[1:]],
    "series": pd.Series([1, *TEXTS[1:]]),
    "booleans": [True, *TEXTS[1:]],
}


@pytest.mark.parametrize("kind", [cp.MLPClassifier, cp.MLPRegressor])
@pytest.mark.parametrize("case", MISSING)
def test_missing_values_are_named(case, kind):
    y, expected = MISSING[case]
    thing = "label" if kind is cp.MLPClassifier else "number"
    with pytest.raises(
        DataError, match=rf"y: expected a {thing} in each row, got .*{expected} \(\d+ such rows? in all"
    ):
        kind(hidden_layer_sizes=(4,), max_iter=3).fit(X, y)


@pytest.mark.parametrize("case", MIXED)
def test_texts_among_other_labels_are_named(case):
    with pytest.raises(DataError, match=r"y: expected labels of one type, got 'b' in row 1 and (1|True) in row 0"):
        cp.MLPClassifier((4,), max_iter=3).fit(X, MIXED[case])


def test_the_other_arguments_are_checked_too():
    model = cp.MLPClassifier((4,), max_iter=3)
    with pytest.raises(DataError, match="y_val: expected a label in each row, got None in row 1"):
        model.fit(X, TEXTS, X_val=X[:2], y_val=["a", None])
    with pytest.raises(DataError, match="classes: expected labels of one type"):
        model.partial_fit(X, TEXTS, classes=["a", "b", 3])
    with pytest.raises(DataError, match="y: expected a label in each row, got None"):
        model.partial_fit(X, [None, *TEXTS[1:]], classes=["a", "b"])
    assert not hasattr(model, "classes_")
    with pytest.raises(DataError, match="y: expected a label in each row, got None"):
        model.fit(X, TEXTS).score(X, [None, *TEXTS[1:]])


@pytest.mark.parametrize("y", [TEXTS, NUMBERS, np.array(TEXTS), pd.Series(TEXTS), [[1, 2]], [[1], [1, 2]], [], None])
def test_what_is_left_to_scikit_learn(y):
    assert check_target_values(y, labels=True) is None


# --- partial_fit with warm_start -------------------------------------------------------------------------------------


def test_partial_fit_with_warm_start_takes_rows_of_some_classes():
    y = np.tile(np.arange(4), 10)
    models = [cp.MLPClassifier((8,), warm_start=warm, random_state=0) for warm in (True, False)]
    for model in models:
        for i in range(40):
            model.partial_fit(X[i : i + 1], y[i : i + 1], classes=np.arange(4) if i == 0 else None)
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])


def test_fit_with_fewer_classes_names_the_way_out():
    model = cp.MLPClassifier((8,), warm_start=True, max_iter=5).fit(X, TEXTS)
    with pytest.raises(ValueError, match=r"same classes as .* Use partial_fit .* or set warm_start=False"):
        model.fit(X[:1], TEXTS[:1])


# --- early stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [object, str])
def test_a_class_with_one_row_is_named(dtype):
    y = np.array(["fault", *["ok"] * 39], dtype=dtype)
    with pytest.raises(
        ValueError, match=r"y: the class 'fault' has only 1 row; early_stopping=True needs at least 2 rows"
    ):
        cp.MLPClassifier((4,), early_stopping=True).fit(X, y)
    cp.MLPClassifier((4,), early_stopping=True, validation_fraction=0, max_iter=3).fit(X, y)


def test_a_validation_set_too_small_for_the_classes_is_explained():
    with pytest.raises(
        ValueError, match=r"validation_fraction=0\.1 of 4 rows makes a validation set of 1 and a training"
    ):
        cp.MLPClassifier((4,), early_stopping=True).fit(X[:4], TEXTS[:4])


THREE = np.array(["low", "mid", "rare"])[np.where(np.arange(40) < 4, 2, (X[:, 0] > 0).astype(int))]
LACKING = {"X_val": X[8:], "y_val": THREE[8:]}


def test_the_log_loss_knows_classes_that_the_validation_set_lacks():
    model = cp.MLPClassifier((8,), early_stopping=True, scoring="neg_log_loss", max_iter=3, random_state=0)
    model.fit(X, THREE, **LACKING)
    best = cp.MLPClassifier((8,), max_iter=3, random_state=0).fit(X, THREE)
    expected = -log_loss(THREE[8:], best.predict_proba(X[8:]), labels=["low", "mid", "rare"])
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_log_loss_is_computed_for_every_split(seed):
    model = cp.MLPClassifier((4,), early_stopping=True, scoring="neg_log_loss", max_iter=2, random_state=seed)
    assert np.isfinite(model.fit(X, THREE).validation_scores_).all()


def test_an_undefined_score_is_refused_by_name():
    model = cp.MLPClassifier((8,), early_stopping=True, scoring="roc_auc_ovr", max_iter=3)
    with pytest.raises(
        ValueError, match=r"scoring='roc_auc_ovr' is undefined, because no row .* has the class 'rare'\. Give X_val"
    ):
        model.fit(X, THREE, **LACKING)
    two = np.array(TEXTS)
    model = cp.MLPClassifier((8,), early_stopping=True, scoring="roc_auc", max_iter=3)
    with pytest.raises(ValueError, match=r"scoring='roc_auc' is undefined, because no row .* has the class 'b'\. Give"):
        model.fit(X, two, X_val=X[::2], y_val=two[::2])
    for scoring in ("roc_auc", "neg_log_loss"):
        with pytest.raises(ValueError, match=f"scoring='{scoring}' is undefined, because y has only the class 'a'"):
            cp.MLPClassifier((8,), early_stopping=True, scoring=scoring).fit(X, ["a"] * 40)


@pytest.mark.parametrize("y", [np.array(TEXTS), np.array(TEXTS) == "b", np.arange(40) % 2])
def test_the_area_under_the_curve_of_two_classes(y):
    model = cp.MLPClassifier((8,), early_stopping=True, scoring="roc_auc", max_iter=3, random_state=0)
    model.fit(X, y, X_val=X, y_val=y)
    plain = cp.MLPClassifier((8,), max_iter=3, random_state=0).fit(X, y)
    assert model.validation_scores_[-1] == pytest.approx(roc_auc_score(y, plain.predict_proba(X)[:, 1]))


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_brier_score", lambda model, X, y: float(len(y))])
def test_other_scores_stay_as_they_are(scoring):
    model = cp.MLPClassifier((8,), early_stopping=True, scoring=scoring, max_iter=3, random_state=0)
    assert np.isfinite(model.fit(X, THREE, **LACKING).validation_scores_).all()


# --- the units of the hidden layers, and the scale of the target -----------------------------------------------------


@pytest.mark.parametrize("sizes", [(64,), 64, [64, 32]])
def test_units_in_place_of_the_loss_are_recognized(sizes):
    with pytest.raises(
        ValueError, match=r"'loss' parameter .* name the parameter: MLPRegressor\(hidden_layer_sizes="
    ) as e:
        cp.MLPRegressor(sizes).fit(X, X[:, 0])
    assert f"hidden_layer_sizes={sizes!r}" in str(e.value)


SLOPE = 1e5 + 5e4 * X[:, 0]
UNSCALED = {
    "prices": (SLOPE, {}),
    "small": (1e-4 * X[:, 0], {}),
    "several": (np.c_[SLOPE, X[:, 1]], {}),
    "quantiles": (SLOPE, {"loss": [cp.Quantile(0.05), cp.Quantile(0.95)]}),
    "huber": (SLOPE, {"loss": "huber"}),
}
SCALED = {
    "standardized": (X[:, 0], {}),
    "target_scaling": (SLOPE, {"target_scaling": True}),
    "L-BFGS": (SLOPE, {"solver": "lbfgs"}),
    "constant": (np.full(40, 5.0), {}),
    "exponential": (np.exp(5 + X[:, 0]), {"loss": "poisson"}),
}


@pytest.mark.parametrize("case", [*UNSCALED, *SCALED])
def test_unscaled_targets_are_pointed_out(case):
    y, options = {**UNSCALED, **SCALED}[case]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        cp.MLPRegressor(hidden_layer_sizes=(8,), max_iter=40, random_state=0, **options).fit(X, y)
    hints = [w for w in caught if "Set target_scaling=True" in str(w.message)]
    assert len(hints) == (case in UNSCALED)
    assert all("worse than the mean of y" in str(w.message) and w.filename == __file__ for w in hints)
