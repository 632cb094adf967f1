"""Who a case is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mammoshift.contracts.cases import patient_keys
from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.errors import DamagedFileError, TableError


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


def test_a_flipped_bit_of_a_table_is_an_error_and_no_number(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    table = pd.DataFrame(
        {
            "arm": "one",
            "seed": 0,
            "fold": 0,
            "domain": "film",
            "subset": "test",
            "case_id": [f"case-{n}" for n in range(50)],
            "logit": np.linspace(-3.0, 3.0, 50),
        }
    )
    write_predictions(table, path)
    content = path.read_bytes()
    refused = 0
    for place in range(8, len(content), 97):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(bytes(damaged))
        try:
            assert read_predictions(path).equals(table.astype({"fold": "int16"}))
        except (DamagedFileError, TableError):
            refused += 1
    assert refused > 5
