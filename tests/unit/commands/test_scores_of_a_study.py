"""The commands on predictions take a study's folder of results, and say what its tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fabricated_tables import LONG, SHORT, fabricate
from mammoshift.commands.chosen_curves import read_curves, refuse_shared_cases
from mammoshift.commands.main import app
from mammoshift.commands.scores_of_a_study import read_scores
from mammoshift.contracts.cases import read_cases
from mammoshift.errors import TableError
from mammoshift.evaluation.grid import Grid
from mammoshift.provenance.keys import Key, key_file, write_key

PAGE = Path(__file__).parents[3] / "docs" / "own-data.md"


def lay_out(judged: Mapping[str, Any], results: Path) -> tuple[Path, Grid]:
    """Write a fabricated study as a run leaves it; return its folder and its aligned tables."""
    loose = results.parent / "loose"
    loose.mkdir(parents=True)
    made = fabricate(judged, loose)
    grid = made.grid()
    study = results / str(judged["study"])
    for name, path in made.cases.items():
        (study / "domains" / name).mkdir(parents=True)
        path.rename(study / "domains" / name / "cases.parquet")
    for (arm, domain), path in made.predictions.items():
        (study / arm / domain).mkdir(parents=True)
        path.rename(study / arm / domain / "predictions.parquet")
    (study / "tables").mkdir()
    settings = made.evaluation().model_dump(mode="json", exclude_none=True)
    file = key_file(study / "tables" / "metrics.csv")
    key = Key(file, "evaluate_study", {}, {}, [], {"settings": settings}, {})
    write_key(key, results)
    return study, grid


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Grid]:
    return lay_out(SHORT, tmp_path_factory.mktemp("short") / "results")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Grid]:
    return lay_out(LONG, tmp_path_factory.mktemp("long") / "results")


def run(*arguments: object) -> tuple[str, dict[str, Any]]:
    """Run a command; return what it printed and its JSON."""
    out = Path(str(arguments[1])).parent / "out.json"
    command = [*map(str, arguments), "--json", str(out)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split()), json.loads(out.read_text("utf-8"))


def test_the_aucs_are_those_of_the_study(short: tuple[Path, Grid]) -> None:
    study, grid = short
    text, found = run("compare", study, "--source", "film", "--reference", "plain")
    curves = {(r["dataset"], r["arm"], r["seed"]): r for r in found["curves"]}
    expected = {}
    for cell in grid.leading:
        names = [(cell.domain, arm, seed) for arm in cell.arms for seed in cell.seeds]
        expected |= dict(zip(names, cell.auc.auc, strict=True))
    assert curves.keys() == expected.keys()
    for name, auc in expected.items():
        assert curves[name]["auc"] == pytest.approx(auc, abs=1e-12)
    assert {row["n_clusters"] for row in found["arms"]} == {80, 120}
    assert found["drops"]
    assert "film (test, by image), digital (target, by image), other (target, by image)" in text
    # Patients p000, p001, ... of one domain are not those of another.
    assert "identifiers in common" not in text


def test_units_folds_and_leaks_are_those_of_the_study(long: tuple[Path, Grid]) -> None:
    study, grid = long
    found = {part.dataset: part for part in read_scores(study).datasets}
    assert set(found) == {"film", "clinic", "crops", "rows"}
    for cell in grid.leading:
        part = found[cell.domain]
        assert (part.scores == cell.curves).all()
        assert (part.labels == cell.labels).all()
        assert part.patients is not None
        assert len(set(part.patients)) == len(set(cell.clusters))
    note = read_scores(study).note
    assert "clinic (out_of_fold, by patient)" in note
    assert "rows (test, by image, the split by_row leaks patients)" in note


@pytest.mark.parametrize(
    ("below", "arms", "datasets"),
    [
        ("plain", {"plain"}, ["film", "digital", "other"]),
        ("domains/digital", {"plain", "better"}, ["digital"]),
        ("better/other", {"better"}, ["other"]),
        ("better/other/predictions.parquet", {"better"}, ["other"]),
        ("..", {"plain", "better"}, ["film", "digital", "other"]),
        ("domains", {"plain", "better"}, ["film", "digital", "other"]),
    ],
)
def test_a_part_of_the_folder_is_a_part_of_the_study(
    short: tuple[Path, Grid], below: str, arms: set[str], datasets: list[str]
) -> None:
    parts = read_scores(short[0] / below).datasets
    assert [part.dataset for part in parts] == datasets
    assert {arm for part in parts for arm, _ in part.curves} == arms


def test_what_is_fitted_is_fitted_on_the_validation_cases(short: tuple[Path, Grid]) -> None:
    study, grid = short
    (part,) = read_scores(study, validation=True).datasets
    validation = grid.cells["film", "validation"]
    assert (part.scores == validation.curves).all()
    refuse_shared_cases(read_curves(study), read_curves(study, validation=True), "--fit-on", False)
    _, found = run("calibrate", study, "--fit-on", study, "--arm", "plain", "--seed", "0")
    fitted = [row for row in found["maps"] if row["variant"] == "temperature_source"]
    assert {row["n"] for row in fitted} == {len(validation.labels)}
    assert len(fitted) == 3


def test_each_arm_has_the_validation_cases_of_its_own_domain(long: tuple[Path, Grid]) -> None:
    study, _ = long
    reported, source = read_curves(study / "domains" / "crops"), read_curves(study, validation=True)
    fitted_on = {part.arm: source.curve_like(part, "--fit-on").dataset for part in reported.parts}
    assert fitted_on == {"on_film": "film", "on_rows": "rows"}


def test_a_map_that_cannot_be_fitted_is_a_row_with_the_reason(tmp_path: Path) -> None:
    study, _ = lay_out(SHORT, tmp_path / "results")
    for path in study.glob("*/film/predictions.parquet"):
        table = pd.read_parquet(path)
        own = table["subset"] == "validation"
        table.loc[own, "logit"] *= -1.0
        table.to_parquet(path)
    chosen = ("--arm", "plain", "--seed", "0", "--maps", "platt")
    text, found = run("calibrate", study / "domains/film", "--fit-on", study, *chosen)
    rows = {row["variant"]: row for row in found["measures"]}
    assert "is not positive" in rows["platt_source"]["note"]
    assert "nll" in rows["platt_target_crossfit"]
    assert "is not positive" in text


def test_cases_without_a_patient_are_counted(tmp_path: Path) -> None:
    study, _ = lay_out(SHORT, tmp_path / "results")
    path = study / "domains" / "other" / "cases.parquet"
    cases = read_cases(path)
    cases.loc[cases.index < 10, "patient_id"] = None
    cases["subsets"] = [list(subsets) for subsets in cases["subsets"]]
    cases.to_parquet(path)
    found = read_scores(study / "domains" / "other")
    assert "10 without a patient: independence assumed" in found.note
    patients = found.datasets[0].patients
    assert patients is not None
    assert np.unique(patients).size == 125
    cases["patient_id"] = None
    cases.to_parquet(path)
    found = read_scores(study / "domains" / "other")
    assert found.cluster_column is None
    assert found.datasets[0].patients is None


def test_the_commands_of_the_page_work_on_a_study(
    short: tuple[Path, Grid], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results" / "clinic").mkdir(parents=True)
    (tmp_path / "results" / "clinic" / "clinic").symlink_to(short[0])
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)[2]
    for line in lines.splitlines():
        name, *arguments = line.removeprefix("mammoshift ").split()
        result = CliRunner().invoke(app, [name, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert "Cases of the study fabricated: film (test, by image)" in result.output


def test_a_study_is_compared_with_its_own_reference(short: tuple[Path, Grid]) -> None:
    _, found = run("compare", short[0])
    assert {(row["arm_a"], row["arm_b"]) for row in found["headline"]} == {("better", "plain")}
    assert found["settings"]["reference"] == "plain"
    _, other = run("compare", short[0], "--reference", "better")
    assert {(row["arm_a"], row["arm_b"]) for row in other["headline"]} == {("plain", "better")}


def test_what_is_no_study_is_said(short: tuple[Path, Grid], tmp_path: Path) -> None:
    study, _ = short
    with pytest.raises(TableError, match="is a folder, and none of a study's results"):
        read_scores(tmp_path)
    alone = tmp_path / "predictions.parquet"
    alone.write_bytes((study / "plain/film/predictions.parquet").read_bytes())
    with pytest.raises(TableError, match="has no labels, which stand in the study's tables"):
        read_scores(alone)
    with pytest.raises(TableError, match="leave --cluster out"):
        read_scores(study, "exam")
    (study / "another").mkdir()
    with pytest.raises(TableError, match="judges nothing there; its arms are plain, better"):
        read_scores(study / "another")
    result = CliRunner().invoke(app, ["compare", str(study), "--scores", "probability"])
    assert "predictions are" in result.output
    assert result.exit_code == 2


def test_a_study_without_its_key_is_said(tmp_path: Path) -> None:
    study, _ = lay_out(SHORT, tmp_path / "results")
    key_file(study / "tables" / "metrics.csv").unlink()
    with pytest.raises(TableError, match="run the study to its end, or copy its folder with the"):
        read_scores(study)
