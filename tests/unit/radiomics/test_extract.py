"""Features of a pixel store: which are computed, kept and written, and what is refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1]))

from toy_study import case_table, write_store

from mammoshift.contracts.features import (
    features_by_dataset,
    features_of_cases,
    read_features,
    read_scores,
    write_features,
    write_scores,
)
from mammoshift.errors import DamagedFileError, TableError
from mammoshift.provenance import versions
from mammoshift.provenance.versions import RERUN
from mammoshift.radiomics import extract
from mammoshift.radiomics.extract import extract_features
from mammoshift.radiomics.openbreast.region import Region
from mammoshift.radiomics.sets import openbreast32

CODE = {"extract": "1"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Means of the arrays that features were computed of; the darkest shows no breast."""
    means: list[float] = []

    def region(array: NDArray[np.uint16], spacing_mm: float | None) -> Region | None:
        means.append(float(array.mean()))
        return Region(array.astype(float), array >= 0, spacing_mm or 0.1)

    monkeypatch.setattr(extract, "breast_region", region)
    return means


def test_features_of_unchanged_images_are_kept(tmp_path: Path, seen: list[float]) -> None:
    store = write_store(tmp_path, "a", ["im0", "im1"])
    output = tmp_path / "features" / "openbreast32.parquet"
    extract_features(store, "openbreast32", CODE, output)
    assert len(seen) == 2
    first = output.read_bytes()
    output.unlink()
    extract_features(store, "openbreast32", CODE, output)
    assert len(seen) == 2
    assert output.read_bytes() == first
    shutil.rmtree(tmp_path / "raw")
    more = write_store(tmp_path, "a", ["im0", "im1", "im2"])
    extract_features(more, "openbreast32", CODE, output)
    assert len(seen) == 3
    dataset, table = read_features(output)
    assert dataset == "a"
    assert table.index.tolist() == ["im0", "im1", "im2"]
    assert tuple(table.columns[-32:]) == openbreast32.NAMES
    assert table["iavg"].tolist() == pytest.approx(seen)
    extract_features(more, "openbreast32", {"extract": "2"}, output)
    assert len(seen) == 6


@pytest.mark.parametrize(("setting", "computed"), [("", 1), (RERUN, 2)])
def test_features_of_other_versions_are_kept_with_them_or_computed_again(
    tmp_path: Path,
    seen: list[float],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    computed: int,
) -> None:
    monkeypatch.setattr(versions, "_parts", [])
    monkeypatch.setenv(versions.SETTING, setting)
    store = write_store(tmp_path, "a", ["im0"])
    output = tmp_path / "features" / "openbreast32.parquet"
    with monkeypatch.context() as earlier:
        earlier.setattr(versions, "installed", lambda _: "0.1")
        extract_features(store, "openbreast32", CODE, output)
    versions._parts.clear()
    extract_features(store, "openbreast32", CODE, output)
    assert len(seen) == computed
    assert ("0.1" in versions.loaded_versions()["numpy"]) == (setting == "")


def test_a_damaged_memory_is_computed_anew(tmp_path: Path, seen: list[float]) -> None:
    store = write_store(tmp_path, "a", ["im0"])
    output = tmp_path / "features" / "openbreast32.parquet"
    extract_features(store, "openbreast32", CODE, output)
    kept = tmp_path / "features" / "kept" / "openbreast32.parquet"
    content = bytearray(kept.read_bytes())
    content[content.index(b"im0")] ^= 1
    kept.write_bytes(bytes(content))
    extract_features(store, "openbreast32", CODE, output)
    assert len(seen) == 2


def test_an_image_without_a_breast_has_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "breast_region", lambda _array, _spacing: None)
    output = tmp_path / "openbreast32.parquet"
    extract_features(write_store(tmp_path, "a", ["im0"]), "openbreast32", CODE, output)
    assert read_features(output)[1][list(openbreast32.NAMES)].isna().all(axis=None)


def _features(path: Path, dataset: str, **columns: list[float]) -> Path:
    rows = len(next(iter(columns.values())))
    names = [f"im{number}" for number in range(rows)]
    table = pd.DataFrame({"item_id": names, "pixel_hash": "0", "spacing_mm": np.nan, **columns})
    write_features(table, list(columns), dataset, path)
    return path


def test_features_follow_their_cases(tmp_path: Path) -> None:
    tables = features_by_dataset(
        [
            _features(tmp_path / "b", "b", rough=[5.0]),
            _features(tmp_path / "a", "a", rough=[1.0, np.nan]),
        ]
    )
    cases = pd.concat(
        [
            case_table("film", "a", ["im1", "im0", "lost"], [("test",)] * 3),
            case_table("film", "b", ["im0"], [("test",)]).assign(case_id="b/im0"),
        ]
    )
    found = features_of_cases(tables, cases)["rough"]
    assert found.to_dict() == pytest.approx({"b/im0": 5.0, "im0": 1.0, "im1": np.nan}, nan_ok=True)
    with pytest.raises(TableError, match="no table of features of the dataset c"):
        features_of_cases(tables, cases.assign(dataset="c"))


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    a = _features(tmp_path / "a", "a", rough=[1.0])
    with pytest.raises(TableError, match="another table of features of a"):
        features_by_dataset([a, a])
    with pytest.raises(TableError, match="other features"):
        features_by_dataset([a, _features(tmp_path / "b", "b", smooth=[1.0])])
    with pytest.raises(TableError, match="im0: rough is infinite"):
        _features(tmp_path / "c", "c", rough=[np.inf])
    content = bytearray(a.read_bytes())
    content[content.index(b"im0")] ^= 1
    a.write_bytes(bytes(content))
    with pytest.raises(DamagedFileError, match="damaged"):
        read_features(a)


def test_lent_scores_are_of_one_domain_and_every_seed(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"arm": "base", "seed": [0, 0, 1], "domain": "clinic", "case_id": ["x", "y", "x"]}
    ).assign(logit=[1.0, 2.0, 3.0])
    write_scores(table, tmp_path / "scores")
    paths = [tmp_path / "scores"]
    assert read_scores(paths, "clinic", 0)["base"].to_dict() == {"x": 1.0, "y": 2.0}
    for wrong, domain, seed in ((paths, "film", 0), (2 * paths, "clinic", 0), (paths, "clinic", 7)):
        with pytest.raises(TableError, match="delete it"):
            read_scores(wrong, domain, seed)
    with pytest.raises(TableError, match="x occurs twice"):
        write_scores(table.assign(seed=0), tmp_path / "scores")
    with pytest.raises(TableError, match="y: the logit is not finite"):
        write_scores(table.assign(logit=[0.0, np.nan, 0.0]), tmp_path / "scores")
