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


def test_datasets_that_differ_are_not_called_alike() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        differences = rng.normal(scale=0.3, size=4)
        found = random_effects(differences, rng.uniform(0.01, 0.03, 4))
        assert ALIKE not in found.mean.note
