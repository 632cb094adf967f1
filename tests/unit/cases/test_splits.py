from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_of_cases import cases_of, cbis_ddsm_cases, random_cases

from mammoshift.cases.splits._hashed import largest_remainder
from mammoshift.configuration.domain import SPLIT_PACKAGE
from mammoshift.configuration.load import read_yaml
from mammoshift.errors import ConfigurationError, TableError
from mammoshift.registry import load, names_in

METHODS = (
    "by_patch",
    "by_row",
    "k_fold",
    "matched_pairs",
    "official",
    "patient_stratified",
    "same_as",
)


def split(method: str, cases: pd.DataFrame, others: dict | None = None, **options: object):
    module = load(SPLIT_PACKAGE, method)
    return module.assign(cases, module.Options.model_validate(options), others or {})


def subsets_by(column: str, cases: pd.DataFrame, subsets: list, fold: int = 0) -> dict[str, str]:
    """The subset of each patient (or whatever the column holds), which must be one."""
    pairs = pd.DataFrame({"name": cases[column], "subset": [row[fold] for row in subsets]})
    pairs = pairs.drop_duplicates()
    assert pairs["name"].is_unique
    return pairs.set_index("name")["subset"].to_dict()


def digest(cases: pd.DataFrame, subsets: list[tuple[str, ...]]) -> str:
    lines = sorted(f"{i} {s[0]}" for i, s in zip(cases["image_id"], subsets, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_every_method_is_found_and_its_options_name_it() -> None:
    assert names_in(SPLIT_PACKAGE) == METHODS
    for name in METHODS:
        values = {"domain": "other"} if name == "same_as" else {}
        options = load(SPLIT_PACKAGE, name).Options(**values)
        assert options.method == name
        assert options.folds == {"k_fold": 5, "same_as": None}.get(name, 1)
        assert options.leak == (name if name.startswith("by_") else None)
        assert options.needs == (("other",) if name == "same_as" else ())


def test_a_method_is_one_module(tmp_path: Path) -> None:
    package = tmp_path / "mammoshift"
    source = Path(sys.modules["mammoshift"].__file__ or "").parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    method = (package / "cases/splits/by_row.py").read_text()
    (package / "cases/splits/by_moon.py").write_text(method.replace("by_row", "by_moon"))
    code = (
        "import sys; from mammoshift.configuration.domain import DomainSettings as D;"
        "print(type(D(dataset='a', split='by_moon').split).__module__);"
        "print([m for m in ('numpy', 'pandas', 'pulp', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["mammoshift.cases.splits.by_moon", "[]"]


@pytest.mark.parametrize("method", ["patient_stratified", "official", "k_fold", "matched_pairs"])
def test_patients_stay_together_in_any_order_of_the_rows(method: str) -> None:
    cases = random_cases(150)
    number = cases["patient_id"].str[1:].astype(int)
    cases["official_split"] = np.where(number % 4 == 0, "test", "train")
    cases["pair_id"] = "pair" + (number // 2).astype(str)
    one = split(method, cases).subsets
    mixed = cases.sample(frac=1.0, random_state=1)
    other = split(method, mixed).subsets
    assert pd.Series(other, index=mixed.index).reindex(cases.index).tolist() == one
    for fold in range(len(one[0])):
        subsets_by("patient_id", cases, one, fold)


@pytest.mark.parametrize("method", ["patient_stratified", "k_fold", "by_row", "by_patch"])
def test_another_seed_is_another_split(method: str) -> None:
    cases = random_cases(120)
    one, same, two = (split(method, cases, seed=seed).subsets for seed in (0, 0, 1))
    assert one == same
    assert sum(a != b for a, b in zip(one, two, strict=True)) > 20


# patient_stratified


@pytest.mark.parametrize(
    ("seed", "random", "real"),
    [
        (0, "7742477d14abf917", "bb6a104b837d569b"),
        (5, "d848e9364088c156", "5a516b102d3ab34f"),
    ],
)
def test_stratified_split_is_the_one_that_studies_were_trained_with(
    seed: int, random: str, real: str, request: pytest.FixtureRequest
) -> None:
    cases = random_cases(500, 7)
    cases.loc[cases["patient_id"] == "p7", "patient_id"] = None
    assert digest(cases, split("patient_stratified", cases, seed=seed).subsets) == random
    films = cbis_ddsm_cases(request.getfixturevalue("shared_data"))
    assert digest(films, split("patient_stratified", films, seed=seed).subsets) == real


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), patients=st.integers(80, 200))
def test_a_new_patient_moves_only_those_at_the_borders(seed: int, patients: int) -> None:
    cases = random_cases(patients, seed)
    grown = pd.concat([cases, random_cases(1, seed + 1, prefix="new")], ignore_index=True)
    before = subsets_by("patient_id", cases, split("patient_stratified", cases).subsets)
    after = subsets_by("patient_id", grown, split("patient_stratified", grown).subsets)
    strata_of_one_label = 5
    assert sum(before[name] != after[name] for name in before) <= 3 * strata_of_one_label
    assert set(after) - set(before) == {"new0"}


def test_shares_are_met_overall_and_within_labels() -> None:
    cases = random_cases(600, seed=3)
    found = subsets_by("patient_id", cases, split("patient_stratified", cases).subsets)
    label = cases.groupby("patient_id")["label"].max()
    for value in (0, 1):
        subsets = pd.Series(found)[label == value]
        for name, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
            assert abs((subsets == name).sum() - share * len(subsets)) < 1.0 + 1e-9


def test_images_of_unknown_patients_are_groups_of_their_own_and_said() -> None:
    cases = random_cases(100).assign(patient_id=None)
    found = split("patient_stratified", cases)
    assert len({s[0] for s in found.subsets}) == 3
    assert f"the patient of {len(cases)} images is unknown" in found.notes[0]


@pytest.mark.parametrize("method", ["patient_stratified", "by_row", "by_patch", "k_fold"])
def test_a_subset_without_one_class_is_refused(method: str) -> None:
    cases = random_cases(40).assign(label=np.int8(0))
    cases.loc[cases["patient_id"] == "p3", "label"] = 1
    with pytest.raises(ConfigurationError, match="has no positive case"):
        split(method, cases)


def test_largest_remainder_by_hand() -> None:
    assert largest_remainder(np.array([0.2, 0.1, 0.7]), 1).tolist() == [0, 0, 1]
    assert largest_remainder(np.array([1.5, 1.5, 1.0]), 4).tolist() == [2, 1, 1]
    assert largest_remainder(np.array([-0.5, 1.0, 3.5]), 4).tolist() == [0, 1, 3]


# official


def test_official_test_stays_and_crossing_patients_go_the_declared_way(shared_data: Path) -> None:
    films = cbis_ddsm_cases(shared_data)
    parts = films.groupby("patient_id")["official_split"].agg(set)
    crossing = set(parts.index[parts.map(lambda p: "both" in p or len(p) > 1)])
    assert len(crossing) == 31
    for option, subset in (("train", "train"), ("test", "test"), ("exclude", "unused")):
        found = split("official", films, crossing=option)
        placed = subsets_by("patient_id", films, found.subsets)
        assert {placed[name] for name in crossing} == {subset}
        assert "31 patients are in both official parts" in found.notes[0]
        for name, official in parts.items():
            if name not in crossing:
                assert (placed[name] == "test") == (official == {"test"})


def test_official_parts_must_be_there() -> None:
    cases = random_cases(60).assign(official_split="train")
    cases.loc[cases["patient_id"] == "p5", "official_split"] = None
    with pytest.raises(TableError, match="p5"):
        split("official", cases)
    cases.loc[cases["patient_id"] == "p5", "official_split"] = "Training"
    with pytest.raises(TableError, match="train, test, both or null"):
        split("official", cases)


# k_fold


def stratum_ranges(cases: pd.DataFrame, fold_of: pd.Series) -> dict[str, float]:
    """Greatest minus least of every stratum sum over the folds."""
    density = cases["density"].fillna("unknown")
    patients = cases.assign(density=density).groupby("patient_id")[["label", "density"]].max()
    own = cases.drop_duplicates("patient_id").set_index("patient_id")
    fold_of_patient = fold_of[own["case_id"]].set_axis(own.index)[patients.index]
    ranges = {}
    for level, folds, table in (
        ("images", fold_of[cases["case_id"]].to_numpy(), cases.assign(density=density)),
        ("patients", fold_of_patient.to_numpy(), patients),
    ):
        for column in ("label", "density"):
            counts = pd.crosstab(table[column].to_numpy(), folds)
            for value, row in counts.iterrows():
                ranges[f"{level} {column} {value}"] = row.max() - row.min()
        ranges[f"{level} all"] = np.ptp(np.bincount(folds))
    return ranges


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_are_as_balanced_as_those_of_scikit_learn(shared_data: Path, seed: int) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    films = cbis_ddsm_cases(shared_data)
    found = split("k_fold", films, folds=5, seed=seed).subsets
    placed = np.array(found)
    assert ((placed == "out_of_fold").sum(axis=1) == 1).all()
    ours = stratum_ranges(
        films, pd.Series((placed == "out_of_fold").argmax(axis=1), index=films["case_id"])
    )
    strata = films["label"].astype(str) + films["density"].fillna("unknown")
    for target in (films["label"], strata):
        for state in (None, 0, 1, 2):
            folds = StratifiedGroupKFold(5, shuffle=state is not None, random_state=state)
            theirs = pd.Series(0, index=films["case_id"])
            for fold, (_, own) in enumerate(folds.split(films, target, films["patient_id"])):
                theirs.iloc[own] = fold
            for name, value in stratum_ranges(films, theirs).items():
                assert ours[name] <= value, name
    # Two films of unknown density are of one patient: that sum alone cannot be met.
    assert {name for name, value in ours.items() if value > 1} <= {"images density unknown"}


def test_each_fold_has_its_validation_and_all_share_the_held_out_test() -> None:
    cases = random_cases(300)
    placed = np.array(split("k_fold", cases, folds=4, test_share=0.2).subsets)
    assert placed.shape == (len(cases), 4)
    test = (placed == "test").all(axis=1)
    assert ((placed == "test") == test[:, None]).all()
    assert abs(cases.loc[test, "patient_id"].nunique() - 60) <= 1
    for fold in range(4):
        by_patient = pd.Series(subsets_by("patient_id", cases, [tuple(r) for r in placed], fold))
        counts = by_patient.value_counts()
        assert abs(counts["out_of_fold"] - 60) <= 1
        assert abs(counts["validation"] - 0.1 * 180) <= 2
    assert (placed[:, 0] == "validation").tolist() != (placed[:, 1] == "validation").tolist()


def test_patients_of_many_kinds_are_divided_in_seconds_all_the_same() -> None:
    generator = np.random.default_rng(0)
    size = generator.integers(1, 30, 3000)
    table = pd.DataFrame({"patient_id": np.repeat([f"p{n}" for n in range(3000)], size)})
    table["image_id"] = [f"i{n:06d}" for n in range(len(table))]
    table["label"] = (generator.random(len(table)) < 0.1).astype("int8")
    table["density"] = generator.choice(list("abcd"), len(table))
    cases = cases_of(table)
    placed = np.array(split("k_fold", cases, folds=3).subsets)
    fold = pd.Series((placed == "out_of_fold").argmax(axis=1), index=cases["case_id"])
    assert max(stratum_ranges(cases, fold).values()) <= 2


# matched_pairs


def test_pairs_and_their_patients_stay_together() -> None:
    cases = random_cases(160, seed=2)
    number = cases["patient_id"].str[1:].astype(int)
    cases["pair_id"] = ("pair" + (number // 2).astype(str)).where(number < 120)
    # One control serves two cases: pairs 0 and 1 are one group.
    cases.loc[cases.index[number == 0][:1], "pair_id"] = "pair1"
    found = split("matched_pairs", cases)
    paired = cases[cases["pair_id"].notna()]
    kept = [s for s, known in zip(found.subsets, cases["pair_id"].notna(), strict=True) if known]
    by_pair = subsets_by("pair_id", paired, kept)
    assert by_pair["pair0"] == by_pair["pair1"]
    counts = pd.Series(subsets_by("patient_id", cases, found.subsets)).value_counts()
    assert abs(counts["test"] - 32) <= 2
    assert abs(counts["validation"] - 16) <= 2
    assert "images have no pair_id" in found.notes[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_are_divided_into_the_sizes_of_the_thesis(seed: int) -> None:
    cases = random_cases(382, seed=3)
    number = cases["patient_id"].str[1:].astype(int)
    cases = cases.assign(pair_id="pair" + (number // 2).astype(str))
    four_views = cases.drop_duplicates("patient_id").loc[lambda rows: rows.index.repeat(4)]
    views = four_views.assign(
        image_id=four_views["image_id"] + four_views.groupby(level=0).cumcount().astype(str),
        item_id=four_views["item_id"] + four_views.groupby(level=0).cumcount().astype(str),
    ).reset_index(drop=True)
    ages = np.random.default_rng(3).integers(40, 75, 191)
    views["age"] = ages[views["pair_id"].str[4:].astype(int)]
    root = Path(__file__).parents[3]
    study = read_yaml(root / "config" / "studies" / "domain_adaptation.yaml")
    found = split(**study["domains"]["clinic"]["split"], cases=views, seed=seed)
    sizes = pd.Series([subsets[0] for subsets in found.subsets]).value_counts()
    assert sizes.to_dict() == {"train": 1064, "validation": 152, "test": 312}


def test_pairs_must_be_named() -> None:
    with pytest.raises(ConfigurationError, match="has a pair_id"):
        split("matched_pairs", random_cases(40))


# by_row, by_patch


def test_by_row_divides_patients_but_no_images_and_by_patch_divides_both() -> None:
    images = random_cases(60)
    patches = pd.concat([images.assign(item_id=images["item_id"] + f"_{n}") for n in range(4)])
    patches = cases_of(patches.drop(columns=["case_id", "unit_id"]))
    rows = split("by_row", patches).subsets
    subsets_by("image_id", patches, rows)
    assert patches.assign(s=[s[0] for s in rows]).groupby("patient_id")["s"].nunique().max() > 1
    single = pd.Series([s[0] for s in split("by_patch", patches).subsets])
    assert single.groupby(patches["image_id"].to_numpy()).nunique().max() > 1
    assert abs((single == "test").mean() - 0.2) < 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_by_patch_keeps_equal_classes_equal_as_table_4_does(seed: int) -> None:
    names = [f"c{number:05d}" for number in range(2 * 1507)]
    label = np.repeat([0, 1], 1507).astype(np.int8)
    patches = pd.DataFrame({"case_id": names, "label": label})
    shares = {"train": 0.64, "validation": 0.16, "test": 0.20}
    found = pd.Series([s[0] for s in split("by_patch", patches, seed=seed, shares=shares).subsets])
    counts = pd.crosstab(found, label)
    assert (counts[0] == counts[1]).all()
    for name, share in shares.items():
        assert abs(counts.loc[name, 0] - 1507 * share) < 1
    pairs = found[:1507].to_numpy() == found[1507:].to_numpy()
    assert pairs.mean() < 0.6


# same_as


def test_patients_imaged_again_take_their_subsets() -> None:
    first = random_cases(80)
    first["subsets"] = split("k_fold", first, folds=3).subsets
    again = random_cases(90, seed=9)
    again.loc[again["patient_id"] == "p4", "patient_id"] = None
    for unknown in ("test", "unused"):
        found = split("same_as", again, {"film": first}, domain="film", unknown=unknown)
        expected = first.drop_duplicates("patient_id").set_index("patient_id")["subsets"]
        for patient, subsets in zip(again["patient_id"], found.subsets, strict=True):
            if pd.isna(patient):
                assert subsets == ("unused",) * 3
            else:
                assert subsets == expected.get(patient, (unknown,) * 3)
        assert "10 patients are not in film" in found.notes[0]
        assert "their patient is unknown" in found.notes[1]


def test_names_of_patients_are_compared_without_the_prefix_of_a_joined_domain() -> None:
    first = random_cases(60)
    for column in ("case_id", "patient_id"):
        first[column] = first["dataset"] + "/" + first[column]
    first["subsets"] = split("patient_stratified", first).subsets
    again = random_cases(60, seed=4)
    found = split("same_as", again, {"film": first}, domain="film")
    placed = subsets_by("patient_id", again, found.subsets)
    assert {f"d/{name}": s for name, s in placed.items()} == subsets_by(
        "patient_id", first, first["subsets"].tolist()
    )


def test_patients_in_several_subsets_or_unknown_altogether_are_refused() -> None:
    first = random_cases(60)
    first["subsets"] = split("by_row", first).subsets
    with pytest.raises(ConfigurationError, match="in several subsets"):
        split("same_as", first, {"film": first}, domain="film")
    first["subsets"] = split("patient_stratified", first).subsets
    with pytest.raises(ConfigurationError, match="no patient of this domain"):
        split("same_as", random_cases(5, prefix="q"), {"film": first}, domain="film")
