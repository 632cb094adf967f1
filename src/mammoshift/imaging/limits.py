"""The one set of limits that every image file passes, for ingestion and for decoding alike.

A header that promises more is damage, or a file that was made to exhaust the machine.
"""

from __future__ import annotations

import stat
from pathlib import Path

from mammoshift.errors import UnreadableImageError

MAXIMUM_FILE_BYTES = 1024**3
"""Largest file that is opened: no single mammogram comes near it."""

MAXIMUM_SAMPLES = 150_000_000
"""Largest rows x columns x channels: four times the largest film scans, of 35 million pixels."""

MAXIMUM_UNPACKED_BYTES = 2 * MAXIMUM_SAMPLES + 16 * 1024**2
"""Largest data set of a deflated file and largest codestream: sixteen bits for each sample."""

MAXIMUM_VALUE_BYTES = 64 * 1024
"""Longest value of a DICOM attribute that is read."""

MAXIMUM_SEQUENCE_BYTES = 4 * 1024**2
"""Longest sequence that is read: some thirty lookup tables of sixteen bits."""

_UNQUESTIONED_PIXELS = 4_000_000
_MOST_PIXELS_PER_BYTE = 1000


def check_file_size(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises
    ------
    UnreadableImageError
        If it is missing, not a plain file, empty or larger than `MAXIMUM_FILE_BYTES`.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise UnreadableImageError("the file does not exist") from None
    except OSError as error:
        raise UnreadableImageError(f"the file cannot be opened: {error.strerror}") from None
    size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError("the path leads to something that is no file")
    if size == 0:
        raise UnreadableImageError("the file is empty")
    if size > MAXIMUM_FILE_BYTES:
        raise UnreadableImageError("the file is larger than the limit of 1 GiB")
    return size


def check_size(rows: int, columns: int, channels: int = 1) -> None:
    """Refuse a size that is empty or too large to be a mammogram, before memory is asked for.

    Raises
    ------
    UnreadableImageError
        If a length is not positive or the product exceeds `MAXIMUM_SAMPLES`.
    """
    if rows < 1 or columns < 1 or channels < 1:
        raise UnreadableImageError(f"the image has no pixels ({rows} x {columns})")
    if rows * columns * channels > MAXIMUM_SAMPLES:
        raise UnreadableImageError(
            f"the header promises {rows} x {columns} x {channels} samples, "
            f"more than the limit of {MAXIMUM_SAMPLES}"
        )


def check_compression(rows: int, columns: int, size: int) -> None:
    """Refuse a large image in a codestream of `size` bytes that can hold no mammogram.

    Wavelet and run-length coders describe an empty image of any size in a few hundred bytes;
    lossy compression that still shows a breast stays far below 1000 pixels for each byte.

    Raises
    ------
    UnreadableImageError
        If more than four million pixels share less than a byte for each thousand.
    """
    pixels = rows * columns
    if pixels > max(_UNQUESTIONED_PIXELS, _MOST_PIXELS_PER_BYTE * size):
        raise UnreadableImageError(
            f"a codestream of {size} bytes promises {rows} x {columns} pixels; "
            "it can hold no mammogram"
        )
