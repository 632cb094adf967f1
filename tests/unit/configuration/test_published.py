"""The numbers of the four publications, and what follows from them by arithmetic."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.stats import hypergeom

from mammoshift.cases.splits._shuffled import shuffled_subsets
from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.configuration.published import PublishedNumber, PublishedStudy
from mammoshift.configuration.resolved import network_arms
from mammoshift.configuration.shares import Shares

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


@pytest.mark.parametrize("name", FILES)
def test_every_number_is_of_an_arm_that_the_study_judges_there(name: str) -> None:
    root = FOLDER.parents[2]
    study = load_project(read_yaml(root / "config" / "paper.yaml"), root).studies[name]
    for number in read(name).numbers:
        if number.domain is not None:
            assert number.domain in study.domains
        if number.arm is not None:
            assert number.arm in study.arms
            if number.domain is not None:
                assert number.domain in study.judged_on(number.arm), number


def test_the_counts_of_inbreast_follow_from_two_rules_and_not_from_five_symmetries() -> None:
    (patches,) = values("microcalcification", domain="inbreast_70", metric="n", subset=None)
    (trained,) = values("microcalcification", domain="inbreast_70", metric="n", subset="train")
    assert patches is not None
    of_class = int(patches) // 2
    rest = of_class - int(0.16 * of_class) - int(0.20 * of_class)
    assert 2 * rest == trained == 10_088
    at_50 = values("microcalcification", page="Table 4", domain="mexbreast_50", metric="n_pos")
    assert at_50 == [15_077 - int(0.16 * 15_077) - int(0.20 * 15_077), 2412, 3015]
    distinct = 1970
    assert 4 * distinct == of_class
    assert 2 * 4 * round(0.64 * distinct) == trained
    assert trained % 5 != 0


def test_714_is_what_a_split_of_the_lesion_rows_gives(shared_data: Path) -> None:
    tables = sorted((shared_data / "metadata" / "cbis-ddsm").glob("*.csv"))
    rows = pd.concat([pd.read_csv(path) for path in tables], ignore_index=True)
    assert values("cross_sensor", domain="cbis_ddsm", metric="n") == [714]
    shares = Shares(train=0.8, validation=0.2, test=0.0)

    def held_out(names: pd.Series) -> pd.Series:
        subsets = shuffled_subsets(names, shares, seed=0)
        return pd.Series([subset == ("validation",) for subset in subsets])

    by_row = held_out(rows.index.to_series().astype(str))
    assert (len(rows), int(by_row.sum())) == (3568, 714)
    images = rows["image file path"].str.split("/").str[0]
    by_image = held_out(images.drop_duplicates())
    assert (len(by_image), int(by_image.sum())) == (3103, 621)
    patients = set(rows.loc[~by_row, "patient_id"])
    assert rows.loc[by_row, "patient_id"].isin(patients).mean() > 0.5
    density = rows["breast_density"].fillna(rows["breast density"])
    assert int((density == 4).sum()) == 554
    assert hypergeom.sf(139, 3568, 554, 714) < 0.001


def test_1032_is_no_subset_of_cmmd_by_one_or_two_of_its_columns(shared_data: Path) -> None:
    path = shared_data / "metadata" / "cmmd" / "CMMD_clinicaldata_revision.xlsx"
    breasts = pd.read_excel(path).assign(part=lambda table: table["ID1"].str[:2])
    columns = ["part", "LeftRight", "abnormality", "classification", "subtype"]
    published = values("cross_sensor", domain="cmmd", metric="n")[0]
    assert len(breasts) == 1872
    for pair in itertools.combinations(columns, 2):
        for by in (list(pair), [pair[0]], [pair[1]]):
            groups = breasts.groupby(by, dropna=False)["ID1"]
            sizes = groups.agg(["size", "nunique"])
            assert published not in {*sizes["size"], *(2 * sizes["size"]), *sizes["nunique"]}


def test_end2end_gets_intensities_of_the_scale_that_its_first_weights_were_trained_on() -> None:
    root = FOLDER.parents[2]
    project = load_project(read_yaml(root / "config" / "paper.yaml"), root)
    scale = {"vgg16": (0.229, 0.224, 0.225), "end2end_vgg16": (1 / 255,) * 3}
    scale["end2end_vgg16_inbreast"] = scale["end2end_vgg16"]
    arms = network_arms(project.studies["domain_adaptation"])
    assert {arm.backbone for arm in arms.values()} == set(scale)
    for arm in arms.values():
        shown = project.backbones[arm.backbone].normalised(arm.normalisation)
        assert shown.std == pytest.approx(scale[arm.backbone], rel=1e-4), arm.name
