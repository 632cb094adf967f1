from __future__ import annotations

import re
import shutil
from pathlib import Path

import openpyxl
import pytest
import typer
import yaml
from own_folder import HEADER, write_folder
from typer.testing import CliRunner

from mammoshift.commands.init import init
from mammoshift.configuration.load import load_project
from mammoshift.errors import ArchiveError, ConfigurationError

REPOSITORY = Path(__file__).resolve().parents[3]
app = typer.Typer()
app.command()(init)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the project's own, to which files are written."""
    project = tmp_path / "project"
    (project / "config").mkdir(parents=True)
    shutil.copy(REPOSITORY / "config" / "backbones.yaml", project / "config")
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "St. Anna")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rewrite(clinic: Path, column: str, *values: str) -> None:
    """Replace the last column of the table by values that are repeated."""
    lines = (clinic / "images.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.rsplit(",", 1)[0] for line in lines]
    cells = [f"{row},{values[number % len(values)]}" for number, row in enumerate(rows)]
    header = HEADER.replace("finding", column)
    (clinic / "images.csv").write_text("\n".join([header, *cells]) + "\n", encoding="utf-8")


def test_what_is_written_is_a_project(here: Path, clinic: Path) -> None:
    text = run(clinic)
    assert "40 images; images.csv has 40 rows, of which 40 name an image that is there" in text
    assert "20 malignant, 20 normal" in text
    assert "20 patients" in text
    assert "snakemake --configfile config/st_anna/config.yaml" in text
    settings = yaml.safe_load((here / "config/st_anna/config.yaml").read_text(encoding="utf-8"))
    project = load_project(settings, here)
    record = project.datasets["st_anna"]
    assert record.options.model_dump(exclude_none=True) == {
        "table": "images.csv",
        "columns": {
            "path": "file",
            "label": "finding",
            "patient_id": "patient",
            "laterality": "side",
        },
        "label_values": {"normal": "normal", "cancer": "malignant"},
    }
    assert project.archive_root("st_anna", Path()).samefile(clinic)
    assert set(project.studies["st_anna"].arms) == {"resnet", "efficientnet"}


def test_nothing_is_overwritten_unless_it_is_said(here: Path, clinic: Path) -> None:
    run(clinic)
    study = here / "config/st_anna/st_anna.yaml"
    study.write_text("edited", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"st_anna\.yaml: already there; nothing was"):
        run(clinic)
    assert study.read_text(encoding="utf-8") == "edited"
    run(clinic, "--force")
    assert study.read_text(encoding="utf-8") != "edited"


def test_options_are_taken(here: Path, clinic: Path) -> None:
    rewrite(clinic, "birads", "1", "2", "4", "5", "6")
    message = r"no column is recognised as the label; name it with --label"
    with pytest.raises(ArchiveError, match=message):
        run(clinic)
    with pytest.raises(ArchiveError, match=r"'1' \(8\), .*'6' \(8\); say which of them mean"):
        run(clinic, "--label", "birads")
    options = ("--label", "birads", "--positive", "5", "--positive", "6", "--patient", "side")
    text = run(clinic, *options, "--name", "anna", "--out", here / "own")
    assert "16 malignant, 24 normal" in text
    assert "2 patients" in text
    record = yaml.safe_load((here / "own/datasets.yaml").read_text(encoding="utf-8"))["anna"]
    assert record["csv"]["label_values"] == {
        "1": "normal", "2": "normal", "4": "normal", "5": "malignant", "6": "malignant",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"--label x: images\.csv has no such column"):
        run(clinic, "--label", "x")
    with pytest.raises(ArchiveError, match="--positive 7: column 'birads' has no such value"):
        run(clinic, "--label", "birads", "--positive", "7")
    with pytest.raises(ConfigurationError, match=r"--name St Anna: .* as in st_anna"):
        run(clinic, *options[:4], "--name", "St Anna")


def test_a_missing_patient_is_said(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("patient", "x"), encoding="utf-8")
    assert "independence assumed); name one with --patient" in run(clinic)
    table.write_text(table.read_text(encoding="utf-8").replace("p3,", ","), encoding="utf-8")
    assert "2 rows without: independence assumed" in run(clinic, "--patient", "x", "--force")


def test_patients_that_differ_in_spelling_are_said(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("R.png,p3,", "R.png,P3,"), encoding="utf-8")
    said = run(clinic)
    assert "21 patients" in said
    assert "2 of the patients differ from another in capitals, blanks or leading zeros" in said


def test_columns_without_a_meaning_are_listed(here: Path, clinic: Path) -> None:
    rewrite(clinic, "Befund", "bösartig", "unauffällig")
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8").replace("patient,side", "Kennung,Lage")
    table.write_text(text, encoding="utf-8")
    said = run(clinic, "--label", "Befund", "--positive", "bösartig")
    assert "unused   'Kennung', 'Lage'" in said
    assert "unused" not in run(
        clinic, "--label", "Befund", "--positive", "bösartig", "--force",
        "--patient", "Kennung", "--table", "images.csv",
    ).replace("unused   'Lage'", "")  # fmt: skip


def test_images_without_a_row_are_counted(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(lines[:21]) + "\n", encoding="utf-8")
    assert "20 images have no row and are left out" in run(clinic)


def test_a_name_keeps_its_letters_without_accents(here: Path, tmp_path: Path) -> None:
    run(write_folder(tmp_path / "Klinikum Köln Süd", patients=4))
    assert (here / "config" / "klinikum_koln_sud" / "config.yaml").is_file()


def test_a_decimal_comma_is_named(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    lines = table.read_text(encoding="utf-8").replace(",", ";").splitlines()
    cells = ["pixel_spacing", *["0,085"] * (len(lines) - 1)]
    rows = [f"{line};{cell}" for line, cell in zip(lines, cells, strict=True)]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert "or empty; write a decimal point, not a comma" in run(clinic)


def test_accents_in_two_forms_are_named(here: Path, clinic: Path) -> None:
    for path in list((clinic / "images").iterdir()):
        path.rename(path.with_name(f"M\u00fc{path.name}"))
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8").replace("images/", "images/Mu\u0308")
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ArchiveError, match="accents in another Unicode form"):
        run(clinic)


def test_a_table_of_a_kind_that_is_not_read_is_named(here: Path, clinic: Path) -> None:
    (clinic / "images.csv").rename(clinic / "Liste.xls")
    with pytest.raises(ArchiveError, match=r"no table .* but Liste\.xls; .* save another kind as"):
        run(clinic)


def test_a_title_above_the_header_of_a_workbook(here: Path, clinic: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["Klinikum 2024"])
    for line in (clinic / "images.csv").read_text(encoding="utf-8").splitlines():
        workbook.active.append(line.split(","))
    workbook.save(clinic / "Liste.xlsx")
    (clinic / "images.csv").unlink()
    with pytest.raises(ArchiveError, match="its first row must hold the names of all columns"):
        run(clinic)


def test_a_variable_that_is_not_set(here: Path, clinic: Path) -> None:
    (here / "Snakefile").touch()
    with pytest.raises(ArchiveError, match=r"this project's own folder; .* \$CLINIC may not be"):
        run("")
    for number in range(7):
        (clinic / f"{number}.csv").write_text("a,b\nx,y\n", encoding="utf-8")
    (clinic / "images.csv").unlink()
    with pytest.raises(ArchiveError, match=r"no column of 0.csv, .*, 4.csv and 2 more names one"):
        run(clinic)


def test_a_column_whose_cells_do_not_fit_is_left_out(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8").replace("side", "age")
    table.write_text(text, encoding="utf-8")
    said = run(clinic)
    assert "column 'age' is not used: row 2 is not whole years from 0 to 120 or empty" in said
    assert "age: age" not in (here / "config/st_anna/datasets.yaml").read_text(encoding="utf-8")


def test_a_patient_column_of_one_value_is_refused(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    text = re.sub(r",p\d+,", ",p1,", table.read_text(encoding="utf-8"))
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"40 images of 1 patient.* 'patient' the right column"):
        run(clinic)
    assert not (here / "config" / "st_anna").exists()


def test_a_patient_column_of_one_value_for_each_image_is_noted(here: Path, clinic: Path) -> None:
    assert "every image has a patient of its own" not in run(clinic)
    table = clinic / "images.csv"
    text = re.sub(r",p(\d+),([LR]),", r",p\1\2,\2,", table.read_text(encoding="utf-8"))
    table.write_text(text, encoding="utf-8")
    assert "note     every image has a patient of its own" in run(clinic, "--force")


def test_sheets_that_are_not_read_are_named(here: Path, clinic: Path) -> None:
    workbook = openpyxl.Workbook()
    info = workbook.active
    info.title = "Info"
    info.append(["Titel", "Stand"])
    info.append(["Klinikum", "2024"])
    data = workbook.create_sheet("Daten")
    for line in (clinic / "images.csv").read_text(encoding="utf-8").splitlines():
        data.append(line.split(","))
    workbook.save(clinic / "cases.xlsx")
    (clinic / "images.csv").unlink()
    with pytest.raises(ArchiveError, match="first sheet is read, 'Info', and not 'Daten'"):
        run(clinic)
    workbook.move_sheet("Daten", -1)
    workbook.save(clinic / "cases.xlsx")
    assert "the first sheet is read, 'Daten', and not 'Info'" in run(clinic)


def test_the_german_names_of_density(here: Path, clinic: Path) -> None:
    table = clinic / "images.csv"
    text = table.read_text(encoding="utf-8")
    for name in ("Gewebedichte", "Dichte", "Brustdichte", "ACR"):
        changed = text.replace(HEADER, HEADER.replace("side", name))
        table.write_text(re.sub(",[LR],", ",B,", changed), encoding="utf-8")
        assert f"density '{name}'" in run(clinic, "--force")


def test_a_workbook_beside_its_images(here: Path, clinic: Path) -> None:
    workbook = openpyxl.Workbook()
    for line in (clinic / "images.csv").read_text(encoding="utf-8").splitlines():
        workbook.active.append(line.replace("images/", "").split(","))
    workbook.save(clinic / "images" / "liste.xlsx")
    (clinic / "images.csv").unlink()
    run(clinic)
    record = yaml.safe_load((here / "config/st_anna/datasets.yaml").read_text(encoding="utf-8"))
    assert record["st_anna"]["csv"]["table"] == "liste.xlsx"
    assert record["st_anna"]["root"] == "images"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("normal",), "all of one class"),
        (("cancer", ""), "20 of 40 rows have no label; .* --empty normal"),
        (tuple(f"n{i}" for i in range(20)), "20 different values, so it is no label"),
        (("suspicious", "normal"), "'normal' .20., 'suspicious' .20.; say which"),
        (("cancer", "normal", "cancer", "normal", "cancre"), "is 'cancre' a misspelling of 'can"),
    ],
)
def test_labels_that_are_not_understood(
    here: Path, clinic: Path, values: tuple[str, ...], message: str
) -> None:
    rewrite(clinic, "finding", *values)
    with pytest.raises(ArchiveError, match=message):
        run(clinic)
    assert not (here / "config" / "st_anna").exists()


@pytest.mark.parametrize(
    ("header", "left", "right", "malignant", "other", "known"),
    [
        ("Datei;Patienten-ID;Seite;Befund;BI-RADS-Kategorie;Brustdichte;Projektion;Alter",
         "links", "rechts", "b\u00f6sartig", "gutartig", "benign"),
        ("Fichier;N\u00b0 patiente;C\u00f4t\u00e9;Diagnostic;Cat\u00e9gorie BI-RADS;Densit\u00e9;"
         "Incidence;\u00c2ge", "G", "D", "malin", "b\u00e9nin", "benign"),
        ("Archivo;ID paciente;Lado;Diagn\u00f3stico;Categor\u00eda BI-RADS;Densidad mamaria;"
         "Proyecci\u00f3n;Edad", "izquierda", "derecha", "Maligno", "Sin hallazgos", "normal"),
        ("Bestand;Pati\u00ebntnummer;Zijde;Uitslag;BIRADS-categorie;Borstdichtheid;Aanzicht;"
         "Leeftijd",
         "links", "rechts", "kwaadaardig", "goedaardig", "benign"),
    ],
)  # fmt: skip
def test_a_table_in_another_language(
    here: Path, clinic: Path, header: str, left: str, right: str, malignant: str, other: str,
    known: str,
) -> None:  # fmt: skip
    lines = (clinic / "images.csv").read_text(encoding="utf-8").splitlines()[1:]
    sides, findings = {"L": left, "R": right}, {"cancer": malignant, "normal": other}
    rows = [header]
    for line in lines:
        file, patient, side, finding = line.split(",")
        rows.append(f"{file};{patient};{sides[side]};{findings[finding]};2;C;CC;51")
    (clinic / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    text = run(clinic)
    assert "unused" not in text
    assert f"'{malignant}' (20) is malignant" in text
    assert f"'{other}' (20) is {known}" in text
    columns = dict(zip(
        ("path", "patient_id", "laterality", "label", "birads", "density", "view", "age"),
        header.split(";"), strict=True,
    ))  # fmt: skip
    record = yaml.safe_load((here / "config/st_anna/datasets.yaml").read_text("utf-8"))
    assert record["st_anna"]["csv"]["columns"] == columns


def test_an_empty_label_may_mean_something(here: Path, clinic: Path) -> None:
    rewrite(clinic, "finding", "cancer", "")
    assert "20 malignant, 20 normal" in run(clinic, "--empty", "normal")


def test_each_value_of_the_label_is_said_with_what_it_was_taken_for(
    here: Path, clinic: Path
) -> None:
    rewrite(clinic, "befund", "Karzinom", "gutartig", "o.B.", "unklar")
    with pytest.raises(ArchiveError, match=r"'unklar' \(10\); say which of them mean cancer"):
        run(clinic, "--label", "befund")
    text = run(clinic, "--label", "befund", "--positive", "Karzinom")
    said = [line.strip() for line in text.splitlines() if line.startswith(" " * 11)]
    assert said == [
        "'Karzinom' (10) is malignant",
        "'gutartig' (10) is benign",
        "'o.B.' (10) is normal",
        "'unklar' (10) is normal",
    ]
    options = ("--label", "befund", "--positive", "Karzinom", "--benign", "unklar", "--force")
    assert "'unklar' (10) is benign" in run(clinic, *options)
    rewrite(clinic, "befund", "bo\u0308sartig", "gutartig")
    assert "20 benign, 20 malignant" in run(clinic, "--label", "befund", "--force")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("karzinom", r"'karzinom' \(10\) differs from 'Karzinom' in capitals or blanks only"),
        ("Kar zinom", r"'Kar zinom' \(10\) differs from 'Karzinom' in capitals"),
        ("Carcinom", r"'Carcinom' \(10\) means cancer by itself; .*--positive 'Carcinom' or"),
        ("Karzinmo", r"'Karzinmo' \(10\) looks like a misspelling of 'karzinom'; say"),
    ],
)
def test_a_misspelt_cancer_does_not_become_normal(
    here: Path, clinic: Path, other: str, message: str
) -> None:
    rewrite(clinic, "befund", "Karzinom", other, "o.B.", "o.B.")
    options = ("--label", "befund", "--positive", "Karzinom")
    with pytest.raises(ArchiveError, match=message):
        run(clinic, *options)
    assert "20 malignant, 20 normal" in run(clinic, *options, "--positive", other)


def test_odd_folders(here: Path, tmp_path: Path, clinic: Path) -> None:
    with pytest.raises(ArchiveError, match=f"there is no such folder; {tmp_path} is there"):
        run(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ArchiveError, match="there is no image; images are DICOM"):
        run(empty)
    (empty / "a").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 16)
    with pytest.raises(ArchiveError, match=r"1 DICOM files and no table .* columns file, label"):
        run(empty)
    shutil.copy(clinic / "images.csv", clinic / "second.csv")
    with pytest.raises(ArchiveError, match=r"images\.csv, second\.csv; choose one with --table"):
        run(clinic)
    assert "images.csv has 40 rows" in run(clinic, "--table", "images.csv")
    (clinic / "second.csv").write_text("file,finding\nnobody.png,x\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"no column of second\.csv names one of the 40 images"):
        run(clinic, "--table", "second.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("images/", "", "names images, but not where they lie"),
        (".png", "", "names images without their suffix"),
        ("p2,R", "p2,R,x", "row 7 has 5 cells and the header 4"),
        ("images/000L", "images/000R", "a value of its own"),
        ("images/", "Images/", "in other capitals than the files have"),
        (HEADER, HEADER.replace(",", ";"), "divided by semicolons and row 2 by commas; write one"),
        ("\nimages/003L.png,p3,L,", "\nimages/003L.png;p3;L;", "commas and row 8 by semicolons"),
    ],
)
def test_tables_that_do_not_fit(here: Path, clinic: Path, old: str, new: str, message: str) -> None:
    table = clinic / "images.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ArchiveError, match=message) as raised:
        run(clinic)
    assert "p2," not in str(raised.value)


def test_it_runs_in_the_folder_of_the_project_alone(
    tmp_path: Path, clinic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="run this in the project's folder"):
        run(clinic)
