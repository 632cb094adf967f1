"""Arms that rank no better than chance have nothing to lose, and get no verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammoshift.commands.compare_conclusion import conclusion
from mammoshift.commands.compare_report import Report, Wishes
from mammoshift.commands.compare_rows import compare_predictions
from mammoshift.contracts.external_predictions import read_external_predictions


def report_of(tmp_path, shifts: dict[str, float | None], **wishes: object) -> Report:
    """Compare two arms; positives score higher by the shift, None for one score for all."""
    rng = np.random.default_rng(5)
    label = np.repeat([1, 0], [60, 100])
    parts = []
    for dataset, shift in shifts.items():
        common = rng.normal(size=160)
        for arm in "AB":
            score = common + 0.5 * rng.normal(size=160) + (shift or 0.0) * label
            parts.append(
                pd.DataFrame(
                    {
                        "case_id": [f"{dataset}{i}" for i in range(160)],
                        "label": label,
                        "arm": arm,
                        "score": 0.0 if shift is None else score,
                        "dataset": dataset,
                    }
                )
            )
    path = tmp_path / "table.csv"
    pd.concat(parts).to_csv(path, index=False)
    return compare_predictions(read_external_predictions(path), Wishes(**wishes), "table.csv")


@pytest.mark.parametrize("metric", ["auc", "sensitivity"])
def test_a_loss_from_a_model_that_ranks_backwards_is_not_judged(tmp_path, metric):
    shifts = {"home": -1.5, "clinic": -0.9}
    report = report_of(tmp_path, shifts, source="home", margin=0.05, metric=metric)
    assert {row["verdict"] for row in report.drops} == {"not judgeable"}
    assert all("does not exceed chance" in row["reason"] for row in report.drops)
    assert {row["verdict"] for row in report.headline} == {"not judgeable"}
    said = " ".join(conclusion(report))
    assert "A ranks backwards on home: its AUC, 0.1" in said
    assert "Losses from home against a margin of 0.05: 2 not judgeable" in said
    assert "Transfer of A cannot be judged: on home its AUC, 0.1" in said
    assert "non-inferior" not in said


def test_a_model_at_chance_at_the_source_is_not_judged_and_not_called_backwards(tmp_path):
    report = report_of(tmp_path, {"home": 0.05, "clinic": 1.5}, source="home", margin=0.05)
    assert {row["verdict"] for row in report.drops} == {"not judgeable"}
    assert report.settings["backwards"] == []


def test_a_model_above_chance_at_the_source_is_judged(tmp_path):
    report = report_of(tmp_path, {"home": 1.5, "clinic": 0.0}, source="home", margin=0.05)
    assert {row["verdict"] for row in report.drops} == {"inferior"}
    assert {row["reason"] for row in report.drops} == {""}
    assert "cannot be judged" not in " ".join(conclusion(report))


@pytest.mark.parametrize("metric", ["auc", "auprc", "sensitivity"])
def test_arms_of_constant_scores_are_not_called_non_inferior(tmp_path, metric):
    report = report_of(tmp_path, {"home": 1.5, "clinic": None}, margin=0.05, metric=metric)
    (clinic,) = (row for row in report.headline if row["dataset"] == "clinic")
    assert clinic["verdict"] == "undefined"
    assert clinic["p"] is None and clinic["ci_low"] is None
    assert "gives every case the same score" in clinic["note"]
