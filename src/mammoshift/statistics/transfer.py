"""What is lost from a source to a target, for these checkpoints and for the architecture.

The same checkpoints score the patients of both datasets. What a checkpoint loses is therefore one
number for each curve, D_k = A_k(source) - A_k(target), and the patients of the two datasets being
different, the covariance of the K drops over patients is C(source) + C(target). With that:

- seeds fixed: the mean drop of these checkpoints is a contrast of D;
- seeds random: D varies from seed to seed, by whatever the seed does at the source and at the
  target together. The spread of the seeds' drops measures it, however its two effects are
  correlated, and the analysis of `multireader` applies to D as it does to an AUC.

An interval of an architecture's drop that holds the checkpoints fixed covers its mean in 76 to
90 % of studies where it claims 95 %.

What a share loses has the interval of `loss_interval`, which holds with few patients too; a
difference of drops, and the drop of anything else, is estimate -+ t se.

The drop mixes sensor, population and case mix; `standardisation` takes the measured part of the
case mix out. Everything holds for the drop of another measure as well, such as a sensitivity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import AucEstimate
from mammoshift.statistics.comparisons import DEGENERATE, IDENTICAL, ONE_SIDED, Combined
from mammoshift.statistics.curve_values import (
    CurveValues,
    aucs,
    difference_of_arms,
    mean_of_arm,
    share_of_arm,
)
from mammoshift.statistics.distributions import critical_value, two_sided_p
from mammoshift.statistics.loss_interval import LossInterval
from mammoshift.statistics.shares import (
    FEW_MISTAKES,
    df_with_seeds,
    seed_variance,
)
from mammoshift.statistics.variance_parts import satterthwaite

FEW_PATIENTS = 50
FEW = (
    f"fewer than {FEW_PATIENTS} patients of a class at one end: the interval of a loss covers less "
    "often than it states, and non-inferiority is found too often"
)
FEWEST_PATIENTS = 5
FEWEST = (
    f"a class at one end is worth fewer than {FEWEST_PATIENTS} patients: no simulation shows that "
    "the interval of a loss holds there"
)
THREE_SEEDS_OF_LOSS = (
    "three seeds: where they vary more than the patients do, the interval of a loss covers 92 to "
    "95 %, and up to 5 % of losses as large as a margin are found non-inferior (2.5 % are meant)"
)


@dataclass(frozen=True)
class Drops(CurveValues):
    """The drops of K curves from one dataset to another, source minus target.

    Attributes
    ----------
    one_sided
        [K], true where just one of the two variance estimates is zero.
    ends
        The values at the source and at the target; None where these share patients.
    """

    one_sided: tuple[bool, ...] = ()
    ends: tuple[CurveValues, CurveValues] | None = None


def drops_of(source: AucEstimate, target: AucEstimate) -> Drops:
    """Return the AUC drops of curves that are the same, in the same order, in both estimates.

    Raises
    ------
    StatisticsError
        If the two have different numbers of curves.
    """
    return drops_between(aucs(source), aucs(target))


def drops_between(source: CurveValues, target: CurveValues) -> Drops:
    """Return the drops of any measure of the same curves.

    The patients of the two datasets must be different.
    """
    if source.values.shape != target.values.shape:
        raise StatisticsError(
            f"{source.values.size} curves at the source and {target.values.size} at the target: "
            "give the same curves in the same order"
        )
    zero = [np.diag(end.covariance) == 0.0 for end in (source, target)]
    return Drops(
        source.values - target.values,
        source.covariance + target.covariance,
        (*source.parts, *target.parts),
        one_sided=tuple((zero[0] != zero[1]).tolist()),
        ends=(source, target),
    )


def drop_of_arm(
    drops: Drops, curves: Sequence[int], level: float = 0.95, seeds_random: bool = True
) -> Combined:
    """Test the mean drop of one arm; parameters as in `curve_values.mean_of_arm`.

    What a share loses between different patients has the interval of `loss_interval`; the standard
    error stays the plain one. A share at 0 or 1 has an interval too.
    """
    test = mean_of_arm(drops, curves, level, seeds_random)
    shape = _shape(drops, list(curves), seeds_random and len(curves) > 1)
    if shape is None:
        return _with_warning(test, drops, curves)
    low, high = shape.at(critical_value(level, shape.df))
    statistic = shape.statistic(0.0)
    notes = [part for part in test.note.split("; ") if part not in (IDENTICAL, DEGENERATE)]
    if seeds_random and len(curves) == 3:
        notes.append(THREE_SEEDS_OF_LOSS)
    few_mistakes = [FEW_MISTAKES] if shape.source.few_mistakes or shape.target.few_mistakes else []
    return replace(
        test,
        statistic=statistic,
        df=shape.df,
        p=two_sided_p(statistic, shape.df),
        ci_low=low,
        ci_high=high,
        note="; ".join([*filter(None, notes), *_few_patients(drops), *few_mistakes]),
        shape=shape,
    )


def difference_of_arm_drops(
    drops: Drops,
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
    seeds_random: bool = True,
) -> Combined:
    """Test whether one arm loses more than another; parameters as in `drop_of_arm`."""
    test = difference_of_arms(drops, first, second, level, seeds_random)
    return _with_warning(test, drops, [*first, *second])


def _shape(drops: Drops, curves: list[int], seeds_random: bool) -> LossInterval | None:
    """Return the interval of a mean drop of shares; None where it is of something else."""
    if drops.ends is None or not curves:
        return None
    source, target = (share_of_arm(end, curves, seeds_random=False) for end in drops.ends)
    if source is None or target is None:
        return None
    if not seeds_random:
        df = satterthwaite([(share.variance, share.df) for share in (source, target)])
        return LossInterval(source, target, 0.0, df)
    seeds, spread = seed_variance(drops.values, drops.covariance, curves)
    df = df_with_seeds((source, target), spread, len(curves))
    return LossInterval(source, target, seeds, df)


def _with_warning(test: Combined, drops: Drops, curves: Sequence[int]) -> Combined:
    if test.p is None and test.se is None:
        return test
    one_sided = any(drops.one_sided[k] for k in curves if k < len(drops.one_sided))
    few = _few_patients(drops) if test.se else []
    notes = (test.note, ONE_SIDED if one_sided else "", *few)
    return replace(test, note="; ".join(filter(None, notes)))


def _few_patients(drops: Drops) -> list[str]:
    """Return what is to be said where patients are few; the intervals of shares hold with fewer.

    Patients that add next to nothing to the variance, such as the few that have cases of both
    classes, do not count.
    """
    shares = _beforehand(drops)
    sizes = shares or [float(np.trace(part.covariance)) for part in drops.parts]
    counting = [
        min(part.df + 1.0, part.patients)
        for part, size in zip(drops.parts, sizes, strict=True)
        if size >= 0.1 * sum(sizes)
    ]
    fewest = min(counting, default=math.inf)
    if shares is None:
        return [FEW] if fewest < FEW_PATIENTS else []
    return [FEWEST] if fewest < FEWEST_PATIENTS else []


def _beforehand(drops: Drops) -> list[float] | None:
    """Return what is known beforehand of each part; None where the drop is not of shares."""
    known = [] if drops.ends is None else [end.beforehand for end in drops.ends]
    if not known or any(own is None for own in known):
        return None
    return [size for own in known if own is not None for size in own]
