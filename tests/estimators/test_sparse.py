"""Sparse X: the numbers of the same X written out, and of scikit-learn, without ever writing it out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as theirs

import clearprop as cp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = sparse.random(90, 40, 0.1, format="csr", random_state=0)
X.data -= 0.3
Y = (X.toarray()[:, :5].sum(axis=1) > 0).astype(int)
SHARED: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 8, "random_state": 0, "batch_size": 32, "alpha": 0.1}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"solver": "sgd", "learning_rate_init": 0.1},
    {"solver": "lbfgs"},
    {"early_stopping": True},
    {"dropout": 0.3},
    {"skip": True},
    {"dtype": "float32"},
    {"n_networks": 2},
    {"engine": "textbook"},
]


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "coo_array"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sparse_equals_dense(settings, kind):
    rows = getattr(sparse, kind)(X)
    a, b = (cp.MLPClassifier(**{**SHARED, **settings}).fit(data, Y) for data in (rows, X.toarray()))
    np.testing.assert_allclose(a.predict_proba(rows), b.predict_proba(X.toarray()), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(a.predict(rows), b.predict(X.toarray()))
    if a.n_networks == 1 and settings.get("solver") != "lbfgs":
        np.testing.assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-5, atol=1e-5 if a.dtype else 1e-11)


@pytest.mark.parametrize("settings", SETTINGS[:4], ids=str)
def test_sparse_has_scikit_learns_numbers(settings):
    ours, other = (kind(**{**SHARED, **settings}).fit(X, Y) for kind in (cp.MLPClassifier, theirs.MLPClassifier))
    if settings.get("solver") == "lbfgs":
        assert ours.loss_ == pytest.approx(other.loss_, rel=1e-6)
    else:
        np.testing.assert_allclose(ours.coefs_[0], other.coefs_[0], rtol=0, atol=1e-10 * np.abs(other.coefs_[0]).max())
        np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"dropout": 0.2}, {"solver": "lbfgs"}], ids=str)
def test_sparse_data_is_never_converted_to_dense(settings, monkeypatch):
    def refuse(self, *_, **__):
        raise AssertionError("X was made dense")

    for kind in (sparse.csr_matrix, sparse.csr_array):
        monkeypatch.setattr(kind, "toarray", refuse)
        monkeypatch.setattr(kind, "todense", refuse)
    model = cp.MLPClassifier(**{**SHARED, **settings})
    validation = {} if settings.get("solver") == "lbfgs" else {"X_val": X[:20], "y_val": Y[:20]}
    model.fit(X, Y, **validation).predict(X)


def test_equal_rows_get_the_same_dropout_dense_or_sparse():
    from clearprop.estimators.data import row_keys

    rows = X.toarray()
    rows[3] = rows[7]
    rows[5, 2] = -0.0
    for dtype in (np.float64, np.float32):
        keys = row_keys(rows.astype(dtype))
        np.testing.assert_array_equal(keys, row_keys(sparse.csr_array(rows.astype(dtype))))
        assert keys[3] == keys[7]
        assert len(np.unique(keys)) == len(np.unique(rows, axis=0))
