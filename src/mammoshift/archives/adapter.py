"""From a raw archive to its manifest, by the adapter that knows the archive's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from mammoshift.archives.archive import LOST, Archive, ImageRecord
from mammoshift.archives.memory import ContentMemory
from mammoshift.archives.registry import load_adapter
from mammoshift.archives.vocabulary import device_of
from mammoshift.configuration.dataset import Dataset
from mammoshift.contracts.annotations import ANNOTATIONS_SCHEMA, check_annotations
from mammoshift.contracts.exclusion import Exclusion
from mammoshift.contracts.manifest import MANIFEST_SCHEMA, check_manifest
from mammoshift.errors import ArchiveError

if TYPE_CHECKING:
    from mammoshift.imaging.decoded import Intent

_REASONS_SHOWN = 8


@dataclass(frozen=True)
class IngestResult:
    """The manifest of an archive, the regions on its images, and what was left out and why.

    `mirrored` are the images that the archive stores the other way round, `subtracted` those that
    are subtracted images of a contrast-enhanced view. `burned_in` counts the files that declare
    text in their pixels that may identify a person (True) or that there is none (False), `intents`
    those of each Presentation Intent Type; None stands for files that do not say.
    """

    manifest: pd.DataFrame
    annotations: pd.DataFrame
    exclusions: list[Exclusion]
    mirrored: frozenset[str] = frozenset()
    subtracted: frozenset[str] = frozenset()
    burned_in: Mapping[bool | None, int] = field(default_factory=dict)
    intents: Mapping[Intent | None, int] = field(default_factory=dict)

    def with_kinds(self) -> pd.DataFrame:
        """Return the manifest with the columns `mirrored` and `subtracted`."""
        ids = self.manifest["image_id"]
        return self.manifest.assign(
            mirrored=ids.isin(self.mirrored).to_numpy(),
            subtracted=ids.isin(self.subtracted).to_numpy(),
        )


def ingest_archive(
    dataset_name: str, dataset: Dataset, root: Path, memory: ContentMemory | None = None
) -> IngestResult:
    """Read the archive below `root` into a manifest and annotations, sorted by their ids.

    Parameters
    ----------
    dataset_name
        The dataset's name in the configuration, written into every row.
    dataset
        Its configuration: the adapter, its options and the greatest share that may be lost.
    root
        The folder of the raw archive, as it was distributed.
    memory
        Content keys of files that were read before; it learns those that are read now.

    Raises
    ------
    ArchiveError
        If the folder or one of the archive's tables is missing or is not what it should be, or
        when more than `dataset.maximum_lost_share` of the images cannot be used.
    TableError
        If the adapter's rows break the contract of the manifest or of the annotations.
    """
    adapter, options = load_adapter(dataset.adapter), dataset.options
    archive = Archive(
        dataset=dataset_name,
        root=root,
        source=adapter.source,
        links_may_leave=options.links_may_leave,
        memory=memory if memory is not None else ContentMemory(),
    )
    if not root.is_dir():
        raise archive.error(
            "there is no such folder; set `archives` in the configuration, or this dataset's "
            "`root`, to where it lies"
        )
    columns: dict[str, list[object]] = {name: [] for name in MANIFEST_SCHEMA.names}
    regions: list[dict[str, object]] = []
    mirrored: set[str] = set()
    subtracted: set[str] = set()
    burned_in: Counter[bool | None] = Counter()
    intents: Counter[Intent | None] = Counter()
    for record in adapter.read_records(archive, options):
        _append(columns, record, dataset_name)
        if record.mirrored:
            mirrored.add(record.image_id)
        if record.subtracted:
            subtracted.add(record.image_id)
        burned_in[record.file.header.burned_in] += 1
        intents[record.file.header.intent] += 1
        regions.extend(_annotation_rows(record, dataset_name))
    _check_losses(archive, len(columns["image_id"]), dataset.maximum_lost_share)
    table = pa.table(columns, schema=MANIFEST_SCHEMA).sort_by("image_id")
    manifest = table.to_pandas()
    check_manifest(manifest, root)
    annotations = _annotation_table(regions)
    check_annotations(annotations, root)
    return IngestResult(
        manifest,
        annotations,
        archive.exclusions,
        frozenset(mirrored),
        frozenset(subtracted),
        burned_in=burned_in,
        intents=intents,
    )


def _append(columns: dict[str, list[object]], record: ImageRecord, dataset_name: str) -> None:
    header = record.file.header
    from_file = {
        "dataset": dataset_name,
        "age": header.age if record.age is None else record.age,
        "manufacturer": record.manufacturer or device_of(header.manufacturer),
        "detector": record.detector or device_of(header.detector),
        "pixel_spacing_mm": record.pixel_spacing_mm or header.pixel_spacing_mm,
        "bits": header.bits,
        "rows": header.rows,
        "columns": header.columns,
        "path": record.file.path,
        "content_key": record.file.content_key,
    }
    for name, values in columns.items():
        values.append(from_file[name] if name in from_file else getattr(record, name))


def _annotation_rows(record: ImageRecord, dataset_name: str) -> list[dict[str, object]]:
    """Return the rows of one image's regions, in the order of the record."""
    return [
        {
            "annotation_id": f"{record.image_id}-r{number}",
            "image_id": record.image_id,
            "dataset": dataset_name,
            **asdict(region),
        }
        for number, region in enumerate(record.regions, start=1)
    ]


def _annotation_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    ordered = sorted(rows, key=lambda row: str(row["annotation_id"]))
    return pa.Table.from_pylist(ordered, schema=ANNOTATIONS_SCHEMA).to_pandas()


def _check_losses(archive: Archive, usable: int, maximum_lost_share: float) -> None:
    reasons = Counter(
        exclusion.reason for exclusion in archive.exclusions if exclusion.stage == LOST
    )
    lost = reasons.total()
    listed = "; ".join(
        f"{count} x {reason}" for reason, count in reasons.most_common(_REASONS_SHOWN)
    )
    if usable == 0:
        found = listed or "no image file of the expected kind was found"
        raise archive.error(f"not one usable image: {found}")
    share = lost / (usable + lost)
    if share > maximum_lost_share:
        raise ArchiveError(
            f"{archive.dataset}: {archive.root}: {lost} of {usable + lost} images ({share:.1%}) "
            f"cannot be used, more than maximum_lost_share: {maximum_lost_share:.1%}. Reasons: "
            f"{listed}. Complete the archive, or raise maximum_lost_share of this dataset if the "
            f"loss is acceptable. {archive.source}"
        )
