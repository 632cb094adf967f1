"""What the numbers come from: the data and models by their hashes, and what computed them."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.vocabulary import spoken

NOT_RECORDED = "not recorded"


def data_table(data: ReportData) -> PublicationTable | None:
    """Return what each dataset is: its licence, and hashes of its images and of how it is read."""
    records = [
        {
            "Dataset": record.name,
            "Title": record.title,
            "Licence": record.licence,
            "Images": format_count(content.images),
            "SHA-256 of the images": content.sha256,
            "Recipe of reading": record.archive_hash or NOT_RECORDED,
            "Recipes of arrays": ", ".join(record.array_hashes or ()) or NOT_RECORDED,
        }
        for record in data.settings.datasets
        if (content := data.contents.get(record.name)) is not None
    ]
    words = {"Title", "Licence", "SHA-256 of the images", "Recipe of reading", "Recipes of arrays"}
    return _table("provenance_data", records, words)


def model_table(data: ReportData) -> PublicationTable | None:
    """Return the trained models by the hash of their weights, and what each started from."""
    records = [
        {
            "Arm": trained.run.arm,
            "Seed": str(trained.run.seed),
            "Fold": str(trained.run.fold),
            "SHA-256 of the weights": trained.model.weights_sha256 or NOT_RECORDED,
            "Started from": trained.model.weights_source or "random weights",
            "SHA-256 of the start": trained.model.start_sha256 or "none",
            "Licence of the start": trained.model.weights_licence or "none",
        }
        for trained in data.runs
    ]
    words = {
        "SHA-256 of the weights",
        "Started from",
        "SHA-256 of the start",
        "Licence of the start",
    }
    return _table("provenance_models", records, words)


def computation_table(data: ReportData) -> PublicationTable | None:
    """Return what the jobs behind the report were computed with, one rule in a row."""
    made = data.made
    if made is None:
        return None
    records = [
        {
            "Step": spoken(step.rule),
            "Jobs": format_count(step.jobs),
            "Seconds of work": f"{step.seconds:,.0f}",
            "Machine": " and ".join(step.machines) or NOT_RECORDED,
            "Libraries": ", ".join(f"{n} {' and '.join(v)}" for n, v in step.versions.items())
            or "none that shapes a number",
        }
        for step in made.computed
    ]
    return _table("provenance_computation", records, {"Machine", "Libraries"})


def _table(key: str, records: list[dict[str, str]], words: set[str]) -> PublicationTable | None:
    if not records:
        return None
    return PublicationTable(key, pd.DataFrame(records), text_columns=frozenset(words))
