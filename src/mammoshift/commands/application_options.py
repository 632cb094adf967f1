"""What the commands that apply a trained model to files share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammoshift.errors import ConfigurationError

if TYPE_CHECKING:
    from mammoshift.application.facts import KnownFacts
    from mammoshift.application.scores import Scoring
    from mammoshift.configuration.dataset import Dataset

ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Folder of a trained run (model.safetensors, model.json, model_card.json), or of an "
        "arm: the mean logit of all its runs.",
    ),
]
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="DICOM, PNG, JPEG, TIFF or PGM; a folder; @LIST, a text file of paths; - for a list "
        "on standard input.",
    ),
]
MoreModelsOption = Annotated[
    list[Path] | None,
    typer.Option("--also", help="One more model, whose logit is averaged with the others'."),
]
LateralityOption = Annotated[
    str | None, typer.Option(help="Side of the breast in all files: left or right.")
]
ViewOption = Annotated[str | None, typer.Option(help="View of all files: CC, MLO, ...")]
SpacingOption = Annotated[
    float | None, typer.Option("--pixel-spacing-mm", help="Pixel spacing of all files.")
]
MirroredOption = Annotated[
    bool | None,
    typer.Option(
        "--mirrored/--not-mirrored",
        help="Whether images are stored mirrored: the chest wall of a left breast at the right.",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="FILE:NAME, the record in a datasets file that the files belong to: its tone is "
        "used, and with --root its adapter says side, view, spacing and mirroring of each file."
    ),
]
FactsOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV or Parquet with path and any of laterality, view, pixel_spacing_mm, mirrored, "
        "such as results/.../datasets/NAME/files.parquet."
    ),
]
ArchiveRootOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the dataset's archive, which paths of --facts are relative to."),
]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, max=4096, help="Images that are scored at once.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]

Stated = tuple[str | None, str | None, float | None, bool | None]
"""Side, view, pixel spacing and mirroring as options give them."""


def prepared_scoring(
    models: Sequence[Path],
    *,
    point: str | None,
    stated: Stated,
    dataset: str | None,
    facts: Path | None,
    root: Path | None,
    batch_size: int,
    device: str,
) -> Scoring:
    """Return the loaded models and how files become their input.

    Raises
    ------
    MammoshiftError
        If an option has no meaning, or a model or table cannot be used.
    """
    from mammoshift.application.scores import Scoring, operating_point
    from mammoshift.application.trained import open_models
    from mammoshift.execution.device import choose_device

    record = None if dataset is None else dataset_record(dataset)
    known = _known(stated, record, facts, root)
    chosen = choose_device(device)
    applied = open_models(models, chosen)
    recipe = applied.recipe
    if record is not None and record[1].tone is not None:
        recipe = recipe.model_copy(update={"tone": record[1].tone})
    return Scoring(
        applied=applied,
        recipe=recipe,
        known=known,
        point=operating_point(applied, point),
        device=chosen,
        batch_size=batch_size,
    )


def dataset_record(text: str) -> tuple[str, Dataset]:
    """Return the name and the checked record of `FILE:NAME`.

    Raises
    ------
    ConfigurationError
        If there is no such file, record, or the record is not valid.
    """
    from pydantic import ValidationError

    from mammoshift.configuration.dataset import Dataset
    from mammoshift.configuration.load import read_yaml

    file, _, name = text.rpartition(":")
    if not file:
        raise ConfigurationError(f"--dataset {text}: give a file and a name, joined by a colon")
    datasets: Any = read_yaml(Path(file))
    if not isinstance(datasets, dict) or name not in datasets:
        known = ", ".join(map(str, datasets)) if isinstance(datasets, dict) else "none"
        raise ConfigurationError(f"{file}: there is no dataset {name!r}; there are: {known}")
    try:
        return name, Dataset.model_validate(datasets[name])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{file}: {name}: {key}: {first['msg']}") from None


def _known(
    stated: Stated, record: tuple[str, Dataset] | None, facts: Path | None, root: Path | None
) -> KnownFacts:
    from mammoshift.application.facts import KnownFacts, facts_of_archive, facts_of_table

    by_file = None
    if facts is not None:
        by_file = facts_of_table(facts, root or Path())
    elif root is not None:
        if record is None:
            raise ConfigurationError("--root belongs to --dataset or --facts; give one of them")
        by_file = facts_of_archive(*record, root)
    return KnownFacts(_stated(stated), by_file)


def _stated(stated: Stated) -> Any:
    from mammoshift.application.facts import Facts
    from mammoshift.archives.vocabulary import side_of, view_of

    laterality, view, spacing, mirrored = stated
    side = None if laterality is None else side_of(laterality)
    if laterality is not None and side is None:
        raise ConfigurationError(f"--laterality {laterality}: expected left or right")
    shown = None if view is None else view_of(view)
    if view is not None and shown is None:
        raise ConfigurationError(f"--view {view}: expected CC, MLO or another view")
    if spacing is not None and not 0.0 < spacing <= 10.0:
        raise ConfigurationError(f"--pixel-spacing-mm {spacing:g}: expected mm above 0, up to 10")
    return Facts(side, shown, spacing, mirrored)
