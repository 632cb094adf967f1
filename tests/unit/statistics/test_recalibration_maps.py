from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mammoshift.errors import StatisticsError
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.cross_fitting import cross_fit, patient_folds
from mammoshift.statistics.logistic_fits import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    platt_of,
    temperatures_of,
)
from mammoshift.statistics.recalibration import (
    AT_UPPER_LIMIT,
    IDENTITY,
    SEPARATED,
    fit_platt,
    fit_temperature,
    prior_shift,
)
from mammoshift.statistics.seeding import generator_for


def distorted(seed: str, n: int = 600, temperature: float = 2.5, shift: float = 0.0):
    """Logits whose true log-odds are logit / temperature + shift."""
    rng = generator_for("maps", seed)
    true = rng.normal(0.0, 1.5, n)
    labels = (rng.random(n) < expit(true)).astype(int)
    return (true - shift) * temperature, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_is_the_maximum_of_the_likelihood(temperature: float) -> None:
    logits, labels = distorted("guo", temperature=temperature)
    fitted = fit_temperature(logits, labels)

    def nll(log_t: float) -> float:
        z = logits / np.exp(log_t)
        return float(np.logaddexp(0.0, np.where(labels == 1, -z, z)).mean())

    best = minimize_scalar(nll, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    assert fitted.temperature == pytest.approx(np.exp(best.x), rel=1e-5)
    residual = np.sum((expit(logits * fitted.scale) - labels) * logits)
    assert abs(residual) < 1e-8 * np.sum(np.abs(logits))
    assert fitted.temperature == pytest.approx(temperature, rel=0.2)
    assert fitted.shift == 0.0 and fitted.note == ""


def test_temperature_is_the_inverse_slope_of_a_logistic_regression() -> None:
    logits, labels = distorted("slope")
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=1000)
    slope = model.fit(logits[:, None], labels).coef_[0, 0]
    assert fit_temperature(logits, labels).scale == pytest.approx(slope, rel=1e-6)


def test_platt_approaches_the_plain_maximum_in_large_samples() -> None:
    logits, labels = distorted("platt", n=20_000, shift=0.7)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(logits[:, None], labels)
    fitted = fit_platt(logits, labels)
    assert fitted.scale == pytest.approx(model.coef_[0, 0], rel=2e-3)
    assert fitted.shift == pytest.approx(model.intercept_[0], abs=2e-3)
    assert fitted.shift == pytest.approx(0.7, abs=0.1)


def test_platt_solves_its_own_equations_exactly() -> None:
    logits, labels = distorted("equations", n=37)
    fitted = fit_platt(logits, labels)
    m, n = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (m + 1) / (m + 2), 1 / (n + 2))
    error = expit(fitted.apply(logits)) - targets
    assert abs(error.sum()) < 1e-9 and abs((error * logits).sum()) < 1e-8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 20.0))
def test_the_auc_is_untouched(seed: int, temperature: float) -> None:
    logits, labels = distorted(str(seed), n=200, temperature=temperature)
    before = auc_covariance(labels, logits).auc[0]
    for fit in (fit_temperature, fit_platt):
        assert auc_covariance(labels, fit(logits, labels).apply(logits)).auc[0] == before


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_temperature_scales_with_the_logits(seed: int, factor: float) -> None:
    logits, labels = distorted(str(seed), n=150)
    one, other = fit_temperature(logits, labels), fit_temperature(logits * factor, labels)
    assert other.temperature == pytest.approx(one.temperature * factor, rel=1e-9)


def test_separation_and_limits_are_flagged() -> None:
    separated = fit_temperature([-2.0, -1.0, 1.0, 3.0], [0, 0, 1, 1])
    assert separated.temperature == pytest.approx(LOWEST_TEMPERATURE)
    assert separated.note == SEPARATED
    rng = generator_for("weak")
    logits = 1e4 * rng.normal(size=2000)
    labels = (rng.random(2000) < expit(logits / 1e5)).astype(int)
    weak = fit_temperature(logits, labels)
    assert weak.temperature == pytest.approx(HIGHEST_TEMPERATURE) and weak.note == AT_UPPER_LIMIT
    assert np.isfinite(fit_platt([-2.0, -1.0, 1.0, 3.0], [0, 0, 1, 1]).scale)


@pytest.mark.parametrize("fit", [fit_temperature, fit_platt])
def test_a_reversed_model_fails_loudly(fit) -> None:
    logits, labels = distorted("reversed")
    with pytest.raises(StatisticsError, match="slope of the labels on the logits is not positive"):
        fit(-logits, labels)


@pytest.mark.parametrize("fit", [fit_temperature, fit_platt])
@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "no negative"),
        ([1.0, np.inf], [0, 1], "not a finite number"),
        ([1.0, 2.0], [0, 2], "neither 0 nor 1"),
        ([[1.0, 2.0], [1.0, 2.0]], [0, 1], "one arm"),
    ],
)
def test_bad_input_is_named(fit, logits, labels, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        fit(logits, labels)


def test_constant_logits_have_no_line() -> None:
    with pytest.raises(StatisticsError, match="all logits are equal"):
        fit_platt([1.0, 1.0, 1.0], [0, 1, 0])


def test_huge_logits_do_not_overflow() -> None:
    logits, labels = distorted("huge")
    small, large = fit_temperature(logits, labels), fit_temperature(logits * 40.0, labels)
    assert large.temperature == pytest.approx(40.0 * small.temperature, rel=1e-9)
    assert np.isfinite(fit_platt(logits * 1e6, labels).scale)


def test_many_fits_at_once_are_the_single_ones() -> None:
    sets = [distorted(f"batch{i}", n=40) for i in range(8)]
    z, y = (np.stack([part[i] for part in sets]) for i in (0, 1))
    scales, failed = temperatures_of(z, y.astype(bool))
    intercepts, slopes, no_line = platt_of(z, y.astype(bool))
    assert not failed.any() and not no_line.any()
    for i, (logits, labels) in enumerate(sets):
        assert scales[i] == pytest.approx(fit_temperature(logits, labels).scale, rel=1e-9)
        platt = fit_platt(logits, labels)
        assert (intercepts[i], slopes[i]) == pytest.approx((platt.shift, platt.scale), rel=1e-8)


def test_filled_rows_change_nothing() -> None:
    logits, labels = distorted("fill", n=30)
    padded = np.concatenate([logits, np.zeros(10)])[None]
    y = np.concatenate([labels, np.ones(10)]).astype(bool)[None]
    weights = np.concatenate([np.ones(30), np.zeros(10)])[None]
    assert temperatures_of(padded, y)[0][0] == pytest.approx(fit_temperature(logits, labels).scale)
    intercepts, slopes, _ = platt_of(padded, y, weights)
    platt = fit_platt(logits, labels)
    assert (intercepts[0], slopes[0]) == pytest.approx((platt.shift, platt.scale), rel=1e-8)


def test_prior_shift_moves_the_mean_risk_to_the_new_prevalence() -> None:
    rng = generator_for("prior")
    labels = np.repeat([1, 0], [20_000, 20_000])
    logits = 2.0 * (rng.normal(size=40_000) + np.where(labels == 1, 1.0, -1.0))
    keep = (labels == 0) | (rng.random(40_000) < 0.1)
    prevalence = labels[keep].mean()
    shifted = prior_shift(0.5, float(prevalence)).apply(logits[keep])
    assert expit(shifted).mean() == pytest.approx(prevalence, abs=0.004)
    assert expit(logits[keep]).mean() > prevalence + 0.05
    back = prior_shift(float(prevalence), 0.5)
    assert back.apply(shifted) == pytest.approx(logits[keep])
    with pytest.raises(StatisticsError, match="target prevalence is 1"):
        prior_shift(0.5, 1.0)


def test_folds_keep_patients_together_and_classes_spread() -> None:
    rng = generator_for("fold")
    patients = rng.integers(0, 60, 300)
    labels = (patients % 3 == 0).astype(int)
    folds = patient_folds(labels, generator_for("k"), patients=patients, folds=5)
    for patient in np.unique(patients):
        assert np.unique(folds[patients == patient]).size == 1
    positives = [np.unique(patients[(folds == f) & (labels == 1)]).size for f in range(5)]
    assert max(positives) - min(positives) <= 1


def test_cross_fitting_never_sees_the_patient_it_serves() -> None:
    logits, labels = distorted("cross", n=200)
    patients = np.arange(200) // 2
    result = cross_fit(logits, labels, fit_temperature, generator_for("x"), patients=patients)
    for fold, fitted in enumerate(result.maps):
        out = result.folds == fold
        assert fitted == fit_temperature(logits[~out], labels[~out])
        assert result.logits[out] == pytest.approx(fitted.apply(logits[out]))
    changed = labels.copy()
    first = result.folds == result.folds[0]
    changed[first] = 1 - changed[first]
    again = cross_fit(logits, changed, _identity_or_temperature, generator_for("x"))
    assert again.logits.size == 200


def _identity_or_temperature(logits, labels):
    try:
        return fit_temperature(logits, labels)
    except StatisticsError:
        return IDENTITY


def test_a_fold_that_fails_is_named() -> None:
    logits, labels = distorted("named", n=100)
    with pytest.raises(StatisticsError, match="fold 1 of 5: temperature"):
        cross_fit(-logits, labels, fit_temperature, generator_for("y"))
    with pytest.raises(StatisticsError, match="needs 5 patients with a positive case; there are 2"):
        cross_fit(logits[:9], [1, 1, 0, 0, 0, 0, 0, 0, 0], fit_temperature, generator_for("z"))
