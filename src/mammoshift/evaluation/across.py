"""Arms that learned from different domains, each judged on its own: what a domain makes easier.

The case that this is for is a declared leak: the same cases, once with patients kept apart and once
divided at random. What the second gains over the first is the optimism of that division. The two
domains hold the same patients, so that their covariance counts; domains of other patients are
independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from mammoshift.configuration.judged import Family, Pair
from mammoshift.evaluation.drops import may_share_patients
from mammoshift.evaluation.families import test_row
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.measures import Measure
from mammoshift.evaluation.rows import LEAKS, ComparisonRow
from mammoshift.evaluation.thresholds import FIXED
from mammoshift.statistics.curve_values import CurveValues, difference_of_arms, means_of_sets
from mammoshift.statistics.subgroups import subgroup_covariance

AUC = Measure("auc")
ACCURACY = Measure("accuracy", "probability_0.5", FIXED)


def comparisons_across(study: str, family: Family, grid: Grid) -> Iterator[ComparisonRow]:
    """Yield the difference of AUC and of accuracy of each pair that is judged on two domains.

    It leads the report only where neither domain has a declared leak.
    """
    cells = {cell.domain: cell for cell in grid.leading}
    for pair in family.across_domains:
        own, other = cells[str(pair.domain)], cells[str(pair.reference_domain)]
        for measure, value in ((AUC, _aucs), (ACCURACY, _rates)):
            values = value(pair, own, other)
            yield from _rows(study, family, pair, (own, other), measure, values)


def _rows(
    study: str,
    family: Family,
    pair: Pair,
    cells: tuple[Cell, Cell],
    measure: Measure,
    values: CurveValues,
) -> Iterator[ComparisonRow]:
    own, other = cells
    size = len(own.seeds)
    arms = list(range(size)), list(range(size, 2 * size))
    tests = [difference_of_arms(values, *arms)]
    if size > 1:
        tests.append(difference_of_arms(values, *arms, seeds_random=False))
    sound = own.leak is None and other.leak is None
    for test in tests:
        yield test_row(
            study,
            family.family,
            own,
            pair.arm,
            test,
            LEAKS[other.leak],
            method=test.method,
            exact_se=tests[-1].se,
            reference=pair.reference,
            reference_domain=other.domain,
            headline=sound and test is tests[0],
            **asdict(measure),
        )


def _aucs(pair: Pair, own: Cell, other: Cell) -> CurveValues:
    """Return the AUCs of the arm's seeds on its domain, then of the reference's on the other."""
    found = subgroup_covariance(
        np.concatenate([own.labels, other.labels]),
        np.hstack([own.of(pair.arm), other.of(pair.reference)]),
        np.repeat([0, 1], [len(own.labels), len(other.labels)]),
        np.concatenate([np.array(names) for names in _patients(own, other)]),
    )
    size = 2 * len(own.seeds)
    return CurveValues(found.auc.ravel(), found.covariance.reshape(size, size), found.parts)


def _rates(pair: Pair, own: Cell, other: Cell) -> CurveValues:
    """Return the accuracies at a probability of one half, in the same order."""
    right = [
        (cell.of(arm) >= 0.0) == (cell.labels == 1)
        for cell, arm in ((own, pair.arm), (other, pair.reference))
    ]
    return means_of_sets(right, _patients(own, other))


def _patients(own: Cell, other: Cell) -> tuple[list[str], list[str]]:
    """Return the patients of both cells, under other names where no patient may be in both."""
    names = [cell.cases["cluster"].astype(str).tolist() for cell in (own, other)]
    if may_share_patients(own, other):
        return names[0], names[1]
    return [f"own {name}" for name in names[0]], [f"other {name}" for name in names[1]]
