"""The mean over the pairs of a factor: what a setting changes over all architectures at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mammoshift.configuration.judged import Family
from mammoshift.evaluation.drops import aucs_of
from mammoshift.evaluation.families import test_row
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.measures import Measure
from mammoshift.evaluation.rows import ComparisonRow
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.curve_values import CurveValues, contrast_of_arms


@dataclass(frozen=True)
class PairMean:
    """The pairs of a family that differ in the same way and are judged on one cell.

    `arm` and `reference` are what the result tables call the two means.
    """

    family: Family
    cell: Cell
    arm: str
    reference: str
    pairs: tuple[tuple[str, str], ...]

    def tests(self, values: CurveValues) -> tuple[Combined, ...]:
        """Return the tests of the mean difference of some values of the cell's curves.

        With the seeds as random first, where there are several, then these checkpoints.
        """
        size = len(self.pairs)
        names = [name for pair in self.pairs for name in pair]
        arms = [self.cell.positions(name) for name in names]
        signs = [1.0 / size, -1.0 / size] * size
        leading = contrast_of_arms(values, arms, signs)
        if len(self.cell.seeds) == 1:
            return (leading,)
        return leading, contrast_of_arms(values, arms, signs, seeds_random=False)


def pair_means_in(family: Family, grid: Grid) -> Iterator[PairMean]:
    """Yield the means over a family's pairs, on the leading cell of each of its domains.

    Pairs of which an arm is not judged there are left out; a mean is of two pairs at least.
    """
    for cell in grid.leading:
        if cell.domain not in family.domains:
            continue
        for (arm, reference), found in family.means.items():
            pairs = tuple(
                (pair.arm, pair.reference)
                for pair in found
                if pair.arm in cell.arms and pair.reference in cell.arms
            )
            if len(pairs) > 1:
                yield PairMean(family, cell, arm, reference, pairs)


def pair_mean_rows(
    study: str, mean: PairMean, values: CurveValues | None = None, measure: Measure | None = None
) -> Iterator[ComparisonRow]:
    """Yield the rows of one mean, the leading test first; of the AUC where no values are given."""
    of = measure or Measure("auc")
    tests = mean.tests(aucs_of(mean.cell) if values is None else values)
    for test in tests:
        yield test_row(
            study,
            mean.family.family,
            mean.cell,
            mean.arm,
            test,
            of.note,
            method=test.method,
            exact_se=tests[-1].se,
            reference=mean.reference,
            pairs=len(mean.pairs),
            headline=test is tests[0] and mean.cell.leak is None,
            **asdict(of),
        )
