from __future__ import annotations

import numpy as np

from mammoshift.imaging.breast import Box, locate_breast
from mammoshift.imaging.contact_sheet import (
    TILE_HEIGHT,
    Shown,
    compose_sheet,
    draw_tile,
    opaque_name,
)
from mammoshift.imaging.decoded import DecodedImage


def breast_and_label() -> DecodedImage:
    """Return half an ellipse at the left edge, and a bright label far from it."""
    y, x = np.mgrid[0:200, 0:140]
    breast = ((x / 80) ** 2 + ((y - 100) / 80) ** 2 < 1) * 150.0
    breast[10:25, 115:135] = 255.0
    noise = np.random.default_rng(0).normal(8.0, 2.0, breast.shape)
    return DecodedImage(np.clip(breast + noise, 0, 255).astype(np.uint8), 8)


def shown(burned_in: bool = False) -> Shown:
    image = breast_and_label()
    region = locate_breast(image)
    array = np.full((60, 40), 40_000, np.uint16)
    regions = (Box(90, 20, 110, 40),)
    return Shown("secret-name", image, region, region.box, array, regions, burned_in=burned_in)


def test_a_tile_shows_the_stored_image_its_mask_its_regions_and_the_array() -> None:
    tile = draw_tile(shown())
    assert tile.shape[0] > TILE_HEIGHT
    stored = tile[:TILE_HEIGHT, :140].astype(int)
    green = (stored[..., 1] > stored[..., 2] + 60) & (stored[..., 1] > stored[..., 0] + 60)
    red = (stored[..., 2] > stored[..., 1] + 60) & (stored[..., 2] > stored[..., 0] + 60)
    assert 150 < green.sum() < 600
    assert np.argwhere(red).min(axis=0).tolist() == [90, 20]
    assert np.argwhere(red).max(axis=0).tolist() == [109, 39]
    array = tile[:TILE_HEIGHT, 143 : 143 + 133]
    assert set(array.ravel().tolist()) == {40_000 >> 8}


def test_text_in_the_pixels_of_a_file_that_declares_it_is_not_shown() -> None:
    label = np.s_[12:23, 117:133]
    assert draw_tile(shown())[label].min() > 200
    assert draw_tile(shown(burned_in=True))[label].max() == 0


def test_names_are_opaque_and_tell_images_apart() -> None:
    assert opaque_name("secret-name") != opaque_name("secret-nam")
    assert len(opaque_name("secret-name")) == 6
    assert set(opaque_name("secret-name")) <= set("0123456789abcdef")


def test_tiles_stand_in_rows_from_the_top_left() -> None:
    tiles = [np.full((216, 30 + n, 3), 10 * n, np.uint8) for n in range(1, 6)]
    sheet = compose_sheet(tiles, columns=3)
    assert sheet[6, 6].tolist() == [10] * 3
    assert sheet[6 + 222, 6].tolist() == [40] * 3
    assert compose_sheet([]).ndim == 3
