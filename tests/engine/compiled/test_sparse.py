"""Sparse inputs: what a CSR matrix gives is what the same numbers give as an array, on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import ENGINES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import clearprop as cp
from clearprop.checks import check_dense_or_csr
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.sparse import BLOCK
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import DataError, ShapeError
from tests.engine.compiled.test_compiled import Case, _close, _digest, _train, cases


def thinned(case: Case, kept: float) -> Case:
    """The case with most inputs 0."""
    case.X = np.where(np.random.default_rng(case.seed).random(case.X.shape) < kept, case.X, 0)
    return case


def with_sparse_inputs(case: Case) -> Case:
    return Case(**(vars(case) | {"X": sparse.csr_array(case.X)}))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_both_engines_give_what_the_dense_matrix_gives(case: Case, kept: float) -> None:
    case = thinned(case, kept)
    expected, results, _ = _train(case, "float64", TextbookEngine)
    if not np.isfinite(expected.flat).all() or np.abs(expected.flat).max(initial=0) > 1e6:
        return
    for engine in (TextbookEngine, CompiledEngine):
        found, more, _ = _train(with_sparse_inputs(case), "float64", engine)
        _close(found.flat, expected.flat, 1e-10)
        _close(np.array([r.cost for r in more]), np.array([r.cost for r in results]), 1e-9)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_the_number_of_threads_changes_no_bit(case: Case, dtype: str) -> None:
    case = with_sparse_inputs(thinned(case, 0.3))
    one = _digest(case, dtype, 1)
    for threads in (2, 3, 4, 7):
        assert _digest(case, dtype, threads) == one, threads


def words(rows: int, columns: int, seed: int = 0, dtype: str = "float64") -> tuple[sparse.csr_array, np.ndarray]:
    """A table of counts, a few in each row, and two classes that follow from them."""
    random = np.random.default_rng(seed)
    X = sparse.random_array((rows, columns), density=0.02, rng=random, dtype=np.float64, format="csr")
    return X.astype(dtype), (X @ random.normal(size=columns) > 0).astype(int)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_any_sparse_matrix_trains_and_predicts(engine: str, form: Any) -> None:
    """More columns than a block of rows of W."""
    X, y = words(60, 2 * BLOCK + 5)
    net = cp.Network.sequential(X.shape[1], 10, 2, hidden="tanh", output="softmax")
    options: dict[str, Any] = {"loss": "cross_entropy", "epochs": 3, "batch_size": 16, "engine": engine}
    dense, found = net.initialize(0), net.initialize(0)
    expected = cp.train(net, dense, X.toarray(), y, validation=0.2, metrics="accuracy", **options)
    history = cp.train(net, found, form(X), y, validation=0.2, metrics="accuracy", **options)
    _close(found.flat, dense.flat, 1e-10)
    np.testing.assert_allclose(history["validation cost"], expected["validation cost"], rtol=1e-9)
    assert history["accuracy"] == expected["accuracy"]
    answers = cp.predict(net, dense, X.toarray())
    np.testing.assert_allclose(cp.predict(net, dense, form(X)), answers, rtol=1e-10)
    np.testing.assert_allclose(cp.Predictor(net, dense)(form(X)), answers, rtol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_lbfgs_and_backpropagate(engine: str) -> None:
    X, y = words(900, 40)
    net, found = cp.Network.sequential(40, 5, 2, hidden="tanh", output="softmax"), []
    for given_X in (X, X.toarray()):
        params = net.initialize(0)
        cp.train(net, params, given_X, y, loss="cross_entropy", optimizer="lbfgs", epochs=5, engine=engine)
        found.append(params)
    _close(found[0].flat, found[1].flat, 1e-8)
    ours, theirs = (cp.backpropagate(net, params, x, y, "cross_entropy") for x in (X, X.toarray()))
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-7)
    assert (ours.X != X).nnz == 0
    trace = cp.backpropagate(net, params, X.toarray(), y, "cross_entropy")
    _close(cp.backpropagate(net, params, X, y, "cross_entropy").gradients.flat, trace.gradients.flat, 1e-12)


def test_nothing_is_copied_that_is_in_order() -> None:
    """Rows of any order of columns, and numbers given twice, are put in order first, in a copy."""
    X, y = words(30, 50, dtype="float32")
    net = cp.Network.sequential(50, 1)
    params = net.initialize(0, "float32")
    checked = check_dense_or_csr(X, 50, params.dtype)
    assert np.shares_memory(checked.data, X.data)
    assert np.shares_memory(checked.indices, X.indices)
    untidy = sparse.csr_array((np.array([3.0, 1.0, 1.0]), np.array([4, 2, 2]), np.array([0, 3])), shape=(1, 50))
    tidy = check_dense_or_csr(untidy, 50, np.dtype(np.float64))
    assert (tidy.indices.tolist(), tidy.data.tolist()) == ([2, 4], [2.0, 3.0])
    assert untidy.data.tolist() == [3.0, 1.0, 1.0]
    big = sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    big.indices, big.indptr = big.indices.astype(np.int64), big.indptr.astype(np.int64)
    found = []
    for given_X in (X, big):
        params = net.initialize(0, "float32")
        cp.train(net, params, given_X, y[:, None], loss="squared_error", epochs=2, engine="compiled")
        found.append(params.flat.tobytes())
    assert found[0] == found[1]


def damaged() -> sparse.csr_array:
    X = sparse.csr_array(np.ones((3, 5)))
    X.indices[7] = 1000
    return X


BAD = {
    "damaged": (damaged(), DataError, "X: the sparse matrix is damaged: "),
    "columns": (sparse.csr_array((3, 4)), ShapeError, "X: expected 5 columns, one per input of the network, got 4"),
    "rows": (sparse.csr_array((0, 5)), DataError, "X: expected at least one row, got an empty table"),
    "vector": (
        sparse.coo_array(np.ones(5)),
        ShapeError,
        "X: expected a sparse matrix of two dimensions, got shape (5,",
    ),
    "complex": (sparse.csr_array((3, 5), dtype=complex), DataError, "X: expected numbers, got a sparse matrix of type"),
    "NaN": (
        sparse.csr_array(([1.0, np.nan], ([0, 2], [1, 3])), shape=(3, 5)),
        DataError,
        "X: nan at row 2, column 3 (1 such value in all). Expected finite numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_matrices_are_refused_before_anything_runs(name: str) -> None:
    X, error, message = BAD[name]
    net = cp.Network.sequential(5, 1)
    params = net.initialize(0)
    for call in (
        lambda: cp.train(net, params, X, np.zeros((3, 1)), loss="squared_error"),
        lambda: cp.predict(net, params, X),
        lambda: cp.Predictor(net, params)(X),
    ):
        with pytest.raises(error) as caught:
            call()
        assert message in str(caught.value)


ANALYSES = {
    "per sample": lambda net, params, trace, y: trace.per_sample.gradients().flat,
    "Fisher": lambda net, params, trace, y: cp.analysis.fisher_diagonal(trace).flat,
    "Gauss-Newton": lambda net, params, trace, y: cp.analysis.gauss_newton_diagonal(trace).flat,
    "Hessian": lambda net, params, trace, y: cp.analysis.hessian_vector(trace, params).flat,
    "inputs": lambda net, params, trace, y: cp.analysis.input_gradient(trace),
    "jacobian": lambda net, params, trace, y: cp.analysis.jacobian(net, params, trace.X),
    "check": lambda net, params, trace, y: cp.check_gradients(net, params, trace.X, y, loss="cross_entropy").ok,
    "diagnosis": lambda net, params, trace, y: cp.diagnose(net, params, trace.X, y, loss="cross_entropy").names,
    "cost": lambda net, params, trace, y: cp.cost(net, params, trace.X, y, "cross_entropy"),
}


@pytest.mark.parametrize("name", ANALYSES)
def test_analyses_see_the_same_numbers(name: str) -> None:
    X, y = words(20, 12)
    layers = [cp.Layer("h", 4, "tanh"), cp.Layer("copy", 12, "identity", [cp.Direct("input")], bias=False)]
    net = cp.Network(12, [*layers, cp.Layer("out", 2, "softmax", ["h", "copy"])])
    params = net.initialize(0)
    traces = [cp.backpropagate(net, params, given_X, y, "cross_entropy") for given_X in (X, X.toarray())]
    ours, theirs = (ANALYSES[name](net, params, trace, y) for trace in traces)
    assert (ours == theirs) if isinstance(ours, (bool, tuple)) else np.allclose(ours, theirs, rtol=1e-10)
