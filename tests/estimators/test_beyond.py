"""What goes beyond scikit-learn: each parameter has its documented effect, and none by default."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators.small import LABELS, RNG, SMALL, X, Y, classifier, regressor, same
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.metrics import check_scoring, d2_pinball_score, log_loss, r2_score
from sklearn.model_selection import learning_curve
from sklearn.utils.class_weight import compute_sample_weight

import clearprop as cp
from clearprop.errors import TableError, TableWarning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- classes and weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", ["balanced", {"low": 1, "middle": 2, "high": 5}])
def test_class_weight_is_sample_weight_by_class(class_weight):
    by_hand = classifier().fit(X, LABELS, sample_weight=compute_sample_weight(class_weight, LABELS))
    assert same(classifier(class_weight=class_weight).fit(X, LABELS), by_hand)
    assert not same(classifier().fit(X, LABELS), by_hand)


def test_label_smoothing_equals_smoothed_soft_targets():
    smooth = classifier(label_smoothing=0.3).fit(X, LABELS)
    rows = (LABELS[:, None] == smooth.classes_) * 0.7 + 0.1
    soft = classifier(soft_targets=True).fit(X, rows)
    np.testing.assert_allclose(smooth.predict_proba(X), soft.predict_proba(X), rtol=1e-10)
    assert soft.classes_.tolist() == [0, 1, 2]


def test_another_loss():
    from_library = classifier(loss="squared_error").fit(X, LABELS)
    mine = cp.losses.CustomLoss("mine", lambda yhat, y: (0.5 * (yhat - y) ** 2, yhat - y))
    np.testing.assert_allclose(classifier(loss=mine).fit(X, LABELS).coefs_[0], from_library.coefs_[0], rtol=1e-10)
    assert not same(from_library, classifier().fit(X, LABELS))


# --- the network -----------------------------------------------------------------------------------------------------


def test_an_activation_for_each_layer():
    model = regressor(hidden_layer_sizes=(5, 4), activation=["tanh", cp.activations.LeakyReLU(0.2)]).fit(X, Y)
    assert [layer.f for layer in model.network_.layers] == [
        cp.tanh,
        cp.activations.LeakyReLU(0.2),
        cp.activations.identity,
    ]
    with pytest.raises(
        ValueError, match="activation: expected one, or one for each of 2 hidden layers, got a list of 1"
    ):
        regressor(hidden_layer_sizes=(5, 4), activation=["tanh"]).fit(X, Y)
    own = cp.activations.Custom("double tanh", lambda z: 2 * np.tanh(z), lambda z, a: 2 - a * a / 2)
    assert regressor(activation=own).fit(X, Y).score(X, Y) > 0.5


def test_skip_connects_the_input_to_every_layer():
    model = regressor(hidden_layer_sizes=(5, 4), skip=True).fit(X, Y)
    assert [[c.source for c in layer.connections] for layer in model.network_.layers] == [
        ["input"], ["hidden1", "input"], ["hidden2", "input"],
    ]  # fmt: skip
    assert [W.shape for W in model.coefs_] == [(4, 5), (5, 4), (4, 4), (4, 1), (4, 1)]


def test_another_network():
    net = cp.Network(4, [cp.Layer("a", 3, "tanh"), cp.Layer("out", 1, sources=["a", "input"])])
    model = regressor(network=net).fit(X, Y)
    assert model.network_ == net
    with pytest.raises(
        ValueError, match=r"network: expected 3 inputs and outputs of \[1\] units .* got 4 inputs and \[1\]"
    ):
        regressor(network=net).fit(X[:, :3], Y)


def test_dropout_applies_in_training_only_and_depends_on_the_row():
    dropped, plain = regressor(dropout=0.5, alpha=0).fit(X, Y), regressor(alpha=0).fit(X, Y)
    assert not np.allclose(dropped.coefs_[0], plain.coefs_[0])
    np.testing.assert_array_equal(dropped.predict(X), dropped.predict(X))
    twice = regressor(dropout=0.5, alpha=0, batch_size=160).fit(np.r_[X, X], np.r_[Y, Y])
    np.testing.assert_allclose(twice.coefs_[0], dropped.coefs_[0], rtol=1e-8)
    assert regressor(hidden_layer_sizes=(4, 3), dropout=[0.1, 0]).fit(X, Y).network_.layers[0].dropout == 0.1


def test_without_hidden_layers_the_model_is_linear():
    exact = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0, "tol": 1e-10, "max_iter": 5000}
    linear = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(cp.MLPRegressor(**exact).fit(X, Y).coefs_[0][:, 0], linear.coef_, atol=1e-4)
    positive = np.floor(np.exp(Y))
    poisson = PoissonRegressor(alpha=0, tol=1e-10, max_iter=5000).fit(X, positive)
    np.testing.assert_allclose(
        cp.MLPRegressor("poisson", **exact).fit(X, positive).coefs_[0][:, 0], poisson.coef_, atol=1e-3
    )
    ridge = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, LABELS)
    ours = cp.MLPClassifier(**{**exact, "alpha": 1.0}).fit(X, LABELS)
    np.testing.assert_allclose(ours.predict_proba(X), ridge.predict_proba(X), atol=1e-3)


# --- descent ---------------------------------------------------------------------------------------------------------


def test_an_optimizer_as_solver_and_a_schedule_with_any():
    assert same(regressor(solver="adam").fit(X, Y), regressor(solver=cp.optimizers.AdamEpsilonHat(0.02)).fit(X, Y))
    assert same(regressor(solver="sgd").fit(X, Y), regressor(solver=cp.Nesterov(0.02, 0.9)).fit(X, Y))
    assert same(regressor(solver="nadam").fit(X, Y), regressor(solver=cp.Nadam(0.02)).fit(X, Y))
    cosine = regressor(learning_rate=cp.schedules.Cosine(0.02)).fit(X, Y)
    assert same(cosine, regressor(solver=cp.optimizers.AdamEpsilonHat(cp.schedules.Cosine(0.02))).fit(X, Y))
    assert not same(cosine, regressor().fit(X, Y))
    with pytest.raises(ValueError, match="learning_rate: the optimizer passed as solver has its own learning rate"):
        regressor(solver=cp.Adam(0.1), learning_rate=cp.schedules.Cosine(0.1)).fit(X, Y)


def test_fit_equals_cp_train_without_randomness():
    penalty = [cp.penalties.L2(0.1), cp.penalties.L1(0.01)]
    model = regressor(
        alpha=0, penalty=penalty, shuffle=False, batch_size=80, solver=cp.Momentum(0.01), tol=0, max_iter=25
    )
    model.fit(X, Y)
    start = regressor(max_iter=1, learning_rate_init=1e-300, solver="sgd").fit(X, Y)
    net, params = start.to_network()
    cp.train(
        net, params, X, Y[:, None], loss="squared_error", optimizer=cp.Momentum(0.01), batch_size=None, epochs=25,
        penalty=penalty,
    )  # fmt: skip
    np.testing.assert_allclose(model.coefs_[0], params["hidden"].W["input"], rtol=1e-10)


def test_penalties_and_bounds():
    lasso = regressor(penalty=cp.penalties.L1(0.5)).fit(X, Y)
    assert np.abs(lasso.coefs_[0]).sum() < np.abs(regressor().fit(X, Y).coefs_[0]).sum()
    assert np.linalg.norm(regressor(max_norm=0.5).fit(X, Y).coefs_[0], axis=0).max() <= 0.5 + 1e-12
    assert not same(regressor(clip_norm=1e-3, solver="sgd").fit(X, Y), regressor(solver="sgd").fit(X, Y))
    assert not same(regressor(clip_value=1e-3, solver="sgd").fit(X, Y), regressor(solver="sgd").fit(X, Y))
    with pytest.raises(ValueError, match="solver: L-BFGS takes no clip_norm"):
        regressor(solver="lbfgs", clip_norm=1.0).fit(X, Y)


# --- regression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    ["absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie", cp.Huber(0.5), cp.losses.Tweedie(1.2)],
    ids=str,
)
def test_losses(loss):
    model = regressor(loss=loss, max_iter=200).fit(X, np.exp(Y))
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.score(X, np.exp(Y)) > 0.3


def test_several_quantiles_at_once():
    rng = np.random.default_rng(0)
    wide, noise = np.linspace(0, 1, 800)[:, None], rng.normal(size=800)
    model = cp.MLPRegressor(
        [cp.Quantile(0.1), cp.Quantile(0.5), cp.Quantile(0.9)], (16,), max_iter=200, learning_rate_init=0.01,
        random_state=0, n_iter_no_change=50,
    )  # fmt: skip
    found = model.fit(wide, noise).predict(wide)
    assert found.shape == (800, 3)
    np.testing.assert_allclose((noise[:, None] < found).mean(axis=0), [0.1, 0.5, 0.9], atol=0.05)
    assert 0 <= model.score(wide, noise) < 0.2
    assert model.predict(wide).shape == (800, 3)
    assert cp.MLPRegressor([cp.Quantile(0.5)], **SMALL).fit(X, Y).predict(X).shape == (80,)


def test_a_list_of_losses_is_scored_loss_by_loss():
    """Quantiles by D2, others by R2; also for 2 targets, and as the validation score."""
    for target in (Y, np.c_[Y, X[:, 2]]):
        model = regressor(loss=["squared_error", cp.Quantile(0.9)], early_stopping=True).fit(X, target)
        mean, high = model.predict(X)[..., 0], model.predict(X)[..., 1]
        expected = (r2_score(target, mean) + d2_pinball_score(target, high, alpha=0.9)) / 2
        assert model.score(X, target) == pytest.approx(expected)
        assert len(model.validation_scores_) == model.n_iter_
    whole = regressor(loss=["squared_error"], early_stopping=True).fit(X, Y)
    assert whole.validation_scores_ == regressor(early_stopping=True).fit(X, Y).validation_scores_
    assert whole.score(X, Y) == r2_score(Y, whole.predict(X))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_target_scaling_is_refused_for_losses_of_positive_targets(loss):
    with pytest.raises(ValueError, match=r"y as standardized by target_scaling: expected values .* got -\d"):
        regressor(loss=loss, target_scaling=True).fit(X, np.exp(Y))


def test_target_scaling_makes_the_unit_of_y_irrelevant():
    plain, large = regressor(target_scaling=True).fit(X, Y), regressor(target_scaling=True).fit(X, 1e6 * Y + 1e7)
    np.testing.assert_allclose(large.predict(X), 1e6 * plain.predict(X) + 1e7, rtol=1e-8)
    net, params = large.to_network()
    np.testing.assert_allclose(cp.predict(net, params, X)[:, 0], large.predict(X), rtol=1e-12)
    assert large.score(X, 1e6 * Y + 1e7) == pytest.approx(plain.score(X, Y))


# --- validation ------------------------------------------------------------------------------------------------------


def test_a_validation_set_replaces_the_split():
    train, rest = slice(0, 60), slice(60, None)
    model = classifier(early_stopping=True).fit(X[train], LABELS[train], X_val=X[rest], y_val=LABELS[rest])
    assert model.best_validation_score_ == pytest.approx(model.score(X[rest], LABELS[rest]))
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    validated = classifier(max_iter=10).fit(X[train], LABELS[train], X_val=X[rest], y_val=LABELS[rest])
    assert same(validated, classifier(max_iter=10).fit(X[train], LABELS[train]))
    assert len(validated.validation_scores_) == 10
    with pytest.raises(ValueError, match="X_val and y_val: expected both, got one of them"):
        classifier().fit(X, LABELS, X_val=X)
    with pytest.raises(ValueError, match=r"y: expected labels among classes_ .* got \['none'\]"):
        classifier().fit(X, LABELS, X_val=X, y_val=np.full(80, "none"))


def test_the_best_parameters_are_restored():
    validation = {"X_val": X[60:], "y_val": Y[60:] + RNG.normal(size=20)}
    settings = {"hidden_layer_sizes": (40,), "learning_rate_init": 0.05, "max_iter": 150, "n_iter_no_change": 200}
    model = regressor(restore_best=True, scoring="loss", **settings).fit(X[:60], Y[:60], **validation)
    last = regressor(**settings).fit(X[:60], Y[:60])
    assert not same(model, last)
    best = min(model.validation_loss_curve_)
    assert -model.best_validation_score_ == best < model.validation_loss_curve_[-1]
    assert np.mean((model.predict(X[60:]) - validation["y_val"]) ** 2) / 2 == pytest.approx(best)
    with pytest.raises(ValueError, match="restore_best: expected X_val and y_val in fit, or early_stopping=True"):
        regressor(restore_best=True).fit(X, Y)


def test_weights_of_the_validation_set():
    weights = np.r_[np.ones(10), np.zeros(10)]
    half = classifier(max_iter=5).fit(X, LABELS, X_val=X[:10], y_val=LABELS[:10])
    by_weight = classifier(max_iter=5).fit(X, LABELS, X_val=X[:20], y_val=LABELS[:20], sample_weight_val=weights)
    np.testing.assert_allclose(half.validation_loss_curve_, by_weight.validation_loss_curve_)
    np.testing.assert_allclose(half.validation_scores_, by_weight.validation_scores_)


@pytest.mark.parametrize(
    ("scoring", "by_hand"),
    [
        ("neg_log_loss", lambda model: log_loss(LABELS, model.predict_proba(X))),
        ("balanced_accuracy", None),
        (lambda model, X, y: float((model.predict(X) == y).mean()), lambda model: model.score(X, LABELS)),
    ],
    ids=["neg_log_loss", "balanced_accuracy", "own"],
)  # fmt: skip
def test_early_stopping_with_any_scorer(scoring, by_hand):
    model = classifier(early_stopping=True, scoring=scoring).fit(X, LABELS, X_val=X, y_val=LABELS)
    assert model.best_validation_score_ == pytest.approx(check_scoring(model, scoring)(model, X, LABELS))
    if by_hand is not None:
        assert abs(model.best_validation_score_) == pytest.approx(by_hand(model))


# --- frames ----------------------------------------------------------------------------------------------------------

TABLE = {
    "age": [20.0, 30.0, None, 50.0, 60.0, 25.0, 35.0, 45.0] * 10,
    "job": ["cook", "clerk", "cook", None, "clerk", "cook", "clerk", "cook"] * 10,
}
RICH = ["no", "yes", "no", "yes", "yes", "no", "yes", "no"] * 10


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(TABLE).astype({"job": "category"}), pl.DataFrame(TABLE)], ids=["pandas", "polars"]
)
def test_frames_with_categories_and_missing_values(frame):
    model = classifier(categorical_features="from_dtype", max_iter=100).fit(frame, RICH)
    assert model.score(frame, RICH) == 1.0
    assert list(model.feature_names_in_) == ["age", "job"]
    assert model.n_features_in_ == 2
    assert {"age", "job=cook", "job=clerk", "job is missing"} <= set(model.input_names_)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert model.input_sensitivities(frame).shape == (80, len(model.input_names_))
    with pytest.raises(ValueError, match="categorical_features: unknown column 'jop'"):
        classifier(categorical_features=["jop"]).fit(frame, RICH)
    with pytest.raises(ValueError, match="NaN"):
        regressor().fit(pd.DataFrame({"age": TABLE["age"]}), np.arange(80))


def test_numbers_as_categories():
    frame = pd.DataFrame({"code": [1, 2, 3, 4] * 20, "size": X[:, 0]})
    for columns in (["code"], [0], [True, False]):
        model = classifier(categorical_features=columns).fit(frame, LABELS)
        assert "code=3" in model.input_names_


@pytest.mark.parametrize("column", [["cook", "clerk", "cook"], [1.0, None, 2.0], [1.0, math.nan, 2.0]])
def test_the_error_for_a_frame_with_categories_or_gaps_has_a_hint(column):
    frame = pl.DataFrame({"age": [20.0, 30.0, 40.0], "job": column})
    with pytest.raises(ValueError) as error:
        classifier().fit(frame, [0, 1, 0])
    assert 'MLPClassifier(categorical_features="from_dtype") accepts' in error.value.__notes__[0]
    with pytest.raises(ValueError) as error:
        classifier().fit(frame[["age"]], [0, 1])
    assert not hasattr(error.value, "__notes__")


@pytest.mark.parametrize("row", [pd.Series({"a": 1.0, "b": "u"}), [1.0, "u"], {"a": 1.0, "b": "u"}, np.zeros(2)])
def test_a_row_that_is_no_frame_is_refused_by_a_model_of_frames(row):
    frame = pd.DataFrame({"a": np.arange(40) / 3, "b": ["u", "v"] * 20})
    model = cp.MLPClassifier((4,), max_iter=3, categorical_features="from_dtype", tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(frame, ["x", "y"] * 20)
    for ask in (model.predict, model.predict_proba, lambda X: model.partial_fit(X, ["x"])):
        with pytest.raises(TableError, match='expected a data frame with the columns "a", "b", as in fit, got '):
            ask(row)
    assert model.predict(frame.iloc[[0]]).shape == (1,)


def test_an_estimator_uses_every_column_of_numbers_and_reports_a_text_left_out():
    frame = pd.DataFrame({"index": np.arange(40), "name": [f"p{i}" for i in range(40)], "b": ["u", "v"] * 20})
    model = cp.MLPClassifier((4,), solver="lbfgs", categorical_features="from_dtype")
    with pytest.warns(
        TableWarning, match=r'"name" is left out: 40 different texts .*categorical_features=\[..., \'name\'\]'
    ):
        model.fit(frame, ["x", "y"] * 20)
    assert model.input_names_ == ["index", "b=u", "b=v"]
    with pytest.warns(TableWarning, match='Column "b", row 1: "w" is not among the categories of training'):
        model.predict(pd.DataFrame({"index": [1, 2], "name": ["p", "q"], "b": ["u", "w"]}))


def test_weak_messages_of_scikit_learn_are_made_plain():
    with pytest.raises(ValueError, match=r"Unknown label type: continuous\. Expected classes; MLPRegressor predicts"):
        classifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True: it runs a single epoch"):
        learning_curve(
            classifier(early_stopping=True), X, LABELS, exploit_incremental_learning=True, cv=3, error_score="raise"
        )
