from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    device_of,
    highest_birads,
    joined_lesion_types,
    pathology_of_birads,
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


@pytest.mark.parametrize(
    "text",
    [
        "GE MEDICAL SYSTEMS",
        "HOLOGIC, Inc.",
        "SIEMENS",
        "Senographe DS VERSION ADS_54.11",
        "Mammomat Inspiration",
        "MammoNovation",
        "Lorad Selenia",
        "Selenia Dimensions",
        "FUJIFILM Corporation",
        "FDR-3000AWS",
        "IMS GIOTTO S.p.A.",
        "Philips Medical Systems",
    ],
)
def test_makers_and_models_are_kept(text):
    assert device_of(text) == text


@pytest.mark.parametrize(
    "text", ["Doe Jane", "SIEMENS Doe^Jane", "Mammomat 1950-01-01 Smith", "Ng"]
)
def test_whatever_else_was_typed_there_is_not(text):
    device = device_of(text)
    assert re.fullmatch(r"device-[0-9a-f]{10}", device)
    assert device == device_of(text)
    assert device != device_of(f"{text} ")
    assert device_of(None) is None


@pytest.mark.parametrize(
    ("category", "malignant_from", "pathology"),
    [
        (None, "4", None),
        ("0", "4", None),
        ("1", "4", "normal"),
        ("3", "4", "benign"),
        ("4", "4", "malignant"),
        ("4a", "4b", "benign"),
        ("6", "5", "malignant"),
    ],
)
def test_what_a_category_is_taken_for(category, malignant_from, pathology):
    assert pathology_of_birads(category, malignant_from) == pathology
