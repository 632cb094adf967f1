from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mammoshift.cases.make import make_cases
from mammoshift.cases.tasks import TASKS, class_names
from mammoshift.configuration.domain import (
    FILTER_VALUES,
    DomainSettings,
    FilterColumn,
    check_domains,
    folds_of,
    same_patient_groups,
)
from mammoshift.contracts import manifest as contract
from mammoshift.contracts.cases import CASES_SCHEMA, read_cases, write_cases
from mammoshift.contracts.vocabulary import DENSITIES
from mammoshift.errors import ConfigurationError, TableError


def manifest(dataset: str, rows: list[dict]) -> pd.DataFrame:
    """A manifest of rows that say only what differs from a normal right CC film."""
    empty = dict.fromkeys(contract.MANIFEST_SCHEMA.names)
    usual = {"laterality": "right", "view": "CC", "pathology": "normal", "dataset": dataset}
    return pd.DataFrame([{**empty, **usual, **row} for row in rows])


def four_films(**columns: list) -> pd.DataFrame:
    rows = [
        {"image_id": "a1", "patient_id": "A", "pathology": "malignant", "density": "d"},
        {"image_id": "a2", "patient_id": "A", "laterality": "left", "pathology": "benign"},
        {"image_id": "b1", "patient_id": "B", "view": "MLO", "density": "b", "age": 50},
        {"image_id": "u1", "patient_id": None, "pathology": "benign", "age": 70},
    ]
    return manifest("m", rows).assign(density_scale=["mias", None, "birads", None], **columns)


def cases_of(table: pd.DataFrame, items=None, annotations=None, **settings) -> pd.DataFrame:
    domain = DomainSettings.model_validate({"dataset": "m", **settings})
    wrapped = None if items is None else {"m": items}
    marks = {} if annotations is None else {"m": annotations}
    return make_cases("d", domain, {"m": table}, marks, wrapped, {})[0].set_index("case_id")


def test_whole_images_of_a_judged_domain(tmp_path: Path) -> None:
    cases = cases_of(four_films())
    assert cases["label"].to_dict() == {"a1": 1, "a2": 0, "b1": 0, "u1": 0}
    assert cases["subsets"].tolist() == [("target",)] * 4
    assert cases.loc["a1", "density"] == "mias_d"
    assert cases.loc["b1", "density"] == "b"
    assert cases["box_left"].isna().all()
    assert (cases["unit_id"] == cases.index).all()
    assert set(cases["domain"]) == {"d"}
    write_cases(cases.reset_index(), tmp_path / "cases.parquet")
    again = read_cases(tmp_path / "cases.parquet")
    assert again["age"].tolist()[2:] == [50.0, 70.0]
    assert list(again.columns) == CASES_SCHEMA.names


def test_images_without_a_label_are_left_out_and_counted() -> None:
    table = four_films()
    domain = DomainSettings.model_validate({"dataset": "m", "task": "malignant_vs_benign"})
    cases, notes = make_cases("d", domain, {"m": table}, {}, None, {})
    assert cases["case_id"].tolist() == ["a1", "a2", "u1"]
    assert notes == ("m: 1 images have no label for malignant_vs_benign",)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"view": ["MLO"]}, ["b1"]),
        ({"density": ["mias_d"]}, ["a1"]),
        ({"age": {"minimum": 50}}, ["b1", "u1"]),
        ({"age": {"minimum": 40, "maximum": 60}}, ["b1"]),
        ({"age": [70]}, ["u1"]),
        ({"lesion_types": ["mass"]}, ["a1", "a2"]),
        ({"lesion_types": ["mass"], "laterality": ["right"]}, ["a1"]),
    ],
)
def test_filters(wanted: dict, kept: list[str]) -> None:
    table = four_films(lesion_types=["calcification+mass", "mass", None, "other"])
    assert cases_of(table, filter=wanted).index.tolist() == kept


def test_a_filter_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="domain d: no image passes"):
        cases_of(four_films(), filter={"view": ["AT"]})


def test_units_and_their_labels() -> None:
    breasts = cases_of(four_films(), unit="breast")
    assert breasts["unit_id"].tolist() == ["A/right", "A/left", "B/right", "u1"]
    assert breasts["unit_label"].tolist() == [1, 0, 0, 0]
    patients = cases_of(four_films(), unit="patient")
    assert patients["unit_id"].tolist() == ["A", "A", "B", "u1"]
    assert patients["unit_label"].tolist() == [1, 1, 0, 0]
    assert patients["label"].tolist() == [1, 0, 0, 0]
    stated = four_films(patient_pathology=["benign", "benign", "malignant", "malignant"])
    assert cases_of(stated, unit="patient")["unit_label"].tolist() == [0, 0, 1, 0]


def test_a_lone_image_must_not_have_the_name_of_a_patient() -> None:
    table = four_films(image_id=["a1", "a2", "b1", "A"])
    with pytest.raises(TableError, match="has the name of a patient"):
        cases_of(table, unit="patient")


def test_a_domain_of_two_datasets_keeps_their_names_apart() -> None:
    domain = DomainSettings.model_validate({"datasets": ["m", "n"]})
    tables = {"m": four_films(pair_id=["1"] * 4), "n": four_films(dataset="n")}
    cases, _ = make_cases("d", domain, tables, {}, None, {})
    assert len(cases) == 8
    assert cases["case_id"].is_unique
    first = cases.set_index("case_id").loc["m/a1"]
    assert (first["patient_id"], first["item_id"], first["pair_id"]) == ("m/A", "a1", "m/1")
    assert cases.set_index("case_id").loc["n/u1", "patient_id"] is None or pd.isna(
        cases.set_index("case_id").loc["n/u1", "patient_id"]
    )


def test_the_split_is_that_of_the_settings() -> None:
    rows = [
        {"image_id": f"i{n}", "patient_id": f"p{n}", "pathology": ("benign", "malignant")[n % 2]}
        for n in range(60)
    ]
    cases = cases_of(manifest("m", rows), split="patient_stratified")
    assert {s[0] for s in cases["subsets"]} == {"train", "validation", "test"}
    with pytest.raises(ConfigurationError, match="domain d: split matched_pairs"):
        cases_of(manifest("m", rows), split="matched_pairs")


def test_balanced_classes_are_drawn_by_name_alone() -> None:
    rows = [
        {"image_id": f"i{n}", "patient_id": f"p{n}", "pathology": ("benign", "malignant")[n < 7]}
        for n in range(40)
    ]
    cases = cases_of(manifest("m", rows), balance="classes")
    assert cases["label"].value_counts().to_dict() == {0: 7, 1: 7}
    again = cases_of(manifest("m", rows[::-1]), balance="classes")
    assert list(cases.index) == list(again.index)
    fewer = cases_of(
        manifest("m", [row for row in rows if row["image_id"] != "i39"]), balance="classes"
    )
    assert len(set(fewer.index) ^ set(cases.index)) <= 2
    with pytest.raises(ValidationError, match="balance draws cases"):
        DomainSettings.model_validate({"dataset": "m", "unit": "patient", "balance": "classes"})


PATCHES = pd.DataFrame(
    [
        (f"{image}_{x}_{y}", image, x, y, x + 100, y + 100)
        for image in ("a1", "b1")
        for x in (0, 100)
        for y in (0, 100)
    ],
    columns=["item_id", "image_id", "box_left", "box_top", "box_right", "box_bottom"],
)


def annotation(shape: str, points: list | None, radius: float | None = None, **rest) -> dict:
    usual = {"annotation_id": "x", "image_id": "a1", "dataset": "m", "lesion_type": "calcification"}
    return {**usual, "shape": shape, "points": points, "radius": radius, **rest}


@pytest.mark.parametrize(
    ("mark", "positive"),
    [
        (annotation("box", [10, 10, 20, 20]), ["0_0"]),
        (annotation("box", [10, 99, 20, 100]), ["0_0", "0_100"]),
        (annotation("mask", [150, 150, 160, 160]), ["100_100"]),
        (annotation("circle", [105, 105], 4.0), ["100_100"]),
        (annotation("circle", [105, 105], 8.0), ["0_0", "0_100", "100_0", "100_100"][1:]),
        (annotation("polygon", [30, 30]), ["0_0"]),
        (annotation("polygon", [5, 180, 180, 5]), ["0_0", "0_100", "100_0"]),
        # Its bounding box holds all patches, its corner of the fourth is cut off.
        (annotation("polygon", [0, 0, 199, 0, 0, 199]), ["0_0", "0_100", "100_0"]),
        (annotation("polygon", [-9, -9, 500, -9, 500, 500, -9, 500]), "all"),
        (annotation("box", [10, 10, 20, 20], lesion_type="mass"), []),
        (annotation("box", [10, 10, 20, 20], image_id="elsewhere"), []),
    ],
)
def test_patches_are_labelled_from_regions(mark: dict, positive: list[str] | str) -> None:
    cases = cases_of(
        four_films(),
        PATCHES,
        pd.DataFrame([mark]),
        unit="patch",
        patches={},
        task="calcification_vs_rest",
    )
    assert len(cases) == 8
    wanted = ["0_0", "0_100", "100_0", "100_100"] if positive == "all" else positive
    found = cases.index[cases["label"] == 1].tolist()
    assert found == [f"a1_{name}" for name in wanted]
    assert cases.loc["b1_100_0", ["box_left", "box_bottom"]].tolist() == [100, 100]
    assert cases.loc["a1_0_0", "patient_id"] == "A"


def test_patches_of_an_image_task_have_the_label_of_the_image() -> None:
    cases = cases_of(four_films(), PATCHES, unit="patch", patches={})
    assert cases.groupby("image_id")["label"].unique().map(list).to_dict() == {"a1": [1], "b1": [0]}


def test_images_are_labelled_from_annotations_too() -> None:
    marks = pd.DataFrame([annotation("mask", None), annotation("box", None, image_id="u1")])
    assert cases_of(four_films(), None, marks, task="lesion_vs_rest")["label"].tolist() == [
        1,
        0,
        0,
        1,
    ]


def test_what_a_patch_task_lacks_is_said() -> None:
    settings = {"unit": "patch", "patches": {}, "task": "lesion_vs_rest"}
    with pytest.raises(ConfigurationError, match="m has none"):
        cases_of(four_films(), PATCHES, **settings)
    with pytest.raises(TableError, match="annotation x of image a1 has no points"):
        cases_of(four_films(), PATCHES, pd.DataFrame([annotation("mask", None)]), **settings)
    strange = PATCHES.assign(image_id="z9")
    with pytest.raises(TableError, match="not in the manifest"):
        cases_of(four_films(), strange, pd.DataFrame([annotation("box", [1, 1])]), **settings)


# The vocabulary of the settings


def test_filters_know_the_columns_of_the_manifest() -> None:
    columns = set(FilterColumn.__args__)  # type: ignore[attr-defined]
    not_filtered = {"image_id", "dataset", "path", "content_key"}
    assert columns | not_filtered == set(contract.MANIFEST_SCHEMA.names)
    assert {d[-1] for d in FILTER_VALUES["density"]} == set(DENSITIES)


def test_short_forms_are_the_long_ones() -> None:
    short = DomainSettings.model_validate(
        {"dataset": "m", "split": "k_fold", "filter": {"birads": [4, "5"], "view": "CC"}}
    )
    long = DomainSettings.model_validate(
        {
            "datasets": ["m"],
            "split": {"method": "k_fold"},
            "filter": {"birads": ["4", "5"], "view": ["CC"]},
        }
    )
    assert short == long
    assert (short.leak, short.needs) == (None, ())
    assert DomainSettings(dataset="m", split="by_row").leak == "by_row"  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dataset": "m", "datasets": ["m"]}, "not both"),
        ({"datasets": ["m", "m"]}, "more than once"),
        ({"dataset": "m", "split": "kfold"}, "'k_fold'"),
        ({"dataset": "m", "split": {"method": "k_fold", "fold": 3}}, "Extra inputs"),
        ({"dataset": "m", "split": {"method": "k_fold", "stratify_by": ["colour"]}}, "'density'"),
        ({"dataset": "m", "filter": {"viw": ["CC"]}}, "'view'"),
        ({"dataset": "m", "filter": {"view": ["cc"]}}, "'cc' is none of CC"),
        ({"dataset": "m", "filter": {"view": []}}, "empty"),
        ({"dataset": "m", "filter": {"view": {"minimum": 1}}}, "only numbers have a range"),
        ({"dataset": "m", "filter": {"age": {"minimum": 60, "maximum": 50}}}, "greater"),
        ({"dataset": "m", "filter": {"age": ["old"]}}, "must be numbers"),
        ({"dataset": "m", "task": "cancer"}, "'malignant_vs_rest'"),
    ],
)
def test_what_a_domain_cannot_say(settings: dict, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        DomainSettings.model_validate(settings)


def domains(**settings: dict) -> dict[str, DomainSettings]:
    return {
        name: DomainSettings.model_validate({"dataset": name, **values})
        for name, values in settings.items()
    }


def test_what_domains_say_of_each_other() -> None:
    found = domains(
        film={"split": {"method": "k_fold", "folds": 3}},
        again={"split": {"method": "same_as", "domain": "film"}},
        third={"same_patients_as": ["again"]},
        other={},
    )
    check_domains(found, "study.yaml")
    assert [folds_of(found, name) for name in found] == [3, 3, 1, 1]
    assert same_patient_groups(found) == (("film", "again", "third"),)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"a": {"same_patients_as": ["b"]}}, "no other domain 'b'"),
        ({"a": {"same_patients_as": ["a"]}}, "no other domain 'a'"),
        ({"a": {"split": {"method": "same_as", "domain": "b"}}, "b": {}}, "no split to take"),
        (
            {
                "a": {"split": {"method": "same_as", "domain": "b"}},
                "b": {"split": {"method": "same_as", "domain": "a"}},
            },
            "a -> b -> a",
        ),
    ],
)
def test_domains_that_contradict_each_other(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        check_domains(domains(**settings), "study.yaml")


def test_tasks_have_their_names() -> None:
    assert class_names("malignant_vs_benign") == ("benign", "malignant")
    assert all(task.name == name for name, task in TASKS.items())
    assert np.all([len(class_names(name)) == 2 for name in TASKS])
