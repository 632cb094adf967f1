"""Numbers as text: rounding, signs, intervals, p values and nulls."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.report.formatting import (
    counted,
    format_estimate,
    format_number,
    format_p,
    format_share,
    joined,
    missing,
    p_phrase,
    typographic,
)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "<0.001"),
        (0.00099, "<0.001"),
        (0.001, "0.001"),
        (0.0314, "0.031"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.4567, "0.46"),
        (0.991, ">0.99"),
        (1.0, ">0.99"),
    ],
)
def test_p_values_have_the_usual_precision(p: float, text: str) -> None:
    assert format_p(p) == text


def test_a_phrase_of_p_has_one_relation() -> None:
    assert p_phrase(0.0002) == "p < 0.001"
    assert p_phrase(0.04) == "p = 0.040"


def test_an_interval_is_written_with_a_dash_or_with_words_where_it_can_be_negative() -> None:
    assert format_estimate(0.81, 0.76, 0.85, decimals=2) == "0.81 (0.76-0.85)"
    assert format_estimate(0.03, -0.01, 0.07, decimals=2) == "0.03 (-0.01 to 0.07)"
    assert format_estimate(0.03, 0.01, 0.07, decimals=2, signed=True) == "0.03 (0.01 to 0.07)"


def test_a_value_without_limits_stands_alone() -> None:
    assert format_estimate(0.5, None, math.nan) == "0.500"


def test_a_null_gives_its_reason() -> None:
    assert format_estimate(math.nan, None, None, reason="one class") == "not computed: one class"
    assert format_p(None) == missing("")
    assert "no reason" in missing(" ")


def test_a_negative_number_that_rounds_to_zero_has_no_sign() -> None:
    assert format_number(-0.0004) == "0.000"
    assert format_number(-0.0006) == "-0.001"


def test_typography_changes_ranges_and_signs_but_not_names() -> None:
    assert typographic("-0.031 (-0.062 to 0.001)") == "\u22120.031 (\u22120.062 to 0.001)"
    assert typographic("0.81 (0.76-0.85)") == "0.81 (0.76\u20130.85)"
    assert typographic("resnet-a re-estimated") == "resnet-a re-estimated"


def test_words_agree_with_their_number() -> None:
    assert counted(1, "arm") == "1 arm"
    assert counted(1200, "arm") == "1,200 arms"
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert format_share(3, 0) == "3"
    assert format_share(41, 124) == "41 (33%)"


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 4))
def test_no_number_is_ever_written_as_nan(value: float, decimals: int) -> None:
    text = format_number(value, decimals)
    assert "nan" not in text.lower()
    assert text == missing("") if math.isnan(value) else not text.startswith("-0.0000000")
