"""Preprocessing one raw 12-megapixel DICOM file against reading it and resizing it once.

Run `python benchmarks/preprocessing.py`. Every time is processor time with one OpenCV thread, the
median over repetitions that alternate with those of the floor; the ratio, not the time, is what
carries over to other machines. Only the gain of a second thread is wall time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.preprocess import preprocess_image
from mammoshift.pixelstore.writer import write_shard

ROWS, COLUMNS = 4000, 3000
SIZE = (1520, 912)
REPETITIONS = 9
IMAGES = 8
TONES = ("dicom_voi", "percentile", "film_log")


def main() -> None:
    """Print the floor, each recipe's time and ratio, and what a second thread gains."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        write_breast(path)
        recipes = {tone: InputRecipe(size=SIZE, tone=tone, mask="breast") for tone in TONES}
        taken = medians_ms(
            {
                "floor": lambda: read_and_resize(path),
                "decode": lambda: decode_image(path),
                **{
                    tone: partial(decode_and_preprocess, path, recipe)
                    for tone, recipe in recipes.items()
                },
            }
        )
        floor = taken.pop("floor")
        print(f"floor: read {ROWS} x {COLUMNS} x 16 bit, one INTER_AREA resize: {floor:.1f} ms")
        for what, milliseconds in taken.items():
            print(f"{what}: {milliseconds:.1f} ms, {milliseconds / floor:.2f} x floor")
        print_scaling(path, Path(folder) / "shard")


def write_breast(path: Path) -> None:
    """Write a textured half-ellipse as an uncompressed 12-in-16-bit DICOM file."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    inside = (x / (0.7 * COLUMNS)) ** 2 + ((y - ROWS / 2) / (0.46 * ROWS)) ** 2 < 1.0
    noise = np.random.default_rng(0).normal(0.0, 20.0, inside.shape).astype(np.float32)
    tissue = 2000.0 + 800.0 * np.sin(x / 90.0) * np.cos(y / 70.0)
    pixels = np.clip(np.where(inside, tissue, 60.0) + noise, 0.0, 4095.0).astype("<u2")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = UID("1.2.3")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.add_new("PixelData", "OW", pixels.tobytes())
    dataset.save_as(path, enforce_file_format=True)


def read_and_resize(path: Path) -> object:
    """Do the least that any preprocessing must: read the pixels and average them down once."""
    offset = path.stat().st_size - 2 * ROWS * COLUMNS
    pixels = np.fromfile(path, np.uint16, offset=offset).reshape(ROWS, COLUMNS)
    return cv2.resize(pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)


def decode_and_preprocess(path: Path, recipe: InputRecipe) -> object:
    """Do what a shard's writer does with one image, up to the array."""
    return preprocess_image(decode_image(path), recipe)


def print_scaling(path: Path, destination: Path) -> None:
    """Print the time of a shard written by one and by two threads."""
    manifest = pd.DataFrame(
        {
            "image_id": [f"image{number}" for number in range(IMAGES)],
            "dataset": "benchmark",
            "laterality": None,
            "path": path.name,
            "pixel_spacing_mm": 0.1,
        }
    )
    recipe = InputRecipe(size=SIZE, tone="percentile")
    taken = {}
    for workers in (1, 2):
        start = time.perf_counter()
        write_shard(manifest, path.parent, recipe, destination, workers=workers)
        taken[workers] = 1000.0 * (time.perf_counter() - start) / IMAGES
    print(
        f"shard: {taken[1]:.1f} ms per image with one thread, {taken[2]:.1f} ms with two: "
        f"{taken[1] / taken[2]:.2f} times as fast"
    )


def medians_ms(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median processor time of each function in milliseconds, after one warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for repetition in range(REPETITIONS + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if repetition:
                taken[name].append(1000.0 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
