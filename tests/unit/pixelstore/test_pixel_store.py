from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from mammoshift.configuration.model import InputRecipe, Patches
from mammoshift.contracts.manifest import read_exclusions
from mammoshift.errors import TableError
from mammoshift.phantoms.twins.output import write_dicom
from mammoshift.pixelstore import writer
from mammoshift.pixelstore.assignment import shard_of
from mammoshift.pixelstore.fingerprints import (
    difference_hash,
    fine_difference_hash,
    pixel_hash,
)
from mammoshift.pixelstore.index import read_index
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.writer import write_shard

RECIPE = InputRecipe(size=(48, 32), tone="full_range", crop="none", orientation="as_stored")


def breast(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:120, 0:90]
    inside = x**2 / 60.0**2 + (y - 60) ** 2 / 50.0**2 < 1.0
    texture = cv2.GaussianBlur(generator.normal(0, 1, (120, 90)), (0, 0), 5)
    return np.where(inside, 140 + 400 * texture, 5).clip(0, 255).astype(np.uint8)


def archive(root: Path, count: int, start: int = 0) -> pd.DataFrame:
    root.mkdir(exist_ok=True)
    names = [f"im{number:03d}" for number in range(start, start + count)]
    for number, name in enumerate(names, start):
        (root / f"{name}.pgm").write_bytes(b"P5\n90 120\n255\n" + breast(number).tobytes())
    return pd.DataFrame(
        {
            "image_id": names,
            "dataset": "tests",
            "path": [f"{name}.pgm" for name in names],
            "pixel_spacing_mm": pd.array([0.2] * count, dtype="Float32"),
            "laterality": None,
            "view": None,
            "content_key": names,
            "owner": [f"p{number // 2}" for number in range(start, start + count)],
        }
    )


@pytest.fixture
def store_folder(tmp_path: Path) -> Iterator[Path]:
    write_shard(archive(tmp_path / "raw", 7), tmp_path / "raw", RECIPE, tmp_path / "store" / "0")
    yield tmp_path / "store" / "0"


def test_arrays_and_index_agree(store_folder: Path) -> None:
    store = PixelStore.open([store_folder])
    assert store.item_ids == tuple(f"im{number:03d}" for number in range(7))
    assert len(store) == 7
    assert store.shape == (48, 32)
    for row in store.index.itertuples():
        array = store.read(row.image_id)
        assert array.dtype == np.uint16
        assert array.shape == (48, 32)
        assert array.mean() == pytest.approx(row.mean)
        assert array.std() == pytest.approx(row.std)
        assert (array.min(), array.max()) == (row.min, row.max)
        assert pixel_hash(array) == row.pixel_hash
        assert (row.crop_top, row.crop_left, row.crop_bottom, row.crop_right) == (0, 0, 120, 90)
        assert row.pixel_spacing_down_mm == pytest.approx(0.2 * 120 / 43, rel=1e-6)


def test_what_is_read_can_be_changed_without_changing_the_store(store_folder: Path) -> None:
    store = PixelStore.open([store_folder])
    array = store.read("im003")
    array[:] = 1
    assert store.read("im003").max() > 1


def test_statistics_are_those_of_all_pixels(store_folder: Path) -> None:
    store = PixelStore.open([store_folder])
    pixels = np.stack([store.read(name) for name in store.item_ids]) / 65535.0
    statistics = store.statistics()
    assert statistics.images == 7
    assert statistics.mean == pytest.approx(pixels.mean())
    assert statistics.std == pytest.approx(pixels.std())
    assert statistics.minimum == pytest.approx(pixels.min())
    assert statistics.maximum == pytest.approx(pixels.max())


def test_unreadable_images_are_listed_and_the_rest_is_stored(tmp_path: Path) -> None:
    manifest = archive(tmp_path / "raw", 5)
    (tmp_path / "raw" / "im001.pgm").write_bytes(b"P5\n90 120\n255\nshort")
    (tmp_path / "raw" / "im003.pgm").unlink()
    manifest.loc[4, "path"] = "../outside.pgm"
    report = write_shard(manifest, tmp_path / "raw", RECIPE, tmp_path / "s", workers=3)
    assert report.images == 2
    reasons = {e.path: e.reason for e in read_exclusions(tmp_path / "s" / "exclusions.csv")}
    assert set(reasons) == {"im001.pgm", "im003.pgm", "../outside.pgm"}
    assert "truncated" in reasons["im001.pgm"]
    assert "does not exist" in reasons["im003.pgm"]
    assert "out of the archive" in reasons["../outside.pgm"]
    store = PixelStore.open([tmp_path / "s"])
    assert store.item_ids == ("im000", "im002")
    with pytest.raises(TableError, match="no image im001"):
        store.read("im001")


def test_the_spacing_of_the_manifest_holds(tmp_path: Path) -> None:
    manifest = archive(tmp_path, 1).assign(path="a.dcm", pixel_spacing_mm=0.05)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.1"
    dataset.ImagerPixelSpacing = [0.2, 0.2]
    write_dicom(dataset, breast(1), tmp_path / "a.dcm")
    write_shard(manifest, tmp_path, RECIPE, tmp_path / "s")
    index = read_index(tmp_path / "s")
    assert index["pixel_spacing_down_mm"][0] == pytest.approx(0.05 * 120 / 43, rel=1e-6)


def test_number_of_workers_and_order_do_not_matter(tmp_path: Path) -> None:
    manifest = archive(tmp_path / "raw", 9)
    for workers in (1, 4):
        write_shard(manifest, tmp_path / "raw", RECIPE, tmp_path / str(workers), workers=workers)
    for name in ("shard.npy", "index.parquet", "exclusions.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()
    reverse = manifest.iloc[::-1]
    write_shard(reverse, tmp_path / "raw", RECIPE, tmp_path / "reverse", workers=2)
    one, two = PixelStore.open([tmp_path / "1"]), PixelStore.open([tmp_path / "reverse"])
    for name in one.item_ids:
        np.testing.assert_array_equal(one.read(name), two.read(name))


def test_empty_shards(tmp_path: Path) -> None:
    manifest = archive(tmp_path / "raw", 3)
    full, empty = tmp_path / "full", tmp_path / "empty"
    write_shard(manifest, tmp_path / "raw", RECIPE, full)
    assert write_shard(manifest.iloc[:0], tmp_path / "raw", RECIPE, empty).images == 0
    assert np.load(empty / "shard.npy").shape == (0, 48, 32)
    assert PixelStore.open([empty, full]).item_ids == ("im000", "im001", "im002")
    nothing = PixelStore.open([empty])
    assert nothing.item_ids == ()
    assert nothing.statistics().images == 0
    assert np.isnan(nothing.statistics().mean)


def test_array_file_is_a_plain_numpy_file(store_folder: Path) -> None:
    arrays = np.load(store_folder / "shard.npy", allow_pickle=False)
    assert arrays.shape == (7, 48, 32)
    assert arrays.dtype == np.uint16


def test_store_is_pickled_without_its_arrays(store_folder: Path) -> None:
    store = PixelStore.open([store_folder])
    before = store.read("im002")
    content = pickle.dumps(store)
    assert len(content) < 12_000
    copy = pickle.loads(content)  # noqa: S301
    np.testing.assert_array_equal(copy.read("im002"), before)


def test_stores_that_contradict_themselves_are_refused(store_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="at least one"):
        PixelStore.open([])
    with pytest.raises(TableError, match="no readable index"):
        PixelStore.open([tmp_path / "nowhere"])
    with pytest.raises(TableError, match="more than one shard"):
        PixelStore.open([store_folder, store_folder])
    other = tmp_path / "other"
    wide = RECIPE.model_copy(update={"size": (48, 40)})
    write_shard(archive(tmp_path / "raw2", 2, 50), tmp_path / "raw2", wide, other)
    with pytest.raises(TableError, match="different image sizes"):
        PixelStore.open([store_folder, other])
    shutil.copy(other / "index.parquet", store_folder / "index.parquet")
    with pytest.raises(TableError, match="7 arrays but 2 index rows"):
        PixelStore.open([store_folder])
    data = (other / "shard.npy").read_bytes()
    (other / "shard.npy").write_bytes(data[:-100])
    with pytest.raises(TableError, match="truncated"):
        PixelStore.open([other])
    (other / "shard.npy").write_bytes(b"nothing")
    with pytest.raises(TableError, match="not a readable array file"):
        PixelStore.open([other])


def test_an_unexpected_error_in_a_worker_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = archive(tmp_path / "raw", 40)
    real = writer.preprocess_image
    calls = []

    def failing(image: object, recipe: object, **known: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of order")
        return real(image, recipe, **known)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "preprocess_image", failing)
    with pytest.raises(RuntimeError, match="out of order"):
        write_shard(manifest, tmp_path / "raw", RECIPE, tmp_path / "s", workers=2)
    assert len(calls) < 20
    assert not (tmp_path / "s" / "shard.npy").exists()
    assert not list((tmp_path / "s").iterdir())


def test_only_a_few_images_are_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = archive(tmp_path / "raw", 30)
    taken = 0
    written = 0
    most = 0
    real = writer.preprocess_image

    def counting(image: object, recipe: object, **known: object) -> object:
        nonlocal taken, most
        taken += 1
        most = max(most, taken - written)
        return real(image, recipe, **known)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "preprocess_image", counting)
    ordered_map = writer._ordered_map

    def slow(*arguments: object) -> Iterator[object]:
        nonlocal written
        for result in ordered_map(*arguments):  # type: ignore[arg-type]
            time.sleep(0.002)
            written += 1
            yield result

    monkeypatch.setattr(writer, "_ordered_map", slow)
    write_shard(manifest, tmp_path / "raw", RECIPE, tmp_path / "s", workers=2)
    assert taken == 30
    assert most <= 6


def test_random_read_of_a_full_size_image_is_fast(tmp_path: Path) -> None:
    manifest = archive(tmp_path / "raw", 8)
    recipe = RECIPE.model_copy(update={"size": (1520, 912)})
    write_shard(manifest, tmp_path / "raw", recipe, tmp_path / "s")
    store = PixelStore.open([tmp_path / "s"])
    order = np.random.default_rng(0).permutation(np.tile(store.item_ids, 4))
    seconds = []
    for name in order:
        start = time.perf_counter()
        store.read(name)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.02


def test_index_of_another_version_is_refused(store_folder: Path) -> None:
    path = store_folder / "index.parquet"
    pd.read_parquet(path).drop(columns="std").to_parquet(path)
    with pytest.raises(TableError, match="not those of the contract"):
        read_index(store_folder)


def test_shards_are_stable_and_even() -> None:
    assert shard_of("P_00001", 8) == shard_of("P_00001", 8)
    counts = np.bincount([shard_of(f"patient {n}", 16) for n in range(4000)], minlength=16)
    assert counts.min() > 180
    assert counts.max() < 330
    assert [shard_of("D1-0001", n) for n in (1, 2, 8, 512)] == [0, 1, 5, 133]
    with pytest.raises(ValueError, match="at least 1"):
        shard_of("a", 0)


@settings(max_examples=50, deadline=None)
@given(key=st.text(max_size=20), shards=st.integers(1, 512))
def test_shard_is_in_range(key: str, shards: int) -> None:
    assert 0 <= shard_of(key, shards) < shards


def test_difference_hash_by_hand() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint16) * 100, (8, 1))
    assert difference_hash(rising) == (1 << 64) - 1
    assert difference_hash(rising[:, ::-1].copy()) == 0
    rising[0, 1] = 0
    assert difference_hash(rising) == (1 << 63) - 1


def bits_between(one: bytes, two: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(two, "big")).bit_count()


def test_fine_hash_tells_copies_from_others() -> None:
    array = breast(1).astype(np.uint16) * 257
    darker = (65535 * (array / 65535.0) ** 1.3).astype(np.uint16)
    half = cv2.resize(array, (45, 60), interpolation=cv2.INTER_AREA)
    reference = fine_difference_hash(array)
    assert len(reference) == 64
    assert bits_between(reference, fine_difference_hash(darker)) < 30
    assert bits_between(reference, fine_difference_hash(half)) < 30
    assert bits_between(reference, fine_difference_hash(breast(2).astype(np.uint16))) > 80


def test_pixel_hash_sees_shape_and_every_pixel() -> None:
    array = np.zeros((4, 6), np.uint16)
    other = array.copy()
    other[3, 5] = 1
    assert len({pixel_hash(array), pixel_hash(other), pixel_hash(array.reshape(6, 4))}) == 3
    assert pixel_hash(array[:, ::-1]) == pixel_hash(array)


@pytest.mark.parametrize("patch", [None, Patches(size_mm=4.0, breast_share=0.5)])
def test_images_and_patches_that_are_nearly_of_one_grey_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, patch: Patches | None
) -> None:
    files = archive(tmp_path / "raw", 2)
    pixels = (breast(0).astype(np.uint16) + 1) * 8
    stored = pixels.astype(">u2").tobytes()
    (tmp_path / "raw" / "im000.pgm").write_bytes(b"P5\n90 120\n65535\n" + stored)
    recipe = RECIPE.model_copy(update={"patch": patch})
    write_shard(files, tmp_path / "raw", recipe, tmp_path / "dark")
    assert [record.args[0] for record in caplog.records if "another tone" in record.msg] == [
        "im000"
    ]
    caplog.clear()
    spanned = recipe.model_copy(update={"tone": "image_range"})
    write_shard(files, tmp_path / "raw", spanned, tmp_path / "spanned")
    assert not caplog.records


def test_no_muscle_is_looked_for_in_a_subtracted_image(tmp_path: Path) -> None:
    files = archive(tmp_path / "raw", 1).assign(view="MLO")
    y, x = np.mgrid[0:120, 0:90]
    pixels = breast(0)
    pixels[(x / 40 + (y - 8) / 55 < 1) & (pixels > 20)] = 250
    (tmp_path / "raw" / "im000.pgm").write_bytes(b"P5\n90 120\n255\n" + pixels.tobytes())
    recipe = RECIPE.model_copy(update={"mask": "breast_without_pectoral"})
    shown = []
    for number, subtracted in enumerate((False, True)):
        folder = tmp_path / str(number)
        write_shard(files.assign(subtracted=subtracted), tmp_path / "raw", recipe, folder)
        shown.append(int((PixelStore.open([folder]).read("im000") > 0).sum()))
    assert shown[0] < 0.9 * shown[1]
