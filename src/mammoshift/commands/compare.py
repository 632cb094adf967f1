"""`mammoshift compare`: sound comparisons of the arms in anyone's table of predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mammoshift.contracts.external_predictions import (
    ExternalPredictions,
    read_external_predictions,
)
from mammoshift.errors import StatisticsError, TableError
from mammoshift.files import write_text_atomically
from mammoshift.statistics.arm_comparison import ArmComparison, compare_arms
from mammoshift.statistics.comparisons import ChiSquareTest, Combined, detectable_difference
from mammoshift.statistics.meta_analysis import random_effects, weighted_stouffer
from mammoshift.statistics.multiplicity import CORRECTIONS, Correction, adjust
from mammoshift.statistics.multireader import NESTED

ALL_DATASETS = "all"
PLAIN_WIDTH = 160
INDEPENDENCE = "No patients given: every case counts as independent"
SCOPE = (
    f"{NESTED} is the test for claims about architectures (seeds random), "
    "exact_fixed that for these checkpoints (seeds fixed)"
)

Row = dict[str, Any]
"""One row of the JSON output; None is null."""


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
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column that groups dependent cases; default: patient_id where there is one. "
            "`none` treats all cases as independent."
        ),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write all results to this file.")
    ] = None,
    correct: Annotated[
        str, typer.Option(help=f"Correction for multiple tests: {', '.join(CORRECTIONS)}.")
    ] = "bh",
    level: Annotated[float, typer.Option(help="Level of the confidence intervals.")] = 0.95,
) -> None:
    """Compare the AUC of arms on the same cases: per seed, over seeds and over datasets."""
    predictions = read_external_predictions(table, cluster)
    report = compare_predictions(
        predictions, reference, checked_correction(correct), checked_level(level), table.name
    )
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    print_report(report, console)
    if json_out is not None:
        write_text_atomically(json_out, json.dumps(vars(report), indent=1, allow_nan=False) + "\n")


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


def checked_level(level: float) -> float:
    """Return a confidence level in [0.5, 1), or raise a usage error."""
    if not 0.5 <= level < 1.0:
        raise typer.BadParameter(f"{level}: the level lies between 0.5 and 1, for example 0.95")
    return level


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
            "AUC": _number(row["auc"]),
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
            "a - b": _number(row["difference"], sign=True),
            "interval": _interval(row, sign=True),
            "z": _number(row["z"], digits=2, sign=True),
            **_p_cells(row),
            "detectable": _number(row["detectable_difference"]),
        },
    )
    _print_table(
        console,
        f"Difference of AUC over seeds or datasets; {percent} interval, {correction}",
        ("dataset", "arm_a", "arm_b", "method"),
        report.combined,
        lambda row: {
            "a - b": _number(row["estimate"], sign=True),
            "interval": _interval(row, sign=True),
            "statistic": _number(row["statistic"], digits=2, sign=True),
            "df": _number(row["df"], digits=1),
            **_p_cells(row),
        },
    )
    _print_table(
        console,
        "Are all arms equal? (means over these seeds)",
        ("dataset",),
        report.omnibus,
        lambda row: {
            "chi-square": _number(row["statistic"], digits=2),
            "df": str(row["df"]),
            "p": _p(row["p"]),
        },
    )
    notes = [report.settings["note"]]
    if any(row["method"] == NESTED for row in report.combined):
        notes.append(SCOPE)
    for note in filter(None, notes):
        console.print(f"{note}.", markup=False, highlight=False)


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
    return int(seed) if seed is not None and seed.isdigit() and str(int(seed)) == seed else seed


def _print_table(
    console: Console,
    title: str,
    names: Sequence[str],
    rows: Sequence[Row],
    cells: Callable[[Row], dict[str, str | None]],
) -> None:
    """Print the named columns, then `cells` of each row; notes become footnotes."""
    if not rows:
        return
    named = [name for name in names if any(row[name] is not None for row in rows)]
    footnotes = {note: i for i, note in enumerate(dict.fromkeys(row["note"] for row in rows), 1)}
    if "" in footnotes:
        del footnotes[""]
        footnotes = {note: i for i, note in enumerate(footnotes, 1)}
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in named:
        table.add_column(name.replace("_", " "), overflow="fold")
    for name in cells(rows[0]):
        table.add_column(name, justify="right", no_wrap=True)
    if footnotes:
        table.add_column("note", justify="right")
    for row in rows:
        note = str(footnotes.get(row["note"], "")) if footnotes else None
        values = [row[name] for name in named] + list(cells(row).values())
        shown = ["-" if value is None else _plain(str(value)) for value in values]
        table.add_row(*shown, *([note] if note is not None else []))
    console.print(table)
    for note, number in footnotes.items():
        console.print(f"{number}  {note}", markup=False, highlight=False)


def _plain(text: str) -> str:
    """Return text from the table without markup or control characters."""
    return escape("".join(c if c.isprintable() else "?" for c in text))


def _p_cells(row: Row) -> dict[str, str | None]:
    return {"p": _p(row["p"]), "adjusted": _p(row["p_adjusted"]), "m": str(row["family_size"])}


def _number(value: float | None, digits: int = 3, sign: bool = False) -> str | None:
    return None if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def _interval(row: Row, sign: bool = False) -> str | None:
    low, high = _number(row["ci_low"], sign=sign), _number(row["ci_high"], sign=sign)
    return None if low is None or high is None else f"{low} to {high}"


def _p(value: float | None) -> str | None:
    return None if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
