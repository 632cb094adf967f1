"""Bundles: what is made again, what is kept, and what is seen when a file is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammoshift.configuration.model import InputRecipe, Patches
from mammoshift.contracts.annotations import ANNOTATIONS_SCHEMA
from mammoshift.errors import DamagedFileError, TableError
from mammoshift.pixelstore import bundle
from mammoshift.pixelstore.bundle import collect_bundles, write_bundle
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.receipt import (
    Receipt,
    checked_folders,
    read_receipt,
    stores_by_dataset,
    write_receipt,
)
from mammoshift.provenance import sums, versions
from mammoshift.provenance.versions import RERUN

RECIPE = InputRecipe(size=(32, 24), tone="full_range", crop="none", orientation="as_stored")
NONE = ANNOTATIONS_SCHEMA.empty_table().to_pandas()
CODE = {"one": "1"}


def _archive(root: Path, count: int) -> pd.DataFrame:
    root.mkdir(exist_ok=True)
    names = [f"im{number:03d}" for number in range(count)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 40), dtype=np.uint8)
        (root / f"{name}.pgm").write_bytes(b"P5\n40 60\n255\n" + pixels.tobytes())
    return pd.DataFrame(
        {
            "image_id": names,
            "dataset": "tests",
            "path": [f"{name}.pgm" for name in names],
            "pixel_spacing_mm": np.float32(0.5),
            "laterality": None,
            "view": None,
            "mirrored": False,
            "subtracted": False,
            "content_key": [f"key of {name}" for name in names],
            "owner": names,
        }
    )


@pytest.fixture
def files(tmp_path: Path) -> pd.DataFrame:
    return _archive(tmp_path / "raw", 8)


def _write(
    folder: Path, files: pd.DataFrame, recipe: InputRecipe = RECIPE, regions: pd.DataFrame = NONE
) -> Path:
    store = folder / "store"
    receipts = []
    for number in range(2):
        receipt = write_bundle(files, regions, (number, 2), folder / "raw", recipe, CODE, store)
        receipts.append(store / "bundles" / f"{number}.json")
        write_receipt(receipt, receipts[-1])
    whole = collect_bundles(receipts, store, store / "exclusions.csv")
    write_receipt(whole, store / "store.json")
    return store / "store.json"


def test_every_image_is_in_one_bundle(tmp_path: Path, files: pd.DataFrame) -> None:
    store = _write(tmp_path, files)
    opened = PixelStore.open(checked_folders(store))
    assert sorted(opened.item_ids) == sorted(files["image_id"])
    assert read_receipt(store).images == 8
    assert stores_by_dataset([store]) == {"tests": store}


def test_a_changed_file_makes_its_own_shard_again(
    tmp_path: Path,
    files: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bundle, "IMAGES_PER_SHARD", 2)
    before = read_receipt(_write(tmp_path, files))
    capsys.readouterr()
    changed = files.assign(
        content_key=files["content_key"].where(files["image_id"] != "im003", "another")
    )
    after = read_receipt(_write(tmp_path, changed))
    said = capsys.readouterr().out
    assert said.count("images stored") == 1
    assert said.count("kept") == len(before.shards) - 1 > 1
    assert [s.sha256 for s in before.shards] == [s.sha256 for s in after.shards]


@pytest.mark.parametrize(("setting", "word"), [("", "kept"), (RERUN, "images stored")])
def test_a_shard_of_other_versions_is_kept_with_them_or_made_again(
    tmp_path: Path,
    files: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    word: str,
) -> None:
    monkeypatch.setattr(versions, "_parts", [])
    monkeypatch.setenv(versions.SETTING, setting)
    with monkeypatch.context() as earlier:
        earlier.setattr(versions, "installed", lambda _: "0.1")
        before = read_receipt(_write(tmp_path, files))
    versions._parts.clear()
    capsys.readouterr()
    after = read_receipt(_write(tmp_path, files))
    assert capsys.readouterr().out.count(word) == 2
    assert before == after
    assert ("0.1" in versions.loaded_versions()["numpy"]) == (setting == "")


def test_another_number_of_shards_leaves_no_old_ones(
    tmp_path: Path, files: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "IMAGES_PER_SHARD", 1)
    _write(tmp_path, files)
    monkeypatch.setattr(bundle, "IMAGES_PER_SHARD", 100)
    store = _write(tmp_path, files)
    assert len(list((tmp_path / "store" / "shards").iterdir())) == 2
    assert len(PixelStore.open(checked_folders(store))) == 8


def test_flipped_bytes_are_seen_before_use_and_mended_by_a_new_run(
    tmp_path: Path, files: pd.DataFrame
) -> None:
    store = _write(tmp_path, files)
    array = sorted((tmp_path / "store" / "shards").rglob("shard.npy"))[0]
    content = bytearray(array.read_bytes())
    content[200] ^= 0xFF
    array.write_bytes(bytes(content))
    with pytest.raises(DamagedFileError, match=r"shard\.npy: the content is not what was written"):
        checked_folders(store)
    store = _write(tmp_path, files)
    assert len(PixelStore.open(checked_folders(store))) == 8


def test_a_file_is_hashed_once_for_each_state(
    tmp_path: Path, files: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _write(tmp_path, files)
    checked_folders(store)
    hashed: list[Path] = []
    original = sums.sha256_of_file
    monkeypatch.setattr(sums, "sha256_of_file", lambda p: (hashed.append(p), original(p))[1])
    checked_folders(store)
    assert hashed == []
    array = sorted((tmp_path / "store" / "shards").rglob("shard.npy"))[0]
    array.touch()
    checked_folders(store)
    assert hashed == [array]


def test_a_damaged_receipt_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text('{"dataset": "x", "shards": [{}]}', encoding="utf-8")
    with pytest.raises(TableError, match=r"store\.json: not a receipt"):
        read_receipt(path)


def test_two_stores_of_one_dataset_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_receipt(Receipt("tests", ()), tmp_path / name)
    with pytest.raises(TableError, match="another store of tests"):
        stores_by_dataset([tmp_path / "a", tmp_path / "b"])


def test_patches_are_items_of_their_own(tmp_path: Path, files: pd.DataFrame) -> None:
    recipe = RECIPE.model_copy(
        update={"patch": Patches(size_mm=5.0, breast_share=0.01), "size": (16, 16)}
    )
    region = pd.DataFrame(
        {
            **dict.fromkeys(ANNOTATIONS_SCHEMA.names),
            "annotation_id": ["im001-r1"],
            "image_id": ["im001"],
            "dataset": ["tests"],
            "shape": ["box"],
            "points": [np.array([20.0, 30.0, 22.0, 32.0])],
        }
    )
    store = _write(tmp_path, files, recipe, region)
    index = PixelStore.open(checked_folders(store)).index
    own = index[index["image_id"] == "im001"]
    first = own[own["item_id"] == "im001.00000"].iloc[0]
    assert (first["box_bottom"] - first["box_top"], first["box_right"] - first["box_left"]) == (
        10,
        10,
    )
    assert first["box_left"] <= 20
    assert first["box_right"] > 22
    assert first["box_top"] <= 30
    assert first["box_bottom"] > 32
    touching = own[
        (own["box_left"] < 23)
        & (own["box_right"] > 20)
        & (own["box_top"] < 33)
        & (own["box_bottom"] > 30)
    ]
    assert touching["item_id"].tolist() == ["im001.00000"]
    assert index["item_id"].is_unique
    assert index.groupby("image_id").size().min() > 4
