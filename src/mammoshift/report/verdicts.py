"""Whether the study's reference arm survives at each target: the answer in one sentence each.

A verdict needs three things: that the arm beats chance on held-out patients where it was trained,
for otherwise there is nothing to lose; a drop with an interval; and a margin that was declared
before. What is missing is named instead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.finding import Finding
from mammoshift.report.formatting import format_estimate, format_number, is_null, joined, p_phrase
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import (
    cohort_name,
    drops,
    first_of_each,
    of_arm,
    select,
    summarised,
    verdict_limits,
)
from mammoshift.report.vocabulary import ABOUT_ARCHITECTURES
from mammoshift.statistics.margins import CHANCE, NOT_JUDGEABLE, not_above_chance, not_judged

Outcome = Literal["non-inferior", "inferior", "undecided", "not judgeable", "no margin declared"]
NO_ARM_BEATS_CHANCE = "No arm beats chance on held-out patients of the domain it was trained on"
OF_MODELS = "auc_of_models"
THESE_MODELS = "these models alone"
NO_INTERVAL = f"no interval of {THESE_MODELS} lies above 0.5"
"""Their limits are left to the tables: the summary figure beside it has those for other seeds."""
ALONE = "This is about these models alone: the arm has one run."


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one arm at one target.

    Attributes
    ----------
    arm, domain, subset, own_domain
        Where the arm was trained, and where it is judged.
    outcome
        Non-inferior: a loss of the margin or more is excluded. Inferior: a loss of the margin or
        less is. Undecided: neither. Not judgeable: `reason` says why.
    loss, ci_low, ci_high
        Of the AUC, source minus target; None where undefined.
    margin
        The largest acceptable loss; None where none was declared.
    verdict_low, verdict_high
        Limits of the loss that the outcome is read from, corrected for all drops of the study;
        None without a margin.
    p_noninferior, p_inferior
        One-sided, adjusted within all drops of the study; None without a margin.
    about_architecture
        False where the arm has one run, so that the verdict is about these models alone.
    reason
        Why there is no verdict; empty otherwise.
    sentence
        The same in words.
    """

    arm: str
    domain: str
    subset: str
    own_domain: str
    outcome: Outcome
    loss: float | None
    ci_low: float | None
    ci_high: float | None
    margin: float | None
    verdict_low: float | None
    verdict_high: float | None
    p_noninferior: float | None
    p_inferior: float | None
    about_architecture: bool
    reason: str
    sentence: str

    def as_facts(self) -> dict[str, Any]:
        """Return the verdict as plain values."""
        return asdict(self)


def reference_arm(settings: ReportSettings) -> str:
    """Return the arm that the study's first family refers to, else its first arm."""
    pairs = (pair for family in settings.families for pair in family.on_one_domain)
    return next((pair.reference for pair in pairs), settings.arm_names[0])


def verdicts(data: ReportData, arm: str | None = None) -> tuple[Verdict, ...]:
    """Return the verdict on an arm, the reference by default, at each target, as the study lists.

    Targets are the domains that are judged and that the arm was not trained on.
    """
    settings = data.settings
    name = arm or reference_arm(settings)
    rows = first_of_each(drops(data.comparisons))
    own_domain = settings.arm(name).own_domain
    found = []
    for domain, subset in settings.cohorts:
        here = of_arm(rows, domain, subset, name)
        if domain != own_domain and len(here):
            found.append(_verdict(data, here.iloc[0], own_domain))
    return tuple(found)


def verdict_findings(data: ReportData) -> list[Finding]:
    """Return what the answer leads with: the verdicts, or that no arm can be judged.

    That a study does not ask for transfer is no answer: it stands among what is to be known.
    """
    found = verdicts(data)
    own = judged_at_home(data)
    if len(own) and not beating_chance(own):
        of_models = bool((own["metric"] == OF_MODELS).all())
        cells = [f"{row['arm']} {_auc(row)}" for _, row in own.iterrows()]
        cannot = (
            "transfer cannot be judged"
            if found
            else "that one is better than another does not make it of use"
        )
        text = f"{NO_ARM_BEATS_CHANCE}; {cannot}. "
        if of_models:
            text += f"The AUC is {joined(cells)}; {NO_INTERVAL}."
        else:
            text += f"The AUC (95% CI) is {joined(cells)}."
        return [Finding("verdict", text)]
    said = [Finding("verdict", text) for text in _said(found)]
    return said or [Finding("caution", text) for text in _no_transfer(data)]


def _said(found: tuple[Verdict, ...]) -> list[str]:
    """Return the sentences of some verdicts; targets with one reason for none share a sentence."""
    targets: dict[str, list[Verdict]] = {}
    for verdict in found:
        targets.setdefault(verdict.reason or verdict.sentence, []).append(verdict)
    return [
        _not_judged([cohort_name(one.domain, one.subset) for one in same], same[0].arm, reason)
        if same[0].reason
        else same[0].sentence
        for reason, same in targets.items()
    ]


def _no_transfer(data: ReportData) -> list[str]:
    """Return that the reference arm is applied to no other domain, where that is so."""
    arm = data.settings.arm(reference_arm(data.settings))
    judged = {domain for domain, _ in data.settings.cohorts} & set(arm.judged_on)
    if judged - {arm.own_domain}:
        return []
    return [
        f"Transfer is not asked here: {arm.name}, the reference, is judged on its own domain, "
        f"{arm.own_domain}, alone. The study compares arms."
    ]


def own_aucs(data: ReportData, metric: str = "auc") -> pd.DataFrame:
    """Return the AUC of each arm on held-out patients of its own domain, one row for each.

    Domains with a declared leak are left out, and arms without a value.
    """
    settings = data.settings
    aucs = select(data.metrics, metric=metric)
    parts = []
    for domain in settings.domains:
        if domain.leak is None:
            arms = [arm.name for arm in settings.arms if arm.own_domain == domain.name]
            own = [of_arm(aucs, domain.name, domain.subsets[0], arm) for arm in arms]
            parts += [summarised(rows).iloc[:1] for rows in own]
    return pd.concat([aucs.iloc[:0], *parts]).dropna(subset=["value"])


def judged_at_home(data: ReportData) -> pd.DataFrame:
    """Return what says whether an arm beats chance at home: the AUC of these models.

    With few seeds an interval for the architecture may hold nearly everything, though none of
    its models is near chance.
    """
    models = own_aucs(data, OF_MODELS)
    return models if len(models) else own_aucs(data)


def beating_chance(own: pd.DataFrame) -> set[str]:
    """Return the arms whose whole interval lies above 0.5."""
    return set(own.loc[own["ci_low"] > CHANCE, "arm"])


def _verdict(data: ReportData, row: pd.Series, own_domain: str) -> Verdict:
    settings = data.settings
    reason = _why_not_judgeable(data, row, own_domain)
    outcome: Outcome = NOT_JUDGEABLE
    if not reason:
        outcome = row["verdict"] if row["verdict"] != "" else "no margin declared"
    architecture = row["method"] in ABOUT_ARCHITECTURES
    numbers = {
        name: None if is_null(row[column]) else float(row[column])
        for name, column in (
            ("loss", "estimate"),
            ("ci_low", "ci_low"),
            ("ci_high", "ci_high"),
            ("margin", "margin"),
            ("verdict_low", "verdict_low"),
            ("verdict_high", "verdict_high"),
            ("p_noninferior", "p_noninferior_adjusted"),
            ("p_inferior", "p_inferior_adjusted"),
        )
    }
    sentence = _sentence(row, outcome, reason, own_domain)
    if not architecture and outcome != NOT_JUDGEABLE:
        sentence += f" {ALONE}"
    return Verdict(
        arm=row["arm"],
        domain=row["domain"],
        subset=row["subset"],
        own_domain=settings.arm(row["arm"]).own_domain,
        outcome=outcome,
        about_architecture=architecture,
        reason=reason,
        sentence=sentence,
        **numbers,
    )


def _why_not_judgeable(data: ReportData, row: pd.Series, own_domain: str) -> str:
    leaks = {domain.name for domain in data.settings.domains if domain.leak is not None}
    leaky = sorted({own_domain, row["domain"]} & leaks)
    if leaky:
        return f"{joined(leaky)} has patients in training and in test cases, as declared"
    if is_null(row["estimate"]) or is_null(row["se"]) or is_null(row["ci_low"]):
        return row["note"] or "the drop has no interval"
    own = judged_at_home(data)
    own = own[own["arm"] == row["arm"]]
    if not beating_chance(own):
        auc = _auc(own.iloc[0]) if len(own) else "which is undefined"
        why = f"; {NO_INTERVAL}" if (own["metric"] == OF_MODELS).any() else ""
        return not_above_chance(f"held-out patients of {own_domain}", auc) + why
    return ""


def _sentence(row: pd.Series, outcome: Outcome, reason: str, own_domain: str) -> str:
    arm, target = row["arm"], cohort_name(row["domain"], row["subset"])
    if outcome == NOT_JUDGEABLE:
        return _not_judged([target], arm, reason)
    interval = format_estimate(row["estimate"], row["ci_low"], row["ci_high"], signed=True)
    loses = f"AUC on {own_domain} minus AUC here {interval}"
    if outcome == "no margin declared":
        return (
            f"{target}: {arm}: {loses}. No margin was declared, so that whether accuracy survives "
            "was not defined."
        )
    margin = format_number(row["margin"])
    limits = verdict_limits(row)
    loses += f"; corrected for all drops of the study {limits}" if limits else ""
    if outcome == "non-inferior":
        said = f"is non-inferior: a loss of {margin} or more is excluded"
        p = p_phrase(row["p_noninferior_adjusted"])
    elif outcome == "inferior":
        said = f"is inferior: it loses more than the margin of {margin}"
        p = p_phrase(row["p_inferior_adjusted"])
    else:
        return f"{target}: {arm} is undecided: {_undecided(row, margin)} ({loses})."
    return f"{target}: {arm} {said} ({loses}; one-sided adjusted {p})."


def _undecided(row: pd.Series, margin: str) -> str:
    """Say why nothing is decided: the interval, or the correction for the number of drops."""
    beyond = row["ci_low"] > row["margin"] or row["ci_high"] < row["margin"]
    if not beyond:
        return f"losses below and above the margin of {margin} are both possible"
    side = "above" if row["ci_low"] > row["margin"] else "below"
    name = "inferior" if side == "above" else "noninferior"
    p = p_phrase(row[f"p_{name}_adjusted"])
    return (
        f"the interval of this loss alone lies {side} the margin of {margin}, but not after "
        f"correction for all drops of the study (one-sided adjusted {p})"
    )


def _not_judged(targets: list[str], arm: str, reason: str) -> str:
    return f"{not_judged(joined(targets), arm, reason)}."


def _auc(row: pd.Series) -> str:
    """Return an AUC, with its interval where that is the one that the summary figure has."""
    if row["metric"] == OF_MODELS:
        return format_number(row["value"])
    return format_estimate(row["value"], row["ci_low"], row["ci_high"])
