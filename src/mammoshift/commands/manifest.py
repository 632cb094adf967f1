"""What is in a raw archive: the first thing to ask of a download."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammoshift.archives.counts import Counts, counts_of, differences, warnings
from mammoshift.commands.text_tables import print_notes, print_table, result_console
from mammoshift.configuration.dataset import Dataset
from mammoshift.configuration.recipes import archive_hash
from mammoshift.errors import ConfigurationError, TableError
from mammoshift.files import write_text_atomically

if TYPE_CHECKING:
    from mammoshift.archives.adapter import IngestResult
    from mammoshift.contracts.exclusion import Exclusion

_SHEET_SIZE, _SHEET_WORKERS = (400, 260), 2


@dataclass(frozen=True)
class ArchiveReport:
    """What an archive holds, what was published of it, and what was left out.

    `differences` compares the two; `excluded` counts by stage and code. `recipe` tells the adapter
    and its options from others, `data` the images and labels that were found.
    """

    adapter: str
    recipe: str
    data: str
    options: dict[str, Any]
    found: Counts
    published: Counts | None
    differences: list[str]
    excluded: dict[str, dict[str, int]]
    seconds: float


def manifest(
    adapter: Annotated[str, typer.Argument(help="Which archive, for example cmmd or inbreast.")],
    root: Annotated[Path, typer.Argument(help="The folder of the archive as it was distributed.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the manifest to this Parquet file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all counts to this file.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the adapter, as in --set unlabelled=normal."),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(help="FILE:NAME, a dataset of a datasets file whose options are taken."),
    ] = None,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Draw the images to look at first into this .jpg or .png file."),
    ] = None,
) -> None:
    """Count what a raw archive holds, beside what was published of it."""
    from mammoshift.archives.adapter import ingest_archive
    from mammoshift.archives.counts import data_hash
    from mammoshift.archives.registry import load_adapter
    from mammoshift.contracts.manifest import write_manifest

    dataset = _dataset(adapter, _options_of_record(record) | _parsed(settings or ()))
    started = time.monotonic()
    result = ingest_archive(adapter, dataset, root)
    found = counts_of(result)
    published = load_adapter(adapter).published_counts(dataset.options)
    report = ArchiveReport(
        adapter=adapter,
        recipe=archive_hash(dataset),
        data=data_hash(result.manifest),
        options=dataset.options.model_dump(mode="json", exclude_none=True),
        found=found,
        published=published,
        differences=differences(found, published) if published else [],
        excluded=_by_code(result.exclusions),
        seconds=round(time.monotonic() - started, 3),
    )
    _show(report)
    print_notes(result_console(), [f"Warning: {warning}" for warning in warnings(result)])
    try:
        if out is not None:
            write_manifest(result.manifest, out)
        if json_file is not None:
            write_text_atomically(json_file, json.dumps(asdict(report), indent=1) + "\n")
        if contact_sheet is not None:
            _draw_sheet(result, root, contact_sheet)
    except OSError as error:
        raise TableError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _draw_sheet(result: IngestResult, root: Path, picture: Path) -> None:
    """Draw the contact sheet of an archive, with the default recipe in a small size."""
    from mammoshift.configuration.model import InputRecipe
    from mammoshift.pixelstore.sheet import sheet_of_archive

    if picture.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise ConfigurationError(f"--contact-sheet {picture}: the name must end in .jpg or .png")
    recipe = InputRecipe(size=_SHEET_SIZE, mask="breast")
    record = sheet_of_archive(
        result.with_kinds(), result.annotations, root, recipe, picture, _SHEET_WORKERS
    )
    print_notes(
        result_console(),
        [
            f"{picture}: {len(record.shown)} of {record.images} images, the least "
            "filled and the least certain masks first"
        ],
    )


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    """Return options given as `key=value`; a key may have parts, as in columns.path=file."""
    import yaml

    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting}: give a key and a value, joined by =")
        *above, last = key.split(".")
        place = options
        for part in above:
            place = place.setdefault(part, {})
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigurationError(f"--set {setting}: the value is not valid YAML") from None
    return options


def _options_of_record(record: str | None) -> dict[str, Any]:
    """Return the adapter's section of a dataset in a datasets file."""
    if record is None:
        return {}
    from mammoshift.configuration.load import read_yaml

    file, _, name = record.rpartition(":")
    if not file:
        raise ConfigurationError(f"--record {record}: give a file and a name, joined by a colon")
    datasets = read_yaml(Path(file))
    if not isinstance(datasets, dict) or name not in datasets:
        known = ", ".join(map(str, datasets)) if isinstance(datasets, dict) else "none"
        raise ConfigurationError(f"{file}: there is no dataset {name!r}; there are: {known}")
    section = datasets[name].get(datasets[name].get("adapter"), {})
    return section if isinstance(section, dict) else {}


def _dataset(adapter: str, options: dict[str, Any]) -> Dataset:
    """Return a record of the adapter that accepts any loss: a download is looked at, not used."""
    from pydantic import ValidationError

    from mammoshift.archives.registry import load_adapter

    record: dict[str, Any] = {
        "adapter": adapter,
        "title": adapter,
        "licence": "",
        "root": ".",
        "maximum_lost_share": 1.0,
    }
    if options:
        record[adapter] = options
    try:
        return Dataset.model_validate(record)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            key = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 2:
                allowed = ", ".join(sorted(load_adapter(adapter).options.model_fields)) or "none"
                message = f"there is no option {problem['loc'][-1]}. Allowed: {allowed}"
            lines.append(f"{key}: {message}" if key else message)
        raise ConfigurationError("\n".join(dict.fromkeys(lines))) from None


def _by_code(exclusions: Sequence[Exclusion]) -> dict[str, dict[str, int]]:
    counted = Counter((exclusion.stage, exclusion.code) for exclusion in exclusions)
    by_stage: dict[str, dict[str, int]] = {}
    for (stage, code), number in sorted(counted.items()):
        by_stage.setdefault(stage, {})[code] = number
    return by_stage


def _show(report: ArchiveReport) -> None:
    console = result_console()
    found, published = report.found, report.published
    rows: list[tuple[str, str, str | None, str | None]] = [
        ("images", "", str(found.images), str(published.images) if published else None)
    ]
    for what in ("patients", "annotations"):
        wanted = getattr(published, what) if published else None
        rows.append((what, "", str(getattr(found, what)), None if wanted is None else str(wanted)))
    columns = dict.fromkeys((*found.by, *(published.by if published else ())))
    for column in columns:
        seen = found.by.get(column, {})
        stated = published.by.get(column, {}) if published else {}
        for value in sorted(seen.keys() | stated.keys()):
            number = stated.get(value)
            rows.append(
                (column, value, str(seen.get(value, 0)), None if number is None else str(number))
            )
    options = ", ".join(f"{key}: {value}" for key, value in report.options.items())
    title = f"{report.adapter} ({options})" if options else report.adapter
    print_table(console, title, ("of", "", "found", "published"), rows, names=2)
    excluded = [
        (stage, code, str(number))
        for stage, codes in report.excluded.items()
        for code, number in codes.items()
    ]
    if excluded:
        print_table(console, "Left out", ("stage", "reason", "files or rows"), excluded, names=2)
    print_notes(console, [f"Differs: {difference}" for difference in report.differences])
    print_notes(console, [f"Recipe {report.recipe}, data {report.data}; {report.seconds:.1f} s"])
