from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pydicom
import pytest
import tifffile

from mammoshift.archives.adapter import ingest_archive
from mammoshift.configuration.dataset import Dataset, Population, Twin
from mammoshift.errors import ConfigurationError
from mammoshift.phantoms.receipt import TwinReceipt
from mammoshift.phantoms.twin import write_twin

LAYOUTS: tuple[str, ...] = ("cbis_ddsm", "cmmd", "dmid", "mias")
COARSE = {"cbis_ddsm": 30.0, "cmmd": 20.0, "dmid": 30.0, "mias": 10.0}
PATIENTS = 13
TABLES = (".csv", ".xlsx", "Info.txt")


def twin_of(layout: str, patients: int = PATIENTS) -> Twin:
    population = Population(malignant=0.4, benign=0.4)
    return Twin(
        patients=patients,
        seed=3,
        magnification_of_pitch=COARSE[layout],
        population=population,
    )


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, TwinReceipt]]:
    root = tmp_path_factory.mktemp("twins")
    return {
        layout: (root / layout, write_twin(layout, twin_of(layout), root / layout))
        for layout in LAYOUTS
    }


def dicoms(root: Path) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(root.rglob("*.dcm"))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_configurations_give_equal_bytes(
    layout: str, twins: dict[str, tuple[Path, TwinReceipt]], tmp_path: Path
) -> None:
    workers = 2 if layout == "mias" else 1
    again = write_twin(layout, twin_of(layout), tmp_path / "again", workers=workers)
    assert again == twins[layout][1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_more_patient_changes_no_image(
    layout: str, twins: dict[str, tuple[Path, TwinReceipt]], tmp_path: Path
) -> None:
    more = write_twin(layout, twin_of(layout, PATIENTS + 1), tmp_path / "more")
    before = {f for f in twins[layout][1].files if not f.path.endswith(TABLES)}
    after = {f for f in more.files if not f.path.endswith(TABLES)}
    assert before < after


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_adapter_of_the_real_archive_reads_the_twin(
    layout: str, twins: dict[str, tuple[Path, TwinReceipt]]
) -> None:
    root, _ = twins[layout]
    dataset = Dataset(adapter=layout, title="twin", licence="synthetic", twin=twin_of(layout))
    result = ingest_archive(layout, dataset, root)
    manifest = result.manifest
    assert {"benign", "malignant"} <= set(manifest["pathology"].dropna())
    assert set(manifest["laterality"]) == {"left", "right"}
    assert set(manifest["view"]) == ({"MLO"} if layout == "mias" else {"CC", "MLO"})
    assert {exclusion.stage for exclusion in result.exclusions} <= {"selection"}
    if layout in {"cmmd", "mias"}:
        native = {"cmmd": 0.0940909, "mias": 0.2}[layout]
        assert np.allclose(manifest["pixel_spacing_mm"], native * COARSE[layout], rtol=0.01)
    if layout != "dmid":
        assert manifest["patient_id"].nunique() == PATIENTS


def test_the_receipt_lists_every_file(
    twins: dict[str, tuple[Path, TwinReceipt]], tmp_path: Path
) -> None:
    root, receipt = twins["mias"]
    receipt.write(tmp_path / "receipt.json")
    read = json.loads((tmp_path / "receipt.json").read_text())
    assert read["layout"] == "mias"
    on_disk = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    assert [file["path"] for file in read["files"]] == on_disk
    assert read["files"][0]["size"] == (root / on_disk[0]).stat().st_size


def test_an_older_archive_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    destination = tmp_path / "mias"
    destination.mkdir()
    (destination / "stale.pgm").write_bytes(b"old")
    write_twin("mias", twin_of("mias", 4), destination)
    assert not (destination / "stale.pgm").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mias"]


def test_a_failure_leaves_the_older_archive(tmp_path: Path) -> None:
    destination = tmp_path / "cmmd"
    destination.mkdir()
    (destination / "kept").write_bytes(b"old")
    impossible = Twin(patients=4, population=Population(malignant=0, benign=0))
    with pytest.raises(ConfigurationError, match="no normal"):
        write_twin("cmmd", impossible, destination)
    assert (destination / "kept").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["cmmd"]


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cmmd, csv, csv_case_control, dmid"):
        write_twin("mammo", Twin(patients=4), tmp_path / "out")


def test_cmmd_tags_and_defects(twins: dict[str, tuple[Path, TwinReceipt]]) -> None:
    root, _ = twins["cmmd"]
    images = dicoms(root)
    bits = Counter((i.BitsAllocated, i.BitsStored, i.HighBit) for i in images)
    assert bits[16, 16, 15] == 2
    assert set(bits) == {(8, 8, 7), (16, 16, 15)}
    for image in images:
        assert image.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
        assert "ViewPosition" not in image
        assert "PixelSpacing" not in image
        assert image.VOILUTFunction == "SIGMOID"
        assert image.WindowWidth == 2**image.BitsStored
        assert image.pixel_array.shape == (round(2294 / 20), round(1914 / 20))
        right = image.ImageLaterality == "R"
        columns = image.pixel_array.mean(axis=0)
        assert (columns[-3:].mean() > columns[:3].mean()) == right
        view = image.ViewCodeSequence[0].CodeMeaning
        letters = f"{'L' if right else 'R'}"
        expected = letters if view == "cranio-caudal" else f"F{letters}"
        assert list(image.PatientOrientation) == ["P" if right else "A", expected]
    assert len({image.SOPInstanceUID for image in images}) == len(images)
    reversed_first = pydicom.dcmread(next(root.rglob("D1-0002/**/1-1.dcm")))
    assert reversed_first.ViewCodeSequence[0].CodeMeaning == "medio-lateral oblique"

    sheet = openpyxl.load_workbook(root / "CMMD_clinicaldata_revision.xlsx")["Sheet1"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0][:2] == ("ID1", "LeftRight")
    labelled = {(row[0], row[1]) for row in rows[1:]}
    imaged = {(image.PatientID, image.ImageLaterality) for image in images}
    assert labelled <= imaged
    unlabelled = imaged - labelled
    assert unlabelled
    assert all(str(patient).startswith("D2") for patient, _ in unlabelled)
    nbia = (root / "manifest-1616439774456" / "metadata.csv").read_text().splitlines()
    assert len(nbia) == PATIENTS + 1
    assert all(".\\CMMD\\" in line for line in nbia[1:])


def test_cbis_ddsm_tables_and_defects(twins: dict[str, tuple[Path, TwinReceipt]]) -> None:
    root, _ = twins["cbis_ddsm"]
    tables: dict[str, list[dict[str, str]]] = {}
    for path in sorted(root.glob("*_case_description_*.csv")):
        with path.open(newline="") as stream:
            tables[path.name] = list(csv.DictReader(stream))
    assert len(tables) == 4
    mass, calc = (
        tables["mass_case_description_train_set.csv"],
        [row for name, rows in tables.items() if name.startswith("calc") for row in rows],
    )
    assert "breast_density" in mass[0]
    assert "breast density" in calc[0]
    assert all(row["ROI mask file path"].endswith(".dcm\n") for row in mass)
    assert all(row["cropped image file path"].endswith(".dcm\n") for row in calc)
    crossing = {row["patient_id"] for row in mass} & {
        row["patient_id"] for row in tables["calc_case_description_test_set.csv"]
    }
    assert crossing == {"P_00004"}
    assert {row["breast density"] for row in calc if row["patient_id"] == "P_00004"} == {"0"}

    series = {str(image.SeriesInstanceUID): image for image in dicoms(root)}
    for row in (*mass, *calc):
        parts = row["image file path"].split("/")
        image = series[parts[2]]
        assert image.PatientID == parts[0]
        assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
        assert image.PatientOrientation == row["image view"]
        assert "PixelSpacing" not in image
    films = {
        image.PatientID: image.pixel_array
        for image in series.values()
        if "P_00004" in image.PatientID and image.SeriesDescription.startswith("full")
    }
    twice = [films[name] for name in sorted(films) if name.endswith("_CC")]
    assert len(twice) == 2
    assert np.array_equal(twice[0], twice[1])


def test_cbis_ddsm_masks_and_crops(twins: dict[str, tuple[Path, TwinReceipt]]) -> None:
    root, _ = twins["cbis_ddsm"]
    regions = [i for i in dicoms(root) if not i.SeriesDescription.startswith("full")]
    masks = [image for image in regions if image.BitsAllocated == 8]
    crops = [image for image in regions if image.BitsAllocated == 16]
    assert len(masks) == len(crops) > 0
    assert all(set(np.unique(mask.pixel_array)) == {0, 255} for mask in masks)
    orders = {int(mask.InstanceNumber) for mask in masks}
    assert orders == {1, 2}
    sizes = {i.PatientID: i.pixel_array.shape for i in dicoms(root) if i.BitsAllocated == 16}
    differing = [
        mask for mask in masks if mask.pixel_array.shape != sizes[mask.PatientID.rsplit("_", 1)[0]]
    ]
    assert {mask.PatientID[:2] for mask in differing} <= {"Ma", "Ca"}
    assert 0 < len(differing) < len(masks)


def test_dmid_workbook_reports_and_images(twins: dict[str, tuple[Path, TwinReceipt]]) -> None:
    root, _ = twins["dmid"]
    sheet = openpyxl.load_workbook(root / "Metadata.xlsx").active
    assert sheet is not None
    rows = list(sheet.iter_rows(values_only=True))
    assert not any(str(row[0] or "").startswith("IMG") for row in rows[:31])
    data = [row for row in rows[31:] if row[0]]
    assert {str(row[0]).strip() for row in data} == {f"IMG{k:03d}" for k in range(1, 27)}
    assert any(str(row[0]).endswith(" ") for row in data)
    assert any(str(row[4]).endswith(" ") for row in data)
    reports = sorted((root / "Reports" / "Reports").iterdir())
    assert [path.name for path in reports] == [f"Img{k:03d}.txt" for k in range(1, 27)]
    texts = [path.read_bytes() for path in reports]
    assert sum(b"BIRADS:" not in text for text in texts) == 1
    assert all(b"\r\n" in text for text in texts)
    image = tifffile.imread(root / "TIFF Images" / "TIFF Images" / "IMG001.tif")
    assert image.dtype == np.uint8
    assert image.shape == (200, 158, 4)
    assert (image[..., 3] == 255).all()
    for row in data:
        name = str(row[0]).strip()
        path = root / "ROI Masks" / "ROI Masks" / f"{name}.tif"
        if str(row[3]) == "NORM":
            assert not path.exists()
        else:
            mask = tifffile.imread(path)
            x, y = int(str(row[5])), int(str(row[6]))
            assert mask[200 - y, x, 0] == 255


def test_mias_files_and_coordinates(twins: dict[str, tuple[Path, TwinReceipt]]) -> None:
    root, _ = twins["mias"]
    text = (root / "Info.txt").read_text()
    rows = [line for line in text.splitlines() if line.startswith("mdb")]
    assert {row[:6] for row in rows} == {f"mdb{k:03d}" for k in range(1, 2 * PATIENTS + 1)}
    assert text.index("mdb001") > 1000
    assert text.rstrip().endswith("=====")
    assert all(row.endswith("NORM ") for row in rows if "NORM" in row)
    tissue = {row.split()[0]: row.split()[1] for row in rows}
    for odd in range(1, 2 * PATIENTS, 2):
        assert tissue[f"mdb{odd:03d}"] == tissue[f"mdb{odd + 1:03d}"]
        content = (root / f"mdb{odd:03d}.pgm").read_bytes()
        assert content.startswith(b"P5\n102 102\n255\n")
        left, right = (
            cv2.imread(str(root / f"mdb{k:03d}.pgm"), cv2.IMREAD_GRAYSCALE) for k in (odd, odd + 1)
        )
        assert left is not None
        assert right is not None
        assert chest_wall_is_left(right)
        assert not chest_wall_is_left(left)
    lengths = Counter(len(row.split()) for row in rows)
    assert lengths[7] > 0
    assert set(lengths) <= {3, 4, 6, 7}


def chest_wall_is_left(image: np.ndarray) -> bool:
    """Tell on which side of its film the breast begins, from the rows around the middle."""
    film = np.flatnonzero(image.max(axis=0) > 0)
    middle = image[40:70]
    first, last = middle[:, film[0] : film[0] + 8].mean(), middle[:, film[-1] - 8 : film[-1]].mean()
    return bool(first > last)
