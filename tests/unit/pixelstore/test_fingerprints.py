from __future__ import annotations

import cv2
import numpy as np
import pytest

from mammoshift.pixelstore.fingerprints import difference_hash, fine_difference_hash


@pytest.mark.parametrize("shape", [(152, 91), (160, 144), (17, 17), (300, 40), (5, 6)])
def test_fingerprints_compare_averages_over_the_area_of_each_cell(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).random(shape, np.float32)
    picture = (60000 * cv2.GaussianBlur(noise, (0, 0), 3)).astype(np.uint16)

    def bits(cells: np.ndarray) -> np.ndarray:
        return (cells[:, 1:] > cells[:, :-1]).ravel()

    def averages(rows: int, columns: int) -> np.ndarray:
        return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)

    coarse = np.array([difference_hash(picture) >> 63 - place & 1 for place in range(64)])
    assert (coarse != bits(averages(8, 9))).sum() <= 1
    fine = np.unpackbits(np.frombuffer(fine_difference_hash(picture), np.uint8))
    wanted = np.concatenate([bits(averages(16, 17)), bits(averages(17, 16).T)])
    assert (fine != wanted).sum() <= 2
