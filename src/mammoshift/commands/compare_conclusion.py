"""The conclusions that `mammoshift compare` draws, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from mammoshift.commands.compare_metrics import METRICS
from mammoshift.commands.compare_report import ALL_DATASETS, Report
from mammoshift.commands.options import Row
from mammoshift.commands.text_tables import p_value
from mammoshift.statistics.curve_values import RANDOM
from mammoshift.statistics.margins import NOT_DEFINED, NOT_JUDGEABLE, not_judged
from mammoshift.statistics.multireader import NESTED

NAMED = 4
"""Differences that the conclusion names; the rest is counted."""
HANGS_ON_PREVALENCE = ("auprc", "brier", "nll")
DIFFERENT_PREVALENCE = 0.05


def conclusion(report: Report) -> list[str]:
    """Return the conclusions as sentences without their full stop."""
    sentences = [*_some(report.settings["backwards"]), *_on_missing_classes(report)]
    if report.headline:
        sentences.append(_on_differences(report))
        if report.settings["margin"] is not None:
            sentences.append(_on_margin(report))
    if report.drops:
        sentences += [_on_drops(report), *_on_not_judgeable(report)]
    if report.settings["source"] is not None and report.settings["margin"] is None:
        sentences.append(_capital(NOT_DEFINED))
    return sentences


def _on_missing_classes(report: Report) -> list[str]:
    """Return which datasets lack positive or negative cases, and what is undefined there."""
    lacking: dict[str, list[str]] = {}
    for row in report.arms:
        if row["value"] is None and 0 in (row["n_pos"], row["n_neg"]):
            cases = row["n_pos"] + row["n_neg"]
            missing = "negative" if row["n_pos"] else "positive"
            where = f"{row['dataset']} has" if row["dataset"] else "There is"
            lacking.setdefault(f"{where} no {missing} case among {cases}", []).append(row["arm"])
    title = report.settings["title"]
    said = [
        f"{what}: {title} is undefined there for {_listed(arms)}" for what, arms in lacking.items()
    ]
    more = [f"{len(said) - NAMED} more datasets lack a class"] if len(said) > NAMED else []
    return said[:NAMED] + more


def _some(sentences: Sequence[str]) -> list[str]:
    """Return a few sentences and how many more there are."""
    more = [f"{len(sentences) - NAMED} more like these"] if len(sentences) > NAMED else []
    return [*sentences[:NAMED], *more]


def _on_not_judgeable(report: Report) -> list[str]:
    """Return why the losses of some arms are not judged: they do not beat chance at the source."""
    reasons = {row["arm_a"]: row["reason"] for row in report.drops if row["reason"]}
    return _some([_capital(not_judged("", arm, reason)) for arm, reason in reasons.items()])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _on_differences(report: Report) -> str:
    alpha = 1.0 - report.settings["level"]
    known = [row for row in report.headline if row["p_adjusted"] is not None]
    found = sorted(
        (row for row in known if row["p_adjusted"] < alpha), key=lambda row: row["p_adjusted"]
    )
    scopes = {_scope(row) for row in found or report.headline}
    mixed = len(scopes) > 1
    scope = "some with seeds as random" if mixed else "".join(scopes)
    if len({row["dataset"] for row in known}) > 1:
        scope += ", p adjusted among the tests of its dataset alone"
    plural = "s" if len(report.headline) != 1 else ""
    total = f"{len(report.headline)} difference{plural} of {report.settings['title']}"
    if not found:
        least = min((row["p_adjusted"] for row in known), default=None)
        smallest = "none could be tested" if least is None else f"smallest adjusted p {_p(least)}"
        return f"No difference between arms is supported, {scope}: {total}, {smallest}"
    named = []
    for row in found[:NAMED]:
        up = row["estimate"] > 0
        better, worse = (row["arm_a"], row["arm_b"])[:: 1 if up else -1]
        named.append(
            f"{better} above {worse} by {abs(row['estimate']):.3f}{_where(row)} "
            f"(adjusted p {_p(row['p_adjusted'])}{', ' + _scope(row) if mixed else ''})"
        )
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    lower = METRICS[report.settings["metric"]].lower_is_better
    worse = "; a larger value is worse" if lower else ""
    return f"{len(found)} of {total} supported, {scope}: {'; '.join(named)}{more}{worse}"


def _scope(row: Row) -> str:
    """Return what a test speaks of."""
    random = row["method"] in (NESTED, RANDOM)
    return "with seeds as random" if random else "of these models alone"


def _on_margin(report: Report) -> str:
    """Return which arms may replace which, by the margin."""
    named = [
        f"{row['arm_a']} is {row['verdict']} to {row['arm_b']}{_where(row)}"
        if row["verdict"] in ("non-inferior", "inferior")
        else f"{row['arm_a']} against {row['arm_b']}{_where(row)} is {row['verdict']}"
        for row in report.headline
    ]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    margin = report.settings["margin"]
    return f"By a margin of {margin:g}: {'; '.join(named[:NAMED])}{more}"


def _where(row: Row) -> str:
    if row["dataset"] == ALL_DATASETS:
        return " over all datasets together"
    return f" on {row['dataset']}" if row["dataset"] else ""


def _on_drops(report: Report) -> str:
    source, margin = report.settings["source"], report.settings["margin"]
    if margin is not None:
        counts = {
            verdict: sum(row["verdict"] == verdict for row in report.drops)
            for verdict in ("non-inferior", "inferior", "undecided", "undefined", NOT_JUDGEABLE)
        }
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return f"Losses from {source} against a margin of {margin:g}: {said}"
    alpha = 1.0 - report.settings["level"]
    lost = [
        row
        for row in report.drops
        if row["p_adjusted"] is not None and row["p_adjusted"] < alpha and row["estimate"] > 0
    ]
    if not lost:
        title = report.settings["title"]
        return f"No loss of {title} from {source} is supported among {len(report.drops)}"
    worst = max(lost, key=lambda row: row["estimate"])
    return (
        f"{len(lost)} of {len(report.drops)} losses of {report.settings['title']} from {source} "
        "are supported; the "
        f"largest is that of {worst['arm_a']} to {worst['dataset']}, {worst['estimate']:.3f}"
        f"{_on_prevalence(report)}"
    )


def _on_prevalence(report: Report) -> str:
    """Return a warning where a measure differs between datasets with the share of positives."""
    if report.settings["metric"] not in HANGS_ON_PREVALENCE:
        return ""
    shares = {row["dataset"]: row["n_pos"] / (row["n_pos"] + row["n_neg"]) for row in report.arms}
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    if shares[most] - shares[least] < DIFFERENT_PREVALENCE:
        return ""
    return (
        f"; {report.settings['title']} hangs on the share of positives, {shares[least]:.2f} on "
        f"{least} and {shares[most]:.2f} on {most}, so that this is no loss of the model alone"
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _p(p: float) -> str:
    return p_value(p) or "-"
