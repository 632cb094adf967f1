"""An interval of what a share loses from one set of patients to another, also with few of them.

A loss is A - B, with shares A and B (AUCs, sensitivities) of different patients. The interval
A - B -+ t se fails where the patients of a class are few: the estimated variance is small just
when the share came out high, and the interval is symmetrical where the share is not. Here each
share has the limits that its estimate a is compatible with under the variance that belongs to
them (Wilson),

    (a - A)^2 = c^2 k A (1 - A),   1 / k independent yes-no answers that the patients are worth,

and the limits of the loss are recovered from those of the shares (MOVER, Zou and Donner 2008),

    A - B - root((A - low of A)^2 + (high of B - B)^2 + c^2 s),   and the other way round,

with s the variance that the seeds add, and c of Student's t with the degrees of freedom of the
sum. The value k is estimated, variance / (a (1 - a)), by few patients poorly. Each of its parts,
that of positives and that of negatives, is averaged with what patients like these are worth
beforehand, which counts as much as `PRIOR_PATIENTS` of them; k is the sum. A test against a value
is the critical value at which a limit reaches it, so that p-values, intervals and verdicts say the
same.

References
----------
Wilson 1927, Journal of the American Statistical Association 22:209. Zou and Donner 2008, Statistics
in Medicine 27:1693. Satterthwaite 1946, Biometrics Bulletin 2:110.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq

PRIOR_PATIENTS = 14
"""What is known beforehand counts as much as these patients; chosen by simulation."""
AREA = 0.4
"""Variance of a placement value as a part of A (1 - A), the most that it can be. Of binormal scores
it is about 0.3 where positives and negatives vary alike; that of a positive is 0.5 where positives
vary twice as much, and up to 1 where some are missed whatever the threshold."""


@dataclass(frozen=True)
class Share:
    """A share `value` in [0, 1] that rests on 1 / `k` independent answers, k > 0."""

    value: float
    k: float

    @property
    def variance(self) -> float:
        """K a (1 - a), at 0 and 1 as for half an answer."""
        return self.k * max(self.value * (1.0 - self.value), self.k / 2.0)

    def at(self, c: float) -> tuple[float, float]:
        """Return the limits at a critical value, those of Wilson's interval."""
        z = c * c * self.k
        centre = (self.value + z / 2.0) / (1.0 + z)
        half = math.sqrt(z * self.value * (1.0 - self.value) + z * z / 4.0) / (1.0 + z)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class LossInterval:
    """The limits of a loss, `source` minus `target`, and its tests.

    Attributes
    ----------
    source, target
        The two shares.
    seeds
        The variance that seeds add to the loss; 0 where checkpoints are held fixed.
    df
        Degrees of freedom of Student's t.
    """

    source: Share
    target: Share
    seeds: float
    df: float

    @property
    def estimate(self) -> float:
        """The loss."""
        return self.source.value - self.target.value

    def at(self, c: float) -> tuple[float, float]:
        """Return the limits at a critical value c >= 0."""
        own, other = self.source.at(c), self.target.at(c)
        a, b, seeds = self.source.value, self.target.value, c * c * self.seeds
        below = math.sqrt((a - own[0]) ** 2 + (other[1] - b) ** 2 + seeds)
        above = math.sqrt((own[1] - a) ** 2 + (b - other[0]) ** 2 + seeds)
        return self.estimate - below, self.estimate + above

    def statistic(self, value: float) -> float:
        """Return the signed critical value at which a limit reaches `value`.

        It is positive where the loss is larger than the value, and infinite where no limit gets
        there.
        """
        gap = self.estimate - value
        if gap == 0.0:
            return 0.0

        def beyond(c: float) -> float:
            low, high = self.at(c)
            return value - low if gap > 0.0 else high - value

        largest = 1.0
        while beyond(largest) < 0.0:
            largest *= 4.0
            if largest > 1e6:
                return math.copysign(math.inf, gap)
        return math.copysign(float(brentq(beyond, 0.0, largest)), gap)  # type: ignore[arg-type]


def averaged(k: float | None, df: float, prior: float) -> tuple[float, float]:
    """Return `k` averaged with what is known beforehand, and its degrees of freedom.

    Parameters
    ----------
    k
        As estimated; None where it cannot be (no variance at 0 or 1), and then it is the prior.
    df
        Degrees of freedom of the estimate.
    prior
        What k is beforehand.
    """
    if k is None:
        return prior, PRIOR_PATIENTS + 1.0
    if math.isinf(df):
        return k, df
    return (df * k + PRIOR_PATIENTS * prior) / (df + PRIOR_PATIENTS), df + PRIOR_PATIENTS
