"""What can be known before the first job: archives, tables, weights, architectures, sizes.

Each check gives one line for each thing it looked at. Columns, rows and counts are named, a cell
or the name of an image never.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from mammoshift.archives.adapters.csv import Entry, Options, is_there, read_entries
from mammoshift.archives.archive import Archive
from mammoshift.archives.listing import iterate_files
from mammoshift.archives.registry import load_adapter
from mammoshift.configuration.load import Project
from mammoshift.configuration.resolved import network_arms
from mammoshift.errors import ArchiveError
from mammoshift.project.architectures import unknown_architecture

ROWS_SHOWN = 10
"""So many rows of a table are named in a message."""

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was found."""

    level: Level
    what: str
    said: str

    def __str__(self) -> str:
        return f"{self.what}: {self.said}"


@dataclass(frozen=True)
class Planned:
    """What the jobs of a run will need that is not made by one of them.

    Attributes
    ----------
    datasets
        Those that are read from a real archive.
    weights
        Backbones whose weights are converted.
    arms
        (study, arm) of each network that is built.
    domains
        (study, domain) of each table of cases.
    """

    datasets: Collection[str]
    weights: Collection[str]
    arms: Collection[tuple[str, str]]
    domains: Collection[tuple[str, str]]


def everything(project: Project, studies: Iterable[str]) -> Planned:
    """Return what studies need when nothing of them has been made."""
    chosen = {name: project.studies[name] for name in studies}
    networks = {
        (study, name): arm
        for study, resolved in chosen.items()
        for name, arm in network_arms(resolved).items()
    }
    return Planned(
        datasets=tuple(dict.fromkeys(d for study in chosen.values() for d in study.datasets)),
        weights=tuple(
            dict.fromkeys(a.backbone for a in networks.values() if a.initialisation == "pretrained")
        ),
        arms=tuple(networks),
        domains=tuple((study, name) for study, own in chosen.items() for name in own.domains),
    )


def check_inputs(project: Project, planned: Planned) -> Iterator[Finding]:
    """Yield what is found of everything that jobs will need, without a look at images."""
    yield from check_results_folder(project)
    for dataset in planned.datasets:
        yield from check_archive(project, dataset)
    for backbone in planned.weights:
        yield check_weights(project, backbone)
    yield from check_networks(project, planned.arms)


def errors_of(project: Project, planned: Planned, sample: int) -> list[str]:
    """Return the errors of all that jobs will need; a run with one of them shall not start.

    `sample` is how many images of each dataset are decoded. Packages that take long to load are
    loaded only where a real archive is read.
    """
    found = list(check_inputs(project, planned))
    if any(_is_real(project, dataset) for dataset in _datasets_of(project, planned)):
        from mammoshift.project.sample import check_contents

        found += check_contents(project, planned, sample)
    return [str(finding) for finding in found if finding.level == "error"]


def _is_real(project: Project, dataset: str) -> bool:
    return project.datasets[dataset].twin is None


def _datasets_of(project: Project, planned: Planned) -> Iterator[str]:
    """Yield the datasets whose images or tables are looked at."""
    yield from planned.datasets
    for study, domain in planned.domains:
        yield from project.studies[study].domains[domain].datasets


def results_folder(project: Project) -> Path:
    """Return the folder of the results, or the one above it that is there already."""
    results = Path(project.settings.pathvars.get("results", "results")).resolve()
    return next(path for path in (results, *results.parents) if path.exists())


def check_results_folder(project: Project) -> Iterator[Finding]:
    """Yield an error where the results cannot be written."""
    there = results_folder(project)
    if not os.access(there, os.W_OK):
        said = f"{there}: you may not write here; set `pathvars: results` to another folder"
        yield Finding("error", "disk", said)


def check_archive(project: Project, dataset: str) -> Iterator[Finding]:
    """Yield what is found of a dataset's folder, and of its table where it is a user's own."""
    record = project.datasets[dataset]
    what = f"archive {dataset}"
    if record.twin is not None:
        yield Finding("ok", what, f"a synthetic twin of {record.twin.patients} patients, made here")
        return
    root = project.archive_root(dataset, Path())
    if not root.is_dir():
        yield Finding(
            "error",
            what,
            f"{root}: there is no such folder; set `archives` in the configuration, or this "
            f"dataset's `root`, to where it lies. {load_adapter(record.adapter).source}",
        )
        return
    options = record.options
    if isinstance(options, Options):
        yield from _check_table(dataset, root, options, record.maximum_lost_share)
        return
    try:
        first = next(iter(islice(iterate_files(root, options.links_may_leave), 1)), None)
    except ArchiveError as error:
        yield Finding("error", what, str(error))
        return
    if first is None:
        yield Finding("error", what, f"{root}: the folder is empty")
    else:
        yield Finding("ok", what, f"{root} is there")


def check_weights(project: Project, backbone: str) -> Finding:
    """Return whether the weights file of a backbone is there."""
    what = f"weights {backbone}"
    weights = project.backbones[backbone].weights
    if weights is None:
        return Finding("error", what, f"{project.settings.backbones} names no weights file")
    path = Path(project.settings.weights).expanduser() / weights.file
    if not path.is_file():
        return Finding(
            "error",
            what,
            f"{path}: there is no such file; download {weights.source} ({weights.licence}), or set "
            "`weights` in the configuration to where it lies",
        )
    return Finding("ok", what, f"{path}, {path.stat().st_size / 2**20:.0f} MiB")


def check_networks(project: Project, arms: Collection[tuple[str, str]]) -> Iterator[Finding]:
    """Yield what is found of the architectures, and of the inputs that they are given.

    Arms of other kinds, which have no architecture, are passed over.
    """
    named: dict[str, None] = {}
    for study, name in arms:
        arm = network_arms(project.studies[study]).get(name)
        if arm is None:
            continue
        named[arm.backbone] = None
        multiple = project.backbones[arm.backbone].size_multiple
        if any(length % multiple for length in arm.input.size):
            size = " x ".join(map(str, arm.input.size))
            yield Finding(
                "error",
                f"arm {study}.{name}",
                f"the input {size} is not a multiple of {multiple}, which {arm.backbone} needs",
            )
    for backbone in named:
        architecture = project.backbones[backbone].architecture
        unknown = unknown_architecture(architecture)
        if unknown is None:
            yield Finding("ok", f"backbone {backbone}", f"timm has {architecture}")
        else:
            said = f"{unknown} ({project.settings.backbones})"
            yield Finding("error", f"backbone {backbone}", said)


def table_entries(dataset: str, root: Path, options: Options) -> list[Entry]:
    """Return the rows of a user's own table, checked.

    Raises
    ------
    ArchiveError
        Naming file, row and column of what is wrong.
    """
    archive = Archive(dataset, root, load_adapter("csv").source, options.links_may_leave)
    return list(read_entries(archive, options))


def _is_there_with_content(path: Path) -> bool:
    return is_there(path) and path.stat().st_size > 0


def _check_table(
    dataset: str, root: Path, options: Options, maximum_lost_share: float
) -> Iterator[Finding]:
    what = f"table {dataset}"
    try:
        entries = table_entries(dataset, root, options)
    except ArchiveError as error:
        yield Finding("error", what, str(error))
        return
    if not entries:
        yield Finding("error", what, f"{root / options.table}: no row below the header")
        return
    yield Finding("ok", what, f"{root / options.table}: {len(entries)} rows, each understood")
    lost = [e.number for e in entries if not _is_there_with_content(root / e.path)]
    missing = len(lost)
    share = missing / len(entries)
    what = f"files {dataset}"
    if not missing:
        yield Finding("ok", what, f"all {len(entries)} files are there")
    elif share > maximum_lost_share:
        yield Finding(
            "error",
            what,
            f"{missing} of {len(entries)} files ({share:.1%}) are not there or empty, more than "
            f"maximum_lost_share: {maximum_lost_share:.1%}: {rows_of_table(lost)}; paths are "
            f"relative to {root}",
        )
    else:
        said = f"{missing} of {len(entries)} files are not there or empty: {rows_of_table(lost)}"
        yield Finding("warning", what, said)


def rows_of_table(numbers: Sequence[int]) -> str:
    """Return `rows 3, 7 and 2 more of the table`; the header is row 1."""
    more = len(numbers) - ROWS_SHOWN
    shown = ", ".join(map(str, numbers[:ROWS_SHOWN])) + (f" and {more} more" if more > 0 else "")
    return f"row{'' if len(numbers) == 1 else 's'} {shown} of the table"
