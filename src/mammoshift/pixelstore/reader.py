"""Reading arrays from a pixel store: memory-mapped, lazily opened, cheap to send to a worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.errors import TableError
from mammoshift.pixelstore.index import ARRAY_FILE, INDEX_FILE, read_index
from mammoshift.pixelstore.receipt import checked_folders, stores_by_dataset


@dataclass(frozen=True)
class StoreStatistics:
    """Intensity statistics over all pixels of a store, as intensities in [0, 1].

    Attributes
    ----------
    images
        Number of images; with none, the other values are nan.
    mean, std
        Mean and standard deviation of a pixel, padding included.
    minimum, maximum
        Extremes.
    """

    images: int
    mean: float
    std: float
    minimum: float
    maximum: float


class PixelStore:
    """The arrays of one dataset and input variant.

    Use `PixelStore.open`. Pickling sends the index and the paths, not the arrays, so that a
    store can be handed to the workers of a data loader.
    """

    def __init__(self, folders: tuple[Path, ...], index: pd.DataFrame, shape: tuple[int, int]):
        self._folders = folders
        self._index = index
        self._shape = shape
        self._places: dict[str, tuple[int, int]] = dict(
            zip(
                index["item_id"],
                zip(index["shard"].tolist(), index["row"].tolist(), strict=True),
                strict=True,
            )
        )
        self._arrays: dict[int, NDArray[np.uint16]] = {}

    @classmethod
    def open(cls, shard_folders: Sequence[Path]) -> PixelStore:
        """Open the shards in `shard_folders`; empty shards are allowed.

        Raises
        ------
        TableError
            If a shard is incomplete, its index and array disagree, the shards differ in the
            size of their images, or an image is in two shards.
        """
        folders = tuple(Path(folder) for folder in shard_folders)
        if not folders:
            raise TableError("a pixel store needs at least one shard folder")
        indices = []
        shapes: set[tuple[int, int]] = set()
        for number, folder in enumerate(folders):
            index = read_index(folder)
            images, shape = _header(folder / ARRAY_FILE)
            if images != len(index):
                raise TableError(
                    f"{folder}: {images} arrays but {len(index)} index rows; "
                    "preprocess this shard again"
                )
            shapes.add(shape)
            indices.append(index.assign(shard=number))
        if len(shapes) > 1:
            raise TableError(f"{folders[0].parent}: shards of different image sizes {shapes}")
        index = pd.concat(indices, ignore_index=True)
        repeated = index["item_id"][index["item_id"].duplicated()]
        if len(repeated):
            raise TableError(f"image {repeated.iloc[0]} is in more than one shard or row")
        return cls(folders, index, shapes.pop())

    @property
    def item_ids(self) -> tuple[str, ...]:
        """All images or patches, in the order of the shards and their rows."""
        return tuple(self._places)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every array."""
        return self._shape

    @property
    def index(self) -> pd.DataFrame:
        """The indices of all shards in one table; `shard` counts the folders."""
        return self._index

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._places

    def read(self, item_id: str) -> NDArray[np.uint16]:
        """Return a copy of one image: uint16, shape (rows, columns), intensities 0 to 65535.

        Raises
        ------
        TableError
            If the store has no such image.
        """
        place = self._places.get(item_id)
        if place is None:
            raise TableError(
                f"{self._folders[0].parent}: the pixel store has no image {item_id}; "
                "see the shards' exclusions.csv for images that could not be read"
            )
        shard, row = place
        array = self._arrays.get(shard)
        if array is None:
            array = np.load(self._folders[shard] / ARRAY_FILE, mmap_mode="r", allow_pickle=False)
            self._arrays[shard] = array
        return np.array(array[row])

    def statistics(self) -> StoreStatistics:
        """Combine the statistics of the images, which all have the same number of pixels."""
        index = self._index
        if index.empty:
            return StoreStatistics(0, *(4 * (float("nan"),)))
        mean = index["mean"].mean()
        second_moment = (index["std"] ** 2 + index["mean"] ** 2).mean()
        std = float(np.sqrt(max(second_moment - mean**2, 0.0)))
        largest = 65_535.0
        return StoreStatistics(
            images=len(index),
            mean=float(mean) / largest,
            std=std / largest,
            minimum=float(index["min"].min()) / largest,
            maximum=float(index["max"].max()) / largest,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}


def _header(path: Path) -> tuple[int, tuple[int, int]]:
    """Return the number and the shape of the arrays in `path` without mapping it."""
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError("another version of the format")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            pixels_at = stream.tell()
            size = stream.seek(0, 2) - pixels_at
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: not a readable array file; preprocess it again") from error
    if len(shape) != 3 or fortran or dtype != np.dtype("<u2"):
        raise TableError(f"{path}: not an array of 16-bit images; preprocess it again")
    if size != 2 * int(np.prod(shape, dtype=np.int64)):
        raise TableError(f"{path}: the file is truncated or damaged; preprocess it again")
    return shape[0], (shape[1], shape[2])


def items_by_dataset(receipts: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Return the index of each whole store by its dataset, after a check of its files' content."""
    found = {}
    for dataset, path in stores_by_dataset(receipts).items():
        folders = checked_folders(path, (INDEX_FILE,))
        found[dataset] = pd.concat([read_index(folder) for folder in folders], ignore_index=True)
    return found
