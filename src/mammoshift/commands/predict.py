"""What a trained model says of mammogram files from anywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
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
from mammoshift.errors import TableError

if TYPE_CHECKING:
    from mammoshift.application.scores import Score, Scoring

SOME_FAILED = 3
"""Exit code where at least one file could not be scored."""


def predict(
    model: ModelArgument,
    files: FilesArgument,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a list of all results to this file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a table of all results to this CSV file.")
    ] = None,
    point: Annotated[
        str | None,
        typer.Option("--operating-point", help="By its name; default: the first of the card."),
    ] = None,
    also: MoreModelsOption = None,
    laterality: LateralityOption = None,
    view: ViewOption = None,
    spacing: SpacingOption = None,
    mirrored: MirroredOption = None,
    dataset: DatasetOption = None,
    facts: FactsOption = None,
    root: ArchiveRootOption = None,
    batch_size: BatchSizeOption = 8,
    device: DeviceOption = "auto",
) -> None:
    """Score mammogram files with a trained model; exit code 3 says that some could not be used."""
    from mammoshift.application.listing import named_files
    from mammoshift.application.scores import score_files

    scoring = prepared_scoring(
        [model, *(also or [])],
        point=point,
        stated=(laterality, view, spacing, mirrored),
        dataset=dataset,
        facts=facts,
        root=root,
        batch_size=batch_size,
        device=device,
    )
    scores = list(score_files(named_files(files), scoring))
    _show(scores, scoring)
    try:
        if out is not None:
            _write_table(scores, out)
        if json_file is not None:
            _write_json(scores, json_file)
    except OSError as error:
        raise TableError(f"{error.filename}: cannot be written ({error.strerror})") from error
    if any(score.logit is None for score in scores):
        raise typer.Exit(SOME_FAILED)


def _write_json(scores: Sequence[Score], path: Path) -> None:
    from mammoshift.files import write_text_atomically

    rows = [asdict(score) for score in scores]
    write_text_atomically(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")


def _write_table(scores: Sequence[Score], path: Path) -> None:
    from mammoshift.application.scores import Score
    from mammoshift.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Score)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)


def _show(scores: Sequence[Score], scoring: Scoring) -> None:
    from mammoshift.commands.text_tables import number, print_notes, print_table, result_console

    console = result_console()
    classes = scoring.applied.record.classes
    rows = [
        (
            score.file,
            number(score.logit, 4, sign=True),
            number(score.probability),
            None if score.called is None else classes[int(score.called)],
        )
        for score in scores
    ]
    header = ("file", "logit", "probability", "called")
    title = f"{scoring.applied.title}: {classes[1]} against {classes[0]}"
    print_table(console, title, header, rows, notes=[score.note for score in scores])
    print_notes(console, scoring.applied.explanations(scoring.point))
    failed = sum(score.logit is None for score in scores)
    if failed:
        print_notes(console, [f"{failed} of {len(scores)} files could not be scored"])
