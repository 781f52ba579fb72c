"""Ensembles, looking inside, and the estimators among scikit-learn's tools."""

from __future__ import annotations

import collections
import copy
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from estimators.small import LABELS, X, Y, classifier, regressor
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

import clearprop as cp
from clearprop.engine.cores import available_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# --- ensembles -------------------------------------------------------------------------------------------------------


def test_an_ensemble_is_the_mean_of_its_members():
    one, two = (classifier(n_networks=3, n_jobs=jobs).fit(X, LABELS) for jobs in (1, 2))
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    members = [member.predict_proba(X) for member in one.members_]
    assert not np.allclose(members[0], members[1])
    np.testing.assert_allclose(one.predict_proba(X), np.mean(members, axis=0))
    assert one.transform(X).shape == (80, 18)
    assert one.input_sensitivities(X).shape == (80, 3, 4)
    with pytest.raises(cp.ClearpropError, match=r"use estimator.members_\[0\].explain"):
        one.explain(X)


def test_threads_never_exceed_the_cores(monkeypatch):
    from clearprop.estimators.ensemble import worker_count

    monkeypatch.setattr("clearprop.engine.cores.available_threads", lambda: 4)
    assert [worker_count(jobs, 8) for jobs in (None, -1, -2, 1, 3, 99)] == [4, 4, 3, 1, 3, 4]
    assert worker_count(None, 2) == 2
    inside = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(worker_count)(None, 8) for _ in range(2))
    assert inside == [1, 1]


def threads_in_use(estimator, X, y):
    """A scorer that tells how many threads fit and predict may use where it is called."""
    return cp.get_threads()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_searches_share_the_cores(backend):
    cores = available_threads()
    with joblib.parallel_config(backend):
        search = GridSearchCV(classifier(max_iter=3), {"alpha": [0.0, 1.0]}, cv=2, n_jobs=2, scoring=threads_in_use)
        assert search.fit(X, LABELS).best_score_ <= max(1, cores // 2)
        scores = cross_val_score(
            classifier(max_iter=3, n_networks=2), X, LABELS, cv=2, n_jobs=2, scoring=threads_in_use
        )
        assert scores.max() <= max(1, cores // 2)
    alone = cross_val_score(classifier(max_iter=3), X, LABELS, cv=2, scoring=threads_in_use)
    assert alone.tolist() == [cores, cores]


def test_members_of_an_ensemble_share_the_cores(monkeypatch):
    """What a loss sees while members train: a thread of two each, of four."""
    monkeypatch.setattr("clearprop.engine.cores.available_threads", lambda: 4)
    seen = []

    class Watching(cp.SquaredError):
        def value_and_delta(self, f, z, a, y):
            seen.append(cp.get_threads())
            return super().value_and_delta(f, z, a, y)

    regressor(loss=Watching(), n_networks=2, max_iter=2, engine="textbook").fit(X, Y)
    assert set(seen) == {2}


# --- looking inside --------------------------------------------------------------------------------------------------


def test_transform_returns_hidden_activations_with_names():
    model = classifier(activation="tanh").fit(X, LABELS)
    np.testing.assert_allclose(model.transform(X), np.tanh(X @ model.coefs_[0] + model.intercepts_[0]))
    framed = model.set_output(transform="pandas").transform(X)
    assert list(framed.columns) == [f"mlpclassifier{i}" for i in range(6)]
    assert not hasattr(classifier(hidden_layer_sizes=()), "transform")


@pytest.mark.parametrize(
    "model", [classifier(), regressor(target_scaling=True, activation="tanh")], ids=["classes", "numbers"]
)
def test_input_sensitivities_equal_finite_differences(model):
    model.fit(X, LABELS if isinstance(model, cp.MLPClassifier) else Y)
    predict = model.predict_proba if isinstance(model, cp.MLPClassifier) else lambda X: model.predict(X)[:, None]
    found = model.input_sensitivities(X[:5]).reshape(5, -1, 4)
    for i in range(4):
        step = 1e-6 * np.eye(4)[i]
        slope = (predict(X[:5] + step) - predict(X[:5] - step)) / 2e-6
        np.testing.assert_allclose(found[:, :, i], slope, atol=1e-7)


def test_explain_is_the_trace_of_one_row():
    model = classifier().fit(X, LABELS)
    trace = model.explain(X, 3, y=LABELS[3])
    assert trace.cost == pytest.approx(-np.log(model.predict_proba(X)[3, np.searchsorted(model.classes_, LABELS[3])]))
    assert model.explain(X, 3).cost == pytest.approx(-np.log(model.predict_proba(X)[3].max()))
    numbers = regressor().fit(X, Y)
    itself = numbers.explain(X, 3)
    assert itself.cost == pytest.approx(numbers.predict(X)[3])
    np.testing.assert_allclose(itself["output"].delta, [[1.0]])
    assert numbers.explain(X, 3, y=Y[3]).cost == pytest.approx((numbers.predict(X)[3] - Y[3]) ** 2 / 2)


def test_conversion_to_and_from_a_network():
    model = classifier().fit(X, LABELS)
    net, params = model.to_network()
    np.testing.assert_allclose(cp.predict(net, params, X), model.predict_proba(X))
    again = cp.MLPClassifier.from_network(net, params, model.classes_)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.score(X, LABELS) == model.score(X, LABELS)
    numbers = regressor().fit(X, Y)
    np.testing.assert_array_equal(cp.MLPRegressor.from_network(*numbers.to_network()).predict(X), numbers.predict(X))
    with pytest.raises(ValueError, match="classes: expected 3 for a network with one output layer of 3 units, got 2"):
        cp.MLPClassifier.from_network(net, params, ["a", "b"])


def test_predictions_use_changed_weights():
    model = regressor().fit(X, Y)
    model.coefs_[1] = np.zeros_like(model.coefs_[1])
    np.testing.assert_allclose(model.predict(X), model.intercepts_[1][0])
    model.intercepts_[1][...] = 7
    np.testing.assert_allclose(model.predict(X), 7)


# --- among scikit-learn's tools --------------------------------------------------------------------------------------


def test_searches_pipelines_copies(capfd, tmp_path):
    chain = make_pipeline(StandardScaler(), classifier(dropout=0.1))
    search = GridSearchCV(chain, {"mlpclassifier__dropout": [0.0, 0.2]}, cv=2, n_jobs=2).fit(X, LABELS)
    assert set(search.best_params_) == {"mlpclassifier__dropout"}
    assert cross_val_score(classifier(), X, LABELS, cv=3).shape == (3,)
    model = classifier(solver=cp.AdamW(0.01), activation=[cp.activations.gelu]).fit(X, LABELS)
    assert repr(clone(model)) == repr(model)
    joblib.dump(model, tmp_path / "model")
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
        twin.coefs_[0][...] = 0  # still views, and its own
        assert not np.array_equal(twin.predict_proba(X), model.predict_proba(X))
    shown = capfd.readouterr()
    assert shown.out == shown.err == ""


def test_notebooks_show_the_network():
    assert "<svg" not in classifier()._repr_html_()
    shown = classifier().fit(X, LABELS)._repr_html_()
    assert "MLPClassifier" in shown
    assert "<svg" in shown


@pytest.mark.parametrize("settings", [{}, {"n_networks": 2}], ids=str)
def test_a_network_without_hidden_layers_has_no_hidden_activations(settings):
    model = classifier(hidden_layer_sizes=(), max_iter=2, **settings).fit(X, LABELS)
    for name in ("transform", "fit_transform", "get_feature_names_out"):
        assert not hasattr(model, name)
    assert "predict" in dir(model)
    assert "MLPClassifier" in model._repr_html_()


@pytest.mark.parametrize("sizes", [(3, 0), -1, [2.5], None, "many", np.array(3)], ids=str)
def test_invalid_hidden_layers_are_refused_only_by_fit(sizes):
    model = classifier(hidden_layer_sizes=sizes)
    assert "transform" in dir(model)
    assert "MLPClassifier" in model._repr_html_()
    with pytest.raises((ValueError, TypeError)):
        model.fit(X, LABELS)


def test_metadata_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier(max_iter=5).set_fit_request(X_val=True, y_val=True, sample_weight=True)
        chain = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model, transform_input=["X_val"])
        chain.fit(X, LABELS, X_val=X[:20], y_val=LABELS[:20], sample_weight=np.ones(80))
        assert len(chain[-1].validation_scores_) == 5


class Recorder:
    """A callback in scikit-learn's protocol that stops after three epochs."""

    def __init__(self):
        self.costs, self.ended = [], False

    def setup(self, estimator, context):
        self.costs.clear()

    def teardown(self, estimator, context):
        self.ended = True

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch":
            return False
        self.costs.append(np.mean((fitted_estimator.predict(X) - Y) ** 2))
        return len(self.costs) == 3


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_in_scikit_learns_protocol(solver):
    recorder = Recorder()
    model = regressor(solver=solver).set_callbacks(recorder).fit(X, Y)
    assert model.n_iter_ == 3
    assert len(recorder.costs) == 3
    assert recorder.costs[0] > recorder.costs[2]
    assert recorder.ended
    assert not hasattr(model, "_callback_fit_ctx")
    assert regressor(max_iter=3).set_callbacks(ProgressBar()).fit(X, Y).n_iter_ == 3


class Counter(Recorder):
    """Counts the epochs of each network."""

    max_propagation_depth = None

    def __init__(self):
        super().__init__()
        self.epochs = collections.Counter()

    def on_fit_task_end(self, estimator, context, **_):
        if context.task_name == "epoch":
            self.epochs[context.parent.task_id] += 1
        return False


@pytest.mark.parametrize("jobs", [1, 2])
def test_callbacks_see_the_epochs_of_each_network_of_an_ensemble(jobs):
    counter = Counter()
    model = classifier(n_networks=3, n_jobs=jobs, max_iter=4).set_callbacks(counter).fit(X, LABELS)
    assert counter.epochs == {0: 4, 1: 4, 2: 4}
    assert not any(getattr(member, "_skl_callbacks", []) for member in model.members_)
    classifier(n_networks=2, max_iter=2).set_callbacks(ProgressBar()).fit(X, LABELS)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"alpha": -1},
            "The 'alpha' parameter of MLPRegressor must be a float in the range [0.0, inf). Got -1 instead.",
        ),
        ({"solver": "adem"}, "The 'solver' parameter of MLPRegressor must be"),
        ({"dropout": 1.0}, "The 'dropout' parameter of MLPRegressor must be a float in the range [0.0, 1.0)"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0 and whole numbers, got [3, 0]."),
        ({"n_networks": 0}, "The 'n_networks' parameter of MLPRegressor must be an int in the range [1, inf)"),
        ({"loss": "log_loss"}, "The 'loss' parameter of MLPRegressor must be"),
        ({"loss": []}, "loss: expected at least one loss in the list, got none."),
        ({"activation": ["tenh"]}, "activation[0]: unknown activation 'tenh'; did you mean 'tanh'?"),
        ({"dtype": "int8"}, "The 'dtype' parameter of MLPRegressor must be"),
    ],
    ids=str,
)
def test_invalid_parameters_are_named_with_their_allowed_values(settings, message):
    with pytest.raises(ValueError) as found:
        regressor(**settings).fit(X, Y)
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [(-np.ones(80), "poisson", "at least 0 for Poisson loss"), (np.zeros(80), "gamma", "above 0 for gamma loss")],
)
def test_targets_that_a_loss_cannot_use(y, loss, message):
    with pytest.raises(ValueError, match=message):
        regressor(loss=loss).fit(X, y)


@pytest.mark.parametrize("y", [[0, 1, 1], [3, -1, 7, 3], ["b", "a", "c"], ["x", "x"], [True, False], [5]], ids=str)
def test_labels_are_fitted_as_label_binarizer_fits_them(y):
    from clearprop.estimators.labels import fit_labels

    ours, theirs = vars(fit_labels(np.array(y))), vars(LabelBinarizer().fit(np.array(y)))
    assert ours.keys() == theirs.keys()
    assert ours.pop("classes_").tolist() == theirs.pop("classes_").tolist()
    assert ours == theirs


def test_predictions_of_many_rows_set_no_attributes_and_use_changed_weights():
    model = classifier().fit(X, LABELS)
    before = dict(vars(model))
    many = np.repeat(X, 3, axis=0)
    np.testing.assert_allclose(model.predict_proba(many)[::3], [model.predict_proba(x[None])[0] for x in X], rtol=1e-12)
    assert vars(model) == before
    model.coefs_[0][...] *= 2
    np.testing.assert_allclose(model.predict_proba(many)[::3], [model.predict_proba(x[None])[0] for x in X], rtol=1e-12)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(many), model.predict_proba(many))
    np.testing.assert_array_equal(copy.deepcopy(model).predict_proba(many), model.predict_proba(many))
