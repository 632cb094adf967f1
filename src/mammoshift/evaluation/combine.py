"""Comparisons combined over the seeds on each domain, and then over independent domains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from mammoshift.configuration.judged import ComparisonSettings
from mammoshift.evaluation.families import (
    Compared,
    adjusted,
    adjusted_over_all,
    compared_in,
    comparison_row,
    test_numbers,
)
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.rows import LEAKS, ComparisonRow, joined_notes
from mammoshift.statistics.comparisons import Combined
from mammoshift.statistics.meta_analysis import random_effects, weighted_stouffer

SEEDS_RANDOM = "obuchowski_rockette_nested"
SEEDS_FIXED = "exact_fixed"
CHECKPOINTS = "seeds held fixed: a statement about these checkpoints"
ALL_TARGETS = "all_targets"


def combine_seeds(settings: ComparisonSettings, grid: Grid) -> list[ComparisonRow]:
    """Return every comparison of a study combined over seeds, and over other domains.

    The headline of a family is the test with seeds as random (Obuchowski and Rockette, nested),
    since a study speaks of architectures; with one seed only, the exact test of the checkpoints.
    A domain with a declared leak has no headline.
    """
    rows: list[ComparisonRow] = []
    for family in settings.families:
        own: list[ComparisonRow] = []
        for compared in compared_in(family, grid):
            own += _combined_at(settings.study, compared)
        own += _over_targets(settings, own)
        rows += adjusted(own, family.correct)
    return adjusted_over_all(rows)


def _combined_at(study: str, compared: Compared) -> Iterator[ComparisonRow]:
    headline = SEEDS_RANDOM if len(compared.cell.seeds) > 1 else SEEDS_FIXED
    for pair in compared.tests.combined:
        rho = pair.seed_correlation
        for test in pair.tests or (pair.mean_difference,):
            naive = test.method == "stouffer_naive" and rho is not None
            note = f"correlation between seeds {rho:.2f}" if naive else ""
            row = comparison_row(study, compared, pair.arm_a, "all", test.method, test, note)
            leads = test.method == headline and compared.cell.leak is None
            yield replace(row, headline=leads)


def _over_targets(
    settings: ComparisonSettings, rows: list[ComparisonRow]
) -> Iterator[ComparisonRow]:
    """Combine the differences of each pair over domains that are foreign to both arms.

    Their patients differ, or else there is no number. They share the seeds, so that only
    differences of these checkpoints are independent.
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
        shared = _shared_patients(settings, own)
        if shared:
            yield from _left_out(settings, own[0], shared)
            continue
        estimates = [_or_nan(row.estimate) for row in own]
        ses = [_or_nan(row.se) for row in own]
        meta = random_effects(estimates, ses)
        spread = "" if meta.i2 is None else f"I2 {meta.i2:.2f}, tau2 {meta.tau2:.3g}"
        leaks = [LEAKS[settings.domain(row.domain).leak] for row in own]
        for test, note in ((weighted_stouffer(estimates, ses), ""), (meta.mean, spread)):
            yield ComparisonRow(
                study=settings.study,
                family=own[0].family,
                domain=ALL_TARGETS,
                subset="target",
                arm=arm,
                reference=reference,
                seed="all",
                note=joined_notes(test.note, note, CHECKPOINTS, *leaks),
                n=sum(row.n or 0 for row in own),
                n_pos=sum(row.n_pos or 0 for row in own),
                n_neg=sum(row.n_neg or 0 for row in own),
                n_clusters=sum(row.n_clusters or 0 for row in own),
                **test_numbers(test, test.method),
            )


def _shared_patients(settings: ComparisonSettings, rows: list[ComparisonRow]) -> str:
    """Return why differences on some domains are not independent; empty where they are."""
    names = [row.domain for row in rows]
    for name in names:
        same = settings.domain(name).same_patients_as or ()
        shared = next((other for other in same if other in names), None)
        if shared is not None:
            return f"undefined: {name} and {shared} hold the same patients"
    return ""


def _left_out(
    settings: ComparisonSettings, row: ComparisonRow, reason: str
) -> Iterator[ComparisonRow]:
    for method in ("weighted_stouffer", "random_effects"):
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
            **test_numbers(nothing, method),
        )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
