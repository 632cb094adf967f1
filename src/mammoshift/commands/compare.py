"""`mammoshift compare`: sound comparisons of the arms in anyone's table of predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mammoshift.commands.options import (
    INDEPENDENCE,
    ClusterOption,
    JsonOption,
    LevelOption,
    Row,
    checked_level,
    write_json,
)
from mammoshift.commands.text_tables import (
    number,
    p_value,
    print_notes,
    print_table,
    result_console,
)
from mammoshift.contracts.external_predictions import (
    ExternalPredictions,
    read_external_predictions,
    whole_number,
)
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.arm_comparison import ArmComparison, compare_arms
from mammoshift.statistics.comparisons import ChiSquareTest, Combined, detectable_difference
from mammoshift.statistics.meta_analysis import random_effects, weighted_stouffer
from mammoshift.statistics.multiplicity import CORRECTIONS, Correction, adjust
from mammoshift.statistics.multireader import NESTED

ALL_DATASETS = "all"
SCOPE = (
    f"{NESTED} is the test for claims about architectures (seeds random), "
    "exact_fixed that for these checkpoints (seeds fixed)"
)


@dataclass(frozen=True)
class Report:
    """What the command prints and writes: lists of rows, by name.

    Attributes
    ----------
    settings
        The table, the reference, the column of patients, the correction and the level.
    curves, pairs, combined, omnibus
        Rows as the documentation of `compare` describes them.
    """

    settings: Row
    curves: list[Row]
    pairs: list[Row]
    combined: list[Row]
    omnibus: list[Row]


def compare(
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with case_id, label, arm, score "
            "and optionally seed, patient_id, dataset."
        ),
    ],
    reference: Annotated[
        str | None, typer.Option(help="Compare every arm with this one; default: all pairs.")
    ] = None,
    cluster: ClusterOption = None,
    json_out: JsonOption = None,
    correct: Annotated[
        str, typer.Option(help=f"Correction for multiple tests: {', '.join(CORRECTIONS)}.")
    ] = "bh",
    level: LevelOption = 0.95,
) -> None:
    """Compare the AUC of arms on the same cases: per seed, over seeds and over datasets."""
    predictions = read_external_predictions(table, cluster)
    report = compare_predictions(
        predictions, reference, checked_correction(correct), checked_level(level), table.name
    )
    print_report(report, result_console())
    write_json(report, json_out)


def compare_predictions(
    predictions: ExternalPredictions,
    reference: str | None,
    correction: Correction,
    level: float,
    table: str,
) -> Report:
    """Return every comparison in a table of predictions.

    Tests of one dataset are one family: `pairs` all together, `combined` for each method. Beside
    `p_adjusted` stands `p_adjusted_all`, over all datasets. Rows of `combined` over several
    datasets have the dataset "all".

    Raises
    ------
    TableError
        If a dataset lacks the reference.
    """
    curves: list[Row] = []
    pairs: list[Row] = []
    combined: list[Row] = []
    joint: list[Row] = []
    compared: list[tuple[str | None, ArmComparison]] = []
    for part in predictions.datasets:
        try:
            result = compare_arms(
                part.labels, part.scores, part.curves, part.patients, reference, level
            )
        except StatisticsError as error:
            where = f", dataset {part.dataset}" if part.dataset else ""
            raise TableError(f"{table}{where}: {error}") from error
        compared.append((part.dataset, result))
        curves += [{"dataset": part.dataset, **_curve(row)} for row in result.curves]
        pairs += _pair_rows(part.dataset, result)
        combined += _combined_rows(part.dataset, result)
        if result.omnibus is not None:
            joint.append(_omnibus_row(part.dataset, result.omnibus))
    combined += _across_datasets(compared, level)
    _adjust(pairs, correction, lambda row: row["dataset"], "p_adjusted", "family_size")
    _adjust(pairs, correction, lambda _: None, "p_adjusted_all", "family_size_all")
    _adjust(
        combined,
        correction,
        lambda row: (row["dataset"], row["method"]),
        "p_adjusted",
        "family_size",
    )
    _adjust(combined, correction, lambda row: row["method"], "p_adjusted_all", "family_size_all")
    settings: Row = {
        "table": table,
        "reference": reference,
        "cluster": predictions.cluster_column,
        "correction": correction,
        "level": level,
        "interval": "logit",
        "note": "" if predictions.cluster_column else INDEPENDENCE,
    }
    return Report(settings, curves, pairs, combined, joint)


def checked_correction(name: str) -> Correction:
    """Return the name of a correction, or raise a usage error."""
    for known in CORRECTIONS:
        if name == known:
            return known
    raise typer.BadParameter(f"{name!r}: allowed are {', '.join(CORRECTIONS)}")


def print_report(report: Report, console: Console) -> None:
    """Print the report as tables, with the notes numbered below each."""
    percent = f"{100.0 * report.settings['level']:g} %"
    correction = f"p adjusted by {report.settings['correction']} among m tests"
    _print_table(
        console,
        f"AUC with {percent} interval (logit scale)",
        ("dataset", "arm", "seed"),
        report.curves,
        lambda row: {
            "AUC": number(row["auc"]),
            "interval": _interval(row),
            "positives": str(row["n_pos"]),
            "negatives": str(row["n_neg"]),
            "patients": str(row["n_clusters"]),
        },
    )
    _print_table(
        console,
        f"Difference of AUC at each seed, paired; {percent} interval, {correction}",
        ("dataset", "arm_a", "arm_b", "seed"),
        report.pairs,
        lambda row: {
            "a - b": number(row["difference"], sign=True),
            "interval": _interval(row, sign=True),
            "z": number(row["z"], digits=2, sign=True),
            **_p_cells(row),
            "detectable": number(row["detectable_difference"]),
        },
    )
    _print_table(
        console,
        f"Difference of AUC over seeds or datasets; {percent} interval, {correction}",
        ("dataset", "arm_a", "arm_b", "method"),
        report.combined,
        lambda row: {
            "a - b": number(row["estimate"], sign=True),
            "interval": _interval(row, sign=True),
            "statistic": number(row["statistic"], digits=2, sign=True),
            "df": number(row["df"], digits=1),
            **_p_cells(row),
        },
    )
    _print_table(
        console,
        "Are all arms equal? (means over these seeds)",
        ("dataset",),
        report.omnibus,
        lambda row: {
            "chi-square": number(row["statistic"], digits=2),
            "df": str(row["df"]),
            "p": p_value(row["p"]),
        },
    )
    nested = any(row["method"] == NESTED for row in report.combined)
    print_notes(console, [report.settings["note"], SCOPE if nested else ""])


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


def _across_datasets(
    compared: Sequence[tuple[str | None, ArmComparison]], level: float
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
        stouffer = weighted_stouffer(estimates, ses, level=level)
        rows.append(_combined_row(ALL_DATASETS, a, b, stouffer))
        rows.append(
            {
                **_combined_row(ALL_DATASETS, a, b, meta.mean),
                "tau2": meta.tau2,
                "i2": meta.i2,
                "q": meta.q,
                "q_p": meta.q_p,
            }
        )
    return rows


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


def _print_table(
    console: Console,
    title: str,
    names: Sequence[str],
    rows: Sequence[Row],
    cells: Callable[[Row], dict[str, str | None]],
) -> None:
    """Print the named columns that are filled, then `cells` of each row."""
    if not rows:
        return
    named = [name for name in names if any(row[name] is not None for row in rows)]
    print_table(
        console,
        title,
        [*(name.replace("_", " ") for name in named), *cells(rows[0])],
        [
            [
                *(None if row[name] is None else str(row[name]) for name in named),
                *cells(row).values(),
            ]
            for row in rows
        ],
        names=len(named),
        notes=[row["note"] for row in rows],
    )


def _p_cells(row: Row) -> dict[str, str | None]:
    return {
        "p": p_value(row["p"]),
        "adjusted": p_value(row["p_adjusted"]),
        "m": str(row["family_size"]),
    }


def _interval(row: Row, sign: bool = False) -> str | None:
    low, high = number(row["ci_low"], sign=sign), number(row["ci_high"], sign=sign)
    return None if low is None or high is None else f"{low} to {high}"
