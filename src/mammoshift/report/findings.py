"""The answer in sentences: what the intervals and tests support, and what they do not.

Every sentence is made from rows of the tables. Support means that a 95 % interval leaves out zero
or that an adjusted p value is below 5 %, with the seeds as random; what holds for the trained
models alone says so. The absence of support is never called equality.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.configuration.remarks import remarks_on
from mammoshift.contracts.cases import JUDGED_SUBSETS
from mammoshift.report.cohort import images_without_patient
from mammoshift.report.finding import Finding, Kind
from mammoshift.report.findings_of_tests import (
    THESE_ALONE,
    comparison_findings,
    drop_findings,
    naive_stouffer_findings,
    other_measure_findings,
    subgroup_difference_findings,
    words,
)
from mammoshift.report.formatting import format_estimate, joined, typographic
from mammoshift.report.inputs import ReportData
from mammoshift.report.machine_readable import said_undefined
from mammoshift.report.rows import (
    across_domains,
    at_thresholds,
    cohort_name,
    first_of_each,
    select,
    summarised,
)
from mammoshift.report.verdicts import beating_chance, own_aucs, verdict_findings
from mammoshift.report.vocabulary import METRIC_LABELS, criterion_words

FEW_CASES = 20
"""A cohort with fewer cases of a class than this is named among what is to be read with care."""


def findings(data: ReportData) -> tuple[Finding, ...]:
    """Return the findings of a study in the order in which they are read."""
    found = [
        *verdict_findings(data),
        *_synthetic(data.settings),
        *_one_seed(data.settings),
        *_leaks(data),
        *(Finding("caution", said) for said in remarks_on(data.settings)),
        *_few_cases(data),
        *_unknown_patients(data),
        *_densities(data),
        *_own_accuracy(data),
        *drop_findings(data),
        *comparison_findings(data),
        *other_measure_findings(data),
        *subgroup_difference_findings(data),
        *naive_stouffer_findings(data),
        *_operating_points(data),
        *_calibration(data),
        *_undefined(data),
    ]
    return tuple(replace(finding, text=typographic(finding.text)) for finding in found)


def _synthetic(settings: ReportSettings) -> list[Finding]:
    names = settings.synthetic_datasets
    if not names:
        return []
    which = "All datasets" if len(names) == len(settings.datasets) else joined(names)
    text = (
        f"{which} of this study are synthetic twins: images made by a model of anatomy and "
        "scanners. The numbers show what the workflow reports; they say nothing about patients."
    )
    return [Finding("caution", text)]


def _leaks(data: ReportData) -> list[Finding]:
    """Say which domains share patients between training and testing by declaration."""
    settings = data.settings
    words = {"by_row": "rows", "by_patch": "patches"}
    names = [f"{d.name} (by {words[d.leak]})" for d in settings.domains if d.leak is not None]
    if not names:
        return []
    text = (
        f"Patients are in training and in test cases of {joined(names)}, as its declared split "
        "wants. These numbers reproduce a published habit; they have no headline test and "
        "support nothing."
    )
    return [Finding("caution", text), *_optimism(data)]


def _optimism(data: ReportData) -> list[Finding]:
    """Say how much a declared leak gained over the same arm with patients kept apart."""
    rows = first_of_each(across_domains(data.comparisons)).dropna(subset=["ci_low", "ci_high"])
    leaky = {domain.name for domain in data.settings.domains if domain.leak is not None}
    found = []
    for (arm, domain, reference, other), tests in rows[rows["domain"].isin(leaky)].groupby(
        ["arm", "domain", "reference", "reference_domain"], sort=False
    ):
        gains = [
            f"{METRIC_LABELS[row['metric']]}"
            f"{' at ' + criterion_words(row['criterion']) if row['criterion'] else ''} "
            + format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)
            for _, row in tests.iterrows()
        ]
        text = (
            f"What the leak is worth: {arm} on {domain} minus {reference} on {other}, whose "
            f"settings are the same (95% CI): {joined(gains)}."
        )
        found.append(Finding("caution", text))
    return found


def _one_seed(settings: ReportSettings) -> list[Finding]:
    if len(settings.seeds) > 1:
        return []
    text = (
        "Every arm was trained with one seed. The results are about these checkpoints; whether an "
        "arm is better in another training is not tested."
    )
    return [Finding("caution", text)]


def _few_cases(data: ReportData) -> list[Finding]:
    """Say which cohorts have few cases of a class."""
    rows = select(data.metrics, metric="auc", subset=JUDGED_SUBSETS)
    rows = rows.dropna(subset=["n_pos", "n_neg"]).drop_duplicates(["domain", "subset"])
    least = rows[["n_pos", "n_neg"]].min(axis=1)
    without = [
        f"{cohort_name(row['domain'], row['subset'])} has no "
        f"{'positive' if row['n_pos'] == 0 else 'negative'} case: no AUC can be computed."
        for _, row in rows[least == 0].iterrows()
    ]
    found = [Finding("caution", text) for text in without]
    few = rows[(least > 0) & (least < FEW_CASES)]
    if few.empty:
        return found
    cells = [
        f"{cohort_name(row['domain'], row['subset'])} has {row['n_pos']:.0f} positive and "
        f"{row['n_neg']:.0f} negative"
        for _, row in few.iterrows()
    ]
    text = f"Few cases decide here: {joined(cells)}. One more or less moves these numbers."
    return [*found, Finding("caution", text)]


def _unknown_patients(data: ReportData) -> list[Finding]:
    """Say where patients are not known, and where such cases were divided."""
    counts = images_without_patient(data.cohort)
    named = [f"{count:,} of {domain}" for domain, count in counts.items()]
    if not named:
        return []
    text = (
        f"The archives do not name the patient of some images: {joined(named)}. Each counts as a "
        "patient of its own, so that intervals there are too narrow where one patient has several."
    )
    split = [d.name for d in data.settings.described_domains if d.split is not None]
    divided = [name for name in split if name in counts]
    if divided:
        text += (
            f" In {joined(divided)} such images were divided between training and test or between "
            "folds image by image: one patient may be on both sides."
        )
    return [Finding("caution", text)]


def _densities(data: ReportData) -> list[Finding]:
    """Say which arms were trained with a loss that wants densities, where there are none."""
    arms = []
    for described in data.settings.described_arms:
        loss = described.settings.get("loss") or {}
        if loss.get("name") != "density_aware_focal":
            continue
        own = data.settings.arm(described.name).own_domain
        cells = [cell for cell in data.grid.cells.values() if cell.domain == own]
        if cells and not any(cell.cases["density"].isin(list("abcd")).any() for cell in cells):
            arms.append(f"{described.name} (on {own})")
    if not arms:
        return []
    text = (
        f"No case of the own domain of {joined(arms)} has a breast density from a to d. The "
        "density-aware loss was the plain focal loss there; nothing is learned from densities."
    )
    return [Finding("caution", text)]


def _own_accuracy(data: ReportData) -> list[Finding]:
    """Say how accurate each arm is on held-out patients of the domain it was trained on."""
    settings = data.settings
    rows = own_aucs(data)
    if rows.empty:
        return []
    one = settings.source is not None
    cells = [
        f"{row['arm']} {_interval(row)}{'' if one else ' on ' + row['domain']}"
        for _, row in rows.iterrows()
    ]
    where = f"the source {settings.source}" if one else "each arm's own domain"
    text = f"On held-out patients of {where}, the AUC (95% CI) is {joined(cells)}."
    for holds, said in (
        ((rows["ci_low"] <= 0.5) & (rows["ci_high"] >= 0.5), "does not exclude chance (0.5)"),
        (rows["ci_high"] < 0.5, "lies below chance (0.5)"),
        (rows["ci_low"].isna() | rows["ci_high"].isna(), "is undefined"),
    ):
        if holds.any():
            arms = rows.loc[holds, "arm"].tolist()
            text += f" The interval of {'each of ' if len(arms) > 1 else ''}{joined(arms)} {said}."
    random = rows["method"].str.startswith("seeds_random").all()
    kind: Kind = "supported" if random else "these_models"
    if not random:
        text += f" {THESE_ALONE}"
    return [Finding(kind if beating_chance(rows) else "not_supported", text)]


def _operating_points(data: ReportData) -> list[Finding]:
    settings = data.settings
    rows = at_thresholds(select(data.metrics, metric=("sensitivity", "specificity")))
    rows = rows[
        (rows["criterion"] == f"specificity_{settings.specificity:g}")
        & (rows["threshold_from"] == "own_validation")
    ]
    foreign = [_foreign(row, settings) and not _leaky(row, settings) for _, row in rows.iterrows()]
    at_point = rows[np.array(foreign, dtype=bool)]
    ranges = {}
    for metric in ("sensitivity", "specificity"):
        part = _one_row_per_cell(at_point[at_point["metric"] == metric])["value"].dropna()
        if part.empty:
            return []
        low, high = f"{part.min():.2f}", f"{part.max():.2f}"
        ranges[metric] = f"is {low}" if low == high else f"ranges from {low} to {high}"
    home, away = words(settings)
    text = (
        f"With the threshold that gives {100 * settings.specificity:g}% specificity on validation "
        f"patients of the {home}, specificity at the {away}s {ranges['specificity']} and "
        f"sensitivity {ranges['sensitivity']} over the arms."
    )
    return [Finding("caution", text)]


def _calibration(data: ReportData) -> list[Finding]:
    rows = select(data.metrics, metric=("ece", "ece_null"), subset=JUDGED_SUBSETS)
    home, _ = words(data.settings)
    texts, found = [], 0
    sound = [not _leaky(row, data.settings) for _, row in rows.iterrows()]
    rows = rows[rows["labelled_patients"].isna() & np.array(sound, dtype=bool)]
    for recalibration, fitted_on, when in (
        ("none", "", "without recalibration"),
        ("temperature", "own_validation", f"after temperature scaling fitted on the {home}"),
    ):
        part = rows[(rows["recalibration"] == recalibration) & (rows["fitted_on"] == fitted_on)]
        ece = _one_row_per_cell(part[part["metric"] == "ece"])
        null = _one_row_per_cell(part[part["metric"] == "ece_null"])
        both = ece.merge(null, on=["domain", "subset", "arm"], suffixes=("", "_null"))
        both = both.dropna(subset=["value", "ci_high_null"])
        if len(both):
            above = int((both["value"] > both["ci_high_null"]).sum())
            texts.append(f"in {above} of {len(both)} cells {when}")
            found += above
    if not found:
        return []
    text = (
        "The expected calibration error lies above the 95% band of a calibrated model with the "
        f"same predictions {joined(texts)}; a cell is one arm on one domain."
    )
    return [Finding("caution", text)]


def _undefined(data: ReportData) -> list[Finding]:
    said = said_undefined(data)
    if not said:
        return []
    return [Finding("caution", f"{said}; a table says why.", "not_computed")]


def _foreign(row: pd.Series, settings: ReportSettings) -> bool:
    return settings.arm(row["arm"]).own_domain != row["domain"]


def _leaky(row: pd.Series, settings: ReportSettings) -> bool:
    """Return whether a row is of a domain with a declared leak, or of an arm from one."""
    own = settings.arm(row["arm"]).own_domain
    leaky = {domain.name for domain in settings.domains if domain.leak is not None}
    return bool({own, row["domain"]} & leaky)


def _one_row_per_cell(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["domain", "subset", "arm"]
    parts = [summarised(part).iloc[:1] for _, part in rows.groupby(keys, sort=False)]
    return pd.concat([rows.iloc[:0], *parts])


def _interval(row: pd.Series) -> str:
    return format_estimate(row["value"], row["ci_low"], row["ci_high"])
