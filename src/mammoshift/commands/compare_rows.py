"""The rows of `mammoshift compare`: every comparison in a table of predictions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mammoshift.commands.compare_chance import (
    Ranking,
    compared_where_forwards,
    judged_where_above_chance,
    rankings,
    tested_where_ranked,
)
from mammoshift.commands.compare_drops import drop_rows
from mammoshift.commands.compare_metrics import METRICS, positions_of, values_of
from mammoshift.commands.compare_report import (
    ALL_DATASETS,
    Report,
    Wishes,
    combined_row,
    seed_number,
    sizes_of,
    with_verdicts,
)
from mammoshift.commands.compare_roc import roc_rows
from mammoshift.commands.options import FEW_PATIENTS, Row, note_of
from mammoshift.contracts.external_predictions import DatasetScores, ExternalPredictions
from mammoshift.contracts.shared_cases import overlap
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.arm_comparison import arm_pairs, compare_arms
from mammoshift.statistics.arm_results import ArmComparison
from mammoshift.statistics.comparisons import (
    DEGENERATE,
    IDENTICAL,
    Combined,
    detectable_by,
)
from mammoshift.statistics.curve_values import (
    CurveValues,
    aucs,
    difference_of_arms,
    mean_of_arm,
    mean_over_datasets,
    share_of_arm,
)
from mammoshift.statistics.distributions import critical_value
from mammoshift.statistics.estimates import FEW_CLUSTERS
from mammoshift.statistics.intervals import logit_interval
from mammoshift.statistics.meta_analysis import equal_weights, random_effects, weighted_stouffer
from mammoshift.statistics.multiplicity import Correction, adjust
from mammoshift.statistics.shares import Share

NO_VARIANCE = "no interval: the variance estimate is zero"


def compare_predictions(predictions: ExternalPredictions, wishes: Wishes, table: str) -> Report:
    """Return every comparison in a table of predictions.

    Tests of one dataset are one family: `headline` and `pairs` all together, `combined` for each
    method; all `drops` are one family. Beside `p_adjusted` stands `p_adjusted_all`, over all
    datasets. Rows of `headline` and `combined` over several datasets, the source left out, have the
    dataset "all".

    Raises
    ------
    TableError
        If a dataset lacks the reference, the source is none of the datasets, or two datasets
        hold the same cases.
    """
    alike = refuse_one_dataset_twice(predictions, table)
    report = Report(
        {
            "table": table,
            **wishes.described,
            "cluster": predictions.cluster_column,
            "warning": "",
            "backwards": [],
            "note": note_of(predictions.note, predictions.cluster_column, *alike),
        },
        *([] for _ in range(8)),
    )
    compared: list[tuple[DatasetScores, CurveValues]] = []
    results: list[tuple[DatasetScores, ArmComparison]] = []
    ranked: dict[str | None, list[Ranking]] = {}
    for part in predictions.datasets:
        first = len(report.headline)
        try:
            if wishes.metric == "auc":
                result = compare_arms(
                    part.labels,
                    part.scores,
                    part.curves,
                    part.patients,
                    wishes.reference,
                    wishes.level,
                    wishes.method,
                )
                _add_auc(report, part, result, wishes)
                results.append((part, result))
                values = aucs(result.estimate)
            else:
                values = values_of(wishes.metric, part, wishes.at)
                _add_metric(report, part, values, wishes)
            if wishes.roc and not part.one_class:
                report.roc.extend(roc_rows(part, wishes.level))
        except StatisticsError as error:
            where = f", dataset {part.dataset}" if part.dataset else ""
            raise TableError(f"{table}{where}: {error}") from error
        compared.append((part, values))
        ranked[part.dataset] = rankings(
            part, wishes.level, values if wishes.metric == "auc" else None
        )
        warnings = (found.warning for found in ranked[part.dataset])
        report.settings["backwards"].extend(filter(None, warnings))
        report.headline[first:] = compared_where_forwards(
            report.headline[first:], ranked[part.dataset]
        )
    report.combined.extend(
        _across_datasets([found for found in results if _is_target(found[0], wishes)], wishes.level)
    )
    targets = [found for found in compared if _is_target(found[0], wishes)]
    if len(targets) > 1:
        report.headline.extend(_over_all(targets, wishes))
    if wishes.source is not None:
        drops = drop_rows(compared, wishes, table)
        report.drops.extend(judged_where_above_chance(drops, ranked[wishes.source]))
    _adjust_all(report, wishes.correction)
    return report


def _add_auc(report: Report, part: DatasetScores, result: ArmComparison, wishes: Wishes) -> None:
    sizes = sizes_of(part)
    report.arms.extend(
        {"dataset": part.dataset, **vars(m), "value": m.auc, **sizes} for m in result.means
    )
    report.curves.extend(
        {"dataset": part.dataset, **vars(row), "seed": seed_number(row.seed)}
        for row in result.curves
    )
    report.pairs.extend(_pair_rows(part.dataset, result))
    report.combined.extend(_combined_rows(part.dataset, result))
    report.headline.extend(_headline_rows(part, result, wishes))
    if result.omnibus is not None:
        report.omnibus.append({"dataset": part.dataset, **vars(result.omnibus)})


def _add_metric(report: Report, part: DatasetScores, values: CurveValues, wishes: Wishes) -> None:
    """Add the rows of a metric: arms over their seeds, curves, and the one test of each pair."""
    metric = METRICS[wishes.metric]
    arms = positions_of(part.curves)
    sizes = sizes_of(part)
    fewest = sizes["n_clusters"] if part.one_class else part.fewest_patients
    few = FEW_PATIENTS if fewest < FEW_CLUSTERS else ""
    for arm, own in arms.items():
        test = mean_of_arm(values, own, wishes.level)
        low, high = _limits(test, share_of_arm(values, own), metric.bounded, wishes.level)
        several = len(own) > 1 and test.estimate is not None
        sd = float(values.values[own].std(ddof=1)) if several else None
        row = {"dataset": part.dataset, "arm": arm, "seeds": len(own), "value": test.estimate}
        limits = {"ci_low": low, "ci_high": high, "seed_sd": sd, "method": test.method}
        note = "; ".join(filter(None, (few, _of_a_mean(test.note))))
        report.arms.append({**row, **limits, "note": note, **sizes})
    for k, (arm, seed) in enumerate(part.curves):
        test = mean_of_arm(values, [k], wishes.level, seeds_random=False)
        low, high = _limits(test, share_of_arm(values, [k]), metric.bounded, wishes.level)
        row = {
            "dataset": part.dataset,
            "arm": arm,
            "seed": seed_number(seed),
            "value": test.estimate,
        }
        note = _of_a_mean(test.note)
        limits = {"se": test.se, "ci_low": low, "ci_high": high, "note": note}
        report.curves.append({**row, **limits, **sizes})
    pairs = arm_pairs(tuple(arms), wishes.reference)
    tests = [
        tested_where_ranked(
            difference_of_arms(values, arms[a], arms[b], wishes.level), part, arms[a], arms[b]
        )
        for a, b in pairs
    ]
    rows = [
        combined_row(
            part.dataset,
            a,
            b,
            test,
            difference_of_arms(values, arms[a], arms[b], wishes.level, seeds_random=False).se,
            wishes.metric,
        )
        for (a, b), test in zip(pairs, tests, strict=True)
    ]
    lower = metric.lower_is_better
    report.headline.extend(with_verdicts(rows, tests, wishes, positive_is_loss=lower))


def _of_a_mean(note: str) -> str:
    """Return what is said of a mean where a test speaks of a difference without variance."""
    parts = (NO_VARIANCE if part in (IDENTICAL, DEGENERATE) else part for part in note.split("; "))
    return "; ".join(dict.fromkeys(parts))


def _limits(
    test: Combined, share: Share | None, bounded: bool, level: float
) -> tuple[float | None, float | None]:
    """Return the interval of a mean, of a bounded one that is no share on the logit scale."""
    if share is not None:
        return share.interval(level)
    if not bounded or test.estimate is None or test.se is None:
        return test.ci_low, test.ci_high
    if test.se == 0.0:
        return None, None
    critical = critical_value(level, test.df)
    low, high = logit_interval(np.array([test.estimate]), np.array([test.se]), critical)
    if math.isnan(low[0]):
        return None, None
    return float(low[0]), float(high[0])


def refuse_one_dataset_twice(predictions: ExternalPredictions, table: str) -> list[str]:
    """Return what to beware of where two datasets of a table may hold the same patients.

    Raises
    ------
    TableError
        If two datasets hold the same cases, which would count them twice; names the two.
    """
    warnings: list[str] = []
    for first, second in itertools.combinations(predictions.datasets, 2):
        for curve in first.curves:
            if curve not in second.curves:
                continue
            shared = overlap(
                first.identified(first.curves.index(curve)),
                second.identified(second.curves.index(curve)),
            )
            if shared.cases or shared.same_content:
                what = f"{shared.cases} cases" if shared.cases else "the same labels and scores"
                raise TableError(
                    f"{table}: column dataset: {first.dataset!r} and {second.dataset!r} share "
                    f"{what} (arm {curve[0]!r}); datasets have different patients, so that they "
                    "can be combined. Keep one of the two"
                )
            if shared.patients:
                warnings.append(
                    f"{first.dataset} and {second.dataset} have {shared.patients} patient "
                    "identifiers in common and are taken for different patients; if they are the "
                    "same, what combines or compares the two is wrong"
                )
            break
    return warnings


def _pair_rows(dataset: str | None, result: ArmComparison) -> list[Row]:
    return [
        {
            "dataset": dataset,
            "arm_a": pair.arm_a,
            "arm_b": pair.arm_b,
            "seed": seed_number(pair.seed),
            "difference": pair.test.estimate,
            "se": pair.test.se,
            "z": pair.test.statistic,
            "p": pair.test.p,
            "log10_p": pair.test.log10_p,
            "ci_low": pair.test.ci_low,
            "ci_high": pair.test.ci_high,
            "detectable_difference": detectable_by(pair.test),
            "note": pair.test.note,
        }
        for pair in result.pairs
    ]


def _combined_rows(dataset: str | None, result: ArmComparison) -> list[Row]:
    return [
        {
            **combined_row(dataset, pair.arm_a, pair.arm_b, test, pair.mean_difference.se),
            "seed_correlation": pair.seed_correlation,
        }
        for pair in result.combined
        for test in pair.tests
    ]


def _headline_rows(part: DatasetScores, result: ArmComparison, wishes: Wishes) -> list[Row]:
    arms = positions_of(part.curves)
    tests = [
        tested_where_ranked(pair.headline, part, arms[pair.arm_a], arms[pair.arm_b])
        for pair in result.combined
    ]
    rows = [
        combined_row(part.dataset, pair.arm_a, pair.arm_b, test, pair.mean_difference.se)
        for pair, test in zip(result.combined, tests, strict=True)
    ]
    return with_verdicts(rows, tests, wishes, positive_is_loss=False)


def _across_datasets(
    compared: Sequence[tuple[DatasetScores, ArmComparison]], level: float
) -> list[Row]:
    """Combine each pair's mean difference over the datasets that have it."""
    effects: dict[tuple[str, str], list[Combined]] = {}
    for _, result in compared:
        for pair in result.combined:
            effects.setdefault((pair.arm_a, pair.arm_b), []).append(pair.mean_difference)
    rows: list[Row] = []
    for (a, b), tests in effects.items():
        if len(tests) < 2:
            continue
        estimates = [math.nan if test.estimate is None else test.estimate for test in tests]
        ses = [math.nan if test.se is None else test.se for test in tests]
        meta = random_effects(estimates, ses, level=level)
        spread = {"tau2": meta.tau2, "i2": meta.i2, "q": meta.q, "q_p": meta.q_p}
        rows += [
            combined_row(ALL_DATASETS, a, b, equal_weights(estimates, ses, level)),
            combined_row(ALL_DATASETS, a, b, weighted_stouffer(estimates, ses, level=level)),
            {**combined_row(ALL_DATASETS, a, b, meta.mean), **spread},
        ]
    return rows


def _is_target(part: DatasetScores, wishes: Wishes) -> bool:
    return wishes.source is None or part.dataset != wishes.source


def _over_all(targets: Sequence[tuple[DatasetScores, CurveValues]], wishes: Wishes) -> list[Row]:
    """Compare the mean of each pair of arms over the datasets, the source left out."""
    first = targets[0][0]
    rows, tests = [], []
    for a, b in arm_pairs(tuple(positions_of(first.curves)), wishes.reference):
        wanted = [curve for arm in (a, b) for curve in first.curves if curve[0] == arm]
        own = [
            values.only([part.curves.index(curve) for curve in wanted])
            for part, values in targets
            if {c for c in part.curves if c[0] in (a, b)} == set(wanted)
        ]
        known = [v for v in own if np.isfinite(v.values).all() and np.isfinite(v.covariance).all()]
        if len(known) < 2:
            continue
        count = sum(arm == a for arm, _ in wanted)
        test = difference_of_arms(
            mean_over_datasets(known),
            list(range(count)),
            list(range(count, len(wanted))),
            wishes.level,
        )
        left_out = len(targets) - len(known)
        notes = (
            f"{ALL_DATASETS}: the mean over {len(known)} datasets, each counting the same; others "
            "may differ",
            f"{left_out} of {len(targets)} left out: undefined, or scored by other seeds"
            if left_out
            else "",
            test.note,
        )
        tests.append(replace(test, note="; ".join(filter(None, notes))))
        rows.append(combined_row(ALL_DATASETS, a, b, tests[-1]))
    lower = METRICS[wishes.metric].lower_is_better
    return with_verdicts(rows, tests, wishes, positive_is_loss=lower)


def _adjust_all(report: Report, correction: Correction) -> None:
    def by_dataset(row: Row) -> object:
        return row["dataset"]

    def by_method(row: Row) -> object:
        return row["dataset"], row["method"]

    for rows, family, over_all in (
        (report.pairs, by_dataset, lambda _: None),
        (report.headline, by_dataset, lambda row: row["dataset"] == ALL_DATASETS),
        (report.combined, by_method, lambda row: row["method"]),
        (report.drops, lambda _: None, lambda _: None),
    ):
        _adjust(rows, correction, family, "p_adjusted", "family_size")
        _adjust(rows, correction, over_all, "p_adjusted_all", "family_size_all")


def _adjust(
    rows: Sequence[Row],
    correction: Correction,
    family: Callable[[Row], object],
    p_key: str,
    size_key: str,
) -> None:
    """Fill the adjusted p-values and the size of the family into `rows`."""
    families: dict[object, list[Row]] = {}
    for row in rows:
        families.setdefault(family(row), []).append(row)
    for members in families.values():
        result = adjust([row["p"] for row in members], correction)
        for row, p in zip(members, result.p, strict=True):
            row[p_key], row[size_key] = p, result.family_size
