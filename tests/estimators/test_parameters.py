"""The checks of parameters and data that `fit` leaves out find nothing when they are made."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import validate_data

import clearprop as cp
from clearprop.estimators import labels
from clearprop.estimators import parameters as settings
from clearprop.estimators.data import is_plain_target

KINDS = [cp.MLPClassifier, cp.MLPRegressor]
X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 2


class Refusing(cp.MLPClassifier):
    """A subclass whose defaults are wrong, and may change."""

    def __init__(self, alpha: float = -1.0, hidden_layer_sizes: Any = [4], max_iter: Any = True) -> None:  # noqa: B006
        super().__init__(alpha=alpha, hidden_layer_sizes=hidden_layer_sizes, max_iter=max_iter)


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_valid(kind):
    signature = inspect.signature(kind.__init__)
    defaults = settings.checked_defaults(kind, kind.__init__)
    assert len(defaults) == len(kind().get_params()) > 40
    assert all(defaults[name] is signature.parameters[name].default for name in defaults)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["l1", "l2"])
def test_removed_parameters_are_refused(kind, name):
    """`docs/reference/renamed.md` has their successor."""
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        kind(**{name: 0.1})
    with pytest.raises(ValueError, match=f"Invalid parameter '{name}'"):
        kind().set_params(**{name: 0.1})


@pytest.mark.parametrize("wrong", ["l2", 0.1, [0.1], {"l2": 0.1}])
def test_a_penalty_is_an_object(wrong):
    with pytest.raises(ValueError, match="penalty"):
        cp.MLPClassifier(penalty=wrong).fit(X, Y)


@pytest.mark.parametrize("kind", [*KINDS, Refusing])
def test_parameter_names_equal_those_of_scikit_learn(kind):
    assert kind._get_param_names() == BaseEstimator._get_param_names.__func__(kind)
    assert clone(kind()).get_params() == kind().get_params()


def test_wrong_defaults_are_refused():
    assert settings.checked_defaults(Refusing, Refusing.__init__) == {}
    for values, refused in (({}, "alpha"), ({"alpha": 0.0}, "max_iter")):
        with pytest.raises(InvalidParameterError, match=f"The '{refused}' parameter of Refusing must be"):
            Refusing(**values).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="training ended after max_iter=2 epochs"):
        Refusing(alpha=0.0, max_iter=2).fit(X, Y)


def test_a_wrong_value_is_refused_after_any_number_of_fits():
    model = cp.MLPClassifier(hidden_layer_sizes=(3,), max_iter=300, tol=1.0)
    for _ in range(2):
        model.set_params(momentum=0.9).fit(X, Y)
        with pytest.raises(InvalidParameterError, match="The 'momentum' parameter of MLPClassifier must be"):
            model.set_params(momentum=2.0).fit(X, Y)


def ruined(a: np.ndarray, value: float) -> np.ndarray:
    a = a.astype(np.float64)
    a.flat[1] = value
    return a


#: Data, and whether it is taken without scikit-learn's look at it.
DATA: dict[str, tuple[Any, Any, bool]] = {
    "plain": (X, Y, True),
    "single precision": (X.astype(np.float32), Y, True),
    "column order": (np.asfortranarray(X), Y, True),
    "every second": (X[:, ::2], Y, True),
    "text": (X, np.array(["no", "yes"])[Y], True),
    "two targets": (X, X[:, :2], True),
    "flags": (X, Y > 0, True),
    "largest": (np.full_like(X, 1e308), Y, False),
    "NaN": (ruined(X, np.nan), Y, False),
    "infinite": (ruined(X, np.inf), Y, False),
    "NaN in y": (X, ruined(Y, np.nan), False),
    "objects": (X, Y.astype(object), False),
    "whole numbers": (X.astype(np.int64), Y, False),
    "other byte order": (X.astype(">f8"), Y, False),
    "lists": (X.tolist(), Y.tolist(), False),
    "a row short": (X, Y[1:], False),
    "no rows": (X[:0], Y[:0], False),
    "no columns": (X[:, :0], Y, False),
    "a vector": (X[:, 0], Y, False),
    "a matrix": (X.view(np.ma.MaskedArray), Y, False),
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_skips_validation_is_unchanged_by_scikit_learn(case):
    rows, target, plain = DATA[case]
    model = cp.MLPRegressor()
    assert (model._is_plain(rows, reset=True) and is_plain_target(target, len(rows))) == plain
    if plain:
        checked = validate_data(model, rows, target, multi_output=True, dtype=(np.float64, np.float32))
        assert checked[0] is rows
        assert checked[1] is target


NUMBERS, WORDS = np.array([0, 1, 2]), np.array(["a", "b"])
#: Classes passed and known, and whether they are recognized as the same without scikit-learn.
CLASSES: dict[str, tuple[Any, Any, bool]] = {
    "list": ([2, 0, 1, 1], NUMBERS, True),
    "tuple": ((0, 1, 2), NUMBERS, True),
    "array": (NUMBERS[::-1], NUMBERS, True),
    "text": (["b", "a"], WORDS, True),
    "one more": ([0, 1, 2, 3], NUMBERS, False),
    "one less": ([0, 1], NUMBERS, False),
    "none known": ([0, 1], None, False),
    "none": (None, NUMBERS, False),
    "numbers as text": (["0", "1", "2"], NUMBERS, False),
    "mixed": ([0, "1", 2], np.array(["0", "1", "2"]), False),
    "fractions": ([0.0, 1.0, 2.0], NUMBERS, False),
    "two dimensions": (np.array([[0, 1, 2]]), NUMBERS, False),
    "no classes": ([], NUMBERS, False),
}


@pytest.mark.parametrize("case", CLASSES)
def test_classes_recognized_as_known_are_known_to_scikit_learn(case):
    passed, known, same = CLASSES[case]
    assert labels.are_same_classes(passed, known) == same
    if same:
        np.testing.assert_array_equal(unique_labels(passed), known)


def test_partial_fit_refuses_other_classes_after_the_first_call():
    model = cp.MLPClassifier(hidden_layer_sizes=(3,)).partial_fit(X, Y, classes=[0, 1])
    model.partial_fit(X, Y, classes=[1, 0])
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, Y, classes=[0, 1, 2])


def test_no_case_is_lost():
    assert len(DATA) == 20
    assert sum(plain for *_, plain in DATA.values()) == 7
    assert len(CLASSES) == 13
    assert sum(same for *_, same in CLASSES.values()) == 4
