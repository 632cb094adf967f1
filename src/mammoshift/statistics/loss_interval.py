"""An interval of what a share loses from one set of patients to another, also with few of them.

A loss is A - B, with shares A and B (AUCs, sensitivities) of different patients. The interval
A - B -+ t se fails where the patients of a class are few: the estimated variance is small just
when the share came out high, and the interval is symmetrical where the share is not. Here each
share has the limits of `shares`, and those of the loss are recovered from them (MOVER, Zou and
Donner 2008),

    A - B - root((A - low of A)^2 + (high of B - B)^2 + c^2 s),   and the other way round,

with s the variance that the seeds add, and c of Student's t with the degrees of freedom of the
sum. A test against a value is the critical value at which a limit reaches it, so that p-values,
intervals and verdicts say the same.

References
----------
Zou and Donner 2008, Statistics in Medicine 27:1693.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq

from mammoshift.statistics.shares import Share


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
