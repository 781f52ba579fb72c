"""Losses at the ends of the range: cost and gradient of both engines beside mpmath, up to the largest finite numbers.

Wherever the true value is a number of the precision, both engines give it, to a few units in the last place of the
largest term of the written formula; where it is not, they give infinity, never NaN and never a number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import LOSS_CASES
from epochs import run_batches
from mpmath import mp, mpf

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.textbook import TextbookEngine

#: (value, delta, scale of the terms of the value, scale of those of delta) of one row, exactly.
Truth = tuple[mpf, list[mpf], mpf, mpf]


def single(f: Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]) -> Callable[[list[mpf], Any], Truth]:
    """A loss of one output."""

    def truth(z: list[mpf], y: Any) -> Truth:
        value, delta, value_scale, delta_scale = f(z[0], mpf(y[0]))
        return value, [delta], value_scale, delta_scale

    return truth


def squared(factor: float) -> Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]:
    return lambda z, y: (factor * (z - y) ** 2, 2 * factor * (z - y), mpf(0), mpf(0))


def huber(threshold: float) -> Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]:
    def f(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
        r, t = z - y, mpf(threshold)
        if abs(r) <= t:
            return r * r / 2, r, mpf(0), mpf(0)
        return t * (abs(r) - t / 2), t * mpmath.sign(r), mpf(0), mpf(0)

    return f


def quantile(q: float) -> Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]:
    def f(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
        slope = mpf(0) if z == y else 1 - mpf(q) if z > y else -mpf(q)
        return slope * (z - y), slope, mpf(0), mpf(0)

    return f


def poisson(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    own = y * mpmath.log(y) if y else mpf(0)
    e = mpmath.exp(z)
    return e - y + own - y * z, e - y, e + y + abs(own) + abs(y * z), e + y


def gamma(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    share = y * mpmath.exp(-z)
    return share - 1 - mpmath.log(y) + z, 1 - share, share + 1 + abs(mpmath.log(y)) + abs(z), 1 + share


def tweedie(power: float) -> Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]:
    def f(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
        p = mpf(power)
        own = y ** (2 - p) / ((1 - p) * (2 - p)) if y else mpf(0)
        grown, shrunk = mpmath.exp((2 - p) * z), y * mpmath.exp((1 - p) * z) if y else mpf(0)
        terms = [own, -shrunk / (1 - p), grown / (2 - p)]
        # the product (2 - p) z is rounded, and the exponential multiplies that by its size
        wide = 1 + min(abs(z), mpf(1000)) / 4
        return sum(terms), grown - shrunk, wide * sum(map(abs, terms)), wide * (grown + shrunk)

    return f


def softplus(z: mpf) -> mpf:
    return z + mpmath.log1p(mpmath.exp(-z)) if z > 0 else mpmath.log1p(mpmath.exp(z))


def binary(smoothing: float) -> Callable[[mpf, mpf], tuple[mpf, mpf, mpf, mpf]]:
    def f(z: mpf, y: mpf) -> tuple[mpf, mpf, mpf, mpf]:
        y = (1 - mpf(smoothing)) * y + mpf(smoothing) / 2
        return y * softplus(-z) + (1 - y) * softplus(z), 1 / (1 + mpmath.exp(-z)) - y, mpf(0), mpf(1)

    return f


def classes(smoothing: float) -> Callable[[list[mpf], Any], Truth]:
    def truth(z: list[mpf], y: Any) -> Truth:
        rows = [mpf(int(k == y)) for k in range(len(z))] if np.ndim(y) == 0 else [mpf(float(t)) for t in y]
        rows = [(1 - mpf(smoothing)) * t + mpf(smoothing) / len(z) for t in rows]
        top = max(z)
        rest = mpmath.log(sum(mpmath.exp(x - top) for x in z))
        logs = [x - top - rest for x in z]
        value = -sum(t * log for t, log in zip(rows, logs, strict=True))
        return value, [mpmath.exp(log) - t for log, t in zip(logs, rows, strict=True)], mpf(1), mpf(1)

    return truth


#: Weighted sums in units of what the precision holds, and plain ones.
PLAIN = (0.0, 1e-30, 1e-3, 0.7, 3.0, 15.0, 30.0, 60.0, 86.0, 95.0, 300.0, 705.0, 720.0, 1430.0, 1e5, 1e30)
OF_LARGEST = (1e-3, 0.25, 0.5, 0.999, 1.0)


def ends(dtype: np.dtype) -> list[float]:
    """Weighted sums of both signs from 0 to the largest finite number."""
    top = np.finfo(dtype).max
    sizes = [float(np.array(s, dtype)) for s in PLAIN] + [float(top * np.array(share, dtype)) for share in OF_LARGEST]
    return sorted({sign * size for size in sizes for sign in (-1, 1)})


def rows_of_three(dtype: np.dtype) -> list[list[float]]:
    """Three weighted sums: all far apart, two alike, all alike."""
    some = [0.0, 1.0, -40.0, 90.0, 710.0, -1e6, float(np.finfo(dtype).max), float(-np.finfo(dtype).max)]
    return [list(row) for row in itertools.product(some, repeat=3)]


COUNTS, SIZES = [[0.0], [1.0], [3.5], [1e6]], [[1e-30], [0.5], [3.0], [1e6]]
REAL, SHARES = [[0.0], [-1.5], [1e6]], [[0.0], [1.0], [0.3]]
THREE = [0, 2, [0.0, 1.0, 0.0], [0.05, 0.05, 0.9], [0.2, 0.3, 0.5]]


@dataclass(frozen=True)
class Extreme:
    """A loss with the output it belongs to."""

    label: str
    loss: cp.losses.Loss
    output: str
    truth: Callable[[list[mpf], Any], Truth]
    y: list[Any] = field(default_factory=lambda: REAL)
    three: bool = False

    def rows(self, dtype: np.dtype) -> Iterator[tuple[list[float], Any]]:
        z = rows_of_three(dtype) if self.three else [[x] for x in ends(dtype)]
        return itertools.product(z, self.y)


CASES = [
    Extreme("squared", cp.SquaredError(), "identity", single(squared(0.5))),
    Extreme("squared, small factor", cp.SquaredError(factor=2.0**-400), "identity", single(squared(2.0**-400))),
    Extreme("squared, mean over outputs", cp.SquaredError(1.0, "mean"), "identity", single(squared(1.0))),
    Extreme("absolute", cp.AbsoluteError(), "identity", single(lambda z, y: (abs(z - y), mpmath.sign(z - y), mpf(0),
                                                                              mpf(0)))),
    Extreme("huber", cp.Huber(0.5), "identity", single(huber(0.5))),
    Extreme("quantile 0.75", cp.Quantile(0.75), "identity", single(quantile(0.75))),
    Extreme("perceptron", cp.losses.Perceptron(), "identity", single(lambda z, y: ((int(z > 0) - y) * z,
            int(z > 0) - y, mpf(0), mpf(0))), [[0.0], [1.0]]),
    Extreme("poisson", cp.Poisson(), "exponential", single(poisson), COUNTS),
    Extreme("gamma", cp.losses.Gamma(), "exponential", single(gamma), SIZES),
    Extreme("tweedie", cp.losses.Tweedie(), "exponential", single(tweedie(1.5)), [[0.0], *SIZES]),
    Extreme("tweedie 1.125", cp.losses.Tweedie(1.125), "exponential", single(tweedie(1.125)), [[0.0], *SIZES]),
    Extreme("binary", cp.BinaryCrossEntropy(), "sigmoid", single(binary(0)), SHARES),
    Extreme("binary, smoothed", cp.BinaryCrossEntropy(0.25), "sigmoid", single(binary(0.25)), SHARES),
    Extreme("classes", cp.CrossEntropy(), "softmax", classes(0), THREE[:2], three=True),
    Extreme("class probabilities", cp.CrossEntropy(), "softmax", classes(0), THREE[2:], three=True),
    Extreme("classes, smoothed", cp.CrossEntropy(0.125), "softmax", classes(0.125), THREE[:2], three=True),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])
both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
#: Units in the last place of the largest term.
ULPS = 10


def agrees(found: float, true: mpf, scale: mpf, dtype: np.dtype) -> bool:
    """Whether a number is the true one, as far as the precision can hold it."""
    info = np.finfo(dtype)
    bound = ULPS * float(info.eps) * max(abs(true), scale) + float(info.tiny)
    if abs(true) + bound > float(info.max) and np.isinf(found):
        return mpmath.sign(true) == np.sign(found)
    return bool(np.isfinite(found)) and abs(mpf(float(found)) - true) <= bound


def largest_of(case: Extreme, z: list[float], y: Any) -> Truth:
    with mp.workprec(300):
        return case.truth([mpf(x) for x in z], y)


def test_every_loss_is_there():
    assert {case.loss.name for case in CASES} == {case.loss.name for case in LOSS_CASES} - {"log_cosh"}
    assert {case.loss.name: case.output for case in CASES if case.loss.partner} == {
        name: loss.partner.name for name, loss in cp.losses.LOSSES.items() if loss.partner
    }
    assert sum(len(list(case.rows(np.dtype("float64")))) for case in CASES) > 5300


@every_case
@both_precisions
def test_definitions(case, dtype):
    dtype, f = np.dtype(dtype), cp.activations.ACTIVATIONS[case.output]
    wrong, finite = [], 0
    for z, y in case.rows(dtype):
        target = np.array([y]) if np.ndim(y) == 0 else np.array([y], dtype)
        row = np.array([z], dtype)
        with np.errstate(over="ignore"):
            value, delta = case.loss.value_and_delta(f, row, f(row), target)
        true, deltas, value_scale, delta_scale = largest_of(case, z, y if np.ndim(y) == 0 else target[0].tolist())
        finite += bool(np.isfinite(value[0]))
        if not agrees(value[0], true, value_scale, dtype):
            wrong.append(("value", z, y, value[0], mpmath.nstr(true)))
        for got, expected in zip(delta[0], deltas, strict=True):
            if not agrees(got, expected, delta_scale, dtype):
                wrong.append(("delta", z, y, got, mpmath.nstr(expected)))
    assert wrong[:5] == []
    assert finite > 20


@every_case
@both_precisions
@pytest.mark.parametrize("engine", ["textbook", "compiled"])
def test_steps_of_training(case, dtype, engine):
    """A layer without weights takes X as z; from a bias of 0, a step of rate 1 leads to -delta."""
    dtype = np.dtype(dtype)
    rows = list(case.rows(dtype))[:: 7 if case.three else 2]
    X = np.array([z for z, _ in rows], dtype)
    indices = np.ndim(rows[0][1]) == 0
    y = np.array([y for _, y in rows], np.int64 if indices else dtype)
    units = X.shape[1]
    net = cp.Network(units, [cp.Layer("out", units, case.output, [cp.Direct("input")])])
    params = net.initialize(dtype=dtype)
    training = Training(prepare(net, params, X, y, case.loss, reduction="sum"), cp.GradientDescent(1.0))
    runner = TextbookEngine(training, params) if engine == "textbook" else CompiledEngine(training, params, 1)
    wrong, steps = [], 0
    for n, (z, target) in enumerate(rows):
        params.flat[...] = 0
        with np.errstate(all="ignore"):
            result = run_batches(runner, 0, [np.array([n])], 1.0)
        true, deltas, value_scale, delta_scale = largest_of(case, z, target if indices else y[n].tolist())
        failed = result.failed_step is not None
        if not (failed or agrees(result.cost, true, value_scale, dtype)):
            wrong.append(("value", z, target, result.cost, mpmath.nstr(true)))
        with np.errstate(over="ignore"):
            overflows = not np.isfinite(cp.activations.ACTIVATIONS[case.output](X[n : n + 1])).all()
        if failed and not overflows and abs(true) < float(np.finfo(dtype).max) / 2:
            wrong.append(("failed", z, target, result.cost, mpmath.nstr(true)))
        for got, expected in zip(-params.flat if not failed else [], deltas, strict=not failed):
            if not agrees(float(got), expected, delta_scale, dtype):
                wrong.append(("delta", z, target, float(got), mpmath.nstr(expected)))
        steps += not failed
    assert wrong[:5] == []
    assert steps > 10


@both_precisions
def test_no_wrong_prediction_is_hidden(dtype):
    """The loss of a wrong answer grows with its logit without an end: nothing is clipped at 1e-15 or 1e-7."""
    top = float(np.finfo(dtype).max)
    sizes = np.array([10, 50, 200, 1e4, 1e20, top / 4, top / 2], dtype)
    binary_losses = cp.BinaryCrossEntropy().value_and_delta(
        cp.sigmoid, -sizes[:, None], cp.sigmoid(-sizes[:, None]), np.ones((7, 1), dtype)
    )[0]
    z = np.stack([sizes, np.zeros_like(sizes)], axis=1)
    class_losses = cp.CrossEntropy().value_and_delta(cp.softmax, z, cp.softmax(z), np.ones(7, int))[0]
    for losses in (binary_losses, class_losses):
        assert losses.dtype == dtype
        np.testing.assert_allclose(losses[1:], sizes[1:], rtol=1e-6)
