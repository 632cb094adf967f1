"""Whether a loss stays within a margin that was declared beforehand.

Loss L (what an arm has less than another, or less at the target than at the source) is compared
with a margin M > 0 by two one-sided tests of the same estimate:

    p_noninferior  of the null L >= M        non-inferior when it is small
    p_inferior     of the null L <= M        inferior when it is small

each at half of the level that a two-sided interval leaves out (0.025 for 95 %), so that without a
family of tests the verdict is that of the interval: non-inferior when all of it lies below the
margin, inferior when all of it lies above. Anything else is undecided, which is not the same as
equal. In a family both sets of p-values are adjusted; the verdict is then that of a wider interval,
whose ends leave out what the adjusted tests leave out (`multiplicity.rejection_limit`).

References
----------
Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657 (two one-sided tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mammoshift.errors import StatisticsError
from mammoshift.statistics.comparisons import Combined, Difference
from mammoshift.statistics.distributions import critical_value, one_sided_p
from mammoshift.statistics.loss_interval import LossInterval
from mammoshift.statistics.multiplicity import Correction, adjust, rejection_limit

Verdict = Literal["non-inferior", "inferior", "undecided", "undefined"]
NOT_JUDGEABLE = "not judgeable"
"""Instead of a verdict where an arm does not beat chance at the source: it has nothing to lose."""
CHANCE = 0.5
NOT_DEFINED = "no margin was declared, so that whether accuracy survives was not defined"


def not_above_chance(where: str, auc: str) -> str:
    """Return why a loss cannot be judged of an arm whose AUC may be that of chance."""
    return f"on {where} its AUC, {auc}, does not exceed chance"


def not_judged(targets: str, arm: str, reason: str) -> str:
    """Return that there is no verdict on an arm at some targets, without a full stop."""
    before = f"{targets}: " if targets else ""
    return f"{before}transfer of {arm} cannot be judged: {reason}"


@dataclass(frozen=True)
class MarginTest:
    """The verdict on one loss; p-values are None where the test is undefined.

    `ci_low` and `ci_high` are the limits that the verdict is read from, on the scale of the
    estimate: non-inferior when the whole loss between them is below the margin, inferior when it
    is above. In a family of one they are those of the test itself.
    """

    margin: float
    p_noninferior: float | None
    p_inferior: float | None
    p_noninferior_adjusted: float | None
    p_inferior_adjusted: float | None
    family_size: int
    verdict: Verdict
    ci_low: float | None
    ci_high: float | None


def margin_tests(
    tests: Sequence[Combined] | Sequence[Difference],
    margin: float,
    *,
    positive_is_loss: bool,
    correction: Correction = "none",
    level: float = 0.95,
) -> tuple[MarginTest, ...]:
    """Compare the losses of one family with a margin.

    Parameters
    ----------
    tests
        With their estimates, standard errors and degrees of freedom.
    margin
        The largest acceptable loss, > 0, on the scale of the estimates.
    positive_is_loss
        True for a transfer drop (source minus target), False for the difference of an arm minus
        its reference.
    correction
        Within the family of `tests`.
    level
        Of the two-sided interval that the verdict belongs to.

    Raises
    ------
    StatisticsError
        If the margin is not positive.
    """
    if not margin > 0.0:
        raise StatisticsError(f"the margin is {margin}; it must be a positive loss")
    pairs = [_one_sided(test, margin, positive_is_loss) for test in tests]
    below = adjust([p for p, _ in pairs], correction)
    above = adjust([p for _, p in pairs], correction)
    alpha = (1.0 - level) / 2.0
    not_below, not_above = rejection_limit(below, alpha), rejection_limit(above, alpha)
    tails = (not_below, not_above) if positive_is_loss else (not_above, not_below)
    return tuple(
        MarginTest(
            margin,
            *pair,
            low,
            high,
            below.family_size,
            _verdict(low, high, alpha),
            *_limits(test, tails),
        )
        for test, pair, low, high in zip(tests, pairs, below.p, above.p, strict=True)
    )


def _one_sided(
    test: Combined | Difference, margin: float, positive_is_loss: bool
) -> tuple[float | None, float | None]:
    shape = _shape(test)
    if shape is not None:
        # A loss of shares has limits of its own shape on both sides.
        t = shape.statistic(margin) if positive_is_loss else -shape.statistic(-margin)
        return one_sided_p(-t, shape.df), one_sided_p(t, shape.df)
    if test.estimate is None or test.se is None or (test.se == 0.0 and test.estimate != 0.0):
        return None, None
    loss = test.estimate if positive_is_loss else -test.estimate
    if test.se == 0.0:
        # The two rank all cases alike: no loss, and no doubt about it.
        return 0.0, 1.0
    t = (loss - margin) / test.se
    return one_sided_p(-t, test.df), one_sided_p(t, test.df)


def _shape(test: Combined | Difference) -> LossInterval | None:
    return test.shape if isinstance(test, Combined) else None


def _limits(
    test: Combined | Difference, tails: tuple[float, float]
) -> tuple[float | None, float | None]:
    """Return the ends of the interval that leaves out `tails` above and below."""
    shape = _shape(test)
    if shape is not None:
        above, below = (critical_value(1.0 - 2.0 * tail, shape.df) for tail in tails)
        return shape.at(below)[0], shape.at(above)[1]
    if test.estimate is None or test.se is None or (test.se == 0.0 and test.estimate != 0.0):
        return None, None
    above, below = (critical_value(1.0 - 2.0 * tail, test.df) * test.se for tail in tails)
    return test.estimate - below, test.estimate + above


def _verdict(noninferior: float | None, inferior: float | None, alpha: float) -> Verdict:
    if noninferior is None or inferior is None:
        return "undefined"
    if noninferior < alpha:
        return "non-inferior"
    return "inferior" if inferior < alpha else "undecided"
