from __future__ import annotations

import pytest
from PIL import Image

from mammoshift.errors import ArchiveError

COLUMNS = {"path": "file", "patient_id": "patient", "label": "outcome"}
FULL = COLUMNS | {
    "image_id": "id",
    "exam_id": "exam",
    "laterality": "side",
    "view": "view",
    "density": "density",
    "birads": "birads",
    "age": "age",
    "official_split": "subset",
    "manufacturer": "maker",
    "pixel_spacing_mm": "pitch",
}
HEADER = ",".join(FULL.values())
ROW = "images/a.png,=p1,pos,a-1,e1,L,CC,B,4a,51,train,Siemens,0.05"
LABELS = {"pos": "malignant", "neg": "benign", "": "normal"}


def _options(columns=FULL, labels=LABELS, table="table.csv"):
    return {"csv": {"table": table, "columns": columns, "label_values": labels}}


@pytest.fixture
def archive(tmp_path, write_file, dicom_bytes):
    for name in ("a.png", "b.tif", "c.jpg", "d.pgm"):
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 6)).save(path)
    content = dicom_bytes(
        PatientID="hospital-4711",
        ImageLaterality="R",
        ViewPosition="MLO",
        PatientAge="060Y",
        Manufacturer="HOLOGIC",
        ImagerPixelSpacing=[0.07, 0.07],
    )
    write_file(tmp_path / "images" / "e.dcm", content)
    return tmp_path


def _write(archive, *rows, header=HEADER):
    (archive / "table.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_all_columns_reach_the_manifest(archive, ingest):
    _write(archive, ROW)
    row = ingest("csv", archive, **_options()).manifest.iloc[0]
    assert row["image_id"] == "a-1"
    assert row["patient_id"] == "=p1"
    assert row["exam_id"] == "e1"
    assert (row["laterality"], row["view"], row["pathology"]) == ("left", "CC", "malignant")
    assert (row["density"], row["density_scale"], row["birads"]) == ("b", "birads", "4a")
    assert (row["age"], row["official_split"], row["manufacturer"]) == (51, "train", "Siemens")
    assert row["pixel_spacing_mm"] == pytest.approx(0.05)
    assert (row["rows"], row["columns"], row["bits"]) == (6, 4, 8)


def test_headers_fill_what_the_table_leaves_open(archive, ingest):
    _write(
        archive,
        *(f"images/{name},p,neg" for name in ("a.png", "b.tif", "c.jpg", "d.pgm")),
        "images\\e.dcm,p2,",
        header="file,patient,outcome",
    )
    manifest = ingest("csv", archive, **_options(COLUMNS)).manifest
    assert manifest["image_id"].tolist() == [f"images_{letter}" for letter in "abcde"]
    dicom = manifest.iloc[4]
    assert (dicom["laterality"], dicom["view"], dicom["age"]) == ("right", "MLO", 60)
    assert (dicom["manufacturer"], dicom["pathology"]) == ("HOLOGIC", "normal")
    assert dicom["pixel_spacing_mm"] == pytest.approx(0.07)
    assert dicom["path"] == "images/e.dcm"
    assert "4711" not in manifest.to_csv()


def test_derived_ids_stay_unique_and_safe(archive, ingest):
    Image.new("L", (4, 6)).save(archive / "images" / "a.tif")
    Image.new("L", (4, 6)).save(archive / "images" / "ä ö.tif")
    rows = ("images/a.png,p,pos", "images/a.tif,p,pos", "images/ä ö.tif,p,pos")
    _write(archive, *rows, header="file,patient,outcome")
    identifiers = ingest("csv", archive, **_options(COLUMNS)).manifest["image_id"]
    assert identifiers.is_unique
    assert identifiers.str.fullmatch(r"[A-Za-z0-9_.-]+").all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pos", "maybe", r"row 2, column 'outcome': found 'maybe'.*'pos', 'neg', ''"),
        ("images/a.png", "../a.png", r"column 'file': found '\.\./a\.png', expected a path below"),
        ("images/a.png", "images/../../a.png", "expected a path below the root"),
        ("images/a.png", "/etc/hosts", "expected a path below the root"),
        ("images/a.png", "C:\\a.png", "expected a path below the root"),
        ("images/a.png", "..\\a.png", "expected a path below the root"),
        ("images/a.png", ".", "expected a path below the root"),
        ("images/a.png", "", "column 'file': found '', expected not to be empty"),
        ("=p1", "", "column 'patient': found '', expected not to be empty"),
        ("a-1", "a/1", "column 'id': found 'a/1', expected 1 to 200 of the characters"),
        ("a-1", "", "column 'id': found ''"),
        (",L,", ",B,", "column 'side': found 'B', expected left, right"),
        (",CC,", ",MOL,", "column 'view': found 'MOL', expected CC, MLO"),
        (",B,", ",5,", "column 'density': found '5'"),
        (",4a,", ",7,", "column 'birads': found '7', expected 0, 1, 2"),
        (",51,", ",fifty,", "column 'age': found 'fifty', expected whole years"),
        ("train", "validation", "column 'subset': found 'validation', expected train, test"),
        ("0.05", "nan", "column 'pitch': found 'nan', expected a number of mm"),
    ],
)
def test_a_value_that_is_not_understood_is_an_error_with_its_place(
    archive, ingest, old, new, message
):
    _write(archive, ROW.replace(old, new))
    with pytest.raises(ArchiveError, match=message) as raised:
        ingest("csv", archive, **_options())
    assert str(archive / "table.csv") in str(raised.value)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (ROW.replace("a.png", "b.tif"), "row 3, column 'id': found 'a-1'.*row 2"),
        (ROW.replace("a-1", "a-2"), "row 3, column 'file': found 'images/a.png'.*row 2"),
        (ROW.replace("a-1", "a-2").replace("images/a", "./images//a"), "row 3, column 'file'"),
    ],
)
def test_repeated_rows_are_errors(archive, ingest, second, message):
    _write(archive, ROW, second)
    with pytest.raises(ArchiveError, match=message):
        ingest("csv", archive, **_options())


def test_missing_and_broken_files_are_losses(archive, ingest):
    (archive / "images" / "b.tif").write_bytes(b"broken")
    broken = ROW.replace("a.png", "b.tif").replace("a-1", "b")
    missing = ROW.replace("a.png", "z.png").replace("a-1", "z")
    _write(archive, ROW, broken, missing)
    result = ingest("csv", archive, maximum_lost_share=0.7, **_options())
    assert len(result.manifest) == 1
    assert {e.reason for e in result.exclusions} == {
        "the file of a table's row is not there",
        "not a readable DICOM, PNG, TIFF, JPEG or PGM file",
    }
    (archive / "images" / "a.png").unlink()
    with pytest.raises(ArchiveError, match="not one usable image: 2 x the file"):
        ingest("csv", archive, maximum_lost_share=1.0, **_options())


def test_a_path_that_no_file_system_takes_is_a_loss(archive, ingest):
    _write(archive, ROW, ROW.replace("a-1", "long").replace("a.png", "a" * 5000 + ".png"))
    result = ingest("csv", archive, maximum_lost_share=0.5, **_options())
    assert [e.reason for e in result.exclusions] == ["the file of a table's row is not there"]


def test_a_missing_table_or_column_is_an_error(archive, ingest):
    with pytest.raises(ArchiveError, match=r"no table 'table\.csv' below the root"):
        ingest("csv", archive, **_options())
    _write(archive, "x", header="file,patient,result")
    with pytest.raises(ArchiveError, match="lacks 'outcome'; it has 'file', 'patient', 'result'"):
        ingest("csv", archive, **_options(COLUMNS))
