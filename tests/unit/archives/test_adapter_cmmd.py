from __future__ import annotations

import csv
from collections import Counter

import openpyxl
import pydicom
import pytest
from pydicom.sequence import Sequence

from mammoshift.archives.adapters.cmmd import Options
from mammoshift.archives.counts import counts_of, differences
from mammoshift.archives.registry import load_adapter
from mammoshift.errors import ArchiveError

HEADER = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
ROWS = [
    ("D1-0001", "R", 44, 2, "calcification", "Benign", None),
    ("D2-0007", "L", 51, 2, "both", "Malignant", "Luminal A"),
]
CODES = {"CC": "399162004", "MLO": "399368009"}
WORKBOOK = "CMMD_clinicaldata_revision.xlsx"


@pytest.fixture
def make_image(dicom_bytes):
    def build(patient, side, view, bits=8, **tags):
        item = pydicom.Dataset()
        item.CodeValue = CODES[view]
        pitch = [0.094090909, 0.094090909]
        return dicom_bytes(
            **{
                "PatientID": patient,
                "ImageLaterality": side,
                "ViewCodeSequence": Sequence([item]),
                "ImagerPixelSpacing": pitch,
                "PatientAge": "030Y",
                "Manufacturer": "",
                "bits": bits,
            }
            | tags
        )

    return build


@pytest.fixture
def archive(tmp_path, write_file, write_workbook, make_image):
    write_workbook(tmp_path / "clinical" / WORKBOOK, {"Sheet1": [HEADER, *ROWS]})
    first = "manifest-1/CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244"
    # As in one patient of the real archive, the order of the files is not CC, MLO.
    write_file(tmp_path / first / "1-1.dcm", make_image("D1-0001", "R", "MLO"))
    write_file(tmp_path / first / "1-2.dcm", make_image("D1-0001", "R", "CC", bits=16))
    second = "manifest-1/CMMD/D2-0007/07-18-2010-49690/1.000000-35817"
    for number, (side, view) in enumerate(
        [("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO")], start=1
    ):
        write_file(tmp_path / second / f"1-{number}.dcm", make_image("D2-0007", side, view))
    return tmp_path


def test_labels_join_by_breast_and_tags_not_by_file_order(archive, ingest):
    manifest = ingest("cmmd", archive).manifest.set_index("image_id")
    assert list(manifest.index) == [
        "D1-0001_RIGHT_CC",
        "D1-0001_RIGHT_MLO",
        "D2-0007_LEFT_CC",
        "D2-0007_LEFT_MLO",
    ]
    assert manifest.loc["D1-0001_RIGHT_CC", "path"].endswith("1-2.dcm")
    assert manifest["bits"].tolist() == [16, 8, 8, 8]
    assert manifest["pathology"].tolist() == ["benign", "benign", "malignant", "malignant"]
    assert manifest["lesion_types"].tolist()[1:3] == ["calcification", "calcification+mass"]
    assert manifest["age"].tolist() == [44, 44, 51, 51]
    assert manifest["pixel_spacing_mm"].to_numpy() == pytest.approx(0.0940909)
    assert manifest[["density", "birads", "official_split", "manufacturer"]].isna().all(axis=None)


def test_unlabelled_breasts_are_left_out_or_normal(archive, ingest):
    left_out = ingest("cmmd", archive, maximum_lost_share=0.0).exclusions
    assert [(e.stage, e.path[-7:]) for e in left_out] == [
        ("selection", "1-3.dcm"),
        ("selection", "1-4.dcm"),
    ]
    normal = ingest("cmmd", archive, cmmd={"unlabelled": "normal"})
    assert normal.exclusions == []
    assert normal.manifest["pathology"].value_counts()["normal"] == 2
    assert normal.manifest["age"].dropna().tolist() == [44, 44, 51, 51, 30, 30]


@pytest.mark.parametrize("broken", [("R", "Malignan"), ("?", "Malignant")])
def test_a_breast_whose_row_is_broken_is_never_normal(archive, ingest, write_workbook, broken):
    side, pathology = broken
    rows = [*ROWS, ("D2-0007", side, 51, 2, "mass", pathology, None)]
    write_workbook(archive / "clinical" / WORKBOOK, {"Sheet1": [HEADER, *rows]})
    result = ingest("cmmd", archive, maximum_lost_share=0.9, cmmd={"unlabelled": "normal"})
    assert "normal" not in set(result.manifest["pathology"])
    lost = Counter(e.reason for e in result.exclusions if e.path.endswith(".dcm"))
    assert lost["the workbook's row of the breast cannot be used"] == (2 if side == "R" else 4)


def test_losses(archive, ingest, write_file, make_image):
    folder = archive / "manifest-1" / "CMMD"
    write_file(folder / "D1-0009" / "1-1.dcm", make_image("D1-0009", "L", "CC"))
    write_file(folder / "D1-0010" / "1-1.dcm", make_image("", "L", "CC"))
    write_file(folder / "D1-0011" / "1-1.dcm", make_image("D1-0001", "", "CC"))
    write_file(folder / "D1-0012" / "1-1.dcm", b"no image")
    path = next(folder.glob("D2-0007/*/*/1-2.dcm"))
    path.unlink()
    result = ingest("cmmd", archive, maximum_lost_share=0.9)
    assert {(e.path, e.reason) for e in result.exclusions if e.stage == "ingest"} == {
        (
            "manifest-1/CMMD/D1-0009/1-1.dcm",
            "the patient is not in the clinical workbook",
        ),
        ("manifest-1/CMMD/D1-0010/1-1.dcm", "the PatientID is not one of CMMD"),
        (
            "manifest-1/CMMD/D1-0011/1-1.dcm",
            "ImageLaterality is missing, so that no label can be found",
        ),
        ("manifest-1/CMMD/D1-0012/1-1.dcm", "not a readable DICOM, PNG, TIFF, JPEG or PGM file"),
        (f"clinical/{WORKBOOK}: row 3, MLO", "the breast's image is not in the archive"),
    }


def test_copies_are_left_out_and_repetitions_are_numbered(archive, ingest, write_file, make_image):
    folder = next((archive / "manifest-1" / "CMMD").glob("D1-0001/*/*"))
    copied = (folder / "1-1.dcm").read_bytes()
    write_file(folder / "1-1 (1).dcm", copied)
    write_file(folder / "1-9.dcm", make_image("D1-0001", "R", "MLO", rows=9))
    result = ingest("cmmd", archive)
    assert "D1-0001_RIGHT_MLO_2" in set(result.manifest["image_id"])
    copies = [e.path.rpartition("/")[2] for e in result.exclusions if "copy" in e.reason]
    assert copies == ["1-1.dcm"]


def test_the_workbook_is_found_by_several_names_and_the_revision_wins(
    archive, ingest, write_workbook
):
    earlier = [("D1-0001", "R", 44, 2, "mass", "Malignant", None), ROWS[1]]
    write_workbook(archive / "CMMD_clinicaldata.xlsx", {"Sheet1": [HEADER, *earlier]})
    assert ingest("cmmd", archive).manifest["pathology"][0] == "benign"
    (archive / "clinical" / WORKBOOK).unlink()
    assert ingest("cmmd", archive).manifest["pathology"][0] == "malignant"
    (archive / "CMMD_clinicaldata.xlsx").unlink()
    with pytest.raises(ArchiveError, match=r"CMMD_clinicaldata_revision\.xlsx was not found"):
        ingest("cmmd", archive)


def test_another_revised_workbook_does_no_harm(archive, ingest, write_workbook):
    write_workbook(archive / "lesion masks revision.xlsx", {"Sheet1": [["x"]]})
    assert len(ingest("cmmd", archive).manifest) == 4


def test_two_rows_for_one_breast_give_the_worse_label(archive, ingest, write_workbook):
    rows = [*ROWS, ("D1-0001", "R", 44, 2, "mass", "Malignant", None), ("x", "R", 1, 2, "", "", "")]
    write_workbook(archive / "clinical" / WORKBOOK, {"Sheet1": [HEADER, *rows]})
    result = ingest("cmmd", archive, maximum_lost_share=0.5)
    assert result.manifest["pathology"][0] == "malignant"
    assert result.manifest["lesion_types"][0] == "calcification+mass"
    assert [e.path for e in result.exclusions if e.stage == "ingest"] == [
        f"clinical/{WORKBOOK}: row 5"
    ]


@pytest.fixture
def real_archive(tmp_path, shared_data, write_file, make_image):
    """Return a function that lays out every `step`-th real patient with tiny images."""
    source = shared_data / "metadata" / "cmmd"
    templates = {(side, view): make_image("D0-0000", side, view) for side in "LR" for view in CODES}

    def build(step):
        table = list(openpyxl.load_workbook(source / WORKBOOK).worksheets[0].values)
        with (source / "metadata.csv").open(encoding="utf-8", newline="") as stream:
            series = list(csv.DictReader(stream))[::step]
        patients = {row["Subject ID"] for row in series}
        rows = [row for row in table[1:] if row[0] in patients]
        workbook = openpyxl.Workbook()
        for row in [table[0], *rows]:
            workbook.worksheets[0].append(row)
        workbook.save(tmp_path / WORKBOOK)
        labelled = {row[0]: str(row[1]) for row in rows}
        for row in series:
            patient = row["Subject ID"]
            for side in "LR" if row["Number of Images"] == "4" else labelled[patient]:
                for view in CODES:
                    content = templates[side, view].replace(b"D0-0000", patient.encode())
                    write_file(tmp_path / "CMMD" / patient / f"{side}{view}.dcm", content)
        return rows

    return build


def test_a_sample_of_the_real_workbook(tmp_path, real_archive, ingest):
    rows = real_archive(step=40)
    result = ingest("cmmd", tmp_path, maximum_lost_share=0.0)
    assert len(result.manifest) == 2 * len(rows)
    malignant = sum(row[5] == "Malignant" for row in rows)
    assert (result.manifest["pathology"] == "malignant").sum() == 2 * malignant
    assert {e.stage for e in result.exclusions} == {"selection"}


@pytest.mark.slow
def test_the_real_workbook_gives_the_published_counts(tmp_path, real_archive, ingest):
    real_archive(step=1)
    result = ingest("cmmd", tmp_path, maximum_lost_share=0.0)
    manifest = result.manifest
    assert manifest["pathology"].value_counts().to_dict() == {"malignant": 2632, "benign": 1112}
    assert manifest["patient_id"].nunique() == 1775
    for options in ({}, {"unlabelled": "normal"}, {"first_part_alone": True}):
        taken = ingest("cmmd", tmp_path, maximum_lost_share=0.0, cmmd=options)
        published = load_adapter("cmmd").published_counts(Options(**options))
        assert differences(counts_of(taken), published) == []
    assert len(result.exclusions) == 1458
    assert {e.stage for e in result.exclusions} == {"selection"}
    malignant = manifest["pathology"].eq("malignant").groupby(manifest["patient_id"]).any()
    assert (malignant.sum(), (~malignant).sum()) == (1310, 465)
