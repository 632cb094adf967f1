"""What is known of an image file beside its pixels: its side, its view, its pixel size.

In a workflow the manifest says it. Here it is what a person states, what a table or the adapter of
an archive says of the file, or what its own header says, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.vocabulary import side_of, view_of
from mammoshift.configuration.dataset import Dataset
from mammoshift.contracts.vocabulary import VIEWS
from mammoshift.errors import TableError
from mammoshift.imaging.header import ImageHeader

COLUMNS = ("laterality", "view", "pixel_spacing_mm", "mirrored", "subtracted")
_TRUTHS = frozenset({"mirrored", "subtracted"})
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})


@dataclass(frozen=True)
class Facts:
    """What is known of one image; None where nothing is.

    `laterality` is `left` or `right`; `mirrored` says that the image is stored the other way round,
    so that the chest wall of a left breast is at the right edge, `subtracted` that it is the
    subtracted image of a contrast-enhanced view.
    """

    laterality: str | None = None
    view: str | None = None
    pixel_spacing_mm: float | None = None
    mirrored: bool | None = None
    subtracted: bool | None = None


@dataclass(frozen=True)
class KnownFacts:
    """Where facts come from.

    Attributes
    ----------
    stated
        By a person, for every file; they come before all others.
    by_file
        Resolved path -> facts, all that is known of this file; None where there is no such list.
    """

    stated: Facts = Facts()
    by_file: Mapping[Path, Facts] | None = None

    def of(self, path: Path, header: ImageHeader) -> tuple[Facts, bool]:
        """Return the facts of a file, and whether it is in the list, if there is one."""
        listed = self.by_file.get(path.resolve()) if self.by_file is not None else None
        found = listed or Facts(header.laterality, header.view, header.pixel_spacing_mm, None)
        stated = {name: value for name, value in vars(self.stated).items() if value is not None}
        return replace(found, **stated), self.by_file is None or listed is not None


def facts_of_archive(name: str, dataset: Dataset, root: Path) -> dict[Path, Facts]:
    """Return what the adapter of an archive says of each of its files; the whole root is read.

    Raises
    ------
    ArchiveError
        If the archive below `root` is not what the adapter expects.
    """
    return _by_path(ingest_archive(name, dataset, root).with_kinds(), root, "the manifest")


def facts_of_table(table: Path, root: Path) -> dict[Path, Facts]:
    """Return what a table with the column `path` says of files; paths are relative to `root`.

    Of the other columns those of `COLUMNS` are read, such as the file `files.parquet` of a
    workflow's dataset has.

    Raises
    ------
    TableError
        If the table cannot be read, or a cell not be understood.
    """
    try:
        if table.suffix.lower() == ".parquet":
            content = pd.read_parquet(table)
        else:
            content = pd.read_csv(table, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise TableError(f"{table}: cannot be read as CSV or Parquet") from error
    if "path" not in content:
        raise TableError(f"{table}: there is no column path")
    return _by_path(content, root, str(table))


def _by_path(table: pd.DataFrame, root: Path, where: str) -> dict[Path, Facts]:
    present = [name for name in COLUMNS if name in table]
    found: dict[Path, Facts] = {}
    rows = table[["path", *present]].itertuples(index=False, name=None)
    for number, (path, *cells) in enumerate(rows, start=1):
        values = {
            name: _value(name, cell, f"{where}: row {number}, column {name}")
            for name, cell in zip(present, cells, strict=True)
            if not pd.isna(cell) and cell != ""
        }
        try:
            place = (root / str(path)).resolve()
        except (OSError, ValueError, RuntimeError):
            raise TableError(f"{where}: row {number}, column path: is no path") from None
        found[place] = Facts(**values)  # pyright: ignore[reportArgumentType]
    return found


def _value(name: str, cell: object, where: str) -> str | float | bool:
    """Return a cell as what it means; the cell itself is not quoted."""
    text = str(cell).strip()
    if name in _TRUTHS:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise TableError(f"{where}: expected true or false")
    if name == "pixel_spacing_mm":
        try:
            spacing = float(text)
        except ValueError:
            spacing = 0.0
        if not 0.0 < spacing <= 10.0:
            raise TableError(f"{where}: expected a number of mm above 0 and up to 10")
        return spacing
    if name == "laterality":
        known, expected = side_of(text), "left or right"
    else:
        known, expected = text if text in VIEWS else view_of(text), ", ".join(VIEWS)
    if known is None:
        raise TableError(f"{where}: expected {expected}")
    return known
