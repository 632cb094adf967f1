from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mammoshift.commands.manifest import manifest
from mammoshift.configuration.dataset import Twin
from mammoshift.contracts.manifest import read_manifest
from mammoshift.errors import ArchiveError, ConfigurationError
from mammoshift.phantoms.twin import write_twin

app = typer.Typer()
app.command()(manifest)


@pytest.fixture(scope="module")
def cmmd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("twins") / "cmmd"
    write_twin("cmmd", Twin(patients=8, seed=3, magnification_of_pitch=24), root)
    return root


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_counts_beside_what_was_published(cmmd: Path, tmp_path: Path) -> None:
    out, counts = tmp_path / "m.parquet", tmp_path / "c.json"
    text = run("cmmd", cmmd, "--out", out, "--json", counts)
    found = json.loads(counts.read_text())
    images = len(read_manifest(out))
    assert found["found"]["images"] == images
    assert found["published"]["images"] == 3744
    assert f"3744 images were published and {images} were found" in text
    assert found["excluded"]["selection"]["no_label"] > 0
    assert "no_label" in text
    assert found["options"] == {"unlabelled": "exclude"}
    assert found["seconds"] >= 0


def test_options_come_from_flags_or_from_a_record(cmmd: Path, tmp_path: Path) -> None:
    counts = tmp_path / "c.json"
    run("cmmd", cmmd, "--set", "unlabelled=normal", "--json", counts)
    by_flag = json.loads(counts.read_text())
    assert by_flag["excluded"] == {}
    datasets = tmp_path / "datasets.yaml"
    datasets.write_text(
        "china: {adapter: cmmd, title: x, licence: x, root: x, cmmd: {unlabelled: normal}}",
        encoding="utf-8",
    )
    run("cmmd", cmmd, "--record", f"{datasets}:china", "--json", counts)
    assert json.loads(counts.read_text())["found"] == by_flag["found"]
    with pytest.raises(ConfigurationError, match="no dataset 'chine'; there are: china"):
        run("cmmd", cmmd, "--record", f"{datasets}:chine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cmd"], "Did you mean 'cmmd'"),
        (
            ["cmmd", "--set", "unlabeled=normal"],
            "no option unlabeled.*first_part_alone, unlabelled",
        ),
        (["cmmd", "--set", "unlabelled=maybe"], "unlabelled: .*'exclude' or 'normal'"),
        (["cmmd", "--set", "unlabelled"], "give a key and a value"),
        (["csv"], "needs the section csv"),
        (["cmmd", "--record", "x"], "joined by a colon"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: list[str], message: str) -> None:
    adapter, *more = arguments
    with pytest.raises(ConfigurationError, match=message):
        run(adapter, tmp_path, *more)


def test_a_folder_without_the_archive_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="clinical workbook"):
        run("cmmd", tmp_path)


def test_a_table_of_ones_own_needs_dotted_options(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,outcome\na.pgm,+\n", encoding="utf-8")
    (tmp_path / "a.pgm").write_bytes(b"P5\n4 4\n255\n" + bytes(16))
    settings = ("table=t.csv", "columns.path=file", "columns.label=outcome")
    flags = [flag for setting in settings for flag in ("--set", setting)]
    text = run("csv", tmp_path, *flags, "--set", 'label_values={"+": malignant}')
    assert "malignant" in text


def test_a_contact_sheet_is_drawn_on_request(cmmd: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    text = run("cmmd", cmmd, "--contact-sheet", sheet)
    assert "16 of 16 images" in text
    assert sheet.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigurationError, match=r"must end in \.jpg or \.png"):
        run("cmmd", cmmd, "--contact-sheet", tmp_path / "sheet.pdf")
