"""The command line and the workflow give one number for one question, whatever the way to it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from fabricated_tables import SHORT, Fabricated, fabricate
from mammoshift.commands.main import app
from mammoshift.contracts.cases import VALIDATION, read_cases
from mammoshift.contracts.predictions import read_predictions
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.rows import ComparisonRow

NUMBERS = ("estimate", "se", "df", "p", "ci_low", "ci_high", "detectable_difference")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Fabricated:
    return fabricate(SHORT, tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def printed(study: Fabricated, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `mammoshift compare` says of the study's predictions as anyone's table."""
    folder = tmp_path_factory.mktemp("own table")
    parts = []
    for (_, domain), path in study.predictions.items():
        scored = read_predictions(path)
        scored = scored[scored["subset"] != VALIDATION]
        cases = read_cases(study.cases[domain])[["case_id", "label", "patient_id"]]
        parts.append(scored.merge(cases, on="case_id").assign(dataset=domain))
    table = pd.concat(parts).rename(columns={"logit": "score"})
    table.to_parquet(folder / "table.parquet")
    options = ["--reference", "plain", "--source", "film", "--json", str(folder / "found.json")]
    done = CliRunner().invoke(app, ["compare", str(folder / "table.parquet"), *options])
    assert done.exit_code == 0, done.output
    return json.loads((folder / "found.json").read_text("utf-8"))


def assert_same(mine: dict[str, Any], other: ComparisonRow) -> None:
    for name in NUMBERS:
        value = mine["difference" if name == "estimate" and "difference" in mine else name]
        expected = getattr(other, name)
        assert value == (expected and pytest.approx(expected, rel=1e-9)), name


def test_every_difference_over_the_seeds_is_the_same(
    study: Fabricated, printed: dict[str, Any]
) -> None:
    expected = {
        (row.domain, row.method): row
        for row in combine_seeds(study.comparison(), study.grid())
        if row.arm == "better" and row.domain != "all"
    }
    found = {(row["dataset"], row["method"]): row for row in printed["combined"] if row["dataset"]}
    shared = found.keys() & expected.keys()
    assert {domain for domain, _ in shared} == {"film", "digital", "other"}
    assert {method for _, method in shared} >= {"obuchowski_rockette_nested", "exact_fixed"}
    for key in shared:
        assert_same(found[key], expected[key])


def test_every_pair_and_every_drop_is_the_same(study: Fabricated, printed: dict[str, Any]) -> None:
    rows = compare_study(study.losses(), study.grid())
    pairs = {(r.domain, r.seed): r for r in rows if r.method == "delong_paired"}
    assert len(printed["pairs"]) == len(pairs) == 9
    for row in printed["pairs"]:
        expected = pairs[row["dataset"], str(row["seed"])]
        assert row["p"] == pytest.approx(expected.p, rel=1e-9)
        assert row["difference"] == pytest.approx(expected.estimate, rel=1e-9)
    drops = {
        (r.domain, r.arm, r.method): r
        for r in rows
        if r.family == "transfer_drops" and r.metric == "auc"
    }
    assert len(printed["drops"]) == 4
    for row in printed["drops"]:
        assert_same(row, drops[row["dataset"], row["arm_a"], row["method"]])
