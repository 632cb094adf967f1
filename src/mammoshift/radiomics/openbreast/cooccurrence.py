"""Features of the co-occurrence of grey levels one pixel apart (Haralick 1973)."""

from __future__ import annotations

import numpy as np

from mammoshift.radiomics.openbreast.intensity import entropy
from mammoshift.radiomics.openbreast.region import Floats, Levels, Region

NAMES = ("cene", "ccor", "ccon", "chom", "cent")
LEVELS = 128
OFFSETS = ((0, 1), (-1, 1), (-1, 0), (-1, -1))
"""Rows down and columns to the right of the second pixel of a pair."""


def cooccurrence_features(region: Region) -> Floats:
    """Return energy, correlation, contrast, homogeneity and entropy, means of four directions.

    A pair counts if both pixels are in the mask. Correlation is not defined (NaN) where a
    direction has one level only.
    """
    levels = quantised(region)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.mean([_properties(pairs(levels, offset)) for offset in OFFSETS], axis=0)


def quantised(region: Region) -> Levels:
    """Return the levels of the region's box: 0 to 127, and `LEVELS` outside of the mask.

    MATLAB's `graycomatrix`: equal bins from the least to the largest pixel of the mask.
    """
    part, inside = region.image[region.box], region.mask[region.box]
    low, high = region.values.min(), region.values.max()
    if low == high:
        found = np.zeros(part.shape, np.int32)
    else:
        slope = LEVELS / (high - low)
        scaled = np.floor(slope * part + (1.0 - slope * low))
        found = np.clip(scaled, 1, LEVELS).astype(np.int32) - 1
    found[~inside] = LEVELS
    return found


def pairs(levels: Levels, offset: tuple[int, int]) -> Floats:
    """Return how often levels i and j are `offset` apart, in either order: [128, 128]."""
    down, right = offset
    rows, columns = levels.shape
    first = levels[max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
    second = levels[max(0, down) : rows - max(0, -down), max(0, right) : columns - max(0, -right)]
    side = LEVELS + 1
    counts = np.bincount((first * side + second).ravel(), minlength=side * side)
    inside = counts.reshape(side, side)[:LEVELS, :LEVELS].astype(np.float64)
    return inside + inside.T


def _properties(counts: Floats) -> tuple[float, ...]:
    p = counts / counts.sum()
    i, j = np.indices(p.shape)
    apart = np.abs(i - j)
    # The matrix is symmetric, so that both margins are one.
    margin, level = p.sum(axis=0), np.arange(LEVELS)
    mean = float((level * margin).sum())
    variance = float(((level - mean) ** 2 * margin).sum())
    covariance = ((i - mean) * (j - mean) * p).sum()
    return (
        float((p * p).sum()),
        float(np.float64(covariance) / np.float64(variance)),
        float((apart * apart * p).sum()),
        float((p / (1.0 + apart)).sum()),
        entropy(counts),
    )
