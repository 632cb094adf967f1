"""Features of runs of equal grey levels along lines (Galloway 1975, Chu 1990)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammoshift.radiomics.openbreast.region import Floats, Levels, Region

NAMES = ("rsre", "rlre", "rgln", "rrpe", "rrln", "rlgr", "rhgr")
LEVELS = 256
_OUTSIDE = 0


def run_features(region: Region) -> Floats:
    """Return the features of `NAMES`, means of the directions 0, 45, 90 and 135 degrees.

    Lines lose what is outside of the mask before they are divided into runs, so that a run goes
    on behind a hole, as in OpenBreast.
    """
    levels = quantised(region)
    pixels = int(np.count_nonzero(region.mask))
    return np.mean([_properties(line, pixels) for line in lines(levels)], axis=0)


def quantised(region: Region) -> Levels:
    """Return the levels of the region's box: 1 to 256, and 0 outside of the mask."""
    part, inside = region.image[region.box], region.mask[region.box]
    low, high = region.values.min(), region.values.max()
    if low == high:
        found = np.ones(part.shape, np.int32)
    else:
        slope = (LEVELS - 1) / (high - low)
        # MATLAB rounds halves up where numbers are positive.
        scaled = np.floor(slope * part + (1.0 - slope * low) + 0.5)
        found = np.clip(scaled, 1, LEVELS).astype(np.int32)
    found[~inside] = _OUTSIDE
    return found


def lines(levels: Levels) -> Iterator[Levels]:
    """Yield the levels as lines [lines, places] along the four directions, 0 where there is none.

    A diagonal is a column of the array whose rows were shifted, each by one more than the last.
    """
    yield levels
    yield _sheared(levels[:, ::-1]).T
    yield levels.T
    yield _sheared(levels).T


def _sheared(levels: Levels) -> Levels:
    """Return (rows, rows + columns - 1) with each row one place further left than that above."""
    rows, columns = levels.shape
    width = rows + columns
    wide = np.full(rows * width, _OUTSIDE, levels.dtype)
    wide[rows - 1 : rows - 1 + rows * (width - 1)].reshape(rows, width - 1)[:, :columns] = levels
    return wide.reshape(rows, width)[:, : width - 1]


def _properties(line: Levels, pixels: int) -> tuple[float, ...]:
    inside = line != _OUTSIDE
    level = line[inside]
    number = np.broadcast_to(np.arange(len(line), dtype=np.int32)[:, None], line.shape)[inside]
    starts = np.flatnonzero(np.r_[True, (level[1:] != level[:-1]) | (number[1:] != number[:-1])])
    length = np.diff(starts, append=level.size).astype(np.float64)
    of_level = level[starts].astype(np.float64)
    return _of_runs(length, of_level, pixels)


def _of_runs(length: Floats, level: Floats, pixels: int) -> tuple[float, ...]:
    runs = length.size
    by_level = np.bincount(level.astype(np.intp)).astype(np.float64)
    by_length = np.bincount(length.astype(np.intp)).astype(np.float64)
    return (
        float((1.0 / (length * length)).mean()),
        float((length * length).mean()),
        float((by_level * by_level).sum() / runs),
        runs / pixels,
        float((by_length * by_length).sum() / runs),
        float((1.0 / (level * level)).mean()),
        float((level * level).mean()),
    )
