from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.annotations import ANNOTATIONS_SCHEMA
from mammoshift.contracts.contact_sheet import read_record
from mammoshift.errors import TableError
from mammoshift.pixelstore.bundle import collect_bundles, write_bundle
from mammoshift.pixelstore.receipt import write_receipt
from mammoshift.pixelstore.sheet import first_looked_at, sheet_of_archive, write_contact_sheet

RECIPE = InputRecipe(size=(48, 32), tone="full_range", mask="breast")
NONE = ANNOTATIONS_SCHEMA.empty_table().to_pandas()


@pytest.fixture
def files(tmp_path: Path) -> pd.DataFrame:
    """Return the table of four breasts of growing brightness, and of one noisy image."""
    root = tmp_path / "raw"
    root.mkdir()
    y, x = np.mgrid[0:90, 0:60]
    breast = (x / 40) ** 2 + ((y - 45) / 40) ** 2 < 1
    names = [f"DOE_JANE_{number}" for number in range(5)]
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).normal(5.0, 1.0, breast.shape)
        pixels = np.clip(breast * (40.0 + 45.0 * number) * (1 - x / 80) + noise, 0, 255)
        if number == 4:
            pixels = np.zeros_like(noise)
        content = b"P5\n60 90\n255\n" + pixels.astype(np.uint8).tobytes()
        (root / f"{name}.pgm").write_bytes(content)
    return pd.DataFrame(
        {
            "image_id": names,
            "dataset": "tests",
            "path": [f"{name}.pgm" for name in names],
            "pixel_spacing_mm": np.float32(2.0),
            "laterality": None,
            "view": None,
            "mirrored": False,
            "subtracted": False,
            "content_key": names,
            "owner": names,
        }
    )


def test_a_sheet_of_a_store_names_nobody_and_begins_with_what_is_least_sure(
    tmp_path: Path, files: pd.DataFrame
) -> None:
    store = tmp_path / "store"
    receipt = write_bundle(files, NONE, (0, 1), tmp_path / "raw", RECIPE, {}, store)
    write_receipt(receipt, store / "bundles" / "0.json")
    whole = collect_bundles([store / "bundles" / "0.json"], store, store / "exclusions.csv")
    write_receipt(whole, store / "store.json")
    picture = store / "contact_sheet.jpg"
    written = write_contact_sheet(
        files, NONE, tmp_path / "raw", RECIPE, store / "store.json", picture
    )
    record = read_record(picture.with_suffix(".json"))
    assert record == written
    assert (record.dataset, record.images, len(record.shown)) == ("tests", 5, 5)
    assert [image.breast_found for image in record.shown] == [False, True, True, True, True]
    found = record.shown[1:]
    assert min(found, key=lambda image: image.filled_share) in found[:2]
    assert "DOE" not in picture.with_suffix(".json").read_text()
    assert b"DOE" not in picture.read_bytes()
    pixels = cv2.imread(str(picture))
    assert pixels is not None
    assert pixels.shape[:2] == (record.height, record.width)


def test_a_sheet_of_a_raw_archive_leaves_out_what_cannot_be_decoded(
    tmp_path: Path, files: pd.DataFrame
) -> None:
    (tmp_path / "raw" / "DOE_JANE_1.pgm").write_bytes(b"P5\n60 90\n255\nshort")
    picture = tmp_path / "sheet.png"
    record = sheet_of_archive(files, NONE, tmp_path / "raw", RECIPE, picture)
    assert len(record.shown) == record.images == 4
    assert cv2.imread(str(picture)) is not None


def test_the_extremes_of_both_measures_come_first() -> None:
    images = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "breast_found": [True] * 5 + [False],
            "certainty": [0.9, 0.95, 0.5, 0.97, 0.98, 0.0],
            "filled_share": [0.9, 0.2, 0.8, 0.85, 0.88, 0.7],
        }
    )
    assert first_looked_at(images, 3)["image_id"].tolist() == ["f", "b", "c"]


def test_what_is_no_record_of_a_sheet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"dataset": "tests"}))
    with pytest.raises(TableError, match=r"record\.json: no record of a contact sheet"):
        read_record(path)
