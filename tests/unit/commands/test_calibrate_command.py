from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.special import expit
from typer.testing import CliRunner

from mammoshift.commands.calibrate import calibrate
from mammoshift.errors import TableError
from mammoshift.statistics.recalibration import fit_temperature
from mammoshift.statistics.seeding import generator_for

app = typer.Typer()
app.command()(calibrate)


def predictions(seed: str, n: int = 200, temperature: float = 2.0, **more: object) -> pd.DataFrame:
    rng = generator_for("calibrate-command", seed)
    true = rng.normal(-0.5, 1.5, n)
    return pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(n)],
            "patient_id": [f"{seed}{i // 2}" for i in range(n)],
            "label": (rng.random(n) < expit(true)).astype(int),
            "score": true * temperature,
            **more,
        }
    )


def run(*arguments: object) -> tuple[str, dict]:
    out = Path(str(arguments[0])).with_suffix(".json")
    result = CliRunner().invoke(
        app, [*map(str, arguments), "--json", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


def test_source_temperature_and_crossfit_are_reported(tmp_path: Path) -> None:
    source, target = tmp_path / "source.csv", tmp_path / "target.parquet"
    fitted_on, reported = predictions("source"), predictions("target")
    fitted_on.to_csv(source, index=False)
    reported.to_parquet(target)
    text, found = run(target, "--fit-on", source)
    rows = {row["variant"]: row for row in found["measures"]}
    assert set(rows) == {
        "uncalibrated",
        "temperature_source",
        "platt_source",
        "prior_shift_em",
        "temperature_target_crossfit",
        "platt_target_crossfit",
    }
    own = fit_temperature(fitted_on["score"].to_numpy(), fitted_on["label"].to_numpy())
    maps = {row["variant"]: row for row in found["maps"] if row["fold"] is None}
    assert maps["temperature_source"]["temperature"] == pytest.approx(own.temperature)
    assert rows["temperature_source"]["nll"] < rows["uncalibrated"]["nll"]
    assert rows["temperature_source"]["auc"] == pytest.approx(rows["uncalibrated"]["auc"])
    assert rows["uncalibrated"]["n_patients"] == 100
    assert found["settings"]["cluster"] == "patient_id"
    assert sum(row["count"] for row in found["reliability"]) == 6 * 200
    assert "temperature source" in text and "ECE" in text


def test_probabilities_are_turned_into_logits_and_certainty_is_noted(tmp_path: Path) -> None:
    table = predictions("probability", temperature=1.0)
    table["score"] = expit(table["score"])
    logits, probabilities = tmp_path / "l.csv", tmp_path / "p.csv"
    table.to_csv(probabilities, index=False)
    table.assign(score=np.log(table["score"] / (1 - table["score"]))).to_csv(logits, index=False)
    _, a = run(logits)
    _, b = run(probabilities, "--scale", "probability")
    for x, y in zip(a["measures"], b["measures"], strict=True):
        assert x["nll"] == pytest.approx(y["nll"], rel=1e-9)
    table.loc[0, "score"] = 1.0
    table.to_csv(probabilities, index=False)
    text, _ = run(probabilities, "--scale", "probability")
    assert "probabilities of exactly 0 or 1 (1 of 200)" in text


def test_known_prevalence_adds_the_prior_shift(tmp_path: Path) -> None:
    source, target = tmp_path / "s.csv", tmp_path / "t.csv"
    predictions("source").to_csv(source, index=False)
    predictions("target").to_csv(target, index=False)
    _, found = run(target, "--fit-on", source, "--prevalence", "0.1")
    rows = {row["variant"]: row for row in found["measures"]}
    assert rows["prior_shift"]["mean_predicted"] < rows["uncalibrated"]["mean_predicted"]


def test_budget_and_datasets(tmp_path: Path) -> None:
    table = tmp_path / "two.csv"
    parts = [predictions(name, n=120, dataset=name) for name in ("a", "b")]
    pd.concat(parts).to_csv(table, index=False)
    text, found = run(table, "--budget", "--cluster", "none")
    assert {row["dataset"] for row in found["budget"]} == {"a", "b"}
    assert {row["patients"] for row in found["budget"]} == {0, 10, 25, 50}
    assert "every case counts as independent" in text


def test_what_cannot_be_cross_fitted_is_said_in_place(tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    predictions("few", n=40).assign(label=0).to_csv(table, index=False)
    _, found = run(table)
    rows = {row["variant"]: row for row in found["measures"]}
    assert rows["uncalibrated"]["auc"] is None and rows["uncalibrated"]["slope"] is None
    assert "no positive case" in rows["platt_target_crossfit"]["note"]
    assert "nll" not in rows["platt_target_crossfit"]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"score": 1.5}, ("--scale", "probability"), r"row 1 \(from 1.*column score"),
        ({"score": -1e200}, (), r"row 1 \(from 1.*no log-odds"),
        ({"label": 2}, (), "line 2, column label"),
        ({"arm": "x"}, ("--arm", "z"), "there is no 'z'"),
    ],
)
def test_errors_name_file_row_and_column(tmp_path: Path, change, arguments, message: str) -> None:
    table = tmp_path / "bad.csv"
    predictions("bad", n=40).assign(**change).to_csv(table, index=False)
    with pytest.raises(TableError, match=message) as caught:
        run(table, *arguments)
    assert "bad.csv" in str(caught.value)


def test_several_arms_and_seeds_are_all_shown_or_chosen_from(tmp_path: Path) -> None:
    table = tmp_path / "arms.csv"
    scored = [
        predictions("arms", temperature=1.0 + i).assign(arm=a, seed=s)
        for i, a in enumerate("xy")
        for s in (0, 1)
    ]
    pd.concat(scored).to_csv(table, index=False)
    text, found = run(table)
    plain = [row for row in found["measures"] if row["variant"] == "uncalibrated"]
    assert [(row["arm"], row["seed"]) for row in plain] == [
        ("x", "0"),
        ("x", "1"),
        ("y", "0"),
        ("y", "1"),
    ]
    assert "y, seed 1, uncalibrated" in text
    _, one = run(table, "--arm", "y", "--seed", "1")
    assert (one["settings"]["arm"], one["settings"]["seed"]) == ("y", "1")
    alone = [row for row in one["measures"] if row["variant"] == "uncalibrated"]
    assert alone == plain[3:]


def test_many_seeds_are_printed_as_their_mean(tmp_path: Path) -> None:
    table = tmp_path / "seeds.csv"
    scored = [predictions("mean", n=60).assign(arm="x", seed=s) for s in range(9)]
    pd.concat(scored).to_csv(table, index=False)
    text, found = run(table)
    assert len(found["measures"]) == 27
    assert "means over seeds" in text
    assert text.count("uncalibrated") == 1


def test_a_source_serves_the_arm_and_seed_of_its_own_name(tmp_path: Path) -> None:
    source, target = tmp_path / "s.csv", tmp_path / "t.csv"
    pd.concat(
        predictions("source", temperature=t).assign(arm=a) for a, t in (("x", 2.0), ("y", 4.0))
    ).to_csv(source, index=False)
    pd.concat(predictions("target").assign(arm=a) for a in "xy").to_csv(target, index=False)
    _, found = run(target, "--fit-on", source)
    maps = {row["arm"]: row for row in found["maps"] if row["variant"] == "temperature_source"}
    assert maps["y"]["temperature"] == pytest.approx(2 * maps["x"]["temperature"])
    pd.concat(predictions("target").assign(arm=a) for a in "xz").to_csv(target, index=False)
    with pytest.raises(TableError, match="has no scores of arm 'z'; it has arm 'x', arm 'y'"):
        run(target, "--fit-on", source)


def test_prevalence_is_estimated_without_labels_and_contradicted_where_scores_moved(
    tmp_path: Path,
) -> None:
    source, target, moved = (tmp_path / f"{name}.csv" for name in ("s", "t", "moved"))
    predictions("source", n=2000, temperature=1.0).to_csv(source, index=False)
    frame = predictions("target", n=4000, temperature=1.0)
    fewer = frame[(frame["label"] == 0) | (frame.index % 4 == 0)]
    fewer.to_csv(target, index=False)
    _, found = run(target, "--fit-on", source)
    (row,) = found["prevalence"]
    assert row["ci_low"] < row["share_of_labels"] < row["ci_high"]
    assert row["mixture_p"] > 0.01
    measures = {row["variant"]: row for row in found["measures"]}
    assert measures["prior_shift_em"]["nll"] < measures["platt_source"]["nll"]
    rng = np.random.default_rng(0)
    far = frame.assign(score=0.4 * frame["score"] + rng.normal(1.0, 0.2, len(frame)))
    far.to_csv(moved, index=False)
    text, found = run(moved, "--fit-on", source)
    assert found["prevalence"][0]["mixture_p"] < 1e-6
    assert "more than the prevalence has" in text


def test_flexible_maps_are_left_out_where_there_are_too_few_cases(tmp_path: Path) -> None:
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    predictions("few", n=80).to_csv(few, index=False)
    predictions("many", n=3000).to_csv(many, index=False)
    _, found = run(few, "--maps", "beta,isotonic")
    rows = {row["variant"]: row for row in found["measures"]}
    assert "its three parameters are not known" in rows["beta_target_crossfit"]["note"]
    assert "it follows their noise" in rows["isotonic_target_crossfit"]["note"]
    text, found = run(many, "--maps", "platt,beta,isotonic")
    rows = {row["variant"]: row for row in found["measures"]}
    assert rows["beta_target_crossfit"]["nll"] < rows["uncalibrated"]["nll"]
    assert rows["isotonic_target_crossfit"]["nll"] < rows["uncalibrated"]["nll"]
    assert "isotonic target crossfit" in text
    assert "isotonic map of fewer than 4000 cases" in text


def test_images_of_a_patient_do_not_make_enough_cases_for_an_isotonic_map(tmp_path: Path) -> None:
    path = tmp_path / "views.csv"
    predictions("views", n=2400).to_csv(path, index=False)
    _, found = run(path, "--maps", "isotonic,beta")
    rows = {row["variant"]: row for row in found["measures"]}
    assert "isotonic calibration: 960 patients" in rows["isotonic_target_crossfit"]["note"]
    assert rows["beta_target_crossfit"]["note"] == ""
    _, found = run(path, "--maps", "isotonic", "--cluster", "none")
    rows = {row["variant"]: row for row in found["measures"]}
    assert "nll" in rows["isotonic_target_crossfit"]


def test_a_reversed_source_is_an_error_that_names_its_file(tmp_path: Path) -> None:
    source, target = tmp_path / "reversed.csv", tmp_path / "t.csv"
    table = predictions("source")
    table.assign(score=-table["score"]).to_csv(source, index=False)
    predictions("target").to_csv(target, index=False)
    with pytest.raises(TableError, match=r"reversed\.csv: columns label and score: temperature"):
        run(target, "--fit-on", source)


@pytest.mark.parametrize(
    "arguments",
    [("--prevalence", "0.1"), ("--scale", "odds"), ("--scores", "any"), ("--maps", "spline")],
)
def test_impossible_wishes_are_usage_errors(tmp_path: Path, arguments) -> None:
    table = tmp_path / "t.csv"
    predictions("usage").to_csv(table, index=False)
    given = [str(table) if a == "SELF" else a for a in arguments]
    result = CliRunner().invoke(app, [str(table), *given])
    assert result.exit_code == 2


def test_what_is_fitted_on_must_hold_other_cases(tmp_path: Path) -> None:
    table, copy, renamed = (tmp_path / name for name in ("t.csv", "copy.csv", "renamed.csv"))
    frame = predictions("usage")
    frame.to_csv(table, index=False)
    frame.to_csv(copy, index=False)
    frame[::-1].assign(case_id=range(200), patient_id=range(200)).to_csv(renamed, index=False)
    for other in (table, copy, renamed):
        with pytest.raises(TableError, match="the same labels and scores"):
            run(table, "--fit-on", other)
    part = pd.concat([frame[:20], predictions("other").assign(case_id=range(200))])
    part.to_csv(tmp_path / "part.csv", index=False)
    with pytest.raises(TableError, match="shares 20 cases"):
        run(table, "--fit-on", tmp_path / "part.csv")
    same = predictions("other").assign(patient_id=frame["patient_id"])
    same.to_csv(tmp_path / "same.csv", index=False)
    with pytest.raises(TableError, match="shares 100 patient identifiers"):
        run(table, "--fit-on", tmp_path / "same.csv")
    run(table, "--fit-on", tmp_path / "same.csv", "--other-patients")


def test_scores_that_look_like_probabilities_are_said(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    frame = predictions("probable")
    frame.assign(score=expit(frame["score"])).to_csv(table, index=False)
    text, _ = run(table)
    assert "WARNING: all scores lie in [0, 1]" in text
    assert "WARNING" not in run(table, "--scores", "probability")[0]
    assert "WARNING" not in run(table, "--scores", "logit")[0]


def test_a_share_at_its_limit_gives_no_map(tmp_path: Path) -> None:
    source, target = tmp_path / "s.csv", tmp_path / "t.csv"
    predictions("source", n=400, temperature=1.0).to_csv(source, index=False)
    frame = predictions("target", n=200, temperature=1.0)
    for given, reason in (
        (frame.assign(score=0.0), "all target logits are equal"),
        (frame.assign(score=frame["score"] + 4.0), "no interval"),
    ):
        given.to_csv(target, index=False)
        _, found = run(target, "--fit-on", source)
        (row,) = (row for row in found["measures"] if row["variant"] == "prior_shift_em")
        assert "nll" not in row and reason in row["note"]
        assert "prior_shift_em" not in {row["variant"] for row in found["maps"]}
