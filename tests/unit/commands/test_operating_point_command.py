from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from mammoshift.commands.operating_point import operating_point
from mammoshift.errors import TableError
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.thresholds import g_mean_threshold, threshold_at_specificity

app = typer.Typer()
app.command()(operating_point)


def predictions(seed: str, n: int = 200, shift: float = 0.0) -> pd.DataFrame:
    rng = generator_for("operating-command", seed)
    label = (rng.random(n) < 0.3).astype(int)
    return pd.DataFrame(
        {
            "case_id": np.arange(n),
            "label": label,
            "score": rng.normal(size=n) + 1.5 * label + shift,
        }
    )


def run(*arguments: object) -> tuple[str, dict]:
    out = Path(str(arguments[0])).with_suffix(".json")
    result = CliRunner().invoke(
        app,
        [*map(str, arguments), "--resamples", "200", "--json", str(out)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


def test_a_transferred_threshold_shows_the_loss_of_specificity(tmp_path: Path) -> None:
    validation, target = predictions("validation"), predictions("target", shift=0.8)
    validation.to_csv(tmp_path / "v.csv", index=False)
    target.to_csv(tmp_path / "t.csv", index=False)
    text, found = run(tmp_path / "t.csv", "--threshold-from", tmp_path / "v.csv")
    rows = {row["provenance"]: row for row in found["points"]}
    expected = threshold_at_specificity(validation["label"], validation["score"])
    assert rows["transferred"]["threshold"] == expected.value
    assert found["thresholds"][0]["specificity"] >= 0.95
    assert rows["transferred"]["specificity"] < 0.9 < rows["reestimated"]["specificity"]
    assert rows["reestimated"]["specificity_ci_low"] is None
    fixed, both = rows["transferred"], rows["transferred_both_samples"]
    assert both["specificity_ci_low"] < fixed["specificity_ci_low"]
    metrics = {row["metric"]: row["value"] for row in found["metrics"]}
    assert metrics["sensitivity"] == fixed["sensitivity"]
    called = target["score"] >= expected.value
    assert metrics["accuracy"] == pytest.approx((called == target["label"]).mean())
    assert "re-estimated" in text and "every case counts as independent" in text


def test_without_a_threshold_only_the_reestimated_point_is_reported(tmp_path: Path) -> None:
    predictions("alone").to_parquet(tmp_path / "t.parquet")
    _, found = run(tmp_path / "t.parquet", "--specificity", "0.8")
    assert [row["provenance"] for row in found["points"]] == ["reestimated"]
    assert found["metrics"] == []
    assert found["points"][0]["specificity"] >= 0.8


def test_a_given_threshold_is_used_as_it_is(tmp_path: Path) -> None:
    table = predictions("given").assign(patient_id=np.arange(200) // 4)
    table.to_csv(tmp_path / "t.csv", index=False)
    _, found = run(tmp_path / "t.csv", "--threshold", "0.5")
    fixed = found["points"][0]
    assert fixed["tp"] == int(((table["score"] >= 0.5) & (table["label"] == 1)).sum())
    assert fixed["sensitivity_method"] == "ratio_over_patients_t"
    assert fixed["n_patients"] == 50


def test_g_mean_comes_from_the_validation_cases(tmp_path: Path) -> None:
    validation = predictions("validation")
    validation.to_csv(tmp_path / "v.csv", index=False)
    predictions("target").to_csv(tmp_path / "t.csv", index=False)
    _, found = run(
        tmp_path / "t.csv", "--threshold-from", tmp_path / "v.csv", "--criterion", "g-mean"
    )
    expected = g_mean_threshold(validation["label"], validation["score"])
    assert found["points"][0]["threshold"] == expected.value


def test_the_output_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        predictions("same").to_csv(folder / "t.csv", index=False)
        found.append(run(folder / "t.csv")[1])
    assert found[0] == found[1]


def test_one_class_names_the_file_and_the_column(tmp_path: Path) -> None:
    predictions("none").assign(label=1).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match=r"t\.csv, column label: .*no negative"):
        run(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--criterion", "youden"),
        ("--criterion", "accuracy"),
        ("--specificity", "1.5"),
        ("--level", "0.3"),
        ("--threshold", "1", "--threshold-from", "SELF"),
    ],
)
def test_impossible_wishes_are_usage_errors(tmp_path: Path, arguments) -> None:
    table = tmp_path / "t.csv"
    predictions("usage").to_csv(table, index=False)
    given = [str(table) if a == "SELF" else a for a in arguments]
    assert CliRunner().invoke(app, [str(table), *given]).exit_code == 2


def test_a_threshold_from_the_same_cases_is_refused(tmp_path: Path) -> None:
    table, copy = tmp_path / "t.csv", tmp_path / "copy.csv"
    predictions("usage").to_csv(table, index=False)
    predictions("usage").to_csv(copy, index=False)
    with pytest.raises(TableError, match="the same labels and scores"):
        run(table, "--threshold-from", copy)


def test_rounded_scores_with_the_same_numbers_are_other_cases(tmp_path: Path) -> None:
    for name in ("v", "t"):
        frame = predictions(name)
        frame.assign(score=frame["score"].round(1)).to_csv(tmp_path / f"{name}.csv", index=False)
    output, written = run(tmp_path / "t.csv", "--threshold-from", tmp_path / "v.csv")
    assert "the same labels and scores" not in output
    assert written


def test_one_sensitivity_has_one_interval_at_one_threshold(tmp_path: Path) -> None:
    table = predictions("one-interval").assign(patient_id=lambda frame: frame["case_id"])
    table.to_csv(tmp_path / "t.csv", index=False)
    text, found = run(tmp_path / "t.csv", "--threshold", 1.0)
    point = found["points"][0]
    metrics = {row["metric"]: row for row in found["metrics"]}
    for rate in ("sensitivity", "specificity"):
        for limit in ("ci_low", "ci_high", "method"):
            assert metrics[rate][limit] == point[f"{rate}_{limit}"]
    assert "transferred: the interval is of what this very threshold does" in text


def test_a_threshold_above_every_score_is_named(tmp_path: Path) -> None:
    table = predictions("above").assign(score=0.0)
    table.to_csv(tmp_path / "t.csv", index=False)
    text, found = run(tmp_path / "t.csv")
    assert "above all scores" in text and "e-324" not in text
    assert found["points"][0]["sensitivity_ci_high"] > 0.0
