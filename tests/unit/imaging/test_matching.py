from __future__ import annotations

import numpy as np
import pytest

from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import full_mask, locate_breast
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.matching import QUANTILES, matching_table, reference_quantiles
from mammoshift.imaging.preprocess import preprocess_image


def vendor(gamma: float, offset: int, seed: int = 0) -> DecodedImage:
    """The same breast as another vendor's display would store it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:600, 0:450]
    inside = (x / 300.0) ** 2 + ((y - 300) / 240.0) ** 2 < 1.0
    tissue = 0.5 + 0.3 * np.sin(x / 40.0) * np.cos(y / 30.0) + rng.normal(0.0, 0.02, x.shape)
    shown = offset + 3000.0 * np.clip(tissue, 0.05, 1.0) ** gamma
    return DecodedImage(np.where(inside, shown, offset).astype(np.uint16), 12)


def distribution(image: DecodedImage, reference: tuple[float, ...]) -> np.ndarray:
    recipe = InputRecipe(
        size=(600, 450),
        tone="histogram_match",
        reference_quantiles=reference,
        crop="none",
        orientation="as_stored",
    )
    done = preprocess_image(image, recipe)
    inside = full_mask(locate_breast(image)) > 0
    return np.quantile(done.array[inside] / 65535.0, np.linspace(0.1, 0.9, 9))


def test_two_vendors_have_one_distribution_after_matching() -> None:
    reference = reference_quantiles([vendor(1.0, 100)])
    assert len(reference) == QUANTILES
    wanted = np.interp(np.linspace(0.1, 0.9, 9), np.linspace(0.0, 1.0, QUANTILES), reference)
    for gamma, offset in ((1.0, 100), (2.0, 300), (0.5, 20)):
        found = distribution(vendor(gamma, offset), reference)
        np.testing.assert_allclose(found, wanted, atol=0.02)


def test_the_table_is_monotone_and_air_stays_below_the_breast() -> None:
    counts = np.zeros(256, np.int64)
    counts[100:200] = 7
    table = matching_table(counts, (0.2, 0.4, 0.9))
    assert (np.diff(table) >= 0.0).all()
    assert table[0] == 0.0
    assert table[50] == pytest.approx(0.1, abs=0.01)
    assert table[150] == pytest.approx(0.4, abs=0.01)
    assert table[255] == pytest.approx(0.9, abs=0.01)


def test_a_reference_is_the_mean_of_its_images() -> None:
    one, other = vendor(1.0, 100), vendor(2.0, 100)
    both = np.asarray(reference_quantiles([one, other]))
    mean = (np.asarray(reference_quantiles([one])) + reference_quantiles([other])) / 2.0
    np.testing.assert_allclose(both, mean, atol=1e-4)


def test_without_a_breast_there_is_no_reference() -> None:
    with pytest.raises(UnreadableImageError, match="no image shows a breast"):
        reference_quantiles([DecodedImage(np.zeros((40, 40), np.uint8), 8)])
