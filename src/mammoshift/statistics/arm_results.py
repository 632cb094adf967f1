"""What a comparison of arms on one dataset has found: plain records, made by `arm_comparison`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mammoshift.statistics.auc import AucEstimate
from mammoshift.statistics.comparisons import (
    ChiSquareTest,
    Combined,
    Difference,
)
from mammoshift.statistics.curve_values import ONE_RUN
from mammoshift.statistics.multireader import (
    NESTED,
)

Curve = tuple[str, str | None]


@dataclass(frozen=True)
class CurveAuc:
    """One curve; a number is None where undefined, and then `note` says why.

    The interval `ci_low` to `ci_high` is made by the method `interval`; `wald_low` to `wald_high`
    stand beside it for comparison with other software.
    """

    arm: str
    seed: str | None
    auc: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    wald_low: float | None
    wald_high: float | None
    interval: str
    n_pos: int
    n_neg: int
    n_clusters: int
    note: str


@dataclass(frozen=True)
class SeedPair:
    """Two arms at one seed: the paired difference `arm_a` minus `arm_b`."""

    arm_a: str
    arm_b: str
    seed: str | None
    test: Difference


@dataclass(frozen=True)
class ArmPair:
    """Two arms over all their seeds.

    Attributes
    ----------
    arm_a, arm_b
        Differences are `arm_a` minus `arm_b`.
    tests
        One for each method; empty when neither arm has two seeds.
    mean_difference
        The exact test of the mean difference of these checkpoints, whatever the seeds.
    seed_correlation
        Mean correlation of the paired differences of the seeds; None for fewer than two.
    """

    arm_a: str
    arm_b: str
    tests: tuple[Combined, ...]
    mean_difference: Combined
    seed_correlation: float | None

    @property
    def headline(self) -> Combined:
        """The test that a conclusion is drawn from.

        Seeds are random where both arms have two at least; otherwise these checkpoints are
        compared, and the note says so.
        """
        nested = next((test for test in self.tests if test.method == NESTED), None)
        if nested is not None and nested.se is not None:
            return nested
        test = self.mean_difference
        return replace(test, note="; ".join(filter(None, (ONE_RUN, test.note))))


@dataclass(frozen=True)
class ArmMean:
    """The mean AUC of one arm over its seeds.

    With two seeds or more the interval holds what other seeds would change (`seeds_random`), and
    `seed_sd` is the standard deviation of the seeds' AUC; with one it is that of the model. Where
    the patients give no variance (perfect separation) there is no interval.
    """

    arm: str
    seeds: int
    auc: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    seed_sd: float | None
    method: str
    note: str


@dataclass(frozen=True)
class ArmComparison:
    """The comparison of all arms on one dataset.

    `omnibus` tests that the arms' mean AUCs are equal (these checkpoints); None for fewer than
    three arms, where it would only repeat the test of the pair.
    """

    estimate: AucEstimate
    means: tuple[ArmMean, ...]
    curves: tuple[CurveAuc, ...]
    pairs: tuple[SeedPair, ...]
    combined: tuple[ArmPair, ...]
    omnibus: ChiSquareTest | None
