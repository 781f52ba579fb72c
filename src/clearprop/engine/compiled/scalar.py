"""What the functions of `clearprop.mathematics` mean for a single number, in operations that vectorise.

Each is free of branches: a reduction of the argument, a minimax polynomial, and the exponent set through the bits. It
is written once for float32 and float64, with at most 4 units in the last place of error over the whole range, subnormal
numbers included. `fma` is one rounding where the machine has it and two where not; no function relies on which.
"""

from __future__ import annotations

import math
from typing import Any

from clearprop.engine.compiled.formats import FORMATS, Format
from clearprop.symbolic.graph import INTEGERS, Symbol
from clearprop.symbolic.operations import (
    as_float,
    bitwise,
    compare,
    convert,
    intrinsic,
    is_number,
    rarely,
    select,
)


# --------------------------------------------------------------------------------------------------- building blocks
def fma(x: Any, y: Any, z: Any) -> Symbol:
    """X y + z."""
    return intrinsic("fmuladd", x, y, z)


def polynomial(x: Symbol, coefficients: tuple[float, ...]) -> Symbol:
    """c_0 + c_1 x + c_2 x^2 + ... by Estrin's scheme: neighbours in pairs, then pairs in pairs, in few steps."""
    terms: list[Any] = list(coefficients)
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [fma(high, x, low) for low, high in pairs] + terms[len(terms) & ~1 :]
        x = x * x
    return terms[0]


def bits(x: Symbol) -> Symbol:
    """The bits of a number as an integer."""
    return x.graph.node("bitcast", (x,), INTEGERS[x.kind], None, None, x.flat)


def number(i: Symbol) -> Symbol:
    """The number that has these bits."""
    return i.graph.node("bitcast", (i,), {"i32": "float", "i64": "double"}[i.kind], None, None, i.flat)


def whole(x: Symbol, of: Format) -> Symbol:
    """The integer nearest to a number smaller than 2^(mantissa - 2)."""
    return bits(x + of.magic) - of.bits(of.magic)


def two_to(n: Symbol, of: Format) -> Symbol:
    """2^n for an integer n of a normal number."""
    return number((n + of.bias) << of.mantissa)


def with_sign_of(size: Symbol, x: Symbol, of: Format) -> Symbol:
    """|size| with the sign of x."""
    return number(bits(abs(size)) | (bits(x) & of.bits(-0.0)))


# ------------------------------------------------------------------------------------------------------ exp and family
def _reduced_exp(x: Symbol, of: Format, carry: Any = None) -> tuple[Symbol, Symbol]:
    """The pair exp(r) - 1 and n, a whole number, for x + carry = n log 2 + r, |r| <= log(2) / 2."""
    shifted = fma(x, 1 / math.log(2), of.magic)
    n = shifted - of.magic
    r = fma(n, -of.ln2[1], fma(n, -of.ln2[0], x))
    r = r if carry is None else r + carry
    return fma(r * r, polynomial(r, of.exp), r), n


def _scaled(x: Symbol, n: Symbol, of: Format) -> Symbol:
    """2^n x in two factors, so that 2^n neither overflows early nor rounds a subnormal result twice."""
    half = whole(0.5 * n, of)
    return x * two_to(half, of) * two_to(whole(n, of) - half, of)


def exp(x: Symbol) -> Symbol:
    """2^n e^r for x = n log 2 + r."""
    x = as_float(x)
    of = FORMATS[x.kind]
    x = select(x > of.highest, of.highest, select(x < of.lowest, of.lowest, x))
    p, n = _reduced_exp(x, of)
    return _scaled(p + 1, n, of)


def expm1(x: Symbol) -> Symbol:
    """2^n (exp(r) - 1) + (2^n - 1), at half its size so that 2^n does not overflow."""
    x = as_float(x)
    of = FORMATS[x.kind]
    lowest = -2.0 * of.mantissa  # -1 to rounding
    p, n = _reduced_exp(select(x > of.highest, of.highest, select(x < lowest, lowest, x)), of)
    scale = two_to(whole(n - 1, of), of)
    result = 2 * fma(scale, p, scale - 0.5)
    return select(abs(x) < 2.0 ** -(of.mantissa + 2), x, result)


def tanh(x: Symbol) -> Symbol:
    """-e / (e + 2) with e = exp(-2 |x|) - 1, and the sign of x."""
    x = as_float(x)
    of = FORMATS[x.kind]
    y = -2 * abs(x)
    lowest = -0.8 * of.mantissa - 2  # tanh is 1 to rounding
    p, n = _reduced_exp(select(y < lowest, lowest, y), of)
    scale = two_to(whole(n, of), of)
    e = fma(scale, p, scale - 1)
    return with_sign_of(e / (e + 2), x, of)


# ------------------------------------------------------------------------------------------------------ log and family
def _log_of_normal(x: Symbol, of: Format, exponent: Any, carry: Any) -> Symbol:
    """log(x) + carry + exponent log 2 for a positive normal x and a carry far below x's last place.

    x = 2^e m with m between sqrt(1/2) and sqrt(2), log m = 2 artanh(s) with s = f / (2 + f), f = m - 1, written as
    f - (f^2/2 - s (f^2/2 + R)) so that the leading term is exact.
    """
    root_half = of.bits(math.sqrt(0.5)) - (of.bias << of.mantissa)
    e = bitwise("lshr", bits(x) - root_half, of.mantissa)  # with the bias, so never negative
    f = number(bits(x) - ((e - of.bias) << of.mantissa)) - 1
    e = number(e + of.bits(of.magic)) - (of.magic + of.bias) + exponent
    s = f / (f + 2)
    square = s * s
    half = 0.5 * f * f
    rest = fma(s, fma(square, polynomial(square, of.log), half), fma(e, of.ln2[1], carry))
    return fma(e, of.ln2[0], f - (half - rest))


def log(x: Symbol) -> Symbol:
    """log m + e log 2 for x = 2^e m."""
    x = as_float(x)
    of = FORMATS[x.kind]
    subnormal = x < 2.0 ** (1 - of.bias)
    up = of.mantissa + 1
    normal = select(subnormal, x * 2.0**up, x)
    result = _log_of_normal(normal, of, select(subnormal, -float(up), 0.0), 0.0)
    result = select(x < math.inf, result, x)  # infinity and NaN stay
    return select(x <= 0, select(x == 0, -math.inf, math.nan), result)


def log1p(x: Symbol) -> Symbol:
    """log(u) + (what rounding took from u = 1 + x) / u."""
    x = as_float(x)
    of = FORMATS[x.kind]
    u = x + 1
    lost = select(x < 1, x - (u - 1), 1 - (u - x)) / u
    result = _log_of_normal(u, of, 0.0, lost)
    result = select(x < math.inf, result, x)
    result = select(abs(x) < 2.0 ** -(of.mantissa + 2), x, result)
    return select(x <= -1, select(x == -1, -math.inf, math.nan), result)


def xlogy(x: Any, y: Any) -> Any:
    """X log y, 0 where x = 0 unless y is NaN."""
    if is_number(y):
        return select((x == 0) & (y == y), 0, x * math.log(y))
    return select(compare("eq", x, 0) & (y == y), 0, x * log(y))


# --------------------------------------------------------------------------------------------------------------- erfc
def _erfc_of_large(size: Symbol, of: Format) -> Symbol:
    """exp(-x^2) h(x) / (1 + 2 x) for x >= 0.49, with h one smooth polynomial (Shepherd and Laframboise 1981).

    The part of x^2 that rounding would take is carried into the exponential.
    """
    size = select(size > of.farthest, of.farthest, size)
    head = number(bits(size) & -(1 << (of.mantissa // 2 + 1)))  # its square is exact
    e, n = _reduced_exp(-(head * head), of, carry=-((size - head) * (size + head)))
    t = (size - of.centre) / (size + of.centre)
    h = fma(t, polynomial(t, of.erfc[1:]), of.erfc[0]) / fma(2, size, 1)
    return _scaled(fma(e, h, h), n, of)


def _erf_of_small(x: Symbol, of: Format) -> Symbol:
    return fma(x, polynomial(x * x, of.erf), x)


def erfc(x: Symbol) -> Symbol:
    """1 - erf(x) for |x| < 1/2; beyond, by the size of x, and for negative x the difference to 2."""
    x = as_float(x)
    of = FORMATS[x.kind]
    large = _erfc_of_large(abs(x), of)
    large = select(x < 0, 2 - large, large)
    return select(abs(x) < 0.5, 1 - _erf_of_small(x, of), large)


def erf(x: Symbol) -> Symbol:
    """X + x P(x^2) for |x| < 1/2, else 1 - erfc(|x|) with the sign of x."""
    x = as_float(x)
    of = FORMATS[x.kind]
    large = with_sign_of(1 - _erfc_of_large(abs(x), of), x, of)
    return select(abs(x) < 0.5, _erf_of_small(x, of), large)


# ------------------------------------------------------------------------------------------------- functions of circles
#: pi/2 in parts of 33 bits, so that a whole number below 2^20 times a part is exact, and the rest.
_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)


def _quadrant(x: Symbol) -> tuple[Symbol, Symbol]:
    """R and k for x = k pi/2 + r, |r| <= pi/4, in double precision; exact to rounding for |x| <= 10^6."""
    wide, of = convert(x, "double"), FORMATS["double"]
    shifted = fma(wide, 2 / math.pi, of.magic)
    k = shifted - of.magic
    r = wide
    for part in _HALF_PI if x.kind == "double" else _HALF_PI[:3]:
        r = r - k * part
    return convert(r, x.kind), bits(shifted)


def _circle(x: Symbol, quarter: int, name: str) -> Symbol:
    """sin(x + quarter pi/2): sin or cos of r by the quadrant; huge arguments go through the C library."""
    of = FORMATS[x.kind]
    r, k = _quadrant(x)
    k = k + quarter
    square = r * r
    sin = fma(square * r, polynomial(square, of.sin), r)
    cos = fma(square * square, polynomial(square, of.cos), fma(square, -0.5, 1))
    size = select((k & 1) == 0, sin, cos)
    result = select((k & 2) == 0, size, -size)
    return rarely((abs(x) > 1e6) & (abs(x) < math.inf), name, x, result)


def sin(x: Symbol) -> Symbol:
    """The sine."""
    x = as_float(x)
    return select(abs(x) < 2.0 ** -(FORMATS[x.kind].mantissa // 2 + 2), x, _circle(x, 0, "sin"))


def cos(x: Symbol) -> Symbol:
    """The cosine."""
    return _circle(as_float(x), 1, "cos")


# ---------------------------------------------------------------------------------------------- choices and comparisons
def maximum(x: Any, y: Any) -> Symbol:
    """The larger; NaN where either is."""
    x, y = (y, x) if is_number(x) else (x, y)
    return select(~compare("lt", x, y), x, y) if is_number(y) else select((x >= y) | (x != x), x, y)


def minimum(x: Any, y: Any) -> Symbol:
    """The smaller; NaN where either is."""
    x, y = (y, x) if is_number(x) else (x, y)
    return select(~compare("gt", x, y), x, y) if is_number(y) else select((x <= y) | (x != x), x, y)


def sign(x: Symbol) -> Symbol:
    """-1, 0 or 1; NaN stays."""
    x = as_float(x)
    return select(x > 0, 1.0, select(x < 0, -1.0, select(x == 0, 0.0, x)))


def clip(x: Symbol, min: Any = None, max: Any = None) -> Symbol:
    """X between two bounds, None for no bound."""
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)
