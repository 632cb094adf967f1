"""The answer in sentences: what the intervals and tests support, and what they do not.

Every sentence is made from rows of the tables. Support means that a 95 % interval leaves out zero
or that an adjusted p value is below 5 %; the absence of support is never called equality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.cases import JUDGED_SUBSETS
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
    at_thresholds,
    cohort_name,
    headline,
    in_study_order,
    of_arm,
    select,
    summarised,
)
from mammoshift.report.vocabulary import SUPPORT_LEVEL, spoken

Kind = Literal["supported", "not_supported", "caution"]


@dataclass(frozen=True)
class Finding:
    """One sentence or two, and whether they say what is supported."""

    kind: Kind
    text: str


def findings(data: ReportData) -> tuple[Finding, ...]:
    """Return the findings of a study in the order in which they are read."""
    found = [
        *_synthetic(data.settings),
        *_one_seed(data.settings),
        *_leaks(data.settings),
        *_own_accuracy(data),
        *_drops(data),
        *_comparisons(data),
        *_naive_stouffer(data),
        *_operating_points(data),
        *_calibration(data),
        *_undefined(data),
    ]
    return tuple(Finding(finding.kind, typographic(finding.text)) for finding in found)


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


def _leaks(settings: ReportSettings) -> list[Finding]:
    """Say which domains share patients between training and testing by declaration."""
    words = {"by_row": "rows", "by_patch": "patches"}
    names = [f"{d.name} (by {words[d.leak]})" for d in settings.domains if d.leak is not None]
    if not names:
        return []
    text = (
        f"Patients are in training and in test cases of {joined(names)}, as its declared split "
        "wants. These numbers reproduce a published habit; they have no headline test and "
        "support nothing."
    )
    return [Finding("caution", text)]


def _one_seed(settings: ReportSettings) -> list[Finding]:
    if len(settings.seeds) > 1:
        return []
    text = (
        "Every arm was trained with one seed. The results are about these checkpoints; whether an "
        "arm is better in another training is not tested."
    )
    return [Finding("caution", text)]


def _own_accuracy(data: ReportData) -> list[Finding]:
    """Say how accurate each arm is on held-out patients of the domain it was trained on."""
    settings = data.settings
    aucs = select(data.metrics, metric="auc")
    parts = []
    for domain in settings.domains:
        arms = [arm.name for arm in settings.arms if arm.own_domain == domain.name]
        if domain.leak is None:
            own = [of_arm(aucs, domain.name, domain.subsets[0], arm) for arm in arms]
            parts += [summarised(rows).iloc[:1] for rows in own]
    rows = pd.concat([aucs.iloc[:0], *parts]).dropna(subset=["value"])
    if rows.empty:
        return []
    one = settings.source is not None
    cells = [
        f"{row['arm']} {_interval(row)}{'' if one else ' on ' + row['domain']}"
        for _, row in rows.iterrows()
    ]
    where = f"the source {settings.source}" if one else "each arm's own domain"
    text = f"On held-out patients of {where}, the AUC (95% CI) is {joined(cells)}."
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
    settings = data.settings
    rows = select(data.metrics, metric="transfer_drop")
    leaky = [_leaky(row, settings) for _, row in rows.iterrows()]
    rows = rows[~np.array(leaky, dtype=bool)]
    keys = ["domain", "subset", "arm"]
    parts = [summarised(part) for _, part in rows.groupby(keys, sort=False)]
    rows = in_study_order(pd.concat([rows.iloc[:0], *parts]), settings)
    known = rows.dropna(subset=["value", "ci_low", "ci_high"])
    lost, gained = known[known["ci_low"] > 0], known[known["ci_high"] < 0]
    unclear = known[(known["ci_low"] <= 0) & (known["ci_high"] >= 0)]
    home, away = _words(settings)
    pairs = f"{counted(len(known), 'pair')} of arm and {away}"
    found = []
    if len(lost):
        ordered = lost.sort_values("value", kind="stable")
        smallest, largest = ordered.iloc[0], ordered.iloc[-1]
        text = (
            f"In {len(lost)} of {pairs} the AUC at the {away} is lower than at the {home}, with "
            f"an interval of the drop above zero. The largest drop is {_drop(largest)}"
        )
        text += f", the smallest of these {_drop(smallest)}." if len(lost) > 1 else "."
        text += " These intervals are not adjusted for their number."
        found.append(Finding("supported", text))
    if len(gained):
        names = joined([_drop(row) for _, row in gained.iterrows()])
        text = (
            f"A higher AUC at the {away} than at the {home} is supported for {names}. These "
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
    rows = headline(data.comparisons)
    found = []
    for family, tests in rows.groupby("family", sort=False):
        known = tests.dropna(subset=["p_adjusted", "estimate"])
        if known.empty:
            continue
        clear = known[known["p_adjusted"] < SUPPORT_LEVEL]
        size = known["family_size"].iloc[0]
        family_text = f"In the family {spoken(str(family))} (m = {size})"
        for _, row in clear.iterrows():
            side = "higher" if row["estimate"] > 0 else "lower"
            interval = format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)
            found.append(
                Finding(
                    "supported",
                    f"{family_text}, the AUC of {row['arm']} on {_where(row)} is {side} "
                    f"than that of {row['reference']}: difference {interval}, adjusted "
                    f"{p_phrase(row['p_adjusted'])}.",
                )
            )
        open_tests = known[known["p_adjusted"] >= SUPPORT_LEVEL]
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
    keys = ["family", "domain", "subset", "arm", "reference"]
    naive = rows[rows["method"] == "stouffer_naive"]
    both = headline(rows).merge(naive, on=keys, suffixes=("", "_naive"))
    claimed = both["p_adjusted_naive"] < SUPPORT_LEVEL
    more = both[claimed & ~(both["p_adjusted"] < SUPPORT_LEVEL)]
    if more.empty:
        return []
    text = (
        f"The naive Stouffer combination of seeds, as published, would call {len(more)} further "
        f"{'difference' if len(more) == 1 else 'differences'} significant. The seeds share their "
        "test images, so that test rejects too often; those results are not supported."
    )
    return [Finding("caution", text)]


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
    home, away = _words(settings)
    text = (
        f"With the threshold that gives {100 * settings.specificity:g}% specificity on validation "
        f"patients of the {home}, specificity at the {away}s {ranges['specificity']} and "
        f"sensitivity {ranges['sensitivity']} over the arms."
    )
    return [Finding("caution", text)]


def _calibration(data: ReportData) -> list[Finding]:
    rows = select(data.metrics, metric=("ece", "ece_null"), subset=JUDGED_SUBSETS)
    home, _ = _words(data.settings)
    texts = []
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
    if not texts:
        return []
    text = (
        "The expected calibration error lies above the 95% band of a calibrated model with the "
        f"same predictions {joined(texts)}; a cell is one arm on one domain."
    )
    return [Finding("caution", text)]


def _undefined(data: ReportData) -> list[Finding]:
    rows = select(data.metrics, subset=JUDGED_SUBSETS)
    undefined = rows[rows["value"].isna()]
    tests = data.comparisons[data.comparisons["p"].isna()]
    total = len(undefined) + len(tests)
    if total == 0:
        return []
    text = f"{counted(total, 'number')} could not be computed; reporting.json says why."
    return [Finding("caution", text)]


def _words(settings: ReportSettings) -> tuple[str, str]:
    """Return how the domain that arms were trained on, and any other, are called."""
    return ("source", "target") if settings.source else ("arm's own domain", "other domain")


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


def _drop(row: pd.Series) -> str:
    interval = format_estimate(row["value"], row["ci_low"], row["ci_high"], signed=True)
    return f"{interval} for {row['arm']} on {cohort_name(row['domain'], row['subset'])}"


def _where(row: pd.Series) -> str:
    if row["domain"] == "all_targets":
        return "all targets together"
    return cohort_name(row["domain"], row["subset"])
