"""What is known of a file: what is stated, what a list says, what its own header says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammoshift.application.facts import Facts, KnownFacts, facts_of_archive, facts_of_table
from mammoshift.configuration.dataset import Dataset, Twin
from mammoshift.errors import TableError
from mammoshift.imaging.header import ImageHeader
from mammoshift.phantoms.twin import write_twin

HEADER = ImageHeader(10, 10, 8, 8, True, laterality="right", view="CC", pixel_spacing_mm=0.1)


def test_what_is_stated_comes_before_the_list_and_the_list_before_the_header(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.dcm"
    assert KnownFacts().of(path, HEADER) == (Facts("right", "CC", 0.1), True)
    listed = KnownFacts(Facts(view="ML"), {path.resolve(): Facts("left", "MLO", None, True)})
    assert listed.of(path, HEADER) == (Facts("left", "ML", None, True), True)
    assert listed.of(tmp_path / "b.dcm", HEADER) == (Facts("right", "ML", 0.1), False)


def test_a_table_is_read_as_csv_and_as_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "path,laterality,view,pixel_spacing_mm,mirrored\na.png,L,lm,0.05,yes\nsub/b.png,,,,\n"
    )
    found = facts_of_table(tmp_path / "t.csv", tmp_path)
    assert found[(tmp_path / "a.png").resolve()] == Facts("left", "LM", 0.05, True)
    assert found[(tmp_path / "sub" / "b.png").resolve()] == Facts()
    table = pd.DataFrame({"path": ["a.png"], "view": ["other"], "mirrored": [True]})
    table.to_parquet(tmp_path / "t.parquet")
    found = facts_of_table(tmp_path / "t.parquet", tmp_path)
    assert found == {(tmp_path / "a.png").resolve(): Facts(view="other", mirrored=True)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,up,,,", "row 1, column laterality: expected left or right"),
        ("a.png,,Doe,,", "row 1, column view: expected CC"),
        ("a.png,,,11,", "row 1, column pixel_spacing_mm: expected a number of mm"),
        ("a.png,,,,perhaps", "row 1, column mirrored: expected true or false"),
        ("a\0.png,,,,", "row 1, column path: is no path"),
    ],
)
def test_a_cell_that_is_not_understood_is_named_and_not_quoted(
    tmp_path: Path, row: str, message: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"path,laterality,view,pixel_spacing_mm,mirrored\n{row}\n")
    with pytest.raises(TableError, match=message) as raised:
        facts_of_table(table, tmp_path)
    assert "Doe" not in str(raised.value)


def test_what_is_no_table_of_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read as CSV or Parquet"):
        facts_of_table(tmp_path / "absent.csv", tmp_path)
    (tmp_path / "t.csv").write_text("file\na.png\n")
    with pytest.raises(TableError, match="there is no column path"):
        facts_of_table(tmp_path / "t.csv", tmp_path)


def test_an_adapter_says_what_a_manifest_would(tmp_path: Path) -> None:
    write_twin("mias", Twin(patients=4, seed=1, magnification_of_pitch=16), tmp_path)
    record = {"adapter": "mias", "title": "Films", "licence": "none", "root": "."}
    found = facts_of_archive("mias", Dataset.model_validate(record), tmp_path)
    films = sorted(tmp_path.rglob("*.pgm"))
    assert set(found) == {film.resolve() for film in films}
    for film in films:
        side = "left" if int(film.stem[3:]) % 2 else "right"
        facts = found[film.resolve()]
        assert (facts.laterality, facts.view, facts.mirrored) == (side, "MLO", True)
        assert facts.pixel_spacing_mm is not None
