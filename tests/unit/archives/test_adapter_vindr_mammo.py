from __future__ import annotations

import pytest

BREASTS = (
    "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,"
    "breast_density,split"
)
FINDINGS = (
    "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,"
    "breast_density,finding_categories,finding_birads,xmin,ymin,xmax,ymax,split"
)
ROWS = (
    "s1,r1,aa11,L,CC,10,8,BI-RADS 1,DENSITY C,training",
    "s1,r1,bb22,L,MLO,10,8,BI-RADS 5,DENSITY C,training",
    "s2,r2,cc33,R,CC,10,8,BI-RADS 3,DENSITY A,test",
)
FINDING_ROWS = (
    "s1,r1,aa11,L,CC,10,8,BI-RADS 1,DENSITY C,['No Finding'],,,,,,training",
    "s1,r1,bb22,L,MLO,10,8,BI-RADS 5,DENSITY C,\"['Skin Thickening', 'Mass']\",BI-RADS 5,"
    "1.5,2.5,6,7,training",
    "s1,r1,bb22,L,MLO,10,8,BI-RADS 5,DENSITY C,['Suspicious Calcification'],BI-RADS 4,1,1,2,2,"
    "training",
    "s2,r2,cc33,R,CC,10,8,BI-RADS 3,DENSITY A,['Focal Asymmetry'],BI-RADS 3,5,5,2,2,test",
)


@pytest.fixture
def archive(tmp_path, write_file, dicom_bytes):
    for row in ROWS:
        study, _, image, *_ = row.split(",")
        content = dicom_bytes(rows=10, columns=8, Manufacturer="SIEMENS", PatientAge="053Y")
        write_file(tmp_path / "images" / study / f"{image}.dicom", content)
    write_file(tmp_path / "breast-level_annotations.csv", "\n".join([BREASTS, *ROWS]))
    write_file(tmp_path / "finding_annotations.csv", "\n".join([FINDINGS, *FINDING_ROWS]))
    return tmp_path


def test_tables_become_labels_and_boxes(archive, ingest):
    result = ingest("vindr_mammo", archive, maximum_lost_share=0.0)
    table = result.manifest.set_index("image_id")
    assert table["patient_id"].tolist() == ["s1", "s1", "s2"]
    assert table["pathology"].tolist() == ["normal", "malignant", "benign"]
    assert table["birads"].tolist() == ["1", "5", "3"]
    assert table["density"].tolist() == ["c", "c", "a"]
    assert table["official_split"].tolist() == ["train", "train", "test"]
    assert table["lesion_types"].fillna("-").tolist() == [
        "-",
        "calcification+mass+other",
        "asymmetry",
    ]
    assert set(table["age"]) == {53}
    rows = result.annotations.to_dict("records")
    assert [(r["image_id"], r["lesion_type"], r["birads"], list(r["points"])) for r in rows] == [
        ("bb22", "mass", "5", [1.5, 2.5, 6.0, 7.0]),
        ("bb22", "calcification", "4", [1.0, 1.0, 2.0, 2.0]),
    ]
    assert [(e.path, e.stage) for e in result.exclusions] == [
        ("finding_annotations.csv: row 5", "selection")
    ]


def test_findings_are_not_needed_and_policy_moves_the_border(archive, ingest):
    (archive / "finding_annotations.csv").unlink()
    options = {"vindr_mammo": {"malignant_from": "5"}}
    result = ingest("vindr_mammo", archive, **options)
    assert result.annotations.empty
    assert result.manifest["lesion_types"].isna().all()
    assert (result.manifest["pathology"] == "malignant").sum() == 1


def test_what_does_not_fit_is_listed(archive, ingest, write_file, dicom_bytes):
    more = (ROWS[0], "s3,r3,../x,L,CC,1,1,BI-RADS 1,DENSITY A,test", ROWS[0].replace("aa11", "dd"))
    write_file(archive / "breast-level_annotations.csv", "\n".join([BREASTS, *ROWS, *more]))
    write_file(archive / "images" / "s9" / "zz.dicom", dicom_bytes())
    result = ingest("vindr_mammo", archive, maximum_lost_share=0.9)
    lost = sorted(e.path for e in result.exclusions if e.stage == "ingest")
    assert lost == [
        "breast-level_annotations.csv: row 5",
        "breast-level_annotations.csv: row 6",
        "breast-level_annotations.csv: row 7",
        "images/s9/zz.dicom",
    ]
