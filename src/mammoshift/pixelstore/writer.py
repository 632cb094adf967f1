"""Writing a shard: every image of a list, decoded, preprocessed and appended to one file.

An image gives one array, or one for each of its patches.

Threads do the work: decoding, resizing and hashing all leave the interpreter lock, so that they
scale as processes would, while nothing is pickled and a crash of the process is a crash of the
job. Only a few images are in flight at a time, and they are written in the manifest's order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil, floor
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TypeVar

import cv2
import numpy as np
import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.annotations import bounding_box
from mammoshift.contracts.manifest import Exclusion, write_exclusions
from mammoshift.errors import UnreadableImageError
from mammoshift.files import atomic_path
from mammoshift.imaging.breast import Box
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.levels import filled_share
from mammoshift.imaging.patches import preprocess_patches
from mammoshift.imaging.preprocess import Preprocessed, preprocess_image
from mammoshift.pixelstore.fingerprints import difference_hash, fine_difference_hash, pixel_hash
from mammoshift.pixelstore.index import (
    ARRAY_FILE,
    EXCLUSIONS_FILE,
    INDEX_FILE,
    LEAST_FILLED_SHARE,
    write_index,
)

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
    mirrored: bool
    subtracted: bool


class _Stored(NamedTuple):
    image: Preprocessed
    row: dict[str, object]


def write_shard(
    files: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    destination: Path,
    *,
    regions: pd.DataFrame | None = None,
    workers: int = 1,
) -> ShardReport:
    """Preprocess every image of `files` into one shard of a pixel store.

    Three files are written to `destination`, each whole or not at all: `shard.npy` (images,
    rows, columns; uint16), `index.parquet` and `exclusions.csv`.

    Parameters
    ----------
    files
        The shard's part of a dataset's list of files (or of its manifest); it may be empty.
    root
        Folder that the paths are relative to.
    recipe
        What every array shall be.
    destination
        The shard's folder; it is made if need be.
    regions
        Annotations of the images, around which patches are placed; None without any.
    workers
        Number of threads.

    Returns
    -------
    ShardReport
        Images that cannot be read are listed there and in `exclusions.csv`; the others are
        stored. Any other error ends the call.
    """
    destination.mkdir(parents=True, exist_ok=True)
    sources = _sources(files)
    boxes = boxes_of_regions(regions) if recipe.patch is not None else {}

    def one(source: _Source) -> list[_Stored] | Exclusion:
        return _preprocess(source, root, recipe, boxes.get(source.image_id, ()))

    rows: list[dict[str, object]] = []
    exclusions: list[Exclusion] = []
    with atomic_path(destination / ARRAY_FILE) as temporary, temporary.open("wb") as stream:
        _write_header(stream, 0, recipe.size)
        for result in _ordered_map(one, sources, workers):
            if isinstance(result, Exclusion):
                exclusions.append(result)
                continue
            for stored in result:
                stream.write(stored.image.array.astype("<u2", copy=False).data)
                rows.append({**stored.row, "row": len(rows)})
        stream.seek(0)
        _write_header(stream, len(rows), recipe.size)
    write_exclusions(exclusions, destination / EXCLUSIONS_FILE)
    write_index(rows, destination / INDEX_FILE)
    return ShardReport(
        images=len(rows),
        exclusions=tuple(exclusions),
        breast_not_found=tuple(str(row["image_id"]) for row in rows if not row["breast_found"]),
    )


def preprocess_files(
    files: pd.DataFrame, root: Path, recipe: InputRecipe, workers: int = 1
) -> Iterator[tuple[str, Preprocessed]]:
    """Yield the image id and the array of each file that can be read, in the order of `files`.

    Parameters are those of `write_shard`; a recipe for patches gives whole images.
    """
    whole = recipe.model_copy(update={"patch": None})

    def one(source: _Source) -> list[_Stored] | Exclusion:
        return _preprocess(source, root, whole, ())

    for result in _ordered_map(one, _sources(files), workers):
        if not isinstance(result, Exclusion):
            for stored in result:
                yield str(stored.row["image_id"]), stored.image


def _sources(files: pd.DataFrame) -> Iterator[_Source]:
    return map(
        _Source,
        files["image_id"],
        files["dataset"],
        files["path"],
        files["pixel_spacing_mm"].astype("float64"),
        _known(files, "laterality"),
        _known(files, "view"),
        _stated(files, "mirrored"),
        _stated(files, "subtracted"),
    )


def _preprocess(
    source: _Source, root: Path, recipe: InputRecipe, regions: Sequence[Box]
) -> list[_Stored] | Exclusion:
    try:
        image = decode_image(path_below(root, source.path))
        # The manifest has the file's own spacing, unless the archive's tables know better.
        if source.pixel_spacing_mm > 0.0:
            image = replace(image, pixel_spacing_mm=2 * (source.pixel_spacing_mm,))
        if source.subtracted:
            image = replace(image, subtracted=True)
        if recipe.patch is not None:
            patches = list(
                preprocess_patches(image, recipe, recipe.patch, regions, source.image_id)
            )
            if patches:
                together = np.concatenate([done.array for done in patches])
                _warn_of_grey(source, "patches fill", filled_share(together, None))
            return [
                _Stored(done, _row(f"{source.image_id}.{n:05d}", source.image_id, done, done.crop))
                for n, done in enumerate(patches)
            ]
        done = preprocess_image(
            image,
            recipe,
            laterality=source.laterality,
            view=source.view,
            mirrored=source.mirrored,
        )
    except UnreadableImageError as error:
        return Exclusion(source.dataset, source.path, _STAGE, str(error))
    _warn_of_grey(source, "breast fills", done.filled_share)
    return [_Stored(done, _row(source.image_id, source.image_id, done, None))]


def _warn_of_grey(source: _Source, what: str, share: float) -> None:
    """Name an image that is nearly of one grey; of patches all of an image together."""
    if share < LEAST_FILLED_SHARE:
        _LOG.warning(
            "%s: the %s %.0f%% of the range of intensities; another tone may suit it",
            source.image_id,
            what,
            100.0 * share,
        )


def _row(item_id: str, image_id: str, done: Preprocessed, box: Box | None) -> dict[str, object]:
    """Return the row of the index for one array, but for its place."""
    mean, std = cv2.meanStdDev(done.array)
    picture = done.content.of(done.array)
    spacing = done.pixel_spacing_mm or (None, None)
    return {
        "item_id": item_id,
        "image_id": image_id,
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
        "certainty": done.certainty,
        "filled_share": done.filled_share,
        "pixel_spacing_down_mm": spacing[0],
        "pixel_spacing_along_mm": spacing[1],
        "box_left": box.left if box else None,
        "box_top": box.top if box else None,
        "box_right": box.right if box else None,
        "box_bottom": box.bottom if box else None,
    }


def boxes_of_regions(regions: pd.DataFrame | None) -> dict[str, list[Box]]:
    """Return the boxes around the annotated regions of each image."""
    found: dict[str, list[Box]] = {}
    if regions is None:
        return found
    columns = (regions[name] for name in ("image_id", "shape", "points", "radius"))
    for image_id, shape, points, radius in zip(*columns, strict=True):
        around = bounding_box(shape, points, radius)
        if around is not None:
            box = Box(floor(around.y0), floor(around.x0), ceil(around.y1) + 1, ceil(around.x1) + 1)
            found.setdefault(image_id, []).append(box)
    return found


def _known(files: pd.DataFrame, column: str) -> list[str | None]:
    """Return a column's texts, None where one is missing or the whole column is."""
    if column not in files:
        return [None] * len(files)
    return [None if pd.isna(value) else str(value) for value in files[column]]


def _stated(files: pd.DataFrame, column: str) -> list[bool]:
    """Return a column of truths, False where the table does not have it."""
    return files[column].tolist() if column in files else [False] * len(files)


def path_below(root: Path, path: str) -> Path:
    """Join a path from a manifest to `root`, which it must not leave."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise UnreadableImageError("the path leads out of the archive")
    return root / relative


def _ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield `function` of each item in order, with a bounded number of items in flight.

    An error of the function is raised here, and what has not begun by then is dropped. A single
    worker is this thread: what another one frees, the allocator seldom gives it again.
    """
    if workers == 1:
        yield from map(function, items)
        return
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
