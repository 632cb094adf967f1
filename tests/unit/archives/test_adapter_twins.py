"""The synthetic twins, in the real raw layouts, pass through the adapters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import pytest

from mammoshift.configuration.dataset import Population, Twin
from mammoshift.configuration.load import read_yaml
from mammoshift.phantoms.registry import adapter_of, layout_names
from mammoshift.phantoms.twin import write_twin
from mammoshift.phantoms.twins import cbis_ddsm, csv_case_control
from mammoshift.phantoms.twins import csv as csv_twin
from mammoshift.phantoms.twins.mias import write_patient, write_tables

PATIENTS = 8


@pytest.fixture(scope="module")
def twin_root(tmp_path_factory):
    written = {}

    def make(layout):
        if layout not in written:
            written[layout] = tmp_path_factory.mktemp("twins") / layout
            twin = Twin(patients=PATIENTS, seed=3, magnification_of_pitch=16.0)
            write_twin(layout, twin, written[layout])
        return written[layout]

    return make


NEUTRAL = {
    "table": csv_twin.TABLE,
    "columns": {
        "path": "file",
        "label": "label",
        "patient_id": "patient",
        "laterality": "side",
        "view": "view",
        "density": "density",
        "age": "age",
        "pixel_spacing_mm": "pixel_mm",
    },
    "label_values": {"normal": "normal", "benign": "benign", "malignant": "malignant"},
}
TWINS = read_yaml(Path(__file__).parents[3] / "config" / "datasets" / "twins.yaml")
CASE_CONTROL = TWINS["case_control"]["csv"]
OPTIONS = {
    "mexbreast": {"mexbreast": {"table": "boxes.csv", "suspicious": "malignant"}},
    "cdd_cesm": {"cdd_cesm": {"images": "both"}},
    "csv": {"csv": NEUTRAL},
    "csv_case_control": {"csv": CASE_CONTROL},
}


@pytest.mark.parametrize("layout", layout_names())
def test_nothing_of_a_twin_is_lost(twin_root, ingest, layout):
    root, options = twin_root(layout), OPTIONS.get(layout, {})
    result = ingest(adapter_of(layout), root, maximum_lost_share=0.0, **options)
    manifest = result.manifest
    assert Counter(e.stage for e in result.exclusions)["ingest"] == 0
    assert len(manifest) >= PATIENTS
    required = ["laterality", "view", "pathology", "bits", "rows", "columns", "content_key"]
    if layout == "mexbreast":
        required = required[2:]
    assert manifest[required].notna().all(axis=None)
    assert manifest["path"].is_unique
    if layout in {"dmid", "mexbreast"}:
        assert manifest["patient_id"].isna().all()
    else:
        assert manifest["patient_id"].nunique() == PATIENTS


def test_pairs_of_a_case_control_set_have_one_age_and_one_cancer(twin_root, ingest):
    manifest = ingest("csv", twin_root("csv_case_control"), csv=CASE_CONTROL).manifest
    patients = manifest.groupby("patient_id").agg(
        pair=("pair_id", "first"), label=("pathology", "min"), age=("age", "first")
    )
    for _, pair in patients.groupby("pair"):
        assert sorted(pair["label"]) == ["malignant", "normal"]
        assert pair["age"].max() - pair["age"].min() <= 1
    views = manifest.groupby("patient_id")[["laterality", "view"]].apply(
        lambda own: set(zip(own["laterality"], own["view"], strict=True))
    )
    assert all(len(own) == 4 for own in views)
    malignant = manifest[manifest["pathology"] == "malignant"]
    assert len(malignant) * 4 == len(manifest)


def test_a_control_may_have_a_benign_lesion_and_an_odd_patient_no_pair(tmp_path):
    population = Population(malignant=0.0, benign=1.0)
    twin = Twin(patients=5, seed=3, magnification_of_pitch=24.0, population=population)
    rows = [csv_case_control.write_patient(twin, n, tmp_path).rows for n in (1, 2, 5)]
    groups = [{row[3] for row in of_patient} for of_patient in rows]
    assert groups == [{"case"}, {"control"}, {"case"}]
    assert {row[2] for row in rows[2]} == {""}
    assert csv_case_control.draw_member(twin, 2).pathology == "benign"


def test_a_neutral_twin_images_the_patients_of_its_seed_in_sixteen_bits(twin_root, ingest):
    manifest = ingest("csv", twin_root("csv"), csv=NEUTRAL).manifest
    assert len(manifest) == 4 * PATIENTS
    assert set(manifest["bits"]) == {16}
    pixels = cv2.imread(str(twin_root("csv") / manifest["path"][0]), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert len(set(pixels.ravel().tolist())) > 256


def test_a_twin_of_cdd_cesm_has_the_defects_of_the_workbook(twin_root, ingest):
    both, low, subtracted = (
        ingest("cdd_cesm", twin_root("cdd_cesm"), cdd_cesm={"images": images}).manifest
        for images in ("both", "low_energy", "subtracted")
    )
    assert len(both) == len(low) + len(subtracted)
    assert len(low) == len(subtracted)
    twice = both[both["image_id"].str.endswith("_2")]
    assert sorted(twice["path"].str[-6:]) == ["_2.jpg"] * 2
    of_low, of_subtracted = (found["pathology"].value_counts() for found in (low, subtracted))
    assert of_low["benign"] > of_subtracted.get("benign", 0)
    assert of_low["malignant"] == of_subtracted["malignant"]


def test_a_twin_of_cmmd_has_unlabelled_breasts_and_coarse_pixels(twin_root, ingest):
    root = twin_root("cmmd")
    excluded = ingest("cmmd", root)
    included = ingest("cmmd", root, cmmd={"unlabelled": "normal"})
    left_out = {e.path for e in excluded.exclusions}
    assert left_out
    normal = included.manifest["pathology"] == "normal"
    assert set(included.manifest.loc[normal, "path"]) == left_out
    assert included.manifest["pixel_spacing_mm"].to_numpy() == pytest.approx(16 * 0.0940909)


def test_a_twin_of_mias_keeps_the_frame(twin_root, ingest):
    manifest = ingest("mias", twin_root("mias")).manifest
    assert manifest["pixel_spacing_mm"].to_numpy() == pytest.approx(16 * 0.2)


def test_a_large_twin_of_mias_has_longer_numbers(tmp_path, ingest):
    twin = Twin(patients=501, seed=3, magnification_of_pitch=32.0)
    write_tables(twin, iter([write_patient(twin, n, tmp_path) for n in (1, 501)]), tmp_path)
    manifest = ingest("mias", tmp_path, maximum_lost_share=0.0).manifest
    assert manifest["image_id"].tolist() == ["mdb001", "mdb002", "mdb1001", "mdb1002"]
    assert manifest["patient_id"].tolist() == ["pair001", "pair001", "pair501", "pair501"]


def test_patients_of_cbis_ddsm_cross_the_official_parts_by_film_and_by_breast(tmp_path, ingest):
    twin = Twin(patients=25, seed=3, magnification_of_pitch=16.0)
    rows = [cbis_ddsm.write_patient(twin, number, tmp_path) for number in (4, 25)]
    cbis_ddsm.write_tables(twin, iter(rows), tmp_path)
    manifest = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0).manifest
    parts = manifest.groupby(["patient_id", "laterality"])["official_split"].agg(set).to_dict()
    by_film = [own for (patient, _), own in parts.items() if patient == "P_00004"]
    assert by_film == [{"both"}]
    assert parts["P_00025", "left"] == {"train"}
    assert parts["P_00025", "right"] == {"test"}
