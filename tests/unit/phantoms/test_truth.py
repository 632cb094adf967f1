"""The truth beside a twin's archive lies on its images, and never inside the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mammoshift.configuration.dataset import Twin
from mammoshift.imaging.breast import full_mask, locate_breast
from mammoshift.imaging.decode import decode_image
from mammoshift.phantoms.registry import layout_names
from mammoshift.phantoms.truth import AIR, BREAST, MUSCLE
from mammoshift.phantoms.twin import write_twin

SUFFIXES = {".dcm", ".dicom", ".jpg", ".png", ".tif", ".pgm"}


def settings(truth: bool | None) -> Twin:
    return Twin(patients=4, seed=9, magnification_of_pitch=24.0, truth=truth)


def read(path: Path) -> NDArray[Any]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def dice(one: NDArray[Any], other: NDArray[Any]) -> float:
    return 2.0 * float(((one > 0) & other).sum()) / float((one > 0).sum() + other.sum())


@pytest.mark.parametrize("layout", layout_names())
def test_every_image_has_its_truth_in_its_own_shape_and_orientation(
    layout: str, tmp_path: Path
) -> None:
    root, truths = tmp_path / "archive", tmp_path / "archive.truth"
    write_twin(layout, settings(True), root)
    found = sorted(path for path in truths.rglob("*") if path.is_file())
    assert len(found) >= 4
    agreed = []
    for path in found:
        stored = root / path.relative_to(truths).as_posix().removesuffix(".png")
        assert stored.suffix in SUFFIXES
        image, truth = decode_image(stored), read(path)
        assert truth.shape == image.pixels.shape
        assert set(np.unique(truth)) <= {AIR, BREAST, MUSCLE}
        mask = full_mask(locate_breast(image))
        agreed.append(dice(mask, truth > AIR) > dice(mask, truth[:, ::-1] > AIR))
    assert np.mean(agreed) > 0.9
    assert any((read(path) == MUSCLE).any() for path in found)


def test_an_archive_is_the_same_with_and_without_its_truth(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with_it = write_twin("csv", settings(True), root)
    assert (tmp_path / "archive.truth").is_dir()
    without = write_twin("csv", settings(None), root)
    assert with_it == without
    assert not (tmp_path / "archive.truth").exists()
