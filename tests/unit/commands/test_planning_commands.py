"""`decision-curve` and `sample-size`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.errors import TableError
from mammoshift.statistics.power_of_arms import PlannedDifference, factor_for_power, power_of_arms
from mammoshift.statistics.sample_size import cases_for_difference
from mammoshift.statistics.seeding import generator_for


def run(*arguments: object, out: Path) -> tuple[str, dict]:
    given = [*map(str, arguments), "--json", str(out)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


def predictions(name: str, n: int = 400, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    rng = generator_for("planning", name)
    true = rng.normal(-1.0, 1.5, n)
    label = (rng.random(n) < expit(true)).astype(int)
    parts = [
        pd.DataFrame(
            {
                "case_id": np.arange(n),
                "patient_id": np.arange(n) // 2,
                "label": label,
                "arm": arm,
                "seed": seed,
                "score": true + noise * rng.normal(size=n) + 0.3 * rng.normal() * label,
            }
        )
        for arm, noise in (("sharp", 0.1), ("blurred", 1.5))
        for seed in seeds
    ]
    return pd.concat(parts)


def test_net_benefit_of_several_tables(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        predictions(path.stem).to_csv(path, index=False)
    text, found = run(
        "decision-curve", *paths, "--thresholds", "0.1:0.3:0.1", out=tmp_path / "o.json"
    )
    rows = found["net_benefits"]
    assert len(rows) == 2 * 2 * 3
    assert {row["threshold"] for row in rows} == {0.1, 0.2, 0.3}
    first = next(row for row in rows if row["table"] == "a.csv" and row["threshold"] == 0.2)
    frame = predictions("a").query("arm == 'sharp'")
    treated = frame["score"] >= np.log(0.2 / 0.8)
    expected = (treated & (frame["label"] == 1)).mean()
    expected -= (treated & (frame["label"] == 0)).mean() * 0.25
    assert first["net_benefit"] == pytest.approx(expected)
    assert first["net_benefit_ci_low"] < expected < first["net_benefit_ci_high"]
    assert first["verdict"] == "better" and first["advantage_ci_low"] > 0.0
    assert "a.csv, sharp" in text and "per 1000 cases" in text


def test_a_footnote_of_net_benefits_names_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"case_id": range(40), "label": [1] * 20 + [0] * 20})
    frame.assign(score=frame["label"] * 4.0 - 2.0).to_csv(path, index=False)
    text, found = run("decision-curve", path, "--thresholds", "0.01,0.5", out=tmp_path / "o.json")
    assert all(row["note"] for row in found["net_benefits"])
    lines = text.splitlines()
    (header,) = (line for line in lines if "net benefit" in line and "treat all" in line)
    assert header.split()[-1] == "note"
    assert any(line.startswith("1  fewer than 5 cases decide") for line in lines)


def test_net_benefit_of_a_case_control_table_takes_the_prevalence(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    predictions("control").query("arm == 'sharp'").to_csv(table, index=False)
    _, found = run(
        "decision-curve", table, "--prevalence", "0.01", "--thresholds", "0.02", out=tmp_path / "o"
    )
    (row,) = found["net_benefits"]
    assert row["prevalence"] == 0.01
    assert row["treat_all"] == pytest.approx(0.01 - 0.99 * 0.02 / 0.98)


@pytest.mark.parametrize(
    "thresholds", ["0.1,1.2", "a,b", "0.1:0.3", "0.1:0.3:-1", "0.5:0.1:0.1", "0.01:0.99:1e-9", ""]
)
def test_wrong_thresholds_are_usage_errors(tmp_path: Path, thresholds: str) -> None:
    table = tmp_path / "t.csv"
    predictions("usage", n=40).to_csv(table, index=False)
    result = CliRunner().invoke(app, ["decision-curve", str(table), "--thresholds", thresholds])
    assert result.exit_code == 2


def test_a_range_of_thresholds_ends_where_it_says(tmp_path: Path) -> None:
    from mammoshift.commands.decision_curve import checked_thresholds

    assert checked_thresholds("0.1:0.26:0.1") == [0.1, 0.2]
    assert checked_thresholds("0.1:0.3:0.1") == [0.1, 0.2, 0.3]


def test_one_case_has_no_interval_and_says_so(tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    predictions("one", n=40).head(1).to_csv(table, index=False)
    text, found = run("decision-curve", table, "--thresholds", "0.1", out=tmp_path / "d.json")
    (row,) = found["net_benefits"]
    assert row["net_benefit_ci_low"] is None
    assert "no interval" in row["note"]
    assert "nan" not in text


def test_cases_from_numbers_agree_with_the_formula(tmp_path: Path) -> None:
    text, found = run(
        "sample-size", "--auc", 0.87, "--against", 0.842, "--correlation", 0.6,
        "--prevalence", 0.3, out=tmp_path / "o.json",
    )  # fmt: skip
    (row,) = found["cases"]
    expected = cases_for_difference(0.87, 0.842, 0.6, 0.3)
    assert row["n"] == pytest.approx(expected.n, rel=0.01)
    assert {power["seeds"] for power in found["power"]} == {1}
    assert "these models alone" in text
    _, found = run(
        "sample-size", "--auc", 0.85, "--sensitivity", 0.8, "--width", 0.08, out=tmp_path / "o.json"
    )
    assert len(found["cases"]) == 2 and found["power"] == []


def test_seeds_limit_what_cases_can_show(tmp_path: Path) -> None:
    text, found = run(
        "sample-size", "--auc", 0.87, "--against", 0.85, "--seed-sd", 0.02, out=tmp_path / "o.json"
    )
    needed = {row["seeds"]: row["n"] for row in found["cases"]}
    assert needed[2] is None and needed[5] is None
    assert needed[10] is None or needed[10] > needed[1]
    assert "the seeds differ too much" in text


def test_a_pilot_gives_its_own_variances(tmp_path: Path) -> None:
    table = tmp_path / "pilot.csv"
    predictions("pilot", seeds=(0, 1, 2)).to_csv(table, index=False)
    text, found = run("sample-size", table, "--difference", 0.05, out=tmp_path / "o.json")
    assert {row["seeds"] for row in found["cases"]} == {2, 3, 5, 10}
    powers = [row["power"] for row in found["power"] if row["seeds"] == 3]
    assert powers == sorted(powers)
    assert "sharp - blurred of +0.050" in text
    predictions("one").query("arm == 'sharp'").to_csv(table, index=False)
    with pytest.raises(TableError, match="the pilot has one"):
        run("sample-size", table, out=tmp_path / "o.json")


def test_power_with_seeds_agrees_with_simulation() -> None:
    plan = PlannedDifference(0.03, 0.012**2, (0.012, 0.012))
    rng = generator_for("power-of-arms")
    repetitions, seeds = 4000, 5
    values = 0.012 * rng.standard_normal((repetitions, 2, seeds))
    means = values.mean(axis=2)
    spread = values.var(axis=2, ddof=1)
    patients = rng.normal(0.0, 0.012, repetitions)
    difference = 0.03 + means[:, 0] - means[:, 1] + patients
    variance = spread.sum(axis=1) / seeds + 0.012**2
    rejected = np.abs(difference) / np.sqrt(variance) > 2.0
    assert power_of_arms(plan, seeds) == pytest.approx(rejected.mean(), abs=0.06)
    assert power_of_arms(plan, 3) < power_of_arms(plan, 5) < power_of_arms(plan, 5, 4.0)
    own = PlannedDifference(0.03, 0.0, (0.0, 0.0), (0.02**2, 0.02**2))
    assert power_of_arms(own, 5, 4.0) > power_of_arms(own, 5, 2.0) > power_of_arms(own, 3, 2.0)
    factor = factor_for_power(plan, 10)
    assert factor is not None
    assert power_of_arms(plan, 10, factor) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--auc", "0.8", "--model", "gamma"), ("--auc", "0.8", "--level", "95")],
)
def test_wrong_plans_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["sample-size", *arguments]).exit_code == 2
