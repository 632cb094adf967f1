from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk

from mammoshift.errors import StatisticsError
from mammoshift.statistics.confusion import (
    NO_CALLED_POSITIVE,
    PERFECT_CORRELATION,
    ConfusionMatrix,
    confusion_matrix,
    confusion_metrics,
)
from mammoshift.statistics.proportions import Estimate, mean_of_two, proportion, wilson_interval

counts = st.integers(0, 60)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_is_that_of_scipy(x: int, n: int) -> None:
    x = min(x, n)
    low, high = wilson_interval(x, n)
    expected = binomtest(x, n).proportion_ci(method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


def test_wilson_of_no_trial_is_undefined() -> None:
    low, high = wilson_interval([0, 1], [0, 2])
    assert np.isnan(low[0]) and np.isnan(high[0]) and low[1] > 0


@settings(max_examples=15, deadline=None)
@given(counts, counts, counts, counts)
def test_values_are_those_of_sklearn_or_undefined(tn: int, fp: int, fn: int, tp: int) -> None:
    found = confusion_metrics(ConfusionMatrix(tn, fp, fn, tp))
    y = np.repeat([0, 0, 1, 1], [tn, fp, fn, tp])
    called = np.repeat([0, 1, 0, 1], [tn, fp, fn, tp])
    expected = {
        "accuracy": (tn + fp + fn + tp, lambda: sk.accuracy_score(y, called)),
        "precision": (tp + fp, lambda: sk.precision_score(y, called)),
        "sensitivity": (tp + fn, lambda: sk.recall_score(y, called)),
        "specificity": (tn + fp, lambda: sk.recall_score(y, called, pos_label=0)),
        "npv": (tn + fn, lambda: sk.precision_score(y, called, pos_label=0)),
        "f1": (tp + fp + fn, lambda: sk.f1_score(y, called)),
        "balanced_accuracy": (
            (tp + fn) * (tn + fp),
            lambda: sk.balanced_accuracy_score(y, called),
        ),
        "mcc": (
            (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn),
            lambda: sk.matthews_corrcoef(y, called),
        ),
    }
    for name, (denominator, value) in expected.items():
        estimate: Estimate = getattr(found, name)
        if denominator == 0:
            assert estimate.value is None and "undefined" in estimate.note
        else:
            assert estimate.value == pytest.approx(value(), abs=1e-12)
            if estimate.ci_low is not None and estimate.ci_high is not None:
                assert estimate.ci_low <= estimate.value <= estimate.ci_high


def test_a_classifier_that_never_calls_has_no_precision() -> None:
    found = confusion_metrics(ConfusionMatrix(90, 0, 10, 0))
    assert found.precision == Estimate(None, note=NO_CALLED_POSITIVE)
    assert found.mcc.value is None
    assert found.sensitivity.value == 0.0 and found.f1.value == 0.0


def test_a_perfect_correlation_has_no_delta_interval() -> None:
    found = confusion_metrics(ConfusionMatrix(9, 0, 0, 5))
    assert found.mcc == Estimate(1.0, note=PERFECT_CORRELATION)
    assert found.sensitivity.ci_high == 1.0 and found.sensitivity.ci_low < 0.8


def test_mover_of_two_equal_proportions() -> None:
    one = proportion(40, 50, empty="")
    both = mean_of_two(one, one)
    assert both.value == pytest.approx(0.8)
    assert both.value - both.ci_low == pytest.approx((0.8 - one.ci_low) / np.sqrt(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConfusionMatrix(1, -1, 0, 0), "fp is -1"),
        (lambda: confusion_matrix([0, 1], [0, 2]), "case 1"),
        (lambda: confusion_matrix([0, 1], [0]), "must agree"),
        (lambda: confusion_matrix([0, 3], [0, 1]), "neither 0 nor 1"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()
