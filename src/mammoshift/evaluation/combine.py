"""Comparisons combined over the seeds on each domain, and then over independent domains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from mammoshift.configuration.judged import ComparisonSettings
from mammoshift.evaluation.drops import aucs_of
from mammoshift.evaluation.families import (
    Compared,
    adjusted,
    adjusted_over_all,
    compared_in,
    comparison_row,
    test_numbers,
    with_verdicts,
)
from mammoshift.evaluation.grid import Cell, Grid
from mammoshift.evaluation.pair_means import pair_mean_rows, pair_means_in
from mammoshift.evaluation.rows import CHECKPOINTS, LEAKS, ComparisonRow, joined_notes
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.curve_values import (
    ONE_RUN,
    RANDOM,
    difference_of_arms,
    mean_over_datasets,
)
from mammoshift.statistics.meta_analysis import (
    EQUAL_WEIGHTS,
    RANDOM_EFFECTS,
    STOUFFER,
    equal_weights,
    random_effects,
    weighted_stouffer,
)

SEEDS_RANDOM = "obuchowski_rockette_nested"
SEEDS_FIXED = "exact_fixed"
ALL_TARGETS = "all_targets"
OVER_THESE = "the mean over these {} domains, each counting the same; others may differ"


def combine_seeds(settings: ComparisonSettings, grid: Grid) -> list[ComparisonRow]:
    """Return every comparison of a study combined over seeds, and over other domains.

    The headline of a family is the test with seeds as random (Obuchowski and Rockette, nested),
    since a study speaks of architectures; with one seed only, the exact test of the checkpoints,
    which says so. Over domains it is that of the plain mean: with seeds as random where there are
    several, else Student's t of the domains. The mean over the pairs of a factor is a test beside
    those of the pairs. A domain with a declared leak has no headline. Headlines are compared with
    the margin that the study declared, if it did.
    """
    rows: list[ComparisonRow] = []
    for family in settings.families:
        own: list[ComparisonRow] = []
        for compared in compared_in(family, grid):
            own += _combined_at(settings.study, compared)
        own += _over_targets(settings, grid, own)
        for mean in pair_means_in(family, grid):
            own += pair_mean_rows(settings.study, mean)
        rows += with_verdicts(settings, adjusted(own, family.correct), family.correct)
    return adjusted_over_all(rows)


def _combined_at(study: str, compared: Compared) -> Iterator[ComparisonRow]:
    one_run = len(compared.cell.seeds) == 1
    headline = SEEDS_FIXED if one_run else SEEDS_RANDOM
    for pair in compared.tests.combined:
        rho = pair.seed_correlation
        for test in pair.tests or (pair.mean_difference,):
            naive = test.method == "stouffer_naive" and rho is not None
            note = f"correlation between seeds {rho:.2f}" if naive else ""
            leads = test.method == headline
            yield comparison_row(
                study,
                compared,
                pair.arm_a,
                "all",
                test.method,
                test,
                note,
                ONE_RUN if one_run and leads else "",
                exact_se=pair.mean_difference.se,
                headline=leads and compared.cell.leak is None,
            )


def _over_targets(
    settings: ComparisonSettings, grid: Grid, rows: list[ComparisonRow]
) -> Iterator[ComparisonRow]:
    """Combine the differences of each pair over domains that are foreign to both arms.

    Their patients differ, or else there is no number. They share the seeds, so that only
    differences of these checkpoints are independent; with seeds as random it is each checkpoint's
    mean over these domains that is compared.
    """
    fixed = [row for row in rows if row.method == SEEDS_FIXED]
    for arm, reference in dict.fromkeys((row.arm, row.reference) for row in fixed):
        trained_on = {settings.arm(name).own_domain for name in (arm, reference)}
        own = [
            row
            for row in fixed
            if (row.arm, row.reference) == (arm, reference) and row.domain not in trained_on
        ]
        if len(own) < 2:
            continue
        shared = _shared_patients(grid, own)
        if shared:
            several = len(grid.cells[own[0].domain, own[0].subset].seeds) > 1
            yield from _left_out(settings, own[0], shared, [RANDOM] * several)
            continue
        estimates = [_or_nan(row.estimate) for row in own]
        ses = [_or_nan(row.se) for row in own]
        meta = random_effects(estimates, ses)
        spread = "" if meta.i2 is None else f"I2 {meta.i2:.2f}, tau2 {meta.tau2:.3g}"
        leaks = [LEAKS[settings.domain(row.domain).leak] for row in own]
        tests = [
            (equal_weights(estimates, ses), CHECKPOINTS),
            (weighted_stouffer(estimates, ses), CHECKPOINTS),
            (meta.mean, joined_notes(spread, CHECKPOINTS)),
        ]
        cells = [grid.cells[row.domain, row.subset] for row in own]
        exact_se = None
        if len(cells[0].seeds) > 1:
            random, exact_se = _seeds_random(cells, arm, reference)
            tests.insert(0, (random, OVER_THESE.format(len(cells))))
        for test, note in tests:
            yield ComparisonRow(
                study=settings.study,
                family=own[0].family,
                domain=ALL_TARGETS,
                subset="target",
                arm=arm,
                reference=reference,
                seed="all",
                note=joined_notes(test.note, note, *leaks),
                headline=test is tests[0][0] and not any(leaks),
                n=sum(row.n or 0 for row in own),
                n_pos=sum(row.n_pos or 0 for row in own),
                n_neg=sum(row.n_neg or 0 for row in own),
                n_clusters=sum(row.n_clusters or 0 for row in own),
                **test_numbers(test, test.method, exact_se if test.method == RANDOM else None),
            )


def _seeds_random(cells: Sequence[Cell], arm: str, reference: str) -> tuple[Combined, float | None]:
    """Test the mean difference over some domains, seeds as random; also its se with them fixed."""
    values = mean_over_datasets(
        [aucs_of(cell).only([*cell.positions(arm), *cell.positions(reference)]) for cell in cells]
    )
    S = len(cells[0].seeds)
    pair = list(range(S)), list(range(S, 2 * S))
    return difference_of_arms(values, *pair), difference_of_arms(
        values, *pair, seeds_random=False
    ).se


def _shared_patients(grid: Grid, rows: list[ComparisonRow]) -> str:
    """Return why differences on some domains are not independent; empty where they are."""
    cells = [grid.cells[row.domain, row.subset] for row in rows]
    for one, other in itertools.combinations(cells, 2):
        pair = f"{one.domain} and {other.domain}"
        if other.domain in one.same_patients_as:
            return f"undefined: {pair} hold the same patients"
        if other.domain in one.shares_datasets_with:
            common = set(one.cases["cluster"]) & set(other.cases["cluster"])
            if common:
                return f"undefined: {pair} have {len(common)} patients or images in common"
    return ""


def _left_out(
    settings: ComparisonSettings, row: ComparisonRow, reason: str, leading: Sequence[str]
) -> Iterator[ComparisonRow]:
    methods = (*leading, EQUAL_WEIGHTS, STOUFFER, RANDOM_EFFECTS)
    for method in methods:
        nothing = Combined(method, None, None, None, math.inf, None, None, None, reason)
        yield ComparisonRow(
            study=settings.study,
            family=row.family,
            domain=ALL_TARGETS,
            subset="target",
            arm=row.arm,
            reference=row.reference,
            seed="all",
            note=reason,
            headline=method == methods[0],
            **test_numbers(nothing, method),
        )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
