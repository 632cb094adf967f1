"""A share of patients' cases in [0, 1], such as an AUC or a sensitivity, and its limits.

An interval built on the estimated variance of a share (logit, Wald, bootstrap and bootstrap-t
alike) is short where few cases are misplaced: the variance is estimated from those few, and comes
out small just when the share comes out high. Here a share a has the limits A that it is compatible
with under the variance that belongs to them (Wilson),

    (a - A)^2 = c^2 k A (1 - A),   1 / k independent yes-no answers that the patients are worth,

with Student's t for c. The value k is a sum of parts, that of positives and that of negatives. Each
is estimated, variance / (a (1 - a)), and averaged with what patients like these are worth
beforehand, which counts as much as `PRIOR_PATIENTS` of them. The estimate itself counts as many
patients as its degrees of freedom, but not more than `TOLD_BY_MISTAKES` m a (1 - a) of m patients:
where nearly all are in their place, nothing shows how much those vary that are not. Two hundred
cancers of which none was missed say no more of it than ten.

References
----------
Wilson 1927, Journal of the American Statistical Association 22:209. Satterthwaite 1946, Biometrics
Bulletin 2:110.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.variance_parts import VariancePart, satterthwaite

PRIOR_PATIENTS = 10.0
"""What is known beforehand counts as much as these patients; chosen by simulation."""
TOLD_BY_MISTAKES = 8.0
"""Patients that count for the variance, for each one's a (1 - a); chosen by simulation."""
AREA = 0.45
"""Variance of a placement value as a part of A (1 - A), the most that it can be. Of binormal scores
it is about 0.3 where positives and negatives vary alike; that of a positive is 0.5 where positives
vary twice as much, and 0.65 where some lesions score like healthy tissue."""
ENOUGH_MISTAKES = PRIOR_PATIENTS / TOLD_BY_MISTAKES
"""With fewer `mistakes` what is known beforehand counts for more than the estimate."""
FEW_MISTAKES = (
    "so few cases are misplaced that the limits rest mostly on what is assumed beforehand (they "
    "cover 93 to 100 % where they claim 95, and are mostly wider than need be)"
)
NO_SEED_VARIANCE = 1e-28
"""Rounding of equal AUCs leaves about 1e-33; one swapped pair of a million cases 1e-24."""


@dataclass(frozen=True)
class Share:
    """A share that rests on independent answers.

    Attributes
    ----------
    value
        In [0, 1].
    k
        One over the number of answers, > 0.
    df
        Degrees of freedom of k.
    mistakes
        As `mistakes` counts them.
    """

    value: float
    k: float
    df: float = math.inf
    mistakes: float = math.inf

    @property
    def variance(self) -> float:
        """K a (1 - a), at 0 and 1 as for half an answer."""
        return self.k * max(self.value * (1.0 - self.value), self.k / 2.0)

    @property
    def few_mistakes(self) -> bool:
        """Whether the limits rest mostly on what is assumed beforehand."""
        return self.mistakes < ENOUGH_MISTAKES

    def at(self, c: float) -> tuple[float, float]:
        """Return the limits at a critical value, those of Wilson's interval."""
        z = c * c * self.k
        centre = (self.value + z / 2.0) / (1.0 + z)
        half = math.sqrt(z * self.value * (1.0 - self.value) + z * z / 4.0) / (1.0 + z)
        return max(0.0, min(self.value, centre - half)), min(1.0, max(self.value, centre + half))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the limits by Student's t."""
        return self.at(critical_value(level, self.df))

    def with_seeds(self, added: float, spread: float, seeds: int) -> Share:
        """Return the share of an architecture; parameters as `seed_variance` returns them."""
        inside = self.value * (1.0 - self.value)
        df = df_with_seeds([self], spread, seeds)
        return replace(self, k=self.k + added / inside, df=df) if inside > 0.0 else self


def mistakes(parts: Sequence[VariancePart], value: float) -> float:
    """Return m a (1 - a) of the class that has fewest patients m, about those misplaced.

    Patients that add next to nothing to the variance, such as the few that have cases of both
    classes, are left out. Infinite without parts.
    """
    units = sum(part.unit_variance for part in parts)
    patients = [part.patients for part in parts if part.unit_variance >= 0.1 * units]
    return min(patients) * value * (1.0 - value) if patients else math.inf


def averaged(k: float, df: float, value: float, beforehand: float) -> tuple[float, float]:
    """Return `k` averaged with what is known beforehand, and its degrees of freedom.

    Parameters
    ----------
    k
        As estimated; whatever it is at a `value` of 0 or 1 does not count.
    df
        Degrees of freedom of the estimate, one less than the patients.
    value
        The share.
    beforehand
        What k is beforehand.
    """
    own = min(df, TOLD_BY_MISTAKES * (df + 1.0) * value * (1.0 - value))
    together = own + PRIOR_PATIENTS
    return (own * k + PRIOR_PATIENTS * beforehand) / together, together


def share_of(
    values: FloatArray,
    covariance: FloatArray,
    parts: Sequence[VariancePart],
    beforehand: Sequence[float],
    curves: Sequence[int],
) -> Share | None:
    """Return the mean share of some curves, held fixed; None where its variance is undefined.

    The variance of the mean counts as a part of that of one curve, the same part after the
    averaging.

    Parameters
    ----------
    values, covariance
        [K] and [K, K], over the patients.
    parts
        Independent parts of the covariance.
    beforehand
        For each part its k before the scores are seen.
    curves
        Positions of the curves.
    """
    own = list(curves)
    value, block = float(values[own].mean()), covariance[np.ix_(own, own)]
    if not parts or not (math.isfinite(value) and np.isfinite(block).all()):
        return None
    single, inside = float(np.diag(block).mean()), value * (1.0 - value)
    found = []
    for part, known in zip(parts, beforehand, strict=True):
        mean = max(0.0, float(np.diag(part.covariance)[own].mean()))
        found.append(averaged(mean / inside if inside > 0.0 else 0.0, part.df, value, known))
    together = min(1.0, max(0.0, float(block.mean()) / single)) if single > 0.0 else 1.0
    return Share(
        value,
        together * sum(k for k, _ in found),
        satterthwaite(found),
        mistakes(parts, value),
    )


def areas_beforehand(parts: Sequence[VariancePart]) -> tuple[float, ...]:
    """Return what is known beforehand of each part of the variance of an AUC."""
    return tuple(AREA * part.unit_variance for part in parts)


def seed_variance(
    values: FloatArray, covariance: FloatArray, curves: Sequence[int]
) -> tuple[float, float]:
    """Return what seeds add to the variance of the mean of two curves or more, and their spread.

    Seeds differ by chance too, since each has its own errors on the patients. What they differ by
    for the patients alone is in the covariance and taken off what they add. The spread, by which
    they count in the degrees of freedom, keeps it, since seeds that agree by chance have few of
    them too, and counts (S + 1) / (S - 1) times, see `multireader`.
    """
    own, S = list(curves), len(curves)
    block = covariance[np.ix_(own, own)]
    apart = max(0.0, float(np.trace(block) - block.sum() / S) / (S - 1))
    spread = float(values[own].var(ddof=1))
    return max(0.0, spread - apart) / S, cautious_factor(S) * spread / S


def df_with_seeds(shares: Sequence[Share], spread: float, seeds: int) -> float:
    """Return the degrees of freedom of a sum of shares' variances and that of their seeds."""
    parts = [(share.variance, share.df) for share in shares]
    if spread > NO_SEED_VARIANCE:
        parts.append((spread, seeds - 1.0))
    return max(satterthwaite(parts), seeds - 1.0)


def cautious_factor(seeds: float) -> float:
    """Return (S + 1) / (S - 1), by which the seeds' part counts in the degrees of freedom."""
    return (seeds + 1.0) / (seeds - 1.0)
