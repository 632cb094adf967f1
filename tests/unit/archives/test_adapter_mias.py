from __future__ import annotations

import tarfile

import numpy as np
import pytest
from PIL import Image

from mammoshift.archives.adapters.mias import Options
from mammoshift.archives.counts import counts_of, differences
from mammoshift.archives.registry import load_adapter
from mammoshift.errors import ArchiveError

PGM = b"P5\n4 4\n255\n" + bytes(16)
PROSE = """
 INFORMATION:
1st column: MIAS database reference number.
   represents the left (even filename numbers) and right mammograms
"""
ROWS = """mdb001 G CIRC B 535 425 197
mdb002 G CIRC B 522 280 69
mdb003 D NORM\x20
mdb004 D NORM\x20
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26
mdb006 F NORM
mdb007 D CALC B 1 2 3
mdb007 D ASYM M 1 2 3
mdb008 D CALC M *NOTE 3*
mdb009 F CIRC B
"""


@pytest.fixture
def archive(tmp_path, write_file):
    for number in range(1, 10):
        write_file(tmp_path / "all-mias" / f"mdb{number:03d}.pgm", PGM)
    write_file(tmp_path / "all-mias" / "Info.txt", PROSE + ROWS + "=====\n")
    return tmp_path


def test_rows_between_prose_become_labels(archive, ingest):
    result = ingest("mias", archive)
    manifest = result.manifest.set_index("image_id")
    assert result.exclusions == []
    assert manifest["pathology"].to_dict() == {
        "mdb001": "benign",
        "mdb002": "benign",
        "mdb003": "normal",
        "mdb004": "normal",
        "mdb005": "benign",
        "mdb006": "normal",
        "mdb007": "malignant",
        "mdb008": "malignant",
        "mdb009": "benign",
    }
    assert manifest.loc["mdb007", "lesion_types"] == "asymmetry+calcification"
    assert manifest["density"].tolist() == list("ggddffddf")
    assert set(manifest["density_scale"]) == {"mias"}
    assert set(manifest["view"]) == {"MLO"}


def test_pairs_are_patients_and_odd_is_left(archive, ingest):
    manifest = ingest("mias", archive).manifest
    assert manifest["laterality"].tolist()[:4] == ["left", "right", "left", "right"]
    assert manifest["patient_id"].tolist()[:4] == ["pair001", "pair001", "pair002", "pair002"]


def test_the_other_edition_of_the_text_gives_the_same(archive, ingest, write_file):
    expected = ingest("mias", archive).manifest
    write_file(archive / "all-mias" / "README", PROSE)
    header = "REFNUM BG CLASS SEVERITY X Y RADIUS \n"
    write_file(archive / "all-mias" / "Info.txt", header + ROWS)
    assert ingest("mias", archive).manifest.equals(expected)


def test_the_frame_gives_the_pixel_spacing(archive, ingest, write_file):
    write_file(archive / "all-mias" / "mdb001.pgm", b"P5\n1024 1024\n255\n" + bytes(1024**2))
    manifest = ingest("mias", archive).manifest
    assert manifest["pixel_spacing_mm"][0] == pytest.approx(0.2)


def test_what_does_not_fit_is_listed(archive, ingest, write_file):
    folder = archive / "all-mias"
    write_file(folder / "Info.txt", ROWS + "mdb010 X CIRC B 1 2 3\nmdb011 G NORM\n")
    (folder / "mdb009.pgm").unlink()
    write_file(folder / "mdb099.pgm", PGM)
    write_file(folder / "film.pgm", PGM)
    write_file(folder / "copy" / "mdb001.pgm", PGM)
    write_file(folder / "mdb002.pgm", b"P5\n1024 1024\n255\n")
    result = ingest("mias", archive, maximum_lost_share=0.9)
    assert {(e.path, e.stage) for e in result.exclusions} == {
        ("all-mias/Info.txt: line 12", "ingest"),
        ("all-mias/Info.txt: mdb009", "ingest"),
        ("all-mias/Info.txt: mdb011", "ingest"),
        ("all-mias/mdb099.pgm", "ingest"),
        ("all-mias/film.pgm", "ingest"),
        ("all-mias/mdb001.pgm", "selection"),
        ("all-mias/mdb002.pgm", "ingest"),
    }
    assert len(result.manifest) == 7


def test_without_the_text_file_there_are_no_labels(archive, ingest):
    (archive / "all-mias" / "Info.txt").unlink()
    with pytest.raises(ArchiveError, match=r"no Info\.txt with rows"):
        ingest("mias", archive)


def test_the_real_archive(tmp_path, shared_data, ingest):
    with tarfile.open(shared_data / "mias" / "all-mias.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    result = ingest("mias", tmp_path, maximum_lost_share=0.0)
    manifest = result.manifest
    assert result.exclusions == []
    assert manifest["pathology"].value_counts().to_dict() == {
        "normal": 207,
        "benign": 63,
        "malignant": 52,
    }
    assert manifest["density"].value_counts().to_dict() == {"d": 112, "f": 106, "g": 104}
    assert manifest["patient_id"].nunique() == 161
    assert (manifest.groupby("patient_id")["density"].nunique() == 1).all()
    assert manifest.set_index("image_id").loc["mdb144", "pathology"] == "malignant"
    assert manifest["pixel_spacing_mm"].to_numpy() == pytest.approx(0.2)

    published = load_adapter("mias").published_counts(Options())
    assert differences(counts_of(result), published) == []

    circles = result.annotations.set_index("image_id")
    paths = manifest.set_index("image_id")["path"]
    assert len(circles) == 119
    assert circles["lesion_type"].value_counts().to_dict() == {
        "mass": 58,
        "calcification": 27,
        "distortion": 19,
        "asymmetry": 15,
    }
    brighter = 0
    rows, columns = np.ogrid[:1024, :1024]
    for image_id, circle in circles[circles["lesion_type"] == "mass"].iterrows():
        film = np.asarray(Image.open(tmp_path / paths[image_id]))
        x, y = circle["points"]
        distance = np.hypot(rows - y, columns - x) / circle["radius"]
        rim = film[(distance > 1) & (distance < 1.5)]
        brighter += int(film[distance < 1].mean() > rim.mean())
    assert brighter >= 52


def test_circles_are_given_from_the_bottom(archive, ingest, write_file):
    write_file(archive / "all-mias" / "mdb001.pgm", b"P5\n1024 1024\n255\n" + bytes(1024**2))
    table = ingest("mias", archive).annotations.set_index("annotation_id")
    first = table.loc["mdb001-r1"]
    assert (first["shape"], list(first["points"])) == ("circle", [535.0, 1024.0 - 425.0])
    assert (first["radius"], first["lesion_type"], first["pathology"]) == (197.0, "mass", "benign")
    assert first["source"] == "all-mias/Info.txt"
    both = table[table["image_id"] == "mdb007"]
    assert both["pathology"].tolist() == ["benign", "malignant"]
    assert not {"mdb003", "mdb008", "mdb009"} & set(table["image_id"])


def test_an_image_with_a_row_that_is_not_understood_is_lost(archive, ingest, write_file):
    rows = ROWS.replace("ASYM M 1 2 3", "ASYM M 1 2")
    write_file(archive / "all-mias" / "Info.txt", rows)
    result = ingest("mias", archive, maximum_lost_share=0.5)
    assert "mdb007" not in set(result.manifest["image_id"])
    assert [e.path for e in result.exclusions] == [
        "all-mias/Info.txt: line 9",
        "all-mias/mdb007.pgm",
    ]


def test_a_text_file_that_cannot_be_read_is_an_error(archive, ingest, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(ArchiveError, match=r"Info\.txt: the file cannot be read: Permission"):
        ingest("mias", archive)


FULL_ROWS = """mdb001lm G CIRC B 1815 1116 790
mdb002rl G NORM
mdb005ll F CIRC B 647 1163 122
mdb005ll CIRC M 786 1255 107
mdb006rl F CALC M *** see note 2
"""


def test_the_full_edition_has_sides_and_sizes_in_its_names(tmp_path, ingest, write_file):
    for name in ("mdb001lm", "mdb002rl", "mdb005ll", "mdb006rl"):
        write_file(tmp_path / "MIASDBv1.21" / f"{name}.pgm", PGM)
    write_file(tmp_path / "Info.txt", FULL_ROWS)
    result = ingest("mias", tmp_path, maximum_lost_share=0.0)
    table = result.manifest.set_index("image_id")
    assert result.exclusions == []
    assert table["laterality"].to_dict() == {
        "mdb001": "left",
        "mdb002": "right",
        "mdb005": "left",
        "mdb006": "right",
    }
    assert table["pathology"].tolist() == ["benign", "normal", "malignant", "malignant"]
    assert table["density"].tolist() == ["g", "g", "f", "f"]
    assert table["pixel_spacing_mm"].to_numpy() == pytest.approx(0.05)
    assert result.annotations.empty


def test_a_name_against_its_number_is_lost(tmp_path, ingest, write_file):
    write_file(tmp_path / "mdb001rm.pgm", PGM)
    write_file(tmp_path / "mdb002rl.pgm", PGM)
    write_file(tmp_path / "Info.txt", FULL_ROWS)
    result = ingest("mias", tmp_path, maximum_lost_share=0.9)
    reasons = {e.path: e.reason for e in result.exclusions}
    assert reasons["mdb001rm.pgm"] == "the name gives another side than the number"
