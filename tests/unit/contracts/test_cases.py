"""Who a case is of."""

from __future__ import annotations

import pandas as pd

from mammoshift.contracts.cases import patient_keys


def table(datasets: list[str], case_ids: list[str], patients: list[str | None]) -> pd.DataFrame:
    """Images `one`, all without a prefix in `image_id` and `item_id`."""
    names = ["one"] * len(datasets)
    return pd.DataFrame(
        {
            "dataset": datasets,
            "case_id": case_ids,
            "item_id": names,
            "image_id": names,
            "patient_id": patients,
        }
    )


def test_equal_images_of_two_datasets_are_of_two_patients() -> None:
    cases = table(["a", "b"], ["a/one", "b/one"], [None, None])
    assert patient_keys(cases).tolist() == ["image a/one", "image b/one"]


def test_keys_of_one_dataset_have_no_prefix() -> None:
    assert patient_keys(table(["a"], ["one"], [None])).tolist() == ["image one"]
    assert patient_keys(table(["a"], ["one"], ["p1"])).tolist() == ["patient p1"]


def test_a_known_patient_is_named_as_in_the_cases() -> None:
    cases = table(["a", "b"], ["a/one", "b/one"], ["a/p1", "b/p1"])
    assert patient_keys(cases).tolist() == ["patient a/p1", "patient b/p1"]
