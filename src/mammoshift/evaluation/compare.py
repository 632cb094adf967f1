"""The comparison table of a study: paired tests of arms, and what arms lose at other domains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from mammoshift.configuration.judged import Family, LossSettings, Subgroup
from mammoshift.evaluation.across import comparisons_across
from mammoshift.evaluation.drops import auc_drops, seeds_of
from mammoshift.evaluation.families import (
    Compared,
    adjusted,
    adjusted_over_all,
    compared_in,
    comparison_row,
)
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.losses import transfer_losses
from mammoshift.evaluation.measures import Measure, Measures
from mammoshift.evaluation.pair_means import pair_mean_rows, pair_means_in
from mammoshift.evaluation.rows import LEAKS, ComparisonRow, other_labels
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.curve_values import RANDOM, CurveValues, aucs, difference_of_arms
from mammoshift.statistics.subgroups import FEWEST_PATIENTS
from mammoshift.statistics.transfer import difference_of_arm_drops

TOO_SMALL = f"not tested: fewer than {FEWEST_PATIENTS} patients of a class"


def compare_study(settings: LossSettings, grid: Grid) -> list[ComparisonRow]:
    """Return all comparisons of a study but those of the AUC that `combine_seeds` makes.

    For each family: the paired DeLong test of every arm against its reference at each seed, the
    omnibus test that all arms with one reference are equal on a domain (means over seeds), the
    tests of the arms' operating points and proper scores, those of the AUC inside subgroups, and
    the difference of transfer drops, where arm and reference have one own domain; the mean over a
    factor's pairs of what is compared but the AUC; arms that are judged on a domain each. Then
    what each arm loses itself. p-values are adjusted within each family among tests of one kind;
    the adjustment over all families is beside it.
    """
    measures = Measures(settings, grid)
    rows: list[ComparisonRow] = []
    for family in settings.families:
        rows += adjusted(list(_family(settings, family, grid, measures)), family.correct)
    rows += transfer_losses(settings, grid, measures)
    return adjusted_over_all(rows)


def _family(
    settings: LossSettings, family: Family, grid: Grid, measures: Measures
) -> Iterator[ComparisonRow]:
    study = settings.study
    for compared in compared_in(family, grid):
        found = compared.tests
        for pair in found.pairs:
            yield comparison_row(
                study, compared, pair.arm_a, pair.seed or "", "delong_paired", pair.test
            )
        if found.omnibus is not None:
            note = "all arms of the family, joint test of their mean AUC"
            yield comparison_row(study, compared, "all_arms", "all", "omnibus", found.omnibus, note)
        cell = compared.cell
        for measured in (measures.operating_points(cell), measures.proper_scores(cell)):
            for measure, values in measured.items():
                yield from _measured(study, compared, measure, values)
        for name in settings.subgroups:
            yield from _inside_subgroups(study, compared, name)
        yield from _differences_of_drops(study, compared, grid)
    for mean in pair_means_in(family, grid):
        for measured in (measures.operating_points(mean.cell), measures.proper_scores(mean.cell)):
            for measure, values in measured.items():
                yield from pair_mean_rows(study, mean, values, measure)
    yield from comparisons_across(study, family, grid)


def _measured(
    study: str, compared: Compared, measure: Measure, values: CurveValues
) -> Iterator[ComparisonRow]:
    cell = compared.cell
    for arm in compared.arms:
        pair = cell.positions(arm), cell.positions(compared.reference)
        tests = _both(values, *pair)
        yield from _rows(study, compared, arm, tests, measure, measure.note)


def _inside_subgroups(study: str, compared: Compared, name: Subgroup) -> Iterator[ComparisonRow]:
    """Yield the difference of each arm to its reference in every value of a subgroup."""
    for value, part in compared.cell.subgroups(name).items():
        inside = Compared(compared.family, part, compared.reference, compared.arms)
        auc = part.auc
        values = aucs(auc)
        small = min(auc.patients_pos, auc.patients_neg) < FEWEST_PATIENTS
        for arm in compared.arms:
            pair = part.positions(arm), part.positions(compared.reference)
            tests = (_untested(TOO_SMALL),) if small else _both(values, *pair)
            where = {"subgroup": name, "subgroup_value": value}
            yield from _rows(study, inside, arm, tests, Measure("auc"), **where)


def _differences_of_drops(study: str, compared: Compared, grid: Grid) -> Iterator[ComparisonRow]:
    reference = compared.reference
    own = grid.own_of(reference)
    if own is None or own.domain == compared.cell.domain:
        return
    arms = [arm for arm in compared.arms if grid.own_of(arm) is own]
    if not arms:
        return
    all_arms = (reference, *arms)
    drops = auc_drops(own, compared.cell, all_arms)
    seeds = seeds_of(all_arms, own.seeds)
    for arm in arms:
        pair = seeds[arm], seeds[reference]
        tests = [difference_of_arm_drops(drops, *pair)]
        if len(own.seeds) > 1:
            tests.append(difference_of_arm_drops(drops, *pair, seeds_random=False))
        notes = LEAKS[own.leak], other_labels(grid.study, own.domain, compared.cell.domain)
        rows = _rows(study, compared, arm, tests, Measure("auc"), *notes, from_domain=own.domain)
        yield from rows


def _both(values: CurveValues, first: list[int], second: list[int]) -> tuple[Combined, ...]:
    """Return the test with seeds as random, where there are several, and that of these models."""
    leading = difference_of_arms(values, first, second)
    if min(len(first), len(second)) < 2:
        return (leading,)
    return leading, difference_of_arms(values, first, second, seeds_random=False)


def _rows(
    study: str,
    compared: Compared,
    arm: str,
    tests: Sequence[Combined],
    measure: Measure,
    *notes: str,
    **others: str,
) -> Iterator[ComparisonRow]:
    """Yield the rows of tests of one difference, the leading one first."""
    for test in tests:
        yield comparison_row(
            study,
            compared,
            arm,
            "all",
            test.method,
            test,
            *notes,
            exact_se=tests[-1].se,
            headline=test is tests[0] and compared.cell.leak is None,
            **asdict(measure),
            **others,
        )


def _untested(reason: str) -> Combined:
    return Combined(RANDOM, None, None, None, float("inf"), None, None, None, reason)
