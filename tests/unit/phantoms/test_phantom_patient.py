from __future__ import annotations

from collections import Counter

import pytest

from mammoshift.configuration.dataset import DensityShares, Population
from mammoshift.errors import ConfigurationError
from mammoshift.phantoms.outline import geometry_of, project_lesion
from mammoshift.phantoms.patient import CaseMix, Patient, draw_patient, other_side

MIX = CaseMix(mass=0.5, calcification=0.3, both=0.2, normals=True)


def draw(count: int, population: Population | None = None, mix: CaseMix = MIX) -> list[Patient]:
    chosen = population or Population()
    return [draw_patient(7, number, chosen, mix) for number in range(1, count + 1)]


def test_shares_of_the_population_are_met() -> None:
    patients = draw(1500, Population(malignant=0.3, benign=0.5))
    pathology = Counter(patient.pathology for patient in patients)
    assert pathology["malignant"] / 1500 == pytest.approx(0.3, abs=0.04)
    assert pathology["benign"] / 1500 == pytest.approx(0.5, abs=0.04)
    density = Counter(patient.density for patient in patients)
    assert density["b"] / 1500 == pytest.approx(0.4, abs=0.04)
    assert density["d"] / 1500 == pytest.approx(0.1, abs=0.03)


def test_a_layout_without_normals_has_none() -> None:
    mix = CaseMix(mass=0.5, calcification=0.5, both=0.0, normals=False)
    patients = draw(300, Population(malignant=0.2, benign=0.2), mix)
    pathology = Counter(patient.pathology for patient in patients)
    assert pathology["normal"] == 0
    assert pathology["malignant"] / 300 == pytest.approx(0.5, abs=0.1)


def test_another_population_changes_only_whom_it_concerns() -> None:
    before = draw(200)
    after = draw(200, Population(density=DensityShares(a=0.2, b=0.3, c=0.4, d=0.1)))
    for old, new in zip(before, after, strict=True):
        assert (old.pathology, old.main_side, old.depth_mm, old.beta) == (
            new.pathology,
            new.main_side,
            new.depth_mm,
            new.beta,
        )
    changed = sum(old.density != new.density for old, new in zip(before, after, strict=True))
    assert changed / 200 == pytest.approx(0.1, abs=0.06)


def test_lesions_lie_in_the_breast_at_the_same_depth_in_both_views() -> None:
    for patient in draw(150):
        for lesion in patient.lesions:
            sites = {}
            for view in ("CC", "MLO"):
                geometry = geometry_of(patient, lesion.side, view)
                sites[view] = project_lesion(lesion, geometry)
                assert 0 < sites[view].column_mm < geometry.depth_mm
                offset = abs(sites[view].row_mm - geometry.nipple_mm)
                assert offset < geometry.half_height_mm
            ratio = sites["CC"].column_mm / sites["MLO"].column_mm
            assert ratio == pytest.approx(1.0, abs=0.2)


def test_a_bilateral_patient_has_lesions_in_both_breasts() -> None:
    mix = CaseMix(mass=1.0, calcification=0.0, both=0.0, normals=False, bilateral=True)
    patient = draw(1, mix=mix)[0]
    assert patient.lesions_of(patient.main_side)
    assert patient.pathology_of(other_side(patient.main_side)) == "benign"
    assert patient.pathology_of(patient.main_side) == patient.pathology


@pytest.mark.parametrize(
    ("population", "normals", "word"),
    [
        (Population(malignant=0.0, benign=0.0), False, "no normal"),
        (Population(density=DensityShares(a=0, b=0, c=0, d=0)), True, "density"),
    ],
)
def test_an_empty_population_is_refused(population: Population, normals: bool, word: str) -> None:
    mix = CaseMix(mass=1.0, calcification=0.0, both=0.0, normals=normals)
    with pytest.raises(ConfigurationError, match=word):
        draw_patient(1, 1, population, mix)


def test_knobs_of_the_population_leave_every_label_as_it_is() -> None:
    kinds = {
        "malignant": {"mass": 0.0, "calcification": 0.2},
        "benign": {"mass": 1.0, "calcification": 0.0},
    }
    before, after = (
        draw(300, population)
        for population in (
            Population(),
            Population.model_validate({"lesion_size": 0.5, "age_shift": -8.0, "kinds": kinds}),
        )
    )
    assert [p.pathology for p in before] == [p.pathology for p in after]
    assert [p.density for p in before] == [p.density for p in after]
    kinds_of = {
        p: {k for q in after if q.pathology == p for k in q.kinds_of(q.main_side)}
        for p in ("malignant", "benign", "normal")
    }
    assert kinds_of == {"malignant": {"calcification"}, "benign": {"mass"}, "normal": set()}
    ages = [new.age - old.age for old, new in zip(before, after, strict=True) if 35 < old.age < 86]
    assert set(ages) == {-8}
    same_kind = [
        (old.lesions[0].radius_mm, new.lesions[0].radius_mm)
        for old, new in zip(before, after, strict=True)
        if old.lesions and old.lesions[0].kind == new.lesions[0].kind
    ]
    assert same_kind
    assert all(new == pytest.approx(old / 2) for old, new in same_kind)


def test_kinds_without_any_share_are_refused() -> None:
    with pytest.raises(ValueError, match="all shares are zero; make one positive"):
        Population.model_validate({"kinds": {"benign": {"mass": 0, "calcification": 0}}})
