"""From stored bit patterns to pixels that grow with brightness, and how a file shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.decoded import DecodedImage, Pixels, VoiWindow
from mammoshift.imaging.dicom_file import (
    INTENT_KEYWORD,
    PixelLayout,
    intent_of,
    numbers,
)
from mammoshift.imaging.spacing import SPACING_KEYWORDS, pixel_spacing

DISPLAY_KEYWORDS = (
    *SPACING_KEYWORDS,
    INTENT_KEYWORD,
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
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


@dataclass(frozen=True, eq=False)
class _Table:
    """A lookup table: its values, the input of the first of them, and their bits."""

    values: NDArray[np.number]
    first: int
    bits: int

    def at(self, inputs: NDArray[np.number]) -> NDArray[np.float64]:
        """Return the values for `inputs`; those beyond an end have its value."""
        index = np.clip(inputs - self.first, 0, self.values.size - 1).astype(np.intp)
        return self.values[index].astype(np.float64)


def interpret(stored: Pixels, header: FileDataset, layout: PixelLayout) -> DecodedImage:
    """Turn stored bit patterns into pixels that grow with brightness, and the window with them."""
    values = _aligned(stored, layout)
    padding = _padding(values, header, layout)
    slope, intercept = _rescale(header)
    table = _modality_lut(header, layout)
    if table is not None:
        values, layout, slope, intercept = *_looked_up(values, table, layout), 1.0, 0.0
    largest = (1 << layout.bits) - 1
    inverted = (layout.photometric == "MONOCHROME1") != (slope < 0)
    sign_bit = 1 << (layout.bits - 1) if layout.signed else 0
    units = _units(slope, intercept, sign_bit, largest if inverted else None)
    voi_lut = _voi_lut(header, units, layout)
    if voi_lut is not None and voi_lut[-1] < voi_lut[0]:
        # The table itself shows high values dark: pixels run the other way, and it with them.
        inverted, voi_lut = not inverted, voi_lut[::-1].copy()
        units = _units(slope, intercept, sign_bit, largest if inverted else None)
    # Two's complement becomes offset binary when its sign bit is flipped; the complement to the
    # largest value is a flip of every bit. Both together are one pass.
    flipped = sign_bit ^ (largest if inverted else 0)
    pixels = values
    if flipped:
        pixels = np.bitwise_xor(pixels, pixels.dtype.type(flipped), out=_writable(pixels))
    # A monotone display function of the units keeps or reverses its direction with `a`; after
    # the inversion above the result always grows with the pixel.
    return DecodedImage(
        pixels=_with_dark_padding(pixels, padding),
        bits=layout.bits,
        inverted=inverted,
        window=_window(header, units),
        voi_lut=voi_lut,
        pixel_spacing_mm=pixel_spacing(header),
        intent=intent_of(header),
        padded_share=0.0 if padding is None else float(padding.mean()),
    )


def _units(slope: float, intercept: float, sign_bit: int, largest: int | None) -> _ToDisplay:
    """Return the units of pixels that were inverted within `largest`, or were not (None)."""
    if largest is None:
        return _ToDisplay(a=slope, b=intercept - slope * sign_bit)
    return _ToDisplay(a=-slope, b=slope * (largest - sign_bit) + intercept)


def _aligned(stored: Pixels, layout: PixelLayout) -> Pixels:
    """Return the stored bits of each pixel, the lowest first and nothing above them."""
    # A codestream of up to 8 bits decodes to bytes also where 16 bits are allocated.
    if layout.bits > 8 * stored.dtype.itemsize:
        stored = stored.astype(np.uint16)
    pixels = stored
    unused_below = layout.high_bit + 1 - layout.bits
    if unused_below:
        pixels = pixels >> pixels.dtype.type(unused_below)
    if layout.bits < 8 * pixels.dtype.itemsize:
        largest = (1 << layout.bits) - 1
        pixels = np.bitwise_and(pixels, pixels.dtype.type(largest), out=_writable(pixels))
    return pixels


def _padding(values: Pixels, header: FileDataset, layout: PixelLayout) -> NDArray[np.bool_] | None:
    """Return which pixels are padding (PS3.3 C.7.5.1.1.2), or None where none is."""
    first = numbers(header, "PixelPaddingValue")
    if not first:
        return None
    last = numbers(header, "PixelPaddingRangeLimit") or first
    low, high = sorted((round(first[0]), round(last[0])))
    if layout.signed:
        # Bit patterns of signed values grow with the value once their sign bit is flipped.
        half = 1 << (layout.bits - 1)
        found = np.bitwise_xor(values, values.dtype.type(half))
        low, high = low + half, high + half
    else:
        found = values
    low, high = max(low, 0), min(high, (1 << layout.bits) - 1)
    if low > high:
        return None
    padded = (found >= low) & (found <= high)
    return padded if padded.any() and not padded.all() else None


def _with_dark_padding(pixels: Pixels, padding: NDArray[np.bool_] | None) -> Pixels:
    """Return the pixels with no padding brighter than the darkest of the others."""
    if padding is None:
        return pixels
    darkest = int(pixels.min(where=~padding, initial=np.iinfo(pixels.dtype).max))
    dark = np.minimum(pixels, pixels.dtype.type(darkest))
    return np.where(padding, dark, pixels)


def _modality_lut(header: FileDataset, layout: PixelLayout) -> _Table | None:
    """Return the modality LUT (PS3.3 C.11.1), which stands in the place of slope and intercept."""
    sequence = header.get("ModalityLUTSequence")
    if not sequence:
        return None
    little_endian = header.original_encoding[1]
    return _table(sequence[0], "modality LUT", layout.signed, bool(little_endian))


def _looked_up(values: Pixels, table: _Table, layout: PixelLayout) -> tuple[Pixels, PixelLayout]:
    """Return what the modality LUT makes of stored values, and the layout of that."""
    stored = np.arange(1 << layout.bits)
    if layout.signed:
        half = 1 << (layout.bits - 1)
        stored = np.where(stored >= half, stored - 2 * half, stored)
    output = np.clip(table.at(stored), 0, (1 << table.bits) - 1)
    narrow = np.uint8 if table.bits <= 8 else np.uint16
    changed = replace(layout, bits=table.bits, high_bit=table.bits - 1, signed=False)
    return output.astype(narrow)[values], changed


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
    may_be_negative = layout.signed or units.b < 0
    table = _table(sequence[0], "VOI LUT", may_be_negative, bool(header.original_encoding[1]))
    pixels = np.arange(1 << layout.bits, dtype=np.float64)
    shown = np.clip(table.at(np.rint(units.a * pixels + units.b)) / ((1 << table.bits) - 1), 0, 1)
    photometric_inverts = layout.photometric == "MONOCHROME1"
    return (1.0 - shown if photometric_inverts else shown).astype(np.float32)


def _table(item: Dataset, name: str, may_be_negative: bool, little_endian: bool) -> _Table:
    """Return the lookup table in an item of a sequence of them."""
    descriptor = [int(value) for value in item.get("LUTDescriptor") or ()]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise UnreadableImageError(f"the descriptor of the {name} is damaged")
    entries, first, bits = descriptor
    entries = entries or 65_536
    data = item.get("LUTData")
    if isinstance(data, bytes):
        words = "<u2" if little_endian else ">u2"
        values = np.frombuffer(data, words if len(data) >= 2 * entries else np.uint8)
    else:
        values = np.atleast_1d(np.asarray(data if data is not None else (), np.float64))
    if values.size < entries:
        raise UnreadableImageError(f"the {name} has fewer entries than its descriptor says")
    if first > 32_767 and may_be_negative:
        first -= 65_536
    return _Table(values[:entries], first, bits)
