"""The regions that adapters find lie where the twins put their lesions."""

from __future__ import annotations

from collections import defaultdict
from importlib import import_module

import cv2
import pydicom
import pytest
import tifffile

from mammoshift.configuration.dataset import Twin
from mammoshift.contracts.annotations import bounding_box
from mammoshift.phantoms.scanner import detector_position
from mammoshift.phantoms.twin import write_twin

PATIENTS = 12


class Truth:
    """Where a twin put its lesions: (column, row) in each image as it hangs on the light box."""

    def __init__(self, layout, monkeypatch):
        self.places = defaultdict(list)
        module = import_module(f"mammoshift.phantoms.twins.{layout}")
        image_breast = module.image_breast

        def noting(patient, side, view, scanner, contrast=1.0):
            image, sites = image_breast(patient, side, view, scanner, contrast)
            for site in sites:
                row, column = detector_position(site.row_mm, site.column_mm, scanner)
                if side == "right":
                    column = scanner.shape[1] - 1 - column
                self.places[patient.number, side, view].append(((column, row), scanner))
            return image, sites

        monkeypatch.setattr(module, "image_breast", noting)


@pytest.fixture
def made(tmp_path, monkeypatch, ingest):
    def make(layout, **options):
        truth = Truth(layout, monkeypatch)
        write_twin(
            layout, Twin(patients=PATIENTS, seed=5, magnification_of_pitch=12), tmp_path / "t"
        )
        return truth.places, ingest(layout, tmp_path / "t", **options), tmp_path / "t"

    return make


def _circles(result):
    """Return the centre and radius of every circle, by image, with the manifest's row."""
    images = result.manifest.set_index("image_id")
    for row in result.annotations.to_dict("records"):
        assert row["shape"] == "circle"
        box = bounding_box(row["shape"], row["points"], row["radius"])
        yield images.loc[row["image_id"]], row["image_id"], box.centre, row["radius"]


def test_circles_of_mias_are_on_the_lesions(made):
    places, result, _ = made("mias")
    seen = 0
    for image, image_id, (x, y), radius in _circles(result):
        number = (int(image_id[3:]) + 1) // 2
        true = []
        for (column, row), film in places[number, image["laterality"], "MLO"]:
            # The archive stores every film mirrored and centred in a square.
            margin = (image["columns"] - film.shape[1]) // 2
            true.append((margin + film.shape[1] - 1 - column, row))
        assert any(abs(x - cx) <= 1.6 and abs(y - cy) <= 1.6 for cx, cy in true)
        assert radius >= 1
        seen += 1
    assert seen >= 4


def test_circles_of_dmid_are_on_the_lesions_and_in_the_masks(made):
    places, result, root = made("dmid")
    seen = 0
    masks = result.annotations.set_index("image_id")["mask_path"].dropna()
    for image, image_id, (x, y), _ in _circles(result):
        number = (int(image_id[3:]) + 1) // 2
        true = [place for place, _ in places[number, image["laterality"], image["view"]]]
        assert any(abs(x - cx) <= 1.6 and abs(y - cy) <= 1.6 for cx, cy in true)
        if image_id in masks.index:
            mask = tifffile.imread(root / masks[image_id])
            assert mask[min(round(y), len(mask) - 1), round(x), 0] == 255
            seen += 1
    assert seen >= 4


def test_masks_of_cbis_ddsm_are_of_their_lesions(made):
    places, result, root = made("cbis_ddsm")
    images = result.manifest.set_index("image_id")
    annotations = result.annotations
    assert set(annotations["shape"]) == {"mask"}
    assert annotations["mask_path"].is_unique
    # Masks are there for every fourth patient only.
    assert set(images.loc[annotations["image_id"], "patient_id"]) == {
        "P_00004",
        "P_00008",
        "P_00012",
    }
    for row in annotations.to_dict("records"):
        image = images.loc[row["image_id"]]
        dataset = pydicom.dcmread(root / row["mask_path"])
        assert dataset.BitsAllocated == 8
        mask = cv2.resize(dataset.pixel_array, (image["columns"], image["rows"]))
        place = (int(image["patient_id"][2:]), image["laterality"], image["view"])
        assert any(mask[round(cy), round(cx)] > 127 for (cx, cy), _ in places[place])
        assert row["lesion_type"] in image["lesion_types"]
        assert row["pathology"] in {"benign", "malignant"}
        assert row["source"].endswith("_set.csv")
    both = annotations[annotations["image_id"] == "P_00004_LEFT_CC"]
    other = annotations[annotations["image_id"] == "P_00004_RIGHT_CC"]
    found = set(both["lesion_type"]) | set(other["lesion_type"])
    assert found == {"mass", "calcification"}


PATIENT_OF = {
    "inbreast": lambda image_id: (int(image_id) - 20_586_900) // 4,
    "mexbreast": lambda image_id: (int(image_id[3:]) + 1) // 2,
}


@pytest.mark.parametrize(
    ("layout", "options", "shapes"),
    [
        ("inbreast", {}, {"polygon", "circle"}),
        ("vindr_mammo", {}, {"box"}),
        ("mexbreast", {"mexbreast": {"table": "boxes.csv"}}, {"box"}),
    ],
)
def test_outlines_and_boxes_are_around_the_lesions(made, layout, options, shapes):
    places, result, _ = made(layout, **options)
    assert set(result.annotations["shape"]) == shapes
    images = result.manifest.set_index("image_id")
    for row in result.annotations.to_dict("records"):
        image = images.loc[row["image_id"]]
        box = bounding_box(row["shape"], row["points"], row["radius"])
        x, y = box.centre
        number = PATIENT_OF[layout](row["image_id"]) if layout in PATIENT_OF else None
        true = [
            place
            for (patient, side, view), found in places.items()
            for place, _ in found
            if number in {None, patient}
            and (layout == "mexbreast" or (side, view) == (image["laterality"], image["view"]))
        ]
        # A box that the edge of the image cuts has its middle elsewhere.
        cut = min(box.x0, box.y0) <= 0 or box.x1 >= image["columns"] - 1
        assert cut or any(abs(x - cx) <= 1 and abs(y - cy) <= 1 for cx, cy in true)
        assert row["lesion_type"] in {"mass", "calcification"}
    assert len(result.annotations) >= 4


@pytest.mark.parametrize("layout", ["cmmd", "rsna_2022"])
def test_archives_without_regions_have_an_empty_table(made, layout):
    _, result, _ = made(layout)
    assert result.annotations.empty
