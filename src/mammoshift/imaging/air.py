"""What of a reduced image is brighter than the air around the breast.

The first steps of LIBRA (Keller et al., Medical Physics 39:4903, 2012) are to leave out what
holds no image and to find the level of air in the histogram of the rest. Here the histogram is
taken of intensities that the noise of the darkest parts has scaled, linear within it and
logarithmic above: in that scale film that was read in density, film that was read in
transmission, and detectors alike show air as one narrow peak and the skin as a steep edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammoshift.imaging.decoded import Pixels

FloatImage = NDArray[np.float32]
Mask = NDArray[np.uint8]

_PADDED_SHARE = 0.97
_LEAST_NOISE = 1.0 / 400.0
_FAR_SHARE = 0.05
_AIR_WINDOW_SHARE = 0.08
_LEAST_STEP = 0.25
_LEAST_AIR = 0.01
_WEIGHT_OF_ALL = 1e-3
_STEPS_OF_SPREAD = 3.0
_STRAIGHT_QUANTILE = 0.3
_STRAIGHT_STEP = 0.33
_TAPE_SHARE = (0.15, 0.08)


@dataclass(frozen=True, eq=False)
class Foreground:
    """What is brighter than air in a reduced image.

    Attributes
    ----------
    tissue
        uint8, 255 where the image is brighter than the air near it, up to the skin line.
    core
        The part of it that is brighter than the one threshold of Otsu (1979).
    rows, columns
        What of the image is film or detector, without padding, borders and tape.
    """

    tissue: Mask
    core: Mask
    rows: slice
    columns: slice


def find_foreground(small: Pixels) -> Foreground:
    """Tell tissue, markers and tape from air in an image of at most some 500 rows and columns."""
    rows, columns = _without_padding(small)
    scaled = _scaled_by_noise(small, rows, columns)
    empty = np.zeros(small.shape, np.uint8)
    top = float(np.percentile(scaled[rows, columns][::2, ::2], 99.5))
    if top <= 0.0:
        return Foreground(empty, empty, rows, columns)
    rows, columns = _without_tape(scaled, rows, columns)
    inside = empty.copy()
    inside[rows, columns] = 255
    threshold = _otsu(scaled[rows, columns], top)
    core = cv2.bitwise_and(np.where(scaled > threshold, 255, 0).astype(np.uint8), inside)
    core = np.asarray(core, np.uint8)
    level = _air_level(scaled, core, inside, threshold)
    above = cv2.medianBlur(np.where(scaled > level, 255, 0).astype(np.uint8), 5)
    tissue = cv2.bitwise_and(above, inside)
    return Foreground(np.asarray(tissue, np.uint8), core, rows, columns)


def _without_padding(small: Pixels) -> tuple[slice, slice]:
    """Return the largest run of rows and of columns that are not almost all at the lowest value."""
    lowest = small == small.min()
    rows, columns = small.shape
    return (
        _longest_run(np.count_nonzero(lowest, axis=1) / columns < _PADDED_SHARE),
        _longest_run(np.count_nonzero(lowest, axis=0) / rows < _PADDED_SHARE),
    )


def _longest_run(wanted: NDArray[np.bool_]) -> slice:
    """Return the longest run of True, or everything where there is none."""
    edges = np.flatnonzero(np.diff(np.r_[False, wanted, False].astype(np.int8)))
    if not edges.size:
        return slice(0, wanted.size)
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return slice(int(starts[longest]), int(ends[longest]))


def _scaled_by_noise(small: Pixels, rows: slice, columns: slice) -> FloatImage:
    """Return asinh of intensities above the darkest, in units of the noise of the dark parts."""
    values = small[rows, columns].astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    scaled = np.zeros(small.shape, np.float32)
    sampled = smooth[::2, ::2].ravel()
    lowest, bright = float(smooth.min()), float(np.percentile(sampled, 99.5))
    if bright <= lowest:
        return scaled
    noise = np.abs(values[::2, ::2].ravel() - sampled)
    above = sampled > lowest + 1e-3 * (bright - lowest)
    dark = sampled <= np.percentile(sampled[above], 15.0)
    unit = max(float(np.median(noise[above & dark])), _LEAST_NOISE * (bright - lowest))
    scaled[rows, columns] = np.arcsinh((smooth - lowest) / unit)
    return scaled


def _without_tape(scaled: FloatImage, rows: slice, columns: slice) -> tuple[slice, slice]:
    """Cut off what lies beyond a straight edge along most of the film, near its border.

    A strip of tape, a label as wide as the film or a bright border ends in such an edge; skin,
    muscle and tissue do not.
    """
    film = scaled[rows, columns]
    top, bottom = _straight_borders(film, _TAPE_SHARE[0])
    rows = slice(rows.start + top, rows.stop - bottom)
    left, right = _straight_borders(np.ascontiguousarray(scaled[rows, columns].T), _TAPE_SHARE[1])
    return rows, slice(columns.start + left, columns.stop - right)


def _straight_borders(film: FloatImage, share: float) -> tuple[int, int]:
    """Return how many first and last rows lie beyond a straight edge within `share` of them."""
    reach = int(share * film.shape[0])
    if reach < 5:
        return 0, 0
    first, last = film[: reach + 4], film[-reach - 4 :][::-1]
    return _beyond_edge(first), _beyond_edge(last)


def _beyond_edge(strip: FloatImage) -> int:
    steps = np.quantile(np.abs(strip[4:, ::2] - strip[:-4, ::2]), _STRAIGHT_QUANTILE, axis=1)
    edges = np.flatnonzero(steps > _STRAIGHT_STEP)
    return int(edges[-1]) + 4 if edges.size else 0


def _otsu(values: FloatImage, top: float) -> float:
    grey = np.clip(values * (255.0 / top), 0.0, 255.0).astype(np.uint8)
    flags = cv2.THRESH_BINARY | cv2.THRESH_OTSU
    return cv2.threshold(np.ascontiguousarray(grey).reshape(1, -1), 0, 255, flags)[0] * top / 255.0


def _air_level(
    scaled: FloatImage, core: Mask, inside: Mask, threshold: float
) -> FloatImage | float:
    """Return, for each pixel, the level up to which it may be air; nowhere above `threshold`.

    Fog and light leaks make air brighter in one part of a film than in another. Its level is
    therefore the mean of the air around a pixel, away from everything bright.
    """
    length = max(scaled.shape)
    apart = cv2.distanceTransform(cv2.bitwise_not(core), cv2.DIST_L2, 3) > _FAR_SHARE * length
    is_air = apart & (inside > 0)
    if is_air[::4, ::4].mean() < _LEAST_AIR:
        return threshold
    # The level varies slowly, so that a sixteenth of the pixels tells it.
    air = is_air[::4, ::4].astype(np.float32)
    coarse = np.ascontiguousarray(scaled[::4, ::4])
    sigma = _AIR_WINDOW_SHARE * length / 4.0
    # Far from all air, what is known of it is its mean over the image.
    weight = cv2.GaussianBlur(air, (0, 0), sigma) + _WEIGHT_OF_ALL
    everywhere = _WEIGHT_OF_ALL * float(coarse[air > 0].mean())
    mean = (cv2.GaussianBlur(air * coarse, (0, 0), sigma) + everywhere) / weight
    deviation = np.abs(coarse - mean)
    everywhere = _WEIGHT_OF_ALL * float(deviation[air > 0].mean())
    spread = (cv2.GaussianBlur(air * deviation, (0, 0), sigma) + everywhere) / weight
    level = mean + _LEAST_STEP + _STEPS_OF_SPREAD * spread
    level = np.minimum(level, threshold).astype(np.float32)
    return cv2.resize(level, scaled.shape[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]
