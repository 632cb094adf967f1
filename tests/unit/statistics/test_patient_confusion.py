"""Decisions on several cases of each patient."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from mammoshift.statistics.confusion import confusion_matrix, confusion_metrics
from mammoshift.statistics.patient_confusion import NO_SPREAD, patient_confusion_metrics
from mammoshift.statistics.proportions import ALIKE, clustered_ratio


def _decisions(seed: int, size: int, images: int = 1):
    rng = np.random.default_rng(seed)
    labels = np.repeat((rng.random(size) < 0.3).astype(int), images)
    decisions = np.where(rng.random(labels.size) < 0.15, 1 - labels, labels)
    return labels, decisions, np.repeat(np.arange(size), images)


@pytest.mark.parametrize("name", ["sensitivity", "f1", "mcc", "balanced_accuracy", "precision"])
def test_one_case_for_each_patient_agrees_with_independent_cases(name: str) -> None:
    labels, decisions, patients = _decisions(1, 4000)
    plain = asdict(confusion_metrics(confusion_matrix(labels, decisions)))[name]
    found = asdict(patient_confusion_metrics(labels, decisions, patients))[name]
    assert found["value"] == pytest.approx(plain["value"])
    width = plain["ci_high"] - plain["ci_low"]
    assert found["ci_low"] == pytest.approx(plain["ci_low"], abs=0.06 * width)
    assert found["ci_high"] == pytest.approx(plain["ci_high"], abs=0.06 * width)


def test_copies_of_an_image_are_no_evidence() -> None:
    labels, decisions, patients = _decisions(2, 200)
    once = asdict(patient_confusion_metrics(labels, decisions, patients))
    four = asdict(
        patient_confusion_metrics(*(np.repeat(x, 4) for x in (labels, decisions, patients)))
    )
    for name, estimate in once.items():
        assert four[name]["ci_low"] == pytest.approx(estimate["ci_low"]), name


def test_the_ratio_by_its_formula() -> None:
    x, n = np.array([2, 0, 1, 3, 0]), np.array([2, 1, 3, 4, 0])
    found = clustered_ratio(x, n, empty="none")
    p = 0.6
    variance = 4 / 3 * np.sum((x[:4] - p * n[:4]) ** 2) / 100
    assert found.value == pytest.approx(p)
    assert found.ci_low is not None and found.ci_high is not None
    middle = (
        math.log(found.ci_low / (1 - found.ci_low)) + math.log(found.ci_high / (1 - found.ci_high))
    ) / 2
    assert middle == pytest.approx(math.log(p / (1 - p)))
    weight = n[:4].astype(float) ** 2
    df = weight.sum() ** 2 / (weight @ weight) - 1

    half = math.log(found.ci_high / (1 - found.ci_high)) - middle
    assert half == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(variance) / (p * (1 - p)))


def test_what_has_no_spread_says_so() -> None:
    everyone = clustered_ratio([3, 2], [3, 2], empty="none")
    assert (everyone.method, everyone.note) == ("wilson_patients", ALIKE)
    assert everyone.ci_low is not None and everyone.ci_low < 0.5
    assert clustered_ratio([0], [0], empty="nothing there").note == "nothing there"
    assert "one patient" in clustered_ratio([1], [2], empty="none").note
    perfect = patient_confusion_metrics([0, 1, 0, 1], [0, 1, 0, 1], [1, 2, 3, 4])
    assert perfect.balanced_accuracy.note == NO_SPREAD
