from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.cases.patient_split import largest_remainder, split_patients
from mammoshift.cases.task import class_names, task_labels
from mammoshift.errors import ConfigurationError, TableError

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def manifest(patients: int, seed: int = 0, prefix: str = "p") -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        pathology = generator.choice(["normal", "benign", "malignant"])
        density = generator.choice(["a", "b", "c", "d", None], p=[0.1, 0.4, 0.3, 0.1, 0.1])
        rows.extend(
            (f"{prefix}{patient}_{image}", f"{prefix}{patient}", pathology, density)
            for image in range(generator.integers(1, 5))
        )
    table = pd.DataFrame(rows, columns=["image_id", "patient_id", "pathology", "density"])
    return table.assign(official_split=None)


def split_of(table: pd.DataFrame, **options: object):
    arguments = {"shares": SHARES, "seed": 0, **options}
    return split_patients(table, task_labels(table, "malignant_vs_rest"), **arguments)  # type: ignore[arg-type]


def patient_subsets(table: pd.DataFrame, **options: object) -> dict[str, str]:
    split = split_of(table, **options).split
    pairs = split[["patient_id", "subset"]].drop_duplicates()
    assert pairs["patient_id"].is_unique
    return pairs.set_index("patient_id")["subset"].to_dict()


def test_tasks() -> None:
    table = pd.DataFrame({"pathology": ["normal", "benign", "malignant", None]}, index=[3, 1, 4, 2])
    expected = {
        "malignant_vs_rest": [0, 0, 1, None],
        "malignant_vs_benign": [None, 0, 1, None],
        "abnormal_vs_normal": [0, 1, 1, None],
    }
    for task, values in expected.items():
        labels = task_labels(table, task)  # type: ignore[arg-type]
        assert labels.dtype == "Int8"
        assert labels.index.tolist() == [3, 1, 4, 2]
        assert [None if pd.isna(one) else int(one) for one in labels] == values
    assert class_names("malignant_vs_benign") == ("benign", "malignant")


def test_patients_stay_together_and_shares_are_met() -> None:
    subsets = pd.Series(patient_subsets(manifest(500)))
    counts = subsets.value_counts()
    assert counts.sum() == 500
    assert abs(counts["train"] - 350) <= 2
    assert abs(counts["validation"] - 50) <= 2
    assert abs(counts["test"] - 100) <= 2


def test_label_and_density_keep_their_proportions() -> None:
    table = manifest(600, seed=3)
    subsets = patient_subsets(table)
    patients = table.drop_duplicates("patient_id").assign(
        subset=lambda t: t["patient_id"].map(subsets),
        density=lambda t: t["density"].fillna("unknown"),
        label=lambda t: (t["pathology"] == "malignant").astype(int),
    )
    for (_, _), stratum in patients.groupby(["label", "density"]):
        counts = stratum["subset"].value_counts()
        for name, share in SHARES.items():
            assert abs(counts.get(name, 0) - share * len(stratum)) < 2.0
    for _, stratum in patients.groupby("label"):
        counts = stratum["subset"].value_counts()
        for name, share in SHARES.items():
            assert abs(counts[name] - share * len(stratum)) < 1.0 + 1e-9


def test_row_order_and_index_do_not_matter() -> None:
    table = manifest(80)
    mixed = table.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(split_of(table).split, split_of(mixed).split)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), patients=st.integers(60, 200))
def test_a_new_patient_moves_only_those_at_the_borders(seed: int, patients: int) -> None:
    table = manifest(patients, seed)
    newcomer = manifest(1, seed + 1, prefix="new")
    before = patient_subsets(table)
    after = patient_subsets(pd.concat([table, newcomer], ignore_index=True))
    moved = [patient for patient in before if before[patient] != after[patient]]
    strata_of_one_label = 5
    assert len(moved) <= 3 * strata_of_one_label
    assert set(after) - set(before) == {"new0"}


def test_another_seed_is_another_split() -> None:
    table = manifest(100)
    one, two = patient_subsets(table, seed=0), patient_subsets(table, seed=1)
    assert sum(one[patient] != two[patient] for patient in one) > 20


def test_unlabelled_images_are_left_out_and_their_order_of_columns_is_the_contract() -> None:
    table = manifest(100)
    table.loc[table.index[:10], "pathology"] = None
    split = split_of(table).split
    assert list(split.columns) == ["image_id", "patient_id", "label", "subset"]
    assert split["label"].dtype == np.int8
    assert not set(table["image_id"][:10]) & set(split["image_id"])


def test_images_without_a_patient_are_groups_of_their_own() -> None:
    table = manifest(100)
    table.loc[table["patient_id"] == "p7", "patient_id"] = None
    result = split_of(table)
    expected = sorted(table.loc[table["patient_id"].isna(), "image_id"])
    assert list(result.images_without_patient) == expected
    assert result.split.set_index("image_id").loc[expected, "patient_id"].isna().all()


def test_all_patients_may_be_unknown() -> None:
    table = manifest(100).assign(patient_id=None)
    result = split_of(table)
    assert len(result.images_without_patient) == len(result.split) == len(table)


def official(table: pd.DataFrame) -> pd.DataFrame:
    number = table["patient_id"].str[1:].astype(int)
    return table.assign(official_split=np.where(number % 4 == 0, "test", "train"))


def test_official_test_patients_stay_the_test() -> None:
    table = official(manifest(200))
    subsets = patient_subsets(table, method="official")
    assert {p for p, s in subsets.items() if s == "test"} == {f"p{n}" for n in range(0, 200, 4)}
    validation = sum(s == "validation" for s in subsets.values())
    assert abs(validation - 150 / 8) <= 2


def test_patients_in_both_official_parts_train_and_are_listed() -> None:
    table = official(manifest(200))
    several = table.groupby("patient_id")["image_id"].transform("size") > 1
    twice = [p for p in ("p4", "p8", "p9", "p12") if several[table["patient_id"] == p].all()]
    assert twice
    for patient in twice:
        rows = table.index[table["patient_id"] == patient]
        table.loc[rows[0], "official_split"] = "train"
        table.loc[rows[1:], "official_split"] = "test"
    result = split_of(table, method="official")
    assert list(result.patients_moved_to_train) == sorted(twice)
    subset = result.split.set_index("patient_id")["subset"]
    assert (subset[twice] == "train").all()


def test_official_split_that_is_not_there_is_refused() -> None:
    table = official(manifest(50))
    table.loc[table["patient_id"] == "p5", "official_split"] = None
    with pytest.raises(TableError, match="p5"):
        split_of(table, method="official")
    table.loc[table["patient_id"] == "p5", "official_split"] = "Training"
    with pytest.raises(TableError, match="train, test or null"):
        split_of(table, method="official")


def test_subset_without_one_class_is_refused() -> None:
    table = manifest(40)
    table["pathology"] = "benign"
    table.loc[table["patient_id"] == "p3", "pathology"] = "malignant"
    with pytest.raises(ConfigurationError, match="has no positive image"):
        split_of(table)


def test_a_subset_may_be_wanted_empty() -> None:
    shares = {"train": 0.8, "validation": 0.2, "test": 0.0}
    assert set(patient_subsets(manifest(100), shares=shares).values()) == {"train", "validation"}


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ({"train": 0.5, "test": 0.5}, "each of"),
        ({"train": 0.5, "validation": 0.1, "test": 0.2}, "sum to 0.8"),
        ({"train": 0.0, "validation": 0.5, "test": 0.5}, "train is zero"),
        ({"train": 1.2, "validation": 0.0, "test": -0.2}, "0 or more"),
    ],
)
def test_impossible_shares_are_refused(shares: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        split_of(manifest(30), shares=shares)


def test_unknown_stratum_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no column site"):
        split_of(manifest(30), stratify_by=("label", "site"))


@settings(max_examples=100, deadline=None)
@given(
    shares=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda s: sum(s) > 0.01),
    total=st.integers(0, 500),
)
def test_largest_remainder_sums_and_stays_near(shares: list[float], total: int) -> None:
    ideal = np.array(shares) / sum(shares) * total
    counts = largest_remainder(ideal, total)
    assert counts.sum() == total
    assert (counts >= 0).all()
    assert np.abs(counts - ideal).max() < 1.0 + 1e-6


def test_largest_remainder_by_hand() -> None:
    assert largest_remainder(np.array([0.2, 0.1, 0.7]), 1).tolist() == [0, 0, 1]
    assert largest_remainder(np.array([1.5, 1.5, 1.0]), 4).tolist() == [2, 1, 1]
    assert largest_remainder(np.array([-0.5, 1.0, 3.5]), 4).tolist() == [0, 1, 3]
