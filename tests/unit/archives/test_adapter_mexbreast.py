from __future__ import annotations

import pytest
from PIL import Image

from mammoshift.errors import ArchiveError

OPTIONS = {
    "table": "data.csv",
    "columns": {"image": "file", "patient": "who", "laterality": "side", "view": "projection"},
    "pitch_of_folder": {"50um": 0.05, "100um": 0.1},
}
TABLE = """file,who,side,projection,X1,Y1,X2,Y2
A1.png,p1,L,CC,1,2,3,4
A1.png,p1,L,CC,9,8,5,6
B2.png,p2,R,MLO,2,2,4,4
"""


@pytest.fixture
def archive(tmp_path, write_file):
    for folder in ("50um", "100um", "preview"):
        for name in ("A1", "B2", "C3"):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("L", (10, 12)).save(path)
    write_file(tmp_path / "data.csv", TABLE)
    return tmp_path


def test_the_column_map_gives_boxes_in_every_resolution(archive, ingest):
    result = ingest("mexbreast", archive, maximum_lost_share=0.0, mexbreast=OPTIONS)
    table = result.manifest.set_index("image_id")
    assert list(table.index) == ["A1-100um", "A1-50um", "B2-100um", "B2-50um"]
    assert table["pixel_spacing_mm"].to_numpy() == pytest.approx([0.1, 0.05, 0.1, 0.05])
    assert table["patient_id"].tolist() == ["p1", "p1", "p2", "p2"]
    assert table["view"].tolist() == ["CC", "CC", "MLO", "MLO"]
    assert table["pathology"].isna().all()
    assert set(table["birads"]) == {"4"}
    boxes = result.annotations.set_index("annotation_id")
    assert list(boxes.loc["A1-50um-r2", "points"]) == [5, 6, 9, 8]
    assert len(boxes) == 6
    assert {(e.path.split("/")[0], e.stage) for e in result.exclusions} == {
        ("50um", "selection"),
        ("100um", "selection"),
        ("preview", "selection"),
    }


def test_policies(archive, ingest):
    options = OPTIONS | {"suspicious": "malignant", "without_box": "normal"}
    manifest = ingest("mexbreast", archive, mexbreast=options).manifest
    assert manifest["pathology"].value_counts().to_dict() == {"malignant": 4, "normal": 2}


def test_without_folders_every_image_is_taken_once(archive, ingest):
    for folder in ("100um", "preview"):
        for path in (archive / folder).iterdir():
            path.unlink()
    options = {"table": "data.csv", "columns": {"image": "file"}}
    manifest = ingest("mexbreast", archive, mexbreast=options).manifest
    assert manifest["image_id"].tolist() == ["A1", "B2"]
    assert manifest["pixel_spacing_mm"].isna().all()
    assert manifest["patient_id"].isna().all()


def test_what_does_not_fit_is_listed(archive, ingest, write_file):
    rows = "A1.png,p1,L,CC,1,2,30,4\nZ9.png,p1,L,CC,1,2,3,4\nB2.png,p2,R,MLO,1,2,,4\n"
    write_file(archive / "data.csv", TABLE + rows)
    options = OPTIONS | {"pitch_of_folder": {"50um": 0.05}}
    result = ingest("mexbreast", archive, maximum_lost_share=0.9, mexbreast=options)
    kept = {e.path: e.stage for e in result.exclusions if e.path.startswith("data.csv")}
    assert kept == {
        "data.csv: row 6": "ingest",
        "data.csv: row 7": "selection",
        "data.csv: row 2": "selection",
    }
    assert len(result.annotations) == 3


def test_a_column_that_is_not_there_is_named(archive, ingest):
    with pytest.raises(ArchiveError, match="lacks 'Image'; it has 'file', 'who'"):
        ingest("mexbreast", archive, mexbreast={"table": "data.csv"})
    with pytest.raises(ArchiveError, match=r"there is no data file 'other\.csv'"):
        ingest("mexbreast", archive, mexbreast={"table": "other.csv"})
