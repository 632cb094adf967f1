from __future__ import annotations

import openpyxl
import pandas as pd
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
    "pair_id": "pair",
    "site": "hospital",
}
HEADER = ",".join(FULL.values())
ROW = "images/a.png,=p1,pos,a-1,e1,L,CC,B,4a,51,train,Siemens,0.05,pair7,north"
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
    assert (row["pair_id"], row["site"]) == ("pair7", "north")
    assert pd.isna(row["patient_pathology"])
    assert (row["rows"], row["columns"], row["bits"]) == (6, 4, 8)


def test_headers_fill_what_the_table_leaves_open(archive, ingest):
    _write(
        archive,
        *(f"images/{name},p,neg" for name in ("a.png", "b.tif", "c.jpg", "d.pgm")),
        "images\\e.dcm,p2,",
        header="file,patient,outcome",
    )
    manifest = ingest("csv", archive, **_options(COLUMNS)).manifest
    dicom = manifest.set_index("path", drop=False).loc["images/e.dcm"]
    assert (dicom["laterality"], dicom["view"], dicom["age"]) == ("right", "MLO", 60)
    assert (dicom["manufacturer"], dicom["pathology"]) == ("HOLOGIC", "normal")
    assert dicom["pixel_spacing_mm"] == pytest.approx(0.07)
    assert dicom["path"] == "images/e.dcm"
    assert "4711" not in manifest.to_csv()


def test_derived_ids_say_nothing_of_the_names_of_files(archive, ingest):
    Image.new("L", (4, 6)).save(archive / "images" / "DOE_JANE_1950.png")
    Image.new("L", (4, 6)).save(archive / "images" / "ä ö.tif")
    rows = ("images/a.png,p,pos", "images/DOE_JANE_1950.png,p,pos", "images/ä ö.tif,p,pos")
    _write(archive, *rows, header="file,patient,outcome")
    identifiers = ingest("csv", archive, **_options(COLUMNS)).manifest["image_id"]
    assert identifiers.is_unique
    assert identifiers.str.fullmatch(r"image-[0-9a-f]{16}").all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pos", "maybe", r"row 2, column 'outcome': expected.*'pos', 'neg', ''; found 'maybe'"),
        ("images/a.png", "../a.png", "row 2, column 'file': expected a path below"),
        ("images/a.png", "images/../../a.png", "expected a path below the root"),
        ("images/a.png", "/etc/hosts", "expected a path below the root"),
        ("images/a.png", "C:\\a.png", "expected a path below the root"),
        ("images/a.png", "..\\a.png", "expected a path below the root"),
        ("images/a.png", ".", "expected a path below the root"),
        ("images/a.png", "", "column 'file': expected a cell that is not empty"),
        ("a-1", "a/1", "column 'id': expected 1 to 200 of the characters"),
        ("a-1", "", "column 'id': expected 1 to 200"),
        (",L,", ",B,", "column 'side': expected left, right"),
        (",CC,", ",MOL,", "column 'view': expected CC, MLO"),
        (",B,", ",5,", "column 'density': expected A to D"),
        (",4a,", ",7,", "column 'birads': expected 0, 1, 2"),
        (",51,", ",fifty,", "column 'age': expected whole years"),
        ("train", "validation", "column 'subset': expected train, test"),
        ("0.05", "nan", "column 'pitch': expected a number of mm"),
    ],
)
def test_a_value_that_is_not_understood_is_an_error_with_its_place(
    archive, ingest, old, new, message
):
    _write(archive, ROW.replace(old, new))
    with pytest.raises(ArchiveError, match=message) as raised:
        ingest("csv", archive, **_options())
    assert str(archive / "table.csv") in str(raised.value)
    if new and old != "pos":
        assert f"'{new}'" not in str(raised.value)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (ROW.replace("a.png", "b.tif"), "row 3, column 'id': expected a value of its own; row 2"),
        (ROW.replace("a-1", "a-2"), "row 3, column 'file': expected a value of its own; row 2"),
        (ROW.replace("a-1", "a-2").replace("images/a", "./images//a"), "row 3, column 'file'"),
    ],
)
def test_repeated_rows_are_errors(archive, ingest, second, message):
    _write(archive, ROW, second)
    with pytest.raises(ArchiveError, match=message) as raised:
        ingest("csv", archive, **_options())
    assert "a.png" not in str(raised.value)
    assert "a-1" not in str(raised.value)


def test_missing_and_broken_files_are_losses(archive, ingest):
    (archive / "images" / "b.tif").write_bytes(b"broken")
    broken = ROW.replace("a.png", "b.tif").replace("a-1", "b")
    missing = ROW.replace("a.png", "z.png").replace("a-1", "z")
    _write(archive, ROW, broken, missing)
    result = ingest("csv", archive, maximum_lost_share=0.7, **_options())
    assert len(result.manifest) == 1
    assert {(e.path, e.code) for e in result.exclusions} == {
        ("table.csv: row 4", "missing_file"),
        ("table.csv: row 3", "unreadable"),
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


def test_a_patient_may_be_unknown(archive, ingest):
    _write(archive, "images/a.png,,pos", "images/b.tif,p,neg", header="file,patient,outcome")
    manifest = ingest("csv", archive, **_options(COLUMNS)).manifest.set_index("path")
    assert manifest["patient_id"].isna()["images/a.png"]
    assert manifest["patient_id"]["images/b.tif"] == "p"
    without = {"path": "file", "label": "outcome"}
    assert ingest("csv", archive, **_options(without)).manifest["patient_id"].isna().all()


@pytest.mark.parametrize(
    ("side", "label", "lesion", "pathology", "of_patient"),
    [
        ("L", "pos", "left", "malignant", "malignant"),
        ("R", "pos", "left", "normal", "malignant"),
        ("R", "neg", "both", "benign", "benign"),
        ("R", "", "left", "normal", "normal"),
        ("R", "pos", "", "malignant", None),
        ("", "pos", "left", None, "malignant"),
    ],
)
def test_the_side_of_the_lesion_tells_image_from_patient(
    archive, ingest, side, label, lesion, pathology, of_patient
):
    columns = COLUMNS | {"laterality": "side", "lesion_side": "lesion"}
    _write(
        archive,
        f"images/a.png,p,{label},{side},{lesion}",
        header="file,patient,outcome,side,lesion",
    )
    row = ingest("csv", archive, **_options(columns)).manifest.iloc[0]
    found = [
        None if pd.isna(row[name]) else row[name] for name in ("pathology", "patient_pathology")
    ]
    assert found == [pathology, of_patient]


BOX = {f"box_{corner}": corner for corner in ("x0", "y0", "x1", "y1")}


def test_boxes_become_annotations(archive, ingest):
    header = "file,patient,outcome,x0,y0,x1,y1"
    _write(archive, "images/a.png,p,pos,1,2.5,3,5", "images/b.tif,p,neg,,,,", header=header)
    result = ingest("csv", archive, **_options(COLUMNS | BOX))
    (row,) = result.annotations.to_dict("records")
    assert row["image_id"] in set(result.manifest["image_id"])
    assert (row["shape"], list(row["points"])) == ("box", [1.0, 2.5, 3.0, 5.0])
    assert (row["pathology"], row["source"]) == ("malignant", "table.csv")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1,2,3,", "row 2, column 'y1': expected a number of pixels; all four"),
        ("1,2,x,4", "row 2, column 'x1': expected a number of pixels"),
        ("3,2,1,4", "row 2, column 'x1': expected a number that is not below"),
        ("1,2,9,4", "row 2, columns of the box: it does not lie in the image of 6 x 4 pixels"),
    ],
)
def test_a_box_that_cannot_be_is_an_error(archive, ingest, cells, message):
    _write(archive, f"images/a.png,p,pos,{cells}", header="file,patient,outcome,x0,y0,x1,y1")
    with pytest.raises(ArchiveError, match=message):
        ingest("csv", archive, **_options(COLUMNS | BOX))


def test_half_a_box_is_refused_in_the_configuration(archive, ingest):
    with pytest.raises(ValueError, match="a box needs all of box_x0, box_y0, box_x1, box_y1"):
        ingest("csv", archive, **_options(COLUMNS | {"box_x0": "x0"}))


def test_links_that_leave_the_root_need_leave(archive, ingest, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    Image.new("L", (4, 6)).save(outside)
    (archive / "images" / "link.png").symlink_to(outside)
    (archive / "images" / "within.png").symlink_to(archive / "images" / "a.png")
    rows = ("images/within.png,p,pos", "images/link.png,p,neg")
    _write(archive, *rows, header="file,patient,outcome")
    with pytest.raises(
        ArchiveError, match=r"row 3, column 'file'.*csv\.allow_links: true"
    ) as raised:
        ingest("csv", archive, **_options(COLUMNS))
    assert "secret" not in str(raised.value)
    allowed = _options(COLUMNS)
    allowed["csv"]["allow_links"] = True
    assert len(ingest("csv", archive, **allowed).manifest) == 2


def test_a_table_outside_the_root_needs_leave(archive, ingest, tmp_path_factory):
    _write(archive, "images/a.png,p,pos", header="file,patient,outcome")
    outside = tmp_path_factory.mktemp("elsewhere") / "table.csv"
    (archive / "table.csv").rename(outside)
    (archive / "table.csv").symlink_to(outside)
    with pytest.raises(ArchiveError, match=r"table 'table\.csv' leads out of the root"):
        ingest("csv", archive, **_options(COLUMNS))


def test_a_name_in_the_fields_of_the_device_reaches_no_manifest(
    archive, ingest, write_file, dicom_bytes
):
    content = dicom_bytes(Manufacturer="Doe^Jane", ManufacturerModelName="Jane Doe 1950")
    write_file(archive / "images" / "e.dcm", content)
    _write(archive, "images/e.dcm,p,pos", header="file,patient,outcome")
    manifest = ingest("csv", archive, **_options(COLUMNS)).manifest
    assert manifest["manufacturer"].str.fullmatch("device-[0-9a-f]{10}").all()
    assert manifest["detector"].str.fullmatch("device-[0-9a-f]{10}").all()
    assert "Doe" not in manifest.to_csv()


def test_a_workbook_is_read_as_a_table(archive, ingest):
    workbook = openpyxl.Workbook()
    for row in (["file", "patient", "outcome"], ["images/a.png", 7, 1], ["images/b.tif", 8, 0]):
        workbook.active.append(row)
    workbook.save(archive / "table.xlsx")
    labels = {"1": "malignant", "0": "normal"}
    manifest = ingest("csv", archive, **_options(COLUMNS, labels, "table.xlsx")).manifest
    assert sorted(manifest["patient_id"]) == ["7", "8"]
    assert sorted(manifest["pathology"]) == ["malignant", "normal"]


def test_another_kind_of_table_is_to_be_exported(archive, ingest):
    with pytest.raises(ValueError, match=r"must end in \.csv, \.tsv, \.txt or \.xlsx; export"):
        ingest("csv", archive, **_options(COLUMNS, table="table.ods"))
