"""What the repeated publication printed, beside what this run computed of the same."""

from __future__ import annotations

import math

import pandas as pd

from mammoshift.configuration.published import PublishedNumber
from mammoshift.report.formatting import format_estimate, format_number, missing
from mammoshift.report.inputs import ReportData, TrainedModel
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import select, summarised
from mammoshift.report.vocabulary import METRIC_LABELS, criterion_words, spoken

NOT_NAMED = "the publication does not say of which arm and domain"
NOT_COMPUTED = "not computed here"
_CASE_COUNTS = ("n", "n_pos", "n_neg")
_LOSS = "loss"
_OF_TRAINING = ("selected_epoch", "training_hours")


def published_table(data: ReportData) -> PublicationTable | None:
    """Return each published number with this run's own, where the study repeats a publication."""
    published = data.settings.published
    if published is None:
        return None
    records = [
        {
            "Page": number.page,
            "Of": number.what,
            "Arm": number.arm or "",
            "Domain": number.domain or "",
            "Measure": _measure(number),
            "Published": _printed(number),
            "This run (95% CI)": _own(number, data),
            "Note": number.note or "",
        }
        for number in published.numbers
    ]
    text = frozenset({"Of", "Arm", "Domain", "Measure", "Note"})
    return PublicationTable("published", pd.DataFrame(records), row_headers=1, text_columns=text)


def contradiction_table(data: ReportData) -> PublicationTable | None:
    """Return where the publication contradicts itself, its data or its authors' code."""
    published = data.settings.published
    if published is None or not published.contradictions:
        return None
    cells = pd.DataFrame({"Contradiction": list(published.contradictions)})
    return PublicationTable("contradictions", cells, row_headers=1)


def _measure(number: PublishedNumber) -> str:
    name = METRIC_LABELS.get(number.metric, spoken(number.metric))
    parts = [name, f"at {criterion_words(number.at)}" if number.at else "", number.subset or ""]
    return ", ".join(part for part in parts if part)


def _printed(number: PublishedNumber) -> str:
    if number.value is None:
        return f"{format_number(number.low, 3)} to {format_number(number.high, 3)}"
    if float(number.value).is_integer() and abs(number.value) > 1:
        return f"{number.value:,.0f}"
    decimals = max(3, len(f"{number.value:g}".partition(".")[2]))
    return format_estimate(number.value, number.low, number.high, decimals=decimals)


def _own(number: PublishedNumber, data: ReportData) -> str:
    """Return this run's value of the same thing, or why there is none."""
    if number.arm is None and number.metric not in _CASE_COUNTS:
        return missing(NOT_NAMED)
    if number.part is not None:
        return _of_network(number, data)
    if number.metric in _OF_TRAINING or (
        number.metric in (_LOSS, "accuracy") and number.subset in ("train", "validation")
    ):
        return _of_training(number, data)
    subsets = [s for domain, s in data.settings.cohorts if domain == number.domain]
    wanted = [number.subset] if number.subset is not None else subsets[:1]
    metric = {_LOSS: "nll"}.get(number.metric, number.metric)
    metric = "auc" if number.metric in _CASE_COUNTS else metric
    rows = select(data.metrics, metric=metric, criterion=number.at or "")
    rows = rows[rows["recalibration"].isin(["", "none"]) & rows["labelled_patients"].isna()]
    rows = rows[(rows["domain"] == number.domain) & rows["subset"].isin(wanted)]
    if number.arm is not None:
        rows = rows[rows["arm"] == number.arm]
    if number.at is not None:
        rows = rows[rows["threshold_from"].isin(["own_validation", "fixed"])]
    if number.subgroup is not None or rows.empty:
        return missing(NOT_COMPUTED)
    if number.metric in _CASE_COUNTS:
        return f"{int(rows.iloc[0][number.metric]):,}"
    found = summarised(rows)
    if found.empty:
        return missing(NOT_COMPUTED)
    first = found.iloc[0]
    return format_estimate(first["value"], first["ci_low"], first["ci_high"])


def _of_network(number: PublishedNumber, data: ReportData) -> str:
    """Return how many parameters a part of the arm's network has, from the record of a run."""
    records = [trained.model.record for trained in data.runs if trained.run.arm == number.arm]
    if not records or number.part is None:
        return missing(NOT_COMPUTED)
    from mammoshift.models.size import part_size  # loads torch, for those that print such numbers

    count = part_size(records[0], number.part)
    return missing(NOT_COMPUTED) if count is None else f"{count:,}"


def _of_training(number: PublishedNumber, data: ReportData) -> str:
    """Return what the histories of the arm's runs say: their mean, and the range of several."""
    if number.arm is None or number.arm not in data.settings.arm_names:
        return missing(NOT_COMPUTED)
    if data.settings.arm(number.arm).own_domain != number.domain:
        return missing(NOT_COMPUTED)
    runs = [trained for trained in data.runs if trained.run.arm == number.arm]
    values = [_value_of_training(number, trained) for trained in runs]
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return missing(NOT_COMPUTED)
    decimals = 0 if number.metric == "selected_epoch" else 3
    text = format_number(sum(known) / len(known), decimals)
    if len(known) == 1:
        return text
    low, high = (format_number(value, decimals) for value in (min(known), max(known)))
    return f"{text} [{low}-{high}]"


def _value_of_training(number: PublishedNumber, trained: TrainedModel) -> float | None:
    history, epoch = trained.history, trained.model.selected_epoch
    if number.metric == "selected_epoch":
        return epoch
    if number.metric == "training_hours":
        return float(history["seconds"].sum()) / 3600 if "seconds" in history else None
    column = f"{number.subset}_{number.metric}"
    kept = history[history["epoch"] == epoch]
    return float(kept.iloc[0][column]) if column in history and len(kept) else None
