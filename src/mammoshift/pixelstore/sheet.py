"""The contact sheet of a dataset: those of its images that should be looked at first.

Half of them are those whose breast fills least of the range of its array, half those whose mask
is least certain; images without a breast come before all. Only these are decoded again.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.contact_sheet import SheetRecord, ShownImage, write_record
from mammoshift.errors import UnreadableImageError
from mammoshift.files import atomic_path
from mammoshift.imaging.breast import Box
from mammoshift.imaging.contact_sheet import (
    Picture,
    Shown,
    compose_sheet,
    draw_tile,
    opaque_name,
)
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import read_header
from mammoshift.imaging.preprocess import (
    Preprocessed,
    expected_wall,
    region_of,
    shown_region,
)
from mammoshift.pixelstore.index import INDEX_FILE
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.receipt import checked_folders
from mammoshift.pixelstore.writer import boxes_of_regions, path_below, preprocess_files

LARGEST = 24
"""Images on a sheet."""

SAMPLE = 192
"""Images of a raw archive, at most, that those on its sheet are chosen from."""

_QUALITY = 80
_SAID_OF_A_VIEW = ("laterality", "view")
_LOG = logging.getLogger(__name__)


class Item(NamedTuple):
    """What a sheet takes of a row of the index of a store."""

    item_id: str
    image_id: str
    crop_top: int
    crop_left: int
    crop_bottom: int
    crop_right: int
    flipped: bool
    breast_found: bool
    certainty: float
    filled_share: float


def write_contact_sheet(
    files: pd.DataFrame,
    annotations: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    store: Path,
    picture: Path,
) -> SheetRecord:
    """Draw the contact sheet of a pixel store; memory does not grow with the store.

    Parameters
    ----------
    files, annotations
        Of the dataset, as ingestion lists them.
    root
        Folder of the raw archive.
    recipe
        What every array of the store is.
    store
        The receipt of the store.
    picture
        Where the sheet is written, as JPEG; the record goes beside it, as JSON.
    """
    items = PixelStore.open(checked_folders(store, (INDEX_FILE,)))
    images = items.index.drop_duplicates("image_id")

    def stored(item: Item) -> Preprocessed:
        """Return an array of the store; where its content lies in it is not needed."""
        array = items.read(item.item_id)
        whole = Box(0, 0, *array.shape)
        return Preprocessed(
            array=array,
            crop=Box(item.crop_top, item.crop_left, item.crop_bottom, item.crop_right),
            content=whole,
            flipped=item.flipped,
            breast_found=item.breast_found,
            pixel_spacing_mm=None,
            filled_share=item.filled_share,
            certainty=item.certainty,
        )

    chosen = first_looked_at(images, LARGEST)
    taken = {item.image_id: stored(item) for item in map(_item, _records(chosen))}
    record = _draw(files, annotations, root, recipe, taken, picture, len(images))
    write_record(record, picture.with_suffix(".json"))
    return record


def sheet_of_archive(
    files: pd.DataFrame,
    annotations: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    picture: Path,
    workers: int = 1,
) -> SheetRecord:
    """Draw the contact sheet of a raw archive, of at most `SAMPLE` images drawn by a hash.

    Parameters
    ----------
    files
        Columns image_id, dataset, path, pixel_spacing_mm, laterality, view, mirrored and
        subtracted.
    annotations, root, recipe, picture
        As for `write_contact_sheet`.
    workers
        Number of threads.
    """
    drawn = files["image_id"].map(opaque_name).sort_values(kind="stable").index[:SAMPLE]
    sample = files.loc[drawn]
    rows: list[dict[str, object]] = []
    for image_id, done in preprocess_files(sample, root, recipe, workers):
        rows.append(
            {
                "image_id": image_id,
                "breast_found": done.breast_found,
                "certainty": done.certainty,
                "filled_share": done.filled_share,
            }
        )
    if not rows:
        raise UnreadableImageError(f"{root}: none of {len(sample)} images can be decoded")
    chosen = first_looked_at(pd.DataFrame(rows), LARGEST)
    again = sample[sample["image_id"].isin(chosen["image_id"])]
    taken = dict(preprocess_files(again, root, recipe, workers))
    ordered = {name: taken[name] for name in chosen["image_id"] if name in taken}
    return _draw(files, annotations, root, recipe, ordered, picture, len(rows))


def first_looked_at(images: pd.DataFrame, largest: int) -> pd.DataFrame:
    """Return at most `largest` rows, those without a breast first, then the extremes.

    Parameters
    ----------
    images
        One row for each image, with the columns image_id, breast_found, certainty, filled_share.
    """
    filled = images["filled_share"].rank(method="first")
    certain = images["certainty"].rank(method="first")
    order = pd.DataFrame(
        {
            "found": images["breast_found"],
            "rank": np.minimum(filled, certain),
            "image_id": images["image_id"],
        }
    ).sort_values(["found", "rank", "image_id"])
    return images.loc[order.index[:largest]]


def _draw(
    files: pd.DataFrame,
    annotations: pd.DataFrame,
    root: Path,
    recipe: InputRecipe,
    taken: Mapping[str, Preprocessed],
    picture: Path,
    images: int,
) -> SheetRecord:
    """Draw the images that were chosen, in their order, one decoded at a time."""
    rows = {row["image_id"]: row for row in _records(files[files["image_id"].isin(taken.keys())])}
    boxes = boxes_of_regions(annotations[annotations["image_id"].isin(taken.keys())])
    tiles, shown = [], []
    for image_id, done in taken.items():
        try:
            one = _shown(rows[image_id], root, recipe, boxes.get(image_id, ()), done)
        except UnreadableImageError:
            _LOG.warning("%s cannot be read any more and is not on the sheet", image_id)
            continue
        tiles.append(draw_tile(one))
        name = opaque_name(one.key)
        filled, certain = round(done.filled_share, 3), round(done.certainty, 3)
        shown.append(ShownImage(name, filled, certain, done.breast_found))
    height, width = _write_sheet(tiles, picture)
    dataset = str(files["dataset"].iloc[0]) if len(files) else ""
    return SheetRecord(dataset, picture.name, height, width, images, tuple(shown))


def _shown(
    row: Mapping[Hashable, Any],
    root: Path,
    recipe: InputRecipe,
    regions: Sequence[Box],
    done: Preprocessed,
) -> Shown:
    path = path_below(root, row["path"])
    image = replace(decode_image(path), subtracted=bool(row.get("subtracted", False)))
    laterality, view = (None if pd.isna(row[name]) else row[name] for name in _SAID_OF_A_VIEW)
    region = region_of(image, recipe, expected_wall(laterality, bool(row.get("mirrored", False))))
    return Shown(
        key=f"{row['dataset']}/{row['image_id']}",
        image=image,
        region=shown_region(image, recipe, region, view),
        crop=done.crop,
        array=done.array,
        regions=regions,
        filled_share=done.filled_share,
        certainty=done.certainty,
        burned_in=read_header(path).burned_in is True,
    )


def _write_sheet(tiles: Sequence[Picture], picture: Path) -> tuple[int, int]:
    """Write tiles as one file, JPEG or PNG by its suffix; return its rows and columns."""
    sheet = compose_sheet(tiles)
    with atomic_path(picture) as temporary:
        is_png = picture.suffix.lower() == ".png"
        options = [] if is_png else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        cv2.imwrite(str(temporary), sheet, options)
    return sheet.shape[0], sheet.shape[1]


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.to_dict("records")


def _item(row: Mapping[Hashable, Any]) -> Item:
    return Item(**{field: row[field] for field in Item._fields})
