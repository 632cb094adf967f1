"""Fingerprints of a stored array: one for equal pixels, two for pictures that look alike."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def pixel_hash(array: NDArray[np.uint16]) -> str:
    """Return the BLAKE2b hash (16 bytes, hexadecimal) of an array's shape and pixels."""
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array, dtype="<u2").data)
    return digest.hexdigest()


def difference_hash(array: NDArray[np.uint16]) -> int:
    """Return the 64-bit difference hash of a picture, shape (rows, columns).

    The picture is averaged to 8 rows of 9 columns; each bit says whether a cell is brighter
    than its left neighbour. It survives scaling, monotone tone curves and light compression,
    but not shifts or rotation. The first row's first pair is the highest bit.
    """
    return int.from_bytes(_brighter(_averages(array, 8, 9)), "big")


def fine_difference_hash(array: NDArray[np.uint16]) -> bytes:
    """Return a difference hash of 512 bits: 16 x 16 cells, along the rows and down the columns."""
    down = np.ascontiguousarray(_averages(array, 17, 16).T)
    return _brighter(_averages(array, 16, 17)) + _brighter(down)


def _averages(array: NDArray[np.uint16], rows: int, columns: int) -> NDArray[np.uint16]:
    """Return the averages of rows x columns cells, rounded."""
    if array.shape[0] < rows or array.shape[1] < columns:
        return cv2.resize(array, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
    return np.rint(_band_means(_band_means(array, rows).T, columns).T).astype(np.uint16)


def _band_means(array: NDArray[Any], bands: int) -> NDArray[np.floating[Any]]:
    """Return the means of bands of equal height: shape (bands, columns).

    A row that an edge divides counts for both bands by its parts.
    """
    edges = np.arange(bands + 1) * (len(array) / bands)
    whole = np.minimum(edges.astype(np.intp), len(array) - 1)
    up_to_edge = (edges - whole)[:, None] * array[whole]
    kind = np.uint64 if array.dtype.kind == "u" else np.float64
    between = [array[start:end].sum(axis=0, dtype=kind) for start, end in itertools.pairwise(whole)]
    sums = np.array(between, np.float64) + np.diff(up_to_edge, axis=0)
    return sums * (bands / len(array))


def _brighter(averages: NDArray[np.uint16]) -> bytes:
    """Return a bit for each cell but the first of a row: brighter than the one to its left."""
    return np.packbits(averages[:, 1:] > averages[:, :-1]).tobytes()
