"""Writing a shard: every image of a manifest, decoded, preprocessed and appended to one file.

Threads do the work: decoding, resizing and hashing all leave the interpreter lock, so that they
scale as processes would, while nothing is pickled and a crash of the process is a crash of the
job. Only a few images are in flight at a time, and they are written in the manifest's order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TypeVar

import cv2
import numpy as np
import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.manifest import Exclusion, write_exclusions
from mammoshift.errors import UnreadableImageError
from mammoshift.files import atomic_path
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.levels import LEAST_FILLED_SHARE
from mammoshift.imaging.preprocess import Preprocessed, preprocess_image
from mammoshift.imaging.tone import Tone
from mammoshift.pixelstore.fingerprints import difference_hash, fine_difference_hash, pixel_hash
from mammoshift.pixelstore.index import ARRAY_FILE, EXCLUSIONS_FILE, INDEX_FILE, write_index

_STAGE = "preprocess"
_LOG = logging.getLogger(__name__)
_IN_FLIGHT_PER_WORKER = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ShardReport:
    """What became of the images of one shard.

    Attributes
    ----------
    images
        Number of images that were stored.
    exclusions
        The images that could not be read, with their reasons.
    breast_not_found
        Images, by `image_id`, that were stored whole because no breast was found in them.
    """

    images: int
    exclusions: tuple[Exclusion, ...]
    breast_not_found: tuple[str, ...]


class _Source(NamedTuple):
    image_id: str
    dataset: str
    path: str
    pixel_spacing_mm: float
    laterality: str | None
    view: str | None


class _Stored(NamedTuple):
    image: Preprocessed
    row: dict[str, object]


def write_shard(
    manifest: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    destination: Path,
    *,
    tone: Tone | None = None,
    workers: int = 1,
) -> ShardReport:
    """Preprocess every image of `manifest` into one shard of a pixel store.

    Three files are written to `destination`, each whole or not at all: `shard.npy` (images,
    rows, columns; uint16), `index.parquet` and `exclusions.csv`.

    Parameters
    ----------
    manifest
        The shard's part of a manifest; it may be empty.
    root
        Folder that the manifest's paths are relative to.
    recipe
        What every array shall be.
    destination
        The shard's folder; it is made if need be.
    tone
        The dataset's tone recipe where it overrides the study's.
    workers
        Number of threads.

    Returns
    -------
    ShardReport
        Images that cannot be read are listed there and in `exclusions.csv`; the others are
        stored. Any other error ends the call.
    """
    if tone is not None:
        recipe = recipe.model_copy(update={"tone": tone})
    destination.mkdir(parents=True, exist_ok=True)
    sources = map(
        _Source,
        manifest["image_id"],
        manifest["dataset"],
        manifest["path"],
        manifest["pixel_spacing_mm"].astype("float64"),
        _known(manifest, "laterality"),
        _known(manifest, "view"),
    )

    def one(source: _Source) -> _Stored | Exclusion:
        return _preprocess(source, root, recipe)

    rows: list[dict[str, object]] = []
    exclusions: list[Exclusion] = []
    with atomic_path(destination / ARRAY_FILE) as temporary, temporary.open("wb") as stream:
        _write_header(stream, 0, recipe.size)
        for result in _ordered_map(one, sources, workers):
            if isinstance(result, Exclusion):
                exclusions.append(result)
                continue
            stream.write(result.image.array.astype("<u2", copy=False).data)
            rows.append({**result.row, "row": len(rows)})
        stream.seek(0)
        _write_header(stream, len(rows), recipe.size)
    write_exclusions(exclusions, destination / EXCLUSIONS_FILE)
    write_index(rows, destination / INDEX_FILE)
    return ShardReport(
        images=len(rows),
        exclusions=tuple(exclusions),
        breast_not_found=tuple(str(row["image_id"]) for row in rows if not row["breast_found"]),
    )


def _preprocess(source: _Source, root: Path, recipe: InputRecipe) -> _Stored | Exclusion:
    try:
        image = decode_image(_inside(root, source.path))
        # The manifest has the file's own spacing, unless the archive's tables know better.
        if source.pixel_spacing_mm > 0.0:
            image = replace(image, pixel_spacing_mm=2 * (source.pixel_spacing_mm,))
        done = preprocess_image(image, recipe, laterality=source.laterality, view=source.view)
    except UnreadableImageError as error:
        return Exclusion(source.dataset, source.path, _STAGE, str(error))
    if done.filled_share < LEAST_FILLED_SHARE:
        _LOG.warning(
            "%s: the breast fills %.0f%% of the range of its array; another tone may suit it",
            source.image_id,
            100.0 * done.filled_share,
        )
    mean, std = cv2.meanStdDev(done.array)
    picture = done.content.of(done.array)
    spacing = done.pixel_spacing_mm or (None, None)
    return _Stored(
        done,
        {
            "image_id": source.image_id,
            "mean": float(mean[0, 0]),
            "std": float(std[0, 0]),
            "min": int(done.array.min()),
            "max": int(done.array.max()),
            "pixel_hash": pixel_hash(done.array),
            "perceptual_hash": difference_hash(picture),
            "fine_hash": fine_difference_hash(picture),
            "crop_top": done.crop.top,
            "crop_left": done.crop.left,
            "crop_bottom": done.crop.bottom,
            "crop_right": done.crop.right,
            "flipped": done.flipped,
            "breast_found": done.breast_found,
            "pixel_spacing_down_mm": spacing[0],
            "pixel_spacing_along_mm": spacing[1],
        },
    )


def _known(manifest: pd.DataFrame, column: str) -> list[str | None]:
    """Return a column's texts, None where one is missing or the whole column is."""
    if column not in manifest:
        return [None] * len(manifest)
    return [None if pd.isna(value) else str(value) for value in manifest[column]]


def _inside(root: Path, path: str) -> Path:
    """Join a path from a manifest to `root`, which it must not leave."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise UnreadableImageError("the path leads out of the archive")
    return root / relative


def _ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield `function` of each item in order, with a bounded number of items in flight.

    An error of the function is raised here, and what has not begun by then is dropped.
    """
    remaining = iter(items)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for item in islice(remaining, _IN_FLIGHT_PER_WORKER * workers):
            waiting.append(pool.submit(function, item))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def _write_header(stream: BinaryIO, images: int, size: tuple[int, int]) -> None:
    """Write the header of an array file, whose length does not depend on the number of images."""
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<u2", "fortran_order": False, "shape": (images, *size)}
    )
