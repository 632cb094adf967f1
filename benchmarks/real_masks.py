"""Masks, crops and sides on real images: what is cut off, and what is taken in.

Run `python benchmarks/real_masks.py MIAS CESM`, the folders of the films of mini-MIAS and of the
subtracted images of CDD-CESM. No picture is written. Every film of mini-MIAS is an oblique view.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from mammoshift.imaging.breast import locate_breast, mask_in_box, without_pectoral
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.preprocess import expected_wall

NAMED = ("mdb002", "mdb010", "mdb151", "mdb152", "mdb269", "mdb283", "mdb289", "mdb305")
BRIGHT_SHARE = 0.004
QUARTILES = (0, 25, 50, 75, 100)


def main(films: Path, subtracted: Path) -> None:
    """Print the numbers of both collections."""
    sides, muscles = 0, {}
    paths = sorted(films.glob("mdb*.pgm"))
    print("| film | chest wall | mask: share of the image | white in the image | in the mask |")
    print("|---|---|---|---|---|")
    for path in paths:
        image = decode_image(path)
        odd = int(path.stem[3:6]) % 2 == 1
        wall = expected_wall("left" if odd else "right", mirrored=True)
        region = locate_breast(image, wall)
        sides += region.chest_wall == wall
        kept = without_pectoral(image, region, "MLO").mask
        muscles[path.stem] = 1.0 - cv2.countNonZero(kept) / cv2.countNonZero(region.mask)
        if path.stem in NAMED:
            mask = mask_in_box(region, region.box, region.box.rows, region.box.columns) > 0
            white = image.pixels > 240
            inside = region.box.of(white)[mask]
            print(
                f"| {path.stem} | {region.chest_wall} | {mask.sum() / image.pixels.size:.3f} "
                f"| {white.mean():.4f} | {inside.mean():.4f} |"
            )
    print(f"\nchest wall on the known side: {sides} of {len(paths)} films")
    taken = [share for share in muscles.values() if share]
    spread = ", ".join(f"{share:.3f}" for share in np.percentile(taken, QUARTILES))
    print(f"muscle taken out of {len(taken)} films: share of the breast {spread} (quartiles)")
    print(f"nothing taken out of {', '.join(name for name, share in muscles.items() if not share)}")
    cut = [
        path.stem for path in sorted(subtracted.glob("*.jpg")) if _cut_share(path) > BRIGHT_SHARE
    ]
    total = len(list(subtracted.glob("*.jpg")))
    print(f"breast outside the crop on {len(cut)} of {total} subtracted images")


def _cut_share(path: Path) -> float:
    """Return the share of the largest bright part of an image that its crop leaves out."""
    image = decode_image(path)
    box = locate_breast(image).box
    bright = (image.pixels > 12).astype(np.uint8)
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return 0.0
    largest = labels == 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))
    return 1.0 - float(box.of(largest).sum()) / float(largest.sum())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
