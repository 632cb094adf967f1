"""Predictions are aligned by what the columns say; what does not fit together is refused."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fabricated_tables import Fabricated
from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.errors import TableError
from mammoshift.evaluation.load import load_grid


def test_the_grid_is_aligned_and_split_by_subset(short: Fabricated) -> None:
    grid = short.grid()
    assert list(grid.cells) == [
        ("film", "validation"),
        ("film", "test"),
        ("digital", "target"),
        ("other", "target"),
    ]
    cell = grid.cells["film", "test"]
    assert cell.logits.shape == (2, 3, 160)
    table = read_predictions(short.predictions["better", "film"])
    first = table[table["seed"] == 1].set_index("case_id")["logit"]
    assert np.array_equal(cell.of("better")[1], first[cell.cases["case_id"]].to_numpy())
    assert len(np.unique(cell.clusters)) == 80
    assert [found.domain for found in grid.foreign_to("plain")] == ["digital", "other"]


def test_the_order_of_the_files_does_not_matter(short: Fabricated) -> None:
    grid = short.grid()
    cases, predictions = [*short.cases.values()][::-1], [*short.predictions.values()][::-1]
    again = load_grid(short.evaluation(), cases, predictions)
    assert list(again.cells) == list(grid.cells)
    for key, cell in grid.cells.items():
        assert np.array_equal(cell.logits, again.cells[key].logits)
        pd.testing.assert_frame_equal(cell.cases, again.cells[key].cases)


def test_two_files_whose_content_is_exchanged_give_the_same_grid(short: Fabricated) -> None:
    grid = short.grid()
    plain, better = (short.predictions[arm, "film"] for arm in ("plain", "better"))
    content = plain.read_bytes()
    shutil.copyfile(better, plain)
    better.write_bytes(content)
    again = short.grid()
    assert np.array_equal(again.cells["film", "test"].logits, grid.cells["film", "test"].logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "better"}, r"arm 'better' on domain 'film' is already in .*plain-film"),
        ({"arm": "unheard"}, "arm 'unheard' on domain 'film' is not part of the study"),
        ({"domain": "digital"}, r"arm 'plain' on domain 'digital' is already in"),
        ({"case_id": "nobody"}, "case nobody, subset test: .*film.parquet has no such case"),
        ({"subset": "target"}, "subset target: .*film.parquet has it in another subset"),
        ({"seed": 7}, "arm 'plain' has the unknown seed 7"),
        ({"arm": "plain", "fold": 1}, "not every seed has it in the same number of folds"),
    ],
)
def test_a_table_that_belongs_elsewhere_is_refused(
    short: Fabricated, changes: dict[str, Any], message: str
) -> None:
    path = short.predictions["plain", "film"]
    table = read_predictions(path)
    if "seed" in changes:
        table = pd.concat([table, table[table["seed"] == 0].assign(**changes)])
    elif "fold" in changes:
        table = pd.concat([table, table[table["seed"] == 0].assign(fold=1)])
    elif {"case_id", "subset"} & set(changes):
        last = table["seed"] * 0 + np.arange(len(table)) == len(table) - 1
        for column, value in {"subset": "test", **changes}.items():
            table.loc[last, column] = value
    else:
        table = table.assign(**changes)
    write_predictions(table, path)
    with pytest.raises(TableError, match=message):
        short.grid()


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("better", "other"), "no prediction table of arm 'better' on domain 'other'"),
        (("cases", "film"), "no table of cases of domain 'film'"),
    ],
)
def test_a_missing_table_is_named(
    short: Fabricated, left_out: tuple[str, str], message: str
) -> None:
    kind, domain = left_out
    cases = [p for name, p in short.cases.items() if (kind, name) != ("cases", domain)]
    predictions = [p for key, p in short.predictions.items() if key != left_out]
    with pytest.raises(TableError, match=message):
        load_grid(short.evaluation(), cases, predictions)


def test_a_table_of_cases_given_twice_is_refused(short: Fabricated) -> None:
    cases = [*short.cases.values(), short.cases["film"]]
    with pytest.raises(TableError, match="domain 'film' is already in"):
        load_grid(short.evaluation(), cases, [*short.predictions.values()])


def test_a_seed_that_is_missing_is_named(short: Fabricated) -> None:
    path = short.predictions["plain", "other"]
    table = read_predictions(path)
    write_predictions(table[table["seed"] != 2], path)
    with pytest.raises(TableError, match=r"plain-other.*arm 'plain' lacks seed 2"):
        short.grid()


def test_a_case_of_one_arm_alone_is_named(short: Fabricated) -> None:
    path = short.predictions["better", "digital"]
    table = read_predictions(path)
    write_predictions(table[table["case_id"] != "digital-007-CC"], path)
    with pytest.raises(TableError, match=r"holds other cases than .*: digital-007-CC is in one"):
        short.grid()


def test_a_table_of_two_domains_is_refused(short: Fabricated) -> None:
    path = short.predictions["plain", "film"]
    parts = [read_predictions(short.predictions["plain", name]) for name in ("film", "digital")]
    write_predictions(pd.concat(parts), path)
    with pytest.raises(TableError, match="one arm and domain is expected, 2 are in it"):
        short.grid()


def test_a_prediction_table_without_a_seed_is_refused(short: Fabricated) -> None:
    path = short.predictions["plain", "film"]
    table = pq.read_table(path)
    place = table.column_names.index("seed")
    seeds = [None, *table.column("seed").to_pylist()[1:]]
    broken = table.set_column(place, pa.field("seed", pa.int64()), pa.array(seeds, pa.int64()))
    pq.write_table(broken, path)
    with pytest.raises(TableError, match=r"plain-film\.parquet: column seed: has rows without"):
        short.grid()


def test_folds_are_pooled_at_home_and_averaged_away(chain: Fabricated) -> None:
    grid = chain.grid(subgroups=[])
    away = read_predictions(chain.predictions["on_clinic", "film"])
    rows = away[(away["case_id"] == "film-001-CC") & (away["seed"] == 1)]
    assert len(rows) == 3
    film = grid.cells["film", "test"]
    place = film.cases["case_id"].tolist().index("film-001-CC")
    assert film.of("on_clinic")[1, place] == pytest.approx(rows["logit"].mean())
    home = read_predictions(chain.predictions["on_clinic", "clinic"])
    patient = home[home["case_id"].str.startswith("clinic-001") & (home["seed"] == 1)]
    held_out = patient[patient["subset"] == "out_of_fold"]
    assert len(set(held_out["fold"])) == 1
    clinic = grid.cells["clinic", "out_of_fold"]
    place = clinic.cases["case_id"].tolist().index("p001")
    assert clinic.of("on_clinic")[1, place] == pytest.approx(held_out["logit"].max())
    assert clinic.arms == ("on_film", "applied", "on_clinic", "of_patients", "imported")
    assert clinic.logits.shape == (5, 2, 120)


def test_a_case_that_is_out_of_another_fold_is_refused(chain: Fabricated) -> None:
    path = chain.predictions["on_clinic", "clinic"]
    table = read_predictions(path)
    moved = table["fold"].where(table["subset"] != "out_of_fold", (table["fold"] + 1) % 3)
    free = table.assign(fold=moved.astype("int16"))
    write_predictions(free.drop_duplicates(["seed", "fold", "case_id"]), path)
    with pytest.raises(TableError, match=r"subset out_of_fold, fold \d: .* has it in another"):
        chain.grid(subgroups=[])


def test_validation_logits_of_several_folds_are_averaged(chain: Fabricated) -> None:
    cell = chain.grid(subgroups=[]).validation_of("on_clinic")
    assert cell is not None
    assert cell.arms == ("on_clinic", "of_patients")
    table = read_predictions(chain.predictions["on_clinic", "clinic"])
    rows = table[
        table["case_id"].str.startswith("clinic-003")
        & (table["seed"] == 0)
        & (table["subset"] == "validation")
    ]
    assert len(set(rows["fold"])) == 2
    place = cell.cases["case_id"].tolist().index("p003")
    expected = rows.groupby("case_id")["logit"].mean().max()
    assert cell.of("on_clinic")[0, place] == pytest.approx(expected)


def test_an_arm_may_score_the_judged_units_themselves(chain: Fabricated) -> None:
    cell = chain.grid(subgroups=[]).cells["clinic", "out_of_fold"]
    table = read_predictions(chain.predictions["of_patients", "clinic"])
    own = table[(table["subset"] == "out_of_fold") & (table["seed"] == 0)]
    expected = own.set_index("case_id")["logit"][cell.cases["case_id"]]
    assert np.array_equal(cell.of("of_patients")[0], expected.to_numpy())


def test_a_unit_has_its_own_label_and_what_its_cases_agree_on(chain: Fabricated) -> None:
    cases = chain.grid(subgroups=[]).cells["clinic", "out_of_fold"].cases
    assert cases["label"].sum() > 30
    assert cases["view"].isna().all()
    assert set(cases["laterality"]) == {"left"}


def test_a_unit_with_two_labels_is_named(chain: Fabricated) -> None:
    chain.edit_cases(
        lambda table: table.assign(
            unit_label=np.where(
                table["case_id"] == "clinic-003-CC", 1 - table["unit_label"], table["unit_label"]
            )
        ),
        ["clinic"],
    )
    with pytest.raises(TableError, match="unit p003 has two values of unit_label"):
        chain.grid(subgroups=[])


def test_patches_are_judged_by_themselves_and_clustered_by_patient(chain: Fabricated) -> None:
    cell = chain.grid(subgroups=[]).cells["crops", "target"]
    assert cell.logits.shape == (2, 2, 240)
    assert len(np.unique(cell.clusters)) == 120


def test_patches_of_one_image_of_an_unknown_patient_stay_together(chain: Fabricated) -> None:
    chain.edit_cases(lambda table: table.assign(patient_id=None), ["crops"])
    cell = chain.grid(subgroups=[]).cells["crops", "target"]
    assert cell.patients_unknown
    assert len(np.unique(cell.clusters)) == 120


def test_the_own_domain_of_each_arm_is_its_reference_point(chain: Fabricated) -> None:
    grid = chain.grid(subgroups=[])
    own = {arm.name: grid.own_of(arm.name) for arm in grid.study.arms}
    assert {name: cell and cell.domain for name, cell in own.items()} == {
        "on_film": "film",
        "applied": "film",
        "on_clinic": "clinic",
        "of_patients": "clinic",
        "imported": None,
        "on_rows": "rows",
    }
    validation = grid.validation_of("applied")
    assert validation is not None
    assert (validation.domain, validation.arms) == ("film", ("on_film", "applied"))
    assert grid.validation_of("imported") is None
    assert [(cell.domain, cell.subset) for cell in grid.reported] == [
        ("film", "test"),
        ("clinic", "out_of_fold"),
        ("crops", "target"),
        ("rows", "test"),
    ]


@pytest.mark.parametrize("combine", ["mean", "max"])
def test_images_are_combined_to_breasts(short: Fabricated, combine: str) -> None:
    short.edit_cases(lambda table: table.assign(unit_id=table["patient_id"] + "/left"))
    domains = [
        {**domain, "unit": "breast", "combine": combine} for domain in short.judged["domains"]
    ]
    cell = short.grid(domains=domains).cells["digital", "target"]
    table = read_predictions(short.predictions["plain", "digital"])
    own = table[table["case_id"].str.startswith("digital-000") & (table["seed"] == 0)]
    place = cell.cases["case_id"].tolist().index("p000/left")
    assert cell.logits.shape[2] == 120
    assert cell.logits[0, 0, place] == pytest.approx(own["logit"].agg(combine))
    assert pd.isna(cell.cases["view"].iloc[place])


def test_a_breast_has_the_lesions_of_all_its_images(short: Fabricated) -> None:
    def lesions(table: pd.DataFrame) -> pd.DataFrame:
        positive = np.where(table["view"] == "CC", "mass", "calcification+mass")
        types = np.where(table["label"] == 1, positive, "asymmetry")
        return table.assign(lesion_types=types, unit_id=table["patient_id"] + "/left")

    short.edit_cases(lesions)
    domains = [{**domain, "unit": "breast"} for domain in short.judged["domains"]]
    cell = short.grid(domains=domains).cells["digital", "target"]
    assert set(cell.cases.loc[cell.labels == 1, "lesion_types"]) == {"calcification+mass"}
    parts = cell.subgroups("lesion_type")
    assert {name: set(part.labels.tolist()) for name, part in parts.items()} == {
        "asymmetry": {0},
        "calcification": {1},
        "mass": {1},
    }


def test_ages_stand_in_bands_and_pitches_with_three_decimals(short: Fabricated) -> None:
    cell = short.grid().cells["digital", "target"]
    ages = cell.subgroups("age")
    assert list(ages) == ["40-49", "50-59", "60-69"]
    assert ages["50-59"].cases["age"].between(50, 59).all()
    assert sum(len(part.labels) for part in ages.values()) == 240
    pitches = cell.subgroups("pixel_spacing_mm")
    assert {name: len(part.labels) for name, part in pitches.items()} == {
        "0.050": 120,
        "0.070": 120,
    }


def test_an_unknown_age_is_in_no_band(short: Fabricated) -> None:
    short.edit_cases(
        lambda table: table.assign(age=table["age"].where(table["patient_id"] != "p001"))
    )
    values = short.grid().cells["digital", "target"].subgroup_values("age")
    assert values.isna().sum() == 2
    assert all(re.fullmatch(r"\d0-\d9", value) for value in values.dropna())
