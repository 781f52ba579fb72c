"""Calls one after the other on one estimator, with parameters changed in between: each goes by what holds then."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from estimators.small import LABELS, X, Y, classifier, regressor, same
from sklearn import neural_network as theirs

import clearprop as cp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSES = np.unique(LABELS)


# --- one network and several -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_fit_with_another_n_networks_removes_earlier_networks(make, before, after):
    target = LABELS if make is classifier else Y
    model = make(n_networks=before, max_iter=3).fit(X, target).set_params(n_networks=after).fit(X, target)
    fresh = make(n_networks=after, max_iter=3).fit(X, target)
    np.testing.assert_array_equal(model.predict(X), fresh.predict(X))
    np.testing.assert_array_equal(model.transform(X), fresh.transform(X))
    noted = {name for name in vars(model) if name.endswith("_")}
    assert noted == {name for name in vars(fresh) if name.endswith("_")}


@pytest.mark.parametrize("after", [1, 3])
def test_a_refused_fit_leaves_the_earlier_networks(after):
    model = classifier(n_networks=4 - after, max_iter=3).fit(X, LABELS)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="the optimizer passed as solver has its own learning rate"):
        model.set_params(n_networks=after, solver=cp.Adam(), learning_rate=cp.schedules.Cosine(0.1)).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_members_continue_with_the_present_parameters():
    model = classifier(n_networks=2, warm_start=True, max_iter=3, n_iter_no_change=50).fit(X, LABELS)
    model.set_params(max_iter=7, solver="sgd", alpha=3.0).fit(X, LABELS)
    assert [member.n_iter_ for member in model.members_] == [7, 7]
    for member in model.members_:
        alone = classifier(random_state=member.random_state, warm_start=True, max_iter=3, n_iter_no_change=50).fit(
            X, LABELS
        )
        assert same(member, alone.set_params(max_iter=7, solver="sgd", alpha=3.0).fit(X, LABELS))
    model.set_params(alpha=0.0).partial_fit(X, LABELS)
    assert {member.alpha for member in model.members_} == {0.0}


def test_members_are_added_and_removed():
    model = classifier(n_networks=2, warm_start=True, max_iter=3, n_iter_no_change=50).fit(X, LABELS)
    two = [member.random_state for member in model.members_]
    model.set_params(n_networks=4).fit(X, LABELS)
    assert [member.t_ for member in model.members_] == [480, 480, 240, 240]
    assert len({member.random_state for member in model.members_}) == 4
    model.set_params(n_networks=1 + 1).partial_fit(X, LABELS)
    assert [member.random_state for member in model.members_] == two


# --- the generator ---------------------------------------------------------------------------------------------------


def pair(**settings):
    """The estimator of clearprop, and scikit-learn's."""
    shared = {"hidden_layer_sizes": (4,), "learning_rate_init": 0.02, "batch_size": 16, "max_iter": 3, **settings}
    return cp.MLPClassifier(**shared), theirs.MLPClassifier(**copy.deepcopy(shared))


def assert_same_weights(ours, other):
    for a, b in zip(ours.coefs_ + ours.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * np.abs(b).max())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_without_a_seed_a_copy_continues_with_the_generator_of_numpy(copied):
    """Not with a copy of it, which would give all copies of a model the same orders."""
    models = []
    for model in pair(random_state=None):
        np.random.seed(5)
        model.partial_fit(X, LABELS, classes=CLASSES)
        model = copied(model)
        np.random.seed(6)
        models.append(model.partial_fit(X, LABELS))
    assert_same_weights(*models)


@pytest.mark.parametrize("before", [0, None, np.random.RandomState(0)], ids=["a seed", "none", "a generator"])
@pytest.mark.parametrize("after", [7, np.random.RandomState(7)], ids=["seed", "generator"])
def test_partial_fit_uses_a_changed_random_state(before, after):
    models = []
    for model in pair(random_state=before):
        np.random.seed(5)
        model.partial_fit(X, LABELS, classes=CLASSES).set_params(random_state=copy.deepcopy(after))
        models.append(model.partial_fit(X, LABELS))
    assert_same_weights(*models)


def test_a_generator_that_is_shared_by_two_estimators():
    results = []
    for make in (cp.MLPClassifier, theirs.MLPClassifier):
        generator = np.random.RandomState(3)
        one, two = (make((4,), max_iter=3, random_state=generator) for _ in range(2))
        for model in (one, two, one):
            model.partial_fit(X, LABELS, classes=CLASSES)
        two.fit(X, LABELS)
        results.append((one, two))
    for ours, other in zip(*results, strict=True):
        assert_same_weights(ours, other)


# --- the learning rate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "adaptive", "invscaling"])
def test_partial_fit_uses_a_changed_learning_rate(solver, schedule):
    """scikit-learn continues with that of the first call, without a warning."""
    model = classifier(solver=solver, learning_rate=schedule, shuffle=False, alpha=0.0, momentum=0.0)
    model.partial_fit(X, LABELS, classes=CLASSES)
    still = copy.deepcopy(model).set_params(learning_rate_init=1e-300).partial_fit(X, LABELS)
    assert same(still, model)
    slower = copy.deepcopy(model).set_params(learning_rate_init=0.01).partial_fit(X, LABELS)
    assert not same(slower, model)
    assert not same(slower, copy.deepcopy(model).partial_fit(X, LABELS))
    assert same(slower.set_params(learning_rate_init=1e-300).partial_fit(X, LABELS), slower)


# --- refused calls ---------------------------------------------------------------------------------------------------

WIDE, TWO = np.c_[X, X], np.where(Y > 0, "u", "v")
REFUSED = {
    "parameters": ({"solver": "lbfgs", "clip_norm": 1.0}, (X, TWO)),
    "parameters of several": ({"solver": "lbfgs", "clip_norm": 1.0, "n_networks": 2}, (X, TWO)),
    "a network": ({"network": cp.Network.sequential(5, 3)}, (X, TWO)),
    "class weights": ({"class_weight": {7: 1}}, (X, TWO)),
    "columns": ({"dropout": [0.1, 0.2]}, (WIDE, TWO)),
    "rows to watch": ({}, (X, TWO, None, X[:, :2], TWO)),
    "labels to watch": ({}, (X, TWO, None, X, LABELS)),
    "a split": ({"early_stopping": True, "validation_fraction": 0.01}, (X, TWO)),
    "a file": ({"checkpoint": "no/such/folder/fit.ckpt"}, (X, TWO)),
    "missing values": ({}, (np.full_like(WIDE, np.nan), TWO)),
}


@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_fit_leaves_the_model_as_it_was(case, networks):
    settings, arguments = REFUSED[case]
    model = classifier(n_networks=networks, max_iter=3).fit(X, LABELS)
    before, predicted = dict(vars(model)), model.predict(X)
    model.set_params(**settings)
    with pytest.raises((ValueError, OSError)):
        model.fit(*arguments)
    assert set(vars(model)) == set(before)
    assert all(vars(model)[name] is value for name, value in before.items() if name not in settings)
    np.testing.assert_array_equal(model.predict(X), predicted)


def test_a_refused_first_fit_leaves_nothing():
    model = classifier(solver="lbfgs", clip_norm=1.0)
    with pytest.raises(ValueError, match="L-BFGS takes no clip_norm"):
        model.fit(X, LABELS)
    assert not [name for name in vars(model) if name.endswith("_")]
