"""Approximations of elementary functions, built from instructions that vectorise.

Each function is free of branches: a reduction of the argument, a minimax polynomial, and the exponent set through the
bits of the number. It is written once for float32 and float64, with an error of at most 4 units in the last place over
the whole range, subnormal numbers included. `fma` rounds once where the machine has the instruction, else twice; no
function relies on which. The coefficients come from the Remez algorithm, for the intervals and errors stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.symbolic.graph import Symbol, is_number
from clearprop.symbolic.primitives import INTEGERS, as_float, bitwise, compare, convert, intrinsic, rarely, select


@dataclass(frozen=True)
class Format:
    """A floating-point format, and the constants and polynomials that belong to it."""

    type: type[np.floating]
    mantissa: int  # bits
    bias: int  # of the exponent
    ln2: tuple[float, float]  # its first part has zeros at the end, so that n * ln2[0] is exact
    lowest: float  # exp of less is 0
    highest: float  # exp of more is infinite
    exp: tuple[float, ...]  # (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2
    log: tuple[float, ...]  # (2 artanh(s) - 2 s) / s^3 as a polynomial in s^2 for |s| <= 0.1716
    erf: tuple[float, ...]  # erf(x) / x - 1 as a polynomial in x^2 for |x| <= 1/2
    erfc: tuple[float, ...]  # (1 + 2 x) exp(x^2) erfc(x) as a polynomial in (x - centre) / (x + centre) for x >= 0.49
    centre: float
    farthest: float  # erfc of more is 0
    sin: tuple[float, ...]  # (sin(r) - r) / r^3 as a polynomial in r^2 for |r| <= pi/4
    cos: tuple[float, ...]  # (cos(r) - 1 + r^2/2) / r^4 likewise

    @property
    def magic(self) -> float:
        """Added to a number smaller than 2^(mantissa - 2), it leaves its nearest integer in the low bits."""
        return 1.5 * 2.0**self.mantissa

    def bits(self, value: float) -> int:
        """The bits of a number as a signed integer."""
        return int(self.type(value).view(np.int32 if self.mantissa == 23 else np.int64))


FORMATS = {
    "float": Format(
        type=np.float32,
        mantissa=23,
        bias=127,
        ln2=(0.693359375, -2.1219444005469058e-4),
        lowest=-104.0,
        highest=89.0,
        # relative errors of the functions: exp 2^-26, log 2^-30, erf 2^-29, erfc 2^-26, sin 2^-27.5, cos 2^-32.5
        exp=(
            0.5000000061993179, 0.16666542916848935, 0.041666281860834063, 0.0083665839953257395,
            0.0013946459911820167,
        ),
        log=(0.66666776487292976, 0.39977527078416467, 0.29872152196749808),
        erfc=(
            1.2769783814932367, -0.09276355343378599, -0.1660304272898261, 0.16404183135547978, -0.0542177658641258,
            -0.007944299781242949, 0.008691267158833471, 0.0009434356697433835, -0.0013131600835276907,
        ),
        erf=(
            0.1283791655644767, -0.3761260852603977, 0.11282821684700915, -0.02675710035018317,
            0.0047177986113764465,
        ),
        centre=2.0,
        farthest=10.3,
        sin=(-0.16666654936656829, 0.0083321776840043064, -0.00019517234372989691),
        cos=(0.041666646854759695, -0.0013887366917199197, 2.4438380220312748e-5),
    ),
    "double": Format(
        type=np.float64,
        mantissa=52,
        bias=1023,
        ln2=(0.6931471803691238, 1.9082149292705877e-10),
        lowest=-746.0,
        highest=710.0,
        # relative errors of the functions: exp 2^-55.5, log 2^-58.5, erf 2^-56, erfc 2^-54, sin 2^-57, cos 2^-59
        exp=(
            0.50000000000000055513, 0.16666666666666685978, 0.04166666666657361524, 0.0083333333333146074877,
            0.0013888888932381169673, 0.00019841269902994722619, 2.4801504443605012779e-5, 2.7557227987016978921e-6,
            2.762632734061007114e-7, 2.5114462210477809852e-8,
        ),
        log=(
            0.66666666666667345613, 0.3999999999941356272, 0.28571428742661502878, 0.22222198542642530089,
            0.18183566031752236968, 0.1531400405500301298, 0.14796442175469373141,
        ),
        erfc=(
            1.2329951186255526, -0.1396211168405625, 0.015379652102618945, 0.06809705425469048, -0.10103906603624849,
            0.09373283499844368, -0.06633036581373741, 0.03716751553559342, -0.016197734036657425,
            0.005031969999331409, -0.0007577734599137245, -0.00019925684377617285, 0.00015062254234171182,
            -2.4398534793636634e-05, -1.1224853821608123e-05, 5.707665648057624e-06, 2.9974546651446387e-07,
            -8.212553973887092e-07, 6.686549461696817e-08, 1.0470584248086984e-07, -1.2167104607208839e-08,
            -1.016465024079064e-08,
        ),
        erf=(
            0.12837916709551256, -0.37612638903183465, 0.11283791670924728, -0.02686617063268628,
            0.005223977369823271, -0.0008548297478094537, 0.00012053321965282171, -1.4845521998641898e-05,
            1.4722558584726385e-06,
        ),
        centre=4.0,
        farthest=27.6,
        sin=(
            -0.16666666666666632026, 0.0083333333333224135206, -0.00019841269829807738333, 2.7557313691900131451e-6,
            -2.5050758113115236084e-8, 1.5896795552810855267e-10,
        ),
        cos=(
            0.041666666666666599476, -0.001388888888887412402, 2.4801587289482243058e-5, -2.7557314352349158333e-7,
            2.0875723275319914568e-9, -1.1359647902961220607e-11,
        ),
    ),
}  # fmt: skip


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
    return x.graph.node("bitcast", (x,), INTEGERS[x.kind])


def number(i: Symbol) -> Symbol:
    """The number that has these bits."""
    return i.graph.node("bitcast", (i,), {"i32": "float", "i64": "double"}[i.kind])


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
