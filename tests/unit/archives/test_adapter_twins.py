"""The synthetic twins, in the real raw layouts, pass through the adapters."""

from __future__ import annotations

from collections import Counter

import pytest

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.registry import twin_names
from mammoshift.phantoms.twin import write_twin
from mammoshift.phantoms.twins import cbis_ddsm
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


OPTIONS = {"mexbreast": {"mexbreast": {"table": "boxes.csv", "suspicious": "malignant"}}}


@pytest.mark.parametrize("layout", twin_names())
def test_nothing_of_a_twin_is_lost(twin_root, ingest, layout):
    root, options = twin_root(layout), OPTIONS.get(layout, {})
    result = ingest(layout, root, maximum_lost_share=0.0, **options)
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
