from __future__ import annotations

import plistlib

import pandas as pd
import pytest

from mammoshift.errors import ArchiveError

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
ROWS = (
    "removed;removed;R;CC;201001;22678622;4;1",
    "removed;removed;R;MLO;201001;22678646;4;4a",
    f"removed;removed;L;FB;201002;50994300;{' ' * 193};6",
    "removed;062Y;L;MLO;201001;20586908;1;3",
)
HASH = "6c613a14b80a8591"
NAMES = {
    "22678622": f"22678622_{HASH}_MG_R_CC_ANON.dcm",
    "22678646": f"22678646_{HASH}_MG_R_ML_ANON.dcm",
    "50994300": "50994300_c4b995eddb3c510c_MG_L_FB_ANON.dcm",
    "20586908": f"20586908_{HASH}_MG_L_ML_ANON.dcm",
}
ROIS = [
    {"Name": "Mass", "Point_px": ["(1.0, 2.0)", "(3.5, 2.0)", "(3.0, 7.0)"]},
    {"Name": "Calcification", "Point_px": ["(4.0, 5.0)"]},
    {"Name": "Calcifications", "Point_px": ["(6.0, 1.0)", "(2.0, 3.0)"]},
    {"Name": "Pectoral Muscle", "Point_px": ["(0, 0)", "(1, 0)", "(0, 1)"]},
    {"Name": "Espiculated Region", "Point_px": ["(0, 0)", "(1, 0)", "(0, 1)"]},
    {"Name": "Unnamed", "Point_px": ["(0, 0)", "(1, 0)", "(0, 1)"]},
    {"Name": "Assymetry", "Point_px": []},
]


def _write(root, rows=ROWS, end="\r\n"):
    (root / "INbreast.csv").write_bytes((end.join([HEADER, *rows]) + end).encode())


def _plist(rois):
    return plistlib.dumps({"Images": [{"NumberOfROIs": len(rois), "ROIs": rois}]})


@pytest.fixture
def archive(tmp_path, write_file, dicom_bytes):
    root = tmp_path / "INbreast Release 1.0"
    for name in NAMES.values():
        write_file(root / "AllDICOMs" / name, dicom_bytes(rows=10, columns=8, Modality="OT"))
    write_file(root / "AllXML" / "22678646.xml", _plist(ROIS))
    _write(root)
    return root


def test_names_and_table_become_a_manifest(archive, ingest):
    result = ingest("inbreast", archive, maximum_lost_share=0.0)
    table = result.manifest.set_index("image_id")
    assert result.exclusions == []
    assert table["view"].to_dict() == {
        "20586908": "MLO",
        "22678622": "CC",
        "22678646": "MLO",
        "50994300": "other",
    }
    assert table["laterality"].tolist() == ["left", "right", "right", "left"]
    assert table["patient_id"].nunique() == 2
    assert table.loc["22678622", "patient_id"] == HASH
    assert table["birads"].tolist() == ["3", "1", "4a", "6"]
    assert table["pathology"].tolist() == ["benign", "normal", "malignant", "malignant"]
    assert table["density"].fillna("-").tolist() == ["a", "d", "d", "-"]
    assert table["pixel_spacing_mm"].to_numpy() == pytest.approx(0.07)
    assert table.loc["20586908", "age"] == 62
    assert pd.isna(table.loc["22678622", "age"])
    assert table.loc["22678622", "exam_id"] == f"{HASH}-201001"


def test_regions_of_every_size(archive, ingest):
    result = ingest("inbreast", archive)
    rows = result.annotations.to_dict("records")
    assert {row["image_id"] for row in rows} == {"22678646"}
    assert [(row["shape"], row["lesion_type"], list(row["points"])) for row in rows] == [
        ("polygon", "mass", [1, 2, 3.5, 2, 3, 7]),
        ("circle", "calcification", [4, 5]),
        ("box", "calcification", [2, 1, 6, 3]),
        ("polygon", "mass", [0, 0, 1, 0, 0, 1]),
        ("polygon", "other", [0, 0, 1, 0, 0, 1]),
    ]
    assert {row["source"] for row in rows} == {"AllXML/22678646.xml"}
    types = result.manifest.set_index("image_id").loc["22678646", "lesion_types"]
    assert types == "calcification+mass+other"


@pytest.mark.parametrize(("malignant_from", "count"), [("4", 2), ("4b", 1), ("5", 1)])
def test_the_policy_decides_what_is_malignant(archive, ingest, malignant_from, count):
    options = {"inbreast": {"malignant_from": malignant_from}}
    manifest = ingest("inbreast", archive, **options).manifest
    assert (manifest["pathology"] == "malignant").sum() == count


BOMB = b"""<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
<plist version="1.0"><dict><key>Images</key><string>&b;</string></dict></plist>"""
DEEP = b"<plist version='1.0'>" + b"<array>" * 100_000


@pytest.mark.parametrize(
    "content",
    [b"", b"no XML", BOMB, DEEP, b"bplist00" + bytes(40), plistlib.dumps({"Images": 3})],
)
def test_regions_that_cannot_be_read_are_noted_and_cost_no_image(
    archive, ingest, write_file, content
):
    write_file(archive / "AllXML" / "22678646.xml", content)
    result = ingest("inbreast", archive, maximum_lost_share=0.0)
    assert len(result.manifest) == 4
    assert result.annotations.empty
    assert [(e.path, e.stage) for e in result.exclusions] == [("AllXML/22678646.xml", "selection")]


def test_what_does_not_fit_is_listed(archive, ingest, write_file, dicom_bytes):
    _write(archive, (*ROWS[:3], ROWS[0], "removed;removed;X;CC;201001;11111111;4;1", ";;;;;;;"))
    folder = archive / "AllDICOMs"
    (folder / NAMES["50994300"]).unlink()
    (folder / NAMES["22678622"]).rename(folder / f"22678622_{HASH}_MG_L_CC_ANON.dcm")
    write_file(folder / "copy.dcm", dicom_bytes())
    result = ingest("inbreast", archive, maximum_lost_share=0.9)
    assert result.manifest["image_id"].tolist() == ["22678646"]
    assert sorted(e.path for e in result.exclusions) == [
        f"AllDICOMs/{NAMES['20586908']}",
        f"AllDICOMs/22678622_{HASH}_MG_L_CC_ANON.dcm",
        "AllDICOMs/copy.dcm",
        "INbreast.csv: row 2",
        "INbreast.csv: row 4",
        "INbreast.csv: row 5",
        "INbreast.csv: row 6",
    ]


def test_a_workbook_is_read_by_the_name_of_its_sheet(archive, ingest, write_workbook):
    (archive / "INbreast.csv").unlink()
    rows = [[float(c) if c.isdigit() and len(c) > 6 else c for c in r.split(";")] for r in ROWS]
    secret = [["ID", "DG"], ["hospital-4711", "carcinoma"]]
    sheets = {"Sheet2": secret, "Sheet1": [HEADER.split(";"), *rows, ["", "", "", "", "", "", 28]]}
    write_workbook(archive / "INbreast.xlsx", sheets)
    result = ingest("inbreast", archive, maximum_lost_share=0.0)
    assert len(result.manifest) == 4
    assert "4711" not in result.manifest.to_csv()


def test_without_a_table_there_are_no_labels(archive, ingest):
    (archive / "INbreast.csv").rename(archive / "INbreast.xls")
    with pytest.raises(ArchiveError, match=r"INbreast\.csv \(or INbreast\.xls saved as \.xlsx\)"):
        ingest("inbreast", archive)
