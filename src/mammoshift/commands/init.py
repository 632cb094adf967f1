"""`mammoshift init`: from a folder of images and a table to files that run as they are."""

from __future__ import annotations

import re
import shlex
import sys
import unicodedata
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.errors import ArchiveError, ConfigurationError

if TYPE_CHECKING:
    from mammoshift.project.columns import Guess
    from mammoshift.project.files import OwnProject
    from mammoshift.project.folder import Described, Table

CONFIGURATION = Path("config")
LONGEST_NAME = 40


class EmptyCell(StrEnum):
    """What an empty cell of the label column may mean."""

    NORMAL = "normal"
    BENIGN = "benign"
    MALIGNANT = "malignant"


def init(
    folder: Annotated[Path, typer.Argument(help="A folder with images and a table of them.")],
    table: Annotated[
        str | None, typer.Option(help="The table, relative to the folder: .csv, .tsv, .txt, .xlsx.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Column with the path of each image.")] = None,
    label: Annotated[str | None, typer.Option(help="Column that says what is on it.")] = None,
    positive: Annotated[
        list[str] | None,
        typer.Option(help="Value of the label that means cancer; may be given several times."),
    ] = None,
    benign: Annotated[
        list[str] | None,
        typer.Option(help="Value of the label that means a benign finding; as --positive."),
    ] = None,
    empty: Annotated[
        EmptyCell | None, typer.Option(help="What an empty cell of the label column means.")
    ] = None,
    patient: Annotated[str | None, typer.Option(help="Column that tells patients apart.")] = None,
    name: Annotated[str | None, typer.Option(help="What the dataset shall be called.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the files; default: config/NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of that name.")] = False,
) -> None:
    """Look at a folder of images and write the dataset, study and configuration files for it."""
    from mammoshift.project.columns import guess_columns
    from mammoshift.project.files import OwnProject, write_project
    from mammoshift.project.folder import described, look_at
    from mammoshift.project.labels import label_values

    if not (CONFIGURATION / "backbones.yaml").is_file():
        raise ConfigurationError(
            "config/backbones.yaml: there is no such file; run this in the project's folder, the "
            "one with the Snakefile"
        )
    contents = look_at(folder)
    found = described(contents, table, image)
    taken = {"path": found.image}
    for meaning, option, column in (
        ("label", "--label", label),
        ("patient_id", "--patient", patient),
    ):
        if column is not None:
            taken[meaning] = _existing(found, option, column)
    guess = guess_columns(found.table, taken)
    columns = dict(guess.columns)
    if "label" not in columns:
        columns["label"] = _label_column(found.table, set(columns.values()))
    chosen = _name(name or folder.resolve().name, given=name is not None)
    values = label_values(
        found.table.cells(columns["label"]),
        tuple(positive or ()),
        columns["label"],
        None if empty is None else empty.value,
        tuple(benign or ()),
    )
    _check_patients(found.table, columns.get("patient_id"))
    project = OwnProject(chosen, found, columns, values, out or CONFIGURATION / chosen)
    _check_rows(project)
    write_project(project, force)
    _say(project, guess, len(contents.images))


def _existing(found: Described, option: str, column: str) -> str:
    if column not in found.table.columns:
        raise ConfigurationError(
            f"{option} {column}: {found.table.path} has no such column; it has "
            f"{', '.join(found.table.columns)}"
        )
    return column


def _label_column(table: Table, taken: set[str]) -> str:
    """Return the label column that a person chooses; an error where nobody can be asked."""
    rest = [column for column in table.columns if column not in taken]
    if not rest or not sys.stdin.isatty():
        one = "; its first row must hold the names of all columns" if not rest else ""
        raise ArchiveError(
            f"{table.path}: no column is recognised as the label; name it with --label. The table "
            f"has {', '.join(map(repr, table.columns))}{one}"
        )
    typer.echo("Which column says whether there is cancer?")
    for number, column in enumerate(rest, 1):
        typer.echo(f"  {number}  {column}")
    answer = typer.prompt("Number", type=int)
    if not 1 <= answer <= len(rest):
        raise ArchiveError(f"{answer}: a number from 1 to {len(rest)} was asked for")
    return rest[answer - 1]


def _name(text: str, *, given: bool) -> str:
    """Return a name of YAML for a dataset: one that is given must be one already."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = re.sub(r"[^a-z0-9]+", "_", bare).strip("_")[:LONGEST_NAME]
    if given and plain != text:
        raise ConfigurationError(
            f"--name {text}: use lower-case letters, digits and underscores, as in "
            f"{plain or 'clinic'}"
        )
    return plain if plain[:1].isalpha() else f"own_{plain}".rstrip("_")


def _check_patients(table: Table, column: str | None) -> None:
    """Refuse a column of patients that says that there is one."""
    from mammoshift.project.columns import ONE_PATIENT

    if column is None or len(table.rows) < 2 or len(set(table.cells(column))) > 1:
        return
    raise ArchiveError(
        f"{table.path}: {ONE_PATIENT.format(images=len(table.rows))}; is {column!r} the right "
        "column? Name it with --patient"
    )


def _check_rows(project: OwnProject) -> None:
    """Let the adapter read every row, so that what is written runs as it is."""
    from mammoshift.archives.adapters.csv import Options, read_entries
    from mammoshift.archives.archive import Archive

    options = Options.model_validate(project.dataset["csv"])
    archive = Archive(project.name, project.described.root, "", links_may_leave=False)
    for _ in read_entries(archive, options):
        pass


def _say(project: OwnProject, guess: Guess, images: int) -> None:
    from mammoshift.project.columns import EACH_ITS_OWN, nearly_equal, unused_columns
    from mammoshift.project.labels import quoted
    from mammoshift.project.unmatched import sheets_of

    found, columns = project.described, project.columns
    rows = found.table.rows
    rest = images - found.present
    without = f" {rest} images have no row and are left out." if rest else ""
    typer.echo(
        f"{found.root}: {images} images; {found.table.path} has {len(rows)} rows, of which "
        f"{found.present} name an image that is there.{without}"
    )
    if sheets := sheets_of(found.root / found.table.path):
        typer.echo(f"  note     {sheets}")
    labels = Counter(project.label_values[row.cells[columns["label"]]] for row in rows)
    counted = ", ".join(f"{labels[word]} {word}" for word in sorted(labels))
    typer.echo(f"  label    column {columns['label']!r}: {counted}")
    for value, count in sorted(Counter(row.cells[columns["label"]] for row in rows).items()):
        typer.echo(f"           {quoted(value)} ({count}) is {project.label_values[value]}")
    if "patient_id" in columns:
        known = {row.cells[columns["patient_id"]] for row in rows} - {""}
        unknown = sum(not row.cells[columns["patient_id"]] for row in rows)
        patients = "1 patient" if len(known) == 1 else f"{len(known)} patients"
        missing = f"; {unknown} rows without: independence assumed" if unknown else ""
        typer.echo(f"  patient  column {columns['patient_id']!r}: {patients}{missing}")
        if not unknown and 1 < len(known) == len(rows):
            typer.echo(f"  note     {EACH_ITS_OWN}")
        if alike := nearly_equal(known):
            typer.echo(
                f"  note     {alike} of the patients differ from another in capitals, blanks or "
                "leading zeros only; each counts as a patient of its own"
            )
    else:
        typer.echo(
            "  patient  no column: every image counts as a patient of its own (independence "
            "assumed); name one with --patient"
        )
    others = [f"{key} {value!r}" for key, value in columns.items() if key not in _SAID]
    if others:
        typer.echo(f"  also     {', '.join(others)}")
    for sentence in guess.left_out:
        typer.echo(f"  note     {sentence}")
    said = " ".join(guess.left_out)
    if unused := [c for c in unused_columns(found.table, columns) if repr(c) not in said]:
        typer.echo(f"  unused   {', '.join(map(repr, unused))}")
    typer.echo(f"Written: {', '.join(map(str, project.texts))}")
    typer.echo("Next:")
    file = shlex.quote(str(project.configuration))
    typer.echo(f"  mammoshift check --configfile {file}")
    typer.echo(f"  snakemake --configfile {file}")


_SAID = frozenset({"path", "label", "patient_id"})
