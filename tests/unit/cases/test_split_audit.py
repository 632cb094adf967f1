from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.cases.audit import (
    FINDING_COLUMNS,
    audit_predictions,
    audit_split,
    image_table,
)
from mammoshift.cases.near_duplicates import (
    close_pairs,
    find_near_duplicates,
    fine_hash_words,
)
from mammoshift.errors import LeakageError, TableError


def brute_force(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(bits <= distance, 1))
    return set(zip(first.tolist(), second.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 120),
    distance=st.integers(0, 8),
    flips=st.integers(0, 8),
)
def test_close_pairs_are_those_of_all_pairs(
    seed: int, count: int, distance: int, flips: int
) -> None:
    generator = np.random.default_rng(seed)
    centers = generator.integers(0, 1 << 63, 5, dtype=np.uint64)
    hashes = centers[generator.integers(0, 5, count)].copy()
    for _ in range(flips):
        hashes ^= np.uint64(1) << generator.integers(0, 64, count).astype(np.uint64)
    found = [
        (int(a), int(b), int(d))
        for first, second, bits in close_pairs(hashes, distance)
        for a, b, d in zip(first, second, bits, strict=True)
    ]
    pairs = [(a, b) for a, b, _ in found]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == brute_force(hashes, distance)
    for a, b, bits in found:
        assert bits == int(hashes[a] ^ hashes[b]).bit_count()


def test_distance_is_checked() -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        list(close_pairs(np.zeros(2, np.uint64), 16))


def test_large_bucket_is_compared_in_bounded_blocks() -> None:
    hashes = np.random.default_rng(0).integers(0, 1 << 40, 4000, dtype=np.uint64)
    sizes = [first.size for first, _, _ in close_pairs(hashes, 3)]
    assert sum(sizes) == len(brute_force(hashes, 3))
    identical = np.zeros(3000, np.uint64)
    sizes = [first.size for first, _, _ in close_pairs(identical, 2)]
    assert sum(sizes) == 3000 * 2999 // 2
    assert max(sizes) <= (1 << 20) + 3000


def test_search_stops_at_its_limit() -> None:
    fine = np.zeros((500, 8), np.uint64)
    found = find_near_duplicates(np.zeros(500, np.uint64), fine, maximum_pairs=50)
    assert found.first.size == 50
    assert not found.complete


def test_fine_hash_rejects_what_is_only_alike_in_outline() -> None:
    coarse = np.zeros(3, np.uint64)
    fine = fine_hash_words([bytes(64), b"\xff" * 2 + bytes(62), b"\xff" * 32 + bytes(32)])
    found = find_near_duplicates(coarse, fine)
    assert found.first.tolist() == [0]
    assert found.second.tolist() == [1]
    assert found.distance.tolist() == [16]
    assert found.complete
    assert fine_hash_words([]).shape == (0, 8)


Change = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], None]


def clean() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A split of 30 patients with two images each, and the images of source and target."""
    generator = np.random.default_rng(0)
    names = [f"i{patient}_{image}" for patient in range(30) for image in range(2)]
    patients = [f"p{number // 2}" for number in range(60)]
    subset = np.repeat(["train", "validation", "test"], [40, 8, 12])
    split = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": patients,
            "label": np.tile(np.array([0, 1], np.int8), 30),
            "subset": subset,
        }
    )

    def images(dataset: str, ids: list[str], owners: list[str]) -> pd.DataFrame:
        index = pd.DataFrame(
            {
                "image_id": ids,
                "pixel_hash": [generator.bytes(16).hex() for _ in ids],
                "perceptual_hash": generator.integers(0, 1 << 63, len(ids), dtype=np.uint64),
                "fine_hash": [generator.bytes(64) for _ in ids],
            }
        )
        return image_table(dataset, pd.DataFrame({"image_id": ids, "patient_id": owners}), index)

    source = images("source", names, patients)
    target = images("target_a", [f"t{n}" for n in range(20)], [f"q{n}" for n in range(20)])
    return split, source, target


def audit(change: Change | None = None, **options: object):
    split, source, target = clean()
    if change:
        change(split, source, target)
    return audit_split(split, "source", [source, target], **options)  # type: ignore[arg-type]


def test_clean_split_passes_and_says_what_was_examined() -> None:
    report = audit()
    assert report.passed
    assert report.findings == ()
    report.raise_on_leak()
    examined = {check.check: check.examined for check in report.checks}
    assert examined == {
        "image_listed_once": 60,
        "patient_in_one_subset": 30,
        "pixels_in_one_subset": 80,
        "near_duplicates": 80,
        "patient_unknown": 60,
    }
    assert list(report.findings_table().columns) == list(FINDING_COLUMNS)


def patient_in_two(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
    split.loc[0, "subset"] = "test"


def patient_known_to_the_manifest_only(
    split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame
) -> None:
    split["patient_id"] = None
    source.loc[59, "patient_id"] = "p0"


def same_pixels(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
    source.loc[59, "pixel_hash"] = source.loc[0, "pixel_hash"]


def target_in_train(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
    target.loc[3, "pixel_hash"] = source.loc[0, "pixel_hash"]


def image_twice(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
    split.loc[59, "image_id"] = "i0_0"


@pytest.mark.parametrize(
    ("change", "check", "named"),
    [
        (patient_in_two, "patient_in_one_subset", "i0_"),
        (patient_known_to_the_manifest_only, "patient_in_one_subset", "i29_1"),
        (same_pixels, "pixels_in_one_subset", "source/i29_1"),
        (target_in_train, "pixels_in_one_subset", "target_a/t3"),
        (image_twice, "image_listed_once", "i0_0"),
    ],
)
def test_leaks_fail(change: Change, check: str, named: str) -> None:
    report = audit(change)
    assert not report.passed
    assert check in {finding.check for finding in report.findings if finding.leak}
    with pytest.raises(LeakageError, match="leaks between subsets") as caught:
        report.raise_on_leak()
    assert named in str(caught.value)


def test_duplicates_within_a_subset_or_among_unused_images_are_listed_only() -> None:
    split, source, target = clean()
    source.loc[4, "pixel_hash"] = source.loc[0, "pixel_hash"]
    source.loc[59, "pixel_hash"] = source.loc[10, "pixel_hash"]
    report = audit_split(split.iloc[:59], "source", [source, target])
    assert report.passed
    assert [(f.check, f.other_subset) for f in report.findings] == [
        ("pixels_in_one_subset", "train"),
        ("pixels_in_one_subset", "unused"),
    ]


def test_an_unused_copy_does_not_hide_a_leak() -> None:
    split, source, target = clean()
    source.loc[[10, 59], "pixel_hash"] = source.loc[0, "pixel_hash"]
    report = audit_split(split.iloc[1:], "source", [source, target])
    assert [(f.leak, f.image_id, f.other_image_id) for f in report.findings] == [
        (True, "i5_0", "i29_1"),
        (False, "i5_0", "i0_0"),
    ]


def test_near_duplicates_are_listed_across_datasets_but_not_within_a_patient() -> None:
    def alike(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
        for column in ("perceptual_hash", "fine_hash"):
            source[column] = [source[column][0], source[column][0], *source[column][2:]]
            target[column] = [*target[column][:5], source[column][0], *target[column][6:]]
        target["perceptual_hash"] = target["perceptual_hash"].astype(np.uint64)
        target.loc[5, "perceptual_hash"] ^= np.uint64(0b101)

    report = audit(alike)
    assert report.passed
    found = {(f.image_id, f.other_image_id, f.distance) for f in report.findings}
    assert found == {("i0_0", "t5", 0), ("i0_1", "t5", 0)}
    assert {f.other_subset for f in report.findings} == {"target"}
    assert not audit(alike, maximum_pairs=1).checks[3].complete


def test_unknown_patients_are_listed() -> None:
    def unknown(split: pd.DataFrame, source: pd.DataFrame, target: pd.DataFrame) -> None:
        split.loc[[0, 50], "patient_id"] = None

    report = audit(unknown)
    assert report.passed
    assert [f.image_id for f in report.findings] == ["i0_0", "i25_0"]


def test_predictions_on_training_images_are_a_leak() -> None:
    split, _, _ = clean()
    held_out = split[split["subset"] != "train"][["image_id", "subset"]]
    target = pd.DataFrame({"image_id": ["t1", "t2"], "subset": "target"})
    clean_report = audit_predictions(split, "source", [("source", held_out), ("target_a", target)])
    assert clean_report.passed
    assert [check.examined for check in clean_report.checks] == [len(held_out) + 2]
    wrong = pd.concat([held_out, pd.DataFrame({"image_id": ["i0_0"], "subset": ["test"]})])
    report = audit_predictions(split, "source", [("source", wrong)])
    assert [(f.check, f.image_id, f.other_subset) for f in report.findings] == [
        ("predictions_follow_split", "i0_0", "train")
    ]
    assert not report.passed


def test_an_image_given_twice_is_refused() -> None:
    split, source, _ = clean()
    with pytest.raises(TableError, match="given twice"):
        audit_split(split, "source", [source, source])
