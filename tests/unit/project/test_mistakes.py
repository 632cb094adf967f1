"""Mistakes of a first hour: each is named, with what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.errors import ArchiveError, ConfigurationError
from mammoshift.project.folder import described, look_at, read_table

CONFIG = Path(__file__).resolve().parents[3] / "config"


def test_a_table_in_the_place_of_its_folder(tmp_path: Path) -> None:
    table = tmp_path / "images.csv"
    table.write_text("file,label\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"images\.csv: is a file; give the folder .* --table"):
        look_at(table)


def test_a_table_without_a_header_is_said_to_be_one_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"\x89PNG")
    (tmp_path / "two.png").write_bytes(b"\x89PNG")
    table = tmp_path / "images.csv"
    table.write_text("one.png,SECRET,cancer\ntwo.png,p2,normal\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match="first row names an image and no columns") as error:
        described(look_at(tmp_path), None, None)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_table_in_two_bytes_for_each_character(tmp_path: Path, encoding: str) -> None:
    table = tmp_path / "images.csv"
    text = "file,label\na.png,cancer\n"
    table.write_bytes(("" if encoding == "utf-16" else "\ufeff" + text).encode(encoding))
    if encoding == "utf-16":
        table.write_text(text, encoding=encoding)
    with pytest.raises(ArchiveError, match=r"is text in UTF-16.*export it as 'CSV UTF-8'"):
        read_table(table, "images.csv")
    table.write_text(text, encoding="utf-8-sig")
    assert read_table(table, "images.csv").columns == ("file", "label")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("studies/cross_sensor.yaml", "a study"),
        ("datasets/twins.yaml", "datasets"),
        ("backbones.yaml", "backbones"),
    ],
)
def test_another_file_in_the_place_of_the_configuration(file: str, kind: str) -> None:
    given = read_yaml(CONFIG / "config.yaml") | read_yaml(CONFIG / file)
    with pytest.raises(ConfigurationError, match=f"holds the keys of {kind}") as error:
        load_project(given, CONFIG.parent)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: one\nseeds:\n\t- 0\n", "line 3, column 1.*there is a tab: indent with spaces"),
        ("title: A study: film\n", "line 1, column 15.*needs quotes around it"),
    ],
)
def test_yaml_that_is_none_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said) as error:
        read_yaml(path)
    assert "unicode string" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_one_value_in_the_place_of_a_list(tmp_path: Path) -> None:
    study = read_yaml(CONFIG / "studies" / "cross_sensor_miniature.yaml")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(study | {"seeds": 3}), encoding="utf-8")
    settings = read_yaml(CONFIG / "demo.yaml") | {"studies": [str(tmp_path / "small.yaml")]}
    with pytest.raises(ConfigurationError, match=r"seeds: 3: should be a list, as in \[3\]"):
        load_project(settings, CONFIG.parent)
