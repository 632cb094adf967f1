"""Sentences on transfer drops and comparisons of arms, each from rows of the comparison table."""

from __future__ import annotations

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.finding import Finding, Kind
from mammoshift.report.formatting import (
    counted,
    format_estimate,
    format_number,
    joined,
    p_phrase,
)
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import (
    cohort_name,
    differences,
    drops,
    headline,
    in_study_order,
    leading,
    means_of_pairs,
    single_pairs,
)
from mammoshift.report.tables.comparisons import NOTHING_FOUND, compared
from mammoshift.report.verdicts import beating_chance, judged_at_home
from mammoshift.report.vocabulary import (
    ABOUT_ARCHITECTURES,
    METRIC_LABELS,
    SUPPORT_LEVEL,
    spoken,
    threshold_words,
)

THESE_ALONE = "This is about these models alone, not about another training."
UNADJUSTED = "These intervals are not adjusted for their number."
_OTHERS = ("sensitivity", "specificity", "brier", "nll", "squared_calibration_error")


def words(settings: ReportSettings) -> tuple[str, str]:
    """Return how the domain that arms were trained on, and any other, are called."""
    return ("source", "target") if settings.source else ("arm's own domain", "other domain")


def drop_findings(data: ReportData) -> list[Finding]:
    """Say where accuracy is lost or gained; only of arms that beat chance at home."""
    settings = data.settings
    rows = in_study_order(leading(drops(data.comparisons)), settings)
    judgeable = beating_chance(judged_at_home(data))
    known = rows.dropna(subset=["estimate", "ci_low", "ci_high"])
    found = []
    hopeless = [arm for arm in dict.fromkeys(known["arm"]) if arm not in judgeable]
    known = known[known["arm"].isin(judgeable)]
    for random in (True, False):
        own = known[known["method"].isin(ABOUT_ARCHITECTURES) == random]
        found += _drops_of(own, settings, "supported" if random else "these_models")
    if hopeless:
        home, _ = words(settings)
        text = (
            f"The transfer of {joined(hopeless)} is not judged: on held-out patients of the {home} "
            "it does not beat chance, so that there is nothing to lose."
        )
        found.append(Finding("not_supported", text))
    return found


def _drops_of(known: pd.DataFrame, settings: ReportSettings, kind: Kind) -> list[Finding]:
    lost, gained = known[known["ci_low"] > 0], known[known["ci_high"] < 0]
    unclear = known[(known["ci_low"] <= 0) & (known["ci_high"] >= 0)]
    home, away = words(settings)
    pairs = f"{counted(len(known), 'pair')} of arm and {away}"
    alone = f" {THESE_ALONE}" if kind == "these_models" else ""
    found = []
    if len(lost):
        ordered = lost.sort_values("estimate", kind="stable")
        smallest, largest = ordered.iloc[0], ordered.iloc[-1]
        text = (
            f"In {len(lost)} of {pairs} the AUC at the {away} is lower than at the {home}, with "
            f"an interval of the drop above zero. The largest drop is {_drop(largest)}"
        )
        text += f", the smallest of these {_drop(smallest)}." if len(lost) > 1 else "."
        together = int((lost["simultaneous_low"] > 0).sum())
        lie = "lies" if together == 1 else "lie"
        text += f" {UNADJUSTED} Of those that hold all at once, {together} {lie} above zero."
        found.append(Finding(kind, text + alone))
    if len(gained):
        names = joined([_drop(row) for _, row in gained.iterrows()])
        text = (
            f"A higher AUC at the {away} than at the {home} is supported for {names}. {UNADJUSTED}"
        )
        found.append(Finding(kind, text + alone))
    if len(unclear):
        names = joined([_drop(row) for _, row in unclear.iterrows()])
        text = (
            f"In {len(unclear)} of {pairs} the interval of the drop includes zero: {names}. A loss "
            "is neither shown nor excluded there."
        )
        found.append(Finding("not_supported", text + alone))
    return found


def comparison_findings(data: ReportData) -> list[Finding]:
    """Say which arms differ in AUC, by the headline test of each family."""
    rows = headline(data.comparisons)
    found = _of_means(means_of_pairs(rows))
    for family, tests in single_pairs(rows).groupby("family", sort=False):
        known = tests.dropna(subset=["p_adjusted", "estimate"])
        for random in (True, False):
            own = known[known["method"].isin(ABOUT_ARCHITECTURES) == random]
            for _, same in own.groupby("method", sort=False):
                found += _of_family(str(family), same, "supported" if random else "these_models")
    return found


def _of_means(rows: pd.DataFrame) -> list[Finding]:
    """Say what a setting changes on average over the pairs that differ in it."""
    found = []
    for _, row in rows.dropna(subset=["p_adjusted", "estimate"]).iterrows():
        random = row["method"] in ABOUT_ARCHITECTURES
        clear = row["p_adjusted"] < SUPPORT_LEVEL
        text = (
            f"In the family {spoken(row['family'])}, the AUC on {where(row)} differs by "
            f"{_interval(row)} on average, {compared(row)}; adjusted "
            f"{p_phrase(row['p_adjusted'])}."
        )
        text += "" if random else f" {THESE_ALONE}"
        kind: Kind = "supported" if random else "these_models"
        found.append(Finding(kind if clear else "not_supported", text))
    return found


def _of_family(family: str, known: pd.DataFrame, kind: Kind) -> list[Finding]:
    found = []
    family_text = f"In the family {spoken(family)} (m = {known['family_size'].iloc[0]})"
    alone = f" {THESE_ALONE}" if kind == "these_models" else ""
    for _, row in known[known["p_adjusted"] < SUPPORT_LEVEL].iterrows():
        side = "higher" if row["estimate"] > 0 else "lower"
        text = (
            f"{family_text}, the AUC of {row['arm']} on {where(row)} is {side} than that of "
            f"{row['reference']}: difference {_interval(row)}, adjusted "
            f"{p_phrase(row['p_adjusted'])}.{alone}"
        )
        found.append(Finding(kind, text))
    open_tests = known[known["p_adjusted"] >= SUPPORT_LEVEL]
    if len(open_tests):
        found.append(Finding("not_supported", _open_text(family_text, open_tests, known) + alone))
    return found


def _open_text(family_text: str, open_tests: pd.DataFrame, known: pd.DataFrame) -> str:
    over = " over all targets together" if (known["domain"] == "all_targets").all() else ""
    text = (
        f"{family_text}, {len(open_tests)} of {counted(len(known), 'difference')} between arms"
        f"{over} {'is' if len(open_tests) == 1 else 'are'} not supported by the headline test."
    )
    sizes = open_tests["detectable_difference"].dropna()
    possible = sizes[sizes < 1.0]
    if sizes.empty:
        return f"{text} That is no evidence of equality."
    if possible.empty:
        return (
            f"{text} That is no evidence of equality: with these cases and seeds {NOTHING_FOUND} "
            "would be found with 80% power."
        )
    low, high = format_number(possible.min()), format_number(possible.max())
    span = low if low == high else f"{low} to {high}"
    some = len(sizes) - len(possible)
    text += (
        f" That is no evidence of equality: with these cases a difference of {span} would be "
        "found with 80% power"
    )
    return f"{text}; in {some} of them {NOTHING_FOUND} would be." if some else f"{text}."


def other_measure_findings(data: ReportData) -> list[Finding]:
    """Say which arms differ at their operating points, in proper scores and in calibration."""
    rows = single_pairs(leading(differences(data.comparisons, _OTHERS)))
    return _grouped(rows, ["family", "metric", "threshold_from"], data.settings)


def subgroup_difference_findings(data: ReportData) -> list[Finding]:
    """Say how many differences inside subgroups are supported."""
    rows = leading(differences(data.comparisons, subgroup="any"))
    return _grouped(rows, ["family", "subgroup"], data.settings)


def _grouped(rows: pd.DataFrame, keys: list[str], settings: ReportSettings) -> list[Finding]:
    """Name the differences that are supported; say of each family where none is."""
    found = []
    nothing: dict[str, list[str]] = {}
    for _, tests in rows.groupby(keys, sort=False):
        known = tests.dropna(subset=["p_adjusted", "estimate"])
        if known.empty:
            continue
        first = known.iloc[0]
        random = first["method"] in ABOUT_ARCHITECTURES
        clear = in_study_order(known[known["p_adjusted"] < SUPPORT_LEVEL], settings)
        if clear.empty:
            none = f"{_measure(first)} ({counted(len(known), 'test')})"
            nothing.setdefault(str(first["family"]), []).append(none)
            continue
        text = (
            f"In the family {spoken(first['family'])} (m = {first['family_size']}), {len(clear)} "
            f"of {counted(len(known), 'difference')} in {_measure(first)} "
            f"{'is' if len(clear) == 1 else 'are'} supported: "
            f"{joined([_arm_difference(row) for _, row in clear.iterrows()])}."
        )
        kind: Kind = "supported" if random else "these_models"
        found.append(Finding(kind, text if random else f"{text} {THESE_ALONE}"))
    for family, measures in nothing.items():
        text = f"In the family {spoken(family)} no difference is supported in {joined(measures)}."
        found.append(Finding("not_supported", text))
    return found


def _measure(row: pd.Series) -> str:
    if row["subgroup"] != "all":
        return f"AUC inside the values of {spoken(row['subgroup'])}"
    label = METRIC_LABELS[row["metric"]]
    name = label if label.isupper() else label.lower()
    name = label if row["metric"] == "brier" else name
    return (
        f"{name} at {threshold_words(row['criterion'], row['threshold_from'])}"
        if row["threshold_from"]
        else name
    )


def _arm_difference(row: pd.Series) -> str:
    inside = "" if row["subgroup"] == "all" else f" ({row['subgroup_value']})"
    return f"{row['arm']} minus {row['reference']} on {where(row)}{inside} {_interval(row)}"


def naive_stouffer_findings(data: ReportData) -> list[Finding]:
    """Say where combining seeds as if they were independent would have claimed more."""
    rows = differences(data.comparisons)
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


def where(row: pd.Series) -> str:
    """Return where a test was made, in words."""
    if row["domain"] == "all_targets":
        return "all targets together"
    return cohort_name(row["domain"], row["subset"])


def _interval(row: pd.Series) -> str:
    return format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)


def _drop(row: pd.Series) -> str:
    return f"{_interval(row)} for {row['arm']} on {where(row)}"
