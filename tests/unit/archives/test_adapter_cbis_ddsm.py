from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mammoshift.archives.adapters.cbis_ddsm import Options
from mammoshift.archives.counts import counts_of, differences
from mammoshift.archives.registry import load_adapter
from mammoshift.errors import ArchiveError

TABLES = [
    f"{kind}_case_description_{split}_set.csv"
    for kind in ("mass", "calc")
    for split in ("train", "test")
]
MASS_HEADER = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
    "mass shape,mass margins,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path"
)
CALC_HEADER = MASS_HEADER.replace("breast_density", "breast density").replace(
    "mass shape,mass margins", "calc type,calc distribution"
)
ROOT_UID = "1.3.6.1.4.1.9590.100.1.2"


class Cases:
    """Lesion rows of the four tables, and the films that they name."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {name: [] for name in TABLES}
        self.films: dict[str, str] = {}

    def add(
        self,
        table: str,
        patient: int,
        side: str = "LEFT",
        view: str = "CC",
        pathology: str = "BENIGN",
        density: str = "2",
        assessment: str = "4",
        lesion: int = 1,
    ) -> str:
        kind, _, _, split, _ = table.split("_")
        subset = {"train": "Training", "test": "Test"}[split]
        folder = f"{kind.capitalize()}-{subset}_P_{patient:05d}_{side}_{view}"
        if folder not in self.films:
            number = len(self.films) + 1
            self.films[folder] = f"{folder}/{ROOT_UID}.1{number:05d}/{ROOT_UID}.2{number:05d}"
        film = self.films[folder]
        roi = (
            f"{folder}_{lesion}/{ROOT_UID}.3{lesion:05d}/{ROOT_UID}.4{len(self.films)}{lesion:05d}"
        )
        long_name = {"mass": "mass", "calc": "calcification"}[kind]
        self.rows[table].append(
            f"P_{patient:05d},{density},{side},{view},{lesion},{long_name},X,Y,{assessment},"
            f'{pathology},3,{film}/000000.dcm,{roi}/000000.dcm,"{roi}/000001.dcm\n"'
        )
        return film

    def write_tables(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for name, rows in self.rows.items():
            header = MASS_HEADER if name.startswith("mass") else CALC_HEADER
            (root / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


MASS_TRAIN, MASS_TEST, CALC_TRAIN, CALC_TEST = TABLES


def _place(layout: str, film: str) -> str:
    folder, study, series = film.split("/")
    return {
        "A": f"manifest-1/CBIS-DDSM/{folder}/08-29-2017-DDSM-NA-{study[-5:]}"
        f"/1.000000-full mammogram images-{series[-5:]}/1-1.dcm",
        "B": f"CBIS-DDSM/{folder}/08-29-2017-DDSM-{study[-5:]}"
        f"/1.000000-any text-{series[-5:]}/1-1.dcm",
        "C": f"{folder}/10-04-2016-DDSM-{study[-5:]}"
        f"/1-full mammogram images-{series[-5:]}/000000.dcm",
        "D": f"CBIS-DDSM/{film}/1-1.dcm",
        "by_uid": f"jpeg/{series}/1-072.dcm",
        "one_file": f"{folder}/a/b.dcm",
    }[layout]


@pytest.mark.parametrize("layout", ["A", "B", "C", "D", "by_uid", "one_file"])
def test_every_layout_gives_the_same_images(tmp_path, write_file, dicom_bytes, ingest, layout):
    cases = Cases()
    films = [
        cases.add(MASS_TRAIN, 1),
        cases.add(MASS_TRAIN, 1, view="MLO", pathology="MALIGNANT"),
        cases.add(CALC_TRAIN, 2, side="RIGHT", density="3"),
        cases.add(CALC_TEST, 3),
    ]
    cases.write_tables(tmp_path / "tables")
    for film in films:
        write_file(tmp_path / _place(layout, film), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path)
    assert result.exclusions == []
    assert list(result.manifest["image_id"]) == [
        "P_00001_LEFT_CC",
        "P_00001_LEFT_MLO",
        "P_00002_RIGHT_CC",
        "P_00003_LEFT_CC",
    ]
    assert list(result.manifest["pathology"]) == ["benign", "malignant", "benign", "benign"]
    assert list(result.manifest["density"]) == ["b", "b", "c", "b"]
    assert list(result.manifest["official_split"]) == ["train", "train", "train", "test"]
    assert result.manifest["bits"].tolist() == [16] * 4


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_the_download_table_locates_series(tmp_path, write_file, dicom_bytes, ingest, slash):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    cases.write_tables(tmp_path)
    location = slash.join([".", "CBIS-DDSM", "renamed", "series"])
    write_file(
        tmp_path / "manifest" / "metadata.csv",
        f"Series UID,File Location\n{film.split('/')[2]},{location}\n",
    )
    write_file(tmp_path / "manifest/CBIS-DDSM/renamed/series/1-1.dcm", dicom_bytes())
    write_file(tmp_path / "manifest/CBIS-DDSM/renamed/other/1-1.dcm", dicom_bytes())
    manifest = ingest("cbis_ddsm", tmp_path).manifest
    assert manifest["path"].tolist() == ["manifest/CBIS-DDSM/renamed/series/1-1.dcm"]


def test_another_table_of_that_name_does_no_harm(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    cases.write_tables(tmp_path)
    write_file(tmp_path / "metadata.csv", "a,b\n1,2\n")
    write_file(tmp_path / _place("D", film), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    assert len(result.manifest) == 1
    assert [(e.path, e.stage) for e in result.exclusions] == [("metadata.csv", "selection")]


def test_a_renamed_file_is_found_by_the_uid_inside(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    cases.write_tables(tmp_path)
    uid = film.split("/")[2]
    write_file(tmp_path / "flat" / "0001.dcm", dicom_bytes(SeriesInstanceUID="2.25.99"))
    write_file(tmp_path / "flat" / "0002.dcm", dicom_bytes(SeriesInstanceUID=uid))
    write_file(tmp_path / "flat" / "0003.dcm", dicom_bytes(SeriesInstanceUID=uid, bits=8))
    result = ingest("cbis_ddsm", tmp_path)
    assert result.manifest["path"].tolist() == ["flat/0002.dcm"]


def test_a_broken_second_file_of_a_series_is_listed(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", film), dicom_bytes())
    write_file(tmp_path / f"CBIS-DDSM/{film}/1-2.dcm", b"no image")
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    assert [(e.path, e.stage) for e in result.exclusions] == [
        (f"CBIS-DDSM/{film}/1-2.dcm", "selection")
    ]


def test_masks_and_crops_are_never_taken_for_the_image(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    good = cases.add(MASS_TRAIN, 1)
    masked = cases.add(MASS_TRAIN, 2)
    cropped = cases.add(MASS_TRAIN, 3)
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", good), dicom_bytes())
    write_file(tmp_path / _place("A", good.replace("_CC", "_CC_1")), dicom_bytes(bits=8))
    write_file(tmp_path / _place("D", masked), dicom_bytes(bits=8))
    write_file(tmp_path / _place("D", cropped), dicom_bytes(SeriesDescription="cropped images"))
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.9)
    assert result.manifest["image_id"].tolist() == ["P_00001_LEFT_CC"]
    assert [(e.path, e.stage, e.reason) for e in result.exclusions] == [
        (_place("D", film), "ingest", "a mask or crop lies where the full image should be")
        for film in (masked, cropped)
    ]


def test_lesions_of_one_image_are_joined(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1, pathology="BENIGN_WITHOUT_CALLBACK", assessment="0")
    cases.add(MASS_TRAIN, 1, pathology="MALIGNANT", assessment="5", lesion=2)
    cases.add(MASS_TRAIN, 1, pathology="BENIGN", assessment="3", lesion=3)
    only = cases.add(CALC_TEST, 2, pathology="BENIGN_WITHOUT_CALLBACK", density="0")
    cases.write_tables(tmp_path)
    for path in (film, only):
        write_file(tmp_path / _place("A", path), dicom_bytes())
    first, second = (row for _, row in ingest("cbis_ddsm", tmp_path).manifest.iterrows())
    assert (first["pathology"], first["birads"], first["lesion_types"]) == (
        "malignant",
        "5",
        "mass",
    )
    assert (second["pathology"], second["lesion_types"]) == ("benign", "calcification")
    assert second[["density", "density_scale"]].isna().all()


def test_a_film_published_twice_is_one_image(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    mass = cases.add(MASS_TRAIN, 1, density="2")
    calc = cases.add(CALC_TEST, 1, density="2", pathology="MALIGNANT")
    other = cases.add(MASS_TRAIN, 1, side="RIGHT", density="2")
    cases.write_tables(tmp_path)
    for film in (mass, calc, other):
        write_file(tmp_path / _place("D", film), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    assert len(result.manifest) == 2
    twice = result.manifest.iloc[0]
    assert twice["path"] == _place("D", mass)
    assert (twice["pathology"], twice["lesion_types"]) == ("malignant", "calcification+mass")
    assert [(e.path, e.stage) for e in result.exclusions] == [(_place("D", calc), "selection")]
    assert "duplicate film" in result.exclusions[0].reason


def test_the_second_copy_stands_in_for_a_broken_first(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    mass, calc = cases.add(MASS_TRAIN, 1), cases.add(CALC_TRAIN, 1)
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", mass), b"broken")
    write_file(tmp_path / _place("D", calc), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.5)
    assert result.manifest["path"].tolist() == [_place("D", calc)]
    assert result.manifest["lesion_types"].tolist() == ["calcification+mass"]


def test_a_patient_of_both_subsets_is_tested_only(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    films = [
        cases.add(MASS_TRAIN, 1),
        cases.add(CALC_TEST, 1, side="RIGHT"),
        cases.add(CALC_TRAIN, 2),
    ]
    cases.write_tables(tmp_path)
    for film in films:
        write_file(tmp_path / _place("D", film), dicom_bytes())
    manifest = ingest("cbis_ddsm", tmp_path).manifest
    assert manifest.groupby("patient_id")["official_split"].agg(set).to_dict() == {
        "P_00001": {"test"},
        "P_00002": {"train"},
    }


def test_conflicting_densities_are_unknown(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    films = [cases.add(MASS_TRAIN, 1, density="4"), cases.add(CALC_TRAIN, 1, "RIGHT", density="2")]
    cases.write_tables(tmp_path)
    for film in films:
        write_file(tmp_path / _place("D", film), dicom_bytes())
    assert ingest("cbis_ddsm", tmp_path).manifest["density"].isna().all()


def test_missing_images_are_losses_and_too_many_are_an_error(
    tmp_path, write_file, dicom_bytes, ingest
):
    cases = Cases()
    films = [cases.add(MASS_TRAIN, patient) for patient in range(1, 5)]
    cases.write_tables(tmp_path)
    for film in films[:3]:
        write_file(tmp_path / _place("D", film), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.25)
    assert [e.path for e in result.exclusions] == [films[3]]
    with pytest.raises(ArchiveError, match=r"1 of 4 images \(25.0%\).*maximum_lost_share: 20.0%"):
        ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.2)


def test_a_broken_row_is_a_loss(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    cases.add(MASS_TRAIN, 2, pathology="MAYBE")
    cases.add(MASS_TRAIN, 3, side="BOTH")
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", film), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.9)
    assert [(e.path, e.reason) for e in result.exclusions] == [
        (f"{MASS_TRAIN}: row 3", "the pathology is unknown"),
        (f"{MASS_TRAIN}: row 4", "side or view is unknown"),
    ]


def test_a_view_with_a_broken_row_has_no_sure_label(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1, pathology="BENIGN")
    cases.add(MASS_TRAIN, 1, pathology="MALIGNANT?", lesion=2)
    other = cases.add(MASS_TRAIN, 1, view="MLO")
    cases.write_tables(tmp_path)
    for path in (film, other):
        write_file(tmp_path / _place("D", path), dicom_bytes())
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.9)
    assert result.manifest["image_id"].tolist() == ["P_00001_LEFT_MLO"]
    assert [e.path for e in result.exclusions] == [f"{MASS_TRAIN}: row 3", _place("D", film)]


def test_tables_that_differ_in_one_cell_are_ambiguous(tmp_path, ingest):
    cases = Cases()
    for patient in range(1, 1500):
        cases.add(MASS_TRAIN, patient)
    cases.write_tables(tmp_path)
    content = (tmp_path / MASS_TRAIN).read_text(encoding="utf-8")
    place = content.index("P_00400,2,")
    changed = f"{content[:place]}P_00400,3,{content[place + 10 :]}"
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / MASS_TRAIN).write_text(changed, encoding="utf-8")
    with pytest.raises(ArchiveError, match="several files that could be mass_case"):
        ingest("cbis_ddsm", tmp_path)


def test_a_missing_or_ambiguous_table_is_an_error(tmp_path, ingest):
    cases = Cases()
    cases.add(MASS_TRAIN, 1)
    cases.write_tables(tmp_path)
    (tmp_path / CALC_TEST).rename(tmp_path / "other.csv")
    with pytest.raises(ArchiveError, match=f"{CALC_TEST} was not found.*Cancer Imaging Archive"):
        ingest("cbis_ddsm", tmp_path)
    cases.write_tables(tmp_path)
    cases.add(MASS_TRAIN, 2)
    cases.write_tables(tmp_path / "copy")
    with pytest.raises(
        ArchiveError, match=r"several files that could be mass_case.*copy/mass_case"
    ):
        ingest("cbis_ddsm", tmp_path)


def test_the_real_tables_give_the_published_counts(
    tmp_path, shared_data, write_file, dicom_bytes, ingest
):
    content = dicom_bytes()
    rows = Counter()
    for name in TABLES:
        table = shared_data / "metadata" / "cbis-ddsm" / name
        write_file(tmp_path / name, table.read_bytes())
        with table.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                rows[row["image file path"].strip()] += 1
    assert (rows.total(), len(rows)) == (3568, 3103)
    for path in rows:
        write_file(tmp_path / _place("A", path.rpartition("/")[0]), content)
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    manifest = result.manifest
    assert len(manifest) == 3032
    assert manifest["pathology"].value_counts().to_dict() == {"malignant": 1347, "benign": 1685}
    assert manifest["patient_id"].nunique() == 1566
    assert [e.reason for e in result.exclusions] == [
        "duplicate film: the same view is there already"
    ] * 71
    published = load_adapter("cbis_ddsm").published_counts(Options())
    # The masks are not there.
    missing = ["3568 annotations were published and 0 were found"]
    assert differences(counts_of(result), published) == missing
    both = ingest("cbis_ddsm", tmp_path, cbis_ddsm={"duplicate_films": "both"})
    assert len(both.manifest) == 3103
    assert both.exclusions == []
    apart = ingest("cbis_ddsm", tmp_path, cbis_ddsm={"crossing_patients": "exclude"})
    crossing = set(manifest["patient_id"]) - set(apart.manifest["patient_id"])
    assert len(crossing) == 31
    no_density = manifest.loc[manifest["density"].isna(), "patient_id"]
    assert set(no_density) == {"P_01264", "P_01743"}
    assert (manifest.groupby("patient_id")["official_split"].nunique() == 1).all()


def test_policies_for_films_that_papers_treat_differently(
    tmp_path, write_file, dicom_bytes, ingest
):
    cases = Cases()
    films = [
        cases.add(MASS_TRAIN, 1),
        cases.add(CALC_TEST, 1),
        cases.add(MASS_TRAIN, 2, pathology="BENIGN_WITHOUT_CALLBACK"),
        cases.add(MASS_TRAIN, 3, pathology="BENIGN_WITHOUT_CALLBACK"),
    ]
    cases.add(MASS_TRAIN, 3, lesion=2)
    cases.write_tables(tmp_path)
    for film in films:
        write_file(tmp_path / _place("D", film), dicom_bytes())

    def images(**options):
        result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0, cbis_ddsm=options)
        return result.manifest.set_index("image_id")["official_split"].to_dict()

    rest = {"P_00002_LEFT_CC": "train", "P_00003_LEFT_CC": "train"}
    assert images() == {"P_00001_LEFT_CC": "test", **rest}
    assert images(crossing_patients="train") == {"P_00001_LEFT_CC": "train", **rest}
    assert images(crossing_patients="exclude") == rest
    twice = {"P_00001_LEFT_CC": "test", "P_00001_LEFT_CC_2": "test"}
    assert images(duplicate_films="both") == {**twice, **rest}
    assert set(images(without_callback="exclude")) == {"P_00001_LEFT_CC", "P_00003_LEFT_CC"}


def _roi(cases, table, film):
    """Return the crop's and the mask's path of the last row, without the file's name."""
    cells = cases.rows[table][-1].split(",")
    return [cell.strip('"\n').rpartition("/")[0] for cell in cells[-2:]]


@pytest.mark.parametrize("mask_first", [False, True])
def test_the_mask_is_the_file_of_8_bits_whatever_the_order(
    tmp_path, write_file, dicom_bytes, ingest, mask_first
):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1, pathology="MALIGNANT", assessment="5")
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", film), dicom_bytes(rows=20))
    folder, _ = _roi(cases, MASS_TRAIN, film)
    files = [dicom_bytes(rows=9, bits=16), dicom_bytes(rows=20, bits=8)]
    for number, content in enumerate(reversed(files) if mask_first else files, start=1):
        write_file(tmp_path / "CBIS-DDSM" / folder / f"1-{number}.dcm", content)
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    (row,) = result.annotations.to_dict("records")
    assert row["mask_path"] == f"CBIS-DDSM/{folder}/1-{1 if mask_first else 2}.dcm"
    assert (row["image_id"], row["annotation_id"]) == ("P_00001_LEFT_CC", "P_00001_LEFT_CC-r1")
    assert (row["shape"], row["birads"], row["pathology"]) == ("mask", "5", "malignant")
    assert row["source"] == MASS_TRAIN
    assert result.exclusions == []


def test_crop_and_mask_in_two_series_and_several_lesions(tmp_path, write_file, dicom_bytes, ingest):
    cases = Cases()
    film = cases.add(MASS_TRAIN, 1)
    crop, _ = _roi(cases, MASS_TRAIN, film)
    apart = crop.replace(".3", ".5").replace(".4", ".6")
    cases.rows[MASS_TRAIN][-1] = cases.rows[MASS_TRAIN][-1].replace(
        f"{crop}/000001.dcm", f"{apart}/000000.dcm"
    )
    cases.add(MASS_TRAIN, 1, lesion=2)
    second, _ = _roi(cases, MASS_TRAIN, film)
    cases.add(MASS_TRAIN, 1, lesion=3)
    cases.write_tables(tmp_path)
    write_file(tmp_path / _place("D", film), dicom_bytes(rows=20))
    write_file(tmp_path / crop / "1-1.dcm", dicom_bytes(rows=9))
    write_file(tmp_path / apart / "1-1.dcm", dicom_bytes(rows=20, bits=8))
    write_file(tmp_path / second / "1-1.dcm", dicom_bytes(rows=18, bits=8))
    write_file(tmp_path / second / "1-2.dcm", b"broken")
    result = ingest("cbis_ddsm", tmp_path, maximum_lost_share=0.0)
    assert result.annotations["mask_path"].tolist() == [f"{apart}/1-1.dcm", f"{second}/1-1.dcm"]
    assert [(e.path, e.stage) for e in result.exclusions] == [(f"{second}/1-2.dcm", "selection")]


def test_in_copies_of_8_bits_the_mask_is_as_large_as_the_film(tmp_path, ingest):
    cases = Cases()
    film = cases.add(CALC_TEST, 3)
    roi, _ = _roi(cases, CALC_TEST, film)
    cases.write_tables(tmp_path)
    sizes = {(film, 1): (30, 40), (roi, 1): (5, 6), (roi, 2): (30, 40)}
    for (path, number), size in sizes.items():
        target = tmp_path / "jpeg" / path.split("/")[2] / f"{number}-072.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(target)
    (row,) = ingest("cbis_ddsm", tmp_path).annotations.to_dict("records")
    assert row["mask_path"] == f"jpeg/{roi.split('/')[2]}/2-072.jpg"
    assert row["lesion_type"] == "calcification"
