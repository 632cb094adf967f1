"""Which files a command's arguments stand for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mammoshift.errors import TableError
from mammoshift.imaging.header import DICOM_SUFFIXES, RASTER_SUFFIXES

_SUFFIXES = DICOM_SUFFIXES | RASTER_SUFFIXES | {""}


def named_files(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield the files that arguments name.

    A folder stands for the image files below it, by suffix or without any, sorted; `@LIST` for the
    paths in a text file, one in each line; `-` for those on standard input. Whether a file exists
    is not asked here.

    Raises
    ------
    TableError
        If a list cannot be read.
    """
    for argument in arguments:
        if argument == "-":
            yield from _expanded(line.rstrip("\n") for line in sys.stdin)
        elif argument.startswith("@"):
            yield from _expanded(_lines(Path(argument[1:])))
        else:
            yield from _expanded([argument])


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                yield line.rstrip("\n")
    except OSError as error:
        raise TableError(f"{path}: the list cannot be read: {error.strerror}") from None


def _expanded(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if not name.strip():
            continue
        path = Path(name)
        if os.path.isdir(name):  # noqa: PTH112 - a name with a null byte is no folder, not an error
            files = _below(path)
            yield next(files, path)
            yield from files
        else:
            yield path


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(place, name)
