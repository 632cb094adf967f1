"""From a raw archive to its manifest, by the adapter that knows the archive's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import pandas as pd
import pyarrow as pa

from mammoshift.archives.archive import LOST, Archive, ImageRecord
from mammoshift.configuration.dataset import Adapter, Dataset
from mammoshift.contracts.manifest import MANIFEST_SCHEMA, Exclusion, check_manifest
from mammoshift.errors import ArchiveError

_MODULES: dict[Adapter, str] = {
    "cbis_ddsm": "mammoshift.archives.cbis_ddsm",
    "cmmd": "mammoshift.archives.cmmd",
    "dmid": "mammoshift.archives.dmid",
    "mias": "mammoshift.archives.mias",
    "cdd_cesm": "mammoshift.archives.cdd_cesm",
    "csv": "mammoshift.archives.csv_table",
}

_REASONS_SHOWN = 8


class _AdapterModule(Protocol):
    """What every adapter's module offers."""

    SOURCE: str

    def read_records(self, archive: Archive) -> Iterator[ImageRecord]:
        """Yield one record for each usable image and note the others in `archive`."""
        ...


@dataclass(frozen=True)
class IngestResult:
    """The manifest of an archive, and what did not become an image and why."""

    manifest: pd.DataFrame
    exclusions: list[Exclusion]


def ingest_archive(dataset_name: str, dataset: Dataset, root: Path) -> IngestResult:
    """Read the archive below `root` into a manifest, sorted by `image_id`.

    Parameters
    ----------
    dataset_name
        The dataset's name in the configuration, written into every row.
    dataset
        Its configuration: the adapter, its options and the greatest share that may be lost.
    root
        The folder of the raw archive, as it was distributed.

    Raises
    ------
    ArchiveError
        If the folder or one of the archive's tables is missing or is not what it should be, or
        when more than `dataset.maximum_lost_share` of the images cannot be used.
    TableError
        If the adapter's rows break the contract of the manifest.
    """
    module = cast(_AdapterModule, import_module(_MODULES[dataset.adapter]))
    archive = Archive(dataset_name, dataset, root, module.SOURCE)
    if not root.is_dir():
        raise archive.error(
            "there is no such folder; set `archives` in the configuration, or this dataset's "
            "`root`, to where it lies"
        )
    columns: dict[str, list[object]] = {name: [] for name in MANIFEST_SCHEMA.names}
    for record in module.read_records(archive):
        _append(columns, record, dataset_name)
    _check_losses(archive, len(columns["image_id"]), dataset.maximum_lost_share)
    table = pa.table(columns, schema=MANIFEST_SCHEMA).sort_by("image_id")
    manifest = table.to_pandas()
    check_manifest(manifest, root)
    return IngestResult(manifest, archive.exclusions)


def _append(columns: dict[str, list[object]], record: ImageRecord, dataset_name: str) -> None:
    header = record.file.header
    from_file = {
        "dataset": dataset_name,
        "age": header.age if record.age is None else record.age,
        "manufacturer": record.manufacturer or header.manufacturer,
        "detector": record.detector or header.detector,
        "pixel_spacing_mm": record.pixel_spacing_mm or header.pixel_spacing_mm,
        "bits": header.bits,
        "rows": header.rows,
        "columns": header.columns,
        "path": record.file.path,
        "content_key": record.file.content_key,
    }
    for name, values in columns.items():
        values.append(from_file[name] if name in from_file else getattr(record, name))


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
