"""From stored bit patterns to pixels that grow with brightness, and how a file shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import DecodedImage, Pixels, VoiWindow
from mammoshift.imaging.dicom_file import SPACING_KEYWORDS, PixelLayout, numbers, pixel_spacing

DISPLAY_KEYWORDS = (
    *SPACING_KEYWORDS,
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
)
"""Attributes that `interpret` reads."""

_LARGEST_WINDOW = 1e9


@dataclass(frozen=True)
class _ToDisplay:
    """Modality units as an affine function of the returned pixels: units = a * pixel + b."""

    a: float
    b: float

    def to_pixels(self, units: float) -> float:
        return (units - self.b) / self.a


def interpret(stored: Pixels, header: FileDataset, layout: PixelLayout) -> DecodedImage:
    """Turn stored bit patterns into pixels that grow with brightness, and the window with them."""
    # A codestream of up to 8 bits decodes to bytes also where 16 bits are allocated.
    if layout.bits > 8 * stored.dtype.itemsize:
        stored = stored.astype(np.uint16)
    pixels = stored
    unused_below = layout.high_bit + 1 - layout.bits
    if unused_below:
        pixels = pixels >> pixels.dtype.type(unused_below)
    largest = (1 << layout.bits) - 1
    if layout.bits < 8 * pixels.dtype.itemsize:
        pixels = np.bitwise_and(pixels, pixels.dtype.type(largest), out=_writable(pixels))
    slope, intercept = _rescale(header)
    inverted = (layout.photometric == "MONOCHROME1") != (slope < 0)
    # Two's complement becomes offset binary when its sign bit is flipped; the complement to the
    # largest value is a flip of every bit. Both together are one pass.
    sign_bit = 1 << (layout.bits - 1) if layout.signed else 0
    flipped = sign_bit ^ (largest if inverted else 0)
    if flipped:
        pixels = np.bitwise_xor(pixels, pixels.dtype.type(flipped), out=_writable(pixels))
    if inverted:
        units = _ToDisplay(a=-slope, b=slope * (largest - sign_bit) + intercept)
    else:
        units = _ToDisplay(a=slope, b=intercept - slope * sign_bit)
    # A monotone display function of the units keeps or reverses its direction with `a`; after
    # the inversion above the result always grows with the pixel.
    return DecodedImage(
        pixels=pixels,
        bits=layout.bits,
        inverted=inverted,
        window=_window(header, units),
        voi_lut=_voi_lut(header, units, layout),
        pixel_spacing_mm=pixel_spacing(header),
    )


def _writable(pixels: Pixels) -> Pixels | None:
    """Return `pixels` when an operation may overwrite them, which saves a copy."""
    return pixels if pixels.flags.writeable else None


def _rescale(header: Dataset) -> tuple[float, float]:
    slope = numbers(header, "RescaleSlope") or (1.0,)
    intercept = numbers(header, "RescaleIntercept") or (0.0,)
    if slope[0] == 0.0:
        raise UnreadableImageError("the rescale slope is zero")
    return slope[0], intercept[0]


def _window(header: Dataset, units: _ToDisplay) -> VoiWindow | None:
    centers, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    if not centers or not widths:
        return None
    center, width = centers[0], widths[0]
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        raise UnreadableImageError("the VOI LUT function is none of the three that DICOM defines")
    if width < 1.0 if function == "LINEAR" else width <= 0.0:
        raise UnreadableImageError("the window width is not positive")
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    window = VoiWindow(units.to_pixels(center), width / abs(units.a), function == "SIGMOID")
    is_sane = abs(window.center) <= _LARGEST_WINDOW and window.width <= _LARGEST_WINDOW
    if not is_sane or 0.0 < window.width < 1.0 / _LARGEST_WINDOW:
        raise UnreadableImageError("the window lies absurdly far from the pixels' values")
    return window


def _voi_lut(
    header: FileDataset, units: _ToDisplay, layout: PixelLayout
) -> NDArray[np.float32] | None:
    """Evaluate the first VOI LUT (PS3.3 C.11.2.1.1) for every possible pixel value."""
    sequence = header.get("VOILUTSequence")
    if not sequence:
        return None
    item = sequence[0]
    descriptor = [int(value) for value in item.get("LUTDescriptor") or ()]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise UnreadableImageError("the descriptor of the VOI LUT is damaged")
    entries, first, bits = descriptor
    entries = entries or 65_536
    data = item.get("LUTData")
    if isinstance(data, bytes):
        words = "<u2" if header.original_encoding[1] else ">u2"
        table = np.frombuffer(data, words if len(data) >= 2 * entries else np.uint8)
    else:
        table = np.atleast_1d(np.asarray(data if data is not None else (), np.float64))
    if table.size < entries:
        raise UnreadableImageError("the VOI LUT has fewer entries than its descriptor says")
    if first > 32_767 and (layout.signed or units.b < 0):
        first -= 65_536
    pixels = np.arange(1 << layout.bits, dtype=np.float64)
    index = np.clip(np.rint(units.a * pixels + units.b) - first, 0, entries - 1).astype(np.intp)
    shown = np.clip(table[index] / ((1 << bits) - 1), 0.0, 1.0)
    photometric_inverts = layout.photometric == "MONOCHROME1"
    return (1.0 - shown if photometric_inverts else shown).astype(np.float32)
