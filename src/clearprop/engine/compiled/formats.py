"""The two floating-point formats, with the constants and polynomials that each function of `scalar` needs in them.

The coefficients are minimax polynomials, found by the Remez algorithm for the intervals and relative errors stated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
            0.5000000061993179,
            0.16666542916848935,
            0.041666281860834063,
            0.0083665839953257395,
            0.0013946459911820167,
        ),
        log=(0.66666776487292976, 0.39977527078416467, 0.29872152196749808),
        erfc=(
            1.2769783814932367,
            -0.09276355343378599,
            -0.1660304272898261,
            0.16404183135547978,
            -0.0542177658641258,
            -0.007944299781242949,
            0.008691267158833471,
            0.0009434356697433835,
            -0.0013131600835276907,
        ),
        erf=(
            0.1283791655644767,
            -0.3761260852603977,
            0.11282821684700915,
            -0.02675710035018317,
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
            0.50000000000000055513,
            0.16666666666666685978,
            0.04166666666657361524,
            0.0083333333333146074877,
            0.0013888888932381169673,
            0.00019841269902994722619,
            2.4801504443605012779e-5,
            2.7557227987016978921e-6,
            2.762632734061007114e-7,
            2.5114462210477809852e-8,
        ),
        log=(
            0.66666666666667345613,
            0.3999999999941356272,
            0.28571428742661502878,
            0.22222198542642530089,
            0.18183566031752236968,
            0.1531400405500301298,
            0.14796442175469373141,
        ),
        erfc=(
            1.2329951186255526,
            -0.1396211168405625,
            0.015379652102618945,
            0.06809705425469048,
            -0.10103906603624849,
            0.09373283499844368,
            -0.06633036581373741,
            0.03716751553559342,
            -0.016197734036657425,
            0.005031969999331409,
            -0.0007577734599137245,
            -0.00019925684377617285,
            0.00015062254234171182,
            -2.4398534793636634e-05,
            -1.1224853821608123e-05,
            5.707665648057624e-06,
            2.9974546651446387e-07,
            -8.212553973887092e-07,
            6.686549461696817e-08,
            1.0470584248086984e-07,
            -1.2167104607208839e-08,
            -1.016465024079064e-08,
        ),
        erf=(
            0.12837916709551256,
            -0.37612638903183465,
            0.11283791670924728,
            -0.02686617063268628,
            0.005223977369823271,
            -0.0008548297478094537,
            0.00012053321965282171,
            -1.4845521998641898e-05,
            1.4722558584726385e-06,
        ),
        centre=4.0,
        farthest=27.6,
        sin=(
            -0.16666666666666632026,
            0.0083333333333224135206,
            -0.00019841269829807738333,
            2.7557313691900131451e-6,
            -2.5050758113115236084e-8,
            1.5896795552810855267e-10,
        ),
        cos=(
            0.041666666666666599476,
            -0.001388888888887412402,
            2.4801587289482243058e-5,
            -2.7557314352349158333e-7,
            2.0875723275319914568e-9,
            -1.1359647902961220607e-11,
        ),
    ),
}
