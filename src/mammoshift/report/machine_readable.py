"""`reporting.json`: the facts that reporting guidelines ask for, for programs to read.

TRIPOD+AI (2024), STARD-AI (2025) and CLAIM (2024 update) want the partition and its unit, the
numbers of patients, images and positives, how thresholds and intervals were made, which tests
form a family, what is missing, what was recalibrated on which data, and where data, models and
software come from.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.finding import Finding
from mammoshift.report.formatting import counted, is_null
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import at_thresholds, drops, headline, select
from mammoshift.report.verdicts import verdicts
from mammoshift.report.vocabulary import RANDOM_STREAMS, SUPPORT_LEVEL, THRESHOLDS, spoken

SCHEMA = "mammoshift reporting facts, version 4"
AUC_COLUMNS = (
    *("domain", "subset", "arm", "seed", "value", "ci_low", "ci_high", "method"),
    *("n", "n_pos", "n_neg", "n_clusters", "note"),
)
COMPARISON_COLUMNS = (
    *("family", "domain", "subset", "from_domain", "arm", "reference", "metric", "seed", "method"),
    *("estimate", "se", "df", "ci_low", "ci_high", "p", "p_adjusted", "margin", "verdict", "note"),
)


def reporting_facts(data: ReportData, found: tuple[Finding, ...]) -> dict[str, Any]:
    """Return the reporting facts of a study as plain values that JSON can hold."""
    settings = data.settings
    return {
        "schema": SCHEMA,
        "study": {
            "name": settings.study,
            "title": settings.title,
            "question": settings.question,
        },
        "domains": [
            {
                **settings.described_domain(domain.name).model_dump(mode="json"),
                **domain.model_dump(mode="json"),
            }
            for domain in settings.domains
        ],
        "datasets": [record.model_dump(mode="json") for record in settings.datasets],
        "cohorts": _cohorts(data.cohort),
        "exclusions": data.exclusions.to_dict(orient="records"),
        "seeds": list(settings.seeds),
        "arms": [
            {**arm.model_dump(mode="json"), "own_domain": settings.arm(arm.name).own_domain}
            for arm in settings.described_arms
        ],
        "training": _training(data),
        "thresholds": _thresholds(data.metrics),
        "temperatures": _temperatures(data),
        "intervals": {
            "methods": sorted(set(data.metrics["method"]) - {""}),
            "bootstrap_resamples": settings.bootstrap_resamples,
            "random_streams": RANDOM_STREAMS,
            "level": 0.95,
        },
        "margins": None
        if settings.margins is None
        else settings.margins.model_dump(mode="json", exclude_none=True),
        "verdicts": [verdict.as_facts() for verdict in verdicts(data)],
        "families": _families(data),
        "significance_level": SUPPORT_LEVEL,
        "undefined": undefined_numbers(data),
        "audit": None if data.audit is None else data.audit.to_dict(orient="records"),
        "findings": [{"kind": finding.kind, "text": finding.text} for finding in found],
        "software": software_versions(data),
        "provenance": _provenance(data),
        "auc": _records(select(data.metrics, metric="auc"), AUC_COLUMNS),
        "comparisons": _records(
            pd.concat([headline(data.comparisons), drops(data.comparisons)]), COMPARISON_COLUMNS
        ),
    }


def reporting_json(data: ReportData, found: tuple[Finding, ...]) -> str:
    """Return the reporting facts as JSON text with a stable order of keys."""
    facts = reporting_facts(data, found)
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def software_versions(data: ReportData) -> dict[str, list[str]]:
    """Return every version of each package that the models were trained with."""
    versions: dict[str, set[str]] = {}
    for trained in data.runs:
        for package, version in trained.model.versions:
            versions.setdefault(package, set()).add(version)
    return {package: sorted(found) for package, found in sorted(versions.items())}


def _provenance(data: ReportData) -> dict[str, Any]:
    """Return when and where the report was made, and what the data and models behind it are."""
    return {
        "report": None if data.made is None else data.made.as_facts(),
        "data": [
            {
                "dataset": record.name,
                "licence": record.licence,
                **asdict(data.contents[record.name]),
            }
            for record in data.settings.datasets
            if record.name in data.contents
        ],
        "code_licence": "MIT",
    }


def _records(rows: pd.DataFrame, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows as plain values, with null for what is undefined or infinite."""
    return [
        {
            str(name): None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in rows[list(columns)].astype(object).to_dict(orient="records")
    ]


def _cohorts(cohort: pd.DataFrame) -> list[dict[str, Any]]:
    wanted = ("patients", "images", "cases", "images_without_patient", "positives", "negatives")
    rows = cohort[cohort["characteristic"].isin(wanted)]
    return [
        {
            "domain": str(domain),
            "subset": str(subset),
            **{row["characteristic"]: int(row["count"]) for _, row in part.iterrows()},
        }
        for (domain, subset), part in rows.groupby(["domain", "subset"], sort=False)
    ]


def _training(data: ReportData) -> list[dict[str, Any]]:
    return [
        {
            **asdict(trained.run),
            "selected_epoch": trained.model.selected_epoch,
            "training_cases": trained.model.training_cases,
            "training_positives": trained.model.training_positives,
            "weights_sha256": trained.model.weights_sha256,
            "start_weights_sha256": trained.model.start_sha256,
            "start_weights_source": trained.model.weights_source,
            "start_weights_licence": trained.model.weights_licence,
        }
        for trained in data.runs
    ]


def _thresholds(metrics: pd.DataFrame) -> list[dict[str, Any]]:
    """Return where each kind of threshold comes from, and its values where they are stored."""
    keys = ["domain", "subset", "arm", "seed"]
    rows = at_thresholds(select(metrics, metric="threshold"))
    return [
        {
            "criterion": criterion,
            "threshold_from": threshold_from,
            "provenance": THRESHOLDS[str(threshold_from)][1],
            "values": [
                {**row[keys].to_dict(), "log_odds": _plain(row["value"])}
                for _, row in part.iterrows()
            ],
        }
        for (criterion, threshold_from), part in rows.groupby(
            ["criterion", "threshold_from"], sort=False
        )
    ]


def _temperatures(data: ReportData) -> list[dict[str, Any]]:
    rows = select(data.metrics, metric="temperature")
    keys = ["domain", "subset", "arm", "seed"]
    return [
        {
            **{key: row[key] for key in keys},
            "fitted_on": _fitted_on(row, data.settings),
            "value": _plain(row["value"]),
        }
        for _, row in rows.iterrows()
    ]


def _fitted_on(row: pd.Series, settings: ReportSettings) -> str:
    """Return which cases a recalibration was fitted on."""
    if row["fitted_on"] == "own_validation":
        return f"{settings.arm(row['arm']).own_domain} validation"
    return f"{row['domain']}, {spoken(row['fitted_on'])}"


def _families(data: ReportData) -> list[dict[str, Any]]:
    lead = headline(data.comparisons)
    return [
        {
            **family.model_dump(mode="json"),
            "headline_methods": sorted(set(tests["method"])),
            "tests": len(tests),
            "family_size": _plain(pd.to_numeric(tests["family_size"], errors="coerce").max()),
        }
        for family in data.settings.families
        for tests in [lead[lead["family"] == family.family]]
    ]


def said_undefined(data: ReportData) -> str:
    """Return how many measures and tests have no value, as `undefined` lists them; "" for none."""
    lists = undefined_numbers(data)
    measures, tests = len(lists["metrics"]), len(lists["comparisons"])
    if not measures + tests:
        return ""
    kinds = f"{counted(measures, 'measure')} and {counted(tests, 'test')}, of all subsets"
    return f"{counted(measures + tests, 'number')} could not be computed ({kinds})"


def undefined_numbers(data: ReportData) -> dict[str, Any]:
    """Return the rows of measures and of tests that have no value, with the reason of each."""
    metrics = data.metrics[data.metrics["value"].isna()]
    tests = data.comparisons[data.comparisons["p"].isna()]
    keys = ["domain", "subset", "arm", "seed", "subgroup", "subgroup_value", "metric", "criterion"]
    keys += ["threshold_from", "recalibration", "fitted_on", "reference"]
    return {
        "metrics": metrics[[*keys, "note"]].to_dict(orient="records"),
        "comparisons": tests[
            ["family", "domain", "arm", "seed", "metric", "method", "note"]
        ].to_dict(orient="records"),
    }


def _plain(value: float) -> float | int | None:
    """Return a number that JSON can hold, with every digit: undefined is null."""
    if is_null(value):
        return None
    return int(value) if float(value).is_integer() else float(value)
