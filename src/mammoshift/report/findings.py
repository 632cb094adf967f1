"""The answer in sentences: what the intervals and tests support, and what they do not.

Every sentence is made from rows of the tables. Support means that a 95 % interval leaves out zero
or that an adjusted p value is below the study's level; the absence of support is never called
equality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from mammoshift.report.facts import StudyFacts
from mammoshift.report.formatting import (
    counted,
    format_estimate,
    format_number,
    joined,
    p_phrase,
    typographic,
)
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import (
    cohort_name,
    evaluated_cohorts,
    headline,
    in_study_order,
    of_arm,
    select,
    summarised,
)
from mammoshift.report.vocabulary import operating_point, spoken

Kind = Literal["supported", "not_supported", "caution"]


@dataclass(frozen=True)
class Finding:
    """One sentence or two, and whether they say what is supported."""

    kind: Kind
    text: str


def findings(data: ReportData) -> tuple[Finding, ...]:
    """Return the findings of a study in the order in which they are read."""
    found = [
        *_synthetic(data.facts),
        *_one_seed(data.facts),
        *_source_accuracy(data),
        *_drops(data),
        *_comparisons(data),
        *_naive_stouffer(data),
        *_operating_points(data),
        *_calibration(data),
        *_undefined(data),
    ]
    return tuple(Finding(finding.kind, typographic(finding.text)) for finding in found)


def _synthetic(facts: StudyFacts) -> list[Finding]:
    names = facts.synthetic_datasets
    if not names:
        return []
    which = "All datasets" if len(names) == len(facts.dataset_names) else joined(names)
    text = (
        f"{which} of this study are synthetic twins: images made by a model of anatomy and "
        "scanners. The numbers show what the workflow reports; they say nothing about patients."
    )
    return [Finding("caution", text)]


def _one_seed(facts: StudyFacts) -> list[Finding]:
    if len(facts.seeds) > 1:
        return []
    text = (
        "Every arm was trained with one seed. The results are about these checkpoints; whether an "
        "arm is better in another training is not tested."
    )
    return [Finding("caution", text)]


def _source_accuracy(data: ReportData) -> list[Finding]:
    facts = data.facts
    rows = select(data.metrics, metric="auc", variant="", dataset=facts.source, subset="test")
    rows = _one_row_per_arm(rows, facts)
    if rows.empty:
        return []
    cells = [f"{row['arm']} {_interval(row)}" for _, row in rows.iterrows()]
    text = (
        f"On held-out patients of the source {facts.source}, the AUC (95% CI) is {joined(cells)}."
    )
    above = rows["ci_low"] > 0.5
    for holds, words in (
        ((rows["ci_low"] <= 0.5) & (rows["ci_high"] >= 0.5), "does not exclude chance (0.5)"),
        (rows["ci_high"] < 0.5, "lies below chance (0.5)"),
        (rows["ci_low"].isna() | rows["ci_high"].isna(), "is undefined"),
    ):
        if holds.any():
            text += f" The interval of {joined(rows.loc[holds, 'arm'].tolist())} {words}."
    return [Finding("supported" if above.any() else "not_supported", text)]


def _drops(data: ReportData) -> list[Finding]:
    facts = data.facts
    rows = select(data.metrics, metric="transfer_drop", dataset=facts.targets)
    parts = [summarised(part) for _, part in rows.groupby(["dataset", "arm"], sort=False)]
    rows = in_study_order(pd.concat([rows.iloc[:0], *parts]), facts)
    known = rows.dropna(subset=["value", "ci_low", "ci_high"])
    lost, gained = known[known["ci_low"] > 0], known[known["ci_high"] < 0]
    unclear = known[(known["ci_low"] <= 0) & (known["ci_high"] >= 0)]
    pairs = f"{len(known)} {'pair' if len(known) == 1 else 'pairs'} of arm and target"
    found = []
    if len(lost):
        ordered = lost.sort_values("value", kind="stable")
        smallest, largest = ordered.iloc[0], ordered.iloc[-1]
        text = (
            f"In {len(lost)} of {pairs} the AUC at the target is lower than at the source, with an "
            f"interval of the drop above zero. The largest drop is {_drop(largest)}"
        )
        text += f", the smallest of these {_drop(smallest)}." if len(lost) > 1 else "."
        text += " These intervals are not adjusted for their number."
        found.append(Finding("supported", text))
    if len(gained):
        names = joined([_drop(row) for _, row in gained.iterrows()])
        text = (
            f"A higher AUC at the target than at the source is supported for {names}. These "
            "intervals are not adjusted for their number."
        )
        found.append(Finding("supported", text))
    if len(unclear):
        names = joined([_drop(row) for _, row in unclear.iterrows()])
        text = (
            f"In {len(unclear)} of {pairs} the interval of the drop includes zero: {names}. A loss "
            "is neither shown nor excluded there."
        )
        found.append(Finding("not_supported", text))
    return found


def _comparisons(data: ReportData) -> list[Finding]:
    facts = data.facts
    rows = headline(data.comparisons)
    found = []
    for family, tests in rows.groupby("family", sort=False):
        known = tests.dropna(subset=["p_adjusted", "estimate"])
        if known.empty:
            continue
        clear = known[known["p_adjusted"] < facts.alpha]
        size = known["family_size"].iloc[0]
        family_text = f"In the family {spoken(str(family))} (m = {size})"
        for _, row in clear.iterrows():
            side = "higher" if row["estimate"] > 0 else "lower"
            interval = format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)
            found.append(
                Finding(
                    "supported",
                    f"{family_text}, the AUC of {row['arm']} on {_where(row, facts)} is {side} "
                    f"than that of {row['reference']}: difference {interval}, adjusted "
                    f"{p_phrase(row['p_adjusted'])}.",
                )
            )
        open_tests = known[known["p_adjusted"] >= facts.alpha]
        if len(open_tests):
            found.append(Finding("not_supported", _open_text(family_text, open_tests, known)))
    return found


def _open_text(family_text: str, open_tests: pd.DataFrame, known: pd.DataFrame) -> str:
    differences = counted(len(known), "difference")
    text = (
        f"{family_text}, {len(open_tests)} of {differences} between arms "
        f"{'is' if len(open_tests) == 1 else 'are'} not supported by the headline test."
    )
    detectable = open_tests["detectable_difference"].dropna()
    if len(detectable):
        low, high = format_number(detectable.min()), format_number(detectable.max())
        sizes = low if low == high else f"{low} to {high}"
        text += (
            f" That is no evidence of equality: with these cases a difference of {sizes} would be "
            "found with 80% power."
        )
    else:
        text += " That is no evidence of equality."
    return text


def _naive_stouffer(data: ReportData) -> list[Finding]:
    """Say where combining seeds as if they were independent would have claimed more."""
    rows = data.comparisons
    keys = ["family", "dataset", "arm", "reference"]
    naive = rows[rows["method"] == "stouffer_naive"]
    both = headline(rows).merge(naive, on=keys, suffixes=("", "_naive"))
    alpha = data.facts.alpha
    more = both[(both["p_adjusted_naive"] < alpha) & ~(both["p_adjusted"] < alpha)]
    if more.empty:
        return []
    text = (
        f"The naive Stouffer combination of seeds, as published, would call {len(more)} further "
        f"{'difference' if len(more) == 1 else 'differences'} significant. The seeds share their "
        "test images, so that test rejects too often; those results are not supported."
    )
    return [Finding("caution", text)]


def _operating_points(data: ReportData) -> list[Finding]:
    facts = data.facts
    rows = select(data.metrics, metric=("sensitivity", "specificity"), dataset=facts.targets)
    percent = f"{100 * facts.specificity:g}"
    names = [
        variant
        for variant in dict.fromkeys(rows["variant"])
        if (point := operating_point(variant)) is not None
        and point.kind == "transferred"
        and point.criterion.startswith(f"{percent}%")
    ]
    if not names:
        return []
    at_point = rows[rows["variant"] == names[0]]
    ranges = {}
    for metric in ("sensitivity", "specificity"):
        part = _one_row_per_cell(at_point[at_point["metric"] == metric])["value"].dropna()
        if part.empty:
            return []
        low, high = f"{part.min():.2f}", f"{part.max():.2f}"
        ranges[metric] = f"is {low}" if low == high else f"ranges from {low} to {high}"
    text = (
        f"With the threshold that gives {percent}% specificity on source validation, specificity "
        f"at the targets {ranges['specificity']} and sensitivity {ranges['sensitivity']} over the "
        "arms."
    )
    return [Finding("caution", text)]


def _calibration(data: ReportData) -> list[Finding]:
    rows = select(data.metrics, metric=("ece", "ece_null"), subset=("test", "target"))
    texts = []
    for variant, when in (
        ("uncalibrated", "without recalibration"),
        ("temperature_source", "after temperature scaling fitted on the source"),
    ):
        part = rows[rows["variant"] == variant]
        ece = _one_row_per_cell(part[part["metric"] == "ece"])
        null = _one_row_per_cell(part[part["metric"] == "ece_null"])
        both = ece.merge(null, on=["dataset", "subset", "arm"], suffixes=("", "_null"))
        both = both.dropna(subset=["value", "ci_high_null"])
        if len(both):
            above = int((both["value"] > both["ci_high_null"]).sum())
            texts.append(f"in {above} of {len(both)} cells {when}")
    if not texts:
        return []
    text = (
        "The expected calibration error lies above the 95% band of a calibrated model with the "
        f"same predictions {joined(texts)}; a cell is one arm on one dataset."
    )
    return [Finding("caution", text)]


def _undefined(data: ReportData) -> list[Finding]:
    rows = select(data.metrics, subset=("test", "target"))
    undefined = rows[rows["value"].isna()]
    tests = data.comparisons[data.comparisons["p"].isna()]
    total = len(undefined) + len(tests)
    if total == 0:
        return []
    text = f"{counted(total, 'number')} could not be computed; reporting.json says why."
    return [Finding("caution", text)]


def _one_row_per_arm(rows: pd.DataFrame, facts: StudyFacts) -> pd.DataFrame:
    dataset, subset = evaluated_cohorts(facts)[0]
    parts = [summarised(of_arm(rows, dataset, subset, arm)).iloc[:1] for arm in facts.arm_names]
    return pd.concat(parts).dropna(subset=["value"])


def _one_row_per_cell(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["dataset", "subset", "arm"]
    parts = [summarised(part).iloc[:1] for _, part in rows.groupby(keys, sort=False)]
    return pd.concat([rows.iloc[:0], *parts])


def _interval(row: pd.Series) -> str:
    return format_estimate(row["value"], row["ci_low"], row["ci_high"])


def _drop(row: pd.Series) -> str:
    interval = format_estimate(row["value"], row["ci_low"], row["ci_high"], signed=True)
    return f"{interval} for {row['arm']} on {row['dataset']}"


def _where(row: pd.Series, facts: StudyFacts) -> str:
    if row["dataset"] == "all_targets":
        return "all targets together"
    return cohort_name(facts, row["dataset"], row["subset"])
