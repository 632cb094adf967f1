from __future__ import annotations

from collections import Counter

import pytest
from PIL import Image

from mammoshift.archives.adapters.cdd_cesm import lesion_types_of
from mammoshift.errors import ArchiveError

HEADER = (
    "Image_name",
    "Patient_ID",
    "Side",
    "Type",
    "Age",
    "Breast density (ACR)",
    "BIRADS",
    "Findings",
    "View",
    "Tags",
    "Machine",
    "Pathology Classification/ Follow up",
)
LOW, SUBTRACTED = "Low energy images of CDD-CESM", "Subtracted images of CDD-CESM"


def _row(name, density="C", birads=1, findings="Normal", pathology="Normal", **changes):
    stem = name.strip()
    patient, side, kind, view = stem.split("_")
    row = {
        "name": name,
        "patient": int(patient[1:]),
        "side": side,
        "type": {"DM": "DM", "CM": "CESM"}[kind],
        "age": 46,
        "density": density,
        "birads": birads,
        "findings": findings,
        "view": view,
        "tags": "x",
        "machine": 1,
        "pathology": pathology,
    }
    return tuple((row | changes).values())


ROWS = [
    _row("P1_L_DM_MLO"),
    _row("P1_L_CM_MLO", "_", "3$2", "Irregular rim enhancing mass$IMLN", "Malignant"),
    _row("P3_L_DM_CC", "_"),
    _row("P3_L_CM_CC ", "_", 2, "Non enhancement ", "Benign", machine=2),
    _row("P99_L_DM_MLO"),
    _row("P99_L_DM_MLO"),
    _row("P99_L_CM_MLO", "_"),
    _row("P99_L_CM_MLO", "_"),
    _row("P281_L_CM_MLO", "_"),
    _row("P281_L_CM_MLO", "_"),
]
FILES = [
    f"{LOW}/P1_L_DM_MLO.jpg",
    f"{LOW}/P3_L_DM_CC.jpg",
    f"{LOW}/P99_L_DM_MLO.jpg",
    f"{LOW}/P99_L_DM_MLO_2.jpg",
    f"{SUBTRACTED}/P1_L_CM_MLO.jpg",
    f"{SUBTRACTED}/P3_L_CM_CC .jpg",
    f"{SUBTRACTED}/P99_L_CM_MLO.jpg",
    f"{SUBTRACTED}/P99_L_CM_MLO_2.jpg",
    f"{SUBTRACTED}/P281_L_CM_MLO.jpg",
    f"{SUBTRACTED}/P281_L_CM_MLO2.jpg",
]


@pytest.fixture
def make(tmp_path, write_workbook):
    def build(rows=ROWS, workbook="Radiology-manual-annotations.xlsx", sheet="all", prefix=""):
        write_workbook(tmp_path / workbook, {"other": [["x"]], sheet: [HEADER, *rows]})
        for file in FILES:
            path = tmp_path / prefix / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 6)).save(path)
        return tmp_path

    return build


def test_subtracted_images_are_told_from_the_others(make, ingest):
    result = ingest("cdd_cesm", make(), cdd_cesm={"images": "both"})
    files = result.with_kinds().set_index("image_id")["subtracted"]
    assert files.sum() == 6
    assert all("_CM_" in name for name in files.index[files])
    assert not result.with_kinds()["mirrored"].any()


def test_low_energy_images_are_the_default(make, ingest):
    result = ingest("cdd_cesm", make())
    assert result.exclusions == []
    assert result.manifest["image_id"].tolist() == [
        "P1_L_DM_MLO",
        "P3_L_DM_CC",
        "P99_L_DM_MLO",
        "P99_L_DM_MLO_2",
    ]
    assert result.manifest["patient_id"].tolist() == ["P1", "P3", "P99", "P99"]


@pytest.mark.parametrize(
    ("workbook", "prefix"),
    [
        ("Radiology-manual-annotations.xlsx", ""),
        ("Radiology manual annotations.xlsx", "PKG - CDD-CESM/CDD-CESM"),
    ],
)
def test_subtracted_images(make, ingest, workbook, prefix):
    result = ingest(
        "cdd_cesm", make(workbook=workbook, prefix=prefix), cdd_cesm={"images": "subtracted"}
    )
    assert result.exclusions == []
    table = result.manifest.set_index("image_id")
    assert list(table.index) == [
        "P1_L_CM_MLO",
        "P281_L_CM_MLO",
        "P281_L_CM_MLO_2",
        "P3_L_CM_CC",
        "P99_L_CM_MLO",
        "P99_L_CM_MLO_2",
    ]
    first = table.loc["P1_L_CM_MLO"]
    assert (first["density"], first["birads"], first["pathology"]) == ("c", "3", "malignant")
    assert (first["lesion_types"], first["age"]) == ("mass+other", 46)
    second = table.loc["P3_L_CM_CC"]
    assert second["path"].endswith("P3_L_CM_CC .jpg")
    assert second[["density", "density_scale", "lesion_types"]].isna().all()
    assert second["detector"] == "machine 2"


def test_both_kinds_in_one_dataset(make, ingest):
    result = ingest("cdd_cesm", make(), cdd_cesm={"images": "both"})
    assert result.exclusions == []
    table = result.manifest.set_index("image_id")
    assert len(table) == 10
    assert table.loc["P1_L_CM_MLO", "pathology"] == "malignant"
    assert table.loc["P1_L_DM_MLO", "pathology"] == "normal"
    assert table.loc["P1_L_CM_MLO", "patient_id"] == table.loc["P1_L_DM_MLO", "patient_id"]
    assert table.loc["P1_L_CM_MLO", "detector"] == "machine 1, subtracted"
    assert table.loc["P3_L_DM_CC", "detector"] == "machine 1, low energy"
    assert table.loc["P3_L_CM_CC", "detector"] == "machine 2, subtracted"


def test_a_broken_row_leaves_the_next_of_its_name_in_place(make, ingest):
    rows = [
        _row("P99_L_DM_MLO", pathology="Unclear"),
        _row("P99_L_DM_MLO", pathology="Malignant"),
        *(row for row in ROWS if row[0] != "P99_L_DM_MLO"),
    ]
    manifest = ingest("cdd_cesm", make(rows), maximum_lost_share=0.9).manifest
    labelled = manifest[manifest["patient_id"] == "P99"]
    assert labelled["path"].tolist() == [f"{LOW}/P99_L_DM_MLO_2.jpg"]
    assert labelled["pathology"].tolist() == ["malignant"]


def test_missing_files_and_contradicting_rows_are_listed(make, ingest):
    rows = [
        *ROWS,
        _row("P7_R_DM_CC"),
        _row("P8_R_DM_CC", view="MLO"),
        _row("P9_R_DM_CC", pathology="Unclear"),
    ]
    root = make(rows)
    Image.new("L", (4, 6)).save(root / LOW / "P77_R_DM_CC.jpg")
    Image.new("L", (4, 6)).save(root / "overview.jpg")
    result = ingest("cdd_cesm", root, maximum_lost_share=0.6)
    workbook = "Radiology-manual-annotations.xlsx"
    assert {(e.path, e.stage) for e in result.exclusions} == {
        (f"{LOW}/P7_R_DM_CC.jpg", "ingest"),
        (f"{workbook}: row 13", "ingest"),
        (f"{workbook}: row 14", "ingest"),
        (f"{LOW}/P77_R_DM_CC.jpg", "ingest"),
        ("overview.jpg", "selection"),
    }


def test_a_workbook_without_the_sheet_is_an_error(make, ingest):
    with pytest.raises(ArchiveError, match="no sheet 'all'; it has other, everything"):
        ingest("cdd_cesm", make(sheet="everything"))


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ("Normal", None),
        ("No mass or non mass enhancement", None),
        ("Non enhancement ", None),
        ("Heterogenously enhancing mass", "mass"),
        ("Segmental non mass enhancement ", "enhancement"),
        ("Heterogenous enhacement ", "enhancement"),
        ("Foci of enhancement", "enhancement"),
        ("Heterogenously enhancing mass and non mass enhancement", "enhancement+mass"),
        ("Multiple medium density  masses$Benign macrocalcifications ", "calcification+mass"),
        ("Asymmetrial increased density", "asymmetry"),
        ("Postoperative scar and assymetrical increased density", "asymmetry"),
        ("Architectural distortion ", "distortion"),
        ("Diffuse edematous changes", "other"),
        ("Non enhancing mass", "mass"),
        ("Flap with no enhancement", "other"),
    ],
)
def test_findings_name_lesion_types(findings, expected):
    assert lesion_types_of(findings) == expected


def test_the_real_archive(shared_data, ingest):
    result = ingest(
        "cdd_cesm",
        shared_data / "cdd-cesm",
        cdd_cesm={"images": "subtracted"},
        maximum_lost_share=0.4,
    )
    manifest = result.manifest
    assert len(manifest) == 669
    assert Counter(e.stage for e in result.exclusions) == {"ingest": 334}
    assert manifest["density"].value_counts().to_dict() == {"c": 346, "b": 215, "d": 42, "a": 8}
    assert "P4_L_CM_MLO" in set(manifest["image_id"])
    with pytest.raises(ArchiveError, match="334 of 1003 images"):
        ingest("cdd_cesm", shared_data / "cdd-cesm", cdd_cesm={"images": "subtracted"})


def test_the_real_workbook_has_the_published_counts(tmp_path, shared_data, ingest, write_file):
    source = shared_data / "cdd-cesm"
    write_file(
        tmp_path / "Radiology-manual-annotations.xlsx",
        (source / "Radiology-manual-annotations.xlsx").read_bytes(),
    )
    Image.new("L", (4, 6)).save(tmp_path / "any.jpeg")
    image = (tmp_path / "any.jpeg").read_bytes()
    (tmp_path / "any.jpeg").unlink()
    listing = (source / "listing_of_the_full_release.txt").read_text(encoding="utf-8")
    for line in listing.splitlines():
        if line.endswith(".jpg"):
            write_file(tmp_path / line, image)
    expected = {
        "low_energy": {"normal": 341, "benign": 331, "malignant": 331},
        "subtracted": {"normal": 416, "benign": 256, "malignant": 331},
    }
    for images, counts in expected.items():
        result = ingest("cdd_cesm", tmp_path, cdd_cesm={"images": images}, maximum_lost_share=0.0)
        assert result.exclusions == []
        assert result.manifest["pathology"].value_counts().to_dict() == counts
        assert result.manifest["patient_id"].nunique() == 326
