from __future__ import annotations

import time
from collections import Counter

import pytest
from PIL import Image

from mammoshift.archives.adapters.dmid import parse_report
from mammoshift.errors import ArchiveError

PROSE = [(f"line {number} about IMG001 and views CCLT",) for number in range(31)]
ROWS = [
    ("IMG001", "MLOLT", "G", "CIRC+CALC", "B ", 1567, 3644, 295),
    ("IMG001 ", "MLOLT", "G", "SPIC", "M ", 100, 200, 30),
    ("IMG002", "CCRT ", "F", "NORM", "N ", None, None, None),
    ("IMG003", "MLORT", "D", "CLAC", "B", 3, 4, 5),
    ("IMG004", "CCLT", "D", "ARCH", None, 3, 4, 5),
]
REPORTS = {
    1: "Breast Composition:\r\nfibro fatty (ACR B) \r\n\r\nBIRADS: 3 and 5\r\n\r\nFindings:\r\n",
    2: "Brest Composition:\r\nfatty (ACR-A).\r\n\r\nBIARDS: 1\r\n\r\nFundings: none (BIRADS 4c)",
    3: "BREAST COMPOSITION: could not be commented upon\r\nFINDINGS: (BIRADS 4c).\r\nBIRADS: 4c",
}


@pytest.fixture
def archive(tmp_path, write_file, write_workbook):
    write_workbook(tmp_path / "Metadata.xlsx", {"Sheet1": [*PROSE, *ROWS]})
    for number, text in REPORTS.items():
        write_file(tmp_path / "Reports" / "Reports" / f"Img{number:03d}.txt", text)
    for folder in ("TIFF Images/TIFF Images", "ROI Masks/ROI Masks"):
        for number in range(1, 5):
            path = tmp_path / folder / f"IMG{number:03d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (4, 6)).save(path)
    return tmp_path


def test_workbook_and_reports_become_labels(archive, ingest):
    result = ingest("dmid", archive, maximum_lost_share=0.0)
    assert result.exclusions == []
    table = result.manifest.set_index("image_id")
    assert list(table.index) == ["IMG001", "IMG002", "IMG003", "IMG004"]
    assert table["view"].tolist() == ["MLO", "CC", "MLO", "CC"]
    assert table["laterality"].tolist() == ["left", "right", "right", "left"]
    assert table["pathology"].tolist()[:3] == ["malignant", "normal", "benign"]
    assert table["pathology"].isna().tolist() == [False, False, False, True]
    assert table["lesion_types"].dropna().tolist() == [
        "calcification+mass",
        "calcification",
        "distortion",
    ]
    assert table["density"].fillna("-").tolist() == ["b", "a", "-", "-"]
    assert table["birads"].fillna("-").tolist() == ["5", "1", "4c", "-"]
    assert table["patient_id"].isna().all()
    assert table["path"]["IMG001"] == "TIFF Images/TIFF Images/IMG001.tif"
    assert table["bits"].tolist() == [8] * 4


@pytest.mark.parametrize("prose", [0, 5, 40])
def test_data_begins_where_it_looks_like_data(archive, ingest, write_workbook, prose):
    rows = [*PROSE[:1] * prose, *[(None, *row) for row in ROWS]]
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": rows})
    assert len(ingest("dmid", archive).manifest) == 4


def test_without_reports_the_tissue_is_the_density(archive, ingest):
    for report in (archive / "Reports" / "Reports").iterdir():
        report.unlink()
    manifest = ingest("dmid", archive).manifest
    assert manifest["density"].tolist() == ["g", "f", "d", "d"]
    assert set(manifest["density_scale"]) == {"mias"}


def test_losses(archive, ingest, write_workbook):
    rows = [
        *ROWS,
        ("IMG001", "CCLT", "G", "CIRC", "B", 1, 2, 3),
        ("IMG009", "MLOLT", "G", "NORM", "N", None, None, None),
        ("IMG010", "upside down", "G", "NORM", "N", None, None, None),
    ]
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": [*PROSE, *rows]})
    folder = archive / "TIFF Images" / "TIFF Images"
    (folder / "IMG002.tif").write_bytes(b"broken")
    for name in ("IMG511.tif", "copy of IMG001.tif"):
        Image.new("RGBA", (4, 6)).save(folder / name)
    result = ingest("dmid", archive, maximum_lost_share=0.9)
    assert {(e.path, e.stage) for e in result.exclusions} == {
        ("Metadata.xlsx: row 37", "ingest"),
        ("Metadata.xlsx: IMG009", "ingest"),
        ("Metadata.xlsx: row 39", "ingest"),
        ("TIFF Images/TIFF Images/IMG002.tif", "ingest"),
        ("TIFF Images/TIFF Images/IMG511.tif", "ingest"),
        ("TIFF Images/TIFF Images/copy of IMG001.tif", "ingest"),
    }


def test_dicom_goes_before_tiff_unless_it_is_broken(archive, ingest, write_file, dicom_bytes):
    folder = archive / "DICOM Images" / "DICOM Images"
    write_file(folder / "IMG001.dcm", dicom_bytes(PatientID="H-4711"))
    write_file(folder / "IMG002.dcm", dicom_bytes(PatientID="H-4711"))
    write_file(folder / "IMG003.dcm", b"broken")
    result = ingest("dmid", archive, maximum_lost_share=0.0)
    table = result.manifest.set_index("image_id")
    assert table["path"]["IMG001"].endswith(".dcm")
    assert table["path"]["IMG003"].endswith(".tif")
    assert {e.stage for e in result.exclusions} == {"selection"}
    assert len(result.exclusions) == 3
    patients = table["patient_id"]
    assert patients["IMG001"] == patients["IMG002"]
    assert patients[["IMG003", "IMG004"]].isna().all()
    assert "4711" not in table.to_csv() + str(result.exclusions)


def test_an_id_that_all_images_share_is_no_patient(
    archive, ingest, write_file, dicom_bytes, write_workbook
):
    rows = [(f"IMG{n:03d}", "CCLT", "G", "NORM", "N", None, None, None) for n in range(1, 20)]
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": [*PROSE, *rows]})
    for number in range(1, 20):
        path = archive / "DICOM Images" / f"IMG{number:03d}.dcm"
        write_file(path, dicom_bytes(PatientID="anonymous"))
    assert ingest("dmid", archive).manifest["patient_id"].isna().all()


def test_a_workbook_without_rows_is_an_error(archive, ingest, write_workbook):
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": PROSE})
    with pytest.raises(ArchiveError, match="no row that starts with an image id and a view"):
        ingest("dmid", archive)


def test_an_image_with_a_row_that_is_not_understood_is_lost(archive, ingest, write_workbook):
    rows = [*ROWS, ("IMG001", "CCLT", "G", "CIRC", "malignant?", 1, 2, 3)]
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": [*PROSE, *rows]})
    result = ingest("dmid", archive, maximum_lost_share=0.9)
    assert "IMG001" not in set(result.manifest["image_id"])
    assert any("IMG001.tif" in e.path and e.stage == "ingest" for e in result.exclusions)


def test_a_report_of_absurd_size_is_listed_and_not_read(archive, ingest, write_file):
    write_file(archive / "Reports" / "Reports" / "Img001.txt", b"\n" * 2_000_000)
    result = ingest("dmid", archive)
    assert [e.path for e in result.exclusions] == ["Reports/Reports/Img001.txt"]
    assert result.manifest.set_index("image_id")["birads"].isna()["IMG001"]


def test_a_report_of_many_lines_takes_no_time():
    start = time.process_time()
    assert parse_report("\n" * 900_000 + "BIRADS: 3").birads == "3"
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize(
    ("line", "birads"),
    [
        ("BIRADS: 3, 4a", "4a"),
        ("BIRADS:3", "3"),
        ("BIRADS: 4c, 3", "4c"),
        ("BIARDS: 3", "3"),
        ("BIRADS: 2,3", "3"),
        ("BIRADS: unknown", None),
        ("a lesion (BIRADS-5)", None),
    ],
)
def test_report_categories(line, birads):
    assert parse_report(f"Findings:\r{line}\r\n").birads == birads


def test_the_real_reports_give_the_published_counts(shared_data):
    paths = sorted((shared_data / "metadata" / "dmid" / "Reports").glob("Img*.txt"))
    reports = {path.stem: parse_report(path.read_text(encoding="latin-1")) for path in paths}
    assert len(reports) == 510
    assert Counter(report.density for report in reports.values()) == {
        "b": 203,
        "c": 186,
        "a": 79,
        "d": 40,
        None: 2,
    }
    assert {name for name, report in reports.items() if not report.density} == {"Img457", "Img458"}
    assert Counter(report.birads for report in reports.values()) == {
        "0": 1,
        "1": 209,
        "2": 25,
        "3": 121,
        "4": 3,
        "4a": 39,
        "4b": 36,
        "4c": 57,
        "5": 19,
    }
    assert (reports["Img001"].birads, reports["Img045"].birads) == ("5", "3")


def test_circles_count_from_the_bottom_and_masks_join_them(archive, ingest, write_workbook):
    rows = [
        ("IMG001", "MLOLT", "G", "CIRC+CALC", "B ", 1, 4, 2),
        ("IMG001 ", "MLOLT", "G", "SPIC", "M ", 2, 5, 1),
        ("IMG002", "CCRT ", "F", "NORM", "N ", None, None, None),
        ("IMG003", "MLORT", "D", "CLAC", "B", 3, 1, 5),
        ("IMG004", "CCLT", "D", "ARCH", None, None, None, None),
    ]
    write_workbook(archive / "Metadata.xlsx", {"Sheet1": [*PROSE, *rows]})
    (archive / "ROI Masks" / "ROI Masks" / "IMG002.tif").unlink()
    table = ingest("dmid", archive).annotations.set_index("annotation_id")
    assert list(table.index) == ["IMG001-r1", "IMG001-r2", "IMG003-r1", "IMG004-r1"]
    assert [list(points) for points in table["points"]] == [[1, 2], [2, 1], [3, 5], []]
    assert table["shape"].tolist() == ["circle", "circle", "circle", "mask"]
    assert table["radius"].tolist()[:3] == [2.0, 1.0, 5.0]
    assert table["pathology"].tolist()[:3] == ["benign", "malignant", "benign"]
    masks = table["mask_path"].dropna().to_dict()
    assert masks == {
        "IMG003-r1": "ROI Masks/ROI Masks/IMG003.tif",
        "IMG004-r1": "ROI Masks/ROI Masks/IMG004.tif",
    }
