"""An archive as an adapter sees it: files to find, headers to read, exclusions to note."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from mammoshift.archives.listing import ListedFile, content_key, iterate_files
from mammoshift.archives.memory import READING_THREADS, ContentMemory
from mammoshift.contracts.exclusion import Exclusion, ReasonCode
from mammoshift.errors import ArchiveError, UnreadableImageError

if TYPE_CHECKING:
    from mammoshift.imaging.header import ImageHeader

Outcome = TypeVar("Outcome")

LOST = "ingest"
"""Stage of an exclusion that counts as a loss: unreadable, missing, or without its table row."""

LEFT_OUT = "selection"
"""Stage of an exclusion that is meant: a duplicate, or images that a setting leaves out."""

_FILES_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """An image file whose header could be read."""

    path: str
    content_key: str
    header: ImageHeader


@dataclass(frozen=True, slots=True)
class Region:
    """One region on an image, as the contract of the annotations describes it.

    `points` are x, y, x, y, ... in pixels of the stored image.
    """

    shape: str
    points: tuple[float, ...] = ()
    radius: float | None = None
    lesion_type: str | None = None
    pathology: str | None = None
    birads: str | None = None
    mask_path: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of the manifest: its file and what the archive's tables say about it.

    The fields are those of the manifest; what is None here is taken from the file's header
    where the manifest has a column for it. `mirrored` is an image that the archive stores the other
    way round: the chest wall of a left breast is at the right edge; `subtracted` is the subtracted
    image of a contrast-enhanced view.
    """

    image_id: str
    file: InspectedFile
    patient_id: str | None = None
    exam_id: str | None = None
    pair_id: str | None = None
    site: str | None = None
    laterality: str | None = None
    view: str | None = None
    pathology: str | None = None
    patient_pathology: str | None = None
    density: str | None = None
    density_scale: str | None = None
    birads: str | None = None
    lesion_types: str | None = None
    age: int | None = None
    official_split: str | None = None
    manufacturer: str | None = None
    detector: str | None = None
    pixel_spacing_mm: float | None = None
    regions: tuple[Region, ...] = ()
    mirrored: bool = False
    subtracted: bool = False


@dataclass
class Archive:
    """The files below the root of one dataset's archive, and what was found to be unusable.

    `source` says in one sentence what the archive is and where it comes from; errors end with
    it. `memory` knows the content keys of files that were read before.
    """

    dataset: str
    root: Path
    source: str
    links_may_leave: bool = True
    memory: ContentMemory = field(default_factory=ContentMemory)
    exclusions: list[Exclusion] = field(default_factory=list)

    @cached_property
    def files(self) -> tuple[ListedFile, ...]:
        """All files below the root, in the order of the listing."""
        return tuple(iterate_files(self.root, self.links_may_leave))

    def paths(self, suffixes: frozenset[str]) -> list[str]:
        """Return the paths whose suffix, in small letters, is one of `suffixes`."""
        return [
            file.path for file in self.files if PurePosixPath(file.path).suffix.lower() in suffixes
        ]

    def named(self, pattern: re.Pattern[str]) -> list[str]:
        """Return the paths whose last part matches `pattern` as a whole."""
        return [file.path for file in self.files if pattern.fullmatch(file.path.rpartition("/")[2])]

    def the_one(self, pattern: re.Pattern[str], what: str) -> str:
        """Return the path whose name matches `pattern`; copies with equal content count as one.

        Raises
        ------
        ArchiveError
            If there is none, or there are several that differ.
        """
        found = self.named(pattern)
        if not found:
            raise self.error(f"{what} was not found anywhere below the root")
        if len(found) > 1 and len({self._content_key(path) for path in found}) > 1:
            raise self.error(f"there are several files that could be {what}: {', '.join(found)}")
        return found[0]

    def _content_key(self, path: str) -> str:
        try:
            return content_key(self.root / path)
        except OSError as error:
            raise self.error(f"{path} cannot be read: {error.strerror}") from None

    def error(self, what: str) -> ArchiveError:
        """Return an error that names the dataset, the root, and what should lie there."""
        return ArchiveError(f"{self.dataset}: {self.root}: {what}. {self.source}")

    def lose(self, path: str, code: ReasonCode, reason: str) -> None:
        """Note that a file or table row that should be an image cannot be used."""
        self.exclusions.append(Exclusion(self.dataset, path, LOST, reason, code))

    def leave_out(self, path: str, code: ReasonCode, reason: str) -> None:
        """Note that a usable file is left out on purpose."""
        self.exclusions.append(Exclusion(self.dataset, path, LEFT_OUT, reason, code))

    def inspect(self, paths: Sequence[str]) -> Iterator[InspectedFile]:
        """Yield the inspected files in the order of `paths`; unreadable ones become losses.

        Headers are read by a few threads, since on shared storage waiting is most of the work,
        and in chunks, so that memory does not grow with the archive.
        """
        for path, outcome in self.try_inspect(paths):
            if isinstance(outcome, InspectedFile):
                yield outcome
            else:
                self.lose(path, "unreadable", outcome)

    def try_inspect(self, paths: Sequence[str]) -> Iterator[tuple[str, InspectedFile | str]]:
        """Yield each path with its inspected file, or with the reason why it is unreadable."""
        return self._each(paths, self._inspect)

    def try_headers(self, paths: Sequence[str]) -> Iterator[tuple[str, ImageHeader | str]]:
        """Yield each path with its header alone, or with the reason why it is unreadable."""
        return self._each(paths, self._header)

    def _each(
        self, paths: Sequence[str], look: Callable[[str], Outcome | str]
    ) -> Iterator[tuple[str, Outcome | str]]:
        with ThreadPoolExecutor(READING_THREADS) as pool:
            for start in range(0, len(paths), _FILES_AT_ONCE):
                chunk = paths[start : start + _FILES_AT_ONCE]
                outcomes = list(pool.map(look, chunk))
                yield from zip(chunk, outcomes, strict=True)

    def _inspect(self, path: str) -> InspectedFile | str:
        header = self._header(path)
        if isinstance(header, str):
            return header
        try:
            return InspectedFile(path, self.memory.key(self.root, path), header)
        except OSError as error:
            return f"the file cannot be read: {error.strerror}"

    def _header(self, path: str) -> ImageHeader | str:
        from mammoshift.imaging.header import read_header

        try:
            return read_header(self.root / path)
        except UnreadableImageError as error:
            return str(error)
        except OSError as error:
            return f"the file cannot be read: {error.strerror}"
