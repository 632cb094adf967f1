"""Two-sided p-values and critical values that stay accurate far into the tails."""

from __future__ import annotations

import math

from scipy.special import chdtrc, log_ndtr, ndtr, ndtri, stdtr, stdtrit


def two_sided_p(statistic: float, df: float = math.inf) -> float:
    """Return P(|T| >= |statistic|) for Student's t with `df` degrees of freedom.

    `df` may be fractional; infinity is the normal distribution. The tail is computed directly,
    never as one minus its complement, so p-values down to 1e-300 keep their relative accuracy.
    """
    size = abs(statistic)
    return float(2.0 * (ndtr(-size) if math.isinf(df) else stdtr(df, -size)))


def one_sided_p(statistic: float, df: float = math.inf) -> float:
    """Return P(T >= statistic) for Student's t with `df` degrees of freedom."""
    return float(ndtr(-statistic) if math.isinf(df) else stdtr(df, -statistic))


def two_sided_log10_p(z: float) -> float:
    """Return the decimal logarithm of the two-sided normal p-value, finite where p underflows."""
    return float((math.log(2.0) + log_ndtr(-abs(z))) / math.log(10.0))


def critical_value(level: float, df: float = math.inf) -> float:
    """Return c with P(|T| <= c) = `level`, 0 < level < 1; infinite `df` is the normal."""
    tail = (1.0 - level) / 2.0
    return float(-(ndtri(tail) if math.isinf(df) else stdtrit(df, tail)))


def chi_square_p(statistic: float, df: int) -> float:
    """Return P(X >= statistic) for the chi-square distribution with `df` degrees of freedom."""
    return float(chdtrc(df, statistic))
