from __future__ import annotations

import pytest
from PIL import Image

HEADER = (
    "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,"
    "density,machine_id,difficult_negative_case"
)
ROWS = (
    "2,10006,462822612,L,CC,61.0,0,0,0,,0,,29,False",
    "1,10011,220375232,L,MLO,55.0,1,1,0,0.0,0,C,21,False",
    "1,10025,562340703,R,AT,,0,1,0,0,0,B,49,False",
    "1,10025,288394860,R,LMO,75,0,0,0,1,1,B,49,True",
)


@pytest.fixture
def archive(tmp_path, write_file, dicom_bytes):
    for row in ROWS:
        _, patient, image, *_ = row.split(",")
        write_file(tmp_path / "train_images" / patient / f"{image}.dcm", dicom_bytes())
    write_file(tmp_path / "train.csv", "\n".join([HEADER, *ROWS]))
    return tmp_path


def test_the_table_becomes_labels(archive, ingest):
    result = ingest("rsna_2022", archive, maximum_lost_share=0.0)
    table = result.manifest.set_index("image_id")
    assert list(table.index) == [
        "10006_462822612",
        "10011_220375232",
        "10025_288394860",
        "10025_562340703",
    ]
    assert table["pathology"].tolist() == ["normal", "malignant", "normal", "benign"]
    assert table["view"].tolist() == ["CC", "MLO", "other", "AT"]
    assert table["birads"].fillna("-").tolist() == ["-", "0", "1", "0"]
    assert table["density"].fillna("-").tolist() == ["-", "c", "b", "b"]
    assert table["site"].tolist() == ["site 2", "site 1", "site 1", "site 1"]
    assert table["detector"].tolist() == ["machine 29", "machine 21", "machine 49", "machine 49"]
    assert table["age"].fillna(0).tolist() == [61, 55, 75, 0]
    assert result.annotations.empty


def test_policies(archive, ingest):
    options = {"rsna_2022": {"without_cancer": "normal", "implants": "exclude"}}
    result = ingest("rsna_2022", archive, maximum_lost_share=0.0, **options)
    assert result.manifest["pathology"].value_counts().to_dict() == {"normal": 2, "malignant": 1}
    assert [(e.path, e.stage, e.code) for e in result.exclusions] == [
        ("train_images/10025/288394860.dcm", "selection", "left_out_by_option")
    ]


def test_copies_as_png_are_found_by_either_name(archive, ingest):
    for path in list((archive / "train_images").rglob("*.dcm")):
        name = path.with_suffix(".png")
        if path.parent.name == "10006":
            name = path.parent.parent / f"10006_{path.stem}.png"
        Image.new("L", (4, 6)).save(name)
        path.unlink()
    assert len(ingest("rsna_2022", archive, maximum_lost_share=0.0).manifest) == 4


def test_what_does_not_fit_is_listed(archive, ingest, write_file, dicom_bytes):
    bad = (
        ROWS[0],
        "1,10030,5,R,CC,75,2,0,0,1,0,B,49,True",
        "1,x/y,5,R,CC,75,0,0,0,1,0,B,49,True",
        "1,10031,6,R,CC,75,0,0,0,1,0,B,49,True",
    )
    write_file(archive / "train.csv", "\n".join([HEADER, *ROWS, *bad]))
    write_file(archive / "train_images" / "7" / "7.dcm", dicom_bytes())
    result = ingest("rsna_2022", archive, maximum_lost_share=0.9)
    assert sorted((e.path, e.code) for e in result.exclusions) == [
        ("train.csv: row 6", "repeated_row"),
        ("train.csv: row 7", "bad_row"),
        ("train.csv: row 8", "bad_row"),
        ("train.csv: row 9", "missing_file"),
        ("train_images/7/7.dcm", "no_row"),
    ]
