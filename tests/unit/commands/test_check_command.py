from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml
from own_folder import write_folder
from typer.testing import CliRunner

from mammoshift.commands.check import check
from mammoshift.commands.init import init
from mammoshift.configuration.load import load_project, read_yaml
from mammoshift.errors import ConfigurationError
from mammoshift.project import SAMPLE
from mammoshift.project.findings import errors_of, everything

REPOSITORY = Path(__file__).resolve().parents[3]
app = typer.Typer()
app.command()(init)
app.command()(check)
CONFIGURATION = "config/clinic/config.yaml"


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a hospital for which files were written; the project is the current folder."""
    folder = write_folder(tmp_path / "clinic", patients=40)
    (tmp_path / "project" / "config").mkdir(parents=True)
    for name in ("config.yaml", "backbones.yaml"):
        shutil.copy(REPOSITORY / "config" / name, tmp_path / "project" / "config")
    monkeypatch.chdir(tmp_path / "project")
    CliRunner().invoke(app, ["init", str(folder)], catch_exceptions=False)
    return folder


def run(*arguments: str, code: int = 0) -> str:
    options = ["--configfile", CONFIGURATION, "--no-time", *arguments]
    result = CliRunner().invoke(app, ["check", *options], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def edit(file: str, change: Callable[[Any], object]) -> None:
    path = Path("config/clinic") / file
    content = read_yaml(path)
    change(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_each_thing_has_a_line(clinic: Path) -> None:
    text = run()
    assert "ok       table clinic:" in text
    assert "80 rows, each understood" in text
    assert "all 80 files are there" in text
    assert "timm has test_resnet" in text
    assert "8 of a sample of 8 are of one value" in text
    assert "80 cases, 40 positive, of 40 patients, 20 of them with a positive" in text
    few = (
        "validation: 3 of 6 patients with a positive case, 3 with a negative; so few that the epoch"
    )
    assert few in text
    assert "unknown: it was not measured" in text
    assert "0 errors and 4 warnings. A run can start." in text
    for line in text.splitlines():
        assert "p17" not in line.replace(str(clinic), "")
        assert "017L" not in line


def test_what_a_reader_has_to_know_is_a_warning(clinic: Path) -> None:
    def two_tasks(study: Any) -> None:
        del study["source"]
        study["domains"] = {
            "own": {"dataset": "clinic", "split": "patient_stratified"},
            "other": {"dataset": "clinic", "task": "abnormal_vs_normal"},
        }
        study["arms"]["efficientnet"]["judged_on"] = ["own"]

    edit("clinic.yaml", two_tasks)
    text = run()
    assert "warning  study clinic: resnet learned malignant_vs_rest on own and is judged by" in text
    assert "compares on other not efficientnet with resnet" in text


def test_what_a_run_would_fail_on(clinic: Path, tmp_path: Path) -> None:
    edit("datasets.yaml", lambda d: d["clinic"]["csv"]["columns"].update(age="years"))
    text = Path("config/backbones.yaml").read_text(encoding="utf-8")
    Path("config/backbones.yaml").write_text(
        text.replace("test_resnet", "test_resnte"), encoding="utf-8"
    )
    edit("clinic.yaml", lambda s: s["arms"].update(other={"backbone": "resnet50"}))
    edit("clinic.yaml", lambda s: s["arms"]["other"].update(initialisation="pretrained"))
    edit("clinic.yaml", lambda s: s["arms"].update(vit={"backbone": "tiny_vit"}))
    edit("clinic.yaml", lambda s: s["input"].update(size=[190, 128]))
    text = run(code=1)
    assert "the header lacks 'years'; it has 'file', 'patient', 'side', 'finding'" in text
    assert "architecture 'test_resnte' is not known to timm; did you mean test_resnet" in text
    assert "weights/resnet50.a1_in1k.safetensors: there is no such file; download timm/" in text
    assert "the input 190 x 128 is not a multiple of 16, which tiny_vit needs" in text
    assert "A run would fail" in text


def test_files_that_are_not_there_or_not_readable(clinic: Path) -> None:
    (clinic / "images" / "000L.png").unlink()
    (clinic / "images" / "000R.png").write_bytes(b"no image")
    text = run()
    assert "files clinic: 1 of 80 files are not there or empty: row 2 of the table\n" in text
    assert re.search(r"warning  images clinic: 1 of a sample of 8: .*\(row 3 of the table\)", text)
    for name in range(8):
        (clinic / "images" / f"{name:03}R.png").unlink()
    said = "9 of 80 files (11.2%) are not there or empty, more than maximum_lost_share: 5.0%"
    assert said in run(code=1)
    shutil.rmtree(clinic)
    assert "there is no such folder; set `archives` in the configuration" in run(code=1)


def test_unreadable_files_of_a_sample_count_as_lost(clinic: Path) -> None:
    for path in (clinic / "images").iterdir():
        if path.name < "030":
            path.write_bytes(b"no image")
    assert "files are known to be unreadable, more than maximum_lost_share" in run(code=1)


def test_a_table_of_one_patient_is_told_from_a_bad_split(clinic: Path) -> None:
    table = clinic / "images.csv"
    text = re.sub(r",p\d+,", ",p17,", table.read_text(encoding="utf-8"))
    table.write_text(text, encoding="utf-8")
    said = run(code=1)
    assert "80 images of 1 patient, as the column of patients says; a patient is never" in said
    assert "larger share" not in said
    assert "p17" not in said.replace(str(clinic), "")


def test_a_patient_for_each_image_is_a_warning(clinic: Path) -> None:
    table = clinic / "images.csv"
    text = re.sub(r",p(\d+),([LR]),", r",p\1\2,\2,", table.read_text(encoding="utf-8"))
    assert "every image has a patient of its own" not in run()
    table.write_text(text, encoding="utf-8")
    assert "warning  domain clinic.clinic: every image has a patient of its own" in run()


def test_a_split_that_cannot_be_made(clinic: Path) -> None:
    edit(
        "clinic.yaml",
        lambda s: s["source"].update(shares={"train": 0.9, "validation": 0.02, "test": 0.08}),
    )
    assert "the subset validation has no positive case" in run(code=1)


def test_patients_that_are_not_known(clinic: Path) -> None:
    edit("datasets.yaml", lambda d: d["clinic"]["csv"]["columns"].pop("patient_id"))
    assert "80 cases without a patient: independence assumed" in run()


def test_patients_that_differ_in_spelling(clinic: Path) -> None:
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8").replace("R.png,p7,", "R.png,P7,")
    table.write_text(text, encoding="utf-8")
    assert "2 of the patients differ from another in capitals" in run()


def test_patients_that_a_split_lists_are_counted_and_not_named(clinic: Path) -> None:
    lines = (clinic / "images.csv").read_text(encoding="utf-8").splitlines()
    parts = ["part", *("test" if row // 4 % 4 == 3 else "train" for row in range(len(lines) - 1))]
    parts[9] = "test"
    rows = [f"{line},{part}" for line, part in zip(lines, parts, strict=True)]
    (clinic / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    columns = {"official_split": "part"}
    edit("datasets.yaml", lambda d: d["clinic"]["csv"]["columns"].update(columns))
    shares = {"train": 0.5, "validation": 0.3, "test": 0.2}
    edit("clinic.yaml", lambda s: s["source"].update(split="official", shares=shares))
    text = run()
    assert "1 patients are in both official parts (crossing: " in text
    assert not [line for line in text.splitlines() if re.search(r"\bp\d+\b", line)]


def two_hospitals(clinic: Path) -> None:
    """Add a second hospital, of which 30 of 40 patients are those of the first, as a target."""
    second = clinic.with_name("second")
    shutil.copytree(clinic, second)
    table = second / "images.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(re.sub(r",p(3\d),", r",q\1,", text), encoding="utf-8")

    def add(datasets: Any) -> None:
        datasets["second"] = {**datasets["clinic"], "root": "second"}

    edit("datasets.yaml", add)
    edit("clinic.yaml", lambda s: s.update(targets=["second"]))


def test_ids_that_two_hospitals_share_are_counted_unless_they_are_declared(clinic: Path) -> None:
    two_hospitals(clinic)
    text = run()
    assert "warning  patients clinic: 30 patient ids are in the tables of both clinic and" in text
    assert "`same_patients_as: [clinic]` in the domain second" in text
    assert "p17" not in text.replace(str(clinic), "")

    def declare(study: Any) -> None:
        split = {"method": "patient_stratified", "shares": study.pop("source")["shares"]}
        study["domains"] = {
            "clinic": {"dataset": "clinic", "split": split},
            "second": {"dataset": "second", "same_patients_as": ["clinic"]},
        }
        del study["targets"]

    edit("clinic.yaml", declare)
    assert "patient ids are in the tables of both" not in run()


def test_a_target_without_a_positive_case_and_an_official_split_without_its_column(
    clinic: Path,
) -> None:
    two_hospitals(clinic)
    table = clinic.with_name("second") / "images.csv"
    text = table.read_text(encoding="utf-8").replace(",cancer", ",normal")
    table.write_text(text, encoding="utf-8")
    edit("clinic.yaml", lambda s: s["source"].update(split="official"))
    said = run(code=1)
    no_auc = "warning  domain clinic.second: has no positive case: no AUC of it can be computed"
    assert no_auc in said
    official = "clinic gives no official split; use the split patient_stratified"
    assert f"error    domain clinic.clinic: {official}" in said


def planned_errors(*names: str) -> list[str]:
    """Return what would stop a run of everything before its first job."""
    settings = {**read_yaml(Path("config/config.yaml")), **read_yaml(Path(CONFIGURATION))}
    project = load_project(settings, Path())
    return errors_of(project, everything(project, names or ("clinic",)), SAMPLE)


def spoil_images(clinic: Path) -> None:
    for path in (clinic / "images").iterdir():
        path.write_bytes(b"no image")


def spoil_shares(_: Path) -> None:
    shares = {"train": 0.9, "validation": 0.02, "test": 0.08}
    edit("clinic.yaml", lambda s: s["source"].update(shares=shares))


def spoil_split(_: Path) -> None:
    edit("clinic.yaml", lambda s: s["source"].update(split="official"))


def spoil_part_of_the_split(clinic: Path) -> None:
    lines = (clinic / "images.csv").read_text(encoding="utf-8").splitlines()
    parts = ["part", *("train" if row > 8 else "" for row in range(1, len(lines)))]
    rows = [f"{line},{part}" for line, part in zip(lines, parts, strict=True)]
    (clinic / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    columns = {"official_split": "part"}
    edit("datasets.yaml", lambda d: d["clinic"]["csv"]["columns"].update(columns))
    spoil_split(clinic)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "there is no such folder"),
        (spoil_images, "8 of a sample of 8: "),
        (spoil_shares, "the subset validation has no positive case"),
        (spoil_split, "clinic gives no official split"),
        (spoil_part_of_the_split, "the archive gives no official split"),
    ],
)
def test_what_check_calls_an_error_stops_a_run(
    clinic: Path, spoil: Callable[[Path], object], said: str
) -> None:
    assert planned_errors() == []
    spoil(clinic)
    printed = run(code=1).splitlines()
    errors = [line.removeprefix("error    ") for line in printed if line.startswith("error")]
    assert any(said in error for error in errors)
    assert planned_errors() == errors
    assert not re.search(r"\bp\d+\b", " ".join(errors))


def test_what_headers_may_mend_is_a_warning(clinic: Path) -> None:
    edit("datasets.yaml", lambda d: d["clinic"]["csv"]["columns"].pop("laterality"))
    spoil_shares(clinic)
    assert "no positive case" in planned_errors()[0]

    def stratify_by_side(study: Any) -> None:
        split = {"method": "patient_stratified", "shares": study.pop("source")["shares"]}
        split["stratify_by"] = ["label", "laterality"]
        study["domains"] = {"clinic": {"dataset": "clinic", "split": split}}

    edit("clinic.yaml", stratify_by_side)
    assert planned_errors() == []
    assert "as far as the table says: headers may say more" in run()


def test_labels_of_marked_lesions_are_left_to_the_run(clinic: Path) -> None:
    edit("clinic.yaml", lambda s: s["source"].update(task="lesion_vs_rest"))
    assert planned_errors() == []


def test_too_little_disk_is_a_warning_since_a_part_may_be_there(
    clinic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert "free; enough only if most of it is there already" in run()


def test_results_where_nobody_may_write(clinic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode, **options: mode != os.W_OK)
    assert "error    disk: " in run(code=1)
    assert "you may not write here; set `pathvars: results`" in run(code=1)
    assert "you may not write here" in planned_errors()[0]


def test_a_file_or_a_study_that_is_not_there(clinic: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"config/no\.yaml: there is no such file"):
        run("--configfile", "config/no.yaml")
    with pytest.raises(ConfigurationError, match=r"there is no study 'x' in .* it has: clinic"):
        run("x")
    with pytest.raises(ConfigurationError, match="run this in the project's folder"):
        run("--folder", str(clinic))
    edit("config.yaml", lambda s: s.update(archives="/nowhere"))
    assert "80 rows, each understood" in run("--config", f"archives={clinic.parent}")
