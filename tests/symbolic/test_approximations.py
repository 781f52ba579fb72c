"""The compiled functions against mpmath: at most 4 units in the last place, anywhere."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

import clearprop as cp
from clearprop import mathematics
from clearprop.engine.compiled.elementwise import activation_kernels
from clearprop.engine.compiled.machine import assembly
from clearprop.symbolic.approximations import FORMATS, Format

Exact = Callable[[mpmath.mpf], mpmath.mpf]
NAN, INFINITY = mpmath.nan, mpmath.inf
ULPS = 4
POINTS = 500


def compiled(function: Callable, dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    """The kernel of an elementwise function, on one row."""
    forward, _ = activation_kernels(cp.activations.Custom("tested", function, lambda z, a: z), np.dtype(dtype))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)(forward)

    def run(x: np.ndarray) -> np.ndarray:
        stride = -(-len(x) // 16) * 16
        z, a = np.zeros(stride, dtype), np.zeros(stride, dtype)
        z[: len(x)] = x
        call(z.ctypes.data, a.ctypes.data, 1, len(x), stride)
        return a[: len(x)]

    return run


def below(limit: float, f: Exact, left: float, right: float) -> Exact:
    """F for |x| < limit; far beyond it mpmath would need too many digits, and `left` or `right` is the value."""
    return lambda x: f(x) if abs(x) < limit else mpmath.mpf(left if x < 0 else right)


def precise(f: Exact) -> Exact:
    """F with enough digits of pi for huge arguments."""

    def wide(x: mpmath.mpf) -> mpmath.mpf:
        with mpmath.workprec(140 if abs(x) < 1e15 else 1200):
            return f(x)

    return wide


#: Function, exact function, and what it tends to on the left and on the right.
FUNCTIONS: dict[str, tuple[Callable, Exact, float, float]] = {
    "exp": (mathematics.exp, below(2000, mpmath.exp, 0, math.inf), 0, math.inf),
    "expm1": (mathematics.expm1, below(2000, mpmath.expm1, -1, math.inf), -1, math.inf),
    "log": (mathematics.log, lambda x: mpmath.log(x) if x > 0 else NAN if x else -INFINITY, math.nan, math.inf),
    "log1p": (
        mathematics.log1p,
        lambda x: mpmath.log1p(x) if x > -1 else -INFINITY if x == -1 else NAN,
        math.nan,
        math.inf,
    ),
    "sqrt": (mathematics.sqrt, lambda x: mpmath.sqrt(x) if x >= 0 else NAN, math.nan, math.inf),
    "tanh": (mathematics.tanh, below(100, mpmath.tanh, -1, 1), -1, 1),
    "sin": (mathematics.sin, precise(mpmath.sin), math.nan, math.nan),
    "cos": (mathematics.cos, precise(mpmath.cos), math.nan, math.nan),
    "erfc": (mathematics.erfc, below(100, mpmath.erfc, 2, 0), 2, 0),
    "erf": (lambda x: x.graph.namespace.erf(x), below(100, mpmath.erf, -1, 1), -1, 1),
    "logistic": (mathematics.logistic, below(2000, lambda x: 1 / (1 + mpmath.exp(-x)), 0, 1), 0, 1),
    "log_one_plus_exp": (
        mathematics.log_one_plus_exp,
        lambda x: mpmath.log1p(mpmath.exp(x)) if abs(x) < 2000 else max(x, mpmath.mpf(0)),
        0,
        math.inf,
    ),
}


def points(dtype: type, rng: np.random.Generator) -> np.ndarray:
    """All sizes of numbers, the usual ones more densely, and both sides of every threshold."""
    info, bits = np.finfo(dtype), {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    reach = 110 if dtype is np.float32 else 800
    edges = [88.722839, 87.33655, 103.97208, 709.782712893384, 708.3964185322641, 745.1332191019412]
    edges += [0.5, 1.0, 9.0, 10.05, 10.3, 19.06, 26.54, 27.2, 27.6, 1e6, math.sqrt(0.5), math.sqrt(2)]
    near = [np.array(edge, dtype) * (1 + np.arange(-6, 7) * info.eps) for edge in edges]
    special = [0.0, info.tiny, info.smallest_subnormal, info.max, info.eps, 1 - info.epsneg]
    drawn = [
        rng.integers(0, np.iinfo(bits).max, POINTS, dtype=bits, endpoint=True).view(dtype),
        rng.normal(size=POINTS) * 3,
        rng.uniform(-reach, reach, POINTS),
        np.exp(rng.uniform(-12, 3, POINTS)),
        1 + rng.normal(size=POINTS) * 0.01,
        rng.integers(-600_000, 600_000, POINTS) * (math.pi / 2),  # next to zeros of the sine and cosine
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([np.concatenate([*near, special]), *drawn]).astype(dtype)
    x = np.concatenate([x, -x])
    return x[np.isfinite(x)]


def ulps(got: float, exact: mpmath.mpf, dtype: type) -> float:
    """Distance in units in the last place of the exact value; overflow may come one unit early or late."""
    info = np.finfo(dtype)
    if mpmath.isnan(exact):
        return 0 if math.isnan(got) else math.inf
    if abs(exact) >= mpmath.mpf(float(info.max)) * (1 + mpmath.mpf(2) ** -(info.nmant + 2)):
        return 0 if got == math.copysign(math.inf, exact) else 1 if abs(got) == info.max else math.inf
    if not math.isfinite(got):
        return 1 if abs(exact) > mpmath.mpf(float(info.max)) * (1 - mpmath.mpf(2) ** -info.nmant) else math.inf
    exponent = info.minexp if exact == 0 else max(int(mpmath.mag(exact)) - 1, info.minexp)
    return float(abs(mpmath.mpf(got) - exact) / mpmath.mpf(2) ** (exponent - info.nmant))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_at_most_four_units_in_the_last_place(name: str, dtype: type) -> None:
    function, exact, left, right = FUNCTIONS[name]
    x = points(dtype, np.random.default_rng(3))
    got = compiled(function, dtype)(x).tolist()
    with mpmath.workprec(140):
        errors = [ulps(g, exact(mpmath.mpf(float(at))), dtype) for g, at in zip(got, x, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= ULPS, f"{name}({x[worst]!r}) is {got[worst]!r}, {errors[worst]:.2f} units off"
    ends = compiled(function, dtype)(np.array([-math.inf, math.inf, math.nan]))
    np.testing.assert_array_equal(ends, np.array([left, right, math.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "sin", "erf", "sqrt"])
def test_keeps_the_sign_of_zero(name: str, dtype: type) -> None:
    zeros = compiled(FUNCTIONS[name][0], dtype)(np.array([0.0, -0.0]))
    assert zeros.tolist() == [0.0, 0.0]
    assert np.signbit(zeros).tolist() == [False, True]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_choices_treat_nan_and_infinity_as_numpy_does(dtype: type) -> None:
    x = np.array([math.nan, -math.inf, -1.5, -0.0, 0.0, 1.0, math.inf])
    for function in (
        mathematics.sign,
        mathematics.absolute,
        lambda x: mathematics.maximum(x, 0),
        lambda x: mathematics.maximum(0.5, x),
        lambda x: mathematics.minimum(x, 0),
        lambda x: mathematics.maximum(x, 2 * x),
        lambda x: mathematics.minimum(-x, 2 * x),
        lambda x: mathematics.where(x > 0, x, -2),
        lambda x: mathematics.where((x >= 0) & (x < 3), 1, 0),
    ):
        np.testing.assert_array_equal(compiled(function, dtype)(x), function(x.astype(dtype)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_xlogy_is_zero_at_zero_whatever_y(dtype: type) -> None:
    y = np.array([0.0, math.inf, 2.0, math.nan])
    result = compiled(lambda y: mathematics.xlogy(0 * mathematics.where(y > 0, 1, 1), y), dtype)(y)
    np.testing.assert_array_equal(result, np.array([0, 0, 0, math.nan], dtype))
    twice = compiled(lambda y: mathematics.xlogy(2 + 0 * mathematics.where(y > 0, 1, 1), y), dtype)(y)
    np.testing.assert_allclose(twice, [-math.inf, math.inf, 2 * math.log(2), math.nan], rtol=1e-6)


def test_argument_reductions_are_exact() -> None:
    for form in FORMATS.values():
        high, low = form.ln2
        assert abs(mpmath.mpf(high) + mpmath.mpf(low) - mpmath.log(2)) < 1e-19 * 2.0 ** (29 * (form.mantissa == 23))
        for n in (3, form.bias + form.mantissa, 2 * form.bias):
            assert float(form.type(n) * form.type(high)) == n * high  # no bit is lost


def test_functions_become_vector_instructions(texts: list[str]) -> None:
    for name in ("exp", "log", "tanh", "erfc", "logistic", "log_one_plus_exp"):
        for dtype in (np.float32, np.float64):
            texts.clear()
            activation_kernels(cp.activations.Custom("tested", FUNCTIONS[name][0], lambda z, a: z), np.dtype(dtype))
            instructions = assembly(texts[0])
            assert "\tcall" not in instructions
            assert "\tbl\t" not in instructions
            packed = {np.float32: ("mulps", ".4s"), np.float64: ("mulpd", ".2d")}[dtype]
            assert any(mark in instructions for mark in packed)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The LLVM texts of the kernels that are made."""
    made: list[str] = []
    monkeypatch.setattr(
        "clearprop.engine.compiled.elementwise.compile_function", lambda text: made.append(text) or len(made)
    )
    return made


#: Relative error of each function that comes from its polynomial alone, as a power of two.
BOUNDS = {
    "exp": (-26, -55.5),
    "log": (-30, -58.5),
    "erf": (-29, -56),
    "erfc": (-26, -54),
    "sin": (-27.5, -57),
    "cos": (-32.5, -59),
}


def by_polynomial(name: str, form: Format, x: mpmath.mpf) -> mpmath.mpf:
    """A function by the polynomial that stands for it, in exact arithmetic."""

    def p(at: mpmath.mpf) -> mpmath.mpf:
        return mpmath.polyval([*reversed(getattr(form, name))], at)

    return {
        "exp": lambda: x + x**2 * p(x),
        "log": lambda: 2 * x + x**3 * p(x**2),
        "sin": lambda: x + x**3 * p(x**2),
        "cos": lambda: 1 - x**2 / 2 + x**4 * p(x**2),
        "erf": lambda: x + x * p(x**2),
        "erfc": lambda: p((x - form.centre) / (x + form.centre)) * mpmath.exp(-(x**2)) / (1 + 2 * x),
    }[name]()


@pytest.mark.parametrize("name", BOUNDS)
def test_polynomials_have_the_stated_errors(name: str) -> None:
    exact, low, high = {
        "exp": (mpmath.expm1, 1e-6, math.log(2) / 2),
        "log": (lambda s: 2 * mpmath.atanh(s), 1e-6, 0.1716),
        "sin": (mpmath.sin, 1e-6, math.pi / 4),
        "cos": (mpmath.cos, 0, math.pi / 4),
        "erf": (mpmath.erf, 1e-6, 0.5),
        "erfc": (mpmath.erfc, 0.5, None),
    }[name]
    for form, bound in zip(FORMATS.values(), BOUNDS[name], strict=True):
        for x in np.linspace(low, high or form.farthest, 61):
            with mpmath.workdps(40):
                error = by_polynomial(name, form, mpmath.mpf(x)) / exact(mpmath.mpf(x)) - 1
                assert abs(error) < mpmath.mpf(2) ** bound, (form.mantissa, x, mpmath.log(abs(error), 2))
