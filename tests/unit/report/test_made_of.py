"""The report says which changes were accepted, and where versions of a library differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fabricated_study import Recipe, fabricate

from mammoshift.provenance.keys import Key, Output, key_file, write_key
from mammoshift.report.inputs import ReportData, load_report_data
from mammoshift.report.made_of import LibraryVersion, made_of
from mammoshift.report.tables.made_of import accepted_table, version_table

ACCEPTED = {
    "rule": "train_arm",
    "results": 4,
    "changes": ["`focal` in src/mammoshift/training/losses/focal.py changed (1 -> 2)"],
    "because": "a factor of one",
    "when": "2026-01-02 03:04 UTC",
}


def _made(results: Path, rule: str, name: str, versions: dict[str, str], *inputs: str) -> Path:
    output = results / name
    output.parent.mkdir(parents=True, exist_ok=True)
    output.touch()
    key = Key(
        file=key_file(output),
        rule=rule,
        wildcards={},
        outputs={output.name: Output("0")},
        inputs=[(str(results / one), None) for one in inputs],
        parameters={},
        versions=versions,
    )
    write_key(key, results)
    return output


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table made of two models, of which an older pandas and torch made one."""
    results = tmp_path / "results"
    _made(results, "ingest_dataset", "manifest.parquet", {"pandas": "2.0"})
    _made(
        results, "train_arm", "a/model.json", {"torch": "1.0", "pandas": "3.0"}, "manifest.parquet"
    )
    _made(results, "train_arm", "b/model.json", {"torch": "1.0, 2.0", "pandas": "3.0"})
    _made(results, "train_arm", "other/model.json", {"torch": "0.1"})
    inputs = ("a/model.json", "b/model.json", "manifest.parquet")
    return _made(results, "evaluate_study", "metrics.csv", {"pandas": "3.0"}, *inputs)


def test_versions_that_differ_are_found_back_to_the_raw_data(table: Path) -> None:
    found = made_of([table], table.parent)
    assert found.accepted == ()
    assert found.versions == (
        LibraryVersion("pandas", "2.0", (("ingest_dataset", 1),)),
        LibraryVersion("pandas", "3.0", (("evaluate_study", 1), ("train_arm", 2))),
        LibraryVersion("torch", "1.0", (("train_arm", 2),)),
        LibraryVersion("torch", "2.0", (("train_arm", 1),)),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    recipe = Recipe(targets=("cmmd",), patients=40)
    return load_report_data(fabricate(tmp_path_factory.mktemp("made_of"), recipe))


def test_nothing_is_said_of_what_is_not(data: ReportData) -> None:
    assert accepted_table(data) is None
    assert version_table(data) is None


def test_the_tables_say_what_was_accepted_and_what_differs(data: ReportData, table: Path) -> None:
    known = replace(data, made_of=made_of([table], table.parent, [ACCEPTED]))
    accepted, versions = accepted_table(known), version_table(known)
    assert accepted is not None
    assert versions is not None
    assert accepted.cells.iloc[0].tolist() == [
        "train_arm (4)", ACCEPTED["changes"][0], "a factor of one", "2026-01-02 03:04 UTC",
    ]  # fmt: skip
    assert versions.cells.iloc[1].tolist() == [
        "pandas",
        "3.0",
        "evaluate_study (1) and train_arm (2)",
    ]
