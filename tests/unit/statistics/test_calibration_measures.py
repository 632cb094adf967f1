from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from mammoshift.errors import StatisticsError
from mammoshift.statistics.calibration import brier_decomposition, calibration_measures
from mammoshift.statistics.calibration_error import (
    bin_index,
    calibration_error,
    debiased_l2,
    expected_calibration_error,
    null_calibration_errors,
    reliability_curve,
)
from mammoshift.statistics.calibration_line import CONSTANT, ONE_CLASS, SEPARATED, calibration_line
from mammoshift.statistics.seeding import generator_for


def predictions(seed: str, n: int = 500, temperature: float = 1.0, shift: float = 0.0):
    rng = generator_for("measures", seed)
    true = rng.normal(-1.0, 1.5, n)
    labels = (rng.random(n) < expit(true)).astype(int)
    return true * temperature + shift, labels


def ece_by_hand(p: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    total = 0.0
    for b in range(bins):
        inside = (p > b / bins) & (p <= (b + 1) / bins)
        if b == 0:
            inside |= p == 0.0
        if inside.any():
            total += inside.mean() * abs(labels[inside].mean() - p[inside].mean())
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_ece_is_its_definition(seed: int, temperature: float) -> None:
    logits, labels = predictions(str(seed), n=80, temperature=temperature)
    expected = ece_by_hand(expit(logits), labels)
    assert expected_calibration_error(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_bins_are_right_closed_and_hold_zero_and_one() -> None:
    p = np.array([0.0, 1e-9, 1 / 15, np.nextafter(1 / 15, 1), 2 / 15, 14 / 15, 1.0])
    index, size = bin_index(p, 15)
    assert size == 15 and index.tolist() == [0, 0, 0, 1, 1, 13, 14]


def test_saturated_probabilities_fall_into_the_last_bin() -> None:
    # Two of four certain predictions are wrong: a gap of one half.
    assert expected_calibration_error([800.0] * 4, [1, 1, 0, 0]) == pytest.approx(0.5)


def test_equal_mass_bins_hold_equal_numbers_and_keep_ties_together() -> None:
    p = generator_for("mass").random(150)
    index, size = bin_index(p, 15, "equal_mass")
    assert size == 15 and (np.bincount(index) == 10).all()
    tied, merged = bin_index(np.repeat([0.1, 0.2, 0.9], 20), 15, "equal_mass")
    assert merged <= 15 and all(np.unique(tied[i : i + 20]).size == 1 for i in (0, 20, 40))


def test_the_null_band_is_what_chance_alone_shows() -> None:
    logits, labels = predictions("null", n=300)
    found = calibration_error(logits, labels, generator_for("band"))
    assert found.within_null and found.null_mean < found.null_high
    bad = calibration_error(3.0 * logits, labels, generator_for("band"))
    assert not bad.within_null and bad.value > found.value


def test_the_null_band_counts_the_images_of_a_patient_once() -> None:
    outside = {"images": 0, "patients": 0}
    for i in range(60):
        logits, labels = (np.repeat(x, 3) for x in predictions(f"clustered {i}", n=120))
        for name, patients in (("images", None), ("patients", np.repeat(np.arange(120), 3))):
            found = calibration_error(
                logits, labels, generator_for(name, str(i)), patients=patients, simulations=200
            )
            outside[name] += not found.within_null
    assert outside["patients"] <= 9
    assert outside["images"] >= 40


@pytest.mark.parametrize("large", [0.0, np.inf])
def test_the_variance_of_a_null_bin_is_that_of_its_labels(
    monkeypatch: pytest.MonkeyPatch, large: float
) -> None:
    monkeypatch.setattr("mammoshift.statistics.calibration_error._LARGE_VARIANCE", large)
    rng = generator_for("dependent")
    logits, groups = rng.normal(size=60), rng.integers(0, 20, 60)
    found = null_calibration_errors(logits, rng, groups=groups, bins=1, simulations=20_000)
    labels = rng.random((20_000, 20))[:, groups] < expit(logits)
    spread = np.std(labels.sum(axis=1)) / 60
    assert np.sqrt(np.mean(found**2)) == pytest.approx(spread, rel=0.03)


def test_the_null_simulates_labels_in_every_bin() -> None:
    logits, _ = predictions("plain", n=200)
    p = expit(logits)
    rng = generator_for("labels")
    plain = [ece_by_hand(p, rng.random(200) < p) for _ in range(400)]
    fast = null_calibration_errors(logits, generator_for("fast"), simulations=4000)
    assert fast.mean() == pytest.approx(np.mean(plain), rel=0.03)
    assert np.quantile(fast, 0.95) == pytest.approx(np.quantile(plain, 0.95), rel=0.06)


def test_large_bins_take_the_normal_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, _ = predictions("normal", n=40_000)
    fast = null_calibration_errors(logits, generator_for("a"), simulations=2000)
    monkeypatch.setattr("mammoshift.statistics.calibration_error._LARGE_VARIANCE", np.inf)
    exact = null_calibration_errors(logits, generator_for("b"), simulations=500)
    assert fast.mean() == pytest.approx(exact.mean(), rel=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_brier_parts_add_up(seed: int, temperature: float) -> None:
    logits, labels = predictions(str(seed), n=120, temperature=temperature)
    parts = brier_decomposition(logits, labels)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin
    assert total == pytest.approx(parts.score, abs=1e-12)
    assert parts.score == pytest.approx(brier_score_loss(labels, expit(logits)), abs=1e-12)
    assert parts.skill == pytest.approx(1 - parts.score / parts.uncertainty)


def test_murphy_is_exact_when_a_bin_holds_one_probability() -> None:
    rng = generator_for("murphy")
    p = rng.choice([0.1, 0.3, 0.5, 0.9], 400)
    labels = (rng.random(400) < p).astype(int)
    parts = brier_decomposition(logit(p), labels)
    assert abs(parts.within_bin) < 1e-14
    shares = {value: labels[p == value].mean() for value in np.unique(p)}
    assert parts.reliability == pytest.approx(np.mean([(v - shares[v]) ** 2 for v in p]))


def test_stephenson_s_within_bin_terms_are_the_remainder() -> None:
    logits, labels = predictions("stephenson", n=400)
    p = expit(logits)
    index, _ = bin_index(p, 15)
    remainder = 0.0
    for b in np.unique(index):
        q, y = p[index == b], labels[index == b]
        variance = np.mean((q - q.mean()) ** 2)
        covariance = np.mean((q - q.mean()) * (y - y.mean()))
        remainder += np.mean(index == b) * (variance - 2.0 * covariance)
    assert brier_decomposition(logits, labels).within_bin == pytest.approx(remainder, abs=1e-12)


def test_debiasing_removes_what_chance_adds() -> None:
    plain, debiased = [], []
    for i in range(40):
        logits, labels = predictions(f"debias{i}", n=300)
        plain.append(expected_calibration_error(logits, labels, binning="equal_mass"))
        debiased.append(debiased_l2(logits, labels) ** 2)
    assert np.mean(plain) > 0.05
    assert np.mean(debiased) < 0.002
    logits, labels = predictions("bad", n=3000, shift=1.5)
    gap = np.sqrt(np.mean((expit(logits) - expit(logits - 1.5)) ** 2))
    assert debiased_l2(logits, labels) == pytest.approx(gap, rel=0.1)


def test_line_is_the_logistic_maximum_with_its_information() -> None:
    logits, labels = predictions("line", n=800, temperature=2.0, shift=0.5)
    line = calibration_line(logits, labels)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(logits[:, None], labels)
    assert line.slope.value == pytest.approx(model.coef_[0, 0], rel=1e-6)
    assert line.intercept.value == pytest.approx(model.intercept_[0], rel=1e-5)
    assert line.slope.ci_low < 0.5 < line.slope.ci_high
    shifted = expit(logits + line.in_the_large.value)
    assert shifted.mean() == pytest.approx(labels.mean(), abs=1e-12)
    design = np.column_stack([np.ones(800), logits])
    weight = np.diag((p := expit(line.intercept.value + line.slope.value * logits)) * (1.0 - p))
    se = np.sqrt(np.linalg.inv(design.T @ weight @ design)[1, 1])
    assert (line.slope.ci_high - line.slope.ci_low) / 2 / 1.959964 == pytest.approx(se, rel=1e-6)


def test_robust_errors_see_copies() -> None:
    logits, labels = predictions("copies", n=300)
    four, patients = (np.repeat(x, 4) for x in (logits, np.arange(300)))
    once = calibration_line(logits, labels, patients=np.arange(300))
    copied = calibration_line(four, np.repeat(labels, 4), patients=patients)
    naive = calibration_line(four, np.repeat(labels, 4))
    for name in ("slope", "intercept", "in_the_large"):
        a, b, c = (getattr(x, name) for x in (once, copied, naive))
        assert b.ci_high - b.ci_low == pytest.approx(a.ci_high - a.ci_low, rel=1e-6)
        assert c.ci_high - c.ci_low < 0.6 * (a.ci_high - a.ci_low)


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        ([0.0, 1.0, 2.0], [1, 1, 1], ONE_CLASS),
        ([1.0, 1.0, 1.0], [0, 1, 0], CONSTANT),
        ([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1], SEPARATED),
        ([0.0, 1.0, 1.0, 3.0], [0, 0, 1, 1], SEPARATED),
    ],
)
def test_no_finite_line_is_said(logits, labels, reason: str) -> None:
    line = calibration_line(logits, labels)
    assert line.slope.value is None and line.slope.note == reason
    assert (line.in_the_large.value is None) == (reason == ONE_CLASS)


def test_reliability_curve_adds_up() -> None:
    logits, labels = predictions("curve", n=400)
    curve = reliability_curve(logits, labels)
    assert curve.count.sum() == 400 and curve.positives.sum() == labels.sum()
    some = curve.count > 0
    ece = np.sum(curve.count[some] * np.abs(curve.observed - curve.mean_predicted)[some]) / 400
    assert ece == pytest.approx(expected_calibration_error(logits, labels), abs=1e-12)
    assert (curve.ci_low[some] <= curve.observed[some] + 1e-12).all()
    assert (curve.mean_predicted[some] > curve.bin_low[some] - 1e-12).all()
    assert (curve.mean_predicted[some] <= curve.bin_high[some]).all()
    assert np.isnan(curve.observed[~some]).all()


def test_measures_collect_everything() -> None:
    logits, labels = predictions("all", n=300)
    found = calibration_measures(logits, labels, generator_for("c"), patients=np.arange(300) // 2)
    assert found.nll.value == pytest.approx(log_loss(labels, expit(logits)), abs=1e-12)
    assert found.brier.value == pytest.approx(found.brier_parts.score, abs=1e-12)
    assert (found.n, found.n_patients, found.n_pos) == (300, 150, labels.sum())
    assert found.nll.ci_low < found.nll.value < found.nll.ci_high
    assert found.nll.method == "wald_patient_robust"


def test_intervals_stay_where_the_scores_can_lie() -> None:
    logits, labels = np.r_[np.full(9, -30.0), 30.0, -30.0], np.r_[np.zeros(9), 1, 1]
    found = calibration_measures(logits, labels, generator_for("few"))
    assert found.brier.ci_low == found.nll.ci_low == 0.0
    reversed_ = calibration_measures(-logits, labels, generator_for("few"))
    assert reversed_.brier.ci_high == 1.0


def test_one_class_still_has_scores() -> None:
    found = calibration_measures([0.0, 1.0, 2.0], [0, 0, 0], generator_for("one"))
    assert found.brier_parts.skill is None and found.line.slope.note == ONE_CLASS
    assert found.nll.value == pytest.approx(np.mean(np.logaddexp(0, [0.0, 1.0, 2.0])))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [([np.nan], [1], "not a finite number"), ([], [], "no case"), ([1.0], [3], "neither 0 nor 1")],
)
def test_bad_input_is_named(logits, labels, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        calibration_measures(logits, labels, generator_for("bad"))


@pytest.mark.parametrize(
    ("seed", "n", "digits", "expected"),
    [
        (1, 100, 9, 0.050514208416),
        (2, 140, 9, 0.186421061203),
        (3, 322, 9, 0.175233009397),
        (4, 173, 1, 0.037082711362),
        (5, 50, 9, 0.16189875058),
        (6, 200, 0, 0.082226520931),
    ],
)
def test_debiased_l2_against_the_package_of_its_paper(seed, n, digits, expected) -> None:
    """uncertainty-calibration 0.1.4, lower_bound_scaling_ce with 15 bins; few digits make ties."""
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(-0.5, 1.6, n), digits)
    labels = (rng.random(n) < 1.0 / (1.0 + np.exp(-0.4 * logits))).astype(int)
    assert debiased_l2(logits, labels) == pytest.approx(expected, abs=1e-11)


def test_few_positive_patients_are_said_and_widen_the_slope() -> None:
    rng = np.random.default_rng(3)
    of_patient = np.repeat([1, 0], [4, 60])
    labels, patients = np.repeat(of_patient, 3), np.repeat(np.arange(64), 3)
    logits = rng.normal(size=192) + labels
    found = calibration_line(logits, labels, patients=patients).slope
    assert "fewer than 8 patients" in found.note
    assert found.ci_low is not None and found.ci_high is not None
    alone = calibration_line(logits, labels).slope
    assert alone.note == ""
