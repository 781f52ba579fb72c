"""Cost, outputs and gradient of the whole set: the compiled engine agrees with the textbook engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import clearprop as cp
from clearprop.core.objective import Objective, prepare
from clearprop.engine.compiled import whole_set
from clearprop.engine.compiled.whole_set import CompiledEvaluation, CompiledGradient
from clearprop.engine.textbook import TextbookEvaluation, TextbookGradient
from tests.engine.compiled.test_compiled import Case, cases


def close(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


def problem(case: Case) -> tuple[Objective, cp.Parameters]:
    params = case.net.initialize(case.seed)
    return prepare(case.net, params, case.X, case.y, case.losses, case.weight, case.reduction), params


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_both_engines_agree_on_random_networks(case: Case) -> None:
    objective, params = problem(case)
    with np.errstate(all="ignore"):
        cost, expected = TextbookEvaluation(objective, params).cost_and_outputs()
    if not np.isfinite(cost) or cost > 1e6:
        return
    evaluation = CompiledEvaluation(objective, params)
    assert evaluation.cost() == pytest.approx(cost, rel=1e-10, abs=1e-10)
    same, found = evaluation.cost_and_outputs()
    assert same == evaluation.cost()
    assert isinstance(found, Mapping) == isinstance(expected, Mapping)
    for name in expected if isinstance(expected, Mapping) else ():
        close(found[name], expected[name])
    if not isinstance(expected, Mapping):
        close(found, expected)

    theirs, ours = params.copy(), params.copy()
    textbook, compiled = TextbookGradient(objective, params), CompiledGradient(objective, params, norms=True)
    cost = textbook.cost(theirs)
    for _ in range(2):  # results do not depend on the call before
        assert compiled.cost(ours) == pytest.approx(cost, rel=1e-10, abs=1e-10)
        close(ours.flat, theirs.flat)
    for name, norm in textbook.delta_norms().items():
        assert compiled.delta_norms()[name] == pytest.approx(norm, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("rows", [767, 768, 769, 2000])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_more_rows_than_a_chunk_and_parameters_that_change(rows: int, reduction: str) -> None:
    random = np.random.default_rng(rows)
    X, y, w = random.normal(size=(rows, 9)), random.integers(0, 4, rows), random.uniform(0, 2, rows)
    net = cp.Network(9, [cp.Layer("a", 70, "tanh", dropout=0.5), cp.Layer("out", 4, "softmax", ["a", "input"])])
    params = net.initialize(0)
    objective = prepare(net, params, X, y, "cross_entropy", w, reduction)
    evaluation, gradient = CompiledEvaluation(objective, params), CompiledGradient(objective, params, norms=False)
    theirs, ours = params.copy(), params.copy()
    for seed in range(3):
        params.flat[...] = net.initialize(seed).flat
        cost, outputs = evaluation.cost_and_outputs()
        assert cost == pytest.approx(objective.cost(params), rel=1e-12)
        close(outputs, cp.predict(net, params, X))
        TextbookGradient(objective, params).cost(theirs)
        assert gradient.cost(ours) == pytest.approx(cost, rel=1e-12)
        close(ours.flat, theirs.flat)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_bit(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(2000, 40)), random.normal(size=(2000, 3))
    net = cp.Network(40, [cp.Layer("a", 90, "tanh"), cp.Layer("out", 3, sources=["a", cp.Dense("input", False)])])
    params = net.initialize(0, dtype)
    objective, ours = prepare(net, params, X, y, "squared_error"), params.copy()
    digests = set()
    for threads in (1, 2, 3, 4, 7):
        monkeypatch.setattr(whole_set, "Runner", lambda *args, t=threads, **more: RUNNER(*args, threads=t, **more))
        evaluation, gradient = CompiledEvaluation(objective, params), CompiledGradient(objective, params, norms=True)
        assert evaluation._chunks.runner.threads == threads
        cost, outputs = evaluation.cost_and_outputs()
        again = gradient.cost(ours)
        digests.add((cost, again, *gradient.delta_norms().values(), outputs.tobytes(), ours.flat.tobytes()))
    assert len(digests) == 1


RUNNER = whole_set.Runner


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_takes_the_same_steps_on_both_engines(dtype: str, reduction: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(900, 4))
    y = np.tanh(X @ random.normal(size=(4, 2)))
    net, found = cp.Network(4, [cp.Layer("a", 8, "tanh"), cp.Layer("out", 2, sources=["a", "input"])]), []
    for engine in ("compiled", "textbook"):
        params = net.initialize(0, dtype)
        history = cp.train(
            net, params, X, y, loss="squared_error", optimizer="lbfgs", epochs=6, engine=engine,
            penalty=cp.penalties.L2(1e-3), reduction=reduction, validation=0.2, metrics="rmse",
            sample_weight=np.linspace(1, 2, 900),
        )  # fmt: skip
        found.append((params.flat, history))
    (ours, mine), (theirs, expected) = found
    tolerance = 1e-8 if dtype == "float64" else 2e-3
    close(ours, theirs, tolerance)
    assert list(mine) == list(expected)
    for name in mine:
        if name != "seconds":
            np.testing.assert_allclose(mine[name], expected[name], rtol=10 * tolerance)
    for layer in ("a", "out"):
        np.testing.assert_allclose(mine.delta_norms[layer], expected.delta_norms[layer], rtol=10 * tolerance)
        np.testing.assert_allclose(mine.gradient_norms[layer], expected.gradient_norms[layer], rtol=100 * tolerance)
