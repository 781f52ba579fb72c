"""Epochs that run as one call end where epochs one by one do, whatever ends them."""

from __future__ import annotations

import signal
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils import shuffle

import clearprop as cp
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.textbook import TextbookEngine
from clearprop.estimators.protocol import ShuffledRows
from clearprop.training import descent

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
SHARED: dict[str, Any] = {"hidden_layer_sizes": (6,), "batch_size": 25, "random_state": 1, "learning_rate_init": 0.02}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"tol": 1e-2, "n_iter_no_change": 3},
    {"tol": 1e-2, "n_iter_no_change": 1},
    {"tol": 0.0, "n_iter_no_change": np.inf, "max_iter": 30},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "max_iter": 25},
    {"solver": "adam", "learning_rate": cp.schedules.Cosine(0.05), "max_iter": 20},
    {"dropout": 0.3, "max_iter": 20},
    {"early_stopping": True, "max_iter": 40},
    {"scoring": "loss", "early_stopping": True, "validation_fraction": 0, "max_iter": 15},
    {"on_divergence": "keep", "max_iter": 15},
    {"engine": "textbook", "max_iter": 15},
]


def fitted(model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, Y)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_several_epochs_in_one_call_equal_single_epochs(settings, monkeypatch):
    together = fitted(cp.MLPClassifier(**{**SHARED, **settings}))
    monkeypatch.setattr(descent, "OPERATIONS", 0)
    alone = fitted(clone(together))
    assert together.n_iter_ == alone.n_iter_
    assert together._no_improvement_count == alone._no_improvement_count
    np.testing.assert_allclose(together.loss_curve_, alone.loss_curve_, rtol=1e-14)
    for a, b in zip(together.coefs_ + together.intercepts_, alone.coefs_ + alone.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [1, 2, 60, 1000])
def test_orders_are_those_of_scikit_learn(n):
    """It takes the rows at shuffled positions, epoch after epoch."""
    chosen = np.random.default_rng(n).permutation(2 * n)[:n]
    rows, generator = ShuffledRows(chosen.copy(), 7, np.random.RandomState(3)), np.random.RandomState(3)
    expected = []
    for _ in range(5):
        chosen = chosen[shuffle(np.arange(n), random_state=generator)]
        expected.append(chosen)
    np.testing.assert_array_equal(np.concatenate([rows.orders(0, 2), rows.orders(2, 3)]), expected)
    assert rows.generator is not None
    assert rows.generator.randint(2**31 - 1) == generator.randint(2**31 - 1)


def test_orders_of_past_epochs_are_drawn_on_resuming():
    """A fit that is resumed continues with the order that comes next."""
    rows, others = (ShuffledRows(np.arange(20), 7, np.random.RandomState(3)) for _ in range(2))
    np.testing.assert_array_equal(rows.orders(5, 2), others.orders(0, 7)[5:])


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_orders_that_were_not_used_are_drawn_again(kept):
    """After several calls, the generator and the rows are those after the epochs that were used."""
    rows, others = (ShuffledRows(np.arange(20), 7, np.random.RandomState(3)) for _ in range(2))
    rows.orders(0, 1), rows.orders(1, 3), rows.orders(4, 4)
    rows.discard_after(kept)
    np.testing.assert_array_equal(rows.orders(4 + kept, 2), others.orders(0, 6 + kept)[4 + kept :])


def test_no_order_is_drawn_for_epochs_that_are_not_run():
    """A generator of the user's own is left where scikit-learn leaves it."""
    from sklearn.neural_network import MLPClassifier

    ours, theirs = np.random.RandomState(0), np.random.RandomState(0)
    settings = {**SHARED, "tol": 1e-2, "n_iter_no_change": 3}
    fitted(cp.MLPClassifier(**{**settings, "random_state": ours}))
    fitted(MLPClassifier(**{**settings, "random_state": theirs}))
    assert ours.randint(10**6, size=3).tolist() == theirs.randint(10**6, size=3).tolist()


@pytest.mark.parametrize("rate", [3e2, 1e5, 1e30, 1e160])
def test_divergence_is_reported_in_the_same_epoch_as_for_single_epochs(rate, monkeypatch):
    found = []
    for operations in (descent.OPERATIONS, 0):
        monkeypatch.setattr(descent, "OPERATIONS", operations)
        model = cp.MLPRegressor(
            hidden_layer_sizes=(5,), solver="sgd", learning_rate_init=rate, random_state=0, batch_size=25
        )
        with pytest.raises(cp.errors.TrainingDiverged) as error:
            fitted(model)
        found.append((str(error.value), error.value.last_finite.flat.tolist(), model.loss_curve_))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", [CompiledEngine, TextbookEngine])
@pytest.mark.parametrize("weight", [0.0, 1e200])
def test_divergence_in_the_last_step_is_detected(weight, kind, monkeypatch):
    """Parameters can be finite and their outputs not; no later step would tell."""

    def lose(self):
        write_back(self)
        self.params.flat[...] += weight

    write_back = kind.write_back
    monkeypatch.setattr(kind, "write_back", lose)
    model = cp.MLPRegressor(hidden_layer_sizes=(5,), max_iter=1, random_state=0, engine=kind.name)
    seen = []
    monkeypatch.setattr(descent.Descent, "_raise_divergence", lambda *_: seen.append(True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X[:, 0])
    assert bool(seen) == bool(weight)


@pytest.mark.parametrize("engine", ["compiled", "textbook"])
@pytest.mark.parametrize("rate", ["constant", "adaptive"])
@pytest.mark.parametrize(("solver", "tol", "patience"), [("adam", 0.02, 3), ("sgd", 0.004, 2), ("adam", 0.1, 1)])
def test_epochs_that_run_as_one_call_end_where_scikit_learn_ends(solver, tol, patience, rate, engine, monkeypatch):
    """Also the generator is left as it is left there, though more orders were drawn than used."""
    kind = TextbookEngine if engine == "textbook" else CompiledEngine
    run, cut = kind.run, []

    def note(self, epochs, *arguments):
        result = run(self, epochs, *arguments)
        cut.append(len(epochs) - len(result.losses))
        return result

    monkeypatch.setattr(kind, "run", note)
    settings = {"solver": solver, "tol": tol, "n_iter_no_change": patience, "learning_rate": rate, "max_iter": 300}
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    model = cp.MLPClassifier((7,), **settings, batch_size=20, random_state=ours, engine=engine).fit(X, Y)
    reference = MLPClassifier((7,), **settings, batch_size=20, random_state=theirs).fit(X, Y)
    assert model.n_iter_ == reference.n_iter_ < 300
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(model.coefs_[0], reference.coefs_[0], rtol=1e-7)
    assert (ours.randint(1 << 30, size=5) == theirs.randint(1 << 30, size=5)).all()
    assert any(cut) or model.n_iter_ <= patience + 2  # some call was asked for more than it made


def test_an_interruption_of_epochs_that_run_as_one_call(monkeypatch):
    """The call is finished, and all that the estimator notes belongs to its last epoch."""
    run = CompiledEngine.run

    def interrupt(self, epochs, *arguments):
        signal.raise_signal(signal.SIGINT)
        assert len(epochs) == 30
        return run(self, epochs, *arguments)

    monkeypatch.setattr(CompiledEngine, "run", interrupt)
    settings = {**SHARED, "tol": 0.0, "n_iter_no_change": 29}
    model = cp.MLPClassifier(**settings, max_iter=100)
    with pytest.warns(
        UserWarning, match=r"fit was interrupted in epoch 30; the model has the parameters of the last completed step"
    ):
        model.fit(X, Y)
    monkeypatch.setattr(CompiledEngine, "run", run)
    whole = fitted(cp.MLPClassifier(**settings, max_iter=30))
    assert (model.n_iter_, model.t_, model.loss_) == (30, 30 * len(X), whole.loss_)
    assert (model.loss_curve_, model.best_loss_) == (whole.loss_curve_, whole.best_loss_)
    np.testing.assert_array_equal(model.coefs_[0], whole.coefs_[0])
