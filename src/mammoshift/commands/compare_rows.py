"""The rows of `mammoshift compare`: every comparison in a table of predictions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mammoshift.commands.options import INDEPENDENCE, Row
from mammoshift.contracts.external_predictions import (
    DatasetScores,
    ExternalPredictions,
    whole_number,
)
from mammoshift.contracts.shared_cases import overlap
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.arm_comparison import ArmComparison, compare_arms
from mammoshift.statistics.comparisons import ChiSquareTest, Combined, detectable_difference
from mammoshift.statistics.intervals import IntervalMethod
from mammoshift.statistics.margins import margin_tests
from mammoshift.statistics.meta_analysis import equal_weights, random_effects, weighted_stouffer
from mammoshift.statistics.multiplicity import Correction, adjust
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.simultaneous import covariance_of_drops, simultaneous_level
from mammoshift.statistics.transfer import Drops, drop_of_arm, drops_of

ALL_DATASETS = "all"


@dataclass(frozen=True)
class Wishes:
    """What a comparison is asked for.

    Attributes
    ----------
    reference
        Compare every arm with this one; None for all pairs.
    correction, level
        Of the families of tests, and of the intervals.
    method
        Of the intervals of single AUCs.
    margin
        The largest acceptable loss of AUC, declared beforehand; None for none.
    source
        The dataset that transfer drops start from; None for no drops.
    """

    reference: str | None = None
    correction: Correction = "bh"
    level: float = 0.95
    method: IntervalMethod = "auto"
    margin: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Report:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The table, the reference, the column of patients, the correction and the level.
    arms, headline, drops
        The mean AUC of each arm, the one sound test of each pair, and the transfer drops.
    curves, pairs, combined, omnibus
        Rows as the documentation of `compare` describes them.
    """

    settings: Row
    arms: list[Row]
    headline: list[Row]
    drops: list[Row]
    curves: list[Row]
    pairs: list[Row]
    combined: list[Row]
    omnibus: list[Row]


def compare_predictions(predictions: ExternalPredictions, wishes: Wishes, table: str) -> Report:
    """Return every comparison in a table of predictions.

    Tests of one dataset are one family: `headline` and `pairs` all together, `combined` for each
    method; all `drops` are one family. Beside `p_adjusted` stands `p_adjusted_all`, over all
    datasets. Rows of `combined` over several datasets have the dataset "all".

    Raises
    ------
    TableError
        If a dataset lacks the reference, the source is none of the datasets, or two datasets
        hold the same cases.
    """
    refuse_one_dataset_twice(predictions, table)
    report = Report(
        {
            "table": table,
            **vars(wishes),
            "cluster": predictions.cluster_column,
            "warning": "",
            "note": "" if predictions.cluster_column else INDEPENDENCE,
        },
        *([] for _ in range(7)),
    )
    compared: list[tuple[DatasetScores, ArmComparison]] = []
    for part in predictions.datasets:
        try:
            result = compare_arms(
                part.labels,
                part.scores,
                part.curves,
                part.patients,
                wishes.reference,
                wishes.level,
                wishes.method,
            )
        except StatisticsError as error:
            where = f", dataset {part.dataset}" if part.dataset else ""
            raise TableError(f"{table}{where}: {error}") from error
        compared.append((part, result))
        counts = result.estimate
        sizes = {"n_pos": counts.n_pos, "n_neg": counts.n_neg, "n_clusters": counts.n_clusters}
        report.arms.extend({"dataset": part.dataset, **vars(m), **sizes} for m in result.means)
        report.curves.extend({"dataset": part.dataset, **_curve(row)} for row in result.curves)
        report.pairs.extend(_pair_rows(part.dataset, result))
        report.combined.extend(_combined_rows(part.dataset, result))
        report.headline.extend(_headline_rows(part.dataset, result, wishes))
        if result.omnibus is not None:
            report.omnibus.append(_omnibus_row(part.dataset, result.omnibus))
    report.combined.extend(_across_datasets(compared, wishes.level))
    if wishes.source is not None:
        report.drops.extend(_drop_rows(compared, wishes, table))
    _adjust_all(report, wishes.correction)
    return report


def refuse_one_dataset_twice(predictions: ExternalPredictions, table: str) -> None:
    """Raise when two datasets of a table hold the same cases, which would count them twice.

    Raises
    ------
    TableError
        Datasets are combined as independent; the message names the two.
    """
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
            break


def _curve(row: Any) -> Row:
    return {**vars(row), "seed": _seed(row.seed)}


def _pair_rows(dataset: str | None, result: ArmComparison) -> list[Row]:
    return [
        {
            "dataset": dataset,
            "arm_a": pair.arm_a,
            "arm_b": pair.arm_b,
            "seed": _seed(pair.seed),
            "difference": pair.test.estimate,
            "se": pair.test.se,
            "z": pair.test.statistic,
            "p": pair.test.p,
            "log10_p": pair.test.log10_p,
            "ci_low": pair.test.ci_low,
            "ci_high": pair.test.ci_high,
            "detectable_difference": _detectable(pair.test.se),
            "note": pair.test.note,
        }
        for pair in result.pairs
    ]


def _combined_rows(dataset: str | None, result: ArmComparison) -> list[Row]:
    return [
        {
            **_combined_row(dataset, pair.arm_a, pair.arm_b, test),
            "seed_correlation": pair.seed_correlation,
        }
        for pair in result.combined
        for test in pair.tests
    ]


def _combined_row(dataset: str | None, a: str, b: str, test: Combined) -> Row:
    return {
        "dataset": dataset,
        "arm_a": a,
        "arm_b": b,
        "method": test.method,
        "estimate": test.estimate,
        "se": test.se,
        "statistic": test.statistic,
        "df": None if math.isinf(test.df) else test.df,
        "p": test.p,
        "ci_low": test.ci_low,
        "ci_high": test.ci_high,
        "detectable_difference": _detectable(test.se, test.df),
        "note": test.note,
    }


def _omnibus_row(dataset: str | None, test: ChiSquareTest) -> Row:
    return {"dataset": dataset, **vars(test)}


def _headline_rows(dataset: str | None, result: ArmComparison, wishes: Wishes) -> list[Row]:
    tests = [pair.headline for pair in result.combined]
    rows = [
        _combined_row(dataset, pair.arm_a, pair.arm_b, test)
        for pair, test in zip(result.combined, tests, strict=True)
    ]
    return _with_verdicts(rows, tests, wishes, positive_is_loss=False)


def _drop_rows(
    compared: Sequence[tuple[DatasetScores, ArmComparison]], wishes: Wishes, table: str
) -> list[Row]:
    """Return what each arm loses from the source to each other dataset."""
    names = [part.dataset for part, _ in compared]
    if wishes.source not in names or len(names) < 2:
        raise TableError(
            f"{table}: column dataset: --source {wishes.source} needs that dataset and another; "
            f"the table has {', '.join(str(name) for name in names)}"
        )
    at = names.index(wishes.source)
    source_part, source = compared[at]
    arms: dict[str, list[int]] = {}
    for k, (arm, _) in enumerate(source_part.curves):
        arms.setdefault(arm, []).append(k)
    targets: list[tuple[str | None, Drops]] = []
    for part, result in (*compared[:at], *compared[at + 1 :]):
        if part.curves != source_part.curves:
            raise TableError(
                f"{table}: column dataset: {part.dataset} was not scored by the same arms and "
                f"seeds as the source {wishes.source}; a drop needs the same checkpoints"
            )
        targets.append((part.dataset, drops_of(source.estimate, result.estimate)))
    wide = _simultaneous([drops for _, drops in targets], source, list(arms.values()), wishes)
    rows, tests = [], []
    for (dataset, drops), (arm, own) in itertools.product(targets, arms.items()):
        test = drop_of_arm(drops, own, wishes.level)
        together = drop_of_arm(drops, own, wide) if wide is not None else test
        tests.append(test)
        rows.append(
            {
                **_combined_row(dataset, arm, "", test),
                "source": wishes.source,
                "simultaneous_low": together.ci_low,
                "simultaneous_high": together.ci_high,
            }
        )
    return _with_verdicts(rows, tests, wishes, positive_is_loss=True)


def _simultaneous(
    targets: Sequence[Drops], source: ArmComparison, arms: Sequence[list[int]], wishes: Wishes
) -> float | None:
    joint = covariance_of_drops(targets, source.estimate.covariance, arms)
    try:
        rng = generator_for("compare", "simultaneous")
        return simultaneous_level(joint, rng, wishes.level)
    except StatisticsError:
        # No drop has a variance: there is no interval, alone or together.
        return None


def _with_verdicts(
    rows: list[Row], tests: Sequence[Combined], wishes: Wishes, positive_is_loss: bool
) -> list[Row]:
    if wishes.margin is None:
        return rows
    verdicts = margin_tests(
        tests,
        wishes.margin,
        positive_is_loss=positive_is_loss,
        correction=wishes.correction,
        level=wishes.level,
    )
    names = ("p_noninferior", "p_inferior", "p_noninferior_adjusted", "p_inferior_adjusted")
    return [
        {**row, **{name: getattr(v, name) for name in names}, "verdict": v.verdict}
        for row, v in zip(rows, verdicts, strict=True)
    ]


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
            _combined_row(ALL_DATASETS, a, b, equal_weights(estimates, ses, level)),
            _combined_row(ALL_DATASETS, a, b, weighted_stouffer(estimates, ses, level=level)),
            {**_combined_row(ALL_DATASETS, a, b, meta.mean), **spread},
        ]
    return rows


def _adjust_all(report: Report, correction: Correction) -> None:
    def by_dataset(row: Row) -> object:
        return row["dataset"]

    def by_method(row: Row) -> object:
        return row["dataset"], row["method"]

    for rows, family, over_all in (
        (report.pairs, by_dataset, lambda _: None),
        (report.headline, by_dataset, lambda _: None),
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


def _detectable(se: float | None, df: float = math.inf) -> float | None:
    return detectable_difference(se, df=df) if se else None


def _seed(seed: str | None) -> int | str | None:
    """Return a seed as a number where it is written as one."""
    number = None if seed is None else whole_number(seed)
    return seed if number is None or str(number) != seed else number
