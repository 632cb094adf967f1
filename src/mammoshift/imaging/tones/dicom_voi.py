"""As the file says: its VOI LUT, else its window, else its bits where the breast fills them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.tone import linear_range, look_up, sigmoid_window
from mammoshift.imaging.tones._protocol import ShownCrop

LEAST_FILL = 0.25
"""Share of the range of its bits that the breast must span for that range to be shown; 12-bit data
that a file declares as 16 bits would be black in it, or white once inverted, or of one grey."""

_BITS_OF_DISPLAYS = 8


def needs_range(image: DecodedImage) -> bool:
    """Tell whether the file says nothing of how it is shown."""
    return image.voi_lut is None and image.window is None


def tone(crop: ShownCrop) -> NDArray[np.uint16]:
    """Return intensities 0 to 65535."""
    breast = crop.levels.breast_range if needs_range(crop.image) else (0.0, 0.0)
    return crop.shown(curve(crop.values, crop.image, breast))


def curve(
    values: NDArray[np.float32], image: DecodedImage, breast: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """Return intensities in [0, 1] of stored values, any shape.

    Parameters
    ----------
    values
        In units of `image.pixels`.
    image
        Its bits, window and VOI LUT are used.
    breast
        Range of the breast's values, shown where it spans less than `LEAST_FILL` of the bits'
        range. Eight bits hold no spare ones: there it must also end below that share, since a
        narrow range of greys is as somebody chose to show it.
    """
    if image.voi_lut is not None:
        return look_up(values, image.voi_lut)
    if image.window is not None:
        window = image.window
        if window.sigmoid:
            return sigmoid_window(values, window.center, window.width)
        half = window.width / 2.0
        return linear_range(values, window.center - half, window.center + half)
    largest = float((1 << image.bits) - 1)
    least = LEAST_FILL * largest
    spanned = breast[1] - breast[0] if image.bits > _BITS_OF_DISPLAYS else breast[1]
    if 0.0 < spanned < least:
        return linear_range(values, *breast)
    return linear_range(values, 0.0, largest)
