"""The numbers of the four publications, and what follows from them by arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from mammoshift.configuration.load import read_yaml
from mammoshift.configuration.published import PublishedNumber, PublishedStudy

FOLDER = Path(__file__).parents[3] / "config" / "studies" / "published"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read(name: str) -> PublishedStudy:
    return TypeAdapter(PublishedStudy).validate_python(read_yaml(FOLDER / f"{name}.yaml"))


def values(name: str, **wanted: object) -> list[float | None]:
    return [
        number.value
        for number in read(name).numbers
        if all(getattr(number, key) == value for key, value in wanted.items())
    ]


def test_there_is_one_file_for_each_of_the_four_studies() -> None:
    assert FILES == ["cem_mask", "cross_sensor", "domain_adaptation", "microcalcification"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_well_formed_and_says_where_each_number_stands(name: str) -> None:
    study = read(name)
    assert study.numbers
    assert study.contradictions
    assert all(number.page.strip() and number.what.strip() for number in study.numbers)
    for number in study.numbers:
        if number.low is not None and number.value is not None:
            assert number.low <= number.value <= number.high


def test_a_number_needs_a_value_or_a_range() -> None:
    with pytest.raises(ValidationError, match="give a value, or low and high"):
        PublishedNumber(page="1", what="nothing", metric="auc")
    with pytest.raises(ValidationError, match="low and high belong together"):
        PublishedNumber(page="1", what="half", metric="auc", value=1.0, low=0.5)


@pytest.mark.parametrize(("micrometres", "total"), [(50, 30154), (70, 53102), (100, 4350)])
def test_table_4_adds_up_and_rounds_within_one_patch(micrometres: int, total: int) -> None:
    domain = f"mexbreast_{micrometres}"
    sizes = [
        values("microcalcification", page="Table 4", domain=domain, metric="n_pos", subset=subset)
        for subset in ("train", "validation", "test")
    ]
    counts = [size[0] or 0 for size in sizes]
    assert 2 * sum(counts) == total
    for share, count in zip((0.64, 0.16, 0.20), counts, strict=True):
        assert abs(share * sum(counts) - count) <= 1


def test_table_7_adds_up() -> None:
    def parameters(part: str) -> float:
        return values("microcalcification", what=f"parameters, {part}")[0] or 0

    parts = ("backbone", "flatten", "fully connected layer", "output")
    assert sum(map(parameters, parts)) == parameters("total") == 67_797_505
    assert parameters("trainable") + parameters("not trainable") == parameters("total")


def test_the_split_of_the_clinic_is_of_whole_patients() -> None:
    images = [
        values("domain_adaptation", domain="clinic", subset=subset, metric="n")[0] or 0
        for subset in ("train", "validation", "test")
    ]
    assert sum(images) == 1528 == 4 * 382
    assert [count / 4 for count in images] == [266, 38, 78]


def test_714_is_a_fifth_of_the_lesion_rows_of_cbis_ddsm() -> None:
    assert values("cross_sensor", domain="cbis_ddsm", metric="n") == [round(3568 / 5)]
