"""Counts of what was found, beside what was published."""

from __future__ import annotations

import pytest

from mammoshift.archives.counts import Counts, counts_of, differences, warnings
from mammoshift.archives.registry import adapter_names, load_adapter

ROWS = "mdb001 G CIRC M 1 2 1\nmdb002 G NORM\nmdb003 F NORM\n"


@pytest.fixture
def found(tmp_path, write_file, ingest):
    write_file(tmp_path / "Info.txt", ROWS)
    for number in (1, 2, 3):
        write_file(tmp_path / f"mdb{number:03d}.pgm", b"P5\n4 4\n255\n" + bytes(16))
    return counts_of(ingest("mias", tmp_path))


def test_images_are_counted_by_what_is_known(found):
    assert (found.images, found.patients, found.annotations) == (3, 2, 1)
    assert found.by["pathology"] == {"malignant": 1, "normal": 2}
    assert found.by["density"] == {"f": 1, "g": 2}
    assert "site" not in found.by


def test_each_difference_is_a_sentence(found):
    published = Counts(3, patients=5, by={"pathology": {"normal": 2, "benign": 4}})
    assert differences(found, published) == [
        "5 patients were published and 2 were found",
        "4 images with pathology benign were published and 0 were found",
    ]
    assert differences(found, Counts(3)) == []


@pytest.mark.parametrize("name", [n for n in adapter_names() if n not in {"csv", "mexbreast"}])
def test_published_counts_add_up(name):
    adapter = load_adapter(name)
    published = adapter.published_counts(adapter.options())
    assert published is not None
    for column in {"view", "laterality", "birads"} & published.by.keys():
        assert sum(published.by[column].values()) == published.images


def test_burned_in_text_is_counted_and_warned_of_but_never_quoted(
    tmp_path, write_file, ingest, dicom_bytes
):
    tags = ({"BurnedInAnnotation": "YES"}, {"BurnedInAnnotation": "NO"}, {}, {})
    for number, tag in enumerate(tags):
        content = dicom_bytes(**tag, SOPInstanceUID=f"2.25.{number + 1}", ImageComments="Doe Jane")
        write_file(tmp_path / f"{number}.dcm", content)
    write_file(tmp_path / "images.csv", "file,label\n" + "".join(f"{n}.dcm,b\n" for n in range(4)))
    result = ingest(
        "csv",
        tmp_path,
        csv={
            "table": "images.csv",
            "columns": {"path": "file", "label": "label"},
            "label_values": {"b": "benign"},
        },
    )
    assert counts_of(result).by["burned-in text"] == {"no": 1, "yes": 1, "unknown": 2}
    (sentence,) = warnings(result)
    assert sentence.startswith("1 of 4 images declare text in their pixels")
    assert "Doe" not in repr((sentence, counts_of(result)))


def test_raw_data_of_a_detector_are_counted_and_warned_of(
    tmp_path, write_file, ingest, dicom_bytes
):
    intents = ("FOR PROCESSING", "FOR PRESENTATION", "FOR PROCESSING", None)
    for number, intent in enumerate(intents):
        tags = {"PresentationIntentType": intent} if intent else {}
        content = dicom_bytes(**tags, SOPInstanceUID=f"2.25.{number + 1}")
        write_file(tmp_path / f"{number}.dcm", content)
    write_file(tmp_path / "images.csv", "file,label\n" + "".join(f"{n}.dcm,b\n" for n in range(4)))
    own = {
        "table": "images.csv",
        "columns": {"path": "file", "label": "label"},
        "label_values": {"b": "benign"},
    }
    result = ingest("csv", tmp_path, csv=own)
    assert counts_of(result).by["presentation intent"] == {
        "for processing": 2,
        "for presentation": 1,
        "unknown": 1,
    }
    (sentence,) = warnings(result)
    assert sentence.startswith("2 of 4 images are a detector's raw data (FOR PROCESSING")


def test_archives_that_declare_nothing_have_no_count_of_it(found):
    assert not {"burned-in text", "presentation intent"} & found.by.keys()
