"""What arms lose from their own domain to another, against margins and at an equal case mix."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mammoshift.report.formatting import (
    format_count,
    format_estimate,
    format_number,
    format_p,
    is_null,
    missing,
)
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import (
    NOT_EVALUATED,
    VERDICT_LIMITS,
    class_counts,
    cohort_name,
    drops,
    first_of_each,
    in_study_order,
    leading,
    of_arm,
    of_checkpoints,
    select,
    verdict_limits,
)
from mammoshift.report.tables.comparisons import adjusted_cell
from mammoshift.report.verdicts import verdicts
from mammoshift.report.vocabulary import METRIC_LABELS, threshold_words

NO_MARGIN = "no margin declared"
NO_VERDICT = "declared leak: no verdict"
_SUPPORTED = ("strata", "source_share", "target_share", "effective")


def transfer_table(data: ReportData) -> PublicationTable | None:
    """Return the transfer drops of the AUC: arm by domain, with verdict and what to beware of."""
    every = drops(data.comparisons)
    rows = in_study_order(first_of_each(every), data.settings)
    records = [
        _named(row)
        | {
            "Drop of AUC (95% CI)": _interval(row),
            "95% for all drops at once": _simultaneous(row),
            "These models alone (95% CI)": _beside(every, row),
        }
        | _test_cells(row)
        | _not_judgeable(data, row)
        for _, row in rows.iterrows()
    ]
    return _table("transfer_drop", records, 2)


def operating_point_drop_table(data: ReportData) -> PublicationTable | None:
    """Return what arms lose of sensitivity and specificity at the study's operating point."""
    every = drops(data.comparisons, ("sensitivity", "specificity"))
    rows = in_study_order(first_of_each(every), data.settings)
    records = [
        _named(row)
        | {
            "Measure": METRIC_LABELS[row["metric"]],
            "Threshold": threshold_words(row["criterion"], row["threshold_from"]),
            "Drop (95% CI)": _interval(row),
            "These models alone (95% CI)": _beside(every, row),
        }
        | _test_cells(row)
        for _, row in rows.iterrows()
    ]
    return _table("transfer_drop_operation", records, 2, ("Measure", "Threshold"))


def standardised_drop_table(data: ReportData) -> PublicationTable | None:
    """Return the drop of the AUC at the case mix of the own domain, with its support."""
    every = drops(data.comparisons, "auc_standardised")
    plain = first_of_each(drops(data.comparisons))
    support = select(data.metrics, metric=_support_metrics())
    records = []
    for _, row in in_study_order(first_of_each(every), data.settings).iterrows():
        beside = of_arm(plain, row["domain"], row["subset"], row["arm"])
        own = of_arm(support, row["domain"], row["subset"], row["arm"])
        value = own.set_index("metric")["value"]
        cells = {
            "Drop as it is": _interval(beside.iloc[0]) if len(beside) else missing(NOT_EVALUATED),
            "Drop at the own case mix (95% CI)": _interval(row),
        }
        for name, head in zip(
            _SUPPORTED,
            (
                "Strata in both",
                "Share of the own cases",
                "Share of the judged cases",
                "Worth cases",
            ),
            strict=True,
        ):
            pair = [value.get(f"case_mix_{name}_{side}") for side in ("pos", "neg")]
            cells[head] = " / ".join(_support_cell(name, number) for number in pair)
        records.append(_named(row) | cells | {"Note": _note(row)})
    return _table("transfer_drop_standardised", records, 2)


def _support_metrics() -> tuple[str, ...]:
    return tuple(f"case_mix_{name}_{side}" for name in _SUPPORTED for side in ("pos", "neg"))


def _support_cell(name: str, value: float | None) -> str:
    if value is None or is_null(value):
        return "none"
    if name == "strata":
        return format_count(value)
    if name == "effective":
        return format_number(value, 1)
    return f"{100 * value:.0f}%"


def _named(row: pd.Series) -> dict[str, str]:
    return {"Domain": cohort_name(row["domain"], row["subset"]), "Arm": row["arm"]}


def _interval(row: pd.Series) -> str:
    return format_estimate(
        row["estimate"], row["ci_low"], row["ci_high"], signed=True, reason=row["note"]
    )


def _simultaneous(row: pd.Series) -> str:
    if is_null(row["simultaneous_low"]):
        return ""
    low, high = (format_number(row[f"simultaneous_{side}"]) for side in ("low", "high"))
    return f"{low} to {high}"


def _beside(every: pd.DataFrame, row: pd.Series) -> str:
    found = of_checkpoints(every, row)
    return _interval(found.iloc[0]) if len(found) else ""


def _test_cells(row: pd.Series) -> dict[str, str]:
    leads = len(leading(pd.DataFrame([row]))) > 0
    margin = "" if is_null(row["margin"]) else format_number(row["margin"])
    verdict = row["verdict"] or (NO_MARGIN if leads else NO_VERDICT)
    undefined = is_null(row["estimate"])
    untested = undefined or is_null(row["p"])
    return {
        "p": "" if untested else format_p(row["p"]),
        "p adj.": "" if untested else adjusted_cell(row, "p_adjusted"),
        "Margin": margin,
        VERDICT_LIMITS: verdict_limits(row),
        "Verdict": "" if undefined else verdict,
        "Pos. / neg.": class_counts(row),
        "Note": _note(row),
    }


def _not_judgeable(data: ReportData, row: pd.Series) -> dict[str, str]:
    """Return the verdict of the answer in the place of the row's own where it refuses one."""
    if row["verdict"] == "" or is_null(row["estimate"]):
        return {}
    place = (row["domain"], row["subset"])
    refused = [
        one.outcome
        for one in verdicts(data, row["arm"])
        if (one.domain, one.subset) == place and one.outcome == "not judgeable"
    ]
    return {"Verdict": refused[0]} if refused else {}


def _note(row: pd.Series) -> str:
    return "" if is_null(row["estimate"]) else row["note"]


def _table(
    key: str,
    records: list[dict[str, str]],
    row_headers: int,
    words: Iterable[str] = (),
) -> PublicationTable | None:
    if not records:
        return None
    cells = pd.DataFrame(records)
    empty = [name for name in cells if (cells[name] == "").all()]
    text = frozenset({*words, "Verdict", "Note"})
    return PublicationTable(key, cells.drop(columns=empty), row_headers, text)
