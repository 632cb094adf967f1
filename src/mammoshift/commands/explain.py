"""Where on mammogram files a trained model looks."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mammoshift.commands.application_options import (
    ArchiveRootOption,
    BatchSizeOption,
    DatasetOption,
    DeviceOption,
    FactsOption,
    FilesArgument,
    LateralityOption,
    MirroredOption,
    ModelArgument,
    MoreModelsOption,
    SpacingOption,
    ViewOption,
    prepared_scoring,
)
from mammoshift.commands.predict import SOME_FAILED
from mammoshift.errors import TableError

if TYPE_CHECKING:
    from mammoshift.application.explanations import Explained

INDEX = "pictures.csv"


def explain(
    model: ModelArgument,
    files: FilesArgument,
    out: Annotated[Path, typer.Option(help="Folder that the pictures are written to.")],
    opaque: Annotated[
        bool,
        typer.Option("--opaque-names", help="Number the pictures instead of naming them."),
    ] = False,
    also: MoreModelsOption = None,
    laterality: LateralityOption = None,
    view: ViewOption = None,
    spacing: SpacingOption = None,
    mirrored: MirroredOption = None,
    dataset: DatasetOption = None,
    facts: FactsOption = None,
    root: ArchiveRootOption = None,
    batch_size: BatchSizeOption = 4,
    device: DeviceOption = "auto",
) -> None:
    """Draw a heat map over each file: the places that raise the model's logit.

    Each picture shows the model's input and beside it the same under the map. What does not show
    the breast is drawn black, and no text is written. Exit code 3 says that some files could not be
    used.
    """
    from mammoshift.application.explanations import explain_files
    from mammoshift.application.listing import named_files
    from mammoshift.commands.text_tables import number, print_table, result_console

    scoring = prepared_scoring(
        [model, *(also or [])],
        point=None,
        stated=(laterality, view, spacing, mirrored),
        dataset=dataset,
        facts=facts,
        root=root,
        batch_size=batch_size,
        device=device,
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawn = list(explain_files(named_files(files), scoring, out, opaque))
        _write_index(drawn, out / INDEX)
    except OSError as error:
        raise TableError(f"{error.filename}: cannot be written ({error.strerror})") from error
    rows = [
        (one.score.file, one.picture.name if one.picture else None, number(one.score.logit, 4))
        for one in drawn
    ]
    notes = [one.score.note for one in drawn]
    title = f"{scoring.applied.title}: what speaks for {scoring.applied.record.classes[1]}"
    header = ("file", "picture", "logit")
    print_table(result_console(), title, header, rows, names=2, notes=notes)
    if any(one.picture is None for one in drawn):
        raise typer.Exit(SOME_FAILED)


def _write_index(drawn: Sequence[Explained], path: Path) -> None:
    """Write which picture is of which file; it has names of files, and pictures may not."""
    from mammoshift.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("file", "picture", "logit", "note"))
        for one in drawn:
            picture = one.picture.name if one.picture else ""
            logit = "" if one.score.logit is None else repr(one.score.logit)
            writer.writerow((one.score.file, picture, logit, one.score.note))
