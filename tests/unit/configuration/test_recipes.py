"""Hashes that two groups compare: equal for equal choices, and fixed for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammoshift.archives.counts import data_hash
from mammoshift.configuration.dataset import Dataset
from mammoshift.configuration.load import read_yaml
from mammoshift.configuration.model import InputRecipe
from mammoshift.configuration.recipes import archive_hash, array_hash

TWINS = read_yaml(Path(__file__).parents[3] / "config" / "datasets" / "twins.yaml")
GOLDEN = {
    "cbis_ddsm": ("98278626496b", "594abfcb197f"),
    "cmmd": ("c0f26c90f17f", "653e7818a295"),
    "dmid": ("4da3c6c28c07", "526fc76e86f2"),
    "mias": ("cdbcdd31e1c3", "9b3711ca6ea2"),
    "cdd_cesm": ("059df13bc2d3", "e07888b9574a"),
    "inbreast": ("c1961df408a2", "d15a97d91f06"),
    "mexbreast_fine": ("6db3dc3ebf5e", "c6472ca3dea5"),
    "mexbreast_coarse": ("fd996d385319", "6f562b32d68b"),
    "case_control": ("2147443dd2c4", "063b84a6feca"),
}


def twin(name: str, **changes: Any) -> Dataset:
    return Dataset.model_validate({**TWINS[name], **changes})


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_hashes_of_the_twins_are_those_that_were_printed_before(name: str) -> None:
    dataset = twin(name)
    recipe = InputRecipe(size=(128, 80), mask="breast")
    assert (archive_hash(dataset), array_hash(dataset, recipe)) == GOLDEN[name]


def test_every_twin_has_golden_values() -> None:
    assert set(GOLDEN) == set(TWINS)


def test_a_default_that_is_written_out_and_where_an_archive_lies_change_nothing() -> None:
    plain = twin("cmmd")
    written = twin("cmmd", cmmd={"unlabelled": "exclude"}, title="other", bundles=3)
    real = Dataset.model_validate({"adapter": "cmmd", "title": "x", "licence": "x", "root": "x"})
    assert archive_hash(plain) == archive_hash(written) == archive_hash(real)


def test_policy_tone_and_geometry_change_a_hash() -> None:
    recipe = InputRecipe(size=(128, 80))
    dataset = twin("cmmd")
    hashes = {
        array_hash(dataset, recipe),
        array_hash(twin("cmmd", cmmd={"unlabelled": "normal"}), recipe),
        array_hash(dataset, recipe.model_copy(update={"tone": "percentile"})),
        array_hash(dataset, recipe.model_copy(update={"fit": "stretch"})),
        archive_hash(dataset),
    }
    assert len(hashes) == 5


def test_the_hash_of_the_data_follows_images_and_labels_alone() -> None:
    manifest = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "content_key": ["1", "2"],
            "patient_id": ["p", None],
            "laterality": ["left", None],
            "view": ["CC", "MLO"],
            "pathology": ["benign", "malignant"],
            "path": ["x", "y"],
        }
    )
    golden = data_hash(manifest)
    assert golden == "04cbea07b644"
    assert data_hash(manifest.iloc[::-1].assign(path="z", dataset="other")) == golden
    assert data_hash(manifest.assign(pathology="benign")) != golden
    assert data_hash(manifest.assign(content_key=["1", "3"])) != golden
