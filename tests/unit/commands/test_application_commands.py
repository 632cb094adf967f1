"""predict, explain and export on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mammoshift.commands.main import app
from mammoshift.errors import ConfigurationError, MammoshiftError
from models_on_disk import write_images, write_toy, write_toy_card


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a card."""
    folder = write_toy(tmp_path_factory.mktemp("model"))
    write_toy_card(folder)
    return folder


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_predict_prints_a_table_and_writes_both_forms(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write_images(folder, 3)
    rows, table = tmp_path / "out.json", tmp_path / "out.csv"
    done = run("predict", model, folder, "--json", rows, "--out", table, "--laterality", "L")
    found = json.loads(rows.read_text())
    assert [row["file"] for row in found] == [str(folder / f"00{n}.png") for n in range(3)]
    assert list(found[0]) == ["file", "logit", "probability", "called", "note"]
    assert {type(row["called"]) for row in found} == {bool}
    assert all(row["note"] == "" for row in found)
    with table.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [float(row["logit"]) for row in written] == [row["logit"] for row in found]
    assert "toy, seed 0: malignant against rest" in done.output
    assert "chosen on 20 images (8 positive) of the validation of film" in done.output


def test_a_file_that_cannot_be_used_is_in_the_exit_code(model: Path, tmp_path: Path) -> None:
    (good,) = write_images(tmp_path, 1)
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"nothing")
    done = run("predict", model, good, bad, tmp_path / "absent.png", code=3)
    assert "2 of 3 files could not be scored" in done.output
    assert "the file does not exist" in done.output
    assert run("explain", model, good, bad, "--out", tmp_path / "out", code=3)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"000.png", "pictures.csv"}


def test_the_record_of_a_dataset_gives_its_tone_and_its_adapter_the_sides(
    model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "films"
    write_images(folder, 2)
    (folder / "t.csv").write_text("file,outcome,side\n000.png,no,left\n001.png,yes,right\n")
    datasets = tmp_path / "datasets.yaml"
    datasets.write_text(
        "ours: {adapter: csv, title: x, licence: x, root: x, tone: percentile, csv: {table: t.csv, "
        "columns: {path: file, label: outcome, laterality: side}, "
        "label_values: {'no': normal, 'yes': malignant}}}"
    )
    rows = tmp_path / "out.json"

    def logits(*options: object) -> list[float]:
        run("predict", model, folder, "--json", rows, *options)
        return [row["logit"] for row in json.loads(rows.read_text())]

    record = f"{datasets}:ours"
    assert logits() != pytest.approx(logits("--dataset", record), abs=1e-6)
    logits("--dataset", record, "--root", folder)
    assert all(row["note"] == "" for row in json.loads(rows.read_text()))
    with pytest.raises(ConfigurationError, match="no dataset 'theirs'; there are: ours"):
        run("predict", model, folder, "--dataset", f"{datasets}:theirs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--laterality", "up"], "--laterality up: expected left or right"),
        (["--view", "up"], "--view up: expected CC, MLO"),
        (["--pixel-spacing-mm", "0"], "--pixel-spacing-mm 0: expected mm above 0"),
        (["--root", "."], "--root belongs to --dataset or --facts"),
        (["--dataset", "file"], "give a file and a name, joined by a colon"),
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--operating-point", "best"], "there is: specificity_0.95, youden"),
        (["--json", "/proc/none/x.json"], "cannot be written"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    model: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    (image,) = write_images(tmp_path, 1)
    with pytest.raises(MammoshiftError, match=message):
        run("predict", model, image, *options)


def test_export_wants_one_model(model: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_toy(tmp_path / f"seed-{seed}" / "fold-0", seed=seed)
    with pytest.raises(ConfigurationError, match=r"holds 2 models; name the folder of one run"):
        run("export", tmp_path, "--onnx", tmp_path / "m.onnx")
