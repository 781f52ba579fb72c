"""Where these estimators differ from scikit-learn's on purpose, each by name, with what scikit-learn does beside it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning

import clearprop as cp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
LABELS = (X[:, 0] > 0).astype(int)
SEVERAL = np.c_[X[:, 0], X[:, 1] ** 2, X[:, 2] - 1]
SMALL = {"hidden_layer_sizes": (5,), "random_state": 1, "max_iter": 15, "batch_size": 20, "learning_rate_init": 0.01}


def largest_difference(ours, other):
    pairs = zip(ours.coefs_ + ours.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)


def test_squared_error_of_several_outputs_is_the_minimized_sum():
    """scikit-learn reports the mean over the outputs and follows the gradient of their sum (#8349)."""
    settings = {**SMALL, "alpha": 0.0, "tol": 0.0}
    ours, other = cp.MLPRegressor(**settings).fit(X, SEVERAL), theirs.MLPRegressor(**settings).fit(X, SEVERAL)
    assert largest_difference(ours, other) < 1e-10
    np.testing.assert_allclose(ours.loss_curve_, 3 * np.array(other.loss_curve_), rtol=1e-10)
    net, params = ours.to_network()
    assert cp.check_gradients(net, params, X, SEVERAL, loss=cp.SquaredError()).ok


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_does_not_repeat_one_order(solver):
    """scikit-learn shuffles identically in each call with an integer seed, and continues only with a generator."""
    settings = {**SMALL, "solver": solver, "n_iter_no_change": 100}
    ours = cp.MLPClassifier(**settings)
    repeating = theirs.MLPClassifier(**settings)
    going_on = theirs.MLPClassifier(**{**settings, "random_state": np.random.RandomState(1)})
    for _ in range(15):
        for model in (ours, repeating, going_on):
            model.partial_fit(X, LABELS, classes=[0, 1])
    assert largest_difference(ours, going_on) < 1e-10
    assert largest_difference(ours, repeating) > 1e-3


def test_an_interrupted_fit_has_the_parameters_of_its_last_step(monkeypatch):
    """With early stopping scikit-learn puts back weights that were never scored: those it started from."""
    ours = cp.MLPRegressor(**SMALL, early_stopping=True, scoring=lambda *_: interrupt())
    other = theirs.MLPRegressor(**SMALL, early_stopping=True)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(other, "_score", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        other.fit(X, X[:, 0])
    with pytest.warns(
        UserWarning, match=r"fit was interrupted in epoch 1; the model has the parameters of the last completed step"
    ):
        ours.fit(X, X[:, 0])
    start = theirs.MLPRegressor(**{**SMALL, "learning_rate_init": 1e-300, "max_iter": 1}).fit(X, X[:, 0])
    assert largest_difference(other, start) == 0
    assert largest_difference(ours, start) > 1e-3


DIVERGING = {**SMALL, "solver": "sgd", "learning_rate_init": 10.0, "activation": "identity", "n_iter_no_change": 50}


def test_a_diverged_fit_is_reported():
    """Also with early stopping, where scikit-learn returns NaN scores and, without a finite score, its random start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs.MLPRegressor(**DIVERGING, early_stopping=True).fit(100 * X, X[:, 0])
    assert np.isnan(other.validation_scores_[-1])

    ours = cp.MLPRegressor(**DIVERGING, early_stopping=True)
    with pytest.warns(
        ConvergenceWarning, match=r"in epoch \d+, step \d of 3: There .* The model has the best parameters before it"
    ):
        ours.fit(100 * X, X[:, 0])
    assert np.isfinite(ours.validation_scores_).all()
    assert ours.best_validation_score_ == max(ours.validation_scores_)

    with pytest.raises(ValueError, match=r"in epoch \d+, step \d of 3: There .* Scale the inputs") as found:
        cp.MLPRegressor(**DIVERGING).fit(100 * X, X[:, 0])
    assert isinstance(found.value, cp.TrainingDiverged)
    assert np.isfinite(found.value.last_finite.flat).all()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_on_divergence_raises_or_restores(early_stopping):
    settings = {**DIVERGING, "early_stopping": early_stopping}
    with pytest.raises(cp.TrainingDiverged):
        cp.MLPRegressor(**settings, on_divergence="raise").fit(100 * X, X[:, 0])
    model = cp.MLPRegressor(**settings, on_divergence="keep")
    with pytest.warns(ConvergenceWarning, match=r"The model has the best parameters before it\."):
        model.fit(100 * X, X[:, 0])
    assert np.isfinite(model.predict(100 * X)).all()
    finished = len(model.loss_curve_)
    assert finished > 0
    if not early_stopping:  # the epoch of the lowest loss, trained alone
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best = int(np.argmin(model.loss_curve_)) + 1
            alone = cp.MLPRegressor(**{**settings, "max_iter": best}).fit(100 * X, X[:, 0])
        np.testing.assert_array_equal(alone.coefs_[0], model.coefs_[0])


def test_a_fit_that_diverges_in_its_first_epoch_has_the_initial_parameters():
    far = {**DIVERGING, "learning_rate_init": 1e200}
    model = cp.MLPRegressor(**far, on_divergence="keep")
    with pytest.warns(ConvergenceWarning, match=r"The model has the initial parameters: no epoch was finished\."):
        model.fit(100 * X, X[:, 0])
    assert all(np.isfinite(array).all() for array in model.coefs_ + model.intercepts_)
    assert np.isfinite(model.predict(X)).all()


def test_a_batch_without_weight_changes_nothing():
    """scikit-learn stops with ZeroDivisionError when all weights of one batch are 0."""
    weights = np.r_[np.zeros(20), np.ones(30)]
    settings = {**SMALL, "shuffle": False}
    with pytest.raises(ZeroDivisionError):
        theirs.MLPClassifier(**settings).fit(X, LABELS, sample_weight=weights)
    ours = cp.MLPClassifier(**settings).fit(X, LABELS, sample_weight=weights)
    assert np.isfinite(ours.loss_curve_).all()


def test_a_probability_that_rounds_to_zero_has_a_finite_loss():
    """scikit-learn cuts probabilities at 2e-16, so that no loss is above 36."""
    settings = {"hidden_layer_sizes": (), "max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0, "alpha": 0.0}
    far = np.array([[-1000.0], [1000.0]])
    losses = [library.MLPClassifier(**settings).fit(far, [1, 0]).loss_ for library in (cp, theirs)]
    assert max(losses) > 100
    assert sorted(losses)[0] == losses[1]
    assert losses[1] < 36.1


def test_a_warm_start_with_early_stopping_restores_the_best_of_all_fits():
    """scikit-learn's best weights are those that the next fit trains on, so that they are changed with it."""
    settings = {**SMALL, "early_stopping": True, "warm_start": True, "validation_fraction": 0.2}
    ours, other = (library.MLPClassifier(**settings).fit(X, LABELS) for library in (cp, theirs))
    assert largest_difference(ours, other) < 1e-10
    best, first = [array.copy() for array in ours.coefs_], ours.n_iter_
    for model in (ours, other):
        model.set_params(learning_rate_init=1.0).fit(X, np.random.default_rng(1).permutation(LABELS))
    assert max(ours.validation_scores_[first:]) <= ours.best_validation_score_ == max(ours.validation_scores_[:first])
    assert all(np.array_equal(a, b) for a, b in zip(ours.coefs_, best, strict=True))
    assert largest_difference(ours, other) > 0.1


def test_changed_optimizer_parameters_apply_from_the_next_partial_fit():
    """scikit-learn continues with the optimizer of the first call, whatever is set later."""
    for changed in ({"learning_rate_init": 0.1}, {"beta_1": 0.1}, {"epsilon": 1.0}, {"solver": "sgd"}):
        ours, same, other, unchanged = (
            library.MLPClassifier(**SMALL, shuffle=False).partial_fit(X, LABELS, classes=[0, 1])
            for library in (cp, cp, theirs, theirs)
        )
        ours.set_params(**changed).partial_fit(X, LABELS)
        same.partial_fit(X, LABELS)
        other.set_params(**changed).partial_fit(X, LABELS)
        unchanged.partial_fit(X, LABELS)
        assert largest_difference(other, unchanged) == 0
        assert largest_difference(same, unchanged) < 1e-10
        assert largest_difference(ours, same) > 1e-3


def test_partial_fit_of_a_regressor_is_unavailable_with_lbfgs():
    """scikit-learn has it, and runs L-BFGS to its end; a classifier has it in neither."""
    assert hasattr(theirs.MLPRegressor(solver="lbfgs"), "partial_fit")
    assert not hasattr(theirs.MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(cp.MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit trains on batches"):
        cp.MLPRegressor(solver="lbfgs").partial_fit(X, X[:, 0])


def test_a_negative_count_is_refused():
    """scikit-learn's Poisson loss is NaN then, and training continues."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(theirs.MLPRegressor("poisson", **SMALL).fit(X, X[:, 0]).loss_)
    with pytest.raises(ValueError, match="y: expected values of at least 0 for Poisson loss"):
        cp.MLPRegressor("poisson", **SMALL).fit(X, X[:, 0])


@pytest.mark.parametrize("sizes", [(6,), (5, 5), ()])
def test_continuing_with_another_network_is_refused(sizes):
    """scikit-learn continues with the first one, or stops with IndexError or ValueError in the middle of NumPy."""
    ours, other = (
        library.MLPClassifier(**{**SMALL, "warm_start": True}).fit(X, LABELS).set_params(hidden_layer_sizes=sizes)
        for library in (cp, theirs)
    )
    before = [array.copy() for array in ours.coefs_]
    for call in (ours.fit, ours.partial_fit):
        with pytest.raises(
            ValueError, match=r"warm_start and partial_fit continue to train the network of the last fit"
        ):
            call(X, LABELS)
    assert all(np.array_equal(a, b) for a, b in zip(ours.coefs_, before, strict=True))
    if sizes == (6,):
        assert other.fit(X, LABELS).coefs_[0].shape == (4, 5)


def test_lbfgs_leaves_no_curve_of_an_earlier_fit():
    """scikit-learn leaves the loss_curve_ of the fit by batches, beside the n_iter_ and loss_ of L-BFGS."""
    for library, left in ((cp, False), (theirs, True)):
        model = library.MLPClassifier(**SMALL).fit(X, LABELS).set_params(solver="lbfgs").fit(X, LABELS)
        assert hasattr(model, "loss_curve_") == hasattr(model, "best_loss_") == left


def test_predictions_have_the_precision_of_the_weights():
    """scikit-learn's have that of the rows, if it is higher."""
    single = X.astype(np.float32)
    for library, dtype in ((cp, np.float32), (theirs, np.float64)):
        model = library.MLPClassifier(**SMALL).fit(single, LABELS)
        assert model.predict_proba(single).dtype == np.float32
        assert model.predict_proba(X).dtype == dtype


def test_a_batch_of_negative_weight_has_no_penalty():
    """scikit-learn divides alpha by the sum of the weights, and so rewards large parameters then."""
    weights = np.where(np.arange(50) % 2, 1.0, -2.0)
    for alpha, alike in ((0.0, True), (1.0, False)):
        ours, other = (
            library.MLPClassifier(**{**SMALL, "alpha": alpha}).fit(X, LABELS, sample_weight=weights)
            for library in (cp, theirs)
        )
        assert (largest_difference(ours, other) < 1e-8) == alike
