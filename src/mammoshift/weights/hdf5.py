"""Tensors of an HDF5 file, of which nothing is executed and nothing outside it is opened.

HDF5 can name other files, hide any amount of data behind a few bytes, and ask for plug-ins. Only
what Keras writes for weights is read: plain groups and arrays of floating-point numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from mammoshift.errors import WeightsError

MODEL_WEIGHTS = "model_weights"
"""Group that holds the weights where a file holds a whole model."""
DEPTH_LIMIT = 12
OBJECTS_LIMIT = 20_000
BYTES_LIMIT = 2**30
CHUNK_LIMIT = 2**26
_KNOWN_FILTERS = frozenset({1, 2, 3})
"""Numbers, in HDF5, of deflate, shuffle and the checksum Fletcher32."""


def read_arrays(path: Path) -> dict[str, NDArray[np.floating]]:
    """Return the arrays of an HDF5 file by their paths, those of the model where there is more.

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds a link, a type, a filter or an amount of data that
        weights do not have.
    """
    try:
        with h5py.File(path, "r", libver="latest", locking=False) as file:
            link = file.get(MODEL_WEIGHTS, getlink=True)
            root = file[MODEL_WEIGHTS] if isinstance(link, h5py.HardLink) else file
            if not isinstance(root, h5py.Group):
                raise WeightsError(f"{MODEL_WEIGHTS} is no group")
            found = dict(_datasets(root, [0]))
            total = sum(_bytes(dataset) for dataset in found.values())
            if total > BYTES_LIMIT:
                raise WeightsError(
                    f"holds arrays of {total / 2**30:.3g} GiB; the limit is "
                    f"{BYTES_LIMIT / 2**30:.3g} GiB"
                )
            return {name: dataset[()] for name, dataset in found.items()}
    # A hostile or damaged file can fail in many ways; none of them may pass as another error.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise WeightsError(f"cannot be read as HDF5: {error}") from error


def _datasets(
    group: h5py.Group, seen: list[int], path: str = "", depth: int = 0
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the arrays below a group; `seen` holds the number of objects that were looked at."""
    if depth > DEPTH_LIMIT:
        raise WeightsError(f"its groups lie in each other more than {DEPTH_LIMIT} deep: {path}")
    for name in map(str, group):
        where = f"{path}/{name}" if path else name
        seen[0] += 1
        if seen[0] > OBJECTS_LIMIT:
            raise WeightsError(f"holds more than {OBJECTS_LIMIT} objects")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{where} is a link to somewhere else; weights have none")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, seen, where, depth + 1)
        elif isinstance(item, h5py.Dataset):
            _check(where, item)
            yield where, item
        else:
            raise WeightsError(f"{where} is neither a group nor an array")


def _check(where: str, dataset: h5py.Dataset) -> None:
    if dataset.dtype.kind != "f":
        raise WeightsError(
            f"{where} holds {dataset.dtype}; weights are floating-point numbers alone"
        )
    if dataset.shape is None:
        raise WeightsError(f"{where} holds nothing")
    if dataset.is_virtual or dataset.external:
        raise WeightsError(f"{where} keeps its numbers in other files")
    settings = dataset.id.get_create_plist()
    filters = {settings.get_filter(number)[0] for number in range(settings.get_nfilters())}
    if filters - _KNOWN_FILTERS:
        raise WeightsError(f"{where} is packed by filters that are not known: {sorted(filters)}")
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > CHUNK_LIMIT:
        raise WeightsError(f"{where} is stored in parts of more than {CHUNK_LIMIT} bytes")


def _bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.shape) * dataset.dtype.itemsize
