"""`reporting.json`: the facts that reporting guidelines ask for, for programs to read.

TRIPOD+AI (2024), STARD-AI (2025) and CLAIM (2024 update) want the partition and its unit, the
numbers of patients, images and positives, how thresholds and intervals were made, which tests
form a family, what is missing, and what was recalibrated on which data.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from mammoshift.report.findings import Finding
from mammoshift.report.formatting import is_null
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import headline, select
from mammoshift.report.vocabulary import operating_point

SCHEMA = "mammoshift reporting facts, version 1"


def reporting_facts(data: ReportData, found: tuple[Finding, ...]) -> dict[str, Any]:
    """Return the reporting facts of a study as plain values that JSON can hold."""
    facts = data.facts
    return {
        "schema": SCHEMA,
        "study": {
            "name": facts.name,
            "title": facts.title,
            "question": facts.question,
            "source": facts.source,
            "targets": list(facts.targets),
            "positive_label": facts.task,
            "evaluated_unit": facts.unit,
            "aggregation": facts.combine,
        },
        "partition": {"unit": facts.partition_unit, **facts.split},
        "datasets": [record.model_dump(mode="json") for record in facts.datasets],
        "cohorts": _cohorts(data.cohort),
        "exclusions": data.exclusions.to_dict(orient="records"),
        "seeds": list(facts.seeds),
        "arms": [arm.model_dump(mode="json") for arm in facts.arms],
        "training": _training(data),
        "thresholds": _thresholds(data.metrics),
        "temperatures": _temperatures(data),
        "intervals": {
            "methods": sorted(set(data.metrics["method"]) - {""}),
            "bootstrap_resamples": facts.bootstrap_resamples,
            "random_streams": facts.bootstrap_seeding,
            "level": 0.95,
        },
        "families": _families(data),
        "significance_level": facts.alpha,
        "undefined": _undefined(data),
        "audit": None if data.audit is None else data.audit.to_dict(orient="records"),
        "findings": [{"kind": finding.kind, "text": finding.text} for finding in found],
        "software": software_versions(data),
        "provenance": dict(facts.provenance),
    }


def reporting_json(data: ReportData, found: tuple[Finding, ...]) -> str:
    """Return the reporting facts as JSON text with a stable order of keys."""
    facts = reporting_facts(data, found)
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def software_versions(data: ReportData) -> dict[str, list[str]]:
    """Return every version of each package that the models were trained with."""
    versions: dict[str, set[str]] = {}
    for run in data.runs:
        for package, version in run.model.versions:
            versions.setdefault(package, set()).add(version)
    return {package: sorted(found) for package, found in sorted(versions.items())}


def _cohorts(cohort: pd.DataFrame) -> list[dict[str, Any]]:
    wanted = ("patients", "images", "images_without_patient", "positives", "negatives")
    rows = cohort[cohort["characteristic"].isin(wanted)]
    return [
        {
            "dataset": str(dataset),
            "subset": str(subset),
            **{row["characteristic"]: int(row["count"]) for _, row in part.iterrows()},
        }
        for (dataset, subset), part in rows.groupby(["dataset", "subset"], sort=False)
    ]


def _training(data: ReportData) -> list[dict[str, Any]]:
    return [
        {
            "arm": run.arm,
            "seed": run.seed,
            "selected_epoch": run.model.selected_epoch,
            "training_cases": run.model.training_cases,
            "training_positives": run.model.training_positives,
            "start_weights_sha256": run.model.start_sha256,
            "start_weights_source": run.model.weights_source,
            "start_weights_licence": run.model.weights_licence,
        }
        for run in data.runs
    ]


def _thresholds(metrics: pd.DataFrame) -> list[dict[str, Any]]:
    """Return where each kind of threshold comes from, and its values where they are stored."""
    found = []
    for variant in dict.fromkeys(metrics["variant"]):
        point = operating_point(variant)
        if point is None:
            continue
        rows = select(metrics, metric="threshold", variant=variant)
        keys = ["dataset", "subset", "arm", "seed"]
        values = [
            {**row[keys].to_dict(), "log_odds": _plain(row["value"])} for _, row in rows.iterrows()
        ]
        found.append(
            {
                "name": variant,
                "criterion": point.criterion,
                "provenance": point.provenance,
                "values": values,
            }
        )
    return found


def _temperatures(data: ReportData) -> list[dict[str, Any]]:
    fitted_on = {
        "temperature_source": f"{data.facts.source} validation",
        "temperature_target_crossfit": "the target itself, cross-fitted by patient",
    }
    rows = select(data.metrics, metric="temperature")
    keys = ["dataset", "subset", "arm", "seed", "variant"]
    return [
        {
            **{key: row[key] for key in keys},
            "fitted_on": fitted_on.get(row["variant"], row["variant"]),
            "value": _plain(row["value"]),
        }
        for _, row in rows.iterrows()
    ]


def _families(data: ReportData) -> list[dict[str, Any]]:
    lead = headline(data.comparisons)
    return [
        {
            **family.model_dump(mode="json"),
            "headline_methods": sorted(set(tests["method"])),
            "tests": len(tests),
            "family_size": _plain(pd.to_numeric(tests["family_size"], errors="coerce").max()),
        }
        for family in data.facts.families
        for tests in [lead[lead["family"] == family.family]]
    ]


def _undefined(data: ReportData) -> dict[str, Any]:
    metrics = data.metrics[data.metrics["value"].isna()]
    tests = data.comparisons[data.comparisons["p"].isna()]
    keys = ["dataset", "subset", "arm", "seed", "subgroup", "subgroup_value", "metric", "variant"]
    return {
        "metrics": metrics[[*keys, "note"]].to_dict(orient="records"),
        "comparisons": tests[["family", "dataset", "arm", "seed", "method", "note"]].to_dict(
            orient="records"
        ),
    }


def _plain(value: float) -> float | int | None:
    """Return a number that JSON can hold: whole as an integer, undefined as null."""
    if is_null(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 10)
