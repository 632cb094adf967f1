"""What commands say where few patients, or few cases that decide, make intervals too narrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.statistics.meta_analysis import ALIKE, random_effects


def table(
    path: Path, seeds: dict[str, int], datasets: dict[str, tuple[int, int]], lift: float = 2.0
) -> Path:
    """Write log-odds of arms on datasets with so many positive and negative patients."""
    rng = np.random.default_rng(5)
    rows = []
    for dataset, (positive, negative) in datasets.items():
        labels = np.repeat([1, 0], [positive, negative])
        for place, (arm, runs) in enumerate(seeds.items()):
            for seed in range(runs):
                score = rng.normal(size=labels.size) + (lift - 0.8 * place) * labels - lift / 2.0
                rows += [
                    (f"{dataset}{i}", int(label), arm, float(s), seed, f"{dataset}{i}", dataset)
                    for i, (label, s) in enumerate(zip(labels, score, strict=True))
                ]
    names = ["case_id", "label", "arm", "score", "seed", "patient_id", "dataset"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


def run(*arguments: object) -> tuple[str, dict[str, Any]]:
    path = Path(str(arguments[1])).with_suffix(".json")
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", str(path)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split()), json.loads(path.read_text("utf-8"))


def test_no_verdict_of_net_benefit_where_no_positive_is_missed(tmp_path: Path) -> None:
    path = table(tmp_path / "few.csv", {"a": 1}, {"clinic": (12, 200)}, lift=6.0)
    said, found = run("decision-curve", path, "--scores", "logit", "--thresholds", "0.02,0.9")
    low, high = found["net_benefits"]
    assert (low["verdict"], high["verdict"]) == ("undecided", "undecided")
    assert "fewer than 5 cases decide" in said


def test_roc_limits_of_few_positive_patients_are_not_of_no_width(tmp_path: Path) -> None:
    path = table(tmp_path / "few.csv", {"a": 1, "b": 1}, {"clinic": (12, 120)}, lift=5.0)
    _, found = run("compare", path, "--scores", "logit", "--roc")
    whole = [row for row in found["roc"] if row["sensitivity"] == 1.0]
    assert whole
    for row in whole:
        assert row["sensitivity_ci_low"] == pytest.approx(0.757, abs=0.002)


def test_a_conclusion_names_the_tests_that_speak_of_models_alone(tmp_path: Path) -> None:
    path = table(tmp_path / "mixed.csv", {"a": 3, "b": 3, "c": 1}, {"clinic": (300, 300)})
    said, found = run("compare", path, "--scores", "logit")
    methods = {row["arm_b"]: row["method"] for row in found["headline"] if row["arm_a"] == "a"}
    assert methods["c"] == "exact_fixed"
    sentence = said.split("a above c", 1)[1].split(";")[0]
    assert "of these models alone" in sentence


def test_what_hangs_on_prevalence_is_no_loss_of_the_model_alone(tmp_path: Path) -> None:
    datasets = {"home": (300, 450), "screening": (60, 1140)}
    path = table(tmp_path / "prevalence.csv", {"a": 3, "b": 3}, datasets)
    said, _ = run("compare", path, "--scores", "logit", "--source", "home", "--metric", "auprc")
    assert "hangs on the share of positives, 0.05 on screening and 0.40 on home" in said


def test_the_mean_over_seeds_has_no_interval_of_one_of_them(tmp_path: Path) -> None:
    path = table(tmp_path / "seeds.csv", {"a": 3, "b": 3}, {"clinic": (40, 200)})
    said, found = run("operating-point", path, "--specificity", "0.95", "--threshold", "0")
    values = [r["value"] for r in found["metrics"] if (r["arm"], r["metric"]) == ("a", "npv")]
    assert len(values) == 3
    assert "At the transferred threshold, with" not in said
    assert "means over seeds" in said


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 2, done.output
    return " ".join(done.output.replace("\u2502", " ").split())


@pytest.mark.parametrize("metric", ["brier", "nll", "calibration"])
def test_a_measure_of_one_arm_says_that_its_patients_are_few(tmp_path: Path, metric: str) -> None:
    wanted = ("--scores", "logit", "--metric", metric)
    few = table(tmp_path / "few.csv", {"a": 1}, {"clinic": (12, 120)})
    assert (
        "fewer than 20 patients of one class" in run("compare", few, *wanted)[1]["arms"][0]["note"]
    )
    many = table(tmp_path / "many.csv", {"a": 1}, {"clinic": (25, 120)})
    assert "fewer than 20" not in run("compare", many, *wanted)[1]["arms"][0]["note"]


def test_calibrate_says_that_patients_are_few_and_whose_labels_they_are(tmp_path: Path) -> None:
    path = table(tmp_path / "few.csv", {"a": 1}, {"clinic": (15, 120)})
    said, found = run("calibrate", path, "--scores", "logit")
    assert "fewer than 20 patients of one class: intervals and tests are rough" in said
    assert "slope cover 97 to 98 %" in found["measures"][0]["note"]
    assert "Probabilities are those of label 1 as this table defines it" in said


def test_adjusted_p_says_among_which_tests(tmp_path: Path) -> None:
    arms = {"a": 1, "b": 1, "c": 1}
    both = table(tmp_path / "two.csv", arms, {"here": (60, 90), "there": (60, 90)})
    assert "p adjusted among the tests of its dataset alone" in run("compare", both)[0]
    alone = table(tmp_path / "one.csv", arms, {"here": (60, 90)})
    assert "of its dataset alone" not in run("compare", alone)[0]


@pytest.mark.parametrize("positive", [12, 40])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_perfect_auc_has_an_interval(tmp_path: Path, positive: int, seeds: int) -> None:
    path = table(tmp_path / "perfect.csv", {"a": seeds}, {"clinic": (positive, 80)}, lift=40.0)
    (mean,) = run("compare", path, "--scores", "logit")[1]["arms"]
    assert (mean["value"], mean["ci_high"]) == (1.0, 1.0)
    assert 0.7 < mean["ci_low"] < 1.0 - 0.5 / positive


def test_a_threshold_without_effect_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "one.csv", {"a": 1}, {"clinic": (30, 60)})
    cut = ("--scores", "logit", "--threshold", "0.5")
    assert "auc has no threshold" in refused("compare", path, *cut)
    twice = (*cut, "--metric", "sensitivity", "--specificity", "0.8")
    assert "not both" in refused("compare", path, *twice)
    options = ("--metric", "sensitivity", "--scores", "probability", "--threshold", "1.5")
    assert "inside (0, 1)" in refused("compare", path, *options)


def test_a_threshold_of_probabilities_cuts_probabilities(tmp_path: Path) -> None:
    frame = pd.read_csv(table(tmp_path / "logits.csv", {"a": 1}, {"clinic": (30, 60)}))
    expected = float((frame[frame["label"] == 1]["score"] >= 1.0).mean())
    assert 0.0 < expected < 1.0
    frame["score"] = 1.0 / (1.0 + np.exp(-frame["score"]))
    path = tmp_path / "probabilities.csv"
    frame.to_csv(path, index=False)
    cut = 1.0 / (1.0 + np.exp(-1.0)) - 1e-12
    options = ("--metric", "sensitivity", "--scores", "probability", "--threshold", cut)
    assert run("compare", path, *options)[1]["arms"][0]["value"] == pytest.approx(expected)


def test_forty_datasets_fit_a_screen(tmp_path: Path) -> None:
    datasets = {f"hospital{i:02}": (20, 30) for i in range(40)}
    path = table(tmp_path / "many.csv", {"a": 1, "b": 1}, datasets)
    said, found = run("compare", path, "--scores", "logit", "--source", "hospital07")
    means: dict[str, float] = {}
    for row in found["arms"]:
        means[row["dataset"]] = means.get(row["dataset"], 0.0) + row["value"] / 2.0
    del means["hospital07"]
    ranked = sorted(means, key=lambda name: means[name])
    printed = CliRunner().invoke(app, ["compare", str(path), "--source", "hospital07"]).output
    assert len(printed.splitlines()) <= 24
    (header,) = (line for line in printed.splitlines() if line.count("hospital") > 3)
    assert header.split() == [*ranked[:2], *ranked[-2:], "hospital07", "all"]
    assert "35 datasets are left out of the table" in said
    assert "Intervals of losses are not symmetrical" in said
    everything = CliRunner().invoke(app, ["compare", str(path), "--all"]).output
    assert all(name in everything for name in datasets)


def test_a_decision_curve_of_one_class_has_no_verdict(tmp_path: Path) -> None:
    path = table(tmp_path / "healthy.csv", {"a": 1}, {"clinic": (0, 300)}, lift=-2.0)
    said, found = run("decision-curve", path, "--scores", "logit", "--thresholds", "0.3,0.5")
    assert {row["verdict"] for row in found["net_benefits"]} == {"undecided"}
    assert "clinic: every case is negative, so that net benefit counts false alarms alone" in said


def test_three_seeds_are_said_to_be_on_the_cautious_side(tmp_path: Path) -> None:
    path = table(tmp_path / "seeds.csv", {"a": 3, "b": 3}, {"home": (60, 100), "clinic": (60, 100)})
    said, found = run("compare", path, "--scores", "logit", "--source", "home")
    cautious = "three seeds: differences of arms are on the cautious side"
    assert cautious in found["headline"][0]["note"]
    assert cautious not in found["drops"][0]["note"]
    assert "three seeds: where they vary more" in found["drops"][0]["note"]
    assert "three seeds: where they vary more" in " ".join(said.split())


def test_datasets_that_differ_are_not_called_alike() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        differences = rng.normal(scale=0.3, size=4)
        found = random_effects(differences, rng.uniform(0.01, 0.03, 4))
        assert ALIKE not in found.mean.note
