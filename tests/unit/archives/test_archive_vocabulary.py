from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    highest_birads,
    joined_lesion_types,
    side_of,
    view_of,
    whole_years,
    worst_pathology,
)
from mammoshift.contracts.vocabulary import BIRADS, LATERALITIES, PATHOLOGIES, VIEWS


@pytest.mark.parametrize(
    ("text", "side"), [("L", "left"), ("RIGHT ", "right"), ("RT", "right"), ("B", None), ("", None)]
)
def test_sides(text, side):
    assert side_of(text) == side


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("CC", "CC"),
        ("mlo", "MLO"),
        ("cranio-caudal", "CC"),
        ("medio-lateral oblique", "MLO"),
        ("medio-lateral", "ML"),
        ("FB", "other"),
        ("A\\R", None),
    ],
)
def test_views(text, view):
    assert view_of(text) == view


@pytest.mark.parametrize(
    ("text", "density"),
    [("1", "a"), ("4", "d"), ("ACR B", "b"), ("Density C", "c"), ("0", None), ("_", None)],
)
def test_densities(text, density):
    assert density_of(text) == density


@pytest.mark.parametrize(("text", "category"), [("4A", "4a"), ("BI-RADS 5", "5"), ("7", None)])
def test_birads(text, category):
    assert birads_of(text) == category


@given(st.lists(st.sampled_from([*BIRADS, None])))
def test_the_highest_category_is_not_below_any(categories):
    highest = highest_birads(categories)
    known = [c for c in categories if c]
    assert highest in (known or [None])
    assert all(BIRADS.index(c) <= BIRADS.index(str(highest)) for c in known)


def test_the_worst_pathology_counts():
    assert worst_pathology(["benign", "malignant", None, "normal"]) == "malignant"
    assert worst_pathology(["normal", "benign"]) == "benign"
    assert worst_pathology([None]) is None


def test_lesion_types_are_sorted_and_checked():
    assert joined_lesion_types(["mass", "calcification", "mass"]) == "calcification+mass"
    assert joined_lesion_types([]) is None
    with pytest.raises(ValueError, match="lump"):
        joined_lesion_types(["lump"])


@pytest.mark.parametrize(
    ("text", "age"), [("044Y", 44), ("44.0", 44), ("121", None), ("006M", None), ("", None)]
)
def test_ages(text, age):
    assert whole_years(text) == age


@given(st.text())
def test_any_text_maps_into_the_vocabulary(text):
    assert side_of(text) in (*LATERALITIES, None)
    assert view_of(text) in (*VIEWS, None)
    assert density_of(text) in (*"abcd", None)
    assert worst_pathology([]) not in PATHOLOGIES
