"""Random reads from a pixel store against copies from a plain memory-mapped array.

Run `python benchmarks/pixel_store.py`. The files are in the page cache for both, so that the
ratio shows what the store adds; the limit for an image of 1520 x 912 is 2 ms.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.pixelstore.index import ARRAY_FILE
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.writer import write_shard

SIZE = (1520, 912)
IMAGES_PER_SHARD = 12
SHARDS = 4
READS = 400


def main() -> None:
    """Print the median and 99th percentile of both, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folders = write_store(Path(name))
        store = PixelStore.open(folders)
        plain = [np.load(folder / ARRAY_FILE, mmap_mode="r") for folder in folders]
        generator = np.random.default_rng(0)
        names = generator.choice(np.array(store.item_ids), READS).tolist()
        places = generator.integers(0, SHARDS * IMAGES_PER_SHARD, READS).tolist()
        floor = times_ms(
            lambda place: np.array(plain[place // IMAGES_PER_SHARD][place % IMAGES_PER_SHARD]),
            places,
        )
        taken = times_ms(store.read, names)
    for what, values in (("memory map copy (floor)", floor), ("pixel store", taken)):
        last = float(np.percentile(values, 99))
        print(f"{what}: median {statistics.median(values):.3f} ms, 99 % within {last:.3f} ms")
    print(f"ratio of the medians: {statistics.median(taken) / statistics.median(floor):.2f}")


def write_store(root: Path) -> list[Path]:
    """Write shards of noise images and return their folders."""
    generator = np.random.default_rng(1)
    raw = root / "noise.pgm"
    pixels = generator.integers(0, 256, SIZE, dtype=np.uint8)
    raw.write_bytes(f"P5\n{SIZE[1]} {SIZE[0]}\n255\n".encode() + pixels.tobytes())
    recipe = InputRecipe(size=SIZE, tone="full_range", crop="none", orientation="as_stored")
    folders = []
    for shard in range(SHARDS):
        manifest = pd.DataFrame(
            {
                "image_id": [f"image{shard}_{number}" for number in range(IMAGES_PER_SHARD)],
                "dataset": "benchmark",
                "laterality": None,
                "path": raw.name,
                "pixel_spacing_mm": np.nan,
            }
        )
        folders.append(root / str(shard))
        write_shard(manifest, root, recipe, folders[-1])
    return folders


def times_ms(function: Callable[..., object], arguments: Sequence[object]) -> list[float]:
    """Return the time of one call for each argument in milliseconds; a first pass warms up."""
    taken = []
    for counted in (False, True):
        for argument in arguments:
            start = time.perf_counter()
            function(argument)
            if counted:
                taken.append(1000.0 * (time.perf_counter() - start))
    return taken


if __name__ == "__main__":
    main()
