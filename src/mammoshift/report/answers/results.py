"""What a run can say of its question, its analysis and its results.

An answer is empty where there is nothing to say; the item is then left to people.
"""

from __future__ import annotations

from mammoshift.report.formatting import counted, joined
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import headline, select
from mammoshift.report.verdicts import verdict_findings
from mammoshift.report.vocabulary import CORRECTIONS, METRIC_LABELS, SUPPORT_LEVEL, spoken

_FAIRNESS = ("age", "density", "site", "manufacturer")
_RATES = ("sensitivity", "specificity", "accuracy", "precision")


def objective(data: ReportData) -> str:
    """Say the study's question, what is trained and what is judged."""
    settings = data.settings
    families = joined([spoken(family.family) for family in settings.families])
    asked = settings.question.strip().rstrip(".")
    text = f"{settings.title.strip()} {asked + '.' if asked else ''}".strip()
    return f"{text} Families of tests fixed beforehand: {families or 'none'}."


def goal(data: ReportData) -> str:
    """Say whether loss of accuracy had a margin."""
    if data.settings.margins is None:
        return "Estimates of accuracy and of its loss; no margin was declared."
    return "Non-inferiority: margins of acceptable loss were declared before data were read."


def protocol(_data: ReportData) -> str:
    """Say what fixed the analysis."""
    return (
        "The study file fixes domains, arms, families of tests and margins; configuration.yaml "
        "beside this page is what it resolved to."
    )


def sample_size(data: ReportData) -> str:
    """Say what the size allows to find."""
    if headline(data.comparisons)["detectable_difference"].notna().any():
        return "Every suitable case was used; each comparison states the difference it can detect."
    return "Every suitable case of the archives was used."


def measures(data: ReportData) -> str:
    """Say which measures were computed."""
    present = set(data.metrics["metric"])
    return f"{', '.join(label for key, label in METRIC_LABELS.items() if key in present)}."


def uncertainty(data: ReportData) -> str:
    """Say how intervals and tests were made."""
    corrections = sorted({CORRECTIONS[family.correct] for family in data.settings.families})
    text = (
        "95% intervals clustered by patient, where bootstrapped with "
        f"{data.settings.bootstrap_resamples:,} resamples; level of support {SUPPORT_LEVEL:.0%}"
    )
    return text + (
        f"; p adjusted within families by {joined(corrections)}." if corrections else "."
    )


def heterogeneity(data: ReportData) -> str:
    """Say over what performance is compared."""
    groups = joined([spoken(name) for name in data.settings.subgroups])
    domains = counted(len(data.settings.cohorts), "cohort")
    text = f"Results for each of {domains}"
    if groups:
        text += f", and in subgroups of {groups} with tests of interaction"
    if data.settings.case_mix:
        text += f"; drops at equal mix of {joined([spoken(c) for c in data.settings.case_mix])}"
    return f"{text}."


def fairness(data: ReportData) -> str:
    """Say which groups of people were compared."""
    groups = [name for name in data.settings.subgroups if name in _FAIRNESS]
    return f"Accuracy is compared over {joined([spoken(g) for g in groups])}." if groups else ""


def updating(data: ReportData) -> str:
    """Say which recalibrations were evaluated."""
    found = joined([spoken(name) for name in data.settings.calibration])
    return f"Recalibration: {found}; fitted maps are in the tables." if found else ""


def performance(data: ReportData) -> str:
    """Say the range of the AUC."""
    aucs = select(data.metrics, metric="auc", seed="mean")["value"].dropna()
    if aucs.empty:
        return ""
    text = f"AUC from {aucs.min():.3f} to {aucs.max():.3f} over arms and cohorts, with intervals"
    return text + ("; in subgroups, too." if data.settings.subgroups else ".")


def accuracy(data: ReportData) -> str:
    """Say that rates at thresholds were computed."""
    present = [key for key in _RATES if (data.metrics["metric"] == key).any()]
    return f"{joined([METRIC_LABELS[key] for key in present])} with intervals." if present else ""


def internal(data: ReportData) -> str:
    """Say where models were judged on held-out patients of their own domain."""
    own = sorted({arm.own_domain for arm in data.settings.arms} & set(data.settings.domain_names))
    return f"Held-out patients of {joined(own)}." if own else ""


def external(data: ReportData) -> str:
    """Say where models were judged elsewhere."""
    found = dict.fromkeys(
        domain
        for arm in data.settings.arms
        for domain in arm.judged_on
        if domain != arm.own_domain and domain in data.settings.domain_names
    )
    return f"Domains other than an arm's own: {joined(list(found))}." if found else ""


def failures(data: ReportData) -> str:
    """Say whether misses are shown."""
    return "The most confident misses of each cohort are shown." if data.gallery else ""


def verdict(data: ReportData) -> str:
    """Say the verdicts."""
    return " ".join(finding.text for finding in verdict_findings(data))


def limitations(_data: ReportData) -> str:
    """Say where the software's own limitations stand."""
    return "Those that follow from how the study was made are listed."
