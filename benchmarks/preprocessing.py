"""Preprocessing one raw 12-megapixel DICOM file against the least that it takes, and the usual way.

Run `python benchmarks/preprocessing.py`. For each transfer syntax the floor decodes the pixels
with the fastest decoder at hand, counts their values once, averages them down once and writes the
array; the ratio is that of an image of a shard (four here, up to 256 in a store). The peer decodes
with pydicom, opens the breast at full resolution, resizes with scikit-image and writes a PNG. Every
time is processor time with one OpenCV thread and memory kept as a job keeps it, the median over
repetitions that alternate with those of the floor; the ratio, not the time, is what carries over to
other machines. Only the gain of a second thread is wall time.

With the two virtual cores (AMD EPYC) nearly to itself, other small commands could not be kept away:
uncompressed 1.69 (`dicom_voi` with a window) to 1.80 (percentiles of the breast), RLE 1.44; a
second thread makes a shard 1.37, 1.46 and 1.88 times as fast in three runs. Beside other work JPEG
lossless 1.2, JPEG-LS 1.1, JPEG 2000 1.0, HTJ2K 1.3; 44 times as fast as the usual way. Of the 25 ms
above the floor of uncompressed files 13 go into finding the breast, 6 into its histogram and 5 into
hashes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pandas as pd
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders import RLELosslessEncoder  # type: ignore[attr-defined]
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from skimage.measure import label
from skimage.morphology import disk, opening
from skimage.transform import resize

from mammoshift.configuration.model import InputRecipe
from mammoshift.execution.allocator import keep_freed_memory
from mammoshift.pixelstore.writer import write_shard

ROWS, COLUMNS = 4000, 3000
SIZE = (1520, 912)
REPETITIONS = 7
IN_A_SHARD, IMAGES = 4, 8
RATIO, AGAINST_USUAL, SECOND_THREAD = 1.5, 10.0, 1.8
TONES = ("dicom_voi", "percentile", "film_log")
Pixels = NDArray[np.uint16]


def _rle_decode(frame: bytes) -> Pixels:
    whole = imagecodecs.dicomrle_decode(frame, "<u2", out=bytearray(2 * ROWS * COLUMNS))
    return np.frombuffer(whole, "<u2").reshape(ROWS, COLUMNS)


def _rle_encode(pixels: Pixels) -> bytes:
    return RLELosslessEncoder.encode(
        pixels,
        rows=ROWS,
        columns=COLUMNS,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
    )


SYNTAXES: dict[str, tuple[str, Callable[[Pixels], Any], Callable[[bytes], Any]]] = {
    "RLE": ("1.2.840.10008.1.2.5", _rle_encode, _rle_decode),
    "JPEG lossless": (
        "1.2.840.10008.1.2.4.70",
        lambda pixels: imagecodecs.jpeg8_encode(
            pixels, lossless=True, predictor=1, bitspersample=12
        ),
        imagecodecs.jpeg8_decode,
    ),
    "JPEG-LS": (
        "1.2.840.10008.1.2.4.80",
        imagecodecs.jpegls_encode,
        imagecodecs.jpegls_decode,
    ),
    "JPEG 2000": (
        "1.2.840.10008.1.2.4.90",
        lambda pixels: imagecodecs.jpeg2k_encode(
            pixels, codecformat="j2k", level=0, reversible=True, bitspersample=12
        ),
        imagecodecs.jpeg2k_decode,
    ),
    "HTJ2K": (
        "1.2.840.10008.1.2.4.201",
        imagecodecs.htj2k_encode,
        imagecodecs.htj2k_decode,
    ),
}


def main() -> None:
    """Print every ratio, the usual way's, and what a second thread gains."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pixels = breast()
        path = write_dicom(place / "image.dcm", pixels)
        for tone in TONES:
            recipe = InputRecipe.model_validate({"size": SIZE, "tone": tone, "mask": "breast"})
            print_ratio(f"uncompressed, {tone}", path, partial(read_native, path), recipe, place)
        recipe = InputRecipe(size=SIZE, tone="dicom_voi", mask="breast")
        for name, (syntax, encode, decode) in SYNTAXES.items():
            file = write_dicom(place / f"{name}.dcm", pixels, syntax, encode(pixels))
            print_ratio(
                f"{name}, dicom_voi", file, partial(read_frame, file, decode), recipe, place
            )
        print_against_usual(path, recipe, place)
        print_scaling(path, place / "shard")


def breast() -> Pixels:
    """Return a textured half-ellipse of 12 bits."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    inside = (x / (0.7 * COLUMNS)) ** 2 + ((y - ROWS / 2) / (0.46 * ROWS)) ** 2 < 1.0
    noise = np.random.default_rng(0).normal(0.0, 20.0, inside.shape).astype(np.float32)
    tissue = 2000.0 + 800.0 * np.sin(x / 90.0) * np.cos(y / 70.0)
    return np.clip(np.where(inside, tissue, 60.0) + noise, 0.0, 4095.0).astype("<u2")


def write_dicom(
    path: Path, pixels: Pixels, syntax: str = ExplicitVRLittleEndian, frame: bytes = b""
) -> Path:
    """Write a 12-in-16-bit DICOM file, as one compressed frame where one is given."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = UID("1.2.3")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    if frame:
        dataset.add_new("PixelData", "OB", encapsulate([frame]))
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.add_new("PixelData", "OW", pixels.tobytes())
    dataset.save_as(path, enforce_file_format=True)
    return path


def read_native(path: Path) -> Pixels:
    """Read the pixels at the end of an uncompressed file."""
    offset = path.stat().st_size - 2 * ROWS * COLUMNS
    return np.fromfile(path, np.uint16, offset=offset).reshape(ROWS, COLUMNS)


def read_frame(path: Path, decode: Callable[[bytes], Pixels]) -> Pixels:
    """Decode the only frame of a compressed file."""
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00") + 12
    return decode(next(generate_frames(content[start:], number_of_frames=1)))


def floor(read: Callable[[], Pixels], place: Path) -> None:
    """Do the least that any preprocessing must: decode, count, average down once, write."""
    pixels = read()
    cv2.calcHist([pixels], [0], None, [1 << 16], [0, 1 << 16])
    np.save(place / "floor.npy", cv2.resize(pixels, SIZE[::-1], interpolation=cv2.INTER_AREA))


def usual(path: Path, place: Path) -> None:
    """Do what scripts of papers do: one PNG for each image, everything at full resolution."""
    pixels = pydicom.dcmread(path).pixel_array
    bright = opening(pixels > 0.1 * pixels.max(), disk(5))
    parts = np.asarray(label(bright))
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows, columns = (np.flatnonzero(largest.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = np.asarray(resize((pixels * largest)[box], SIZE, anti_aliasing=True))
    cv2.imwrite(str(place / "usual.png"), (65535.0 * small / small.max()).astype(np.uint16))


def manifest(path: Path, images: int) -> pd.DataFrame:
    """Return a list of files that names one file several times."""
    return pd.DataFrame(
        {
            "image_id": [f"image{number}" for number in range(images)],
            "dataset": "benchmark",
            "laterality": None,
            "path": path.name,
            "pixel_spacing_mm": 0.1,
        }
    )


def ours(path: Path, recipe: InputRecipe, place: Path) -> None:
    """Write a shard of some images, hashes and index included."""
    write_shard(manifest(path, IN_A_SHARD), path.parent, recipe, place / "some")


def print_ratio(
    name: str, path: Path, read: Callable[[], Pixels], recipe: InputRecipe, place: Path
) -> None:
    """Print the time of an image of a shard against its floor."""
    taken = medians_ms(
        {"floor": partial(floor, read, place), "ours": partial(ours, path, recipe, place)},
        REPETITIONS,
    )
    taken["ours"] /= IN_A_SHARD
    print(
        f"{name}: {taken['ours']:.0f} ms, floor {taken['floor']:.0f} ms, "
        f"ratio {taken['ours'] / taken['floor']:.2f} (limit {RATIO})",
        flush=True,
    )


def print_against_usual(path: Path, recipe: InputRecipe, place: Path) -> None:
    """Print how many times as fast as a script of the usual kind a shard is written."""
    taken = medians_ms(
        {"usual": partial(usual, path, place), "ours": partial(ours, path, recipe, place)}, 3
    )
    taken["ours"] /= IN_A_SHARD
    print(
        f"a PNG for each image: {taken['usual']:.0f} ms, ours {taken['ours']:.0f} ms: "
        f"{taken['usual'] / taken['ours']:.1f} times as fast (at least {AGAINST_USUAL:g})",
        flush=True,
    )


def print_scaling(path: Path, destination: Path) -> None:
    """Print the time of a shard written by one and by two threads."""
    recipe = InputRecipe(size=SIZE, tone="percentile")
    taken = {}
    for workers in (1, 2):
        start = time.perf_counter()
        write_shard(manifest(path, IMAGES), path.parent, recipe, destination, workers=workers)
        taken[workers] = 1000.0 * (time.perf_counter() - start) / IMAGES
    print(
        f"shard: {taken[1]:.1f} ms per image with one thread, {taken[2]:.1f} ms with two: "
        f"{taken[1] / taken[2]:.2f} times as fast (at least {SECOND_THREAD} on an idle machine)"
    )


def medians_ms(functions: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median processor time of each function in milliseconds, after one warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for repetition in range(repetitions + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if repetition:
                taken[name].append(1000.0 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
