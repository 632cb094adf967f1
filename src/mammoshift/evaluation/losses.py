"""What arms lose from their own domain to others, with intervals for all at once and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mammoshift.configuration.judged import LossSettings, Subgroup
from mammoshift.errors import StatisticsError
from mammoshift.evaluation.drops import (
    auc_drops,
    drops_of_values,
    may_share_patients,
    positions_of,
    seeds_of,
    standardised_auc_drops,
)
from mammoshift.evaluation.families import adjusted, test_row, with_verdicts
from mammoshift.evaluation.grid import Cell, Grid, why_not_judged
from mammoshift.evaluation.measures import Measure, Measures
from mammoshift.evaluation.rows import (
    INDEPENDENCE,
    LEAKS,
    ComparisonRow,
    defined,
    other_labels,
)
from mammoshift.statistics.comparisons import Combined, within_bounds
from mammoshift.statistics.curve_values import FIXED, RANDOM
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.simultaneous import covariance_of_drops, simultaneous_level
from mammoshift.statistics.transfer import Drops, drop_of_arm

TRANSFER = "transfer_drops"
"""The family of what arms lose without a reference."""

AUC = Measure("auc")
STANDARDISED = Measure("auc_standardised")
LEFT_OVER = "what is left is sensor, labels and what was not measured"
_CORRECTION = "bh"
Loss = tuple[ComparisonRow, Combined]
"""A row, and the test that it shows."""


@dataclass(frozen=True)
class Transfer:
    """The arms of one own domain that are judged on another."""

    own: Cell
    other: Cell
    arms: tuple[str, ...]
    labels: str = ""
    """What is said where the two have other tasks."""

    @property
    def sound(self) -> bool:
        """Whether no declared leak touches the two."""
        return self.own.leak is None and self.other.leak is None


def transfers_of(grid: Grid) -> list[Transfer]:
    """Return every own domain and other cell, with the arms that are judged on both."""
    found: dict[tuple[str, str, str], Transfer] = {}
    for cell in grid.reported:
        for arm in cell.arms:
            own = grid.own_of(arm)
            if own is None or own.domain == cell.domain:
                continue
            key = (own.domain, cell.domain, cell.subset)
            labels = other_labels(grid.study, own.domain, cell.domain)
            before = found.get(key, Transfer(own, cell, (), labels))
            found[key] = replace(before, arms=(*before.arms, arm))
    return list(found.values())


def transfer_losses(settings: LossSettings, grid: Grid, measures: Measures) -> list[ComparisonRow]:
    """Return what each arm loses from its own domain to each other one.

    The headline is about the architecture, with the seeds as random; with the checkpoints held
    fixed the same drop stands beside it. An arm of one seed has the latter alone, which says so.
    The drops of the AUC also have limits that hold for all of them at once.
    """
    transfers = transfers_of(grid)
    found = [*_not_judged_at_home(settings.study, grid)]
    levels = _simultaneous_levels(settings.study, transfers)
    for transfer in transfers:
        found += _auc_rows(settings.study, transfer, levels)
        found += _operating_point_rows(settings.study, transfer, measures)
        if settings.case_mix is not None:
            found += _standardised_rows(settings.study, transfer, settings.case_mix)
    rows, tests = adjusted([row for row, _ in found], _CORRECTION), [test for _, test in found]
    return with_verdicts(settings, rows, _CORRECTION, tests)


def _not_judged_at_home(study: str, grid: Grid) -> Iterator[Loss]:
    for cell in grid.reported:
        for arm in cell.arms:
            own = grid.study.arm(arm).own_domain
            if cell.domain != own and grid.own_of(arm) is None:
                nothing = _undefined(why_not_judged(own))
                yield _row(study, cell, arm, own, AUC, nothing), nothing


def _auc_rows(
    study: str, transfer: Transfer, levels: dict[tuple[str, str, str, str], float]
) -> Iterator[Loss]:
    own, other = transfer.own, transfer.other
    drops = auc_drops(own, other, transfer.arms)
    for row, test, arm in _tested(study, transfer, AUC, lambda: drops):
        level = levels.get((own.domain, other.domain, other.subset, arm))
        if level is None or test.method != _leading_method(own):
            yield row, test
            continue
        seeds = seeds_of(transfer.arms, own.seeds)[arm]
        wide = drop_of_arm(drops, seeds, level)
        low, high = (
            within_bounds(defined(wide.ci_low), AUC.metric),
            within_bounds(defined(wide.ci_high), AUC.metric),
        )
        yield replace(row, simultaneous_low=low, simultaneous_high=high), test


def _operating_point_rows(study: str, transfer: Transfer, measures: Measures) -> Iterator[Loss]:
    own, other = transfer.own, transfer.other
    at_source, at_target = (measures.operating_points(cell) for cell in (own, other))
    for measure in at_source:
        if measure not in at_target:
            continue
        pair = at_source[measure], at_target[measure]
        found = _tested(
            study,
            transfer,
            measure,
            lambda pair=pair: drops_of_values(own, other, transfer.arms, pair),
        )
        yield from ((row, test) for row, test, _ in found)


def _standardised_rows(
    study: str, transfer: Transfer, columns: Sequence[Subgroup]
) -> Iterator[Loss]:
    found = _tested(
        study,
        transfer,
        STANDARDISED,
        lambda: standardised_auc_drops(transfer.own, transfer.other, transfer.arms, columns).drops,
        LEFT_OVER,
    )
    yield from ((row, test) for row, test, _ in found)


def _tested(
    study: str, transfer: Transfer, measure: Measure, make: Callable[[], Drops], *notes: str
) -> Iterator[tuple[ComparisonRow, Combined, str]]:
    """Yield each arm's row with its test: seeds random where it has several, and fixed."""
    own, other = transfer.own, transfer.other
    try:
        drops = make()
    except StatisticsError as error:
        for arm in transfer.arms:
            nothing = _undefined(str(error))
            yield _row(study, other, arm, own.domain, measure, nothing), nothing, arm
        return
    seeds = seeds_of(transfer.arms, own.seeds)
    unknown = INDEPENDENCE if own.patients_unknown else ""
    for arm in transfer.arms:
        fixed = drop_of_arm(drops, seeds[arm], seeds_random=False)
        tests = [drop_of_arm(drops, seeds[arm])]
        if len(own.seeds) > 1:
            tests.append(fixed)
        for test in tests:
            row = _row(
                study,
                other,
                arm,
                own.domain,
                measure,
                test,
                measure.note,
                *notes,
                unknown,
                LEAKS[own.leak],
                transfer.labels,
                headline=transfer.sound and test is tests[0],
                exact_se=fixed.se,
            )
            yield row, test, arm


def _row(
    study: str,
    cell: Cell,
    arm: str,
    own_domain: str,
    measure: Measure,
    test: Combined,
    *notes: str,
    headline: bool = False,
    exact_se: float | None = None,
) -> ComparisonRow:
    return test_row(
        study,
        TRANSFER,
        cell,
        arm,
        test,
        *notes,
        method=test.method,
        exact_se=exact_se,
        from_domain=own_domain,
        headline=headline,
        **asdict(measure),
    )


def _simultaneous_levels(
    study: str, transfers: Sequence[Transfer]
) -> dict[tuple[str, str, str, str], float]:
    """Return the level of each interval, by own domain, other domain and subset, and arm.

    Arms of one own domain that are judged on the same other domains are taken together. Domains
    that may hold the same patients, and those with a declared leak, are left out.
    """
    sound = [t for t in transfers if t.sound and not may_share_patients(t.own, t.other)]
    levels: dict[tuple[str, str, str, str], float] = {}
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for arm in dict.fromkeys(arm for t in sound for arm in t.arms):
        places = tuple(i for i, t in enumerate(sound) if arm in t.arms)
        groups.setdefault((sound[places[0]].own.domain, places), []).append(arm)
    for (own_domain, places), arms in groups.items():
        own_transfers = [sound[i] for i in places]
        if _any_share([t.other for t in own_transfers]):
            continue
        own = own_transfers[0].own
        at = positions_of(own, arms)
        try:
            joint = covariance_of_drops(
                [auc_drops(own, t.other, arms) for t in own_transfers],
                own.auc.covariance[np.ix_(at, at)],
                list(seeds_of(arms, own.seeds).values()),
            )
            level = simultaneous_level(joint, generator_for(study, own_domain, "simultaneous"))
        except StatisticsError:
            # No drop has a variance: there is no interval, alone or together.
            continue
        for t in own_transfers:
            levels |= {(own_domain, t.other.domain, t.other.subset, arm): level for arm in arms}
    return levels


def _any_share(cells: Sequence[Cell]) -> bool:
    return any(may_share_patients(one, other) for i, one in enumerate(cells) for other in cells[:i])


def _leading_method(own: Cell) -> str:
    return RANDOM if len(own.seeds) > 1 else FIXED


def _undefined(reason: str) -> Combined:
    return Combined(RANDOM, None, None, None, float("inf"), None, None, None, reason)
