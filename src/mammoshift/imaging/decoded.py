"""A decoded image: what every later step knows about a file, whatever its format was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8 | np.uint16]

Intent = Literal["for_processing", "for_presentation"]


@dataclass(frozen=True)
class VoiWindow:
    """A display window in units of `DecodedImage.pixels`.

    The three functions of DICOM PS3.3 C.11.2.1.2 are kept as two: LINEAR with centre c and
    width w is the exact linear ramp with centre c - 0.5 and width w - 1.

    Attributes
    ----------
    center
        Pixel value that is shown at half of the range.
    width
        Width of the ramp, or of the sigmoid; 0 stands for a step at `center`.
    sigmoid
        Whether the curve is the sigmoid of PS3.3 C.11.2.1.3.1 rather than a clipped ramp.
    """

    center: float
    width: float
    sigmoid: bool = False


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One grey image in which a larger value is always a brighter display.

    Attributes
    ----------
    pixels
        Shape (rows, columns), uint8 or uint16, values 0 to 2**bits - 1. Signed pixels were
        shifted by 2**(bits - 1), a modality LUT was applied and MONOCHROME1 was inverted.
    bits
        Number of significant bits, 1 to 16; after a modality LUT those of its output.
    inverted
        Whether the stored values ran the other way (MONOCHROME1).
    window
        The file's first VOI window, in units of `pixels`; None when it has none.
    voi_lut
        The file's first VOI LUT as a table over all pixel values: shape (2**bits,), float32,
        values in [0, 1]; None when it has none. It takes precedence over `window`.
    pixel_spacing_mm
        Distance of pixel centres down a column and along a row, in mm, at the detector or on the
        film, in a magnification view in the breast; None when the file does not say.
    intent
        Whether the pixels are a detector's, meant for further processing, or a display's (DICOM
        Presentation Intent Type); None when the file does not say.
    padded_share
        Share of the pixels that the file declares as padding; none of them is brighter than
        the darkest of the others.
    subtracted
        Whether it is the subtracted image of a contrast-enhanced view, in which the pectoral
        muscle has cancelled out. No file says it; the archive's adapter does.
    """

    pixels: Pixels
    bits: int
    inverted: bool = False
    window: VoiWindow | None = None
    voi_lut: NDArray[np.float32] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    intent: Intent | None = None
    padded_share: float = 0.0
    subtracted: bool = False

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value of the pixels."""
        return float(self.pixels.min()), float(self.pixels.max())
