"""Label-free prior shift, and the maps with more freedom than a line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mammoshift.errors import StatisticsError
from mammoshift.statistics.flexible_recalibration import fit_beta, fit_isotonic
from mammoshift.statistics.prior_shift import estimate_prior_shift
from mammoshift.statistics.recalibration import fit_platt
from mammoshift.statistics.seeding import generator_for


def sample(rng: np.random.Generator, n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.random(n) < share
    return rng.normal(size=n) + 1.5 * labels, labels.astype(int)


def test_the_share_is_the_fixed_point_of_expectation_and_maximisation() -> None:
    rng = generator_for("em", "fixed-point")
    x, y = sample(rng, 600, 0.4)
    z, _ = sample(rng, 500, 0.1)
    found = estimate_prior_shift(x, y, z)
    line = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(x[:, None], y)
    p = line.predict_proba(z[:, None])[:, 1]
    source, share = y.mean(), 0.5
    for _ in range(3000):
        odds = p / (1 - p) * (share / source) / ((1 - share) / (1 - source))
        share = float(np.mean(odds / (1 + odds)))
    assert found.prevalence == pytest.approx(share, abs=1e-5)
    moved = expit(found.map.apply(z))
    assert moved.mean() == pytest.approx(found.prevalence, abs=1e-9)


def test_the_interval_covers_and_the_mixture_is_kept_under_label_shift() -> None:
    rng = generator_for("em", "coverage")
    covered = contradicted = 0
    for _ in range(200):
        found = estimate_prior_shift(*sample(rng, 500, 0.4), sample(rng, 400, 0.15)[0])
        assert found.ci_low is not None and found.ci_high is not None and found.fit is not None
        covered += found.ci_low <= 0.15 <= found.ci_high
        contradicted += found.fit.p < 0.05
    assert 0.90 <= covered / 200 <= 0.99
    assert contradicted / 200 <= 0.10


def test_moved_scores_contradict_label_shift() -> None:
    rng = generator_for("em", "moved")
    x, y = sample(rng, 800, 0.4)
    z = 0.5 * sample(rng, 800, 0.4)[0] + 1.0
    found = estimate_prior_shift(x, y, z)
    assert found.fit is not None and found.fit.p < 1e-4
    assert "more than the prevalence has changed" in found.note


def test_a_share_at_its_limit_has_no_interval() -> None:
    rng = generator_for("em", "limit")
    x, y = sample(rng, 400, 0.5)
    found = estimate_prior_shift(x, y, rng.normal(size=300) - 3.0)
    assert found.prevalence < 1e-5 and found.ci_low is None
    assert "no interval" in found.note
    with pytest.raises(StatisticsError, match="separate the source's classes"):
        estimate_prior_shift([-1.0, -2.0, 1.0, 2.0], [0, 0, 1, 1], x)
    with pytest.raises(StatisticsError, match="do not go with positive labels"):
        estimate_prior_shift(-x, y, x)


def test_classes_that_fill_the_bins_alike_have_no_test_of_the_mixture() -> None:
    x = np.concatenate([np.linspace(-1.0, 1.0, 200), np.linspace(-1.0, 1.0, 200)])
    y = np.repeat([0, 1], 200)
    x[-1] += 1.0
    z = generator_for("em", "alike").uniform(-1.0, 1.0, 300)
    with np.errstate(all="raise"):
        assert estimate_prior_shift(x, y, z).fit is None


def test_beta_agrees_with_a_logistic_regression_on_its_two_features() -> None:
    rng = generator_for("beta")
    x, y = sample(rng, 3000, 0.3)
    # A distortion that no line repairs: log-odds are steeper where the model says "healthy".
    z = np.where(x > 0, x, 3.0 * x)
    found = fit_beta(z, y)
    p = expit(z)
    features = np.column_stack([np.log(p), -np.log1p(-p)])
    expected = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(features, y)
    assert [found.a, found.b] == pytest.approx(expected.coef_[0].tolist(), rel=1e-3)
    assert found.shift == pytest.approx(expected.intercept_[0], rel=1e-3)
    assert (np.diff(found.apply(np.sort(z))) >= 0).all()

    def nll(logits: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0.0, logits) - y * logits))

    assert nll(found.apply(z)) < nll(fit_platt(z, y).apply(z))


def test_a_beta_map_never_falls() -> None:
    rng = generator_for("beta", "held")
    y = np.repeat([0, 1], 400)
    z = np.concatenate([rng.normal(-2.0, 3.0, 400), rng.normal(2.0, 0.4, 400)])
    found = fit_beta(z, y)
    assert min(found.a, found.b) >= 0.0
    assert (np.diff(found.apply(np.sort(z))) >= 0).all()
    with pytest.raises(StatisticsError, match="do not go with positive labels"):
        fit_beta(-z, y)


def test_isotonic_is_scikit_learns_within_its_limits() -> None:
    rng = generator_for("isotonic")
    x, y = sample(rng, 1500, 0.3)
    found = fit_isotonic(x, y)
    plain = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    edge = 1.0 / (x.size + 2.0)
    expected = np.clip(plain.predict(x), edge, 1.0 - edge)
    np.testing.assert_allclose(expit(found.apply(x)), expected, atol=1e-9)
    assert np.isfinite(found.apply([-1e9, 1e9])).all()
    assert found.apply([-1e9])[0] == pytest.approx(float(logit(edge)))
